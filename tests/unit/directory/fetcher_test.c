/* SPDX-License-Identifier: BSD-2-Clause */
/* The fetcher itself against an HTTP server, with the clock set by hand. */
#include "tests/unit/directory/people.h"

#include "base/counter.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "directory/fetcher.h"
#include "directory/wants.h"
#include "tests/flow/web.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define LONG_MS 20000 /* until a test gives up; nothing waits that long when all is well */

struct world {
	char dir[64], www[80], out[80];
	unsigned port;
	struct people people;
	struct fetcher *fetcher;
	struct wants *wants;
	struct conf *conf;
	char url[512]; /* the last one asked for */
};

static void
write_www(struct world *w, const char *name, const struct buf *data)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", w->www, name);
	assert_int_equal(file_write(path, data->data, data->len, 0644, NULL), RC_OK);
}

/* A list with NUMBER that begins at AT and lasts a week. */
static void
write_crl(struct world *w, const char *name, int64_t number, int64_t at)
{
	struct buf der = BUF_INIT(0);
	struct err err = ERR_INIT;

	if (issue_crl(w->people.ca_key, w->people.ca, NULL, 0, number, at, at + 7 * DAY, &der,
		    &err) != RC_OK)
		fail_msg("%s", err.detail);
	write_www(w, name, &der);
	buf_fini(&der);
}

static void
write_text(struct world *w, const char *name, const char *text)
{
	struct buf data = BUF_INIT(0);

	buf_append_str(&data, text, NULL);
	write_www(w, name, &data);
	buf_fini(&data);
}

static struct conf *
conf_of(struct world *w, const char *more)
{
	struct err err = ERR_INIT;
	struct conf *conf = NULL;
	char text[2048];

	snprintf(text, sizeof(text),
		"organisation = { domains = \"x.test\"; };\n"
		"fetch = { user = \"root\"; dir = \"%s\"; socket = \"%s/sock\"; "
		"allow_private = true; ports = ( \"%u\" ); %s };\n",
		w->out, w->dir, w->port, more);
	if (conf_parse(text, "test", "/tmp", &conf, &err) != RC_OK)
		fail_msg("%s", err.detail);
	return conf;
}

static void
start(struct world *w, const char *more)
{
	struct err err = ERR_INIT;

	conf_unref(&w->conf);
	w->conf = conf_of(w, more);
	if (fetcher_open(w->conf, &w->fetcher, &err) != RC_OK ||
		fetcher_start(w->fetcher, &err) != RC_OK)
		fail_msg("%s", err.detail);
	wants_close(&w->wants);
	assert_int_equal(wants_open(w->conf, &w->wants, NULL), RC_OK);
}

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	log_set_level(LOGL_ERROR);
	strcpy(w->dir, "/tmp/fetcherXXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->www, sizeof(w->www), "%s/www", w->dir);
	snprintf(w->out, sizeof(w->out), "%s/out", w->dir);
	assert_int_equal(mkdir(w->www, 0700), 0);
	clock_set(TEST_NOW);
	people_init(&w->people);
	w->port = web_start(w->www, 0);
	assert_int_not_equal(w->port, 0);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;
	char command[128];

	fetcher_close(&w->fetcher);
	wants_close(&w->wants);
	web_stop();
	people_fini(&w->people);
	conf_unref(&w->conf);
	clock_set(-1);
	snprintf(command, sizeof(command), "rm -rf %s", w->dir);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

/* "/file/x" as a URL. */
static const char *
url_of(struct world *w, const char *path)
{
	snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u%s", w->port, path);
	return w->url;
}

/* The line about URL in the fetcher's list; to be freed. */
static struct json_value *
find(struct world *w, const char *url)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct json_value *found = NULL;
	int64_t until = clock_monotonic_ms() + LONG_MS;
	char packet[65536];

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", w->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(send(fd, "list\n", 5, 0), 5);
	for (;;) {
		struct json_value *line = NULL;
		ssize_t n = recv(fd, packet, sizeof(packet), 0);

		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_true(clock_monotonic_ms() < until);
			fetcher_step(w->fetcher, fd, 100);
			continue;
		}
		assert_int_equal(json_parse(packet, (size_t)n, &line, NULL), RC_OK);
		if (json_count(line) == 0) {
			json_free(&line);
			break;
		}
		if (strcmp(json_get_text(line, "url"), url) == 0) {
			json_free(&found); /* one URL, two kinds: the later */
			found = line;
		} else {
			json_free(&line);
		}
	}
	close(fd);
	return found;
}

