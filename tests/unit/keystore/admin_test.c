/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operator's commands, on the files and through the vault: the same answers.
 */
#include "keystore/admin.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "crypto/issue.h"
#include "keystore/client.h"
#include "keystore/ledger_verify.h"
#include "keystore/master.h"
#include "tests/unit/keystore/vault_world.h"

static struct err err = ERR_INIT;

/* The command fails with this error. */
static void
refused(struct world *w, const char *request, struct secret *blob, enum errcode wanted)
{
	struct json_value *answer;

	err_clear(&err);
	if (admin_call(w->conf, request, blob, &answer, &err) == RC_OK || err.code != wanted)
		fail_msg("%s: %s (%s), want %s", request, err_name(err.code), err.detail,
			err_name(wanted));
	err_clear(&err);
}

static const struct json_value *
first_key(const struct json_value *answer)
{
	return json_at(json_find(answer, "keys"), 0);
}

static void
keys_of(struct world *w)
{
	struct json_value *a;
	char key[64], old[64];
	char request[200];

	a = world_admin(w,
		"{\"cmd\":\"key.new\",\"addr\":\"Alice@Example.ORG\",\"name\":\"Alice\",\"type\":\"p256\",\"days\":30}");
	CHECK_STR("address", json_text(json_at(json_find(first_key(a), "addresses"), 0)),
		"Alice@example.org");
	CHECK_STR("name", json_get_text(first_key(a), "name"), "Alice");
	CHECK_STR("purpose", json_get_text(first_key(a), "purpose"), "both");
	CHECK_STR("status", json_get_text(first_key(a), "status"), "active");
	CHECK_STR("type", json_get_text(first_key(a), "type"), "ec-p256");
	strcpy(old, json_get_text(first_key(a), "key"));
	json_free(&a);
	refused(w, "{\"cmd\":\"key.new\",\"addr\":\"alice@example.org\",\"type\":\"p256\"}", NULL,
		ERR_KEY_EXISTS);
	refused(w, "{\"cmd\":\"key.new\",\"addr\":\"nobody\"}", NULL, ERR_USAGE);
	refused(w, "{\"cmd\":\"key.new\"}", NULL, ERR_USAGE);
	refused(w, "{\"cmd\":\"key.new\",\"addr\":\"x@example.org\",\"type\":\"rsa512\"}", NULL,
		ERR_USAGE);
	refused(w, "{\"cmd\":\"key.new\",\"addr\":\"x@example.org\",\"purpose\":\"ca\"}", NULL,
		ERR_USAGE);
	refused(w, "{\"cmd\":\"key.new\",\"addr\":\"x@example.org\",\"days\":0}", NULL, ERR_USAGE);
	refused(w, "{\"cmd\":\"nix\"}", NULL, ERR_USAGE);
	refused(w, "[]", NULL, ERR_USAGE);
	refused(w, "{]", NULL, ERR_USAGE);

	a = world_admin(w,
		"{\"cmd\":\"key.new\",\"addr\":\"bob@example.org\",\"type\":\"p256\",\"purpose\":\"separate\"}");
	CHECK_INT("separate", json_count(json_find(a, "keys")), 2);
	CHECK_STR("first", json_get_text(first_key(a), "purpose"), "sign");
	CHECK_STR("second", json_get_text(json_at(json_find(a, "keys"), 1), "purpose"), "open");
	json_free(&a);

	a = world_admin(w, "{\"cmd\":\"key.list\",\"limit\":2}");
	CHECK_INT("a page", json_count(json_find(a, "keys")), 2);
	snprintf(request, sizeof(request), "{\"cmd\":\"key.list\",\"after\":\"%s\"}",
		json_get_text(a, "next"));
	json_free(&a);
	a = world_admin(w, request);
	CHECK_INT("the rest, with root and CA", json_count(json_find(a, "keys")), 3);
	assert_null(json_find(a, "next"));
	json_free(&a);
	a = world_admin(w, "{\"cmd\":\"key.list\",\"addr\":\"who@example.org\"}");
	CHECK_INT("nobody's", json_count(json_find(a, "keys")), 0);
	json_free(&a);

	world_do(w, "{\"cmd\":\"key.renew\",\"key\":\"alice@example.org\",\"type\":\"p256\"}", key);
	assert_string_not_equal(key, old);
	snprintf(request, sizeof(request), "{\"cmd\":\"key.show\",\"key\":\"%s\"}", old);
	a = world_admin(w, request);
	CHECK_STR("replaced", json_get_text(first_key(a), "status"), "retired");
	CHECK_INT("certificates", json_count(json_find(first_key(a), "certificates")), 1);
	json_free(&a);
	a = world_admin(w, "{\"cmd\":\"key.show\",\"key\":\"alice@example.org\"}");
	CHECK_STR("the newest active", json_get_text(first_key(a), "key"), key);
	json_free(&a);
	snprintf(request, sizeof(request), "{\"cmd\":\"key.revoke\",\"key\":\"%s\"}", old);
	world_do(w, request, NULL);
	refused(w, request, NULL, ERR_USAGE);
	a = world_admin(w, "{\"cmd\":\"ca.crl\"}");
	CHECK_INT("lists", json_count(json_find(a, "crls")), 2);
	CHECK_INT("the root's", json_get_int(json_at(json_find(a, "crls"), 0), "entries", -1), 0);
	CHECK_INT("entries", json_get_int(json_at(json_find(a, "crls"), 1), "entries", -1), 1);
	json_free(&a);
	a = world_admin(w, "{\"cmd\":\"key.cert\",\"key\":\"alice@example.org\"}");
	assert_non_null(strstr(json_get_text(a, "pem"), "BEGIN CERTIFICATE"));
	json_free(&a);
	refused(w, "{\"cmd\":\"key.show\",\"key\":\"k0\"}", NULL, ERR_VAULT_NO_KEY);
}

