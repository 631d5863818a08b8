/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/sync.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/strmap.h"

enum stage { STAGE_TAKE, STAGE_CHANGE, STAGE_ROLE, STAGE_NEW, STAGE_GIVE, STAGE_KEY };

struct diff {
	const struct sync_view *view;
	const struct sync_rules *rules;
	struct sync_plan *plan;
	struct strmap by_uid;   /* persons */
	struct strmap by_id;    /* persons */
	struct strmap holders;  /* live addresses → persons */
	struct strmap claims;   /* addresses → entries */
	struct strmap uids;     /* of entries → entries */
	struct strmap grants;   /* "origin owner person" of grants → grants */
	size_t *person_of;      /* entry → person; SYNC_NOBODY: to be made */
	size_t *entry_of;       /* person → entry */
	bool *skip;             /* entry: left as it is */
	bool *lost;             /* person: leaves, goes missing, or loses an address unseen */
	struct strmap disputed; /* addresses that two entries have */
	char **texts;           /* owned */
	size_t n_texts;
	enum rc rc;
	struct err *err;
};

static struct sync_act *
add(struct diff *d, enum sync_what what, int stage, size_t person, size_t entry)
{
	static struct sync_act nowhere;
	struct sync_plan *plan = d->plan;

	if (plan->n == plan->room) {
		size_t room = plan->room * 2 + 256;
		void *v = d->rc ? NULL : realloc(plan->v, room * sizeof(*plan->v));

		if (!v) {
			d->rc = d->rc ? d->rc : err_set(d->err, ERR_MEMORY, "plan");
			return &nowhere;
		}
		plan->v = v;
		plan->room = room;
	}
	plan->v[plan->n] =
		(struct sync_act){.what = what, .stage = stage, .person = person, .entry = entry};
	return &plan->v[plan->n++];
}

static void conflict(struct diff *d, size_t person, size_t entry, const char *addr, const char *fmt,
	...) __attribute__((format(printf, 5, 6)));

static void
conflict(struct diff *d, size_t person, size_t entry, const char *addr, const char *fmt, ...)
{
	struct sync_act *act = add(d, SYNC_CONFLICT, STAGE_KEY + 1, person, entry);
	va_list ap;

	act->addr = addr;
	va_start(ap, fmt);
	vsnprintf(act->why, sizeof(act->why), fmt, ap);
	va_end(ap);
}

static void
put(struct diff *d, struct strmap *map, const char *text, size_t number, bool *was_there)
{
	bool there = false;

	if (!d->rc)
		d->rc = strmap_put(map, text, number, &there, d->err);
	if (was_there)
		*was_there = there;
}

static bool
is_live(const struct diff *d, const struct sync_addr *a)
{
	return a->since <= d->view->now && (a->until == 0 || d->view->now < a->until);
}

static bool
has_left(const struct diff *d, size_t person)
{
	int64_t left = d->view->persons[person].left;

	return left && left <= d->view->now;
}

/* --- tables --- */

static void
index_persons(struct diff *d)
{
	for (size_t i = 0; i < d->view->n_persons; i++) {
		const struct sync_person *p = &d->view->persons[i];

		put(d, &d->by_id, p->id, i, NULL);
		if (*p->uid)
			put(d, &d->by_uid, p->uid, i, NULL);
		for (size_t k = 0; k < p->n_addrs; k++)
			if (is_live(d, &p->addrs[k]))
				put(d, &d->holders, p->addrs[k].addr, i, NULL);
		d->plan->known += *p->uid && !has_left(d, i);
	}
}

/* An id that two entries have, or an address: neither of them is believed. */
static void
index_entries(struct diff *d)
{
	for (size_t i = 0; i < d->view->n_entries; i++) {
		const struct sync_entry *e = &d->view->entries[i];
		bool there;
		size_t other;

		put(d, &d->uids, e->uid, i, &there);
		if (there && strmap_find(&d->uids, e->uid, &other)) {
			conflict(d, SYNC_NOBODY, i, NULL, "two entries have the unique id %.100s",
				e->uid);
			d->skip[i] = d->skip[other] = true;
		}
		for (size_t k = 0; k < e->n_addrs; k++) {
			put(d, &d->claims, e->addrs[k], i, &there);
			if (there && strmap_find(&d->claims, e->addrs[k], &other) && other != i) {
				conflict(d, SYNC_NOBODY, i, e->addrs[k],
					"two entries have the address");
				put(d, &d->disputed, e->addrs[k], i, NULL);
			}
		}
	}
}

