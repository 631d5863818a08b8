/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/cms_envelope.h"

#include "crypto/content_cipher.h"

#include <stdlib.h>
#include <string.h>

#define MIN_TAG 12
#define MAX_TAG 16

/* The header with the bytes that its RecipientInfos point into. */
struct owned {
	struct cms_enveloped pub; /* first: what the caller sees */
	unsigned char *bytes;
};

/* --- the header --- */

static enum rc
malformed(struct err *err, const char *what)
{
	return err_set(err, ERR_CMS_MALFORMED, "enveloped data: %s", what);
}

/* GCMParameters (RFC 5084): nonce, and tag length, 12 when it is left out. */
static bool
parse_gcm(struct der params, struct cms_enveloped *e)
{
	struct der_item seq, nonce;
	int tag_len = MIN_TAG;

	if (!der_take(&params, DER_SEQUENCE, &seq) || !der_done(&params) ||
		!der_take(&seq.body, DER_OCTETS, &nonce))
		return false;
	if (!der_done(&seq.body) && (!der_take_int(&seq.body, &tag_len) || !der_done(&seq.body)))
		return false;
	if (nonce.body.len < 8 || nonce.body.len > sizeof e->iv || tag_len < MIN_TAG ||
		tag_len > MAX_TAG)
		return false;
	memcpy(e->iv, nonce.body.p, nonce.body.len);
	e->iv_len = nonce.body.len;
	e->tag_len = (size_t)tag_len;
	return true;
}

static bool
parse_cbc(struct der params, struct cms_enveloped *e)
{
	struct der_item iv;

	if (!der_take(&params, DER_OCTETS, &iv) || !der_done(&params) ||
		iv.body.len != content_cipher_iv_size(e->cipher))
		return false;
	memcpy(e->iv, iv.body.p, iv.body.len);
	e->iv_len = iv.body.len;
	return true;
}

/* EncryptedContentInfo: an authenticated cipher in EnvelopedData, or another one in
 * AuthEnvelopedData, is no cipher that we know, lest the tag be stripped by changing the word
 * around it. */
static enum rc
parse_content_info(struct der info, struct cms_enveloped *e, struct err *err)
{
	enum oid type, oid;
	struct der params;
	bool auth;

	if (!der_take_oid(&info, &type) || !der_take_algorithm(&info, &oid, &params) ||
		!der_done(&info))
		return malformed(err, "malformed content info");
	e->cipher = content_cipher_of(oid);
	auth = content_cipher_is_authenticated(e->cipher);
	if (auth != (e->kind == CMS_AUTH_ENVELOPED)) {
		e->cipher = CIPHER_NONE;
		return RC_OK;
	}
	if (e->cipher != CIPHER_NONE && !(auth ? parse_gcm(params, e) : parse_cbc(params, e)))
		return malformed(err, "malformed parameters of the cipher");
	return RC_OK;
}

/* Makes room for MORE recipients. */
static enum rc
reserve(struct cms_enveloped *e, size_t *room, size_t more, struct err *err)
{
	struct rinfo *larger;

	if (more > CMS_MAX_RECIPIENTS - e->n)
		return err_set(err, ERR_CMS_LIMIT, "more than %d recipients", CMS_MAX_RECIPIENTS);
	if (e->n + more <= *room)
		return RC_OK;
	*room = 2 * (e->n + more);
	larger = realloc(e->rinfos, *room * sizeof *larger);
	if (!larger)
		return err_set(err, ERR_MEMORY, "recipients");
	e->rinfos = larger;
	return RC_OK;
}

/* Adds the recipients of one RecipientInfo; one of another kind, or too large a one, stays as
 * RINFO_OTHER. */