static void
test_keys_on_files(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, NULL);
	keys_of(&w);
	world_fini(&w);
}

static void
test_keys_in_vault(void **state)
{
	struct ledger_report report;
	struct world w;

	(void)state;
	world_init(&w, NULL);
	world_start(&w);
	keys_of(&w);
	world_stop(&w);
	MUST(ledger_verify(
		conf_str(conf_section(w.conf, "ledger"), "dir"), NULL, 0, &report, &err));
	CHECK_STR("ledger", report.problem, "");
	world_fini(&w);
}

static void
test_persons(void **state)
{
	struct world w;
	struct json_value *a;

	(void)state;
	world_init(&w, NULL);
	world_do(&w,
		"{\"cmd\":\"person.add\",\"addr\":\"help@example.org\",\"kind\":\"role\",\"name\":\"Help\"}",
		NULL);
	refused(&w, "{\"cmd\":\"person.add\",\"addr\":\"help@example.org\"}", NULL, ERR_KEY_EXISTS);
	refused(&w, "{\"cmd\":\"person.add\",\"addr\":\"x@example.org\",\"kind\":\"organisation\"}",
		NULL, ERR_USAGE);
	world_do(&w,
		"{\"cmd\":\"address.add\",\"addr\":\"help@example.org\",\"new\":\"desk@example.org\"}",
		NULL);
	refused(&w,
		"{\"cmd\":\"address.add\",\"addr\":\"help@example.org\",\"new\":\"desk@example.org\"}",
		NULL, ERR_KEY_EXISTS);
	a = world_admin(
		&w, "{\"cmd\":\"person.set\",\"addr\":\"desk@example.org\",\"client_key\":true}");
	CHECK_INT("addresses", json_count(json_find(json_find(a, "person"), "addresses")), 2);
	assert_true(json_is_true(json_find(json_find(a, "person"), "client_key")));
	json_free(&a);
	world_do(&w, "{\"cmd\":\"address.end\",\"addr\":\"desk@example.org\"}", NULL);
	refused(&w, "{\"cmd\":\"person.set\",\"addr\":\"desk@example.org\"}", NULL,
		ERR_VAULT_NO_KEY);
	a = world_admin(&w, "{\"cmd\":\"person.list\"}");
	CHECK_INT("persons", json_count(json_find(a, "persons")), 2);
	json_free(&a);
	a = world_admin(&w, "{\"cmd\":\"ledger.head\"}");
	assert_true(json_get_int(a, "seq", 0) > 4);
	json_free(&a);
	world_fini(&w);
}

