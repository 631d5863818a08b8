/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The power goes, at every step that the writer takes.
 *
 * One run of the real writer (segments, handovers, checkpoints, dropped segments) is noted: every
 * write, sync, cut, new name, removed name, every epoch key that is kept or destroyed, every record
 * that was reported as durable, in the order in which they happened. From that, the disk of every
 * moment is made again, in all the shapes that a power cut may leave: of what was not synced, all
 * or nothing, a beginning up to any byte, zeros in its place, lost blocks in it; names that were
 * not synced, old or new. Each of these disks must verify, open, go on, hold every record that had
 * been reported, and satisfy every anchor. A cut while that disk is mended is tried the same way.
 *
 * SEALGATE_THOROUGH=1 in the environment, as "make check-all" has it: more places of each write.
 * SEALGATE_EVERY_BYTE=1 in the environment: beginnings of every length, which takes long.
 */
#include "tests/unit/keystore/ledger_world.h"

#include "base/log.h"
#include "keystore/ledger_retire.h"
#include "keystore/ledger_stub.h"

#include <fcntl.h>
#include <sys/stat.h>

#define MAX_FILES 40
#define MAX_OPS   4000
#define MAX_SEQ   600
#define NAME_SIZE 40
#ifdef __SANITIZE_ADDRESS__
#define NESTED 997
#else
#define NESTED 131 /* one disk of so many is cut again while it is mended */
#endif

/* --- a disk --- */

struct file {
	char name[NAME_SIZE];
	struct buf now, durable;
	bool synced; /* NOW is DURABLE */
};

struct disk {
	struct file *files; /* MAX_FILES, those without a name are free */
	struct secret *epochs[WORLD_EPOCHS];
};

/* --- what was noted --- */

enum op_kind {
	OP_OPEN,
	OP_WRITE,
	OP_SYNC,
	OP_CUT,
	OP_RENAME,
	OP_UNLINK,
	OP_SYNC_DIR,
	OP_KEY,
	OP_DESTROY,
	OP_ACK,
	OP_ANCHOR
};

struct op {
	enum op_kind kind;
	char name[NAME_SIZE], to[NAME_SIZE];
	int64_t at;
	struct buf data;
	uint64_t n; /* epoch, or record */
};

struct trace {
	pthread_mutex_t lock;
	struct world world; /* its keys and folder */
	struct op ops[MAX_OPS];
	size_t n;
};

static struct op *
add_op(struct trace *t, enum op_kind kind)
{
	struct op *op = &t->ops[t->n++];

	assert_true(t->n < MAX_OPS);
	*op = (struct op){.kind = kind, .data = BUF_INIT(0)};
	return op;
}

static void
set_name(char out[NAME_SIZE], const char *path)
{
	const char *slash = strrchr(path, '/');

	snprintf(out, NAME_SIZE, "%s", slash ? slash + 1 : path);
}

static void
name_of_fd(int fd, char out[NAME_SIZE])
{
	char link[64], path[256];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	assert_true(n > 0);
	path[n] = '\0';
	set_name(out, path);
}

static ssize_t
note_write(void *ctx, int fd, const void *data, size_t len, off_t at)
{
	struct trace *t = ctx;
	struct op *op;
	ssize_t n;

	pthread_mutex_lock(&t->lock);
	n = pwrite(fd, data, len, at);
	op = add_op(t, OP_WRITE);
	name_of_fd(fd, op->name);
	op->at = at;
	assert_int_equal(buf_append(&op->data, data, (size_t)n, NULL), RC_OK);
	pthread_mutex_unlock(&t->lock);
	return n;
}

static int
note_sync(void *ctx, int fd)
{
	struct trace *t = ctx;

	pthread_mutex_lock(&t->lock);
	name_of_fd(fd, add_op(t, OP_SYNC)->name);
	pthread_mutex_unlock(&t->lock);
	return 0;
}

static int
note_open(void *ctx, const char *path, int flags, mode_t mode)
{
	struct trace *t = ctx;
	int fd;

	pthread_mutex_lock(&t->lock);
	fd = open(path, flags, mode);
	if (fd >= 0 && (flags & O_CREAT))
		set_name(add_op(t, OP_OPEN)->name, path);
	pthread_mutex_unlock(&t->lock);
	return fd;
}

