/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store.h"

#include <string.h>

#include "crypto/digest.h"
#include "keystore/store_row.h"

#define CERT_COLUMNS "sha256, key, ident, ski, not_before, not_after, created, seq, chain, mac, der"
#define CHAIN_MAX    16

void
store_cert_fini(struct store_cert *cert)
{
	cert_unref(&cert->cert);
	certset_fini(&cert->chain);
}

enum rc
store_ident(const void *issuer, size_t issuer_len, const void *serial, size_t serial_len,
	unsigned char out[SHA256_SIZE], struct err *err)
{
	struct buf both = BUF_INIT(CERT_MAX_BYTES);
	unsigned char value[DIGEST_MAX_SIZE];
	enum rc rc = buf_append(&both, issuer, issuer_len, err);

	if (!rc)
		rc = buf_append(&both, serial, serial_len, err);
	if (!rc)
		rc = digest_bytes(DIGEST_SHA256, both.data, both.len, value, err);
	if (!rc)
		memcpy(out, value, SHA256_SIZE);
	buf_fini(&both);
	return rc;
}

/* Keeps the certificates of CHAIN; their hashes, one after the other, go into the row. */
static enum rc
put_chain(struct store *store, const struct certset *chain, struct buf *hashes, struct err *err)
{
	size_t len;
	enum rc rc = RC_OK;

	if (chain->n > CHAIN_MAX)
		return err_set(err, ERR_LIMIT, "a chain of %zu certificates", chain->n);
	for (size_t i = 0; !rc && i < chain->n; i++) {
		const unsigned char *der = cert_der(chain->v[i], &len);
		sqlite3_stmt *st;

		rc = buf_append(hashes, cert_sha256(chain->v[i]), SHA256_SIZE, err);
		if (!rc)
			rc = store_prepare(store,
				"INSERT OR REPLACE INTO chain(sha256, der) VALUES(?, ?)", &st, err);
		if (rc)
			return rc;
		sqlite3_bind_blob(st, 1, cert_sha256(chain->v[i]), SHA256_SIZE, SQLITE_STATIC);
		sqlite3_bind_blob64(st, 2, der, len, SQLITE_STATIC);
		rc = store_run(store, st, err);
	}
	return rc;
}

enum rc
store_add_cert(struct store *store, const char *key, struct cert *cert, const struct certset *chain,
	int64_t now, int64_t seq, struct err *err)
{
	static const struct certset empty;
	struct buf hashes = BUF_INIT(CHAIN_MAX * SHA256_SIZE + 1);
	unsigned char ident[SHA256_SIZE];
	const unsigned char *issuer, *serial, *ski, *der;
	size_t issuer_len, serial_len, ski_len, der_len;
	struct row row;
	enum rc rc;

	issuer = cert_issuer_der(cert, &issuer_len);
	serial = cert_serial_bytes(cert, &serial_len);
	ski = cert_ski(cert, &ski_len);
	der = cert_der(cert, &der_len);
	rc = store_ident(issuer, issuer_len, serial, serial_len, ident, err);
	pthread_mutex_lock(&store->lock);
	if (!rc)
		rc = put_chain(store, chain ? chain : &empty, &hashes, err);
	if (!rc)
		rc = row_begin(&row, store, "certs",
			"INSERT OR REPLACE INTO certs(" CERT_COLUMNS
			") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			err);
	if (!rc) {
		row_put_text(&row, cert_fingerprint(cert));
		row_put_text(&row, key);
		row_put_blob(&row, ident, sizeof(ident));
		row_put_blob(&row, ski, ski_len);
		row_put_int(&row, cert_not_before(cert));
		row_put_int(&row, cert_not_after(cert));
		row_put_int(&row, now);
		row_put_int(&row, seq);
		row_put_blob(&row, hashes.data, hashes.len);
		rc = row_seal(&row, err);
	}
	if (!rc) {
		sqlite3_bind_blob64(row.st, 11, der, der_len, SQLITE_STATIC);
		rc = store_run(store, row.st, err);
	}
	pthread_mutex_unlock(&store->lock);
	buf_fini(&hashes);
	return rc;
}

/* Parses DER that must have this SHA-256: the row's HMAC covers the hash. */
static enum rc
parse_as(const void *der, size_t len, const unsigned char *sha256, struct cert **out,
	struct err *err)
{
	enum rc rc = cert_parse(der, len, out, err);

	if (!rc && memcmp(cert_sha256(*out), sha256, SHA256_SIZE) != 0) {
		cert_unref(out);
		rc = RC_PERM;
	}
	return rc == RC_PERM ? err_set(err, ERR_KEYSTORE_TAMPERED, "a certificate was changed")
			     : rc;
}

static enum rc
read_chain(struct store *store, const unsigned char *hashes, size_t len, struct certset *chain,
	struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t at = 0; !rc && at + SHA256_SIZE <= len; at += SHA256_SIZE) {
		struct cert *cert = NULL;
		sqlite3_stmt *st;

		rc = store_prepare(store, "SELECT der FROM chain WHERE sha256 = ?", &st, err);
		if (rc)
			return rc;
		sqlite3_bind_blob(st, 1, hashes + at, SHA256_SIZE, SQLITE_STATIC);
		rc = store_step(store, st, err);
		if (rc == RC_NONE)
			rc = err_set(err, ERR_KEYSTORE_TAMPERED, "a chain's certificate is gone");
		if (!rc)
			rc = parse_as(sqlite3_column_blob(st, 0),
				(size_t)sqlite3_column_bytes(st, 0), hashes + at, &cert, err);
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
		if (!rc)
			rc = certset_add(chain, cert, err);
		cert_unref(&cert);
	}
	return rc;
}

