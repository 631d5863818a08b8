/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/harvest.h"

#include <stdio.h>
#include <string.h>

#include "crypto/cms_said.h"
#include "crypto/trust.h"

#define CLOCK_SKEW 3600 /* seconds that a signature may be from the future */

void
harvest_conf_read(const struct conf *conf, struct harvest_conf *out)
{
	const struct conf_group *group = conf_section(conf, "harvest");
	const char *mode = conf_str(group, "mode");

	*out = (struct harvest_conf){
		.mode = strcmp(mode, "on") == 0        ? HARVEST_ON
			: strcmp(mode, "observe") == 0 ? HARVEST_OBSERVE
						       : HARVEST_OFF,
		.own_received = (int)conf_int(group, "own_received"),
		.relaxed = strcmp(conf_str(group, "alignment"), "relaxed") == 0,
		.max_age = conf_int(group, "max_age"),
		.proof_months = (int)conf_int(conf_section(conf, "lookup"), "proof_months"),
		.per_domain = conf_int(group, "per_domain"),
		.per_day = conf_int(group, "per_day"),
		.pending_per_addr = conf_int(group, "pending_per_address"),
		.pending_max = conf_int(group, "pending_max"),
		.pending_age = conf_int(group, "pending_age"),
	};
	out->n_ids = conf_strings(group, "authserv_ids", &out->ids);
	out->n_never = conf_strings(group, "never", &out->never);
}

void
harvest_offer_fini(struct harvest_offer *offer)
{
	cert_unref(&offer->cert);
	memset(offer, 0, sizeof(*offer));
}

static void
refuse(struct harvest_offer *offer, const char *why)
{
	if (!*offer->why)
		snprintf(offer->why, sizeof(offer->why), "%s", why);
}

/* The author: one From: field with one address. */
static bool
find_author(const struct harvest_message *msg, struct harvest_offer *offer)
{
	if (msg->from_fields != 1 || msg->from->n != 1 || msg->from->doubtful) {
		snprintf(offer->why, sizeof(offer->why),
			"there is not one author: %zu From: fields, %zu addresses",
			msg->from_fields, msg->from->n);
		return false;
	}
	snprintf(offer->addr, sizeof(offer->addr), "%s", msg->from->v[0]);
	if (addr_domain(offer->addr))
		return true;
	refuse(offer, "the author's address has no domain");
	return false;
}

/* A time that the signer claims, and that is neither old nor to come: a mail that was kept and is
 * sent again brings nothing back. */
static bool
is_timely(const struct harvest_conf *conf, const struct harvest_message *msg,
	struct harvest_offer *offer)
{
	int64_t at = msg->verdict->signing_time;

	if (at < 0)
		refuse(offer, "the signature has no signing time");
	else if (at > msg->now + CLOCK_SKEW)
		refuse(offer, "the signing time is in the future");
	else if (at < msg->now - conf->max_age)
		refuse(offer, "the signature is older than harvest.max_age");
	else
		return true;
	return false;
}

/* Good for what is known already? */
static bool
is_good_signature(const struct harvest_message *msg, struct harvest_offer *offer)
{
	const struct verdict *v = msg->verdict;

	if (v->overall != VERDICT_PASS || v->signature != SIGNATURE_GOOD || v->path != PATH_VALID ||
		v->sender != SENDER_MATCH || v->strength != STRENGTH_OK) {
		snprintf(offer->why, sizeof(offer->why), "the signature does not count: %.180s",
			*v->reason ? v->reason : verdict_overall_name(v->overall));
		return false;
	}
	if (v->n_signers == 1 && cms_signed_signers(msg->sd) == 1)
		return true;
	refuse(offer, "there are several signers");
	return false;
}

/* --- which certificate to encrypt to --- */

struct choice {
	const struct harvest_message *msg;
	struct harvest_offer *offer;
	struct cert *signer;
	struct cms_said said;
	struct verdict verdict; /* of the certificate that was chosen */
	char why[HARVEST_WHY];  /* of the last that did not do */
	int tried;
};

static bool
is_same_person(const struct cert *a, const struct cert *b)
{
	size_t n, m;
	const unsigned char *p = cert_issuer_der(a, &n), *q = cert_issuer_der(b, &m);

	return n == m && memcmp(p, q, n) == 0 && strcmp(cert_subject(a), cert_subject(b)) == 0;
}

/* Can it be encrypted to, by its own word, at this address? */
static bool
is_candidate(struct choice *c, struct cert *cert)
{
	struct err why = ERR_INIT;

	if (cert_check_use(cert, CERT_ENCRYPT, &why) != RC_OK) {
		snprintf(c->why, sizeof(c->why), "%.200s", why.detail);
		return false;
	}
	if (c->tried < HARVEST_MAX_TRY)
		return true;
	snprintf(c->why, sizeof(c->why), "too many certificates in the message");
	return false;
}

