/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a directory and the store make of each other: a table of both and of the plan.
 *
 * Entry:  "uid name address,address", "uid name" without any; a name "-" is none; "+" before it: a
 * role. Person: "id uid name address,address flags"; "-" is no uid; an address with * came from the
 *         directory, with *N ends in N days. Flags: K has a key, L left by an operator, l by the
 *         directory, Mn missing for n days.
 * Group:  "origin owner uid,uid". Grant: "id owner person origin".
 * Plan:   "what person|uid address …", in order; notes and conflicts come last.
 */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "base/strmap.h"
#include "keystore/sync.h"

#define DAY 86400
#define NOW (1000 * (int64_t)DAY)
#define MAX 16

static const struct {
	const char *name;
	const char *entries[MAX], *persons[MAX], *groups[4], *grants[4];
	const char *plan;
	size_t leaving;
} cases[] = {
	{"nothing", {0}, {0}, {0}, {0}, "", 0},
	{"in step", {"1 Ann ann@x,a@x"}, {"p1 1 Ann ann@x*,a@x* K"}, {0}, {0}, "", 0},
	{"joiner", {"1 Ann ann@x,a@x"}, {0}, {0}, {0},
		"new 1 ann@x; address.add 1 ann@x; address.add 1 a@x; key 1 ann@x", 0},
	{"without an address", {"1 Ann"}, {0}, {0}, {0}, "", 0},
	{"made by hand before", {"1 Ann ann@x"}, {"p1 - ann@x ann@x K"}, {0}, {0},
		"link p1; name p1; address.link p1 ann@x", 0},
	{"found by an alias", {"1 Ann new@x,ann@x"}, {"p1 - Ann ann@x K"}, {0}, {0},
		"link p1; address.add p1 new@x; address.link p1 ann@x; note p1 new@x", 0},
	{"two by hand could be one entry", {"1 Ann ann@x,bob@x"},
		{"p1 - Ann ann@x K", "p2 - Bob bob@x K"}, {0}, {0}, "conflict p2 bob@x", 0},
	{"two entries could be one by hand", {"1 Ann ann@x", "2 Ann a@x"}, {"p1 - Ann ann@x,a@x K"},
		{0}, {0}, "link p1; address.link p1 ann@x; conflict p1 a@x", 0},
	{"by hand, and left", {"1 Ann ann@x"}, {"p1 - Ann ann@x KL"}, {0}, {0}, "conflict p1 ann@x",
		0},
	{"no key", {"1 Ann ann@x"}, {"p1 1 Ann ann@x*"}, {0}, {0}, "key p1 ann@x", 0},
	{"the case of an address is nothing", {"1 Ann Ann@X"}, {"p1 1 Ann ann@x* K"}, {0}, {0}, "",
		0},

	{"rename", {"1 Ann2 new@x"}, {"p1 1 Ann old@x* K"}, {0}, {0},
		"name p1; address.add p1 new@x; address.end p1 old@x +180; note p1 new@x", 0},
	{"renamed before", {"1 Ann new@x"}, {"p1 1 Ann new@x*,old@x*20 K"}, {0}, {0}, "", 0},
	{"back to the old name", {"1 Ann old@x"}, {"p1 1 Ann new@x*,old@x*20 K"}, {0}, {0},
		"address.keep p1 old@x; address.end p1 new@x +180", 0},
	{"an address by hand stays", {"1 Ann ann@x"}, {"p1 1 Ann ann@x*,hand@x K"}, {0}, {0}, "",
		0},
	{"no name", {"1 - ann@x"}, {"p1 1 Ann ann@x* K"}, {0}, {0}, "", 0},
	{"an entry that lost its addresses", {"1 Ann"}, {"p1 1 Ann ann@x* K"}, {0}, {0},
		"conflict p1 -", 0},

	{"missing", {"2 Bob bob@x"}, {"p1 1 Ann ann@x* K", "p2 2 Bob bob@x* K"}, {0}, {0},
		"missing p1", 1},
	{"missing for six days", {0}, {"p1 1 Ann ann@x* KM6"}, {0}, {0}, "", 0},
	{"missing for seven days", {0}, {"p1 1 Ann ann@x* KM7"}, {0}, {0}, "leave p1", 1},
	{"found again", {"1 Ann ann@x"}, {"p1 1 Ann ann@x* KM6"}, {0}, {0}, "found p1", 0},
	{"left, and back", {"1 Ann ann@x"}, {"p1 1 Ann ann@x* Kl"}, {0}, {0}, "return p1", 0},
	{"left by hand", {"1 Ann2 ann@x,new@x"}, {"p1 1 Ann ann@x* KL"}, {0}, {0}, "", 0},
	{"left is left", {0}, {"p1 1 Ann ann@x* Kl"}, {0}, {0}, "", 0},
	{"by hand is not the directory's", {0}, {"p1 - Ann ann@x K"}, {0}, {0}, "", 0},

	{"a successor", {"2 Bob ann@x"}, {"p1 1 Ann ann@x* Kl"}, {0}, {0},
		"new 2 ann@x; address.take 2 ann@x from p1; key 2 ann@x", 0},
	{"a successor of somebody who is missing", {"2 Bob ann@x"}, {"p1 1 Ann ann@x* KM1"}, {0},
		{0}, "new 2 ann@x; address.take 2 ann@x from p1; key 2 ann@x", 1},
	{"the same address under a new id", {"2 Ann ann@x"}, {"p1 1 Ann ann@x* K"}, {0}, {0},
		"missing p1; new 2 ann@x; address.take 2 ann@x from p1; key 2 ann@x", 1},
	{"addresses change places", {"1 Ann bob@x", "2 Bob ann@x"},
		{"p1 1 Ann ann@x* K", "p2 2 Bob bob@x* K"}, {0}, {0},
		"address.take p1 bob@x from p2; address.take p2 ann@x from p1; note p1 bob@x; note p2 "
		"ann@x",
		0},
	{"an alias of somebody made by hand", {"1 Ann ann@x,hand@x"},
		{"p1 1 Ann ann@x* K", "p2 - Hand hand@x K"}, {0}, {0}, "conflict p1 hand@x", 0},
	{"the organisation's", {"1 Ann org@x"}, {"p1 - Org org@x KO"}, {0}, {0}, "conflict 1 org@x",
		0},
	{"an address of two entries", {"1 Ann ann@x,both@x", "2 Bob bob@x,both@x"},
		{"p1 1 Ann ann@x*,both@x* K"}, {0}, {0},
		"new 2 bob@x; address.add 2 bob@x; key 2 bob@x; conflict 2 both@x", 0},
	{"a unique id of two entries", {"1 Ann ann@x", "1 Bob bob@x"}, {"p1 1 Ann ann@x* K"}, {0},
		{0}, "conflict 1 -", 0},

	{"a role", {"1 +Help help@x"}, {0}, {0}, {0},
		"new 1 help@x; address.add 1 help@x; key 1 help@x", 0},
	{"a grant", {"1 Ann ann@x"}, {"p1 1 Ann ann@x* K", "p2 - Help help@x K"},
		{"group:a help@x 1"}, {0}, "grant p1 p2 group:a", 0},
	{"is there", {"1 Ann ann@x"}, {"p1 1 Ann ann@x* K", "p2 - Help help@x K"},
		{"group:a help@x 1"}, {"g1 p2 p1 group:a"}, "", 0},
	{"of another group", {"1 Ann ann@x"}, {"p1 1 Ann ann@x* K", "p2 - Help help@x K"},
		{"group:a help@x 1"}, {"g1 p2 p1 group:b"},
		"ungrant p1 p2 group:b; grant p1 p2 group:a", 0},
	{"to be made for a joiner", {"1 Ann ann@x"}, {0}, {"group:a help@x 1,1"}, {0},
		"new - help@x; new 1 ann@x; address.add 1 ann@x; grant 1 help@x group:a; key 1 ann@x",
		0},
	{"not for oneself", {"1 Ann ann@x"}, {"p1 1 Ann ann@x* K"}, {"group:a ann@x 1"}, {0}, "",
		0},
	{"no member any more", {"1 Ann ann@x"}, {"p1 1 Ann ann@x* K", "p2 - Help help@x K"},
		{"group:a help@x"}, {"g1 p2 p1 group:a"}, "ungrant p1 p2 group:a", 0},
	{"missing keeps it", {0}, {"p1 1 Ann ann@x* KM1", "p2 - Help help@x K"}, {"group:a help@x"},
		{"g1 p2 p1 group:a"}, "", 0},
	{"not for who left by hand", {"1 Ann ann@x"}, {"p1 1 Ann ann@x* KL", "p2 - Help help@x K"},
		{"group:a help@x 1"}, {0}, "", 0},
	{"the owner has left", {"1 Ann ann@x"}, {"p1 1 Ann ann@x* K", "p2 - Help help@x KL"},
		{"group:a help@x 1"}, {0}, "conflict p2 help@x", 0},
	{"what takes away comes first", {"1 Ann ann@x", "3 Cat cat@x"},
		{"p1 1 Ann ann@x* K", "p2 2 Bob bob@x* KM9", "p3 - Help help@x K"},
		{"group:a help@x 3"}, {"g1 p3 p1 group:a"},
		"leave p2; ungrant p1 p3 group:a; new 3 cat@x; address.add 3 cat@x; grant 3 p3 group:a; "
		"key 3 cat@x",
		1},
};

