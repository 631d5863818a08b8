/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/budget.h"

#include "base/counter.h"
#include "base/log.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static struct err err = ERR_INIT;

static struct settings *
settings_of(const char *budgets)
{
	struct settings *settings;
	struct conf *conf;
	char text[2048];

	snprintf(text, sizeof(text),
		"organisation = { domains = [\"example.org\"]; };\n"
		"services = ( { name = \"a\"; socket = \"unix:a\"; }, { name = \"b\"; socket = \"unix:b\"; } );\n"
		"budgets = ( %s );\n",
		budgets);
	if (conf_parse(text, "test", "/", &conf, &err) || settings_new(conf, &settings, &err))
		fail_msg("%s", err.detail);
	conf_unref(&conf);
	return settings;
}

/* One step: service, key, use, time → allowed or not. */
struct step {
	const char *service, *key;
	unsigned use;
	int64_t at;
	bool ok;
};

static void
walk(const char *name, const char *budgets, const struct step *steps, size_t n)
{
	struct settings *settings = settings_of(budgets);
	struct budget *budget;
	char label[128];

	assert_int_equal(budget_new(&budget, &err), RC_OK);
	for (size_t i = 0; i < n; i++) {
		enum rc rc = budget_charge(budget, settings, steps[i].service, steps[i].key,
			steps[i].use, steps[i].at, &err);

		snprintf(label, sizeof(label), "%s, step %zu", name, i + 1);
		CHECK_INT(label, rc == RC_OK, steps[i].ok);
		if (rc)
			CHECK_INT(label, err.code, ERR_VAULT_BUDGET);
		/* Through a text and back, as over a restart. */
		if (i % 2) {
			struct buf text = BUF_INIT(65536);

			assert_int_equal(budget_format(budget, steps[i].at, &text, &err), RC_OK);
			budget_free(&budget);
			assert_int_equal(budget_new(&budget, &err), RC_OK);
			budget_parse(budget, text.data, text.len);
			buf_fini(&text);
		}
	}
	budget_free(&budget);
	settings_unref(&settings);
}

#define WALK(name, budgets, ...)                                            \
	do {                                                                \
		static const struct step steps[] = {__VA_ARGS__};           \
		walk(name, budgets, steps, sizeof(steps) / sizeof(*steps)); \
	} while (0)

#define H (int64_t)3600
#define D (int64_t)86400
#define S ROLE_SIGN
#define O ROLE_OPEN

static void
test_budgets(void **state)
{
	(void)state;
	WALK("none", "", {"a", "k", S, 0, true}, {"a", "k", S, 0, true});
	WALK("no limit", "{ use = \"any\"; }", {"a", "k", S, 0, true}, {"a", "k", S, 0, true});
	WALK("each key by hour", "{ hour = 2; }", {"a", "k", S, D, true}, {"b", "k", O, D, true},
		{"a", "k", S, D + H - 1, false}, {"a", "m", S, D, true},
		{"a", "k", S, D + H, true});
	WALK("each key by day", "{ day = 2; }", {"a", "k", S, D, true},
		{"a", "k", S, D + 5 * H, true}, {"a", "k", S, 2 * D - 1, false},
		{"a", "k", S, 2 * D, true});
	WALK("one use", "{ use = \"open\"; hour = 1; }", {"a", "k", S, D, true},
		{"a", "k", S, D, true}, {"a", "k", O, D, true}, {"a", "k", O, D, false},
		{"a", "k", S, D, true});
	WALK("a service", "{ service = \"a\"; hour = 2; }", {"a", "k", S, D, true},
		{"a", "m", S, D, true}, {"a", "n", S, D, false}, {"b", "n", S, D, true});
	/* What one budget refuses, no other counts. */
	WALK("all or none", "{ hour = 1; }, { service = \"a\"; day = 2; }", {"a", "k", S, D, true},
		{"a", "k", S, D, false}, {"a", "k", S, D, false}, {"a", "m", S, D, true},
		{"a", "n", S, D, false});
	/* Two rows that are alike count once, the tighter one holds. */
	WALK("twice the same", "{ hour = 3; }, { hour = 2; }", {"a", "k", S, D, true},
		{"a", "k", S, D, true}, {"a", "k", S, D, false});
}

static void
test_nonsense(void **state)
{
	static const char text[] = "x\n1 2\n-1 -1 -1 -1 \n9 9 9 9 3 key k\nno end";
	struct budget *budget;

	(void)state;
	assert_int_equal(budget_new(&budget, &err), RC_OK);
	budget_parse(budget, text, sizeof(text) - 1);
	budget_parse(budget, "", 0);
	budget_free(&budget);
	budget_free(&budget);
}

/* At four fifths, and when it is used up: once for each limit, key and period. */
static void
test_alarm(void **state)
{
	struct settings *settings =
		settings_of("{ use = \"open\"; hour = 10; }, { service = \"a\"; day = 15; }");
	struct budget *budget;
	static const struct {
		const char *key;
		int uses;
		int64_t at;
		long alarms;
	} steps[] = {{"k", 7, 0, 0}, {"k", 1, 0, 1}, {"k", 1, 0, 1}, {"k", 1, 0, 2},
		{"k", 3, 0, 2},    /* refused: nothing is counted */
		{"l", 1, 0, 2},    /* 11 of the service's 15 */
		{"l", 1, 0, 3},    /* 12 */
		{"l", 3, 3600, 4}, /* 15: used up */
		{"l", 8, 86400, 5} /* 8 of the key's hour; 8 of the service's day */};

	(void)state;
	log_set_level(LOGL_ERROR);
	assert_int_equal(budget_new(&budget, &err), RC_OK);
	long before = counter_get(COUNTER_BUDGET_ALARMS);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		char label[40];

		for (int k = 0; k < steps[i].uses; k++)
			(void)budget_charge(
				budget, settings, "a", steps[i].key, ROLE_OPEN, steps[i].at, &err);
		snprintf(label, sizeof(label), "step %zu", i + 1);
		CHECK_INT(label, counter_get(COUNTER_BUDGET_ALARMS) - before, steps[i].alarms);
	}
	budget_free(&budget);
	settings_unref(&settings);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alarm),
		cmocka_unit_test(test_budgets),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
