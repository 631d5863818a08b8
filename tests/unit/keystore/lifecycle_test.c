/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may read and sign what over time, asked of the real server: addresses that go to others,
 * renames, grants at their edges, leavers and who comes back. One story, told by a table.
 */
#include "keystore/client.h"

#include <ctype.h>

#include "crypto/cms_envelope.h"
#include "keystore/ledger_verify.h"
#include "tests/unit/keystore/vault_world.h"

static const char text[] = "Content-Type: text/plain\r\n\r\nHello\r\n";
static struct err err = ERR_INIT;
static int64_t begin;

/* A key of the story, and a message that is encrypted for it. */
static struct {
	char id[64], person[64];
	struct buf cms;
	struct cms_enveloped *header;
} keys['Z' - 'A' + 1];

/*
 * Request: done at this time; "@100": a time, as the seconds of the story; $A: the person whose key
 * A is; =A: the key that it makes is A from then on. Who may what, then: "ann:A-Bs" — the address
 * ann@example.org may have messages to A opened and not those to B, and signs (s; -s: does not).
 * What comes behind a - is all refused, but s.
 */
static const struct {
	const char *name;
	int64_t at;
	const char *request, *key;
	const char *may;
} story[] = {
	{"ann", 0, "\"cmd\":\"key.new\",\"addr\":\"ann@example.org\",\"type\":\"p256\"", "A",
		"ann:As bob:-A who:-A"},
	{"bob", 0, "\"cmd\":\"key.new\",\"addr\":\"bob@example.org\",\"type\":\"p256\"", "B",
		"ann:A-Bs bob:B-As"},
	{"a role", 0,
		"\"cmd\":\"person.add\",\"addr\":\"help@example.org\",\"kind\":\"role\",\"aliases\":["
		"\"desk@example.org\"]",
		NULL, "ann:A"},
	{"its key", 0, "\"cmd\":\"key.new\",\"addr\":\"help@example.org\",\"type\":\"p256\"", "H",
		"help:Hs desk:H ann:-H"},
	{"a second key", 1,
		"\"cmd\":\"key.new\",\"addr\":\"bob@example.org\",\"type\":\"p256\",\"also\":true",
		"E", "bob:BEs ann:-E"},

	{"a grant for a time", 10,
		"\"cmd\":\"key.grant\",\"owner\":\"help@example.org\",\"to\":\"ann@example.org\","
		"\"since\":\"@100\",\"until\":\"@200\"",
		NULL, "ann:A-H"},
	{"before it", 99, NULL, NULL, "ann:A-H"},
	{"at its first second", 100, NULL, NULL, "ann:AH bob:-H"},
	{"at its last", 199, NULL, NULL, "ann:AH"},
	{"over", 200, NULL, NULL, "ann:A-H"},

	{"a rename", 300,
		"\"cmd\":\"person.rename\",\"addr\":\"ann@example.org\",\"new\":\"anna@example.org\","
		"\"until\":\"@400\"",
		NULL, "ann:A anna:As"},
	{"a day before the end", 399, NULL, NULL, "ann:A anna:A"},
	{"the old address is over", 400, NULL, NULL, "ann:-A-s anna:As"},
	{"a grant to the new one", 410,
		"\"cmd\":\"key.grant\",\"owner\":\"help@example.org\",\"to\":\"anna@example.org\"",
		NULL, "anna:AH ann:-AH"},

	{"the old address is another's", 500,
		"\"cmd\":\"key.new\",\"addr\":\"ann@example.org\",\"type\":\"p256\"", "C",
		"ann:C-AHs anna:AH-Cs"},
	{"an address moves", 600,
		"\"cmd\":\"address.move\",\"addr\":\"anna@example.org\",\"to\":\"bob@example.org\"",
		NULL, "anna:BE-AHs ann:C"},
	{"whose it was has another", 610,
		"\"cmd\":\"address.add\",\"addr\":\"$A\",\"new\":\"an3@example.org\"", NULL,
		"an3:AH-BCs anna:B-A"},
	{"an address to come", 620,
		"\"cmd\":\"address.add\",\"addr\":\"$A\",\"new\":\"an4@example.org\",\"since\":\"@640\","
		"\"until\":\"@650\"",
		NULL, "an4:-A-s"},
	{"has come", 640, NULL, NULL, "an4:A"},
	{"and gone", 650, NULL, NULL, "an4:-A-s"},

	{"a grant on bob's keys", 690,
		"\"cmd\":\"key.grant\",\"owner\":\"bob@example.org\",\"to\":\"an3@example.org\"",
		NULL, "an3:BE"},
	{"bob is to leave", 700,
		"\"cmd\":\"person.leave\",\"addr\":\"bob@example.org\",\"at\":\"@800\"", NULL,
		"bob:BEs an3:BE"},
	{"a grant meanwhile", 710,
		"\"cmd\":\"key.grant\",\"owner\":\"bob@example.org\",\"to\":\"help@example.org\"",
		NULL, "help:BE"},
	{"and one to him", 720,
		"\"cmd\":\"key.grant\",\"owner\":\"help@example.org\",\"to\":\"bob@example.org\"",
		NULL, "bob:BH"},
	{"the second before", 799, NULL, NULL, "bob:BEs an3:BE anna:B help:B"},
	{"bob has left", 800, NULL, NULL, "bob:-BE-s anna:-BE-s an3:-BE help:-BE"},
	{"a grant afterwards", 810,
		"\"cmd\":\"key.grant\",\"owner\":\"$B\",\"to\":\"an3@example.org\"", NULL,
		"an3:BE bob:-BE help:-B"},
	{"bob is back", 820, "\"cmd\":\"person.return\",\"addr\":\"$B\"", NULL,
		"bob:BEs an3:BE help:-B"},
	{"without what he was granted", 821, NULL, NULL, "bob:B-H"},
	{"a grant to keep", 830,
		"\"cmd\":\"key.grant\",\"owner\":\"bob@example.org\",\"to\":\"ann@example.org\",\"keep\":"
		"true",
		NULL, "ann:BEC"},
	{"bob leaves again", 840, "\"cmd\":\"person.leave\",\"addr\":\"$B\",\"end_addresses\":true",
		NULL, "bob:-BE-s ann:BEC an3:-BE anna:-BE"},
	{"his address is another's", 845,
		"\"cmd\":\"key.new\",\"addr\":\"bob@example.org\",\"type\":\"p256\"", "D",
		"bob:D-BEs ann:B-D"},

	{"who has a grant leaves", 850, "\"cmd\":\"person.leave\",\"addr\":\"$A\"", NULL,
		"an3:-AHB-s"},
	{"and is back, without it", 860, "\"cmd\":\"person.return\",\"addr\":\"$A\"", NULL,
		"an3:A-HBs"},
	{"an address for the role", 870,
		"\"cmd\":\"person.leave\",\"addr\":\"ann@example.org\",\"to\":\"help@example.org\","
		"\"revoke\":true",
		NULL, "ann:H-CBs help:H-C"},
	{"with a grant", 880, "\"cmd\":\"key.grant\",\"owner\":\"$C\",\"to\":\"help@example.org\"",
		NULL, "ann:HC help:HC an3:-C"},
	{"all keys kept on with --keep", 890,
		"\"cmd\":\"key.grant\",\"owner\":\"bob@example.org\",\"to\":\"an3@example.org\"",
		NULL, "an3:AD"},
	{"when the owner leaves", 900,
		"\"cmd\":\"person.leave\",\"addr\":\"bob@example.org\",\"keep\":true", NULL,
		"an3:AD bob:-D-s"},
};

