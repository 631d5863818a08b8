/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/plan.h"

#include "policy/rule.h"
#include "tests/unit/unit.h"

static const struct rule rule = {.name = "r"};

#define N TRI_NO
#define Y TRI_YES
#define U TRI_UNKNOWN

struct one {
	const char *name;
	enum tri decided;
	struct verdicts v;
	bool inside;
	enum tri known, proven, held, signer;
	enum outcome outcome;
	unsigned transform;
	enum errcode code;
};

#define V(s, e, ...)                                     \
	{                                                \
		.sign = (s), .encrypt = (e), __VA_ARGS__ \
	}

static const struct one ones[] = {
	{"leave", Y, V(SIGN_NEVER, ENCRYPT_NEVER), 0, U, U, U, U, PLAN_DELIVER, PLAN_LEAVE, 0},
	{"undecided", U, V(SIGN_NEVER, ENCRYPT_NEVER), 0, N, N, N, N, PLAN_DEFER, 0,
		ERR_POLICY_UNKNOWN},
	{"sign", Y, V(SIGN_IF_POSSIBLE, ENCRYPT_NEVER), 0, U, U, U, Y, PLAN_DELIVER, PLAN_SIGN, 0},
	{"no signer", Y, V(SIGN_IF_POSSIBLE, ENCRYPT_NEVER), 0, U, U, U, N, PLAN_DELIVER, 0, 0},
	{"signer unknown", Y, V(SIGN_IF_POSSIBLE, ENCRYPT_NEVER), 0, N, N, N, U, PLAN_DEFER, 0,
		ERR_POLICY_UNKNOWN},
	{"signer required", Y, V(SIGN_REQUIRED, ENCRYPT_NEVER), 0, U, U, U, N, PLAN_REFUSE, 0,
		ERR_POLICY_NO_SIGNER},
	{"proven", Y, V(SIGN_NEVER, ENCRYPT_IF_PROVEN), 0, Y, Y, N, U, PLAN_DELIVER, PLAN_ENCRYPT,
		0},
	{"not proven", Y, V(SIGN_NEVER, ENCRYPT_IF_PROVEN), 0, Y, N, U, U, PLAN_DELIVER, 0, 0},
	{"proof unknown", Y, V(SIGN_NEVER, ENCRYPT_IF_PROVEN), 0, U, U, N, U, PLAN_DEFER, 0,
		ERR_POLICY_UNKNOWN},
	{"proof unknown, held", Y, V(SIGN_NEVER, ENCRYPT_IF_PROVEN), 0, U, U, Y, U, PLAN_DELIVER, 0,
		0},
	{"proven, held unknown", Y, V(SIGN_NEVER, ENCRYPT_IF_PROVEN), 0, Y, Y, U, U, PLAN_DEFER, 0,
		ERR_POLICY_UNKNOWN},
	{"proven, held", Y, V(SIGN_NEVER, ENCRYPT_IF_PROVEN), 0, Y, Y, Y, U, PLAN_DELIVER, 0, 0},
	{"known", Y, V(SIGN_NEVER, ENCRYPT_IF_KNOWN), 0, Y, N, N, U, PLAN_DELIVER, PLAN_ENCRYPT, 0},
	{"required", Y, V(SIGN_NEVER, ENCRYPT_REQUIRED), 0, Y, N, N, U, PLAN_DELIVER, PLAN_ENCRYPT,
		0},
	{"required, none", Y, V(SIGN_NEVER, ENCRYPT_REQUIRED), 0, N, N, N, U, PLAN_REFUSE, 0,
		ERR_POLICY_NO_CERT},
	{"required, unknown", Y, V(SIGN_NEVER, ENCRYPT_REQUIRED), 0, U, U, N, U, PLAN_DEFER, 0,
		ERR_POLICY_UNKNOWN},
	{"clear, none", Y, V(SIGN_NEVER, ENCRYPT_REQUIRED, .if_missing = MISSING_CLEAR), 0, N, N, N,
		U, PLAN_DELIVER, 0, 0},
	{"clear, unknown", Y, V(SIGN_NEVER, ENCRYPT_REQUIRED, .if_missing = MISSING_CLEAR), 0, U, U,
		N, U, PLAN_DEFER, 0, ERR_POLICY_UNKNOWN},
	{"required, held inside", Y, V(SIGN_NEVER, ENCRYPT_REQUIRED), 1, Y, Y, Y, U, PLAN_DELIVER,
		0, 0},
	{"required, held outside", Y, V(SIGN_NEVER, ENCRYPT_REQUIRED), 0, Y, Y, Y, U, PLAN_REFUSE,
		0, ERR_POLICY_NO_CERT},
	{"required, held unknown", Y, V(SIGN_NEVER, ENCRYPT_REQUIRED), 1, Y, Y, U, U, PLAN_DEFER, 0,
		ERR_POLICY_UNKNOWN},
	{"both", Y, V(SIGN_REQUIRED, ENCRYPT_REQUIRED), 0, Y, Y, N, Y, PLAN_DELIVER,
		PLAN_SIGN | PLAN_ENCRYPT, 0},
	{"signed, certificate unknown", Y, V(SIGN_IF_POSSIBLE, ENCRYPT_IF_KNOWN), 0, U, U, N, Y,
		PLAN_DEFER, 0, ERR_POLICY_UNKNOWN},
	{"inbound", Y, V(SIGN_NEVER, ENCRYPT_NEVER, .open = true, .verify = true), 1, U, U, U, U,
		PLAN_DELIVER, PLAN_OPEN | PLAN_VERIFY, 0},
};

