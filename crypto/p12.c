/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * p12.c - PKCS#12 (RFC 7292), and which certificate belongs to which key
 *
 * PKCS12_parse of OpenSSL gives one key of a file; people with one key to sign and another to
 * decrypt have both in it. So the bags are walked here.
 */
#include "crypto/p12_private.h"

#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 4

static enum rc read_bags(struct reading *r, const STACK_OF(PKCS12_SAFEBAG) * bags, struct err *err);

static enum rc
read_bag(struct reading *r, const PKCS12_SAFEBAG *bag, struct err *err)
{
	X509 *x509;
	enum rc rc;

	switch (PKCS12_SAFEBAG_get_nid(bag)) {
	case NID_keyBag:
		return p12_add_key(r, PKCS12_SAFEBAG_get0_p8inf(bag), err);
	case NID_pkcs8ShroudedKeyBag:
		return p12_add_encrypted_key(r, PKCS12_SAFEBAG_get0_pkcs8(bag), err);
	case NID_certBag:
		if (PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate)
			return RC_OK;
		x509 = PKCS12_SAFEBAG_get1_cert(bag); /* get1 */
		rc = p12_add_cert(r, x509, err);
		X509_free(x509);
		return rc;
	case NID_safeContentsBag:
		return read_bags(r, PKCS12_SAFEBAG_get0_safes(bag), err);
	default:
		return RC_OK; /* CRLs, secrets */
	}
}

static enum rc
read_bags(struct reading *r, const STACK_OF(PKCS12_SAFEBAG) * bags, struct err *err)
{
	enum rc rc = RC_OK;
	int i;

	if (++r->depth > MAX_DEPTH)
		return err_set(err, ERR_LIMIT, "bags in bags, more than %d deep", MAX_DEPTH);
	for (i = 0; rc == RC_OK && i < sk_PKCS12_SAFEBAG_num(bags); i++)
		rc = read_bag(r, sk_PKCS12_SAFEBAG_value(bags, i), err);
	r->depth--;
	return rc;
}

struct opening {
	const PKCS7 *p7;
	STACK_OF(PKCS12_SAFEBAG) * bags; /* owned */
};

static bool
try_safe(void *ctx, const char *password, int len)
{
	struct opening *opening = ctx;

	opening->bags = PKCS12_unpack_p7encdata((PKCS7 *)opening->p7, password, len);
	ossl_clear();
	return opening->bags != NULL;
}

static enum rc
open_safe(struct reading *r, const PKCS7 *p7, STACK_OF(PKCS12_SAFEBAG) * *bags, struct err *err)
{
	struct opening opening = {.p7 = p7};
	struct pbe pbe;
	enum rc rc;

	if (!p7->d.encrypted || !p7->d.encrypted->enc_data)
		return err_set(err, ERR_KEY_MALFORMED, "a part of the PKCS#12 file is empty");
	rc = pbe_read(p7->d.encrypted->enc_data->algorithm, &pbe, err);
	if (rc == RC_OK && r->look)
		r->keys = true; /* there may be */
	else if (rc == RC_OK)
		rc = passwords_try(
			&r->passwords, pbe.form, pbe.iterations, try_safe, &opening, err);
	*bags = opening.bags;
	return rc;
}

/* One of the outer containers, plain or encrypted. */
static enum rc
read_safe(struct reading *r, PKCS7 *p7, struct err *err)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	enum rc rc = RC_OK;

	switch (OBJ_obj2nid(p7->type)) {
	case NID_pkcs7_data:
		bags = PKCS12_unpack_p7data(p7);
		if (!bags)
			rc = ossl_err(
				err, ERR_KEY_MALFORMED, "a part of the PKCS#12 file is damaged");
		break;
	case NID_pkcs7_encrypted:
		rc = open_safe(r, p7, &bags, err);
		break;
	default:
		return err_set(err, ERR_CERT_UNSUPPORTED,
			"it is encrypted to a certificate, not with a password");
	}
	if (rc == RC_OK && bags)
		rc = read_bags(r, bags, err);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return rc;
}

static enum rc
read_safes(struct reading *r, const PKCS12 *p12, struct err *err)
{
	STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(p12);
	enum rc rc =
		safes ? RC_OK
		      : ossl_err(err, ERR_KEY_MALFORMED, "it is no PKCS#12 file, or a damaged one");
	int i;

	for (i = 0; rc == RC_OK && i < sk_PKCS7_num(safes); i++)
		rc = read_safe(r, sk_PKCS7_value(safes, i), err);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	return rc;
}

/* PFX begins with a SEQUENCE of definite or indefinite length and the version 3. */
static bool
is_pfx(const unsigned char *p, size_t len)
{
	size_t head;

	if (len < 2 || p[0] != 0x30)
		return false;
	head = p[1] > 0x80 ? 2 + (size_t)(p[1] & 0x7f) : 2;
	return head < 8 && len >= head + 3 && memcmp(p + head, "\x02\x01\x03", 3) == 0;
}

