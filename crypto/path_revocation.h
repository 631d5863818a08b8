/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path_revocation.h - was any certificate of a finished path revoked?
 *
 * Leaf first, each by what its issuer says (revocation.h), and what is unknown by the rule that is
 * in force (revocation_rule.h). Nothing is fetched: whoever watches hears what is missing
 * (watch.h).
 */
#ifndef CRYPTO_PATH_REVOCATION_H
#define CRYPTO_PATH_REVOCATION_H

#include "crypto/path.h"

/* CHAIN is valid, leaf first, trust anchor last: the anchor is not asked for. Fills revocation and
 * reason of VERDICT. RC_OK whatever the answer; RC_TEMP for want of memory. */
enum rc path_check_revocation(const struct path_request *request, STACK_OF(X509) * chain,
	struct verdict *verdict, struct err *err);

#endif
