/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/certstore.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/directory/people.h"

struct world {
	struct people people;
	char dir[64], path[128];
	struct certstore *store;
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err err = ERR_INIT;

	clock_set(TEST_NOW);
	people_init(&w->people);
	strcpy(w->dir, "/tmp/certstore_test.XXXXXX");
	if (!mkdtemp(w->dir))
		return -1;
	snprintf(w->path, sizeof(w->path), "%s/certs.db", w->dir);
	assert_int_equal(certstore_open(w->path, true, &w->store, &err), RC_OK);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	certstore_close(&w->store);
	unlink(w->path);
	rmdir(w->dir);
	people_fini(&w->people);
	free(w);
	return 0;
}

/* Files a certificate for ADDR and gives it back. */
static struct cert *
file(struct world *w, const char *addr, enum tier tier, const char *source, bool proven)
{
	struct err err = ERR_INIT;
	struct cert *cert = people_cert(&w->people, addr, 100, CERT_ENCRYPT);
	struct certrow row = {.cert = cert,
		.addr = (char *)addr,
		.source = (char *)source,
		.tier = tier,
		.proven = proven};

	assert_int_equal(certstore_add(w->store, &row, &err), RC_OK);
	return cert;
}

static void
test_find(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct certrow *rows;
	size_t n;
	struct cert *a = file(w, "carol@example.org", TIER_HARVESTED, "harvest", false);
	struct cert *b = file(w, "carol@example.org", TIER_DIRECTORY, "admin", true);

	assert_int_equal(certstore_find(w->store, "CAROL@example.ORG", &rows, &n, &err), RC_OK);
	CHECK_INT("rows", n, 2);
	CHECK_STR("best first", cert_fingerprint(rows[0].cert), cert_fingerprint(b));
	CHECK_STR("source", rows[0].source, "admin");
	CHECK_INT("proven", rows[0].proven, true);
	CHECK_INT("seen now", rows[0].first_seen, TEST_NOW);
	CHECK_INT("tier", rows[1].tier, TIER_HARVESTED);
	certrows_free(&rows, n);

	assert_int_equal(certstore_find(w->store, "dave@example.org", &rows, &n, &err), RC_NONE);
	assert_null(rows);
	/* What SQL would take for its own is only an address. */
	assert_int_equal(certstore_find(w->store, "' OR 1=1 --", &rows, &n, &err), RC_NONE);
	assert_int_equal(certstore_find(w->store, "%@example.org", &rows, &n, &err), RC_NONE);
	assert_int_equal(certstore_find(w->store, "", &rows, &n, &err), RC_NONE);
	cert_unref(&a);
	cert_unref(&b);
}

/* A worse word does not overwrite a better one; proof, pin and dates are kept. */
static void
test_update(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct certrow *rows;
	size_t n;
	struct cert *cert = file(w, "carol@example.org", TIER_DIRECTORY, "admin", true);
	struct certrow again = {.cert = cert,
		.addr = (char *)"carol@example.org",
		.source = (char *)"harvest",
		.tier = TIER_HARVESTED,
		.signed_at = TEST_NOW + 7};

	clock_set(TEST_NOW + 7);
	assert_int_equal(
		certstore_pin(w->store, cert_fingerprint(cert), NULL, true, NULL, &err), RC_OK);
	assert_int_equal(certstore_add(w->store, &again, &err), RC_OK);
	assert_int_equal(certstore_find(w->store, "carol@example.org", &rows, &n, &err), RC_OK);
	CHECK_INT("one row", n, 1);
	CHECK_STR("source", rows[0].source, "admin");
	CHECK_INT("proven", rows[0].proven, true);
	CHECK_INT("pinned", rows[0].pinned, true);
	CHECK_INT("tier of a pin", rows[0].tier, TIER_PINNED);
	CHECK_INT("first seen", rows[0].first_seen, TEST_NOW);
	CHECK_INT("last seen", rows[0].last_seen, TEST_NOW + 7);
	CHECK_INT("signed", rows[0].signed_at, TEST_NOW + 7);
	certrows_free(&rows, n);

	assert_int_equal(
		certstore_pin(w->store, cert_fingerprint(cert), NULL, false, NULL, &err), RC_OK);
	assert_int_equal(certstore_find(w->store, "carol@example.org", &rows, &n, &err), RC_OK);
	CHECK_INT("tier without the pin", rows[0].tier, TIER_DIRECTORY);
	certrows_free(&rows, n);
	cert_unref(&cert);
}

static void
test_anchors(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct certrow *rows;
	size_t n;
	struct certrow row = {.cert = w->people.ca,
		.anchor = true,
		.source = (char *)"admin",
		.tier = TIER_DIRECTORY,
		.domains = (char *)"example.org .example.net"};
	struct cert *leaf = file(w, "carol@example.org", TIER_DIRECTORY, "admin", false);

	assert_int_equal(certstore_anchors(w->store, &rows, &n, &err), RC_NONE);
	assert_int_equal(certstore_add(w->store, &row, &err), RC_OK);
	assert_int_equal(certstore_anchors(w->store, &rows, &n, &err), RC_OK);
	CHECK_INT("anchors", n, 1);
	CHECK_STR("domains", rows[0].domains, "example.org .example.net");
	CHECK_STR("address", rows[0].addr, "");
	certrows_free(&rows, n);
	cert_unref(&leaf);
}

