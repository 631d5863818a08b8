/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/crypto/people.h"

#include "crypto/cms_envelope.h"
#include "crypto/der.h"
#include "crypto/gcm_late.h"

#include <openssl/rsa.h>

static struct person ca, rsa, rsa2, p256, p384, p521;
static struct secret *fallback;

static int
setup(void **state)
{
	(void)state;
	ca = person_make("p256", NULL, 0, NULL);
	rsa = person_make("rsa2048", "rsa@example.org", CERT_SIGN | CERT_ENCRYPT, &ca);
	rsa2 = person_make("rsa2048", "rsa2@example.org", CERT_SIGN | CERT_ENCRYPT, &ca);
	p256 = person_make("p256", "p256@example.org", CERT_SIGN | CERT_ENCRYPT, &ca);
	p384 = person_make("p384", "p384@example.org", CERT_SIGN | CERT_ENCRYPT, &ca);
	p521 = person_make("p521", "p521@example.org", CERT_SIGN | CERT_ENCRYPT, &ca);
	return secret_random(32, &fallback, NULL) == RC_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	person_fini(&ca);
	person_fini(&rsa);
	person_fini(&rsa2);
	person_fini(&p256);
	person_fini(&p384);
	person_fini(&p521);
	secret_free(&fallback);
	cert_cache_limit(0);
	return 0;
}

/* --- what the tests do again and again --- */

static void
envelope(const struct certset *to, enum content_cipher cipher, bool oaep, const void *data,
	size_t len, size_t step, struct buf *out)
{
	struct cms_envelope_options options = {.cipher = cipher, .oaep = oaep};
	struct cms_envelope *e = NULL;
	struct sink sink = sink_to_buf(out);

	MUST(cms_envelope_new(to, &options, len, &sink, &e, &must));
	sink = cms_envelope_sink(e);
	MUST(feed_steps(&sink, data, len, step, &must));
	cms_envelope_free(&e);
}

static enum rc
read_header(const void *cms, size_t len, size_t step, struct cms_enveloped **out, struct err *err)
{
	struct cms_header_reader *r = NULL;
	struct sink sink;
	enum rc rc;

	*out = NULL;
	if ((rc = cms_header_reader_new(&r, err)) != RC_OK)
		return rc;
	sink = cms_header_reader_sink(r);
	rc = feed_steps(&sink, cms, len, step, err);
	if (rc == RC_OK &&
		(cms_header_kind(r) == CMS_ENVELOPED || cms_header_kind(r) == CMS_AUTH_ENVELOPED))
		rc = cms_header_take(r, out, err);
	else if (rc == RC_OK)
		rc = RC_NONE;
	cms_header_reader_free(&r);
	return rc;
}

/* HEADER: what was read before, or NULL. */
static enum rc
decrypt(struct secret *cek, const struct cms_enveloped *header, const void *cms, size_t len,
	size_t step, struct buf *out, struct err *err)
{
	struct cms_decryptor *d = NULL;
	struct sink sink = sink_to_buf(out);
	enum rc rc = cms_decryptor_new(cek, &sink, &d, err);

	if (rc != RC_OK)
		return rc;
	cms_decryptor_expect(d, header);
	sink = cms_decryptor_sink(d);
	rc = feed_steps(&sink, cms, len, step, err);
	cms_decryptor_free(&d);
	return rc;
}

static bool
is_for(const struct rinfo *r, const struct cert *cert)
{
	size_t n, m, k;
	const unsigned char *issuer = cert_issuer_der(cert, &n),
			    *serial = cert_serial_bytes(cert, &m), *ski = cert_ski(cert, &k);

	if (r->issuer)
		return r->issuer_len == n && r->serial_len == m &&
		       memcmp(r->issuer, issuer, n) == 0 && memcmp(r->serial, serial, m) == 0;
	return r->ski && r->ski_len == k && k && memcmp(r->ski, ski, k) == 0;
}

/* As pipeline and vault do it: header, the RecipientInfo of PERSON, its key, the content. RC_NONE:
 * not for them. */
