/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/admin_issue.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

void
fresh_fini(struct fresh *fresh)
{
	pkey_unref(&fresh->pkey);
	cert_unref(&fresh->cert);
}

const struct profile *
admin_profile(struct admin *a, enum person_kind kind, struct err *err)
{
	const char *name = json_get_text(a->request, "profile");
	const struct profile *profile = profiles_find(&a->settings->profiles, name, kind);

	if (!profile)
		err_set(err, ERR_USAGE, "no profile \"%.64s\" in the configuration", name);
	return profile;
}

struct names {
	char (*v)[ADDR_MAX + 1];
	const char *list[CERT_MAX_ADDRS];
	size_t n;
};

static enum rc
collect_name(void *ctx, const struct store_addr *addr, struct err *err)
{
	struct names *names = ctx;
	int64_t now = clock_now();

	(void)err;
	if (addr->since > now || (addr->until && addr->until <= now) || names->n == CERT_MAX_ADDRS)
		return RC_OK;
	strcpy(names->v[names->n], addr->addr);
	names->list[names->n] = names->v[names->n];
	names->n++;
	return RC_OK;
}

/* From when to when: by request or profile, never longer than the CA's own certificate. */
static enum rc
choose_validity(struct admin *a, const struct profile *profile, const struct ca *ca,
	struct issue_request *request, bool *limited, struct err *err)
{
	int64_t days = json_get_int(a->request, "days", profile->days), now = clock_now();

	if (days < 1 || days > ADMIN_DAYS_MAX)
		return err_set(err, ERR_USAGE, "days: 1 to %d", ADMIN_DAYS_MAX);
	request->not_before = now - profile->backdate;
	request->not_after = now + days * 86400;
	*limited = request->not_after > ca->ent->cert.not_after;
	if (*limited)
		request->not_after = ca->ent->cert.not_after;
	if (request->not_before < ca->ent->cert.not_before)
		request->not_before = ca->ent->cert.not_before;
	return RC_OK;
}

enum rc
admin_issue_cert(struct admin *a, const struct issue_job *job, const void *spki, size_t len,
	struct cert **out, struct err *err)
{
	const struct issue_person *person = job->person;
	struct ca *ca = job->ca;
	const char *org = conf_str(conf_section(a->settings->conf, "organisation"), "name");
	struct names names = {.v = calloc(CERT_MAX_ADDRS, sizeof(*names.v))};
	struct issue_request request = {
		.common_name = person->name,
		.organisation = org,
		.addr = person->addr,
		.use = (job->purpose & PURPOSE_SIGN ? CERT_SIGN : 0) |
		       (job->purpose & PURPOSE_OPEN ? CERT_ENCRYPT : 0),
	};
	struct profile_facts facts = {.addr = person->addr,
		.name = person->name,
		.organisation = org,
		.ca = ca->row.key,
		.addrs = names.list};
	struct profile_made made = {0};
	struct err ignored = ERR_INIT;
	uint64_t seq = 0;
	bool limited = false;
	enum rc rc = names.v ? choose_validity(a, job->profile, ca, &request, &limited, err)
			     : err_set(err, ERR_MEMORY, "addresses");

	*out = NULL;
	if (!rc && person->id)
		rc = store_list_addrs(vault_store(a->vault), person->id, collect_name, &names, err);
	facts.n_addrs = names.n;
	if (!rc)
		rc = profile_make(job->profile, &facts, &made, err);
	request.extra = &made.extra;
	if (!rc)
		rc = ca_intent(a, ca, "issue", person->addr, &seq, err);
	if (!rc)
		rc = issue_leaf(ca->ent->pkey, ca->ent->cert.cert, spki, len, &request, out, err);
	ca_outcome(a, ca, seq, rc, rc ? err : &ignored);
	a->limited |= !rc && limited;
	profile_made_fini(&made);
	free(names.v);
	return rc;
}

enum rc
admin_make_fresh(struct admin *a, const struct issue_job *job, const char *kind,
	struct fresh *fresh, struct err *err)
{
	struct buf spki = BUF_INIT(65536);
	enum rc rc = admin_make_key(kind ? kind : job->profile->type, job->purpose, &fresh->key,
		&fresh->pkey, &spki, err);

	if (!rc)
		rc = admin_issue_cert(a, job, spki.data, spki.len, &fresh->cert, err);
	buf_fini(&spki);
	return rc;
}

/* Who has ADDR now; zeros: nobody. */
static enum rc
find_person(struct admin *a, const char *addr, struct store_person *person, struct err *err)
{
	struct store_addr row;
	enum rc rc = store_find_addr(vault_store(a->vault), addr, clock_now(), &row, err);

	*person = (struct store_person){0};
	if (!rc)
		rc = store_get_person(vault_store(a->vault), row.person, person, err);
	return rc == RC_NONE ? RC_OK : rc;
}

/* Has PERSON an active key of that PURPOSE already? */
static enum rc
look_before(struct admin *a, const char *addr, unsigned purpose, const struct store_person *person,
	struct err *err)
{
	struct json_value *value = NULL;
	struct admin probe = *a;
	struct store_key key;
	struct buf text = BUF_INIT(4096);
	struct json json;
	enum rc rc;

	if (!person->id[0] || json_is_true(json_find(a->request, "also")))
		return RC_OK;
	json_init(&json, &text);
	json_object(&json, NULL);
	json_str(&json, "key", addr);
	json_object_end(&json);
	rc = json_end(&json, err);
	if (!rc)
		rc = json_parse(text.data, text.len, &value, err);
	probe.request = value;
	if (!rc)
		rc = admin_find_key(&probe, purpose, &key, err);
	if (!rc && key.status == KEY_ACTIVE)
		rc = err_set(err, ERR_KEY_EXISTS, "%s has the active key %s already", addr, key.id);
	else if (rc && err->code == ERR_VAULT_NO_KEY)
		rc = RC_OK;
	json_free(&value);
	buf_fini(&text);
	return rc;
}

