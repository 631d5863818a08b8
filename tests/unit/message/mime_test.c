/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/mime.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <time.h>

static struct spool_conf conf = {.memory = 1 << 20};

/* What lies in a file is read in pieces, what lies in memory where it lies. */
static int
in_file(void **state)
{
	(void)state;
	conf = (struct spool_conf){.dir = "/tmp"};
	return 0;
}

static int
in_memory(void **state)
{
	(void)state;
	conf = (struct spool_conf){.memory = 1 << 20};
	return 0;
}

/* A spool with TEXT in it. */
static struct spool *
spool_of(const char *text, size_t len)
{
	struct err err = ERR_INIT;
	struct spool *spool;

	CHECK_INT("spool", spool_new(&conf, &spool, &err), RC_OK);
	CHECK_INT("append", spool_append(spool, text, len, &err), RC_OK);
	return spool;
}

/* The tree as text: type[body bytes] with parts in braces, "!" and flags in hex where there are
 * some. */
static void
show(const struct entity *entity, struct buf *out)
{
	struct err err = ERR_INIT;

	assert_true(entity->start <= entity->body && entity->body <= entity->end);
	buf_appendf(out, &err, "%s[%d]", entity->ctype.type, (int)(entity->end - entity->body));
	if (entity->flags)
		buf_appendf(out, &err, "!%x", entity->flags);
	for (size_t i = 0; i < entity->n; i++) {
		assert_ptr_equal(entity->parts[i]->parent, entity);
		assert_int_equal(entity->parts[i]->depth, entity->depth + 1);
		assert_true(
			entity->parts[i]->start >= (i ? entity->parts[i - 1]->end : entity->body));
		assert_true(entity->parts[i]->end <= entity->end);
		buf_append_str(out, i ? " " : "{", &err);
		show(entity->parts[i], out);
	}
	if (entity->n)
		buf_append_str(out, "}", &err);
}

#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n\r\n"

