/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Acts of two persons: the text of a request, what counts as an approval of it, and what becomes of
 * it over its life.
 */
#include "keystore/approval.h"

#include <sqlite3.h>

#include "crypto/cms_envelope.h"
#include "crypto/cms_sign.h"
#include "crypto/issue.h"
#include "keystore/client.h"
#include "keystore/ledger_find.h"
#include "keystore/ledger_verify.h"
#include "tests/unit/keystore/vault_world.h"

#define DAY    86400
#define START  1790000000 /* of the clock, where a test sets it */
#define PEOPLE 4

static struct err err = ERR_INIT;

struct person {
	const char *name;
	struct pkey *pkey;
	struct cert *cert;
};

/* Anna, Ben and Carl are officers; Dora becomes one. */
struct house {
	struct world w;
	struct person people[PEOPLE];
	struct buf export; /* a command: Alice's key, encrypted to somebody, which is quick */
};
enum { ANNA, BEN, CARL, DORA };

static struct pkey *rsa_key; /* Ben's, made once: it takes a while */

static void
make_person(struct person *p, const char *name, const char *kind)
{
	struct issue_request request = {.common_name = name,
		.not_before = clock_now() - DAY,
		.not_after = clock_now() + 300 * DAY};

	p->name = name;
	if (strcmp(kind, "rsa2048") != 0) {
		MUST(pkey_generate(kind, &p->pkey, &err));
	} else {
		if (!rsa_key)
			MUST(pkey_generate(kind, &rsa_key, &err));
		p->pkey = pkey_ref(rsa_key);
	}
	MUST(issue_root(p->pkey, &request, &p->cert, &err));
}

static void
put_person(struct json *json, const struct person *p)
{
	struct buf pem = BUF_INIT(65536);

	MUST(cert_format_pem(p->cert, &pem, &err));
	json_object(json, NULL);
	json_str(json, "pem", buf_text(&pem));
	json_str(json, "name", p->name);
	json_object_end(json);
	buf_fini(&pem);
}

/* A command about the people FROM to TO: MEMBER is the list of them. */
static struct json_value *
about_people(struct house *h, const char *cmd, const char *member, int from, int to,
	const char *remove, int threshold)
{
	struct buf text = BUF_INIT(1u << 20);
	struct json_value *answer;
	struct json json;

	json_init(&json, &text);
	json_object(&json, NULL);
	json_str(&json, "cmd", cmd);
	json_array(&json, member);
	for (int i = from; i < to; i++)
		put_person(&json, &h->people[i]);
	json_array_end(&json);
	if (remove) {
		json_array(&json, "remove");
		json_str(&json, NULL, remove);
		json_array_end(&json);
	}
	if (threshold)
		json_int(&json, "threshold", threshold);
	json_object_end(&json);
	MUST(json_end(&json, &err));
	answer = world_admin(&h->w, buf_text(&text));
	buf_fini(&text);
	return answer;
}

/* A certificate to encrypt to, in the command for an export. */
static void
make_export(struct house *h)
{
	struct issue_request request = {.addr = "dora@example.org",
		.not_before = clock_now() - DAY,
		.not_after = clock_now() + 300 * DAY,
		.use = CERT_ENCRYPT};
	const struct person *ca = &h->people[DORA];
	struct buf spki = BUF_INIT(4096), pem = BUF_INIT(65536);
	struct cert *cert;
	struct json json;

	MUST(pkey_public(ca->pkey, &spki, &err));
	MUST(issue_leaf(ca->pkey, ca->cert, spki.data, spki.len, &request, &cert, &err));
	MUST(cert_format_pem(cert, &pem, &err));
	buf_init(&h->export, 65536);
	json_init(&json, &h->export);
	json_object(&json, NULL);
	json_str(&json, "cmd", "key.export");
	json_str(&json, "key", "alice@example.org");
	json_str(&json, "to", buf_text(&pem));
	json_object_end(&json);
	MUST(json_end(&json, &err));
	cert_unref(&cert);
	buf_fini(&spki);
	buf_fini(&pem);
}

static void
house_init(struct house *h)
{
	struct json_value *answer;

	world_init(&h->w, NULL);
	world_start(&h->w);
	make_person(&h->people[ANNA], "Anna", "p256");
	make_person(&h->people[BEN], "Ben", "rsa2048");
	make_person(&h->people[CARL], "Carl", "p384");
	make_person(&h->people[DORA], "Dora", "p521");
	make_export(h);
	answer = about_people(h, "officer.init", "officers", ANNA, DORA, NULL, 2);
	CHECK_INT("officers", json_count(json_find(answer, "officers")), 3);
	json_free(&answer);
}

