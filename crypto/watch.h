/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch.h - somebody who wants to know what the checking of certificates needs from the network
 *
 * Nothing is fetched here. Whoever sets a watcher on a trust hears, for each certificate of a path
 * that leads to an anchor, where its revocation list and its OCSP responder are, and whether they
 * were missed; and, where no path was found for want of an issuer, where that may be had. A
 * stranger's certificate is only ever good for the latter.
 *
 * Threads: called from all that check certificates; it has to be quick and must not wait.
 */
#ifndef CRYPTO_WATCH_H
#define CRYPTO_WATCH_H

#include "crypto/cert_urls.h"

struct watch_note {
	enum cert_url_kind kind;
	const char *url;
	bool missing;        /* nobody knows; else it is known, and used */
	const char *name;    /* OCSP: the file that the answer is looked for in; else NULL */
	const void *request; /* OCSP: DER */
	size_t request_len;
};

struct watcher {
	/* Is it worth finding the URLs of this certificate now? */
	bool (*cares)(void *ctx, const unsigned char *sha256, bool missing);
	void (*note)(void *ctx, const struct watch_note *note);
	/* Lists of this CA, over which a path led, may be noted next; NULL: does not matter. */
	void (*issuer)(void *ctx, const struct cert *issuer);
	/* Was the certificate at this URL asked for, and neither come nor given up yet? */
	bool (*awaits)(void *ctx, const char *url);
	void (*free)(void *ctx); /* when the trust ends */
	void *ctx;
};

/* CERT, by ISSUER, on a valid path; MISSING: whether it is revoked is unknown. WATCHER may be NULL.
 * Trouble is nobody's business: it will be asked again. */
void watch_revocation(const struct watcher *watcher, const struct cert *cert,
	const struct cert *issuer, bool missing);
/* Where a missing issuer may be had; is it awaited from there? */
bool watch_issuer(const struct watcher *watcher, const char *url);

#endif
