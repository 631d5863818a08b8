/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/rinfo.h"

#include "crypto/ecdh.h"

#include <openssl/rsa.h>

#include <string.h>

#define MAX_RSA_BYTES 2048

static void
put_issuer_serial(struct der_out *w, const struct cert *cert)
{
	size_t start = der_begin(w), len;
	const unsigned char *p = cert_issuer_der(cert, &len);

	der_put_raw(w, p, len);
	p = cert_serial_bytes(cert, &len);
	der_put(w, DER_INTEGER, p, len);
	der_end(w, start, DER_SEQUENCE);
}

/* AlgorithmIdentifier with NULL parameters. */
static void
put_null_algorithm(struct der_out *w, enum oid oid)
{
	size_t start = der_begin(w);

	der_put_oid(w, oid);
	der_put(w, DER_NULL, NULL, 0);
	der_end(w, start, DER_SEQUENCE);
}

/* rsaEncryption, or RSAES-OAEP with SHA-256 for both hashes (RFC 4055 section 4.1). */
static void
put_transport_algorithm(struct der_out *w, bool oaep)
{
	size_t start, params, part, mgf;

	if (!oaep) {
		put_null_algorithm(w, OID_RSA);
		return;
	}
	start = der_begin(w);
	der_put_oid(w, OID_RSA_OAEP);
	params = der_begin(w);
	part = der_begin(w);
	put_null_algorithm(w, OID_SHA256);
	der_end(w, part, DER_CONTEXT_CONSTRUCTED);
	part = der_begin(w);
	mgf = der_begin(w);
	der_put_oid(w, OID_MGF1);
	put_null_algorithm(w, OID_SHA256);
	der_end(w, mgf, DER_SEQUENCE);
	der_end(w, part, DER_CONTEXT_CONSTRUCTED | 1);
	der_end(w, params, DER_SEQUENCE);
	der_end(w, start, DER_SEQUENCE);
}

static enum rc
write_ktri(
	const struct cert *cert, struct secret *cek, bool oaep, struct der_out *w, struct err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, cert_pubkey(cert), NULL);
	unsigned char encrypted[MAX_RSA_BYTES];
	size_t len = sizeof encrypted, start;
	bool good = ctx && EVP_PKEY_encrypt_init(ctx) == 1 &&
		    EVP_PKEY_CTX_set_rsa_padding(
			    ctx, oaep ? RSA_PKCS1_OAEP_PADDING : RSA_PKCS1_PADDING) == 1;

	if (good && oaep)
		good = EVP_PKEY_CTX_set_rsa_oaep_md(ctx, digest_evp(DIGEST_SHA256)) == 1 &&
		       EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, digest_evp(DIGEST_SHA256)) == 1;
	good = good &&
	       EVP_PKEY_encrypt(ctx, encrypted, &len, secret_data(cek), secret_len(cek)) == 1;
	EVP_PKEY_CTX_free(ctx);
	if (!good)
		return ossl_err(err, ERR_CRYPTO, "encrypting to an RSA key");
	start = der_begin(w);
	der_put_int(w, 0);
	put_issuer_serial(w, cert);
	put_transport_algorithm(w, oaep);
	der_put(w, DER_OCTETS, encrypted, len);
	der_end(w, start, DER_SEQUENCE);
	return w->rc;
}

/* A fresh key on the recipient's curve, and its public point. */
static enum rc
ephemeral(EVP_PKEY *recipient, EVP_PKEY **key, unsigned char **point, size_t *len, struct err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, recipient, NULL);
	bool good = ctx && EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_keygen(ctx, key) == 1;

	EVP_PKEY_CTX_free(ctx);
	*len = good ? EVP_PKEY_get1_encoded_public_key(*key, point) : 0;
	return *len ? RC_OK : ossl_err(err, ERR_CRYPTO, "making an ephemeral key");
}

/* originator [0] { originatorKey [1] { id-ecPublicKey, BIT STRING } }: no curve, as RFC 5753
 * section 3.1.1 wants. */
