/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trust_rules.h - what is good enough under one anchor: key sizes, curves, hashes by date,
 * policies, and whether an address in the subject counts
 *
 * Made from struct trust_options, once for the whole trust and once more for each anchor that has
 * settings of its own; what an anchor leaves open is the trust's.
 */
#ifndef CRYPTO_TRUST_RULES_H
#define CRYPTO_TRUST_RULES_H

#include "crypto/trust.h"

#include <openssl/x509.h>

#define RULES_MAX_CURVES   16
#define RULES_MAX_POLICIES 64

struct trust_rules {
	struct revocation_rule revocation;
	int min_rsa;        /* bits */
	int64_t sha1_until; /* SHA-1 before this time is no weakness; 0: never */
	enum subject_address subject_address;
	int curves[RULES_MAX_CURVES]; /* NIDs; n 0: all of 224 bits and more */
	size_t n_curves;
	STACK_OF(ASN1_OBJECT) * policies; /* owned; never empty */
	bool require_policy, inhibit_mapping, inhibit_any;
};

/* FALLBACK: for what OPTIONS leave open; NULL: these are the trust's. ERR_USAGE. */
enum rc trust_rules_init(struct trust_rules *rules, const struct trust_options *options,
	const struct trust_rules *fallback, struct err *err);
void trust_rules_fini(struct trust_rules *rules);
/* Notes the first weakness of the N certificates, leaf first, trust anchor last. */
void trust_rules_strength(
	const struct trust_rules *rules, X509 *const *chain, int n, struct verdict *verdict);
/* Fills the sender part. ADDR: canonical; NULL: unchecked. */
void trust_rules_sender(const struct trust_rules *rules, struct cert *leaf, const char *addr,
	struct verdict *verdict);

#endif
