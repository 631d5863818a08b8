/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/edit_list.h"

#include "tests/unit/unit.h"

#include <strings.h>

static void
parse(const char *text, struct hdrs *hdrs)
{
	size_t used;

	hdrs_init(hdrs);
	assert_int_equal(hdrs_parse(text, strlen(text), hdrs, &used, NULL), RC_OK);
}

static void
free_edits(struct copy *copy)
{
	for (size_t i = 0; i < copy->n_edits; i++)
		free(copy->edits[i].name);
	free(copy->edits);
}

static void
check(const char *name, const struct copy *copy, const struct hdrs *hdrs, const char *want)
{
	struct buf text = BUF_INIT(0);
	struct sink sink = sink_to_buf(&text);
	struct hdrs after;

	assert_int_equal(edit_list_apply(copy, hdrs, &after, NULL), RC_OK);
	assert_int_equal(hdrs_write(&after, &sink, NULL), RC_OK);
	CHECK_STR(name, buf_text(&text), want);
	hdrs_fini(&after);
	buf_fini(&text);
}

static size_t
edits_of(const struct copy *copy, enum edit_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < copy->n_edits; i++)
		n += copy->edits[i].kind == kind;
	return n;
}

/* Every Content-* and MIME-Version goes or gives way once, whatever its case and number; others
 * stay untouched. */
static void
test_replace(void **state)
{
	struct copy copy = {0};
	struct hdrs hdrs, content;

	(void)state;
	parse("Subject:no blank\r\ncontent-type: text/plain;\r\n\tcharset=x\r\nX-A:  two\r\n"
	      "MIME-Version: 1.0\r\nContent-Language: de\r\nContent-Type: twice\r\n"
	      "Mime-version: 1.0\r\nX-Content: stays\r\n\r\n",
		&hdrs);
	parse("Content-Type: multipart/signed;\r\n\tx=y\r\n\r\n", &content);
	assert_int_equal(edit_list_replace_content(&copy, &hdrs, &content, NULL), RC_OK);
	check("replace", &copy, &hdrs,
		"Subject:no blank\r\nContent-Type: multipart/signed;\r\n\tx=y\r\nX-A:  two\r\n"
		"MIME-Version: 1.0\r\nX-Content: stays\r\n");
	assert_int_equal(edits_of(&copy, EDIT_CHANGE), 1);
	assert_int_equal(edits_of(&copy, EDIT_DELETE), 3);
	/* From the last of a name to the first. */
	for (size_t i = 0; i < copy.n_edits; i++)
		for (size_t k = i + 1; k < copy.n_edits; k++)
			if (copy.edits[i].kind == EDIT_DELETE &&
				copy.edits[k].kind == EDIT_DELETE &&
				strcasecmp(copy.edits[i].name, copy.edits[k].name) == 0)
				assert_true(copy.edits[i].index > copy.edits[k].index);
	free_edits(&copy);
	hdrs_fini(&hdrs);
	hdrs_fini(&content);
}

/* What is as it should be takes no edit; several of one name pair off in their order. */
static void
test_replace_in_place(void **state)
{
	static const struct {
		const char *name, *hdrs, *content, *want;
		size_t changes, deletes, adds;
	} cases[] = {
		{"nothing there", "A: b\r\n\r\n", "Content-Type: x/y\r\n\r\n",
			"A: b\r\nMIME-Version: 1.0\r\nContent-Type: x/y\r\n", 0, 0, 2},
		{"all the same", "MIME-Version: 1.0\r\ncontent-type: x/y\r\n\r\n",
			"Content-Type: x/y\r\n\r\n", "MIME-Version: 1.0\r\ncontent-type: x/y\r\n",
			0, 0, 0},
		{"other version", "Mime-Version: 1.0 (x)\r\nA: b\r\n\r\n",
			"Content-Type: x/y\r\n\r\n",
			"MIME-Version: 1.0\r\nA: b\r\nContent-Type: x/y\r\n", 1, 0, 1},
		{"a blank more", "MIME-Version: 1.0\r\nContent-Type:  x/y\r\n\r\n",
			"Content-Type: x/y\r\n\r\n", "MIME-Version: 1.0\r\nContent-Type: x/y\r\n",
			1, 0, 0},
		{"longer", "MIME-Version: 1.0\r\nContent-Type: x/yz\r\n\r\n",
			"Content-Type: x/y\r\n\r\n", "MIME-Version: 1.0\r\nContent-Type: x/y\r\n",
			1, 0, 0},
		{"pairs",
			"Content-X: 1\r\nMIME-Version: 1.0\r\nContent-X: 2\r\nContent-X: 3\r\n\r\n",
			"Content-X: a\r\nContent-X: 2\r\n\r\n",
			"Content-X: a\r\nMIME-Version: 1.0\r\nContent-X: 2\r\n", 1, 1, 0},
		{"more than there", "Content-X: 1\r\nMIME-Version: 1.0\r\n\r\n",
			"Content-X: 1\r\nContent-X: 2\r\n\r\n",
			"Content-X: 1\r\nMIME-Version: 1.0\r\nContent-X: 2\r\n", 0, 0, 1},
		{"goes", "Content-Disposition: inline\r\nMIME-Version: 1.0\r\n\r\n", "\r\n",
			"MIME-Version: 1.0\r\n", 0, 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct copy copy = {0};
		struct hdrs hdrs, content;

		parse(cases[i].hdrs, &hdrs);
		parse(cases[i].content, &content);
		assert_int_equal(edit_list_replace_content(&copy, &hdrs, &content, NULL), RC_OK);
		check(cases[i].name, &copy, &hdrs, cases[i].want);
		CHECK_INT(cases[i].name, edits_of(&copy, EDIT_CHANGE), cases[i].changes);
		CHECK_INT(cases[i].name, edits_of(&copy, EDIT_DELETE), cases[i].deletes);
		CHECK_INT(cases[i].name, edits_of(&copy, EDIT_ADD), cases[i].adds);
		free_edits(&copy);
		hdrs_fini(&hdrs);
		hdrs_fini(&content);
	}
}

static void
test_kinds(void **state)
{
	struct copy copy = {0};
	struct hdrs hdrs;

	(void)state;
	parse("A: 1\r\nB: 1\r\nA: 2\r\nA: 3\r\n\r\n", &hdrs);
	assert_int_equal(edit_list_add(&copy, EDIT_CHANGE, "a", 2, " new", NULL), RC_OK);
	assert_int_equal(edit_list_add(&copy, EDIT_DELETE, "A", 3, NULL, NULL), RC_OK);
	assert_int_equal(edit_list_add(&copy, EDIT_INSERT, "Top", 0, " t", NULL), RC_OK);
	assert_int_equal(edit_list_add(&copy, EDIT_ADD, "End", 0, " e", NULL), RC_OK);
	assert_int_equal(edit_list_add(&copy, EDIT_DELETE, "Missing", 1, NULL, NULL), RC_OK);
	check("kinds", &copy, &hdrs, "Top: t\r\nA: 1\r\nB: 1\r\na: new\r\nEnd: e\r\n");
	free_edits(&copy);
	hdrs_fini(&hdrs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_replace),
		cmocka_unit_test(test_replace_in_place), cmocka_unit_test(test_kinds)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
