/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/spool.h"

#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

/*
 * A spool has three places, in the order of its bytes: MEMORY holds the first ones and never
 * moves them out; the FILE holds what was written in whole pieces behind them; the TAIL, at most
 * PIECE bytes, gathers the next piece of the file. A byte of the file at file offset o is
 * encrypted with byte o of the key stream, and no offset is ever written twice with
 * other content: after a failed write the spool stays failed.
 */
#define KEY_BYTES 32
#define PIECE     SINK_CHUNK
#define FIRST_CAP 4096

struct spool {
	struct spool_conf conf;
	uint64_t expected;   /* bytes in all, as far as that was said */
	char *memory;        /* the first bytes */
	size_t memory_len;   /* bytes in use */
	size_t memory_cap;   /* bytes allocated */
	int fd;              /* -1: no file yet */
	uint64_t file_len;   /* bytes in the file */
	unsigned char *tail; /* plain bytes behind those of the file; PIECE bytes, with the file */
	size_t tail_len;     /* bytes in use */
	unsigned char *scratch; /* PIECE bytes for encryption, with the file */
	EVP_CIPHER_CTX *cipher; /* has the key, with the file */
	bool failed;            /* a write failed: nothing more is taken */
};

enum rc
spool_new(const struct spool_conf *conf, struct spool **out, struct err *err)
{
	struct spool *spool;

	*out = NULL;
	spool = calloc(1, sizeof(*spool));
	if (!spool)
		return err_set(err, ERR_MEMORY, "spool");
	spool->conf = *conf;
	spool->fd = -1;
	*out = spool;
	return RC_OK;
}

void
spool_free(struct spool **spool)
{
	struct spool *s = *spool;

	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	EVP_CIPHER_CTX_free(s->cipher);
	free(s->memory);
	free(s->tail);
	free(s->scratch);
	free(s);
	*spool = NULL;
}

void
spool_expect(struct spool *spool, uint64_t size)
{
	spool->expected = size;
}

const struct spool_conf *
spool_conf(const struct spool *spool)
{
	return &spool->conf;
}

uint64_t
spool_size(const struct spool *spool)
{
	return spool->memory_len + spool->file_len + spool->tail_len;
}

/* Opens a file without a name; where the file system can't do that, one whose name goes at once. */
static enum rc
open_file(struct spool *spool, struct err *err)
{
	char path[4096];
	int n;

	spool->fd = open(spool->conf.dir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (spool->fd >= 0)
		return RC_OK;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT)
		return err_set(err, ERR_SPOOL, "%s: %s", spool->conf.dir, strerror(errno));
	n = snprintf(path, sizeof(path), "%s/spool.XXXXXX", spool->conf.dir);
	if (n < 0 || (size_t)n >= sizeof(path))
		return err_set(err, ERR_SPOOL, "%.200s: name too long", spool->conf.dir);
	spool->fd = mkostemp(path, O_CLOEXEC);
	if (spool->fd < 0)
		return err_set(err, ERR_SPOOL, "%s: %s", spool->conf.dir, strerror(errno));
	if (unlink(path) != 0)
		return err_set(err, ERR_SPOOL, "unlink %.200s: %s", path, strerror(errno));
	return RC_OK;
}

/* Makes the cipher context with a fresh random key, which is then nowhere else. */
static enum rc
make_cipher(struct spool *spool, struct err *err)
{
	static const unsigned char zero[16];
	struct secret *key = NULL;
	enum rc rc = secret_random(KEY_BYTES, &key, err);

	if (rc != RC_OK)
		return rc;
	spool->cipher = EVP_CIPHER_CTX_new();
	if (!spool->cipher || EVP_EncryptInit_ex(spool->cipher, EVP_aes_256_ctr(), NULL,
				      secret_data(key), zero) != 1)
		rc = err_set(err, ERR_SPOOL, "AES-256-CTR is not available");
	secret_free(&key);
	return rc;
}

