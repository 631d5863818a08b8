/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_epoch.h - the key that signs a ledger's checkpoints for a while
 */
#ifndef KEYSTORE_LEDGER_EPOCH_H
#define KEYSTORE_LEDGER_EPOCH_H

#include "crypto/pkey.h"
#include "keystore/ledger_chain.h"

struct ledger_signer { /* the private side of an epoch; zeros: none */
	struct pkey *pkey;
	uint64_t number;
	char keyid[LEDGER_HASH_SIZE];
	struct buf spki;
	int64_t since; /* seconds */
};

/* Makes the key of epoch NUMBER and has it kept before it is used. */
enum rc ledger_signer_make(struct ledger_signer *signer, const struct ledger_keys *keys,
	uint64_t number, struct err *err);
/* Loads the key of the epoch that is in force. ERR_LEDGER_BROKEN when it is gone or another. */
enum rc ledger_signer_load(struct ledger_signer *signer, const struct ledger_keys *keys,
	const struct ledger_epoch *epoch, struct err *err);
void ledger_signer_fini(struct ledger_signer *signer);

/* Signs the anchor text for PREFIX's place in the chain and appends the checkpoint's line to OUT;
 * *anchor: the same as an anchor. */
enum rc ledger_signer_checkpoint(const struct ledger_signer *signer, struct buf *out,
	const struct ledger_prefix *prefix, struct ledger_anchor *anchor, struct err *err);

#endif
