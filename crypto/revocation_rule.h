/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * revocation_rule.h - what is done with an answer about revocation
 *
 * "Unknown" stays its own answer to the end; only here is it said whether that is good enough.
 */
#ifndef CRYPTO_REVOCATION_RULE_H
#define CRYPTO_REVOCATION_RULE_H

#include <stdbool.h>
#include <stdint.h>

enum revocation_mode {
	REVOKE_OFF,      /* nobody is asked */
	REVOKE_IF_KNOWN, /* soft: unknown is noted */
	REVOKE_REQUIRED, /* hard: unknown is a failure */
	REVOKE_GRACE     /* hard, but what has expired counts for GRACE seconds more */
};

struct revocation_rule {
	enum revocation_mode mode;
	int64_t grace; /* seconds after nextUpdate */
	/* What a certificate signed before it was revoked stays good, unless its key was
	 * compromised. */
	bool dated;
};

#endif