/* Everything that is needed once memory is full. */
static enum rc
begin_file(struct spool *spool, struct err *err)
{
	enum rc rc;

	spool->tail = malloc(PIECE);
	spool->scratch = malloc(PIECE);
	if (!spool->tail || !spool->scratch)
		return err_set(err, ERR_MEMORY, "spool");
	rc = make_cipher(spool, err);
	return rc == RC_OK ? open_file(spool, err) : rc;
}

/* En- or decrypts LEN (at most INT_MAX) bytes that belong at file offset OFFSET. */
static enum rc
crypt_at(struct spool *spool, uint64_t offset, const void *in, void *out, size_t len,
	struct err *err)
{
	unsigned char iv[16] = {0}, skip[16] = {0};
	uint64_t block = offset / 16;
	int rest = (int)(offset % 16), n;

	for (int i = 0; i < 8; i++)
		iv[15 - i] = (unsigned char)(block >> (8 * i));
	if (EVP_EncryptInit_ex(spool->cipher, NULL, NULL, NULL, iv) != 1 ||
		(rest && EVP_EncryptUpdate(spool->cipher, skip, &n, skip, rest) != 1) ||
		EVP_EncryptUpdate(spool->cipher, out, &n, in, (int)len) != 1 || n != (int)len)
		return err_set(err, ERR_SPOOL, "AES-256-CTR failed");
	return RC_OK;
}

