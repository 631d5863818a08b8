/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_renew.c - successors of keys and certificates
 *
 * A successor may be made before its time: its certificate can be published and mail for it is
 * opened at once, but until use_from the old key signs. The old key retires when the successor is
 * used, not before.
 */
#include "keystore/admin_issue.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "keystore/revoke.h"

#define DAY       (int64_t)86400
#define OVERLAP   (int64_t)3600
#define LEAD_MAX  (3650 * DAY)
#define PAGE      100
#define PAGES_MAX 200 /* pages that one settling looks at */

/* When the successor is to be used: use_from (a time), lead_days, or at once. */
static enum rc
choose_use(struct admin *a, int64_t *use_from, struct err *err)
{
	const char *text = json_get_text(a->request, "use_from");
	int64_t days = json_get_int(a->request, "lead_days", 0);
	int64_t lead = days < 0 || days > LEAD_MAX / DAY ? -1 : days * DAY;

	*use_from = 0;
	if (text && clock_parse(text, use_from, err))
		return err_set(err, ERR_USAGE, "use_from is no time: %.64s", text);
	if (!text && lead)
		*use_from = clock_now() + lead;
	if (lead < 0 || *use_from > clock_now() + LEAD_MAX)
		return err_set(err, ERR_USAGE, "a successor is used within ten years");
	if (*use_from <= clock_now())
		*use_from = 0;
	return RC_OK;
}

struct successor {
	const char *of;
	struct store_key key;
	bool found;
};

static enum rc
pick_successor(void *ctx, const struct store_key *key, struct err *err)
{
	struct successor *s = ctx;

	(void)err;
	if (!s->found && key->status == KEY_ACTIVE && strcmp(key->replaces, s->of) == 0) {
		s->key = *key;
		s->found = true;
	}
	return RC_OK;
}

/* The active key that replaces OLD; found false: none. */
static enum rc
find_successor(struct admin *a, const struct store_key *old, struct successor *s, struct err *err)
{
	*s = (struct successor){.of = old->id};
	return store_list_keys(
		vault_store(a->vault), old->person, "", STORE_MAX_ROWS, pick_successor, s, err);
}

struct newest {
	char sha256[2 * SHA256_SIZE + 1];
	int64_t not_after;
};

static enum rc
pick_last(void *ctx, const struct store_cert *cert, struct err *err)
{
	struct newest *newest = ctx;

	(void)err;
	if (!newest->sha256[0] || cert->not_after > newest->not_after) {
		memcpy(newest->sha256, cert->sha256, sizeof(newest->sha256));
		newest->not_after = cert->not_after;
	}
	return RC_OK;
}

/* The certificate of KEY that ends last. ERR_VAULT_NO_KEY: it has none. */
static enum rc
last_cert(struct admin *a, const char *key, struct store_cert *cert, struct err *err)
{
	struct newest newest = {.not_after = 0};
	enum rc rc = store_list_certs(vault_store(a->vault), key, pick_last, &newest, err);

	*cert = (struct store_cert){.cert = NULL};
	if (!rc && !newest.sha256[0])
		return err_set(err, ERR_VAULT_NO_KEY, "key %s has no certificate", key);
	if (!rc)
		rc = store_get_cert(vault_store(a->vault), newest.sha256, cert, err);
	return rc == RC_NONE ? err_set(err, ERR_KEYSTORE_TAMPERED, "a certificate is gone") : rc;
}

/* The address for the new certificate: by request, or one that the old one names and the person
 * still has. */
static enum rc
choose_addr(struct admin *a, const struct store_key *old, const struct cert *cert,
	char addr[ADDR_MAX + 1], struct err *err)
{
	const char *const *addrs;
	size_t n = cert_addrs(cert, true, &addrs);
	enum rc rc;

	if (strchr(json_get_text(a->request, "key"), '@'))
		return admin_addr(a, "key", addr, err);
	for (size_t i = 0; i < n; i++) {
		struct store_addr row;

		rc = settings_resolve(a->settings, addrs[i], addr, err);
		if (!rc)
			rc = store_find_addr(vault_store(a->vault), addr, clock_now(), &row, err);
		if (rc == RC_OK && strcmp(row.person, old->person) == 0)
			return RC_OK;
		if (rc == RC_TEMP)
			return rc;
	}
	return err_set(err, ERR_USAGE,
		"key %s: its owner has none of the certificate's addresses any more", old->id);
}

