/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * anchors.h - the trust that a configuration describes: for the milter, `verify` and `cert`
 */
#ifndef DIRECTORY_ANCHORS_H
#define DIRECTORY_ANCHORS_H

#include "base/conf.h"
#include "crypto/trust.h"
#include "directory/certstore.h"

/* The section "trust" as options, which borrow from CONF. ERR_CONFIG. */
enum rc anchors_options(const struct conf *conf, struct trust_options *options, struct err *err);
/* Puts the configured anchors, intermediates and CRLs in, and the anchors of STORE (may be NULL)
 * when trust.anchors_from_store says so. What the fetcher got is put in too, and what is
 * missed later is told to it (wants.h). An anchor file that cannot be read is ERR_CONFIG with file
 * and line; a CRL or intermediate that cannot is logged and left out. */
enum rc anchors_load(
	const struct conf *conf, struct certstore *store, struct trust *trust, struct err *err);
/* The folder of fetched files of KIND ("crl", "aia", "ocsp") as a new string; NULL: no memory. */
char *anchors_fetched(const struct conf *conf, const char *kind);
/* Both: a new trust from CONF. */
enum rc anchors_trust(
	const struct conf *conf, struct certstore *store, struct trust **out, struct err *err);

#endif
