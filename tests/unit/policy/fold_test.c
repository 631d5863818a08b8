/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/fold.h"

#include "tests/unit/unit.h"

static const struct {
	const char *in, *want;
} cases[] = {
	{"", ""},
	{"[Encrypt]", "[encrypt]"},
	{"\xef\xbc\xbb\xe6\x9a\x97\xe5\x8f\xb7\xef\xbc\xbd", "[\xe6\x9a\x97\xe5\x8f\xb7]"},
	{"\xe3\x80\x90\xe6\x9a\x97\xe3\x80\x91", "\xe3\x80\x90\xe6\x9a\x97\xe3\x80\x91"},
	{"a \t\n b\xe3\x80\x80"
	 "c",
		"a b c"},
	{"\xc3\x84\xce\xa9\xd0\x96", "\xc3\xa4\xcf\x89\xd0\xb6"},
	/* half-width ka + voicing mark, pa, vu */
	{"\xef\xbd\xb6\xef\xbe\x9e", "\xe3\x82\xac"},
	{"\xef\xbe\x8a\xef\xbe\x9f", "\xe3\x83\x91"},
	{"\xef\xbd\xb3\xef\xbe\x9e", "\xe3\x83\xb4"},
	{"\xef\xbd\xb1", "\xe3\x82\xa2"},
	/* hiragana ka + voicing mark, ha + half voicing mark */
	{"\xe3\x81\x8b\xe3\x82\x99", "\xe3\x81\x8c"},
	{"\xe3\x81\xaf\xe3\x82\x9a", "\xe3\x81\xb1"},
	{"\xe3\x81\x82\xe3\x82\x99", "\xe3\x81\x82\xe3\x82\x99"},
	/* accents of their own: chiffre, VERSCHLUSSELN; a y that has none */
	{"chiffre\xcc\x81", "chiffr\xc3\xa9"},
	{"VERSCHLU\xcc\x88SSELN", "verschl\xc3\xbcsseln"},
	{"\xef\xbc\xa1\xcc\x8a", "\xc3\xa5"}, /* a full-width A with a ring */
	{"y\xcc\x80", "y\xcc\x80"},
	{"\xcc\x81", "\xcc\x81"},
	/* Latin Extended-A: S and Z with caron, L with stroke, Y with diaeresis, dotless i */
	{"\xc5\xa0\xc5\xbd\xc5\x81", "\xc5\xa1\xc5\xbe\xc5\x82"},
	{"\xc5\xb8\xc4\xb1", "\xc3\xbf\xc4\xb1"},
	{"\xe2\x91\xa0\xe2\x91\xa8", "19"},
	{"a\xe2\x80\x83\xe2\x80\xaf"
	 "b",
		"a b"},
	{"x\xff\xfey\xc3", "x\xff\xfey\xc3"}, /* no UTF-8: as it is */
	{"\xf0\x9f\x94\x92", "\xf0\x9f\x94\x92"},
};

static void
test_fold(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].in);
		char *in = exact(cases[i].in, len);
		struct buf out = BUF_INIT(1000);

		assert_int_equal(fold_text(in, len, &out, NULL), RC_OK);
		CHECK_STR(cases[i].in, buf_text(&out), cases[i].want);
		buf_fini(&out);
		free(in);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_fold)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
