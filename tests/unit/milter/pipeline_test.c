/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whole messages through the pipeline, with real cryptography and a vault in memory. What one house
 * seals, another opens: partner.test is run by the same code.
 */
#include "milter/pipeline.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "message/addr.h"
#include "milter/marks.h"
#include "tests/unit/milter/fakevault.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <unistd.h>

#define ALICE "alice@ours.test"
#define BOB   "bob@ours.test"
#define CAROL "carol@partner.test"
#define DAVE  "dave@partner.test"
#define EVE   "eve@nowhere.test"

static char dir[] = "/tmp/sealgate-pipeline-XXXXXX";
static struct fake_person ca, alice, bob, carol, dave;
static struct engine *ours, *theirs;

static const char plain[] = "From: Alice <alice@ours.test>\r\n"
			    "To: carol@partner.test, bob@ours.test\r\n"
			    "Subject: hello\r\n"
			    "Content-Type: text/plain; charset=utf-8\r\n"
			    "Content-Transfer-Encoding: 8bit\r\n"
			    "MIME-Version: 1.0\r\n"
			    "\r\n"
			    "Gr\xc3\xbc\xc3\x9f Gott\r\n.\r\nFrom here\r\n";

static struct engine *
make_engine(const char *domain, const char *more)
{
	struct buf text = BUF_INIT(0);
	struct conf *conf;
	struct engine *engine;
	struct certstore *store;
	char path[200];
	struct err err = ERR_INIT;

	snprintf(path, sizeof(path), "%s/%s.db", dir, domain);
	assert_int_equal(certstore_open(path, true, &store, NULL), RC_OK);
	certstore_close(&store);
	buf_appendf(&text, NULL,
		"organisation = { domains = \"%s\"; };\n"
		"services = ( { name = \"all\"; socket = \"unix:s\"; },"
		" { name = \"mx\"; role = \"open\"; socket = \"unix:t\"; } );\n"
		"milter = { spool = \".\"; spool_memory = 4096; %s };\n"
		"certstore = { path = \"%s.db\"; };\n"
		"anchors = ( { file = \"ca.pem\"; } );\n%s",
		domain, strstr(more, "next_size_limit") ? more : "", domain,
		strstr(more, "next_size_limit") ? "" : more);
	if (conf_parse(buf_text(&text), "test.conf", dir, &conf, &err) != RC_OK ||
		engine_new(conf, "all", &engine, &err) != RC_OK)
		fail_msg("%s: %s", more, err.detail);
	conf_unref(&conf);
	buf_fini(&text);
	return engine;
}

static void
add_cert(const char *domain, const struct fake_person *person)
{
	char path[200];
	struct certstore *store;
	struct certrow row = {.cert = person->cert,
		.addr = (char *)(uintptr_t)person->addr,
		.source = (char *)(uintptr_t) "admin",
		.vouched = (char *)(uintptr_t) "test",
		.domains = (char *)(uintptr_t) "",
		.tier = TIER_DIRECTORY,
		.proven = true};

	snprintf(path, sizeof(path), "%s/%s.db", dir, domain);
	assert_int_equal(certstore_open(path, true, &store, NULL), RC_OK);
	assert_int_equal(certstore_add(store, &row, NULL), RC_OK);
	certstore_close(&store);
}

/* Recipients may have copies, by a port of this size. */
static bool with_copies;
static uint64_t port_size;

/* One message through one engine. */
struct go {
	struct transaction *tx;
	struct result *result;
	const struct copy *copy; /* the first, or an empty one */
	struct buf out;          /* the message after the edits */
};

/* Was BIT done for recipient I? */
static bool
did(const struct go *g, size_t i, unsigned bit)
{
	const struct rcpt_result *rcpt = &g->result->rcpts[i];

	return rcpt->outcome == PLAN_DELIVER && (g->result->copies[rcpt->copy].done & bit);
}

static void
go(struct go *g, struct engine *engine, enum pipeline_mode mode, const char *sender,
	const char *login, const char *const *rcpts, const char *mail, size_t len)
{
	static const struct copy none;
	struct err err = ERR_INIT;
	struct sink sink = sink_to_buf(&g->out);
	struct msg *msg;
	size_t used;

	g->out = (struct buf)BUF_INIT(0);
	if (transaction_new(engine, &g->tx, &err) != RC_OK)
		fail_msg("%s", err.detail);
	if (with_copies)
		transaction_allow_copies(g->tx, port_size);
	if (transaction_sender(g->tx, sender, login, "192.0.2.1", &err) != RC_OK)
		fail_msg("%s", err.detail);
	for (; *rcpts; rcpts++)
		assert_int_equal(transaction_rcpt(g->tx, *rcpts, &err), RC_OK);
	transaction_set_qid(g->tx, "Q1");
	msg = transaction_msg(g->tx);
	assert_int_equal(hdrs_parse(mail, len, &msg->hdrs, &used, &err), RC_OK);
	assert_int_equal(spool_append(msg->body, mail + used, len - used, &err), RC_OK);
	if (pipeline_run(g->tx, mode, &g->result, &err) != RC_OK)
		fail_msg("%s", err.detail);
	g->copy = g->result->n_copies ? g->result->copies : &none;
	assert_int_equal(copy_write(g->tx, g->copy, &sink, &err), RC_OK);
}