/* A key and its certificate as one PEM file. */
static void
make_pem(const char *addr, unsigned use, int64_t not_after, const struct pkey *other,
	struct buf *pem)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct issue_request request = {.common_name = "Elsewhere CA",
		.not_before = clock_now() - 9 * 86400,
		.not_after = clock_now() + 90 * 86400};
	struct pkey *ca_key, *pkey;
	struct cert *ca, *leaf;
	struct secret *der;
	struct buf spki = BUF_INIT(4096);
	const unsigned char *p;

	MUST(pkey_generate("p256", &ca_key, &err));
	MUST(pkey_generate("p256", &pkey, &err));
	MUST(issue_root(ca_key, &request, &ca, &err));
	request = (struct issue_request){.addr = addr,
		.use = use,
		.not_before = clock_now() - 9 * 86400,
		.not_after = not_after};
	MUST(pkey_public(other ? other : pkey, &spki, &err));
	MUST(issue_leaf(ca_key, ca, spki.data, spki.len, &request, &leaf, &err));
	MUST(pkey_format(pkey, &der, &err));
	p = secret_data(der);
	MUST(buf_append_str(pem, "-----BEGIN PRIVATE KEY-----", &err));
	for (size_t i = 0; i < secret_len(der); i += 3) {
		size_t left = secret_len(der) - i;
		unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
			     (left > 2 ? p[i + 2] : 0);

		MUST(buf_appendf(pem, &err, "%s%c%c%c%c", i % 48 ? "" : "\n", digits[v >> 18],
			digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=',
			left > 2 ? digits[v & 63] : '='));
	}
	MUST(buf_append_str(pem, "\n-----END PRIVATE KEY-----\n", &err));
	MUST(cert_format_pem(leaf, pem, &err));
	secret_free(&der);
	cert_unref(&ca);
	cert_unref(&leaf);
	pkey_unref(&ca_key);
	pkey_unref(&pkey);
	buf_fini(&spki);
}

