/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crl_signer.c - who signed this list, and may it? (RFC 5280 section 6.3.3, (f) and (g))
 */
#include "crypto/openssl_glue.h"
#include "crypto/revocation_private.h"

#define MAX_TRIES 32 /* signatures that are checked for one question */
#define MAX_LEVEL 1  /* the path of a list's issuer may need lists; theirs may not */

static bool
may_be_signer(const struct crl *crl, X509 *cert)
{
	return X509_NAME_cmp(crl->issuer, X509_get_subject_name(cert)) == 0 &&
	       (!crl->aki || X509_check_akid(cert, crl->aki) == X509_V_OK);
}

/* Is there a good path, nobody on it revoked, from CERT to the anchor of the path in question? */
static bool
has_path(const struct revocation_question *q, X509 *cert, bool *weak, const char **why)
{
	struct path_request own = *q->request;
	struct verdict found;
	bool good = false;

	own.cert = NULL;
	own.leaf = cert;
	own.addr = NULL;
	own.path_at = own.at;
	own.only = q->anchor;
	own.plain = true;
	own.level++;
	verdict_init(&found);
	if (path_check(&own, &found, NULL) == RC_OK) {
		good = found.path == PATH_VALID &&
		       (found.revocation == REVOCATION_GOOD ||
			       found.revocation == REVOCATION_UNCHECKED);
		*weak |= good && found.strength != STRENGTH_OK;
		*why = found.path != PATH_VALID
			       ? "its issuer's certificate has no path to the same trust anchor"
		       : found.revocation == REVOCATION_REVOKED
			       ? "its issuer's certificate is revoked"
			       : "whether its issuer's certificate is revoked is unknown";
	}
	verdict_fini(&found);
	return good;
}

static X509 *
search(const struct revocation_question *q, struct crl *crl, const STACK_OF(X509) * certs,
	unsigned *tries, bool *weak, const char **why)
{
	int i;

	for (i = 0; i < sk_X509_num(certs); i++) {
		X509 *cert = sk_X509_value(certs, i);

		/* Without a KeyUsage that says so only a CA gives lists, not anybody of its name.
		 */
		if (!may_be_signer(crl, cert) || X509_cmp(cert, q->issuer) == 0 ||
			!(X509_get_extension_flags(cert) & (EXFLAG_KUSAGE | EXFLAG_CA)))
			continue;
		if (++*tries > MAX_TRIES ||
			!effort_signature(q->request->effort, X509_get0_pubkey(cert)))
			return NULL;
		if (crl_is_signed_by(crl, cert) && has_path(q, cert, weak, why))
			return cert;
	}
	return NULL;
}

static STACK_OF(X509) * anchors_named(const struct revocation_question *q, const X509_NAME *name)
{
	const struct anchorset *set = q->request->anchors;
	STACK_OF(X509) *found = sk_X509_new_null();
	const struct anchor *anchor;
	size_t i;

	for (i = anchorset_first(set, name); (anchor = anchorset_named(set, i, name)); i++)
		if (found)
			(void)sk_X509_push(found, cert_x509(anchor->cert));
	return found;
}

X509 *
crl_signer(const struct revocation_question *q, struct crl *crl, unsigned *tries, bool *weak,
	const char **why)
{
	STACK_OF(X509) * anchors;
	X509 *found;
	int i;

	*why = "no key of its issuer that is known here verifies it";
	/* Those above the certificate are valid already, and asked for in their turn. More than one
	 * of them has the name when the CA has a new key, certified with the old one. */
	for (i = q->place + 1; i < sk_X509_num(q->chain); i++) {
		X509 *above = sk_X509_value(q->chain, i);

		if (!may_be_signer(crl, above))
			continue;
		if (!(X509_get_key_usage(above) & KU_CRL_SIGN))
			*why = "its issuer's certificate is not for signing lists";
		else if (crl_is_signed_by(crl, above))
			return above;
	}
	if (q->request->level >= MAX_LEVEL)
		return NULL;
	found = search(q, crl, q->request->untrusted, tries, weak, why);
	if (found)
		return found;
	anchors = anchors_named(q, crl->issuer);
	found = search(q, crl, anchors, tries, weak, why);
	sk_X509_free(anchors); /* borrowed */
	return found;
}