static void
done(struct go *g)
{
	result_free(&g->result);
	transaction_free(&g->tx);
	buf_fini(&g->out);
}

#define TO(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SEND(g, mail, ...) \
	go(g, ours, PIPELINE_RUN, ALICE, ALICE, TO(__VA_ARGS__), mail, strlen(mail))
/* What came out of G arrives at ENGINE. */
#define RECEIVE(g, engine, from, ...)                                                     \
	go(g, engine, PIPELINE_RUN, ALICE, NULL, TO(__VA_ARGS__), buf_text(&(from)->out), \
		(from)->out.len)

static bool
has(const struct go *g, const char *text)
{
	return memmem(buf_text(&g->out), g->out.len, text, strlen(text)) != NULL;
}

static void
check_reply(const char *name, const struct go *g, int smtp, const char *text)
{
	CHECK_INT(name, g->result->smtp, smtp);
	if (!strstr(g->result->text, text))
		fail_msg("%s: got \"%s\", want \"%s\"", name, g->result->text, text);
	if (smtp != 250) {
		CHECK_INT(name, g->copy->n_edits, 0);
		assert_null(g->copy->body);
	}
}

static void
check_untouched(const char *name, const struct go *g, const char *mail)
{
	CHECK_INT(name, g->result->smtp, 250);
	CHECK_INT(name, g->copy->n_edits, 0);
	assert_null(g->copy->body);
	CHECK_STR(name, buf_text(&g->out), mail);
}

/* Alice to Carol: signed, encrypted; Carol's house opens and verifies it. */
static void
test_sealed(void **state)
{
	struct go a, b;

	(void)state;
	SEND(&a, plain, CAROL);
	check_reply("sealed", &a, 250, "");
	assert_true(did(&a, 0, PLAN_SIGN) && did(&a, 0, PLAN_ENCRYPT));
	CHECK_STR("rule", a.result->rcpts[0].rule, "shipped-outbound");
	assert_true(has(&a, "smime-type=enveloped-data"));
	assert_true(has(&a, "\r\nDate: "));
	assert_true(has(&a, "Subject: hello\r\n"));
	assert_false(has(&a, "charset=utf-8"));
	assert_false(has(&a, "Gott"));
	CHECK_INT("signs", fake_calls[FAKE_SIGN], 1);
	CHECK_STR("record", fake_event, "sealed");
	RECEIVE(&b, theirs, &a, CAROL);
	check_reply("opened", &b, 250, "");
	assert_true(did(&b, 0, PLAN_OPEN));
	CHECK_STR("ret", b.copy->new_ret, "HDRS");
	CHECK_INT("layers", b.copy->n_layers, 2);
	CHECK_STR("layer", b.copy->layers[0].kind, "enveloped");
	CHECK_STR("layer", b.copy->layers[1].kind, "signed");
	assert_true(has(&b, "Authentication-Results: partner.test;\r\n\tsmime=pass"));
	assert_true(has(&b, "body.smime-identifier=\"alice@ours.test\"") ||
		    has(&b, "body.smime-identifier=alice@ours.test"));
	assert_true(has(&b, OPENED_MARK ": partner.test"));
	assert_true(has(&b, "multipart/signed"));
	assert_true(has(&b, "Gr=C3=BC=C3=9F Gott"));
	assert_false(has(&b, "enveloped-data"));
	CHECK_STR("record", fake_event, "opened");
	done(&b);
	done(&a);
}

/* Alice to Bob: signed only, the gateway holds Bob's key; a changed byte shows. */
static void
test_signed(void **state)
{
	struct go a, b;
	char *p;

	(void)state;
	SEND(&a, plain, BOB);
	assert_true(did(&a, 0, PLAN_SIGN) && !did(&a, 0, PLAN_ENCRYPT));
	CHECK_STR("rule", a.result->rcpts[0].rule, "shipped-internal");
	assert_true(has(&a, "Gr=C3=BC=C3=9F Gott\r\n"));
	RECEIVE(&b, theirs, &a, CAROL);
	assert_true(has(&b, "smime=pass"));
	CHECK_INT("verdict", b.copy->verdict->overall, VERDICT_PASS);
	assert_null(b.copy->body);
	assert_null(b.copy->new_ret);
	done(&b);
	p = strstr(a.out.data, "Gott");
	*p = 'g';
	RECEIVE(&b, theirs, &a, CAROL);
	assert_true(has(&b, "smime=fail"));
	assert_true(has(&b, NOTICE_MARK ": "));
	assert_null(b.copy->body);
	done(&b);
	done(&a);
}

