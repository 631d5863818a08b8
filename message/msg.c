/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum rc
msg_new(const struct spool_conf *conf, struct msg **out, struct err *err)
{
	struct msg *msg;
	enum rc rc;

	*out = NULL;
	msg = calloc(1, sizeof(*msg));
	if (!msg)
		return err_set(err, ERR_MEMORY, "message");
	hdrs_init(&msg->hdrs);
	rc = spool_new(conf, &msg->body, err);
	if (rc != RC_OK) {
		free(msg);
		return rc;
	}
	*out = msg;
	return RC_OK;
}

void
msg_free(struct msg **msg)
{
	if (!*msg)
		return;
	hdrs_fini(&(*msg)->hdrs);
	spool_free(&(*msg)->body);
	free(*msg);
	*msg = NULL;
}

/* How a message file is read: line ends first, then the header block, then the body. */
struct reader {
	struct msg *msg;
	struct buf head; /* gathered until the header's end is in it */
	bool in_body;
	bool started;   /* a byte was seen */
	bool mbox_line; /* inside the "From " line */
	bool decided;   /* the first line end was seen */
	bool add_cr;    /* it was LF */
	char last;      /* last byte of the piece before */
};

/* Is the header's end in HEAD? FROM is where to go on looking. */
static bool
has_header_end(const struct buf *head, size_t from)
{
	const char *p = head->data + from, *end = head->data + head->len;

	if (head->len >= 2 && memcmp(head->data, "\r\n", 2) == 0)
		return true;
	for (; (p = memchr(p, '\n', (size_t)(end - p))); p++) {
		if (end - p >= 3 && p[1] == '\r' && p[2] == '\n')
			return true;
		if (end - p >= 2 && p[1] == '\n')
			return true;
	}
	return false;
}

/* Splits what was gathered into header and body. */
static enum rc
end_header(struct reader *reader, struct err *err)
{
	size_t used;
	enum rc rc;

	hdrs_fini(&reader->msg->hdrs);
	rc = hdrs_parse(buf_text(&reader->head), reader->head.len, &reader->msg->hdrs, &used, err);
	if (rc == RC_OK)
		rc = spool_append(reader->msg->body, buf_text(&reader->head) + used,
			reader->head.len - used, err);
	reader->in_body = true;
	buf_fini(&reader->head);
	return rc;
}

/* Takes bytes whose line ends are right. */
static enum rc
take(struct reader *reader, const char *data, size_t len, struct err *err)
{
	size_t from = reader->head.len > 2 ? reader->head.len - 2 : 0;
	enum rc rc;

	if (reader->in_body)
		return spool_append(reader->msg->body, data, len, err);
	rc = buf_append(&reader->head, data, len, err);
	if (rc != RC_OK || reader->head.len == 0)
		return rc;
	/* What has no empty line for so long has no header that long, or hdrs_parse refuses it. */
	if (has_header_end(&reader->head, from) || reader->head.len > HDRS_MAX_BYTES + SINK_CHUNK)
		return end_header(reader, err);
	return RC_OK;
}

/* Gives each LF that has no CR before it one. */
static enum rc
take_lf(struct reader *reader, const char *data, size_t len, struct err *err)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && len > 0) {
		const char *lf = memchr(data, '\n', len);
		size_t n = lf ? (size_t)(lf - data) : len;

		rc = take(reader, data, n, err);
		if (n)
			reader->last = data[n - 1];
		if (rc != RC_OK || !lf)
			return rc;
		rc = reader->last == '\r' ? take(reader, "\n", 1, err)
					  : take(reader, "\r\n", 2, err);
		reader->last = '\n';
		data += n + 1;
		len -= n + 1;
	}
	return rc;
}

/* One piece of the file. The first one is long enough to tell a "From " line. */
static enum rc
read_piece(struct reader *reader, const char *data, size_t len, struct err *err)
{
	const char *lf = memchr(data, '\n', len);

	if (!reader->started && len >= 5 && memcmp(data, "From ", 5) == 0)
		reader->mbox_line = true;
	reader->started = true;
	if (!reader->decided && lf) {
		reader->decided = true;
		reader->add_cr = (lf > data ? lf[-1] : reader->last) != '\r';
	}
	if (reader->mbox_line) {
		if (len > 0)
			reader->last = data[len - 1];
		if (!lf)
			return RC_OK;
		reader->mbox_line = false;
		len -= (size_t)(lf + 1 - data);
		data = lf + 1;
		reader->last = '\n';
	}
	if (reader->decided && reader->add_cr)
		return take_lf(reader, data, len, err);
	if (len > 0)
		reader->last = data[len - 1];
	return take(reader, data, len, err);
}

/* Fills PIECE from FD as far as it goes; 0 at the end of the file, -1 with errno. */
static ssize_t
fill(int fd, char *piece, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, piece + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

enum rc
msg_read(int fd, const struct spool_conf *conf, struct msg **out, struct err *err)
{
	struct reader reader = {.head = BUF_INIT(2 * HDRS_MAX_BYTES + 4 * SINK_CHUNK)};
	char *piece = malloc(SINK_CHUNK);
	ssize_t n = 0;
	enum rc rc;

	*out = NULL;
	if (!piece)
		return err_set(err, ERR_MEMORY, "message");
	rc = msg_new(conf, &reader.msg, err);
	while (rc == RC_OK && (n = fill(fd, piece, SINK_CHUNK)) > 0)
		rc = read_piece(&reader, piece, (size_t)n, err);
	if (rc == RC_OK && n < 0)
		rc = err_set(err, ERR_FILE, "message: %s", strerror(errno));
	if (rc == RC_OK && !reader.in_body)
		rc = end_header(&reader, err);
	buf_fini(&reader.head);
	free(piece);
	if (rc != RC_OK) {
		msg_free(&reader.msg);
		return rc;
	}
	*out = reader.msg;
	return RC_OK;
}

enum rc
msg_write(const struct msg *msg, const struct sink *sink, struct err *err)
{
	enum rc rc = hdrs_write(&msg->hdrs, sink, err);

	if (rc == RC_OK)
		rc = sink_feed(sink, "\r\n", 2, err);
	return rc == RC_OK ? spool_send(msg->body, 0, spool_size(msg->body), sink, err) : rc;
}

uint64_t
msg_size(const struct msg *msg)
{
	return msg->hdrs.bytes + 2 + spool_size(msg->body);
}
