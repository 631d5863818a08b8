/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch_issuers.h - certificates of CAs that somebody who checks certificates had a path over
 *
 * The fetcher has no trust anchors. Whoever asks it for a CA's list tells it the CA's certificate,
 * so that a list that this CA did not sign can be told from one that it did. They lie in a folder,
 * for the next start. A certificate here decides nothing but which of two lists stays.
 *
 * Limits: ISSUERS_KNOWN_MAX; past that the one that has been known longest goes.
 */
#ifndef DIRECTORY_FETCH_ISSUERS_H
#define DIRECTORY_FETCH_ISSUERS_H

#include "crypto/cert.h"

#define ISSUERS_KNOWN_MAX 500

/* What lies in DIR (fetch.dir), into KNOWN; what cannot be read is left out. */
enum rc fetch_issuers_load(const char *dir, struct certset *known, struct err *err);
/* One more, DER. RC_NONE: it is known. */
enum rc fetch_issuers_add(
	const char *dir, struct certset *known, const void *der, size_t len, struct err *err);

#endif