static bool
is_disputed(const struct diff *d, const char *addr)
{
	size_t ignored;

	return strmap_find(&d->disputed, addr, &ignored);
}

/* --- who is who --- */

/* The person without a unique id who has an address of the entry's; false when that is not clear.
 */
static bool
match_by_addr(struct diff *d, size_t entry, size_t *person)
{
	const struct sync_entry *e = &d->view->entries[entry];
	size_t holder;

	*person = SYNC_NOBODY;
	for (size_t k = 0; k < e->n_addrs; k++) {
		const struct sync_person *p;

		if (is_disputed(d, e->addrs[k]) ||
			!strmap_find(&d->holders, e->addrs[k], &holder) || holder == *person)
			continue;
		p = &d->view->persons[holder];
		if (*p->uid || p->kind == PERSON_ORGANISATION)
			continue;
		if (*person != SYNC_NOBODY || d->entry_of[holder] != SYNC_NOBODY) {
			conflict(d, holder, entry, e->addrs[k],
				"the entry could be more than one person");
			return false;
		}
		if (has_left(d, holder)) {
			conflict(d, holder, entry, e->addrs[k],
				"is %s's, who has left: end or move the address by hand", p->id);
			return false;
		}
		*person = holder;
	}
	return true;
}

static void
match(struct diff *d)
{
	size_t person;

	for (size_t i = 0; i < d->view->n_entries; i++)
		if (strmap_find(&d->by_uid, d->view->entries[i].uid, &person)) {
			d->person_of[i] = person;
			d->entry_of[person] = i;
		}
	for (size_t i = 0; i < d->view->n_entries; i++) {
		if (d->skip[i] || d->person_of[i] != SYNC_NOBODY)
			continue;
		d->skip[i] = !match_by_addr(d, i, &person);
		if (!d->skip[i] && person != SYNC_NOBODY) {
			d->person_of[i] = person;
			d->entry_of[person] = i;
		}
	}
}

/* --- addresses --- */

static const struct sync_addr *
find_own(const struct diff *d, size_t person, const char *addr)
{
	const struct sync_person *p = &d->view->persons[person];

	for (size_t k = 0; k < p->n_addrs; k++)
		if (is_live(d, &p->addrs[k]) && strcasecmp(p->addrs[k].addr, addr) == 0)
			return &p->addrs[k];
	return NULL;
}

/* ADDR is HOLDER's, and the directory says that it is ENTRY's. Only what came from the directory
 * goes by it. */
static bool
take(struct diff *d, int stage, size_t person, size_t entry, const char *addr, size_t holder)
{
	const struct sync_person *p = &d->view->persons[holder];
	struct sync_act *act;

	if (!*p->uid) {
		conflict(d, person, entry, addr, "is %s's, who is not the directory's", p->id);
		return false;
	}
	act = add(d, SYNC_ADDRESS_TAKE, stage, person, entry);
	act->addr = addr;
	act->from = p->id;
	d->lost[holder] |= d->entry_of[holder] == SYNC_NOBODY && !has_left(d, holder);
	return true;
}

/* The addresses that an entry has; the first that its person gets or has, NULL for none. */
static const char *
want_addrs(struct diff *d, int stage, size_t person, size_t entry)
{
	const struct sync_entry *e = &d->view->entries[entry];
	const char *first = NULL;
	size_t holder;

	for (size_t k = 0; k < e->n_addrs; k++) {
		const char *addr = e->addrs[k];
		const struct sync_addr *own =
			person == SYNC_NOBODY ? NULL : find_own(d, person, addr);

		if (is_disputed(d, addr))
			continue;
		if (own) {
			if (!own->synced)
				add(d, SYNC_ADDRESS_LINK, stage, person, entry)->addr = addr;
			else if (own->until)
				add(d, SYNC_ADDRESS_KEEP, stage, person, entry)->addr = addr;
		} else if (strmap_find(&d->holders, addr, &holder)) {
			if (!take(d, stage, person, entry, addr, holder))
				continue;
		} else {
			add(d, SYNC_ADDRESS_ADD, stage, person, entry)->addr = addr;
		}
		first = first ? first : addr;
	}
	return first;
}

