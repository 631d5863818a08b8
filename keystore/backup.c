/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/tar.h"
#include "keystore/store_root.h"

#define FILES_MAX 20000
#define TRIES     3
#define CHUNK     (256u << 10)

/* One file of the archive: bytes in memory, or SIZE bytes of a file on the disk, or what is fed. */
struct entry {
	char *name;
	bool fed;
	struct secret *data;
	char *path; /* NULL: FD, or DATA */
	int fd;
	uint64_t size;
};

struct backup {
	struct entry *entries;
	size_t n, room;
	uint64_t total;
	struct ledger_head head;
	struct cms_envelope *envelope;
	struct buf out; /* of the envelope, not yet taken */
	size_t at;      /* the present entry … */
	uint64_t done;  /* … and how much of it was read */
	bool begun;     /* its header was written */
	struct buf food;
	size_t eaten;
	unsigned char chunk[CHUNK];
};

static enum rc
add_entry(struct backup *b, const char *name, struct entry **out, struct err *err)
{
	struct entry *grown, *e;

	if (b->n == FILES_MAX)
		return err_set(err, ERR_LIMIT, "backup: too many files");
	if (b->n == b->room) {
		b->room = b->room ? 2 * b->room : 64;
		grown = realloc(b->entries, b->room * sizeof(*grown));
		if (!grown)
			return err_set(err, ERR_MEMORY, "backup");
		b->entries = grown;
	}
	e = &b->entries[b->n];
	*e = (struct entry){.fd = -1, .name = strdup(name)};
	if (!e->name)
		return err_set(err, ERR_MEMORY, "backup");
	b->n++;
	*out = e;
	return RC_OK;
}

static enum rc
add_bytes(struct backup *b, const char *name, const void *data, size_t len, struct err *err)
{
	struct entry *e;
	enum rc rc = add_entry(b, name, &e, err);

	if (!rc)
		rc = secret_copy(data, len, &e->data, err);
	if (!rc)
		e->size = len;
	return rc;
}

/* --- the store --- */