static void
house_fini(struct house *h)
{
	for (int i = 0; i < PEOPLE; i++) {
		pkey_unref(&h->people[i].pkey);
		cert_unref(&h->people[i].cert);
	}
	buf_fini(&h->export);
	world_fini(&h->w);
}

/* One request with a request's text; both for the caller. */
struct asked {
	char id[64];
	char *text;
};

static void
take_asked(struct json_value *answer, struct asked *asked)
{
	assert_non_null(json_get_text(answer, "request"));
	snprintf(asked->id, sizeof(asked->id), "%s", json_get_text(answer, "request"));
	asked->text = strdup(json_get_text(answer, "text"));
	json_free(&answer);
}

static void
ask(struct house *h, const char *request, struct asked *asked)
{
	take_asked(world_admin(&h->w, request), asked);
}

/* P's signature over TEXT. */
static void
sign(const struct person *p, const char *text, struct buf *der)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	struct certset none = {0};
	struct cms_sign_request request = {
		.digest = cms_sign_digest_for(p->cert), .value = hash, .signing_time = -1};

	MUST(digest_bytes(request.digest, text, strlen(text), hash, &err));
	MUST(cms_sign_digest(p->pkey, p->cert, &none, &request, der, &err));
}

/* Hands in BYTES for the request ID. */
static enum rc
hand_in(struct house *h, const char *id, const void *bytes, size_t len)
{
	struct json_value *answer = NULL;
	struct secret *blob = NULL;
	char request[128];
	enum rc rc;

	snprintf(request, sizeof(request), "{\"cmd\":\"officer.approve\",\"request\":\"%s\"}", id);
	MUST(secret_copy(bytes, len, &blob, &err));
	rc = admin_call(h->w.conf, request, blob, &answer, &err);
	secret_free(&blob);
	json_free(&answer);
	return rc;
}

static enum rc
approve(struct house *h, int who, const struct asked *asked)
{
	struct buf der = BUF_INIT(1u << 20);
	enum rc rc;

	sign(&h->people[who], asked->text, &der);
	rc = hand_in(h, asked->id, der.data, der.len);
	buf_fini(&der);
	return rc;
}

static enum rc
run_with(struct house *h, const struct asked *asked, struct secret *blob, struct secret **result)
{
	struct json_value *answer = NULL;
	char request[128];
	enum rc rc;

	snprintf(request, sizeof(request), "{\"cmd\":\"officer.run\",\"request\":\"%s\"}",
		asked->id);
	rc = admin_call_result(h->w.conf, request, blob, &answer, result, &err);
	json_free(&answer);
	return rc;
}

static enum rc
run(struct house *h, const struct asked *asked)
{
	struct secret *result = NULL, *password = NULL;
	enum rc rc;

	MUST(secret_copy("0123456789", 10, &password, &err));
	rc = run_with(h, asked, password, &result);
	secret_free(&password);
	secret_free(&result);
	return rc;
}

static void
new_key(struct house *h, const char *addr, char key[64])
{
	char request[200];

	snprintf(request, sizeof(request),
		"{\"cmd\":\"key.new\",\"addr\":\"%s\",\"name\":\"Alice A\",\"type\":\"p256\"}",
		addr);
	world_do(&h->w, request, key);
}

static void
refused_command(struct house *h, const char *request, enum errcode wanted)
{
	struct json_value *answer = NULL;

	err_clear(&err);
	if (admin_call(h->w.conf, request, NULL, &answer, &err) == RC_OK || err.code != wanted)
		fail_msg("%s: %s (%s), want %s", request, err_name(err.code), err.detail,
			err_name(wanted));
	err_clear(&err);
}

/* --- what may stand in the text --- */

static void
test_plain(void **state)
{
	static const struct {
		const char *text;
		bool plain;
	} cases[] = {
		{"moves to another house", true},
		{"M\303\274ller & S\303\266hne, 5 \342\202\254", true},
		{"\345\261\261\347\224\260\343\200\200\345\244\252\351\203\216", true}, /* U+3000 */
		{"", false}, {" x", false}, {"x ", false}, {"a  b", false},
		{"a \343\200\200b", false}, {"a\nact: x", false}, {"a\rb", false}, {"a\tb", false},
		{"a\033[2Jb", false}, {"a\177b", false}, {"a\302\205b", false}, /* U+0085 */
		{"a\302\240b", false},                                          /* no-break space */
		{"a\302\255b", false},                                          /* soft hyphen */
		{"a\342\200\213b", false},     /* zero width space */
		{"a\342\200\256b", false},     /* right-to-left override */
		{"a\342\201\246b", false},     /* isolate */
		{"a\342\200\250b", false},     /* line separator */
		{"a\357\273\277b", false},     /* byte order mark */
		{"a\356\200\200b", false},     /* private use */
		{"a\363\240\201\201b", false}, /* tag character */
		{"a\357\270\217b", false},     /* variation selector */
		{"a\377b", false}, {"a\303", false}, {"a\355\240\200b", false}, /* surrogate */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *copy = exact(cases[i].text, strlen(cases[i].text) + 1);

		CHECK_INT(cases[i].text, approval_is_plain(copy, 500), cases[i].plain);
		free(copy);
	}
	assert_true(approval_is_plain("12345", 5));
	assert_false(approval_is_plain("123456", 5));
}