/* Writes the tail behind the file. */
static enum rc
flush_tail(struct spool *spool, struct err *err)
{
	size_t done = 0;
	enum rc rc =
		crypt_at(spool, spool->file_len, spool->tail, spool->scratch, spool->tail_len, err);

	if (rc != RC_OK)
		return rc;
	while (done < spool->tail_len) {
		ssize_t n = pwrite(spool->fd, spool->scratch + done, spool->tail_len - done,
			(off_t)(spool->file_len + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(err, ERR_SPOOL, "write: %s", strerror(n ? errno : ENOSPC));
		done += (size_t)n;
	}
	spool->file_len += spool->tail_len;
	spool->tail_len = 0;
	return RC_OK;
}

/* Appends what fits to the part in memory; *used tells how much that was. */
static enum rc
append_memory(struct spool *spool, const void *data, size_t len, size_t *used, struct err *err)
{
	size_t limit = spool->conf.dir ? spool->conf.memory : SIZE_MAX / 4, cap = spool->memory_cap;
	char *p;

	*used = 0;
	if (spool->fd >= 0 || spool->memory_len >= limit)
		return RC_OK;
	if (len > limit - spool->memory_len)
		len = limit - spool->memory_len;
	if (cap == 0 && spool->expected < limit)
		cap = (size_t)spool->expected;
	while (cap < spool->memory_len + len)
		cap = cap < FIRST_CAP ? FIRST_CAP : cap * 2;
	if (cap > limit)
		cap = limit;
	if (cap > spool->memory_cap) {
		p = realloc(spool->memory, cap);
		if (!p)
			return err_set(err, ERR_MEMORY, "spool of %zu bytes", cap);
		spool->memory = p;
		spool->memory_cap = cap;
	}
	memcpy(spool->memory + spool->memory_len, data, len);
	spool->memory_len += len;
	*used = len;
	return RC_OK;
}

/* Appends to the tail and writes it when it is full. */
static enum rc
append_file(struct spool *spool, const char *data, size_t len, struct err *err)
{
	enum rc rc = spool->fd < 0 ? begin_file(spool, err) : RC_OK;

	while (rc == RC_OK && len > 0) {
		size_t n = PIECE - spool->tail_len;

		if (n > len)
			n = len;
		memcpy(spool->tail + spool->tail_len, data, n);
		spool->tail_len += n;
		data += n;
		len -= n;
		if (spool->tail_len == PIECE)
			rc = flush_tail(spool, err);
	}
	return rc;
}

enum rc
spool_append(struct spool *spool, const void *data, size_t len, struct err *err)
{
	size_t used;
	enum rc rc;

	if (spool->failed)
		return err_set(err, ERR_SPOOL, "an earlier write failed");
	if (len == 0)
		return RC_OK;
	if (spool->conf.max && len > spool->conf.max - spool_size(spool))
		return err_set(err, ERR_MSG_TOO_BIG, "more than %llu bytes",
			(unsigned long long)spool->conf.max);
	rc = append_memory(spool, data, len, &used, err);
	if (rc == RC_OK && used < len)
		rc = append_file(spool, (const char *)data + used, len - used, err);
	if (rc != RC_OK)
		spool->failed = true;
	return rc;
}

/* Reads LEN (at most INT_MAX) bytes of the file at file offset OFFSET. */
static enum rc
read_file(struct spool *spool, uint64_t offset, char *out, size_t len, struct err *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(spool->fd, out + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(
				err, ERR_SPOOL, "read: %s", n ? strerror(errno) : "file is cut");
		done += (size_t)n;
	}
	return crypt_at(spool, offset, out, out, len, err);
}

/* The bytes of [FROM, FROM+LEN) that lie before END, at most INT_MAX / 2; 0 when there are none. */
static size_t
run_before(uint64_t from, size_t len, uint64_t end)
{
	uint64_t run = from < end ? end - from : 0;

	if (run > len)
		run = len;
	return run > 1 << 30 ? 1 << 30 : (size_t)run;
}

enum rc
spool_read(struct spool *spool, uint64_t offset, void *out, size_t len, struct err *err)
{
	uint64_t file_end = spool->memory_len + spool->file_len;
	char *to = out;
	size_t n;

	if (offset > spool_size(spool) || len > spool_size(spool) - offset)
		return err_set(err, ERR_INTERNAL, "read past the end of a spool");
	n = run_before(offset, len, spool->memory_len);
	if (n)
		memcpy(to, spool->memory + offset, n);
	while (n < len && offset + n < file_end) {
		size_t run = run_before(offset + n, len - n, file_end);
		enum rc rc = read_file(spool, offset + n - spool->memory_len, to + n, run, err);

		if (rc != RC_OK)
			return rc;
		n += run;
	}
	if (n < len)
		memcpy(to + n, spool->tail + (offset + n - file_end), len - n);
	return RC_OK;
}

const char *
spool_peek(const struct spool *spool, uint64_t offset, uint64_t len)
{
	if (offset > spool->memory_len || len > spool->memory_len - offset)
		return NULL;
	return spool->memory ? spool->memory + offset : NULL;
}

/* The part of a spool that is in memory goes to the sink without a copy. */
static enum rc
send_memory(struct spool *spool, uint64_t offset, uint64_t len, const struct sink *sink,
	struct err *err)
{
	return sink_feed(sink, spool->memory + offset, (size_t)len, err);
}

enum rc
spool_send(struct spool *spool, uint64_t offset, uint64_t len, const struct sink *sink,
	struct err *err)
{
	uint64_t end = offset + len;
	enum rc rc = RC_OK;
	char *piece;

	if (end < offset || end > spool_size(spool))
		return err_set(err, ERR_INTERNAL, "read past the end of a spool");
	if (offset < spool->memory_len && offset < end) {
		uint64_t n = end < spool->memory_len ? len : spool->memory_len - offset;

		rc = send_memory(spool, offset, n, sink, err);
		offset += n;
	}
	if (rc != RC_OK || offset == end)
		return rc;
	piece = malloc(PIECE);
	if (!piece)
		return err_set(err, ERR_MEMORY, "spool");
	while (rc == RC_OK && offset < end) {
		size_t n = end - offset < PIECE ? (size_t)(end - offset) : PIECE;

		rc = spool_read(spool, offset, piece, n, err);
		if (rc == RC_OK)
			rc = sink_feed(sink, piece, n, err);
		offset += n;
	}
	free(piece);
	return rc;
}

/* A sink's feed. */
static enum rc
feed_spool(void *ctx, const void *data, size_t len, struct err *err)
{
	return spool_append(ctx, data, len, err);
}

struct sink
spool_sink(struct spool *spool)
{
	return (struct sink){.feed = feed_spool, .ctx = spool};
}
