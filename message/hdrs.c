/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/hdrs.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIRST_FIELDS 16

/* Bytes of a field's line, "name:value" CRLF, with CRLF for each inner line end. */
static size_t
field_bytes(const struct hdr *hdr)
{
	size_t bytes = hdr->name_len + hdr->gap_len + 1 + hdr->value_len + 2;
	const char *p = hdr->value, *end = hdr->value + hdr->value_len;

	while ((p = memchr(p, '\n', (size_t)(end - p)))) {
		bytes++;
		p++;
	}
	return bytes;
}

void
hdrs_init(struct hdrs *hdrs)
{
	*hdrs = (struct hdrs){.v = NULL};
}

void
hdrs_fini(struct hdrs *hdrs)
{
	for (size_t i = 0; i < hdrs->n; i++)
		free(hdrs->v[i].name);
	free(hdrs->v);
	hdrs_init(hdrs);
}

/* Room for one more field. The first block is for the fields of most messages; from then on counts
 * of 2^k are where the array is full. */
static enum rc
make_room(struct hdrs *hdrs, struct err *err)
{
	struct hdr *v;

	if (hdrs->n >= HDRS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d header fields", HDRS_MAX);
	if (hdrs->n & (hdrs->n - 1) || (hdrs->n > 0 && hdrs->n < FIRST_FIELDS))
		return RC_OK;
	v = realloc(hdrs->v, (hdrs->n ? hdrs->n * 2 : FIRST_FIELDS) * sizeof(*v));
	if (!v)
		return err_set(err, ERR_MEMORY, "header fields");
	hdrs->v = v;
	return RC_OK;
}

/* What a new field is made of. */
struct field {
	const char *name;
	size_t name_len;
	const char *gap; /* blanks between name and colon; NULL when there are none */
	size_t gap_len;
	const char *value;
	size_t value_len;
};

/* Puts a field before the one at AT; its texts are copied into one block owned by .name. */
static enum rc
insert_field(struct hdrs *hdrs, size_t at, const struct field *field, struct err *err)
{
	struct hdr hdr = {.name_len = field->name_len, .gap_len = field->gap_len};
	enum rc rc = make_room(hdrs, err);
	size_t bytes;

	if (rc != RC_OK)
		return rc;
	if (field->name_len > HDRS_MAX_BYTES || field->value_len > HDRS_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "header above %u bytes", HDRS_MAX_BYTES);
	hdr.name = malloc(field->name_len + 1 + field->gap_len + field->value_len + 1);
	if (!hdr.name)
		return err_set(err, ERR_MEMORY, "header field");
	memcpy(hdr.name, field->name, field->name_len);
	hdr.name[field->name_len] = '\0';
	hdr.gap = hdr.name + field->name_len + 1;
	if (field->gap_len)
		memcpy(hdr.gap, field->gap, field->gap_len);
	hdr.value = hdr.gap + field->gap_len;
	hdr.value_len = field->value_len;
	memcpy(hdr.value, field->value, field->value_len);
	hdr.value[field->value_len] = '\0';
	bytes = field_bytes(&hdr);
	if (hdrs->bytes + bytes > HDRS_MAX_BYTES) {
		free(hdr.name);
		return err_set(err, ERR_LIMIT, "header above %u bytes", HDRS_MAX_BYTES);
	}
	memmove(hdrs->v + at + 1, hdrs->v + at, (hdrs->n - at) * sizeof(*hdrs->v));
	hdrs->v[at] = hdr;
	hdrs->n++;
	hdrs->bytes += bytes;
	return RC_OK;
}

enum rc
hdrs_add(struct hdrs *hdrs, const char *name, size_t name_len, const char *value, size_t value_len,
	struct err *err)
{
	const struct field field = {
		.name = name, .name_len = name_len, .value = value, .value_len = value_len};

	return insert_field(hdrs, hdrs->n, &field, err);
}

enum rc
hdrs_copy(const struct hdrs *from, struct hdrs *out, struct err *err)
{
	enum rc rc = RC_OK;

	hdrs_init(out);
	for (size_t i = 0; rc == RC_OK && i < from->n; i++) {
		const struct hdr *hdr = &from->v[i];
		const struct field field = {.name = hdr->name,
			.name_len = hdr->name_len,
			.gap = hdr->gap,
			.gap_len = hdr->gap_len,
			.value = hdr->value,
			.value_len = hdr->value_len};

		rc = insert_field(out, i, &field, err);
	}
	return rc;
}

enum rc
hdrs_insert(struct hdrs *hdrs, size_t at, const char *name, const char *value, struct err *err)
{
	const struct field field = {
		.name = name, .name_len = strlen(name), .value = value, .value_len = strlen(value)};

	return insert_field(hdrs, at < hdrs->n ? at : hdrs->n, &field, err);
}

void
hdrs_remove(struct hdrs *hdrs, size_t at)
{
	if (at >= hdrs->n)
		return;
	hdrs->bytes -= field_bytes(&hdrs->v[at]);
	free(hdrs->v[at].name);
	hdrs->n--;
	memmove(hdrs->v + at, hdrs->v + at + 1, (hdrs->n - at) * sizeof(*hdrs->v));
}

const struct hdr *
hdrs_find(const struct hdrs *hdrs, const char *name, size_t nth)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < hdrs->n; i++) {
		const struct hdr *hdr = &hdrs->v[i];

		if (hdr->name_len == len && strncasecmp(hdr->name, name, len) == 0 && nth-- == 0)
			return hdr;
	}
	return NULL;
}