/* Who has no right, or whose author is not one, is not signed for, and the vault is not asked. */
static void
test_untouched(void **state)
{
	static const char two[] = "From: alice@ours.test\r\nFrom: bob@ours.test\r\n\r\nx\r\n";
	static const char list[] = "From: alice@ours.test, bob@ours.test\r\n\r\nx\r\n";
	static const char none[] = "Subject:x\r\nX-A:y\r\n\r\nx";
	static const char other[] = "From: bob@ours.test\r\n\r\nx\r\n";
	static const char *const mails[] = {two, list, none, other};
	struct go g;

	(void)state;
	for (size_t i = 0; i < FAKE_N; i++)
		fake_fail[i] = ERR_VAULT_DOWN;
	for (size_t i = 0; i < sizeof(mails) / sizeof(*mails); i++) {
		SEND(&g, mails[i], CAROL);
		check_untouched(mails[i], &g, mails[i]);
		done(&g);
	}
	go(&g, ours, PIPELINE_RUN, ALICE, NULL, TO(CAROL), plain, strlen(plain));
	check_untouched("no login", &g, plain);
	done(&g);
	go(&g, ours, PIPELINE_RUN, EVE, NULL, TO(ALICE), plain, strlen(plain));
	check_untouched("inbound, plain", &g, plain);
	done(&g);
	go(&g, ours, PIPELINE_RUN, "<>", NULL, TO(ALICE, BOB), none, strlen(none));
	check_untouched("bounce", &g, none);
	done(&g);
	for (size_t i = 0; i < FAKE_N; i++)
		CHECK_INT("calls", fake_calls[i], 0);
}

/* Whatever breaks, the message is deferred and nothing of it was prepared. */
static void
test_faults(void **state)
{
	static const enum fake_call out[] = {FAKE_FIND, FAKE_HOLDS, FAKE_SIGN, FAKE_RECORD};
	static const enum fake_call in[] = {FAKE_MATCH, FAKE_OPEN, FAKE_RECORD};
	struct go a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(out) / sizeof(*out); i++) {
		fake_reset();
		fake_fail[out[i]] = ERR_VAULT_DOWN;
		SEND(&a, plain, CAROL);
		check_reply("out", &a, 451, "");
		CHECK_STR("out", buf_text(&a.out), plain);
		assert_false(did(&a, 0, PLAN_SIGN));
		done(&a);
	}
	/* Whoever is not let in by the vault does not send unsigned for it. */
	fake_reset();
	fake_fail[FAKE_FIND] = ERR_VAULT_DENIED;
	SEND(&a, plain, BOB);
	check_reply("find denied", &a, 451, "");
	done(&a);
	fake_reset();
	SEND(&a, plain, CAROL);
	for (size_t i = 0; i < sizeof(in) / sizeof(*in); i++) {
		fake_reset();
		fake_fail[in[i]] = i == 1 ? ERR_VAULT_BUDGET : ERR_LEDGER;
		RECEIVE(&b, theirs, &a, CAROL);
		check_reply("in", &b, 451, "");
		assert_null(b.copy->new_ret);
		done(&b);
	}
	fake_reset();
	fake_fail[FAKE_MATCH] = ERR_VAULT_DENIED;
	RECEIVE(&b, theirs, &a, CAROL);
	check_reply("match denied", &b, 451, "");
	done(&b);
	/* The vault says no: unopened, not refused. */
	fake_reset();
	fake_fail[FAKE_OPEN] = ERR_VAULT_DENIED;
	RECEIVE(&b, theirs, &a, CAROL);
	check_untouched("denied", &b, buf_text(&a.out));
	done(&b);
	done(&a);
}

/* A rule that wants encryption comes first and wins. */
static void
test_required(void **state)
{
	static const char marked[] = "From: alice@ours.test\r\nSubject: [encrypt] x\r\n"
				     "List-Id: <x>\r\nTo: eve@nowhere.test\r\n\r\nx\r\n";
	struct engine *engine = make_engine("ours.test",
		"rules = ( { name = \"must\"; subject_mark = \"[encrypt]\"; encrypt = \"required\";"
		" sign = \"required\"; message = \"Ask the helpdesk.\"; } );\n");
	struct go g;

	(void)state;
	go(&g, engine, PIPELINE_RUN, ALICE, ALICE, TO(EVE), marked, strlen(marked));
	check_reply("none", &g, 550, "(recipient <eve@nowhere.test>, rule ");
	check_reply("none", &g, 550, "rule must)");
	check_reply("none", &g, 550, "Ask the helpdesk.");
	CHECK_STR("enhanced", g.result->enhanced, "5.7.1");
	CHECK_INT("signs", fake_calls[FAKE_SIGN], 0);
	done(&g);
	go(&g, engine, PIPELINE_RUN, ALICE, ALICE, TO(CAROL), marked, strlen(marked));
	assert_true(did(&g, 0, PLAN_ENCRYPT) && did(&g, 0, PLAN_SIGN));
	done(&g);
	/* Bob's key is the gateway's, and he is inside. */
	go(&g, engine, PIPELINE_RUN, ALICE, ALICE, TO(BOB), marked, strlen(marked));
	assert_true(!did(&g, 0, PLAN_ENCRYPT) && did(&g, 0, PLAN_SIGN));
	done(&g);
	go(&g, engine, PIPELINE_RUN, ALICE, ALICE, TO(CAROL, EVE), marked, strlen(marked));
	check_reply("one of two", &g, 550, "(recipient <eve@nowhere.test>, rule ");
	done(&g);
	engine_unref(&engine);
}

