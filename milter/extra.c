/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificates that a rule adds to every envelope that it makes: escrow and archive addresses, and
 * the author's own.
 *
 * An archive is found like any recipient, by the directory and the store; one of our own house
 * whose key the vault holds, by the vault. One without a valid certificate, or about which nobody
 * could be asked, defers the message, and so does one of which less is known than the rule wants
 * (revocation, stale). The author's certificate is the vault's: an author who has
 * none gets no copy, for nothing of theirs could be opened with it anyway.
 */
#include "milter/check_signature.h"
#include "milter/tx.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

void
extra_free(struct tx_extra *extra)
{
	while (extra) {
		struct tx_extra *next = extra->next;

		certset_fini(&extra->certs);
		free(extra->addr);
		free(extra);
		extra = next;
	}
}

static struct tx_extra *
find_extra(const struct transaction *tx, const char *addr, bool escrow)
{
	struct tx_extra *extra = tx->extras;

	while (extra && (extra->escrow != escrow || strcmp(extra->addr, addr) != 0))
		extra = extra->next;
	return extra;
}

static bool
is_valid_now(const struct cert *cert)
{
	int64_t now = clock_now();

	return cert_not_before(cert) <= now && now <= cert_not_after(cert);
}

/* RC_NONE: nobody knows a valid certificate; ERR may say why not. */
static enum rc
ask_directory(struct transaction *tx, struct tx_extra *extra, struct err *err)
{
	const struct lookup_result *found = NULL;
	char person[ADDR_MAX + 1];
	struct lookup *lookup = NULL;
	enum rc rc;

	engine_person(tx->engine, extra->addr, person);
	rc = lookup_begin(sources_lookups(tx->sources), person, &lookup, err);
	if (rc == RC_OK)
		rc = lookup_wait(lookup, tx_time_left(tx), &found, err);
	if (rc == RC_OK && found->rc != RC_OK) {
		if (found->rc != RC_NONE)
			*err = found->err;
		rc = found->err.code == ERR_CERT_NAMED ? RC_NONE : found->rc;
	}
	for (size_t i = 0; rc == RC_OK && i < found->n; i++)
		if (found->v[i].used) {
			rc = certset_add(&extra->certs, found->v[i].cert, err);
			extra->short_of |= found->v[i].short_of;
			extra->stale |= found->v[i].stale > 0;
		}
	lookup_free(&lookup);
	return rc;
}

/*
 * What is known of the revocation of a certificate of the vault's. The vault itself says whether
 * its key may be used, so that is asked for those rules only that name a mode; without a path
 * nobody can tell. RC_NONE: it is revoked.
 */
static enum rc
judge_own(struct transaction *tx, struct tx_extra *extra, struct cert *cert, struct err *err)
{
	struct verdict verdict;
	enum rc rc;

	verdict_init(&verdict);
	rc = trust_check(
		sources_trust(tx->sources), cert, NULL, CERT_ENCRYPT, NULL, -1, &verdict, err);
	if (verdict.path != PATH_VALID)
		verdict.revocation = REVOCATION_UNKNOWN;
	else if (rc == RC_OK && verdict.revocation == REVOCATION_REVOKED)
		rc = RC_NONE;
	for (unsigned mode = REVOKE_OFF; mode <= REVOKE_GRACE; mode++)
		if (!verdict_revocation_suffices(&verdict, &(enum revocation_mode){mode}))
			extra->short_of |= 1u << mode;
	verdict_fini(&verdict);
	return rc;
}

/* The certificate of somebody whose key the vault holds. */
static enum rc
ask_vault(struct transaction *tx, struct tx_extra *extra, struct err *err)
{
	const struct tx_signer *signer = NULL;
	enum rc rc = tx_need_signer(tx, extra->addr, &signer, err);

	if (rc != RC_OK)
		return rc;
	if (signer->there == TRI_UNKNOWN) {
		*err = signer->err;
		return RC_TEMP;
	}
	if (signer->there == TRI_NO || !signer->signer.encrypt_cert ||
		!is_valid_now(signer->signer.encrypt_cert))
		return RC_NONE;
	rc = judge_own(tx, extra, signer->signer.encrypt_cert, err);
	return rc == RC_OK ? certset_add(&extra->certs, signer->signer.encrypt_cert, err) : rc;
}

/* What is known about ADDR, asked for once. ESCROW: in the directory too, and it has to be there.
 */
static enum rc
need_extra(struct transaction *tx, const char *text, bool escrow, const struct tx_extra **out,
	struct err *err)
{
	char addr[ADDR_MAX + 1];
	struct tx_extra *extra;
	enum rc rc = addr_canonical(text, strlen(text), addr, err);