static void
test_act(void **state)
{
	struct act act;

	(void)state;
	act_init(&act, "key.export", true);
	act_put(&act, "key", "k1");
	act_put(&act, "none", NULL);
	act_putf(&act, "times", "%d", 3);
	act_put_time(&act, "at", 0);
	act_put_shown(&act, "owner", "A\nact: x");
	act_put_shown(&act, "owner", "  A  B ");
	act_put_shown(&act, "owner", "\377\342\200\256");
	act_put_shown(&act, "owner", "");
	MUST(act.rc);
	CHECK_STR("lines", buf_text(&act.lines),
		"act: key.export\r\nkey: k1\r\ntimes: 3\r\nat: 1970-01-01T00:00:00Z\r\n"
		"owner: A?act: x\r\nowner: ? A ?B?\r\nowner: ??\r\nowner: ?\r\n");
	act_put(&act, "reason", "two\r\nlines");
	CHECK_INT("refused", act.rc, RC_PERM);
	act_put(&act, "later", "x");
	CHECK_INT("the failure sticks", act.err.code, ERR_USAGE);
	act_fini(&act);
}

/* --- the whole text --- */

/* The value of the line NAME in TEXT. */
static void
line_of(const char *text, const char *name, char out[300])
{
	char begin[64];
	const char *at, *end;

	snprintf(begin, sizeof(begin), "\r\n%s: ", name);
	at = strstr(text, begin);
	assert_non_null(at);
	at += strlen(begin);
	end = strstr(at, "\r\n");
	assert_non_null(end);
	snprintf(out, 300, "%.*s", (int)(end - at), at);
}

static void
test_text(void **state)
{
	struct house h;
	struct asked asked, again;
	struct json_value *list, *shown;
	char key[64], nonce[300], other[300], ledger[300], fingerprint[300], want[8192],
		request[128];
	char by[300], since[300];

	(void)state;
	clock_set(START);
	house_init(&h);
	new_key(&h, "alice@example.org", key);
	ask(&h, "{\"cmd\":\"key.export\",\"key\":\"alice@example.org\",\"reason\":\"for a test\",\"hours\":2}",
		&asked);
	line_of(asked.text, "nonce", nonce);
	line_of(asked.text, "ledger", ledger);
	line_of(asked.text, "fingerprint", fingerprint);
	line_of(asked.text, "by", by);
	line_of(asked.text, "officers", since);
	CHECK_INT("nonce", strspn(nonce, "0123456789abcdef"), 64);
	assert_non_null(strstr(by, "uid "));
	list = world_admin(&h.w, "{\"cmd\":\"officer.list\"}");
	snprintf(want, sizeof(want),
		"sealgate-request:1\r\n"
		"Whoever signs this text approves the act below, as it is described here,\r\n"
		"once, until it expires.\r\n\r\n"
		"request: %s\r\nnonce: %s\r\nledger: %s\r\n"
		"made: 2026-09-21T14:13:20Z\r\nexpires: 2026-09-21T16:13:20Z\r\nby: %s\r\n"
		"officers: 2 of 3, since record %lld\r\n",
		asked.id, nonce, ledger, by, (long long)json_get_int(list, "record", 0));
	for (size_t i = 0; i < 3; i++) {
		const struct json_value *one = json_at(json_find(list, "officers"), i);

		snprintf(want + strlen(want), sizeof(want) - strlen(want), "officer: %s %s %s\r\n",
			json_get_text(one, "officer"), json_get_text(one, "keyid"),
			json_get_text(one, "name"));
	}
	snprintf(want + strlen(want), sizeof(want) - strlen(want),
		"\r\nact: key.export\r\nkey: %s\r\nfingerprint: %s\r\nkind: ec-p256, both, active\r\n"
		"owner: Alice A\r\naddress: alice@example.org\r\n"
		"form: PKCS#12 under a password of whoever runs this\r\nreason: for a test\r\n",
		key, fingerprint);
	CHECK_STR("text", asked.text, want);

	snprintf(request, sizeof(request), "{\"cmd\":\"officer.show\",\"request\":\"%s\"}",
		asked.id);
	shown = world_admin(&h.w, request);
	CHECK_STR("shown again", json_get_text(shown, "text"), asked.text);
	ask(&h, "{\"cmd\":\"key.export\",\"key\":\"alice@example.org\",\"reason\":\"for a test\",\"hours\":2}",
		&again);
	line_of(again.text, "nonce", other);
	assert_string_not_equal(nonce, other);
	refused_command(&h,
		"{\"cmd\":\"key.export\",\"key\":\"alice@example.org\",\"reason\":\"a\\nb\"}",
		ERR_USAGE);
	refused_command(&h, "{\"cmd\":\"key.export\",\"key\":\"alice@example.org\",\"reason\":7}",
		ERR_USAGE);
	refused_command(&h, "{\"cmd\":\"key.export\",\"key\":\"alice@example.org\",\"hours\":169}",
		ERR_USAGE);
	refused_command(&h, "{\"cmd\":\"key.export\",\"key\":\"alice@example.org\",\"hours\":0}",
		ERR_USAGE);
	json_free(&shown);
	json_free(&list);
	free(asked.text);
	free(again.text);
	house_fini(&h);
}

