/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/admin_cmd.h"

#include <string.h>

#include "base/clock.h"
#include "keystore/person_edit.h"

#define LIMIT_MAX 1000

static enum rc
put_addr(void *ctx, const struct store_addr *addr, struct err *err)
{
	(void)err;
	json_object(ctx, NULL);
	json_str(ctx, "address", addr->addr);
	json_time(ctx, "since", addr->since);
	if (addr->until)
		json_time(ctx, "until", addr->until);
	if (addr->synced)
		json_bool(ctx, "synced", true);
	json_object_end(ctx);
	return RC_OK;
}

struct counting {
	int64_t active, all;
};

static enum rc
count_key(void *ctx, const struct store_key *key, struct err *err)
{
	struct counting *n = ctx;

	(void)err;
	n->all++;
	n->active += key->status == KEY_ACTIVE;
	return RC_OK;
}

enum rc
admin_put_person(
	struct admin *a, const char *member, const struct store_person *person, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct counting keys = {0};
	enum rc rc;

	json_object(a->out, member);
	json_str(a->out, "person", person->id);
	json_str(a->out, "name", person->name);
	json_str(a->out, "kind", person_kind_name(person->kind));
	json_bool(a->out, "client_key", person->client_key);
	json_time(a->out, "created", person->created);
	json_str(
		a->out, "state", store_person_is_present(person, clock_now()) ? "present" : "left");
	if (person->left) {
		json_time(a->out, "left", person->left);
		json_str(a->out, "left_by", person->left_by_sync ? "sync" : "operator");
	}
	if (person->uid[0])
		json_str(a->out, "uid", person->uid);
	if (person->missing)
		json_time(a->out, "missing", person->missing);
	rc = store_list_keys(store, person->id, "", STORE_MAX_ROWS, count_key, &keys, err);
	json_int(a->out, "keys", keys.all);
	json_int(a->out, "active_keys", keys.active);
	json_array(a->out, "addresses");
	if (!rc)
		rc = store_list_addrs(store, person->id, put_addr, a->out, err);
	json_array_end(a->out);
	json_object_end(a->out);
	return rc;
}

enum rc
admin_time(struct admin *a, const char *member, int64_t otherwise, int64_t *out, struct err *err)
{
	const char *text = json_get_text(a->request, member);

	*out = otherwise;
	if (!text)
		return RC_OK;
	if (clock_parse(text, out, err) || *out < 0)
		return err_set(err, ERR_USAGE,
			"%s: not an RFC 3339 time or date, such as 2026-12-31", member);
	return RC_OK;
}

enum rc
admin_who(struct admin *a, const char *member, char out[ADDR_MAX + 1], struct err *err)
{
	const char *text = json_get_text(a->request, member);

	if (text && *text && !strchr(text, '@') && strlen(text) < STORE_ID_SIZE) {
		strcpy(out, text);
		return RC_OK;
	}
	return admin_addr(a, member, out, err);
}

enum rc
admin_begin_edit(struct admin *a, const char *member, struct edit *edit, struct err *err)
{
	char who[ADDR_MAX + 1];
	enum rc rc = admin_who(a, member, who, err);

	*edit = (struct edit){0};
	return rc ? rc : edit_begin(edit, a, who, err);
}

/* Carries the steps out and shows what became of the person; RC: how the steps went. */
static enum rc
finish(struct edit *edit, enum rc rc, struct err *err)
{
	if (!rc)
		rc = edit_commit(edit, err);
	if (!rc)
		rc = admin_put_person(edit->a, "person", &edit->person, err);
	edit_fini(edit);
	return rc;
}

static enum rc
get_kind(struct admin *a, enum person_kind *kind, struct err *err)
{
	const char *text = json_get_text(a->request, "kind");

	if (text && (!person_kind_find(text, kind) || *kind == PERSON_ORGANISATION))
		return err_set(err, ERR_USAGE, "kind: person or role");
	return RC_OK;
}

