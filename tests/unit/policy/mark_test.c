/* SPDX-License-Identifier: BSD-2-Clause */
/* Marks taken out of Subject: fields, and what stays of these. */
#include "policy/rule.h"

#include "message/hdr_text.h"
#include "policy/fold.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

/* The marks: [encrypt], 【暗号化】, [カグ] */
static const char *const texts[] = {"[encrypt]",
	"\xe3\x80\x90\xe6\x9a\x97\xe5\x8f\xb7\xe5\x8c\x96\xe3\x80\x91",
	"[\xe3\x82\xab\xe3\x82\xb0]"};
static char *marks[3];
static struct rule rule = {.name = "r", .marks = marks, .n_marks = 3};

static int
setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct buf folded = BUF_INIT(0);

		assert_int_equal(fold_text(texts[i], strlen(texts[i]), &folded, NULL), RC_OK);
		marks[i] = folded.data;
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		free(marks[i]);
	return 0;
}

/* VALUE as a field in a heap block of its exact size. */
static void
field(struct hdr *hdr, const char *name, const char *value, size_t len)
{
	*hdr = (struct hdr){.name = strdup(name), .name_len = strlen(name), .value_len = len};
	hdr->value = malloc(len + 1);
	memcpy(hdr->value, value, len);
	hdr->value[len] = '\0';
}

static void
drop(struct hdr *hdr)
{
	free(hdr->name);
	free(hdr->value);
}

