/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/ber.h"

#include "crypto/der.h"
#include "crypto/oid.h"

#include <stdlib.h>
#include <string.h>

/*
 * How it works. The input is a tree of elements; at any time a stack says in which ones we are.
 * Each entry has a role, an end (known, or "until end-of-contents") and a limit: the nearest known
 * end above it, beyond which nothing of it may reach, so that an indefinite child can stand in a
 * definite parent.
 *
 *   IN_INFO      ContentInfo           SEQUENCE { OID, [0] }
 *   IN_EXPLICIT  its [0]               one element
 *   IN_BODY      SignedData and others SEQUENCE { before, encapsulated, after }
 *   IN_ENCAP     the encapsulated      SEQUENCE { OID, algorithm …, content }
 *   IN_WRAP      [0] EXPLICIT around an OCTET STRING (SignedData, CompressedData)
 *   IN_CONTENT   a constructed OCTET STRING that belongs to the content
 *   IN_CAPTURE   an element of indefinite length that is being captured
 *
 * A header is collected byte by byte; then its element is entered, captured, or handed out as
 * content.
 */
enum role { IN_INFO, IN_EXPLICIT, IN_BODY, IN_ENCAP, IN_WRAP, IN_CONTENT, IN_CAPTURE };
enum state { ST_HEADER, ST_CAPTURE, ST_CONTENT, ST_DONE, ST_IGNORE };

struct level {
	enum role role;
	bool indefinite;
	uint64_t end;   /* position behind the last byte, when not indefinite */
	uint64_t limit; /* no byte of it lies at or beyond this position */
};

#define NO_LIMIT UINT64_MAX
#define MAX_LEN  (1ull << 48)

struct ber_splitter {
	struct ber_handler handler;
	enum state state;
	uint64_t pos;                         /* bytes taken so far */
	uint64_t left;                        /* of the primitive being captured or handed out */
	uint64_t trailing;                    /* bytes behind the object */
	unsigned char header[DER_MAX_HEADER]; /* of the element that begins */
	unsigned header_len;
	struct level stack[BER_MAX_DEPTH];
	unsigned depth;
	enum cms_kind kind;
	bool seen_content, seen_encap, told_header;
	unsigned sequences; /* seen directly in the body */
	size_t captured;    /* all bytes captured */
	struct buf oid, before, encap, after, *into;
	size_t element; /* where the element being captured begins in *into */
	struct buf mac; /* content of the mac */
	bool auth_attrs;
	bool header_known; /* nobody asks for a skeleton */
};

static enum rc
malformed(struct err *err, const char *what)
{
	return err_set(err, ERR_CMS_MALFORMED, "CMS: %s", what);
}

static struct level *
top(struct ber_splitter *s)
{
	return s->depth ? &s->stack[s->depth - 1] : NULL;
}

static enum rc
push(struct ber_splitter *s, enum role role, bool indefinite, uint64_t len, struct err *err)
{
	uint64_t limit = s->depth ? top(s)->limit : NO_LIMIT;

	if (s->depth == BER_MAX_DEPTH)
		return err_set(err, ERR_CMS_LIMIT, "CMS: nested too deeply");
	s->stack[s->depth++] = (struct level){.role = role,
		.indefinite = indefinite,
		.end = s->pos + len,
		.limit = indefinite ? limit : s->pos + len};
	return RC_OK;
}

/* Adds bytes to what is captured. */
static enum rc
capture(struct ber_splitter *s, const void *data, size_t len, struct err *err)
{
	if (len > BER_MAX_CAPTURE - s->captured)
		return err_set(err, ERR_CMS_LIMIT, "CMS: more than %u bytes around the content",
			BER_MAX_CAPTURE);
	s->captured += len;
	return buf_append(s->into, data, len, err);
}

static enum cms_kind
kind_of(const struct buf *oid)
{
	struct der in = {(const unsigned char *)oid->data, oid->len};
	struct der_item item;

	if (!der_next(&in, &item))
		return CMS_OTHER;
	switch (oid_find(item.body.p, item.body.len)) {
	case OID_DATA:
		return CMS_DATA;
	case OID_SIGNED_DATA:
		return CMS_SIGNED;
	case OID_ENVELOPED_DATA:
		return CMS_ENVELOPED;
	case OID_AUTH_ENVELOPED_DATA:
		return CMS_AUTH_ENVELOPED;
	case OID_COMPRESSED_DATA:
		return CMS_COMPRESSED;
	default:
		return CMS_OTHER;
	}
}