static int64_t
time_of(const struct json_value *line, const char *key)
{
	const char *text = json_get_text(line, key);
	int64_t at = 0;

	if (text)
		assert_int_equal(clock_parse(text, &at, NULL), RC_OK);
	return at;
}

/* Goes on until the transfers that were due are over: N more of them than there were. */
static void
run_until(struct world *w, long before, long n)
{
	int64_t until = clock_monotonic_ms() + LONG_MS;

	while (counter_get(COUNTER_FETCHED) + counter_get(COUNTER_FETCHED_UNCHANGED) +
			counter_get(COUNTER_FETCH_FAILED) <
		before + n) {
		assert_true(clock_monotonic_ms() < until);
		fetcher_step(w->fetcher, -1, 50);
	}
}

static long
ended(void)
{
	return counter_get(COUNTER_FETCHED) + counter_get(COUNTER_FETCHED_UNCHANGED) +
	       counter_get(COUNTER_FETCH_FAILED);
}

/* Asks for it and waits for what becomes of it: NULL for good, else why not; to be freed. */
static char *
get(struct world *w, enum want_kind kind, const char *path)
{
	long before = ended();
	struct json_value *line;
	char *why;

	wants_note(w->wants, kind, url_of(w, path), WANTS_MISSING);
	run_until(w, before, 1);
	line = find(w, w->url);
	assert_non_null(line);
	why = json_get_text(line, "error") ? strdup(json_get_text(line, "error")) : NULL;
	json_free(&line);
	return why;
}

/* The file of URL, or RC_NONE. */
static enum rc
read_out(struct world *w, const char *folder, const char *suffix, const char *url, struct buf *out)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	char path[256];
	int n = snprintf(path, sizeof(path), "%s/%s/", w->out, folder);

	assert_int_equal(digest_bytes(DIGEST_SHA256, url, strlen(url), hash, NULL), RC_OK);
	for (int i = 0; i < 32; i++)
		n += snprintf(path + n, sizeof(path) - (size_t)n, "%02x", hash[i]);
	snprintf(path + n, sizeof(path) - (size_t)n, "%s", suffix);
	buf_clear(out);
	return file_read(path, out, NULL);
}

/* Is what lies there the same as in NAME of the server? */
static bool
is_same(struct world *w, const char *url, const char *name)
{
	struct buf there = BUF_INIT(0), want = BUF_INIT(0);
	char path[256];
	bool same;

	snprintf(path, sizeof(path), "%s/%s", w->www, name);
	assert_int_equal(file_read(path, &want, NULL), RC_OK);
	same = read_out(w, "crl", ".crl", url, &there) == RC_OK && there.len == want.len &&
	       memcmp(there.data, want.data, want.len) == 0;
	buf_fini(&there);
	buf_fini(&want);
	return same;
}

static void
advance(struct world *w, int64_t seconds)
{
	(void)w;
	clock_set(clock_now() + seconds);
}

/* Fetched when asked for, fetched again ahead of its end, and not again when it did not change. */
static void
test_refresh(void **state)
{
	struct world *w = *state;
	struct json_value *line;
	long before;

	write_crl(w, "a.crl", 1, TEST_NOW - DAY);
	start(w, "");
	assert_null(get(w, WANT_CRL, "/file/a.crl"));
	assert_true(is_same(w, w->url, "a.crl"));
	line = find(w, w->url);
	assert_true(time_of(line, "next") > TEST_NOW + 3 * 3600);
	assert_true(time_of(line, "next") <= TEST_NOW + 4 * 3600);
	assert_int_equal(time_of(line, "ends"), TEST_NOW + 6 * DAY);
	json_free(&line);

	before = counter_get(COUNTER_FETCHED_UNCHANGED);
	advance(w, 4 * 3600);
	run_until(w, ended(), 1);
	CHECK_INT("unchanged", counter_get(COUNTER_FETCHED_UNCHANGED), before + 1);

	write_crl(w, "a.crl", 2, clock_now());
	advance(w, 4 * 3600);
	run_until(w, ended(), 1);
	assert_true(is_same(w, url_of(w, "/file/a.crl"), "a.crl"));

	/* A list that is about to end is fetched before it does. */
	clock_set(TEST_NOW + 7 * DAY + 4 * 3600 - 5000);
	run_until(w, ended(), 1);
	line = find(w, w->url);
	assert_true(time_of(line, "next") < time_of(line, "ends"));
	json_free(&line);
}