/* What the directory has given and shows no more. */
static void
drop_addrs(struct diff *d, size_t person, size_t entry)
{
	const struct sync_person *p = &d->view->persons[person];
	size_t claimed;

	for (size_t k = 0; k < p->n_addrs; k++) {
		const struct sync_addr *a = &p->addrs[k];
		struct sync_act *act;

		if (!a->synced || !is_live(d, a) || a->until ||
			strmap_find(&d->claims, a->addr, &claimed))
			continue; /* another's, who takes it, or still theirs */
		act = add(d, SYNC_ADDRESS_END, STAGE_CHANGE, person, entry);
		act->addr = a->addr;
		act->at = d->view->now + d->rules->keep_addresses;
	}
}

/* --- persons --- */

static void
note_renewal(struct diff *d, size_t person, size_t entry, size_t first)
{
	for (size_t i = first; i < d->plan->n; i++) {
		const struct sync_act *act = &d->plan->v[i];
		const char *addr = act->addr;
		struct sync_act *note;

		if (act->what != SYNC_ADDRESS_ADD && act->what != SYNC_ADDRESS_TAKE)
			continue;
		note = add(d, SYNC_NOTE, STAGE_KEY + 1, person, entry);
		note->addr = addr;
		snprintf(note->why, sizeof(note->why),
			"no certificate names this address yet: key renew");
		break;
	}
}

static void
change_person(struct diff *d, size_t person, size_t entry)
{
	const struct sync_person *p = &d->view->persons[person];
	const struct sync_entry *e = &d->view->entries[entry];
	size_t before = d->plan->n;
	const char *first;

	if (has_left(d, person) && !p->left_by_sync)
		return; /* an administrator knows better */
	if (has_left(d, person))
		add(d, SYNC_RETURN, STAGE_CHANGE, person, entry);
	else if (p->missing)
		add(d, SYNC_FOUND, STAGE_CHANGE, person, entry);
	if (!*p->uid)
		add(d, SYNC_LINK, STAGE_CHANGE, person, entry);
	if (e->name && strcmp(e->name, p->name) != 0)
		add(d, SYNC_NAME, STAGE_CHANGE, person, entry);
	if (e->n_addrs == 0) {
		conflict(d, person, entry, NULL, "the entry has no address of ours");
		return;
	}
	first = want_addrs(d, STAGE_CHANGE, person, entry);
	drop_addrs(d, person, entry);
	if (d->rules->keys && p->keys == 0 && first)
		add(d, SYNC_KEY, STAGE_KEY, person, entry)->addr = first;
	else if (p->keys)
		note_renewal(d, person, entry, before);
}

static void
new_person(struct diff *d, size_t entry)
{
	const struct sync_entry *e = &d->view->entries[entry];
	size_t at = d->plan->n;
	const char *first;

	if (e->n_addrs == 0)
		return; /* nobody that mail is for */
	add(d, SYNC_NEW, STAGE_NEW, SYNC_NOBODY, entry);
	first = want_addrs(d, STAGE_NEW, SYNC_NOBODY, entry);
	if (d->rc)
		return;
	d->plan->v[at].addr = first;
	if (!first) {
		/* Every address is in conflict, which was said. */
		d->skip[entry] = true;
		d->plan->n--;
		memmove(&d->plan->v[at], &d->plan->v[at + 1],
			(d->plan->n - at) * sizeof(*d->plan->v));
	} else if (d->rules->keys) {
		add(d, SYNC_KEY, STAGE_KEY, SYNC_NOBODY, entry)->addr = first;
	}
}

