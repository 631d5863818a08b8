/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose key opens an envelope, by the vault's own tables, and the content key when every recipient
 * of a copy has one.
 */
#include "milter/tx.h"

#include "crypto/cms_envelope.h"

#include <stdlib.h>
#include <string.h>

enum rc
entitle_match(struct transaction *tx, const struct rcpt *rcpt,
	const struct cms_enveloped *enveloped, size_t *index, struct err *err)
{
	struct vault_client *vault = engine_vault(tx->engine);
	struct err why = ERR_INIT;
	enum rc rc = vault_match(vault, rcpt->addr, enveloped->rinfos, enveloped->n, index, &why);

	if (rc == RC_NONE && strcmp(rcpt->addr, rcpt->person) != 0)
		rc = vault_match(vault, rcpt->person, enveloped->rinfos, enveloped->n, index, &why);
	if (rc == RC_PERM && why.code == ERR_VAULT_DENIED)
		return err_set(err, ERR_POLICY_UNKNOWN,
			"the vault does not let this service ask for keys");
	if (rc == RC_TEMP && err)
		*err = why;
	return rc == RC_PERM ? RC_NONE : rc;
}

struct opening {
	struct transaction *tx;
	struct copy *copy;
	const struct cms_enveloped *enveloped;
	const char **claimed; /* room for the addresses of the copy's recipients */
};

/* For the copy's Ith recipient, by the RecipientInfo INDEX. */
static enum rc
open_one(const struct opening *o, size_t i, size_t index, struct secret **cek, struct err *err)
{
	struct transaction *tx = o->tx;
	struct copy *copy = o->copy;
	const struct rcpt *rcpt = &tx->rcpts[copy->rcpts[i]];
	struct vault_open_request request = {.rinfo = &o->enveloped->rinfos[index],
		.cipher = o->enveloped->cipher,
		.recipient = rcpt->addr,
		.claim = tx_claim(
			tx, rule_name(rcpt->decision.rule), copy->rcpts, copy->n, o->claimed)};
	enum rc rc = vault_open(engine_vault(tx->engine), &request, cek, err);

	if (rc == RC_PERM && strcmp(rcpt->addr, rcpt->person) != 0) {
		request.recipient = rcpt->person;
		rc = vault_open(engine_vault(tx->engine), &request, cek, err);
	}
	if (rc == RC_OK)
		copy->key_used = true;
	return rc;
}

enum rc
entitle_open(struct transaction *tx, struct copy *copy, const struct cms_enveloped *enveloped,
	const size_t *indexes, struct secret **out, struct err *err)
{
	const char **claimed = calloc(copy->n, sizeof(*claimed));
	const struct opening opening = {tx, copy, enveloped, claimed};
	struct secret *cek = NULL;
	enum rc rc = RC_OK;
	bool same = true;

	*out = NULL;
	if (!claimed)
		return err_set(err, ERR_MEMORY, "claims");
	for (size_t i = 0; rc == RC_OK && i < copy->n; i++) {
		rc = open_one(&opening, i, indexes[i], &cek, err);
		if (rc != RC_OK)
			break;
		if (!*out) {
			*out = cek;
			cek = NULL; /* ours to give away */
			continue;
		}
		same &= secret_len(cek) == secret_len(*out) &&
			secret_compare(secret_data(cek), secret_data(*out), secret_len(cek)) == 0;
		secret_free(&cek);
	}
	if (rc == RC_OK && !same)
		rc = err_set(err, ERR_CMS_CORRUPT, "not opened");
	if (rc != RC_OK)
		secret_free(out);
	free(claimed);
	return rc;
}
