/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/cms_signed.h"

#include "crypto/ber.h"
#include "crypto/openssl_glue.h"

#include <stdlib.h>

#define MAX_LISTED 256 /* algorithms in digestAlgorithms */
#define MAX_CERTS  128 /* in one message: each that is new costs a quarter of a millisecond */

static enum rc
malformed(struct err *err, const char *what)
{
	return err_set(err, ERR_CMS_MALFORMED, "signed data: %s", what);
}

/* --- parsing what the splitter kept --- */

/* The certificates, each through the cache. One that is malformed or of an old kind is as good as
 * absent. */
static enum rc
take_certs(struct cms_signed *sd, struct der list, struct err *err)
{
	struct der_item item;
	struct cert *cert;
	struct err ignored = ERR_INIT;
	enum rc rc = RC_OK;

	for (unsigned n = 0; rc == RC_OK && !der_done(&list); n++) {
		if (n == MAX_CERTS)
			return err_set(err, ERR_CMS_LIMIT, "signed data: more than %d certificates",
				MAX_CERTS);
		if (!der_next(&list, &item))
			return malformed(err, "malformed certificates");
		if (item.tag != DER_SEQUENCE)
			continue;
		rc = cert_parse(item.whole.p, item.whole.len, &cert, &ignored);
		if (rc == RC_OK) {
			/* Without a key that can be decoded it is good for nothing, least of all in
			 * a path. */
			if (cert_pubkey(cert))
				rc = certset_add(&sd->certs, cert, err);
			else
				ossl_clear();
			cert_unref(&cert);
		} else if (rc == RC_PERM) {
			rc = RC_OK;
		} else if (err) {
			*err = ignored;
		}
	}
	return rc;
}

static enum rc
take_listed(struct cms_signed *sd, struct der list, struct err *err)
{
	struct der params;
	enum oid oid;

	for (unsigned n = 0; !der_done(&list); n++) {
		if (n == MAX_LISTED)
			return err_set(err, ERR_CMS_LIMIT,
				"signed data: more than %d digest algorithms", MAX_LISTED);
		if (!der_take_algorithm(&list, &oid, &params))
			return malformed(err, "malformed digest algorithms");
		if (oid_digest(oid) != DIGEST_NONE)
			sd->listed |= 1u << oid_digest(oid);
	}
	if (__builtin_popcount(sd->listed) > CMS_MAX_DIGESTS)
		return err_set(err, ERR_CMS_LIMIT, "signed data: more than %d different digests",
			CMS_MAX_DIGESTS);
	return RC_OK;
}

static enum rc
take_signers(struct cms_signed *sd, struct der list, struct err *err)
{
	while (!der_done(&list)) {
		if (sd->n == CMS_MAX_SIGNERS)
			return err_set(err, ERR_CMS_LIMIT, "signed data: more than %d signers",
				CMS_MAX_SIGNERS);
		if (!signer_take(&list, &sd->signers[sd->n]))
			return malformed(err, "malformed SignerInfo");
		sd->n++;
	}
	return RC_OK;
}

static enum rc
parse_skeleton(struct cms_signed *sd, struct err *err)
{
	struct der in = {(const unsigned char *)sd->bytes.data, sd->bytes.len};
	struct der_item info, wrap, body, digests, encap, type, item;
	enum oid oid;
	int version;
	enum rc rc;

	if (!der_take(&in, DER_SEQUENCE, &info) || !der_take_oid(&info.body, &oid) ||
		oid != OID_SIGNED_DATA || !der_take(&info.body, DER_CONTEXT_CONSTRUCTED, &wrap) ||
		!der_take(&wrap.body, DER_SEQUENCE, &body) || !der_take_int(&body.body, &version) ||
		!der_take(&body.body, DER_SET, &digests) ||
		!der_take(&body.body, DER_SEQUENCE, &encap) ||
		!der_take(&encap.body, DER_OID, &type) || !der_done(&encap.body))
		return malformed(err, "malformed SignedData");
	sd->content_type = type.whole;
	sd->content_oid = oid_find(type.body.p, type.body.len);
	if ((rc = take_listed(sd, digests.body, err)) != RC_OK)
		return rc;
	if (der_take(&body.body, DER_CONTEXT_CONSTRUCTED, &item) &&
		(rc = take_certs(sd, item.body, err)) != RC_OK)
		return rc;
	(void)der_take(&body.body, DER_CONTEXT_CONSTRUCTED | 1, &item); /* CRLs: never believed */
	if (!der_take(&body.body, DER_SET, &item) || !der_done(&body.body))
		return malformed(err, "no SignerInfos");
	return take_signers(sd, item.body, err);
}

/* Out of what the splitter has so far. */
static enum rc
signed_of(const struct ber_splitter *splitter, struct cms_signed **out, struct err *err)
{
	struct cms_signed *sd = calloc(1, sizeof *sd);
	enum rc rc;

	*out = NULL;
	if (!sd)
		return err_set(err, ERR_MEMORY, "signed data");
	rc = ber_skeleton(splitter, &sd->bytes, err);
	if (rc == RC_OK)
		rc = parse_skeleton(sd, err);
	if (rc != RC_OK)
		cms_signed_free(&sd);
	*out = sd;
	return rc;
}

/* --- whole in memory --- */

