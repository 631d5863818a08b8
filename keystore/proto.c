/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/proto.h"

#include <stdlib.h>
#include <string.h>

enum kind { KIND_BYTES, KIND_TEXT, KIND_NUMBER };

/* What a tag's value looks like, wherever it stands. */
static const struct {
	enum kind kind;
	unsigned min, max; /* bytes without a text's NUL */
} tags[TAG_COUNT] = {
	[TAG_VERSION] = {KIND_NUMBER, 8, 8},
	[TAG_SERVICE] = {KIND_TEXT, 1, 64},
	[TAG_ROLE] = {KIND_TEXT, 1, 16},
	[TAG_CODE] = {KIND_TEXT, 1, 64},
	[TAG_DETAIL] = {KIND_TEXT, 0, 512},
	[TAG_ADDR] = {KIND_TEXT, 1, 1024},
	[TAG_KEY] = {KIND_TEXT, 1, 63},
	[TAG_CERT] = {KIND_BYTES, 1, 65536},
	[TAG_CHAIN] = {KIND_BYTES, 1, 65536},
	[TAG_ENCRYPT_CERT] = {KIND_BYTES, 1, 65536},
	[TAG_DIGEST] = {KIND_TEXT, 1, 16},
	[TAG_VALUE] = {KIND_BYTES, 16, 64},
	[TAG_TIME] = {KIND_NUMBER, 8, 8},
	[TAG_FLAG] = {KIND_NUMBER, 8, 8},
	[TAG_INDEX] = {KIND_NUMBER, 8, 8},
	[TAG_CIPHER] = {KIND_TEXT, 1, 32},
	[TAG_RINFO] = {KIND_BYTES, 2, 16384},
	[TAG_CANDIDATE] = {KIND_BYTES, 2, 65},
	[TAG_EVENT] = {KIND_TEXT, 1, 32},
	[TAG_JSON] = {KIND_TEXT, 2, 4u << 20},
	[TAG_BLOB] = {KIND_BYTES, 1, 4u << 20},
	[TAG_DATA] = {KIND_BYTES, 1, 1u << 20},
	[TAG_CLAIM_QID] = {KIND_TEXT, 0, 128},
	[TAG_CLAIM_SENDER] = {KIND_TEXT, 0, 1024},
	[TAG_CLAIM_IDENTITY] = {KIND_TEXT, 0, 1024},
	[TAG_CLAIM_RULE] = {KIND_TEXT, 0, 128},
	[TAG_CLAIM_RCPT] = {KIND_TEXT, 0, 1024},
};

#define MAX_SPEC 12

