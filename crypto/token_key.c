/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/token_key.h"

#include "crypto/der.h"
#include "crypto/oaep.h"
#include "crypto/oid.h"
#include "crypto/openssl_glue.h"
#include "crypto/pkey_private.h"
#include "crypto/token.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum rc
key_open(const char *uri, const void *spki, size_t len, struct pkey **out, struct err *err)
{
	struct token_key *key = calloc(1, sizeof(*key));
	const unsigned char *p = spki;
	EVP_PKEY *evp = NULL;
	enum rc rc = key ? token_uri_parse(uri, strlen(uri), &key->uri, err)
			 : err_set(err, ERR_MEMORY, "private key");

	*out = NULL;
	if (!rc) {
		snprintf(key->text, sizeof(key->text), "%s", uri);
		evp = len <= 65536 ? d2i_PUBKEY(NULL, &p, (long)len) : NULL;
		if (!evp || p != (const unsigned char *)spki + len)
			rc = ossl_err(err, ERR_KEY_MALFORMED, "the public key of %s", uri);
	}
	if (!rc)
		switch (evp_key_type(evp)) {
		case KEY_RSA:
		case KEY_EC_P256:
		case KEY_EC_P384:
		case KEY_EC_P521:
			rc = pkey_from_evp(&evp, out, err);
			break;
		default:
			rc = err_set(err, ERR_CERT_UNSUPPORTED,
				"no use of a key of this kind in a token");
		}
	if (!rc) {
		(*out)->token = key;
		key = NULL; /* the pkey's now */
	}
	EVP_PKEY_free(evp);
	free(key);
	return rc;
}

const char *
pkey_uri(const struct pkey *pkey)
{
	return pkey->token ? pkey->token->text : NULL;
}

enum rc
pkey_ready(const struct pkey *pkey, struct err *err)
{
	return pkey->token ? token_ready(&pkey->token->uri, err) : RC_OK;
}

bool
token_key_is(const void *data, size_t len)
{
	return len > 7 && memcmp(data, "pkcs11:", 7) == 0;
}

enum rc
token_key_format(const struct pkey *pkey, struct secret **out, struct err *err)
{
	struct buf text = BUF_INIT(1u << 17);
	enum rc rc = buf_appendf(&text, err, "%s\n", pkey->token->text);

	*out = NULL;
	if (!rc)
		rc = pkey_public(pkey, &text, err);
	if (!rc)
		rc = secret_copy(text.data, text.len, out, err);
	buf_fini(&text);
	return rc;
}

enum rc
token_key_parse(const void *data, size_t len, struct pkey **out, struct err *err)
{
	const char *lf = memchr(data, '\n', len);
	char uri[TOKEN_URI_MAX + 1];
	size_t n = lf ? (size_t)(lf - (const char *)data) : sizeof(uri);

	*out = NULL;
	if (n >= sizeof(uri))
		return err_set(err, ERR_KEY_MALFORMED, "the name of a key in a token");
	memcpy(uri, data, n);
	uri[n] = 0;
	return key_open(uri, lf + 1, len - n - 1, out, err);
}

/* One operation of which nothing but success is wanted. */
static enum rc
call(const struct pkey *pkey, const struct token_use *use, unsigned char *out, size_t *out_len,
	struct err *err)
{
	enum wire_status status;
	enum rc rc = token_call(use, &status, out, out_len, err);

	if (!rc && status != WIRE_OK)
		rc = err_set(err, ERR_TOKEN, "%s: the token %s", pkey->token->text,
			status == WIRE_UNSUPPORTED ? "does not do this with the key"
						   : "refuses it");
	return rc;
}

/* --- signing --- */

/* DigestInfo (RFC 8017 section 9.2). */
static enum rc
digest_info(enum digest digest, const unsigned char *hash, struct der_out *w)
{
	size_t all = der_begin(w), algorithm = der_begin(w);

	der_put_oid(w, digest_oid(digest));
	der_put(w, DER_NULL, NULL, 0);
	der_end(w, algorithm, DER_SEQUENCE);
	der_put(w, DER_OCTETS, hash, digest_size(digest));
	der_end(w, all, DER_SEQUENCE);
	return w->rc;
}

/* A positive INTEGER from N bytes. */
static void
put_number(struct der_out *w, const unsigned char *p, size_t n)
{
	size_t start = der_begin(w);

	while (n > 1 && *p == 0) {
		p++;
		n--;
	}
	if (*p & 0x80)
		der_put_raw(w, "", 1);
	der_put_raw(w, p, n);
	der_end(w, start, DER_INTEGER);
}

