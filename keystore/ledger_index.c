/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_index.h"

#include "base/file.h"
#include "keystore/ledger_terms.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC      "sealgate-index:1"
#define HEAD_SIZE  (16 + 10 * 8 + 64 + 27 + 27 + 10)
#define TERM_SIZE  24
#define SUM_SIZE   32
#define NAME_SIZE  64
#define MAX_RECORD (LEDGER_MAX_LINE + 1)

/* --- numbers --- */

static void
put64(unsigned char *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t
get64(const unsigned char *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

/* FNV-1a, with the bits mixed at the end. */
static uint64_t
term_hash(char kind, const char *text)
{
	uint64_t h = 0xcbf29ce484222325u;

	h = (h ^ (unsigned char)kind) * 0x100000001b3u;
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3u;
	h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

static enum rc
sum(const void *data, size_t len, unsigned char out[SUM_SIZE], struct err *err)
{
	char hex[LEDGER_HASH_SIZE];
	size_t n;
	enum rc rc = ledger_hash(data, len, hex, err);

	if (rc == RC_OK && !ledger_unhex(hex, out, SUM_SIZE, &n))
		rc = RC_TEMP;
	return rc;
}

/* --- the folder --- */

static const char *
file_name(uint64_t segment, char out[NAME_SIZE])
{
	(void)snprintf(out, NAME_SIZE, "%06" PRIu64 ".index", segment % 1000000000);
	return out;
}

/* May we use this folder? A ledger's owner must not lead root into another's. */
static bool
folder_ok(int fd, const char *dir)
{
	struct stat st, ledger;

	if (fstat(fd, &st) || stat(dir, &ledger))
		return false;
	return st.st_uid == geteuid() || st.st_uid == ledger.st_uid || st.st_uid == 0;
}

enum rc
ledger_index_folder(const char *dir, const char *folder, bool make, int *fd, struct err *err)
{
	char *path = folder ? strdup(folder) : file_join(dir, "index");

	*fd = -1;
	if (!path)
		return err_set(err, ERR_MEMORY, "a path");
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0 && errno == ENOENT && make && mkdir(path, 0750) == 0)
		*fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0) {
		err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	} else if (!folder_ok(*fd, dir)) {
		err_set(err, ERR_FILE, "%s: is neither ours nor the ledger's owner's", path);
		close(*fd);
		*fd = -1;
	}
	free(path);
	return *fd < 0 ? RC_NONE : RC_OK;
}

void
ledger_index_drop(int folder, uint64_t first)
{
	int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *entry;

	if (!dir) {
		if (copy >= 0)
			close(copy);
		return;
	}
	while ((entry = readdir(dir))) {
		uint64_t n = strtoull(entry->d_name, NULL, 10);
		char name[NAME_SIZE];

		if (n && n < first && strcmp(file_name(n, name), entry->d_name) == 0)
			(void)unlinkat(folder, name, 0);
	}
	closedir(dir);
}

/* --- reading --- */

void
ledger_index_fini(struct ledger_index *index)
{
	buf_fini(&index->file);
	*index = (struct ledger_index){.file = BUF_INIT(INDEX_MAX_FILE)};
}

/* A time or hash out of the head. */
static void
take_text(char *out, const unsigned char *p, size_t len)
{
	memcpy(out, p, len);
	out[len] = '\0';
}

/* Reads the head; false: the file is not whole. */
static bool
parse(struct ledger_index *index)
{
	const unsigned char *p = (const unsigned char *)index->file.data;
	unsigned char want[SUM_SIZE];
	size_t len = index->file.len, body;

	if (len < HEAD_SIZE + SUM_SIZE || memcmp(p, MAGIC, 16) != 0)
		return false;
	body = len - HEAD_SIZE - SUM_SIZE;
	if (sum(p, len - SUM_SIZE, want, NULL) != RC_OK ||
		memcmp(want, p + len - SUM_SIZE, SUM_SIZE) != 0)
		return false;
	p += 16;
	index->segment = get64(p);
	index->covered = (int64_t)get64(p + 8);
	index->last_line = (int64_t)get64(p + 16);
	index->first = get64(p + 24);
	index->last = get64(p + 32);
	index->n_terms = get64(p + 40);
	index->postings_len = get64(p + 48);
	take_text(index->hash, p + 80, 64);
	take_text(index->from, p + 144, 27);
	take_text(index->to, p + 171, 27);
	return index->n_terms <= body / TERM_SIZE &&
	       index->postings_len == body - index->n_terms * TERM_SIZE && index->last_line >= 0 &&
	       index->covered > index->last_line &&
	       index->covered - index->last_line <= LEDGER_MAX_LINE && strlen(index->from) == 27 &&
	       strlen(index->to) == 27;
}

/* Is the last line covered still where it was? */
static bool
fits(const struct ledger_index *index, const char *dir)
{
	size_t len = (size_t)(index->covered - index->last_line);
	char hash[LEDGER_HASH_SIZE] = "", *line = malloc(len);
	int fd = -1;

	if (line && ledger_segment_open(dir, index->segment, &fd, NULL) == RC_OK &&
		pread(fd, line, len, (off_t)index->last_line) == (ssize_t)len)
		(void)ledger_hash(line, len, hash, NULL);
	if (fd >= 0)
		close(fd);
	free(line);
	return strcmp(hash, index->hash) == 0;
}

enum rc
ledger_index_load(
	int folder, const char *dir, uint64_t segment, struct ledger_index *out, struct err *err)
{
	char name[NAME_SIZE];
	struct stat st;
	int fd;
	enum rc rc = RC_NONE;

	*out = (struct ledger_index){.file = BUF_INIT(INDEX_MAX_FILE)};
	if (folder < 0)
		return RC_NONE;
	fd = openat(folder, file_name(segment, name),
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return RC_NONE;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= INDEX_MAX_FILE) {
		if (st.st_size)
			(void)buf_reserve(&out->file, (size_t)st.st_size, NULL);
		rc = file_read_fd(fd, name, &out->file, err);
		if (rc == RC_OK && (!parse(out) || out->segment != segment || !fits(out, dir)))
			rc = RC_NONE;
	}
	close(fd);
	if (rc)
		ledger_index_fini(out);
	return rc ? RC_NONE : RC_OK;
}

/* --- making --- */

struct entry {
	uint64_t term;
	int64_t place;
};

struct making {
	struct entry *v;
	size_t n, room;
	int64_t place; /* of the present line */
};

static enum rc
add_entry(void *ctx, char kind, const char *text, struct err *err)
{
	struct making *making = ctx;

	if (making->n == making->room) {
		size_t room = making->room ? making->room * 2 : 65536;
		struct entry *grown;

		if (making->n >= INDEX_MAX_ENTRIES + 4096)
			return err_set(err, ERR_LIMIT, "too many terms in a segment");
		grown = realloc(making->v, room * sizeof(*grown));
		if (!grown)
			return err_set(err, ERR_MEMORY, "an index");
		making->v = grown;
		making->room = room;
	}
	making->v[making->n++] = (struct entry){term_hash(kind, text), making->place};
	return RC_OK;
}

static int
by_term(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->term != y->term)
		return x->term < y->term ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static enum rc
put_varint(struct buf *out, uint64_t v, struct err *err)
{
	char bytes[10];
	size_t n = 0;

	do {
		bytes[n++] = (char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
	return buf_append(out, bytes, n, err);
}

/* Terms and postings out of the sorted entries. */
static enum rc
write_terms(const struct making *making, struct buf *terms, struct buf *postings, size_t *count,
	struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < making->n;) {
		unsigned char term[TERM_SIZE] = {0};
		uint64_t hash = making->v[i].term, places = 0;
		int64_t before = -1;

		put64(term, hash);
		put64(term + 16, postings->len);
		for (; rc == RC_OK && i < making->n && making->v[i].term == hash; i++) {
			int64_t place = making->v[i].place;

			if (place == before)
				continue;
			rc = put_varint(
				postings, (uint64_t)(place - (before < 0 ? 0 : before)), err);
			before = place;
			places++;
		}
		put64(term + 8, places);
		if (rc == RC_OK)
			rc = buf_append(terms, term, sizeof(term), err);
		++*count;
	}
	return rc;
}

static enum rc
write_file(struct ledger_index *index, struct making *making, struct err *err)
{
	struct buf terms = BUF_INIT(INDEX_MAX_FILE), postings = BUF_INIT(INDEX_MAX_FILE);
	unsigned char head[HEAD_SIZE] = {0}, digest[SUM_SIZE];
	enum rc rc;

	if (making->n)
		qsort(making->v, making->n, sizeof(*making->v), by_term);
	rc = write_terms(making, &terms, &postings, &index->n_terms, err);
	index->postings_len = postings.len;
	memcpy(head, MAGIC, 16);
	put64(head + 16, index->segment);
	put64(head + 24, (uint64_t)index->covered);
	put64(head + 32, (uint64_t)index->last_line);
	put64(head + 40, index->first);
	put64(head + 48, index->last);
	put64(head + 56, index->n_terms);
	put64(head + 64, index->postings_len);
	memcpy(head + 96, index->hash, 64);
	memcpy(head + 160, index->from, 27);
	memcpy(head + 187, index->to, 27);
	if (rc == RC_OK)
		rc = buf_append(&index->file, head, sizeof(head), err);
	if (rc == RC_OK)
		rc = buf_append(&index->file, terms.data, terms.len, err);
	if (rc == RC_OK)
		rc = buf_append(&index->file, postings.data, postings.len, err);
	if (rc == RC_OK)
		rc = sum(index->file.data, index->file.len, digest, err);
	if (rc == RC_OK)
		rc = buf_append(&index->file, digest, sizeof(digest), err);
	buf_fini(&terms);
	buf_fini(&postings);
	return rc;
}

/* One line of the segment. */
static enum rc
add_line(struct ledger_index *index, struct making *making, const struct ledger_line *prefix,
	const char *line, size_t len, struct err *err)
{
	struct json_value *record = NULL;
	enum rc rc = json_parse(line, len, &record, err);

	if (rc == RC_OK)
		rc = ledger_terms(prefix, record, add_entry, making, err);
	json_free(&record);
	if (rc)
		return rc;
	if (!index->first)
		index->first = prefix->seq;
	index->last = prefix->seq;
	if (!*index->from || memcmp(prefix->time, index->from, 27) < 0)
		take_text(index->from, (const unsigned char *)prefix->time, 27);
	if (memcmp(prefix->time, index->to, 27) > 0)
		take_text(index->to, (const unsigned char *)prefix->time, 27);
	index->last_line = making->place;
	index->covered = making->place + (int64_t)len;
	return RC_OK;
}

/* Reads the segment up to its last whole line. */
static enum rc
read_lines(struct ledger_reader *reader, struct ledger_index *index, struct making *making,
	struct err *err)
{
	char *last = malloc(MAX_RECORD);
	const char *line;
	size_t len, last_len = 0;
	enum rc rc = last ? RC_OK : err_set(err, ERR_MEMORY, "an index");

	while (rc == RC_OK && (rc = ledger_reader_next(reader, &line, &len, err)) == RC_OK) {
		struct ledger_line prefix;

		if (making->n > INDEX_MAX_ENTRIES || !len || line[len - 1] != '\n')
			break;
		if (len > LEDGER_MAX_LINE || !ledger_line_parse(line, len, &prefix)) {
			rc = err_set(err, ERR_LEDGER_BROKEN,
				"segment %06" PRIu64 " line %" PRIu64 " is no record",
				index->segment, ledger_reader_line(reader));
			break;
		}
		making->place = ledger_reader_offset(reader);
		rc = add_line(index, making, &prefix, line, len, err);
		memcpy(last, line, len);
		last_len = len;
	}
	if (rc == RC_NONE || rc == RC_OK)
		rc = last_len ? ledger_hash(last, last_len, index->hash, err) : RC_NONE;
	free(last);
	return rc;
}

enum rc
ledger_index_build(const char *dir, uint64_t segment, struct ledger_index *out, struct err *err)
{
	struct making making = {.v = NULL};
	struct ledger_reader *reader = NULL;
	enum rc rc;

	*out = (struct ledger_index){.segment = segment, .file = BUF_INIT(INDEX_MAX_FILE)};
	rc = ledger_reader_open_one(dir, segment, &reader, err);
	if (rc)
		return rc;
	rc = read_lines(reader, out, &making, err);
	ledger_reader_close(&reader);
	if (rc == RC_OK)
		rc = write_file(out, &making, err);
	free(making.v);
	if (rc)
		ledger_index_fini(out);
	return rc;
}

enum rc
ledger_index_save(int folder, const struct ledger_index *index, struct err *err)
{
	char name[NAME_SIZE], temp[NAME_SIZE];
	enum rc rc;
	int fd;

	file_name(index->segment, name);
	(void)snprintf(
		temp, sizeof(temp), ".%06" PRIu64 ".index.%ld", index->segment, (long)getpid());
	fd = openat(folder, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_set(err, ERR_FILE, "%s: %s", name, strerror(errno));
	rc = file_write_all(fd, index->file.data, index->file.len, err);
	if (close(fd) && rc == RC_OK)
		rc = err_set(err, ERR_FILE, "%s: %s", name, strerror(errno));
	if (rc == RC_OK && renameat(folder, temp, folder, name))
		rc = err_set(err, ERR_FILE, "%s: %s", name, strerror(errno));
	if (rc)
		(void)unlinkat(folder, temp, 0);
	return rc;
}

/* --- finding --- */

static enum rc
add_place(struct ledger_places *places, int64_t place, struct err *err)
{
	if (places->n == places->room) {
		size_t room = places->room ? places->room * 2 : 256;
		int64_t *grown = realloc(places->v, room * sizeof(*grown));

		if (!grown)
			return err_set(err, ERR_MEMORY, "places");
		places->v = grown;
		places->room = room;
	}
	places->v[places->n++] = place;
	return RC_OK;
}

/* The term's entry in the sorted list; NULL: none. */
static const unsigned char *
find_term(const struct ledger_index *index, uint64_t hash)
{
	const unsigned char *terms = (const unsigned char *)index->file.data + HEAD_SIZE;
	size_t low = 0, high = index->n_terms;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint64_t at = get64(terms + middle * TERM_SIZE);

		if (at == hash)
			return terms + middle * TERM_SIZE;
		if (at < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

enum rc
ledger_index_find(const struct ledger_index *index, char kind, const char *text,
	struct ledger_places *places, struct err *err)
{
	const unsigned char *term = find_term(index, term_hash(kind, text)), *p, *end;
	uint64_t count, place = 0, at;
	enum rc rc = RC_OK;

	if (!term)
		return RC_OK;
	count = get64(term + 8);
	at = get64(term + 16);
	p = (const unsigned char *)index->file.data + HEAD_SIZE + index->n_terms * TERM_SIZE;
	end = p + index->postings_len;
	p += at < index->postings_len ? at : index->postings_len;
	for (; rc == RC_OK && count; count--) {
		uint64_t step = 0;
		unsigned shift = 0;

		while (p < end && shift < 63 && (*p & 0x80)) {
			step |= (uint64_t)(*p++ & 0x7f) << shift;
			shift += 7;
		}
		if (p == end || shift >= 63)
			break;
		step |= (uint64_t)*p++ << shift;
		place += step;
		if (place >= (uint64_t)index->covered)
			break;
		rc = add_place(places, (int64_t)place, err);
	}
	return rc;
}