static enum rc
open_all(const void *cms, size_t len, const struct person *person, size_t step, struct buf *out,
	struct err *err)
{
	struct cms_enveloped *e = NULL;
	struct secret *cek = NULL;
	enum rc rc = read_header(cms, len, step, &e, err);

	for (size_t i = 0; rc == RC_OK && i < e->n; i++) {
		if (!is_for(&e->rinfos[i], person->cert))
			continue;
		rc = rinfo_open(e->rinfos[i].der, e->rinfos[i].der_len, e->rinfos[i].index,
			e->cipher, person->key, fallback, &cek, err);
		if (rc == RC_OK)
			rc = decrypt(cek, step & 1 ? e : NULL, cms, len, step, out, err);
		secret_free(&cek);
		cms_enveloped_free(&e);
		return rc;
	}
	cms_enveloped_free(&e);
	return rc == RC_OK ? RC_NONE : rc;
}

/* OpenSSL's own reader on what we wrote. */
static bool
openssl_opens(const struct buf *cms, const struct person *person, const void *want, size_t len)
{
	const unsigned char *p = (const unsigned char *)cms->data;
	CMS_ContentInfo *c = d2i_CMS_ContentInfo(NULL, &p, (long)cms->len);
	BIO *out = BIO_new(BIO_s_mem());
	char *got;
	bool good = c && p == (const unsigned char *)cms->data + cms->len &&
		    CMS_decrypt(c, pkey_evp(person->key), cert_x509(person->cert), NULL, out,
			    CMS_BINARY) == 1;
	long n = BIO_get_mem_data(out, &got);

	good = good && n == (long)len && (len == 0 || memcmp(got, want, len) == 0);
	CMS_ContentInfo_free(c);
	BIO_free(out);
	ossl_clear();
	return good;
}

/* OpenSSL's own writer: BER with indefinite lengths when STREAM, DER otherwise. */
static void
openssl_writes(const struct person *person, const EVP_CIPHER *cipher, unsigned flags, bool stream,
	const void *data, size_t len, struct buf *out)
{
	STACK_OF(X509) *to = sk_X509_new_null();
	BIO *in = BIO_new_mem_buf(data, (int)len), *mem = BIO_new(BIO_s_mem());
	CMS_ContentInfo *c;
	char *p;
	long n;

	assert_true(sk_X509_push(to, cert_x509(person->cert)) > 0);
	c = CMS_encrypt(to, in, cipher, flags | CMS_BINARY | (stream ? CMS_STREAM : 0));
	assert_non_null(c);
	if (stream)
		assert_int_equal(
			i2d_CMS_bio_stream(mem, c, in, flags | CMS_BINARY | CMS_STREAM), 1);
	else
		assert_int_equal(i2d_CMS_bio(mem, c), 1);
	n = BIO_get_mem_data(mem, &p);
	buf_clear(out);
	MUST(buf_append(out, p, (size_t)n, &must));
	CMS_ContentInfo_free(c);
	BIO_free(in);
	BIO_free(mem);
	sk_X509_free(to);
}

static void
check_content(const char *name, const struct buf *got, const void *want, size_t len)
{
	CHECK_INT(name, got->len, len);
	if (len && memcmp(got->data, want, len) != 0)
		fail_msg("%s: other content", name);
}

/* --- round trips --- */

static void
test_round_trip(void **state)
{
	static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 4095, 65535, 65536, 65537, 200000};
	const struct person *people[] = {&rsa, &p256, &p384, &p521};
	unsigned char *data = sample(200000);

	(void)state;
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		for (int cipher = CIPHER_AES128_CBC; cipher < CIPHER_COUNT; cipher++) {
			const struct person *who = people[(i + (unsigned)cipher) % 4];
			struct certset to = {NULL, 0};
			struct buf cms = BUF_INIT(0), out = BUF_INIT(0);
			char name[80];

			(void)snprintf(name, sizeof name, "%s, %zu bytes",
				content_cipher_name(cipher), sizes[i]);
			MUST(certset_add(&to, who->cert, &must));
			MUST(certset_add(&to, rsa2.cert, &must));
			envelope(&to, cipher, i & 1, data, sizes[i], i & 2 ? 1000 : 0, &cms);
			MUST(open_all(
				cms.data, cms.len, who, sizes[i] < 5000 ? 1 : 7777, &out, &must));
			check_content(name, &out, data, sizes[i]);
			if (!openssl_opens(&cms, who, data, sizes[i]) ||
				!openssl_opens(&cms, &rsa2, data, sizes[i]))
				fail_msg("%s: OpenSSL can't open it", name);
			CHECK_INT(name, open_all(cms.data, cms.len, &ca, 0, &out, NULL), RC_NONE);
			buf_fini(&cms);
			buf_fini(&out);
			certset_fini(&to);
		}
	}
	free(data);
}

