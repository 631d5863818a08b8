/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/person_edit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

enum rc
edit_find(struct admin *a, const char *who, struct store_person *out, char addr[ADDR_MAX + 1],
	struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_addr row;
	enum rc rc;

	addr[0] = 0;
	if (!strchr(who, '@')) {
		rc = store_get_person(store, who, out, err);
		return rc == RC_NONE ? err_set(err, ERR_VAULT_NO_KEY, "no person %.64s", who) : rc;
	}
	rc = store_find_addr(store, who, clock_now(), &row, err);
	if (rc)
		return rc == RC_NONE
			       ? err_set(err, ERR_VAULT_NO_KEY, "nobody has the address %s", who)
			       : rc;
	strcpy(addr, row.addr);
	rc = store_get_person(store, row.person, out, err);
	return rc == RC_NONE ? err_set(err, ERR_KEYSTORE_TAMPERED, "an address belongs to nobody")
			     : rc;
}

/* For records about a person who is named by id: an address of theirs, the newest that is live. */
static enum rc
pick_subject(void *ctx, const struct store_addr *addr, struct err *err)
{
	struct edit *edit = ctx;

	(void)err;
	if (store_addr_is_live(addr, edit->now))
		strcpy(edit->subject, addr->addr);
	return RC_OK;
}

enum rc
edit_begin(struct edit *edit, struct admin *a, const char *who, struct err *err)
{
	enum rc rc;

	*edit = (struct edit){.a = a, .now = clock_now()};
	rc = edit_find(a, who, &edit->person, edit->subject, err);
	if (!rc && !edit->subject[0])
		rc = store_list_addrs(
			vault_store(a->vault), edit->person.id, pick_subject, edit, err);
	if (!rc && edit->person.kind == PERSON_ORGANISATION)
		rc = err_set(err, ERR_VAULT_DENIED, "%s is the organisation", edit->person.id);
	return rc;
}

static enum rc
check_name(const char *name, struct err *err)
{
	if (!*name || strlen(name) >= STORE_NAME_SIZE)
		return err_set(err, ERR_USAGE, "name: 1 to %d bytes", STORE_NAME_SIZE - 1);
	return RC_OK;
}

enum rc
edit_begin_new(struct edit *edit, struct admin *a, const char *event, const char *addr,
	const char *name, enum person_kind kind, struct err *err)
{
	enum rc rc = check_name(name ? name : addr, err);

	*edit = (struct edit){.a = a, .now = clock_now()};
	edit->person.created = edit->now;
	edit->person.kind = kind;
	if (!rc && kind == PERSON_ORGANISATION)
		rc = err_set(err, ERR_USAGE, "kind: person or role");
	if (!rc)
		rc = store_new_id('p', edit->person.id, err);
	if (rc)
		return rc;
	snprintf(edit->subject, sizeof(edit->subject), "%s", addr);
	strcpy(edit->person.name, name ? name : addr);
	edit->changed = true;
	return edit_record(edit, event, NULL, err);
}

void
edit_fini(struct edit *edit)
{
	change_fini(&edit->change);
}

enum rc
edit_commit(struct edit *edit, struct err *err)
{
	enum rc rc = RC_OK;

	if (edit->changed)
		rc = change_put_person(&edit->change, &edit->person, err);
	return rc ? rc : change_commit(edit->a, &edit->change, err);
}

enum rc
edit_record(struct edit *edit, const char *event, const char *extra, struct err *err)
{
	char detail[256];

	snprintf(detail, sizeof(detail), "{\"person\":\"%s\"%s%s}", edit->person.id,
		extra ? "," : "", extra ? extra : "");
	return change_record(&edit->change, event, edit->subject, detail, err);
}

enum rc
edit_set_name(struct edit *edit, const char *name, struct err *err)
{
	enum rc rc = check_name(name, err);

	if (rc)
		return rc;
	strcpy(edit->person.name, name);
	edit->changed = true;
	return edit_record(edit, "person.set", NULL, err);
}

enum rc
edit_set_uid(struct edit *edit, const char *uid, struct err *err)
{
	struct store_person other;
	enum rc rc;

	if (strlen(uid) >= STORE_UID_SIZE)
		return err_set(err, ERR_USAGE, "unique id: at most %d bytes", STORE_UID_SIZE - 1);
	rc = store_find_uid(vault_store(edit->a->vault), uid, &other, err);
	if (!rc && strcmp(other.id, edit->person.id) != 0)
		return err_set(err, ERR_KEY_EXISTS, "the unique id %s is %s's", uid, other.id);
	if (rc < 0)
		return rc;
	strcpy(edit->person.uid, uid);
	edit->person.missing = 0;
	edit->changed = true;
	return edit_record(edit, "person.set", NULL, err);
}

/* --- addresses --- */