	if (rc != RC_OK || (*out = find_extra(tx, addr, escrow)))
		return rc;
	extra = calloc(1, sizeof(*extra));
	if (!extra || !(extra->addr = strdup(addr))) {
		free(extra);
		return err_set(err, ERR_MEMORY, "escrow");
	}
	extra->escrow = escrow;
	extra->next = tx->extras;
	tx->extras = extra;
	rc = escrow ? ask_directory(tx, extra, &extra->err) : RC_NONE;
	if (rc == RC_NONE)
		rc = ask_vault(tx, extra, &extra->err);
	extra->there = rc == RC_OK ? TRI_YES : rc == RC_NONE ? TRI_NO : TRI_UNKNOWN;
	if (extra->err.code != ERR_NONE && err_rc(extra->err.code) != RC_TEMP)
		err_set(&extra->err, ERR_POLICY_ESCROW, "%s cannot be asked for", addr);
	if (rc == RC_OK)
		err_clear(&extra->err); /* the vault has it */
	if (escrow && rc == RC_NONE && extra->err.code != ERR_CERT_NAMED)
		err_set(&extra->err, ERR_POLICY_ESCROW, "%s has no valid certificate", addr);
	if (extra->err.code != ERR_NONE)
		log_error(
			LOGL_ERROR, tx->qid, "escrow-missing", &extra->err, "address", addr, NULL);
	*out = extra;
	return RC_OK;
}

/* Only the author who may be signed for has a copy: anybody can write another's name. */
static const char *
copy_address(const struct transaction *tx, const struct verdicts *verdicts)
{
	bool ours = verdicts->copy_sender && tx->facts.authorised == TRI_YES && tx->from.n == 1;

	return ours ? tx->from.v[0] : NULL;
}

/* Does the rule want to know more of the certificates than anybody does? WHY says it. */
static bool
is_doubtful(const struct verdicts *verdicts, const struct tx_extra *extra, struct err *why)
{
	const enum revocation_mode *mode = rule_revocation(verdicts);

	if (extra->there != TRI_YES)
		return false;
	if (mode && extra->short_of & 1u << *mode)
		err_set(why, ERR_CERT_UNDECIDED,
			"revocation of a certificate of %s is not known, and the rule wants it to be",
			extra->addr);
	else if (extra->stale && verdicts->stale == STALE_DEFER)
		err_set(why, ERR_DIR_UNAVAILABLE,
			"a directory that named the certificate of %s can't be asked now, and the "
			"rule wants it to be",
			extra->addr);
	else
		return false;
	return true;
}

enum rc
extra_ask(struct transaction *tx, const struct verdicts *verdicts, enum tri *there, struct err *why,
	struct err *err)
{
	const char *author = copy_address(tx, verdicts);
	const struct tx_extra *extra = NULL;
	enum rc rc = RC_OK;

	*there = TRI_YES;
	for (size_t i = 0; rc == RC_OK && i < verdicts->escrow.n; i++) {
		rc = need_extra(tx, verdicts->escrow.v[i], true, &extra, err);
		if (rc == RC_OK && extra->there != TRI_YES && *there == TRI_YES) {
			*there = extra->there;
			*why = extra->err;
		} else if (rc == RC_OK && *there == TRI_YES && is_doubtful(verdicts, extra, why)) {
			*there = TRI_UNKNOWN;
		}
	}
	if (rc != RC_OK || !author)
		return rc;
	rc = need_extra(tx, author, false, &extra, err);
	if (rc == RC_OK && extra->there == TRI_UNKNOWN && *there == TRI_YES) {
		*there = TRI_UNKNOWN;
		*why = extra->err;
	} else if (rc == RC_OK && *there == TRI_YES && is_doubtful(verdicts, extra, why)) {
		*there = TRI_UNKNOWN;
	}
	return rc;
}

static enum rc
add_one(const struct transaction *tx, const char *text, bool escrow, struct certset *recipients,
	struct err *err)
{
	char addr[ADDR_MAX + 1];
	const struct tx_extra *extra;
	enum rc rc = addr_canonical(text, strlen(text), addr, err);

	if (rc != RC_OK)
		return rc;
	extra = find_extra(tx, addr, escrow);
	if (!extra || (escrow && extra->there != TRI_YES))
		return err_set(err, ERR_INTERNAL, "planned to encrypt without %s", addr);
	for (size_t i = 0; rc == RC_OK && i < extra->certs.n; i++)
		rc = certset_add(recipients, extra->certs.v[i], err);
	return rc;
}

enum rc
extra_add(const struct transaction *tx, const struct verdicts *verdicts, struct certset *recipients,
	struct err *err)
{
	const char *author = copy_address(tx, verdicts);
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < verdicts->escrow.n; i++)
		rc = add_one(tx, verdicts->escrow.v[i], true, recipients, err);
	return rc == RC_OK && author ? add_one(tx, author, false, recipients, err) : rc;
}
