/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/csr.h"

#include "crypto/issue_private.h"
#include "crypto/openssl_glue.h"
#include "message/addr.h"

#include <openssl/pem.h>

#include <stdio.h>
#include <string.h>

/* Parts stand in the text the other way round than in the encoded name; those that are joined by
 * "+" stay one RelativeDistinguishedName. */
static enum rc
fill_subject(X509_NAME *name, const struct dn *dn, struct err *err)
{
	for (size_t i = dn->n; i-- > 0;) {
		const struct dn_part *part = &dn->v[i];
		int nid = OBJ_sn2nid(part->type);
		/* -1: the same set as the entry before; the text's first of a set comes last */
		int set = i + 1 < dn->n && dn->v[i + 1].joined ? -1 : 0;

		if (nid == NID_undef)
			nid = OBJ_ln2nid(part->type);
		if (nid == NID_undef)
			return err_set(err, ERR_USAGE, "the subject has an unknown part %.40s",
				part->type);
		if (!X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8,
			    (const unsigned char *)part->value, -1, -1, set)) {
			ossl_clear();
			return err_set(err, ERR_USAGE,
				"%s=%.100s cannot stand in a subject: too long, or characters that "
				"are not allowed",
				part->type, part->value);
		}
	}
	return RC_OK;
}

enum rc
csr_check_subject(const struct dn *subject, struct err *err)
{
	X509_NAME *name = X509_NAME_new();
	enum rc rc = name ? fill_subject(name, subject, err)
			  : ossl_err(err, ERR_MEMORY, "the subject's name");

	X509_NAME_free(name);
	return rc;
}

static bool
push_ext(STACK_OF(X509_EXTENSION) * exts, int nid, bool critical, void *value)
{
	X509_EXTENSION *ext = value ? X509V3_EXT_i2d(nid, critical, value) : NULL;

	if (ext && sk_X509_EXTENSION_push(exts, ext))
		return true;
	X509_EXTENSION_free(ext);
	return false;
}

static bool
push_key_usage(STACK_OF(X509_EXTENSION) * exts, unsigned bits)
{
	ASN1_BIT_STRING *ku = ASN1_BIT_STRING_new();
	bool ok = ku != NULL;

	for (int i = 0; ok && i < 9; i++)
		if (bits & 1u << i)
			ok = ASN1_BIT_STRING_set_bit(ku, i, 1);
	ok = ok && push_ext(exts, NID_key_usage, true, ku);
	ASN1_BIT_STRING_free(ku);
	return ok;
}

static bool
push_eku(STACK_OF(X509_EXTENSION) * exts)
{
	EXTENDED_KEY_USAGE *eku = sk_ASN1_OBJECT_new_null();
	bool ok = eku && sk_ASN1_OBJECT_push(eku, OBJ_nid2obj(NID_email_protect)) &&
		  push_ext(exts, NID_ext_key_usage, false, eku);

	sk_ASN1_OBJECT_free(eku); /* its object is static */
	return ok;
}

static bool
push_san(STACK_OF(X509_EXTENSION) * exts, const char *addr)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *name = issue_mailbox(addr);
	bool ok = names && name && sk_GENERAL_NAME_push(names, name);

	if (ok)
		name = NULL; /* the stack's */
	ok = ok && push_ext(exts, NID_subject_alt_name, false, names);
	GENERAL_NAME_free(name);
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
	return ok;
}

static bool
add_extensions(X509_REQ *req, const char *addr, unsigned bits)
{
	STACK_OF(X509_EXTENSION) *exts = sk_X509_EXTENSION_new_null();
	bool ok = exts && push_san(exts, addr) && push_key_usage(exts, bits) && push_eku(exts) &&
		  X509_REQ_add_extensions(req, exts);

	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	return ok;
}

enum rc
csr_make(
	const struct pkey *key, const struct csr_request *request, struct buf *der, struct err *err)
{
	X509_REQ *req = X509_REQ_new();
	unsigned char *bytes = NULL;
	char addr[ADDR_MAX + 1];
	unsigned bits = 0;
	int len = -1;
	enum rc rc = addr_canonical(request->addr, strlen(request->addr), addr, err);

	if (rc == RC_OK)
		rc = issue_key_usage(pkey_evp(key), request->use, &bits, err);
	if (rc == RC_OK && !req)
		rc = ossl_err(err, ERR_MEMORY, "a certificate request");
	if (rc == RC_OK)
		rc = fill_subject(X509_REQ_get_subject_name(req), request->subject, err); /* get0 */
	if (rc == RC_OK) {
		if (X509_REQ_set_version(req, X509_REQ_VERSION_1) &&
			X509_REQ_set_pubkey(req, pkey_evp(key)) &&
			add_extensions(req, addr, bits) &&
			X509_REQ_sign(req, pkey_evp(key), issue_digest(key)) > 0 &&
			(!ossl_was_refused() || X509_REQ_verify(req, pkey_evp(key)) == 1))
			len = i2d_X509_REQ(req, &bytes);
		rc = len > 0 ? buf_append(der, bytes, (size_t)len, err)
			     : ossl_err(err, ERR_CRYPTO, "making a certificate request");
	}
	OPENSSL_free(bytes);
	X509_REQ_free(req);
	return rc;
}

enum rc
csr_format_pem(const void *der, size_t len, struct buf *out, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long n;
	enum rc rc;

	if (bio && PEM_write_bio(bio, PEM_STRING_X509_REQ, "", der, (long)len) > 0 &&
		(n = BIO_get_mem_data(bio, &text)) > 0)
		rc = buf_append(out, text, (size_t)n, err);
	else
		rc = ossl_err(err, ERR_CRYPTO, "writing a certificate request");
	BIO_free(bio);
	return rc;
}

enum rc
spki_fingerprint(const void *spki, size_t len, char out[2 * SHA256_SIZE + 1], struct err *err)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	enum rc rc = digest_bytes(DIGEST_SHA256, spki, len, hash, err);

	for (int i = 0; rc == RC_OK && i < SHA256_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
	return rc;
}