static void
put_originator(struct der_out *w, const unsigned char *point, size_t len)
{
	size_t outer = der_begin(w), key = der_begin(w), algorithm = der_begin(w), bits;

	der_put_oid(w, OID_EC);
	der_end(w, algorithm, DER_SEQUENCE);
	bits = der_begin(w);
	der_put_raw(w, "", 1); /* no unused bits */
	der_put_raw(w, point, len);
	der_end(w, bits, DER_BIT_STRING);
	der_end(w, key, DER_CONTEXT_CONSTRUCTED | 1);
	der_end(w, outer, DER_CONTEXT_CONSTRUCTED);
}

/*
 * dhSinglePass-stdDH-sha256kdf with AES wrap of the content key's strength: read by OpenSSL, NSS,
 * gpgsm and Bouncy Castle (SHA-1, OpenSSL's default, is read by all of them too, but has no
 * future).
 */
static enum rc
write_kari(const struct cert *cert, struct secret *cek, struct der_out *w, struct err *err)
{
	size_t key_size = secret_len(cek), point_len, start, list, one, algorithm, wrap_at;
	struct ecdh ecdh = {
		.kdf = DIGEST_SHA256, .wrap = key_size <= 16 ? OID_AES128_WRAP : OID_AES256_WRAP};
	unsigned char wrapped[ECDH_MAX_WRAPPED + 8], *point = NULL;
	EVP_PKEY *key = NULL;
	struct der_out wrap;
	enum rc rc = ephemeral(cert_pubkey(cert), &key, &point, &point_len, err);

	der_out_init(&wrap, 64, err);
	wrap_at = der_begin(&wrap);
	der_put_oid(&wrap, ecdh.wrap);
	der_end(&wrap, wrap_at, DER_SEQUENCE);
	ecdh.wrap_info = (struct der){(unsigned char *)wrap.buf.data, wrap.buf.len};
	if (rc == RC_OK && wrap.rc == RC_OK &&
		!ecdh_wrap(&ecdh, key, cert_pubkey(cert), secret_data(cek), key_size, wrapped))
		rc = ossl_err(err, ERR_CRYPTO, "encrypting to an EC key");
	if (rc == RC_OK) {
		start = der_begin(w);
		der_put_int(w, 3);
		put_originator(w, point, point_len);
		algorithm = der_begin(w);
		der_put_oid(w, OID_STD_DH_SHA256);
		der_put_raw(w, wrap.buf.data, wrap.buf.len);
		der_end(w, algorithm, DER_SEQUENCE);
		list = der_begin(w);
		one = der_begin(w);
		put_issuer_serial(w, cert);
		der_put(w, DER_OCTETS, wrapped, key_size + 8);
		der_end(w, one, DER_SEQUENCE);
		der_end(w, list, DER_SEQUENCE);
		der_end(w, start, DER_CONTEXT_CONSTRUCTED | 1);
		rc = wrap.rc == RC_OK ? w->rc : wrap.rc;
	}
	der_out_fini(&wrap);
	OPENSSL_free(point);
	EVP_PKEY_free(key);
	return rc;
}

enum rc
rinfo_write(const struct cert *cert, struct secret *cek, bool oaep, struct der_out *out,
	struct err *err)
{
	if (!cert_pubkey(cert))
		return err_set(err, ERR_CERT_UNSUPPORTED, "%s: the public key can't be decoded",
			cert_subject(cert));
	switch (cert_key_type(cert)) {
	case KEY_RSA:
		return write_ktri(cert, cek, oaep, out, err);
	case KEY_EC_P256:
	case KEY_EC_P384:
	case KEY_EC_P521:
		return write_kari(cert, cek, out, err);
	default:
		return err_set(err, ERR_CERT_UNSUPPORTED, "%s: no encryption to a key of type %s",
			cert_subject(cert), key_type_name(cert_key_type(cert)));
	}
}