static void
test_formats(void **state)
{
	struct world *w = *state;
	struct buf out = BUF_INIT(0), pem = BUF_INIT(0), p7 = BUF_INIT(0);
	struct certset set = {0};
	struct cert *alice = people_cert(&w->people, "alice@x.test", 10, CERT_SIGN);
	const unsigned char *der;
	struct buf one = BUF_INIT(0);
	size_t len;

	write_crl(w, "a.crl", 1, TEST_NOW - DAY);
	der = cert_der(w->people.ca, &len);
	buf_append(&one, der, len, NULL);
	write_www(w, "ca.cer", &one);
	certset_add(&set, w->people.ca, NULL);
	certset_add(&set, alice, NULL);
	assert_int_equal(certset_format_p7(&set, &p7, NULL), RC_OK);
	write_www(w, "ca.p7c", &p7);
	assert_int_equal(cert_format_pem(alice, &pem, NULL), RC_OK);
	write_www(w, "alice.pem", &pem);
	start(w, "");

	assert_null(get(w, WANT_CRL, "/chunked/a.crl"));
	assert_true(is_same(w, w->url, "a.crl"));
	assert_null(get(w, WANT_CA, "/file/ca.cer"));
	assert_int_equal(read_out(w, "aia", ".cer", w->url, &out), RC_OK);
	assert_int_equal(out.len, len);
	/* The CA's certificates of a bundle, and only those. */
	assert_null(get(w, WANT_CA, "/file/ca.p7c"));
	certset_fini(&set);
	assert_int_equal(read_out(w, "aia", ".cer", w->url, &out), RC_OK);
	assert_int_equal(certset_parse(out.data, out.len, &set, NULL), RC_OK);
	CHECK_INT("kept", set.n, 1);
	assert_string_equal(cert_fingerprint(set.v[0]), cert_fingerprint(w->people.ca));
	certset_fini(&set);
	cert_unref(&alice);
	buf_fini(&out);
	buf_fini(&one);
	buf_fini(&pem);
	buf_fini(&p7);
}

/* A CA's certificate that says where its issuer's lie. */
static void
write_issuer(struct world *w, const char *name, const char *const *urls, size_t n)
{
	struct issue_extra extra = {.ca_urls = urls, .n_ca_urls = n};
	struct issue_request request = {.common_name = name,
		.not_before = TEST_NOW - DAY,
		.not_after = TEST_NOW + DAY,
		.extra = &extra};
	struct buf one = BUF_INIT(0);
	struct cert *cert = NULL;
	const unsigned char *der;
	size_t len;

	assert_int_equal(issue_ca(w->people.ca_key, w->people.ca, w->people.spki.data,
				 w->people.spki.len, &request, &cert, NULL),
		RC_OK);
	der = cert_der(cert, &len);
	buf_append(&one, der, len, NULL);
	write_www(w, name, &one);
	buf_fini(&one);
	cert_unref(&cert);
}

/* Issuers are fetched up to the root's, from CAs that nobody vouches for yet; not without end, and
 * a short list is no trouble. */
static void
test_issuers(void **state)
{
	struct world *w = *state;
	char text[2][128], path[32];
	long before;
	const char *urls[2] = {text[0], text[1]};
	struct json_value *line;

	for (int i = 0; i < 8; i++) {
		snprintf(text[0], sizeof(text[0]), "http://127.0.0.1:%u/file/c%d", w->port, i + 1);
		snprintf(path, sizeof(path), "c%d", i);
		write_issuer(w, path, urls, 1);
	}
	snprintf(text[1], sizeof(text[1]), "http://127.0.0.1:%u/file/c0", w->port);
	write_issuer(w, "two", urls, 2);
	start(w, "");
	before = ended();
	assert_null(get(w, WANT_CA, "/file/c0"));
	run_until(w, before, 5);
	for (int i = 0; i < 20; i++)
		fetcher_step(w->fetcher, -1, 1);
	line = find(w, url_of(w, "/file/c4"));
	assert_non_null(line);
	json_free(&line);
	assert_null(find(w, url_of(w, "/file/c5")));
	fetcher_close(&w->fetcher);

	start(w, "max_items = 1;");
	assert_null(get(w, WANT_CA, "/file/two"));
}