static enum rc
tell_header(struct ber_splitter *s, bool has_content, struct err *err)
{
	s->told_header = true;
	if (!s->handler.header)
		return RC_OK;
	return s->handler.header(s->handler.ctx, s->kind, has_content, err);
}

/* Gives the element at the end of B definite lengths, where it has not. */
static enum rc
make_definite(struct buf *b, size_t element, struct err *err)
{
	struct buf definite = BUF_INIT(BER_MAX_CAPTURE + DER_MAX_HEADER);
	enum rc rc;

	if (der_is_definite(b->data + element, b->len - element))
		return RC_OK;
	rc = der_from_ber(b->data + element, b->len - element, &definite, err);
	if (rc == RC_OK) {
		b->len = element;
		rc = buf_append(b, definite.data, definite.len, err);
	}
	buf_fini(&definite);
	return rc;
}

/* An element is captured: gives it definite lengths, notes what others ask for. */
static enum rc
captured(struct ber_splitter *s, struct err *err)
{
	struct buf *b = s->into;
	struct der in;
	struct der_item item;
	enum rc rc;

	if (s->header_known && (b == &s->before || b == &s->encap))
		return RC_OK;
	rc = make_definite(b, s->element, err);
	if (rc != RC_OK)
		return rc;
	in = (struct der){(const unsigned char *)b->data + s->element, b->len - s->element};
	if (!der_next(&in, &item))
		return malformed(err, "malformed element");
	if (b == &s->oid) {
		s->kind = kind_of(b);
		if (s->kind == CMS_OTHER) {
			s->state = ST_IGNORE;
			return tell_header(s, false, err);
		}
	} else if (b == &s->after && s->kind == CMS_AUTH_ENVELOPED) {
		if (item.tag == (DER_CONTEXT_CONSTRUCTED | 1))
			s->auth_attrs = true;
		else if (item.tag == DER_OCTETS && s->mac.len == 0)
			return buf_append(&s->mac, item.body.p, item.body.len, err);
	}
	return RC_OK;
}

/* Begins to capture the element whose header is there. */
static enum rc
start_capture(
	struct ber_splitter *s, struct buf *into, bool indefinite, uint64_t len, struct err *err)
{
	enum rc rc;

	s->into = into;
	s->element = into->len;
	if (!indefinite && len > BER_MAX_CAPTURE)
		return err_set(err, ERR_CMS_LIMIT, "CMS: more than %u bytes around the content",
			BER_MAX_CAPTURE);
	if ((rc = capture(s, s->header, s->header_len, err)) != RC_OK)
		return rc;
	if (indefinite)
		return push(s, IN_CAPTURE, true, 0, err);
	s->state = ST_CAPTURE;
	s->left = len;
	return RC_OK;
}

/* Enters the content: its first OCTET STRING, or a piece of it. */
static enum rc
start_content(
	struct ber_splitter *s, bool constructed, bool indefinite, uint64_t len, struct err *err)
{
	enum rc rc;

	if (!s->told_header && (rc = tell_header(s, true, err)) != RC_OK)
		return rc;
	s->seen_content = true;
	if (constructed)
		return push(s, IN_CONTENT, indefinite, len, err);
	s->state = ST_CONTENT;
	s->left = len;
	return RC_OK;
}

/* An element directly in the ContentInfo. */
static enum rc
enter_info(struct ber_splitter *s, unsigned tag, bool indefinite, uint64_t len, struct err *err)
{
	if (s->oid.len == 0)
		return tag == DER_OID ? start_capture(s, &s->oid, indefinite, len, err)
				      : malformed(err, "no content type");
	if (tag != DER_CONTEXT_CONSTRUCTED || s->seen_encap || s->seen_content)
		return malformed(err, "unexpected element in ContentInfo");
	return push(s, IN_EXPLICIT, indefinite, len, err);
}

