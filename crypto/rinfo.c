/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/rinfo.h"

#include "crypto/ecdh.h"
#include "crypto/mac.h"
#include "crypto/oaep.h"
#include "crypto/openssl_glue.h"
#include "crypto/pkey_private.h"
#include "crypto/token_key.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * Opening a RecipientInfo is where an attacker who may send mail would like to learn one bit about
 * a private key operation: whether the padding was right (Bleichenbacher, Manger). So everything
 * that can be seen without the key is checked first and has its own errors; from the private key
 * operation on there is one outcome, a content key of the right size, which is the sender's or else
 * one that looks like it.
 */

#define MAX_RSA_BYTES 2048 /* a modulus of 16384 bits */

/* What is written in a RecipientInfo. */
struct parsed {
	enum rinfo_type type;
	struct der encrypted_key; /* of the one that was asked for */
	enum oid algorithm;
	/* KTRI with OAEP */
	enum digest oaep_md, mgf1_md;
	struct der label;
	/* KARI */
	struct ecdh ecdh;
	struct der point;
	bool other_originator; /* not an ephemeral key: unsupported */
};

static enum rc
malformed(struct err *err)
{
	return err_set(err, ERR_CMS_MALFORMED, "malformed RecipientInfo");
}

/* --- parsing --- */

/* IssuerAndSerialNumber, SubjectKeyIdentifier [0], or in a KARI RecipientKeyIdentifier [0]. */
static bool
take_id(struct der *in, bool kari, struct rinfo *id)
{
	struct der_item item, name, serial, ski;

	if (der_take(in, DER_SEQUENCE, &item)) {
		if (!der_take(&item.body, DER_SEQUENCE, &name) ||
			!der_take(&item.body, DER_INTEGER, &serial) || !der_done(&item.body))
			return false;
		id->issuer = name.whole.p;
		id->issuer_len = name.whole.len;
		id->serial = serial.body.p;
		id->serial_len = serial.body.len;
		return true;
	}
	if (!kari && der_take(in, DER_CONTEXT, &item)) {
		id->ski = item.body.p;
		id->ski_len = item.body.len;
		return true;
	}
	if (kari && der_take(in, DER_CONTEXT_CONSTRUCTED, &item) &&
		der_take(&item.body, DER_OCTETS, &ski)) {
		id->ski = ski.body.p;
		id->ski_len = ski.body.len;
		return true;
	}
	return false;
}

/* RSAES-OAEP-params: what is left out is SHA-1, MGF1 with SHA-1, no label. */
static bool
parse_oaep(struct der params, struct parsed *out)
{
	struct der_item seq, part, octets;
	enum oid oid;
	struct der inner;

	out->oaep_md = out->mgf1_md = DIGEST_SHA1;
	if (params.len == 0)
		return true;
	if (!der_take(&params, DER_SEQUENCE, &seq) || !der_done(&params))
		return false;
	if (der_take(&seq.body, DER_CONTEXT_CONSTRUCTED, &part)) {
		if (!der_take_algorithm(&part.body, &oid, &inner) || !der_no_params(&inner))
			return false;
		out->oaep_md = oid_digest(oid);
	}
	if (der_take(&seq.body, DER_CONTEXT_CONSTRUCTED | 1, &part)) {
		if (!der_take_algorithm(&part.body, &oid, &params))
			return false;
		out->mgf1_md = DIGEST_NONE;
		if (oid == OID_MGF1) {
			if (!der_take_algorithm(&params, &oid, &inner) || !der_no_params(&inner))
				return false;
			out->mgf1_md = oid_digest(oid);
		}
	}
	if (der_take(&seq.body, DER_CONTEXT_CONSTRUCTED | 2, &part)) {
		if (!der_take_algorithm(&part.body, &oid, &params) || oid != OID_P_SPECIFIED ||
			!der_take(&params, DER_OCTETS, &octets) || !der_done(&params))
			return false;
		out->label = octets.body;
	}
	return der_done(&seq.body);
}

static bool
parse_ktri(struct der body, struct rinfo *id, struct parsed *out)
{
	struct der_item key;
	struct der params;
	int version;

	if (!der_take_int(&body, &version) || (version != 0 && version != 2) ||
		!take_id(&body, false, id) ||
		!der_take_algorithm(&body, &out->algorithm, &params) ||
		!der_take(&body, DER_OCTETS, &key) || !der_done(&body))
		return false;
	if (out->algorithm == OID_RSA && !der_no_params(&params))
		return false;
	if (out->algorithm == OID_RSA_OAEP && !parse_oaep(params, out))
		return false;
	out->encrypted_key = key.body;
	return true;
}

