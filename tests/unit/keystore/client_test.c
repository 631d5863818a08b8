/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client against the real server: who may sign and open what, what comes out, and what becomes
 * of it when the vault goes away and comes back.
 */
#include "base/counter.h"
#include "keystore/client.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include "crypto/cms_sign.h"
#include "keystore/ledger_verify.h"
#include "tests/unit/keystore/vault_world.h"

static const char text[] = "Content-Type: text/plain\r\n\r\nHello\r\n";

static struct vault_client *
client_of(struct world *w, const char *service)
{
	struct vault_client *client;
	struct err err = ERR_INIT;

	MUST(vault_client_new(w->conf, service, &client, &err));
	return client;
}

static enum rc
sign_text(struct vault_client *client, const char *key, struct buf *der, struct err *err)
{
	unsigned char value[DIGEST_MAX_SIZE];
	struct vault_sign_request request = {.key_id = key,
		.digest = DIGEST_SHA256,
		.value = value,
		.signing_time = clock_now(),
		.claim = {.qid = "4Abc", .sender = "alice@example.org"}};

	if (digest_bytes(DIGEST_SHA256, text, sizeof(text) - 1, value, err))
		return RC_TEMP;
	return vault_sign(client, &request, der, err);
}

/* A message to CERT: its header as a reader would see it. */
static struct cms_enveloped *
envelope_to(struct cert *cert, struct buf *cms)
{
	struct cms_envelope_options options = {.cipher = CIPHER_AES256_CBC};
	struct certset set = {0};
	struct cms_envelope *envelope;
	struct cms_header_reader *reader;
	struct cms_enveloped *header;
	struct sink sink, to = sink_to_buf(cms);
	struct err err = ERR_INIT;

	MUST(certset_add(&set, cert, &err));
	MUST(cms_envelope_new(&set, &options, sizeof(text) - 1, &to, &envelope, &err));
	sink = cms_envelope_sink(envelope);
	MUST(sink_feed(&sink, text, sizeof(text) - 1, &err));
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

/* Does this content key open the message? */
static enum rc
read_with(struct secret *cek, const struct buf *cms, struct buf *plain, struct err *err)
{
	struct sink to = sink_to_buf(plain), sink;
	struct cms_decryptor *decryptor;
	enum rc rc = cms_decryptor_new(cek, &to, &decryptor, err);

	if (rc)
		return rc;
	sink = cms_decryptor_sink(decryptor);
	rc = sink_feed(&sink, cms->data, cms->len, err);
	if (!rc)
		rc = sink_finish(&sink, err);
	cms_decryptor_free(&decryptor);
	return rc;
}

static void
test_sign(void **state)
{
	struct world w;
	struct vault_client *client;
	struct vault_signer signer;
	struct buf der = BUF_INIT(1u << 20);
	struct err err = ERR_INIT;
	char key[64];

	(void)state;
	world_init(&w, NULL);
	world_do(
		&w, "{\"cmd\":\"key.new\",\"addr\":\"alice@example.org\",\"name\":\"Alice\"}", key);
	world_start(&w);
	client = client_of(&w, "all");
	MUST(vault_ping(client, &err));
	MUST(vault_find_signer(client, "Alice+x@EXAMPLE.org", &signer, &err));
	assert_string_equal(signer.key_id, key);
	assert_true(cert_has_addr(signer.cert, "alice@example.org", false));
	assert_non_null(signer.encrypt_cert);
	CHECK_INT("chain", signer.chain.n, 1);
	MUST(sign_text(client, signer.key_id, &der, &err));
	assert_true(der.len > 500);
	CHECK_INT("nobody",
		vault_find_signer(client, "nobody@example.org", &(struct vault_signer){0}, &err),
		RC_NONE);
	vault_signer_fini(&signer);
	vault_client_free(&client);
	buf_fini(&der);
	world_fini(&w);
}

static void
test_roles(void **state)
{
	struct world w;
	struct vault_client *seal, *open, *gate, *other;
	struct buf der = BUF_INIT(1u << 20), cms = BUF_INIT(1u << 20);
	struct vault_signer signer;
	struct cms_enveloped *header;
	struct secret *cek;
	struct err err = ERR_INIT;
	size_t index;
	bool client_key;
	char key[64];

	(void)state;
	world_init(&w, NULL);
	world_start(&w);
	world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"alice@example.org\",\"type\":\"p256\"}", key);
	seal = client_of(&w, "seal");
	open = client_of(&w, "open");
	gate = client_of(&w, "gate");
	other = client_of(&w, "other");
	MUST(vault_find_signer(seal, "alice@example.org", &signer, &err));
	header = envelope_to(signer.cert, &cms);

	MUST(sign_text(seal, key, &der, &err));
	REFUSED(sign_text(open, key, &der, &err), ERR_VAULT_DENIED);
	REFUSED(sign_text(gate, key, &der, &err), ERR_VAULT_DENIED);
	REFUSED(sign_text(other, key, &der, &err), ERR_VAULT_DENIED);
	REFUSED(vault_find_signer(gate, "alice@example.org", &(struct vault_signer){0}, &err),
		ERR_VAULT_DENIED);
	REFUSED(vault_holds(gate, "alice@example.org", &client_key, &err), ERR_VAULT_DENIED);

	MUST(vault_match(open, "alice@example.org", header->rinfos, header->n, &index, &err));
	REFUSED(vault_match(seal, "alice@example.org", header->rinfos, header->n, &index, &err),
		ERR_VAULT_DENIED);
	{
		struct vault_open_request request = {.rinfo = &header->rinfos[0],
			.cipher = header->cipher,
			.recipient = "alice@example.org"};

		MUST(vault_open(open, &request, &cek, &err));
		secret_free(&cek);
		REFUSED(vault_open(seal, &request, &cek, &err), ERR_VAULT_DENIED);
		REFUSED(vault_open(gate, &request, &cek, &err), ERR_VAULT_DENIED);
	}
	cms_enveloped_free(&header);
	vault_signer_fini(&signer);
	vault_client_free(&seal);
	vault_client_free(&open);
	vault_client_free(&gate);
	vault_client_free(&other);
	buf_fini(&der);
	buf_fini(&cms);
	world_fini(&w);
}

