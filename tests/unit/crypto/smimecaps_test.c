/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include "crypto/der.h"
#include "crypto/smimecaps.h"

#define AES(last) "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01" last
/* AES-256-GCM, AES-256-CBC, AES-128-CBC, 3DES, RC2 with 128 bits, as Thunderbird and Outlook mix
 * them. */
#define USUAL                                              \
	AES("\x2e")                                        \
	AES("\x2a")                                        \
	AES("\x02")                                        \
	"\x30\x0a\x06\x08\x2a\x86\x48\x86\xf7\x0d\x03\x07" \
	"\x30\x0e\x06\x08\x2a\x86\x48\x86\xf7\x0d\x03\x02\x02\x02\x00\x80"
#define OAEP_OID "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07"
#define SHA256   "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00"
#define SHA512   "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00"
#define MGF1     "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
/* RFC 4055 section 4.1 */
#define OAEP256 "\x30\x3c" OAEP_OID "\x30\x2f\xa0\x0f" SHA256 "\xa1\x1c\x30\x1a" MGF1 SHA256

#define BYTES(s) s, sizeof(s) - 1

struct parse_case {
	const char *name, *list; /* what is in the SEQUENCE */
	size_t len;
	const char *want; /* NULL: refused */
};

static const struct parse_case cases[] = {
	{"empty", BYTES(""), "none"},
	{"usual", BYTES(USUAL), "aes-256-gcm aes-256-cbc aes-128-cbc"},
	{"only weak", BYTES("\x30\x0a\x06\x08\x2a\x86\x48\x86\xf7\x0d\x03\x07"), "none"},
	{"all AES", BYTES(AES("\x02") AES("\x16") AES("\x2a") AES("\x06") AES("\x1a") AES("\x2e")),
		"aes-256-gcm aes-192-gcm aes-128-gcm aes-256-cbc aes-192-cbc aes-128-cbc"},
	{"twice", BYTES(AES("\x02") AES("\x02")), "aes-128-cbc"},
	{"AES with NULL", BYTES("\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a\x05\x00"),
		"aes-256-cbc"},
	{"AES with a number",
		BYTES("\x30\x0e\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a\x02\x01\x80"), "none"},
	{"OAEP alone", BYTES("\x30\x0b" OAEP_OID), "oaep-sha1"},
	{"OAEP, nothing but defaults", BYTES("\x30\x0d" OAEP_OID "\x30\x00"), "oaep-sha1"},
	{"OAEP, SHA-256", BYTES(OAEP256), "oaep-sha256"},
	{"OAEP, MGF1 left out", BYTES("\x30\x1e" OAEP_OID "\x30\x11\xa0\x0f" SHA256), "none"},
	{"OAEP, two digests",
		BYTES("\x30\x3c" OAEP_OID "\x30\x2f\xa0\x0f" SHA256 "\xa1\x1c\x30\x1a" MGF1 SHA512),
		"none"},
	{"OAEP, with a label",
		BYTES("\x30\x3e" OAEP_OID "\x30\x31\xa0\x0f" SHA256 "\xa1\x1c\x30\x1a" MGF1 SHA256
		      "\xa2\x00"),
		"none"},
	{"OAEP, broken parameters", BYTES("\x30\x0e" OAEP_OID "\x02\x01\x05"), "none"},
	{"no OBJECT IDENTIFIER", BYTES("\x30\x03\x02\x01\x05"), NULL},
	{"not a SEQUENCE", BYTES("\x02\x01\x05"), NULL},
	{"cut off", BYTES("\x30\x0b\x06\x09\x60\x86"), NULL},
	{"two parameters",
		BYTES("\x30\x0f\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a\x05\x00\x05"
		      "\x00"),
		NULL},
};

/* LIST as a SEQUENCE, in a block of its exact size. */
static unsigned char *
wrap(const char *list, size_t len, size_t *out_len)
{
	unsigned char header[DER_MAX_HEADER];
	size_t n = der_header(header, DER_SEQUENCE, len);
	unsigned char *der = malloc(n + len);

	assert_non_null(der);
	memcpy(der, header, n);
	memcpy(der + n, list, len);
	*out_len = n + len;
	return der;
}

static void
check_text(const char *name, const struct smimecaps *caps, const char *want)
{
	struct buf text = BUF_INIT(0);

	assert_int_equal(smimecaps_format(caps, &text, NULL), RC_OK);
	CHECK_STR(name, buf_text(&text), want);
	buf_fini(&text);
}