/* Puts times and persons into a request. */
static void
fill(const char *template, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "{");
	char at[CLOCK_TEXT_SIZE];

	for (const char *p = template; *p && n < size - 2;) {
		if (*p == '@' && isdigit((unsigned char)p[1])) {
			n += (size_t)snprintf(out + n, size - n, "%s",
				clock_format(begin + strtol(p + 1, (char **)&p, 10), at));
		} else if (*p == '$') {
			n += (size_t)snprintf(out + n, size - n, "%s", keys[p[1] - 'A'].person);
			p += 2;
		} else {
			out[n++] = *p++;
		}
	}
	snprintf(out + n, size - n, "}");
}

/* The key of ANSWER is NAME from now on; a message is encrypted for it. */
static void
take_key(struct world *w, const struct json_value *answer, char name)
{
	const struct json_value *key = json_at(json_find(answer, "keys"), 0);
	struct cms_envelope_options options = {.cipher = CIPHER_AES256_CBC};
	struct buf *cms = &keys[name - 'A'].cms;
	struct sink sink, to = sink_to_buf(cms);
	struct cms_header_reader *reader;
	struct cms_envelope *envelope;
	struct certset set = {0};
	struct store_cert cert;

	buf_init(cms, 1u << 20);
	strcpy(keys[name - 'A'].id, json_get_text(key, "key"));
	strcpy(keys[name - 'A'].person, json_get_text(key, "person"));
	MUST(store_current_cert(
		vault_store(w->vault), keys[name - 'A'].id, clock_now(), &cert, &err));
	MUST(certset_add(&set, cert.cert, &err));
	MUST(cms_envelope_new(&set, &options, sizeof(text) - 1, &to, &envelope, &err));
	sink = cms_envelope_sink(envelope);
	MUST(sink_feed(&sink, text, sizeof(text) - 1, &err));
	MUST(sink_finish(&sink, &err));
	cms_envelope_free(&envelope);
	MUST(cms_header_reader_new(&reader, &err));
	sink = cms_header_reader_sink(reader);
	MUST(sink_feed(&sink, cms->data, cms->len, &err));
	MUST(cms_header_take(reader, &keys[name - 'A'].header, &err));
	cms_header_reader_free(&reader);
	store_cert_fini(&cert);
	certset_fini(&set);
}