/* One opening of the message for RECIPIENT; what came out read the text? */
static enum rc
open_for(struct vault_client *client, struct cms_enveloped *header, const struct buf *cms,
	const char *recipient, bool *fits, struct err *err)
{
	struct vault_open_request request = {
		.rinfo = &header->rinfos[0], .cipher = header->cipher, .recipient = recipient};
	struct buf plain = BUF_INIT(65536);
	struct err ignored = ERR_INIT;
	struct secret *cek;
	enum rc rc = vault_open(client, &request, &cek, err);

	*fits = false;
	if (rc)
		return rc;
	*fits = read_with(cek, cms, &plain, &ignored) == RC_OK && plain.len == sizeof(text) - 1 &&
		memcmp(plain.data, text, plain.len) == 0;
	secret_free(&cek);
	buf_fini(&plain);
	return RC_OK;
}

/* A KeyAgreeRecipientInfo for a hundred keys that nobody has is as good as one for two. */
static void
test_many_keys(void **state)
{
	static const unsigned char head[] = {0x02, 1, 3, 0xa0, 0x10, 0xa1, 0x0e, 0x30, 9, 6, 7,
		0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 3, 1, 0, /* originator, without a point */
		0x30, 0x15, 6, 6, 0x2b, 0x81, 4, 1, 11, 1, 0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1,
		0x65, 3, 4, 1, 5};
	unsigned char key[36] = {0x30, 34, 0xa0, 6, 4, 4, 's', 'k', 'i', 0, 4, 24};
	size_t n = 100, list = n * sizeof(key), all = sizeof(head) + 4 + list;
	struct buf der = BUF_INIT(16384);
	struct err err = ERR_INIT;
	struct world w;
	struct vault_client *client;
	struct secret *cek = NULL;
	struct rinfo rinfo = {.type = RINFO_KARI, .index = 99};
	struct vault_open_request request = {
		.rinfo = &rinfo, .cipher = CIPHER_AES128_CBC, .recipient = "bob@example.org"};
	unsigned char outer[] = {0xa1, 0x82, (unsigned char)(all >> 8), (unsigned char)all},
		      inner[] = {0x30, 0x82, (unsigned char)(list >> 8), (unsigned char)list};

	(void)state;
	MUST(buf_append(&der, outer, 4, &err));
	MUST(buf_append(&der, head, sizeof(head), &err));
	MUST(buf_append(&der, inner, 4, &err));
	for (size_t i = 0; i < n; i++) {
		key[9] = (unsigned char)i;
		MUST(buf_append(&der, key, sizeof(key), &err));
	}
	rinfo.der = (unsigned char *)der.data;
	rinfo.der_len = der.len;
	world_init(&w, NULL);
	world_start(&w);
	client = client_of(&w, "all");
	REFUSED(vault_open(client, &request, &cek, &err), ERR_VAULT_NO_KEY);
	vault_client_free(&client);
	world_fini(&w);
	buf_fini(&der);
}

