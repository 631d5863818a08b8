/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_ca_show.c - the organisation's CAs as they are, and certificates for them from outside
 */
#include "keystore/admin_ca.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "keystore/approval.h"
#include "message/b64.h"

#define CHAIN_DEPTH 8
#define PEM_MAX     (1u << 20)
#define BASE64_LINE 48 /* bytes for 64 characters */

enum rc
admin_format_pem(const char *label, const struct buf *der, struct buf *out, struct err *err)
{
	enum rc rc = buf_appendf(out, err, "-----BEGIN %s-----\n", label);

	for (size_t i = 0; !rc && i < der->len; i += BASE64_LINE) {
		size_t n = der->len - i < BASE64_LINE ? der->len - i : BASE64_LINE;
		char line[BASE64_LINE / 3 * 4 + 4];

		rc = buf_append(out, line, b64_encode(der->data + i, n, line), err);
		if (!rc)
			rc = buf_append_char(out, '\n', err);
	}
	return rc ? rc : buf_appendf(out, err, "-----END %s-----\n", label);
}

/* The certificate that counts now, or failing that the newest. */
struct newest {
	char sha256[2 * SHA256_SIZE + 1];
	bool valid;
};

static enum rc
pick(void *ctx, const struct store_cert *cert, struct err *err)
{
	struct newest *newest = ctx;
	bool valid = cert->not_before <= clock_now() && clock_now() <= cert->not_after;

	(void)err;
	if (!newest->sha256[0] || (valid && !newest->valid)) {
		memcpy(newest->sha256, cert->sha256, sizeof(newest->sha256));
		newest->valid = valid;
	}
	return RC_OK;
}

/* RC_NONE: it waits for one. */
static enum rc
find_cert(struct admin *a, const char *key, struct store_cert *cert, struct err *err)
{
	struct newest newest = {.valid = false};
	enum rc rc = store_list_certs(vault_store(a->vault), key, pick, &newest, err);

	*cert = (struct store_cert){.cert = NULL};
	if (rc || !newest.sha256[0])
		return rc ? rc : RC_NONE;
	rc = store_get_cert(vault_store(a->vault), newest.sha256, cert, err);
	return rc == RC_NONE ? err_set(err, ERR_KEYSTORE_TAMPERED, "a CA's certificate is gone")
			     : rc;
}

static enum rc
put_pem(struct admin *a, const struct store_cert *cert, struct err *err)
{
	struct buf own = BUF_INIT(PEM_MAX), chain = BUF_INIT(PEM_MAX);
	enum rc rc = cert_format_pem(cert->cert, &own, err);

	for (size_t i = 0; !rc && i < cert->chain.n; i++)
		rc = cert_format_pem(cert->chain.v[i], &chain, err);
	if (!rc) {
		json_str(a->out, "pem", buf_text(&own));
		json_str(a->out, "chain", buf_text(&chain));
	}
	buf_fini(&own);
	buf_fini(&chain);
	return rc;
}

/* What the rows of CA and KEY say; WAITING: for its certificate. */
static void
put_row(struct json *out, const struct store_ca *ca, const struct store_key *key, bool waiting)
{
	json_str(out, "key", ca->key);
	json_str(out, "role", ca_role_name(ca->role));
	json_str(out, "status", waiting ? "waiting" : key_status_name(key->status));
	json_str(out, "type", key_type_name(key->type));
	json_str(out, "fingerprint", key->fingerprint);
	json_time(out, "created", ca->created);
	if (ca->parent[0])
		json_str(out, "parent", ca->parent);
	if (ca->last)
		json_time(out, "last", ca->last);
	if (ca->crl_next)
		json_time(out, "crl_next", ca->crl_next);
}