/* The snapshot has no name from the beginning on, as far as SQLite lets us. */
static enum rc
add_store(struct backup *b, struct vault *vault, const char *store_path, int *fd, struct err *err)
{
	struct buf path = BUF_INIT(4096);
	enum rc rc = buf_appendf(&path, err, "%s.backup", store_path);

	(void)b;
	*fd = -1;
	store_clean(store_path);
	if (!rc)
		rc = store_snapshot(vault_store(vault), path.data, err);
	if (!rc) {
		*fd = open(path.data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (*fd < 0)
			rc = err_set(err, ERR_KEYSTORE, "%s: %s", path.data, strerror(errno));
		(void)unlink(path.data);
	}
	buf_fini(&path);
	return rc;
}

static enum rc
add_root(struct backup *b, struct vault *vault, struct err *err)
{
	struct buf hex = {.max = 2 * MASTER_SIZE + 1, .wipe = true};
	struct secret *root = NULL;
	enum rc rc = store_get_root(vault_store(vault), &root, err);

	if (!rc)
		rc = buf_append_hex(&hex, secret_data(root), secret_len(root), err);
	if (!rc)
		rc = buf_append_char(&hex, '\n', err);
	if (!rc)
		rc = add_bytes(b, "store.key", hex.data, hex.len, err);
	secret_free(&root);
	buf_fini(&hex);
	return rc;
}

/* --- the ledger --- */

/* Where the line of record SEQ ends in the file; 0: it is not in there. */
static enum rc
find_end(const char *path, uint64_t seq, uint64_t *end, struct err *err)
{
	char start[64];
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t room = 0, want;
	uint64_t at = 0;
	ssize_t n;

	*end = 0;
	if (!f)
		return err_set(err, ERR_LEDGER, "%s: %s", path, strerror(errno));
	want = (size_t)snprintf(start, sizeof(start), "{\"v\":1,\"seq\":%" PRIu64 ",", seq);
	while (!*end && (n = getline(&line, &room, f)) > 0) {
		at += (uint64_t)n;
		if (line[n - 1] == '\n' && (size_t)n > want && memcmp(line, start, want) == 0)
			*end = at;
	}
	free(line);
	fclose(f);
	return RC_OK;
}

/* A segment, or the remains of a crash. */
static enum rc
add_ledger_file(
	struct backup *b, const char *dir, const char *name, uint64_t limit, struct err *err)
{
	char *path = file_join(dir, name), entry_name[300];
	struct entry *e;
	struct stat st;
	enum rc rc = path ? RC_OK : err_set(err, ERR_MEMORY, "backup");

	snprintf(entry_name, sizeof(entry_name), "ledger/%.255s", name);
	if (!rc && (stat(path, &st) || !S_ISREG(st.st_mode)))
		rc = err_set(err, ERR_LEDGER, "%s: %s", path, strerror(errno));
	if (!rc)
		rc = add_entry(b, entry_name, &e, err);
	if (!rc) {
		e->path = path;
		path = NULL; /* the entry's now */
		e->size = limit ? limit : (uint64_t)st.st_size;
	}
	free(path);
	return rc;
}

/* The segment that record SEQ ends in, looked for from the last one back. */
static enum rc
find_last(const char *dir, char *const *names, size_t *n, uint64_t seq, uint64_t *end,
	struct err *err)
{
	enum rc rc = RC_OK;

	for (*end = 0; !rc && *n > 0; --*n) {
		char *path;

		if (names[*n - 1][0] == 't') /* torn-… */
			continue;
		path = file_join(dir, names[*n - 1]);
		rc = path ? find_end(path, seq, end, err) : err_set(err, ERR_MEMORY, "backup");
		free(path);
		if (*end)
			break;
	}
	return rc || *end ? rc : err_set(err, ERR_LEDGER, "the ledger has no record %" PRIu64, seq);
}

static enum rc
add_ledger(struct backup *b, const char *dir, struct err *err)
{
	char **names = NULL;
	size_t all = 0, n;
	uint64_t end;
	enum rc rc = file_list(dir, FILES_MAX, &names, &all, err);

	n = all;
	/* The checkpoint is the record behind the last one that it covers. */
	if (!rc)
		rc = find_last(dir, names, &n, b->head.last_checkpoint + 1, &end, err);
	for (size_t i = 0; !rc && i < all; i++)
		if (i < n || names[i][0] == 't')
			rc = add_ledger_file(b, dir, names[i], i + 1 == n ? end : 0, err);
	file_list_free(&names, all);
	return rc == RC_NONE ? err_set(err, ERR_LEDGER, "%s: no ledger", dir) : rc;
}

/* --- all together --- */

/* Store and ledger that fit: the store first, so that the ledger knows all that is in it, and no
 * handover to another epoch key in between, for the store would not have that key. */
static enum rc
take_state(struct backup *b, struct vault *vault, const char *store_path, int *fd, struct err *err)
{
	struct ledger *ledger = vault_ledger(vault);
	struct ledger_head before;
	enum rc rc = RC_OK;

	for (int i = 0; !rc && i < TRIES; i++) {
		ledger_head(ledger, &before);
		rc = add_store(b, vault, store_path, fd, err);
		if (!rc)
			rc = ledger_checkpoint(ledger, err);
		ledger_head(ledger, &b->head);
		if (!rc && before.epoch == b->head.epoch)
			return RC_OK;
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
	return rc ? rc : err_set(err, ERR_LEDGER, "the ledger's key goes on changing: try again");
}

static enum rc
add_manifest(struct backup *b, const char *node, struct err *err)
{
	struct buf text = BUF_INIT(4096);
	struct json json;
	enum rc rc;

	json_init(&json, &text);
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	json_str(&json, "format", "sealgate-backup:1");
	json_time(&json, "time", clock_now());
	json_str(&json, "node", node);
	json_int(&json, "seq", (int64_t)b->head.last_checkpoint);
	json_object_end(&json);
	rc = json_end(&json, err);
	if (!rc)
		rc = buf_append_char(&text, '\n', err);
	if (!rc)
		rc = add_bytes(b, "backup.json", text.data, text.len, err);
	buf_fini(&text);
	return rc;
}

static enum rc
add_all(struct backup *b, struct vault *vault, const struct settings *settings,
	const struct backup_options *options, struct err *err)
{
	const struct conf_group *ledger = conf_section(settings->conf, "ledger");
	struct entry *e;
	struct stat st;
	char name[300];
	int fd = -1;
	enum rc rc = take_state(
		b, vault, conf_str(conf_section(settings->conf, "vault"), "store"), &fd, err);

	if (!rc)
		rc = add_manifest(b, conf_str(ledger, "node"), err);
	if (!rc)
		rc = add_root(b, vault, err);
	for (size_t i = 0; !rc && i < options->n_files; i++) {
		snprintf(name, sizeof(name), "conf/%.250s", options->files[i].name);
		rc = add_bytes(b, name, options->files[i].data, options->files[i].len, err);
	}
	if (!rc)
		rc = add_ledger(b, conf_str(ledger, "dir"), err);
	if (!rc && options->certs)
		rc = add_entry(b, "certs.db", &e, err);
	if (!rc && options->certs) {
		e->fed = true;
		e->size = options->certs;
	}
	if (!rc && fstat(fd, &st))
		rc = err_set(err, ERR_KEYSTORE, "the copy of the store: %s", strerror(errno));
	if (!rc)
		rc = add_entry(b, "vault.db", &e, err);
	if (!rc) {
		e->fd = fd;
		e->size = (uint64_t)st.st_size;
	} else if (fd >= 0) {
		close(fd);
	}
	return rc;
}

enum rc
backup_begin(struct vault *vault, const struct backup_options *options, struct backup **out,
	struct err *err)
{
	const struct cms_envelope_options envelope = {
		.cipher = CIPHER_AES256_GCM, .kek = options->kek};
	struct settings *settings = vault_settings(vault);
	struct backup *b = calloc(1, sizeof(*b));
	struct sink to;
	enum rc rc = b ? RC_OK : err_set(err, ERR_MEMORY, "backup");

	*out = NULL;
	if (!rc) {
		buf_init(&b->out, 8 * BACKUP_PIECE);
		buf_init(&b->food, 8 * BACKUP_PIECE);
		to = sink_to_buf(&b->out);
		rc = add_all(b, vault, settings, options, err);
		b->total = TAR_END;
		for (size_t i = 0; i < b->n; i++)
			b->total += tar_size(b->entries[i].size);
	}
	if (!rc)
		rc = cms_envelope_new(
			options->recipients, &envelope, b->total, &to, &b->envelope, err);
	settings_unref(&settings);
	if (rc)
		backup_free(&b);
	*out = b;
	return rc;
}

/* The next bytes of the present entry into CHUNK. */
static enum rc
read_entry(struct backup *b, struct entry *e, size_t *len, struct err *err)
{
	uint64_t left = e->size - b->done;
	ssize_t n;

	*len = left < CHUNK ? (size_t)left : CHUNK;
	if (e->fed) { /* step is not called while there is nothing */
		*len = *len < b->food.len - b->eaten ? *len : b->food.len - b->eaten;
		memcpy(b->chunk, b->food.data + b->eaten, *len);
		b->eaten += *len;
		return RC_OK;
	}
	if (e->data) {
		memcpy(b->chunk, secret_data(e->data) + b->done, *len);
		return RC_OK;
	}
	if (e->fd < 0)
		e->fd = open(e->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	n = e->fd < 0 ? -1 : pread(e->fd, b->chunk, *len, (off_t)b->done);
	if (n <= 0)
		return err_set(err, ERR_FILE, "backup: %s: %s", e->name,
			n < 0 ? strerror(errno) : "it became shorter");
	*len = (size_t)n;
	return RC_OK;
}

/* One step: a header, a piece, or zeros; then the next entry's turn. */
static enum rc
step(struct backup *b, const struct sink *sink, struct err *err)
{
	static const unsigned char zeros[TAR_END];
	struct entry *e = &b->entries[b->at];
	struct buf header = BUF_INIT(TAR_BLOCK);
	size_t len;
	enum rc rc;

	if (!b->begun) {
		b->begun = true;
		rc = tar_header(&header, e->name, e->size, clock_now(), err);
		if (!rc)
			rc = sink_feed(sink, header.data, header.len, err);
		buf_fini(&header);
		return rc;
	}
	if (b->done < e->size) {
		rc = read_entry(b, e, &len, err);
		if (!rc)
			rc = sink_feed(sink, b->chunk, len, err);
		b->done += len;
		secret_wipe(b->chunk, len);
		return rc;
	}
	rc = sink_feed(sink, zeros, tar_padding(e->size), err);
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
	b->begun = false;
	b->done = 0;
	b->at++;
	if (!rc && b->at == b->n) {
		rc = sink_feed(sink, zeros, TAR_END, err);
		if (!rc)
			rc = sink_finish(sink, err);
	}
	return rc;
}

uint64_t
backup_wants(const struct backup *b)
{
	const struct entry *e = b->at < b->n ? &b->entries[b->at] : NULL;

	return e && e->fed && b->begun && b->eaten == b->food.len ? e->size - b->done : 0;
}

enum rc
backup_feed(struct backup *b, const void *data, size_t len, struct err *err)
{
	if (len > backup_wants(b))
		return err_set(err, ERR_USAGE, "backup: %zu bytes that nobody wants", len);
	buf_clear(&b->food);
	b->eaten = 0;
	return buf_append(&b->food, data, len, err);
}

enum rc
backup_next(struct backup *b, struct buf *out, bool *done, struct err *err)
{
	struct sink sink = cms_envelope_sink(b->envelope);
	enum rc rc = RC_OK;

	while (!rc && b->at < b->n && b->out.len < BACKUP_PIECE && !backup_wants(b))
		rc = step(b, &sink, err);
	*done = b->at == b->n;
	if (!rc)
		rc = buf_append(out, b->out.data, b->out.len, err);
	buf_clear(&b->out);
	return rc;
}

uint64_t
backup_seq(const struct backup *backup)
{
	return backup->head.last_checkpoint;
}

uint64_t
backup_size(const struct backup *backup)
{
	return backup->total;
}

void
backup_free(struct backup **backup)
{
	struct backup *b = *backup;

	*backup = NULL;
	if (!b)
		return;
	for (size_t i = 0; i < b->n; i++) {
		free(b->entries[i].name);
		free(b->entries[i].path);
		secret_free(&b->entries[i].data);
		if (b->entries[i].fd >= 0)
			close(b->entries[i].fd);
	}
	free(b->entries);
	cms_envelope_free(&b->envelope);
	buf_fini(&b->out);
	buf_fini(&b->food);
	free(b);
}