static void
test_import(void **state)
{
	struct world w;
	struct json_value *a;
	struct pkey *other;
	struct secret *blob;
	struct buf pem = {.max = 65536, .wipe = true};

	(void)state;
	world_init(&w, NULL);
	world_start(&w);
	make_pem("carol@example.org", CERT_SIGN | CERT_ENCRYPT, clock_now() + 86400, NULL, &pem);
	MUST(admin_pack(NULL, 0, &(struct admin_bytes){pem.data, pem.len}, 1, &blob, &err));
	MUST(admin_call(w.conf, "{\"cmd\":\"key.import\"}", blob, &a, &err));
	CHECK_STR("both", json_get_text(first_key(a), "purpose"), "both");
	CHECK_STR("address", json_text(json_at(json_find(first_key(a), "addresses"), 0)),
		"carol@example.org");
	json_free(&a);
	/* The same again is known; under another person's address it is refused. */
	MUST(admin_call(w.conf, "{\"cmd\":\"key.import\"}", blob, &a, &err));
	assert_true(json_is_true(json_find(first_key(a), "known")));
	json_free(&a);
	refused(&w, "{\"cmd\":\"key.import\",\"addr\":\"dave@example.org\"}", blob,
		ERR_CERT_UNUSABLE);
	refused(&w, "{\"cmd\":\"key.import\",\"addr\":\"dave@example.org\",\"foreign\":true}", blob,
		ERR_KEY_EXISTS);
	secret_free(&blob);

	/* Expired: opens, does not sign. */
	buf_clear(&pem);
	make_pem("erin@example.org", CERT_SIGN | CERT_ENCRYPT, clock_now() - 86400, NULL, &pem);
	MUST(admin_pack(NULL, 0, &(struct admin_bytes){pem.data, pem.len}, 1, &blob, &err));
	MUST(admin_call(w.conf, "{\"cmd\":\"key.import\"}", blob, &a, &err));
	CHECK_STR("expired", json_get_text(first_key(a), "status"), "retired");
	json_free(&a);
	secret_free(&blob);

	/* Only to encrypt to. */
	buf_clear(&pem);
	make_pem("frank@example.org", CERT_ENCRYPT, clock_now() + 86400, NULL, &pem);
	MUST(admin_pack(NULL, 0, &(struct admin_bytes){pem.data, pem.len}, 1, &blob, &err));
	MUST(admin_call(w.conf, "{\"cmd\":\"key.import\"}", blob, &a, &err));
	CHECK_STR("purpose", json_get_text(first_key(a), "purpose"), "open");
	json_free(&a);
	secret_free(&blob);

	/* A certificate of another key. */
	buf_clear(&pem);
	MUST(pkey_generate("p256", &other, &err));
	make_pem("gina@example.org", CERT_SIGN, clock_now() + 86400, other, &pem);
	MUST(admin_pack(NULL, 0, &(struct admin_bytes){pem.data, pem.len}, 1, &blob, &err));
	refused(&w, "{\"cmd\":\"key.import\"}", blob, ERR_KEY_MALFORMED);
	secret_free(&blob);
	pkey_unref(&other);
	refused(&w, "{\"cmd\":\"key.import\"}", NULL, ERR_USAGE);
	MUST(secret_copy("\1\xff\xff\xff\xff"
			 "abc",
		8, &blob, &err));
	refused(&w, "{\"cmd\":\"key.import\"}", blob, ERR_USAGE);
	secret_free(&blob);
	buf_fini(&pem);
	world_fini(&w);
}

/* What a process of another uid is told. */
struct stranger {
	const char *name;
	uid_t uid;
	const char *request;
	enum errcode answer;
};
static const struct world *theirs;

static int
ask_as(void *ctx)
{
	const struct stranger *s = ctx;
	struct json_value *answer;
	struct err e = ERR_INIT;

	if (setgid(s->uid) || setuid(s->uid))
		return 255;
	return admin_call(theirs->conf, s->request, NULL, &answer, &e) ? (int)e.code : 0;
}

static void
test_operators(void **state)
{
	static const char
		list[] = "{\"cmd\":\"key.list\"}",
		make[] = "{\"cmd\":\"key.new\",\"addr\":\"x@example.org\",\"type\":\"p256\"}",
		who[] = "{\"cmd\":\"audit.pseudonyms\",\"addr\":\"x@example.org\",\"periods\":[]}";
	struct stranger strangers[] = {
		{"keys: list", 64501, list, ERR_NONE},
		{"keys: new", 64501, make, ERR_NONE},
		{"keys: audit", 64501, who, ERR_VAULT_DENIED},
		{"audit: list", 64502, list, ERR_NONE},
		{"audit: new", 64502, make, ERR_VAULT_DENIED},
		{"audit: audit", 64502, who, ERR_NONE},
		{"process: new", 64503, make, ERR_VAULT_DENIED},
		{"process: list", 64503, list, ERR_VAULT_DENIED},
		{"nobody: list", 64504, list, ERR_VAULT_DENIED},
	};
	struct later later[sizeof(strangers) / sizeof(*strangers)];
	struct world w;

	(void)state;
	if (geteuid() != 0)
		skip();
	theirs = &w;
	world_init(&w,
		"operators = ( { user = \"64501\"; rights = \"keys\"; }, { user = \"64502\"; rights = "
		"\"audit\"; },\n { user = \"64503\"; rights = \"process\"; } );\n");
	assert_int_equal(chmod(w.dir, 0755), 0);
	for (size_t i = 0; i < sizeof(strangers) / sizeof(*strangers); i++)
		later[i] = later_begin(ask_as, &strangers[i]);
	world_start(&w);
	for (size_t i = 0; i < sizeof(strangers) / sizeof(*strangers); i++) {
		later_go(&later[i]);
		CHECK_INT(strangers[i].name, later_wait(&later[i]), strangers[i].answer);
	}
	world_fini(&w);
}