/* *GOOD: its path leads to an anchor that may speak for the address, and it is not revoked. */
static enum rc
judge(struct choice *c, struct cert *cert, bool *good, struct err *err)
{
	struct verdict v;
	enum rc rc;

	*good = false;
	if (!is_candidate(c, cert))
		return RC_OK;
	c->tried++;
	verdict_init(&v);
	rc = trust_check(c->msg->trust, cert, cms_signed_certs(c->msg->sd), CERT_ENCRYPT,
		c->offer->addr, -1, &v, err);
	*good = rc == RC_OK && v.path == PATH_VALID && v.sender == SENDER_MATCH &&
		v.strength == STRENGTH_OK && v.revocation != REVOCATION_REVOKED;
	if (*good) {
		verdict_fini(&c->verdict);
		c->verdict = v; /* the choice's now */
		return RC_OK;
	}
	if (rc == RC_OK) {
		verdict_settle(&v);
		snprintf(c->why, sizeof(c->why), "%.200s", *v.reason ? v.reason : "not valid");
	}
	verdict_fini(&v);
	return rc;
}

/*
 * The signer's own where it can encrypt, unless the signer says which one. People who have one
 * certificate to sign and another to encrypt (RFC 9216) send both; without a word of theirs the
 * other one is that of the same subject from the same issuer, the newest of several.
 */
static bool
is_wanted(const struct choice *c, const struct cert *cert)
{
	if (c->said.prefers)
		return cms_said_prefers(&c->said, cert);
	if (cert_allows(c->signer, CERT_ENCRYPT))
		return memcmp(cert_sha256(cert), cert_sha256(c->signer), SHA256_SIZE) == 0;
	return is_same_person(cert, c->signer);
}

static enum rc
consider(struct choice *c, struct cert *cert, struct err *err)
{
	struct cert **best = &c->offer->cert;
	bool good;
	enum rc rc;

	if (!is_wanted(c, cert) || (*best && cert_not_before(cert) <= cert_not_before(*best)))
		return RC_OK;
	rc = judge(c, cert, &good, err);
	if (rc != RC_OK || !good)
		return rc;
	cert_unref(best);
	*best = cert_ref(cert);
	return RC_OK;
}

static enum rc
choose(struct choice *c, struct err *err)
{
	const struct certset *set = cms_signed_certs(c->msg->sd);
	enum rc rc = consider(c, c->signer, err); /* it may not have come along */

	for (size_t i = 0; rc == RC_OK && i < set->n; i++)
		if (set->v[i] != c->signer)
			rc = consider(c, set->v[i], err);
	if (rc != RC_OK || c->offer->cert)
		return rc;
	if (*c->why)
		refuse(c->offer, c->why);
	else if (c->said.prefers)
		refuse(c->offer, "the certificate that the signer prefers is not in the message");
	else
		refuse(c->offer, "no certificate in the message can be encrypted to");
	return RC_OK;
}

static const char *
revocation_trouble(const struct verdict *v)
{
	switch (v->revocation) {
	case REVOCATION_GOOD:
		return NULL;
	case REVOCATION_UNCHECKED:
		return "revocation is not checked (trust.revocation)";
	case REVOCATION_REVOKED:
		return "revoked";
	case REVOCATION_UNKNOWN:
		break;
	}
	return "whether the certificate is revoked is not known";
}

/* What is asked beyond a good signature, of a certificate that nobody has vouched for. */
static bool
may_learn(const struct harvest_conf *conf, const struct choice *c)
{
	struct harvest_offer *offer = c->offer;
	const char *domain = addr_domain(offer->addr);
	const char *trouble = revocation_trouble(c->msg->verdict);
	char why[HARVEST_WHY] = "";

	if (!trouble)
		trouble = revocation_trouble(&c->verdict);
	if (trouble)
		refuse(offer, trouble);
	else if (!harvest_dkim(conf, c->msg->hdrs, domain, why))
		refuse(offer, why);
	return !*offer->why;
}

enum rc
harvest_examine(const struct harvest_conf *conf, const struct harvest_message *msg,
	struct harvest_offer *out, struct err *err)
{
	struct choice c = {.msg = msg, .offer = out};
	enum rc rc;

	memset(out, 0, sizeof(*out));
	out->signed_at = msg->verdict->signing_time;
	if (!find_author(msg, out) || !is_good_signature(msg, out) || !is_timely(conf, msg, out))
		return RC_OK;
	if (out->signed_at > msg->now)
		out->signed_at = msg->now;
	if (addr_domain_in(addr_domain(out->addr), conf->never, conf->n_never)) {
		refuse(out, "harvest.never names the domain");
		return RC_OK;
	}
	verdict_init(&c.verdict);
	c.signer = msg->verdict->signers[0];
	cms_signed_said(msg->sd, 0, &c.said);
	out->caps = c.said.caps;
	out->caps.since = out->caps.known ? out->signed_at : 0;
	rc = choose(&c, err);
	if (rc == RC_OK && out->cert) {
		out->prove = true;
		out->learn = may_learn(conf, &c);
	}
	verdict_fini(&c.verdict);
	if (rc != RC_OK)
		harvest_offer_fini(out);
	return rc;
}
