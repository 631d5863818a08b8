/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/cms_verify.h"

#include "crypto/cms_signed.h"
#include "crypto/openssl_glue.h"

/*
 * Everything that can be said of the signature comes from here and from signer.c; what can be said
 * of the certificate from trust.c. Several signers: the worst of each answer counts, but one of
 * them carrying the sender's address is enough.
 */

#define MAX_CANDIDATES \
	4 /* certificates tried for one signer: an issuer and serial number can be forged */

/* Ranks, the worst highest. */
static int
signature_rank(enum verdict_signature s)
{
	return s == SIGNATURE_BAD           ? 3
	       : s == SIGNATURE_UNSUPPORTED ? 2
	       : s == SIGNATURE_GOOD        ? 1
					    : 0;
}

static int
path_rank(enum verdict_path p)
{
	return p == PATH_INVALID ? 2 : p == PATH_UNKNOWN ? 1 : 0;
}

static int
revocation_rank(enum verdict_revocation r)
{
	return r == REVOCATION_REVOKED   ? 3
	       : r == REVOCATION_UNKNOWN ? 2
					 : r == REVOCATION_UNCHECKED;
}

/* What one call of cms_signed_verify is about. */
struct judgement {
	const struct cms_signed *sd;
	const struct hasher *hasher;
	struct trust *trust;
	const struct certset *extra;      /* more places to find a signer's certificate, or NULL */
	const struct certset *candidates; /* for the path */
	const char *addr;
	int64_t at, received;
	const enum revocation_mode *revocation; /* a rule's own, or NULL */
	struct effort *effort;                  /* what the message may still cost */
};

/* Of two signers, whose answer about revocation counts? Each has the rule of the own anchor, so
 * "unknown" may be enough for one and not for the other. */
static bool
revocation_is_worse(const struct verdict *one, const struct verdict *all)
{
	bool enough = verdict_revocation_suffices(one, NULL);

	if (one->revocation != all->revocation)
		return revocation_rank(one->revocation) > revocation_rank(all->revocation);
	if (one->revocation != REVOCATION_UNKNOWN)
		return false;
	if (enough != verdict_revocation_suffices(all, NULL))
		return !enough;
	return all->stale && (!one->stale || one->stale - one->revocation_rule.grace >
						     all->stale - all->revocation_rule.grace);
}

/* Adds what was found about one signer to what was found before. */
static void
merge(struct verdict *all, struct verdict *one, bool first)
{
	if (first || signature_rank(one->signature) > signature_rank(all->signature))
		verdict_take(all, one, VERDICT_SIGNATURE);
	if (first || path_rank(one->path) > path_rank(all->path))
		verdict_take(all, one, VERDICT_PATH);
	if (first || revocation_is_worse(one, all))
		verdict_take(all, one, VERDICT_REVOCATION);
	if (first || one->sender == SENDER_MATCH)
		verdict_take(all, one, VERDICT_SENDER);
	if (first || (one->strength == STRENGTH_WEAK && all->strength == STRENGTH_OK))
		verdict_take(all, one, VERDICT_STRENGTH);
	if (first || (one->time == TIME_ODD && all->time != TIME_ODD))
		verdict_take(all, one, VERDICT_TIME);
	if (first)
		all->signing_time = one->signing_time;
}

struct search {
	const struct signer *signer;
	struct signer_claims *claims;
	const unsigned char *digest;
	struct cert *cert; /* the one that fits, or the first that was tried; borrowed */
	enum verdict_signature signature;
	unsigned weak;
	const char *reason;
	unsigned tried;
	struct effort *effort;
};

/* Tries the signer's certificates in SET until the signature is good. */
static void
try_certs(struct search *s, const struct certset *set)
{
	for (size_t i = 0; set && i < set->n; i++) {
		enum verdict_signature found;
		const char *reason;
		unsigned weak = 0;

		if (s->signature == SIGNATURE_GOOD || s->tried == MAX_CANDIDATES)
			return;
		if (!signer_is(s->signer, set->v[i]))
			continue;
		if (!effort_signature(
			    s->effort, X509_get0_pubkey(cert_x509(set->v[i])))) { /* get0 */
			s->cert = s->cert ? s->cert : set->v[i];
			s->reason = effort_reason();
			s->signature = SIGNATURE_UNSUPPORTED;
			return;
		}
		found = signer_verify(s->signer, s->claims, set->v[i], s->digest, &weak, &reason);
		if (s->tried++ == 0 || found == SIGNATURE_GOOD) {
			s->cert = set->v[i];
			s->signature = found;
			s->reason = reason;
			s->weak = weak;
		}
	}
}

/* What is wrong with the signer's attributes, beside the signature over them; NULL: nothing. */
static const char *
unsound(const struct cms_signed *sd, const struct search *search)
{
	const struct signer *signer = search->signer;
	const char *reason = "the signed attributes do not fit";

	if (signer->misplaced)
		return "an attribute that must be signed is not";
	if (!signer->has_attributes)
		return sd->content_oid == OID_DATA ? NULL : "signed attributes are missing";
	if (signer_check_attributes(
		    signer, &sd->content_type, search->digest, search->claims, &reason))
		return NULL;
	return reason;
}

/* The signature of one signer; *CERT is then the signer's certificate (borrowed), NULL when it was
 * not found. */
