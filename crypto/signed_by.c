/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/signed_by.h"

#include "crypto/ber.h"
#include "crypto/cms_signed.h"
#include "crypto/openssl_glue.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>

#include <string.h>

#define MAX_FIELD 2048 /* bytes of a modulus */

/* The bytes of the first PEM block when there is one; else *der stays NULL: it is DER. */
static enum rc
from_pem(const void *data, size_t len, unsigned char **der, size_t *der_len, struct err *err)
{
	BIO *bio;
	char *name = NULL, *header = NULL;
	long n = 0;
	enum rc rc = RC_OK;

	*der = NULL;
	if (len < 5 || memcmp(data, "-----", 5) != 0)
		return RC_OK;
	bio = BIO_new_mem_buf(data, (int)len);
	if (!bio)
		return ossl_err(err, ERR_MEMORY, "PEM");
	if (!PEM_read_bio(bio, &name, &header, der, &n))
		rc = ossl_err(err, ERR_APPROVAL, "the signature is damaged PEM");
	else if (strcmp(name, PEM_STRING_CMS) != 0 && strcmp(name, PEM_STRING_PKCS7) != 0 &&
		 strcmp(name, PEM_STRING_PKCS7_SIGNED) != 0 && strcmp(name, "SIGNED MESSAGE") != 0)
		rc = err_set(err, ERR_APPROVAL, "a PEM file of \"%.40s\" is no signature", name);
	*der_len = (size_t)n;
	OPENSSL_free(name);
	OPENSSL_free(header);
	BIO_free(bio);
	return rc;
}

/* Compares what is in a signature with what should be. */
struct comparison {
	const unsigned char *p;
	size_t left;
	bool differs;
};

static enum rc
compare_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	struct comparison *c = ctx;

	(void)err;
	if (len > c->left || memcmp(c->p, data, len) != 0) {
		c->differs = true;
		c->left = 0;
		return RC_OK;
	}
	c->p += len;
	c->left -= len;
	return RC_OK;
}

/* Is there content in it? */
struct peek {
	bool seen, has_content;
};

static enum rc
on_header(void *ctx, enum cms_kind kind, bool has_content, struct err *err)
{
	struct peek *peek = ctx;

	peek->seen = true;
	peek->has_content = has_content;
	return kind == CMS_SIGNED ? RC_OK : err_set(err, ERR_APPROVAL, "it is no signed data");
}

static enum rc
ignore(void *ctx, const void *data, size_t len, struct err *err)
{
	(void)ctx;
	(void)data;
	(void)len;
	(void)err;
	return RC_OK;
}

static enum rc
has_content(const void *der, size_t len, bool *yes, struct err *err)
{
	struct peek peek = {0};
	struct ber_handler handler = {.header = on_header, .content = ignore, .ctx = &peek};
	struct ber_splitter *splitter;
	struct sink sink;
	enum rc rc = ber_splitter_new(&handler, &splitter, err);

	if (rc)
		return rc;
	sink = ber_splitter_sink(splitter);
	rc = sink_feed(&sink, der, len, err);
	if (!rc)
		rc = sink_finish(&sink, err);
	if (!rc && !peek.seen)
		rc = err_set(err, ERR_APPROVAL, "it is no signed data");
	if (!rc && ber_trailing(splitter))
		rc = err_set(err, ERR_APPROVAL, "there is something behind the signature");
	ber_splitter_free(&splitter);
	*yes = peek.has_content;
	return rc;
}

/* Who signed, once the content's digests are there. */
static enum rc
judge(struct cms_signed *sd, const struct hasher *hasher, const struct certset *known,
	struct cert **signer, struct err *err)
{
	struct verdict verdict;
	enum rc rc;

	if (cms_signed_signers(sd) != 1)
		return err_set(err, ERR_APPROVAL, "%zu signers in one file, not one",
			cms_signed_signers(sd));
	if (sd->content_oid != OID_DATA)
		return err_set(err, ERR_APPROVAL, "it is over another type of content than data");
	rc = cms_signed_verify(sd, hasher, NULL, known, NULL, -1, &verdict, err);
	if (rc)
		return rc;
	if (verdict.signature != SIGNATURE_GOOD || verdict.n_signers != 1)
		rc = err_set(err, ERR_APPROVAL, "the signature is not good: %s",
			verdict.reason[0] ? verdict.reason : "it does not fit the request");
	else if (verdict.strength != STRENGTH_OK)
		rc = err_set(err, ERR_APPROVAL, "the signature uses a weak algorithm or key");
	else
		*signer = cert_ref(verdict.signers[0]);
	verdict_fini(&verdict);
	return rc;
}

static enum rc
check_detached(const void *der, size_t len, const void *content, size_t content_len,
	const struct certset *known, struct cert **signer, struct err *err)
{
	struct cms_signed *sd = NULL;
	struct hasher *hasher = NULL;
	struct sink sink;
	enum rc rc = cms_signed_parse(der, len, &sd, err);

	if (!rc)
		rc = hasher_new(cms_signed_digests(sd), &hasher, err);
	if (!rc) {
		sink = hasher_sink(hasher);
		rc = sink_feed(&sink, content, content_len, err);
		if (!rc)
			rc = sink_finish(&sink, err);
	}
	if (!rc)
		rc = judge(sd, hasher, known, signer, err);
	hasher_free(&hasher);
	cms_signed_free(&sd);
	return rc;
}

