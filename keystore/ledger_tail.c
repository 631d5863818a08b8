/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_tail.h"

#include "keystore/ledger_stub.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads LEN bytes at AT; what the file no longer has is left out. */
static enum rc
read_at(int fd, int64_t at, struct buf *out, size_t len, struct err *err)
{
	ssize_t n;
	enum rc rc = buf_reserve(out, len, err);

	buf_clear(out);
	while (rc == RC_OK && len) {
		n = pread(fd, out->data + out->len, len, (off_t)(at + (int64_t)out->len));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = err_set(err, ERR_FILE, "ledger segment: %s", strerror(errno));
		if (n <= 0)
			break;
		out->len += (size_t)n;
		len -= (size_t)n;
	}
	return rc;
}

/* The first line, when TEXT begins with a whole one. */
static void
take_first(const struct buf *text, struct ledger_ends *out)
{
	const char *lf = text->len ? memchr(text->data, '\n', text->len) : NULL;
	struct ledger_line line;

	if (!lf || !ledger_line_parse(text->data, (size_t)(lf - text->data) + 1, &line))
		return;
	out->has_first = true;
	out->first = line.seq;
	out->first_len = lf - text->data + 1;
	memcpy(out->prev, line.prev, LEDGER_HASH_SIZE - 1);
	memcpy(out->from, line.time, 27);
}

/* The last line of TEXT that has its end. */
static enum rc
take_last(const struct buf *text, struct ledger_ends *out, struct err *err)
{
	const char *lf = text->len ? memrchr(text->data, '\n', text->len) : NULL, *start;
	struct ledger_line line;

	if (!lf)
		return RC_OK;
	start = memrchr(text->data, '\n', (size_t)(lf - text->data));
	start = start ? start + 1 : text->data;
	if (!ledger_line_parse(start, (size_t)(lf - start) + 1, &line))
		return RC_OK;
	out->has_last = true;
	out->last = line.seq;
	memcpy(out->to, line.time, 27);
	return ledger_hash(start, (size_t)(lf - start) + 1, out->hash, err);
}

enum rc
ledger_ends_read(const char *dir, uint64_t segment, struct ledger_ends *out, struct err *err)
{
	struct buf text = BUF_INIT(4 * LEDGER_MAX_LINE);
	struct stat st;
	int fd;
	enum rc rc = ledger_segment_open(dir, segment, &fd, err);

	*out = (struct ledger_ends){.bytes = 0};
	if (rc)
		return rc;
	if (fstat(fd, &st))
		rc = err_set(err, ERR_FILE, "ledger segment: %s", strerror(errno));
	if (rc == RC_OK) {
		out->bytes = st.st_size;
		rc = read_at(fd, 0, &text, LEDGER_MAX_LINE, err);
	}
	if (rc == RC_OK) {
		/* A torn line may stand behind the last whole one. */
		int64_t at = st.st_size > 3 * (int64_t)LEDGER_MAX_LINE
				     ? st.st_size - 3 * (int64_t)LEDGER_MAX_LINE
				     : 0;

		take_first(&text, out);
		rc = read_at(fd, at, &text, 3 * LEDGER_MAX_LINE, err);
	}
	if (rc == RC_OK)
		rc = take_last(&text, out, err);
	close(fd);
	buf_fini(&text);
	return rc;
}

/* Number and hash of the last record of SEGMENT, of which the lines or a stub are there. */
static enum rc
end_of(const char *dir, uint64_t segment, uint64_t *seq, char hash[LEDGER_HASH_SIZE],
	struct err *err)
{
	struct buf text = BUF_INIT(LEDGER_MAX_STUB);
	struct ledger_ends ends;
	struct ledger_stub stub;
	enum rc rc = ledger_ends_read(dir, segment, &ends, err);

	*seq = ends.has_last ? ends.last : 0;
	memcpy(hash, ends.hash, LEDGER_HASH_SIZE);
	if (rc != RC_NONE)
		return rc;
	rc = ledger_stub_read(dir, segment, &text, err);
	if (rc == RC_OK)
		rc = ledger_stub_parse(text.data, text.len, segment, &stub, err);
	if (rc == RC_OK) {
		*seq = stub.last;
		memcpy(hash, stub.hash, LEDGER_HASH_SIZE);
	}
	buf_fini(&text);
	return rc;
}

enum rc
ledger_find_last(const char *dir, const struct ledger_files *files, uint64_t *last, bool *left,
	struct err *err)
{
	struct ledger_ends ends;
	char hash[LEDGER_HASH_SIZE];
	uint64_t seq;
	enum rc rc;

	*last = files->last;
	*left = false;
	if (!files->last)
		return RC_OK;
	rc = ledger_ends_read(dir, files->last, &ends, err);
	if (rc == RC_NONE)
		return err_set(err, ERR_LEDGER_BROKEN,
			"segment %06" PRIu64 " is the last one and is gone", files->last);
	/* More than one line was written, or it is the only segment: it is the last one. */
	if (rc || files->last == files->first || ends.bytes > (int64_t)LEDGER_MAX_LINE ||
		(ends.has_first && ends.first_len != ends.bytes) ||
		(!ends.has_first && ends.has_last))
		return rc;
	if (ends.has_first) {
		rc = end_of(dir, files->last - 1, &seq, hash, err);
		if (rc == RC_PERM) /* what is wrong with the one before is told by who reads it */
			return RC_OK;
		if (rc || (ends.first == seq + 1 && strcmp(ends.prev, hash) == 0))
			return rc;
	}
	*last = files->last - 1;
	*left = true;
	return RC_OK;
}