static void
test_split(void **state)
{
	static const char to_both[] = "From: alice@ours.test\r\nTo: carol@partner.test\r\n"
				      "Cc: dave@partner.test\r\n\r\nx\r\n";
	static const char to_one[] = "From: alice@ours.test\r\nTo: carol@partner.test\r\n\r\nx\r\n";
	struct go g;

	(void)state;
	SEND(&g, to_both, CAROL, DAVE);
	check_reply("same", &g, 250, "");
	assert_true(did(&g, 1, PLAN_ENCRYPT));
	done(&g);
	SEND(&g, to_one, CAROL, DAVE); /* a blind copy */
	check_reply("bcc", &g, 550, "send to them separately");
	done(&g);
	SEND(&g, to_one, DAVE);
	check_reply("only bcc", &g, 250, "");
	done(&g);
	SEND(&g, to_both, CAROL, EVE);
	check_reply("mixed", &g, 550, "(recipient <eve@nowhere.test>, rule ");
	CHECK_INT("no key used", fake_calls[FAKE_SIGN], 2);
	done(&g);
}

/* Copy K as it would be sent, dropped again. */
static enum rc
copy_of(struct go *g, size_t k, struct buf *out)
{
	struct sink sink = sink_to_buf(out);
	struct err err = ERR_INIT;
	enum rc rc = pipeline_make_copy(g->tx, g->result, k, &err);

	buf_clear(out);
	if (rc == RC_OK)
		assert_int_equal(copy_write(g->tx, &g->result->copies[k], &sink, &err), RC_OK);
	copy_drop(&g->result->copies[k]);
	return rc;
}

/* Each group a copy; the key is used once for all; made again it is used no more. */
static void
test_copies(void **state)
{
	static const char to_one[] = "From: alice@ours.test\r\nTo: carol@partner.test\r\n\r\nx\r\n";
	struct buf a = BUF_INIT(0), b = BUF_INIT(0);
	struct go g;

	(void)state;
	with_copies = true;
	fake_calls[FAKE_SIGN] = 0;
	SEND(&g, to_one, CAROL, DAVE, EVE, BOB);
	check_reply("copies", &g, 250, "");
	assert_false(g.result->in_place);
	CHECK_INT("copies", g.result->n_copies, 3);
	CHECK_INT("nothing is made yet", fake_calls[FAKE_SIGN], 0);
	CHECK_INT("eve and bob are signed alike", g.result->rcpts[2].copy, g.result->rcpts[3].copy);
	assert_true(g.result->rcpts[0].copy != g.result->rcpts[1].copy);
	for (size_t k = 0; k < 3; k++)
		assert_int_equal(copy_of(&g, k, &a), RC_OK);
	assert_true(did(&g, 0, PLAN_ENCRYPT) && did(&g, 1, PLAN_ENCRYPT) && did(&g, 2, PLAN_SIGN));
	assert_false(did(&g, 2, PLAN_ENCRYPT));
	assert_int_equal(copy_of(&g, 2, &b), RC_OK);
	CHECK_STR("made again", buf_text(&b), buf_text(&a));
	CHECK_INT("uses of the key", fake_calls[FAKE_SIGN], 1);
	done(&g);
	SEND(&g, to_one, CAROL, DAVE);
	assert_true(g.result->n_copies == 2 && !g.result->in_place);
	done(&g);
	SEND(&g, to_one, CAROL);
	assert_true(g.result->n_copies == 1 && g.result->in_place);
	done(&g);
	buf_fini(&a);
	buf_fini(&b);
	with_copies = false;
}

/* A copy that is too large for the port is its recipients' trouble; in place the port does not
 * matter. */
static void
test_copy_refused(void **state)
{
	static const char to_one[] = "From: alice@ours.test\r\nTo: carol@partner.test\r\n\r\nx\r\n";
	struct buf a = BUF_INIT(0);
	struct err why = ERR_INIT;
	struct go g;

	(void)state;
	with_copies = true;
	port_size = 3000;
	fake_calls[FAKE_SIGN] = 0;
	SEND(&g, to_one, CAROL, BOB);
	CHECK_INT("too large", copy_of(&g, 0, &a), RC_PERM);
	CHECK_INT("no key used", fake_calls[FAKE_SIGN], 0);
	err_set(&why, ERR_MSG_TOO_BIG, "too large");
	pipeline_refuse_copy(g.tx, g.result, 0, &why);
	CHECK_INT("the other", g.result->outcome, PLAN_DELIVER);
	CHECK_INT("carol", g.result->rcpts[0].smtp, 552);
	pipeline_refuse_copy(g.tx, g.result, 1, &why);
	check_reply("nobody is left", &g, 552, "too big");
	done(&g);
	SEND(&g, to_one, CAROL);
	check_reply("in place", &g, 250, "");
	done(&g);
	port_size = 0;
	with_copies = false;
	buf_fini(&a);
}