static void
miss_person(struct diff *d, size_t person)
{
	const struct sync_person *p = &d->view->persons[person];
	int64_t since = p->missing ? p->missing : d->view->now;

	if (!*p->uid || has_left(d, person))
		return;
	if (d->view->now - since >= d->rules->leave_after) {
		add(d, SYNC_LEAVE, STAGE_TAKE, person, SYNC_NOBODY)->at = since;
		d->lost[person] = true;
	} else if (!p->missing) {
		add(d, SYNC_MISSING, STAGE_TAKE, person, SYNC_NOBODY);
		d->lost[person] = true;
	}
}

/* --- grants --- */

/* "origin owner person", which lasts as long as D. */
static const char *
grant_key(struct diff *d, const char *a, const char *b, const char *c)
{
	size_t size = strlen(a) + strlen(b) + strlen(c) + 8;
	char **texts, *text;

	if (d->rc)
		return "";
	if ((d->n_texts & (d->n_texts - 1)) == 0) {
		texts = realloc(d->texts, (d->n_texts ? d->n_texts * 2 : 1) * sizeof(*texts));
		if (!texts) {
			d->rc = err_set(d->err, ERR_MEMORY, "plan");
			return "";
		}
		d->texts = texts;
	}
	text = malloc(size);
	if (!text) {
		d->rc = err_set(d->err, ERR_MEMORY, "plan");
		return "";
	}
	snprintf(text, size, "%s %s %s", a, b, c);
	d->texts[d->n_texts++] = text;
	return text;
}

/* A role that nobody has made yet, for the group's address. */
static void
make_role(struct diff *d, const struct sync_group *group)
{
	size_t claimed;
	struct sync_act *act;

	if (strmap_find(&d->claims, group->owner, &claimed))
		return; /* an entry's, and made as such */
	act = add(d, SYNC_NEW, STAGE_ROLE, SYNC_NOBODY, SYNC_NOBODY);
	act->addr = group->owner;
	act->origin = group->name;
	put(d, &d->claims, group->owner, SYNC_NOBODY, NULL);
}

/* What a group gives, as far as it is not there; what is wanted is noted in WANTED. */
static void
want_grants(struct diff *d, const struct sync_group *group, struct strmap *wanted)
{
	size_t owner = SYNC_NOBODY, ignored;

	if (!strmap_find(&d->holders, group->owner, &owner))
		make_role(d, group);
	else if (has_left(d, owner)) {
		conflict(d, owner, SYNC_NOBODY, group->owner, "the owner of %s's grants has left",
			group->origin);
		return;
	}
	for (size_t k = 0; k < group->n_members; k++) {
		size_t entry = group->members[k], person = d->person_of[entry];
		const char *key, *id = owner == SYNC_NOBODY ? "" : d->view->persons[owner].id;
		struct sync_act *act;
		bool there;

		if (d->skip[entry] || (person != SYNC_NOBODY && person == owner) ||
			(person != SYNC_NOBODY && has_left(d, person) &&
				!d->view->persons[person].left_by_sync))
			continue;
		key = grant_key(d, group->origin, id,
			person == SYNC_NOBODY ? d->view->entries[entry].uid
					      : d->view->persons[person].id);
		put(d, wanted, key, entry, &there);
		if (there || strmap_find(&d->grants, key, &ignored))
			continue;
		if (d->view->entries[entry].n_addrs == 0)
			continue;
		act = add(d, SYNC_GRANT, STAGE_GIVE, person, entry);
		act->owner = *id ? id : group->owner;
		act->origin = group->origin;
	}
}

static void
diff_grants(struct diff *d)
{
	struct strmap wanted = {0};
	size_t person, ignored;

	d->plan->granted = d->view->n_grants;
	for (size_t i = 0; i < d->view->n_grants; i++) {
		const struct sync_grant *g = &d->view->grants[i];

		put(d, &d->grants, grant_key(d, g->origin, g->owner, g->person), i, NULL);
	}
	for (size_t i = 0; i < d->view->n_groups; i++)
		want_grants(d, &d->view->groups[i], &wanted);
	for (size_t i = 0; i < d->view->n_grants; i++) {
		const struct sync_grant *g = &d->view->grants[i];
		struct sync_act *act;

		if (strmap_find(&wanted, grant_key(d, g->origin, g->owner, g->person), &ignored) ||
			!strmap_find(&d->by_id, g->person, &person))
			continue;
		/* Who is missing keeps what they have until they leave. */
		if (d->entry_of[person] == SYNC_NOBODY && *d->view->persons[person].uid)
			continue;
		act = add(d, SYNC_UNGRANT, STAGE_TAKE, person, d->entry_of[person]);
		act->grant = g->id;
		act->owner = g->owner;
		act->origin = g->origin;
		d->plan->ungranted++;
	}
	strmap_fini(&wanted);
}

