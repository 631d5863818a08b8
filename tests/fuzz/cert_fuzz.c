/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_fuzz.c - certificates, certificate files, revocation lists and key files from anybody
 */
#include "crypto/p12.h"
#include "crypto/trust.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct trust_options options = {.revocation = REVOKE_IF_KNOWN, .min_rsa = 2048};
	struct certset set = {0};
	struct trust *trust;
	struct verdict verdict;
	struct p12 p12;
	size_t i;

	cert_cache_limit(0); /* each input is parsed anew */
	if (trust_new(&options, &trust, NULL) != RC_OK)
		return 0;
	(void)trust_add_crl(trust, data, len, NULL);
	if (certset_parse(data, len, &set, NULL) == RC_OK) {
		for (i = 0; i < set.n; i++)
			(void)trust_add_anchor(trust, set.v[i], NULL, 0, NULL);
		for (i = 0; i < set.n; i++) {
			verdict_init(&verdict);
			(void)trust_check(trust, set.v[i], &set, CERT_SIGN, "a@example.org",
				1790000000, &verdict, NULL);
			verdict_fini(&verdict);
		}
	}
	if (len < 1024 && p12_parse(data, len, NULL, &p12, NULL) == RC_OK)
		p12_fini(&p12);
	certset_fini(&set);
	trust_unref(&trust);
	return 0;
}
