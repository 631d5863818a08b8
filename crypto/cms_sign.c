/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/cms_sign.h"

#include "crypto/ber.h"
#include "crypto/oid.h"
#include "crypto/openssl_glue.h"
#include "crypto/pkey_private.h"
#include "crypto/token_key.h"

#include <openssl/rsa.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * The structures are written here and not by OpenSSL's CMS_sign(): that costs 70 to 160 µs more
 * than the bare signature, can't do Ed25519 before 3.5, and signs wrongly and without a word with a
 * PSS-restricted key unless it is told the padding.
 */
#define SIGN_MAX_BYTES   (4u << 20)
#define SIGN_FIRST_BYTES 2048 /* what most need beside the certificates */

struct cms_signer {
	struct buf certs;      /* CertificateSet, as its element */
	struct buf attributes; /* the signed ones that are always the same, one behind the other */
};

/*
 * What we can open, best first, as SMIMECapabilities (RFC 8551 section 2.5.2): AES-256-GCM,
 * AES-256-CBC, AES-128-GCM, AES-192-CBC, AES-128-CBC, without parameters; and OAEP with SHA-256.
 */
static const enum oid capabilities[] = {
	OID_AES256_GCM, OID_AES256_CBC, OID_AES128_GCM, OID_AES192_CBC, OID_AES128_CBC};

enum digest
cms_sign_digest_for(const struct cert *cert)
{
	char name[32] = "";

	switch (cert_key_type(cert)) {
	case KEY_EC_P384:
		return DIGEST_SHA384;
	case KEY_EC_P521:
	case KEY_ED25519: /* RFC 8419 section 3.1 */
		return DIGEST_SHA512;
	case KEY_RSA_PSS: /* the key may be bound to one digest */
		if (!cert_pubkey(cert) || EVP_PKEY_get_default_digest_name(
						  cert_pubkey(cert), name, sizeof name) != 2) {
			ossl_clear();
			return DIGEST_SHA256;
		}
		if (strstr(name, "384"))
			return DIGEST_SHA384;
		return strstr(name, "512") ? DIGEST_SHA512 : DIGEST_SHA256;
	default:
		return DIGEST_SHA256;
	}
}

/* --- signed attributes --- */

struct attribute {
	size_t start, values;
};

/* Attribute ::= SEQUENCE { OID, SET OF value }; the value is put between begin and end. */
static struct attribute
begin_attribute(struct der_out *w, enum oid oid)
{
	struct attribute a = {.start = der_begin(w)};

	der_put_oid(w, oid);
	a.values = der_begin(w);
	return a;
}

static void
end_attribute(struct der_out *w, struct attribute a)
{
	der_end(w, a.values, DER_SET);
	der_end(w, a.start, DER_SEQUENCE);
}

/* RFC 5652 section 11.3: UTCTime through 2049, GeneralizedTime from then on. */
static void
put_time(struct der_out *w, int64_t seconds)
{
	struct tm tm;
	char text[40];
	time_t t = (time_t)seconds;
	bool utc;

	if (!gmtime_r(&t, &tm) || tm.tm_year < 50 || tm.tm_year > 8099) {
		w->rc = err_set(w->err, ERR_USAGE, "signing time out of range");
		return;
	}
	utc = tm.tm_year < 150;
	(void)strftime(text, sizeof text, "%Y%m%d%H%M%SZ", &tm);
	if (utc) /* two digits for the year */
		der_put(w, DER_UTC_TIME, text + 2, strlen(text + 2));
	else
		der_put(w, DER_GENERALIZED_TIME, text, strlen(text));
}

/* The two parameters that RSASSA-PSS and RSAES-OAEP have in common (RFC 4055): the digest, and MGF1
 * with it. Here the digests have NULL parameters. */
static void
put_hash_and_mgf(struct der_out *w, enum digest digest)
{
	size_t outer = der_begin(w), alg = der_begin(w), inner;

	der_put_oid(w, digest_oid(digest));
	der_put(w, DER_NULL, NULL, 0);
	der_end(w, alg, DER_SEQUENCE);
	der_end(w, outer, DER_CONTEXT_CONSTRUCTED);
	outer = der_begin(w);
	alg = der_begin(w);
	der_put_oid(w, OID_MGF1);
	inner = der_begin(w);
	der_put_oid(w, digest_oid(digest));
	der_put(w, DER_NULL, NULL, 0);
	der_end(w, inner, DER_SEQUENCE);
	der_end(w, alg, DER_SEQUENCE);
	der_end(w, outer, DER_CONTEXT_CONSTRUCTED | 1);
}