static enum rc
sign_ecdsa(const struct pkey *pkey, enum digest digest, const unsigned char *hash,
	unsigned char *sig, size_t *len, struct err *err)
{
	unsigned char raw[2 * 66];
	size_t n = sizeof(raw), start, field = (size_t)(EVP_PKEY_get_bits(pkey->evp) + 7) / 8,
	       hash_len = digest_size(digest);
	struct der_out w;
	enum rc rc;

	/* A hash that is longer than the curve's order counts with its left bits (P-256 with
	 * SHA-512): tokens differ in whether they cut it. */
	if (hash_len > field)
		hash_len = field;
	rc = call(pkey, &(struct token_use){&pkey->token->uri, WIRE_ECDSA, 0, hash, hash_len}, raw,
		&n, err);
	if (rc)
		return rc;
	if (n != 2 * field)
		return err_set(
			err, ERR_TOKEN, "%s: a signature of %zu bytes", pkey->token->text, n);
	der_out_init(&w, 512, err);
	start = der_begin(&w);
	put_number(&w, raw, field);
	put_number(&w, raw + field, field);
	der_end(&w, start, DER_SEQUENCE);
	rc = w.rc;
	if (!rc && w.buf.len <= *len) {
		memcpy(sig, w.buf.data, w.buf.len);
		*len = w.buf.len;
	} else if (!rc) {
		rc = err_set(err, ERR_INTERNAL, "no room for a signature");
	}
	der_out_fini(&w);
	return rc;
}

enum rc
token_key_sign(const struct pkey *pkey, bool pss, enum digest digest, const unsigned char *hash,
	unsigned char *sig, size_t *len, struct err *err)
{
	const struct token_uri *uri = &pkey->token->uri;
	struct der_out w;
	size_t want = *len;
	enum rc rc;

	if (pkey->type != KEY_RSA)
		return sign_ecdsa(pkey, digest, hash, sig, len, err);
	if (pss) {
		rc = call(pkey,
			&(struct token_use){uri, WIRE_PSS, digest, hash, digest_size(digest)}, sig,
			len, err);
	} else {
		der_out_init(&w, 256, err);
		rc = digest_info(digest, hash, &w);
		if (!rc)
			rc = call(pkey,
				&(struct token_use){uri, WIRE_SIGN, 0, w.buf.data, w.buf.len}, sig,
				len, err);
		der_out_fini(&w);
	}
	want = (size_t)EVP_PKEY_get_size(pkey->evp);
	if (!rc && *len != want)
		rc = err_set(
			err, ERR_TOKEN, "%s: a signature of %zu bytes", pkey->token->text, *len);
	return rc;
}

/* --- opening --- */

