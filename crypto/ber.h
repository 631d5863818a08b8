/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ber.h - a push splitter for CMS in BER or DER (RFC 5652), no OpenSSL
 *
 * Takes bytes as they come and cuts a ContentInfo into what stands before the content, the content
 * octets (primitive or constructed, definite or indefinite, nested), and what stands after.
 * Everything but the content is captured with definite outer lengths, at most BER_MAX_CAPTURE
 * bytes, so that a small DER skeleton without content can be given to OpenSSL; content octets are
 * handed out as they come.
 *
 * Limits: BER_MAX_CAPTURE, BER_MAX_DEPTH levels, tags below 31. Refused: trailing bytes (junk after
 * the object is counted, not read, see ber_trailing), lengths beyond 2^48, children that leave
 * their parent.
 */
#ifndef CRYPTO_BER_H
#define CRYPTO_BER_H

#include "base/buf.h"
#include "base/sink.h"

#include <stdbool.h>
#include <stdint.h>

#define BER_MAX_CAPTURE (1u << 20)
#define BER_MAX_DEPTH   32

enum cms_kind {
	CMS_OTHER,
	CMS_DATA,
	CMS_SIGNED,
	CMS_ENVELOPED,
	CMS_AUTH_ENVELOPED,
	CMS_COMPRESSED
};

/* What the splitter tells, in this order: header, content (any number of times), trailer. A
 * callback's failure stops it. */
struct ber_handler {
	/* All before the content is known: the kind; content type OID inside (DER of the OBJECT
	 * IDENTIFIER); the elements before and around the content as a skeleton (kind-specific, see
	 * ber.c). HAS_CONTENT is false for detached. */
	enum rc (*header)(void *ctx, enum cms_kind kind, bool has_content, struct err *err);
	enum rc (*content)(void *ctx, const void *data, size_t len, struct err *err);
	enum rc (*trailer)(void *ctx, struct err *err);
	void *ctx;
};

struct ber_splitter;
enum rc
ber_splitter_new(const struct ber_handler *handler, struct ber_splitter **out, struct err *err);
/* The same bytes were split before: what stands before the content is not put in order again, and
 * there is no skeleton. */
void ber_splitter_known(struct ber_splitter *splitter);
struct sink ber_splitter_sink(struct ber_splitter *splitter);
void ber_splitter_free(struct ber_splitter **splitter);
/* The ContentInfo without its content (detached), as definite-length BER; whole only after trailer;
 * in header() what is known so far, with empty SETs where the rest will be. */
enum rc ber_skeleton(const struct ber_splitter *splitter, struct buf *out, struct err *err);
/* AuthEnvelopedData: the mac, after trailer. */
const unsigned char *ber_mac(const struct ber_splitter *splitter, size_t *len);
/* After trailer: authAttrs as they came, with definite lengths and their [1] tag; false when there
 * are none. */
bool ber_auth_attrs(const struct ber_splitter *splitter, const unsigned char **p, size_t *len);
/* Bytes behind the object. */
uint64_t ber_trailing(const struct ber_splitter *splitter);

#endif
