/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a private key gives: to whoever asks twice about the same number, and when memory is refused
 *
 * The program is linked with --wrap for malloc and realloc, so that memory can be refused to what
 * crypto/ calls and to OpenSSL, whose memory goes through openssl_glue.c.
 */
#include "crypto/cms_envelope.h"
#include "crypto/der.h"
#include "crypto/pkey_private.h"
#include "tests/unit/crypto/people.h"

#include <openssl/rsa.h>

#define SIZE 256 /* of an RSA key */

void *__real_malloc(size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_realloc(void *p, size_t n);

static long allocations, refused_at = -1;

static bool
is_refused(void)
{
	return allocations++ == refused_at;
}

void *
__wrap_malloc(size_t n)
{
	return is_refused() ? NULL : __real_malloc(n);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return is_refused() ? NULL : __real_realloc(p, n);
}

static struct person ca, rsa;
static const struct person *signer; /* rsa or ca, which has an EC key */
static struct secret *fallback;

/* EM to the power of the public exponent. */
static void
raw_rsa(const unsigned char *em, unsigned char *out)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey_evp(rsa.key), NULL);
	size_t n = SIZE;

	assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING), 1);
	assert_int_equal(EVP_PKEY_encrypt(ctx, out, &n, em, SIZE), 1);
	EVP_PKEY_CTX_free(ctx);
}

