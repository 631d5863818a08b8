/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/admin_cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "keystore/store_request.h"
#include "keystore/revoke.h"

#define LIMIT_MAX  1000
#define LIMIT_FULL 100 /* with certificates and grants */

static enum rc
put_addr(void *ctx, const struct store_addr *addr, struct err *err)
{
	int64_t now = clock_now();

	(void)err;
	if (addr->since <= now && (addr->until == 0 || now < addr->until))
		json_str(ctx, NULL, addr->addr);
	return RC_OK;
}

enum rc
admin_put_addrs(struct admin *a, const char *person, struct err *err)
{
	enum rc rc;

	json_array(a->out, "addresses");
	rc = store_list_addrs(vault_store(a->vault), person, put_addr, a->out, err);
	json_array_end(a->out);
	return rc;
}

static enum rc
put_cert_row(void *ctx, const struct store_cert *cert, struct err *err)
{
	struct admin *a = ctx;
	struct store_revocation revoked;
	enum rc rc = store_get_revocation(vault_store(a->vault), cert->sha256, &revoked, err);

	if (rc < 0)
		return rc;
	json_object(a->out, NULL);
	json_str(a->out, "sha256", cert->sha256);
	json_time(a->out, "not_before", cert->not_before);
	json_time(a->out, "not_after", cert->not_after);
	if (rc == RC_OK) {
		json_time(a->out, "revoked", revoked.at);
		json_str(a->out, "reason", revoke_reason_name(revoked.reason));
		json_str(a->out, "comment", revoked.comment[0] ? revoked.comment : NULL);
	}
	json_object_end(a->out);
	return RC_OK;
}

/* The certificate that counts now, or failing that the newest. */
struct newest_cert {
	char sha256[2 * SHA256_SIZE + 1];
	int64_t not_before, not_after;
	bool valid;
};

static enum rc
pick_cert(void *ctx, const struct store_cert *cert, struct err *err)
{
	struct newest_cert *pick = ctx;
	int64_t now = clock_now();
	bool valid = cert->not_before <= now && now <= cert->not_after;

	(void)err;
	if (!pick->sha256[0] || (valid && !pick->valid)) {
		strcpy(pick->sha256, cert->sha256);
		pick->not_before = cert->not_before;
		pick->not_after = cert->not_after;
		pick->valid = valid;
	}
	return RC_OK;
}

static enum rc
put_grant(void *ctx, const struct store_grant *grant, struct err *err)
{
	return admin_put_grant(ctx, grant, err);
}

/* What key.show says more: the certificate's names, all certificates, grants. */
static enum rc
put_full(struct admin *a, const struct store_key *key, const struct newest_cert *pick,
	struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_cert cert = {0};
	enum rc rc = RC_OK;

	if (pick->sha256[0]) {
		rc = store_get_cert(store, pick->sha256, &cert, err);
		if (rc)
			return rc == RC_NONE ? err_set(err, ERR_KEYSTORE_TAMPERED,
						       "a certificate is gone")
					     : rc;
		json_str(a->out, "subject", cert_subject(cert.cert));
		json_str(a->out, "issuer", cert_issuer(cert.cert));
		json_str(a->out, "serial", cert_serial(cert.cert));
		store_cert_fini(&cert);
	}
	json_array(a->out, "certificates");
	rc = store_list_certs(store, key->id, put_cert_row, a, err);
	json_array_end(a->out);
	json_array(a->out, "grants");
	if (!rc)
		rc = store_list_grants(store, key->person, NULL, clock_now(), put_grant, a, err);
	json_array_end(a->out);
	return rc;
}

