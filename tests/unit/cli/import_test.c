/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables, text of several encodings, ZIP archives, and which file is meant.
 */
#include "cli/import_table.h"
#include "cli/key_files.h"
#include "cli/text_file.h"
#include "cli/zip_read.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

static struct err err = ERR_INIT;

static void
decoding(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t len;
		const char *want; /* NULL: refused */
	} cases[] = {
		{"nothing", "", 0, ""},
		{"ASCII", "abc", 3, "abc"},
		{"UTF-8", "\xe6\x9a\x97", 3, "\xe6\x9a\x97"},
		{"UTF-8 with a mark", "\xef\xbb\xbf\xe6\x9a\x97", 6, "\xe6\x9a\x97"},
		{"CP932", "\x88\xc3\x8f\xd8", 4, "\xe6\x9a\x97\xe8\xa8\xbc"},
		{"CP932, NEC's circled one", "\x87\x40", 2, "\xe2\x91\xa0"},
		{"UTF-16, little end", "\xff\xfe\x97\x66", 4, "\xe6\x9a\x97"},
		{"UTF-16, big end", "\xfe\xff\x66\x97", 4, "\xe6\x9a\x97"},
		{"half a character", "a\n\x88", 3, NULL},
		{"half of UTF-16", "\xff\xfe\x97", 3, NULL},
		{"a NUL", "a\0b", 3, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		void *copy = exact(cases[i].bytes, cases[i].len);
		struct secret *text;
		enum rc rc = text_decode(copy, cases[i].len, &text, &err);

		CHECK_INT(cases[i].name, rc, cases[i].want ? RC_OK : RC_PERM);
		if (cases[i].want)
			CHECK_STR(cases[i].name, (const char *)secret_data(text), cases[i].want);
		secret_free(&text);
		free(copy);
	}
	(void)text_decode("a\nb\n\xff\xff", 6, &(struct secret *){NULL}, &err);
	CHECK_STR("the line", err.detail, "line 3 is neither UTF-8 nor CP932");
}

static void
tables(void **state)
{
	static const struct {
		const char *name, *text, *columns;
		bool pins;
		const char *want; /* "address|file|pin;" for each row; NULL: refused */
	} cases[] = {
		{"three", "a@x\tf\tp\r\nb@x\tg\tq", NULL, true, "a@x|f|p;b@x|g|q;"},
		{"titles", "Mail\tFile\tPIN\na@x\tf\tp\n", NULL, true, "a@x|f|p;"},
		{"titles only at the top", "a@x\tf\tp\nMail\tFile\tPIN\n", NULL, true,
			"a@x|f|p;Mail|File|PIN;"},
		{"blank lines, remarks", "\n# x\ty\n\r\na@x\tf\tp\n", NULL, true, "a@x|f|p;"},
		{"two with a PIN", "f\tp\n", NULL, true, "-|f|p;"},
		{"two without", "a@x\tf\n", NULL, false, "a@x|f|-;"},
		{"empty fields", "\tf\t\n", NULL, true, "-|f|-;"},
		{"more fields", "a@x\tf\tp\tz\n", NULL, true, "a@x|f|p;"},
		{"columns", "p\tx\tf\ta@x\n", "4,3,1", true, "a@x|f|p;"},
		{"columns without", "p\tx\tf\n", "0,3,0", true, "-|f|-;"},
		{"a PIN with blanks", "a@x\tf\t p q \n", NULL, true, "a@x|f| p q ;"},
		{"nothing", "", NULL, true, ""},
		{"one field", "f\n", NULL, true, NULL},
		{"no file", "a@x\t\tp\n", NULL, true, NULL},
		{"a column that is not there", "a@x\tf\n", "1,9,2", true, NULL},
		{"bad columns", "a@x\tf\n", "1,2", true, NULL},
		{"no column for the file", "a@x\tf\n", "1,0,2", true, NULL},
		{"too many fields",
			"\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t"
			"\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t",
			NULL, true, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct import_table table;
		struct secret *text;
		char got[256] = "";
		enum rc rc;

		assert_int_equal(
			secret_copy(cases[i].text, strlen(cases[i].text), &text, &err), RC_OK);
		rc = import_table_parse(&text, "t", cases[i].columns, cases[i].pins, &table, &err);
		assert_null(text);
		CHECK_INT(cases[i].name, rc, cases[i].want ? RC_OK : RC_PERM);
		for (size_t k = 0; k < table.n; k++)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s|%s|%s;",
				table.rows[k].address ? table.rows[k].address : "-",
				table.rows[k].file, table.rows[k].pin ? table.rows[k].pin : "-");
		if (cases[i].want)
			CHECK_STR(cases[i].name, got, cases[i].want);
		import_table_fini(&table);
	}
}