static void
test_openssl_writes(void **state)
{
	static const struct {
		const char *name;
		const EVP_CIPHER *(*cipher)(void);
	} ciphers[] = {
		{"3des", EVP_des_ede3_cbc},
		{"aes-128-cbc", EVP_aes_128_cbc},
		{"aes-256-cbc", EVP_aes_256_cbc},
		{"aes-192-gcm", EVP_aes_192_gcm},
		{"aes-256-gcm", EVP_aes_256_gcm},
	};
	const struct person *people[] = {&rsa, &p256, &p384, &p521};
	static const size_t steps[] = {1, 3, 4096, 0};
	unsigned char *data = sample(30000);

	(void)state;
	for (unsigned i = 0; i < sizeof ciphers / sizeof ciphers[0] * 4; i++) {
		const struct person *who = people[i % 4];
		struct buf cms = BUF_INIT(0), out = BUF_INIT(0);
		size_t len = (i * 7919) % 30000;

		for (int stream = 0; stream < 2; stream++) {
			openssl_writes(who, ciphers[i / 4].cipher(), stream ? CMS_USE_KEYID : 0,
				stream, data, len, &cms);
			for (unsigned s = 0; s < 4; s++) {
				buf_clear(&out);
				MUST(open_all(cms.data, cms.len, who, steps[s], &out, &must));
				check_content(ciphers[i / 4].name, &out, data, len);
			}
			/* What a mail system puts behind it does not matter. */
			MUST(buf_append(&cms, "\0\0\r\n junk", 9, &must));
			buf_clear(&out);
			MUST(open_all(cms.data, cms.len, who, 0, &out, &must));
			check_content(ciphers[i / 4].name, &out, data, len);
		}
		buf_fini(&cms);
		buf_fini(&out);
	}
	free(data);
}

/* Every digest of OAEP, KDFs other than ours, RecipientInfo made by OpenSSL with parameters set. */
static void
test_parameters(void **state)
{
	static const enum digest digests[] = {
		DIGEST_SHA1, DIGEST_SHA224, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512};
	unsigned char *data = sample(1000);

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		const struct person *who = i < 5 ? &rsa : &p256;
		const EVP_MD *md = digest_evp(digests[i % 5]);
		BIO *in = BIO_new_mem_buf(data, 1000), *mem = BIO_new(BIO_s_mem());
		CMS_ContentInfo *c = CMS_encrypt(
			NULL, in, EVP_aes_128_cbc(), CMS_PARTIAL | CMS_BINARY | CMS_STREAM);
		CMS_RecipientInfo *ri =
			CMS_add1_recipient_cert(c, cert_x509(who->cert), CMS_KEY_PARAM);
		EVP_PKEY_CTX *ctx = CMS_RecipientInfo_get0_pkey_ctx(ri);
		struct buf out = BUF_INIT(0);
		char *p;
		long n;

		if (i < 5) {
			assert_int_equal(
				EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
			assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md), 1);
			if (i & 1)
				assert_int_equal(
					EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()), 1);
			if (i == 3)
				assert_int_equal(EVP_PKEY_CTX_set0_rsa_oaep_label(
							 ctx, OPENSSL_strdup("label"), 5),
					1);
		} else {
			assert_int_equal(EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, md), 1);
		}
		assert_int_equal(i2d_CMS_bio_stream(mem, c, in, CMS_BINARY | CMS_STREAM), 1);
		n = BIO_get_mem_data(mem, &p);
		MUST(open_all(p, (size_t)n, who, 0, &out, &must));
		check_content(digest_name(digests[i % 5]), &out, data, 1000);
		buf_fini(&out);
		CMS_ContentInfo_free(c);
		BIO_free(in);
		BIO_free(mem);
	}
	free(data);
}

