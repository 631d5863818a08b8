/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_epoch.h"

#include <inttypes.h>
#include <string.h>

/* Fills in what follows from the private key. */
static enum rc
describe(struct ledger_signer *signer, struct err *err)
{
	enum rc rc;

	buf_init(&signer->spki, LEDGER_MAX_SPKI);
	rc = pkey_public(signer->pkey, &signer->spki, err);
	if (rc)
		return rc;
	return ledger_hash(signer->spki.data, signer->spki.len, signer->keyid, err);
}

enum rc
ledger_signer_make(struct ledger_signer *signer, const struct ledger_keys *keys, uint64_t number,
	struct err *err)
{
	struct secret *der = NULL;
	enum rc rc;

	memset(signer, 0, sizeof *signer);
	rc = pkey_generate("p256", &signer->pkey, err);
	if (rc == RC_OK)
		rc = describe(signer, err);
	if (rc == RC_OK)
		rc = pkey_format(signer->pkey, &der, err);
	if (rc == RC_OK)
		rc = keys->epoch_store(keys->ctx, number, der, err);
	secret_free(&der);
	signer->number = number;
	signer->since = clock_now();
	if (rc)
		ledger_signer_fini(signer);
	return rc == RC_NONE ? err_set(err, ERR_LEDGER, "an epoch key could not be kept") : rc;
}

enum rc
ledger_signer_load(struct ledger_signer *signer, const struct ledger_keys *keys,
	const struct ledger_epoch *epoch, struct err *err)
{
	struct secret *der = NULL;
	enum rc rc;

	memset(signer, 0, sizeof *signer);
	rc = keys->epoch_load(keys->ctx, epoch->number, &der, err);
	if (rc == RC_NONE)
		return err_set(err, ERR_LEDGER_BROKEN,
			"the private key of epoch %" PRIu64 " is not in the store", epoch->number);
	if (rc)
		return rc;
	rc = pkey_parse(secret_data(der), secret_len(der), KEY_EC_P256, &signer->pkey, err);
	secret_free(&der);
	if (rc == RC_OK)
		rc = describe(signer, err);
	if (rc == RC_OK && strcmp(signer->keyid, epoch->keyid) != 0)
		rc = err_set(err, ERR_LEDGER_BROKEN,
			"the store's key of epoch %" PRIu64 " is not the ledger's", epoch->number);
	signer->number = epoch->number;
	signer->since = epoch->since;
	if (rc)
		ledger_signer_fini(signer);
	return rc;
}

void
ledger_signer_fini(struct ledger_signer *signer)
{
	pkey_unref(&signer->pkey);
	buf_fini(&signer->spki);
	memset(signer, 0, sizeof *signer);
}

enum rc
ledger_signer_checkpoint(const struct ledger_signer *signer, struct buf *out,
	const struct ledger_prefix *prefix, struct ledger_anchor *anchor, struct err *err)
{
	struct buf text = BUF_INIT(1024), signature = BUF_INIT(sizeof anchor->signature);
	struct buf body = BUF_INIT(4096);
	enum rc rc;

	*anchor = (struct ledger_anchor){.seq = prefix->seq - 1};
	memcpy(anchor->node, prefix->node, strlen(prefix->node) + 1);
	memcpy(anchor->hash, prefix->prev, sizeof anchor->hash);
	memcpy(anchor->keyid, signer->keyid, sizeof anchor->keyid);
	(void)clock_format_us(prefix->time_us, anchor->time);
	rc = ledger_anchor_text(&text, anchor, err);
	if (rc == RC_OK)
		rc = pkey_sign(signer->pkey, text.data, text.len, &signature, err);
	if (rc == RC_OK)
		rc = ledger_body_checkpoint(
			&body, signer->number, signer->keyid, signature.data, signature.len, err);
	if (rc == RC_OK)
		rc = ledger_line_format(out, prefix, body.data, body.len, err);
	if (rc == RC_OK) {
		memcpy(anchor->signature, signature.data, signature.len);
		anchor->signature_len = signature.len;
	}
	buf_fini(&text);
	buf_fini(&signature);
	buf_fini(&body);
	return rc;
}
