/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetched.h - is this, which some server sent, what was asked for?
 *
 * A first look before it is kept: it parses as a revocation list, as certificates of CAs, as an
 * answer of an OCSP responder about the certificate in question; how long it is good; whether it is
 * newer than what is there. Nothing is believed here: signatures are for those who use it.
 *
 * Limits: by the caller, who says how much is fetched at most; CERTSET_MAX certificates.
 */
#ifndef CRYPTO_FETCHED_H
#define CRYPTO_FETCHED_H

#include "base/buf.h"
#include "crypto/cert_urls.h"

#include <stdint.h>

#define FETCHED_SKEW 3600 /* seconds that a sender's clock may be ahead */

/* Is a list signed by a key of its issuer that is known here? UNPROVEN: none is known; DOUBTFUL: by
 * none of those that are. */
enum fetched_proof { FETCHED_UNPROVEN, FETCHED_PROVEN, FETCHED_DOUBTFUL };

struct fetched {
	/* thisUpdate, nextUpdate (-1: none); of certificates the earliest end. */
	int64_t begins, ends;
	struct buf data;          /* what is to be written: DER, or PEM where there are several */
	enum fetched_proof proof; /* of a list */
	bool beside; /* a list that is doubtful: the one there is proven and has to stay */
};

void fetched_fini(struct fetched *fetched);

/* What a list is held against. */
struct fetched_there {
	const void *old; /* the list there is; OLD_LEN 0: none */
	size_t old_len;
	const struct certset
		*known; /* certificates of CAs that somebody had a path over; or NULL */
	int64_t now;
};
/*
 * DATA as a revocation list, DER or PEM. One that begins in the future, is older than the one
 * there, has a smaller number at the same date or, while that one is still good at NOW, is from
 * another issuer is refused; not so when it is proven and the one there is not. RC_NONE: the same
 * bytes as are there (*out is filled).
 */
enum rc fetched_crl(const void *data, size_t len, const struct fetched_there *there,
	struct fetched *out, struct err *err);
/* Where its deltas are; what is no list has none. */
enum rc fetched_crl_urls(const struct fetched *crl, struct cert_urls *out, struct err *err);
/* Where the issuers of CA certificates are; of several certificates the first URLs. */
enum rc fetched_issuer_urls(const struct fetched *certs, struct cert_urls *out, struct err *err);
/* DATA as CA certificates: DER, PEM or a certs-only PKCS#7. Others in it are left out. */
enum rc fetched_certs(const void *data, size_t len, const void *old, size_t old_len, int64_t now,
	struct fetched *out, struct err *err);

/* What to do about a nonce (RFC 9654): none; one, which may be missing in the answer; one, which
 * must be there. */
enum fetched_nonce { NONCE_OFF, NONCE_SEND, NONCE_REQUIRE };

/* Is DATA an OCSP request about one certificate? */
bool fetched_is_request(const void *data, size_t len);
/* REQUEST about one certificate anew, as DER, with a fresh nonce or none. */
enum rc fetched_ask(const void *request, size_t len, enum fetched_nonce nonce, struct buf *out,
	struct err *err);
/* What an answer is held against. */
struct fetched_answer {
	const void *request; /* as it was sent */
	size_t request_len;
	enum fetched_nonce nonce;
	const void *old; /* what is there; OLD_LEN 0: nothing */
	size_t old_len;
	int64_t old_begins;          /* its thisUpdate; -1: unknown */
	const struct certset *known; /* as in struct fetched_there */
};
/* DATA as a responder's answer. One that neither the CA nor a responder of it signed is refused,
 * when the CA is known: nobody would believe it. RC_NONE: the same bytes as what is there. */
enum rc fetched_ocsp(const struct fetched_answer *answer, const void *data, size_t len, int64_t now,
	struct fetched *out, struct err *err);

/* Several values of one LDAP attribute as PEM: "X509 CRL" or "CERTIFICATE". */
enum rc fetched_append_pem(
	const char *label, const void *der, size_t len, struct buf *out, struct err *err);

#endif