/* May ADDR have the message to key NAME opened, and is what it gets the text? */
static bool
opens(struct vault_client *client, const char *addr, char name)
{
	const struct cms_enveloped *header = keys[name - 'A'].header;
	struct vault_open_request request = {
		.rinfo = &header->rinfos[0], .cipher = header->cipher, .recipient = addr};
	const struct buf *cms = &keys[name - 'A'].cms;
	struct buf plain = BUF_INIT(65536);
	struct cms_decryptor *decryptor;
	struct sink to = sink_to_buf(&plain), sink;
	struct secret *cek;
	enum rc match, rc = vault_open(client, &request, &cek, &err);
	size_t index;

	match = vault_match(client, addr, header->rinfos, header->n, &index, &err);
	CHECK_INT("match and open agree", match, rc ? RC_NONE : RC_OK);
	if (rc) {
		CHECK_INT("denied", err.code, ERR_VAULT_DENIED);
		return false;
	}
	MUST(cms_decryptor_new(cek, &to, &decryptor, &err));
	sink = cms_decryptor_sink(decryptor);
	MUST(sink_feed(&sink, cms->data, cms->len, &err));
	MUST(sink_finish(&sink, &err));
	assert_memory_equal(plain.data, text, sizeof(text) - 1);
	cms_decryptor_free(&decryptor);
	secret_free(&cek);
	buf_fini(&plain);
	return true;
}

static enum rc
sign_with(struct vault_client *client, const char *key, const char *identity)
{
	unsigned char value[32] = {1};
	struct buf der = BUF_INIT(65536);
	struct vault_sign_request request = {.key_id = key,
		.digest = DIGEST_SHA256,
		.value = value,
		.signing_time = clock_now(),
		.claim = {.qid = "4Abc", .identity = identity}};
	enum rc rc = vault_sign(client, &request, &der, &err);

	buf_fini(&der);
	return rc;
}

/* Is there a key for ADDR that signs? */
static bool
signs(struct vault_client *client, const char *addr)
{
	struct vault_signer signer = {0};
	enum rc rc = vault_find_signer(client, addr, &signer, &err);

	if (rc == RC_NONE)
		return false;
	CHECK_INT(addr, rc, RC_OK);
	MUST(sign_with(client, signer.key_id, addr));
	vault_signer_fini(&signer);
	return true;
}