/* --- the key: one shape whatever happened --- */

/* Encrypts EM, a whole block, as it is. */
static void
raw_rsa(const struct person *who, const unsigned char *em, unsigned char *out)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey_evp(who->key), NULL);
	size_t n = 256;

	assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING), 1);
	assert_int_equal(EVP_PKEY_encrypt(ctx, out, &n, em, 256), 1);
	assert_int_equal(n, 256);
	EVP_PKEY_CTX_free(ctx);
}

/* A KeyTransRecipientInfo for WHO with this encryptedKey. */
static void
ktri(const struct person *who, const unsigned char *encrypted, size_t len, struct der_out *w)
{
	size_t start = der_begin(w), id, alg, n;
	const unsigned char *p;

	der_put_int(w, 0);
	id = der_begin(w);
	p = cert_issuer_der(who->cert, &n);
	der_put_raw(w, p, n);
	p = cert_serial_bytes(who->cert, &n);
	der_put(w, DER_INTEGER, p, n);
	der_end(w, id, DER_SEQUENCE);
	alg = der_begin(w);
	der_put(w, DER_OID, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 9);
	der_put(w, DER_NULL, NULL, 0);
	der_end(w, alg, DER_SEQUENCE);
	der_put(w, DER_OCTETS, encrypted, len);
	der_end(w, start, DER_SEQUENCE);
	CHECK_INT("ktri", w->rc, RC_OK);
}