/* What servers do, and what is said about it. */
static void
test_trouble(void **state)
{
	static const struct {
		enum want_kind kind;
		const char *path, *why; /* what is in the reason */
	} table[] = {
		{WANT_CRL, "/status/404", "404"},
		{WANT_CRL, "/status/500", "500"},
		{WANT_CRL, "/status/304", "304"},
		{WANT_CRL, "/status/204", "204"},
		{WANT_CRL, "/file/none", "404"},
		{WANT_CRL, "/loop", "more than 3 redirections"},
		{WANT_CRL, "/to/file:///etc/passwd", "redirection"},
		{WANT_CRL, "/to/ftp://127.0.0.1/", "redirection"},
		{WANT_CRL, "/to/http://127.0.0.1:25/", "port 25"},
		{WANT_CRL, "/to/ldap://127.0.0.1/cn=A", "redirection"},
		{WANT_CRL, "/to/http://u:p@127.0.0.1/", "redirection"},
		{WANT_CRL, "/length", "larger than"},
		{WANT_CRL, "/huge", "larger than"},
		{WANT_CRL, "/headers", "header"},
		{WANT_CRL, "/silent", "time"},
		{WANT_CRL, "/drip/a.crl", "time"},
		{WANT_CRL, "/half/a.crl", ""},
		{WANT_CRL, "/gzip/garbage", "no revocation list"},
		{WANT_CRL, "/file/garbage", "no revocation list"},
		{WANT_CRL, "/file/empty", "empty"},
		{WANT_CRL, "/file/ca.pem", "no revocation list"},
		{WANT_CRL, "/file/future.crl", "future"},
		{WANT_CA, "/file/a.crl", "no certificate"},
		{WANT_CA, "/file/alice.pem", "no certificate of a CA"},
		{WANT_CA, "/file/garbage", "no certificate"},
	};
	struct world *w = *state;
	struct cert *alice = people_cert(&w->people, "alice@x.test", 10, CERT_SIGN);
	struct buf pem = BUF_INIT(0), out = BUF_INIT(0);

	write_crl(w, "a.crl", 1, TEST_NOW - DAY);
	write_crl(w, "future.crl", 1, TEST_NOW + 2 * 3600);
	write_text(w, "garbage", "<html>it moved</html>");
	write_text(w, "empty", "");
	cert_format_pem(w->people.ca, &pem, NULL);
	write_www(w, "ca.pem", &pem);
	buf_clear(&pem);
	cert_format_pem(alice, &pem, NULL);
	write_www(w, "alice.pem", &pem);
	start(w, "max_crl = \"64K\"; timeout = 400; connect_timeout = 300;");
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		char *why = get(w, table[i].kind, table[i].path);

		if (!why || !strcasestr(why, table[i].why))
			fail_msg("%s: got \"%s\", want \"%s\"", table[i].path, why ? why : "(good)",
				table[i].why);
		CHECK_INT(table[i].path, read_out(w, "crl", ".crl", w->url, &out), RC_NONE);
		CHECK_INT(table[i].path, read_out(w, "aia", ".cer", w->url, &out), RC_NONE);
		free(why);
	}
	cert_unref(&alice);
	buf_fini(&pem);
	buf_fini(&out);
}

/* The list of FROM's CA, all of which have one name, at the server. */
static void
put_list(struct world *w, struct people *from, int64_t number, int64_t at, const char *name)
{
	struct buf der = BUF_INIT(0);

	assert_int_equal(
		issue_crl(from->ca_key, from->ca, NULL, 0, number, at, at + 7 * DAY, &der, NULL),
		RC_OK);
	write_www(w, "a.crl", &der);
	write_www(w, name, &der);
	buf_fini(&der);
}