static int
note_truncate(void *ctx, int fd, off_t size)
{
	struct trace *t = ctx;
	struct op *op;

	pthread_mutex_lock(&t->lock);
	assert_int_equal(ftruncate(fd, size), 0);
	op = add_op(t, OP_CUT);
	name_of_fd(fd, op->name);
	op->at = size;
	pthread_mutex_unlock(&t->lock);
	return 0;
}

static int
note_rename(void *ctx, const char *from, const char *to)
{
	struct trace *t = ctx;
	struct op *op;

	pthread_mutex_lock(&t->lock);
	assert_int_equal(rename(from, to), 0);
	op = add_op(t, OP_RENAME);
	set_name(op->name, from);
	set_name(op->to, to);
	pthread_mutex_unlock(&t->lock);
	return 0;
}

static int
note_unlink(void *ctx, const char *path)
{
	struct trace *t = ctx;
	int failed;

	pthread_mutex_lock(&t->lock);
	failed = unlink(path);
	if (!failed)
		set_name(add_op(t, OP_UNLINK)->name, path);
	pthread_mutex_unlock(&t->lock);
	return failed;
}

static int
note_sync_dir(void *ctx, const char *dir)
{
	struct trace *t = ctx;

	(void)dir;
	pthread_mutex_lock(&t->lock);
	(void)add_op(t, OP_SYNC_DIR);
	pthread_mutex_unlock(&t->lock);
	return 0;
}

static enum rc
note_epoch_load(void *ctx, uint64_t epoch, struct secret **der, struct err *err)
{
	return world_epoch_load(&((struct trace *)ctx)->world, epoch, der, err);
}

static enum rc
note_epoch_store(void *ctx, uint64_t epoch, struct secret *der, struct err *err)
{
	struct trace *t = ctx;
	struct op *op;

	pthread_mutex_lock(&t->lock);
	op = add_op(t, OP_KEY);
	op->n = epoch;
	assert_int_equal(buf_append(&op->data, secret_data(der), secret_len(der), NULL), RC_OK);
	pthread_mutex_unlock(&t->lock);
	return world_epoch_store(&t->world, epoch, der, err);
}

static enum rc
note_epoch_destroy(void *ctx, uint64_t epoch, struct err *err)
{
	struct trace *t = ctx;

	pthread_mutex_lock(&t->lock);
	add_op(t, OP_DESTROY)->n = epoch;
	pthread_mutex_unlock(&t->lock);
	return world_epoch_destroy(&t->world, epoch, err);
}

/* Record SEQ was reported as durable. */
static void
note_ack(struct trace *t, uint64_t seq)
{
	pthread_mutex_lock(&t->lock);
	add_op(t, OP_ACK)->n = seq;
	pthread_mutex_unlock(&t->lock);
}

static void
note_anchor(struct trace *t)
{
	struct buf anchor = BUF_INIT(4096);
	struct err err = ERR_INIT;

	assert_int_equal(ledger_checkpoint(t->world.ledger, &err), RC_OK);
	assert_int_equal(ledger_last_anchor(t->world.ledger, &anchor, &err), RC_OK);
	assert_int_equal(buf_append_char(&anchor, '\n', NULL), RC_OK);
	pthread_mutex_lock(&t->lock);
	add_op(t, OP_ANCHOR)->data = anchor; /* it owns it now */
	pthread_mutex_unlock(&t->lock);
}

static void
trace_init(struct trace *t)
{
	memset(t, 0, sizeof *t);
	pthread_mutex_init(&t->lock, NULL);
	world_init(&t->world);
	t->world.options.segment_size = 5000;
	t->world.options.checkpoint_records = 6;
	t->world.options.keys.epoch_load = note_epoch_load;
	t->world.options.keys.epoch_store = note_epoch_store;
	t->world.options.keys.epoch_destroy = note_epoch_destroy;
	t->world.options.keys.ctx = t;
	t->world.options.disk = (struct ledger_disk){.write = note_write,
		.sync = note_sync,
		.open = note_open,
		.truncate = note_truncate,
		.rename = note_rename,
		.unlink = note_unlink,
		.sync_dir = note_sync_dir,
		.ctx = t};
}

static void
trace_fini(struct trace *t)
{
	for (size_t i = 0; i < t->n; i++)
		buf_fini(&t->ops[i].data);
	world_fini(&t->world);
	pthread_mutex_destroy(&t->lock);
}

/* --- disks of every moment --- */