static void
test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		size_t len;
		unsigned char *der = wrap(cases[i].list, cases[i].len, &len);
		struct smimecaps caps = {.known = true, .set = 7, .since = 7};
		enum rc rc = smimecaps_parse(der, len, &caps, NULL);

		CHECK_INT(cases[i].name, rc, cases[i].want ? RC_OK : RC_PERM);
		check_text(cases[i].name, &caps, cases[i].want ? cases[i].want : "");
		CHECK_INT(cases[i].name, caps.since, 0);
		free(der);
	}
}

static void
test_limits(void **state)
{
	static const char one[] = AES("\x2a");
	struct err err = ERR_INIT;
	struct smimecaps caps;
	char *many = malloc((SMIMECAPS_MAX + 1) * (sizeof one - 1)), *big;
	unsigned char *der;
	size_t len;

	(void)state;
	assert_non_null(many);
	for (size_t i = 0; i <= SMIMECAPS_MAX; i++)
		memcpy(many + i * (sizeof one - 1), one, sizeof one - 1);
	der = wrap(many, SMIMECAPS_MAX * (sizeof one - 1), &len);
	assert_int_equal(smimecaps_parse(der, len, &caps, &err), RC_OK);
	free(der);
	der = wrap(many, (SMIMECAPS_MAX + 1) * (sizeof one - 1), &len);
	assert_int_equal(smimecaps_parse(der, len, &caps, &err), RC_PERM);
	assert_int_equal(err.code, ERR_CMS_LIMIT);
	assert_false(caps.known);
	free(der);
	free(many);
	big = calloc(1, SMIMECAPS_MAX_BYTES);
	assert_non_null(big);
	der = wrap(big, SMIMECAPS_MAX_BYTES, &len);
	assert_int_equal(smimecaps_parse(der, len, &caps, &err), RC_PERM);
	assert_int_equal(err.code, ERR_CMS_LIMIT);
	free(der);
	free(big);
	/* Bytes behind the list. */
	assert_int_equal(smimecaps_parse("\x30\x00\x00", 3, &caps, &err), RC_PERM);
	assert_int_equal(smimecaps_parse("", 0, &caps, &err), RC_PERM);
}

/* Whatever is damaged: refused, or one of the words above; never past the end. */
static void
test_mutation(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		size_t len;
		unsigned char *der = wrap(cases[i].list, cases[i].len, &len);

		for (size_t bit = 0; bit < len * 8; bit++) {
			unsigned char *copy = exact(der, len);
			struct smimecaps caps;

			copy[bit / 8] ^= (unsigned char)(1u << bit % 8);
			if (smimecaps_parse(copy, len, &caps, NULL) != RC_OK)
				assert_false(caps.known);
			assert_true(caps.set < 1u << SMIMECAP_COUNT);
			free(copy);
		}
		for (size_t cut = 0; cut < len; cut++) {
			unsigned char *copy = exact(der, cut);
			struct smimecaps caps;

			CHECK_INT(cases[i].name, smimecaps_parse(copy, cut, &caps, NULL), RC_PERM);
			free(copy);
		}
		free(der);
	}
}

static void
test_text(void **state)
{
	static const struct {
		const char *text, *want;
		bool known;
	} words[] = {
		{"", "", false},
		{"  ", "", false},
		{"none", "none", true},
		{"aes-256-gcm aes-256-cbc oaep-sha256", "aes-256-gcm aes-256-cbc oaep-sha256",
			true},
		{" aes-128-cbc  aes-256-gcm ", "aes-256-gcm aes-128-cbc", true},
		{"camellia-256 aes-128-cbc", "aes-128-cbc", true},
		{"aes-128", "none", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		struct smimecaps caps = smimecaps_read(words[i].text, 5);

		check_text(words[i].text, &caps, words[i].want);
		CHECK_INT(words[i].text, caps.known, words[i].known);
		CHECK_INT(words[i].text, caps.since, words[i].known ? 5 : 0);
	}
}

static void
test_newer(void **state)
{
	struct smimecaps none = {0}, old = smimecaps_read("aes-128-cbc", 100),
			 new = smimecaps_read("aes-256-gcm", 200);

	(void)state;
	assert_int_equal(smimecaps_newer(old, new).since, 200);
	assert_int_equal(smimecaps_newer(new, old).since, 200);
	assert_int_equal(smimecaps_newer(none, old).since, 100);
	assert_int_equal(smimecaps_newer(old, none).since, 100);
	assert_false(smimecaps_newer(none, none).known);
	assert_false(smimecaps_has(&none, SMIMECAP_AES128_CBC));
	assert_true(smimecaps_has(&old, SMIMECAP_AES128_CBC));
	assert_false(smimecaps_has(&old, SMIMECAP_AES256_GCM));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_mutation),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_newer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