/* Which tags a type takes, in their order on the wire; MANY 0 ends the list. */
static const struct {
	const char *name;
	struct {
		enum proto_tag tag;
		bool needed;
		unsigned many; /* at most */
	} fields[MAX_SPEC];
} types[PROTO_TYPES] = {
	[PROTO_HELLO] = {"hello",
		{{TAG_VERSION, true, 1}, {TAG_SERVICE, true, 1}, {TAG_ROLE, true, 1}}},
	[PROTO_WELCOME] = {"welcome", {{TAG_VERSION, true, 1}, {TAG_ROLE, true, 1}}},
	[PROTO_ERROR] = {"error", {{TAG_CODE, true, 1}, {TAG_DETAIL, false, 1}}},
	[PROTO_PING] = {"ping", {{0, false, 0}}},
	[PROTO_PONG] = {"pong", {{0, false, 0}}},
	[PROTO_FIND_SIGNER] = {"find-signer", {{TAG_ADDR, true, 1}}},
	[PROTO_SIGNER] = {"signer",
		{{TAG_KEY, true, 1}, {TAG_CERT, true, 1}, {TAG_CHAIN, false, 16},
			{TAG_ENCRYPT_CERT, false, 1}, {TAG_DIGEST, true, 1}, {TAG_FLAG, true, 1}}},
	[PROTO_NONE] = {"none", {{0, false, 0}}},
	[PROTO_HOLDS] = {"holds", {{TAG_ADDR, true, 1}}},
	[PROTO_HELD] = {"held", {{TAG_FLAG, true, 1}}},
	[PROTO_SIGN] = {"sign",
		{{TAG_KEY, true, 1}, {TAG_DIGEST, true, 1}, {TAG_VALUE, true, 1},
			{TAG_TIME, false, 1}, {TAG_FLAG, true, 1}, {TAG_CLAIM_QID, false, 1},
			{TAG_CLAIM_SENDER, false, 1}, {TAG_CLAIM_IDENTITY, false, 1},
			{TAG_CLAIM_RULE, false, 1}, {TAG_CLAIM_RCPT, false, PROTO_MAX_CLAIMED}}},
	[PROTO_SIGNED] = {"signed", {{TAG_DATA, true, 1}}},
	[PROTO_MATCH] = {"match",
		{{TAG_ADDR, true, 1}, {TAG_CANDIDATE, true, PROTO_MAX_CANDIDATES}}},
	[PROTO_MATCHED] = {"matched", {{TAG_INDEX, true, 1}}},
	[PROTO_OPEN] = {"open",
		{{TAG_ADDR, true, 1}, {TAG_INDEX, true, 1}, {TAG_CIPHER, true, 1},
			{TAG_RINFO, true, 1}, {TAG_CLAIM_QID, false, 1},
			{TAG_CLAIM_SENDER, false, 1}, {TAG_CLAIM_IDENTITY, false, 1},
			{TAG_CLAIM_RULE, false, 1}, {TAG_CLAIM_RCPT, false, PROTO_MAX_CLAIMED}}},
	[PROTO_OPENED] = {"opened", {{TAG_DATA, true, 1}}},
	[PROTO_RECORD] = {"record",
		{{TAG_EVENT, true, 1}, {TAG_JSON, true, 1}, {TAG_CLAIM_QID, false, 1},
			{TAG_CLAIM_SENDER, false, 1}, {TAG_CLAIM_IDENTITY, false, 1},
			{TAG_CLAIM_RULE, false, 1}, {TAG_CLAIM_RCPT, false, PROTO_MAX_CLAIMED}}},
	[PROTO_DONE] = {"done", {{0, false, 0}}},
	[PROTO_ADMIN] = {"admin", {{TAG_JSON, true, 1}, {TAG_BLOB, false, 1}}},
	[PROTO_ANSWER] = {"answer", {{TAG_JSON, true, 1}, {TAG_BLOB, false, 1}}},
};

const char *
proto_type_name(enum proto_type type)
{
	return type > 0 && type < PROTO_TYPES ? types[type].name : "unknown";
}

static uint32_t
get_u32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static unsigned
get_u16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

enum rc
proto_frame_len(const void *data, size_t len, size_t max, size_t *frame, struct err *err)
{
	const unsigned char *p = data;
	size_t n;

	*frame = 0;
	if (len < PROTO_HEAD)
		return RC_OK;
	n = get_u32(p);
	if (n < PROTO_HEAD - 4 || n > max - 4)
		return err_set(err, ERR_VAULT_PROTOCOL, "frame of %zu bytes", n);
	if (get_u16(p + 6) != 0)
		return err_set(err, ERR_VAULT_PROTOCOL, "frame head is broken");
	*frame = n + 4;
	return RC_OK;
}

/* Is the value of FIELD what its tag says? Takes the NUL off a text. */
static enum rc
check_value(struct proto_field *field, struct err *err)
{
	if (tags[field->tag].kind == KIND_TEXT) {
		if (field->len == 0 ||
			memchr(field->data, 0, field->len) != field->data + field->len - 1)
			return err_set(err, ERR_VAULT_PROTOCOL, "field %d is no text", field->tag);
		field->len--;
	}
	if (field->len < tags[field->tag].min || field->len > tags[field->tag].max)
		return err_set(
			err, ERR_VAULT_PROTOCOL, "field %d has %zu bytes", field->tag, field->len);
	return RC_OK;
}

