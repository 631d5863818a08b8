/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * people.h - a CA and certificates for the tests of directory/, made on the spot
 */
#ifndef TESTS_UNIT_DIRECTORY_PEOPLE_H
#define TESTS_UNIT_DIRECTORY_PEOPLE_H

#include "tests/unit/unit.h"

#include "base/clock.h"
#include "crypto/issue.h"
#include "crypto/trust.h"

#define DAY      86400
#define TEST_NOW 1800000000 /* January 2027 */

struct people {
	struct pkey *ca_key, *key;
	struct cert *ca;
	struct buf spki; /* one key for all: keys do not matter here */
};

static inline void
people_init(struct people *people)
{
	struct err err = ERR_INIT;
	struct issue_request request = {
		.common_name = "Test CA",
		.not_before = TEST_NOW - 1000 * DAY,
		.not_after = TEST_NOW + 1000 * DAY,
	};

	memset(people, 0, sizeof(*people));
	if (pkey_generate("p256", &people->ca_key, &err) != RC_OK ||
		pkey_generate("p256", &people->key, &err) != RC_OK ||
		pkey_public(people->key, &people->spki, &err) != RC_OK ||
		issue_root(people->ca_key, &request, &people->ca, &err) != RC_OK)
		fail_msg("people_init: %s", err.detail);
}

static inline void
people_fini(struct people *people)
{
	cert_unref(&people->ca);
	pkey_unref(&people->ca_key);
	pkey_unref(&people->key);
	buf_fini(&people->spki);
}

/* A certificate for ADDR that expires DAYS from TEST_NOW, good for USE. */
static inline struct cert *
people_cert(struct people *people, const char *addr, int days, unsigned use)
{
	struct err err = ERR_INIT;
	struct cert *cert = NULL;
	struct issue_request request = {
		.common_name = addr,
		.addr = addr,
		.not_before = TEST_NOW - 500 * DAY,
		.not_after = TEST_NOW + (int64_t)days * DAY,
		.use = use,
	};

	if (issue_leaf(people->ca_key, people->ca, people->spki.data, people->spki.len, &request,
		    &cert, &err) != RC_OK)
		fail_msg("people_cert: %s", err.detail);
	return cert;
}

#endif
