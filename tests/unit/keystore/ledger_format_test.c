/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The format of the ledger is frozen: what these lines say may never change.
 *
 * Linked with --wrap for malloc, calloc and realloc, to refuse memory.
 */
#include "tests/unit/unit.h"

#include "keystore/ledger_format.h"
#include "keystore/ledger_pseudonym.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define PREFIX(type)                           \
	"{\"v\":1,\"seq\":7,\"prev\":\"" ZEROS \
	"\",\"time\":\"2026-11-21T22:14:03.123456Z\",\"node\":\"n-1\",\"type\":\"" type "\""

static const struct ledger_prefix prefix = {
	.seq = 7, .prev = ZEROS, .time_us = 1795299243123456, .node = "n-1"};

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static long allocations, refused_at = -1;

static bool
is_refused(void)
{
	return allocations++ == refused_at;
}

void *
__wrap_malloc(size_t n)
{
	return is_refused() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return is_refused() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return is_refused() ? NULL : __real_realloc(p, n);
}

/* A record that finds no memory is one for later, never a wrong one. */
static void
test_no_memory(void **state)
{
	const struct ledger_record record = {.type = LEDGER_DECISION,
		.event = "opened",
		.observed = {.uid = -1},
		.detail = "{\"reopen\":true,\"opened\":3,\"first\":\"2026-11-21T22:14:03Z\"}"};

	(void)state;
	for (long at = 0;; at++) {
		struct buf body = BUF_INIT(LEDGER_MAX_LINE);
		struct err err = ERR_INIT;
		enum rc rc;

		allocations = 0;
		refused_at = at;
		rc = ledger_body_record(&body, &record, NULL, &err);
		refused_at = -1;
		buf_fini(&body);
		if (rc == RC_OK && allocations <= at)
			return;
		CHECK_INT("no memory", rc, RC_TEMP);
	}
}

/* RECORD as a whole line. The pseudonym key is 32 bytes of 'k'. */
static void
check_line(const char *name, const struct ledger_record *record, const char *want)
{
	struct buf body = BUF_INIT(LEDGER_MAX_LINE), line = BUF_INIT(LEDGER_MAX_LINE);
	struct ledger_prefix p = prefix;
	struct ledger_line parsed;
	struct pseudonyms pseudonyms;
	struct err err = ERR_INIT;
	char *copy;

	assert_int_equal(pseudonyms_init(&pseudonyms, &err), RC_OK);
	assert_int_equal(
		secret_copy("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", 32, &pseudonyms.key, &err), RC_OK);
	strcpy(pseudonyms.period, "2026-11");
	if (ledger_body_record(&body, record, &pseudonyms, &err))
		fail_msg("%s: %s", name, err.detail);
	/* The second time the pseudonyms are those that were kept. */
	if (record->subject || record->claim) {
		size_t len = body.len;

		assert_int_equal(ledger_body_record(&body, record, &pseudonyms, &err), RC_OK);
		assert_int_equal(body.len, 2 * len);
		assert_memory_equal(body.data, body.data + len, len);
		body.len = len;
	}
	p.type = record->type;
	assert_int_equal(ledger_line_format(&line, &p, body.data, body.len, &err), RC_OK);
	CHECK_STR(name, line.data, want);
	copy = exact(line.data, line.len);
	assert_true(ledger_line_parse(copy, line.len, &parsed));
	CHECK_INT(name, parsed.seq, 7);
	CHECK_INT(name, parsed.type, record->type);
	for (size_t len = 0; len < line.len; len++) {
		char *shorter = exact(line.data, len);

		if (ledger_line_parse(shorter, len, &parsed))
			fail_msg("%s: taken when cut at %zu", name, len);
		free(shorter);
	}
	free(copy);
	pseudonyms_fini(&pseudonyms);
	buf_fini(&body);
	buf_fini(&line);
}

/*
 * printf %s alice@example.org | openssl dgst -sha256 -mac HMAC -macopt
 * key:kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
 */
#define ALICE "9d7bae9f0f472a9148c287833002c0af"
#define BOB   "ed53e488b6d65799ffb54a2a474e2bb1"

static void
test_records(void **state)
{
	const char *rcpts[] = {"bob@example.org", "alice@example.org"};
	struct vault_claim claim = {.qid = "4bXyZ1",
		.rule = "a \"rule\"\n",
		.sender = "alice@example.org",
		.identity = "alice@example.org",
		.recipients = rcpts,
		.n_recipients = 2};
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_INTENT);

	(void)state;
	record.event = "sign";
	record.observed = (struct ledger_observed){.key = "k1",
		.fingerprint = "aa",
		.rinfo = "bb",
		.digest_name = "sha256",
		.digest = "cc",
		.service = "all",
		.uid = 0,
		.pid = 9};
	record.claim = &claim;
	record.detail = "{ \"a\" : 1, \"b\" : \"x\\ny\", \"c\" : true }";
	check_line("intent", &record,
		PREFIX("intent") ",\"event\":\"sign\",\"period\":\"2026-11\",\"observed\":{"
				 "\"key\":\"k1\",\"fingerprint\":\"aa\",\"rinfo\":\"bb\","
				 "\"alg\":\"sha256\",\"digest\":\"cc\",\"service\":\"all\",\"uid\":0,"
				 "\"pid\":9},\"claimed\":{\"qid\":\"4bXyZ1\","
				 "\"rule\":\"a \\\"rule\\\"\\u000a\",\"sender\":\"" ALICE
				 "\",\"identity\":\"" ALICE "\",\"recipients\":[\"" BOB
				 "\",\"" ALICE
				 "\"]},\"detail\":{\"a\":1,\"b\":\"x\\u000ay\",\"c\":true}}\n");
	record = (struct ledger_record)LEDGER_RECORD_INIT(LEDGER_OUTCOME);
	record.event = "failed";
	record.intent = 6;
	record.reason = "crypto";
	check_line("outcome", &record,
		PREFIX("outcome") ",\"event\":\"failed\",\"intent\":6,\"reason\":\"crypto\","
				  "\"observed\":{}}\n");
	record = (struct ledger_record)LEDGER_RECORD_INIT(LEDGER_ADMIN);
	record.event = "key.new";
	record.subject = "bob@example.org";
	check_line("admin", &record,
		PREFIX("admin") ",\"event\":\"key.new\",\"period\":\"2026-11\",\"subject\":\"" BOB
				"\",\"observed\":{}}\n");
}