static void
put_oaep(struct der_out *w)
{
	size_t one = der_begin(w), params;

	der_put_oid(w, OID_RSA_OAEP);
	params = der_begin(w);
	put_hash_and_mgf(w, DIGEST_SHA256);
	der_end(w, params, DER_SEQUENCE);
	der_end(w, one, DER_SEQUENCE);
}

static void
put_capabilities(struct der_out *w)
{
	size_t list = der_begin(w), one;

	for (size_t i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++) {
		one = der_begin(w);
		der_put_oid(w, capabilities[i]);
		der_end(w, one, DER_SEQUENCE);
	}
	put_oaep(w);
	der_end(w, list, DER_SEQUENCE);
}

/* ESS SigningCertificateV2 with one ESSCertIDv2 (RFC 5035): SHA-256 is the default and left out. */
static void
put_signing_cert(struct der_out *w, const struct cert *cert)
{
	size_t all = der_begin(w), ids = der_begin(w), id = der_begin(w), issuer_serial, names,
	       name;
	const unsigned char *issuer, *serial;
	size_t issuer_len, serial_len;

	issuer = cert_issuer_der(cert, &issuer_len);
	serial = cert_serial_bytes(cert, &serial_len);
	der_put(w, DER_OCTETS, cert_sha256(cert), SHA256_SIZE);
	issuer_serial = der_begin(w);
	names = der_begin(w);
	name = der_begin(w);
	der_put_raw(w, issuer, issuer_len);
	der_end(w, name, DER_CONTEXT_CONSTRUCTED | 4); /* directoryName */
	der_end(w, names, DER_SEQUENCE);
	der_put(w, DER_INTEGER, serial, serial_len);
	der_end(w, issuer_serial, DER_SEQUENCE);
	der_end(w, id, DER_SEQUENCE);
	der_end(w, ids, DER_SEQUENCE);
	der_end(w, all, DER_SEQUENCE);
}

/* IssuerAndSerialNumber. */
static void
put_issuer_serial(struct der_out *w, const struct cert *cert, unsigned tag)
{
	size_t start = der_begin(w), len;
	const unsigned char *p = cert_issuer_der(cert, &len);

	der_put_raw(w, p, len);
	p = cert_serial_bytes(cert, &len);
	der_put(w, DER_INTEGER, p, len);
	der_end(w, start, tag);
}

static bool
same_cert(const struct cert *a, const struct cert *b)
{
	return memcmp(cert_sha256(a), cert_sha256(b), SHA256_SIZE) == 0;
}

/* The attributes that say nothing about one message. */
static void
put_fixed_attributes(struct der_out *w, const struct cert *cert, const struct cert *encrypt_cert)
{
	struct attribute a = begin_attribute(w, OID_SMIME_CAPABILITIES);

	put_capabilities(w);
	end_attribute(w, a);
	a = begin_attribute(w, OID_SIGNING_CERT_V2);
	put_signing_cert(w, cert);
	end_attribute(w, a);
	if (encrypt_cert && !same_cert(encrypt_cert, cert)) {
		a = begin_attribute(w, OID_KEY_PREFERENCE);
		put_issuer_serial(w, encrypt_cert, DER_CONTEXT_CONSTRUCTED);
		end_attribute(w, a);
	}
}

/* The SignedAttributes as the SET OF that is signed; in the SignerInfo its first byte becomes [0].
 * They are put in the order that DER nearly always wants, short ones first. */
static void
put_attributes(
	struct der_out *w, const struct cms_signer *signer, const struct cms_sign_request *request)
{
	size_t set = der_begin(w);
	struct attribute a = begin_attribute(w, OID_CONTENT_TYPE);

	der_put_oid(w, OID_DATA);
	end_attribute(w, a);
	if (request->signing_time >= 0) {
		a = begin_attribute(w, OID_SIGNING_TIME);
		put_time(w, request->signing_time);
		end_attribute(w, a);
	}
	a = begin_attribute(w, OID_MESSAGE_DIGEST);
	der_put(w, DER_OCTETS, request->value, digest_size(request->digest));
	end_attribute(w, a);
	der_put_raw(w, signer->attributes.data, signer->attributes.len);
	der_end_set_of(w, set, DER_SET);
}

/* --- algorithms --- */

/* Digests of the SHA-2 family are written without parameters (RFC 5754 section 2). */
static void
put_digest_algorithm(struct der_out *w, enum digest digest)
{
	size_t start = der_begin(w);

	der_put_oid(w, digest_oid(digest));
	der_end(w, start, DER_SEQUENCE);
}