static void
test_padding(void **state)
{
	static const struct {
		const char *name;
		int at, value; /* byte of the block that is changed; -1: none */
		bool good;
	} cases[] = {
		{"right", -1, 0, true},
		{"first byte", 0, 1, false},
		{"block type", 1, 1, false},
		{"block type 0", 1, 0, false},
		{"zero at the beginning of the padding", 2, 0, false},
		{"zero in the padding", 100, 0, false},
		{"zero at the end of the padding", 222, 0, false},
		{"no zero before the key", 223, 7, false},
		{"zero in the key", 230, 0, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		unsigned char em[256], encrypted[256];
		struct secret *cek = NULL, *again = NULL;
		struct der_out w;

		memset(em, 0x5a, sizeof em);
		em[0] = 0;
		em[1] = 2;
		em[223] = 0;
		if (cases[i].at >= 0)
			em[cases[i].at] = (unsigned char)cases[i].value;
		raw_rsa(&rsa, em, encrypted);
		der_out_init(&w, 0, NULL);
		ktri(&rsa, encrypted, sizeof encrypted, &w);
		MUST(rinfo_open(w.buf.data, w.buf.len, 0, CIPHER_AES256_CBC, rsa.key, fallback,
			&cek, &must));
		MUST(rinfo_open(w.buf.data, w.buf.len, 0, CIPHER_AES256_CBC, rsa.key, fallback,
			&again, &must));
		CHECK_INT(cases[i].name, secret_len(cek), 32);
		CHECK_INT(
			cases[i].name, secret_compare(secret_data(cek), secret_data(again), 32), 0);
		CHECK_INT(
			cases[i].name, memcmp(secret_data(cek), em + 224, 32) == 0, cases[i].good);
		secret_free(&cek);
		secret_free(&again);
		/* The same block for a cipher with another key size is never right. */
		MUST(rinfo_open(w.buf.data, w.buf.len, 0, CIPHER_AES128_CBC, rsa.key, fallback,
			&cek, &must));
		CHECK_INT(cases[i].name, secret_len(cek), 16);
		CHECK_INT(cases[i].name, memcmp(secret_data(cek), em + 240, 16) != 0, 1);
		secret_free(&cek);
		der_out_fini(&w);
	}
}

/* A key that does not fit gives a content key all the same, and the failure that follows has one
 * shape. */
static void
test_wrong_key(void **state)
{
	const struct person *people[] = {&rsa, &p256};
	struct person others[] = {rsa2, p384};
	unsigned char *data = sample(1000);

	(void)state;
	for (int i = 0; i < 8; i++) {
		const struct person *who = people[i & 1];
		struct person wrong = {others[(i >> 1) & 1].key, who->cert};
		struct certset to = {NULL, 0};
		struct buf cms = BUF_INIT(0), out = BUF_INIT(0);
		struct err err = ERR_INIT;

		MUST(certset_add(&to, who->cert, &must));
		envelope(&to, CIPHER_AES256_GCM, i & 4, data, 1000, 0, &cms);
		CHECK_INT("wrong key", open_all(cms.data, cms.len, &wrong, 0, &out, &err), RC_PERM);
		CHECK_STR("wrong key", err_name(err.code), "cms-corrupt");
		CHECK_STR("wrong key", err.detail, "the content could not be opened");
		buf_fini(&cms);
		buf_fini(&out);
		certset_fini(&to);
	}
	free(data);
}

/* A header that was read from another CMS opens nothing. */
static void
test_other_header(void **state)
{
	static const enum content_cipher ciphers[] = {CIPHER_AES256_CBC, CIPHER_AES256_GCM};
	struct certset to = {NULL, 0};
	struct buf cms[2] = {BUF_INIT(0), BUF_INIT(0)}, out = BUF_INIT(0);
	struct cms_enveloped *header[2];
	struct secret *cek[2];
	unsigned char *data = sample(1000);

	(void)state;
	MUST(certset_add(&to, p256.cert, &must));
	for (int i = 0; i < 2; i++) {
		envelope(&to, ciphers[i], false, data, 1000, 0, &cms[i]);
		MUST(read_header(cms[i].data, cms[i].len, 0, &header[i], &must));
		MUST(rinfo_open(header[i]->rinfos[0].der, header[i]->rinfos[0].der_len,
			header[i]->rinfos[0].index, ciphers[i], p256.key, fallback, &cek[i],
			&must));
	}
	for (int i = 0; i < 4; i++) {
		struct err err = ERR_INIT;
		enum rc rc;

		buf_clear(&out);
		rc = decrypt(
			cek[i & 1], header[i >> 1], cms[i & 1].data, cms[i & 1].len, 0, &out, &err);
		CHECK_INT("rc", rc, (i & 1) == i >> 1 ? RC_OK : RC_PERM);
		CHECK_INT("code", err.code, rc == RC_OK ? ERR_NONE : ERR_CMS_CORRUPT);
	}
	for (int i = 0; i < 2; i++) {
		cms_enveloped_free(&header[i]);
		secret_free(&cek[i]);
		buf_fini(&cms[i]);
	}
	buf_fini(&out);
	certset_fini(&to);
	free(data);
}

static void
test_rinfo_refusals(void **state)
{
	static const struct {
		const char *name, *der;
		size_t len;
		enum errcode code;
	} cases[] = {
		{"empty", "", 0, ERR_CMS_MALFORMED},
		{"no content", "\x30\x00", 2, ERR_CMS_MALFORMED},
		{"kekri", "\xa2\x03\x02\x01\x04", 5, ERR_CMS_UNSUPPORTED},
		{"pwri", "\xa3\x03\x02\x01\x00", 5, ERR_CMS_UNSUPPORTED},
		{"trailing byte", "\x30\x00\x00", 3, ERR_CMS_MALFORMED},
		{"indefinite", "\x30\x80\x00\x00", 4, ERR_CMS_MALFORMED},
		{"kari without keys", "\xa1\x03\x02\x01\x03", 5, ERR_CMS_MALFORMED},
	};
	char *big = calloc(1, CMS_MAX_RINFO + 1);
	struct secret *cek = NULL;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		void *der = exact(cases[i].der, cases[i].len);

		CHECK_INT(cases[i].name,
			rinfo_open(der, cases[i].len, 0, CIPHER_AES256_CBC, rsa.key, fallback, &cek,
				&err),
			RC_PERM);
		CHECK_STR(cases[i].name, err_name(err.code), err_name(cases[i].code));
		free(der);
	}
	(void)rinfo_open(
		big, CMS_MAX_RINFO + 1, 0, CIPHER_AES256_CBC, rsa.key, fallback, &cek, &err);
	CHECK_STR("too big", err_name(err.code), "cms-limit");
	free(big);
}