static enum rc
add_recipients(struct cms_enveloped *e, size_t *room, const struct der *whole, struct err *err)
{
	size_t n = 0;
	enum rc rc = RC_OK;

	if (whole->len <= CMS_MAX_RINFO)
		rc = rinfo_parse(whole->p, whole->len, NULL, 0, &n, err);
	if (rc == RC_OK)
		rc = reserve(e, room, n ? n : 1, err);
	if (rc != RC_OK)
		return rc;
	if (n) {
		rc = rinfo_parse(whole->p, whole->len, &e->rinfos[e->n], n, &n, err);
		e->n += n;
		return rc;
	}
	e->rinfos[e->n++] = (struct rinfo){.type = RINFO_OTHER,
		.der = (unsigned char *)(uintptr_t)whole->p,
		.der_len = whole->len};
	return RC_OK;
}

static enum rc
parse_recipients(struct der set, struct cms_enveloped *e, struct err *err)
{
	struct der_item item;
	size_t room = 0;
	enum rc rc;

	while (!der_done(&set)) {
		if (!der_next(&set, &item))
			return malformed(err, "malformed recipients");
		if ((rc = add_recipients(e, &room, &item.whole, err)) != RC_OK)
			return rc;
	}
	return e->n ? RC_OK : malformed(err, "no recipients");
}

static enum rc
parse_header(struct der in, struct cms_enveloped *e, struct err *err)
{
	struct der_item info, wrap, body, item, set, content;
	enum oid type;
	int version;
	enum rc rc;

	if (!der_take(&in, DER_SEQUENCE, &info) || !der_done(&in) ||
		!der_take_oid(&info.body, &type) ||
		!der_take(&info.body, DER_CONTEXT_CONSTRUCTED, &wrap) || !der_done(&info.body) ||
		!der_take(&wrap.body, DER_SEQUENCE, &body) || !der_done(&wrap.body))
		return malformed(err, "no ContentInfo");
	if (type != OID_ENVELOPED_DATA && type != OID_AUTH_ENVELOPED_DATA)
		return malformed(err, "another content type");
	e->kind = type == OID_ENVELOPED_DATA ? CMS_ENVELOPED : CMS_AUTH_ENVELOPED;
	if (!der_take_int(&body.body, &version))
		return malformed(err, "no version");
	(void)der_take(&body.body, DER_CONTEXT_CONSTRUCTED, &item); /* originatorInfo: of no use */
	if (!der_take(&body.body, DER_SET, &set) || !der_take(&body.body, DER_SEQUENCE, &content))
		return malformed(err, "no recipients or no content");
	e->has_auth_attrs = e->kind == CMS_AUTH_ENVELOPED &&
			    der_take(&body.body, DER_CONTEXT_CONSTRUCTED | 1, &item);
	if ((rc = parse_content_info(content.body, e, err)) != RC_OK)
		return rc;
	return parse_recipients(set.body, e, err);
}

enum rc
cms_enveloped_parse(const void *skeleton, size_t len, struct cms_enveloped **out, struct err *err)
{
	struct owned *o = calloc(1, sizeof *o);
	struct cms_enveloped *e = o ? &o->pub : NULL;
	enum rc rc;

	*out = NULL;
	if (!o || !(o->bytes = malloc(len ? len : 1))) {
		free(o);
		return err_set(err, ERR_MEMORY, "enveloped data");
	}
	if (len)
		memcpy(o->bytes, skeleton, len);
	rc = parse_header((struct der){o->bytes, len}, e, err);
	if (rc != RC_OK)
		cms_enveloped_free(&e);
	*out = e;
	return rc;
}

bool
cms_enveloped_names(const struct cms_enveloped *enveloped, const struct cert *cert)
{
	size_t issuer_len, serial_len, ski_len;
	const unsigned char *issuer = cert_issuer_der(cert, &issuer_len);
	const unsigned char *serial = cert_serial_bytes(cert, &serial_len);
	const unsigned char *ski = cert_ski(cert, &ski_len);

	for (size_t i = 0; i < enveloped->n; i++) {
		const struct rinfo *r = &enveloped->rinfos[i];

		if (r->type == RINFO_OTHER)
			continue;
		if (r->serial && r->serial_len == serial_len &&
			memcmp(r->serial, serial, serial_len) == 0 && r->issuer_len == issuer_len &&
			memcmp(r->issuer, issuer, issuer_len) == 0)
			return true;
		if (r->ski && ski_len && r->ski_len == ski_len && memcmp(r->ski, ski, ski_len) == 0)
			return true;
	}
	return false;
}