/* --- the life of a request --- */

static int64_t base = START; /* the ledger's clock never goes back, so each life begins later */

static void
set_later(int64_t seconds)
{
	clock_set(base + seconds);
}

/* What is done to a request, and what the next use of it has to be. */
struct life {
	const char *name;
	const char *steps; /* a, b, c: approval by that officer; r: run; w: withdrawn; number: the
			      hour to which the clock is set; x: another request is run; each must
			      work, in capitals must fail */
};

static void
live(struct house *h, const struct life *life)
{
	char withdraw[128];
	struct json_value *answer;
	struct asked asked;

	base += 9 * DAY;
	set_later(0);
	ask(h, buf_text(&h->export), &asked);
	for (const char *p = life->steps; *p; p++) {
		bool fails = *p >= 'A' && *p <= 'Z';
		char step = fails ? (char)(*p - 'A' + 'a') : *p;
		enum rc rc = RC_OK;

		err_clear(&err);
		if (step >= '0' && step <= '9') {
			set_later(strtol(p, (char **)&p, 10) * 3600);
			p--;
		} else if (step == 'r') {
			rc = run(h, &asked);
		} else if (step == 'w') {
			snprintf(withdraw, sizeof(withdraw),
				"{\"cmd\":\"officer.withdraw\",\"request\":\"%s\"}", asked.id);
			rc = admin_call(h->w.conf, withdraw, NULL, &answer, &err);
			json_free(&answer);
		} else if (step == 'l') {
			answer = world_admin(&h->w, "{\"cmd\":\"officer.requests\"}");
			json_free(&answer);
		} else if (step == 'm') { /* some record of this hour */
			answer = world_admin(&h->w,
				"{\"cmd\":\"audit.pseudonyms\","
				"\"addr\":\"alice@example.org\",\"periods\":[]}");
			json_free(&answer);
		} else {
			rc = approve(h, step - 'a', &asked);
		}
		if ((rc != RC_OK) != fails || (fails && err.code != ERR_APPROVAL))
			fail_msg("%s: step %c: %d, %s: %s", life->name, *p, rc, err_name(err.code),
				err.detail);
	}
	free(asked.text);
}

static void
test_life(void **state)
{
	static const struct life lives[] = {
		{"two approvals", "Rabr"},
		{"used once", "abrRRC"},
		{"all three", "abcr"},
		{"nobody twice, run", "aARbr"},
		{"no officer", "aDRbr"},
		{"the last hour", "ab23r"},
		{"expired", "ab24RC"},
		{"expired before the approval", "a25BR"},
		{"the clock goes back, and it was seen", "ab25lR1R"},
		{"the clock goes back, seen by the run", "ab25R1R"},
		{"the clock goes back, seen by the ledger", "ab25m1R"},
		{"withdrawn", "abwRCW"},
		{"withdrawn after its use", "abrW"},
	};
	struct ledger_report report;
	struct house h;
	char key[64];

	(void)state;
	clock_set(START);
	house_init(&h);
	new_key(&h, "alice@example.org", key);
	for (size_t i = 0; i < sizeof(lives) / sizeof(*lives); i++) {
		live(&h, &lives[i]);
	}
	base = START;
	world_stop(&h.w);
	MUST(ledger_verify(
		conf_str(conf_section(h.w.conf, "ledger"), "dir"), NULL, 0, &report, &err));
	CHECK_STR("ledger", report.problem, "");
	house_fini(&h);
}

