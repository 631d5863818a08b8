/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/compose.h"

#include "base/clock.h"
#include "tests/unit/unit.h"

#include <stdio.h>

/* What a reader would see, and that the block is well formed: read back by our own parser. */
static void
read_back(const struct hdrs *hdrs, const char *name, struct buf *out)
{
	struct buf block = BUF_INIT(0);
	struct sink sink = sink_to_buf(&block);
	struct hdrs parsed;
	size_t used = 0;
	struct err err = ERR_INIT;

	assert_int_equal(hdrs_write(hdrs, &sink, &err), RC_OK);
	assert_int_equal(buf_append_str(&block, "\r\n", &err), RC_OK);
	for (size_t i = 0, line = 0; i < block.len; i++) {
		line = block.data[i] == '\n' ? 0 : line + 1;
		assert_true(line <= 78);
		assert_true((unsigned char)block.data[i] < 127 || strcmp(name, "To") == 0);
	}
	assert_int_equal(hdrs_parse(block.data, block.len, &parsed, &used, &err), RC_OK);
	assert_int_equal(used, block.len);
	assert_int_equal(parsed.n, hdrs->n);
	assert_int_equal(hdr_decode(hdrs_find(&parsed, name, 0), out, &err), RC_OK);
	hdrs_fini(&parsed);
	buf_fini(&block);
}

static const struct {
	const char *name, *in, *out;
} texts[] = {
	{"plain", "Hello world", "Hello world"},
	{"empty", "", ""},
	{"injection", "a\r\nBcc: x@y.example\r\n\r\nbody", "a  Bcc: x@y.example    body"},
	{"NEL and line separator",
		"a\xc2\x85"
		"b\xe2\x80\xa8"
		"c",
		"a b c"},
	{"umlauts", "Nicht zugestellt: Grüße aus Köln", "Nicht zugestellt: Grüße aus Köln"},
	{"kanji", "送信されませんでした: 会議の件について、ご確認ください。よろしくお願いします",
		"送信されませんでした: 会議の件について、ご確認ください。よろしくお願いします"},
	{"not UTF-8",
		"a\xff"
		"b",
		"a\xef\xbf\xbd"
		"b"},
	{"looks encoded", "=?UTF-8?B?SGVsbG8=?=", "=?UTF-8?B?SGVsbG8=?="},
	{"blanks", "  a   b  ", "  a   b  "},
	{"long", "one two three four five six seven eight nine ten eleven twelve thirteen fourteen",
		"one two three four five six seven eight nine ten eleven twelve thirteen fourteen"},
	{"a long word",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	{"emoji",
		"🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂",
		"🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂"},
};

static void
subjects(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		for (int charset = 0; charset < 2; charset++) {
			struct buf out = BUF_INIT(0);
			struct hdrs hdrs;
			struct err err = ERR_INIT;

			hdrs_init(&hdrs);
			CHECK_INT(texts[i].name,
				compose_text(&hdrs, "Subject", texts[i].in,
					(enum compose_charset)charset, &err),
				RC_OK);
			read_back(&hdrs, "Subject", &out);
			/* Blanks at the ends are the folding's to keep or not. */
			if (strcmp(texts[i].name, "empty") != 0)
				CHECK_STR(texts[i].name, buf_text(&out), texts[i].out);
			hdrs_fini(&hdrs);
			buf_fini(&out);
		}
}

static void
charset_is_chosen(void **state)
{
	struct hdrs hdrs;
	struct err err = ERR_INIT;

	(void)state;
	hdrs_init(&hdrs);
	assert_int_equal(compose_text(&hdrs, "Subject", "会議", COMPOSE_ISO_2022_JP, &err), RC_OK);
	assert_string_equal(hdrs.v[0].value, " =?ISO-2022-JP?B?GyRCMnE1RBsoQg==?=");
	/* A character that ISO-2022-JP does not have. */
	assert_int_equal(compose_text(&hdrs, "Subject", "会議①", COMPOSE_ISO_2022_JP, &err), RC_OK);
	assert_non_null(strstr(hdrs.v[1].value, "=?UTF-8?B?"));
	hdrs_fini(&hdrs);
}

static void
longest_text_is_cut(void **state)
{
	char text[3 * COMPOSE_MAX_TEXT + 1];
	struct buf out = BUF_INIT(0);
	struct hdrs hdrs;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < COMPOSE_MAX_TEXT; i++)
		memcpy(text + 3 * i, "議", 3);
	text[3 * COMPOSE_MAX_TEXT] = '\0';
	hdrs_init(&hdrs);
	assert_int_equal(compose_text(&hdrs, "Subject", text, COMPOSE_UTF8, &err), RC_OK);
	read_back(&hdrs, "Subject", &out);
	assert_int_equal(out.len, COMPOSE_MAX_TEXT / 3 * 3);
	hdrs_fini(&hdrs);
	buf_fini(&out);
}

