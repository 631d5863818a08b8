/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * person_sync.c - sealgate person sync: the store follows the directory
 *
 * Directory and store are read, the plan is made (keystore/sync.h), and each of its steps is one
 * request to the vault, which is one transaction. Whatever stops this, doing it again does the
 * rest.
 */
#include "cli/person.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/people.h"
#include "keystore/admin.h"

static int run(struct cli *cli, int argc, char **argv);

const struct command person_sync = {
	.name = "person sync",
	.usage = "[--dry-run] [--leavers N]",
	.help = "follow the directory: who joined, left, is called otherwise, may read what",
	.details = "  --dry-run          say what would be done\n"
		   "  --leavers N        this once, so many may leave\n",
	.run = run,
};

/* --- the store's side --- */

struct side {
	struct sync_person *persons;
	size_t n_persons, persons_room;
	struct sync_grant *grants;
	size_t n_grants, grants_room;
	char **texts; /* everything that the two borrow */
	size_t n_texts, texts_room;
};

static void
side_fini(struct side *side)
{
	for (size_t i = 0; i < side->n_persons; i++)
		free((void *)(uintptr_t)side->persons[i].addrs);
	for (size_t i = 0; i < side->n_texts; i++)
		free(side->texts[i]);
	free(side->persons);
	free(side->grants);
	free(side->texts);
}

/* Room for one more of SIZE in the array at *v. */
static enum rc
grow(void *v, size_t n, size_t *room, size_t size, struct err *err)
{
	void *more;

	if (n < *room)
		return RC_OK;
	more = realloc(*(void **)v, (*room * 2 + 64) * size);
	if (!more)
		return err_set(err, ERR_MEMORY, "persons");
	*(void **)v = more;
	*room = *room * 2 + 64;
	return RC_OK;
}

/* A copy of a member's text, "" when there is none. */
static enum rc
keep(struct side *side, const struct json_value *object, const char *member, const char **out,
	struct err *err)
{
	const char *text = json_get_text(object, member);
	enum rc rc;

	*out = "";
	if (!text)
		return RC_OK;
	rc = grow(&side->texts, side->n_texts, &side->texts_room, sizeof(*side->texts), err);
	if (rc)
		return rc;
	side->texts[side->n_texts] = strdup(text);
	if (!side->texts[side->n_texts])
		return err_set(err, ERR_MEMORY, "persons");
	*out = side->texts[side->n_texts++];
	return RC_OK;
}

static int64_t
time_of(const struct json_value *object, const char *member)
{
	const char *text = json_get_text(object, member);
	int64_t at = 0;

	return text && clock_parse(text, &at, NULL) == RC_OK ? at : 0;
}

static enum rc
take_addrs(struct side *side, const struct json_value *list, struct sync_person *person,
	struct err *err)
{
	struct sync_addr *addrs = calloc(json_count(list) + 1, sizeof(*addrs));
	enum rc rc = addrs ? RC_OK : err_set(err, ERR_MEMORY, "persons");

	person->addrs = addrs;
	for (size_t i = 0; !rc && i < json_count(list); i++) {
		const struct json_value *a = json_at(list, i);

		rc = keep(side, a, "address", &addrs[i].addr, err);
		addrs[i].since = time_of(a, "since");
		addrs[i].until = time_of(a, "until");
		addrs[i].synced = json_is_true(json_find(a, "synced"));
		person->n_addrs = i + 1;
	}
	return rc;
}

static enum rc
take_person(void *ctx, const struct json_value *value, struct err *err)
{
	struct side *side = ctx;
	const char *by = json_get_text(value, "left_by"), *kind = json_get_text(value, "kind");
	struct sync_person *person;
	enum rc rc = grow(
		&side->persons, side->n_persons, &side->persons_room, sizeof(*side->persons), err);

	if (rc)
		return rc;
	person = &side->persons[side->n_persons++];
	*person = (struct sync_person){
		.left = time_of(value, "left"),
		.left_by_sync = by && strcmp(by, "sync") == 0,
		.missing = time_of(value, "missing"),
		.keys = (size_t)json_get_int(value, "keys", 0),
	};
	if (kind)
		(void)person_kind_find(kind, &person->kind);
	rc = keep(side, value, "person", &person->id, err);
	if (!rc)
		rc = keep(side, value, "name", &person->name, err);
	if (!rc)
		rc = keep(side, value, "uid", &person->uid, err);
	return rc ? rc : take_addrs(side, json_find(value, "addresses"), person, err);
}