static int prompts;

static enum rc
prompt(const char *text, struct secret **out, struct err *e)
{
	(void)text;
	prompts++;
	return secret_copy("correct horse", 13, out, e);
}

static enum rc
wrong_prompt(const char *text, struct secret **out, struct err *e)
{
	(void)text;
	return secret_copy("wrong horse", 11, out, e);
}

static void
test_master(void **state)
{
	struct admin_init init = {"Example", "example.org", "p256"};
	struct buf pem = BUF_INIT(65536);
	struct world w;
	struct conf *conf;
	struct json_value *answer;
	char name[256];

	(void)state;
	world_init(&w, NULL);
	refused(&w, "{\"cmd\":\"nix\"}", NULL, ERR_USAGE);
	REFUSED(admin_init(w.conf, &init, &pem, &err), ERR_KEY_EXISTS);
	snprintf(name, sizeof(name), "%s/master.key", w.dir);
	assert_int_equal(chmod(name, 0440), 0);
	refused(&w, "{\"cmd\":\"key.list\"}", NULL, ERR_MASTER_KEY);
	assert_int_equal(chmod(name, 0400), 0);
	world_do(&w, "{\"cmd\":\"key.list\"}", NULL);
	assert_int_equal(unlink(name), 0);
	refused(&w, "{\"cmd\":\"key.list\"}", NULL, ERR_KEYSTORE);
	assert_int_equal(mkfifo(name, 0400), 0);
	refused(&w, "{\"cmd\":\"key.list\"}", NULL, ERR_MASTER_KEY);
	assert_int_equal(unlink(name), 0);
	MUST(file_write(name, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n",
		65, 0400, &err));
	refused(&w, "{\"cmd\":\"key.list\"}", NULL, ERR_MASTER_KEY);

	/* A passphrase. */
	master_set_prompt(prompt);
	snprintf(name, sizeof(name),
		"organisation = { domains = [\"example.org\"]; };\n"
		"vault = { user = \"root\"; master_key = \"ask\"; store = \"b.db\"; };\nledger = { dir = \"b\"; };\n");
	MUST(conf_parse(name, "test", w.dir, &conf, &err));
	MUST(admin_init(conf, &init, &pem, &err));
	CHECK_INT("asked twice", prompts, 2);
	conf_unref(&w.conf);
	w.conf = conf;
	world_do(&w, "{\"cmd\":\"key.list\"}", NULL);
	master_set_prompt(wrong_prompt);
	refused(&w, "{\"cmd\":\"key.list\"}", NULL, ERR_MASTER_KEY);
	master_set_prompt(NULL);

	/* A credential of systemd. */
	setenv("CREDENTIALS_DIRECTORY", w.dir, 1);
	MUST(conf_parse(
		"organisation = { domains = [\"example.org\"]; };\n"
		"vault = { user = \"root\"; master_key = \"credential:master.key\"; store = \"c.db\"; };\nledger = { dir = \"c\"; };\n",
		"test", w.dir, &conf, &err));
	MUST(admin_init(conf, &init, &pem, &err));
	MUST(admin_call(conf, "{\"cmd\":\"key.list\"}", NULL, &answer, &err));
	json_free(&answer);
	unsetenv("CREDENTIALS_DIRECTORY");
	CHECK_INT("no credentials", admin_call(conf, "{\"cmd\":\"key.list\"}", NULL, &answer, &err),
		RC_TEMP);
	conf_unref(&conf);
	buf_fini(&pem);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_on_files),
		cmocka_unit_test(test_keys_in_vault),
		cmocka_unit_test(test_persons),
		cmocka_unit_test(test_import),
		cmocka_unit_test(test_operators),
		cmocka_unit_test(test_master),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