static const struct {
	const char *name, *text, *want;
} cases[] = {
	{"empty", "", "text/plain[0]"},
	{"plain", "\r\nhello\r\n", "text/plain[7]"},
	{"two parts", MIXED "pre\r\n--b\r\n\r\nA\r\n--b\r\n\r\nBB\r\n--b--\r\nepi\r\n",
		"multipart/mixed[38]{text/plain[1] text/plain[2]}"},
	{"blanks behind the delimiters", MIXED "--b \t\r\n\r\nA\r\n--b--  \r\n",
		"multipart/mixed[21]!100{text/plain[1]}"},
	{"longer line is no delimiter",
		MIXED "--bb\r\n--b\r\n\r\n--b-\r\n--b x\r\n--b--x\r\n--b--\r\n",
		"multipart/mixed[41]!2000{text/plain[19]!2000}"},
	{"inner has outer as prefix",
		MIXED
		"--b\r\nContent-Type: multipart/mixed; boundary=bc\r\n\r\n--bc\r\n\r\nx\r\n--bc--\r\n\r\n--b\r\n\r\ny\r\n--b--\r\n",
		"multipart/mixed[89]{multipart/mixed[19]{text/plain[1]} text/plain[1]}"},
	{"outer has inner as prefix",
		"Content-Type: multipart/mixed; boundary=bc\r\n\r\n--bc\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n--bc--\r\n",
		"multipart/mixed[76]{multipart/mixed[15]{text/plain[1]}}"},
	{"empty body", MIXED "--b\r\nX: y\r\n\r\n--b--\r\n", "multipart/mixed[20]{text/plain[0]}"},
	{"header only", MIXED "--b\r\nX: y\r\n--b--\r\n", "multipart/mixed[18]{text/plain[0]}"},
	{"nothing in the part", MIXED "--b\r\n--b\r\n--b--\r\n",
		"multipart/mixed[17]{text/plain[0] text/plain[0]}"},
	{"not closed", MIXED "--b\r\n\r\nx", "multipart/mixed[8]!2{text/plain[1]}"},
	{"inner not closed",
		MIXED
		"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--\r\n",
		"multipart/mixed[77]{multipart/mixed[8]!2{text/plain[1]} text/plain[1]}"},
	{"cut in an inner header",
		MIXED
		"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nX: y\r\n--b--\r\n",
		"multipart/mixed[68]{multipart/mixed[11]!2{text/plain[0]}}"},
	{"no delimiter at all", MIXED "x\r\n", "multipart/mixed[3]!2"},
	{"no empty line before the parts",
		"Content-Type: multipart/mixed; boundary=b\r\n--b\r\n\r\nx\r\n--b--\r\n",
		"multipart/mixed[17]{text/plain[1]}"},
	{"closed twice", MIXED "--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\ny\r\n--b--\r\n",
		"multipart/mixed[34]{text/plain[1]}"},
	{"without boundary", "Content-Type: multipart/mixed\r\n\r\n--\r\n", "multipart/mixed[4]!1"},
	{"empty boundary", "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n",
		"multipart/mixed[4]!1"},
	{"two boundaries", "Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n--a\r\n",
		"multipart/mixed[5]!1"},
	{"boundary of RFC 2231",
		"Content-Type: multipart/mixed; boundary*0*=us-ascii''%62; boundary*1=x\r\n\r\n--bx\r\n\r\n--bx--\r\n",
		"multipart/mixed[16]{text/plain[0]}"},
	{"quoted pair",
		"Content-Type: multipart/mixed; boundary=\"b\\ \\\"x \"\r\n\r\n--b \"x\r\n\r\n--b \"x--\r\n",
		"multipart/mixed[20]{text/plain[0]}"},
	{"damaged type", "Content-Type: nonsense\r\n\r\nx", "text/plain[1]!1"},
	{"two types", "Content-Type: text/html\r\nContent-Type: text/plain\r\n\r\nx",
		"text/html[1]!1"},
	{"message", "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nbody",
		"message/rfc822[18]{text/plain[4]}"},
	{"message without header", "Content-Type: message/rfc822\r\n\r\nno field\r\n",
		"message/rfc822[10]{text/plain[10]}"},
	{"empty message", "Content-Type: message/rfc822\r\n\r\n",
		"message/rfc822[0]{text/plain[0]}"},
	{"message in base64",
		"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA",
		"message/rfc822[4]"},
	{"message in message",
		"Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\nx",
		"message/rfc822[41]{message/rfc822[9]{text/plain[1]}}"},
	{"digest",
		"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\n\r\nx\r\n--b--\r\n",
		"multipart/digest[25]{message/rfc822[9]{text/plain[1]}}"},
	{"8-bit", "\r\nx\xe9\r\n", "text/plain[4]!4"},
	{"NUL", "\r\n\x01NUL\r\n", "text/plain[6]!8"}, /* 1 stands for NUL here */
	{"bare CR", "\r\na\rb\r\n", "text/plain[5]!10"},
	{"CR CR LF", "\r\na\r\r\n", "text/plain[4]!10"},
	{"bare LF", "\r\na\nb\r\n", "text/plain[5]!20"},
	{"bare LF before a delimiter", MIXED "--b\r\n\r\nx\n--b--\r\n",
		"multipart/mixed[16]!20{text/plain[1]}"},
	{"8-bit in a header", MIXED "--b\r\nX: \xe9\r\n\r\nx\r\n--b--\r\n",
		"multipart/mixed[23]{text/plain[1]!80}"},
	{"bare LF in a header", MIXED "--b\r\nX: y\n\r\nx\r\n--b--\r\n",
		"multipart/mixed[22]{text/plain[1]!400}"},
	{"From and blank", "\r\nFrom x\r\ny \r\n", "text/plain[12]!300"},
	{"8-bit around parts", MIXED "\xe9\r\n--b\r\n\r\nx\r\n--b--\r\n",
		"multipart/mixed[20]!4{text/plain[1]}"},
};

/* Parses a whole text as an entity, one piece of the spool after another. */
static enum rc
parse(const char *text, size_t len, struct entity **out, struct err *err)
{
	struct spool *spool = spool_of(text, len);
	enum rc rc = mime_parse_entity(spool, 0, len, NULL, out, err);

	spool_free(&spool);
	return rc;
}

static void
test_structure(void **state)
{
	struct buf out = BUF_INIT(0);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].text);
		char *text = exact(cases[i].text, len);
		struct err err = ERR_INIT;
		struct entity *root;

		for (size_t k = 0; k < len; k++)
			if (text[k] == 1)
				text[k] = 0;
		CHECK_INT(cases[i].name, parse(text, len, &root, &err), RC_OK);
		buf_clear(&out);
		show(root, &out);
		CHECK_STR(cases[i].name, buf_text(&out), cases[i].want);
		entity_free(&root);
		free(text);
	}
	buf_fini(&out);
}