/* OriginatorIdentifierOrKey: only an ephemeral key is of use to us. */
static bool
parse_originator(struct der in, struct parsed *out)
{
	struct der_item key, bits;
	struct der params;
	enum oid oid;

	if (!der_take(&in, DER_CONTEXT_CONSTRUCTED | 1, &key)) {
		out->other_originator = true;
		return der_next(&in, &key) && der_done(&in);
	}
	if (!der_done(&in) || !der_take_algorithm(&key.body, &oid, &params) ||
		!der_take(&key.body, DER_BIT_STRING, &bits) || !der_done(&key.body) ||
		bits.body.len < 1 || bits.body.p[0] != 0)
		return false;
	out->other_originator = oid != OID_EC;
	out->point = (struct der){bits.body.p + 1, bits.body.len - 1};
	return true;
}

/* The fields before the RecipientEncryptedKeys, which LIST then holds. */
static bool
parse_kari(struct der body, struct parsed *out, struct der *list)
{
	struct der_item originator, ukm, octets, keys;
	struct der params, wrap_params;
	int version;

	if (!der_take_int(&body, &version) || version != 3 ||
		!der_take(&body, DER_CONTEXT_CONSTRUCTED, &originator) ||
		!parse_originator(originator.body, out))
		return false;
	if (der_take(&body, DER_CONTEXT_CONSTRUCTED | 1, &ukm)) {
		if (!der_take(&ukm.body, DER_OCTETS, &octets) || !der_done(&ukm.body))
			return false;
		out->ecdh.ukm = octets.body;
	}
	if (!der_take_algorithm(&body, &out->algorithm, &params) ||
		!der_take(&body, DER_SEQUENCE, &keys) || !der_done(&body))
		return false;
	out->ecdh.kdf = ecdh_kdf_of(out->algorithm);
	out->ecdh.wrap_info = params;
	out->ecdh.wrap = OID_NONE;
	if (out->ecdh.kdf != DIGEST_NONE &&
		!der_take_algorithm(&params, &out->ecdh.wrap, &wrap_params))
		return false;
	*list = keys.body;
	return true;
}

/* The identifiers of a RecipientInfo's recipients. */
struct ids {
	struct rinfo *v; /* NULL: they are only counted */
	size_t max, n;
	struct rinfo spare; /* in the place of one for which there is no room */
};

/* The next one, to be filled. */
static struct rinfo *
next_id(struct ids *ids, enum rinfo_type type)
{
	struct rinfo *id = ids->v && ids->n < ids->max ? &ids->v[ids->n] : &ids->spare;

	memset(id, 0, sizeof *id);
	id->type = type;
	id->index = (unsigned)ids->n++;
	return id;
}

/* The RecipientEncryptedKeys of a KARI. */
static enum rc
parse_keys(struct der list, struct ids *ids, unsigned index, struct parsed *parsed, struct err *err)
{
	while (!der_done(&list)) {
		struct der_item one, key;
		struct rinfo *id;

		if (ids->v && ids->n >= ids->max)
			return err_set(err, ERR_CMS_LIMIT, "too many recipients");
		id = next_id(ids, RINFO_KARI);
		if (!der_take(&list, DER_SEQUENCE, &one) || !take_id(&one.body, true, id) ||
			!der_take(&one.body, DER_OCTETS, &key) || !der_done(&one.body))
			return malformed(err);
		id->encrypted_key = key.body.p;
		id->encrypted_key_len = key.body.len;
		if (id->index == index)
			parsed->encrypted_key = key.body;
	}
	return RC_OK;
}

/* One pass over a RecipientInfo: the identifiers, and what is needed to open key INDEX. */
static enum rc
parse(const void *der, size_t len, struct ids *ids, unsigned index, struct parsed *parsed,
	struct err *err)
{
	struct der in = {der, len}, list;
	struct der_item whole;
	struct rinfo *slot;