/* Is it a number below the modulus, of its length? Anybody can see that. */
static bool
is_in_range(const struct pkey *pkey, const void *data, size_t len)
{
	BIGNUM *n = NULL, *c = BN_bin2bn(data, (int)len, NULL);
	bool yes = c && len == (size_t)EVP_PKEY_get_size(pkey->evp) &&
		   EVP_PKEY_get_bn_param(pkey->evp, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
		   BN_cmp(c, n) < 0;

	BN_free(n);
	BN_free(c);
	return yes;
}

/* Some give the number without its zeros in front. */
static void
fill_block(struct token_result *block, size_t size, size_t room)
{
	size_t n = block->len;

	if (n >= size || size > room)
		return;
	memmove(block->data + size - n, block->data, n);
	memset(block->data, 0, size - n);
	block->len = size;
}

enum rc
token_key_decrypt(const struct pkey *pkey, const struct oaep *oaep, const void *data, size_t len,
	struct token_result *out, struct err *err)
{
	struct token_use use = {&pkey->token->uri, WIRE_RAW, 0, data, len};
	enum wire_status status;
	size_t room = out->len;
	enum rc rc;

	out->raw = out->good = false;
	if (!is_in_range(pkey, data, len))
		return RC_OK;
	rc = token_call(&use, &status, out->data, &out->len, err);
	out->raw = true;
	/* Tokens that follow FIPS 140 do not give the block away. */
	if (!rc && status == WIRE_UNSUPPORTED) {
		out->raw = false;
		out->len = room;
		use.op = oaep ? WIRE_OAEP : WIRE_DECRYPT;
		use.param = oaep ? (unsigned)(oaep->md << 4 | oaep->mgf) : 0;
		rc = token_call(&use, &status, out->data, &out->len, err);
	}
	if (!rc && status == WIRE_UNSUPPORTED)
		return err_set(err, ERR_TOKEN, "%s: the token does not decrypt with the key",
			pkey->token->text);
	out->good = !rc && status == WIRE_OK;
	if (out->good && out->raw)
		fill_block(out, (size_t)EVP_PKEY_get_size(pkey->evp), room);
	return rc;
}

enum rc
token_key_derive(const struct pkey *pkey, const void *point, size_t len, struct token_result *out,
	struct err *err)
{
	const struct token_use use = {&pkey->token->uri, WIRE_DERIVE, 0, point, len};
	enum wire_status status;
	enum rc rc = token_call(&use, &status, out->data, &out->len, err);

	if (!rc && status == WIRE_UNSUPPORTED)
		rc = err_set(err, ERR_TOKEN, "%s: the token does not derive with the key",
			pkey->token->text);
	out->good = !rc && status == WIRE_OK;
	out->raw = false;
	return rc;
}

/* --- secrets for a token --- */

static EVP_PKEY *
make_public(const unsigned char *n, size_t n_len, const unsigned char *e, size_t e_len)
{
	BIGNUM *bn = BN_bin2bn(n, (int)n_len, NULL), *be = BN_bin2bn(e, (int)e_len, NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (bn && be && bld && ctx && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be) == 1 &&
		(params = OSSL_PARAM_BLD_to_param(bld)) != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	BN_free(bn);
	BN_free(be);
	return key;
}

/* The key URI with its public half as the token tells it. */
static enum rc
ask_public(const char *uri, struct pkey **out, struct err *err)
{
	unsigned char answer[4096], *spki = NULL;
	size_t len = sizeof(answer), n_len;
	struct token_uri parsed;
	enum wire_status status;
	EVP_PKEY *evp;
	int spki_len;
	enum rc rc = token_uri_parse(uri, strlen(uri), &parsed, err);

	*out = NULL;
	if (!rc)
		rc = token_call(&(struct token_use){&parsed, WIRE_PUBLIC, 0, NULL, 0}, &status,
			answer, &len, err);
	if (rc)
		return rc;
	n_len = len > 2 ? (size_t)answer[0] << 8 | answer[1] : 0;
	if (status != WIRE_OK || n_len < 256 || n_len + 3 > len)
		return err_set(err, ERR_TOKEN, "%s: no RSA key of 2048 bits or more", uri);
	evp = make_public(answer + 2, n_len, answer + 2 + n_len, len - 2 - n_len);
	spki_len = evp ? i2d_PUBKEY(evp, &spki) : -1;
	rc = spki_len > 0 ? key_open(uri, spki, (size_t)spki_len, out, err)
			  : ossl_err(err, ERR_CRYPTO, "the public key of %s", uri);
	OPENSSL_free(spki);
	EVP_PKEY_free(evp);
	return rc;
}

enum rc
token_wrap(const char *uri, struct secret *secret, struct buf *wrapped, struct err *err)
{
	struct pkey *pkey = NULL;
	EVP_PKEY_CTX *ctx = NULL;
	unsigned char out[2048];
	size_t len = sizeof(out);
	enum rc rc = ask_public(uri, &pkey, err);

	if (rc)
		return rc;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey->evp, NULL);
	if (!ctx || EVP_PKEY_encrypt_init(ctx) != 1 ||
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1 ||
		EVP_PKEY_CTX_set_rsa_oaep_md(ctx, digest_evp(DIGEST_SHA256)) != 1 ||
		EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, digest_evp(DIGEST_SHA256)) != 1 ||
		EVP_PKEY_encrypt(ctx, out, &len, secret_data(secret), secret_len(secret)) != 1)
		rc = ossl_err(err, ERR_CRYPTO, "wrapping a secret for %s", uri);
	else
		rc = buf_append(wrapped, out, len, err);
	EVP_PKEY_CTX_free(ctx);
	pkey_unref(&pkey);
	return rc;
}

enum rc
token_unwrap(const char *uri, const void *wrapped, size_t len, size_t plain_len,
	struct secret **out, struct err *err)
{
	const struct oaep oaep = {DIGEST_SHA256, DIGEST_SHA256, "", 0};
	unsigned char em[2048], mask = 0;
	struct token_result got = {.data = em, .len = sizeof(em)};
	const unsigned char *data = em;
	struct pkey *pkey = NULL;
	enum rc rc = ask_public(uri, &pkey, err);

	*out = NULL;
	if (!rc)
		rc = token_key_decrypt(pkey, &oaep, wrapped, len, &got, err);
	if (!rc && got.good && got.raw)
		(void)oaep_open(&oaep, em, got.len, plain_len, &data, &mask);
	else if (!rc && got.good && got.len == plain_len)
		mask = 0xff;
	if (!rc)
		rc = mask ? secret_copy(data, plain_len, out, err)
			  : err_set(err, ERR_MASTER_KEY, "%s opens another secret", uri);
	secret_wipe(em, sizeof(em));
	pkey_unref(&pkey);
	return rc;
}