static char pool[64][256];
static size_t pooled;

static const char *
word(const char **at)
{
	size_t n = strcspn(*at, " ");
	char *out = pool[pooled++ % 64];

	snprintf(out, 256, "%.*s", (int)n, *at);
	*at += n + ((*at)[n] == ' ');
	return out;
}

/* Words between commas; copies that last for the test. */
static size_t
split(const char *list, const char **out, size_t max)
{
	size_t n = 0;

	while (*list && n < max) {
		size_t len = strcspn(list, ",");

		out[n] = strndup(list, len);
		n++;
		list += len + (list[len] == ',');
	}
	return n;
}

static void
read_entry(const char *text, struct sync_entry *e)
{
	const char **addrs = calloc(8, sizeof(*addrs)), *name;

	e->uid = strdup(word(&text));
	name = word(&text);
	e->kind = *name == '+' ? PERSON_ROLE : PERSON_HUMAN;
	e->name = strcmp(name, "-") == 0 ? NULL : strdup(name + (*name == '+'));
	e->n_addrs = split(text, addrs, 8);
	e->addrs = addrs;
}

static void
read_person(const char *text, struct sync_person *p)
{
	struct sync_addr *addrs = calloc(8, sizeof(*addrs));
	const char *list[8], *name;

	p->id = strdup(word(&text));
	name = word(&text);
	p->uid = strdup(strcmp(name, "-") == 0 ? "" : name);
	p->name = strdup(word(&text));
	p->n_addrs = split(word(&text), list, 8);
	for (size_t i = 0; i < p->n_addrs; i++) {
		char *star = strchr(list[i], '*');

		addrs[i].synced = star != NULL;
		addrs[i].until = star && star[1] ? NOW + atoi(star + 1) * DAY : 0;
		addrs[i].since = NOW - 100 * DAY;
		addrs[i].addr = list[i];
		if (star)
			*star = 0;
	}
	p->addrs = addrs;
	for (; *text; text++) {
		p->keys += *text == 'K';
		if (*text == 'O')
			p->kind = PERSON_ORGANISATION;
		if (*text == 'L' || *text == 'l')
			p->left = NOW - DAY;
		p->left_by_sync |= *text == 'l';
		if (*text == 'M')
			p->missing = NOW - atoi(text + 1) * DAY;
	}
}

