/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_crl.c - revoking certificates of the organisation's CAs, and their revocation lists
 *
 * One list for each CA's key, complete (RFC 5280 section 5), signed as long as a certificate of
 * that CA may be valid. An entry leaves the list only after the certificate has expired and one
 * more list had it.
 */
#include "keystore/admin_ca.h"
#include "keystore/revoke.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "message/b64.h"

#define DER_MAX (2900u << 10) /* an answer has 4 MB at most, as base64 */

/* Reason and comment of the request. */
static enum rc
take_reason(struct admin *a, int *reason, const char **comment, struct err *err)
{
	const char *word = json_get_text(a->request, "reason");

	*reason = 0;
	*comment = json_get_text(a->request, "comment");
	if (word && !revoke_reason_find(word, reason))
		return err_set(err, ERR_USAGE,
			"reason: unspecified, keyCompromise, affiliationChanged, superseded, "
			"cessationOfOperation or privilegeWithdrawn");
	if (*comment && strlen(*comment) >= STORE_COMMENT_SIZE)
		return err_set(err, ERR_USAGE, "comment: %d bytes at most", STORE_COMMENT_SIZE - 1);
	return RC_OK;
}

enum rc
admin_key_revoke(struct admin *a, struct err *err)
{
	const char *comment;
	struct store *store = vault_store(a->vault);
	char detail[64];
	struct store_key key;
	size_t outside = 0;
	int reason;
	uint64_t seq;
	enum rc rc = take_reason(a, &reason, &comment, err);

	if (!rc)
		rc = admin_find_key(a, 0, &key, err);
	if (!rc && key.purpose == PURPOSE_CA)
		rc = err_set(err, ERR_VAULT_DENIED, "key %s is the organisation's CA", key.id);
	if (!rc && key.status == KEY_REVOKED)
		rc = err_set(err, ERR_USAGE, "key %s is revoked already", key.id);
	snprintf(detail, sizeof(detail), "{\"reason\":\"%s\"}", revoke_reason_name(reason));
	if (!rc)
		rc = admin_record(a, "key.revoke", key.id, NULL, detail, &seq, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = store_set_status(store, key.id, KEY_REVOKED, clock_now(), (int64_t)seq, err);
	if (!rc)
		rc = revoke_certs(store, key.id,
			&(struct revoke_how){reason, comment, clock_now(), (int64_t)seq}, &outside,
			err);
	if (!rc)
		rc = store_commit(store, err);
	if (!rc)
		rc = store_get_key(store, key.id, &key, err);
	json_array(a->out, "keys");
	if (!rc)
		rc = admin_put_key(a, &key, false, false, err);
	json_array_end(a->out);
	if (outside)
		json_int(a->out, "outside", (int64_t)outside);
	return rc;
}

/* --- lists --- */

struct entries {
	struct store_revocation *v;
	size_t n, room;
	int64_t before; /* certificates that ended before then need no entry any more */
};

static enum rc
collect(void *ctx, const struct store_revocation *revocation, struct err *err)
{
	struct entries *e = ctx;

	if (revocation->not_after < e->before)
		return RC_OK;
	if (e->n == STORE_MAX_REVOKED)
		return err_set(
			err, ERR_LIMIT, "more than %d revoked certificates", STORE_MAX_REVOKED);
	if (e->n == e->room) {
		size_t room = e->room * 2 + 64;
		struct store_revocation *v = realloc(e->v, room * sizeof(*v));

		if (!v)
			return err_set(err, ERR_MEMORY, "revoked certificates");
		e->v = v;
		e->room = room;
	}
	e->v[e->n++] = *revocation;
	return RC_OK;
}

/* The list itself. NUMBER: of the ledger's record; it only grows. */
static enum rc
make_crl(const struct ca *ca, const struct entries *e, uint64_t number, int64_t next,
	struct buf *der, struct err *err)
{
	struct revoked *v = calloc(e->n + 1, sizeof(*v));
	enum rc rc;

	if (!v)
		return err_set(err, ERR_MEMORY, "revocation list");
	for (size_t i = 0; i < e->n; i++)
		v[i] = (struct revoked){
			e->v[i].serial, e->v[i].serial_len, e->v[i].at, e->v[i].reason};
	rc = issue_crl(ca->ent->pkey, ca->ent->cert.cert, v, e->n, (int64_t)number, clock_now(),
		next, der, err);
	free(v);
	return rc;
}

static enum rc
put_crl(struct admin *a, const struct ca *ca, const struct buf *der, size_t n, int64_t next,
	struct err *err)
{
	char *text = malloc((der->len + 2) / 3 * 4 + 1);
	size_t ski_len;
	const unsigned char *ski = cert_ski(ca->ent->cert.cert, &ski_len);
	enum rc rc = text ? RC_OK : err_set(err, ERR_MEMORY, "revocation list");

	if (!rc) {
		text[b64_encode(der->data, der->len, text)] = 0;
		json_object(a->out, NULL);
		json_str(a->out, "key", ca->row.key);
		json_str(a->out, "role", ca_role_name(ca->row.role));
		json_str(a->out, "issuer", cert_subject(ca->ent->cert.cert));
		json_hex(a->out, "ski", ski, ski_len);
		json_int(a->out, "entries", (int64_t)n);
		json_time(a->out, "next_update", next);
		json_str(a->out, "der", text);
		json_object_end(a->out);
	}
	free(text);
	return rc;
}

/* One CA's list, recorded, made, noted. */
static enum rc
crl_of(struct admin *a, struct ca *ca, int64_t validity, struct err *err)
{
	int64_t next = clock_now() + validity;
	struct entries e = {.before = clock_now() - 2 * validity};
	struct store *store = vault_store(a->vault);
	struct buf der = BUF_INIT(DER_MAX);
	uint64_t seq;
	enum rc rc = store_list_revocations(store, ca->row.key, collect, &e, err);

	if (!rc)
		rc = admin_record(a, "ca.crl", ca->row.key, NULL, NULL, &seq, err);
	if (!rc)
		rc = make_crl(ca, &e, seq, next, &der, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc) {
		ca->row.crl_next = next;
		rc = store_put_ca(store, &ca->row, err);
		if (!rc)
			rc = store_commit(store, err);
		else
			store_rollback(store);
	}
	if (!rc)
		rc = put_crl(a, ca, &der, e.n, next, err);
	free(e.v);
	buf_fini(&der);
	return rc;
}

/* Is there anything that a list of this CA could still be needed for? */
static enum rc
is_needed(struct admin *a, const struct store_ca *ca, bool *needed, struct err *err)
{
	struct store_cert cert;
	struct store_key key;
	enum rc rc = store_get_key(vault_store(a->vault), ca->key, &key, err);

	*needed = false;
	if (!rc)
		rc = store_current_cert(vault_store(a->vault), ca->key, clock_now(), &cert, err);
	if (rc)
		return rc == RC_NONE ? RC_OK : rc; /* it waits, or has expired */
	store_cert_fini(&cert);
	*needed = key.status == KEY_ACTIVE || ca->last >= clock_now();
	return RC_OK;
}

enum rc
admin_ca_crl(struct admin *a, struct err *err)
{
	const struct conf_group *group = conf_section(a->settings->conf, "ca");
	const char *id = json_get_text(a->request, "key");
	int64_t days = json_get_int(a->request, "days", 0);
	int64_t validity = days ? days * 86400 : conf_int(group, "crl_validity");
	bool due = json_is_true(json_find(a->request, "due"));
	struct store_ca v[STORE_MAX_CAS];
	size_t n, found = 0;
	enum rc rc = days < 0 || days > 3650 ? err_set(err, ERR_USAGE, "days: 1 to 3650")
					     : store_list_cas(vault_store(a->vault), v, &n, err);

	json_array(a->out, "crls");
	for (size_t i = 0; !rc && i < n; i++) {
		struct ca ca;
		bool needed = false;

		if (id && strcmp(id, v[i].key) != 0)
			continue;
		found++;
		rc = is_needed(a, &v[i], &needed, err);
		if (due && v[i].crl_next - clock_now() > conf_int(group, "crl_refresh"))
			needed = false;
		if (rc || !needed)
			continue;
		rc = ca_open(a, v[i].key, &ca, err);
		if (!rc)
			rc = crl_of(a, &ca, validity, err);
		ca_fini(&ca);
	}
	json_array_end(a->out);
	if (!rc && !found)
		rc = err_set(err, ERR_VAULT_NO_KEY,
			id ? "%.64s is no CA of the organisation"
			   : "there is no CA of the organisation",
			id);
	return rc;
}