/* Who may have it opened, and who not. */
static void
test_copies_opened(void **state)
{
	struct buf text = BUF_INIT(0);
	struct go a, b;

	(void)state;
	SEND(&a, plain, CAROL);
	with_copies = true;
	fake_calls[FAKE_OPEN] = 0;
	RECEIVE(&b, theirs, &a, DAVE, CAROL, "frank@partner.test");
	CHECK_INT("copies", b.result->n_copies, 2);
	CHECK_INT("together", b.result->rcpts[0].copy, b.result->rcpts[2].copy);
	CHECK_INT("no key used yet", fake_calls[FAKE_OPEN], 0);
	assert_int_equal(copy_of(&b, b.result->rcpts[1].copy, &text), RC_OK);
	assert_true(did(&b, 1, PLAN_OPEN));
	assert_int_equal(copy_of(&b, b.result->rcpts[0].copy, &text), RC_OK);
	CHECK_STR("as it came", buf_text(&text), buf_text(&a.out));
	assert_false(did(&b, 0, PLAN_OPEN) || did(&b, 2, PLAN_OPEN));
	CHECK_INT("uses of keys", fake_calls[FAKE_OPEN], 1);
	done(&b);
	RECEIVE(&b, theirs, &a, DAVE, "frank@partner.test");
	assert_true(b.result->n_copies == 1 && b.result->in_place);
	done(&b);
	done(&a);
	with_copies = false;
	buf_fini(&text);
}

/* The ciphertext again, to somebody else; to two; with a forged RecipientInfo; damaged. */
static void
test_not_opened(void **state)
{
	static const char to_both[] = "From: alice@ours.test\r\nTo: carol@partner.test\r\n"
				      "Cc: dave@partner.test\r\n\r\nx\r\n";
	struct go a, b;
	char *p;

	(void)state;
	SEND(&a, plain, CAROL);
	RECEIVE(&b, theirs, &a, "frank@partner.test");
	check_untouched("no key", &b, buf_text(&a.out));
	CHECK_STR("layer", b.copy->layers[0].kind, "enveloped");
	done(&b);
	RECEIVE(&b, theirs, &a, CAROL, DAVE);
	check_untouched("not for both", &b, buf_text(&a.out));
	CHECK_INT("no key used", fake_calls[FAKE_OPEN], 0);
	done(&b);
	/* One character in the middle of the last lines of base64: padding or tail of the content.
	 */
	p = a.out.data + a.out.len - 30;
	*p = *p == 'A' ? 'B' : 'A';
	RECEIVE(&b, theirs, &a, CAROL);
	CHECK_INT("damaged", b.result->smtp, 250);
	done(&b);
	done(&a);
	SEND(&a, to_both, CAROL, DAVE);
	RECEIVE(&b, theirs, &a, CAROL, DAVE);
	assert_true(did(&b, 0, PLAN_OPEN) && did(&b, 1, PLAN_OPEN));
	done(&b);
	fake_people[3].other_cek = true;
	RECEIVE(&b, theirs, &a, CAROL, DAVE);
	check_untouched("forged", &b, buf_text(&a.out));
	done(&b);
	fake_people[3].other_cek = false;
	done(&a);
}

static void
test_forged_results(void **state)
{
	static const char mail[] =
		"Authentication-Results: ours.test; spf=pass smtp.mailfrom=x; smime=pass\r\n"
		"Authentication-Results: other.test; smime=pass\r\n"
		"authentication-results: OURS.test; smime=pass\r\n"
		"X-Sealgate-Opened: ours.test\r\nFrom: eve@nowhere.test\r\n\r\nx\r\n";
	struct go g;

	(void)state;
	go(&g, ours, PIPELINE_RUN, EVE, NULL, TO(ALICE), mail, strlen(mail));
	CHECK_STR("forged", buf_text(&g.out),
		"Authentication-Results: ours.test; spf=pass smtp.mailfrom=x\r\n"
		"Authentication-Results: other.test; smime=pass\r\n"
		"From: eve@nowhere.test\r\n\r\nx\r\n");
	done(&g);
}

static void
test_loop(void **state)
{
	static const char mail[] = LOOP_MARK ": Ours.TEST\r\nFrom: a@b.c\r\n\r\nx\r\n";
	static const char other[] = LOOP_MARK ": theirs.test\r\nFrom: a@b.c\r\n\r\nx\r\n";
	struct go g;

	(void)state;
	go(&g, ours, PIPELINE_RUN, EVE, NULL, TO(ALICE), mail, strlen(mail));
	check_reply("loop", &g, 554, "loop");
	CHECK_STR("loop", g.result->enhanced, "5.4.6");
	done(&g);
	go(&g, ours, PIPELINE_RUN, EVE, NULL, TO(ALICE), other, strlen(other));
	check_untouched("another's", &g, other);
	done(&g);
}