/* What lies there, and beside it (NULL: nothing), once the URL was asked again. */
static void
expect_lists(
	struct world *w, const char *what, int64_t later, const char *there, const char *beside)
{
	struct buf got = BUF_INIT(0), want = BUF_INIT(0);
	char path[256];
	enum rc rc;

	clock_set(clock_now() + later);
	run_until(w, ended(), 1);
	CHECK_INT(what, is_same(w, w->url, there), true);
	rc = read_out(w, "crl", ".beside.crl", w->url, &got);
	CHECK_INT(what, rc, beside ? RC_OK : RC_NONE);
	snprintf(path, sizeof(path), "%s/%s", w->www, beside ? beside : "");
	if (beside && file_read(path, &want, NULL) == RC_OK)
		CHECK_INT(what, got.len == want.len && memcmp(got.data, want.data, got.len) == 0,
			true);
	buf_fini(&got);
	buf_fini(&want);
}

/* Somebody on the way sends lists of the right name: none of them goes in the place of one that the
 * CA signed, and none keeps the CA's next one out, whatever its date is. */
static void
test_forged_lists(void **state)
{
	static const char more[] = "retry = 60; retry_max = 60; refresh = 6000;";
	struct world *w = *state;
	struct people forger;
	struct json_value *line;

	people_init(&forger);
	put_list(w, &w->people, 5, TEST_NOW - DAY, "good.crl");
	start(w, more);
	wants_note_issuer(w->wants, w->people.ca);
	assert_null(get(w, WANT_CRL, "/file/a.crl"));
	put_list(w, &forger, 6, TEST_NOW + DAY, "forged.crl");
	expect_lists(w, "forged", 2 * DAY, "good.crl", "forged.crl");
	line = find(w, w->url);
	assert_non_null(strstr(json_get_text(line, "error"), "kept beside"));
	assert_true(time_of(line, "next") <= clock_now() + 66); /* soon */
	json_free(&line);
	/* What is known of CAs outlives the process. */
	fetcher_close(&w->fetcher);
	start(w, more);
	url_of(w, "/file/a.crl");
	put_list(w, &forger, 7, TEST_NOW + 2 * DAY, "forged2.crl");
	expect_lists(w, "forged again", 70, "good.crl", "forged2.crl");
	put_list(w, &w->people, 6, TEST_NOW + DAY / 2, "good2.crl");
	expect_lists(w, "the CA's next", 70, "good2.crl", NULL);
	fetcher_close(&w->fetcher);
	people_fini(&forger);
}

/* One that came before anybody knew the CA goes as soon as somebody does. */
static void
test_forged_before(void **state)
{
	struct world *w = *state;
	struct people forger;

	people_init(&forger);
	put_list(w, &forger, 7, TEST_NOW + 1800, "forged.crl");
	start(w, "retry = 60; retry_max = 60; refresh = 6000;");
	assert_null(get(w, WANT_CRL, "/file/a.crl"));
	put_list(w, &w->people, 5, TEST_NOW - DAY, "good.crl");
	/* Another process, which has not said it just now. */
	wants_close(&w->wants);
	assert_int_equal(wants_open(w->conf, &w->wants, NULL), RC_OK);
	wants_note_issuer(w->wants, w->people.ca);
	wants_note(w->wants, WANT_CRL, w->url, WANTS_IN_USE);
	expect_lists(w, "at once", 0, "good.crl", NULL);
	people_fini(&forger);
}

