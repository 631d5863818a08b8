/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fields of a header, by offset. */
enum {
	NAME_AT = 0,
	NAME_SIZE = 100,
	MODE_AT = 100,
	UID_AT = 108,
	GID_AT = 116,
	SIZE_AT = 124,
	MTIME_AT = 136,
	SUM_AT = 148,
	TYPE_AT = 156,
	MAGIC_AT = 257,
	PREFIX_AT = 345,
	PREFIX_SIZE = 155
};

#define SIZE_MAX_FILE (1ull << 36)

static bool
name_ok(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > TAR_NAME_MAX || name[0] == '/' || name[len - 1] == '/')
		return false;
	for (const char *part = name; part; part = strchr(part, '/')) {
		size_t n;

		part += *part == '/';
		n = strcspn(part, "/");
		if (n == 0 || (n == 1 && part[0] == '.') ||
			(n == 2 && part[0] == '.' && part[1] == '.'))
			return false;
	}
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == '\\')
			return false;
	return true;
}

size_t
tar_padding(uint64_t size)
{
	return (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

uint64_t
tar_size(uint64_t size)
{
	return TAR_BLOCK + size + tar_padding(size);
}

/* NAME as name, or as prefix and name. */
static bool
put_name(unsigned char *block, const char *name)
{
	size_t len = strlen(name);

	if (len <= NAME_SIZE) {
		memcpy(block + NAME_AT, name, len);
		return true;
	}
	for (size_t i = len - 1; i > 0; i--)
		if (name[i] == '/' && len - i - 1 <= NAME_SIZE && i <= PREFIX_SIZE) {
			memcpy(block + PREFIX_AT, name, i);
			memcpy(block + NAME_AT, name + i + 1, len - i - 1);
			return true;
		}
	return false;
}

static unsigned
checksum(const unsigned char *block)
{
	unsigned sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= SUM_AT && i < SUM_AT + 8 ? ' ' : block[i];
	return sum;
}

enum rc
tar_header(struct buf *out, const char *name, uint64_t size, int64_t mtime, struct err *err)
{
	unsigned char block[TAR_BLOCK] = {0};
	char text[16];

	if (!name_ok(name) || size > SIZE_MAX_FILE || !put_name(block, name))
		return err_set(err, ERR_LIMIT, "\"%.255s\" does not go into an archive", name);
	memcpy(block + MODE_AT, "0000600", 8);
	memcpy(block + UID_AT, "0000000", 8);
	memcpy(block + GID_AT, "0000000", 8);
	if (size < 1ull << 33) {
		snprintf(text, sizeof(text), "%011llo", (unsigned long long)size);
		memcpy(block + SIZE_AT, text, 12);
	} else { /* as a number of 95 bits, as GNU and POSIX pax programs read it */
		block[SIZE_AT] = 0x80;
		for (int i = 0; i < 8; i++)
			block[SIZE_AT + 11 - i] = size >> 8 * i & 0xff;
	}
	snprintf(text, sizeof(text), "%011llo", (unsigned long long)(mtime < 0 ? 0 : mtime));
	memcpy(block + MTIME_AT, text, 12);
	block[TYPE_AT] = '0';
	memcpy(block + MAGIC_AT, "ustar\00000", 8);
	snprintf(text, sizeof(text), "%06o", checksum(block) & 0777777);
	memcpy(block + SUM_AT, text, 7);
	block[SUM_AT + 7] = ' ';
	return buf_append(out, block, sizeof(block), err);
}

/* --- reading --- */

struct tar_reader {
	struct tar_reader_calls calls;
	unsigned char block[TAR_BLOCK];
	size_t have;   /* bytes of BLOCK */
	uint64_t left; /* of the open file */
	size_t skip;   /* zeros behind it */
	bool open;
	bool end; /* a block of zeros was seen */
	unsigned files;
};

enum rc
tar_reader_new(const struct tar_reader_calls *calls, struct tar_reader **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "archive");
	(*out)->calls = *calls;
	return RC_OK;
}

void
tar_reader_free(struct tar_reader **reader)
{
	free(*reader);
	*reader = NULL;
}

static enum rc
bad(struct err *err, const char *what)
{
	return err_set(err, ERR_MSG_MALFORMED, "archive: %s", what);
}

/* An octal number of N digits that ends with a NUL or blank. */
static bool
take_octal(const unsigned char *p, size_t n, uint64_t *out)
{
	size_t i;

	*out = 0;
	for (i = 0; i < n && p[i] >= '0' && p[i] <= '7'; i++)
		*out = *out << 3 | (uint64_t)(p[i] - '0');
	return i > 0 && (i == n || p[i] == 0 || p[i] == ' ');
}

static bool
take_size(const unsigned char *p, uint64_t *out)
{
	if (p[0] != 0x80)
		return take_octal(p, 12, out);
	*out = 0;
	for (int i = 1; i < 12; i++) {
		if (*out >> 56)
			return false;
		*out = *out << 8 | p[i];
	}
	return true;
}

static enum rc
take_header(struct tar_reader *r, struct err *err)
{
	const unsigned char *b = r->block;
	char name[NAME_SIZE + PREFIX_SIZE + 2];
	uint64_t sum, size;
	enum rc rc;

	if (b[0] == 0) {
		for (size_t i = 0; i < TAR_BLOCK; i++)
			if (b[i])
				return bad(err, "no name");
		r->end = true;
		return RC_OK;
	}
	if (r->end || memcmp(b + MAGIC_AT, "ustar", 6) != 0 || !take_octal(b + SUM_AT, 8, &sum) ||
		sum != checksum(b))
		return bad(err, "a damaged header");
	if (b[TYPE_AT] != '0' || !take_size(b + SIZE_AT, &size) || size > SIZE_MAX_FILE)
		return bad(err, "no plain file");
	if (++r->files > TAR_FILES_MAX)
		return err_set(err, ERR_LIMIT, "archive: too many files");
	snprintf(name, sizeof(name), "%.*s%s%.*s", PREFIX_SIZE, (const char *)b + PREFIX_AT,
		b[PREFIX_AT] ? "/" : "", NAME_SIZE, (const char *)b + NAME_AT);
	if (!name_ok(name))
		return bad(err, "a file with a bad name");
	r->left = size;
	r->skip = tar_padding(size);
	r->open = true;
	rc = r->calls.open(r->calls.ctx, name, size, err);
	return rc;
}

static enum rc
reader_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	struct tar_reader *r = ctx;
	const unsigned char *p = data;
	enum rc rc = RC_OK;

	while (!rc && (len || (r->open && r->left == 0))) {
		size_t n;

		if (r->open && r->left == 0) {
			r->open = false;
			rc = r->calls.close(r->calls.ctx, err);
			continue;
		}
		n = r->open                     ? (r->left < len ? (size_t)r->left : len)
		    : r->skip                   ? (r->skip < len ? r->skip : len)
		    : TAR_BLOCK - r->have < len ? TAR_BLOCK - r->have
						: len;
		if (r->open) {
			rc = r->calls.data(r->calls.ctx, p, n, err);
			r->left -= n;
		} else if (r->skip) {
			r->skip -= n;
		} else {
			memcpy(r->block + r->have, p, n);
			r->have += n;
			if (r->have == TAR_BLOCK) {
				r->have = 0;
				rc = take_header(r, err);
			}
		}
		p += n;
		len -= n;
	}
	return rc;
}

static enum rc
reader_finish(void *ctx, struct err *err)
{
	struct tar_reader *r = ctx;

	return r->end && !r->open && r->have == 0 ? RC_OK : bad(err, "it ends too early");
}

struct sink
tar_reader_sink(struct tar_reader *reader)
{
	return (struct sink){.feed = reader_feed, .finish = reader_finish, .ctx = reader};
}
