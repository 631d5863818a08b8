/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/cms_sign.h"

#include "crypto/oid.h"

#include <stdlib.h>

/*
 * An opaque SignedData is the detached one with [0] { OCTET STRING } put into its
 * EncapsulatedContentInfo. All lengths are known, so what stands before the content is written at
 * once, then the content goes through, then comes the rest.
 */
struct cms_opaque {
	struct sink to;
	struct der_out frame; /* all but the content, which belongs at later_at */
	uint64_t left;        /* of the content */
	bool started;
};

/* Writes the frame around CONTENT_LEN bytes from the elements of the detached one. */
static enum rc
build_frame(struct der_out *w, const void *der, size_t len, uint64_t content_len, struct err *err)
{
	struct der in = {der, len};
	struct der_item info, type, wrap, body, version, algorithms, encap, encap_type;
	size_t at[5];

	if (!der_take(&in, DER_SEQUENCE, &info) || !der_take(&info.body, DER_OID, &type) ||
		oid_find(type.body.p, type.body.len) != OID_SIGNED_DATA ||
		!der_take(&info.body, DER_CONTEXT_CONSTRUCTED, &wrap) ||
		!der_take(&wrap.body, DER_SEQUENCE, &body) ||
		!der_take(&body.body, DER_INTEGER, &version) ||
		!der_take(&body.body, DER_SET, &algorithms) ||
		!der_take(&body.body, DER_SEQUENCE, &encap) ||
		!der_take(&encap.body, DER_OID, &encap_type) || !der_done(&encap.body))
		return err_set(err, ERR_CMS_MALFORMED, "not a detached SignedData");
	at[0] = der_begin(w);
	der_put_raw(w, type.whole.p, type.whole.len);
	at[1] = der_begin(w);
	at[2] = der_begin(w);
	der_put_raw(w, version.whole.p, version.whole.len);
	der_put_raw(w, algorithms.whole.p, algorithms.whole.len);
	at[3] = der_begin(w);
	der_put_raw(w, encap_type.whole.p, encap_type.whole.len);
	at[4] = der_begin(w);
	der_put_later(w, DER_OCTETS, content_len);
	der_end(w, at[4], DER_CONTEXT_CONSTRUCTED);
	der_end(w, at[3], DER_SEQUENCE);
	der_put_raw(w, body.body.p, body.body.len); /* certificates and SignerInfos */
	der_end(w, at[2], DER_SEQUENCE);
	der_end(w, at[1], DER_CONTEXT_CONSTRUCTED);
	der_end(w, at[0], DER_SEQUENCE);
	return w->rc;
}

/* What stands before the content. */
static enum rc
start(struct cms_opaque *o, struct err *err)
{
	o->started = true;
	return sink_feed(&o->to, o->frame.buf.data, o->frame.later_at, err);
}

static enum rc
opaque_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	struct cms_opaque *o = ctx;
	enum rc rc = RC_OK;

	if (len > o->left)
		return err_set(err, ERR_INTERNAL, "opaque signature: more content than announced");
	if (!o->started)
		rc = start(o, err);
	o->left -= len;
	return rc == RC_OK ? sink_feed(&o->to, data, len, err) : rc;
}

static enum rc
opaque_finish(void *ctx, struct err *err)
{
	struct cms_opaque *o = ctx;
	struct buf *b = &o->frame.buf;
	enum rc rc = RC_OK;

	if (o->left)
		return err_set(err, ERR_INTERNAL, "opaque signature: less content than announced");
	if (!o->started)
		rc = start(o, err);
	if (rc == RC_OK)
		rc = sink_feed(
			&o->to, b->data + o->frame.later_at, b->len - o->frame.later_at, err);
	return rc == RC_OK ? sink_finish(&o->to, err) : rc;
}

enum rc
cms_opaque_new(const void *detached, size_t detached_len, uint64_t content_len,
	const struct sink *to, struct cms_opaque **out, struct err *err)
{
	struct cms_opaque *o = calloc(1, sizeof *o);
	enum rc rc;

	*out = NULL;
	if (!o)
		return err_set(err, ERR_MEMORY, "opaque signature");
	o->to = *to;
	o->left = content_len;
	der_out_init(&o->frame, detached_len + 128, err);
	rc = build_frame(&o->frame, detached, detached_len, content_len, err);
	o->frame.err = NULL; /* the caller's, and not for longer than this call */
	if (rc != RC_OK)
		cms_opaque_free(&o);
	*out = o;
	return rc;
}

struct sink
cms_opaque_sink(struct cms_opaque *opaque)
{
	return (struct sink){.feed = opaque_feed, .finish = opaque_finish, .ctx = opaque};
}

void
cms_opaque_free(struct cms_opaque **opaque)
{
	if (!*opaque)
		return;
	der_out_fini(&(*opaque)->frame);
	free(*opaque);
	*opaque = NULL;
}
