/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/crl.h"
#include "crypto/openssl_glue.h"

#include <stdlib.h>
#include <string.h>

#define NAME_SLOTS (2 * CRL_MAX_ISSUERS)

/* What is needed while the entries are read. */
struct reading {
	struct crl *crl;
	struct der entries;  /* revokedCertificates */
	unsigned issuer;     /* the current certificate issuer's number */
	struct der last_der; /* its bytes */
	/* names that were met, by their bytes */
	struct der *name_der; /* CRL_MAX_ISSUERS */
	unsigned *slots;      /* NAME_SLOTS; number, 0: free */
};

static enum rc
malformed(struct err *err, const char *what)
{
	return err_set(err, ERR_CRL_MALFORMED, "a revocation list is malformed: %s", what);
}

static bool
keep(const struct der *der, unsigned char **out, size_t *len)
{
	*out = malloc(der->len ? der->len : 1);
	if (!*out)
		return false;
	if (der->len)
		memcpy(*out, der->p, der->len);
	*len = der->len;
	return true;
}

/* --- extensions --- */

struct extension {
	enum oid oid;
	bool critical;
	struct der value;
};

/* False when it is malformed. */
static bool
take_extension(struct der *in, struct extension *ext)
{
	struct der_item seq, part;

	*ext = (struct extension){0};
	if (!der_take(in, DER_SEQUENCE, &seq) || !der_take_oid(&seq.body, &ext->oid))
		return false;
	if (der_take(&seq.body, DER_BOOLEAN, &part)) {
		if (part.body.len != 1)
			return false;
		ext->critical = part.body.p[0] != 0;
	}
	if (!der_take(&seq.body, DER_OCTETS, &part) || !der_done(&seq.body))
		return false;
	ext->value = part.body;
	return true;
}

static bool
take_number(struct der value, struct crl_number *number)
{
	struct der_item item;
	const unsigned char *p;
	size_t len;

	if (!der_take(&value, DER_INTEGER, &item) || !der_done(&value) || item.body.len == 0 ||
		item.body.p[0] & 0x80)
		return false;
	p = item.body.p;
	len = item.body.len;
	serial_trim(&p, &len);
	while (len > 1 && *p == 0) {
		p++;
		len--;
	}
	if (len > CRL_MAX_NUMBER)
		return false;
	memcpy(number->bytes, p, len);
	number->len = len;
	return true;
}

/* The scope: which certificates and which reasons the list speaks for. */
static enum rc
take_idp(struct crl *crl, struct der value, struct err *err)
{
	const unsigned char *p = value.p;
	int scopes;

	if (crl->idp)
		return malformed(err, "two issuing distribution points");
	crl->idp = d2i_ISSUING_DIST_POINT(NULL, &p, (long)value.len);
	if (!crl->idp || p != value.p + value.len)
		return ossl_err(err, ERR_CRL_MALFORMED,
			"a revocation list is malformed: its issuing distribution point");
	if (!keep(&value, &crl->idp_der, &crl->idp_len))
		return err_set(err, ERR_MEMORY, "revocation list");
	scopes = (crl->idp->onlyuser > 0) + (crl->idp->onlyCA > 0) + (crl->idp->onlyattr > 0);
	if (scopes > 1)
		return malformed(err, "a scope of two kinds at once");
	crl->indirect = crl->idp->indirectCRL > 0;
	if (crl->idp->onlysomereasons) {
		const ASN1_BIT_STRING *bits = crl->idp->onlysomereasons;
		const unsigned char *data = ASN1_STRING_get0_data(bits);
		int len = ASN1_STRING_length(bits), i;

		crl->reasons = 0;
		for (i = 1; i < 9; i++)
			if (i / 8 < len && data[i / 8] & 0x80 >> i % 8)
				crl->reasons |= 1u << i;
	}
	/* A name relative to the issuer's becomes a whole one. */
	if (crl->idp->distpoint && !DIST_POINT_set_dpname(crl->idp->distpoint, crl->issuer))
		return ossl_err(err, ERR_CRL_MALFORMED,
			"a revocation list is malformed: the name of its distribution point");
	return RC_OK;
}

