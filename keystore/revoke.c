/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/revoke.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/issue.h"

struct issuer_search {
	struct store *store;
	const struct cert *cert;
	bool found;
};

static enum rc
try_issuer(void *ctx, const struct store_cert *row, struct err *err)
{
	struct issuer_search *search = ctx;
	struct store_cert cert;
	enum rc rc;

	if (search->found)
		return RC_OK;
	rc = store_get_cert(search->store, row->sha256, &cert, err);
	if (rc)
		return rc == RC_NONE ? RC_OK : rc;
	search->found = issue_is_by(search->cert, cert.cert);
	store_cert_fini(&cert);
	return RC_OK;
}

enum rc
revoke_find_issuer(
	struct store *store, const struct cert *cert, struct store_ca *out, struct err *err)
{
	struct store_ca v[STORE_MAX_CAS];
	struct issuer_search search = {.store = store, .cert = cert};
	size_t n;
	enum rc rc = store_list_cas(store, v, &n, err);

	/* The newest first: most certificates are of that one. */
	for (size_t i = n; !rc && !search.found && i-- > 0;) {
		rc = store_list_certs(store, v[i].key, try_issuer, &search, err);
		*out = v[i];
	}
	return rc ? rc : search.found ? RC_OK : RC_NONE;
}

static const struct {
	const char *word;
	int number;
} reasons[] = {{"unspecified", 0}, {"keyCompromise", 1}, {"cACompromise", 2},
	{"affiliationChanged", 3}, {"superseded", 4}, {"cessationOfOperation", 5},
	{"privilegeWithdrawn", 9}};

const char *
revoke_reason_name(int reason)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (reasons[i].number == reason)
			return reasons[i].word;
	return "unspecified";
}

bool
revoke_reason_find(const char *word, int *reason)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (strcmp(reasons[i].word, word) == 0) {
			*reason = reasons[i].number;
			return true;
		}
	return false;
}

struct revoking {
	struct store *store;
	const struct revoke_how *how;
	size_t outside; /* certificates of other CAs */
};

static enum rc
revoke_cert(struct revoking *r, const char *sha256, struct err *err)
{
	const struct revoke_how *how = r->how;
	struct store *store = r->store;
	struct store_revocation revocation = {
		.at = how->at, .reason = how->reason, .seq = how->seq};
	const unsigned char *serial;
	struct store_revocation before;
	struct store_cert cert;
	struct store_ca ca;
	enum rc rc = store_get_revocation(store, sha256, &before, err);

	if (rc != RC_NONE)
		return rc;
	rc = store_get_cert(store, sha256, &cert, err);
	if (rc)
		return rc == RC_NONE ? err_set(err, ERR_KEYSTORE_TAMPERED, "a certificate is gone")
				     : rc;
	rc = revoke_find_issuer(store, cert.cert, &ca, err);
	serial = cert_serial_bytes(cert.cert, &revocation.serial_len);
	if (rc == RC_NONE) {
		r->outside += cert.not_after > how->at;
	} else if (!rc && revocation.serial_len > STORE_MAX_SERIAL) {
		rc = err_set(err, ERR_LIMIT, "a serial number of %zu bytes", revocation.serial_len);
	} else if (!rc) {
		memcpy(revocation.serial, serial, revocation.serial_len);
		memcpy(revocation.sha256, cert.sha256, sizeof(revocation.sha256));
		strcpy(revocation.ca, ca.key);
		strcpy(revocation.comment, how->comment ? how->comment : "");
		revocation.not_after = cert.not_after;
		rc = store_put_revocation(store, &revocation, err);
	}
	store_cert_fini(&cert);
	return rc == RC_NONE ? RC_OK : rc;
}

struct fingerprints {
	char (*v)[2 * SHA256_SIZE + 1];
	size_t n;
};

static enum rc
collect(void *ctx, const struct store_cert *row, struct err *err)
{
	struct fingerprints *list = ctx;

	if (list->n == STORE_MAX_ROWS)
		return err_set(
			err, ERR_LIMIT, "a key with more than %d certificates", STORE_MAX_ROWS);
	memcpy(list->v[list->n++], row->sha256, sizeof(*list->v));
	return RC_OK;
}

enum rc
revoke_certs(struct store *store, const char *key, const struct revoke_how *how, size_t *outside,
	struct err *err)
{
	struct revoking r = {.store = store, .how = how};
	struct fingerprints list = {.v = calloc(STORE_MAX_ROWS, sizeof(*list.v))};
	/* Collected first: looking for an issuer goes through lists of certificates, too. */
	enum rc rc = list.v ? store_list_certs(store, key, collect, &list, err)
			    : err_set(err, ERR_MEMORY, "certificates");

	for (size_t i = 0; !rc && i < list.n; i++)
		rc = revoke_cert(&r, list.v[i], err);
	free(list.v);
	*outside = r.outside;
	return rc;
}