/* --- all of it --- */

static int
by_stage(const void *a, const void *b)
{
	const struct sync_act *x = *(const struct sync_act *const *)a,
			      *y = *(const struct sync_act *const *)b;

	if (x->stage != y->stage)
		return x->stage < y->stage ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* By stage; acts of one stage stay as they came. */
static void
sort(struct diff *d)
{
	struct sync_plan *plan = d->plan;
	struct sync_act *v = malloc((plan->n + 1) * sizeof(*v));
	const struct sync_act **order = malloc((plan->n + 1) * sizeof(const struct sync_act *));

	if (!v || !order) {
		d->rc = err_set(d->err, ERR_MEMORY, "plan");
		free(v);
		free(order);
		return;
	}
	for (size_t i = 0; i < plan->n; i++)
		order[i] = &plan->v[i];
	qsort(order, plan->n, sizeof(*order), by_stage);
	for (size_t i = 0; i < plan->n; i++)
		v[i] = *order[i];
	free(order);
	free(plan->v);
	plan->v = v;
	plan->room = plan->n + 1;
}

static void
diff_persons(struct diff *d)
{
	for (size_t i = 0; i < d->view->n_entries; i++) {
		if (d->skip[i])
			continue;
		if (d->person_of[i] != SYNC_NOBODY)
			change_person(d, d->person_of[i], i);
		else
			new_person(d, i);
	}
	for (size_t i = 0; i < d->view->n_persons; i++)
		if (d->entry_of[i] == SYNC_NOBODY)
			miss_person(d, i);
	for (size_t i = 0; i < d->view->n_persons; i++)
		d->plan->leaving += d->lost[i];
}

static void
fini(struct diff *d)
{
	strmap_fini(&d->by_uid);
	strmap_fini(&d->by_id);
	strmap_fini(&d->holders);
	strmap_fini(&d->claims);
	strmap_fini(&d->uids);
	strmap_fini(&d->grants);
	strmap_fini(&d->disputed);
	for (size_t i = 0; i < d->n_texts; i++)
		free(d->texts[i]);
	free(d->texts);
	free(d->person_of);
	free(d->entry_of);
	free(d->skip);
	free(d->lost);
}

enum rc
sync_diff(const struct sync_view *view, const struct sync_rules *rules, struct sync_plan *plan,
	struct err *err)
{
	struct diff d = {.view = view, .rules = rules, .plan = plan, .err = err};

	*plan = (struct sync_plan){0};
	d.holders.no_case = d.claims.no_case = d.disputed.no_case = true;
	d.person_of = calloc(view->n_entries + 1, sizeof(*d.person_of));
	d.entry_of = calloc(view->n_persons + 1, sizeof(*d.entry_of));
	d.skip = calloc(view->n_entries + 1, sizeof(*d.skip));
	d.lost = calloc(view->n_persons + 1, sizeof(*d.lost));
	if (!d.person_of || !d.entry_of || !d.skip || !d.lost)
		d.rc = err_set(err, ERR_MEMORY, "plan");
	for (size_t i = 0; !d.rc && i < view->n_entries; i++)
		d.person_of[i] = SYNC_NOBODY;
	for (size_t i = 0; !d.rc && i < view->n_persons; i++)
		d.entry_of[i] = SYNC_NOBODY;
	if (!d.rc) {
		index_persons(&d);
		index_entries(&d);
		match(&d);
		diff_persons(&d);
		diff_grants(&d);
	}
	if (!d.rc)
		sort(&d);
	fini(&d);
	if (d.rc)
		sync_plan_fini(plan);
	return d.rc;
}