static void
mailboxes(void **state)
{
	static const struct {
		const char *name, *display, *addr, *want;
	} cases[] = {
		{"bare", NULL, "a@b.example", " <a@b.example>"},
		{"atoms", "Mail Gateway", "a@b.example", " Mail Gateway\n <a@b.example>"},
		{"quoted", "Ann \"A.\" <x@y>, Inc.", "a@b.example",
			" \"Ann \\\"A.\\\" <x@y>, Inc.\"\n <a@b.example>"},
		{"encoded", "Köln", "a@b.example", " =?UTF-8?B?S8O2bG4=?=\n <a@b.example>"},
		{"injection", "a\nTo: x@y", "a@b.example", " \"a To: x@y\"\n <a@b.example>"},
		{"utf-8 address", NULL, "ü@b.example", " <ü@b.example>"},
	};
	struct err err = ERR_INIT;
	struct hdrs hdrs;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		hdrs_init(&hdrs);
		CHECK_INT(cases[i].name,
			compose_mailbox(
				&hdrs, "To", cases[i].display, cases[i].addr, COMPOSE_UTF8, &err),
			RC_OK);
		CHECK_STR(cases[i].name, hdrs.v[0].value, cases[i].want);
		hdrs_fini(&hdrs);
	}
	hdrs_init(&hdrs);
	assert_int_equal(
		compose_mailbox(&hdrs, "To", NULL, "a@b\r\nBcc: c@d", COMPOSE_UTF8, &err), RC_PERM);
	assert_int_equal(
		compose_mailbox(&hdrs, "To", NULL, "a@b>, <c@d", COMPOSE_UTF8, &err), RC_PERM);
	assert_int_equal(hdrs.n, 0);
	hdrs_fini(&hdrs);
}

static void
bodies(void **state)
{
	static const struct {
		const char *name, *in;
		enum compose_charset charset;
		const char *type, *encoding, *want;
	} cases[] = {
		{"ascii", "a\nb", COMPOSE_UTF8, " text/plain; charset=utf-8", " quoted-printable",
			"a\r\nb\r\n"},
		{"german", "Grüße aus dem Haus, in dem alles gut ist.\n", COMPOSE_UTF8,
			" text/plain; charset=utf-8", " quoted-printable",
			"Gr=C3=BC=C3=9Fe aus dem Haus, in dem alles gut ist.\r\n"},
		{"japanese", "会議\n", COMPOSE_UTF8, " text/plain; charset=utf-8", " base64",
			"5Lya6K2wDQo=\r\n"},
		{"jis", "会議\nabc", COMPOSE_ISO_2022_JP, " text/plain; charset=iso-2022-jp",
			" 7bit", "\x1b$B2q5D\x1b(B\r\nabc\r\n"},
		{"not in jis", "会①\n", COMPOSE_ISO_2022_JP, " text/plain; charset=utf-8",
			" base64", "5Lya4pGgDQo=\r\n"},
	};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf body = BUF_INIT(0);
		struct sink sink = sink_to_buf(&body);
		struct hdrs hdrs;

		hdrs_init(&hdrs);
		CHECK_INT(cases[i].name,
			compose_plain(cases[i].in, strlen(cases[i].in), cases[i].charset, &hdrs,
				&sink, &err),
			RC_OK);
		CHECK_STR(cases[i].name, hdrs.v[0].value, cases[i].type);
		CHECK_STR(cases[i].name, hdrs.v[1].value, cases[i].encoding);
		CHECK_STR(cases[i].name, buf_text(&body), cases[i].want);
		hdrs_fini(&hdrs);
		buf_fini(&body);
	}
}

static void
origin(void **state)
{
	struct err err = ERR_INIT;
	struct hdrs hdrs;

	(void)state;
	hdrs_init(&hdrs);
	assert_int_equal(compose_origin(&hdrs, 1795300443, "org.example", &err), RC_OK);
	assert_int_equal(compose_origin(&hdrs, 1795300443, "org.example", &err), RC_OK);
	assert_string_equal(hdrs.v[0].value, " Sat, 21 Nov 2026 22:34:03 +0000");
	assert_non_null(strstr(hdrs.v[1].value, ".1795300443@org.example>"));
	assert_string_not_equal(hdrs.v[1].value, hdrs.v[3].value);
	hdrs_fini(&hdrs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subjects),
		cmocka_unit_test(charset_is_chosen),
		cmocka_unit_test(longest_text_is_cut),
		cmocka_unit_test(mailboxes),
		cmocka_unit_test(bodies),
		cmocka_unit_test(origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
