/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cms_shape_fuzz.c - CMS in every shape that BER allows, read by us and by OpenSSL
 *
 * The input steers a generator: a message of OpenSSL's is written anew, with lengths that are long,
 * short or indefinite and octet strings in pieces within pieces; then some bytes may be changed or
 * cut off. What both read has the same content, and we call no signature good that OpenSSL does
 * not.
 */
#include "tests/fuzz/fuzz.h"

#include "crypto/cms_envelope.h"
#include "crypto/cms_sign.h"
#include "crypto/cms_verify.h"
#include "crypto/issue.h"
#include "base/clock.h"

#include <openssl/cms.h>
#include <openssl/err.h>

#include <string.h>

#define MAX_DEPTH 12
#define MAX_SHAPE (1u << 20)

enum { OPAQUE, ENVELOPED, AUTH_ENVELOPED, KINDS };

static struct pkey *key;
static struct cert *cert;
static EVP_PKEY *evp;
static X509 *x509;
static struct secret *fallback;
static struct buf messages[KINDS];

static const uint8_t *steer;
static size_t steer_len;

static unsigned
next(void)
{
	if (steer_len == 0)
		return 0;
	steer_len--;
	return *steer++;
}

static void
keep(CMS_ContentInfo *cms, struct buf *out)
{
	unsigned char *der = NULL;
	int len = i2d_CMS_ContentInfo(cms, &der);

	FUZZ_CHECK(len > 0 && buf_append(out, der, (size_t)len, NULL) == RC_OK);
	OPENSSL_free(der);
	CMS_ContentInfo_free(cms);
}

static void
set_up(void)
{
	struct issue_request request = {.common_name = "x",
		.addr = "x@example.org",
		.not_before = clock_now() - 86400,
		.not_after = clock_now() + 86400,
		.use = CERT_SIGN | CERT_ENCRYPT};
	struct buf text = BUF_INIT(0);
	struct secret *plain = NULL;
	STACK_OF(X509) * to;
	const unsigned char *p;
	size_t len;
	BIO *bio;

	if (fallback)
		return;
	to = sk_X509_new_null();
	FUZZ_CHECK(pkey_generate("rsa2048", &key, NULL) == RC_OK);
	FUZZ_CHECK(issue_root(key, &request, &cert, NULL) == RC_OK);
	FUZZ_CHECK(secret_random(32, &fallback, NULL) == RC_OK);
	FUZZ_CHECK(pkey_format(key, &plain, NULL) == RC_OK);
	p = secret_data(plain);
	evp = d2i_AutoPrivateKey(NULL, &p, (long)secret_len(plain));
	p = cert_der(cert, &len);
	x509 = d2i_X509(NULL, &p, (long)len);
	FUZZ_CHECK(evp && x509 && sk_X509_push(to, x509));
	for (int i = 0; i < 40; i++)
		FUZZ_CHECK(buf_appendf(&text, NULL, "line %d of what is said\r\n", i) == RC_OK);
	for (int kind = 0; kind < KINDS; kind++)
		buf_init(&messages[kind], 0);
	bio = BIO_new_mem_buf(text.data, (int)text.len);
	keep(CMS_sign(x509, evp, NULL, bio, CMS_BINARY), &messages[OPAQUE]);
	BIO_free(bio);
	bio = BIO_new_mem_buf(text.data, (int)text.len);
	keep(CMS_encrypt(to, bio, EVP_aes_256_cbc(), CMS_BINARY), &messages[ENVELOPED]);
	BIO_free(bio);
	bio = BIO_new_mem_buf(text.data, (int)text.len);
	keep(CMS_encrypt(to, bio, EVP_aes_128_gcm(), CMS_BINARY), &messages[AUTH_ENVELOPED]);
	BIO_free(bio);
	sk_X509_free(to);
	secret_free(&plain);
	buf_fini(&text);
}

/* --- the generator --- */

/* A length in one of the ways to write it. */
static void
put_length(struct buf *out, size_t len, unsigned way)
{
	unsigned bytes = len < 0x80 ? 0 : len < 0x100 ? 1 : len < 0x10000 ? 2 : 3;
	char c;

	if (way % 4 == 1)
		bytes = bytes < 3 ? bytes + 1 : bytes;
	else if (way % 4 == 2)
		bytes = 4;
	c = (char)(bytes ? 0x80 | bytes : len);
	(void)buf_append(out, &c, 1, NULL);
	for (; bytes > 0; bytes--) {
		c = (char)(len >> (8 * (bytes - 1)));
		(void)buf_append(out, &c, 1, NULL);
	}
}