/* A host that others lead to is counted like one that is asked at once. */
static void
test_redirected_hosts(void **state)
{
	struct world *w = *state;
	struct json_value *line = NULL;
	long before, failed = counter_get(COUNTER_FETCH_FAILED);
	char a[128], b[128], path[160];

	write_crl(w, "a.crl", 1, TEST_NOW - DAY);
	write_crl(w, "b.crl", 1, TEST_NOW - DAY);
	start(w, "host_hour = 2;");
	snprintf(a, sizeof(a), "/to/http://localhost:%u/file/a.crl", w->port);
	snprintf(b, sizeof(b), "/to/http://localhost:%u/file/b.crl", w->port);
	assert_null(get(w, WANT_CRL, a));
	snprintf(path, sizeof(path), "http://localhost:%u/file/b.crl", w->port);
	before = ended();
	wants_note(w->wants, WANT_CRL, path, WANTS_MISSING);
	run_until(w, before, 1);
	/* That was the second one. */
	wants_note(w->wants, WANT_CRL, url_of(w, b), WANTS_MISSING);
	for (int i = 0; i < 400 && (!line || !json_get_text(line, "error")); i++) {
		json_free(&line);
		fetcher_step(w->fetcher, -1, 10);
		line = find(w, w->url);
	}
	assert_non_null(line);
	assert_non_null(strstr(json_get_text(line, "error"), "localhost, to which it leads"));
	CHECK_INT("in an hour", time_of(line, "next"), TEST_NOW + 3600);
	CHECK_INT("no failure", counter_get(COUNTER_FETCH_FAILED), failed);
	json_free(&line);
	clock_set(TEST_NOW + 3600);
	before = ended();
	run_until(w, before, 1);
	assert_true(is_same(w, url_of(w, b), "b.crl"));
}

/* Whatever comes instead, the last good list stays; a server that is back is asked again. */
static void
test_last_good(void **state)
{
	struct world *w = *state;
	struct people other;
	struct buf der = BUF_INIT(0), good = BUF_INIT(0);
	struct json_value *line;

	write_crl(w, "a.crl", 5, TEST_NOW - DAY);
	start(w, "retry = 60; retry_max = 600; refresh = 600;");
	assert_null(get(w, WANT_CRL, "/file/a.crl"));
	assert_int_equal(read_out(w, "crl", ".crl", w->url, &good), RC_OK);
	write_www(w, "good.crl", &good);

#define NEXT_TRY(what)                                                           \
	do {                                                                     \
		long before_ = counter_get(COUNTER_FETCH_FAILED);                \
		advance(w, 700);                                                 \
		run_until(w, ended(), 1);                                        \
		CHECK_INT(what, counter_get(COUNTER_FETCH_FAILED) - before_, 1); \
		CHECK_INT(what, is_same(w, w->url, "good.crl"), true);           \
	} while (0)
	write_crl(w, "a.crl", 4, TEST_NOW - 2 * DAY);
	NEXT_TRY("older");
	write_crl(w, "a.crl", 4, TEST_NOW - DAY);
	NEXT_TRY("smaller number");
	write_text(w, "a.crl", "sorry");
	NEXT_TRY("garbage");
	people_init(&other);
	{
		/* Another CA's list in its place. */
		struct issue_request request = {.common_name = "Other CA",
			.not_before = TEST_NOW - DAY,
			.not_after = TEST_NOW + DAY};
		struct cert *ca = NULL;

		assert_int_equal(issue_root(other.ca_key, &request, &ca, NULL), RC_OK);
		assert_int_equal(issue_crl(other.ca_key, ca, NULL, 0, 9, TEST_NOW - 60,
					 TEST_NOW + 7 * DAY, &der, NULL),
			RC_OK);
		write_www(w, "a.crl", &der);
		cert_unref(&ca);
	}
	NEXT_TRY("another CA's");
	web_stop();
	NEXT_TRY("server gone");
	line = find(w, w->url);
	CHECK_INT("failures", json_get_int(line, "failures", 0), 5);
	json_free(&line);
	write_crl(w, "a.crl", 6, clock_now());
	assert_int_equal(web_start(w->www, w->port), w->port);
	advance(w, 700);
	run_until(w, ended(), 1);
	assert_true(is_same(w, w->url, "a.crl"));
	people_fini(&other);
	buf_fini(&der);
	buf_fini(&good);
}

/* A server that says when it wants to be asked again. */
static void
test_retry_after(void **state)
{
	struct world *w = *state;
	struct json_value *line;
	char *why;

	start(w, "retry = 60;");
	why = get(w, WANT_CRL, "/retry/5000");
	assert_non_null(why);
	free(why);
	line = find(w, w->url);
	CHECK_INT("next", time_of(line, "next"), TEST_NOW + 5000);
	json_free(&line);
}