/* An element directly in SignedData or its companions. */
static enum rc
enter_body(struct ber_splitter *s, unsigned tag, bool indefinite, uint64_t len, struct err *err)
{
	/* CompressedData has its algorithm, a SEQUENCE too, before the encapsulated content. */
	unsigned which = s->kind == CMS_COMPRESSED ? 2 : 1;

	if (tag == DER_SEQUENCE && ++s->sequences == which) {
		s->seen_encap = true;
		return push(s, IN_ENCAP, indefinite, len, err);
	}
	return start_capture(s, s->seen_encap ? &s->after : &s->before, indefinite, len, err);
}

/* An element directly in the encapsulated content info. */
static enum rc
enter_encap(struct ber_splitter *s, unsigned tag, bool indefinite, uint64_t len, struct err *err)
{
	bool explicit_tag = s->kind == CMS_SIGNED || s->kind == CMS_COMPRESSED;

	if (s->seen_content)
		return malformed(err, "element behind the content");
	if (tag == DER_CONTEXT_CONSTRUCTED && explicit_tag)
		return push(s, IN_WRAP, indefinite, len, err);
	if ((tag == DER_CONTEXT || tag == DER_CONTEXT_CONSTRUCTED) && !explicit_tag)
		return start_content(s, tag == DER_CONTEXT_CONSTRUCTED, indefinite, len, err);
	return start_capture(s, &s->encap, indefinite, len, err);
}

static bool
is_octets(unsigned tag)
{
	return tag == DER_OCTETS || tag == (DER_OCTETS | 0x20);
}

/* The one element of the ContentInfo's content. */
static enum rc
enter_explicit(struct ber_splitter *s, unsigned tag, bool indefinite, uint64_t len, struct err *err)
{
	if (s->seen_encap || s->seen_content || s->sequences)
		return malformed(err, "two elements where one belongs");
	if (s->kind == CMS_DATA)
		return is_octets(tag) ? start_content(s, tag & 0x20, indefinite, len, err)
				      : malformed(err, "data that is no OCTET STRING");
	if (tag != DER_SEQUENCE || s->before.len)
		return malformed(err, "no SEQUENCE in the ContentInfo");
	return push(s, IN_BODY, indefinite, len, err);
}

/* Inside an element that is being captured: its start stays where it is. */
static enum rc
enter_captured(struct ber_splitter *s, bool indefinite, uint64_t len, struct err *err)
{
	if (indefinite) {
		enum rc rc = capture(s, s->header, s->header_len, err);

		return rc == RC_OK ? push(s, IN_CAPTURE, true, 0, err) : rc;
	}
	if (len > BER_MAX_CAPTURE)
		return err_set(err, ERR_CMS_LIMIT, "CMS: too large an element");
	s->state = ST_CAPTURE;
	s->left = len;
	return capture(s, s->header, s->header_len, err);
}

/* The header of an element is complete: what is to be done with it depends on where we are. */
static enum rc
enter(struct ber_splitter *s, unsigned tag, bool indefinite, uint64_t len, struct err *err)
{
	struct level *at = top(s);

	if (!at)
		return tag == DER_SEQUENCE ? push(s, IN_INFO, indefinite, len, err)
					   : malformed(err, "not a ContentInfo");
	switch (at->role) {
	case IN_INFO:
		return enter_info(s, tag, indefinite, len, err);
	case IN_EXPLICIT:
		return enter_explicit(s, tag, indefinite, len, err);
	case IN_BODY:
		return enter_body(s, tag, indefinite, len, err);
	case IN_ENCAP:
		return enter_encap(s, tag, indefinite, len, err);
	case IN_WRAP:
		if (s->seen_content)
			return malformed(err, "two contents");
		/* fall through */
	case IN_CONTENT:
		if (!is_octets(tag))
			return malformed(err, "content that is no OCTET STRING");
		return start_content(s, tag & 0x20, indefinite, len, err);
	case IN_CAPTURE:
		break;
	}
	return enter_captured(s, indefinite, len, err);
}