static void
put_element(struct buf *out, unsigned char tag, const struct buf *body)
{
	unsigned way = next();
	bool constructed = tag & 0x20;

	(void)buf_append(out, &tag, 1, NULL);
	if (constructed && way % 4 == 3) {
		(void)buf_append(out, "\x80", 1, NULL);
		(void)buf_append(out, body->data, body->len, NULL);
		(void)buf_append(out, "\0\0", 2, NULL);
		return;
	}
	put_length(out, body->len, way);
	(void)buf_append(out, body->data, body->len, NULL);
}

/* An octet string with TAG, perhaps in pieces. */
static void
put_octets(struct buf *out, unsigned char tag, const unsigned char *p, size_t len, unsigned depth)
{
	struct buf body = BUF_INIT(MAX_SHAPE);
	unsigned pieces = depth < 4 ? next() % 5 : 0;

	if (pieces == 0) {
		(void)buf_append(&body, p, len, NULL);
		put_element(out, tag, &body);
	} else {
		for (; pieces > 1 && len > 0; pieces--) {
			size_t n = next() % (len < 255 ? len + 1 : 255);

			put_octets(&body, 0x04, p, n, depth + 1);
			p += n;
			len -= n;
		}
		put_octets(&body, 0x04, p, len, depth + 1);
		put_element(out, tag | 0x20, &body);
	}
	buf_fini(&body);
}

/* Which elements may be written anew: not what a signature is over, nor what has to be DER. */
static bool
is_fixed(unsigned char tag, unsigned depth, int kind)
{
	static const unsigned char way_to_content[] = {0, 0, 0, 0x30, 0xa0, 0x04};

	if (depth < 3)
		return false;
	if (kind == OPAQUE)
		return depth > 5 || tag != way_to_content[depth];
	return depth == 3 ? tag != 0x30 : depth > 4 || tag != 0x80;
}

/* LEN bytes of DER at P, written anew. */
static void
reshape(struct buf *out, const unsigned char *p, size_t len, unsigned depth, int kind)
{
	while (len >= 2) {
		size_t head = p[1] < 0x80 ? 2 : 2 + (p[1] & 0x7fu), n = p[1] < 0x80 ? p[1] : 0;
		struct buf body = BUF_INIT(MAX_SHAPE);

		for (size_t i = 2; i < head; i++)
			n = n << 8 | p[i];
		if (is_fixed(p[0], depth, kind)) {
			(void)buf_append(out, p, head + n, NULL);
		} else if (depth == (kind == OPAQUE ? 5 : 4)) {
			put_octets(out, p[0], p + head, n, 0);
		} else if (p[0] & 0x20 && depth < MAX_DEPTH) {
			reshape(&body, p + head, n, depth + 1, kind);
			put_element(out, p[0], &body);
		} else {
			(void)buf_append(out, p, head + n, NULL);
		}
		buf_fini(&body);
		p += head + n;
		len -= head + n;
	}
}

/* Some damage, or none: false. */
static bool
damage(struct buf *shape)
{
	unsigned n = next() % 4;
	bool any = n > 1;

	for (; n > 1 && shape->len > 0; n--) {
		size_t at = (next() << 16 | next() << 8 | next()) % shape->len;

		if (next() % 8 == 0)
			shape->len = at;
		else
			shape->data[at] = (char)(shape->data[at] ^ (1 << next() % 8));
	}
	return any;
}

/* --- the readers --- */

static enum rc
feed_in_pieces(const struct sink *sink, const struct buf *shape)
{
	enum rc rc = RC_OK;

	for (size_t at = 0, n; rc == RC_OK && at < shape->len; at += n) {
		char *piece;

		n = 1 + next() * 5u;
		n = n > shape->len - at ? shape->len - at : n;
		piece = malloc(n); /* its exact size */
		FUZZ_CHECK(piece);
		memcpy(piece, shape->data + at, n);
		rc = sink_feed(sink, piece, n, NULL);
		free(piece);
	}
	return rc == RC_OK ? sink_finish(sink, NULL) : rc;
}