/* Other officers, another threshold: what was open is void, whoever approved it. */
static void
test_change(void **state)
{
	struct asked before, change, after;
	struct house h;
	char key[64];

	(void)state;
	house_init(&h);
	new_key(&h, "alice@example.org", key);
	ask(&h, buf_text(&h.export), &before);
	MUST(approve(&h, ANNA, &before));
	MUST(approve(&h, BEN, &before));
	take_asked(about_people(&h, "officer.change", "add", DORA, PEOPLE, "Ben", 3), &change);
	MUST(approve(&h, ANNA, &change));
	REFUSED(run(&h, &change), ERR_APPROVAL);
	MUST(approve(&h, BEN, &change));
	MUST(run(&h, &change));
	REFUSED(run(&h, &before), ERR_APPROVAL);
	REFUSED(approve(&h, CARL, &before), ERR_APPROVAL);
	REFUSED(run(&h, &change), ERR_APPROVAL);

	ask(&h, buf_text(&h.export), &after);
	REFUSED(approve(&h, BEN, &after), ERR_APPROVAL);
	MUST(approve(&h, ANNA, &after));
	MUST(approve(&h, CARL, &after));
	REFUSED(run(&h, &after), ERR_APPROVAL);
	MUST(approve(&h, DORA, &after));
	MUST(run(&h, &after));
	free(before.text);
	free(change.text);
	free(after.text);
	house_fini(&h);
}

/* What the officers read is not so any more. */
static void
test_described_again(void **state)
{
	struct asked asked;
	struct house h;
	char key[64];

	(void)state;
	house_init(&h);
	new_key(&h, "alice@example.org", key);
	ask(&h, buf_text(&h.export), &asked);
	MUST(approve(&h, ANNA, &asked));
	MUST(approve(&h, BEN, &asked));
	world_do(&h.w, "{\"cmd\":\"key.retire\",\"key\":\"alice@example.org\"}", NULL);
	REFUSED(run(&h, &asked), ERR_APPROVAL);
	free(asked.text);
	house_fini(&h);
}

/* Every bit of an approval turned round: refused, or the same officer's. */
static void
test_mutations(void **state)
{
	struct buf der = BUF_INIT(1u << 20);
	struct asked asked;
	struct house h;
	size_t good = 0;
	char key[64];

	(void)state;
	house_init(&h);
	new_key(&h, "alice@example.org", key);
	ask(&h, buf_text(&h.export), &asked);
	sign(&h.people[ANNA], asked.text, &der);
	for (size_t i = 0; i < der.len; i += 3) {
		unsigned char *copy = exact(der.data, der.len);

		copy[i] ^= (unsigned char)(1u << (i % 8));
		err_clear(&err);
		if (hand_in(&h, asked.id, copy, der.len) == RC_OK)
			good++;
		else
			CHECK_INT("mutation", err.code, ERR_APPROVAL);
		free(copy);
	}
	for (size_t len = 1; len < der.len; len += 17)
		REFUSED(hand_in(&h, asked.id, der.data, len), ERR_APPROVAL);
	/* Anna counts once, whatever is changed where nothing is signed. */
	assert_true(good <= 1);
	REFUSED(run(&h, &asked), ERR_APPROVAL);
	buf_fini(&der);
	free(asked.text);
	house_fini(&h);
}

/* At most so many wait. */
static void
test_pending(void **state)
{
	struct asked asked;
	struct house h;
	char key[64];

	(void)state;
	clock_set(START);
	house_init(&h);
	new_key(&h, "alice@example.org", key);
	for (int i = 0; i < REQUEST_PENDING; i++) {
		ask(&h, buf_text(&h.export), &asked);
		free(asked.text);
	}
	refused_command(&h, "{\"cmd\":\"key.export\",\"key\":\"alice@example.org\"}", ERR_LIMIT);
	set_later(2 * DAY);
	json_free(&(struct json_value *){world_admin(&h.w, "{\"cmd\":\"officer.requests\"}")});
	ask(&h, buf_text(&h.export), &asked);
	free(asked.text);
	house_fini(&h);
}

/* --- the acts --- */

/* How often NEEDLE occurs in the store's files. */
static size_t
occurs(const struct world *w, const char *needle, size_t len)
{
	static const char *const suffixes[] = {"", "-wal"};
	const char *store = conf_str(conf_section(w->conf, "vault"), "store");
	size_t n = 0;

	for (size_t i = 0; i < 2; i++) {
		struct buf file = BUF_INIT(64u << 20);
		const char *at;
		char path[4096];

		snprintf(path, sizeof(path), "%s%s", store, suffixes[i]);
		if (file_read(path, &file, &err) == RC_OK)
			for (at = file.data;
				at &&
				(at = memmem(at, file.len - (size_t)(at - file.data), needle, len));
				at++)
				n++;
		buf_fini(&file);
	}
	return n;
}