/* An archive in memory: N entries; METHOD as libzip has it. */
static struct secret *
make_zip(const char *const *names, const char *const *contents, size_t n)
{
	char path[] = "/tmp/sg-zip-XXXXXX";
	int fd = mkstemp(path), code;
	struct secret *out;
	struct stat st;
	zip_t *zip;

	assert_true(fd >= 0);
	zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
	assert_non_null(zip);
	for (size_t i = 0; i < n; i++)
		assert_true(zip_file_add(zip, names[i],
				    zip_source_buffer(zip, contents[i], strlen(contents[i]), 0),
				    ZIP_FL_ENC_UTF_8) >= 0);
	assert_int_equal(zip_close(zip), 0);
	close(fd);
	fd = open(path, O_RDONLY);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(secret_new((size_t)st.st_size, &out, &err), RC_OK);
	assert_int_equal(read(fd, secret_data(out), (size_t)st.st_size), st.st_size);
	close(fd);
	unlink(path);
	return out;
}

static void
archives(void **state)
{
	static const char *const names[] = {"a.p12", "../../etc/b.p12", "empty"};
	char long_text[70001];
	const char *contents[] = {"hello", long_text, ""};
	struct secret *file, *entry;
	struct zip_read *zip;

	(void)state;
	memset(long_text, 'x', sizeof(long_text));
	long_text[70000] = 0;
	file = make_zip(names, contents, 3);
	assert_int_equal(zip_read_memory(secret_data(file), secret_len(file), &zip, &err), RC_OK);
	CHECK_INT("entries", zip_read_count(zip), 3);
	CHECK_STR("name", zip_read_name(zip, 1), "../../etc/b.p12"); /* nobody writes it */
	assert_int_equal(zip_read_entry(zip, 0, 5, &entry, &err), RC_OK);
	CHECK_INT("bytes", secret_len(entry), 5);
	assert_memory_equal(secret_data(entry), "hello", 5);
	secret_free(&entry);
	CHECK_INT("too long", zip_read_entry(zip, 0, 4, &entry, &err), RC_PERM);
	CHECK_INT("too long", err.code, ERR_LIMIT);
	CHECK_INT("a bomb", zip_read_entry(zip, 1, 1u << 20, &entry, &err), RC_PERM);
	assert_non_null(strstr(err.detail, "compressed more than"));
	assert_int_equal(zip_read_entry(zip, 2, 5, &entry, &err), RC_OK);
	CHECK_INT("nothing", secret_len(entry), 0);
	secret_free(&entry);
	zip_read_close(&zip);
	/* Cut short, and with every bit of it changed: refused, or an entry that is whole. */
	for (size_t i = 1; i < secret_len(file); i++)
		CHECK_INT("cut", zip_read_memory(secret_data(file), i, &zip, &err), RC_PERM);
	for (size_t i = 0; i < 8 * secret_len(file); i += 3) {
		unsigned char *copy = exact(secret_data(file), secret_len(file));

		copy[i / 8] ^= (unsigned char)(1u << i % 8);
		if (zip_read_memory(copy, secret_len(file), &zip, &err) == RC_OK) {
			for (size_t k = 0; k < zip_read_count(zip); k++) {
				if (zip_read_entry(zip, k, 100000, &entry, &err) == RC_OK &&
					secret_len(entry) == 5)
					assert_memory_equal(secret_data(entry), "hello", 5);
				secret_free(&entry);
			}
			zip_read_close(&zip);
		}
		free(copy);
	}
	secret_free(&file);
}

static void
touch(const char *dir, const char *name, const char *content)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(content, file);
	fclose(file);
}

static enum rc
count(void *ctx, size_t i, struct err *e)
{
	(void)i;
	(void)e;
	++*(size_t *)ctx;
	return RC_OK;
}

static void
names(void **state)
{
	char dir[] = "/tmp/sg-files-XXXXXX", below[64], command[128], *paths[] = {dir};
	struct key_files *files;
	struct secret *bytes;
	size_t i = 99, n = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(below, sizeof(below), "%s/below", dir);
	assert_int_equal(mkdir(below, 0700), 0);
	touch(dir, "b.key", "1");
	touch(dir, "b.pem", "22");
	touch(dir, "b.other.pem", "333");
	touch(dir, ".hidden.p12", "x");
	touch(dir, "tab\tbed.p12", "x");
	touch(below, "b.key", "4444");
	touch(below, "a.p12", "55555");
	assert_int_equal(key_files_open(paths, 1, &files, &err), RC_OK);
	CHECK_INT("files", key_files_count(files), 6);
	CHECK_INT("none", key_files_find(files, "c.key", &i, &err), RC_NONE);
	CHECK_INT("several", key_files_find(files, "b.key", &i, &err), RC_PERM);
	CHECK_INT("with its folder", key_files_find(files, "below/b.key", &i, &err), RC_OK);
	assert_int_equal(key_files_read(files, i, &bytes, &err), RC_OK);
	CHECK_INT("that one", secret_len(bytes), 4);
	secret_free(&bytes);
	CHECK_INT("one", key_files_find(files, "a.p12", &i, &err), RC_OK);
	CHECK_STR("label", key_files_label(files, i), "a.p12");
	CHECK_INT("no control characters", key_files_find(files, "tab?bed.p12", &i, &err), RC_OK);
	CHECK_INT("b.pem", key_files_find(files, "b.pem", &i, &err), RC_OK);
	CHECK_INT("b.key beside b.pem", key_files_siblings(files, i, count, &n, &err), RC_OK);
	CHECK_INT("and no other", n, 1);
	key_files_close(&files);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(decoding), cmocka_unit_test(tables),
		cmocka_unit_test(archives), cmocka_unit_test(names)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