static bool
we_open(const struct buf *shape, struct buf *content)
{
	struct cms_header_reader *r = NULL;
	struct cms_enveloped *e = NULL;
	struct cms_decryptor *d = NULL;
	struct secret *cek = NULL;
	struct sink sink, to = sink_to_buf(content);
	bool good = false;

	FUZZ_CHECK(cms_header_reader_new(&r, NULL) == RC_OK);
	sink = cms_header_reader_sink(r);
	if (feed_in_pieces(&sink, shape) == RC_OK && cms_header_take(r, &e, NULL) == RC_OK &&
		e->n == 1 &&
		rinfo_open(e->rinfos[0].der, e->rinfos[0].der_len, 0, e->cipher, key, fallback,
			&cek, NULL) == RC_OK) {
		FUZZ_CHECK(cms_decryptor_new(cek, &to, &d, NULL) == RC_OK);
		sink = cms_decryptor_sink(d);
		good = feed_in_pieces(&sink, shape) == RC_OK;
	}
	cms_decryptor_free(&d);
	secret_free(&cek);
	cms_enveloped_free(&e);
	cms_header_reader_free(&r);
	return good;
}

static bool
we_verify(const struct buf *shape, struct buf *content)
{
	struct cms_signed_reader *r = NULL;
	struct cms_signed *sd = NULL;
	const struct hasher *hasher;
	struct sink sink, to = sink_to_buf(content);
	struct verdict v;
	bool good = false;

	FUZZ_CHECK(cms_signed_reader_new(&to, &r, NULL) == RC_OK);
	sink = cms_signed_reader_sink(r);
	if (feed_in_pieces(&sink, shape) == RC_OK &&
		cms_signed_reader_take(r, &sd, &hasher, NULL) == RC_OK) {
		verdict_init(&v);
		FUZZ_CHECK(cms_signed_verify(sd, hasher, NULL, NULL, NULL, 0, &v, NULL) == RC_OK);
		good = v.signature == SIGNATURE_GOOD;
		verdict_fini(&v);
	}
	cms_signed_free(&sd);
	cms_signed_reader_free(&r);
	return good;
}

static bool
openssl_reads(const struct buf *shape, int kind, struct buf *content)
{
	const unsigned char *p = (const unsigned char *)shape->data;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)shape->len);
	BIO *out = BIO_new(BIO_s_mem());
	char *data;
	long len;
	bool good = false;

	if (cms && kind == OPAQUE)
		good = CMS_verify(cms, NULL, NULL, NULL, out,
			       CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY) == 1;
	else if (cms)
		good = CMS_decrypt(cms, evp, x509, NULL, out, CMS_BINARY) == 1;
	len = BIO_get_mem_data(out, &data);
	if (good)
		FUZZ_CHECK(buf_append(content, data, (size_t)len, NULL) == RC_OK);
	BIO_free(out);
	CMS_ContentInfo_free(cms);
	ERR_clear_error();
	return good;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf shape = BUF_INIT(MAX_SHAPE), ours = BUF_INIT(MAX_SHAPE),
		   theirs = BUF_INIT(MAX_SHAPE);
	bool we, they, damaged;
	int kind;

	set_up();
	steer = data;
	steer_len = size;
	kind = (int)(next() % KINDS);
	reshape(&shape, (unsigned char *)messages[kind].data, messages[kind].len, 0, kind);
	damaged = damage(&shape);
	we = kind == OPAQUE ? we_verify(&shape, &ours) : we_open(&shape, &ours);
	they = openssl_reads(&shape, kind, &theirs);
	/* Nobody is right about CBC with a wrong key; and who a key is for is the vault's to judge,
	 * not that of the readers here. */
	if (we && they && !(damaged && kind == ENVELOPED))
		FUZZ_CHECK(ours.len == theirs.len &&
			   (ours.len == 0 || memcmp(ours.data, theirs.data, ours.len) == 0));
	FUZZ_CHECK(!we || they || (damaged && kind != OPAQUE));
	FUZZ_CHECK(damaged || we == they);
	buf_fini(&shape);
	buf_fini(&ours);
	buf_fini(&theirs);
	return 0;
}
