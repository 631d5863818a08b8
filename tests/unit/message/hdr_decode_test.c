/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/hdrs.h"

#include <sys/resource.h>

#include "message/charset.h"
#include "tests/unit/unit.h"

/* Values are what mailers write; wanted texts are UTF-8. */
static const struct {
	const char *value, *want;
} cases[] = {
	{" plain", "plain"},
	{" a\n b", "a b"},
	{" =?UTF-8?B?44CQ5pqX5Y+35YyW44CR?= x", "【暗号化】 x"},
	{" =?utf-8?q?a_b=C3=A9?=", "a bé"},
	{" =?utf-8*ja?q?a?=", "a"},
	{" x =?utf-8?q?a?= y", "x a y"},
	/* between words blanks go, between charsets too */
	{" =?utf-8?q?a?=\n =?utf-8?q?b?=\n =?iso-8859-1?q?=E9?=  c", "abé  c"},
	/* a character and a mark split between words */
	{" =?UTF-8?B?44CQ5pqX?= =?utf-8?b?5Y8=?= =?UTF-8?Q?=B7?=", "【暗号"},
	{" =?UTF-8?B?44CQ5pq?= =?utf-8?Q?=97?=", "【暗"},
	/* ISO-2022-JP: each word ends in ASCII state; one that does not */
	{" =?ISO-2022-JP?B?GyRCIVobKEI=?= =?iso-2022-jp?B?GyRCMEU5ZjI9IVsbKEI=?=", "【暗号化】"},
	{" =?ISO-2022-JP?B?GyRCIVowRQ==?= =?iso-2022-jp?B?OWYyPSFbGyhC?=", "【暗号化】"},
	/* (1) and (kabu) of NEC row 13, half-width kana, IBM rows */
	{" =?ISO-2022-JP?B?GyRCLSEtahsoQg==?=", "①㈱"},
	{" =?ISO-2022-JP?B?GyhJMTIbKEI=?=", "ｱｲ"},
	{" =?ISO-2022-JP?Q?=1B$B=79=21=1B(B?=", "纊"},
	{" =?ISO-2022-JP?Q?=1B$(D=30=21=1B(B?=", "丂"},
	{" =?ISO-2022-JP?Q?=0E12=0FA?=", "ｱｲA"},
	{" =?ISO-2022-JP?Q?=B1=B2?=", "ｱｲ"},
	{" =?Shift_JIS?B?h0CHiiCBYA==?=", "①㈱ ～"},
	{" =?EUC-JP?B?raGtyg==?=", "①㌍"},
	{" =?GB2312?B?sKE=?=", "啊"},
	{" =?ks_c_5601-1987?B?sKE=?=", "가"},
	{" =?windows-1252?Q?=80?=", "€"},
	/* raw */
	{" \x1b$B!Z0E9f2=![\x1b(B x", "【暗号化】 x"},
	{" \x1b$B=?=?\x1b(B =?utf-8?q?a?=", "戎戎 a"},
	{" \xe3\x81\x82", "あ"},
	{" \xff"
	 "a\xe3\x81",
		"\xef\xbf\xbd"
		"a\xef\xbf\xbd\xef\xbf\xbd"},
	{" \x1b$A0!\x1b(B", "\xef\xbf\xbd"},
	{" \x1b", "\x1b"},
	{" \x1b$B!", "\xef\xbf\xbd"},
	/* bad words stand as they are or with U+FFFD */
	{" =?utf-8?x?a?=", "=?utf-8?x?a?="},
	{" =?utf-8?q?a", "=?utf-8?q?a"},
	{" =?\?q?a?=", "=?\?q?a?="},
	{" =?utf-8?q?=GG=4?=", "=GG=4"},
	{" =?utf-8?q?\?=", ""},
	{" =?utf-8?q?=FF?=", "\xef\xbf\xbd"},
	{" =?no-such-charset?q?=C3=A9?=", "é"},
	{" =?/etc/passwd?q?a?=", "a"},
	{" =?shift_jis?q?=81?=", "\xef\xbf\xbd"},
	{" =?utf-8?q?a b?=", "a b"},
	{" (=?utf-8?q?a?=)", "(a)"},
	{" \"=?utf-8?q?a?=\" <b@c>", "\"a\" <b@c>"},
};

static void
test_decode(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].value);
		char *value = exact(cases[i].value, len);
		struct hdr hdr = {.value = value, .value_len = len};
		struct buf out = BUF_INIT(0);
		struct err err = ERR_INIT;

		CHECK_INT(cases[i].value, hdr_decode(&hdr, &out, &err), RC_OK);
		CHECK_STR(cases[i].value, buf_text(&out), cases[i].want);
		buf_fini(&out);
		free(value);
	}
}

/* Every cut and every flipped bit: valid UTF-8 comes out, and nothing crashes. */
static void
test_mutation(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t bit = 0; bit < strlen(cases[i].value) * 9; bit++) {
			size_t len = strlen(cases[i].value), cut = bit / 9;
			char *value = exact(cases[i].value, bit % 9 == 8 ? cut : len);
			struct buf out = BUF_INIT(0);
			struct err err = ERR_INIT;
			struct hdr hdr = {.value = value, .value_len = bit % 9 == 8 ? cut : len};

			if (bit % 9 < 8)
				value[cut] = (char)(value[cut] ^ 1 << bit % 9);
			CHECK_INT(cases[i].value, hdr_decode(&hdr, &out, &err), RC_OK);
			assert_true(utf8_is_valid(buf_text(&out), out.len));
			buf_fini(&out);
			free(value);
		}
}

/* Very many half words take no time that anybody would notice. */
static void
test_hostile(void **state)
{
	static const char *const units[] = {
		"=?", "=?utf-8?q?", "=?utf-8?q?a?= ", "\x1b$B", "=?a?b??", "\x1b"};

	(void)state;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		size_t unit = strlen(units[i]), len = (1 << 17) / unit * unit;
		char *value = malloc(len);
		struct hdr hdr = {.value = value, .value_len = len};
		struct buf out = BUF_INIT(0);
		struct err err = ERR_INIT;

		assert_non_null(value);
		for (size_t at = 0; at < len; at += unit)
			memcpy(value + at, units[i], unit);
		CHECK_INT(units[i], hdr_decode(&hdr, &out, &err), RC_OK);
		buf_fini(&out);
		free(value);
	}
}

/* Without descriptors no converter can be loaded: that is trouble, and never another text. */
static void
test_no_descriptors(void **state)
{
	static const char *const names[] = {"iso-2022-jp", "shift_jis", "koi8-r", "big5"};
	struct rlimit before, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	charset_prepare();
	none = before;
	none.rlim_cur = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct buf with = BUF_INIT(1000), without = BUF_INIT(1000);
		const char *text = i ? "\xb0\xa1\xb0\xa2" : "\x1b$B6KHk\x1b(B";
		size_t len = strlen(text), name = strlen(names[i]);
		struct err err = ERR_INIT;
		enum rc rc;

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		rc = charset_decode(names[i], name, text, len, &without, &err);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		assert_int_equal(charset_decode(names[i], name, text, len, &with, &err), RC_OK);
		if (rc == RC_OK)
			assert_string_equal(buf_text(&with), buf_text(&without));
		else
			assert_int_equal(rc, RC_TEMP);
		assert_null(strstr(buf_text(&with), "\xef\xbf\xbd"));
		buf_fini(&with);
		buf_fini(&without);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_descriptors), /* first: before any was loaded */
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_mutation),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
