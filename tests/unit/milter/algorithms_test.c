/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include "crypto/issue.h"
#include "milter/algorithms.h"

#include <stdio.h>

static struct cert *certs[3]; /* RSA, RSA, P-256 */

static struct cert *
make_cert(const char *kind, const char *addr)
{
	struct issue_request request = {.common_name = addr,
		.addr = addr,
		.not_before = 1790000000,
		.not_after = 1890000000,
		.use = CERT_SIGN | CERT_ENCRYPT};
	struct pkey *key;
	struct cert *cert;
	struct err err = ERR_INIT;

	if (pkey_generate(kind, &key, &err) != RC_OK ||
		issue_root(key, &request, &cert, &err) != RC_OK)
		fail_msg("%s", err.detail);
	pkey_unref(&key);
	return cert;
}

/* CAPS: for each reader what they announced; NULL: nothing. */
static const struct {
	const char *name;
	enum preset preset;
	const char *caps[3];
	const char *want; /* cipher, OAEP or not for each RSA reader */
} cases[] = {
	{"classic", PRESET_CLASSIC, {NULL, NULL, NULL}, "aes-256-cbc v1.5 v1.5"},
	{"classic, whatever they announce", PRESET_CLASSIC,
		{"aes-256-gcm aes-256-cbc oaep-sha256", NULL, NULL}, "aes-256-cbc v1.5 v1.5"},
	{"classic, one has AES-128 only", PRESET_CLASSIC, {"aes-128-cbc", NULL, NULL},
		"aes-128-cbc v1.5 v1.5"},
	{"classic, only GCM announced", PRESET_CLASSIC, {"aes-256-gcm", NULL, NULL},
		"aes-256-cbc v1.5 v1.5"},
	{"classic, all have only GCM", PRESET_CLASSIC,
		{"aes-256-gcm", "aes-256-gcm", "aes-128-gcm aes-256-gcm"}, "aes-256-gcm v1.5 v1.5"},
	{"jp-classic", PRESET_JP_CLASSIC, {"aes-256-gcm aes-256-cbc", NULL, NULL},
		"aes-256-cbc v1.5 v1.5"},
	{"modern, nothing known", PRESET_MODERN, {NULL, NULL, NULL}, "aes-256-gcm oaep oaep"},
	{"modern, one has no GCM", PRESET_MODERN, {"aes-256-cbc aes-128-cbc", NULL, NULL},
		"aes-256-cbc v1.5 oaep"},
	{"modern, GCM without OAEP", PRESET_MODERN, {NULL, "aes-256-gcm", NULL},
		"aes-256-gcm oaep v1.5"},
	{"modern, OAEP with SHA-1 only", PRESET_MODERN, {"aes-256-gcm oaep-sha1", NULL, NULL},
		"aes-256-gcm v1.5 oaep"},
	{"modern, AES-128-GCM", PRESET_MODERN, {"aes-128-gcm oaep-sha256", NULL, NULL},
		"aes-128-gcm oaep oaep"},
	{"modern, only weak ones announced", PRESET_MODERN, {"none", NULL, NULL},
		"aes-256-cbc v1.5 oaep"},
	{"modern, nothing in common", PRESET_MODERN, {"aes-256-gcm", "aes-128-cbc", NULL},
		"aes-256-cbc v1.5 v1.5"},
	{"auto, nothing known", PRESET_AUTO, {NULL, NULL, NULL}, "aes-256-cbc v1.5 v1.5"},
	{"auto, all announce it", PRESET_AUTO,
		{"aes-256-gcm oaep-sha256", "aes-256-gcm aes-256-cbc oaep-sha256", "aes-256-gcm"},
		"aes-256-gcm oaep oaep"},
	{"auto, one is not known", PRESET_AUTO,
		{"aes-256-gcm aes-256-cbc oaep-sha256", NULL, "aes-256-gcm aes-256-cbc"},
		"aes-256-cbc oaep v1.5"},
};

static bool
has(const struct certset *set, const struct cert *cert)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->v[i] == cert)
			return true;
	return false;
}

static void
test_choose(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct algorithms a;
		struct reader readers[3];
		char got[100];

		for (size_t k = 0; k < 3; k++)
			readers[k] = (struct reader){.cert = certs[k],
				.caps = smimecaps_read(
					cases[i].caps[k] ? cases[i].caps[k] : "", 1)};
		algorithms_init(&a, cases[i].preset);
		assert_int_equal(algorithms_choose(&a, cases[i].preset, readers, 3, NULL), RC_OK);
		snprintf(got, sizeof got, "%s %s %s", content_cipher_name(a.cipher),
			a.oaep && !has(&a.v15, certs[0]) ? "oaep" : "v1.5",
			a.oaep && !has(&a.v15, certs[1]) ? "oaep" : "v1.5");
		CHECK_STR(cases[i].name, got, cases[i].want);
		CHECK_INT("no curve among those", has(&a.v15, certs[2]), false);
		algorithms_fini(&a);
	}
}

/* Whatever is announced, it is AES, and each of those who announced a thing can open it or nothing
 * suited all. */
static void
test_every_set(void **state)
{
	(void)state;
	for (unsigned set = 0; set < 1u << SMIMECAP_COUNT; set++)
		for (int preset = PRESET_CLASSIC; preset <= PRESET_AUTO; preset++) {
			struct reader reader = {
				.cert = certs[0], .caps = {.known = true, .set = set, .since = 1}};
			struct algorithms a;

			algorithms_init(&a, (enum preset)preset);
			assert_int_equal(
				algorithms_choose(&a, (enum preset)preset, &reader, 1, NULL),
				RC_OK);
			assert_true(content_cipher_key_size(a.cipher) >= 16);
			assert_int_not_equal(a.cipher, CIPHER_3DES_CBC);
			if (content_cipher_is_authenticated(a.cipher))
				assert_true(set & (1u << SMIMECAP_AES128_GCM |
							  1u << SMIMECAP_AES256_GCM));
			if (a.oaep && a.v15.n == 0)
				assert_true(set & 1u << SMIMECAP_OAEP_SHA256);
			algorithms_fini(&a);
		}
}

static int
set_up(void **state)
{
	(void)state;
	certs[0] = make_cert("rsa2048", "a@x.example");
	certs[1] = make_cert("rsa2048", "b@x.example");
	certs[2] = make_cert("p256", "c@x.example");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		cert_unref(&certs[i]);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choose),
		cmocka_unit_test(test_every_set),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
