/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/message/seven.h"

#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n"
#define CTE   "Content-Transfer-Encoding: "
#define Q     CTE "quoted-printable\r\n"
#define B     CTE "base64\r\n"
#define END   "\r\n--b--\r\n"

static const struct {
	const char *name, *in;
	const char *normal; /* what is written; "": the same; NULL: ERR_POLICY_UNSAFE */
	const char *base64; /* with MIME_STYLE_BASE64 */
} cases[] = {
	{"clean text", "Content-Type: text/plain\r\n\r\nhi \r\nFrom x\r\n", "",
		"Content-Type: text/plain\r\n" B "\r\naGkgDQpGcm9tIHgNCg==\r\n"},
	{"no header", "\r\nhi\r\n", "", B "\r\naGkNCg==\r\n"},
	{"8-bit text",
		"Content-Type: text/plain; charset=utf-8\r\n" CTE
		"8bit\r\nX: y\r\n\r\n\xc3\xa9 \r\n.\r\nFrom\r\n",
		"Content-Type: text/plain; charset=utf-8\r\n" Q
		"X: y\r\n\r\n=C3=A9=20\r\n=2E\r\nFrom\r\n",
		"Content-Type: text/plain; charset=utf-8\r\n" B
		"X: y\r\n\r\nw6kgDQouDQpGcm9tDQo=\r\n"},
	{"8-bit without a label", "\r\n\xe9\r\n", Q "\r\n=E9\r\n", B "\r\n6Q0K\r\n"},
	{"label 8bit, content is not", CTE "8bit\r\n\r\nhi\r\n", CTE "7bit\r\n\r\nhi\r\n",
		B "\r\naGkNCg==\r\n"},
	{"label in other case, twice", CTE "8BIT\r\n" CTE "8bit\r\n\r\n\xe9\r\n", Q "\r\n=E9\r\n",
		B "\r\n6Q0K\r\n"},
	{"binary", "Content-Type: image/x\r\n" CTE "binary\r\n\r\n\xe9\r\n",
		"Content-Type: image/x\r\n" B "\r\n6Q0K\r\n",
		"Content-Type: image/x\r\n" B "\r\n6Q0K\r\n"},
	{"clean image", "Content-Type: image/x\r\n" B "\r\n6Q0K\r\n", "", ""},
	{"bare LF and CR", "\r\na\nb\rc\r\n", Q "\r\na=0Ab=0Dc\r\n", B "\r\nYQpiDWMNCg==\r\n"},
	{"quoted-printable with 8-bit", Q "\r\n=41\xe9\r\n", Q "\r\nA=E9\r\n",
		B "\r\nQekNCg==\r\n"},
	{"quoted-printable, clean", Q "\r\n=41=\r\n=3d\r\n", "", B "\r\nQT0NCg==\r\n"},
	{"base64 with bare LF", B "\r\n6Q0\nK\r\n", B "\r\n6Q0K\r\n", B "\r\n6Q0K\r\n"},
	{"base64 with 8-bit, damaged", B "\r\n6\xe9Q0KA\r\n", NULL, NULL},
	{"ISO-2022-JP stays",
		"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$\"\x1b(B\r\n", "",
		"Content-Type: text/plain; charset=iso-2022-jp\r\n" B "\r\nGyRCJCIbKEINCg==\r\n"},
	{"parts: only what needs it",
		MIXED CTE "8bit\r\n\r\npre\r\n--b\r\nX:  y\r\n\r\nclean \r\n--b \r\n\r\n\xe9" END
			  "epi",
		MIXED CTE "7bit\r\n\r\npre\r\n--b\r\nX:  y\r\n\r\nclean \r\n--b \r\n" Q
			  "\r\n=E9" END "epi",
		MIXED CTE "7bit\r\n\r\npre\r\n--b\r\nX:  y\r\n" B "\r\nY2xlYW4g\r\n\r\n--b \r\n" B
			  "\r\n6Q==\r\n" END "epi"},
	{"content that would be a delimiter", MIXED "\r\n--b\r\n" Q "\r\n=2D-b\xe9" END,
		MIXED "\r\n--b\r\n" Q "\r\n=2D-b=E9" END,
		MIXED "\r\n--b\r\n" B "\r\nLS1i6Q==\r\n" END},
	{"bare LF around parts", MIXED "\r\npre\n--b\n\r\nx\n--b--\n",
		MIXED "\r\npre\r\n--b\r\n\r\nx\r\n--b--\r\n",
		MIXED "\r\npre\r\n--b\r\n" B "\r\neA==\r\n\r\n--b--\r\n"},
	{"8-bit around parts", MIXED "\r\n\xe9\r\n--b\r\n\r\nx" END, NULL, NULL},
	{"8-bit in a part's header", MIXED "\r\n--b\r\nX: \xe9\r\n\r\nx" END, NULL, NULL},
	{"8-bit in the root's header", "X: \xe9\r\n\r\nx\r\n", NULL, NULL},
	{"bare LF in a part's header", MIXED "\r\n--b\r\nX: y\n\r\nx" END, NULL, NULL},
	{"message, clean",
		MIXED "\r\n--b\r\nContent-Type: message/rfc822\r\n" CTE
		      "8bit\r\n\r\nA: b\r\n\r\nx" END,
		MIXED "\r\n--b\r\nContent-Type: message/rfc822\r\n" CTE
		      "7bit\r\n\r\nA: b\r\n\r\nx" END,
		MIXED "\r\n--b\r\nContent-Type: message/rfc822\r\n" CTE
		      "7bit\r\n\r\nA: b\r\n\r\nx" END},
	{"message with 8-bit",
		MIXED "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\n\xe9" END, NULL,
		NULL},
	{"message with 8-bit in its header", "Content-Type: message/rfc822\r\n\r\nA: \xe9\r\n\r\nx",
		NULL, NULL},
	{"delivery status with 8-bit", "Content-Type: message/delivery-status\r\n\r\n\xe9\r\n",
		NULL, NULL},
	{"signed, clean, labels untouched",
		"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n" CTE "8bit\r\n\r\nx" END,
		"", ""},
	{"signed with 8-bit",
		"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n" CTE
		"8bit\r\n\r\n\xe9" END,
		NULL, NULL},
	{"multipart without boundary, clean", "Content-Type: multipart/mixed\r\n\r\nx\r\n", "", ""},
	{"multipart without boundary", "Content-Type: multipart/mixed\r\n\r\n\xe9\r\n", NULL, NULL},
	{"unknown encoding", CTE "x-uue\r\n\r\n\xe9\r\n", NULL, NULL},
	{"unknown encoding, clean", CTE "x-uue\r\n\r\nx\r\n", "", ""},
	{"not closed", MIXED "\r\n--b\r\n\r\n\xe9", MIXED "\r\n--b\r\n" Q "\r\n=E9",
		MIXED "\r\n--b\r\n" B "\r\n6Q==\r\n"},
	{"header only", MIXED "\r\n--b\r\nX: y\r\n--b--\r\n", "", ""},
	{"cut behind a delimiter", MIXED "\r\n--b", "", ""},
	{"no end of the header", MIXED "\r\n--b\r\nX: y\r\nno field \xe9" END,
		MIXED "\r\n--b\r\nX: y\r\n" Q "\r\nno field =E9" END,
		MIXED "\r\n--b\r\nX: y\r\n" B "\r\nbm8gZmllbGQg6Q==\r\n" END},
};