size_t
hdrs_count(const struct hdrs *hdrs, const char *name)
{
	size_t len = strlen(name), count = 0;

	for (size_t i = 0; i < hdrs->n; i++)
		count += hdrs->v[i].name_len == len && strncasecmp(hdrs->v[i].name, name, len) == 0;
	return count;
}

size_t
hdrs_field_name(const char *line, size_t len, size_t *gap)
{
	size_t n = 0, g = 0;

	while (n < len && line[n] > ' ' && line[n] < 127 && line[n] != ':')
		n++;
	while (n + g < len && (line[n + g] == ' ' || line[n + g] == '\t'))
		g++;
	if (n == 0 || n + g >= len || line[n + g] != ':')
		return 0;
	*gap = g;
	return n;
}

/* Length of the line at DATA, its end included; without an end, what there is. */
static size_t
line_length(const char *data, size_t len)
{
	const char *lf = memchr(data, '\n', len);

	return lf ? (size_t)(lf - data) + 1 : len;
}

/* Length of a line's end: 2, 1 or 0. */
static size_t
line_end(const char *line, size_t len)
{
	if (len == 0 || line[len - 1] != '\n')
		return 0;
	return len > 1 && line[len - 2] == '\r' ? 2 : 1;
}

/* Length of the field at DATA with its continuation lines. */
static size_t
field_length(const char *data, size_t len)
{
	size_t used = line_length(data, len);

	while (used < len && (data[used] == ' ' || data[used] == '\t') && data[used - 1] == '\n')
		used += line_length(data + used, len - used);
	return used;
}

/* Copies the value [FROM, TO) with "\n" for each CRLF; returns its length in OUT. */
static size_t
copy_value(char *out, const char *from, const char *to)
{
	char *o = out;

	while (from < to) {
		const char *lf = memchr(from, '\n', (size_t)(to - from));
		size_t n = lf ? (size_t)(lf - from) : (size_t)(to - from);

		if (lf && n > 0 && lf[-1] == '\r')
			n--;
		memcpy(o, from, n);
		o += n;
		if (!lf)
			break;
		*o++ = '\n';
		from = lf + 1;
	}
	return (size_t)(o - out);
}

