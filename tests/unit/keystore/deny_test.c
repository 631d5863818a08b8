/* SPDX-License-Identifier: BSD-2-Clause */
/* What a service that was taken over can write into the ledger without using a key. */
#include "tests/unit/keystore/vault_world.h"

#include "keystore/flood.h"
#include "keystore/ledger_read.h"
#include "keystore/use.h"

#include <string.h>

#define TRIES 3000

static const unsigned char value[32] = {1};

/* Lines of the ledger that have TEXT in them; the last one into OUT. */
static size_t
lines_with(const struct world *w, const char *text, char *out, size_t size)
{
	char path[128], line[8192];
	size_t n = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/ledger/000001.jsonl", w->dir);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (strstr(line, text)) {
			n++;
			snprintf(out, size, "%s", line);
		}
	fclose(file);
	return n;
}

/* A key that there is none of, asked for again and again: ten records, and one that counts. */
static void
test_denied(void **state)
{
	struct world w;
	struct peer peer = {.service = "seal", .role = ROLE_SIGN, .uid = 1, .pid = 2};
	struct vault_sign_request request = {
		.key_id = "k0000000000000000", .digest = DIGEST_SHA256, .value = value};
	struct settings *settings;
	struct ledger_group *group;
	char line[8192] = "", want[64];
	struct err err = ERR_INIT;

	(void)state;
	world_init(&w, NULL);
	world_start(&w);
	settings = vault_settings(w.vault);
	MUST(ledger_group_new(vault_ledger(w.vault), &group, &err));
	for (int i = 0; i < TRIES; i++) {
		struct use use;

		err_clear(&err);
		assert_int_not_equal(use_sign_begin(&use, w.vault, settings, &peer, &request,
					     sizeof(value), group, &err),
			RC_OK);
		CHECK_INT("error", err.code, ERR_VAULT_NO_KEY);
		use_fini(&use);
	}
	ledger_group_free(&group);
	settings_unref(&settings);
	world_stop(&w);
	CHECK_INT("records", lines_with(&w, "\"type\":\"denied\"", line, sizeof(line)),
		FLOOD_EACH + 1);
	snprintf(want, sizeof(want), "\"count\":%d,\"first\":\"", TRIES - FLOOD_EACH);
	assert_non_null(strstr(line, want));
	assert_non_null(strstr(line, "\"event\":\"sign\""));
	assert_non_null(strstr(line, "\"service\":\"seal\""));
	world_fini(&w);
}

/* Decisions without uses of keys come to an end. */
static void
test_decisions(void **state)
{
	struct world w;
	struct peer peer = {.service = "open", .role = ROLE_OPEN, .uid = 1, .pid = 2};
	struct vault_claim claim = {.qid = "Q1", .rule = "r"};
	char line[8192] = "";
	struct err err = ERR_INIT;
	int taken = 0;

	(void)state;
	world_init(&w, NULL);
	world_start(&w);
	for (int i = 0; i < TRIES; i++) {
		err_clear(&err);
		if (use_record(w.vault, &peer, "opened", &claim, "{}", &err) == RC_OK)
			taken++;
		else
			CHECK_INT("error", err.code, ERR_VAULT_BUDGET);
	}
	CHECK_INT("taken", taken, FLOOD_SPARE);
	world_stop(&w);
	CHECK_INT("decisions", lines_with(&w, "\"type\":\"decision\"", line, sizeof(line)),
		FLOOD_SPARE);
	CHECK_INT("refusals", lines_with(&w, "\"event\":\"record\"", line, sizeof(line)),
		FLOOD_EACH + 1);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_denied), cmocka_unit_test(test_decisions)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