static size_t
wrapped_of(const struct world *w, const char *key, char out[8192])
{
	const char *store = conf_str(conf_section(w->conf, "vault"), "store");
	sqlite3_stmt *st;
	sqlite3 *db;
	size_t n;

	assert_int_equal(sqlite3_open(store, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(db, "SELECT wrapped FROM keys WHERE id = ?", -1, &st, NULL),
		SQLITE_OK);
	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = (size_t)sqlite3_column_bytes(st, 0);
	assert_true(n <= 8192);
	if (n)
		memcpy(out, sqlite3_column_blob(st, 0), n);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static void
test_delete(void **state)
{
	struct vault_client *client;
	struct asked asked;
	struct house h;
	char key[64], wrapped[8192];
	bool client_key;
	size_t len;

	(void)state;
	house_init(&h);
	new_key(&h, "alice@example.org", key);
	len = wrapped_of(&h.w, key, wrapped);
	assert_true(len > 40 && occurs(&h.w, wrapped + 20, len - 20) > 0);
	MUST(vault_client_new(h.w.conf, "all", &client, &err));
	MUST(vault_holds(client, "alice@example.org", &client_key, &err));
	ask(&h, "{\"cmd\":\"key.delete\",\"key\":\"alice@example.org\"}", &asked);
	MUST(approve(&h, CARL, &asked));
	MUST(approve(&h, BEN, &asked));
	MUST(run(&h, &asked));
	CHECK_INT("the row has none", wrapped_of(&h.w, key, wrapped), 0);
	CHECK_INT("nor has the file", occurs(&h.w, wrapped + 20, len - 20), 0);
	vault_client_free(&client);
	MUST(vault_client_new(h.w.conf, "all", &client, &err));
	CHECK_INT("nobody encrypts for it",
		vault_holds(client, "alice@example.org", &client_key, &err), RC_NONE);
	refused_command(
		&h, "{\"cmd\":\"key.delete\",\"key\":\"alice@example.org\"}", ERR_VAULT_NO_KEY);
	vault_client_free(&client);
	free(asked.text);
	house_fini(&h);
}

static const char secret_text[] = "Content-Type: text/plain\r\n\r\nHello\r\n";

/* A message to CERT, and its header. */
static struct cms_enveloped *
envelope_to(struct cert *cert, struct buf *cms)
{
	struct cms_envelope_options options = {.cipher = CIPHER_AES256_GCM};
	struct certset set = {0};
	struct cms_envelope *envelope;
	struct cms_header_reader *reader;
	struct cms_enveloped *header;
	struct sink sink, to = sink_to_buf(cms);

	MUST(certset_add(&set, cert, &err));
	MUST(cms_envelope_new(&set, &options, strlen(secret_text), &to, &envelope, &err));
	sink = cms_envelope_sink(envelope);
	MUST(sink_feed(&sink, secret_text, strlen(secret_text), &err));
	MUST(sink_finish(&sink, &err));
	cms_envelope_free(&envelope);
	MUST(cms_header_reader_new(&reader, &err));
	sink = cms_header_reader_sink(reader);
	MUST(sink_feed(&sink, cms->data, cms->len, &err));
	MUST(cms_header_take(reader, &header, &err));
	cms_header_reader_free(&reader);
	certset_fini(&set);
	return header;
}

static enum rc
read_with(struct secret *cek, const struct buf *cms)
{
	struct buf plain = BUF_INIT(65536);
	struct sink to = sink_to_buf(&plain), sink;
	struct cms_decryptor *decryptor;
	enum rc rc;

	MUST(cms_decryptor_new(cek, &to, &decryptor, &err));
	sink = cms_decryptor_sink(decryptor);
	rc = sink_feed(&sink, cms->data, cms->len, &err);
	if (!rc)
		rc = sink_finish(&sink, &err);
	if (!rc && (plain.len != strlen(secret_text) || memcmp(plain.data, secret_text, plain.len)))
		rc = RC_PERM;
	cms_decryptor_free(&decryptor);
	buf_fini(&plain);
	return rc;
}

static struct json_value *
ask_opening(struct house *h, struct secret *rinfos)
{
	static const char request[] =
		"{\"cmd\":\"audit.open\",\"cipher\":\"aes-256-gcm\",\"reason\":\"why not\","
		"\"message\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}";
	struct json_value *answer;

	MUST(admin_call(h->w.conf, request, rinfos, &answer, &err));
	return answer;
}

/* Somebody has left: nothing of theirs is opened for anybody, but for officers. */
static void
test_open_of_leaver(void **state)
{
	struct buf cms = BUF_INIT(65536), other_cms = BUF_INIT(65536);
	struct cms_enveloped *header, *other_header;
	struct secret *rinfos, *other, *cek = NULL;
	struct vault_client *client;
	struct vault_signer signer;
	struct asked asked;
	struct house h;
	char key[64];

	(void)state;
	house_init(&h);
	new_key(&h, "alice@example.org", key);
	MUST(vault_client_new(h.w.conf, "all", &client, &err));
	MUST(vault_find_signer(client, "alice@example.org", &signer, &err));
	header = envelope_to(signer.encrypt_cert, &cms);
	other_header = envelope_to(signer.encrypt_cert, &other_cms);
	MUST(admin_pack_rinfos(header->rinfos, header->n, &rinfos, &err));
	MUST(admin_pack_rinfos(other_header->rinfos, other_header->n, &other, &err));
	world_do(&h.w, "{\"cmd\":\"person.leave\",\"addr\":\"alice@example.org\"}", NULL);
	{
		struct vault_open_request request = {.rinfo = &header->rinfos[0],
			.cipher = CIPHER_AES256_GCM,
			.recipient = "alice@example.org"};

		REFUSED(vault_open(client, &request, &cek, &err), ERR_VAULT_DENIED);
	}
	take_asked(ask_opening(&h, rinfos), &asked);
	REFUSED(run_with(&h, &asked, rinfos, &cek), ERR_APPROVAL);
	MUST(approve(&h, ANNA, &asked));
	MUST(approve(&h, CARL, &asked));
	REFUSED(run_with(&h, &asked, other, &cek), ERR_APPROVAL);
	REFUSED(run_with(&h, &asked, NULL, &cek), ERR_VAULT_NO_KEY);
	for (int i = 0; i < APPROVAL_OPENS; i++) {
		MUST(run_with(&h, &asked, rinfos, &cek));
		MUST(read_with(cek, &cms));
		assert_int_not_equal(read_with(cek, &other_cms), RC_OK);
		secret_free(&cek);
	}
	REFUSED(run_with(&h, &asked, rinfos, &cek), ERR_APPROVAL);
	secret_free(&rinfos);
	secret_free(&other);
	cms_enveloped_free(&header);
	cms_enveloped_free(&other_header);
	vault_signer_fini(&signer);
	vault_client_free(&client);
	buf_fini(&cms);
	buf_fini(&other_cms);
	free(asked.text);
	house_fini(&h);
}

/* RecipientInfos that are none. */
static void
test_open_broken(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t len;
		enum errcode wanted;
	} cases[] = {
		{"nothing", "", 0, ERR_VAULT_NO_KEY},
		{"a piece", "\0\0\0\0", 4, ERR_USAGE},
		{"empty", "\0\0\0\0\0\0\0\0", 8, ERR_USAGE},
		{"longer than there is", "\0\0\0\0\0\0\0\2x", 9, ERR_USAGE},
		{"longer than may be", "\0\0\0\0\377\377\377\377x", 9, ERR_USAGE},
		{"noise", "\0\0\0\0\0\0\0\3abc", 11, ERR_VAULT_NO_KEY},
	};
	static const char request[] =
		"{\"cmd\":\"audit.open\",\"cipher\":\"aes-256-gcm\",\"reason\":\"why not\","
		"\"message\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}";
	struct json_value *answer;
	struct house h;

	(void)state;
	house_init(&h);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct secret *blob = NULL;

		if (cases[i].len)
			MUST(secret_copy(cases[i].bytes, cases[i].len, &blob, &err));
		err_clear(&err);
		if (admin_call(h.w.conf, request, blob, &answer, &err) == RC_OK)
			fail_msg("%s: not refused", cases[i].name);
		CHECK_STR(cases[i].name, err_name(err.code), err_name(cases[i].wanted));
		secret_free(&blob);
	}
	house_fini(&h);
}