static struct file *
find_file(struct disk *d, const char *name)
{
	for (size_t i = 0; i < MAX_FILES; i++)
		if (strcmp(d->files[i].name, name) == 0)
			return &d->files[i];
	return NULL;
}

static struct file *
get_file(struct disk *d, const char *name)
{
	struct file *f = find_file(d, name);

	if (f)
		return f;
	f = find_file(d, "");
	assert_non_null(f);
	snprintf(f->name, sizeof f->name, "%s", name);
	return f;
}

static void
drop_file(struct file *f)
{
	buf_fini(&f->now);
	buf_fini(&f->durable);
	*f = (struct file){.synced = true, .now = BUF_INIT(0), .durable = BUF_INIT(0)};
}

static void
copy_buf(struct buf *to, const struct buf *from)
{
	buf_clear(to);
	assert_int_equal(buf_append(to, buf_text(from), from->len, NULL), RC_OK);
}

static void
disk_init(struct disk *d)
{
	memset(d, 0, sizeof *d);
	d->files = calloc(MAX_FILES, sizeof *d->files);
	for (size_t i = 0; i < MAX_FILES; i++)
		drop_file(&d->files[i]);
}

static void
disk_fini(struct disk *d)
{
	for (size_t i = 0; i < MAX_FILES; i++)
		drop_file(&d->files[i]);
	free(d->files);
	for (size_t i = 0; i < WORLD_EPOCHS; i++)
		secret_free(&d->epochs[i]);
}

static void
disk_copy(struct disk *to, const struct disk *from)
{
	disk_init(to);
	for (size_t i = 0; i < MAX_FILES; i++) {
		const struct file *f = &from->files[i];

		if (!*f->name)
			continue;
		strcpy(to->files[i].name, f->name);
		copy_buf(&to->files[i].now, &f->now);
		copy_buf(&to->files[i].durable, &f->durable);
		to->files[i].synced = f->synced;
	}
	for (size_t i = 0; i < WORLD_EPOCHS; i++)
		if (from->epochs[i])
			assert_int_equal(secret_copy(secret_data(from->epochs[i]),
						 secret_len(from->epochs[i]), &to->epochs[i], NULL),
				RC_OK);
}

/* Writes LEN bytes at AT, with zeros in a gap. */
static void
put_bytes(struct buf *b, int64_t at, const char *data, size_t len)
{
	while (b->len < (size_t)at + len)
		assert_int_equal(buf_append_char(b, '\0', NULL), RC_OK);
	memcpy(b->data + at, data, len);
}

static void
apply(struct disk *d, const struct op *op)
{
	struct file *f;

	switch (op->kind) {
	case OP_OPEN:
		f = get_file(d, op->name);
		f->now.len = 0;
		f->synced = false;
		break;
	case OP_WRITE:
		f = get_file(d, op->name);
		put_bytes(&f->now, op->at, buf_text(&op->data), op->data.len);
		f->synced = false;
		break;
	case OP_SYNC:
		f = get_file(d, op->name);
		copy_buf(&f->durable, &f->now);
		f->synced = true;
		break;
	case OP_CUT:
		f = get_file(d, op->name);
		f->now.len = (size_t)op->at;
		f->synced = false;
		break;
	case OP_RENAME:
		if (find_file(d, op->to))
			drop_file(find_file(d, op->to));
		strcpy(get_file(d, op->name)->name, op->to);
		break;
	case OP_UNLINK:
		drop_file(get_file(d, op->name));
		break;
	case OP_KEY:
		secret_free(&d->epochs[op->n]);
		assert_int_equal(
			secret_copy(op->data.data, op->data.len, &d->epochs[op->n], NULL), RC_OK);
		break;
	case OP_DESTROY:
		for (uint64_t i = 0; i <= op->n && i < WORLD_EPOCHS; i++)
			secret_free(&d->epochs[i]);
		break;
	default:
		break;
	}
}

/* What is not synced is on the disk, or is lost. */
static void
settle(struct disk *d, bool lost)
{
	for (size_t i = 0; i < MAX_FILES; i++)
		if (lost && *d->files[i].name)
			copy_buf(&d->files[i].now, &d->files[i].durable);
}

/* --- what must hold --- */

struct wanted {
	uint64_t acked;                         /* the last record that was reported */
	char hashes[MAX_SEQ][LEDGER_HASH_SIZE]; /* of lines, by number */
	struct buf anchors;
	size_t disks; /* that were tried */
};