static void
test_signing_time(void **state)
{
	static const char fmt[] = "From: alice@ours.test\r\nDate: %s\r\n\r\nx\r\n";
	static const struct {
		int64_t off;
		bool there;
	} cases[] = {{0, true}, {-3500, true}, {3500, true}, {-3700, false}, {86400, false}};
	char mail[300], date[40];
	struct go g;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(mail, sizeof(mail), fmt,
			clock_format_mail(clock_now() + cases[i].off, date));
		SEND(&g, mail, BOB);
		CHECK_INT(date, fake_signing_time >= 0, cases[i].there);
		assert_null(strstr(strstr(buf_text(&g.out), "Date: ") + 1, "\r\nDate: "));
		done(&g);
	}
	SEND(&g, "From: alice@ours.test\r\nDate: yesterday\r\n\r\nx\r\n", BOB);
	CHECK_INT("unreadable", fake_signing_time, -1);
	done(&g);
}

static void
test_size(void **state)
{
	struct engine *engine = make_engine("ours.test", "next_size_limit = 2000;");
	struct go g;

	(void)state;
	go(&g, engine, PIPELINE_RUN, ALICE, ALICE, TO(BOB), plain, strlen(plain));
	check_reply("too big", &g, 552, "too big");
	CHECK_INT("no key used", fake_calls[FAKE_SIGN], 0);
	done(&g);
	engine_unref(&engine);
}

/* Explaining uses no key, in either direction. */
static void
test_explain(void **state)
{
	struct buf text = BUF_INIT(0);
	struct json json;
	struct json_value *value;
	struct go a, g;

	(void)state;
	go(&g, ours, PIPELINE_EXPLAIN, ALICE, ALICE, TO(CAROL, EVE), plain, strlen(plain));
	check_reply("explain", &g, 550, "separately");
	assert_int_equal(pipeline_explain_text(g.tx, g.result, &text, NULL), RC_OK);
	assert_non_null(strstr(buf_text(&text), "Recipient carol@partner.test (outbound)"));
	assert_non_null(strstr(buf_text(&text), "shipped-outbound"));
	assert_non_null(strstr(buf_text(&text), "matches and decides"));
	assert_non_null(strstr(buf_text(&text), "no, by class"));
	assert_non_null(strstr(buf_text(&text), "nobody knows this address"));
	buf_clear(&text);
	json_init(&json, &text);
	json_object(&json, NULL);
	assert_int_equal(pipeline_explain_json(g.tx, g.result, &json), RC_OK);
	json_object_end(&json);
	assert_int_equal(json_end(&json, NULL), RC_OK);
	assert_int_equal(json_parse(buf_text(&text), text.len, &value, NULL), RC_OK);
	CHECK_INT("recipients", json_count(json_find(value, "recipients")), 2);
	CHECK_STR("rule", json_get_text(json_at(json_find(value, "recipients"), 0), "rule"),
		"shipped-outbound");
	json_free(&value);
	done(&g);
	SEND(&a, plain, CAROL);
	fake_reset();
	go(&g, theirs, PIPELINE_EXPLAIN, ALICE, NULL, TO(CAROL), buf_text(&a.out), a.out.len);
	check_reply("explain", &g, 250, "");
	assert_non_null(strstr(g.copy->layers[0].detail, "would be opened"));
	assert_int_equal(
		fake_calls[FAKE_SIGN] + fake_calls[FAKE_OPEN] + fake_calls[FAKE_RECORD], 0);
	done(&g);
	done(&a);
	buf_fini(&text);
}

/* The forms a rule can ask for, each opened and verified at the other end. */
static void
test_forms(void **state)
{
	static const struct {
		const char *rule, *want;
	} cases[] = {
		{"sign = \"required\"; form = \"opaque\";", "smime-type=signed-data"},
		{"sign = \"required\";", "multipart/signed"},
		{"sign = \"required\"; preset = \"jp-classic\";", "multipart/signed"},
		{"encrypt = \"required\";", "smime-type=enveloped-data"},
		{"encrypt = \"required\"; preset = \"modern\";", "smime-type=authEnveloped-data"},
		{"sign = \"required\"; form = \"opaque\"; encrypt = \"if-known\";",
			"smime-type=enveloped-data"},
	};
	char text[300];
	struct go a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct engine *engine;
		bool encrypts = strstr(cases[i].rule, "encrypt") != NULL;

		snprintf(text, sizeof(text), "rules = ( { name = \"r\"; %s } );", cases[i].rule);
		engine = make_engine("ours.test", text);
		go(&a, engine, PIPELINE_RUN, ALICE, ALICE, TO(CAROL), plain, strlen(plain));
		check_reply(text, &a, 250, "");
		if (!has(&a, cases[i].want))
			fail_msg("%s: no %s", text, cases[i].want);
		RECEIVE(&b, theirs, &a, CAROL);
		CHECK_INT(text, did(&b, 0, PLAN_OPEN), encrypts);
		if (strstr(cases[i].rule, "sign") &&
			(!b.copy->verdict || b.copy->verdict->overall != VERDICT_PASS))
			fail_msg("%s: %s", text,
				b.copy->verdict ? b.copy->verdict->reason : "not verified");
		done(&b);
		done(&a);
		engine_unref(&engine);
	}
}

