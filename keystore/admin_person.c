/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/admin_cmd.h"

#include <string.h>

#include "base/clock.h"

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
	json_object_end(ctx);
	return RC_OK;
}

static enum rc
put_person(struct admin *a, const char *member, const struct store_person *person, struct err *err)
{
	enum rc rc;

	json_object(a->out, member);
	json_str(a->out, "person", person->id);
	json_str(a->out, "name", person->name);
	json_str(a->out, "kind", person_kind_name(person->kind));
	json_bool(a->out, "client_key", person->client_key);
	json_time(a->out, "created", person->created);
	json_array(a->out, "addresses");
	rc = store_list_addrs(vault_store(a->vault), person->id, put_addr, a->out, err);
	json_array_end(a->out);
	json_object_end(a->out);
	return rc;
}

/* Who has the address in MEMBER now. */
static enum rc
find_person(struct admin *a, const char *member, struct store_addr *row,
	struct store_person *person, struct err *err)
{
	char addr[ADDR_MAX + 1];
	enum rc rc = admin_addr(a, member, addr, err);

	if (!rc)
		rc = store_find_addr(vault_store(a->vault), addr, clock_now(), row, err);
	if (!rc)
		rc = store_get_person(vault_store(a->vault), row->person, person, err);
	return rc == RC_NONE ? err_set(err, ERR_USAGE, "nobody has the address %s", addr) : rc;
}

/* Member as a time; OTHERWISE when it is absent. */
static enum rc
get_time(struct admin *a, const char *member, int64_t otherwise, int64_t *out, struct err *err)
{
	const char *text = json_get_text(a->request, member);

	*out = otherwise;
	if (!text)
		return RC_OK;
	if (clock_parse(text, out, err))
		return err_set(err, ERR_USAGE, "%s: not a time", member);
	return RC_OK;
}

enum rc
admin_person_add(struct admin *a, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_person person;
	struct store_addr row;
	char addr[ADDR_MAX + 1];
	uint64_t seq;
	enum rc rc = admin_addr(a, "addr", addr, err);

	if (!rc) {
		rc = store_find_addr(store, addr, clock_now(), &row, err);
		rc = rc == RC_OK     ? err_set(err, ERR_KEY_EXISTS, "%s is there already", addr)
		     : rc == RC_NONE ? RC_OK
				     : rc;
	}
	if (!rc)
		rc = admin_record(a, "person.add", NULL, addr, NULL, &seq, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = admin_get_person(a, addr, seq, &person, err);
	if (!rc)
		rc = store_commit(store, err);
	return rc ? rc : put_person(a, "person", &person, err);
}

enum rc
admin_person_set(struct admin *a, struct err *err)
{
	const char *name = json_get_text(a->request, "name");
	const struct json_value *client_key = json_find(a->request, "client_key");
	struct store *store = vault_store(a->vault);
	struct store_person person;
	struct store_addr row;
	uint64_t seq;
	enum rc rc = find_person(a, "addr", &row, &person, err);

	if (!rc && name && (!*name || strlen(name) >= sizeof(person.name)))
		rc = err_set(err, ERR_USAGE, "name: 1 to %d bytes", STORE_NAME_SIZE - 1);
	if (!rc)
		rc = admin_record(a, "person.set", NULL, row.addr, NULL, &seq, err);
	if (rc)
		return rc;
	if (name)
		strcpy(person.name, name);
	if (client_key)
		person.client_key = json_is_true(client_key);
	person.seq = (int64_t)seq;
	rc = store_begin(store, err);
	if (!rc)
		rc = store_put_person(store, &person, err);
	if (!rc)
		rc = store_commit(store, err);
	return rc ? rc : put_person(a, "person", &person, err);
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
	return put_person(list->a, NULL, person, err);
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

enum rc
admin_address_add(struct admin *a, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_addr row, other, fresh = {.since = clock_now()};
	struct store_person person;
	uint64_t seq;
	enum rc rc = find_person(a, "addr", &row, &person, err);

	if (!rc)
		rc = admin_addr(a, "new", fresh.addr, err);
	if (!rc)
		rc = get_time(a, "until", 0, &fresh.until, err);
	if (!rc) {
		rc = store_find_addr(store, fresh.addr, fresh.since, &other, err);
		rc = rc == RC_OK
			     ? err_set(err, ERR_KEY_EXISTS, "%s is somebody's already", fresh.addr)
		     : rc == RC_NONE ? RC_OK
				     : rc;
	}
	if (!rc)
		rc = store_new_id('a', fresh.id, err);
	if (!rc)
		rc = admin_record(a, "address.add", NULL, fresh.addr, NULL, &seq, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc) {
		strcpy(fresh.person, person.id);
		fresh.seq = (int64_t)seq;
		rc = store_put_addr(store, &fresh, err);
	}
	if (!rc)
		rc = store_commit(store, err);
	return rc ? rc : put_person(a, "person", &person, err);
}

enum rc
admin_address_end(struct admin *a, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_person person;
	struct store_addr row;
	uint64_t seq;
	int64_t at;
	enum rc rc = find_person(a, "addr", &row, &person, err);

	if (!rc)
		rc = get_time(a, "at", clock_now(), &at, err);
	if (!rc && at < row.since)
		rc = err_set(err, ERR_USAGE, "at: before the address was theirs");
	if (!rc)
		rc = admin_record(a, "address.end", NULL, row.addr, NULL, &seq, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc) {
		/* An end of 0 would be none. */
		row.until = at > 0 ? at : 1;
		row.seq = (int64_t)seq;
		rc = store_put_addr(store, &row, err);
	}
	if (!rc)
		rc = store_commit(store, err);
	return rc ? rc : put_person(a, "person", &person, err);
}

enum rc
admin_key_grant(struct admin *a, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_grant grant = {.since = clock_now()};
	struct store_person person;
	struct store_addr row;
	uint64_t seq;
	enum rc rc = find_person(a, "owner", &row, &person, err);

	if (!rc)
		rc = admin_addr(a, "to", grant.addr, err);
	if (!rc)
		rc = get_time(a, "until", 0, &grant.until, err);
	if (!rc)
		rc = store_new_id('g', grant.id, err);
	if (!rc)
		rc = admin_record(a, "key.grant", NULL, grant.addr, NULL, &seq, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc) {
		strcpy(grant.owner, person.id);
		grant.seq = (int64_t)seq;
		rc = store_put_grant(store, &grant, err);
	}
	if (!rc)
		rc = store_commit(store, err);
	if (!rc)
		json_str(a->out, "grant", grant.id);
	return rc;
}

enum rc
admin_key_ungrant(struct admin *a, struct err *err)
{
	struct store *store = vault_store(a->vault);
	const char *id = json_get_text(a->request, "grant");
	uint64_t seq;
	enum rc rc = id && *id ? RC_OK : err_set(err, ERR_USAGE, "\"grant\" is missing");

	if (!rc)
		rc = admin_record(a, "key.ungrant", NULL, NULL, NULL, &seq, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = store_del_grant(store, id, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_USAGE, "no grant %.64s", id);
	if (!rc)
		rc = store_commit(store, err);
	if (!rc)
		json_str(a->out, "grant", id);
	return rc;
}
