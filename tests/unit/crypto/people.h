/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * people.h - keys and certificates that the tests of CMS make for themselves
 *
 * Everything is generated through pkey.h and issue.h when a program starts; nothing is stored.
 */
#ifndef TESTS_UNIT_CRYPTO_PEOPLE_H
#define TESTS_UNIT_CRYPTO_PEOPLE_H

#include "base/clock.h"
#include "base/sink.h"
#include "crypto/issue.h"
#include "crypto/openssl_glue.h"
#include "tests/unit/unit.h"

#include <openssl/cms.h>

#include <stdio.h>

struct person {
	struct pkey *key;
	struct cert *cert;
};

/* What has to work; the call passes &must as its struct err. */
static struct err must;
#define MUST(call)                                                                      \
	do {                                                                            \
		must = (struct err)ERR_INIT;                                            \
		if ((call) != RC_OK)                                                    \
			fail_msg("%s: %s %s", #call, err_name(must.code), must.detail); \
	} while (0)

/* A CA when CA is NULL, else a person whose certificate CA issued. */
static inline struct person
person_make(const char *kind, const char *addr, unsigned use, const struct person *ca)
{
	struct person p = {NULL, NULL};
	struct issue_request request = {.common_name = addr ? addr : "Test CA",
		.addr = addr,
		.not_before = clock_now() - 86400,
		.not_after = clock_now() + 86400,
		.use = use};
	struct buf spki = BUF_INIT(0);

	MUST(pkey_generate(kind, &p.key, &must));
	if (!ca) {
		MUST(issue_root(p.key, &request, &p.cert, &must));
		return p;
	}
	MUST(pkey_public(p.key, &spki, &must));
	MUST(issue_leaf(ca->key, ca->cert, spki.data, spki.len, &request, &p.cert, &must));
	buf_fini(&spki);
	return p;
}

static inline void
person_fini(struct person *p)
{
	pkey_unref(&p->key);
	cert_unref(&p->cert);
}

/* Bytes that are the same in every run and look like nothing. */
static inline unsigned char *
sample(size_t len)
{
	unsigned char *p = malloc(len ? len : 1);
	uint32_t x = 12345;

	if (!p)
		abort();
	for (size_t i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		p[i] = (unsigned char)(x >> 24);
	}
	return p;
}

/* Feeds DATA in steps of STEP bytes (0: all at once), each from a block of its exact size, then
 * finishes. */
static inline enum rc
feed_steps(const struct sink *sink, const void *data, size_t len, size_t step, struct err *err)
{
	const unsigned char *p = data;
	enum rc rc = RC_OK;

	if (step == 0 || step > SINK_CHUNK)
		step = SINK_CHUNK;
	while (len && rc == RC_OK) {
		size_t n = len < step ? len : step;
		void *block = exact(p, n);

		rc = sink->feed(sink->ctx, block, n, err);
		free(block);
		p += n;
		len -= n;
	}
	return rc == RC_OK ? sink_finish(sink, err) : rc;
}

/* Peak resident memory in KB. */
static inline long
peak_kb(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, "VmHWM: %ld", &kb) == 1)
			break;
	}
	if (f)
		(void)fclose(f);
	return kb;
}

/* Sanitizers keep freed memory, so that peaks say nothing. */
#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_MEANS_SOMETHING 0
#else
#define MEMORY_MEANS_SOMETHING 1
#endif

#endif