/* The same by header fields and body, with the same offsets but for the header's length. */
static void
test_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].text), used;
		struct buf a = BUF_INIT(0), b = BUF_INIT(0);
		struct err err = ERR_INIT;
		struct entity *whole, *split;
		struct hdrs hdrs;
		struct spool *body;

		CHECK_INT("hdrs", hdrs_parse(cases[i].text, len, &hdrs, &used, &err), RC_OK);
		body = spool_of(cases[i].text + used, len - used);
		CHECK_INT(cases[i].name, mime_parse(&hdrs, body, &split, &err), RC_OK);
		CHECK_INT(cases[i].name, parse(cases[i].text, len, &whole, &err), RC_OK);
		show(whole, &a);
		show(split, &b);
		CHECK_STR(cases[i].name, buf_text(&b), buf_text(&a));
		entity_free(&whole);
		entity_free(&split);
		spool_free(&body);
		hdrs_fini(&hdrs);
		buf_fini(&a);
		buf_fini(&b);
	}
}

/* Padding before the text moves every border of the scanner's pieces through it. */
static void
test_borders(void **state)
{
	static const char head[] = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n";
	static const char tail[] = "\r\n--b\r\nX: y\r\n\r\n\xe9\r\n--b--  \r\n";
	size_t pad = 65536 - sizeof(head) - sizeof(tail) - 1100;
	char *text = malloc(70000);

	(void)state;
	assert_non_null(text);
	for (; pad < 65600; pad++) {
		size_t len = sizeof(head) - 1;
		struct buf out = BUF_INIT(0);
		char want[100];
		struct entity *root;
		struct err err = ERR_INIT;

		memcpy(text, head, len);
		memset(text + len, 'x', pad);
		for (size_t i = 900; i + 2 < pad; i += 900)
			memcpy(text + len + i, "\r\n", 2);
		len += pad;
		memcpy(text + len, tail, sizeof(tail) - 1);
		len += sizeof(tail) - 1;
		CHECK_INT("parse", parse(text, len, &root, &err), RC_OK);
		show(root, &out);
		snprintf(want, sizeof(want),
			"multipart/mixed[%zu]!100{text/plain[%zu] text/plain[1]!4}", len - 45, pad);
		CHECK_STR("tree", buf_text(&out), want);
		entity_free(&root);
		buf_fini(&out);
		pad += pad > 65500 || pad < 64600 ? 0 : 12;
	}
	free(text);
}

/* Long lines, exactly at the limit and over it, also over pieces. */
static void
test_long_lines(void **state)
{
	static const size_t lengths[] = {998, 999, 1023, 1024, 65535, 65536, 65537, 200000};
	char *text = malloc(200010);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
		for (int end = 0; end < 3; end++) {
			static const char *const ends[] = {"\r\n", "\n", "\r"};
			unsigned want = (lengths[i] > 998 ? MIME_LONG_LINE : 0) |
					(end == 1          ? MIME_BARE_LF
						: end == 2 ? MIME_BARE_CR
							   : 0);
			struct entity *root;
			struct err err = ERR_INIT;
			size_t n = strlen(ends[end]);

			if (end == 2 && lengths[i] == 998)
				want |= MIME_LONG_LINE; /* that CR is part of the line */
			memcpy(text, "\r\n", 2);
			memset(text + 2, 'x', lengths[i]);
			memcpy(text + 2 + lengths[i], ends[end], n);
			CHECK_INT("parse", parse(text, 2 + lengths[i] + n, &root, &err), RC_OK);
			CHECK_INT("flags", root->flags, want);
			entity_free(&root);
		}
	free(text);
}