/* Looks at what MAY says, in the story's notation. A client of its own keeps no answers. */
static void
check_may(struct world *w, const char *name, const char *may)
{
	struct vault_client *client;
	char addr[64], what[256];

	MUST(vault_client_new(w->conf, "all", &client, &err));
	while (*may) {
		size_t n = strcspn(may, ":");
		bool not = false;

		snprintf(addr, sizeof(addr), "%.*s@example.org", (int)n, may);
		for (may += n + 1; *may && *may != ' '; may++) {
			snprintf(what, sizeof(what), "%s: %s %c", name, addr, *may);
			if (*may == '-')
				not = true;
			else if (*may == 's')
				CHECK_INT(what, signs(client, addr), !(not &&may[-1] == '-'));
			else
				CHECK_INT(what, opens(client, addr, *may), !not );
		}
		may += *may == ' ';
	}
	vault_client_free(&client);
}

static void
test_story(void **state)
{
	const size_t steps = sizeof(story) / sizeof(*story);
	struct ledger_report report;
	struct world w;

	(void)state;
	world_init(&w, NULL);
	world_start(&w);
	begin = clock_now() + 1000;
	for (size_t i = 0; i < steps; i++) {
		char request[1024];

		clock_set(begin + story[i].at);
		if (story[i].request) {
			struct json_value *answer;

			fill(story[i].request, request, sizeof(request));
			answer = world_admin(&w, request);
			if (story[i].key)
				take_key(&w, answer, *story[i].key);
			json_free(&answer);
		}
		check_may(&w, story[i].name, story[i].may);
	}
	/* A vault that starts again sees the same. */
	world_stop(&w);
	world_start(&w);
	check_may(&w, "again", story[steps - 1].may);
	check_may(&w, "again", "ann:HC help:HC bob:-BED-s");
	world_stop(&w);
	MUST(ledger_verify(
		conf_str(conf_section(w.conf, "ledger"), "dir"), NULL, 0, &report, &err));
	CHECK_STR("ledger", report.problem, "");
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		cms_enveloped_free(&keys[i].header);
		buf_fini(&keys[i].cms);
	}
	world_fini(&w);
}

static void
refused(struct world *w, const char *request, enum errcode wanted)
{
	struct json_value *answer;

	err_clear(&err);
	if (admin_call(w->conf, request, NULL, &answer, &err) == RC_OK || err.code != wanted)
		fail_msg("%s: %s (%s), want %s", request, err_name(err.code), err.detail,
			err_name(wanted));
	err_clear(&err);
}

/* A leaver's key does not sign for somebody who knows its id, nor another's for the leaver's login.
 */
static void
test_sign(void **state)
{
	struct vault_client *client;
	struct world w;
	char ann[64], help[64];

	(void)state;
	world_init(&w, NULL);
	world_start(&w);
	MUST(vault_client_new(w.conf, "all", &client, &err));
	world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"ann@example.org\",\"type\":\"p256\"}", ann);
	world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"help@example.org\",\"type\":\"p256\"}", help);
	MUST(sign_with(client, ann, "ann@example.org"));
	MUST(sign_with(client, help, "Ann+x@example.org"));
	world_do(&w, "{\"cmd\":\"person.leave\",\"addr\":\"ann@example.org\"}", NULL);
	REFUSED(sign_with(client, ann, "help@example.org"), ERR_VAULT_KEY_CHANGED);
	REFUSED(sign_with(client, help, "Ann+x@example.org"), ERR_VAULT_DENIED);
	MUST(sign_with(client, help, "ann"));
	MUST(sign_with(client, help, "nobody@example.org"));
	MUST(sign_with(client, help, NULL));
	/* Nor is there a new key for them. */
	refused(&w,
		"{\"cmd\":\"key.new\",\"addr\":\"ann@example.org\",\"type\":\"p256\",\"also\":true}",
		ERR_VAULT_DENIED);
	refused(&w, "{\"cmd\":\"key.renew\",\"key\":\"ann@example.org\",\"type\":\"p256\"}",
		ERR_VAULT_DENIED);
	vault_client_free(&client);
	world_fini(&w);
}