/* --- authAttrs --- */

/* Puts AuthEnvelopedData with authAttrs together by hand: OpenSSL can't write them. */
static void
with_auth_attrs(
	const unsigned char *data, size_t len, size_t attr_len, size_t tag_len, struct buf *out)
{
	unsigned char key[32], iv[12] = "twelve bytes", tag[16], encrypted[256],
			       *ct = malloc(len + 16);
	unsigned char em[256];
	struct der_out w, attrs;
	size_t at[8], n;
	int k = 0, m = 0;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char *value = sample(attr_len);

	memset(em, 0x77, sizeof em);
	em[0] = 0;
	em[1] = 2;
	em[223] = 0;
	memcpy(key, em + 224, 32);
	raw_rsa(&rsa, em, encrypted);
	der_out_init(&attrs, 0, NULL);
	at[0] = der_begin(&attrs);
	at[1] = der_begin(&attrs);
	der_put(&attrs, DER_OID, "\x2a\x03\x04", 3);
	at[2] = der_begin(&attrs);
	der_put(&attrs, DER_OCTETS, value, attr_len);
	der_end(&attrs, at[2], DER_SET);
	der_end(&attrs, at[1], DER_SEQUENCE);
	der_end(&attrs, at[0], DER_SET);
	assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &k, (unsigned char *)attrs.buf.data,
				 (int)attrs.buf.len),
		1);
	assert_int_equal(EVP_EncryptUpdate(ctx, ct, &k, data, (int)len), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, ct + k, &m), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag), 1);
	EVP_CIPHER_CTX_free(ctx);
	der_out_init(&w, 0, NULL);
	at[0] = der_begin(&w);
	der_put(&w, DER_OID, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17", 11);
	at[1] = der_begin(&w);
	at[2] = der_begin(&w);
	der_put_int(&w, 0);
	at[3] = der_begin(&w);
	ktri(&rsa, encrypted, 256, &w);
	der_end(&w, at[3], DER_SET);
	at[3] = der_begin(&w);
	der_put(&w, DER_OID, "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", 9);
	at[4] = der_begin(&w);
	der_put(&w, DER_OID, "\x60\x86\x48\x01\x65\x03\x04\x01\x2e", 9);
	at[5] = der_begin(&w);
	der_put(&w, DER_OCTETS, iv, 12);
	if (tag_len != 12)
		der_put_int(&w, (unsigned)tag_len);
	der_end(&w, at[5], DER_SEQUENCE);
	der_end(&w, at[4], DER_SEQUENCE);
	der_put(&w, DER_CONTEXT, ct, len);
	der_end(&w, at[3], DER_SEQUENCE);
	n = der_begin(&w);
	der_put_raw(&w, attrs.buf.data, attrs.buf.len);
	w.buf.data[n] = (char)0xa1;
	der_put(&w, DER_OCTETS, tag, tag_len);
	der_end(&w, at[2], DER_SEQUENCE);
	der_end(&w, at[1], DER_CONTEXT_CONSTRUCTED);
	der_end(&w, at[0], DER_SEQUENCE);
	buf_clear(out);
	MUST(buf_append(out, w.buf.data, w.buf.len, &must));
	der_out_fini(&w);
	der_out_fini(&attrs);
	free(ct);
	free(value);
}

static void
test_auth_attrs(void **state)
{
	static const size_t sizes[] = {0, 1, 16, 17, 1000, 65536, 100001};
	unsigned char *data = sample(100001);
	struct buf cms = BUF_INIT(0), out = BUF_INIT(0);

	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		for (size_t attr_len = 0; attr_len < 40; attr_len += 7) {
			size_t tag_len = 12 + (i + attr_len) % 5;
			struct err err = ERR_INIT;

			with_auth_attrs(data, sizes[i], attr_len, tag_len, &cms);
			buf_clear(&out);
			MUST(open_all(cms.data, cms.len, &rsa, 0, &out, &must));
			check_content("authAttrs", &out, data, sizes[i]);
			if (attr_len == 0)
				continue;
			cms.data[cms.len - tag_len - 3] ^= 1; /* last byte of the attribute */
			buf_clear(&out);
			CHECK_INT("changed", open_all(cms.data, cms.len, &rsa, 0, &out, &err),
				RC_PERM);
			CHECK_STR("changed", err_name(err.code), "cms-corrupt");
		}
	}
	/* A tag of 11 bytes is too short whatever it says. */
	with_auth_attrs(data, 10, 5, 11, &cms);
	assert_int_equal(open_all(cms.data, cms.len, &rsa, 0, &out, NULL), RC_PERM);
	buf_fini(&cms);
	buf_fini(&out);
	free(data);
}