static void
read_group(const char *text, const struct sync_view *view, struct sync_group *g)
{
	size_t *members = calloc(8, sizeof(*members)), n;
	const char *uids[8];

	g->origin = strdup(word(&text));
	g->name = g->origin;
	g->owner = strdup(word(&text));
	n = split(text, uids, 8);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < view->n_entries; k++)
			if (strcmp(view->entries[k].uid, uids[i]) == 0)
				members[g->n_members++] = k;
		free((char *)(uintptr_t)uids[i]);
	}
	g->members = members;
}

static struct sync_entry entries[MAX];
static struct sync_person persons[MAX];
static struct sync_group groups[4];
static struct sync_grant grants[4];

static void
read_case(size_t i, struct sync_view *view)
{
	*view = (struct sync_view){.now = NOW,
		.entries = entries,
		.persons = persons,
		.groups = groups,
		.grants = grants};
	memset(entries, 0, sizeof(entries));
	memset(persons, 0, sizeof(persons));
	memset(groups, 0, sizeof(groups));
	for (; view->n_entries < MAX && cases[i].entries[view->n_entries]; view->n_entries++)
		read_entry(cases[i].entries[view->n_entries], &entries[view->n_entries]);
	for (; view->n_persons < MAX && cases[i].persons[view->n_persons]; view->n_persons++)
		read_person(cases[i].persons[view->n_persons], &persons[view->n_persons]);
	for (; view->n_groups < 4 && cases[i].groups[view->n_groups]; view->n_groups++)
		read_group(cases[i].groups[view->n_groups], view, &groups[view->n_groups]);
	for (; view->n_grants < 4 && cases[i].grants[view->n_grants]; view->n_grants++) {
		const char *text = cases[i].grants[view->n_grants];
		struct sync_grant *g = &grants[view->n_grants];

		g->id = strdup(word(&text));
		g->owner = strdup(word(&text));
		g->person = strdup(word(&text));
		g->origin = strdup(word(&text));
	}
}

