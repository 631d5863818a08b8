/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * revocation_bench.c - what a revocation list costs to load, to keep and to ask, by its size, and
 * what an OCSP answer costs
 */
#include "base/clock.h"
#include "crypto/revocation_private.h"
#include "crypto/trust.h"
#include "tests/unit/crypto/lists.h"
#include "tests/unit/crypto/pki.h"

#include <openssl/ocsp.h>

#include <malloc.h>
#include <time.h>

#define ASKED 1000000

static double
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return 1e6 * (double)t.tv_sec + (double)t.tv_nsec / 1e3;
}

/* 20 bytes, as the Baseline Requirements have CAs do it; multiplied so that neighbours differ. */
static void
serial_of(size_t i, unsigned char out[20])
{
	size_t k;

	for (k = 0; k < 20; k++)
		out[k] = (unsigned char)(0x40 | ((i + 1) * 0x9e3779b97f4a7c15 >> k % 8 * 8) % 0x3f);
	for (k = 0; k < 4; k++)
		out[4 + k] = (unsigned char)(i >> 8 * k);
}

static void
put_entry(void *ctx, size_t i, struct list_entry *entry)
{
	static unsigned char serial[20];

	(void)ctx;
	serial_of(i, serial);
	entry->serial = serial;
	entry->len = sizeof(serial);
	entry->reason = (int)(i % 6);
}

/* Bytes that malloc has given out. */
static size_t
in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static double
ask(const struct crl *crl, const X509_NAME *issuer, size_t n)
{
	struct serialset_entry found;
	unsigned char serial[20];
	double start;
	size_t i, hits = 0, at = 1;

	start = cpu_us();
	for (i = 0; i < ASKED; i++) {
		at = (at * 6364136223846793005 + 1442695040888963407);
		serial_of((at >> 32) % (2 * n), serial); /* every other one is listed */
		hits += crl_find(crl, issuer, serial, 20, &found);
	}
	if (hits < ASKED / 3 || hits > 2 * (ASKED / 3))
		abort();
	return 1000 * (cpu_us() - start) / ASKED;
}

/* Of a list of 200,000 entries. */
static void
print_goals(double ms, double bytes, double ns)
{
	printf("        load goal 1000 ms: %s, memory goal 100 bytes each: %s, look-up goal 1000 ns: %s\n",
		ms <= 1000 ? "kept" : "MISSED", bytes <= 100 ? "kept" : "MISSED",
		ns <= 1000 ? "kept" : "MISSED");
}

static void
lists(X509 *issuer, EVP_PKEY *key)
{
	static const size_t sizes[] = {10, 100, 1000, 10000, 100000, 200000, 1000000};
	const X509_NAME *name = X509_get_subject_name(issuer);
	double base = 0;
	size_t s;

	puts("entries       bytes    load ms   check us   memory MB   bytes/entry   look-up ns");
	for (s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		struct list_spec spec = {.issuer = issuer,
			.key = key,
			.from = clock_now(),
			.n = sizes[s],
			.entry = put_entry};
		struct buf der = BUF_INIT(512u << 20);
		struct crl *crl;
		double start, load, verify, look;
		size_t before, memory;

		list_make(&spec, &der);
		before = in_use();
		start = cpu_us();
		assert_int_equal(crl_parse(der.data, der.len, &crl, NULL), RC_OK);
		load = cpu_us() - start;
		memory = in_use() - before;
		start = cpu_us();
		assert_true(crl_is_signed_by(crl, issuer));
		verify = cpu_us() - start;
		look = ask(crl, name, sizes[s]);
		base = s == 0 ? look : base;
		printf("%7zu %11zu %10.1f %10.0f %11.2f %13.1f %12.0f\n", sizes[s], der.len,
			load / 1000, verify, (double)memory / 1e6,
			(double)memory / (double)sizes[s], look);
		fflush(stdout);
		if (sizes[s] == 200000)
			print_goals(load / 1000, (double)memory / (double)sizes[s], look);
		if (sizes[s] == 1000000)
			printf("        growth of a look-up from 10 to 10^6 entries: %.1f  goal 10 (flat or logarithmic): %s\n",
				look / base, look / base <= 10 ? "kept" : "MISSED");
		crl_unref(&crl);
		buf_fini(&der);
	}
}

static void
answers(X509 *issuer, EVP_PKEY *key)
{
	X509 *x509 = pki_x509(&(struct pki_spec){.name = "Leaf",
		.key = key,
		.issuer = issuer,
		.from = clock_now() - 3600,
		.until = clock_now() + 86400});
	struct trust_options options = {.revocation = REVOKE_REQUIRED, .min_rsa = 2048};
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), x509, issuer);
	ASN1_TIME *from = ASN1_TIME_adj(NULL, clock_now(), 0, -60);
	ASN1_TIME *until = ASN1_TIME_adj(NULL, clock_now(), 1, 0);
	struct cert *leaf = pki_take(x509), *ca;
	struct trust *trust;
	struct verdict v;
	unsigned char *der = NULL;
	double start, took[2] = {0, 0};
	OCSP_RESPONSE *response;
	int len, i, k;

	assert_true(X509_up_ref(issuer));
	ca = pki_take(issuer);
	assert_non_null(
		OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, from, until));
	assert_true(OCSP_basic_sign(basic, issuer, key, EVP_sha256(), NULL, OCSP_NOCERTS));
	response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	len = i2d_OCSP_RESPONSE(response, &der);
	for (k = 0; k < 2; k++) {
		options.revocation = k ? REVOKE_REQUIRED : REVOKE_OFF;
		assert_int_equal(trust_new(&options, &trust, NULL), RC_OK);
		assert_int_equal(trust_add_anchor(trust, ca, NULL, 0, NULL), RC_OK);
		assert_int_equal(trust_add_ocsp(trust, der, (size_t)len, NULL, NULL), RC_OK);
		start = cpu_us();
		for (i = 0; i < 1000; i++) { /* each at another time, so that none is remembered */
			verdict_init(&v);
			assert_int_equal(
				trust_check(trust, leaf, NULL, 0, NULL, clock_now() + i, &v, NULL),
				RC_OK);
			CHECK_INT("revocation", v.revocation,
				k ? REVOCATION_GOOD : REVOCATION_UNCHECKED);
			verdict_fini(&v);
		}
		took[k] = (cpu_us() - start) / 1000;
		trust_unref(&trust);
	}
	printf("path of two, P-256: %.0f us; with an OCSP answer: %.0f us (%d bytes)\n", took[0],
		took[1], len);
	OPENSSL_free(der);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	cert_unref(&leaf);
	cert_unref(&ca);
}

int
main(void)
{
	EVP_PKEY *key = pki_p256();
	X509 *issuer = pki_x509(&(struct pki_spec){.name = "Bench CA",
		.key = key,
		.from = clock_now() - 3600,
		.until = clock_now() + 10 * 86400,
		.exts = {{NID_basic_constraints, "critical,CA:TRUE"},
			{NID_key_usage, "keyCertSign,cRLSign"}}});

	lists(issuer, key);
	answers(issuer, key);
	X509_free(issuer);
	EVP_PKEY_free(key);
	return 0;
}