void
cms_enveloped_free(struct cms_enveloped **enveloped)
{
	struct owned *o = (struct owned *)*enveloped;

	if (!o)
		return;
	free(o->pub.rinfos);
	free(o->bytes);
	free(o);
	*enveloped = NULL;
}

/* --- the header reader --- */

struct cms_header_reader {
	struct ber_splitter *splitter;
	struct cms_enveloped *enveloped;
	enum cms_kind kind;
	enum rc rc; /* what became of the header, once done */
	bool done;
};

/* The header, parsed out of what the splitter has so far. */
static enum rc
enveloped_of(const struct ber_splitter *splitter, struct cms_enveloped **out, struct err *err)
{
	struct buf skeleton = BUF_INIT(0);
	enum rc rc = ber_skeleton(splitter, &skeleton, err);

	*out = NULL;
	if (rc == RC_OK)
		rc = cms_enveloped_parse(skeleton.data, skeleton.len, out, err);
	buf_fini(&skeleton);
	return rc;
}

static enum rc
on_reader_header(void *ctx, enum cms_kind kind, bool has_content, struct err *err)
{
	struct cms_header_reader *r = ctx;

	r->kind = kind;
	r->done = true;
	if (kind != CMS_ENVELOPED && kind != CMS_AUTH_ENVELOPED)
		return RC_OK;
	r->rc = has_content ? enveloped_of(r->splitter, &r->enveloped, err)
			    : malformed(err, "no content");
	return r->rc;
}

static enum rc
reader_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	struct cms_header_reader *r = ctx;
	const unsigned char *p = data;
	struct sink sink = ber_splitter_sink(r->splitter);
	enum rc rc = RC_OK;

	/* In small steps; what is wrong behind the header is not for us to say. */
	while (len && rc == RC_OK && !r->done) {
		size_t n = len < 512 ? len : 512;

		rc = sink.feed(sink.ctx, p, n, err);
		p += n;
		len -= n;
	}
	return r->done ? r->rc : rc;
}

static enum rc
reader_finish(void *ctx, struct err *err)
{
	struct cms_header_reader *r = ctx;

	return r->done ? RC_OK : malformed(err, "cut off in the header");
}

enum rc
cms_header_reader_new(struct cms_header_reader **out, struct err *err)
{
	struct cms_header_reader *r = calloc(1, sizeof *r);
	struct ber_handler handler = {.header = on_reader_header, .ctx = r};
	enum rc rc;

	*out = NULL;
	if (!r)
		return err_set(err, ERR_MEMORY, "header reader");
	rc = ber_splitter_new(&handler, &r->splitter, err);
	if (rc != RC_OK)
		cms_header_reader_free(&r);
	*out = r;
	return rc;
}

struct sink
cms_header_reader_sink(struct cms_header_reader *reader)
{
	return (struct sink){.feed = reader_feed, .finish = reader_finish, .ctx = reader};
}

bool
cms_header_done(const struct cms_header_reader *reader)
{
	return reader->done;
}

enum cms_kind
cms_header_kind(const struct cms_header_reader *reader)
{
	return reader->kind;
}

enum rc
cms_header_take(struct cms_header_reader *reader, struct cms_enveloped **out, struct err *err)
{
	*out = reader->enveloped;
	reader->enveloped = NULL; /* the caller's now */
	return *out ? RC_OK : malformed(err, "no header");
}

void
cms_header_reader_free(struct cms_header_reader **reader)
{
	struct cms_header_reader *r = *reader;

	if (!r)
		return;
	ber_splitter_free(&r->splitter);
	cms_enveloped_free(&r->enveloped);
	free(r);
	*reader = NULL;
}