/* 8-bit inside a message that is attached: the rule says what becomes of it. */
static void
test_unsafe(void **state)
{
	static const char mail[] = "From: alice@ours.test\r\nMIME-Version: 1.0\r\n"
				   "Content-Type: message/rfc822\r\n"
				   "Content-Transfer-Encoding: 8bit\r\n\r\n"
				   "Content-Type: text/plain; charset=utf-8\r\n"
				   "Content-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9f\r\n";
	static const struct {
		const char *rule;
		int smtp;
		bool is_signed;
	} cases[] = {
		{"sign = \"required\";", 250, true},
		{"sign = \"required\"; unsafe = \"refuse\";", 550, false},
		{"sign = \"required\"; unsafe = \"skip\";", 550, false},
		{"sign = \"if-possible\"; unsafe = \"skip\";", 250, false},
	};
	char text[300];
	struct go g;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct engine *engine;

		snprintf(text, sizeof(text), "rules = ( { name = \"r\"; %s } );", cases[i].rule);
		engine = make_engine("ours.test", text);
		go(&g, engine, PIPELINE_RUN, ALICE, ALICE, TO(BOB), mail, strlen(mail));
		check_reply(text, &g, cases[i].smtp, "");
		CHECK_INT(text, did(&g, 0, PLAN_SIGN), cases[i].is_signed);
		if (!cases[i].is_signed)
			CHECK_STR(text, buf_text(&g.out), mail);
		else
			assert_true(has(&g, "smime-type=signed-data"));
		done(&g);
		engine_unref(&engine);
	}
}

/* A message larger than what stays in memory, through spool files. */
static void
test_large(void **state)
{
	struct buf mail = BUF_INIT(0);
	struct go a, b;

	(void)state;
	buf_append_str(&mail, "From: alice@ours.test\r\nTo: carol@partner.test\r\n\r\n", NULL);
	for (int i = 0; i < 20000; i++)
		buf_appendf(&mail, NULL, "line %d of a long message, end\r\n", i);
	go(&a, ours, PIPELINE_RUN, ALICE, ALICE, TO(CAROL), buf_text(&mail), mail.len);
	assert_true(did(&a, 0, PLAN_ENCRYPT));
	RECEIVE(&b, theirs, &a, CAROL);
	assert_true(has(&b, "smime=pass"));
	assert_true(has(&b, "line 19999 of a long message, end\r\n"));
	done(&b);
	done(&a);
	buf_fini(&mail);
}

/* Every byte of a sealed message changed, one at a time in steps: never a 5xx, never a crash, never
 * a "pass", and what is opened is never something else. */
static void
test_mutated(void **state)
{
	struct go a, b;
	size_t body;

	(void)state;
	SEND(&a, plain, CAROL);
	body = (size_t)(strstr(a.out.data, "\r\n\r\n") - a.out.data);
	for (size_t i = body + 4; i < a.out.len; i += 37) {
		char old = a.out.data[i];

		a.out.data[i] = old == 'x' ? 'y' : 'x';
		RECEIVE(&b, theirs, &a, CAROL);
		CHECK_INT("mutated", b.result->smtp, 250);
		if (b.copy->verdict && b.copy->verdict->overall == VERDICT_PASS)
			assert_true(has(&b, "Gr=C3=BC=C3=9F Gott"));
		done(&b);
		a.out.data[i] = old;
	}
	done(&a);
}

/* Other people's mails, read as a file is. */
static bool
read_mail(const char *folder, const char *name, struct buf *out)
{
	char path[5000];
	struct spool_conf conf = {.memory = 64u << 20, .max = 64u << 20};
	struct sink sink = sink_to_buf(out);
	struct msg *msg = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "r");
	if (!f)
		return false;
	*out = (struct buf)BUF_INIT(64u << 20);
	if (msg_read(fileno(f), &conf, &msg, NULL) != RC_OK || msg_write(msg, &sink, NULL) != RC_OK)
		fail_msg("%s: can't be read", path);
	msg_free(&msg);
	(void)fclose(f);
	return true;
}

/* The body behind the header of a message text. */
static const char *
body_of(const struct buf *mail)
{
	const char *p = memmem(mail->data, mail->len, "\r\n\r\n", 4);

	return p ? p + 4 : mail->data + mail->len;
}

static bool
has_bare_lf(const struct buf *mail)
{
	for (size_t i = 0; i < mail->len; i++)
		if (mail->data[i] == '\n' && (i == 0 || mail->data[i - 1] != '\r'))
			return true;
	return false;
}

/* What is 7-bit already, and says so, stays as it is, byte for byte. */
static void
check_same_body(const char *name, const struct go *in, const struct go *out, const struct buf *mail)
{
	struct spool *body = transaction_msg(in->tx)->body;
	size_t len = spool_size(body);
	const char *got = body_of(&out->out);
	char *want = malloc(len + 1);

	assert_int_equal(spool_read(body, 0, want, len, NULL), RC_OK);
	if (!has_bare_lf(mail) && !strcasestr(mail->data, "8bit") &&
		!strcasestr(mail->data, "binary") &&
		!memmem(out->out.data, out->out.len, "quoted-printable", 16) &&
		!memmem(out->out.data, out->out.len, "base64", 6) &&
		(out->out.data + out->out.len - got != (ptrdiff_t)len ||
			memcmp(got, want, len) != 0))
		fail_msg("%s: opens to another body", name);
	free(want);
}