/* --- damage --- */

/* Each bit flipped, each length cut: no crash (a sanitizer watches), GCM never gives other content,
 * nothing but the known errors. */
static void
damage(const struct buf *cms, const struct person *who, bool auth, const void *want,
	size_t want_len)
{
	struct buf out = BUF_INIT(0), copy = BUF_INIT(0);
	unsigned opened = 0;

	MUST(buf_append(&copy, cms->data, cms->len, &must));
	for (size_t i = 0; i < cms->len * 8; i += auth ? 3 : 5) {
		struct err err = ERR_INIT;
		enum rc rc;

		copy.data[i / 8] ^= (char)(1 << i % 8);
		buf_clear(&out);
		rc = open_all(copy.data, copy.len, who, i % 3 ? 0 : 61, &out, &err);
		copy.data[i / 8] ^= (char)(1 << i % 8);
		if (rc == RC_TEMP)
			fail_msg("bit %zu: %s %s", i, err_name(err.code), err.detail);
		if (rc != RC_OK)
			continue;
		opened++;
		if (auth && (out.len != want_len || memcmp(out.data, want, want_len) != 0))
			fail_msg("bit %zu: other content from an authenticated cipher", i);
	}
	for (size_t len = 0; len < cms->len; len += 1 + cms->len / 400) {
		enum rc rc = open_all(cms->data, len, who, 0, &out, NULL);

		if (rc != RC_PERM)
			fail_msg("cut to %zu bytes: outcome %d", len, rc);
	}
	if (auth && opened > 200) /* versions, unknown attributes: few */
		fail_msg("%u changes went unnoticed", opened);
	buf_fini(&out);
	buf_fini(&copy);
}

static void
test_damage(void **state)
{
	unsigned char *data = sample(300);
	struct certset to = {NULL, 0};
	struct buf cms = BUF_INIT(0);

	(void)state;
	MUST(certset_add(&to, p256.cert, &must));
	envelope(&to, CIPHER_AES256_GCM, false, data, 300, 0, &cms);
	damage(&cms, &p256, true, data, 300);
	buf_clear(&cms);
	envelope(&to, CIPHER_AES128_CBC, false, data, 300, 0, &cms);
	damage(&cms, &p256, false, data, 300);
	openssl_writes(&p256, EVP_aes_256_gcm(), 0, true, data, 300, &cms);
	damage(&cms, &p256, true, data, 300);
	openssl_writes(&rsa, EVP_aes_256_cbc(), 0, true, data, 300, &cms);
	damage(&cms, &rsa, false, data, 300);
	with_auth_attrs(data, 300, 30, 16, &cms);
	damage(&cms, &rsa, true, data, 300);
	buf_fini(&cms);
	certset_fini(&to);
	free(data);
}

static void
test_announced_length(void **state)
{
	struct cms_envelope_options options = {.cipher = CIPHER_AES256_CBC};
	struct certset to = {NULL, 0}, nobody = {NULL, 0};
	struct cms_envelope *e = NULL;
	struct sink null = sink_null(), sink;

	(void)state;
	MUST(certset_add(&to, p256.cert, &must));
	MUST(cms_envelope_new(&to, &options, 10, &null, &e, &must));
	sink = cms_envelope_sink(e);
	assert_int_not_equal(sink.feed(sink.ctx, "0123456789x", 11, NULL), RC_OK);
	cms_envelope_free(&e);
	MUST(cms_envelope_new(&to, &options, 10, &null, &e, &must));
	sink = cms_envelope_sink(e);
	MUST(sink.feed(sink.ctx, "012345678", 9, &must));
	assert_int_not_equal(sink.finish(sink.ctx, NULL), RC_OK);
	cms_envelope_free(&e);
	assert_int_not_equal(cms_envelope_new(&nobody, &options, 10, &null, &e, NULL), RC_OK);
	options.cipher = CIPHER_3DES_CBC;
	assert_int_not_equal(cms_envelope_new(&to, &options, 10, &null, &e, NULL), RC_OK);
	certset_fini(&to);
}