static void
test_fingerprints(void **state)
{
	static const struct {
		const char *name, *prefix;
		enum rc want;
	} cases[] = {
		{"too short", "abc", RC_PERM},
		{"empty", "", RC_PERM},
		{"not hex", "abcz", RC_PERM},
		{"an SQL pattern", "ab%_", RC_PERM},
		{"too long", "00000000000000000000000000000000000000000000000000000000000000000",
			RC_PERM},
		{"nobody's", "0000000000000000000000000000000000000000000000000000000000000000",
			RC_NONE},
	};
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct certrow *rows;
	size_t n;
	char cut[9];
	struct cert *cert = file(w, "carol@example.org", TIER_DIRECTORY, "admin", false);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_INT(cases[i].name,
			certstore_by_fingerprint(w->store, cases[i].prefix, &rows, &n, &err),
			cases[i].want);
		CHECK_INT(cases[i].name,
			certstore_forget(w->store, cases[i].prefix, NULL, NULL, &err),
			cases[i].want);
	}
	for (size_t i = 0; i < 8; i++)
		cut[i] = (char)toupper((unsigned char)cert_fingerprint(cert)[i]);
	cut[8] = '\0';
	assert_int_equal(certstore_by_fingerprint(w->store, cut, &rows, &n, &err), RC_OK);
	CHECK_INT("rows", n, 1);
	certrows_free(&rows, n);
	assert_int_equal(certstore_forget(w->store, cut, NULL, NULL, &err), RC_OK);
	assert_int_equal(certstore_find(w->store, "carol@example.org", &rows, &n, &err), RC_NONE);
	assert_int_equal(certstore_forget(w->store, cut, NULL, NULL, &err), RC_NONE);
	cert_unref(&cert);
}

/* Every write moves the generation, also one by another process; reading does not. */
static void
test_generation(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct certrow *rows;
	int64_t g[4];
	size_t n;
	int status;
	pid_t pid;
	struct cert *cert;

	assert_int_equal(certstore_generation(w->store, &g[0], &err), RC_OK);
	assert_int_equal(certstore_find(w->store, "x@example.org", &rows, &n, &err), RC_NONE);
	assert_int_equal(certstore_generation(w->store, &g[1], &err), RC_OK);
	assert_int_equal(g[0], g[1]);
	cert = file(w, "carol@example.org", TIER_DIRECTORY, "admin", false);
	assert_int_equal(certstore_generation(w->store, &g[2], &err), RC_OK);
	assert_int_not_equal(g[1], g[2]);
	if ((pid = fork()) == 0) {
		struct certstore *other;

		/* SQLite's connections do not cross a fork: the child opens its own. */
		_exit(certstore_open(w->path, false, &other, &err) != RC_OK ||
			certstore_pin(other, cert_fingerprint(cert), NULL, true, NULL, &err) !=
				RC_OK);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(certstore_generation(w->store, &g[3], &err), RC_OK);
	assert_int_not_equal(g[2], g[3]);
	cert_unref(&cert);
}

static void
test_open_refuses(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct certstore *store;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/other", w->dir);
	CHECK_INT("not there", certstore_open(path, false, &store, &err), RC_TEMP);
	assert_null(store);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "this is a text and no database at all, whoever asks", 51), 51);
	close(fd);
	CHECK_INT("a text file", certstore_open(path, true, &store, &err), RC_TEMP);
	assert_null(store);
	unlink(path);
}

/* Damage is trouble, not "none": half of the file is overwritten. */
static void
test_damage(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct certrow *rows;
	struct stat st;
	char junk[512];
	size_t n;
	int fd;

	for (int i = 0; i < 20; i++) {
		struct cert *cert = file(w, "carol@example.org", TIER_DIRECTORY, "admin", false);

		cert_unref(&cert);
	}
	certstore_close(&w->store);
	memset(junk, 0xa5, sizeof(junk));
	fd = open(w->path, O_WRONLY);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t at = 8192; at + (off_t)sizeof(junk) <= st.st_size; at += 1024)
		assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
	close(fd);
	if (certstore_open(w->path, false, &w->store, &err) == RC_OK)
		CHECK_INT("damaged", certstore_find(w->store, "carol@example.org", &rows, &n, &err),
			RC_TEMP);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_find, setup, teardown),
		cmocka_unit_test_setup_teardown(test_update, setup, teardown),
		cmocka_unit_test_setup_teardown(test_anchors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fingerprints, setup, teardown),
		cmocka_unit_test_setup_teardown(test_generation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