static enum rc
on_parse_header(void *ctx, enum cms_kind kind, bool has_content, struct err *err)
{
	(void)ctx;
	(void)has_content;
	return kind == CMS_SIGNED
		       ? RC_OK
		       : err_set(err, ERR_CMS_UNSUPPORTED, "signed data: another content type");
}

enum rc
cms_signed_parse(const void *ber, size_t len, struct cms_signed **out, struct err *err)
{
	struct ber_handler handler = {.header = on_parse_header};
	struct ber_splitter *splitter = NULL;
	struct sink sink;
	enum rc rc = ber_splitter_new(&handler, &splitter, err);

	*out = NULL;
	if (rc != RC_OK)
		return rc;
	sink = ber_splitter_sink(splitter);
	rc = sink_feed(&sink, ber, len, err);
	if (rc == RC_OK)
		rc = sink_finish(&sink, err);
	if (rc == RC_OK)
		rc = signed_of(splitter, out, err);
	ber_splitter_free(&splitter);
	return rc;
}

void
cms_signed_free(struct cms_signed **sd)
{
	if (!*sd)
		return;
	certset_fini(&(*sd)->certs);
	buf_fini(&(*sd)->bytes);
	free(*sd);
	*sd = NULL;
}

unsigned
cms_signed_digests(const struct cms_signed *sd)
{
	unsigned set = 0;

	for (size_t i = 0; i < sd->n; i++) {
		if (sd->signers[i].digest != DIGEST_NONE && digest_evp(sd->signers[i].digest))
			set |= 1u << sd->signers[i].digest;
	}
	return set & sd->listed;
}

size_t
cms_signed_signers(const struct cms_signed *sd)
{
	return sd->n;
}

/* --- as a stream --- */

struct cms_signed_reader {
	struct ber_splitter *splitter;
	struct sink to;
	struct hasher *hasher;
	struct cms_signed *sd;
};

static enum rc
on_header(void *ctx, enum cms_kind kind, bool has_content, struct err *err)
{
	struct cms_signed_reader *r = ctx;
	struct cms_signed *head = NULL;
	unsigned set = 0;
	enum rc rc;

	if (kind != CMS_SIGNED)
		return err_set(err, ERR_CMS_UNSUPPORTED, "signed data: another content type");
	if (!has_content)
		return malformed(err, "no content");
	rc = signed_of(r->splitter, &head, err);
	if (rc != RC_OK)
		return rc;
	/* The SignerInfos are not there yet: what digestAlgorithms lists is what they may use. */
	for (int i = DIGEST_NONE + 1; i < DIGEST_COUNT; i++) {
		if (head->listed & 1u << i && digest_evp(i))
			set |= 1u << i;
	}
	cms_signed_free(&head);
	return hasher_new(set, &r->hasher, err);
}

static enum rc
on_content(void *ctx, const void *data, size_t len, struct err *err)
{
	struct cms_signed_reader *r = ctx;
	struct sink hash = hasher_sink(r->hasher);
	enum rc rc = sink_feed(&hash, data, len, err);

	return rc == RC_OK ? sink_feed(&r->to, data, len, err) : rc;
}

static enum rc
on_trailer(void *ctx, struct err *err)
{
	struct cms_signed_reader *r = ctx;

	return signed_of(r->splitter, &r->sd, err);
}

static enum rc
reader_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	struct cms_signed_reader *r = ctx;
	struct sink sink = ber_splitter_sink(r->splitter);

	return sink.feed(sink.ctx, data, len, err);
}

static enum rc
reader_finish(void *ctx, struct err *err)
{
	struct cms_signed_reader *r = ctx;
	struct sink sink = ber_splitter_sink(r->splitter), hash;
	enum rc rc = sink.finish(sink.ctx, err);

	if (rc != RC_OK)
		return rc;
	hash = hasher_sink(r->hasher);
	rc = sink_finish(&hash, err);
	return rc == RC_OK ? sink_finish(&r->to, err) : rc;
}

enum rc
cms_signed_reader_new(const struct sink *to, struct cms_signed_reader **out, struct err *err)
{
	struct cms_signed_reader *r = calloc(1, sizeof *r);
	struct ber_handler handler = {
		.header = on_header, .content = on_content, .trailer = on_trailer, .ctx = r};
	enum rc rc;

	*out = NULL;
	if (!r)
		return err_set(err, ERR_MEMORY, "signed data");
	r->to = *to;
	rc = ber_splitter_new(&handler, &r->splitter, err);
	if (rc != RC_OK)
		cms_signed_reader_free(&r);
	*out = r;
	return rc;
}

struct sink
cms_signed_reader_sink(struct cms_signed_reader *reader)
{
	return (struct sink){.feed = reader_feed, .finish = reader_finish, .ctx = reader};
}

enum rc
cms_signed_reader_take(struct cms_signed_reader *reader, struct cms_signed **sd,
	const struct hasher **hasher, struct err *err)
{
	*sd = reader->sd;
	*hasher = reader->hasher;
	reader->sd = NULL; /* the caller's now */
	return *sd ? RC_OK : malformed(err, "cut off");
}

void
cms_signed_reader_free(struct cms_signed_reader **reader)
{
	struct cms_signed_reader *r = *reader;

	if (!r)
		return;
	ber_splitter_free(&r->splitter);
	hasher_free(&r->hasher);
	cms_signed_free(&r->sd);
	free(r);
	*reader = NULL;
}