static enum rc
take_list_extension(struct crl *crl, const struct extension *ext, struct err *err)
{
	const unsigned char *p = ext->value.p;
	struct der value = ext->value;
	struct der_item item;

	switch (ext->oid) {
	case OID_CE_EXPIRED_CERTS_ON_CRL: /* X.509 */
		if (!der_next(&value, &item) || !der_time(&item, &crl->expired_since))
			crl->expired_since = INT64_MAX;
		return RC_OK;
	case OID_CE_CRL_NUMBER:
		return take_number(ext->value, &crl->number) ? RC_OK : malformed(err, "its number");
	case OID_CE_DELTA_CRL:
		crl->delta = true;
		return take_number(ext->value, &crl->base)
			       ? RC_OK
			       : malformed(err, "the number of its base");
	case OID_CE_ISSUING_DISTRIBUTION_POINT:
		return take_idp(crl, ext->value, err);
	case OID_CE_AUTHORITY_KEY_IDENTIFIER:
		AUTHORITY_KEYID_free(crl->aki);
		crl->aki = d2i_AUTHORITY_KEYID(NULL, &p, (long)ext->value.len);
		if (!crl->aki)
			return ossl_err(err, ERR_CRL_MALFORMED,
				"a revocation list is malformed: its authority key identifier");
		return RC_OK;
	default:
		crl->unknown |= ext->critical;
		return RC_OK;
	}
}

/* [0] EXPLICIT Extensions at the end of the list. */
static enum rc
take_list_extensions(struct crl *crl, struct der in, struct err *err)
{
	struct der_item seq;
	struct extension ext;
	enum rc rc = RC_OK;
	size_t n = 0;

	if (!der_take(&in, DER_SEQUENCE, &seq) || !der_done(&in))
		return malformed(err, "its extensions");
	while (rc == RC_OK && !der_done(&seq.body)) {
		if (++n > CRL_MAX_EXTENSIONS)
			return err_set(err, ERR_LIMIT,
				"a revocation list with more than %d extensions",
				CRL_MAX_EXTENSIONS);
		if (!take_extension(&seq.body, &ext))
			return malformed(err, "an extension");
		rc = take_list_extension(crl, &ext, err);
	}
	return rc;
}

/* --- certificate issuers of an indirect list --- */

/* The directoryName among GeneralNames; false when there is none. */
static bool
directory_name(struct der names, struct der *out)
{
	struct der_item seq, name, inner;

	if (!der_take(&names, DER_SEQUENCE, &seq) || !der_done(&names))
		return false;
	while (der_next(&seq.body, &name))
		if (name.tag == (DER_CONTEXT_CONSTRUCTED | 4)) {
			if (!der_take(&name.body, DER_SEQUENCE, &inner))
				return false;
			*out = inner.whole;
			return true;
		}
	return false;
}

static enum rc
new_name(struct reading *r, const struct der *der, struct err *err)
{
	const unsigned char *p = der->p;
	struct crl *crl = r->crl;
	X509_NAME *name;

	if (crl->n_names == CRL_MAX_ISSUERS)
		return err_set(err, ERR_LIMIT,
			"a revocation list for more than %d certificate issuers", CRL_MAX_ISSUERS);
	name = d2i_X509_NAME(NULL, &p, (long)der->len);
	if (!name)
		return ossl_err(err, ERR_CRL_MALFORMED,
			"a revocation list is malformed: a certificate issuer");
	r->name_der[crl->n_names] = *der;
	crl->names[crl->n_names++] = name;
	return RC_OK;
}

static enum rc
set_issuer(struct reading *r, struct der names, struct err *err)
{
	struct crl *crl = r->crl;
	struct der der;
	unsigned i;
	enum rc rc;

	if (!directory_name(names, &der))
		return malformed(err, "a certificate issuer without a directory name");
	if (r->issuer && der_equal(&der, &r->last_der))
		return RC_OK;
	if (!crl->names) {
		crl->names = calloc(CRL_MAX_ISSUERS, sizeof(*crl->names));
		r->name_der = calloc(CRL_MAX_ISSUERS, sizeof(*r->name_der));
		r->slots = calloc(NAME_SLOTS, sizeof(*r->slots));
		if (!crl->names || !r->name_der || !r->slots)
			return err_set(err, ERR_MEMORY, "revocation list");
	}
	/* Keyed: nobody can write a list whose names all meet in one slot. */
	i = (unsigned)(serialset_hash(crl->entries, der.p, der.len) % NAME_SLOTS);
	for (; r->slots[i]; i = (i + 1) % NAME_SLOTS, crl->probes++)
		if (der_equal(&der, &r->name_der[r->slots[i] - 1]))
			break;
	if (!r->slots[i]) {
		rc = new_name(r, &der, err);
		if (rc != RC_OK)
			return rc;
		r->slots[i] = (unsigned)crl->n_names;
	}
	r->issuer = r->slots[i];
	r->last_der = der;
	return RC_OK;
}