/* Cuts the bytes into fields; their number is known to fit. */
static enum rc
cut_fields(const unsigned char *p, size_t len, struct proto_msg *msg, struct err *err)
{
	enum rc rc;

	for (msg->n = 0; len > 0; msg->n++) {
		struct proto_field *field = &msg->fields[msg->n];
		unsigned tag;
		size_t n;

		if (len < 6)
			return err_set(err, ERR_VAULT_PROTOCOL, "field is cut off");
		tag = get_u16(p);
		n = get_u32(p + 2);
		if (tag == 0 || tag >= TAG_COUNT || n > len - 6)
			return err_set(err, ERR_VAULT_PROTOCOL, "field %u of %zu bytes", tag, n);
		field->tag = tag;
		field->data = p + 6;
		field->len = n;
		rc = check_value(field, err);
		if (rc)
			return rc;
		p += 6 + n;
		len -= 6 + n;
	}
	return RC_OK;
}

/* Do the fields stand as the type's row says, all of them? */
static enum rc
check_fields(const struct proto_msg *msg, struct err *err)
{
	size_t at = 0;

	for (size_t s = 0; s < MAX_SPEC && types[msg->type].fields[s].many; s++) {
		size_t count = 0;

		while (at < msg->n && msg->fields[at].tag == types[msg->type].fields[s].tag) {
			at++;
			count++;
		}
		if (count > types[msg->type].fields[s].many ||
			(count == 0 && types[msg->type].fields[s].needed))
			return err_set(err, ERR_VAULT_PROTOCOL, "%s: field %d %zu times",
				types[msg->type].name, types[msg->type].fields[s].tag, count);
	}
	if (at != msg->n)
		return err_set(err, ERR_VAULT_PROTOCOL, "%s: field %d is out of place",
			types[msg->type].name, msg->fields[at].tag);
	return RC_OK;
}

/* Counts fields without looking into them, so that the array has its exact size. */
static size_t
count_fields(const unsigned char *p, size_t len)
{
	size_t n = 0;

	while (len >= 6 && n <= PROTO_MAX_FIELDS) {
		size_t step = get_u32(p + 2);

		n++;
		if (step > len - 6)
			break;
		p += 6 + step;
		len -= 6 + step;
	}
	return len > 0 && len < 6 ? n + 1 : n;
}

enum rc
proto_parse(const void *data, size_t len, struct proto_msg *msg, struct err *err)
{
	const unsigned char *p = data;
	size_t frame, n;
	enum rc rc;

	msg->fields = NULL;
	msg->n = 0;
	rc = proto_frame_len(data, len, PROTO_MAX_ADMIN, &frame, err);
	if (rc)
		return rc;
	if (frame == 0 || frame != len)
		return err_set(err, ERR_VAULT_PROTOCOL, "frame is cut off");
	if (get_u16(p + 4) == 0 || get_u16(p + 4) >= PROTO_TYPES)
		return err_set(err, ERR_VAULT_PROTOCOL, "frame of type %u", get_u16(p + 4));
	msg->type = get_u16(p + 4);
	msg->id = get_u32(p + 8);
	n = count_fields(p + PROTO_HEAD, len - PROTO_HEAD);
	if (n > PROTO_MAX_FIELDS)
		return err_set(err, ERR_VAULT_PROTOCOL, "more than %u fields", PROTO_MAX_FIELDS);
	msg->fields = n <= PROTO_FEW ? msg->few : calloc(n, sizeof(*msg->fields));
	if (!msg->fields)
		return err_set(err, ERR_MEMORY, "frame with %zu fields", n);
	rc = cut_fields(p + PROTO_HEAD, len - PROTO_HEAD, msg, err);
	if (!rc)
		rc = check_fields(msg, err);
	if (rc)
		proto_msg_fini(msg);
	return rc;
}

void
proto_msg_fini(struct proto_msg *msg)
{
	if (msg->fields != msg->few)
		free(msg->fields);
	msg->fields = NULL;
	msg->n = 0;
}

const struct proto_field *
proto_at(const struct proto_msg *msg, enum proto_tag tag, size_t i)
{
	for (size_t f = 0; f < msg->n; f++)
		if (msg->fields[f].tag == tag)
			return i < msg->n - f && msg->fields[f + i].tag == tag ? &msg->fields[f + i]
									       : NULL;
	return NULL;
}

const struct proto_field *
proto_find(const struct proto_msg *msg, enum proto_tag tag)
{
	return proto_at(msg, tag, 0);
}

size_t
proto_count(const struct proto_msg *msg, enum proto_tag tag)
{
	size_t count = 0;

	for (size_t f = 0; f < msg->n; f++)
		count += msg->fields[f].tag == tag;
	return count;
}