enum rc
admin_person_add(struct admin *a, struct err *err)
{
	const struct json_value *aliases = json_find(a->request, "aliases");
	const char *uid = json_get_text(a->request, "uid");
	enum person_kind kind = PERSON_HUMAN;
	struct edit edit = {0};
	char addr[ADDR_MAX + 1];
	enum rc rc = admin_addr(a, "addr", addr, err);

	if (!rc)
		rc = get_kind(a, &kind, err);
	if (!rc)
		rc = edit_begin_new(
			&edit, a, "person.add", addr, json_get_text(a->request, "name"), kind, err);
	edit.person.client_key = json_is_true(json_find(a->request, "client_key"));
	if (!rc)
		rc = edit_add_addr(&edit, addr, edit.now, 0, false, err);
	for (size_t i = 0; !rc && i < json_count(aliases); i++) {
		const char *alias = json_text(json_at(aliases, i));

		rc = alias ? settings_resolve(a->settings, alias, addr, err)
			   : err_set(err, ERR_USAGE, "aliases: not addresses");
		if (!rc && !addr_domain(addr))
			rc = err_set(err, ERR_USAGE, "\"%.200s\" is no mail address", alias);
		if (!rc)
			rc = edit_add_addr(&edit, addr, edit.now, 0, false, err);
	}
	if (!rc && uid)
		rc = edit_set_uid(&edit, uid, err);
	return finish(&edit, rc, err);
}

enum rc
admin_person_set(struct admin *a, struct err *err)
{
	const char *name = json_get_text(a->request, "name"),
		   *uid = json_get_text(a->request, "uid");
	const struct json_value *client_key = json_find(a->request, "client_key");
	struct edit edit;
	enum rc rc = admin_begin_edit(a, "addr", &edit, err);

	if (!rc)
		rc = get_kind(a, &edit.person.kind, err);
	if (!rc && name)
		rc = edit_set_name(&edit, name, err);
	if (!rc && uid)
		rc = edit_set_uid(&edit, uid, err);
	if (client_key)
		edit.person.client_key = json_is_true(client_key);
	if (!rc && !edit.changed)
		rc = edit_record(&edit, "person.set", NULL, err);
	edit.changed = true;
	return finish(&edit, rc, err);
}

struct list {
	struct admin *a;
	char last[STORE_ID_SIZE];
	size_t n;
};

static enum rc
each_person(void *ctx, const struct store_person *person, struct err *err)
{
	struct list *list = ctx;

	list->n++;
	strcpy(list->last, person->id);
	return admin_put_person(list->a, NULL, person, err);
}

enum rc
admin_person_list(struct admin *a, struct err *err)
{
	const char *after = json_get_text(a->request, "after");
	int64_t limit = json_get_int(a->request, "limit", LIMIT_MAX);
	struct list list = {.a = a};
	enum rc rc;

	if (limit < 1 || limit > LIMIT_MAX)
		return err_set(err, ERR_USAGE, "limit: 1 to %d", LIMIT_MAX);
	json_array(a->out, "persons");
	rc = store_list_persons(
		vault_store(a->vault), after ? after : "", (size_t)limit, each_person, &list, err);
	json_array_end(a->out);
	if (list.n == (size_t)limit)
		json_str(a->out, "next", list.last);
	return rc;
}

/* Everybody who ever had an address, each once, the first first. */
#define HOLDERS_MAX 64
struct holders {
	char ids[HOLDERS_MAX][STORE_ID_SIZE];
	size_t n;
};

static enum rc
each_holder(void *ctx, const struct store_addr *addr, struct err *err)
{
	struct holders *h = ctx;

	(void)err;
	for (size_t i = 0; i < h->n; i++)
		if (strcmp(h->ids[i], addr->person) == 0)
			return RC_OK;
	if (h->n < HOLDERS_MAX)
		memcpy(h->ids[h->n++], addr->person, STORE_ID_SIZE);
	return RC_OK;
}

enum rc
admin_person_show(struct admin *a, struct err *err)
{
	struct holders h = {.n = 0};
	struct store_person person;
	char who[ADDR_MAX + 1];
	enum rc rc = admin_who(a, "addr", who, err);

	if (!rc && strchr(who, '@')) {
		rc = store_list_holders(vault_store(a->vault), who, each_holder, &h, err);
	} else if (!rc) {
		strcpy(h.ids[0], who);
		h.n = 1;
	}
	json_array(a->out, "persons");
	for (size_t i = 0; !rc && i < h.n; i++) {
		rc = store_get_person(vault_store(a->vault), h.ids[i], &person, err);
		if (!rc)
			rc = admin_put_person(a, NULL, &person, err);
	}
	json_array_end(a->out);
	if (rc == RC_NONE && !strchr(who, '@'))
		rc = err_set(err, ERR_VAULT_NO_KEY, "no person %s", who);
	else if (rc == RC_NONE)
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "an address belongs to nobody");
	else if (!rc && h.n == 0)
		rc = err_set(err, ERR_VAULT_NO_KEY, "nobody ever had the address %s", who);
	return rc;
}