static const struct {
	const char *name, *value, *want; /* NULL: stays */
} cases[] = {
	{"ASCII", " [encrypt] Hello", " Hello"},
	{"case and width",
		" \xef\xbc\xbb"
		"\xef\xbc\xa5"
		"\xef\xbc\xae"
		"\xef\xbc\xa3"
		"\xef\xbc\xb2"
		"\xef\xbc\xb9"
		"\xef\xbc\xb0"
		"\xef\xbc\xb4"
		"\xef\xbc\xbd"
		"\xe3\x80\x80"
		"Hello",
		" Hello"},
	{"end", " Hello [encrypt]", " Hello"},
	{"middle", " Re: [Encrypt] Hello", " Re: Hello"},
	{"without blanks", " a[encrypt]b", " ab"},
	{"twice", " [encrypt] a [encrypt] b [encrypt]", " a b"},
	{"nothing else", " [encrypt]", " "},
	{"none", " Hello", NULL},
	{"folded", " Re:\n [encrypt]\n\thello", " Re:\n hello"},
	{"trailing blank stays", " [encrypt] a ", " a "},
	{"JIS, in one word", " =?ISO-2022-JP?B?GyRCIVowRTlmMj0hWzJxNUQbKEI=?=",
		" =?ISO-2022-JP?B?GyRCMnE1RBsoQg==?="},
	{"JIS, in the middle", " =?iso-2022-jp?B?GyRCQTAhWjBFOWYyPSFbOGUbKEI=?=",
		" =?iso-2022-jp?B?GyRCQTA4ZRsoQg==?="},
	{"JIS, at the end",
		" =?ISO-2022-JP?B?GyRCQTAhWjBFOWYyPSFbGyhC?=", " =?ISO-2022-JP?B?GyRCQTAbKEI=?="},
	{"JIS, mixed with ASCII", " =?ISO-2022-JP?B?UmU6IBskQiFaMEU5ZjI9IVsbKEIgYWJj?=",
		" =?ISO-2022-JP?B?UmU6IGFiYw==?="},
	{"JIS, a word of its own",
		" =?ISO-2022-JP?B?GyRCIVowRTlmMj0hWxsoQg==?= =?ISO-2022-JP?B?GyRCMnE1RBsoQg==?=",
		" =?ISO-2022-JP?B?GyRCMnE1RBsoQg==?="},
	{"JIS, split in the mark",
		" =?ISO-2022-JP?B?GyRCIVowRRsoQg==?=\n =?ISO-2022-JP?B?GyRCOWYyPSFbMnE1RBsoQg==?=\n =?ISO-2022-JP?B?GyRCO3FOQRsoQg==?=",
		" =?ISO-2022-JP?B?GyRCMnE1RBsoQg==?=\n =?ISO-2022-JP?B?GyRCO3FOQRsoQg==?="},
	{"JIS, untouched words stay",
		" =?ISO-2022-JP?Q?=1B=24B=3BqNA=1B=28B?= =?ISO-2022-JP?B?GyRCIVowRTlmMj0hWxsoQg==?=",
		" =?ISO-2022-JP?Q?=1B=24B=3BqNA=1B=28B?="},
	{"JIS, Q", " =?ISO-2022-JP?Q?=1B=24B=21Z0E9f2=3D=21=5B2q5D=1B=28B?=",
		" =?ISO-2022-JP?Q?=1B=24B2q5D=1B=28B?="},
	{"CP932", " =?Shift_JIS?B?gXmIw42GibuBeodAh4qJ74tj?=", " =?Shift_JIS?B?h0CHionvi2M=?="},
	{"CP932, split in a character", " =?Shift_JIS?B?kU+BeYg=?= =?Shift_JIS?B?w42GibuBeozj?=",
		" =?Shift_JIS?B?kU8=?= =?Shift_JIS?B?jOM=?="},
	{"EUC-JP", " =?euc-jp?B?wbCh2rDFueayvaHbuOU=?=", " =?euc-jp?B?wbC45Q==?="},
	{"UTF-8", " =?UTF-8?B?44CQ5pqX5Y+35YyW44CR5Lya6K2w?=", " =?UTF-8?B?5Lya6K2w?="},
	{"UTF-8, split in a character",
		" =?UTF-8?B?5YmN44A=?=\n =?UTF-8?B?kOaal+WPt+WMluOAkeW+jA==?=",
		" =?UTF-8?B?5YmN?=\n =?UTF-8?B?5b6M?="},
	{"UTF-8, Q", " =?UTF-8?Q?=5Bencrypt=5D_Gr=C3=BC=C3=9Fe?=", " =?UTF-8?Q?Gr=C3=BC=C3=9Fe?="},
	{"with a language", " =?UTF-8*en?Q?=5Bencrypt=5D_a?=", " =?UTF-8*en?Q?a?="},
	{"windows-1252",
		" =?windows-1252?Q?Gr=FC=DFe_=5Bencrypt=5D_x?=", " =?windows-1252?Q?Gr=FC=DFe_x?="},
	{"iso-8859-15", " =?iso-8859-15?Q?=5BENCRYPT=5D=A4?=", " =?iso-8859-15?Q?=A4?="},
	{"word, mark, word", " =?UTF-8?B?5Lya?= [encrypt] =?UTF-8?B?6K2w?=",
		" =?UTF-8?B?5Lya?= =?us-ascii?Q?_?= =?UTF-8?B?6K2w?="},
	{"mark before a word", " [encrypt] =?UTF-8?B?5Lya6K2w?=", " =?UTF-8?B?5Lya6K2w?="},
	{"mark behind a word", " =?UTF-8?B?5Lya6K2w?= [encrypt]", " =?UTF-8?B?5Lya6K2w?="},
	{"mark across charsets", " =?UTF-8?B?5YmN44CQ5pqX?= =?ISO-2022-JP?B?GyRCOWYyPSFbOGUbKEI=?=",
		" =?UTF-8?B?5YmN?= =?ISO-2022-JP?B?GyRCOGUbKEI=?="},
	{"raw UTF-8",
		" \xe5\x89\x8d"
		"\xe3\x80\x90"
		"\xe6\x9a\x97"
		"\xe5\x8f\xb7"
		"\xe5\x8c\x96"
		"\xe3\x80\x91"
		"\xe5\xbe\x8c",
		" \xe5\x89\x8d"
		"\xe5\xbe\x8c"},
	{"raw JIS",
		" \x1b"
		"$B!Z0E9f2=![2q\x1b"
		"(B x",
		" \x1b"
		"$B2q\x1b"
		"(B x"},
	{"half-width kana", " =?ISO-2022-JP?B?GyhJMRsoQlsbKEk2OF4bKEJdeA==?=",
		" =?ISO-2022-JP?B?GyhJMRsoQng=?="},
	{"CP932 kana", " =?Shift_JIS?B?W7a43l14?=", " =?Shift_JIS?B?eA==?="},
	{"JIS without escapes of its own",
		" =?ISO-2022-JP?B?GyRCMnE=?= =?ISO-2022-JP?B?IVowRTlmMj0hWzVEGyhC?=",
		" =?ISO-2022-JP?B?GyRCMnE=?= =?ISO-2022-JP?B?GyRCNUQbKEI=?="},
	{"JIS split in a character",
		" =?ISO-2022-JP?B?GyRCMnEh?= =?ISO-2022-JP?B?WjBFOWYyPSFbNUQbKEI=?=",
		" =?utf-8?B?5Lya6K2w?="},
	{"UTF-7", " =?utf-7?Q?=5Bencrypt=5D_a+AOk-?=", " =?utf-8?B?YcOp?="},
	{"UTF-16 behind it", " [encrypt] a =?utf-16be?B?AGE=?=", " a =?utf-16be?B?AGE=?="},
	{"not a word", " =?utf-8?X?[encrypt]?= a", " =?utf-8?X\?\?= a"},
	{"undecodable stays", " =?UTF-8?Q?=FF=5Bencrypt=5D=FE?=", " =?UTF-8?Q?=FF=FE?="},
};

static void
test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf value = BUF_INIT(0);
		struct err err = ERR_INIT;
		struct hdr hdr;
		enum unmark what;

		field(&hdr, "Subject", cases[i].value, strlen(cases[i].value));
		if (rule_unmark(&rule, &hdr, &what, &value, &err) != RC_OK)
			fail_msg("%s: %s", cases[i].name, err.detail);
		CHECK_INT(cases[i].name, what, cases[i].want ? UNMARK_CHANGE : UNMARK_KEEP);
		if (cases[i].want)
			CHECK_STR(cases[i].name, buf_text(&value), cases[i].want);
		drop(&hdr);
		buf_fini(&value);
	}
}