/* An act that needs officers only where there are any. */
static void
test_erase(void **state)
{
	static const char erase[] = "{\"cmd\":\"audit.erase\",\"period\":\"2026-09\"}";
	struct json_value *answer;
	struct asked asked;
	struct house h;
	char key[64];

	(void)state;
	clock_set(START);
	house_init(&h);
	new_key(&h, "alice@example.org", key); /* a record with a pseudonym */
	set_later(40 * DAY);
	new_key(&h, "bob@example.org", key);
	ask(&h, erase, &asked);
	answer = world_admin(&h.w, "{\"cmd\":\"audit.periods\"}");
	CHECK_STR("it is there still", json_text(json_at(json_find(answer, "periods"), 0)),
		"2026-09");
	json_free(&answer);
	MUST(approve(&h, ANNA, &asked));
	MUST(approve(&h, BEN, &asked));
	MUST(run(&h, &asked));
	refused_command(&h, erase, ERR_USAGE);
	free(asked.text);
	house_fini(&h);
}

/* --- the ledger since a request --- */

static void
test_since(void **state)
{
	struct ledger_since since;
	struct ledger_head named, head;
	struct asked asked;
	struct house h;
	const char *dir;
	char key[64];
	int64_t newest;

	(void)state;
	clock_set(START);
	house_init(&h);
	dir = conf_str(conf_section(h.w.conf, "ledger"), "dir");
	ledger_head(vault_ledger(h.w.vault), &named);
	new_key(&h, "alice@example.org", key);
	ledger_head(vault_ledger(h.w.vault), &head);
	ask(&h, buf_text(&h.export), &asked);
	MUST(approve(&h, ANNA, &asked));
	MUST(approve(&h, BEN, &asked));
	MUST(ledger_read_since(dir, named.seq, named.hash, asked.id, &since, &err));
	CHECK_INT("naming the officers, in the record before the request", since.changes, 0);
	CHECK_INT("the time of that record", since.newest, START);
	MUST(ledger_read_since(dir, head.seq, head.hash, asked.id, &since, &err));
	CHECK_INT("not run", since.runs, 0);
	CHECK_INT("no change", since.changes, 0);
	CHECK_INT("newest", since.newest, START);
	set_later(3600);
	MUST(run(&h, &asked));
	MUST(ledger_read_since(dir, head.seq, head.hash, asked.id, &since, &err));
	CHECK_INT("run", since.runs, 1);
	CHECK_INT("newest", since.newest, START + 3600);
	MUST(ledger_newest(dir, &newest, &err));
	CHECK_INT("newest of all", newest, START + 3600);
	MUST(ledger_read_since(dir, head.seq, head.hash, "q0", &since, &err));
	CHECK_INT("of another request", since.runs, 0);
	head.hash[5] = head.hash[5] == '0' ? '1' : '0';
	CHECK_INT("another record", ledger_read_since(dir, head.seq, head.hash, "q0", &since, &err),
		RC_NONE);
	CHECK_INT("none so late",
		ledger_read_since(dir, head.seq + 1000, head.hash, "q0", &since, &err), RC_NONE);
	free(asked.text);
	house_fini(&h);
}

