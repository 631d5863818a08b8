/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crl_scope.c - does this list speak about that certificate? (RFC 5280 section 6.3.3, (b) and (d))
 */
#include "crypto/revocation_private.h"

/* Is NAME among the directory names? */
static bool
has_name(const GENERAL_NAMES *names, const X509_NAME *name)
{
	int i;

	for (i = 0; i < sk_GENERAL_NAME_num(names) && i < CRL_MAX_POINTS; i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(names, i);

		if (one->type == GEN_DIRNAME && X509_NAME_cmp(one->d.directoryName, name) == 0)
			return true;
	}
	return false;
}

static bool
names_meet(const GENERAL_NAMES *a, const GENERAL_NAMES *b)
{
	int i, j;

	for (i = 0; i < sk_GENERAL_NAME_num(a) && i < CRL_MAX_POINTS; i++)
		for (j = 0; j < sk_GENERAL_NAME_num(b) && j < CRL_MAX_POINTS; j++)
			if (GENERAL_NAME_cmp(
				    sk_GENERAL_NAME_value(a, i), sk_GENERAL_NAME_value(b, j)) == 0)
				return true;
	return false;
}

/* Have two distribution point names one in common? Relative ones were made whole. */
static bool
points_meet(const DIST_POINT_NAME *a, const DIST_POINT_NAME *b)
{
	if (a->type == 1 && b->type == 1)
		return a->dpname && b->dpname && X509_NAME_cmp(a->dpname, b->dpname) == 0;
	if (a->type == 1)
		return a->dpname && has_name(b->name.fullname, a->dpname);
	if (b->type == 1)
		return b->dpname && has_name(a->name.fullname, b->dpname);
	return names_meet(a->name.fullname, b->name.fullname);
}

/* Has the list's point, a name that has to fit, NAME itself? */
static bool
point_is(const DIST_POINT_NAME *point, const X509_NAME *name)
{
	if (point->type == 1)
		return point->dpname && X509_NAME_cmp(point->dpname, name) == 0;
	return has_name(point->name.fullname, name);
}

/* Does one distribution point of the certificate lead to this list? */
static bool
leads_to(const DIST_POINT *dp, const struct crl *crl, const X509_NAME *issuer)
{
	const DIST_POINT_NAME *point = crl->idp ? crl->idp->distpoint : NULL;
	int i;

	if (dp->CRLissuer) {
		if (!has_name(dp->CRLissuer, crl->issuer))
			return false;
		if (!crl->indirect && X509_NAME_cmp(crl->issuer, issuer) != 0)
			return false;
	} else if (X509_NAME_cmp(crl->issuer, issuer) != 0) {
		return false;
	}
	if (!point)
		return true;
	if (dp->distpoint)
		return points_meet(dp->distpoint, point);
	for (i = 0; i < sk_GENERAL_NAME_num(dp->CRLissuer) && i < CRL_MAX_POINTS; i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(dp->CRLissuer, i);

		if (one->type == GEN_DIRNAME && point_is(point, one->d.directoryName))
			return true;
	}
	return false;
}

static unsigned
reasons_of(const DIST_POINT *dp)
{
	unsigned reasons = 0;
	int i;

	if (!dp->reasons)
		return CRL_ALL_REASONS;
	for (i = 1; i < 9; i++)
		if (ASN1_BIT_STRING_get_bit(dp->reasons, i))
			reasons |= 1u << i;
	return reasons;
}

unsigned
crl_scope(const struct crl *crl, X509 *subject, const CRL_DIST_POINTS *points)
{
	const X509_NAME *issuer = X509_get_issuer_name(subject); /* get0 */
	const DIST_POINT_NAME *point = crl->idp ? crl->idp->distpoint : NULL;
	bool ca = X509_get_extension_flags(subject) & EXFLAG_CA;
	unsigned reasons = 0;
	int i;

	if (crl->idp && (crl->idp->onlyattr > 0 || (crl->idp->onlyuser > 0 && ca) ||
				(crl->idp->onlyCA > 0 && !ca)))
		return 0;
	/* A list of the certificate's own issuer without a name of its own, or with the issuer's,
	 * is for whoever the issuer certifies, as if there were a distribution point for it. */
	if (X509_NAME_cmp(crl->issuer, issuer) == 0 && (!point || point_is(point, issuer)))
		return crl->reasons;
	for (i = 0; i < sk_DIST_POINT_num(points) && i < CRL_MAX_POINTS; i++) {
		const DIST_POINT *dp = sk_DIST_POINT_value(points, i);

		if (leads_to(dp, crl, issuer))
			reasons |= crl->reasons & reasons_of(dp);
	}
	return reasons;
}

bool
crl_scope_prepare(CRL_DIST_POINTS *points, const X509 *subject)
{
	int i, k;

	for (i = 0; i < sk_DIST_POINT_num(points) && i < CRL_MAX_POINTS; i++) {
		DIST_POINT *dp = sk_DIST_POINT_value(points, i);
		const X509_NAME *base = X509_get_issuer_name(subject); /* get0 */

		for (k = 0; k < sk_GENERAL_NAME_num(dp->CRLissuer) && k < CRL_MAX_POINTS; k++) {
			const GENERAL_NAME *one = sk_GENERAL_NAME_value(dp->CRLissuer, k);

			if (one->type == GEN_DIRNAME) {
				base = one->d.directoryName;
				break;
			}
		}
		if (dp->distpoint && !DIST_POINT_set_dpname(dp->distpoint, base))
			return false;
	}
	return true;
}