/* A period that may meet others of the same address. */
struct meeting {
	const struct edit *edit;
	int64_t since, until;
	bool met;
	struct store_addr with;
};

static enum rc
each_meeting(void *ctx, const struct store_addr *addr, struct err *err)
{
	struct meeting *m = ctx;
	const struct store_addr *row = change_find_addr(&m->edit->change, addr->id);

	(void)err;
	row = row ? row : addr;
	if (row->until && row->until <= row->since)
		return RC_OK; /* it ended before it began */
	if ((row->until == 0 || m->since < row->until) &&
		(m->until == 0 || row->since < m->until)) {
		m->met = true;
		m->with = *row;
	}
	return RC_OK;
}

/* Is ADDR nobody's from SINCE to UNTIL? */
static enum rc
check_free(struct edit *edit, const char *addr, int64_t since, int64_t until, struct err *err)
{
	struct meeting m = {.edit = edit, .since = since, .until = until};
	struct store *store = vault_store(edit->a->vault);
	struct store_person holder;
	enum rc rc = store_list_holders(store, addr, each_meeting, &m, err);

	for (size_t i = 0; i < edit->change.n_rows; i++) {
		const struct change_row *row = &edit->change.rows[i];

		if (row->type == CHANGE_ADDR && strcasecmp(row->addr.addr, addr) == 0)
			(void)each_meeting(&m, &row->addr, err);
	}
	if (rc || !m.met)
		return rc;
	if (strcmp(m.with.person, edit->person.id) == 0)
		return err_set(err, ERR_KEY_EXISTS, "%s is theirs already", addr);
	rc = store_get_person(store, m.with.person, &holder, err);
	if (rc)
		return rc == RC_NONE
			       ? err_set(err, ERR_KEYSTORE_TAMPERED, "an address belongs to nobody")
			       : rc;
	return err_set(err, ERR_KEY_EXISTS, "%s is somebody's already (%s%s)", addr, holder.id,
		store_person_is_present(&holder, edit->now)
			? ""
			: ", who has left: person address end or move");
}

enum rc
edit_add_addr(struct edit *edit, const char *addr, int64_t since, int64_t until, bool synced,
	struct err *err)
{
	struct store_addr row = {.since = since, .until = until, .synced = synced};
	char extra[96], subject[ADDR_MAX + 1];
	enum rc rc;

	if (until && until <= since)
		return err_set(err, ERR_USAGE, "%s would end before it begins", addr);
	rc = check_free(edit, addr, since, until, err);
	if (!rc)
		rc = store_new_id('a', row.id, err);
	if (rc)
		return rc;
	strcpy(row.person, edit->person.id);
	snprintf(row.addr, sizeof(row.addr), "%s", addr);
	/* The record is about this address. */
	strcpy(subject, edit->subject);
	strcpy(edit->subject, row.addr);
	snprintf(extra, sizeof(extra), "\"since\":%" PRId64 ",\"until\":%" PRId64, since, until);
	rc = edit_record(edit, "address.add", extra, err);
	if (subject[0])
		strcpy(edit->subject, subject);
	return rc ? rc : change_put_addr(&edit->change, &row, err);
}

/* The row by which PERSON has ADDR now, or failing that is to have it. */
struct holding {
	const struct edit *edit;
	const char *person;
	bool found;
	struct store_addr row;
};

static enum rc
each_holding(void *ctx, const struct store_addr *addr, struct err *err)
{
	struct holding *h = ctx;

	(void)err;
	if (strcmp(addr->person, h->person) != 0 ||
		(addr->until && (addr->until <= h->edit->now || addr->until <= addr->since)))
		return RC_OK;
	if (!h->found) {
		h->found = true;
		h->row = *addr;
	}
	return RC_OK;
}

static enum rc
find_holding(struct edit *edit, const char *addr, const char *person, struct store_addr *row,
	struct err *err)
{
	struct holding h = {.edit = edit, .person = person};
	enum rc rc = store_list_holders(vault_store(edit->a->vault), addr, each_holding, &h, err);

	if (!rc && !h.found)
		rc = err_set(err, ERR_USAGE, "%s is not an address of %s", addr, person);
	*row = h.row;
	return rc;
}

/* The record, then ROW with its new end. */
static enum rc
put_end(struct edit *edit, struct store_addr *row, int64_t at, struct err *err)
{
	char extra[96], subject[ADDR_MAX + 1];
	enum rc rc;

	if (at && at < edit->now)
		return err_set(err, ERR_USAGE, "%s cannot end in the past", row->addr);
	/* What has not begun never was. */
	row->until = at && at < row->since ? row->since : at;
	strcpy(subject, edit->subject);
	strcpy(edit->subject, row->addr);
	snprintf(extra, sizeof(extra), "\"from\":\"%s\",\"until\":%" PRId64, row->person, at);
	rc = edit_record(edit, "address.end", extra, err);
	strcpy(edit->subject, subject);
	return rc ? rc : change_put_addr(&edit->change, row, err);
}