/* More parts or levels than the limits. */
static void
test_limits(void **state)
{
	struct buf text = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct entity *root;

	(void)state;
	buf_append_str(&text, MIXED, &err);
	for (int i = 0; i < MIME_MAX_PARTS - 1; i++)
		buf_append_str(&text, "--b\r\n\r\nx\r\n", &err);
	CHECK_INT("just enough", parse(buf_text(&text), text.len, &root, &err), RC_OK);
	CHECK_INT("parts", root->n, MIME_MAX_PARTS - 1);
	entity_free(&root);
	buf_append_str(&text, "--b\r\n\r\nx\r\n", &err);
	CHECK_INT("one more", parse(buf_text(&text), text.len, &root, &err), RC_PERM);
	CHECK_INT("code", err.code, ERR_LIMIT);
	assert_null(root);
	buf_clear(&text);
	for (int i = 0; i < MIME_MAX_DEPTH - 1; i++)
		buf_append_str(&text, "Content-Type: message/rfc822\r\n\r\n", &err);
	CHECK_INT("just deep enough", parse(buf_text(&text), text.len, &root, &err), RC_OK);
	entity_free(&root);
	buf_append_str(&text, "Content-Type: message/rfc822\r\n\r\n", &err);
	CHECK_INT("too deep", parse(buf_text(&text), text.len, &root, &err), RC_PERM);
	CHECK_INT("code", err.code, ERR_LIMIT);
	buf_clear(&text);
	for (int i = 0; i < MIME_MAX_DEPTH; i++)
		buf_appendf(&text, &err,
			"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
	CHECK_INT("too deep", parse(buf_text(&text), text.len, &root, &err), RC_PERM);
	buf_clear(&text);
	buf_append_str(&text, "Content-Type: a/b", &err);
	for (int i = 0; i <= MIME_MAX_PARAMS; i++)
		buf_append_str(&text, "; x=y", &err);
	CHECK_INT("parameters", parse(buf_text(&text), text.len, &root, &err), RC_PERM);
	CHECK_INT("code", err.code, ERR_LIMIT);
	buf_fini(&text);
}

/* Lines that look like delimiters of fifty levels for long: time in proportion to the length. */
static void
test_hostile(void **state)
{
	char boundary[901], line[1000];
	struct buf text = BUF_INIT(64u << 20);
	struct err err = ERR_INIT;
	struct entity *root;
	clock_t start;
	int n;

	(void)state;
	memset(boundary, 'x', 900);
	boundary[900] = '\0';
	for (int i = 0; i < 40; i++)
		buf_appendf(&text, &err,
			"Content-Type: multipart/mixed; boundary=%.*s%02d\r\n\r\n--%.*s%02d\r\n",
			880, boundary, i, 880, boundary, i);
	buf_append_str(&text, "\r\n", &err);
	n = snprintf(line, sizeof(line), "--%.*s99\r\n", 880, boundary);
	while (text.len < 8u << 20)
		buf_append(&text, line, (size_t)n, &err);
	start = clock();
	CHECK_INT("parse", parse(buf_text(&text), text.len, &root, &err), RC_OK);
	assert_true((clock() - start) / CLOCKS_PER_SEC < 20); /* a quadratic pass takes hours */
	entity_free(&root);
	buf_fini(&text);
}

/* Every cut and every flipped bit of every case: a tree whose ranges are right, or an error. */
static void
test_mutation(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t bit = 0; bit < strlen(cases[i].text) * 9; bit++) {
			size_t len = strlen(cases[i].text), cut = bit / 9;
			char *text = exact(cases[i].text, bit % 9 == 8 ? cut : len);
			struct buf out = BUF_INIT(0);
			struct err err = ERR_INIT;
			struct entity *root;

			if (bit % 9 < 8)
				text[cut] = (char)(text[cut] ^ 1 << bit % 9);
			CHECK_INT(cases[i].name, parse(text, bit % 9 == 8 ? cut : len, &root, &err),
				RC_OK);
			show(root, &out);
			entity_free(&root);
			buf_fini(&out);
			free(text);
		}
}