static void
write_disk(const struct disk *d, struct world *world)
{
	for (size_t i = 0; i < MAX_FILES; i++) {
		const struct file *f = &d->files[i];
		char *path;

		if (!*f->name)
			continue;
		path = file_join(world->dir, f->name);
		assert_int_equal(
			file_write(path, buf_text(&f->now), f->now.len, 0600, NULL), RC_OK);
		free(path);
	}
	for (size_t i = 0; i < WORLD_EPOCHS; i++)
		if (d->epochs[i])
			assert_int_equal(secret_copy(secret_data(d->epochs[i]),
						 secret_len(d->epochs[i]), &world->epochs[i], NULL),
				RC_OK);
}

/* Every record up to the last reported one stands there as it was, or is dropped. */
static void
check_records(struct world *world, const struct wanted *w, const char *what, uint64_t dropped)
{
	struct ledger_reader *reader;
	uint64_t seq = dropped;
	const char *line;
	size_t len;

	assert_int_equal(ledger_reader_open(world->dir, 0, &reader, NULL), RC_OK);
	while (seq < w->acked && ledger_reader_next(reader, &line, &len, NULL) == RC_OK) {
		char hash[LEDGER_HASH_SIZE];
		struct ledger_line prefix;

		assert_true(ledger_line_parse(line, len, &prefix));
		if (prefix.seq <= dropped)
			continue;
		seq = prefix.seq;
		assert_int_equal(ledger_hash(line, len, hash, NULL), RC_OK);
		if (strcmp(hash, w->hashes[seq]) != 0)
			fail_msg("%s: record %d is another one", what, (int)seq);
	}
	ledger_reader_close(&reader);
	if (seq < w->acked)
		fail_msg("%s: record %d was reported and is gone, the last one is %d", what,
			(int)w->acked, (int)seq);
}

static void
must_verify(struct world *world, const struct wanted *w, const char *what, struct ledger_report *r)
{
	char *file = file_join(world->dir, "anchors");
	const char *files[] = {file};
	struct ledger_verify_options options = {.dir = world->dir,
		.anchors = files,
		.n_anchors = w->anchors.len ? 1 : 0,
		.threads = 1};
	struct err err = ERR_INIT;

	assert_int_equal(
		file_write(file, buf_text(&w->anchors), w->anchors.len, 0600, NULL), RC_OK);
	if (ledger_verify_with(&options, r, &err))
		fail_msg("%s: %s", what, err.detail);
	if (!r->ok)
		fail_msg("%s: %s (signed to %d of %d)", what, r->problem, (int)r->last_checkpoint,
			(int)r->records);
	free(file);
}

/* What was begun is ended: no stub without its name, no lines beside one. */
static void
check_settled(struct world *world, const char *what)
{
	struct ledger_files files;
	char **names = NULL;
	size_t n = 0;

	assert_int_equal(file_list(world->dir, 1000, &names, &n, NULL), RC_OK);
	for (size_t i = 0; i < n; i++)
		if (strstr(names[i], LEDGER_NEW_STUB))
			fail_msg("%s: %s is left", what, names[i]);
	file_list_free(&names, n);
	assert_int_equal(ledger_files_list(world->dir, &files, NULL), RC_OK);
	for (uint64_t i = files.first; i <= files.last; i++)
		if (ledger_files_kind(&files, i) == (LEDGER_LINES | LEDGER_STUB))
			fail_msg("%s: lines and stub of segment %d", what, (int)i);
	ledger_files_free(&files);
}

static void try_all_cuts(const struct disk *before, const struct trace *t, size_t from,
	struct wanted *w, const char *what, int depth);

/* The power came back, and this is the disk. */
static void
try_disk(const struct disk *d, struct wanted *w, const char *what, int depth)
{
	struct trace *t = calloc(1, sizeof *t);
	struct ledger_report report;
	struct err err = ERR_INIT;
	uint64_t seq;

	w->disks++;
	trace_init(t);
	write_disk(d, &t->world);
	must_verify(&t->world, w, what, &report);
	if (world_try_open(&t->world, &err))
		fail_msg("%s: %s", what, err.detail);
	if (world_append(&t->world, "carol@example.org", &seq, &err))
		fail_msg("%s: append: %s", what, err.detail);
	world_close(&t->world);
	must_verify(&t->world, w, what, &report);
	check_settled(&t->world, what);
	check_records(&t->world, w, what, report.dropped_to);
	CHECK_INT(what, report.last_checkpoint, report.records - 1);
	if (depth && w->disks % NESTED == 0) {
		struct disk again;

		disk_copy(&again, d);
		for (size_t i = 0; i < MAX_FILES; i++)
			copy_buf(&again.files[i].durable, &again.files[i].now);
		try_all_cuts(&again, t, 0, w, what, depth - 1);
		disk_fini(&again);
	}
	trace_fini(t);
	free(t);
}