/* A new certificate for the same key. */
static enum rc
renew_same(struct admin *a, const struct issue_job *job, const struct store_key *old,
	const struct cert *cert, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct certset chain = {0};
	struct fresh fresh = {.key = *old};
	size_t len;
	const unsigned char *spki = cert_spki(cert, &len);
	uint64_t seq;
	enum rc rc = admin_issue_cert(a, job, spki, len, &fresh.cert, err);

	if (!rc)
		rc = ca_chain(job->ca, &chain, err);
	if (!rc)
		rc = admin_record(a, "key.renew", old->id, job->person->addr, "{\"same_key\":true}",
			&seq, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = store_add_cert(
			store, old->id, fresh.cert, &chain, clock_now(), (int64_t)seq, err);
	if (!rc)
		rc = ca_note_last(a, job->ca, cert_not_after(fresh.cert), err);
	if (!rc)
		rc = store_commit(store, err);
	if (!rc)
		rc = admin_put_fresh(a, &fresh, 1, err);
	certset_fini(&chain);
	fresh_fini(&fresh);
	return rc;
}

static enum rc
renew_new(struct admin *a, const struct issue_job *job, const struct store_key *old,
	int64_t use_from, struct err *err)
{
	const struct keeping how = {"key.renew", job->person->addr, job->ca, old};
	struct fresh fresh = {0};
	enum rc rc = admin_make_fresh(a, job, json_get_text(a->request, "type"), &fresh, err);

	strcpy(fresh.key.replaces, old->id);
	fresh.key.use_from = use_from;
	if (!rc)
		rc = admin_keep_fresh(a, &how, &fresh, 1, err);
	if (!rc)
		rc = admin_put_fresh(a, &fresh, 1, err);
	fresh_fini(&fresh);
	return rc;
}

/* The key that is to be renewed, and may be; *use_from: since when the new one is used. */
static enum rc
find_old(struct admin *a, struct store_key *old, int64_t *use_from, struct err *err)
{
	struct successor successor = {.found = false};
	enum rc rc = admin_find_key(a, 0, old, err);

	if (!rc && old->purpose == PURPOSE_CA)
		rc = err_set(err, ERR_USAGE, "key %s is a CA's: sealgate ca renew", old->id);
	if (!rc && old->status != KEY_ACTIVE)
		rc = err_set(err, ERR_USAGE, "key %s is %s", old->id, key_status_name(old->status));
	if (!rc)
		rc = choose_use(a, use_from, err);
	if (!rc)
		rc = find_successor(a, old, &successor, err);
	if (!rc && successor.found)
		rc = err_set(err, ERR_KEY_EXISTS, "key %s replaces it already", successor.key.id);
	return rc;
}

/* Whose it is. */
static enum rc
find_owner(
	struct admin *a, const struct store_key *old, struct store_person *person, struct err *err)
{
	enum rc rc = store_get_person(vault_store(a->vault), old->person, person, err);

	if (rc == RC_NONE)
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "key %s belongs to nobody", old->id);
	return rc ? rc : admin_check_present(person, err);
}

enum rc
admin_key_renew(struct admin *a, struct err *err)
{
	struct store_cert cert = {0};
	struct store_person person;
	struct store_key old;
	struct ca ca = {.ent = NULL};
	struct issue_person who = {0};
	struct issue_job job = {.ca = &ca, .person = &who};
	char addr[ADDR_MAX + 1] = "";
	int64_t use_from;
	enum rc rc = find_old(a, &old, &use_from, err);

	if (!rc)
		rc = last_cert(a, old.id, &cert, err);
	/* Never without a certificate in between. */
	if (!rc && use_from > cert.not_after - OVERLAP)
		use_from = cert.not_after - OVERLAP > clock_now() ? cert.not_after - OVERLAP : 0;
	if (!rc)
		rc = choose_addr(a, &old, cert.cert, addr, err);
	if (!rc)
		rc = find_owner(a, &old, &person, err);
	if (!rc)
		rc = (job.profile = admin_profile(a, person.kind, err)) ? RC_OK : RC_PERM;
	if (!rc)
		rc = ca_open_issuing(a, &ca, err);
	if (!rc) {
		who = (struct issue_person){
			addr, strcmp(person.name, addr) == 0 ? NULL : person.name, old.person};
		job.purpose = old.purpose;
		rc = json_is_true(json_find(a->request, "same_key"))
			     ? renew_same(a, &job, &old, cert.cert, err)
			     : renew_new(a, &job, &old, use_from, err);
	}
	store_cert_fini(&cert);
	ca_fini(&ca);
	return rc;
}