/* A mail as it is comes in and goes out untouched; encrypted to Carol as it is, it opens to the
 * same body there. */
static void
check_mail(struct engine *engine, const char *name, const struct buf *mail, size_t *opened)
{
	struct go a, b;

	go(&a, engine, PIPELINE_RUN, EVE, NULL, TO(EVE), mail->data, mail->len);
	CHECK_INT(name, a.result->smtp, 250);
	CHECK_INT(name, a.copy->n_edits, 0);
	assert_null(a.copy->body);
	done(&a);
	go(&a, engine, PIPELINE_RUN, ALICE, ALICE, TO(CAROL), mail->data, mail->len);
	CHECK_INT(name, a.result->smtp, 250);
	assert_true(did(&a, 0, PLAN_ENCRYPT));
	RECEIVE(&b, theirs, &a, CAROL);
	CHECK_INT(name, b.result->smtp, 250);
	if (did(&b, 0, PLAN_OPEN)) {
		(*opened)++;
		check_same_body(name, &a, &b, mail);
	} else {
		print_message("%s: not opened\n", name);
	}
	done(&b);
	done(&a);
}

static void
test_corpora(void **state)
{
	const char *env = getenv("SEALGATE_CORPORA"), *srcdir = getenv("srcdir");
	struct engine *engine;
	char folder[4096], path[4200], line[1000];
	size_t n = 0, opened = 0;
	struct buf mail;
	FILE *f;

	(void)state;
	snprintf(folder, sizeof(folder), "%s%s",
		env      ? env
		: srcdir ? srcdir
			 : ".",
		env ? "/mail" : "/../shared/corpora/mail");
	snprintf(path, sizeof(path), "%s/index.tsv", folder);
	f = fopen(path, "r");
	if (!f)
		skip();
	engine = make_engine("ours.test",
		"rules = ( { name = \"all\"; direction = \"outbound\"; senders = \"@ours.test\";"
		" encrypt = \"if-known\"; } );\n"
		"policy = { shipped_rules = false; };\n");
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\t\r\n")] = '\0';
		if (!strstr(line, ".eml") || !read_mail(folder, line, &mail))
			continue;
		check_mail(engine, line, &mail, &opened);
		buf_fini(&mail);
		n++;
	}
	(void)fclose(f);
	engine_unref(&engine);
	print_message("%zu mails, %zu opened at the other end\n", n, opened);
	assert_true(n > 800);
	CHECK_INT("opened", opened, n);
}

static int
each(void **state)
{
	(void)state;
	fake_reset();
	return 0;
}

static int
setup(void **state)
{
	struct buf pem = BUF_INIT(0);
	char path[200];

	(void)state;
	log_open("pipeline_test", true);
	log_set_level(LOGL_ERROR);
	if (!mkdtemp(dir))
		return -1;
	fake_make(&ca, NULL, NULL);
	fake_make(&alice, ALICE, &ca);
	fake_make(&bob, BOB, &ca);
	fake_make(&carol, CAROL, &ca);
	fake_make(&dave, DAVE, &ca);
	snprintf(path, sizeof(path), "%s/ca.pem", dir);
	assert_int_equal(cert_format_pem(ca.cert, &pem, NULL), RC_OK);
	assert_int_equal(file_write(path, pem.data, pem.len, 0600, NULL), RC_OK);
	buf_fini(&pem);
	fake_people[0] = alice;
	fake_people[1] = bob;
	/* The partner's keys are in the partner's vault; ours must not say that it holds them. */
	fake_people[2] = carol;
	fake_people[3] = dave;
	fake_people[2].client_key = fake_people[3].client_key = true;
	add_cert("ours.test", &carol);
	add_cert("ours.test", &dave);
	add_cert("ours.test", &bob);
	ours = make_engine("ours.test", "");
	theirs = make_engine("partner.test", "");
	return 0;
}

static int
teardown(void **state)
{
	static const char *const files[] = {"ca.pem", "ours.test.db", "ours.test.db-wal",
		"ours.test.db-shm", "partner.test.db", "partner.test.db-wal",
		"partner.test.db-shm"};
	char path[200];

	(void)state;
	engine_unref(&ours);
	engine_unref(&theirs);
	fake_free(&ca);
	fake_free(&alice);
	fake_free(&bob);
	fake_free(&carol);
	fake_free(&dave);
	cert_cache_limit(0);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		(void)unlink(path);
	}
	return rmdir(dir);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup(f, each)
	const struct CMUnitTest tests[] = {T(test_sealed), T(test_signed), T(test_untouched),
		T(test_faults), T(test_required), T(test_split), T(test_copies),
		T(test_copy_refused), T(test_copies_opened), T(test_not_opened),
		T(test_forged_results), T(test_loop), T(test_signing_time), T(test_size),
		T(test_explain), T(test_forms), T(test_unsafe), T(test_large), T(test_mutated),
		T(test_corpora)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