enum rc
p12_read_pfx(struct reading *r, const void *data, size_t len, struct err *err)
{
	PKCS12 *p12 = PKCS12_init_ex(NID_pkcs7_data, pbe_context(), NULL);
	const unsigned char *p = data;
	enum rc rc = RC_OK;

	if (!p12)
		return ossl_err(err, ERR_MEMORY, "PKCS#12");
	if (!d2i_PKCS12(&p12, &p, (long)len)) { /* frees it on failure */
		p12 = NULL;
		ossl_clear();
		rc = err_set(err, ERR_KEY_MALFORMED, "the PKCS#12 file is damaged or cut short");
	}
	if (rc == RC_OK && !r->look)
		rc = p12_check_mac(r, p12, data, len, err);
	if (rc == RC_OK)
		rc = read_safes(r, p12, err);
	PKCS12_free(p12);
	return rc;
}

/* Which of a key's certificates speaks for it: one for mail, valid longest. */
static bool
is_better(const struct cert *a, const struct cert *b)
{
	bool mail_a = cert_allows(a, CERT_SIGN) || cert_allows(a, CERT_ENCRYPT),
	     mail_b = cert_allows(b, CERT_SIGN) || cert_allows(b, CERT_ENCRYPT);

	if (cert_may_issue(a) != cert_may_issue(b))
		return cert_may_issue(b);
	if (mail_a != mail_b)
		return mail_a;
	return cert_not_after(a) > cert_not_after(b);
}

enum rc
p12_add_certs(struct p12 *p12, const struct certset *certs, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t k = 0; rc == RC_OK && k < certs->n; k++) {
		struct cert *cert = certs->v[k];
		EVP_PKEY *key = cert_pubkey(cert); /* get0 */
		struct p12_item *item = p12->items, *end = item + p12->n;

		for (; item < end && (!key || EVP_PKEY_eq(key, pkey_evp(item->pkey)) != 1); item++)
			;
		if (item == end) {
			rc = certset_add(&p12->others, cert, err);
			continue;
		}
		rc = certset_add(&item->certs, cert, err);
		if (rc == RC_OK && (!item->cert || is_better(cert, item->cert))) {
			cert_unref(&item->cert);
			item->cert = cert_ref(cert);
		}
	}
	ossl_clear();
	return rc;
}

static enum rc
read_any(struct reading *r, const void *data, size_t len, struct err *err)
{
	static const char begin[] = "-----BEGIN ";

	if (len == 0)
		return err_set(err, ERR_KEY_MALFORMED, "the file is empty");
	if (len > P12_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "a file of %zu bytes", len);
	if (is_pfx(data, len))
		return p12_read_pfx(r, data, len, err);
	return memmem(data, len, begin, sizeof(begin) - 1) ? p12_read_pem(r, data, len, err)
							   : p12_read_der(r, data, len, err);
}

static enum rc
no_key(const struct reading *r, struct err *err)
{
	if (r->out->n_left_out)
		return err_set(err, r->out->left_out.code, "%s", r->out->left_out.detail);
	return err_set(err, ERR_KEY_MALFORMED, "there is no private key in it%s",
		r->certs.n ? ", only certificates" : "");
}

/* What could not be decoded for want of memory is not malformed. */
static enum rc
unless_refused(unsigned refusals, enum rc rc, struct err *err)
{
	ossl_clear();
	return rc == RC_PERM && ossl_refusals() != refusals
		       ? err_set(err, ERR_MEMORY, "reading a private key")
		       : rc;
}

enum rc
p12_parse(const void *data, size_t len, struct secret *password, struct p12 *out, struct err *err)
{
	struct reading r = {.out = out};
	unsigned refusals = ossl_refusals();
	enum rc rc = passwords_init(&r.passwords, password, err);

	*out = (struct p12){0};
	if (rc == RC_OK)
		rc = read_any(&r, data, len, err);
	if (rc == RC_OK && !out->n)
		rc = no_key(&r, err);
	if (rc == RC_OK)
		rc = p12_add_certs(out, &r.certs, err);
	rc = unless_refused(refusals, rc, err);
	certset_fini(&r.certs);
	passwords_fini(&r.passwords);
	if (rc != RC_OK)
		p12_fini(out);
	return rc;
}

enum rc
p12_look(const void *data, size_t len, struct certset *certs, struct err *err)
{
	struct p12 nothing = {0};
	struct reading r = {.out = &nothing, .look = true};
	unsigned refusals = ossl_refusals();
	enum rc rc = read_any(&r, data, len, err);

	*certs = (struct certset){0};
	if (rc == RC_OK && !r.keys)
		rc = no_key(&r, err);
	rc = unless_refused(refusals, rc, err);
	if (rc == RC_OK) {
		*certs = r.certs; /* the caller's from here */
		r.certs = (struct certset){0};
	}
	certset_fini(&r.certs);
	p12_fini(&nothing);
	return rc;
}

void
p12_fini(struct p12 *p12)
{
	size_t i;

	for (i = 0; i < p12->n; i++) {
		pkey_unref(&p12->items[i].pkey);
		cert_unref(&p12->items[i].cert);
		certset_fini(&p12->items[i].certs);
	}
	free(p12->items);
	certset_fini(&p12->others);
	*p12 = (struct p12){0};
}