static void
test_open(void **state)
{
	static const char *const kinds[] = {"rsa2048", "p256"};
	struct err err = ERR_INIT;
	struct world w;
	struct vault_client *client;

	(void)state;
	world_init(&w, NULL);
	world_start(&w);
	client = client_of(&w, "all");
	world_do(&w, "{\"cmd\":\"person.add\",\"addr\":\"bob@example.org\"}", NULL);
	for (int i = 0; i < 2; i++) {
		struct buf cms = BUF_INIT(1u << 20);
		struct vault_signer signer;
		struct cms_enveloped *header;
		char request[256], addr[64], key[64];
		unsigned char *tail;
		bool fits;
		size_t index;

		snprintf(addr, sizeof(addr), "alice%d@example.org", i);
		snprintf(request, sizeof(request),
			"{\"cmd\":\"key.new\",\"addr\":\"%s\",\"type\":\"%s\"}", addr, kinds[i]);
		world_do(&w, request, key);
		MUST(vault_find_signer(client, addr, &signer, &err));
		header = envelope_to(signer.encrypt_cert, &cms);

		MUST(open_for(client, header, &cms, addr, &fits, &err));
		CHECK_INT(kinds[i], fits, true);
		/* Somebody else's claim, with and without a person behind it. */
		REFUSED(open_for(client, header, &cms, "bob@example.org", &fits, &err),
			ERR_VAULT_DENIED);
		REFUSED(open_for(client, header, &cms, "who@example.net", &fits, &err),
			ERR_VAULT_DENIED);
		CHECK_INT("match",
			vault_match(
				client, "bob@example.org", header->rinfos, header->n, &index, &err),
			RC_NONE);

		/* A grant, and its end. */
		snprintf(request, sizeof(request),
			"{\"cmd\":\"key.grant\",\"owner\":\"%s\",\"to\":\"bob@example.org\"}",
			addr);
		{
			struct json_value *answer = world_admin(&w, request);

			MUST(open_for(client, header, &cms, "bob@example.org", &fits, &err));
			CHECK_INT("granted", fits, true);
			snprintf(request, sizeof(request),
				"{\"cmd\":\"key.ungrant\",\"grant\":\"%s\"}",
				json_get_text(answer, "grant"));
			json_free(&answer);
			world_do(&w, request, NULL);
		}
		REFUSED(open_for(client, header, &cms, "bob@example.org", &fits, &err),
			ERR_VAULT_DENIED);

		/* Retired and revoked keys open and do not sign. */
		snprintf(request, sizeof(request), "{\"cmd\":\"key.retire\",\"key\":\"%s\"}", key);
		world_do(&w, request, NULL);
		CHECK_INT("retry", err_rc(ERR_VAULT_KEY_CHANGED), RC_TEMP);
		REFUSED(sign_text(client, key, &(struct buf)BUF_INIT(65536), &err),
			ERR_VAULT_KEY_CHANGED);
		{
			struct vault_signer gone;

			/* Not the answer of five seconds ago. */
			CHECK_INT("signer", vault_find_signer(client, addr, &gone, &err), RC_NONE);
		}
		MUST(open_for(client, header, &cms, addr, &fits, &err));
		CHECK_INT("retired", fits, true);
		snprintf(request, sizeof(request), "{\"cmd\":\"key.revoke\",\"key\":\"%s\"}", key);
		world_do(&w, request, NULL);
		MUST(open_for(client, header, &cms, addr, &fits, &err));
		CHECK_INT("revoked", fits, true);

		/* An encryptedKey that does not fit: the same answer, another key. */
		tail = (unsigned char *)header->rinfos[0].der + header->rinfos[0].der_len - 5;
		*tail ^= 0x40;
		MUST(open_for(client, header, &cms, addr, &fits, &err));
		CHECK_INT("mangled", fits, false);

		/* The address goes to somebody else. */
		*tail ^= 0x40;
		snprintf(request, sizeof(request), "{\"cmd\":\"address.end\",\"addr\":\"%s\"}",
			addr);
		world_do(&w, request, NULL);
		snprintf(
			request, sizeof(request), "{\"cmd\":\"person.add\",\"addr\":\"%s\"}", addr);
		world_do(&w, request, NULL);
		REFUSED(open_for(client, header, &cms, addr, &fits, &err), ERR_VAULT_DENIED);
		cms_enveloped_free(&header);
		vault_signer_fini(&signer);
		buf_fini(&cms);
	}
	vault_client_free(&client);
	world_fini(&w);
}