static void
test_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ones) / sizeof(*ones); i++) {
		const struct one *t = &ones[i];
		struct decision decision = {.known = t->decided, .rule = &rule, .verdicts = t->v};
		struct plan_rcpt rcpt = {.addr = "a@b",
			.decision = &decision,
			.inside = t->inside,
			.cert_known = t->known,
			.cert_proven = t->proven,
			.held = t->held,
			.signer = t->signer};
		struct plan *plan;

		assert_int_equal(plan_build(&rcpt, 1, false, &plan, NULL), RC_OK);
		CHECK_INT(t->name, plan->outcome, t->outcome);
		CHECK_INT(t->name, rcpt.outcome, t->outcome);
		CHECK_INT(t->name, rcpt.err.code, t->code);
		CHECK_INT(t->name, plan->err.code, t->code);
		if (t->outcome == PLAN_DELIVER) {
			CHECK_INT(t->name, rcpt.transform, t->transform);
			CHECK_INT(t->name, plan->n_groups, 1);
			CHECK_INT(t->name, plan->groups[0].transform, t->transform);
		}
		assert_true(*rcpt.why);
		plan_free(&plan);
	}
}

/* What a directory said before it went down, for rules that take it and those that do not. */
static void
test_stale(void **state)
{
	static const struct {
		const char *name;
		struct verdicts v;
		enum tri proven;
		enum outcome outcome;
		unsigned transform;
	} t[] = {{"used", V(SIGN_NEVER, ENCRYPT_REQUIRED), N, PLAN_DELIVER, PLAN_ENCRYPT},
		{"required", V(SIGN_NEVER, ENCRYPT_REQUIRED, .stale = STALE_DEFER), N, PLAN_DEFER,
			0},
		{"if known", V(SIGN_NEVER, ENCRYPT_IF_KNOWN, .stale = STALE_DEFER), N, PLAN_DEFER,
			0},
		{"not proven", V(SIGN_NEVER, ENCRYPT_IF_PROVEN), N, PLAN_DELIVER, 0},
		{"if proven", V(SIGN_NEVER, ENCRYPT_IF_PROVEN, .stale = STALE_DEFER), N, PLAN_DEFER,
			0},
		{"or clear",
			V(SIGN_NEVER, ENCRYPT_REQUIRED, .stale = STALE_DEFER,
				.if_missing = MISSING_CLEAR),
			N, PLAN_DEFER, 0},
		{"no matter", V(SIGN_NEVER, ENCRYPT_NEVER, .stale = STALE_DEFER), N, PLAN_DELIVER,
			0}};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct decision decision = {.known = Y, .rule = &rule, .verdicts = t[i].v};
		struct plan_rcpt rcpt = {.addr = "a@b",
			.decision = &decision,
			.cert_known = Y,
			.cert_proven = t[i].proven,
			.stale = true};
		struct plan *plan;

		assert_int_equal(plan_build(&rcpt, 1, false, &plan, NULL), RC_OK);
		CHECK_INT(t[i].name, plan->outcome, t[i].outcome);
		CHECK_INT(t[i].name, rcpt.err.code,
			t[i].outcome == PLAN_DEFER ? ERR_DIR_UNAVAILABLE : ERR_NONE);
		if (t[i].outcome == PLAN_DELIVER)
			CHECK_INT(t[i].name, rcpt.transform, t[i].transform);
		plan_free(&plan);
	}
}

