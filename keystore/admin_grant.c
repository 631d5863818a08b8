/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/admin_cmd.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "keystore/person_edit.h"

#define LIMIT_MAX 1000

enum rc
admin_key_grant(struct admin *a, struct err *err)
{
	struct store_grant grant = {.keep = json_is_true(json_find(a->request, "keep"))};
	char who[ADDR_MAX + 1], addr[ADDR_MAX + 1], id[STORE_ID_SIZE];
	struct store_person owner;
	struct edit edit = {0};
	enum rc rc = admin_who(a, "owner", who, err);

	if (!rc)
		rc = edit_find(a, who, &owner, addr, err);
	if (!rc)
		rc = admin_begin_edit(a, "to", &edit, err);
	if (!rc)
		rc = admin_time(a, "since", edit.now, &grant.since, err);
	if (!rc)
		rc = admin_time(a, "until", 0, &grant.until, err);
	if (!rc) {
		strcpy(grant.owner, owner.id);
		rc = edit_grant(&edit, &grant, id, err);
	}
	if (!rc)
		rc = edit_commit(&edit, err);
	if (!rc)
		json_str(a->out, "grant", id);
	edit_fini(&edit);
	return rc;
}

enum rc
admin_key_ungrant(struct admin *a, struct err *err)
{
	const char *id = json_get_text(a->request, "grant");
	struct store_grant grant;
	struct edit edit = {0};
	enum rc rc = id && *id ? store_get_grant(vault_store(a->vault), id, &grant, err)
			       : err_set(err, ERR_USAGE, "\"grant\" is missing");

	if (rc == RC_NONE)
		rc = err_set(err, ERR_USAGE, "no grant %.64s", id);
	if (!rc)
		rc = edit_begin(&edit, a, grant.person, err);
	if (!rc)
		rc = edit_ungrant(&edit, id, err);
	if (!rc)
		rc = edit_commit(&edit, err);
	if (!rc)
		json_str(a->out, "grant", id);
	edit_fini(&edit);
	return rc;
}

/* --- lists --- */

struct naming {
	int64_t now;
	char addr[ADDR_MAX + 1];
};

static enum rc
each_name(void *ctx, const struct store_addr *addr, struct err *err)
{
	struct naming *n = ctx;

	(void)err;
	if (!n->addr[0] && store_addr_is_live(addr, n->now))
		strcpy(n->addr, addr->addr);
	return RC_OK;
}

/* The first address that a person has now, or the id when there is none. */
static enum rc
put_name(struct admin *a, const char *member, const char *person, struct err *err)
{
	struct naming n = {.now = clock_now()};
	enum rc rc = store_list_addrs(vault_store(a->vault), person, each_name, &n, err);

	json_str(a->out, member, n.addr[0] ? n.addr : person);
	return rc;
}

enum rc
admin_put_grant(struct admin *a, const struct store_grant *grant, struct err *err)
{
	enum rc rc;

	json_object(a->out, NULL);
	json_str(a->out, "grant", grant->id);
	json_str(a->out, "owner", grant->owner);
	json_str(a->out, "person", grant->person);
	rc = put_name(a, "from", grant->owner, err);
	if (!rc)
		rc = put_name(a, "to", grant->person, err);
	json_time(a->out, "since", grant->since);
	if (grant->until)
		json_time(a->out, "until", grant->until);
	if (grant->keep)
		json_bool(a->out, "keep", true);
	if (grant->origin[0])
		json_str(a->out, "origin", grant->origin);
	json_bool(a->out, "live", store_grant_is_live(grant, clock_now()));
	json_object_end(a->out);
	return rc;
}

struct list {
	struct admin *a;
	bool over;                /* also those that are */
	char whom[STORE_ID_SIZE]; /* only those on this person's keys, and to them; "": all */
	char last[STORE_ID_SIZE];
	size_t n;
};

static enum rc
each_grant(void *ctx, const struct store_grant *grant, struct err *err)
{
	struct list *list = ctx;

	list->n++;
	strcpy(list->last, grant->id);
	if (!list->over && grant->until && grant->until <= clock_now())
		return RC_OK;
	if (list->whom[0] && strcmp(list->whom, grant->owner) != 0 &&
		strcmp(list->whom, grant->person) != 0)
		return RC_OK;
	return admin_put_grant(list->a, grant, err);
}

enum rc
admin_grant_list(struct admin *a, struct err *err)
{
	const char *after = json_get_text(a->request, "after");
	int64_t limit = json_get_int(a->request, "limit", LIMIT_MAX);
	struct list list = {.a = a, .over = json_is_true(json_find(a->request, "all"))};
	char who[ADDR_MAX + 1], addr[ADDR_MAX + 1];
	struct store_person person;
	enum rc rc = RC_OK;

	if (limit < 1 || limit > LIMIT_MAX)
		return err_set(err, ERR_USAGE, "limit: 1 to %d", LIMIT_MAX);
	if (json_find(a->request, "addr")) {
		rc = admin_who(a, "addr", who, err);
		if (!rc)
			rc = edit_find(a, who, &person, addr, err);
		if (!rc)
			strcpy(list.whom, person.id);
	}
	json_array(a->out, "grants");
	if (!rc)
		rc = store_list_all_grants(vault_store(a->vault), after ? after : "", (size_t)limit,
			each_grant, &list, err);
	json_array_end(a->out);
	if (list.n == (size_t)limit)
		json_str(a->out, "next", list.last);
	return rc;
}