enum rc
admin_put_ca(struct admin *a, const char *id, bool full, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_cert cert;
	struct store_key key;
	struct store_ca ca;
	enum rc rc = store_get_ca(store, id, &ca, err);

	if (!rc)
		rc = store_get_key(store, id, &key, err);
	if (rc)
		return rc == RC_NONE ? err_set(err, ERR_VAULT_NO_KEY,
					       "%.64s is no CA of the organisation", id)
				     : rc;
	rc = find_cert(a, id, &cert, err);
	if (rc < 0)
		return rc;
	json_object(a->out, NULL);
	put_row(a->out, &ca, &key, rc == RC_NONE);
	if (rc == RC_OK) {
		json_str(a->out, "subject", cert_subject(cert.cert));
		json_str(a->out, "issuer", cert_issuer(cert.cert));
		json_str(a->out, "serial", cert_serial(cert.cert));
		json_str(a->out, "sha256", cert.sha256);
		json_time(a->out, "not_before", cert.not_before);
		json_time(a->out, "not_after", cert.not_after);
		if (full)
			rc = put_pem(a, &cert, err);
	}
	json_object_end(a->out);
	store_cert_fini(&cert);
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc
admin_ca_list(struct admin *a, struct err *err)
{
	struct store_ca v[STORE_MAX_CAS];
	size_t n;
	enum rc rc = store_list_cas(vault_store(a->vault), v, &n, err);

	json_array(a->out, "cas");
	for (size_t i = 0; !rc && i < n; i++)
		rc = admin_put_ca(a, v[i].key, true, err);
	json_array_end(a->out);
	return rc;
}

/* The certificate alone, at the top of the answer. */
static enum rc
put_own_pem(struct admin *a, const char *id, struct err *err)
{
	struct buf pem = BUF_INIT(PEM_MAX);
	struct store_cert cert;
	enum rc rc = find_cert(a, id, &cert, err);

	if (!rc)
		rc = cert_format_pem(cert.cert, &pem, err);
	if (!rc)
		json_str(a->out, "pem", buf_text(&pem));
	store_cert_fini(&cert);
	buf_fini(&pem);
	return rc == RC_NONE ? RC_OK : rc;
}

/* The CA that is asked for: by key, or the newest of the role that is of use. */
enum rc
admin_ca_show(struct admin *a, struct err *err)
{
	const char *id = json_get_text(a->request, "key"),
		   *role = json_get_text(a->request, "role");
	struct store_ca ca;
	enum rc rc = RC_OK;

	if (role && strcmp(role, "root") != 0 && strcmp(role, "issuing") != 0)
		return err_set(err, ERR_USAGE, "role: root or issuing");
	if (!id) {
		rc = store_find_ca(vault_store(a->vault),
			role && strcmp(role, "root") == 0 ? CA_ROOT : CA_ISSUING, clock_now(), &ca,
			err);
		id = ca.key;
	}
	if (rc)
		return rc == RC_NONE ? err_set(err, ERR_VAULT_NO_KEY,
					       "there is no CA of the organisation")
				     : rc;
	json_array(a->out, "cas");
	rc = admin_put_ca(a, id, true, err);
	json_array_end(a->out);
	if (!rc)
		rc = put_own_pem(a, id, err);
	return rc;
}

/* --- a certificate from outside --- */

/* Is CERT fit for a CA's key, and does CHAIN lead from it to a root? *ordered: from the one above
 * CERT up to the root. */
static enum rc
check_chain(struct cert *cert, const struct certset *all, struct certset *ordered, struct err *err)
{
	const struct cert *at = cert;
	enum rc rc = RC_OK;

	if (!cert_is_ca(cert))
		return err_set(
			err, ERR_CERT_UNUSABLE, "the certificate is for no CA (basicConstraints)");
	if (!issue_may_sign_certs(cert))
		return err_set(err, ERR_CERT_UNUSABLE,
			"the certificate's keyUsage has not keyCertSign and cRLSign");
	if (cert_not_after(cert) < clock_now())
		return err_set(err, ERR_CERT_UNUSABLE, "the certificate has expired");
	for (int depth = 0; !rc && !issue_is_by(at, at); depth++) {
		struct cert *above = NULL;

		for (size_t i = 0; i < all->n && !above; i++)
			if (all->v[i] != at && issue_is_by(at, all->v[i]))
				above = all->v[i];
		if (!above)
			return err_set(err, ERR_CERT_UNUSABLE,
				"the certificate of %s is missing: the chain up to the root is "
				"needed",
				cert_issuer(at));
		if (depth == CHAIN_DEPTH) /* or a circle */
			return err_set(err, ERR_LIMIT, "a chain of more than %d certificates",
				CHAIN_DEPTH);
		rc = certset_add(ordered, above, err);
		at = above;
	}
	return rc;
}

/* The certificate among ALL that is for a CA's key here. */
static enum rc
match_ca(struct admin *a, const struct certset *all, struct cert **cert, struct store_ca *ca,
	struct err *err)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	char hex[2 * SHA256_SIZE + 1];
	enum rc rc = RC_NONE;

	for (size_t i = 0; i < all->n && rc == RC_NONE; i++) {
		struct store_key key;
		size_t len;
		const unsigned char *spki = cert_spki(all->v[i], &len);

		rc = digest_bytes(DIGEST_SHA256, spki, len, hash, err);
		for (int k = 0; !rc && k < SHA256_SIZE; k++)
			snprintf(hex + 2 * k, 3, "%02x", hash[k]);
		if (!rc)
			rc = store_find_key(vault_store(a->vault), hex, &key, err);
		if (!rc)
			rc = store_get_ca(vault_store(a->vault), key.id, ca, err);
		if (!rc && ca->role == CA_ROOT)
			rc = RC_NONE; /* stands in the chain */
		*cert = all->v[i];
	}
	return rc == RC_NONE ? err_set(err, ERR_VAULT_NO_KEY,
				       "none of these certificates is for an issuing CA's key here")
			     : rc;
}

