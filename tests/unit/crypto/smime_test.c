/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include "base/buf.h"
#include "crypto/smime.h"

static void
test_boundary(void **state)
{
	char a[SMIME_BOUNDARY_SIZE], b[SMIME_BOUNDARY_SIZE];

	(void)state;
	assert_int_equal(smime_boundary(a, NULL), RC_OK);
	assert_int_equal(smime_boundary(b, NULL), RC_OK);
	assert_string_not_equal(a, b);
	assert_true(strlen(a) <= 70); /* RFC 2046 section 5.1.1 */
	assert_int_equal(strncmp(a, "=_", 2), 0);
}

static void
test_types(void **state)
{
	static const struct {
		enum digest digest;
		const char *want;
	} cases[] = {
		{DIGEST_SHA1, "micalg=sha-1;"},
		{DIGEST_SHA256, "micalg=sha-256;"},
		{DIGEST_SHA384, "micalg=sha-384;"},
		{DIGEST_SHA512, "micalg=sha-512;"},
	};
	struct buf b = BUF_INIT(0);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		buf_clear(&b);
		assert_int_equal(smime_signed_type("=_b", cases[i].digest, &b, NULL), RC_OK);
		if (!strstr(b.data, cases[i].want))
			fail_msg("got %s, want %s", b.data, cases[i].want);
	}
	CHECK_STR("signed", buf_text(&b),
		"multipart/signed; protocol=\"application/pkcs7-signature\";\n\t"
		"micalg=sha-512; boundary=\"=_b\"");
	buf_clear(&b);
	assert_int_equal(smime_pkcs7_type("authEnveloped-data", &b, NULL), RC_OK);
	CHECK_STR("pkcs7", buf_text(&b),
		"application/pkcs7-mime; smime-type=authEnveloped-data;\n\tname=smime.p7m");
	buf_fini(&b);
}

static void
test_entity(void **state)
{
	struct buf b = BUF_INIT(0);
	struct sink sink = sink_to_buf(&b);

	(void)state;
	assert_int_equal(smime_signed_begin("=_b", &sink, NULL), RC_OK);
	assert_int_equal(
		sink_feed_str(&sink, "Content-Type: text/plain\r\n\r\nHello\r\n", NULL), RC_OK);
	assert_int_equal(smime_signed_end("=_b", "0123456789", 10, &sink, NULL), RC_OK);
	CHECK_STR("entity", buf_text(&b),
		"This is a cryptographically signed message in MIME format.\r\n"
		"\r\n"
		"--=_b\r\n"
		"Content-Type: text/plain\r\n"
		"\r\n"
		"Hello\r\n"
		"\r\n"
		"--=_b\r\n"
		"Content-Type: application/pkcs7-signature; name=smime.p7s\r\n"
		"Content-Transfer-Encoding: base64\r\n"
		"Content-Disposition: attachment; filename=smime.p7s\r\n"
		"\r\n"
		"MDEyMzQ1Njc4OQ==\r\n"
		"--=_b--\r\n");
	buf_fini(&b);
}

static void
test_digest(void **state)
{
	/* FIPS 180-4 and RFC 1321: of "abc", first four bytes. */
	static const struct {
		enum digest digest;
		size_t size;
		const char *start;
	} cases[] = {
		{DIGEST_MD5, 16, "\x90\x01\x50\x98"},
		{DIGEST_SHA1, 20, "\xa9\x99\x3e\x36"},
		{DIGEST_SHA224, 28, "\x23\x09\x7d\x22"},
		{DIGEST_SHA256, 32, "\xba\x78\x16\xbf"},
		{DIGEST_SHA384, 48, "\xcb\x00\x75\x3f"},
		{DIGEST_SHA512, 64, "\xdd\xaf\x35\xa1"},
	};
	struct hasher *h = NULL;
	struct sink sink;
	unsigned char value[DIGEST_MAX_SIZE];

	(void)state;
	assert_int_equal(hasher_new(0x7e, &h, NULL), RC_OK);
	sink = hasher_sink(h);
	assert_int_equal(sink_feed(&sink, "ab", 2, NULL), RC_OK);
	assert_null(hasher_value(h, DIGEST_SHA256));
	assert_int_equal(sink_feed(&sink, "c", 1, NULL), RC_OK);
	assert_int_equal(sink_finish(&sink, NULL), RC_OK);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const unsigned char *p = hasher_value(h, cases[i].digest);

		CHECK_INT(
			digest_name(cases[i].digest), digest_size(cases[i].digest), cases[i].size);
		assert_memory_equal(p, cases[i].start, 4);
		assert_int_equal(digest_bytes(cases[i].digest, "abc", 3, value, NULL), RC_OK);
		assert_memory_equal(p, value, cases[i].size);
	}
	hasher_free(&h);
	assert_int_equal(hasher_new(1u << DIGEST_SHA256, &h, NULL), RC_OK);
	sink = hasher_sink(h);
	assert_int_equal(sink_finish(&sink, NULL), RC_OK);
	assert_null(hasher_value(h, DIGEST_SHA1));
	assert_non_null(hasher_value(h, DIGEST_SHA256));
	hasher_free(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boundary),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_entity),
		cmocka_unit_test(test_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