/* The first LEN bytes of TEXT are segment 1, the rest of its SIZE bytes segment 2. */
static uint64_t
changed_in(const char *text, size_t len, size_t size)
{
	char dir[] = "/tmp/sealgate-approval.XXXXXX", one[64], two[64];
	uint64_t seq = 0;

	assert_non_null(mkdtemp(dir));
	snprintf(one, sizeof(one), "%s/000001.jsonl", dir);
	snprintf(two, sizeof(two), "%s/000002.jsonl", dir);
	MUST(file_write(one, text, len, 0600, &err));
	if (len < size)
		MUST(file_write(two, text + len, size - len, 0600, &err));
	MUST(ledger_officers_changed(dir, &seq, &err));
	unlink(one);
	unlink(two);
	rmdir(dir);
	return seq;
}

/* The change and the word that it was carried out may stand in two segments. */
static void
test_changed(void **state)
{
	struct buf text = BUF_INIT(1 << 20);
	struct ledger_line line;
	struct house h;
	char path[4096];
	const char *all, *init, *done, *after;

	(void)state;
	clock_set(START);
	house_init(&h);
	snprintf(path, sizeof(path), "%s/000001.jsonl",
		conf_str(conf_section(h.w.conf, "ledger"), "dir"));
	MUST(file_read(path, &text, &err));
	all = buf_text(&text);
	init = strstr(all, "\"event\":\"officer.init\"");
	done = strstr(all, "\"event\":\"officer.done\"");
	assert_true(init && done && init < done);
	while (init > all && init[-1] != '\n')
		init--;
	while (done[-1] != '\n')
		done--;
	after = strchr(done, '\n') + 1;
	assert_true(ledger_line_parse(init, (size_t)(strchr(init, '\n') + 1 - init), &line));
	CHECK_INT("one segment", changed_in(all, text.len, text.len), line.seq);
	CHECK_INT("two", changed_in(all, (size_t)(done - all), text.len), line.seq);
	CHECK_INT("nothing after it", changed_in(all, (size_t)(after - all), text.len), line.seq);
	CHECK_INT("never carried out", changed_in(all, (size_t)(done - all), (size_t)(done - all)),
		0);
	CHECK_INT("never begun", changed_in(all, (size_t)(init - all), (size_t)(init - all)), 0);
	buf_fini(&text);
	house_fini(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_act),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_described_again),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_delete),
		cmocka_unit_test(test_open_of_leaver),
		cmocka_unit_test(test_open_broken),
		cmocka_unit_test(test_erase),
		cmocka_unit_test(test_since),
		cmocka_unit_test(test_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