static int
by_name(const void *a, const void *b, void *ctx)
{
	const struct crl *crl = ctx;

	return X509_NAME_cmp(
		crl->names[*(const unsigned *)a - 1], crl->names[*(const unsigned *)b - 1]);
}

static enum rc
sort_names(struct crl *crl, struct err *err)
{
	X509_NAME **fitted;
	size_t i;

	if (crl->n_names == 0) {
		free(crl->names);
		crl->names = NULL;
		return RC_OK;
	}
	fitted = realloc(crl->names, crl->n_names * sizeof(*fitted));
	if (fitted)
		crl->names = fitted;
	crl->sorted = calloc(crl->n_names, sizeof(*crl->sorted));
	if (!crl->sorted)
		return err_set(err, ERR_MEMORY, "revocation list");
	for (i = 0; i < crl->n_names; i++)
		crl->sorted[i] = (unsigned)i + 1;
	qsort_r(crl->sorted, crl->n_names, sizeof(*crl->sorted), by_name, crl);
	return RC_OK;
}

/* --- entries --- */

static enum rc
take_entry_extension(struct reading *r, const struct extension *ext, struct serialset_entry *entry,
	struct err *err)
{
	struct der value = ext->value;
	struct der_item item;

	switch (ext->oid) {
	case OID_CE_CRL_REASON:
		if (!der_take(&value, 0x0a, &item) || item.body.len != 1 || item.body.p[0] > 10)
			return malformed(err, "a reason");
		entry->reason = item.body.p[0];
		return RC_OK;
	case OID_CE_INVALIDITY_DATE:
		if (!der_next(&value, &item) || !der_time(&item, &entry->invalid))
			entry->invalid = 0;
		return RC_OK;
	case OID_CE_CERTIFICATE_ISSUER:
		if (r->crl->indirect)
			return set_issuer(r, value, err);
		/* In a list of one issuer this has no place: whose certificate is it? */
		entry->unknown |= ext->critical;
		r->crl->unknown |= ext->critical;
		return RC_OK;
	default:
		entry->unknown |= ext->critical;
		r->crl->unknown |= ext->critical;
		return RC_OK;
	}
}

static enum rc
take_entry(struct reading *r, struct err *err)
{
	struct serialset_entry entry = {.reason = REASON_NONE};
	struct der_item seq, part;
	struct extension ext;
	enum rc rc = RC_OK;
	size_t n = 0;

	if (!der_take(&r->entries, DER_SEQUENCE, &seq) ||
		!der_take(&seq.body, DER_INTEGER, &part) || part.body.len == 0)
		return malformed(err, "an entry");
	entry.serial = part.body.p;
	entry.len = part.body.len;
	serial_trim(&entry.serial, &entry.len);
	/* A date that can't be read revokes all the same. */
	if (!der_next(&seq.body, &part))
		return malformed(err, "an entry without a date");
	if (!der_time(&part, &entry.revoked))
		entry.revoked = 0;
	if (der_take(&seq.body, DER_SEQUENCE, &part))
		while (rc == RC_OK && !der_done(&part.body)) {
			if (++n > CRL_MAX_ENTRY_EXTENSIONS)
				return err_set(err, ERR_LIMIT,
					"an entry of a revocation list with more than %d extensions",
					CRL_MAX_ENTRY_EXTENSIONS);
			if (!take_extension(&part.body, &ext))
				return malformed(err, "an extension of an entry");
			rc = take_entry_extension(r, &ext, &entry, err);
		}
	if (rc == RC_OK && !der_done(&seq.body))
		return malformed(err, "an entry");
	entry.issuer = r->issuer;
	return rc == RC_OK ? serialset_add(r->crl->entries, &entry, err) : rc;
}

static enum rc
take_entries(struct crl *crl, struct der entries, struct err *err)
{
	struct reading r = {.crl = crl, .entries = entries};
	enum rc rc = serialset_new(entries.len, crl->indirect, &crl->entries, err);

	while (rc == RC_OK && !der_done(&r.entries))
		rc = take_entry(&r, err);
	if (rc == RC_OK)
		rc = serialset_seal(crl->entries, err);
	if (rc == RC_OK)
		rc = sort_names(crl, err);
	free(r.name_der);
	free(r.slots);
	return rc;
}

/* --- the list --- */