/* OP is under way and not synced: the shapes of its bytes. */
static void
try_torn(const struct disk *d, const struct op *op, struct wanted *w, const char *what, int depth)
{
	size_t len = op->data.len, places = getenv("SEALGATE_THOROUGH") ? 6 : 2;
	size_t stride = getenv("SEALGATE_EVERY_BYTE") ? 1 : len / places + 1;
	char *zeros = calloc(1, len + 1), name[200];

	for (size_t k = 1; k < len; k++) {
		struct disk torn;

		if (k > 1 && k < len - 2 && k % stride)
			continue; /* the first byte, some places, all but the last two */
		snprintf(name, sizeof name, "%s, %zu of %zu bytes", what, k, len);
		disk_copy(&torn, d);
		put_bytes(&get_file(&torn, op->name)->now, op->at, op->data.data, k);
		try_disk(&torn, w, name, depth);
		disk_fini(&torn);
	}
	for (int shape = 0; shape < 4; shape++) {
		int64_t first = (op->at + 511) / 512 * 512, end = op->at + (int64_t)len,
			last = end / 512 * 512;
		struct buf *now;
		struct disk torn;

		snprintf(name, sizeof name, "%s, zeros of shape %d", what, shape);
		disk_copy(&torn, d);
		now = &get_file(&torn, op->name)->now;
		put_bytes(now, op->at, op->data.data, len);
		if (shape == 0) /* the size came, nothing else */
			put_bytes(now, op->at, zeros, len);
		else if (shape == 1 &&
			 first < end) /* the block that is shared with what was there */
			put_bytes(now, op->at, zeros, (size_t)(first - op->at));
		else if (shape == 2 && last > op->at) /* the last block */
			put_bytes(now, last, zeros, (size_t)(end - last));
		else if (shape == 3 && first + 512 <= last) /* one in the middle */
			put_bytes(now, first, zeros, 512);
		else
			shape = 9;
		if (shape < 9)
			try_disk(&torn, w, name, depth);
		disk_fini(&torn);
	}
	free(zeros);
}

/* Cuts at every step of T from FROM on, which begins with the disk BEFORE. */
static void
try_all_cuts(const struct disk *before, const struct trace *t, size_t from, struct wanted *w,
	const char *what, int depth)
{
	struct disk now, old_names;
	bool names_differ = false;
	size_t synced = 0; /* the last step that made names durable */

	disk_copy(&now, before);
	disk_copy(&old_names, before);
	for (size_t i = 0; i < t->n; i++) {
		const struct op *op = &t->ops[i];
		bool name = op->kind == OP_OPEN || op->kind == OP_RENAME || op->kind == OP_UNLINK;
		char label[200];

		if (op->kind == OP_ACK && op->n > w->acked)
			w->acked = op->n;
		if (op->kind == OP_ANCHOR)
			assert_int_equal(
				buf_append(&w->anchors, op->data.data, op->data.len, NULL), RC_OK);
		snprintf(label, sizeof label, "%.120s: cut %s step %zu (%d %s)", what,
			op->kind == OP_WRITE ? "in" : "behind", i, (int)op->kind, op->name);
		if (op->kind == OP_WRITE && i >= from)
			try_torn(&now, op, w, label, depth);
		apply(&now, op);
		if (name)
			names_differ = true;
		else
			apply(&old_names, op);
		if (op->kind == OP_SYNC_DIR) {
			disk_fini(&old_names);
			disk_copy(&old_names, &now);
			names_differ = false;
			synced = i;
		}
		if (i < from || op->kind == OP_ACK || op->kind == OP_ANCHOR)
			continue;
		for (int lost = 0; lost < 2; lost++) {
			struct disk cut;

			disk_copy(&cut, &now);
			settle(&cut, lost);
			try_disk(&cut, w, label, depth);
			disk_fini(&cut);
			if (!names_differ || !(name || lost))
				continue;
			for (int gone = 0; gone < 2; gone++) {
				snprintf(label, sizeof label,
					"%.120s: old names%s, cut behind step %zu", what,
					gone ? " but removed ones" : "", i);
				disk_copy(&cut, &old_names);
				for (size_t k = synced; gone && k <= i; k++)
					if (t->ops[k].kind == OP_UNLINK &&
						find_file(&cut, t->ops[k].name))
						drop_file(find_file(&cut, t->ops[k].name));
				settle(&cut, lost);
				try_disk(&cut, w, label, depth);
				disk_fini(&cut);
			}
		}
	}
	disk_fini(&now);
	disk_fini(&old_names);
}