enum rc
admin_person_rename(struct admin *a, struct err *err)
{
	const char *name = json_get_text(a->request, "name");
	char fresh[ADDR_MAX + 1], old[ADDR_MAX + 1];
	struct edit edit = {0};
	int64_t until;
	enum rc rc = admin_addr(a, "addr", old, err);

	if (!rc)
		rc = admin_addr(a, "new", fresh, err);
	if (!rc)
		rc = admin_time(a, "until", 0, &until, err);
	if (!rc)
		rc = edit_begin(&edit, a, old, err);
	if (!rc)
		rc = edit_add_addr(&edit, fresh, edit.now, 0, false, err);
	if (!rc && until)
		rc = edit_end_addr(&edit, old, until, err);
	if (!rc && name)
		rc = edit_set_name(&edit, name, err);
	return finish(&edit, rc, err);
}

enum rc
admin_person_leave(struct admin *a, struct err *err)
{
	struct edit_leave leave = {
		.keep = json_is_true(json_find(a->request, "keep")),
		.end_addresses = json_is_true(json_find(a->request, "end_addresses")),
		.revoke = json_is_true(json_find(a->request, "revoke")),
	};
	char who[ADDR_MAX + 1], addr[ADDR_MAX + 1];
	struct store_person to;
	struct edit edit;
	enum rc rc = admin_begin_edit(a, "addr", &edit, err);

	if (!rc)
		rc = admin_time(a, "at", 0, &leave.at, err);
	if (!rc && json_find(a->request, "to")) {
		rc = admin_who(a, "to", who, err);
		if (!rc)
			rc = edit_find(a, who, &to, addr, err);
		leave.to = to.id;
	}
	if (!rc)
		rc = edit_leave(&edit, &leave, err);
	return finish(&edit, rc, err);
}

enum rc
admin_person_return(struct admin *a, struct err *err)
{
	struct edit edit;
	enum rc rc = admin_begin_edit(a, "addr", &edit, err);

	if (!rc)
		rc = edit_return(&edit, err);
	return finish(&edit, rc, err);
}

enum rc
admin_address_add(struct admin *a, struct err *err)
{
	char addr[ADDR_MAX + 1];
	int64_t since, until;
	struct edit edit;
	enum rc rc = admin_begin_edit(a, "addr", &edit, err);

	if (!rc)
		rc = admin_addr(a, "new", addr, err);
	if (!rc)
		rc = admin_time(a, "since", edit.now, &since, err);
	if (!rc)
		rc = admin_time(a, "until", 0, &until, err);
	if (!rc && !store_person_is_present(&edit.person, edit.now))
		rc = err_set(err, ERR_VAULT_DENIED, "%s has left", edit.person.id);
	if (!rc)
		rc = edit_add_addr(&edit, addr, since, until, false, err);
	return finish(&edit, rc, err);
}

enum rc
admin_address_end(struct admin *a, struct err *err)
{
	char addr[ADDR_MAX + 1];
	struct edit edit = {0};
	int64_t at;
	enum rc rc = admin_addr(a, "addr", addr, err);

	if (!rc)
		rc = edit_begin(&edit, a, addr, err);
	if (!rc)
		rc = admin_time(a, "at", edit.now, &at, err);
	if (!rc && json_is_true(json_find(a->request, "never")))
		at = 0;
	if (!rc)
		rc = edit_end_addr(&edit, addr, at, err);
	return finish(&edit, rc, err);
}

enum rc
admin_address_move(struct admin *a, struct err *err)
{
	char addr[ADDR_MAX + 1], ignored[ADDR_MAX + 1];
	struct store_person from;
	struct edit edit;
	int64_t at;
	enum rc rc = admin_begin_edit(a, "to", &edit, err);

	if (!rc)
		rc = admin_addr(a, "addr", addr, err);
	if (!rc)
		rc = admin_time(a, "at", edit.now, &at, err);
	if (!rc)
		rc = edit_find(a, addr, &from, ignored, err);
	if (!rc && !store_person_is_present(&edit.person, at))
		rc = err_set(err, ERR_VAULT_DENIED, "%s has left", edit.person.id);
	if (!rc && from.kind == PERSON_ORGANISATION)
		rc = err_set(err, ERR_VAULT_DENIED, "%s is the organisation's", addr);
	if (!rc)
		rc = edit_take_addr(&edit, addr, from.id, at, false, err);
	return finish(&edit, rc, err);
}