/* The row without certificate and chain. HASHES: those of the chain. */
static enum rc
read_columns(struct store *store, sqlite3_stmt *st, struct store_cert *out,
	unsigned char hashes[CHAIN_MAX * SHA256_SIZE], size_t *hashes_len, struct err *err)
{
	const void *ident, *ski, *chain;
	size_t ident_len, ski_len, chain_len;
	struct row row;

	*out = (struct store_cert){0};
	row_read(&row, store, "certs", st);
	row_get_text(&row, out->sha256, sizeof(out->sha256));
	row_get_text(&row, out->key, sizeof(out->key));
	ident = row_get_blob(&row, &ident_len);
	ski = row_get_blob(&row, &ski_len);
	(void)ident;
	(void)ski;
	out->not_before = row_get_int(&row, INT64_MIN, INT64_MAX);
	out->not_after = row_get_int(&row, INT64_MIN, INT64_MAX);
	out->created = row_get_int(&row, 0, INT64_MAX);
	out->seq = row_get_int(&row, 0, INT64_MAX);
	chain = row_get_blob(&row, &chain_len);
	if (chain_len > (size_t)CHAIN_MAX * SHA256_SIZE)
		chain_len = (size_t)CHAIN_MAX * SHA256_SIZE;
	if (chain_len)
		memcpy(hashes, chain, chain_len);
	*hashes_len = chain_len;
	return row_check(&row, err);
}

static enum rc
read_listed(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	unsigned char hashes[CHAIN_MAX * SHA256_SIZE];
	size_t len;

	return read_columns(store, st, what, hashes, &len, err);
}

static enum rc
read_whole(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	unsigned char hashes[CHAIN_MAX * SHA256_SIZE];
	struct store_cert *out = what;
	size_t len;
	enum rc rc = read_columns(store, st, out, hashes, &len, err);

	if (rc)
		return rc;
	rc = cert_parse(
		sqlite3_column_blob(st, 10), (size_t)sqlite3_column_bytes(st, 10), &out->cert, err);
	if (rc == RC_PERM || (!rc && strcmp(cert_fingerprint(out->cert), out->sha256) != 0))
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "certificate %s was changed", out->sha256);
	if (!rc)
		rc = read_chain(store, hashes, len, &out->chain, err);
	if (rc)
		store_cert_fini(out);
	return rc;
}

enum rc
store_current_cert(
	struct store *store, const char *key, int64_t at, struct store_cert *out, struct err *err)
{
	struct rows rows;
	enum rc rc;

	*out = (struct store_cert){0};
	rows_begin(&rows, store,
		"SELECT " CERT_COLUMNS
		" FROM certs WHERE key = ?1 AND not_before <= ?2 AND not_after >= ?2"
		" ORDER BY not_before DESC, created DESC LIMIT 1",
		err);
	rows_text(&rows, 1, key);
	rows_int(&rows, 2, at);
	rc = rows_next(&rows, read_whole, out, err);
	(void)rows_end(&rows, rc);
	if (!rc && strcmp(out->key, key) != 0) {
		store_cert_fini(out);
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "index of table certs");
	}
	return rc;
}

enum rc
store_get_cert(struct store *store, const char *sha256, struct store_cert *out, struct err *err)
{
	*out = (struct store_cert){0};
	return row_find(store, "SELECT " CERT_COLUMNS " FROM certs WHERE sha256 = ?", sha256,
		read_whole, out, err);
}

enum rc
store_list_certs(
	struct store *store, const char *key, store_each_cert *each, void *ctx, struct err *err)
{
	struct store_cert cert;
	struct rows rows;
	enum rc rc;

	rows_begin(&rows, store,
		"SELECT " CERT_COLUMNS
		" FROM certs WHERE key = ? ORDER BY not_before DESC LIMIT 1000",
		err);
	rows_text(&rows, 1, key);
	while ((rc = rows_next(&rows, read_listed, &cert, err)) == RC_OK)
		if ((rc = each(ctx, &cert, err)) != RC_OK)
			break;
	return rows_end(&rows, rc);
}

enum rc
store_match(struct store *store, bool is_ski, const void *value, size_t len,
	char (*ids)[STORE_ID_SIZE], size_t max, size_t *n, struct err *err)
{
	struct store_cert cert;
	struct rows rows;
	enum rc rc = RC_OK;

	*n = 0;
	if (len == 0)
		return RC_OK;
	if (is_ski)
		rows_begin(&rows, store, "SELECT " CERT_COLUMNS " FROM certs WHERE ski = ?", err);
	else
		rows_begin(&rows, store, "SELECT " CERT_COLUMNS " FROM certs WHERE ident = ?", err);
	rows_blob(&rows, 1, value, len);
	while (*n < max && (rc = rows_next(&rows, read_listed, &cert, err)) == RC_OK) {
		bool known = false;

		for (size_t i = 0; i < *n && !known; i++)
			known = strcmp(ids[i], cert.key) == 0;
		if (!known)
			memcpy(ids[(*n)++], cert.key, STORE_ID_SIZE);
	}
	return rows_end(&rows, rc);
}

/* A certificate of a chain. */
static enum rc
read_ca(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	struct cert **out = what;

	(void)store;
	return cert_parse(
		sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0), out, err);
}

enum rc
store_known_cas(struct store *store, struct certset *out, struct err *err)
{
	struct cert *cert = NULL;
	struct rows rows;
	enum rc rc;

	rows_begin(&rows, store, "SELECT der FROM chain LIMIT ?", err);
	rows_int(&rows, 1, CERTSET_MAX / 2);
	while ((rc = rows_next(&rows, read_ca, &cert, err)) == RC_OK) {
		rc = certset_add(out, cert, err);
		cert_unref(&cert);
		if (rc != RC_OK)
			break;
	}
	return rows_end(&rows, rc);
}