enum rc
edit_end_addr(struct edit *edit, const char *addr, int64_t at, struct err *err)
{
	struct store_addr row;
	enum rc rc = find_holding(edit, addr, edit->person.id, &row, err);

	if (!rc && row.until == at)
		return RC_OK;
	/* What ends later might meet what was to come after. */
	if (!rc && row.until && (at == 0 || at > row.until))
		rc = check_free(edit, addr, row.until, at, err);
	return rc ? rc : put_end(edit, &row, at, err);
}

enum rc
edit_take_addr(struct edit *edit, const char *addr, const char *from, int64_t at, bool synced,
	struct err *err)
{
	struct store_addr row;
	enum rc rc = find_holding(edit, addr, from, &row, err);

	if (!rc && strcmp(from, edit->person.id) == 0)
		rc = err_set(err, ERR_USAGE, "%s is theirs already", addr);
	if (!rc && (row.until == 0 || row.until > at))
		rc = put_end(edit, &row, at, err);
	return rc ? rc : edit_add_addr(edit, row.addr, at, 0, synced, err);
}

enum rc
edit_sync_addr(struct edit *edit, const char *addr, struct err *err)
{
	struct store_addr row;
	enum rc rc = find_holding(edit, addr, edit->person.id, &row, err);

	if (rc || row.synced)
		return rc;
	row.synced = true;
	if (!edit->change.n_records)
		rc = edit_record(edit, "person.set", NULL, err);
	return rc ? rc : change_put_addr(&edit->change, &row, err);
}

/* --- grants --- */

/* How long a grant may go: not beyond the leaving of who gets it, nor of who gives it, unless it is
 * made for that. */
static enum rc
cap_grant(struct edit *edit, struct store_grant *grant, struct err *err)
{
	struct store_person owner;
	enum rc rc = store_get_person(vault_store(edit->a->vault), grant->owner, &owner, err);

	if (rc)
		return rc == RC_NONE ? err_set(err, ERR_USAGE, "no person %s", grant->owner) : rc;
	if (owner.kind == PERSON_ORGANISATION)
		return err_set(err, ERR_VAULT_DENIED, "nothing is encrypted for the organisation");
	if (!store_person_is_present(&edit->person, edit->now))
		return err_set(err, ERR_VAULT_DENIED, "%s has left", edit->person.id);
	if (!grant->keep && owner.left > edit->now &&
		(grant->until == 0 || grant->until > owner.left))
		grant->until = owner.left;
	if (edit->person.left && (grant->until == 0 || grant->until > edit->person.left))
		grant->until = edit->person.left;
	return RC_OK;
}

enum rc
edit_grant(
	struct edit *edit, const struct store_grant *terms, char id[STORE_ID_SIZE], struct err *err)
{
	struct store_grant grant = *terms;
	char extra[192];
	enum rc rc = cap_grant(edit, &grant, err);

	if (rc)
		return rc;
	if (strcmp(grant.owner, edit->person.id) == 0)
		return err_set(err, ERR_USAGE, "%s needs no grant on their own keys", grant.owner);
	if (grant.until && (grant.until <= grant.since || grant.until <= edit->now))
		return err_set(err, ERR_USAGE, "the grant would be over before it begins");
	rc = store_new_id('g', grant.id, err);
	if (rc)
		return rc;
	strcpy(grant.person, edit->person.id);
	grant.created = edit->now;
	snprintf(extra, sizeof(extra),
		"\"grant\":\"%s\",\"owner\":\"%s\",\"since\":%" PRId64 ",\"until\":%" PRId64,
		grant.id, grant.owner, grant.since, grant.until);
	rc = edit_record(edit, "key.grant", extra, err);
	if (rc)
		return rc;
	memcpy(id, grant.id, STORE_ID_SIZE);
	return change_put_grant(&edit->change, &grant, err);
}

enum rc
edit_ungrant(struct edit *edit, const char *id, struct err *err)
{
	struct store_grant grant;
	char extra[128];
	enum rc rc = store_get_grant(vault_store(edit->a->vault), id, &grant, err);

	if (rc == RC_NONE || (!rc && strcmp(grant.person, edit->person.id) != 0))
		return err_set(err, ERR_USAGE, "no grant %.64s", id);
	if (rc)
		return rc;
	if (grant.until && grant.until <= edit->now)
		return err_set(err, ERR_USAGE, "grant %s is over already", id);
	grant.until = grant.since > edit->now ? grant.since : edit->now;
	snprintf(extra, sizeof(extra), "\"grant\":\"%s\",\"owner\":\"%s\"", grant.id, grant.owner);
	rc = edit_record(edit, "key.ungrant", extra, err);
	return rc ? rc : change_put_grant(&edit->change, &grant, err);
}