static void
put_pss_params(struct der_out *w, enum digest digest)
{
	size_t all = der_begin(w), outer;

	put_hash_and_mgf(w, digest);
	outer = der_begin(w);
	der_put_int(w, (unsigned)digest_size(digest));
	der_end(w, outer, DER_CONTEXT_CONSTRUCTED | 2);
	der_end(w, all, DER_SEQUENCE);
}

struct scheme {
	enum oid oid;
	bool pss;
	bool null_params;
	bool one_shot; /* Ed25519: no digest of its own */
};

/* How this key signs. RSA v1.5 goes under rsaEncryption, which everybody reads. */
static enum rc
choose_scheme(const struct pkey *key, const struct cms_sign_request *request, struct scheme *scheme,
	struct err *err)
{
	*scheme = (struct scheme){.oid = OID_NONE};
	switch (pkey_type(key)) {
	case KEY_RSA:
		scheme->pss = request->pss;
		scheme->null_params = !request->pss;
		scheme->oid = request->pss ? OID_RSA_PSS : OID_RSA;
		return RC_OK;
	case KEY_RSA_PSS:
		scheme->pss = true;
		scheme->oid = OID_RSA_PSS;
		return RC_OK;
	case KEY_EC_P256:
	case KEY_EC_P384:
	case KEY_EC_P521:
		scheme->oid = request->digest == DIGEST_SHA256   ? OID_ECDSA_SHA256
			      : request->digest == DIGEST_SHA384 ? OID_ECDSA_SHA384
								 : OID_ECDSA_SHA512;
		return RC_OK;
	case KEY_ED25519:
		scheme->oid = OID_ED25519;
		scheme->one_shot = true;
		if (request->digest == DIGEST_SHA512)
			return RC_OK;
		return err_set(err, ERR_USAGE, "Ed25519 signs with SHA-512 only (RFC 8419)");
	default:
		return err_set(err, ERR_CERT_UNSUPPORTED, "a key of type %s does not sign",
			key_type_name(pkey_type(key)));
	}
}

/* The signature over the attributes, as an OCTET STRING. */
static enum rc
put_signature(struct der_out *w, const struct pkey *key, const struct scheme *scheme,
	enum digest digest, const unsigned char *attributes, size_t attributes_len, struct err *err)
{
	unsigned char sig[PKEY_MAX_SIGNATURE], hash[DIGEST_MAX_SIZE];
	const struct pkey_pss pss = {digest};
	size_t len = sizeof sig;
	enum rc rc;

	if (EVP_PKEY_get_size(pkey_evp(key)) > PKEY_MAX_SIGNATURE)
		return err_set(err, ERR_CERT_UNSUPPORTED, "signatures of this key are too long");
	if (scheme->pss && key->token) {
		rc = digest_bytes(digest, attributes, attributes_len, hash, err);
		if (rc == RC_OK)
			rc = token_key_sign(key, true, digest, hash, sig, &len, err);
	} else if (scheme->pss || scheme->one_shot) {
		rc = pkey_sign_text(
			key, scheme->pss ? &pss : NULL, attributes, attributes_len, sig, &len, err);
	} else {
		rc = digest_bytes(digest, attributes, attributes_len, hash, err);
		if (rc == RC_OK)
			rc = pkey_sign_hash(key, digest, hash, sig, &len, err);
	}
	if (rc)
		return rc;
	der_put(w, DER_OCTETS, sig, len);
	return w->rc;
}

/* --- SignedData --- */

/* The bag of certificates. */
static void
put_certs(struct der_out *w, struct cert *cert, const struct certset *chain,
	struct cert *encrypt_cert)
{
	struct certset set = {NULL, 0};
	size_t start = der_begin(w), len;
	const unsigned char *p;

	w->rc = certset_add(&set, cert, w->err);
	for (size_t i = 0; chain && i < chain->n && w->rc == RC_OK; i++)
		w->rc = certset_add(&set, chain->v[i], w->err);
	if (encrypt_cert && w->rc == RC_OK)
		w->rc = certset_add(&set, encrypt_cert, w->err);
	for (size_t i = 0; i < set.n; i++) {
		p = cert_der(set.v[i], &len);
		der_put_raw(w, p, len);
	}
	der_end_set_of(w, start, DER_CONTEXT_CONSTRUCTED);
	certset_fini(&set);
}

enum rc
cms_signer_new(struct cert *cert, const struct certset *chain, struct cert *encrypt_cert,
	struct cms_signer **out, struct err *err)
{
	struct cms_signer *signer = calloc(1, sizeof *signer);
	struct der_out certs, attributes;

