/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * person.sync: what the directory makes of one person, as one edit. The acts are those of sync.h;
 * each is checked here as if an administrator had asked for it.
 */
#include "keystore/admin_cmd.h"

#include <stdio.h>
#include <string.h>

#include "keystore/person_edit.h"
#include "keystore/sync.h"

#define ACTS_MAX 200 /* less than records in a change: some acts are two */

/* An address of the act, as the tables know it. */
static enum rc
act_addr(struct admin *a, const struct json_value *act, char out[ADDR_MAX + 1], struct err *err)
{
	struct admin sub = *a;

	sub.request = act;
	return admin_addr(&sub, "addr", out, err);
}

static enum rc
do_missing(struct edit *edit, bool missing, struct err *err)
{
	edit->person.missing = missing ? edit->now : 0;
	edit->changed = true;
	return edit_record(edit, missing ? "person.missing" : "person.found", NULL, err);
}

static enum rc
do_grant(struct admin *a, struct edit *edit, const struct json_value *act, struct err *err)
{
	const char *origin = json_get_text(act, "origin");
	char who[ADDR_MAX + 1], addr[ADDR_MAX + 1], id[STORE_ID_SIZE];
	struct store_grant grant = {.since = edit->now};
	struct store_person owner;
	struct admin sub = *a;
	enum rc rc;

	sub.request = act;
	if (!origin || !*origin || strlen(origin) >= sizeof(grant.origin))
		return err_set(err, ERR_USAGE, "a grant without origin");
	strcpy(grant.origin, origin);
	rc = admin_who(&sub, "owner", who, err);
	if (!rc)
		rc = edit_find(a, who, &owner, addr, err);
	if (rc)
		return rc;
	strcpy(grant.owner, owner.id);
	return edit_grant(edit, &grant, id, err);
}

/* Only grants that came from the directory go with it. */
static enum rc
do_ungrant(struct admin *a, struct edit *edit, const char *id, struct err *err)
{
	struct store_grant grant;
	enum rc rc = store_get_grant(vault_store(a->vault), id ? id : "", &grant, err);

	if (rc == RC_NONE || (!rc && !grant.origin[0]))
		return err_set(err, ERR_USAGE, "no grant %.64s of the directory", id ? id : "");
	return rc ? rc : edit_ungrant(edit, id, err);
}

static enum rc
do_addr(struct admin *a, struct edit *edit, enum sync_what what, const struct json_value *act,
	struct err *err)
{
	const char *from = json_get_text(act, "from");
	int64_t at = json_get_int(act, "at", edit->now);
	char addr[ADDR_MAX + 1];
	enum rc rc = act_addr(a, act, addr, err);

	if (rc)
		return rc;
	switch (what) {
	case SYNC_ADDRESS_ADD:
		return edit_add_addr(edit, addr, edit->now, 0, true, err);
	case SYNC_ADDRESS_TAKE:
		return edit_take_addr(edit, addr, from ? from : "", edit->now, true, err);
	case SYNC_ADDRESS_LINK:
		return edit_sync_addr(edit, addr, err);
	case SYNC_ADDRESS_KEEP:
		return edit_end_addr(edit, addr, 0, err);
	default:
		return edit_end_addr(edit, addr, at < edit->now ? edit->now : at, err);
	}
}

static enum rc
do_act(struct admin *a, struct edit *edit, const struct json_value *act, struct err *err)
{
	const struct edit_leave leave = {
		.by_sync = true, .revoke = json_is_true(json_find(act, "revoke"))};
	const char *text = json_get_text(act, "do"), *name = json_get_text(act, "name"),
		   *uid = json_get_text(act, "uid");
	enum sync_what what;

	if (!text || !sync_what_find(text, &what))
		return err_set(err, ERR_USAGE, "no act \"%.64s\"", text ? text : "");
	switch (what) {
	case SYNC_LINK:
		return uid ? edit_set_uid(edit, uid, err) : err_set(err, ERR_USAGE, "no uid");
	case SYNC_NAME:
		return name ? edit_set_name(edit, name, err) : err_set(err, ERR_USAGE, "no name");
	case SYNC_MISSING:
	case SYNC_FOUND:
		return do_missing(edit, what == SYNC_MISSING, err);
	case SYNC_LEAVE:
		return edit_leave(edit, &leave, err);
	case SYNC_RETURN:
		return edit_return(edit, err);
	case SYNC_GRANT:
		return do_grant(a, edit, act, err);
	case SYNC_UNGRANT:
		return do_ungrant(a, edit, json_get_text(act, "grant"), err);
	case SYNC_ADDRESS_ADD:
	case SYNC_ADDRESS_TAKE:
	case SYNC_ADDRESS_LINK:
	case SYNC_ADDRESS_KEEP:
	case SYNC_ADDRESS_END:
		return do_addr(a, edit, what, act, err);
	default:
		return err_set(err, ERR_USAGE, "\"%s\" is no act on one person", text);
	}
}

/* The first act of a new person. */
static enum rc
begin_new(struct admin *a, struct edit *edit, struct err *err)
{
	const char *kind = json_get_text(a->request, "kind");
	enum person_kind k = PERSON_HUMAN;
	char addr[ADDR_MAX + 1];
	enum rc rc = admin_addr(a, "addr", addr, err);

	if (!rc && kind && (!person_kind_find(kind, &k) || k == PERSON_ORGANISATION))
		rc = err_set(err, ERR_USAGE, "kind: person or role");
	if (rc)
		return rc;
	return edit_begin_new(
		edit, a, "person.add", addr, json_get_text(a->request, "name"), k, err);
}

enum rc
admin_person_sync(struct admin *a, struct err *err)
{
	const struct json_value *acts = json_find(a->request, "acts");
	struct edit edit = {0};
	enum rc rc;

	if (!acts || json_type(acts) != JSON_ARRAY || json_count(acts) > ACTS_MAX)
		return err_set(err, ERR_USAGE, "acts: at most %d", ACTS_MAX);
	rc = json_is_true(json_find(a->request, "new")) ? begin_new(a, &edit, err)
							: admin_begin_edit(a, "person", &edit, err);
	for (size_t i = 0; !rc && i < json_count(acts); i++)
		rc = do_act(a, &edit, json_at(acts, i), err);
	if (!rc)
		rc = edit_commit(&edit, err);
	if (!rc)
		rc = admin_put_person(a, "person", &edit.person, err);
	edit_fini(&edit);
	return rc;
}