static void
without_ends(const struct buf *from, struct buf *to)
{
	for (size_t i = 0; i < from->len; i++)
		if (from->data[i] != '\n' && from->data[i] != '\r')
			buf_append_char(to, from->data[i], NULL);
}

/* The text of a field is that of hdr_decode, whatever the field is. */
static void
check_text(const char *name, const struct hdr *hdr)
{
	struct buf decoded = BUF_INIT(0), want = BUF_INIT(0), got = BUF_INIT(0);
	struct hdr_text text;
	struct err err = ERR_INIT;
	bool *none;

	assert_int_equal(hdr_decode(hdr, &decoded, &err), RC_OK);
	assert_int_equal(hdr_text_parse(hdr, &text, &err), RC_OK);
	without_ends(&decoded, &want); /* folds are unfolded there */
	without_ends(&text.text, &got);
	CHECK_STR(name, buf_text(&got), buf_text(&want));
	none = calloc(text.n + 1, sizeof(*none));
	buf_clear(&got);
	assert_int_equal(hdr_text_cut(&text, none, &got, NULL), RC_OK);
	assert_int_equal(got.len, hdr->value_len); /* nothing cut: byte for byte */
	assert_memory_equal(buf_text(&got), hdr->value, got.len);
	free(none);
	hdr_text_fini(&text);
	buf_fini(&decoded);
	buf_fini(&want);
	buf_fini(&got);
}

static void
test_text(void **state)
{
	struct hdr hdr;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		field(&hdr, "Subject", cases[i].value, strlen(cases[i].value));
		check_text(cases[i].name, &hdr);
		drop(&hdr);
	}
}

/* Damaged fields: nothing breaks, and no mark is left when one was found. */
static void
test_damaged(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 20000; round++) {
		const char *from = cases[(size_t)rand() % (sizeof(cases) / sizeof(*cases))].value;
		struct buf value = BUF_INIT(0), again = BUF_INIT(0);
		size_t len = strlen(from);
		enum unmark what;
		struct hdr hdr;

		field(&hdr, "Subject", from, len);
		/* Not by SO and SI: in raw text they are shifts for hdr_decode only. */
		for (int k = rand() % 4; k >= 0; k--)
			hdr.value[(size_t)rand() % len] = (char)(0x10 + rand() % 240);
		assert_int_equal(rule_unmark(&rule, &hdr, &what, &value, NULL), RC_OK);
		drop(&hdr);
		if (what == UNMARK_CHANGE) {
			field(&hdr, "Subject", buf_text(&value), value.len);
			check_text("damaged", &hdr);
			drop(&hdr);
		}
		buf_fini(&value);
		buf_fini(&again);
	}
}

/* Which fields go, and which are too long to be looked at. */
static void
test_fields(void **state)
{
	struct header_match headers[2] = {{.name = (char *)(uintptr_t) "X-Encrypt"},
		{.name = (char *)(uintptr_t) "Sensitivity"}};
	struct rule with = {.name = "w", .headers = headers, .n_headers = 2};
	static const struct {
		const char *name, *value;
		enum unmark want;
	} fields[] = {
		{"X-Encrypt", " Yes", UNMARK_DELETE},
		{"x-encrypt", " =?utf-8?q?yes?=", UNMARK_DELETE},
		{"X-Encrypt", " no", UNMARK_KEEP},
		{"X-Other", " yes", UNMARK_KEEP},
		{"Sensitivity", " yes", UNMARK_KEEP},
		{"Subject", " [encrypt]", UNMARK_KEEP},
	};
	struct buf value = BUF_INIT(0);
	enum unmark what;
	struct hdr hdr;
	char *longer = malloc(HDR_TEXT_MAX + 20);

	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(regcomp(&headers[i].pattern, "^yes", REG_EXTENDED | REG_ICASE), 0);
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		field(&hdr, fields[i].name, fields[i].value, strlen(fields[i].value));
		assert_int_equal(rule_unmark(&with, &hdr, &what, &value, NULL), RC_OK);
		CHECK_INT(fields[i].value, what, fields[i].want);
		drop(&hdr);
	}
	for (size_t i = 0; i < 2; i++)
		regfree(&headers[i].pattern);
	memset(longer, 'a', HDR_TEXT_MAX + 20);
	memcpy(longer, "[encrypt]", 9);
	field(&hdr, "Subject", longer, HDR_TEXT_MAX + 1);
	assert_int_equal(rule_unmark(&rule, &hdr, &what, &value, NULL), RC_OK);
	CHECK_INT("longer", what, UNMARK_KEEP);
	drop(&hdr);
	field(&hdr, "Subject", longer, HDR_TEXT_MAX);
	assert_int_equal(rule_unmark(&rule, &hdr, &what, &value, NULL), RC_OK);
	CHECK_INT("long", what, UNMARK_CHANGE);
	CHECK_INT("long", value.len, HDR_TEXT_MAX - 9);
	drop(&hdr);
	free(longer);
	buf_fini(&value);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut), cmocka_unit_test(test_text),
		cmocka_unit_test(test_damaged), cmocka_unit_test(test_fields)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