	*out = NULL;
	if (!signer)
		return err_set(err, ERR_MEMORY, "a signer");
	der_out_init(&certs, SIGN_MAX_BYTES, err);
	der_out_init(&attributes, SIGN_MAX_BYTES, err);
	put_certs(&certs, cert, chain, encrypt_cert);
	put_fixed_attributes(&attributes, cert, encrypt_cert);
	signer->certs = certs.buf;
	signer->attributes = attributes.buf;
	if (certs.rc || attributes.rc) {
		cms_signer_free(&signer);
		return certs.rc ? certs.rc : attributes.rc;
	}
	*out = signer;
	return RC_OK;
}

void
cms_signer_free(struct cms_signer **signer)
{
	if (!*signer)
		return;
	buf_fini(&(*signer)->certs);
	buf_fini(&(*signer)->attributes);
	free(*signer);
	*signer = NULL;
}

static void
put_signer_info(struct der_out *w, const struct cms_signer *signer, const struct cert *cert,
	const struct scheme *scheme, const struct cms_sign_request *request, const struct pkey *key,
	struct err *err)
{
	size_t infos = der_begin(w), info = der_begin(w), attributes, algorithm;

	der_put_int(w, 1);
	put_issuer_serial(w, cert, DER_SEQUENCE);
	put_digest_algorithm(w, request->digest);
	attributes = der_begin(w);
	put_attributes(w, signer, request);
	algorithm = der_begin(w);
	der_put_oid(w, scheme->oid);
	if (scheme->null_params)
		der_put(w, DER_NULL, NULL, 0);
	else if (scheme->pss)
		put_pss_params(w, request->digest);
	der_end(w, algorithm, DER_SEQUENCE);
	if (w->rc != RC_OK)
		return;
	w->rc = put_signature(w, key, scheme, request->digest,
		(const unsigned char *)w->buf.data + attributes, algorithm - attributes, err);
	if (w->rc != RC_OK)
		return;
	w->buf.data[attributes] = (char)DER_CONTEXT_CONSTRUCTED;
	der_end(w, info, DER_SEQUENCE);
	der_end(w, infos, DER_SET);
}

/* All of it, with SIGNER. */
static enum rc
sign(const struct cms_signer *signer, const struct pkey *key, struct cert *cert,
	const struct scheme *scheme, const struct cms_sign_request *request, struct buf *der,
	struct err *err)
{
	struct der_out w;
	size_t info, wrap, body, algorithms, encap;
	enum rc rc;

	der_out_init(&w, SIGN_MAX_BYTES, err);
	w.rc = buf_reserve(&w.buf, signer->certs.len + SIGN_FIRST_BYTES, err);
	info = der_begin(&w);
	der_put_oid(&w, OID_SIGNED_DATA);
	wrap = der_begin(&w);
	body = der_begin(&w);
	der_put_int(&w, 1);
	algorithms = der_begin(&w);
	put_digest_algorithm(&w, request->digest);
	der_end(&w, algorithms, DER_SET);
	encap = der_begin(&w);
	der_put_oid(&w, OID_DATA);
	der_end(&w, encap, DER_SEQUENCE);
	der_put_raw(&w, signer->certs.data, signer->certs.len);
	put_signer_info(&w, signer, cert, scheme, request, key, err);
	der_end(&w, body, DER_SEQUENCE);
	der_end(&w, wrap, DER_CONTEXT_CONSTRUCTED);
	der_end(&w, info, DER_SEQUENCE);
	rc = w.rc == RC_OK ? buf_append(der, w.buf.data, w.buf.len, err) : w.rc;
	der_out_fini(&w);
	return rc;
}

enum rc
cms_sign_digest(const struct pkey *key, struct cert *cert, const struct certset *chain,
	const struct cms_sign_request *request, struct buf *der, struct err *err)
{
	struct cms_signer *own = NULL;
	struct scheme scheme;
	enum rc rc;

	if (request->digest < DIGEST_SHA256 || request->digest >= DIGEST_COUNT || !request->value)
		return err_set(err, ERR_USAGE, "a signature needs SHA-256, SHA-384 or SHA-512");
	if (pkey_type(key) != cert_key_type(cert))
		return err_set(
			err, ERR_CERT_UNUSABLE, "the certificate is for another kind of key");
	rc = choose_scheme(key, request, &scheme, err);
	if (rc == RC_OK && !request->signer)
		rc = cms_signer_new(cert, chain, request->encrypt_cert, &own, err);
	if (rc == RC_OK)
		rc = sign(own ? own : request->signer, key, cert, &scheme, request, der, err);
	cms_signer_free(&own);
	return rc;
}