/* One case in one style. */
static void
run(size_t i, const struct entity *root, const struct hdrs *hdrs, struct spool *spool,
	enum mime_style style)
{
	const char *want = style == MIME_STYLE_NORMAL ? cases[i].normal : cases[i].base64;
	struct buf out = BUF_INIT(0);
	struct err err = ERR_INIT;

	CHECK_INT(cases[i].name, check_7bit(cases[i].name, root, hdrs, spool, style, &out, &err),
		want ? RC_OK : RC_PERM);
	if (want)
		CHECK_STR(cases[i].name, buf_text(&out), *want ? want : cases[i].in);
	else
		CHECK_INT(cases[i].name, err.code, ERR_POLICY_UNSAFE);
	buf_fini(&out);
}

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].in);
		struct spool *spool = spool_of(cases[i].in, len);
		struct err err = ERR_INIT;
		struct entity *root;
		struct hdrs hdrs;

		CHECK_INT(
			cases[i].name, mime_parse_entity(spool, 0, len, &hdrs, &root, &err), RC_OK);
		run(i, root, &hdrs, spool, MIME_STYLE_NORMAL);
		run(i, root, &hdrs, spool, MIME_STYLE_BASE64);
		entity_free(&root);
		hdrs_fini(&hdrs);
		spool_free(&spool);
	}
}

/* Lines of 998 bytes stay, longer ones do not, in body and header. */
static void
test_long_lines(void **state)
{
	static const size_t lengths[] = {998, 999, 5000, 100000};
	char *text = malloc(100100);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		size_t len = lengths[i] + 4;
		struct buf out = BUF_INIT(0);
		struct err err = ERR_INIT;
		struct spool *spool;
		struct entity *root;
		struct hdrs hdrs;

		memcpy(text, "\r\n", 2);
		memset(text + 2, 'x', lengths[i]);
		memcpy(text + 2 + lengths[i], "\r\n", 2);
		spool = spool_of(text, len);
		CHECK_INT("parse", mime_parse_entity(spool, 0, len, &hdrs, &root, &err), RC_OK);
		CHECK_INT("write",
			check_7bit("long", root, &hdrs, spool, MIME_STYLE_NORMAL, &out, &err),
			RC_OK);
		CHECK_INT("same", out.len == len && memcmp(out.data, text, len) == 0, i == 0);
		buf_fini(&out);
		text[2 + lengths[i]] = '\0';
		memcpy(text + 2, "Xxxx:", 5);
		CHECK_INT("add", hdrs_add(&hdrs, "Xxxx", 4, text + 7, lengths[i] - 5, &err), RC_OK);
		CHECK_INT("header",
			check_7bit("header", root, &hdrs, spool, MIME_STYLE_NORMAL, &out, &err),
			i == 0 ? RC_OK : RC_PERM);
		buf_fini(&out);
		entity_free(&root);
		hdrs_fini(&hdrs);
		spool_free(&spool);
	}
	free(text);
}

/* Every cut and flipped bit: pure and the same content, or refused. */
static void
test_mutation(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t bit = 0; bit < strlen(cases[i].in) * 9; bit++) {
			size_t len = strlen(cases[i].in), cut = bit / 9;
			char *text = exact(cases[i].in, len);
			struct buf out = BUF_INIT(0);
			struct err err = ERR_INIT;
			struct spool *spool;
			struct entity *root;
			struct hdrs hdrs;
			enum rc rc;

			if (bit % 9 < 8)
				text[cut] = (char)(text[cut] ^ 1 << bit % 9);
			else
				len = cut;
			spool = spool_of(text, len);
			CHECK_INT("parse", mime_parse_entity(spool, 0, len, &hdrs, &root, &err),
				RC_OK);
			rc = check_7bit(cases[i].name, root, &hdrs, spool, bit % 2, &out, &err);
			if (rc != RC_OK)
				CHECK_INT(cases[i].name, err.code, ERR_POLICY_UNSAFE);
			buf_fini(&out);
			entity_free(&root);
			hdrs_fini(&hdrs);
			spool_free(&spool);
			free(text);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_mutation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
