/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_ca_renew.c - another certificate for a CA's key
 */
#include "keystore/admin_ca_sign.h"

#include <string.h>

#include "base/clock.h"

/* A CA's certificate that takes the place of the one it has. */
struct renewal {
	struct ca ca, root; /* the root's entry is NULL where the CA signs for itself */
	struct ca_name same;
	struct cert *cert;
	struct certset chain;
};

/* What a renewal needs to be told: which CA, and that it may. */
static enum rc
open_renewal(struct admin *a, bool csr, struct renewal *r, struct err *err)
{
	const char *id = json_get_text(a->request, "key");
	enum rc rc = id ? ca_open(a, id, &r->ca, err) : ca_open_issuing(a, &r->ca, err);

	if (!rc && r->ca.ent->key.status != KEY_ACTIVE)
		rc = err_set(err, ERR_USAGE, "CA %s is %s", r->ca.row.key,
			key_status_name(r->ca.ent->key.status));
	if (!rc && csr && r->ca.row.role == CA_ROOT)
		rc = err_set(err, ERR_USAGE, "a root signs its certificate itself");
	r->same.like = rc ? NULL : r->ca.ent->cert.cert;
	return rc;
}

static enum rc
renew_by_request(struct admin *a, struct renewal *r, struct err *err)
{
	uint64_t seq;
	enum rc rc = admin_record(a, "ca.renew", r->ca.row.key, NULL, "{\"csr\":true}", &seq, err);

	return rc ? rc : ca_put_csr(a, r->ca.ent->pkey, &r->same, err);
}

/* The certificate, by the root in the vault or by itself; *seq: of its ledger record. */
static enum rc
sign_renewal(struct admin *a, struct renewal *r, uint64_t *seq, struct err *err)
{
	struct buf spki = BUF_INIT(65536);
	struct ca *by = &r->ca;
	uint64_t intent = 0;
	enum rc rc = RC_OK;

	if (r->ca.row.role == CA_ISSUING)
		rc = ca_open_root(a, &r->root, err);
	if (r->root.ent)
		by = &r->root;
	if (!rc)
		rc = pkey_public(r->ca.ent->pkey, &spki, err);
	if (!rc)
		rc = admin_record(a, "ca.renew", r->ca.row.key, NULL, NULL, seq, err);
	if (!rc)
		rc = ca_intent(a, by, "issue", NULL, &intent, err);
	if (!rc)
		rc = r->root.ent ? ca_sign_by_root(a, by, &r->same, &spki, &r->cert, err)
				 : ca_sign_root(a, by->ent->pkey, &r->same, &r->cert, err);
	ca_outcome(a, by, intent, rc, err);
	if (!rc && r->root.ent)
		rc = ca_chain_of_root(&r->root, &r->chain, err);
	buf_fini(&spki);
	return rc;
}

static enum rc
store_renewal(struct admin *a, struct renewal *r, uint64_t seq, struct err *err)
{
	struct store *store = vault_store(a->vault);
	enum rc rc = store_begin(store, err);

	if (!rc)
		rc = store_add_cert(
			store, r->ca.row.key, r->cert, &r->chain, clock_now(), (int64_t)seq, err);
	if (!rc && r->root.ent) {
		strcpy(r->ca.row.parent, r->root.row.key);
		rc = store_put_ca(store, &r->ca.row, err);
		if (!rc)
			rc = ca_note_last(a, &r->root, cert_not_after(r->cert), err);
	}
	return rc ? rc : store_commit(store, err);
}

/* A new certificate for the same key and name: by itself, by the root in the vault, or a request.
 */
enum rc
admin_ca_renew(struct admin *a, struct err *err)
{
	struct renewal r = {.ca = {.ent = NULL}};
	bool csr = json_is_true(json_find(a->request, "csr"));
	uint64_t seq = 0;
	enum rc rc = open_renewal(a, csr, &r, err);

	if (!rc && csr)
		rc = renew_by_request(a, &r, err);
	else if (!rc)
		rc = sign_renewal(a, &r, &seq, err);
	if (!rc && !csr)
		rc = store_renewal(a, &r, seq, err);
	if (!rc)
		rc = ca_put_one(a, r.ca.row.key, err);
	certset_fini(&r.chain);
	cert_unref(&r.cert);
	ca_fini(&r.ca);
	ca_fini(&r.root);
	return rc;
}
