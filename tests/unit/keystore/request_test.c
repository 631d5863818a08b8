/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key.request and key.cert.add on the vault's own level: what is kept, and what a store that was
 * changed by hand does.
 */
#include "crypto/certchain.h"
#include "crypto/csr.h"
#include "crypto/issue.h"
#include "keystore/store_request.h"
#include "tests/unit/keystore/vault_world.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sqlite3.h>

static struct err err = ERR_INIT;

static void
refused(struct world *w, const char *request, struct secret *blob, enum errcode wanted)
{
	struct json_value *answer;

	REFUSED(admin_call(w->conf, request, blob, &answer, &err), wanted);
}

/* The public key in the request of ANSWER. */
static void
public_of(const struct json_value *answer, struct buf *spki)
{
	const char *pem = json_get_text(answer, "csr");
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509_REQ *req = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
	unsigned char *der = NULL;
	int len;

	assert_non_null(req);
	assert_int_equal(X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
	len = i2d_PUBKEY(X509_REQ_get0_pubkey(req), &der);
	assert_true(len > 0);
	buf_clear(spki);
	MUST(buf_append(spki, der, (size_t)len, &err));
	OPENSSL_free(der);
	X509_REQ_free(req);
	BIO_free(bio);
}

struct outside { /* a CA that is not ours */
	struct pkey *key;
	struct cert *cert;
};

static void
outside_init(struct outside *ca)
{
	struct issue_request request = {.common_name = "Outside",
		.not_before = clock_now() - 900 * 86400,
		.not_after = clock_now() + 900 * 86400};

	MUST(pkey_generate("p256", &ca->key, &err));
	MUST(issue_root(ca->key, &request, &ca->cert, &err));
}

static void
outside_fini(struct outside *ca)
{
	pkey_unref(&ca->key);
	cert_unref(&ca->cert);
}

/* A certificate for SPKI, valid from FROM to TO days from now. */
static struct secret *
answer_of(const struct outside *ca, const struct buf *spki, const char *addr, unsigned use,
	int from, int to)
{
	struct issue_request request = {.addr = addr,
		.use = use,
		.not_before = clock_now() + from * (int64_t)86400,
		.not_after = clock_now() + to * (int64_t)86400};
	struct buf pem = BUF_INIT(65536);
	struct secret *blob;
	struct cert *cert;

	MUST(issue_leaf(ca->key, ca->cert, spki->data, spki->len, &request, &cert, &err));
	MUST(cert_format_pem(cert, &pem, &err));
	MUST(cert_format_pem(ca->cert, &pem, &err));
	MUST(secret_copy(pem.data, pem.len, &blob, &err));
	cert_unref(&cert);
	buf_fini(&pem);
	return blob;
}

static bool unasked; /* take what nobody asked for */

/* Adds, and says what became of the first. */
static void
arrives(struct world *w, const char *name, struct secret *blob, const char *outcome,
	const char *status)
{
	const struct json_value *first;
	struct json_value *a;

	MUST(admin_call(w->conf,
		unasked ? "{\"cmd\":\"key.cert.add\",\"unasked\":true}"
			: "{\"cmd\":\"key.cert.add\"}",
		blob, &a, &err));
	first = json_at(json_find(a, "certificates"), 0);
	CHECK_STR(name, json_get_text(first, "outcome"), outcome);
	CHECK_STR(name, json_get_text(first, "status"), status);
	json_free(&a);
	secret_free(&blob);
}

static void
certificates_arrive(void **state)
{
	static const char ask[] =
		"{\"cmd\":\"key.request\",\"addr\":\"ann@example.org\",\"type\":\"p256\"}";
	struct buf spki = BUF_INIT(4096), other = BUF_INIT(4096);
	struct outside ca;
	struct json_value *a;
	char first[4096];
	struct world w;

	(void)state;
	world_init(&w, NULL);
	world_start(&w);
	outside_init(&ca);
	a = world_admin(&w, ask);
	public_of(a, &spki);
	snprintf(first, sizeof(first), "%s", json_get_text(a, "csr"));
	json_free(&a);
	/* ECDSA signs at random: only what is kept can be the same. */
	a = world_admin(&w, ask);
	CHECK_STR("again", json_get_text(a, "csr"), first);
	assert_true(json_is_true(json_find(json_at(json_find(a, "keys"), 0), "known")));
	json_free(&a);

	arrives(&w, "another's address", answer_of(&ca, &spki, "eve@example.org", CERT_SIGN, -1, 9),
		"refused", "waiting");
	arrives(&w, "not valid yet",
		answer_of(&ca, &spki, "Ann@Example.org", CERT_SIGN | CERT_ENCRYPT, 2, 9), "added",
		"active");
	arrives(&w, "one that nobody asked for",
		answer_of(&ca, &spki, "ann@example.org", CERT_SIGN, -1, 9), "refused", "active");
	unasked = true;
	arrives(&w, "one more", answer_of(&ca, &spki, "ann@example.org", CERT_SIGN, -1, 9), "added",
		"active");
	unasked = false;
	arrives(&w, "an expired one", answer_of(&ca, &spki, "ann@example.org", CERT_SIGN, -9, -1),
		"added", "active");
	world_do(&w, "{\"cmd\":\"key.cert\",\"key\":\"ann@example.org\"}", NULL);

	/* Expired when it came: opens old mail only. */
	a = world_admin(
		&w, "{\"cmd\":\"key.request\",\"addr\":\"old@example.org\",\"type\":\"p256\"}");
	public_of(a, &other);
	json_free(&a);
	arrives(&w, "expired",
		answer_of(&ca, &other, "old@example.org", CERT_SIGN | CERT_ENCRYPT, -9, -1),
		"added", "retired");

	/* Given up in the meantime: the late certificate does not make it sign. */
	a = world_admin(
		&w, "{\"cmd\":\"key.request\",\"addr\":\"late@example.org\",\"type\":\"p256\"}");
	public_of(a, &other);
	json_free(&a);
	world_do(&w, "{\"cmd\":\"key.retire\",\"key\":\"late@example.org\"}", NULL);
	arrives(&w, "late", answer_of(&ca, &other, "late@example.org", CERT_SIGN, -1, 9), "added",
		"retired");

	/* A request for the same key is not answered by an older certificate. */
	a = world_admin(&w, "{\"cmd\":\"key.request\",\"key\":\"ann@example.org\"}");
	snprintf(first, sizeof(first), "%s", json_get_text(a, "csr"));
	json_free(&a);
	arrives(&w, "older", answer_of(&ca, &spki, "ann@example.org", CERT_SIGN, -30, 9), "added",
		"active");
	a = world_admin(&w, "{\"cmd\":\"key.request\",\"key\":\"ann@example.org\"}");
	CHECK_STR("still asked for", json_get_text(a, "csr"), first);
	json_free(&a);

	refused(&w, "{\"cmd\":\"key.cert.add\"}", NULL, ERR_USAGE);
	refused(&w, "{\"cmd\":\"key.request\"}", NULL, ERR_USAGE);
	refused(&w, "{\"cmd\":\"key.request\",\"addr\":\"a@example.org\",\"purpose\":\"ca\"}", NULL,
		ERR_USAGE);
	refused(&w, "{\"cmd\":\"key.request\",\"addr\":\"a@example.org\",\"renew\":true}", NULL,
		ERR_VAULT_NO_KEY);
	refused(&w, "{\"cmd\":\"key.request\",\"key\":\"late@example.org\"}", NULL, ERR_USAGE);
	refused(&w, "{\"cmd\":\"key.request\",\"addr\":\"a@example.org\",\"type\":\"p192\"}", NULL,
		ERR_USAGE);
	outside_fini(&ca);
	buf_fini(&spki);
	buf_fini(&other);
	world_fini(&w);
}

/* Each bit of a certificate wrong in turn, beside its CA's: never taken. */
static void
changed_certificates(void **state)
{
	struct buf spki = BUF_INIT(4096);
	struct issue_request request = {.addr = "ann@example.org",
		.use = CERT_SIGN,
		.not_before = clock_now() - 86400,
		.not_after = clock_now() + 86400};
	const unsigned char *der;
	struct outside ca;
	struct json_value *a;
	struct cert *cert;
	struct world w;
	size_t len, judged = 0;

	(void)state;
	world_init(&w, NULL);
	world_start(&w);
	outside_init(&ca);
	a = world_admin(
		&w, "{\"cmd\":\"key.request\",\"addr\":\"ann@example.org\",\"type\":\"p256\"}");
	public_of(a, &spki);
	json_free(&a);
	MUST(issue_leaf(ca.key, ca.cert, spki.data, spki.len, &request, &cert, &err));
	der = cert_der(cert, &len);
	for (size_t bit = 0; bit < 8 * len; bit += 3) {
		struct certset set = {0};
		struct buf file = BUF_INIT(65536);
		unsigned char *bytes = exact(der, len);
		struct cert *changed;
		struct secret *blob;

		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		if (cert_parse(bytes, len, &changed, NULL) == RC_OK) {
			MUST(certset_add(&set, changed, &err));
			MUST(certset_add(&set, ca.cert, &err));
			MUST(certset_format_p7(&set, &file, &err));
			MUST(secret_copy(file.data, file.len, &blob, &err));
			/* What no longer names the CA cannot be told by it: another issuer, another
			 * key identifier. */
			if (admin_call(w.conf, "{\"cmd\":\"key.cert.add\",\"unasked\":true}", blob,
				    &a, &err) == RC_OK) {
				const struct json_value *list = json_find(a, "certificates");
				bool named = cert_names_issuer(changed, ca.cert);

				for (size_t i = 0; i < json_count(list); i++)
					if (named &&
						strcmp(json_get_text(json_at(list, i), "outcome"),
							"added") == 0)
						fail_msg("bit %zu is taken", bit);
				judged += json_count(list) == 2;
				json_free(&a);
			}
			err_clear(&err);
			secret_free(&blob);
			cert_unref(&changed);
		}
		certset_fini(&set);
		buf_fini(&file);
		free(bytes);
	}
	assert_true(judged > 100);
	cert_unref(&cert);
	outside_fini(&ca);
	buf_fini(&spki);
	world_fini(&w);
}

/* The organisation's CA gets no certificate from outside. */
static void
not_for_the_ca(void **state)
{
	struct world w;
	struct json_value *a, *list;
	struct secret *blob;
	char request[128];

	(void)state;
	world_init(&w, NULL);
	list = world_admin(&w, "{\"cmd\":\"key.list\"}");
	snprintf(request, sizeof(request), "{\"cmd\":\"key.request\",\"key\":\"%s\"}",
		json_get_text(json_at(json_find(list, "keys"), 0), "key"));
	json_free(&list);
	refused(&w, request, NULL, ERR_VAULT_DENIED);
	a = world_admin(&w, "{\"cmd\":\"ca.show\"}");
	MUST(secret_copy(json_get_text(a, "pem"), strlen(json_get_text(a, "pem")), &blob, &err));
	json_free(&a);
	arrives(&w, "the CA's own", blob, "ca", NULL);
	world_fini(&w);
}

static void
change_store(const struct world *w, const char *sql)
{
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s", conf_str(conf_section(w->conf, "vault"), "store"));
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

/* Rows changed by hand: whom a request is for, what it replaces, its bytes, a row taken away. */
static void
tampered_requests(void **state)
{
	static const char *const changes[] = {
		"UPDATE requests SET addr = 'eve@example.org'",
		"UPDATE requests SET replaces = 'k0123456789abcdef'",
		"UPDATE requests SET der = x'3000'",
		"DELETE FROM requests",
		"UPDATE keys SET status = 0 WHERE status = 3",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		static const char ask[] =
			"{\"cmd\":\"key.request\",\"addr\":\"ann@example.org\",\"type\":\"p256\"}";
		struct world w;

		world_init(&w, NULL);
		world_do(&w, ask, NULL);
		change_store(&w, changes[i]);
		refused(&w, ask, NULL, ERR_KEYSTORE_TAMPERED);
		world_fini(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificates_arrive),
		cmocka_unit_test(changed_certificates),
		cmocka_unit_test(not_for_the_ca),
		cmocka_unit_test(tampered_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