/* What its own row says, and of PERSON what counts for the key. */
static void
put_row(struct json *out, const struct store_key *key, const struct store_person *person,
	bool known)
{
	json_str(out, "purpose", key_purpose_name(key->purpose));
	json_str(out, "status", key_status_name(key->status));
	json_str(out, "type", key_type_name(key->type));
	json_time(out, "created", key->created);
	json_time(out, "changed", key->changed);
	if (key->use_from)
		json_time(out, "use_from", key->use_from);
	if (key->replaces[0])
		json_str(out, "replaces", key->replaces);
	if (person->client_key)
		json_bool(out, "client_key", true);
	if (person->left)
		json_time(out, "left", person->left);
	if (known)
		json_bool(out, "known", true);
	json_str(out, "fingerprint", key->fingerprint);
}

/* Since when a certificate is awaited from an outside CA. */
static enum rc
put_requested(struct admin *a, const char *key, struct err *err)
{
	struct store_request request;
	enum rc rc = store_get_request(vault_store(a->vault), key, &request, NULL, err);

	if (rc == RC_OK)
		json_time(a->out, "requested", request.created);
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc
admin_put_key(struct admin *a, const struct store_key *key, bool full, bool known, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct newest_cert pick = {0};
	struct store_person person;
	enum rc rc = store_list_certs(store, key->id, pick_cert, &pick, err);

	if (!rc)
		rc = store_get_person(store, key->person, &person, err);
	if (rc)
		return rc == RC_NONE ? err_set(err, ERR_KEYSTORE_TAMPERED,
					       "key %s belongs to nobody", key->id)
				     : rc;
	json_object(a->out, NULL);
	json_str(a->out, "key", key->id);
	json_str(a->out, "person", key->person);
	json_str(a->out, "name", person.name);
	rc = admin_put_addrs(a, key->person, err);
	put_row(a->out, key, &person, known);
	if (!rc)
		rc = put_requested(a, key->id, err);
	if (pick.sha256[0]) {
		json_str(a->out, "sha256", pick.sha256);
		json_time(a->out, "not_before", pick.not_before);
		json_time(a->out, "not_after", pick.not_after);
	}
	if (!rc && full)
		rc = put_full(a, key, &pick, err);
	json_object_end(a->out);
	return rc;
}

struct key_list {
	struct store_key *v;
	size_t n, max;
};

static enum rc
collect(void *ctx, const struct store_key *key, struct err *err)
{
	struct key_list *list = ctx;

	(void)err;
	if (list->n < list->max)
		list->v[list->n++] = *key;
	return RC_OK;
}

enum rc
admin_key_list(struct admin *a, struct err *err)
{
	const char *after = json_get_text(a->request, "after");
	int64_t limit = json_get_int(a->request, "limit", LIMIT_MAX);
	bool for_addr = json_find(a->request, "addr") != NULL,
	     full = json_is_true(json_find(a->request, "full"));
	struct key_list list = {.max = LIMIT_MAX};
	char addr[ADDR_MAX + 1];
	struct store_addr row = {0};
	enum rc rc = RC_OK;

	if (limit < 1 || limit > LIMIT_MAX)
		return err_set(err, ERR_USAGE, "limit: 1 to %d", LIMIT_MAX);
	if (full && limit > LIMIT_FULL)
		limit = LIMIT_FULL;
	if (for_addr) {
		rc = admin_who(a, "addr", addr, err);
		if (!rc && strchr(addr, '@'))
			rc = store_find_addr(vault_store(a->vault), addr, clock_now(), &row, err);
		else if (!rc)
			strcpy(row.person, addr);
		if (rc < 0)
			return rc;
	}
	list.v = calloc(LIMIT_MAX, sizeof(*list.v));
	if (!list.v)
		return err_set(err, ERR_MEMORY, "keys");
	/* RC_NONE: nobody has the address, an empty list. */
	if (!rc)
		rc = store_list_keys(vault_store(a->vault), for_addr ? row.person : NULL,
			after ? after : "", (size_t)limit, collect, &list, err);
	rc = rc == RC_NONE ? RC_OK : rc;
	json_array(a->out, "keys");
	for (size_t i = 0; !rc && i < list.n; i++)
		rc = admin_put_key(a, &list.v[i], full, false, err);
	json_array_end(a->out);
	if (!for_addr && list.n == (size_t)limit)
		json_str(a->out, "next", list.v[list.n - 1].id);
	free(list.v);
	return rc;
}

/* One key in the list that every such answer has. */
static enum rc
put_one(struct admin *a, const struct store_key *key, bool full, struct err *err)
{
	enum rc rc;

	json_array(a->out, "keys");
	rc = admin_put_key(a, key, full, false, err);
	json_array_end(a->out);
	return rc;
}

enum rc
admin_key_show(struct admin *a, struct err *err)
{
	struct store_key key;
	enum rc rc = admin_find_key(a, 0, &key, err);

	return rc ? rc : put_one(a, &key, true, err);
}

/* The root above a certificate of a CA here, which messages do without: whoever gets the file finds
 * the whole path in it. */
static enum rc
put_root(struct admin *a, const struct store_cert *cert, struct buf *pem, struct err *err)
{
	struct store_cert above = {0};
	struct store_ca ca;
	enum rc rc = revoke_find_issuer(vault_store(a->vault), cert->cert, &ca, err);

	if (!rc)
		rc = store_current_cert(vault_store(a->vault), ca.key, clock_now(), &above, err);
	for (size_t i = 0; !rc && i < above.chain.n; i++)
		if (cert_is_self_issued(above.chain.v[i]))
			rc = cert_format_pem(above.chain.v[i], pem, err);
	store_cert_fini(&above);
	return rc == RC_NONE ? RC_OK : rc; /* from elsewhere */
}

enum rc
admin_key_cert(struct admin *a, struct err *err)
{
	const char *purpose = json_get_text(a->request, "purpose");
	enum key_purpose wanted = PURPOSE_SIGN;
	struct buf pem = BUF_INIT(4u << 20);
	struct store_cert cert = {0};
	struct store_key key;
	enum rc rc = RC_OK;

	if (purpose && !key_purpose_find(purpose, &wanted))
		return err_set(err, ERR_USAGE, "purpose: sign or open");
	rc = admin_find_key(a, purpose ? wanted : 0, &key, err);
	if (!rc)
		rc = store_current_cert(vault_store(a->vault), key.id, clock_now(), &cert, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_VAULT_NO_KEY, "key %s has no certificate that is valid now",
			key.id);
	if (!rc)
		rc = cert_format_pem(cert.cert, &pem, err);
	for (size_t i = 0; !rc && i < cert.chain.n; i++)
		rc = cert_format_pem(cert.chain.v[i], &pem, err);
	if (!rc)
		rc = put_root(a, &cert, &pem, err);
	if (!rc) {
		json_str(a->out, "key", key.id);
		json_str(a->out, "sha256", cert.sha256);
		json_str(a->out, "pem", buf_text(&pem));
	}
	store_cert_fini(&cert);
	buf_fini(&pem);
	return rc;
}

/* Retired and revoked keys still open; neither ever becomes active again. */
static enum rc
set_status(struct admin *a, const char *event, enum key_status status, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_key key;
	uint64_t seq;
	enum rc rc = admin_find_key(a, 0, &key, err);

	if (!rc && key.purpose == PURPOSE_CA)
		rc = err_set(err, ERR_VAULT_DENIED, "key %s is the organisation's CA", key.id);
	if (!rc &&
		(key.status == status || key.status == KEY_REVOKED || key.status == KEY_DESTROYED))
		rc = err_set(err, ERR_USAGE, "key %s is %s already", key.id,
			key_status_name(key.status));
	if (!rc)
		rc = admin_record(a, event, key.id, NULL, NULL, &seq, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = store_set_status(store, key.id, status, clock_now(), (int64_t)seq, err);
	if (!rc)
		rc = store_commit(store, err);
	if (!rc)
		rc = store_get_key(store, key.id, &key, err);
	return rc ? rc : put_one(a, &key, false, err);
}

enum rc
admin_key_retire(struct admin *a, struct err *err)
{
	return set_status(a, "key.retire", KEY_RETIRED, err);
}