/* The operator says now, in the middle of a long wait. */
static void
test_now(void **state)
{
	struct world *w = *state;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char *why;

	start(w, "retry = 60;");
	why = get(w, WANT_CRL, "/file/late.crl");
	assert_non_null(why);
	free(why);
	write_crl(w, "late.crl", 1, TEST_NOW - 60);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", w->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(send(fd, "now\n", 4, 0), 4);
	run_until(w, ended(), 1);
	assert_true(is_same(w, w->url, "late.crl"));
	close(fd);
}

/* Private addresses are not connected to, whoever leads there. */
static void
test_private(void **state)
{
	struct world *w = *state;
	struct buf out = BUF_INIT(0);
	struct conf *conf;
	char text[1024], url[128];
	struct stat st;

	write_crl(w, "a.crl", 1, TEST_NOW - DAY);
	snprintf(text, sizeof(text),
		"organisation = { domains = \"x.test\"; };\n"
		"fetch = { user = \"root\"; dir = \"%s\"; socket = \"%s/sock\"; "
		"ports = ( \"%u\" ); };\n",
		w->out, w->dir, w->port);
	assert_int_equal(conf_parse(text, "test", "/tmp", &conf, NULL), RC_OK);
	assert_int_equal(fetcher_open(conf, &w->fetcher, NULL), RC_OK);
	assert_int_equal(fetcher_start(w->fetcher, NULL), RC_OK);
	assert_int_equal(wants_open(conf, &w->wants, NULL), RC_OK);
	/* An address in the URL is refused as soon as it is wanted … */
	wants_note(w->wants, WANT_CRL, url_of(w, "/file/a.crl"), WANTS_MISSING);
	/* … a name when it turned out to be one. */
	snprintf(url, sizeof(url), "http://localhost:%u/file/a.crl", w->port);
	wants_note(w->wants, WANT_CRL, url, WANTS_MISSING);
	snprintf(url, sizeof(url), "ldap://localhost:%u/cn=A", w->port);
	wants_note(w->wants, WANT_CRL, url, WANTS_MISSING);
	run_until(w, ended(), 2);
	for (int i = 0; i < 2; i++) {
		struct json_value *line;

		snprintf(url, sizeof(url),
			i ? "ldap://localhost:%u/cn=A" : "http://localhost:%u/file/a.crl", w->port);
		line = find(w, url);
		assert_non_null(line);
		assert_non_null(strstr(json_get_text(line, "error"), "loopback"));
		json_free(&line);
	}
	assert_null(find(w, url_of(w, "/file/a.crl")));
	/* The server never heard of it. */
	snprintf(text, sizeof(text), "%s/requests", w->www);
	assert_int_not_equal(stat(text, &st), 0);
	conf_unref(&conf);
	buf_fini(&out);
}

/* Wants and files survive; what was half-written goes; a lost list loses no file. */
static void
test_restart(void **state)
{
	struct world *w = *state;
	struct json_value *line;
	char path[256], url[512];
	struct stat st;

	write_crl(w, "a.crl", 1, TEST_NOW - DAY);
	start(w, "forget = \"365d\";"); /* files have the real time */
	assert_null(get(w, WANT_CRL, "/file/a.crl"));
	strcpy(url, w->url);
	fetcher_close(&w->fetcher);
	snprintf(path, sizeof(path), "%s/new/x.crl.AbCdEf", w->out);
	write_text(w, "../out/new/x.crl.AbCdEf", "half");
	start(w, "forget = \"365d\";");
	assert_int_not_equal(stat(path, &st), 0);
	line = find(w, url);
	assert_non_null(line);
	assert_int_equal(time_of(line, "fetched"), TEST_NOW);
	json_free(&line);
	fetcher_close(&w->fetcher);
	snprintf(path, sizeof(path), "%s/wants", w->out);
	assert_int_equal(unlink(path), 0);
	start(w, "forget = \"365d\";");
	assert_null(find(w, url));
	assert_true(is_same(w, url, "a.crl"));
}