/* DER with its first element's length, which takes two bytes, made MORE. */
static void
lengthen(unsigned char *der, size_t more)
{
	size_t len = ((size_t)der[2] << 8 | der[3]) + more;

	CHECK_INT("length in two bytes", der[1], 0x82);
	der[2] = (unsigned char)(len >> 8);
	der[3] = (unsigned char)len;
}

/* A content key is opened again also when its number is written with zeros in front. */
static void
test_reopened(void **state)
{
	struct err err = ERR_INIT;
	struct world w;
	struct vault_client *client;
	struct vault_signer signer;
	struct buf cms = BUF_INIT(1u << 20);
	struct cms_enveloped *header;
	struct rinfo was;
	unsigned char *der;
	size_t at;
	bool fits;
	long before = counter_get(COUNTER_VAULT_REOPENS);

	(void)state;
	world_init(&w, NULL);
	world_start(&w);
	client = client_of(&w, "all");
	world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"alice@example.org\",\"type\":\"rsa2048\"}",
		NULL);
	MUST(vault_find_signer(client, "alice@example.org", &signer, &err));
	header = envelope_to(signer.encrypt_cert, &cms);
	MUST(open_for(client, header, &cms, "alice@example.org", &fits, &err));
	CHECK_INT("first", counter_get(COUNTER_VAULT_REOPENS) - before, 0);
	/* SEQUENCE { … OCTET STRING } becomes one byte longer at the end's beginning. */
	at = header->rinfos[0].der_len - header->rinfos[0].encrypted_key_len;
	der = malloc(header->rinfos[0].der_len + 1);
	assert_non_null(der);
	memcpy(der, header->rinfos[0].der, at);
	der[at] = 0;
	memcpy(der + at + 1, header->rinfos[0].encrypted_key, header->rinfos[0].encrypted_key_len);
	lengthen(der, 1);
	lengthen(der + at - 4, 1);
	was = header->rinfos[0];
	header->rinfos[0].der = der;
	header->rinfos[0].der_len++;
	MUST(open_for(client, header, &cms, "alice@example.org", &fits, &err));
	CHECK_INT("another spelling fits", fits, true);
	CHECK_INT("again", counter_get(COUNTER_VAULT_REOPENS) - before, 1);
	header->rinfos[0] = was;
	cms_enveloped_free(&header);
	free(der);
	vault_signer_fini(&signer);
	buf_fini(&cms);
	vault_client_free(&client);
	world_fini(&w);
}

static void
test_restart(void **state)
{
	struct world w;
	struct vault_client *client;
	struct buf der = BUF_INIT(1u << 20);
	struct err err = ERR_INIT;
	char key[64];

	(void)state;
	world_init(&w, NULL);
	world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"alice@example.org\",\"type\":\"p256\"}", key);
	client = client_of(&w, "all");
	REFUSED(vault_ping(client, &err), ERR_VAULT_DOWN);
	world_start(&w);
	MUST(sign_text(client, key, &der, &err));
	world_stop(&w);
	REFUSED(sign_text(client, key, &der, &err), ERR_VAULT_DOWN);
	REFUSED(vault_ping(client, &err), ERR_VAULT_DOWN);
	world_start(&w);
	MUST(sign_text(client, key, &der, &err));
	vault_client_free(&client);
	buf_fini(&der);
	world_fini(&w);
}

