/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path_fuzz.c - a heap of certificates that anybody may have put together: the first is judged, the
 * last is the trust anchor, the others are candidates; besides, each address in them is held
 * against the input as a name constraint
 */
#include "crypto/mail_constraints.h"
#include "crypto/trust.h"
#include "crypto/trustlist.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* DER one after the other, as far as it goes. */
static void
take_all(const uint8_t *data, size_t len, struct certset *set)
{
	while (len > 4 && data[0] == 0x30 && data[1] == 0x82 && set->n < 64) {
		size_t n = 4 + ((size_t)data[2] << 8 | data[3]);
		struct cert *cert;

		if (n > len)
			return;
		if (cert_parse(data, n, &cert, NULL) == RC_OK)
			(void)certset_add(set, cert, NULL);
		cert_unref(&cert);
		data += n;
		len -= n;
	}
}

static void
judge(struct certset *set)
{
	struct trust_options options = {.revocation = REVOKE_IF_KNOWN,
		.signature_time = SIGNATURE_TIME_SIGNING,
		.min_rsa = 2048,
		.sha1_until = 1500000000};
	struct trust_signing times = {1790000000, 1790000000, 1780000000, NULL};
	struct trust *trust;
	struct verdict verdict;
	bool old;

	if (trust_new(&options, &trust, NULL) != RC_OK)
		return;
	(void)trust_add_anchor(trust, set->v[set->n - 1], NULL, 0, NULL);
	if (set->n > 2)
		(void)trust_add_intermediate(trust, set->v[1], NULL);
	verdict_init(&verdict);
	(void)trust_check_signer(
		trust, set->v[0], set, "a@example.org", &times, &verdict, &old, NULL);
	verdict_fini(&verdict);
	trust_unref(&trust);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct certset set = {0};
	unsigned char key[SHA256_SIZE];
	char text[100];
	size_t n = len < sizeof(text) ? len : sizeof(text) - 1;

	cert_cache_limit(0); /* each input is parsed anew */
	take_all(data, len, &set);
	if (set.n)
		judge(&set);
	(void)mail_constraints_match("a@sub.example.org", (const char *)data, len, true);
	(void)mail_constraints_match("a@sub.example.org", (const char *)data, len, false);
	memcpy(text, data, n);
	text[n] = '\0';
	(void)trustlist_parse_key(text, key, NULL);
	certset_fini(&set);
	return 0;
}
