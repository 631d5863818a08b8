/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a month's pseudonym key: what is refused, what is left on the disk, what a crash in
 * between leads to.
 */
#include "keystore/ledger_erase.h"

#include "keystore/ledger_read.h"
#include "keystore/ledger_verify.h"
#include "tests/unit/keystore/vault_world.h"

#define MAY  1778400000 /* 2026-05-10 */
#define JUNE 1781956800 /* 2026-06-20 */

static struct err err = ERR_INIT;

static const char may_key[] = "ledger-period-2026-05";

/* Is LEN bytes of DATA anywhere in the store's files? */
static bool
on_disk(struct world *w, const void *data, size_t len)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	bool found = false;

	for (size_t i = 0; i < 3; i++) {
		struct buf text = BUF_INIT(64u << 20);
		char path[256];

		snprintf(path, sizeof(path), "%s%s",
			conf_str(conf_section(w->conf, "vault"), "store"), suffixes[i]);
		if (file_read(path, &text, NULL) == RC_OK && text.len)
			found |= memmem(text.data, text.len, data, len) != NULL;
		buf_fini(&text);
	}
	return found;
}

/* What stands behind the name of May's key in the store's file: the wrapped key. */
static void
wrapped_key(struct world *w, unsigned char out[40])
{
	struct buf text = BUF_INIT(64u << 20);
	const char *at;

	MUST(store_checkpoint(vault_store(w->vault), &err));
	MUST(file_read(conf_str(conf_section(w->conf, "vault"), "store"), &text, &err));
	at = memmem(text.data, text.len, may_key, strlen(may_key));
	assert_non_null(at);
	memcpy(out, at + strlen(may_key), 40);
	buf_fini(&text);
}

/* A world with records of May and June, at work. */
static void
begin(struct world *w)
{
	clock_set(MAY);
	world_init(w, NULL);
	world_start(w);
	world_do(w, "{\"cmd\":\"person.add\",\"addr\":\"alice@example.org\"}", NULL);
	clock_set(JUNE);
	world_do(w, "{\"cmd\":\"person.add\",\"addr\":\"bob@example.org\"}", NULL);
}

static void
refused(struct world *w, const char *period)
{
	struct json_value *answer;
	char request[100];

	snprintf(request, sizeof(request), "{\"cmd\":\"audit.erase\",\"period\":\"%s\"}", period);
	REFUSED(admin_call(w->conf, request, NULL, &answer, &err), ERR_USAGE);
}

static size_t
count_periods(struct world *w)
{
	struct json_value *answer = world_admin(w, "{\"cmd\":\"audit.periods\"}");
	size_t n = json_count(json_find(answer, "periods"));

	json_free(&answer);
	return n;
}

static void
check_ledger(struct world *w)
{
	struct ledger_report report;

	MUST(ledger_checkpoint(vault_ledger(w->vault), &err));
	MUST(ledger_verify(
		conf_str(conf_section(w->conf, "ledger"), "dir"), NULL, 0, &report, &err));
	CHECK_STR("the chain", report.problem, "");
}

/* How many records of EVENT are in the ledger? */
static size_t
count_events(struct world *w, const char *event)
{
	const char *dir = conf_str(conf_section(w->conf, "ledger"), "dir"), *line;
	struct ledger_reader *reader;
	char want[80];
	size_t n = 0, len;

	snprintf(want, sizeof(want), "\"event\":\"%s\"", event);
	MUST(ledger_reader_open(dir, 0, &reader, &err));
	while (ledger_reader_next(reader, &line, &len, &err) == RC_OK)
		n += memmem(line, len, want, strlen(want)) != NULL;
	ledger_reader_close(&reader);
	return n;
}

static void
test_erase(void **state)
{
	unsigned char wrapped[40];
	struct json_value *answer;
	const struct json_value *list;
	struct world w;

	(void)state;
	begin(&w);
	CHECK_INT("months", count_periods(&w), 2);
	refused(&w, "2026-06");
	refused(&w, "2026-07");
	refused(&w, "2026-04");
	refused(&w, "2026-13");
	refused(&w, "2026-5");
	refused(&w, "2026-05'");
	refused(&w, "");
	CHECK_INT("nothing was erased", count_periods(&w), 2);
	CHECK_INT("nothing was recorded", count_events(&w, "audit.erase"), 0);
	clock_set(MAY); /* a clock that is wrong */
	refused(&w, "2026-05");
	refused(&w, "2026-06");
	clock_set(JUNE + 40 * 86400);
	refused(&w, "2026-06"); /* a later month, but the ledger knows of no later key */
	clock_set(JUNE);

	wrapped_key(&w, wrapped);
	assert_true(on_disk(&w, wrapped, sizeof(wrapped)));
	answer = world_admin(&w, "{\"cmd\":\"audit.erase\",\"period\":\"2026-05\"}");
	assert_true(json_get_int(answer, "record", 0) > 0);
	json_free(&answer);
	assert_false(on_disk(&w, wrapped, sizeof(wrapped)));
	CHECK_INT("recorded", count_events(&w, "audit.erase"), 1);
	CHECK_INT("months", count_periods(&w), 1);
	refused(&w, "2026-05");

	answer = world_admin(&w,
		"{\"cmd\":\"audit.pseudonyms\",\"addr\":\"alice@example.org\",\"periods\":[\"2026-05\",\"2026-06\"]}");
	list = json_find(answer, "pseudonyms");
	CHECK_INT("both are answered", json_count(list), 2);
	assert_null(json_get_text(json_at(list, 0), "pseudonym"));
	assert_true(json_is_true(json_find(json_at(list, 0), "erased")));
	assert_non_null(json_get_text(json_at(list, 1), "pseudonym"));
	json_free(&answer);
	check_ledger(&w);
	world_fini(&w);
}

/* A crash behind the mark, at each of the steps that follow it. */
static void
test_interrupted(void **state)
{
	static const char *const cases[] = {"mark", "mark and record", "mark, record and key"};
	const char mark[] = "ledger-erase-2026-05";

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_ADMIN);
		struct secret *secret;
		unsigned char wrapped[40];
		struct world w;

		begin(&w);
		wrapped_key(&w, wrapped);
		MUST(secret_copy("1", 1, &secret, &err));
		MUST(store_put_secret(vault_store(w.vault), mark, secret, &err));
		secret_free(&secret);
		record.event = "audit.erase";
		record.observed.service = "admin";
		record.detail = "{\"period\":\"2026-05\"}";
		if (i > 0)
			MUST(ledger_append(vault_ledger(w.vault), &record, NULL, &err));
		if (i > 1)
			MUST(store_del_secrets(vault_store(w.vault), may_key, may_key, &err));
		world_stop(&w);
		world_start(&w);
		CHECK_INT(cases[i], count_periods(&w), 1);
		CHECK_INT(cases[i], on_disk(&w, wrapped, sizeof(wrapped)), false);
		CHECK_INT(cases[i], store_get_secret(vault_store(w.vault), mark, &secret, &err),
			RC_NONE);
		CHECK_INT(cases[i], count_events(&w, "audit.erase"), i > 0 ? 2 : 1);
		check_ledger(&w);
		world_fini(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_erase),
		cmocka_unit_test(test_interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
