/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/alias.h"

#include "base/file.h"
#include "message/addr.h"
#include "tests/unit/unit.h"

#include <unistd.h>

static char path[] = "/tmp/sealgate-alias-XXXXXX";

static enum rc
load(const char *text, struct alias_map **map, struct err *err)
{
	assert_int_equal(file_write(path, text, strlen(text), 0600, NULL), RC_OK);
	return alias_map_load(path, map, err);
}

static void
test_find(void **state)
{
	struct alias_map *map;

	(void)state;
	assert_int_equal(load("# comment\n\nA.Smith@example.org\talice@example.org\r\n"
			      "info@example.org bob@example.org\n",
				 &map, NULL),
		RC_OK);
	CHECK_STR("case", alias_map_find(map, "a.smith@EXAMPLE.org"), "alice@example.org");
	CHECK_STR("other", alias_map_find(map, "info@example.org"), "bob@example.org");
	assert_null(alias_map_find(map, "alice@example.org"));
	alias_map_free(&map);
	assert_int_equal(alias_map_load(NULL, &map, NULL), RC_OK);
	assert_null(alias_map_find(map, "alice@example.org"));
	alias_map_free(&map);
}

static void
test_person(void **state)
{
	static const struct {
		const char *addr;
		char delimiter;
		const char *person;
	} cases[] = {
		{"info@example.org", '+', "bob@example.org"},
		{"INFO+x@example.org", '+', "bob@example.org"},
		{"info+x@example.org", '\0', "info+x@example.org"},
		{"info+x@example.org", '-', "info+x@example.org"},
		{"info+news@example.org", '+', "carol@example.org"},
		{"alice+x@example.org", '+', "alice@example.org"},
		{"alice@example.org", '+', "alice@example.org"},
		{"alice@example.org", '\0', "alice@example.org"},
	};
	struct alias_map *map;
	char out[ADDR_MAX + 1];

	(void)state;
	assert_int_equal(load("info@example.org bob@example.org\n"
			      "info+news@example.org carol@example.org\n",
				 &map, NULL),
		RC_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		alias_map_person(map, cases[i].addr, cases[i].delimiter, out);
		CHECK_STR(cases[i].addr, out, cases[i].person);
	}
	alias_map_free(&map);
}

static void
test_refused(void **state)
{
	static const char *const bad[] = {
		"one@example.org\n", "a@b.c d@e.f g@h.i\n", "x@y.z nothing\n", "nothing x@y.z\n"};
	struct alias_map *map;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err err = ERR_INIT;

		CHECK_INT(bad[i], load(bad[i], &map, &err), RC_PERM);
		CHECK_INT(bad[i], err.code, ERR_CONFIG);
		assert_non_null(strstr(err.detail, ":1:"));
	}
	unlink(path);
	assert_int_equal(alias_map_load(path, &map, NULL), RC_PERM);
}

static int
setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int
teardown(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_find),
		cmocka_unit_test(test_person), cmocka_unit_test(test_refused)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
