/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/charset.h"

#include "tests/unit/unit.h"

static void
encodes(void **state)
{
	static const struct {
		const char *name, *text, *bytes; /* BYTES NULL: it cannot be said … */
		size_t bad;                      /* … from here */
	} cases[] = {
		{"empty", "", "", 0},
		{"ASCII", "a\\~ \t\x7f", "a\\~ \t\x7f", 0},
		{"kanji", "\u6771\u4eac", "\x93\x8c\x8b\x9e", 0},
		{"NEC row", "\u2460\u3231", "\x87\x40\x87\x8a", 0},
		{"IBM row", "\u9ad9\ufa11", "\xfb\xfc\xfa\xb1", 0},
		{"half-width kana", "\uff71\uff9e", "\xb1\xde", 0},
		{"wave dash", "\u301c", "\x81\x60", 0},
		{"full-width tilde", "\uff5e", "\x81\x60", 0},
		{"minus", "\u2212\uff0d", "\x81\x7c\x81\x7c", 0},
		{"lines", "\u2016\u2225\u2014\u2015", "\x81\x61\x81\x61\x81\x5c\x81\x5c", 0},
		{"a second byte that is a backslash", "\u8868", "\x95\x5c", 0},
		{"yen", "1\u00a5", NULL, 1},
		{"overline", "\u203e", NULL, 0},
		{"beyond the basic plane", "\u7530\U00020bb7", NULL, 3},
		{"kana with a mark of its own", "\u304b\u3099", NULL, 3},
		{"umlaut", "a\u00e4", NULL, 1},
		{"emoji", "\U0001f600", NULL, 0},
		{"private use", "\ue000", NULL, 0},
		{"private use, last", "\uf8ff", NULL, 0},
		{"no UTF-8", "a\xff", NULL, 1},
		{"cut", "\xe6\x9d", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].text), bad = 99;
		char *text = exact(cases[i].text, len);
		struct buf out = BUF_INIT(1000), back = BUF_INIT(1000);
		struct err err = ERR_INIT;
		enum rc rc = charset_encode_cp932(text, len, &out, &bad, &err);

		CHECK_INT(cases[i].name, rc, cases[i].bytes ? RC_OK : RC_NONE);
		if (cases[i].bytes) {
			CHECK_STR(cases[i].name, buf_text(&out), cases[i].bytes);
			assert_int_equal(
				charset_decode("Shift_JIS", 9, out.data, out.len, &back, &err),
				RC_OK);
			assert_null(strstr(buf_text(&back), "\xef\xbf\xbd"));
		} else {
			CHECK_INT(cases[i].name, bad, cases[i].bad);
		}
		buf_fini(&out);
		buf_fini(&back);
		free(text);
	}
}

/* A NUL is no text; a buffer that is too small is said. */
static void
limits(void **state)
{
	struct buf out = BUF_INIT(3);
	struct err err = ERR_INIT;
	size_t bad = 0;

	(void)state;
	assert_int_equal(charset_encode_cp932("a\0b", 3, &out, &bad, &err), RC_NONE);
	CHECK_INT("NUL", bad, 1);
	assert_int_equal(charset_encode_cp932("\u6771\u4eac", 6, &out, &bad, &err), RC_PERM);
	CHECK_INT("room", err.code, ERR_LIMIT);
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encodes),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
