/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/admin_ca.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

void
ca_fini(struct ca *ca)
{
	keyent_unref(&ca->ent);
}

enum rc
ca_open(struct admin *a, const char *key, struct ca *ca, struct err *err)
{
	enum rc rc = store_get_ca(vault_store(a->vault), key, &ca->row, err);

	ca->ent = NULL;
	if (!rc)
		rc = keycache_get(vault_keycache(a->vault), key, true, &ca->ent, err);
	if (rc == RC_NONE)
		return err_set(err, ERR_VAULT_NO_KEY, "%.64s is no CA of the organisation", key);
	if (!rc && !ca->ent->cert.cert) {
		ca_fini(ca);
		rc = err_set(
			err, ERR_VAULT_NO_KEY, "CA %s has no certificate that is valid now", key);
	}
	return rc;
}

/* Why no CA of ROLE can sign: none was made, waits for its certificate, has expired. */
static enum rc
say_none(struct admin *a, enum ca_role role, struct err *err)
{
	struct store_ca v[STORE_MAX_CAS];
	struct store_key key;
	size_t n;
	bool waiting = false, expired = false;
	enum rc rc = store_list_cas(vault_store(a->vault), v, &n, err);

	for (size_t i = 0; !rc && i < n; i++) {
		struct store_cert cert;

		if (v[i].role != role)
			continue;
		rc = store_get_key(vault_store(a->vault), v[i].key, &key, err);
		if (rc || key.status != KEY_ACTIVE)
			continue;
		/* A certificate that was valid once? */
		rc = store_current_cert(vault_store(a->vault), key.id, v[i].created, &cert, err);
		if (rc == RC_OK)
			store_cert_fini(&cert);
		expired |= rc == RC_OK;
		waiting |= rc == RC_NONE;
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	if (rc)
		return rc;
	if (role == CA_ROOT)
		return err_set(err, ERR_VAULT_NO_KEY,
			expired ? "the root of the organisation has expired"
				: "there is no root in the vault");
	return err_set(err, ERR_VAULT_NO_KEY,
		expired   ? "the organisation's CA has expired: sealgate ca rollover"
		: waiting ? "the organisation's CA waits for its certificate: sealgate ca import"
			  : "there is no CA of the organisation");
}

static enum rc
open_role(struct admin *a, enum ca_role role, struct ca *ca, struct err *err)
{
	struct store_ca row;
	enum rc rc = store_find_ca(vault_store(a->vault), role, clock_now(), &row, err);

	ca->ent = NULL;
	if (rc == RC_NONE)
		return say_none(a, role, err);
	return rc ? rc : ca_open(a, row.key, ca, err);
}

enum rc
ca_open_issuing(struct admin *a, struct ca *ca, struct err *err)
{
	return open_role(a, CA_ISSUING, ca, err);
}

enum rc
ca_open_root(struct admin *a, struct ca *ca, struct err *err)
{
	return open_role(a, CA_ROOT, ca, err);
}

enum rc
ca_intent(struct admin *a, const struct ca *ca, const char *event, const char *subject,
	uint64_t *seq, struct err *err)
{
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_INTENT);

	*seq = 0;
	record.event = event;
	record.observed.key = ca->ent->key.id;
	record.observed.fingerprint = ca->ent->cert.sha256;
	record.observed.service = "admin";
	record.observed.uid = a->uid;
	record.observed.pid = a->pid;
	record.subject = subject;
	return ledger_append(vault_ledger(a->vault), &record, seq, err);
}

void
ca_outcome(struct admin *a, const struct ca *ca, uint64_t seq, enum rc rc, const struct err *why)
{
	struct ledger_record done = LEDGER_RECORD_INIT(LEDGER_OUTCOME);

	if (!seq)
		return;
	done.event = rc ? "failed" : "done";
	done.reason = rc ? err_name(why->code) : NULL;
	done.intent = seq;
	done.observed.key = ca->ent->key.id;
	done.lazy = true;
	(void)ledger_append(vault_ledger(a->vault), &done, NULL, NULL);
}

enum rc
ca_note_last(struct admin *a, struct ca *ca, int64_t not_after, struct err *err)
{
	if (not_after <= ca->row.last)
		return RC_OK;
	ca->row.last = not_after;
	return store_put_ca(vault_store(a->vault), &ca->row, err);
}

enum rc
ca_chain(const struct ca *ca, struct certset *chain, struct err *err)
{
	const struct certset *above = &ca->ent->cert.chain;
	enum rc rc = certset_add(chain, ca->ent->cert.cert, err);

	for (size_t i = 0; !rc && i < above->n; i++)
		if (!cert_is_self_issued(above->v[i]))
			rc = certset_add(chain, above->v[i], err);
	return rc;
}

enum rc
admin_make_key(const char *kind, enum key_purpose purpose, struct store_key *key,
	struct pkey **pkey, struct buf *spki, struct err *err)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	enum rc rc = pkey_generate(kind, pkey, err);

	*key = (struct store_key){
		.purpose = purpose, .created = clock_now(), .changed = clock_now()};
	if (!rc)
		rc = pkey_public(*pkey, spki, err);
	if (!rc)
		rc = digest_bytes(DIGEST_SHA256, spki->data, spki->len, hash, err);
	if (!rc)
		rc = store_new_id('k', key->id, err);
	if (rc)
		return rc;
	key->type = pkey_type(*pkey);
	for (int i = 0; i < SHA256_SIZE; i++)
		snprintf(key->fingerprint + 2 * i, 3, "%02x", hash[i]);
	return RC_OK;
}