	ids->n = 0;
	memset(parsed, 0, sizeof *parsed);
	if (len > CMS_MAX_RINFO)
		return err_set(
			err, ERR_CMS_LIMIT, "a RecipientInfo of more than %d bytes", CMS_MAX_RINFO);
	if (!der_next(&in, &whole) || !der_done(&in))
		return malformed(err);
	if (whole.tag == DER_SEQUENCE) {
		parsed->type = RINFO_KTRI;
		slot = next_id(ids, RINFO_KTRI);
		if (!parse_ktri(whole.body, slot, parsed))
			return malformed(err);
		slot->encrypted_key = parsed->encrypted_key.p;
		slot->encrypted_key_len = parsed->encrypted_key.len;
		return RC_OK;
	}
	if (whole.tag != (DER_CONTEXT_CONSTRUCTED | 1)) {
		parsed->type = RINFO_OTHER;
		return RC_OK;
	}
	parsed->type = RINFO_KARI;
	if (!parse_kari(whole.body, parsed, &list) || der_done(&list))
		return malformed(err);
	return parse_keys(list, ids, index, parsed, err);
}

enum rc
rinfo_parse(const void *der, size_t len, struct rinfo *out, size_t max, size_t *n, struct err *err)
{
	struct ids ids = {.v = out, .max = max};
	struct parsed parsed;
	enum rc rc = parse(der, len, &ids, 0, &parsed, err);

	*n = ids.n;
	for (size_t i = 0; rc == RC_OK && i < *n && i < max; i++) {
		out[i].der = (unsigned char *)(uintptr_t)der;
		out[i].der_len = len;
	}
	return rc;
}

/* --- opening --- */

/* OUT = MASK ? A : OUT, byte by byte; MASK is 0 or 0xff. */
static void
take_if(unsigned char mask, unsigned char *out, const unsigned char *a, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (unsigned char)((out[i] & ~mask) | (a[i] & mask));
}

/* 0xff when X is 0, else 0. */
static unsigned char
is_zero(unsigned x)
{
	return (unsigned char)((x - 1u) >> 24 & ~(x >> 24));
}

/*
 * PKCS#1 v1.5: the raw RSA operation, then 00 02 PS 00 CEK. The size of the content key is known
 * from the cipher, so the zero stands at one place only and no search is needed: every byte is
 * looked at once, whatever is in it. (OpenSSL's own unpadding tells good from bad by its result,
 * in 3.0 also by its time.)
 */
static void
take_v15(const unsigned char *em, size_t size, unsigned char *cek, size_t cek_len)
{
	unsigned char bad;
	size_t zero_at;

	if (size < cek_len + 11)
		return; /* the key is too short: anybody can see that */
	zero_at = size - cek_len - 1;
	bad = (unsigned char)(em[0] | (em[1] ^ 2) | em[zero_at]);
	for (size_t i = 2; i < zero_at; i++)
		bad |= is_zero(em[i]);
	take_if(is_zero(bad), cek, em + zero_at + 1, cek_len);
}

static struct oaep
oaep_of(const struct parsed *p)
{
	return (struct oaep){p->oaep_md, p->mgf1_md, p->label.p, p->label.len};
}

static void
take_oaep(
	const struct parsed *p, unsigned char *em, size_t size, unsigned char *cek, size_t cek_len)
{
	const struct oaep oaep = oaep_of(p);
	const unsigned char *data;
	unsigned char mask;

	if (oaep_open(&oaep, em, size, cek_len, &data, &mask))
		take_if(mask, cek, data, cek_len);
}

static enum rc
open_rsa(const struct pkey *key, const struct parsed *p, unsigned char *cek, size_t cek_len,
	struct err *err)
{
	unsigned char em[MAX_RSA_BYTES] = {0};
	size_t size = (size_t)EVP_PKEY_get_size(pkey_evp(key)), n = sizeof em;
	bool good = false;
	enum rc rc = RC_OK;

	/* Too long, or not below the modulus: anybody can see that. */
	if (size <= sizeof em)
		rc = pkey_raw_rsa(
			key, p->encrypted_key.p, p->encrypted_key.len, em, &n, &good, err);
	if (!rc && good && n == size && p->algorithm == OID_RSA_OAEP)
		take_oaep(p, em, size, cek, cek_len);
	else if (!rc && good && n == size)
		take_v15(em, size, cek, cek_len);
	secret_wipe(em, sizeof em);
	return rc;
}