static enum rc
take_grant(void *ctx, const struct json_value *value, struct err *err)
{
	struct side *side = ctx;
	struct sync_grant *grant;
	enum rc rc;

	if (!json_get_text(value, "origin"))
		return RC_OK; /* an administrator's */
	rc = grow(&side->grants, side->n_grants, &side->grants_room, sizeof(*side->grants), err);
	if (rc)
		return rc;
	grant = &side->grants[side->n_grants++];
	*grant = (struct sync_grant){0};
	rc = keep(side, value, "grant", &grant->id, err);
	if (!rc)
		rc = keep(side, value, "owner", &grant->owner, err);
	if (!rc)
		rc = keep(side, value, "person", &grant->person, err);
	return rc ? rc : keep(side, value, "origin", &grant->origin, err);
}

/* --- carrying it out --- */

struct work {
	struct cli *cli;
	struct admin_session *session;
	struct sync_view view;
	const struct sync_rules *rules;
	struct sync_plan plan;
	char (*made)[STORE_ID_SIZE]; /* entry → id of the person that was made for it */
	char *state;                 /* act → 'd' done, 'f' failed, 0: not done */
	size_t failed;
	bool defer; /* one of them may succeed later */
	bool gone;  /* the vault is: nothing more can be done */
};

/* The acts from I on that are one transaction. */
static size_t
batch(const struct sync_plan *plan, size_t i)
{
	const struct sync_act *first = &plan->v[i];
	size_t n = 1;

	if (first->what == SYNC_KEY || first->what == SYNC_NOTE || first->what == SYNC_CONFLICT)
		return 1;
	while (i + n < plan->n && plan->v[i + n].stage == first->stage &&
		plan->v[i + n].person == first->person && plan->v[i + n].entry == first->entry &&
		plan->v[i + n].what != SYNC_NEW)
		n++;
	return n;
}

static void
put_act(const struct work *w, struct json *json, const struct sync_act *act)
{
	const struct sync_entry *e =
		act->entry == SYNC_NOBODY ? NULL : &w->view.entries[act->entry];

	json_object(json, NULL);
	json_str(json, "do", sync_what_name(act->what));
	json_str(json, "addr", act->addr);
	json_str(json, "from", act->from);
	json_str(json, "owner", act->owner);
	json_str(json, "origin", act->what == SYNC_NEW ? NULL : act->origin);
	json_str(json, "grant", act->grant);
	if (act->what == SYNC_ADDRESS_END)
		json_int(json, "at", act->at);
	if (act->what == SYNC_LEAVE && w->rules->revoke)
		json_bool(json, "revoke", true);
	if (act->what == SYNC_LINK)
		json_str(json, "uid", e->uid);
	if (act->what == SYNC_NAME)
		json_str(json, "name", e->name);
	json_object_end(json);
}

/* The members of a new person: one of the directory's, or a role that a group's grants need. */
static void
put_new(const struct work *w, struct json *json, const struct sync_act *act)
{
	const struct sync_entry *e =
		act->entry == SYNC_NOBODY ? NULL : &w->view.entries[act->entry];

	json_bool(json, "new", true);
	json_str(json, "addr", act->addr);
	json_str(json, "name", e ? e->name : act->origin);
	json_str(json, "kind", person_kind_name(e ? e->kind : PERSON_ROLE));
	json_array(json, "acts");
	json_object(json, NULL);
	json_str(json, "do", sync_what_name(e ? SYNC_LINK : SYNC_ADDRESS_ADD));
	json_str(json, e ? "uid" : "addr", e ? e->uid : act->addr);
	json_object_end(json);
}

/* The person that ACT is about, NULL: who was to be made for it was not. */
static const char *
person_of(const struct work *w, const struct sync_act *act)
{
	if (act->person != SYNC_NOBODY)
		return w->view.persons[act->person].id;
	return act->entry != SYNC_NOBODY && w->made[act->entry][0] ? w->made[act->entry] : NULL;
}