/* The store is changed by hand while the vault runs. */
static void
test_tampering(void **state)
{
	struct world w;
	struct vault_client *client;
	struct buf der = BUF_INIT(1u << 20);
	struct err err = ERR_INIT;
	char key[64], name[128];
	sqlite3 *db;

	(void)state;
	world_init(&w, NULL);
	world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"alice@example.org\",\"type\":\"p256\"}", key);
	world_start(&w);
	client = client_of(&w, "all");
	MUST(sign_text(client, key, &der, &err));
	snprintf(name, sizeof(name), "%s/vault.db", w.dir);
	assert_int_equal(sqlite3_open(name, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE mine(x)", NULL, NULL, NULL), SQLITE_OK);
	usleep(150000);
	MUST(sign_text(client, key, &der, &err));
	assert_int_equal(sqlite3_exec(db, "DELETE FROM addresses", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	usleep(150000);
	REFUSED(sign_text(client, key, &der, &err), ERR_KEYSTORE_TAMPERED);
	REFUSED(sign_text(client, key, &der, &err), ERR_KEYSTORE_TAMPERED);
	vault_client_free(&client);
	buf_fini(&der);
	world_fini(&w);
}

struct crowd {
	struct vault_client *client;
	const char *key;
	int done;
};

static void *
sign_many(void *ctx)
{
	struct crowd *crowd = ctx;
	struct err err = ERR_INIT;

	for (int i = 0; i < 20; i++) {
		struct buf der = BUF_INIT(1u << 20);

		if (sign_text(crowd->client, crowd->key, &der, &err) == RC_OK)
			__atomic_add_fetch(&crowd->done, 1, __ATOMIC_RELAXED);
		buf_fini(&der);
	}
	return NULL;
}

/* Many threads on one client, and the ledger has every use with its outcome. */
static void
test_many(void **state)
{
	struct ledger_report report;
	struct crowd crowd = {0};
	pthread_t threads[16];
	struct world w;
	struct err err = ERR_INIT;
	char key[64];

	(void)state;
	world_init(&w, NULL);
	world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"alice@example.org\",\"type\":\"p256\"}", key);
	world_start(&w);
	crowd.client = client_of(&w, "all");
	crowd.key = key;
	for (int i = 0; i < 16; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sign_many, &crowd), 0);
	for (int i = 0; i < 16; i++)
		pthread_join(threads[i], NULL);
	CHECK_INT("signed", crowd.done, 320);
	vault_client_free(&crowd.client);
	world_stop(&w);
	MUST(ledger_verify(
		conf_str(conf_section(w.conf, "ledger"), "dir"), NULL, 0, &report, &err));
	CHECK_STR("ledger", report.problem, "");
	CHECK_INT("unknown outcomes", report.unknown_outcomes, 0);
	assert_true(report.records >= 640);
	world_fini(&w);
}

static void
test_budget(void **state)
{
	struct world w;
	struct vault_client *client;
	struct buf der = BUF_INIT(1u << 20);
	struct err err = ERR_INIT;
	char key[64], key2[64];

	(void)state;
	world_init(&w,
		"budgets = ( { use = \"sign\"; hour = 3; }, { service = \"all\"; day = 5; } );\n");
	world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"alice@example.org\",\"type\":\"p256\"}", key);
	world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"bob@example.org\",\"type\":\"p256\"}", key2);
	world_start(&w);
	client = client_of(&w, "all");
	for (int i = 0; i < 3; i++)
		MUST(sign_text(client, key, &der, &err));
	REFUSED(sign_text(client, key, &der, &err), ERR_VAULT_BUDGET);
	/* The counts outlive the vault. */
	world_stop(&w);
	world_start(&w);
	REFUSED(sign_text(client, key, &der, &err), ERR_VAULT_BUDGET);
	MUST(sign_text(client, key2, &der, &err));
	MUST(sign_text(client, key2, &der, &err));
	REFUSED(sign_text(client, key2, &der, &err), ERR_VAULT_BUDGET);
	vault_client_free(&client);
	buf_fini(&der);
	world_fini(&w);
}

/* The ledger's disk is full: no key is used, no signature comes back; with room it goes on without
 * a restart. */
static void
test_full_disk(void **state)
{
	struct rlimit limit, small = {.rlim_cur = 100};
	struct world w;
	struct vault_client *client;
	struct buf der = BUF_INIT(1u << 20), cms = BUF_INIT(1u << 20);
	struct vault_signer signer;
	struct cms_enveloped *header;
	struct err err = ERR_INIT;
	char key[64];
	bool fits;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small.rlim_max = limit.rlim_max;
	world_init(&w, NULL);
	world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"alice@example.org\",\"type\":\"p256\"}", key);
	world_start(&w);
	client = client_of(&w, "all");
	MUST(vault_find_signer(client, "alice@example.org", &signer, &err));
	header = envelope_to(signer.encrypt_cert, &cms);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	REFUSED(sign_text(client, key, &der, &err), ERR_LEDGER);
	CHECK_INT("nothing came back", der.len, 0);
	REFUSED(open_for(client, header, &cms, "alice@example.org", &fits, &err), ERR_LEDGER);
	MUST(vault_ping(client, &err));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	MUST(sign_text(client, key, &der, &err));
	MUST(open_for(client, header, &cms, "alice@example.org", &fits, &err));
	assert_true(fits);
	cms_enveloped_free(&header);
	vault_signer_fini(&signer);
	vault_client_free(&client);
	buf_fini(&der);
	buf_fini(&cms);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_reopened),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_tampering),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