/* The reason of a failed look-up is what the sender hears. */
static void
test_lookup_error(void **state)
{
	struct decision decision = {
		.known = Y, .rule = &rule, .verdicts = V(SIGN_NEVER, ENCRYPT_IF_KNOWN)};
	struct plan_rcpt rcpt = {.addr = "a@b", .decision = &decision, .cert_known = U};
	struct plan *plan;

	(void)state;
	err_set(&rcpt.lookup_err, ERR_DIR_TIMEOUT, "slow");
	assert_int_equal(plan_build(&rcpt, 1, false, &plan, NULL), RC_OK);
	assert_int_equal(plan->err.code, ERR_DIR_TIMEOUT);
	plan_free(&plan);
}

/* A certificate that somebody named and that cannot be used is not "none"; a rule that refuses
 * without one refuses all the same. */
static void
test_named(void **state)
{
	static const struct {
		const char *name;
		struct verdicts v;
		enum outcome outcome;
		enum errcode code;
	} t[] = {{"if known", V(SIGN_NEVER, ENCRYPT_IF_KNOWN), PLAN_DEFER, ERR_CERT_NAMED},
		{"if proven", V(SIGN_NEVER, ENCRYPT_IF_PROVEN), PLAN_DEFER, ERR_CERT_NAMED},
		{"required", V(SIGN_NEVER, ENCRYPT_REQUIRED), PLAN_REFUSE, ERR_POLICY_NO_CERT},
		{"or clear", V(SIGN_NEVER, ENCRYPT_REQUIRED, .if_missing = MISSING_CLEAR),
			PLAN_DEFER, ERR_CERT_NAMED},
		{"no matter", V(SIGN_NEVER, ENCRYPT_NEVER), PLAN_DELIVER, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct decision decision = {.known = Y, .rule = &rule, .verdicts = t[i].v};
		struct plan_rcpt rcpt = {.addr = "a@b",
			.decision = &decision,
			.cert_known = U,
			.cert_proven = U,
			.held = N};
		struct plan *plan;

		err_set(&rcpt.lookup_err, ERR_CERT_NAMED, "expired");
		assert_int_equal(plan_build(&rcpt, 1, false, &plan, NULL), RC_OK);
		CHECK_INT(t[i].name, plan->outcome, t[i].outcome);
		CHECK_INT(t[i].name, plan->err.code, t[i].code);
		plan_free(&plan);
	}
}

/* What a rule adds to its envelopes is there, or the message waits. */
static void
test_extra(void **state)
{
	static const char *const archive[] = {"archive@a.example"};
	static const struct {
		const char *name;
		struct verdicts v;
		enum tri known, extra;
		enum errcode why, code;
	} cases[] = {
		{"there", V(SIGN_NEVER, ENCRYPT_REQUIRED, .escrow = {archive, 1}), Y, Y, 0, 0},
		{"missing", V(SIGN_NEVER, ENCRYPT_REQUIRED, .escrow = {archive, 1}), Y, N,
			ERR_POLICY_ESCROW, ERR_POLICY_ESCROW},
		{"not asked", V(SIGN_NEVER, ENCRYPT_IF_KNOWN, .escrow = {archive, 1}), Y, U,
			ERR_DIR_TIMEOUT, ERR_DIR_TIMEOUT},
		{"no reason", V(SIGN_NEVER, ENCRYPT_IF_KNOWN, .escrow = {archive, 1}), Y, U, 0,
			ERR_POLICY_UNKNOWN},
		{"not encrypted", V(SIGN_NEVER, ENCRYPT_IF_KNOWN, .escrow = {archive, 1}), N, N,
			ERR_POLICY_ESCROW, 0},
		{"author", V(SIGN_NEVER, ENCRYPT_REQUIRED, .copy_sender = true), Y, U,
			ERR_VAULT_DOWN, ERR_VAULT_DOWN},
		{"nothing added", V(SIGN_NEVER, ENCRYPT_REQUIRED), Y, N, ERR_POLICY_ESCROW, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct decision decision = {.known = Y, .rule = &rule, .verdicts = cases[i].v};
		struct plan_rcpt rcpt = {.addr = "a@b",
			.decision = &decision,
			.cert_known = cases[i].known,
			.held = N,
			.extra = cases[i].extra};
		struct plan *plan;

		if (cases[i].why)
			err_set(&rcpt.extra_err, cases[i].why, "why");
		assert_int_equal(plan_build(&rcpt, 1, false, &plan, NULL), RC_OK);
		CHECK_INT(cases[i].name, plan->err.code, cases[i].code);
		CHECK_INT(cases[i].name, plan->outcome, cases[i].code ? PLAN_DEFER : PLAN_DELIVER);
		plan_free(&plan);
	}
}

/* Recipients whose envelopes hold different things, or whose text is encoded in another way. */
static void
test_apart(void **state)
{
	static const char *const archive[] = {"archive@a.example"}, *const other[] = {
									    "b@a.example"};
	static const char *const keys[] = {"own", "smime@%d"};
	static const struct {
		const char *name;
		struct verdicts a, b;
		size_t groups;
	} cases[] = {
		{"same", V(SIGN_NEVER, ENCRYPT_REQUIRED, .escrow = {archive, 1}),
			V(SIGN_NEVER, ENCRYPT_REQUIRED, .escrow = {archive, 1}), 1},
		{"escrow", V(SIGN_NEVER, ENCRYPT_REQUIRED, .escrow = {archive, 1}),
			V(SIGN_NEVER, ENCRYPT_REQUIRED), 2},
		{"other escrow", V(SIGN_NEVER, ENCRYPT_REQUIRED, .escrow = {archive, 1}),
			V(SIGN_NEVER, ENCRYPT_REQUIRED, .escrow = {other, 1}), 2},
		{"author", V(SIGN_NEVER, ENCRYPT_REQUIRED, .copy_sender = true),
			V(SIGN_NEVER, ENCRYPT_REQUIRED), 2},
		{"keys", V(SIGN_REQUIRED, ENCRYPT_NEVER, .sign_keys = {keys, 1}),
			V(SIGN_REQUIRED, ENCRYPT_NEVER, .sign_keys = {keys, 2}), 2},
		{"encoding", V(SIGN_REQUIRED, ENCRYPT_NEVER, .encoding = ENCODING_BASE64),
			V(SIGN_REQUIRED, ENCRYPT_NEVER), 2},
		{"encoding of nothing", V(SIGN_NEVER, ENCRYPT_NEVER, .encoding = ENCODING_BASE64),
			V(SIGN_NEVER, ENCRYPT_NEVER), 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct decision a = {.known = Y, .rule = &rule, .verdicts = cases[i].a};
		struct decision b = {.known = Y, .rule = &rule, .verdicts = cases[i].b};
		struct plan_rcpt r[2] = {
			{.addr = "a@x", .decision = &a, .cert_known = Y, .signer = Y, .extra = Y},
			{.addr = "b@x", .decision = &b, .cert_known = Y, .signer = Y, .extra = Y}};
		struct plan *plan;

		assert_int_equal(plan_build(r, 2, false, &plan, NULL), RC_OK);
		CHECK_INT(cases[i].name, plan->n_groups, cases[i].groups);
		plan_free(&plan);
	}
}

static void
test_groups(void **state)
{
	struct decision sign = {
		.known = Y, .rule = &rule, .verdicts = V(SIGN_REQUIRED, ENCRYPT_NEVER)};
	struct decision maybe = {
		.known = Y, .rule = &rule, .verdicts = V(SIGN_REQUIRED, ENCRYPT_IF_PROVEN)};
	struct decision opaque = sign, modern = maybe;
	struct plan_rcpt r[4] = {{.addr = "a@x", .decision = &sign, .signer = Y},
		{.addr = "b@x", .decision = &maybe, .signer = Y},
		{.addr = "c@x", .decision = &maybe, .signer = Y},
		{.addr = "d@x", .decision = &maybe, .signer = Y}};
	struct plan *plan;

	(void)state;
	opaque.verdicts.form = FORM_OPAQUE;
	modern.verdicts.preset = PRESET_MODERN;
	/* Different rules, the same bytes: one group. */
	assert_int_equal(plan_build(r, 4, false, &plan, NULL), RC_OK);
	CHECK_INT("same", plan->n_groups, 1);
	CHECK_INT("same", plan->groups[0].n, 4);
	plan_free(&plan);
	/* Two are encrypted to. */
	r[1].cert_proven = r[2].cert_proven = Y;
	assert_int_equal(plan_build(r, 4, false, &plan, NULL), RC_OK);
	CHECK_INT("encrypted", plan->n_groups, 2);
	CHECK_INT("encrypted", plan->groups[1].n, 2);
	CHECK_INT("encrypted", r[3].group, 0);
	plan_free(&plan);
	/* One of them is a blind copy. */
	r[2].hidden = true;
	assert_int_equal(plan_build(r, 4, false, &plan, NULL), RC_OK);
	CHECK_INT("hidden", plan->n_groups, 3);
	plan_free(&plan);
	/* Blind copies that are not encrypted need no copy of their own. */
	r[1].cert_proven = r[2].cert_proven = N;
	assert_int_equal(plan_build(r, 4, false, &plan, NULL), RC_OK);
	CHECK_INT("hidden, signed", plan->n_groups, 1);
	plan_free(&plan);
	r[0].decision = &opaque;
	r[3].decision = &modern;
	assert_int_equal(plan_build(r, 4, false, &plan, NULL), RC_OK);
	CHECK_INT("forms", plan->n_groups, 3);
	plan_free(&plan);
}

/* Any refusal refuses all, and stands whatever is unknown elsewhere. */
static void
test_whole(void **state)
{
	struct decision need = {
		.known = Y, .rule = &rule, .verdicts = V(SIGN_NEVER, ENCRYPT_REQUIRED)};
	struct plan_rcpt r[3] = {{.addr = "a@x", .decision = &need, .cert_known = Y},
		{.addr = "b@x", .decision = &need, .cert_known = U},
		{.addr = "c@x", .decision = &need, .cert_known = N}};
	struct plan *plan;

	(void)state;
	assert_int_equal(plan_build(r, 2, false, &plan, NULL), RC_OK);
	CHECK_INT("deferred", plan->outcome, PLAN_DEFER);
	CHECK_INT("deferred", plan->blamed, 1);
	plan_free(&plan);
	assert_int_equal(plan_build(r, 3, false, &plan, NULL), RC_OK);
	CHECK_INT("refused", plan->outcome, PLAN_REFUSE);
	CHECK_INT("refused", plan->blamed, 2);
	plan_free(&plan);
}

/* One without a certificate: alone where the rule says so and somebody can be told. */
static void
test_refuse_recipient(void **state)
{
	static const struct {
		const char *name;
		enum if_missing first, second;
		enum tri known[3];
		bool alone;
		enum outcome outcome;
		size_t blamed, refused, groups;
	} cases[] = {
		{"one of three", MISSING_REFUSE_RECIPIENT, MISSING_REFUSE_RECIPIENT, {Y, N, Y},
			true, PLAN_DELIVER, 1, 1, 1},
		{"nobody to tell", MISSING_REFUSE_RECIPIENT, MISSING_REFUSE_RECIPIENT, {Y, N, Y},
			false, PLAN_REFUSE, 1, 0, 0},
		{"all", MISSING_REFUSE_RECIPIENT, MISSING_REFUSE_RECIPIENT, {N, N, N}, true,
			PLAN_REFUSE, 0, 3, 0},
		{"another's rule refuses all", MISSING_REFUSE_RECIPIENT, MISSING_REFUSE_ALL,
			{Y, N, N}, true, PLAN_REFUSE, 2, 1, 0},
		{"another is not known", MISSING_REFUSE_RECIPIENT, MISSING_REFUSE_RECIPIENT,
			{Y, N, U}, true, PLAN_DEFER, 2, 1, 0},
		{"not known first", MISSING_REFUSE_RECIPIENT, MISSING_REFUSE_RECIPIENT, {U, N, Y},
			true, PLAN_DEFER, 0, 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct decision d[2] = {
			{.known = Y,
				.rule = &rule,
				.verdicts = V(SIGN_NEVER, ENCRYPT_REQUIRED,
					.if_missing = cases[i].first)},
			{.known = Y,
				.rule = &rule,
				.verdicts = V(SIGN_NEVER, ENCRYPT_REQUIRED,
					.if_missing = cases[i].second)},
		};
		struct plan_rcpt r[3];
		struct plan *plan;

		for (size_t k = 0; k < 3; k++)
			r[k] = (struct plan_rcpt){.addr = "a@b",
				.decision = &d[k == 2],
				.cert_known = cases[i].known[k],
				.held = N,
				.extra = Y};
		assert_int_equal(plan_build(r, 3, cases[i].alone, &plan, NULL), RC_OK);
		CHECK_INT(cases[i].name, plan->outcome, cases[i].outcome);
		CHECK_INT(cases[i].name, plan->blamed, cases[i].blamed);
		CHECK_INT(cases[i].name, plan->n_refused, cases[i].refused);
		CHECK_INT(cases[i].name, plan->n_groups, cases[i].groups);
		plan_free(&plan);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_one), cmocka_unit_test(test_stale),
		cmocka_unit_test(test_lookup_error), cmocka_unit_test(test_named),
		cmocka_unit_test(test_extra), cmocka_unit_test(test_apart),
		cmocka_unit_test(test_groups), cmocka_unit_test(test_whole),
		cmocka_unit_test(test_refuse_recipient)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