/* Within the open transaction: the others only sign revocation lists now, if CA is new. */
static enum rc
take_over(struct admin *a, const struct store_ca *ca, uint64_t seq, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_ca v[STORE_MAX_CAS];
	struct store_cert cert;
	struct store_key key;
	size_t n;
	enum rc rc = store_list_cas(store, v, &n, err);

	for (size_t i = 0; !rc && i < n; i++) {
		if (v[i].role != CA_ISSUING || strcmp(v[i].key, ca->key) == 0 ||
			v[i].created > ca->created)
			continue;
		rc = store_get_key(store, v[i].key, &key, err);
		if (rc || key.status != KEY_ACTIVE)
			continue;
		/* One that still waits stays. */
		rc = find_cert(a, key.id, &cert, err);
		store_cert_fini(&cert);
		if (rc == RC_OK)
			rc = store_set_status(
				store, key.id, KEY_RETIRED, clock_now(), (int64_t)seq, err);
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	return rc;
}

/* Where there are officers, they have to approve who stands above people's certificates. CHAIN
 * ends with the root; without one CERT is its own. */
static enum rc
ask_for_import(struct admin *a, const struct store_ca *ca, struct cert *cert,
	const struct certset *chain, bool *go, struct err *err)
{
	struct cert *root = chain->n ? chain->v[chain->n - 1] : cert;
	struct act act;
	enum rc rc;

	act_init(&act, "ca.import", false);
	act_put(&act, "ca", ca->key);
	act_put_shown(&act, "name", cert_subject(cert));
	act_put(&act, "certificate", cert_fingerprint(cert));
	act_put_time(&act, "until", cert_not_after(cert));
	act_put_shown(&act, "root", cert_subject(root));
	act_put(&act, "root certificate", cert_fingerprint(root));
	act_put(&act, "effect", "this CA signs people's certificates from now on");
	rc = approval_require(a, &act, go, err);
	act_fini(&act);
	return rc;
}

enum rc
admin_ca_import(struct admin *a, struct err *err)
{
	const char *pem = json_get_text(a->request, "pem");
	struct store *store = vault_store(a->vault);
	struct certset all = {0}, chain = {0};
	struct cert *cert = NULL; /* borrowed from ALL */
	struct store_key key;
	struct store_ca ca;
	uint64_t seq;
	bool go = false;
	enum rc rc = pem ? certset_parse(pem, strlen(pem), &all, err)
			 : err_set(err, ERR_USAGE, "\"pem\" is missing");

	if (!rc)
		rc = match_ca(a, &all, &cert, &ca, err);
	if (!rc)
		rc = store_get_key(store, ca.key, &key, err);
	if (!rc && key.status != KEY_ACTIVE)
		rc = err_set(err, ERR_USAGE, "CA %s is %s", key.id, key_status_name(key.status));
	if (!rc)
		rc = check_chain(cert, &all, &chain, err);
	if (!rc)
		rc = ask_for_import(a, &ca, cert, &chain, &go, err);
	if (rc || !go)
		goto out;
	rc = admin_record(a, "ca.import", ca.key, NULL, NULL, &seq, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = store_add_cert(store, ca.key, cert, &chain, clock_now(), (int64_t)seq, err);
	if (!rc)
		rc = take_over(a, &ca, seq, err);
	if (!rc)
		rc = store_commit(store, err);
	json_array(a->out, "cas");
	if (!rc)
		rc = admin_put_ca(a, ca.key, true, err);
	json_array_end(a->out);
out:
	certset_fini(&all);
	certset_fini(&chain);
	return rc == RC_NONE ? err_set(err, ERR_KEYSTORE_TAMPERED, "a CA has no key") : rc;
}