static const unsigned char v15[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05",
			   oaep[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07\x30",
			   labelled[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07\x30\x12\xa2"
					"\x10\x30\x0e\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x09"
					"\x04\x01x";

/* What the key gives for a KeyTransRecipientInfo with this algorithm and encryptedKey. */
static enum rc
open_key(const unsigned char *alg, size_t alg_len, const unsigned char *encrypted, size_t len,
	enum content_cipher cipher, struct secret **cek, struct err *err)
{
	struct der_out w;
	size_t start, id, n;
	const unsigned char *p;
	enum rc rc;

	der_out_init(&w, 0, NULL);
	start = der_begin(&w);
	der_put_int(&w, 0);
	id = der_begin(&w);
	p = cert_issuer_der(rsa.cert, &n);
	der_put_raw(&w, p, n);
	p = cert_serial_bytes(rsa.cert, &n);
	der_put(&w, DER_INTEGER, p, n);
	der_end(&w, id, DER_SEQUENCE);
	id = der_begin(&w);
	der_put_raw(&w, alg, alg_len);
	der_end(&w, id, DER_SEQUENCE);
	der_put(&w, DER_OCTETS, encrypted, len);
	der_end(&w, start, DER_SEQUENCE);
	*cek = NULL;
	rc = w.rc ? w.rc
		  : rinfo_open(w.buf.data, w.buf.len, 0, cipher, rsa.key, fallback, cek, err);
	der_out_fini(&w);
	return rc;
}

#define V15      v15, sizeof v15
#define OAEP     oaep, sizeof oaep
#define LABELLED labelled, sizeof labelled - 1

/* A block that is no padding at all, and one that is right for CEK_LEN bytes. */
static void
block(bool good, size_t cek_len, unsigned char em[SIZE])
{
	memset(em, 0x5a, SIZE);
	em[0] = 0;
	if (good) {
		em[1] = 2;
		em[SIZE - cek_len - 1] = 0;
	}
}

/* EM, changed where padding does not look, until its power begins with a zero. */
static void
number_with_zero(unsigned char em[SIZE], unsigned char out[SIZE])
{
	for (int i = 0; i < 65536; i++) {
		em[2] = (unsigned char)(1 + i % 255);
		em[3] = (unsigned char)(1 + i / 255);
		raw_rsa(em, out);
		if (out[0] == 0)
			return;
	}
	fail_msg("no number begins with a zero");
}

static void
check_open(const unsigned char *alg, size_t alg_len, const unsigned char *encrypted, size_t len,
	enum content_cipher cipher, struct secret **cek)
{
	MUST(open_key(alg, alg_len, encrypted, len, cipher, cek, &must));
}

/* Whether the padding was right must not show by comparing the answers about one number: neither
 * for ciphers with other sizes of keys, nor other paddings, nor zeros in front. */
static void
test_asking_twice(void **state)
{
	(void)state;
	for (int good = 0; good < 2; good++) {
		unsigned char em[SIZE], number[SIZE], longer[SIZE + 3] = {0};
		struct secret *a, *b;

		block(good, 16, em);
		number_with_zero(em, number);
		memcpy(longer + 3, number, SIZE);
		check_open(V15, number, SIZE, CIPHER_AES128_CBC, &a);
		CHECK_INT("content key", memcmp(secret_data(a), em + SIZE - 16, 16) == 0, good);
		check_open(V15, number, SIZE, CIPHER_AES256_CBC, &b);
		CHECK_INT("another size", memcmp(secret_data(a), secret_data(b), 16) != 0, 1);
		secret_free(&b);
		check_open(OAEP, number, SIZE, CIPHER_AES128_CBC, &b);
		CHECK_INT("another padding", memcmp(secret_data(a), secret_data(b), 16) != 0, 1);
		secret_free(&b);
		check_open(V15, number, SIZE, CIPHER_AES128_GCM, &b);
		CHECK_INT("same size", memcmp(secret_data(a), secret_data(b), 16), 0);
		secret_free(&b);
		check_open(V15, number + 1, SIZE - 1, CIPHER_AES128_CBC, &b);
		CHECK_INT("without its zero", memcmp(secret_data(a), secret_data(b), 16), 0);
		secret_free(&b);
		check_open(V15, longer, sizeof longer, CIPHER_AES128_CBC, &b);
		CHECK_INT("with more zeros", memcmp(secret_data(a), secret_data(b), 16), 0);
		secret_free(&b);
		secret_free(&a);
	}
}

/* With OAEP the label is a part of the padding. */
static void
test_labels(void **state)
{
	unsigned char number[SIZE];
	struct secret *a, *b;

	(void)state;
	memset(number, 0x17, SIZE);
	check_open(OAEP, number, SIZE, CIPHER_AES128_CBC, &a);
	check_open(LABELLED, number, SIZE, CIPHER_AES128_CBC, &b);
	CHECK_INT("another label", memcmp(secret_data(a), secret_data(b), 16) != 0, 1);
	secret_free(&a);
	secret_free(&b);
}

/* Runs once with all memory, to see how much is asked for. */
static long
count_allocations(void (*run)(void))
{
	run();
	allocations = 0;
	run();
	return allocations;
}

static struct buf signature;
static unsigned char encrypted_key[SIZE], right_key[16];
static enum rc last;
static struct err trouble;
static struct secret *opened;

static void
sign_text(void)
{
	buf_clear(&signature);
	last = pkey_sign(signer->key, "text", 4, &signature, &trouble);
}

static void
open_number(void)
{
	secret_free(&opened);
	last = open_key(V15, encrypted_key, SIZE, CIPHER_AES128_CBC, &opened, NULL);
}

static bool
signature_is_right(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good =
		EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey_evp(signer->key)) == 1 &&
		EVP_DigestVerify(ctx, (unsigned char *)signature.data, signature.len,
			(const unsigned char *)"text", 4) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

static bool
key_is_right(void)
{
	return memcmp(secret_data(opened), right_key, 16) == 0;
}

/*
 * Each allocation of each of 32 uses is refused once: OpenSSL renews at every 32nd what it blinds
 * an RSA key's input with, and gives wrong results when that fails. What is said to be done is
 * right, then and at the uses that follow.
 */
static void
refuse_all(const char *name, void (*run)(void), bool (*is_right)(void))
{
	long n = count_allocations(run) + 30;

	for (int phase = 0; phase < 32; phase++) {
		run();
		for (long at = 0; at < n; at++) {
			allocations = 0;
			refused_at = at;
			run();
			refused_at = -1;
			CHECK_INT("no judgement", last == RC_PERM, 0);
			if (last == RC_OK && !is_right())
				fail_msg("%s: wrong with allocation %ld refused", name, at);
			for (int i = 0; i < 2; i++) {
				run();
				CHECK_INT(name, last, RC_OK);
				CHECK_INT(name, is_right(), 1);
			}
		}
	}
}

static void
test_signing_without_memory(void **state)
{
	(void)state;
	buf_init(&signature, 4096);
	signer = &rsa;
	refuse_all("sign", sign_text, signature_is_right);
	signer = &ca;
	refuse_all("sign with EC", sign_text, signature_is_right);
	buf_fini(&signature);
}

static void
test_opening_without_memory(void **state)
{
	unsigned char em[SIZE];

	(void)state;
	block(true, 16, em);
	memcpy(right_key, em + SIZE - 16, 16);
	raw_rsa(em, encrypted_key);
	refuse_all("open", open_number, key_is_right);
	secret_free(&opened);
}

static int
set_up(void **state)
{
	(void)state;
	ca = person_make("p256", NULL, 0, NULL);
	rsa = person_make("rsa2048", "rsa@example.org", CERT_SIGN | CERT_ENCRYPT, &ca);
	MUST(secret_random(32, &fallback, &must));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	secret_free(&fallback);
	person_fini(&rsa);
	person_fini(&ca);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asking_twice),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_signing_without_memory),
		cmocka_unit_test(test_opening_without_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