static enum rc
take_signature(struct crl *crl, const struct der *tbs, struct der_item *algorithm,
	const struct der_item *bits, struct err *err)
{
	/* A signature of any algorithm is whole bytes; one that is not (PKITS 4.4.4) verifies
	 * never, but the list is one. */
	size_t value_len = bits->body.p[0] == 0 ? bits->body.len - 1 : 0;
	struct der value = {bits->body.p + 1, value_len}, in = algorithm->whole, params;
	enum rc rc = RC_OK;
	enum oid oid;

	/* A signature of an odd number of bits is a bad one, and the list is a list all the same.
	 */
	crl->supported = bits->body.p[0] == 0 && der_take_algorithm(&in, &oid, &params) &&
			 signature_find_scheme(oid, params, DIGEST_NONE, &crl->scheme) &&
			 crl->scheme.digest != DIGEST_NONE && crl->scheme.digest != DIGEST_MD5;
	if (!keep(&value, &crl->signature, &crl->signature_len))
		return err_set(err, ERR_MEMORY, "revocation list");
	if (!crl->supported)
		return RC_OK;
	if (crl->scheme.family != FAMILY_ED25519)
		rc = digest_bytes(crl->scheme.digest, tbs->p, tbs->len, crl->digest, err);
	else if (!keep(tbs, &crl->signed_bytes, &crl->signed_len))
		rc = err_set(err, ERR_MEMORY, "revocation list");
	return rc;
}

static enum rc
take_issuer(struct crl *crl, struct der *in, struct err *err)
{
	struct der_item item;
	const unsigned char *p;

	if (!der_take(in, DER_SEQUENCE, &item))
		return malformed(err, "its issuer");
	p = item.whole.p;
	crl->issuer = d2i_X509_NAME(NULL, &p, (long)item.whole.len);
	if (!crl->issuer)
		return ossl_err(
			err, ERR_CRL_MALFORMED, "a revocation list is malformed: its issuer");
	return RC_OK;
}

/* TBSCertList after its issuer. The extensions come last, but say how the entries are to be read.
 */
static enum rc
take_rest(struct crl *crl, struct der in, bool v2, struct err *err)
{
	struct der_item time, entries = {0}, part;
	enum rc rc = RC_OK;

	crl->next_update = crl->expired_since = INT64_MAX;
	crl->reasons = CRL_ALL_REASONS;
	if (!der_next(&in, &time) || !der_time(&time, &crl->this_update))
		return malformed(err, "its date");
	if (in.len && (in.p[0] == DER_UTC_TIME || in.p[0] == DER_GENERALIZED_TIME) &&
		(!der_next(&in, &time) || !der_time(&time, &crl->next_update)))
		return malformed(err, "the date of the next one");
	if (in.len && in.p[0] == DER_SEQUENCE && !der_take(&in, DER_SEQUENCE, &entries))
		return malformed(err, "its entries");
	if (der_take(&in, DER_CONTEXT_CONSTRUCTED, &part)) {
		if (!v2)
			return malformed(err, "extensions in version 1");
		rc = take_list_extensions(crl, part.body, err);
	}
	if (rc == RC_OK && !der_done(&in))
		return malformed(err, "something after its end");
	return rc == RC_OK ? take_entries(crl, entries.body, err) : rc;
}

enum rc
crl_decode(const unsigned char *der, size_t len, struct crl *crl, struct err *err)
{
	struct der in = {der, len};
	struct der_item list, tbs, algorithm, inner, bits;
	int version = 0;
	enum rc rc;

	if (!der_take(&in, DER_SEQUENCE, &list) || !der_take(&list.body, DER_SEQUENCE, &tbs) ||
		!der_take(&list.body, DER_SEQUENCE, &algorithm) ||
		!der_take(&list.body, DER_BIT_STRING, &bits) || !der_done(&list.body) ||
		bits.body.len < 1 || bits.body.p[0] > 7)
		return err_set(err, ERR_CRL_MALFORMED, "it is no revocation list, or cut off");
	if (!der_done(&in))
		return err_set(err, ERR_CRL_MALFORMED,
			"there are bytes after the end of a revocation list");
	rc = take_signature(crl, &tbs.whole, &algorithm, &bits, err);
	if (rc != RC_OK)
		return rc;
	if (der_take_int(&tbs.body, &version) && version != 1)
		return malformed(err, "its version is unknown");
	if (!der_take(&tbs.body, DER_SEQUENCE, &inner) ||
		!der_equal(&inner.whole, &algorithm.whole))
		return malformed(err, "two algorithms of its signature");
	rc = take_issuer(crl, &tbs.body, err);
	return rc == RC_OK ? take_rest(crl, tbs.body, version == 1, err) : rc;
}
