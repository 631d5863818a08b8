/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trust_state.h - what trust is made from and may change under a running daemon
 */
#ifndef MILTER_TRUST_STATE_H
#define MILTER_TRUST_STATE_H

#include "base/conf.h"
#include "directory/certstore.h"

/* The folders of CRLs and of what the fetcher got. */
struct trust_dirs {
	const char *crls; /* the configuration's; or NULL */
	char *fetched[2];
};
/* trust_dirs_fini also after a failure. */
enum rc trust_dirs_init(struct trust_dirs *dirs, const struct conf *conf, struct err *err);
void trust_dirs_fini(struct trust_dirs *dirs);

struct trust_state {
	char *anchors;    /* of the store: fingerprints and domains */
	int64_t crl_time; /* of the CRL folder's last change, nanoseconds; 0: not there */
};
/* STORE may be NULL. trust_state_fini also after a failure. */
enum rc trust_state_get(const struct conf *conf, const struct trust_dirs *dirs,
	struct certstore *store, struct trust_state *out, struct err *err);
int64_t trust_state_crl_time(const struct trust_dirs *dirs);
bool trust_state_equal(const struct trust_state *a, const struct trust_state *b);
void trust_state_fini(struct trust_state *state);

#endif