/* What nobody asks for goes after its time. */
static void
test_forget(void **state)
{
	struct world *w = *state;
	struct buf out = BUF_INIT(0);
	char permanent[256], more[512];

	write_crl(w, "a.crl", 1, TEST_NOW - DAY);
	snprintf(permanent, sizeof(permanent), "http://127.0.0.1:%u/file/a.crl?always", w->port);
	snprintf(more, sizeof(more), "forget = \"1d\"; crl_urls = \"%s\";", permanent);
	start(w, more);
	assert_null(get(w, WANT_CRL, "/file/a.crl"));
	advance(w, 2 * DAY);
	run_until(w, ended(), 2);
	advance(w, 3600);
	fetcher_step(w->fetcher, -1, 10);
	fetcher_step(w->fetcher, -1, 10);
	assert_null(find(w, w->url));
	CHECK_INT("file", read_out(w, "crl", ".crl", w->url, &out), RC_NONE);
	{
		struct json_value *line = find(w, permanent);

		assert_non_null(line);
		assert_true(json_is_true(json_find(line, "permanent")));
		json_free(&line);
	}
	buf_fini(&out);
}

/* A flood is slowed down at the door, fills no memory, and does not keep others out. */
static void
test_flood(void **state)
{
	struct world *w = *state;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fds[8];
	long sent = 0;

	start(w, "max_items = 50; new_per_hour = 40; parallel = 1; host_parallel = 1;");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", w->dir);
	for (int i = 0; i < 8; i++) {
		fds[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&addr, sizeof(addr)), 0);
	}
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 8; i++) {
			char want[128];
			int n = snprintf(want, sizeof(want),
				"crl http://127.0.0.1:%u/status/404?%d-%d\n", w->port, round, i);

			sent += send(fds[i], want, (size_t)n, MSG_NOSIGNAL) == n;
		}
		fetcher_step(w->fetcher, -1, 0);
	}
	assert_true(sent > 100);
	write_crl(w, "a.crl", 1, TEST_NOW - DAY);
	assert_null(find(w, url_of(w, "/file/a.crl")));
	{
		/* Nonsense ends the connection. */
		char c;

		assert_true(send(fds[0], "crl \n", 5, MSG_NOSIGNAL) == 5 || errno == EPIPE ||
			    errno == EAGAIN);
		for (int i = 0; i < 100; i++)
			fetcher_step(w->fetcher, -1, 0);
		assert_true(recv(fds[0], &c, 1, 0) <= 0);
	}
	for (int i = 0; i < 8; i++)
		close(fds[i]);
	CHECK_INT("new in this hour", counter_get(COUNTER_FETCH_TURNED_AWAY) > 0, true);
}

/* No fetcher: nothing waits, everything is counted; when it is there, it hears of it. */
static void
test_away(void **state)
{
	struct world *w = *state;
	long dropped = counter_get(COUNTER_WANTS_DROPPED);

	w->conf = conf_of(w, "");
	assert_int_equal(wants_open(w->conf, &w->wants, NULL), RC_OK);
	wants_note(w->wants, WANT_CRL, url_of(w, "/file/a.crl"), WANTS_MISSING);
	CHECK_INT("dropped", counter_get(COUNTER_WANTS_DROPPED), dropped + 1);
	wants_note(NULL, WANT_CRL, w->url, WANTS_MISSING);
	write_crl(w, "a.crl", 1, TEST_NOW - DAY);
	start(w, "");
	assert_null(get(w, WANT_CRL, "/file/a.crl"));
	/* What was sent a moment ago is not sent again. */
	dropped = counter_get(COUNTER_WANTS_SENT);
	wants_note(w->wants, WANT_CRL, w->url, WANTS_IN_USE);
	wants_note(w->wants, WANT_CRL, w->url, WANTS_IN_USE);
	wants_note(w->wants, WANT_CRL, w->url, WANTS_IN_USE);
	assert_true(counter_get(COUNTER_WANTS_SENT) <= dropped + 1);
}

int
main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_WORLD(test_refresh),
		WITH_WORLD(test_formats),
		WITH_WORLD(test_issuers),
		WITH_WORLD(test_trouble),
		WITH_WORLD(test_redirected_hosts),
		WITH_WORLD(test_forged_lists),
		WITH_WORLD(test_forged_before),
		WITH_WORLD(test_last_good),
		WITH_WORLD(test_retry_after),
		WITH_WORLD(test_now),
		WITH_WORLD(test_private),
		WITH_WORLD(test_restart),
		WITH_WORLD(test_forget),
		WITH_WORLD(test_flood),
		WITH_WORLD(test_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