/* Between envelope and decryptor: keeps the beginning until the header is read and the key is
 * there. */
struct relay {
	struct buf head;
	struct cms_header_reader *reader;
	struct cms_decryptor *decryptor;
	struct secret *cek;
	uint64_t out; /* plaintext that came out */
};

static enum rc
count_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	(void)data;
	(void)err;
	((struct relay *)ctx)->out += len;
	return RC_OK;
}

static enum rc
relay_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	struct relay *r = ctx;
	struct sink sink, to = {.feed = count_feed, .ctx = r};
	struct cms_enveloped *h = NULL;
	enum rc rc;

	if (r->decryptor) {
		sink = cms_decryptor_sink(r->decryptor);
		return sink_feed(&sink, data, len, err);
	}
	sink = cms_header_reader_sink(r->reader);
	rc = buf_append(&r->head, data, len, err);
	if (rc == RC_OK)
		rc = sink_feed(&sink, data, len, err);
	if (rc != RC_OK || !cms_header_done(r->reader))
		return rc;
	MUST(cms_header_take(r->reader, &h, &must));
	MUST(rinfo_open(h->rinfos[0].der, h->rinfos[0].der_len, 0, h->cipher, rsa.key, fallback,
		&r->cek, &must));
	cms_enveloped_free(&h);
	MUST(cms_decryptor_new(r->cek, &to, &r->decryptor, &must));
	sink = cms_decryptor_sink(r->decryptor);
	return sink_feed(&sink, r->head.data, r->head.len, err);
}

static enum rc
relay_finish(void *ctx, struct err *err)
{
	struct relay *r = ctx;
	struct sink sink = cms_decryptor_sink(r->decryptor);

	return sink_finish(&sink, err);
}

/* TOTAL bytes through envelope, header reader and decryptor in one chain. */
static void
run_chain(enum content_cipher cipher, uint64_t total)
{
	static const unsigned char chunk[65536];
	struct cms_envelope_options options = {.cipher = cipher};
	struct relay r = {.head = BUF_INIT(1 << 20)};
	struct certset to = {NULL, 0};
	struct cms_envelope *e = NULL;
	struct sink sink = {.feed = relay_feed, .finish = relay_finish, .ctx = &r};

	MUST(certset_add(&to, rsa.cert, &must));
	MUST(cms_header_reader_new(&r.reader, &must));
	MUST(cms_envelope_new(&to, &options, total, &sink, &e, &must));
	sink = cms_envelope_sink(e);
	for (uint64_t n = 0; n < total; n += sizeof chunk)
		MUST(sink_feed(&sink, chunk, sizeof chunk, &must));
	MUST(sink_finish(&sink, &must));
	CHECK_INT("plaintext", r.out, total);
	cms_envelope_free(&e);
	cms_header_reader_free(&r.reader);
	cms_decryptor_free(&r.decryptor);
	secret_free(&r.cek);
	buf_fini(&r.head);
	certset_fini(&to);
}

static void
test_memory(void **state)
{
	long before, after;

	(void)state;
	for (int cipher = CIPHER_AES256_CBC; cipher <= CIPHER_AES256_GCM;
		cipher += CIPHER_AES256_GCM - CIPHER_AES256_CBC) {
		run_chain(cipher, 1 << 20);
		before = peak_kb();
		run_chain(cipher, 20 << 20);
		after = peak_kb();
		if (MEMORY_MEANS_SOMETHING && after - before > 512)
			fail_msg("peak memory grew by %ld KB", after - before);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_openssl_writes),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_other_header),
		cmocka_unit_test(test_rinfo_refusals),
		cmocka_unit_test(test_auth_attrs),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_announced_length),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