/* Its rows, within the open transaction. */
static enum rc
put_fresh_rows(struct admin *a, struct ca *ca, const struct certset *chain, struct fresh *fresh,
	struct err *err)
{
	struct store *store = vault_store(a->vault);
	int64_t seq = fresh->key.seq;
	enum rc rc = store_add_key(store, &fresh->key, fresh->pkey, err);

	if (!rc)
		rc = store_add_cert(
			store, fresh->key.id, fresh->cert, chain, clock_now(), seq, err);
	return rc ? rc : ca_note_last(a, ca, cert_not_after(fresh->cert), err);
}

enum rc
admin_keep_fresh(
	struct admin *a, const struct keeping *how, struct fresh *fresh, size_t n, struct err *err)
{
	struct store *store = vault_store(a->vault);
	const struct store_key *old = how->old;
	struct store_person person;
	struct certset chain = {0};
	bool pending = fresh[0].key.use_from > clock_now();
	uint64_t seq;
	enum rc rc = admin_record(a, how->event, fresh[0].key.id, how->addr, NULL, &seq, err);

	if (!rc)
		rc = ca_chain(how->ca, &chain, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = admin_get_person(a, how->addr, seq, &person, err);
	for (size_t i = 0; !rc && i < n; i++) {
		strcpy(fresh[i].key.person, old ? old->person : person.id);
		fresh[i].key.seq = (int64_t)seq;
		rc = put_fresh_rows(a, how->ca, &chain, &fresh[i], err);
	}
	/* A successor whose time has not come leaves the old key as it is. */
	if (!rc && old && !pending)
		rc = store_set_status(store, old->id, KEY_RETIRED, clock_now(), (int64_t)seq, err);
	if (!rc)
		rc = store_commit(store, err);
	certset_fini(&chain);
	return rc;
}

enum rc
admin_put_fresh(struct admin *a, const struct fresh *fresh, size_t n, struct err *err)
{
	enum rc rc = RC_OK;

	json_array(a->out, "keys");
	for (size_t i = 0; !rc && i < n; i++)
		rc = admin_put_key(a, &fresh[i].key, false, false, err);
	json_array_end(a->out);
	if (!rc && a->limited && n && fresh[0].cert)
		json_time(a->out, "limited", cert_not_after(fresh[0].cert));
	return rc;
}

/* What the keys are for: by request, or else the profile. */
static enum rc
choose_purpose(struct admin *a, const struct profile *profile, enum key_purpose *first, size_t *n,
	struct err *err)
{
	const char *purpose = json_get_text(a->request, "purpose");

	*first = profile->purpose;
	*n = profile->separate ? 2 : 1;
	if (purpose && strcmp(purpose, "separate") == 0)
		*n = 2;
	else if (purpose && (!key_purpose_find(purpose, first) || *first == PURPOSE_CA))
		return err_set(err, ERR_USAGE, "purpose: both, sign, open or separate");
	else if (purpose)
		*n = 1;
	if (*n == 2)
		*first = PURPOSE_SIGN;
	return RC_OK;
}

/* Who the request's address belongs to, or will: then PERSON has no id. */
static enum rc
find_owner(struct admin *a, char addr[ADDR_MAX + 1], struct store_person *person, struct err *err)
{
	const char *kind = json_get_text(a->request, "kind");
	enum rc rc = admin_addr(a, "addr", addr, err);

	*person = (struct store_person){0};
	if (!rc)
		rc = find_person(a, addr, person, err);
	if (!rc)
		rc = admin_check_present(person, err);
	if (!rc && kind && !person->id[0])
		(void)person_kind_find(kind, &person->kind); /* refused later when it is none */
	return rc;
}

enum rc
admin_key_new(struct admin *a, struct err *err)
{
	const char *type = json_get_text(a->request, "type");
	const struct profile *profile = NULL;
	enum key_purpose first = PURPOSE_BOTH;
	struct issue_person who = {.name = json_get_text(a->request, "name")};
	struct fresh fresh[2] = {0};
	struct store_person person;
	struct ca ca = {.ent = NULL};
	char addr[ADDR_MAX + 1] = "";
	size_t n = 1;
	enum rc rc = find_owner(a, addr, &person, err);

	if (!rc)
		rc = (profile = admin_profile(a, person.kind, err)) ? RC_OK : RC_PERM;
	if (!rc)
		rc = choose_purpose(a, profile, &first, &n, err);
	if (!rc)
		rc = look_before(a, addr, n == 2 ? PURPOSE_BOTH : first, &person, err);
	if (!rc && !who.name && person.name[0] && strcmp(person.name, addr) != 0)
		who.name = person.name;
	who.addr = addr;
	who.id = person.id[0] ? person.id : NULL;
	if (!rc)
		rc = ca_open_issuing(a, &ca, err);
	for (size_t i = 0; !rc && i < n; i++)
		rc = admin_make_fresh(a,
			&(struct issue_job){&ca, profile, &who, i ? PURPOSE_OPEN : first}, type,
			&fresh[i], err);
	if (!rc)
		rc = admin_keep_fresh(
			a, &(struct keeping){"key.new", addr, &ca, NULL}, fresh, n, err);
	if (!rc)
		rc = admin_put_fresh(a, fresh, n, err);
	fresh_fini(&fresh[0]);
	fresh_fini(&fresh[1]);
	ca_fini(&ca);
	return rc;
}