/* What a part contains, decoded, and its fields. */
static void
test_content(void **state)
{
	static const char text[] =
		MIXED "--b\r\nX: 1\r\nContent-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8=\r\n"
		      "--b\r\nContent-Transfer-Encoding: Quoted-Printable \r\n\r\n=41=\r\nb \r\n"
		      "--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n=41\r\n"
		      "--b\r\nContent-Transfer-Encoding: x-uue\r\n\r\n=41\r\n"
		      "--b\r\nContent-Transfer-Encoding: base64\r\n\r\na\r\n--b--\r\n";
	static const char *const want[] = {"hello", "Ab", "=41", "=41"};
	struct spool *spool = spool_of(text, sizeof(text) - 1);
	struct err err = ERR_INIT;
	struct entity *root;
	struct hdrs hdrs;

	(void)state;
	CHECK_INT(
		"parse", mime_parse_entity(spool, 0, sizeof(text) - 1, &hdrs, &root, &err), RC_OK);
	CHECK_INT("fields", hdrs.n, 1);
	hdrs_fini(&hdrs);
	CHECK_INT("parts", root->n, 5);
	for (size_t i = 0; i < 5; i++) {
		struct buf out = BUF_INIT(0);
		struct sink sink = sink_to_buf(&out);
		enum rc rc = entity_decode(root->parts[i], spool, &sink, &err);

		CHECK_INT("decode", rc, i < 4 ? RC_OK : RC_PERM);
		if (i < 4)
			CHECK_STR("content", buf_text(&out), want[i]);
		buf_fini(&out);
	}
	CHECK_INT("cte", root->parts[3]->cte, CTE_OTHER);
	CHECK_INT("entity_hdrs", entity_hdrs(root->parts[0], spool, &hdrs, &err), RC_OK);
	CHECK_INT("fields", hdrs.n, 2);
	CHECK_STR("value", hdrs_find(&hdrs, "x", 0)->value, " 1");
	hdrs_fini(&hdrs);
	entity_free(&root);
	entity_free(&root);
	CHECK_INT("past the end", mime_parse_entity(spool, 1, sizeof(text), NULL, &root, &err),
		RC_TEMP);
	spool_free(&spool);
}

/* A byte that matters is seen wherever it is in a line of any length. */
static void
test_flags(void **state)
{
	static const struct {
		unsigned char byte;
		unsigned want;
	} kinds[] = {{'x', 0}, {0x80, MIME_HAS_8BIT}, {0xff, MIME_HAS_8BIT}, {0, MIME_HAS_NUL},
		{'\r', MIME_BARE_CR}, {1, 0}, {0x7f, 0}, {0x0c, 0}, {0x0e, 0}};

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++)
		for (size_t len = 1; len < 50; len++)
			for (size_t at = 0; at < len; at++) {
				char text[60] = "\r\n", name[80];
				struct entity *root;
				struct err err = ERR_INIT;

				memset(text + 2, 'x', len);
				text[2 + at] = (char)kinds[k].byte;
				memcpy(text + 2 + len, "x\r\n", 3);
				snprintf(name, sizeof(name), "%02x at %zu of %zu", kinds[k].byte,
					at, len);
				CHECK_INT(name, parse(text, len + 5, &root, &err), RC_OK);
				CHECK_INT(name, root->flags, kinds[k].want);
				entity_free(&root);
			}
}

/* One byte that needs a closer look changes nothing in what is seen of the others. */
static void
test_clean(void **state)
{
	static const char *const tokens[] = {
		"\r\n", "\n", "\r", " ", "\t", "From ", "F", "x", "--b", "long"};
	char *text = malloc(40000), *other = malloc(40000);

	(void)state;
	assert_true(text && other);
	srand(1);
	for (int round = 0; round < 20000; round++) {
		struct entity *a, *b;
		struct err err = ERR_INIT;
		size_t len = 0;

		len += (size_t)sprintf(text, "\r\nx\r\n");
		for (int n = rand() % 12; n > 0; n--) {
			const char *token = tokens[(size_t)rand() % 10];
			size_t more = *token == 'l' ? 993 + (size_t)rand() % 10 : strlen(token);

			memset(text + len, 'y', more);
			if (*token != 'l')
				memcpy(text + len, token, more);
			len += more;
		}
		memcpy(other, text, len);
		other[2] = (char)0xe9;
		CHECK_INT("clean", parse(text, len, &a, &err), RC_OK);
		CHECK_INT("not clean", parse(other, len, &b, &err), RC_OK);
		CHECK_INT("flags", a->flags | MIME_HAS_8BIT, b->flags);
		entity_free(&a);
		entity_free(&b);
	}
	free(text);
	free(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structure),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_borders),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_clean),
		cmocka_unit_test_setup_teardown(test_structure, in_file, in_memory),
		cmocka_unit_test_setup_teardown(test_split, in_file, in_memory),
		cmocka_unit_test_setup_teardown(test_borders, in_file, in_memory),
		cmocka_unit_test_setup_teardown(test_long_lines, in_file, in_memory),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_mutation),
		cmocka_unit_test(test_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
