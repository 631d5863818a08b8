/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trust_conf.h - anchors, intermediates and CRLs as the configuration names them
 *
 * Also for `sealgate verify` and `cert check`.
 */
#ifndef MILTER_TRUST_CONF_H
#define MILTER_TRUST_CONF_H

#include "base/conf.h"
#include "crypto/trust.h"
#include "directory/certstore.h"

/* STORE may be NULL: no anchors from there. OPTIONS: more than the configuration says (policies);
 * NULL: none. */
enum rc trust_from_conf(const struct conf *conf, struct certstore *store,
	const struct trust_options *options, struct trust **out, struct err *err);

/* What may change under a running daemon: the store's anchors and the CRL folder. */
struct trust_state {
	char *anchors;    /* fingerprints and domains */
	int64_t crl_time; /* of the folder's last change, nanoseconds; 0: not there */
};
enum rc trust_state_get(
	const struct conf *conf, struct certstore *store, struct trust_state *out, struct err *err);
bool trust_state_equal(const struct trust_state *a, const struct trust_state *b);
void trust_state_fini(struct trust_state *state);

#endif
