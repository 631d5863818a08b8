/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path_bench - what the validation of a path costs over its signatures, CPU time in one process
 *
 * Leaf, issuing CA, root. Cold: each question is a new one (another time), the certificates are
 * parsed already; warm: the same question again. Beside them OpenSSL's X509_verify_cert with the
 * same certificates and no revocation, and the two bare signature checks.
 */
#include "base/clock.h"
#include "crypto/issue.h"
#include "crypto/openssl_glue.h"
#include "crypto/trust.h"

#define BENCH "path_bench"
#include "tests/bench/cpu.h"

#include <openssl/x509_vfy.h>

#include <stdio.h>
#include <stdlib.h>

#define CROWD 200 /* other anchors and intermediates */

struct world {
	struct cert *root, *ca, *leaf;
	struct certset extra;
	struct trust *trust;
	int64_t at;
};

static void
check(struct world *w, int64_t at)
{
	struct verdict v;

	verdict_init(&v);
	must(trust_check(
		     w->trust, w->leaf, &w->extra, CERT_SIGN, "alice@example.org", at, &v, &err),
		"check");
	if (v.path != PATH_VALID || v.revocation != REVOCATION_GOOD || v.sender != SENDER_MATCH) {
		fprintf(stderr, "path_bench: %s\n", v.reason);
		exit(70);
	}
	verdict_fini(&v);
}

static void
cold(struct world *w)
{
	check(w, w->at++ % 600000 + clock_now());
}

static void
warm(struct world *w)
{
	check(w, -1);
}

static void
signatures(struct world *w)
{
	if (X509_verify(cert_x509(w->leaf), cert_pubkey(w->ca)) != 1 ||
		X509_verify(cert_x509(w->ca), cert_pubkey(w->root)) != 1)
		exit(70);
}

static void
openssl(struct world *w)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *chain = sk_X509_new_null();

	if (!store || !ctx || !chain || !X509_STORE_add_cert(store, cert_x509(w->root)) ||
		!sk_X509_push(chain, cert_x509(w->ca)) ||
		!X509_STORE_CTX_init(ctx, store, cert_x509(w->leaf), chain) ||
		X509_verify_cert(ctx) != 1)
		exit(70);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_free(chain);
}

/* A root and an issuing CA called after NUMBER, with one key. */
static void
issuers(struct pkey *key, int number, struct cert **root, struct cert **ca)
{
	char name[40];
	struct issue_request request = {
		.not_before = clock_now() - 3600, .not_after = clock_now() + 864000};
	struct buf spki = BUF_INIT(0);

	request.common_name = name;
	(void)snprintf(name, sizeof(name), "Root %d", number);
	must(issue_root(key, &request, root, &err), "root");
	(void)snprintf(name, sizeof(name), "CA %d", number);
	must(pkey_public(key, &spki, &err), "public key");
	must(issue_ca(key, *root, spki.data, spki.len, &request, ca, &err), "CA");
	buf_fini(&spki);
}

static void
add_crls(struct world *w, struct pkey *key)
{
	struct cert *const issuer[] = {w->root, w->ca};

	for (size_t i = 0; i < 2; i++) {
		struct buf crl = BUF_INIT(0);

		must(issue_crl(key, issuer[i], NULL, 0, 1, clock_now() - 3600, clock_now() + 864000,
			     &crl, &err),
			"CRL");
		must(trust_add_crl(w->trust, crl.data, crl.len, &err), "CRL");
		buf_fini(&crl);
	}
}

static void
run(const char *kind, int crowd)
{
	struct trust_options options = {.revocation = REVOKE_REQUIRED, .min_rsa = 2048};
	struct issue_request request = {.addr = "alice@example.org",
		.not_before = clock_now() - 3600,
		.not_after = clock_now() + 864000,
		.use = CERT_SIGN | CERT_ENCRYPT};
	struct world w = {0};
	struct pkey *key;
	struct buf spki = BUF_INIT(0);
	double bare, lib, c, h;

	must(pkey_generate(kind, &key, &err), "key");
	must(pkey_public(key, &spki, &err), "public key");
	issuers(key, 0, &w.root, &w.ca);
	must(issue_leaf(key, w.ca, spki.data, spki.len, &request, &w.leaf, &err), "leaf");
	must(trust_new(&options, &w.trust, &err), "trust");
	for (int i = 1; i <= crowd; i++) {
		struct cert *root, *ca;

		issuers(key, i, &root, &ca);
		must(trust_add_anchor(w.trust, root, NULL, 0, &err), "anchor");
		must(trust_add_intermediate(w.trust, ca, &err), "intermediate");
		cert_unref(&root);
		cert_unref(&ca);
	}
	must(trust_add_anchor(w.trust, w.root, NULL, 0, &err), "anchor");
	must(certset_add(&w.extra, w.ca, &err), "CA");
	add_crls(&w, key);
	bare = measure(signatures, &w);
	lib = measure(openssl, &w);
	c = measure(cold, &w);
	h = measure(warm, &w);
	printf("%-8s %6d %11.1f %11.1f %11.1f %11.2f %9.2f x\n", kind, crowd + 1, bare, lib, c, h,
		c / bare);
	certset_fini(&w.extra);
	trust_unref(&w.trust);
	cert_unref(&w.root);
	cert_unref(&w.ca);
	cert_unref(&w.leaf);
	pkey_unref(&key);
	buf_fini(&spki);
}

int
main(void)
{
	puts("Validation of a path of three certificates with revocation, CPU microseconds");
	printf("%-8s %6s %11s %11s %11s %11s %11s\n", "key", "issuers", "signatures", "OpenSSL",
		"cold", "warm", "cold/bare");
	run("rsa2048", 0);
	run("rsa2048", CROWD);
	run("p256", 0);
	run("p256", CROWD);
	return 0;
}