static enum rc
check_opaque(const void *der, size_t len, const void *content, size_t content_len,
	const struct certset *known, struct cert **signer, struct err *err)
{
	struct comparison same = {content, content_len, false};
	struct sink to = {.feed = compare_feed, .ctx = &same}, sink;
	struct cms_signed_reader *reader = NULL;
	const struct hasher *hasher;
	struct cms_signed *sd = NULL;
	enum rc rc = cms_signed_reader_new(&to, &reader, err);

	if (!rc) {
		sink = cms_signed_reader_sink(reader);
		rc = sink_feed(&sink, der, len, err);
		if (!rc)
			rc = sink_finish(&sink, err);
	}
	if (!rc)
		rc = cms_signed_reader_take(reader, &sd, &hasher, err);
	if (!rc && (same.differs || same.left))
		rc = err_set(err, ERR_APPROVAL, "what was signed is not this request");
	if (!rc)
		rc = judge(sd, hasher, known, signer, err);
	cms_signed_free(&sd);
	cms_signed_reader_free(&reader);
	return rc;
}

enum rc
signed_by(const void *cms, size_t len, const void *content, size_t content_len,
	const struct certset *known, struct cert **signer, struct err *err)
{
	struct err why = ERR_INIT;
	unsigned char *der = NULL;
	size_t der_len = 0;
	bool opaque = false;
	enum rc rc;

	*signer = NULL;
	if (len == 0 || len > SIGNED_BY_MAX)
		return err_set(err, ERR_APPROVAL, "a signature of %zu bytes", len);
	rc = from_pem(cms, len, &der, &der_len, &why);
	if (!rc && der) {
		cms = der;
		len = der_len;
	}
	if (!rc)
		rc = has_content(cms, len, &opaque, &why);
	if (!rc)
		rc = (opaque ? check_opaque : check_detached)(
			cms, len, content, content_len, known, signer, &why);
	OPENSSL_free(der);
	/* What is no CMS is one more way of being no approval. */
	if (rc == RC_PERM && why.code != ERR_APPROVAL)
		rc = err_set(err, ERR_APPROVAL, "%s", why.detail);
	else if (rc && err)
		*err = why;
	return rc;
}

/* --- telling keys apart --- */

/* Appends a number of the key by the parameter's NAME. */
static bool
put_number(const EVP_PKEY *key, const char *name, struct buf *out, struct err *err)
{
	unsigned char bytes[MAX_FIELD];
	BIGNUM *n = NULL;
	bool ok = EVP_PKEY_get_bn_param(key, name, &n) == 1 && BN_num_bytes(n) <= MAX_FIELD &&
		  buf_append(out, bytes, (size_t)BN_bn2bin(n, bytes), err) == RC_OK;

	BN_free(n);
	return ok;
}

static bool
put_key(const EVP_PKEY *key, enum key_type type, struct buf *out, struct err *err)
{
	unsigned char raw[64];
	size_t len = sizeof(raw);

	switch (type) {
	case KEY_RSA:
	case KEY_RSA_PSS:
		return buf_append_str(out, "rsa:", err) == RC_OK &&
		       put_number(key, OSSL_PKEY_PARAM_RSA_N, out, err);
	case KEY_EC_P256:
	case KEY_EC_P384:
	case KEY_EC_P521:
		return buf_appendf(out, err, "%s:", key_type_name(type)) == RC_OK &&
		       put_number(key, OSSL_PKEY_PARAM_EC_PUB_X, out, err);
	case KEY_ED25519:
		return buf_append_str(out, "ed25519:", err) == RC_OK &&
		       EVP_PKEY_get_raw_public_key(key, raw, &len) == 1 &&
		       buf_append(out, raw, len, err) == RC_OK;
	default:
		return false;
	}
}

enum rc
cert_key_id(const struct cert *cert, unsigned char out[SHA256_SIZE], struct err *err)
{
	EVP_PKEY *key = cert_pubkey(cert);
	unsigned char hash[DIGEST_MAX_SIZE];
	struct buf text = BUF_INIT(2 * MAX_FIELD);
	enum rc rc = RC_OK;

	if (!key || !put_key(key, cert_key_type(cert), &text, err))
		rc = ossl_err(err, ERR_CERT_UNSUPPORTED, "a key of type %s cannot sign approvals",
			key_type_name(cert_key_type(cert)));
	if (!rc)
		rc = digest_bytes(DIGEST_SHA256, text.data, text.len, hash, err);
	if (!rc)
		memcpy(out, hash, SHA256_SIZE);
	buf_fini(&text);
	return rc;
}

bool
cert_key_is_usual(const struct cert *cert)
{
	EVP_PKEY *key = cert_pubkey(cert);
	unsigned char *der = NULL;
	size_t len, usual = 0;
	const unsigned char *spki = cert_spki(cert, &len);
	int n = key ? i2d_PUBKEY(key, &der) : -1;
	bool same = n > 0 && (size_t)n == len && memcmp(der, spki, len) == 0;

	OPENSSL_free(der);
	ossl_clear();
	switch (cert_key_type(cert)) {
	case KEY_EC_P256: /* the curve by name, the point with both coordinates */
		usual = 91;
		break;
	case KEY_EC_P384:
		usual = 120;
		break;
	case KEY_EC_P521:
		usual = 158;
		break;
	case KEY_RSA:
	case KEY_ED25519:
		usual = len;
		break;
	default:
		break;
	}
	return same && len == usual;
}
