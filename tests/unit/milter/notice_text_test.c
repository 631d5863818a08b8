/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/notice_text.h"

#include "base/file.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

static char dir[] = "/tmp/notice_text.XXXXXX";

static void
put(const char *name, const char *text)
{
	char *path = file_join(dir, name);
	struct err err = ERR_INIT;

	CHECK_INT(name, file_write(path, text, strlen(text), 0600, &err), RC_OK);
	free(path);
}

static int
empty_dir(void **state)
{
	const struct dirent *entry;
	DIR *d = opendir(dir);

	(void)state;
	while (d && (entry = readdir(d)) != NULL) {
		char *path = file_join(dir, entry->d_name);

		unlink(path);
		free(path);
	}
	closedir(d);
	return 0;
}

static void
choose(void **state)
{
	static const struct {
		const char *preferred, *want;
	} cases[] = {{"de", "de"}, {"DE", "de"}, {"de-AT", "de"}, {"ja, en;q=0.5", "ja"},
		{"fr, de;q=0.4, en;q=0.7", "en"}, {"fr", NULL}, {"", NULL}, {NULL, NULL},
		{"*", NULL}, {"en;q=0, de;q=0.001", "de"}, {"de;q=0", NULL},
		{"de;q=nonsense, ja;q=0.1", "ja"}, {"de ; q=0.3 , ja ; q=0.4", "ja"},
		{"zh-Hant-TW,ja-JP-x-lvariant-JP;q=0.9", "ja"}, {",,,de", "de"},
		{"de;q=1.000,ja;q=1", "de"},
		{"en-GB-oed-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL}, {"en\xff", NULL},
		{"de+ja", NULL}, {"../../etc/passwd", NULL}};
	struct texts *texts;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(texts_new(NULL, &texts, &err), RC_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char tag[TEXT_TAG_SIZE] = "unset";
		bool found = texts_choose(texts, cases[i].preferred, tag);

		CHECK_INT(cases[i].preferred ? cases[i].preferred : "(none)", found,
			cases[i].want != NULL);
		if (found)
			CHECK_STR(cases[i].preferred, tag, cases[i].want);
	}
	texts_free(&texts);
}

static void
has(void **state)
{
	struct texts *texts;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(texts_new(NULL, &texts, &err), RC_OK);
	assert_true(texts_has(texts, "en"));
	assert_true(texts_has(texts, "ja+en"));
	assert_false(texts_has(texts, "ja+"));
	assert_false(texts_has(texts, "fr"));
	assert_false(texts_has(texts, "en+de+ja+en"));
	assert_false(texts_has(texts, ""));
	texts_free(&texts);
}

static void
check(struct texts *texts, const char *language, enum text_kind kind,
	const struct text_value *values, size_t n, const char *subject, const char *body)
{
	struct buf s = BUF_INIT(0), b = BUF_INIT(0);
	struct err err = ERR_INIT;

	CHECK_INT(body,
		texts_format(&(struct text_use){texts, language, values, n}, kind, &s, &b, &err),
		RC_OK);
	CHECK_STR(language, buf_text(&s), subject);
	CHECK_STR(language, buf_text(&b), body);
	buf_fini(&s);
	buf_fini(&b);
}

/* A file of the administrator's: what it has is used, the rest is shipped. */
static void
own_texts(void **state)
{
	const struct text_value values[] = {{"subject", "Budget", false}, {"url", "", false},
		{"qid", "Q1", false}, {"recipients", "a\nb", true}};
	struct texts *texts;
	struct buf word = BUF_INIT(0);
	struct err err = ERR_INIT;

	(void)state;
	put("fr.txt",
		"# commentaire\n\n[refused]\nSubject: Non: %{subject}\n\n\n100 %% non\n%{recipients}\n"
		"%{?url}voir %{url}\n%{?qid}%{?subject}(%{qid}) %{unknown}.\n\n\n[words]\nmore = %{count} de plus\n");
	put("en.txt", "[words]\nno-subject = nothing\n");
	put("notes", "not a text\n");
	put("Bad.txt", "not one either\n");
	assert_int_equal(texts_new(dir, &texts, &err), RC_OK);
	check(texts, "fr", TEXT_REFUSED, values, 4, "Non: Budget", "100 % non\na\nb\n(Q1) .\n");
	check(texts, "FR+en", TEXT_REFUSED, values, 4, "Non: Budget", "100 % non\na\nb\n(Q1) .\n");
	assert_int_equal(texts_word(&(struct text_use){texts, "fr", NULL, 0}, "no-subject", NULL,
				 &word, &err),
		RC_OK);
	assert_string_equal(buf_text(&word), "nothing");
	buf_clear(&word);
	assert_int_equal(texts_word(&(struct text_use){texts, "de", NULL, 0}, "no-subject", NULL,
				 &word, &err),
		RC_OK);
	assert_string_equal(buf_text(&word), "(kein Betreff)");
	buf_clear(&word);
	assert_int_equal(
		texts_word(&(struct text_use){texts, "de", NULL, 0}, "gone", "other", &word, &err),
		RC_OK);
	assert_string_equal(buf_text(&word), "");
	buf_fini(&word);
	texts_free(&texts);
}

static void
refused_files(void **state)
{
	static const struct {
		const char *text, *want; /* in the error */
	} cases[] = {{"hello\n", ":1: text outside"},
		{"[refused]\nSubject: a\n[nothing]\n", ":3: "},
		{"[words]\na = b\n[words]\n", ":3: "}, {"[refused]\nno subject\n", "Subject"},
		{"[words]\na = 5 % b\n", "%%"}, {"[words]\na = %{A b}\n", "%%"},
		{"[words]\na = %{unclosed\n", "%%"}, {"[words]\na = %\n", "%%"},
		{"[words]\na = x %{?url}\n", "%%"}, {"[words]\r\na = b\r\n", "UTF-8"},
		{"[words]\na = \xff\n", "UTF-8"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct texts *texts;
		struct err err = ERR_INIT;

		put("xx.txt", cases[i].text);
		CHECK_INT(cases[i].text, texts_new(dir, &texts, &err), RC_PERM);
		CHECK_INT(cases[i].text, err.code, ERR_CONFIG);
		if (!strstr(err.detail, cases[i].want) || !strstr(err.detail, "xx.txt"))
			fail_msg("%s: error \"%s\"", cases[i].text, err.detail);
	}
	{
		struct texts *texts;
		struct err err = ERR_INIT;

		assert_int_equal(texts_new("/tmp/notice_text.is-not-there", &texts, &err), RC_PERM);
	}
}

/* A value is never a template, never more than one line, never without an end. */
static void
hostile_values(void **state)
{
	char *text = malloc(100001);
	struct text_value values[] = {{"subject", "%{url}\r\nBcc: x%%\x01\x7f", false},
		{"url", "secret", false}, {"recipients", text, false}};
	struct texts *texts;
	struct err err = ERR_INIT;
	struct buf subject = BUF_INIT(0), body = BUF_INIT(0);

	(void)state;
	memset(text, 'x', 100000);
	text[100000] = '\0';
	put("xx.txt",
		"[refused]\nSubject: %{subject}\n\n%{subject}\n[failed]\nSubject: a\n\n%{recipients}\n");
	assert_int_equal(texts_new(dir, &texts, &err), RC_OK);
	check(texts, "xx", TEXT_REFUSED, values, 3, "%{url}  Bcc: x%%  ", "%{url}  Bcc: x%%  \n");
	assert_int_equal(texts_format(&(struct text_use){texts, "xx", values, 3}, TEXT_FAILED,
				 &subject, &body, &err),
		RC_OK);
	assert_int_equal(body.len, TEXT_MAX_VALUE + 1);
	buf_fini(&subject);
	buf_fini(&body);
	texts_free(&texts);
	free(text);
}

/* Every shipped language has every section and every word that English has. */
static void
shipped_are_whole(void **state)
{
	static const char *const words[] = {"no-subject", "more", "remote", "other",
		"policy-no-cert", "policy-no-signer", "policy-refused", "policy-split",
		"policy-unsafe", "msg-too-big"};
	static const char *const tags[] = {"de", "ja"};
	struct texts *texts;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(texts_new(NULL, &texts, &err), RC_OK);
	for (size_t t = 0; t < 2; t++) {
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
			struct buf english = BUF_INIT(0), other = BUF_INIT(0);

			assert_int_equal(texts_word(&(struct text_use){texts, "en", NULL, 0},
						 words[i], NULL, &english, &err),
				RC_OK);
			assert_int_equal(texts_word(&(struct text_use){texts, tags[t], NULL, 0},
						 words[i], NULL, &other, &err),
				RC_OK);
			if (strcmp(words[i], "other") != 0 &&
				(strcmp(buf_text(&english), buf_text(&other)) == 0 ||
					!english.len || !other.len))
				fail_msg("%s: no word %s", tags[t], words[i]);
			buf_fini(&english);
			buf_fini(&other);
		}
		for (int kind = 0; kind < TEXT_KINDS; kind++) {
			struct buf english = BUF_INIT(0), other = BUF_INIT(0), s = BUF_INIT(0);
			const struct text_value rule = {"rule", "r", false};

			assert_int_equal(texts_format(&(struct text_use){texts, "en", &rule, 1},
						 (enum text_kind)kind, &s, &english, &err),
				RC_OK);
			assert_int_equal(texts_format(&(struct text_use){texts, tags[t], &rule, 1},
						 (enum text_kind)kind, &s, &other, &err),
				RC_OK);
			assert_string_not_equal(buf_text(&english), buf_text(&other));
			buf_fini(&english);
			buf_fini(&other);
			buf_fini(&s);
		}
	}
	texts_free(&texts);
}

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int
remove_dir(void **state)
{
	empty_dir(state);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(choose),
		cmocka_unit_test(has),
		cmocka_unit_test_teardown(own_texts, empty_dir),
		cmocka_unit_test_teardown(refused_files, empty_dir),
		cmocka_unit_test_teardown(hostile_values, empty_dir),
		cmocka_unit_test(shipped_are_whole),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