static void
forget_case(const struct sync_view *view)
{
	for (size_t i = 0; i < view->n_entries; i++) {
		for (size_t k = 0; k < entries[i].n_addrs; k++)
			free((char *)(uintptr_t)entries[i].addrs[k]);
		free((void *)(uintptr_t)entries[i].addrs);
		free((char *)(uintptr_t)entries[i].uid);
		free((char *)(uintptr_t)entries[i].name);
	}
	for (size_t i = 0; i < view->n_persons; i++) {
		for (size_t k = 0; k < persons[i].n_addrs; k++)
			free((char *)(uintptr_t)persons[i].addrs[k].addr);
		free((void *)(uintptr_t)persons[i].addrs);
		free((char *)(uintptr_t)persons[i].id);
		free((char *)(uintptr_t)persons[i].uid);
		free((char *)(uintptr_t)persons[i].name);
	}
	for (size_t i = 0; i < view->n_groups; i++) {
		free((char *)(uintptr_t)groups[i].origin);
		free((char *)(uintptr_t)groups[i].owner);
		free((void *)(uintptr_t)groups[i].members);
	}
	for (size_t i = 0; i < view->n_grants; i++) {
		free((char *)(uintptr_t)grants[i].id);
		free((char *)(uintptr_t)grants[i].owner);
		free((char *)(uintptr_t)grants[i].person);
		free((char *)(uintptr_t)grants[i].origin);
	}
}

static void
write_plan(const struct sync_view *view, const struct sync_plan *plan, char *out, size_t size)
{
	size_t n = 0;

	out[0] = 0;
	for (size_t i = 0; i < plan->n; i++) {
		const struct sync_act *a = &plan->v[i];
		const char *who = a->person != SYNC_NOBODY  ? view->persons[a->person].id
				  : a->entry != SYNC_NOBODY ? view->entries[a->entry].uid
							    : "-";
		bool about_addr = a->addr || a->what == SYNC_CONFLICT;

		n += (size_t)snprintf(out + n, size - n, "%s%s %s%s%s", n ? "; " : "",
			sync_what_name(a->what), who, about_addr ? " " : "",
			a->addr      ? a->addr
			: about_addr ? "-"
				     : "");
		if (a->from)
			n += (size_t)snprintf(out + n, size - n, " from %s", a->from);
		if (a->what == SYNC_ADDRESS_END)
			n += (size_t)snprintf(
				out + n, size - n, " +%lld", (long long)(a->at - NOW) / DAY);
		if (a->owner)
			n += (size_t)snprintf(out + n, size - n, " %s %s", a->owner, a->origin);
		if (a->what >= SYNC_NOTE)
			assert_true(a->why[0] != 0);
	}
}

static const struct sync_rules rules = {.leave_after = 7 * DAY,
	.keep_addresses = 180 * DAY,
	.keys = true,
	.max_leave = 50,
	.max_percent = 5};

static void
test_plans(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct sync_view view;
		struct sync_plan plan;
		struct err err = ERR_INIT;
		char text[2048];

		read_case(i, &view);
		assert_int_equal(sync_diff(&view, &rules, &plan, &err), RC_OK);
		write_plan(&view, &plan, text, sizeof(text));
		CHECK_STR(cases[i].name, text, cases[i].plan);
		CHECK_INT(cases[i].name, plan.leaving, cases[i].leaving);
		sync_plan_fini(&plan);
		forget_case(&view);
	}
}

static void
test_names(void **state)
{
	enum sync_what what;

	(void)state;
	for (int i = 0; i < SYNC_WHATS; i++) {
		assert_true(sync_what_find(sync_what_name(i), &what));
		CHECK_INT(sync_what_name(i), what, i);
	}
	assert_false(sync_what_find("?", &what));
}