/* Adds the field that stands in DATA, LEN bytes with its line ends; TMP has room for LEN bytes. */
static enum rc
parse_field(struct hdrs *out, const char *data, size_t len, char *tmp, struct err *err)
{
	struct field field = {.name = data, .value = tmp};
	const char *value;

	field.name_len = hdrs_field_name(data, len, &field.gap_len);
	field.gap = data + field.name_len;
	value = data + field.name_len + field.gap_len + 1;
	field.value_len = copy_value(tmp, value, data + len - line_end(data, len));
	return insert_field(out, out->n, &field, err);
}

enum rc
hdrs_parse(const char *data, size_t len, struct hdrs *out, size_t *used, struct err *err)
{
	size_t at = 0, gap;
	char *tmp = NULL;
	size_t tmp_size = 0;
	enum rc rc = RC_OK;

	hdrs_init(out);
	*used = 0;
	while (at < len) {
		size_t n = line_length(data + at, len - at);

		if (n == line_end(data + at, n)) { /* the empty line */
			at += n;
			break;
		}
		if (hdrs_field_name(data + at, n, &gap) == 0)
			break;
		n = field_length(data + at, len - at);
		if (n > tmp_size) {
			free(tmp);
			tmp_size = n < 4096 ? 4096 : n;
			tmp = n > HDRS_MAX_BYTES ? NULL : malloc(tmp_size);
			rc = n > HDRS_MAX_BYTES
				     ? err_set(err, ERR_LIMIT, "header field of %zu bytes", n)
			     : tmp ? RC_OK
				   : err_set(err, ERR_MEMORY, "header field");
		}
		if (rc == RC_OK)
			rc = parse_field(out, data + at, n, tmp, err);
		if (rc != RC_OK) {
			hdrs_fini(out);
			free(tmp);
			return rc;
		}
		at += n;
	}
	free(tmp);
	*used = at;
	return RC_OK;
}

enum rc
hdr_write(const struct hdr *hdr, const struct sink *sink, struct err *err)
{
	struct buf buf = BUF_INIT(HDRS_MAX_BYTES + 16);
	const char *p = hdr->value, *end = hdr->value + hdr->value_len, *lf;
	enum rc rc = buf_append(&buf, hdr->name, hdr->name_len, err);

	if (rc == RC_OK)
		rc = buf_append(&buf, hdr->gap, hdr->gap_len, err);
	if (rc == RC_OK)
		rc = buf_append_char(&buf, ':', err);
	while (rc == RC_OK && (lf = memchr(p, '\n', (size_t)(end - p)))) {
		rc = buf_append(&buf, p, (size_t)(lf - p), err);
		if (rc == RC_OK)
			rc = buf_append(&buf, "\r\n", 2, err);
		p = lf + 1;
	}
	if (rc == RC_OK)
		rc = buf_append(&buf, p, (size_t)(end - p), err);
	if (rc == RC_OK)
		rc = buf_append(&buf, "\r\n", 2, err);
	if (rc == RC_OK)
		rc = sink_feed(sink, buf.data, buf.len, err);
	buf_fini(&buf);
	return rc;
}

enum rc
hdrs_write(const struct hdrs *hdrs, const struct sink *sink, struct err *err)
{
	for (size_t i = 0; i < hdrs->n; i++) {
		enum rc rc = hdr_write(&hdrs->v[i], sink, err);

		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

/* A blank, or a byte of a line end. */
static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

enum rc
hdr_unfold(const struct hdr *hdr, struct buf *out, struct err *err)
{
	const char *p = hdr->value, *end = hdr->value + hdr->value_len, *lf;
	enum rc rc;

	while (p < end && is_space(*p))
		p++;
	while (end > p && is_space(end[-1]))
		end--;
	rc = buf_reserve(out, (size_t)(end - p), err);
	while (rc == RC_OK && (lf = memchr(p, '\n', (size_t)(end - p)))) {
		rc = buf_append(out, p, (size_t)(lf - p) - (lf > p && lf[-1] == '\r'), err);
		p = lf + 1;
	}
	return rc == RC_OK ? buf_append(out, p, (size_t)(end - p), err) : rc;
}
