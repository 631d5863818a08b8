/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fakevault.h - stands in for keystore/client.h in tests of the pipeline: keys in memory, calls
 * counted, any call can be made to fail
 */
#ifndef TESTS_UNIT_MILTER_FAKEVAULT_H
#define TESTS_UNIT_MILTER_FAKEVAULT_H

#include "crypto/cert.h"
#include "keystore/client.h"

struct fake_person {
	const char *addr;
	struct pkey *key;
	struct cert *cert;
	bool client_key;
	bool other_cek; /* opens to a content key of its own, as a forged RecipientInfo would */
};

enum fake_call { FAKE_FIND, FAKE_HOLDS, FAKE_SIGN, FAKE_MATCH, FAKE_OPEN, FAKE_RECORD, FAKE_N };

extern struct fake_person fake_people[8]; /* whose keys the vault has; addr NULL: free */
extern unsigned fake_calls[FAKE_N];
extern enum errcode fake_fail[FAKE_N]; /* ERR_NONE: works */
extern int64_t fake_signing_time;      /* of the last request */
extern char fake_event[32];            /* last event recorded */

/* A person with a P-256 key certified by CA; CA NULL: a CA itself. */
void fake_make(struct fake_person *person, const char *addr, const struct fake_person *ca);
void fake_free(struct fake_person *person);
void fake_reset(void); /* counters and failures */

#endif