/* The innermost element has ended. */
static enum rc
leave(struct ber_splitter *s, struct err *err)
{
	enum role role = s->stack[--s->depth].role;

	switch (role) {
	case IN_CAPTURE:
		return top(s)->role == IN_CAPTURE ? RC_OK : captured(s, err);
	case IN_WRAP:
		return s->seen_content ? RC_OK : malformed(err, "no OCTET STRING in the content");
	case IN_ENCAP:
		if (s->told_header)
			return RC_OK;
		return s->encap.len ? tell_header(s, false, err)
				    : malformed(err, "empty content info");
	case IN_BODY:
		return s->seen_encap ? RC_OK : malformed(err, "no content info");
	case IN_EXPLICIT:
		return s->seen_encap || s->seen_content ? RC_OK
							: malformed(err, "empty ContentInfo");
	case IN_INFO:
		if (!s->told_header)
			return malformed(err, "empty ContentInfo");
		s->state = ST_DONE;
		return s->handler.trailer ? s->handler.trailer(s->handler.ctx, err) : RC_OK;
	case IN_CONTENT:
		break;
	}
	return RC_OK;
}

/* Leaves every element whose known end is reached. */
static enum rc
leave_ended(struct ber_splitter *s, struct err *err)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && s->state == ST_HEADER && s->depth && !top(s)->indefinite &&
		top(s)->end == s->pos)
		rc = leave(s, err);
	return rc;
}

/* A primitive that was captured or handed out has ended. */
static enum rc
primitive_ended(struct ber_splitter *s, struct err *err)
{
	enum rc rc = RC_OK;
	bool was_capture = s->state == ST_CAPTURE;

	s->state = ST_HEADER;
	if (was_capture && top(s)->role != IN_CAPTURE)
		rc = captured(s, err);
	return rc == RC_OK ? leave_ended(s, err) : rc;
}

/* All bytes of a header are there. */
static enum rc
header_complete(struct ber_splitter *s, bool indefinite, uint64_t len, struct err *err)
{
	unsigned tag = s->header[0];
	struct level *at = top(s);
	enum rc rc;

	if (at && (s->pos > at->limit || (!indefinite && len > at->limit - s->pos)))
		return malformed(err, "an element leaves its parent");
	if (tag == 0) {
		if (len || indefinite || !at || !at->indefinite)
			return malformed(err, "unexpected end-of-contents");
		if (at->role == IN_CAPTURE && (rc = capture(s, s->header, 2, err)) != RC_OK)
			return rc;
		s->header_len = 0;
		rc = leave(s, err);
		return rc == RC_OK ? leave_ended(s, err) : rc;
	}
	if (indefinite && !(tag & 0x20))
		return malformed(err, "a primitive of indefinite length");
	rc = enter(s, tag, indefinite, len, err);
	s->header_len = 0;
	if (rc != RC_OK)
		return rc;
	if (s->state == ST_HEADER)
		return leave_ended(s, err);
	if ((s->state == ST_CAPTURE || s->state == ST_CONTENT) && s->left == 0)
		return primitive_ended(s, err);
	return RC_OK;
}

/* One more byte of a header. */
static enum rc
header_byte(struct ber_splitter *s, unsigned char byte, struct err *err)
{
	uint64_t len = 0;
	unsigned n;

	s->header[s->header_len++] = byte;
	s->pos++;
	if (s->header_len == 1)
		return (byte & 0x1f) == 0x1f ? malformed(err, "tag above 30") : RC_OK;
	n = s->header[1] & 0x7fu;
	if (s->header[1] < 0x80)
		return header_complete(s, false, n, err);
	if (n == 0)
		return header_complete(s, true, 0, err);
	if (n > 8)
		return malformed(err, "length of more than 8 bytes");
	if (s->header_len < 2 + n)
		return RC_OK;
	for (unsigned i = 0; i < n; i++)
		len = len << 8 | s->header[2 + i];
	if (len > MAX_LEN)
		return err_set(err, ERR_CMS_LIMIT, "CMS: an element of more than 2^48 bytes");
	return header_complete(s, false, len, err);
}

/* Takes as much of a primitive as is there. */
static enum rc
primitive_bytes(struct ber_splitter *s, const unsigned char *p, size_t n, struct err *err)
{
	enum rc rc;

	if (s->state == ST_CAPTURE)
		rc = capture(s, p, n, err);
	else
		rc = s->handler.content ? s->handler.content(s->handler.ctx, p, n, err) : RC_OK;
	if (rc != RC_OK)
		return rc;
	s->pos += n;
	s->left -= n;
	return s->left ? RC_OK : primitive_ended(s, err);
}

