/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keymaker FOLDER N: N small PKCS#12 files, each with a P-256 key and a certificate of one CA for
 * userI@example.org, and FOLDER/../table.tsv with address, file and PIN. For runs of many files.
 *
 * keymaker bundle FILE PIN PEM…: one PKCS#12 file with the key and the certificate of each PEM
 * file, which the openssl command cannot make.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void
need(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "keymaker: %s\n", what);
	exit(1);
}

static void
add(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	need(ext && X509_add_ext(cert, ext, -1), value);
	X509_EXTENSION_free(ext);
}

static X509 *
make_cert(EVP_PKEY *key, const char *name, const char *san, X509 *issuer, EVP_PKEY *issuer_key)
{
	static long serial = 1000;
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);

	need(X509_set_version(cert, X509_VERSION_3) &&
			ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++) &&
			X509_gmtime_adj(X509_getm_notBefore(cert), -86400) &&
			X509_gmtime_adj(X509_getm_notAfter(cert), 300 * 86400L) &&
			X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
				(const unsigned char *)name, -1, -1, 0) &&
			X509_set_pubkey(cert, key),
		"certificate");
	need(X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert)), "issuer");
	add(cert, NID_basic_constraints, issuer ? "critical,CA:FALSE" : "critical,CA:TRUE");
	if (san)
		add(cert, NID_subject_alt_name, san);
	need(X509_sign(cert, issuer_key, EVP_sha256()), "signature");
	return cert;
}

static void
write_p12(const char *path, EVP_PKEY *key, X509 *cert, const char *pin)
{
	PKCS12 *p12 = PKCS12_create(pin, NULL, key, cert, NULL, 0, 0, 1, 1, 0);
	FILE *file = fopen(path, "wb");

	need(p12 && file && i2d_PKCS12_fp(file, p12) && fclose(file) == 0, path);
	PKCS12_free(p12);
}

static int
many(int argc, char **argv)
{
	EVP_PKEY *ca_key = EVP_EC_gen("P-256");
	char path[4096], pin[64], san[128];
	X509 *ca;
	FILE *table;
	long n;

	need(argc == 3 && strlen(argv[1]) < 4000 && ca_key, "usage: keymaker FOLDER N");
	n = atol(argv[2]);
	ca = make_cert(ca_key, "Many CA", NULL, NULL, ca_key);
	snprintf(path, sizeof(path), "%s/../table.tsv", argv[1]);
	(void)mkdir(argv[1], 0700);
	table = fopen(path, "w");
	need(table && chmod(path, 0600) == 0, path);
	for (long i = 0; i < n; i++) {
		EVP_PKEY *key = EVP_EC_gen("P-256");
		X509 *cert;

		snprintf(san, sizeof(san), "email:user%ld@example.org", i);
		cert = make_cert(key, san + 6, san, ca, ca_key);
		snprintf(pin, sizeof(pin), "pin-%ld", i);
		snprintf(path, sizeof(path), "%s/%06ld.p12", argv[1], i);
		write_p12(path, key, cert, pin);
		fprintf(table, "user%ld@example.org\t%06ld.p12\t%s\n", i, i, pin);
		X509_free(cert);
		EVP_PKEY_free(key);
	}
	need(fclose(table) == 0, "table");
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	return 0;
}

/* The key and the certificate of one PEM file into BAGS. */
static void
add_pem(STACK_OF(PKCS12_SAFEBAG) * *bags, const char *path, const char *pin)
{
	FILE *file = fopen(path, "r");
	EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
	X509 *cert = NULL;
	PKCS12_SAFEBAG *bag;
	unsigned char id[32];
	unsigned int len;

	need(key != NULL, path);
	rewind(file);
	cert = PEM_read_X509(file, NULL, NULL, NULL);
	need(cert && X509_digest(cert, EVP_sha256(), id, &len), path);
	need(X509_keyid_set1(cert, id, (int)len) && PKCS12_add_cert(bags, cert), path);
	bag = PKCS12_add_key_ex(bags, key, 0, 2048, NID_aes_256_cbc, pin, NULL, NULL);
	need(bag && PKCS12_add_localkeyid(bag, id, (int)len), path);
	X509_free(cert);
	EVP_PKEY_free(key);
	fclose(file);
}

static int
bundle(int argc, char **argv)
{
	const char *out = argv[0], *pin = argv[1];
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	STACK_OF(PKCS7) *safes = NULL;
	PKCS12 *p12;
	FILE *file = fopen(out, "wb");

	for (int i = 2; i < argc; i++)
		add_pem(&bags, argv[i], pin);
	need(PKCS12_add_safe(&safes, bags, NID_aes_256_cbc, 2048, pin), "safe");
	p12 = PKCS12_add_safes(safes, 0);
	need(p12 && PKCS12_set_mac(p12, pin, -1, NULL, 0, 2048, EVP_sha256()), "MAC");
	need(file && i2d_PKCS12_fp(file, p12) && fclose(file) == 0, out);
	PKCS12_free(p12);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc > 4 && strcmp(argv[1], "bundle") == 0)
		return bundle(argc - 2, argv + 2);
	return many(argc, argv);
}
