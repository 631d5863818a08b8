/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cms_verify.h - reading SignedData: attributes, digests, signatures
 *
 * Detached: parse the signature first (cms_signed_parse), ask which digests it needs, hash the
 * content, verify. Opaque: cms_signed_reader takes the whole CMS as a stream, hashes its content
 * and hands it to a sink. The path of each signer's certificate is judged by trust.h;
 * cms_signed_verify does both and matches the sender.
 *
 * Limits: CMS_MAX_SIGNERS SignerInfos, CMS_MAX_DIGESTS different digests, 128 certificates,
 * BER_MAX_CAPTURE bytes.
 */
#ifndef CRYPTO_CMS_VERIFY_H
#define CRYPTO_CMS_VERIFY_H

#include "crypto/trust.h"

#define CMS_MAX_SIGNERS 16
#define CMS_MAX_DIGESTS 4

struct cms_signed;

/* A detached (or finished opaque) SignedData, BER or DER. */
enum rc cms_signed_parse(const void *ber, size_t len, struct cms_signed **out, struct err *err);
void cms_signed_free(struct cms_signed **sd);
/* Bit set of enum digest that its signers use (those that are known). */
unsigned cms_signed_digests(const struct cms_signed *sd);
size_t cms_signed_signers(const struct cms_signed *sd); /* 0: certificates only, never "signed" */

/*
 * The verdict over all signers with the content's digests in HASHER (finished). ADDR: the From:
 * address, or NULL. Every signer must be good. EXTRA: more candidates for signer certificates and
 * paths; may be NULL. AT: -1 for now. RC_OK whatever the verdict; an algorithm the library can't do
 * is "unsupported", a weak one "weak". VERDICT is initialised here, and is the caller's to
 * verdict_fini. TRUST may be NULL: then no path is known. A certificate that was not found is
 * "unsupported" too.
 */
enum rc cms_signed_verify(struct cms_signed *sd, const struct hasher *hasher, struct trust *trust,
	const struct certset *extra, const char *addr, int64_t at, struct verdict *verdict,
	struct err *err);

/* The same, asked in full. */
struct cms_asked {
	const char *addr;                       /* or NULL */
	int64_t at;                             /* -1: now */
	int64_t received;                       /* when the message came in; -1: at AT */
	const enum revocation_mode *revocation; /* a rule's own; NULL: the anchors' */
	struct effort *effort; /* what the message may still cost; NULL: this object alone */
};
enum rc cms_signed_verify_asked(struct cms_signed *sd, const struct hasher *hasher,
	struct trust *trust, const struct certset *extra, const struct cms_asked *asked,
	struct verdict *verdict, struct err *err);

/* The opaque stream: feed CMS bytes; content goes to TO as it comes; after finish take both
 * results. */
struct cms_signed_reader;
enum rc
cms_signed_reader_new(const struct sink *to, struct cms_signed_reader **out, struct err *err);
struct sink cms_signed_reader_sink(struct cms_signed_reader *reader);
/* After finish: ownership of the parsed structure goes to the caller; the hasher stays the
 * reader's. */
enum rc cms_signed_reader_take(struct cms_signed_reader *reader, struct cms_signed **sd,
	const struct hasher **hasher, struct err *err);
void cms_signed_reader_free(struct cms_signed_reader **reader);

#endif