const char *
proto_text(const struct proto_msg *msg, enum proto_tag tag)
{
	const struct proto_field *field = proto_find(msg, tag);

	return field ? (const char *)field->data : NULL;
}

int64_t
proto_number(const struct proto_msg *msg, enum proto_tag tag, int64_t otherwise)
{
	const struct proto_field *field = proto_find(msg, tag);

	if (!field)
		return otherwise;
	return (int64_t)((uint64_t)get_u32(field->data) << 32 | get_u32(field->data + 4));
}

void
proto_begin(struct proto_writer *w, struct buf *out, enum proto_type type, uint32_t id)
{
	unsigned char head[PROTO_HEAD] = {0, 0, 0, 0, type >> 8, type & 0xff, 0, 0, id >> 24,
		id >> 16 & 0xff, id >> 8 & 0xff, id & 0xff};

	*w = (struct proto_writer){.out = out, .start = out->len, .err = ERR_INIT};
	w->rc = buf_append(out, head, sizeof(head), &w->err);
}

void
proto_put(struct proto_writer *w, enum proto_tag tag, const void *data, size_t len)
{
	unsigned char head[6] = {
		0, tag, len >> 24 & 0xff, len >> 16 & 0xff, len >> 8 & 0xff, len & 0xff};

	if (w->rc)
		return;
	if (len > tags[tag].max + 1u) {
		w->rc = err_set(&w->err, ERR_LIMIT, "field %d of %zu bytes", tag, len);
		return;
	}
	w->rc = buf_append(w->out, head, sizeof(head), &w->err);
	if (!w->rc && len > 0)
		w->rc = buf_append(w->out, data, len, &w->err);
}

void
proto_put_text(struct proto_writer *w, enum proto_tag tag, const char *text)
{
	if (text)
		proto_put(w, tag, text, strlen(text) + 1);
}

void
proto_put_number(struct proto_writer *w, enum proto_tag tag, int64_t n)
{
	unsigned char v[8];

	for (int i = 0; i < 8; i++)
		v[i] = (uint64_t)n >> (56 - 8 * i) & 0xff;
	proto_put(w, tag, v, sizeof(v));
}

size_t
proto_open(struct proto_writer *w, enum proto_tag tag)
{
	proto_put(w, tag, "", 0);
	return w->out->len;
}

void
proto_close(struct proto_writer *w, enum proto_tag tag, size_t start)
{
	size_t len = w->out->len - start;
	unsigned char *p = (unsigned char *)w->out->data + start - 4;

	if (w->rc)
		return;
	if (len > tags[tag].max + 1u) {
		w->rc = err_set(&w->err, ERR_LIMIT, "field %d of %zu bytes", tag, len);
		return;
	}
	for (int i = 0; i < 4; i++)
		p[i] = len >> (24 - 8 * i) & 0xff;
}

enum rc
proto_end(struct proto_writer *w, struct err *err)
{
	size_t len = w->out->len - w->start - 4;
	unsigned char *p;

	if (w->rc) {
		w->out->len = w->start;
		if (err)
			*err = w->err;
		return w->rc;
	}
	p = (unsigned char *)w->out->data + w->start;
	for (int i = 0; i < 4; i++)
		p[i] = len >> (24 - 8 * i) & 0xff;
	return RC_OK;
}

enum rc
proto_put_error(struct buf *out, uint32_t id, const struct err *error, struct err *err)
{
	struct proto_writer w;

	proto_begin(&w, out, PROTO_ERROR, id);
	proto_put_text(&w, TAG_CODE, err_name(error->code));
	proto_put_text(&w, TAG_DETAIL, error->detail);
	return proto_end(&w, err);
}

enum rc
proto_error(const struct proto_msg *msg, struct err *err)
{
	const char *code = proto_text(msg, TAG_CODE), *detail = proto_text(msg, TAG_DETAIL);

	for (int c = 1; code && c < ERR_COUNT; c++)
		if (strcmp(code, err_name(c)) == 0)
			return err_set(err, c, "%s", detail ? detail : "");
	return err_set(err, ERR_VAULT_PROTOCOL, "unknown error \"%.64s\"", code ? code : "");
}