static void
open_kari(EVP_PKEY *key, const struct parsed *p, unsigned char *cek, size_t cek_len)
{
	unsigned char out[ECDH_MAX_WRAPPED + 8] = {0};
	EVP_PKEY *peer = ecdh_peer(key, p->point.p, p->point.len);
	bool good = peer && p->encrypted_key.len == ecdh_wrapped_size(p->ecdh.wrap, cek_len) &&
		    ecdh_unwrap(&p->ecdh, key, peer, p->encrypted_key.p, p->encrypted_key.len, out);

	take_if((unsigned char)(0 - (unsigned)good), cek, out, cek_len);
	EVP_PKEY_free(peer);
	secret_wipe(out, sizeof out);
}

/* --- with a key in a token --- */

static enum rc
rsa_by_token(const struct pkey *key, const struct parsed *p, unsigned char *cek, size_t cek_len,
	struct err *err)
{
	const struct oaep oaep = oaep_of(p);
	bool is_oaep = p->algorithm == OID_RSA_OAEP;
	unsigned char em[MAX_RSA_BYTES] = {0};
	struct token_result got = {.data = em, .len = sizeof em};
	size_t size = (size_t)EVP_PKEY_get_size(key->evp);
	enum rc rc = token_key_decrypt(
		key, is_oaep ? &oaep : NULL, p->encrypted_key.p, p->encrypted_key.len, &got, err);

	if (!rc && got.good && got.raw && got.len == size && is_oaep)
		take_oaep(p, em, size, cek, cek_len);
	else if (!rc && got.good && got.raw && got.len == size)
		take_v15(em, size, cek, cek_len);
	else if (!rc && got.good && !got.raw && got.len == cek_len && p->label.len == 0)
		memcpy(cek, em, cek_len);
	secret_wipe(em, sizeof em);
	return rc;
}

static enum rc
ecdh_by_token(const struct pkey *key, const struct parsed *p, unsigned char *cek, size_t cek_len,
	struct err *err)
{
	unsigned char out[ECDH_MAX_WRAPPED + 8] = {0}, z[ECDH_MAX_SECRET], point[133];
	struct token_result got = {.data = z, .len = sizeof z};
	EVP_PKEY *peer = ecdh_peer(key->evp, p->point.p, p->point.len);
	size_t len = 0;
	bool good;
	enum rc rc = RC_OK;

	/* Tokens need not know compressed points. */
	if (peer && EVP_PKEY_get_octet_string_param(
			    peer, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &len) != 1)
		len = 0;
	if (len && point[0] == 4)
		rc = token_key_derive(key, point, len, &got, err);
	good = got.good && p->encrypted_key.len == ecdh_wrapped_size(p->ecdh.wrap, cek_len) &&
	       ecdh_unwrap_secret(
		       &p->ecdh, z, got.len, p->encrypted_key.p, p->encrypted_key.len, out);
	take_if((unsigned char)(0 - (unsigned)good), cek, out, cek_len);
	EVP_PKEY_free(peer);
	secret_wipe(z, sizeof z);
	secret_wipe(out, sizeof out);
	return rc;
}

/* That the token is not at hand is an error, whatever the message: it says nothing about the key.
 */
static enum rc
open_by_token(const struct pkey *key, const struct parsed *p, unsigned char *cek, size_t cek_len,
	struct err *err)
{
	if (p->type == RINFO_KTRI && key->type == KEY_RSA)
		return rsa_by_token(key, p, cek, cek_len, err);
	if (p->type == RINFO_KARI && key->type != KEY_RSA)
		return ecdh_by_token(key, p, cek, cek_len, err);
	return RC_OK;
}

/* What anybody can see that we can't do. */
static enum rc
check_supported(const struct parsed *p, struct err *err)
{
	if (p->type == RINFO_KTRI) {
		if (p->algorithm == OID_RSA)
			return RC_OK;
		if (p->algorithm == OID_RSA_OAEP && p->oaep_md >= DIGEST_SHA1 &&
			p->mgf1_md >= DIGEST_SHA1)
			return RC_OK;
		return err_set(err, ERR_CMS_UNSUPPORTED, "unknown key transport");
	}
	if (p->type == RINFO_KARI && !p->other_originator && p->ecdh.kdf != DIGEST_NONE &&
		ecdh_is_wrap(p->ecdh.wrap))
		return RC_OK;
	return err_set(err, ERR_CMS_UNSUPPORTED,
		p->type == RINFO_KARI ? "unknown key agreement" : "unknown kind of RecipientInfo");
}

/*
 * The same number may be written with more or fewer zeros in front; a key is used on one of these
 * spellings only. ROOM has as many bytes as the largest modulus.
 */