static enum rc
splitter_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	struct ber_splitter *s = ctx;
	const unsigned char *p = data, *end = p + len;
	enum rc rc = RC_OK;

	while (p < end && rc == RC_OK) {
		size_t n = (size_t)(end - p);

		switch (s->state) {
		case ST_HEADER:
			rc = header_byte(s, *p++, err);
			break;
		case ST_CAPTURE:
		case ST_CONTENT:
			n = n > s->left ? (size_t)s->left : n;
			rc = primitive_bytes(s, p, n, err);
			p += n;
			break;
		case ST_DONE:
			s->trailing += n;
			return RC_OK;
		case ST_IGNORE:
			return RC_OK;
		}
	}
	return rc;
}

static enum rc
splitter_finish(void *ctx, struct err *err)
{
	struct ber_splitter *s = ctx;

	if (s->state == ST_IGNORE)
		return err_set(err, ERR_CMS_UNSUPPORTED, "CMS: another content type");
	return s->state == ST_DONE ? RC_OK : malformed(err, "cut off");
}

enum rc
ber_splitter_new(const struct ber_handler *handler, struct ber_splitter **out, struct err *err)
{
	struct ber_splitter *s = calloc(1, sizeof *s);

	*out = NULL;
	if (!s)
		return err_set(err, ERR_MEMORY, "BER splitter");
	s->handler = *handler;
	s->oid.max = s->before.max = s->encap.max = s->after.max = s->mac.max =
		BER_MAX_CAPTURE + DER_MAX_HEADER;
	*out = s;
	return RC_OK;
}

void
ber_splitter_known(struct ber_splitter *splitter)
{
	splitter->header_known = true;
}

struct sink
ber_splitter_sink(struct ber_splitter *splitter)
{
	return (struct sink){.feed = splitter_feed, .finish = splitter_finish, .ctx = splitter};
}

void
ber_splitter_free(struct ber_splitter **splitter)
{
	struct ber_splitter *s = *splitter;

	if (!s)
		return;
	buf_fini(&s->oid);
	buf_fini(&s->before);
	buf_fini(&s->encap);
	buf_fini(&s->after);
	buf_fini(&s->mac);
	free(s);
	*splitter = NULL;
}

enum rc
ber_skeleton(const struct ber_splitter *s, struct buf *out, struct err *err)
{
	struct der_out w;
	size_t info, wrap, body, encap;
	enum rc rc;

	der_out_init(&w, 2 * BER_MAX_CAPTURE, err);
	info = der_begin(&w);
	der_put_raw(&w, s->oid.data, s->oid.len);
	wrap = der_begin(&w);
	if (s->kind != CMS_DATA) {
		body = der_begin(&w);
		der_put_raw(&w, s->before.data, s->before.len);
		encap = der_begin(&w);
		der_put_raw(&w, s->encap.data, s->encap.len);
		der_end(&w, encap, DER_SEQUENCE);
		der_put_raw(&w, s->after.data, s->after.len);
		if (s->kind == CMS_SIGNED && s->state != ST_DONE)
			der_put(&w, DER_SET, NULL, 0);
		der_end(&w, body, DER_SEQUENCE);
	}
	der_end(&w, wrap, DER_CONTEXT_CONSTRUCTED);
	der_end(&w, info, DER_SEQUENCE);
	rc = w.rc == RC_OK ? buf_append(out, w.buf.data, w.buf.len, err) : w.rc;
	der_out_fini(&w);
	return rc;
}

const unsigned char *
ber_mac(const struct ber_splitter *splitter, size_t *len)
{
	*len = splitter->mac.len;
	return (const unsigned char *)splitter->mac.data;
}

bool
ber_auth_attrs(const struct ber_splitter *splitter, const unsigned char **p, size_t *len)
{
	struct der in = {(const unsigned char *)splitter->after.data, splitter->after.len};
	struct der_item item;

	if (!splitter->auth_attrs || !der_take(&in, DER_CONTEXT_CONSTRUCTED | 1, &item))
		return false;
	*p = item.whole.p;
	*len = item.whole.len;
	return true;
}

uint64_t
ber_trailing(const struct ber_splitter *splitter)
{
	return splitter->trailing;
}
