/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HMAC-SHA-256 against OpenSSL's own, for keys and texts of every length around a block
 */
#include "crypto/mac.h"

#include "tests/unit/unit.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

static void
test_lengths(void **state)
{
	unsigned char key[140], text[140];

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++) {
		key[i] = (unsigned char)(i * 7 + 1);
		text[i] = (unsigned char)(i * 11 + 3);
	}
	for (size_t k = 0; k <= sizeof(key); k++)
		for (size_t n = 0; n <= sizeof(text); n += 1 + n % 3) {
			unsigned char got[MAC_SIZE] = {0}, want[MAC_SIZE];
			unsigned char *a = exact(key, k), *b = exact(text, n);
			unsigned len = 0;

			assert_int_equal(mac_bytes(a, k, b, n, got, NULL), RC_OK);
			assert_non_null(HMAC(EVP_sha256(), key, (int)k, text, n, want, &len));
			CHECK_INT("length", len, MAC_SIZE);
			assert_memory_equal(got, want, MAC_SIZE);
			free(a);
			free(b);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lengths)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