static void
test_guard(void **state)
{
	static const struct {
		const char *name;
		size_t leaving, known, ungranted, granted, allowed;
		bool ok;
	} table[] = {
		{"nobody", 0, 0, 0, 0, 0, true},
		{"one of one", 1, 1, 0, 0, 0, false},
		{"one of two", 1, 2, 0, 0, 0, true},
		{"two of two", 2, 2, 0, 0, 0, false},
		{"two of three", 2, 3, 0, 0, 0, false},
		{"three of four", 3, 4, 0, 0, 0, true},
		{"four of ten", 4, 10, 0, 0, 0, false},
		{"four of eighty", 4, 80, 0, 0, 0, true},
		{"four of seventy-nine", 4, 79, 0, 0, 0, false},
		{"fifty of a thousand", 50, 1000, 0, 0, 0, true},
		{"fifty-one of a thousand", 51, 1020, 0, 0, 0, false},
		{"fifty-one of many", 51, 100000, 0, 0, 0, false},
		{"which may", 51, 100000, 0, 0, 51, true},
		{"and no more", 52, 100000, 0, 0, 51, false},
		{"everybody may", 5, 5, 0, 0, 5, true},
		{"a role's last member", 0, 9, 1, 1, 0, true},
		{"four grants of five", 0, 9, 4, 5, 0, false},
		{"four grants of eighty", 0, 9, 4, 80, 0, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct sync_plan plan = {.known = table[i].known,
			.leaving = table[i].leaving,
			.granted = table[i].granted,
			.ungranted = table[i].ungranted};
		struct err err = ERR_INIT;
		enum rc rc = sync_guard(&plan, &rules, table[i].allowed, &err);

		CHECK_INT(table[i].name, rc == RC_OK, table[i].ok);
		if (rc)
			CHECK_INT(table[i].name, err.code, ERR_DIR_ANSWER);
	}
}

/* A hundred thousand in step, one of them renamed: found, and nothing else. */
static void
test_many(void **state)
{
	enum { N = 100000 };
	struct sync_entry *e = calloc(N, sizeof(*e));
	struct sync_person *p = calloc(N, sizeof(*p));
	struct sync_addr *a = calloc(N, sizeof(*a));
	char(*texts)[4][24] = calloc(N, sizeof(*texts));
	const char **addrs = calloc(N, sizeof(*addrs));
	struct sync_view view = {
		.entries = e, .n_entries = N, .persons = p, .n_persons = N, .now = NOW};
	struct sync_plan plan;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		snprintf(texts[i][0], 24, "u%zu", i);
		snprintf(texts[i][1], 24, "p%zu", i);
		snprintf(texts[i][2], 24, "m%zu@x", i);
		addrs[i] = i == 77 ? "new@x" : texts[i][2];
		a[i] = (struct sync_addr){texts[i][2], 0, 0, true};
		e[i] = (struct sync_entry){texts[i][0], "N", PERSON_HUMAN, &addrs[i], 1};
		p[i] = (struct sync_person){.id = texts[i][1],
			.name = "N",
			.uid = texts[i][0],
			.keys = 1,
			.addrs = &a[i],
			.n_addrs = 1};
	}
	assert_int_equal(sync_diff(&view, &rules, &plan, &err), RC_OK);
	CHECK_INT("acts", plan.n, 3);
	CHECK_INT("add", plan.v[0].what, SYNC_ADDRESS_ADD);
	CHECK_INT("whose", plan.v[0].person, 77);
	CHECK_INT("end", plan.v[1].what, SYNC_ADDRESS_END);
	CHECK_INT("note", plan.v[2].what, SYNC_NOTE);
	sync_plan_fini(&plan);
	free(e);
	free(p);
	free(a);
	free(texts);
	free(addrs);
}

static void
test_strmap(void **state)
{
	struct strmap map = {0}, no_case = {.no_case = true};
	struct err err = ERR_INIT;
	char names[1000][8];
	size_t n;
	bool there;

	(void)state;
	assert_false(strmap_find(&map, "a", &n));
	for (size_t i = 0; i < 1000; i++) {
		snprintf(names[i], 8, "n%zu", i);
		assert_int_equal(strmap_put(&map, names[i], i, &there, &err), RC_OK);
		assert_false(there);
	}
	assert_int_equal(strmap_put(&map, "n5", 99, &there, &err), RC_OK);
	assert_true(there);
	for (size_t i = 0; i < 1000; i++) {
		assert_true(strmap_find(&map, names[i], &n));
		CHECK_INT(names[i], n, i);
	}
	assert_false(strmap_find(&map, "N5", &n));
	assert_int_equal(strmap_put(&no_case, "n5", 5, NULL, &err), RC_OK);
	assert_true(strmap_find(&no_case, "N5", &n));
	assert_false(strmap_find(&no_case, "n6", &n));
	strmap_fini(&map);
	strmap_fini(&no_case);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_guard),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_strmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
