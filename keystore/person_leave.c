/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/person_edit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct leaving {
	struct edit *edit;
	const struct edit_leave *leave;
	int64_t at;
};

/* A grant on the leaver's keys, or to the leaver: over when they are gone. */
static enum rc
end_grant(void *ctx, const struct store_grant *grant, struct err *err)
{
	struct leaving *l = ctx;
	struct store_grant row = *grant;

	if (strcmp(grant->owner, l->edit->person.id) == 0 && (grant->keep || l->leave->keep))
		return RC_OK;
	row.until = row.since > l->at ? row.since : l->at;
	return change_put_grant(&l->edit->change, &row, err);
}

static enum rc
end_addr(void *ctx, const struct store_addr *addr, struct err *err)
{
	struct leaving *l = ctx;
	struct store_addr row = *addr;

	if (row.until && row.until <= l->at)
		return RC_OK;
	row.until = row.since > l->at ? row.since : l->at;
	return change_put_addr(&l->edit->change, &row, err);
}

/* The same address for the successor, for as long as the leaver would have had it. */
static enum rc
hand_over(void *ctx, const struct store_addr *addr, struct err *err)
{
	struct leaving *l = ctx;
	struct store_addr row = {.until = addr->until};
	enum rc rc = end_addr(ctx, addr, err);

	if (rc || !store_addr_is_live(addr, l->at))
		return rc;
	rc = store_new_id('a', row.id, err);
	strcpy(row.person, l->leave->to);
	strcpy(row.addr, addr->addr);
	row.since = l->at;
	return rc ? rc : change_put_addr(&l->edit->change, &row, err);
}

static enum rc
revoke_key(void *ctx, const struct store_key *key, struct err *err)
{
	struct leaving *l = ctx;
	enum rc rc;

	if (key->status == KEY_REVOKED || key->status == KEY_DESTROYED ||
		key->purpose == PURPOSE_CA)
		return RC_OK;
	rc = edit_record(l->edit, "key.revoke", NULL, err);
	return rc ? rc : change_set_status(&l->edit->change, key->id, KEY_REVOKED, err);
}

static enum rc
check_leave(struct leaving *l, struct err *err)
{
	const struct edit *edit = l->edit;
	const struct store_person *person = &edit->person;
	struct store_person to;
	enum rc rc;

	if (!store_person_is_present(person, edit->now))
		return err_set(err, ERR_USAGE, "%s has left already", person->id);
	if (l->at < edit->now)
		return err_set(err, ERR_USAGE, "nobody can have left in the past");
	if (l->leave->revoke && l->at > edit->now)
		return err_set(err, ERR_USAGE, "keys are revoked when their owner leaves now");
	if (!l->leave->to)
		return RC_OK;
	if (strcmp(l->leave->to, person->id) == 0)
		return err_set(err, ERR_USAGE, "to: themselves");
	rc = store_get_person(vault_store(edit->a->vault), l->leave->to, &to, err);
	if (!rc && (!store_person_is_present(&to, l->at) || to.kind == PERSON_ORGANISATION))
		rc = err_set(err, ERR_VAULT_DENIED, "%s cannot take addresses over", to.id);
	return rc == RC_NONE ? err_set(err, ERR_USAGE, "no person %s", l->leave->to) : rc;
}

enum rc
edit_leave(struct edit *edit, const struct edit_leave *leave, struct err *err)
{
	struct store *store = vault_store(edit->a->vault);
	struct store_person *person = &edit->person;
	struct leaving l = {edit, leave, leave->at ? leave->at : edit->now};
	char extra[128];
	enum rc rc = check_leave(&l, err);

	if (rc)
		return rc;
	snprintf(extra, sizeof(extra), "\"at\":%" PRId64 "%s%s%s", l.at,
		leave->to ? ",\"to\":\"" : "", leave->to ? leave->to : "", leave->to ? "\"" : "");
	rc = edit_record(edit, "person.leave", extra, err);
	person->left = l.at > 0 ? l.at : 1; /* 0 would be never */
	person->left_by_sync = leave->by_sync;
	edit->changed = true;
	if (!rc)
		rc = store_list_grants(store, person->id, NULL, l.at, end_grant, &l, err);
	if (!rc)
		rc = store_list_grants(store, NULL, person->id, l.at, end_grant, &l, err);
	if (!rc && leave->to)
		rc = store_list_addrs(store, person->id, hand_over, &l, err);
	else if (!rc && leave->end_addresses)
		rc = store_list_addrs(store, person->id, end_addr, &l, err);
	if (!rc && leave->revoke)
		rc = store_list_keys(store, person->id, "", STORE_MAX_ROWS, revoke_key, &l, err);
	return rc;
}

enum rc
edit_return(struct edit *edit, struct err *err)
{
	if (edit->person.left == 0)
		return err_set(err, ERR_USAGE, "%s has not left", edit->person.id);
	edit->person.left = 0;
	edit->person.left_by_sync = false;
	edit->person.missing = 0;
	edit->changed = true;
	return edit_record(edit, "person.return", NULL, err);
}