static void
spell_number(struct parsed *p, const struct pkey *key, unsigned char *room)
{
	size_t size = (size_t)EVP_PKEY_get_size(key->evp);
	struct der n = p->encrypted_key;

	if (p->type != RINFO_KTRI || pkey_type(key) != KEY_RSA || size > MAX_RSA_BYTES)
		return;
	while (n.len > 0 && n.p[0] == 0) {
		n.p++;
		n.len--;
	}
	if (n.len > size)
		return; /* too long however it is written */
	memset(room, 0, size - n.len);
	if (n.len)
		memcpy(room + (size - n.len), n.p, n.len);
	p->encrypted_key = (struct der){room, size};
}

/*
 * What stands for a content key that the private key does not give. It depends on everything that
 * the content key would depend on, and on nothing else: else asking twice, for keys of two sizes,
 * by two paddings, in two spellings, would show by answers that are equal or differ which of them
 * came from the private key.
 */
static enum rc
make_fallback(const struct parsed *p, size_t cek_len, const struct secret *secret,
	unsigned char mac[MAC_SIZE], struct err *err)
{
	struct secret *from = (struct secret *)(uintptr_t)secret; /* only read */
	unsigned char way[4] = {(unsigned char)cek_len, (unsigned char)p->type}, by_way[MAC_SIZE],
		      by_label[MAC_SIZE];
	enum rc rc;

	if (p->type == RINFO_KTRI && p->algorithm == OID_RSA_OAEP) {
		way[2] = (unsigned char)(1 + p->oaep_md);
		way[3] = (unsigned char)(1 + p->mgf1_md);
	}
	rc = mac_bytes(secret_data(from), secret_len(from), way, sizeof way, by_way, err);
	if (rc == RC_OK)
		rc = mac_bytes(by_way, sizeof by_way, p->label.p, p->label.len, by_label, err);
	if (rc == RC_OK)
		rc = mac_bytes(by_label, sizeof by_label, p->encrypted_key.p, p->encrypted_key.len,
			mac, err);
	secret_wipe(by_way, sizeof by_way);
	secret_wipe(by_label, sizeof by_label);
	return rc;
}

/* Puts the content key in the place of what stands for it, when KEY gives one. */
static enum rc
use_key(const struct parsed *p, const struct pkey *key, unsigned char *cek, size_t cek_len,
	struct err *err)
{
	unsigned refusals = ossl_refusals();
	enum key_type type = pkey_type(key);
	enum rc rc = RC_OK;

	if (key->token)
		rc = open_by_token(key, p, cek, cek_len, err);
	else if (p->type == RINFO_KTRI && type == KEY_RSA)
		rc = open_rsa(key, p, cek, cek_len, err);
	else if (p->type == RINFO_KARI &&
		 (type == KEY_EC_P256 || type == KEY_EC_P384 || type == KEY_EC_P521))
		open_kari(pkey_evp(key), p, cek, cek_len);
	/* That there was no memory says nothing about the key, and must not look as if it did. */
	if (rc == RC_OK && ossl_refusals() != refusals)
		rc = err_set(err, ERR_MEMORY, "opening a RecipientInfo");
	return rc;
}

enum rc
rinfo_open(const void *der, size_t len, unsigned index, enum content_cipher cipher,
	const struct pkey *key, const struct secret *fallback, struct secret **cek, struct err *err)
{
	struct ids ids = {.v = NULL};
	struct parsed p;
	unsigned char mac[MAC_SIZE], number[MAX_RSA_BYTES];
	size_t cek_len = content_cipher_key_size(cipher);
	enum rc rc;

	*cek = NULL;
	if (cek_len == 0)
		return err_set(err, ERR_CMS_UNSUPPORTED, "unknown content cipher");
	if ((rc = parse(der, len, &ids, index, &p, err)) != RC_OK ||
		(rc = check_supported(&p, err)) != RC_OK)
		return rc;
	if (index >= ids.n)
		return err_set(
			err, ERR_CMS_MALFORMED, "no key of this number in the RecipientInfo");
	assert(cek_len <= sizeof(mac));
	spell_number(&p, key, number);
	rc = make_fallback(&p, cek_len, fallback, mac, err);
	if (rc == RC_OK)
		rc = secret_copy(mac, cek_len, cek, err);
	if (rc == RC_OK)
		rc = use_key(&p, key, secret_data(*cek), cek_len, err);
	if (rc != RC_OK)
		secret_free(cek);
	secret_wipe(mac, sizeof mac);
	ossl_clear();
	return rc;
}