static void
test_own_records(void **state)
{
	struct buf spki = BUF_INIT(16), body = BUF_INIT(4096);

	(void)state;
	assert_int_equal(buf_append(&spki, "\x30\x01", 2, NULL), RC_OK);
	assert_int_equal(ledger_body_open(&body, 2, 3, ZEROS, &spki, NULL), RC_OK);
	CHECK_STR("open", body.data,
		"{\"format\":\"sealgate-ledger:1\",\"segment\":2,\"epoch\":3,\"keyid\":\"" ZEROS
		"\",\"key\":\"3001\"}");
	buf_clear(&body);
	assert_int_equal(ledger_body_epoch(&body, 4, ZEROS, &spki, NULL), RC_OK);
	CHECK_STR("epoch", body.data, "{\"epoch\":4,\"keyid\":\"" ZEROS "\",\"key\":\"3001\"}");
	buf_clear(&body);
	assert_int_equal(ledger_body_checkpoint(&body, 4, ZEROS, "\xab\xcd", 2, NULL), RC_OK);
	CHECK_STR(
		"checkpoint", body.data, "{\"epoch\":4,\"keyid\":\"" ZEROS "\",\"sig\":\"abcd\"}");
	buf_clear(&body);
	assert_int_equal(ledger_body_recovered(&body, 1, 200, 30, ZEROS, NULL), RC_OK);
	CHECK_STR("recovered", body.data,
		"{\"segment\":1,\"offset\":200,\"bytes\":30,\"sha256\":\"" ZEROS "\"}");
	buf_fini(&body);
	buf_fini(&spki);
}

/* Lines that look like records and are none. */
static void
test_bad_lines(void **state)
{
	static const struct {
		const char *name, *line;
	} cases[] = {
		{"empty", ""},
		{"no members", "{}\n"},
		{"another version", "{\"v\":2,\"seq\":7,\"prev\":\"" ZEROS "\"}\n"},
		{"leading zero", "{\"v\":1,\"seq\":07,\"prev\":\"" ZEROS
				 "\",\"time\":\"2026-11-21T22:14:03.123456Z\",\"node\":\"n\","
				 "\"type\":\"admin\"}\n"},
		{"number too large", "{\"v\":1,\"seq\":99999999999999999999,\"prev\":\"" ZEROS
				     "\",\"time\":\"2026-11-21T22:14:03.123456Z\",\"node\":\"n\","
				     "\"type\":\"admin\"}\n"},
		{"unknown type", PREFIX("something") "}\n"},
		{"no member", PREFIX("admin") ",}\n"},
		{"a blank", PREFIX("admin") ", \"a\":1}\n"},
		{"a fraction", PREFIX("admin") ",\"a\":1.5}\n"},
		{"a control character", PREFIX("admin") ",\"a\":\"\x01\"}\n"},
		{"an unknown escape", PREFIX("admin") ",\"a\":\"\\n\"}\n"},
		{"something behind", PREFIX("admin") ",\"a\":1} \n"},
		{"two objects", PREFIX("admin") "}{\"a\":1}\n"},
		{"too deep", PREFIX("admin") ",\"a\":{\"b\":{\"c\":{\"d\":1}}}}\n"},
		{"CR LF", PREFIX("admin") "}\r\n"},
		{"no line end", PREFIX("admin") "}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t len = strlen(cases[i].line);
		char *copy = exact(cases[i].line, len);
		struct ledger_line line;

		if (ledger_line_parse(copy, len, &line))
			fail_msg("%s: taken", cases[i].name);
		free(copy);
	}
}

static void
test_anchor(void **state)
{
	static const char text[] =
		"sealgate-anchor:1 n-1 6 " ZEROS " 2026-11-21T22:14:03.123456Z " ZEROS " abcd";
	struct ledger_anchor anchor;
	struct buf again = BUF_INIT(1024);

	(void)state;
	assert_int_equal(ledger_anchor_parse(text, sizeof text - 1, &anchor, NULL), RC_OK);
	CHECK_INT("seq", anchor.seq, 6);
	CHECK_INT("signature", anchor.signature_len, 2);
	assert_int_equal(ledger_anchor_format(&again, &anchor, NULL), RC_OK);
	CHECK_STR("again", again.data, text);
	for (size_t len = 0; len < sizeof text - 3; len++) {
		char *copy = exact(text, len);

		CHECK_INT("cut", ledger_anchor_parse(copy, len, &anchor, NULL), RC_PERM);
		free(copy);
	}
	buf_fini(&again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_own_records),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_anchor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