static enum rc
check_signature(const struct judgement *j, const struct signer *signer, struct cert **cert,
	unsigned *weak, struct verdict *v, struct err *err)
{
	struct signer_claims claims = {.signing_time = -1};
	struct search search = {.signer = signer, .claims = &claims, .effort = j->effort};
	const char *reason;

	*cert = NULL;
	*weak = 0;
	v->signature = SIGNATURE_UNSUPPORTED;
	if (signer->digest == DIGEST_NONE) {
		verdict_note(v, VERDICT_SIGNATURE, NULL, "the signature's digest is not supported");
		return RC_OK;
	}
	if (!(j->sd->listed & 1u << signer->digest)) {
		v->signature = SIGNATURE_BAD;
		verdict_note(v, VERDICT_SIGNATURE, NULL,
			"the signature's digest is not among those announced");
		return RC_OK;
	}
	search.digest = hasher_value(j->hasher, signer->digest);
	if (!search.digest)
		return err_set(err, ERR_INTERNAL, "the content's %s was not computed",
			digest_name(signer->digest));
	reason = unsound(j->sd, &search);
	v->signing_time = claims.signing_time;
	try_certs(&search, &j->sd->certs);
	try_certs(&search, j->extra);
	*cert = search.cert;
	if (reason) {
		v->signature = SIGNATURE_BAD;
		verdict_note(v, VERDICT_SIGNATURE, search.cert, "%s", reason);
	} else if (!search.cert) {
		v->signer_missing = true;
		verdict_note(v, VERDICT_SIGNATURE, NULL, "the signer's certificate was not found");
	} else {
		v->signature = search.signature;
		if (search.signature != SIGNATURE_GOOD)
			verdict_note(v, VERDICT_SIGNATURE, search.cert, "%s", search.reason);
	}
	*weak = search.weak;
	return RC_OK;
}

/* The certificate's side: path, revocation, address, times. What the anchor's rules say of its key
 * and of old hashes goes before what WEAK says. */
static enum rc
check_cert(const struct judgement *j, struct cert *cert, unsigned *weak, struct verdict *v,
	struct err *err)
{
	const struct trust_signing times = {j->at, j->received, v->signing_time, j->effort};
	bool old = false;
	enum rc rc;

	if (!cert || !j->trust)
		return RC_OK;
	rc = trust_check_signer(j->trust, cert, j->candidates, j->addr, &times, v, &old, err);
	verdict_be_strict(v, j->revocation);
	if (old)
		*weak &= ~(unsigned)SIGNER_WEAK_SHA1;
	if (v->path == PATH_VALID)
		*weak &= ~(unsigned)SIGNER_WEAK_KEY;
	return rc;
}

static void
note_weak(unsigned weak, struct cert *cert, struct verdict *v)
{
	if (!weak)
		return;
	v->strength = STRENGTH_WEAK;
	verdict_note(v, VERDICT_STRENGTH, cert, "the signature uses a weak algorithm or key (%s)",
		weak & SIGNER_WEAK_HASH   ? "a hash that is broken, or DSA"
		: weak & SIGNER_WEAK_SHA1 ? "SHA-1"
					  : "the signer's key is too short");
}

static enum rc
check_signer(const struct judgement *j, size_t i, struct verdict *all, struct err *err)
{
	struct verdict v;
	struct cert *cert;
	unsigned weak;
	enum rc rc;

	verdict_init(&v);
	rc = check_signature(j, &j->sd->signers[i], &cert, &weak, &v, err);
	if (rc == RC_OK)
		rc = check_cert(j, cert, &weak, &v, err);
	if (rc == RC_OK)
		note_weak(weak, cert, &v);
	if (rc == RC_OK)
		merge(all, &v, i == 0);
	verdict_fini(&v);
	if (rc == RC_OK && cert && all->n_signers < VERDICT_MAX_SIGNERS)
		all->signers[all->n_signers++] = cert_ref(cert);
	return rc;
}

/* The message's certificates and EXTRA in one set. */
static enum rc
join(const struct certset *a, const struct certset *b, struct certset *out, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < a->n && rc == RC_OK; i++)
		rc = certset_add(out, a->v[i], err);
	for (size_t i = 0; i < b->n && rc == RC_OK && out->n < CERTSET_MAX; i++)
		rc = certset_add(out, b->v[i], err);
	return rc;
}

enum rc
cms_signed_verify(struct cms_signed *sd, const struct hasher *hasher, struct trust *trust,
	const struct certset *extra, const char *addr, int64_t at, struct verdict *verdict,
	struct err *err)
{
	const struct cms_asked asked = {.addr = addr, .at = at, .received = -1};

	return cms_signed_verify_asked(sd, hasher, trust, extra, &asked, verdict, err);
}

enum rc
cms_signed_verify_asked(struct cms_signed *sd, const struct hasher *hasher, struct trust *trust,
	const struct certset *extra, const struct cms_asked *asked, struct verdict *verdict,
	struct err *err)
{
	struct certset joined = {NULL, 0};
	struct effort effort = {0};
	struct judgement j = {.sd = sd,
		.hasher = hasher,
		.trust = trust,
		.extra = extra,
		.candidates = &sd->certs,
		.addr = asked->addr,
		.at = asked->at,
		.received = asked->received,
		.revocation = asked->revocation,
		.effort = asked->effort ? asked->effort : &effort};
	unsigned refusals = ossl_refusals();
	enum rc rc = RC_OK;

	verdict_init(verdict);
	if (extra && extra->n) {
		rc = join(&sd->certs, extra, &joined, err);
		j.candidates = &joined;
	}
	for (size_t i = 0; i < sd->n && rc == RC_OK; i++)
		rc = check_signer(&j, i, verdict, err);
	certset_fini(&joined);
	if (rc == RC_OK && ossl_refusals() != refusals)
		rc = err_set(err, ERR_MEMORY, "checking a signature");
	if (rc != RC_OK) {
		verdict_fini(verdict);
		verdict->overall = VERDICT_TEMPERROR;
		return rc;
	}
	if (sd->n == 0)
		verdict_reason(verdict, "certificates only, no signature");
	verdict_conclude(verdict, !verdict_revocation_suffices(verdict, NULL));
	return RC_OK;
}