/* N acts on one person. */
static enum rc
do_person(struct work *w, const struct sync_act *act, size_t n, struct err *err)
{
	struct json_value *answer = NULL;
	struct asking asking;
	const char *id;
	enum rc rc;

	if (act->what != SYNC_NEW && !person_of(w, act))
		return err_set(err, ERR_USAGE, "the person was not made");
	asking_begin(&asking, "person.sync");
	if (act->what == SYNC_NEW) {
		put_new(w, &asking.json, act);
	} else {
		json_str(&asking.json, "person", person_of(w, act));
		json_array(&asking.json, "acts");
	}
	for (size_t i = act->what == SYNC_NEW; i < n; i++)
		put_act(w, &asking.json, &act[i]);
	json_array_end(&asking.json);
	rc = asking_send_in(&asking, w->session, &answer, err);
	id = rc ? NULL : json_get_text(json_find(answer, "person"), "person");
	if (id && act->what == SYNC_NEW && act->entry != SYNC_NOBODY)
		snprintf(w->made[act->entry], STORE_ID_SIZE, "%s", id);
	json_free(&answer);
	return rc;
}

static enum rc
do_key(struct work *w, const struct sync_act *act, struct err *err)
{
	const struct conf_group *group = conf_section(w->cli->conf, "people");
	struct json_value *answer = NULL;
	struct asking asking;
	enum rc rc;

	if (!person_of(w, act))
		return err_set(err, ERR_USAGE, "the person was not made");
	asking_begin(&asking, "key.new");
	json_str(&asking.json, "addr", act->addr);
	json_str(&asking.json, "purpose", conf_str(group, "keys"));
	json_str(&asking.json, "type", conf_str(group, "key_type"));
	rc = asking_send_in(&asking, w->session, &answer, err);
	json_free(&answer);
	return rc;
}

/* --- what is printed --- */

static void
print_act(const struct work *w, size_t i)
{
	const struct sync_act *act = &w->plan.v[i];
	const struct sync_entry *e =
		act->entry == SYNC_NOBODY ? NULL : &w->view.entries[act->entry];
	const struct sync_person *p =
		act->person == SYNC_NOBODY ? NULL : &w->view.persons[act->person];
	const char *addr = act->addr         ? act->addr
			   : p && p->n_addrs ? p->addrs[p->n_addrs - 1].addr
			   : e && e->n_addrs ? e->addrs[0]
					     : "-";
	const char *id = person_of(w, act);
	char at[CLOCK_TEXT_SIZE];

	printf("%-13s %-17s  %s", sync_what_name(act->what), id ? id : "-", addr);
	if (act->what == SYNC_NAME || (act->what == SYNC_NEW && e && e->name))
		printf("  \"%s\"", e->name);
	if (act->what == SYNC_LEAVE)
		printf("  missing since %s", clock_format(act->at, at));
	if (act->what == SYNC_ADDRESS_END)
		printf("  at %s", clock_format(act->at, at));
	if (act->from)
		printf("  from %s", act->from);
	if (act->owner)
		printf("  may read what is for %s", act->owner);
	if (act->grant)
		printf(" no longer");
	if (act->origin && act->what != SYNC_NEW)
		printf("  %s", act->origin);
	if (act->why[0])
		printf("  %s", act->why);
	printf("\n");
}

static int
print_json(const struct work *w, bool dry_run, int status)
{
	struct buf text = BUF_INIT(512u << 20);
	struct json json;

	cmd_json_begin(&json, &text);
	json_bool(&json, "dry_run", dry_run);
	json_int(&json, "entries", (int64_t)w->view.n_entries);
	json_int(&json, "known", (int64_t)w->plan.known);
	json_int(&json, "leaving", (int64_t)w->plan.leaving);
	json_int(&json, "failed", (int64_t)w->failed);
	json_array(&json, "acts");
	for (size_t i = 0; i < w->plan.n; i++) {
		const struct sync_act *act = &w->plan.v[i];

		json_object(&json, NULL);
		json_str(&json, "do", sync_what_name(act->what));
		json_str(&json, "person", person_of(w, act));
		json_str(&json, "uid",
			act->entry == SYNC_NOBODY ? NULL : w->view.entries[act->entry].uid);
		json_str(&json, "address", act->addr);
		json_str(&json, "from", act->from);
		json_str(&json, "owner", act->owner);
		json_str(&json, "origin", act->origin);
		json_str(&json, "grant", act->grant);
		if (act->at)
			json_time(&json, "at", act->at);
		json_str(&json, "why", act->why[0] ? act->why : NULL);
		if (w->state[i])
			json_bool(&json, "done", w->state[i] == 'd');
		json_object_end(&json);
	}
	json_array_end(&json);
	return cmd_json_end(&json, status);
}