/* --- what is due --- */

/* One key that ends soon, with who issued its certificate. Nothing when it has a successor. */
static enum rc
put_due(struct admin *a, const char *id, struct err *err)
{
	struct successor successor;
	struct store_cert cert = {0};
	struct store_person person;
	struct store_key key;
	struct store_ca ca;
	enum rc rc = store_get_key(vault_store(a->vault), id, &key, err);

	if (rc || key.status != KEY_ACTIVE)
		return rc == RC_NONE ? RC_OK : rc;
	rc = store_get_person(vault_store(a->vault), key.person, &person, err);
	if (rc || !store_person_is_present(&person, clock_now()))
		return rc == RC_NONE ? RC_OK : rc; /* who has left gets no successor */
	rc = find_successor(a, &key, &successor, err);
	if (rc || successor.found)
		return rc;
	rc = last_cert(a, id, &cert, err);
	if (!rc)
		rc = revoke_find_issuer(vault_store(a->vault), cert.cert, &ca, err);
	if (rc >= 0) {
		json_object(a->out, NULL);
		json_str(a->out, "key", key.id);
		json_str(a->out, "ca", rc == RC_OK ? ca.key : NULL);
		json_str(a->out, "issuer", cert_issuer(cert.cert));
		json_str(a->out, "subject", cert_subject(cert.cert));
		json_str(a->out, "serial", cert_serial(cert.cert));
		json_str(a->out, "sha256", cert.sha256);
		json_str(a->out, "purpose", key_purpose_name(key.purpose));
		json_time(a->out, "not_before", cert.not_before);
		json_time(a->out, "not_after", cert.not_after);
		rc = admin_put_addrs(a, key.person, err);
		json_object_end(a->out);
	}
	store_cert_fini(&cert);
	return rc;
}

enum rc
admin_key_due(struct admin *a, struct err *err)
{
	const char *after = json_get_text(a->request, "after"),
		   *until = json_get_text(a->request, "until");
	char v[PAGE][STORE_ID_SIZE];
	struct store_ids ids = {.v = v, .max = PAGE};
	int64_t at;
	enum rc rc = until ? clock_parse(until, &at, err)
			   : err_set(err, ERR_USAGE, "\"until\" is missing");

	if (rc == RC_PERM && until)
		rc = err_set(err, ERR_USAGE, "until is no time: %.64s", until);
	if (!rc)
		rc = store_list_due(vault_store(a->vault), at, after ? after : "", &ids, err);
	if (rc)
		return rc;
	json_array(a->out, "keys");
	for (size_t i = 0; !rc && i < ids.n; i++)
		rc = put_due(a, v[i], err);
	json_array_end(a->out);
	if (ids.n == PAGE)
		json_str(a->out, "next", v[ids.n - 1]);
	return rc;
}

/* The key that NEW replaces retires when NEW's time has come. */
static enum rc
settle_one(struct admin *a, const char *id, size_t *settled, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_key new, old;
	uint64_t seq;
	enum rc rc = store_get_key(store, id, &new, err);

	if (!rc && new.use_from <= clock_now())
		rc = store_get_key(store, new.replaces, &old, err);
	else if (!rc)
		return RC_OK;
	if (rc || old.status != KEY_ACTIVE || new.status != KEY_ACTIVE)
		return rc == RC_NONE ? RC_OK : rc;
	rc = admin_record(a, "key.retire", old.id, NULL, "{\"replaced\":true}", &seq, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = store_set_status(store, old.id, KEY_RETIRED, clock_now(), (int64_t)seq, err);
	if (!rc)
		rc = store_commit(store, err);
	*settled += !rc;
	return rc;
}

enum rc
admin_key_settle(struct admin *a, struct err *err)
{
	char v[PAGE][STORE_ID_SIZE], after[STORE_ID_SIZE] = "";
	struct store_ids ids = {.v = v, .max = PAGE, .n = PAGE};
	size_t settled = 0;
	enum rc rc = RC_OK;

	for (size_t page = 0; !rc && ids.n == PAGE && page < PAGES_MAX; page++) {
		rc = store_list_successors(vault_store(a->vault), after, &ids, err);
		for (size_t i = 0; !rc && i < ids.n; i++)
			rc = settle_one(a, v[i], &settled, err);
		if (ids.n)
			strcpy(after, v[ids.n - 1]);
	}
	json_int(a->out, "retired", (int64_t)settled);
	return rc;
}