/* The hashes of all lines that were written. */
static void
note_hashes(const struct trace *t, struct wanted *w)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct op *op = &t->ops[i];
		const char *p = buf_text(&op->data), *end = p + op->data.len, *lf;
		struct ledger_line line;

		if (op->kind != OP_WRITE)
			continue;
		for (; p < end && (lf = memchr(p, '\n', (size_t)(end - p))); p = lf + 1) {
			size_t len = (size_t)(lf - p) + 1;

			if (!strstr(op->name, ".jsonl") || !ledger_line_parse(p, len, &line))
				continue;
			assert_true(line.seq < MAX_SEQ);
			assert_int_equal(ledger_hash(p, len, w->hashes[line.seq], NULL), RC_OK);
		}
	}
}

/* Waits until the present segment is at least N. */
static void
wait_segment(struct trace *t, int n)
{
	for (int i = 0; i < 400; i++) {
		char name[40], *path;
		bool there;

		snprintf(name, sizeof name, "%06d.jsonl", n);
		path = file_join(t->world.dir, name);
		there = access(path, F_OK) == 0;
		free(path);
		if (there)
			return;
		usleep(2000);
	}
	fail_msg("no segment %d", n);
}

static void
fill(struct trace *t, int n)
{
	for (int i = 0; i < n; i++) {
		struct err err = ERR_INIT;
		uint64_t seq;

		if (world_append(&t->world, "bob@example.org", &seq, &err))
			fail_msg("append: %s", err.detail);
		note_ack(t, seq);
	}
}

/* A life of four segments, two of which are dropped. */
static void
live(struct trace *t)
{
	struct ledger_retire_order order = {.up_to = 2, .service = "test", .uid = -1, .pid = -1};
	struct ledger_dropped dropped;
	struct err err = ERR_INIT;

	t->world.options.create = true;
	if (world_try_open(&t->world, &err))
		fail_msg("%s", err.detail);
	t->world.options.create = false;
	for (int segment = 2; segment <= 3; segment++) {
		fill(t, 14);
		wait_segment(t, segment);
		note_anchor(t);
	}
	fill(t, 3);
	for (int i = 0; i < 2; i++) {
		if (ledger_retire(t->world.ledger, &order, &dropped, &err))
			fail_msg("retire: %s", err.detail);
		note_ack(t, dropped.record);
		fill(t, 1);
	}
	note_anchor(t);
	world_close(&t->world);
}

/* The first step behind which there is a ledger: init is begun anew when it did not end. */
static size_t
first_checkpoint(const struct trace *t)
{
	size_t writes = 0, i;

	for (i = 0; i < t->n && writes < 2; i++)
		writes += t->ops[i].kind == OP_SYNC;
	return i;
}

static void
test_every_step(void **state)
{
	struct trace *t = calloc(1, sizeof *t);
	struct wanted *w = calloc(1, sizeof *w);
	struct disk empty;
	size_t counts[OP_ANCHOR + 1] = {0};

	(void)state;
	buf_init(&w->anchors, 1 << 20);
	trace_init(t);
	live(t);
	note_hashes(t, w);
	for (size_t i = 0; i < t->n; i++)
		counts[t->ops[i].kind]++;
	assert_true(counts[OP_RENAME] == 2 && counts[OP_UNLINK] == 2 && counts[OP_KEY] >= 3 &&
		    counts[OP_DESTROY] >= 2 && counts[OP_OPEN] >= 5);
	disk_init(&empty);
	try_all_cuts(&empty, t, first_checkpoint(t), w, "life", 1);
	print_message("%zu steps, %zu disks\n", t->n, w->disks);
	disk_fini(&empty);
	buf_fini(&w->anchors);
	free(w);
	trace_fini(t);
	free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_step),
	};

	log_open("ledger_power_test", true);
	log_set_level(LOGL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