/* One transaction; that it fails does not keep others from being done. */
static void
do_batch(struct work *w, size_t i, size_t n)
{
	const struct sync_act *act = &w->plan.v[i];
	struct err err = ERR_INIT;
	enum rc rc = act->what == SYNC_NOTE || act->what == SYNC_CONFLICT ? RC_OK
		     : act->what == SYNC_KEY                              ? do_key(w, act, &err)
					     : do_person(w, act, n, &err);

	if (act->what != SYNC_NOTE && act->what != SYNC_CONFLICT)
		memset(w->state + i, rc ? 'f' : 'd', n);
	if (!w->cli->json)
		for (size_t k = 0; k < n; k++)
			print_act(w, i + k);
	if (!rc)
		return;
	fprintf(stderr, "sealgate: %s: %s\n", act->addr ? act->addr : sync_what_name(act->what),
		err.detail[0] ? err.detail : err_public(err.code));
	w->failed++;
	w->defer |= err_rc(err.code) == RC_TEMP;
	w->gone |= err.code == ERR_VAULT_DOWN || err.code == ERR_VAULT_PROTOCOL;
}

static int
carry_out(struct work *w, bool dry_run)
{
	size_t n;

	for (size_t i = 0; i < w->plan.n && !w->gone; i += n) {
		n = batch(&w->plan, i);
		if (!dry_run)
			do_batch(w, i, n);
		else if (!w->cli->json)
			for (size_t k = 0; k < n; k++)
				print_act(w, i + k);
	}
	if (!w->failed)
		return EX_OK;
	fprintf(stderr, "sealgate: %zu of the changes could not be made\n", w->failed);
	return w->defer ? EX_TEMPFAIL : EX_DATAERR;
}

/* Both sides, and the plan. */
static enum rc
make_plan(struct work *w, struct people *people, struct side *side, size_t allowed, struct err *err)
{
	enum rc rc = people_read(people, err);

	/* Not before: without a vault, the session keeps everybody else out. */
	if (!rc)
		rc = admin_open(w->cli->conf, &w->session, err);
	if (!rc)
		rc = person_pages(w->session, &(struct person_list){"person.list", "persons", NULL},
			take_person, side, err);
	if (!rc)
		rc = person_pages(w->session, &(struct person_list){"grant.list", "grants", NULL},
			take_grant, side, err);
	if (rc)
		return rc;
	people_view(people, &w->view);
	w->view.persons = side->persons;
	w->view.n_persons = side->n_persons;
	w->view.grants = side->grants;
	w->view.n_grants = side->n_grants;
	w->view.now = clock_now();
	rc = sync_diff(&w->view, w->rules, &w->plan, err);
	if (rc)
		return rc;
	w->made = calloc(w->view.n_entries + 1, sizeof(*w->made));
	w->state = calloc(w->plan.n + 1, 1);
	if (!w->made || !w->state)
		return err_set(err, ERR_MEMORY, "persons");
	return sync_guard(&w->plan, w->rules, allowed, err);
}

static int
sync_with(struct cli *cli, struct people *people, bool dry_run, size_t allowed)
{
	struct work w = {.cli = cli, .rules = people_rules(people)};
	struct side side = {0};
	struct err err = ERR_INIT;
	int status;

	if (make_plan(&w, people, &side, allowed, &err) == RC_OK) {
		status = carry_out(&w, dry_run);
		if (cli->json)
			status = print_json(&w, dry_run, status);
	} else {
		status = cmd_fail(&err);
	}
	admin_close(&w.session);
	free(w.made);
	free(w.state);
	sync_plan_fini(&w.plan);
	side_fini(&side);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	const char *leavers = NULL;
	bool dry_run = false;
	const struct cmd_opt opts[] = {
		{"dry-run", OPT_FLAG, &dry_run}, {"leavers", OPT_VALUE, &leavers}};
	struct people *people;
	struct err err = ERR_INIT;
	unsigned long allowed = 0;
	char *end = NULL;
	enum rc rc;
	int status;

	if (!cmd_take(&person_sync, cli, &(struct cmd_args){opts, 2, 0, 0}, &argc, argv, &status))
		return status;
	if (leavers)
		allowed = strtoul(leavers, &end, 10);
	if (leavers && (!*leavers || *end || *leavers == '-' || allowed > 1000000))
		return cmd_usage(&person_sync, "--leavers is a number of persons");
	rc = people_new(cli->conf, &people, &err);
	if (rc == RC_NONE) {
		fprintf(stderr, "sealgate: people.directory is not set\n");
		return EX_CONFIG;
	}
	if (rc)
		return cmd_fail(&err);
	status = sync_with(cli, people, dry_run, allowed);
	people_free(&people);
	return status;
}