static void
test_refusals(void **state)
{
	static const struct {
		const char *request;
		enum errcode code;
	} table[] = {
		{"{\"cmd\":\"person.add\",\"addr\":\"ann@example.org\"}", ERR_KEY_EXISTS},
		{"{\"cmd\":\"person.add\",\"addr\":\"new@example.org\",\"aliases\":[\"ANN@example.org\"]}",
			ERR_KEY_EXISTS},
		{"{\"cmd\":\"person.add\",\"addr\":\"new@example.org\",\"aliases\":[\"new@example.org\"]}",
			ERR_KEY_EXISTS},
		{"{\"cmd\":\"person.add\",\"addr\":\"new@example.org\",\"aliases\":[1]}",
			ERR_USAGE},
		{"{\"cmd\":\"person.add\",\"addr\":\"new@example.org\",\"uid\":\"u1\"}",
			ERR_KEY_EXISTS},
		{"{\"cmd\":\"person.show\",\"addr\":\"new@example.org\"}", ERR_VAULT_NO_KEY},
		{"{\"cmd\":\"person.show\",\"addr\":\"p0\"}", ERR_VAULT_NO_KEY},
		{"{\"cmd\":\"person.set\",\"addr\":\"bob@example.org\",\"uid\":\"u1\"}",
			ERR_KEY_EXISTS},
		{"{\"cmd\":\"person.set\",\"addr\":\"bob@example.org\",\"kind\":\"organisation\"}",
			ERR_USAGE},
		{"{\"cmd\":\"person.set\",\"addr\":\"bob@example.org\",\"name\":\"\"}", ERR_USAGE},
		{"{\"cmd\":\"person.rename\",\"addr\":\"ann@example.org\",\"new\":\"bob@example.org\"}",
			ERR_KEY_EXISTS},
		{"{\"cmd\":\"person.rename\",\"addr\":\"ann@example.org\",\"new\":\"a2@example.org\","
		 "\"until\":\"2001-01-01\"}",
			ERR_USAGE},
		{"{\"cmd\":\"person.leave\",\"addr\":\"new@example.org\"}", ERR_VAULT_NO_KEY},
		{"{\"cmd\":\"person.leave\",\"addr\":\"bob@example.org\",\"at\":\"2001-01-01\"}",
			ERR_USAGE},
		{"{\"cmd\":\"person.leave\",\"addr\":\"bob@example.org\",\"at\":\"2099-01-01\",\"revoke\":"
		 "true}",
			ERR_USAGE},
		{"{\"cmd\":\"person.leave\",\"addr\":\"bob@example.org\",\"to\":\"bob@example.org\"}",
			ERR_USAGE},
		{"{\"cmd\":\"person.leave\",\"addr\":\"bob@example.org\",\"to\":\"eve@example.org\"}",
			ERR_VAULT_DENIED},
		{"{\"cmd\":\"person.leave\",\"addr\":\"eve@example.org\"}", ERR_USAGE},
		{"{\"cmd\":\"person.return\",\"addr\":\"bob@example.org\"}", ERR_USAGE},
		{"{\"cmd\":\"address.add\",\"addr\":\"bob@example.org\",\"new\":\"b2@example.org\","
		 "\"since\":\"2099-01-01\",\"until\":\"2098-01-01\"}",
			ERR_USAGE},
		{"{\"cmd\":\"address.add\",\"addr\":\"bob@example.org\",\"new\":\"late@example.org\"}",
			ERR_KEY_EXISTS},
		{"{\"cmd\":\"address.add\",\"addr\":\"bob@example.org\",\"new\":\"late@example.org\","
		 "\"since\":\"2097-01-01\",\"until\":\"2098-06-01\"}",
			ERR_KEY_EXISTS},
		{"{\"cmd\":\"address.add\",\"addr\":\"eve@example.org\",\"new\":\"e2@example.org\"}",
			ERR_VAULT_DENIED},
		{"{\"cmd\":\"address.end\",\"addr\":\"bob@example.org\",\"at\":\"2001-01-01\"}",
			ERR_USAGE},
		{"{\"cmd\":\"address.end\",\"addr\":\"new@example.org\"}", ERR_VAULT_NO_KEY},
		{"{\"cmd\":\"address.move\",\"addr\":\"bob@example.org\",\"to\":\"bob@example.org\"}",
			ERR_USAGE},
		{"{\"cmd\":\"address.move\",\"addr\":\"bob@example.org\",\"to\":\"eve@example.org\"}",
			ERR_VAULT_DENIED},
		{"{\"cmd\":\"key.grant\",\"owner\":\"bob@example.org\",\"to\":\"new@example.org\"}",
			ERR_VAULT_NO_KEY},
		{"{\"cmd\":\"key.grant\",\"owner\":\"bob@example.org\",\"to\":\"bob@example.org\"}",
			ERR_USAGE},
		{"{\"cmd\":\"key.grant\",\"owner\":\"bob@example.org\",\"to\":\"eve@example.org\"}",
			ERR_VAULT_DENIED},
		{"{\"cmd\":\"key.grant\",\"owner\":\"bob@example.org\",\"to\":\"ann@example.org\","
		 "\"until\":\"2001-01-01\"}",
			ERR_USAGE},
		{"{\"cmd\":\"key.grant\",\"owner\":\"bob@example.org\",\"to\":\"ann@example.org\","
		 "\"since\":\"2099-01-02\",\"until\":\"2099-01-01\"}",
			ERR_USAGE},
		{"{\"cmd\":\"key.grant\",\"owner\":\"bob@example.org\",\"to\":\"ann@example.org\","
		 "\"until\":\"tomorrow\"}",
			ERR_USAGE},
		{"{\"cmd\":\"key.ungrant\",\"grant\":\"g0\"}", ERR_USAGE},
		{"{\"cmd\":\"key.ungrant\"}", ERR_USAGE},
		{"{\"cmd\":\"person.sync\",\"person\":\"bob@example.org\"}", ERR_USAGE},
		{"{\"cmd\":\"person.sync\",\"person\":\"bob@example.org\",\"acts\":[{\"do\":\"nix\"}]}",
			ERR_USAGE},
		{"{\"cmd\":\"person.sync\",\"person\":\"bob@example.org\",\"acts\":[{\"do\":\"new\"}]}",
			ERR_USAGE},
		{"{\"cmd\":\"person.sync\",\"person\":\"bob@example.org\",\"acts\":[{\"do\":\"address.take\","
		 "\"addr\":\"ann@example.org\"}]}",
			ERR_USAGE},
		/* The second act fails: neither is done. */
		{"{\"cmd\":\"person.sync\",\"person\":\"bob@example.org\",\"acts\":[{\"do\":\"address.add\","
		 "\"addr\":\"b9@example.org\"},{\"do\":\"address.add\",\"addr\":\"ann@example.org\"}]}",
			ERR_KEY_EXISTS},
		{"{\"cmd\":\"person.show\",\"addr\":\"b9@example.org\"}", ERR_VAULT_NO_KEY},
		{"{\"cmd\":\"grant.list\",\"limit\":0}", ERR_USAGE},
	};
	struct json_value *before, *after;
	struct world w;

	(void)state;
	world_init(&w, NULL);
	world_start(&w);
	world_do(&w, "{\"cmd\":\"person.add\",\"addr\":\"ann@example.org\",\"uid\":\"u1\"}", NULL);
	world_do(&w, "{\"cmd\":\"person.add\",\"addr\":\"bob@example.org\"}", NULL);
	world_do(&w, "{\"cmd\":\"person.add\",\"addr\":\"eve@example.org\"}", NULL);
	world_do(&w, "{\"cmd\":\"person.leave\",\"addr\":\"eve@example.org\"}", NULL);
	world_do(&w,
		"{\"cmd\":\"address.add\",\"addr\":\"ann@example.org\",\"new\":\"late@example.org\","
		"\"since\":\"2098-01-01\"}",
		NULL);
	before = world_admin(&w, "{\"cmd\":\"person.list\"}");
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		refused(&w, table[i].request, table[i].code);
	after = world_admin(&w, "{\"cmd\":\"person.list\"}");
	CHECK_INT("persons", json_count(json_find(after, "persons")),
		json_count(json_find(before, "persons")));
	json_free(&before);
	json_free(&after);
	/* An address that is free until then may be somebody's so long. */
	world_do(&w,
		"{\"cmd\":\"address.add\",\"addr\":\"bob@example.org\",\"new\":\"late@example.org\","
		"\"until\":\"2098-01-01\"}",
		NULL);
	refused(&w, "{\"cmd\":\"address.end\",\"addr\":\"late@example.org\",\"never\":true}",
		ERR_KEY_EXISTS);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_story),
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
