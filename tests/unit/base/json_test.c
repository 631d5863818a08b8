/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/json.h"

#include "tests/unit/unit.h"

#include <stdio.h>

/* Parses an exact-size copy. */
static enum rc
parse(const char *text, struct json_value **out)
{
	size_t len = strlen(text);
	char *copy = exact(text, len);
	enum rc rc = json_parse(copy, len, out, NULL);

	free(copy);
	return rc;
}

static void
refusals(void **state)
{
	static const char *const cases[] = {"", "{", "[1,]", "{\"a\":1,}", "{\"a\":1,\"a\":2}",
		"01", "1 2", "nul", "\"\\x\"", "\"\\u0000\"", "\"\\ud800\"", "\"\\udc00\"",
		"\"\xff\"", "\"\xc3\"", "\"a", "\"a\\", "{1:2}",
		"[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]", "-", "1e", "99999999999999999999",
		"\"\n\"", "[1"};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct json_value *v;

		CHECK_INT(cases[i], parse(cases[i], &v), RC_PERM);
		assert_null(v);
	}
}

static void
round_trip(void **state)
{
	struct buf buf = BUF_INIT(0);
	struct json json;
	struct json_value *v;

	(void)state;
	json_init(&json, &buf);
	json_object(&json, NULL);
	json_str(&json, "text", "a\"\\\n\x7f é \xff");
	json_str(&json, "absent", NULL);
	json_int(&json, "n", -5);
	json_array(&json, "list");
	json_bool(&json, NULL, true);
	json_object(&json, NULL);
	json_object_end(&json);
	json_array_end(&json);
	json_hex(&json, "hex", "\x01\xff", 2);
	json_object_end(&json);
	assert_int_equal(json_end(&json, NULL), RC_OK);
	assert_int_equal(parse(buf_text(&buf), &v), RC_OK);
	CHECK_STR("text", json_get_text(v, "text"), "a\"\\\n\x7f é \xef\xbf\xbd");
	CHECK_INT("n", json_get_int(v, "n", 0), -5);
	CHECK_INT("list", json_count(json_find(v, "list")), 2);
	CHECK_STR("hex", json_get_text(v, "hex"), "01ff");
	assert_null(json_find(v, "absent"));
	json_free(&v);
	assert_int_equal(parse("\"\\ud83d\\ude00\\u00e9\"", &v), RC_OK);
	CHECK_STR("surrogates", json_text(v), "😀é");
	json_free(&v);
	buf_fini(&buf);
}

/* Any truncation and any flipped bit parses or is refused; the sanitizer sees over-reads. */
static void
mutation(void **state)
{
	static const char text[] =
		"{\"a\":[1,-2.5e3,true,null],\"b\":\"\\u00e9\\n\",\"c\":{\"d\":\"x\"}}";

	(void)state;
	for (size_t len = 0; len < sizeof text - 1; len++)
		for (unsigned bit = 0; bit < 9; bit++) {
			char *copy = exact(text, len);
			struct json_value *v;

			if (bit < 8 && len)
				copy[len / 2] ^= (char)(1 << bit);
			if (json_parse(copy, len, &v, NULL) == RC_OK)
				json_free(&v);
			free(copy);
		}
}

/* One byte of every value, at every place in texts of every length up to four words. */
static void
every_byte(void **state)
{
	char text[33], want[80];

	(void)state;
	for (size_t len = 1; len <= 32; len++)
		for (size_t at = 0; at < len; at++)
			for (int c = 1; c < 128; c++) {
				struct buf out = BUF_INIT(4096);
				struct json json;
				char *copy;
				int n;

				memset(text, '!', len);
				text[at] = (char)c;
				n = c == '"' || c == '\\' ? snprintf(want, sizeof want, "\\%c", c)
				    : c < ' ' || c == 127
					    ? snprintf(want, sizeof want, "\\u%04x", c)
					    : snprintf(want, sizeof want, "%c", c);
				copy = exact(text, len);
				json_init(&json, &out);
				json_strn(&json, NULL, copy, len);
				if (json_end(&json, NULL) || out.len != len + 1 + (size_t)n ||
					out.data[0] != '"' || out.data[out.len - 1] != '"' ||
					memcmp(out.data + 1 + at, want, (size_t)n) != 0)
					fail_msg("byte %d at %zu of %zu: %s", c, at, len,
						buf_text(&out));
				free(copy);
				buf_fini(&out);
			}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(mutation),
		cmocka_unit_test(every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
