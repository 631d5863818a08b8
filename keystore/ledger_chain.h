/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_chain.h - following a ledger line by line: what the writer does at open and the verifier
 * for its report
 *
 * Each line must continue the one before: number, hash, node, epoch. Checkpoint signatures are
 * verified with the public keys that the ledger itself hands on from one epoch to the next; only
 * the first one is taken on trust. Constant memory.
 */
#ifndef KEYSTORE_LEDGER_CHAIN_H
#define KEYSTORE_LEDGER_CHAIN_H

#include "keystore/ledger_format.h"

#define LEDGER_MAX_SPKI 256 /* bytes of an epoch's public key */

struct ledger_epoch {
	uint64_t number; /* 0: none */
	char keyid[LEDGER_HASH_SIZE];
	unsigned char spki[LEDGER_MAX_SPKI];
	size_t spki_len;
	int64_t since; /* seconds: when it was announced */
};

struct ledger_chain {
	uint64_t seq;                /* of the last line that fitted */
	char hash[LEDGER_HASH_SIZE]; /* its hash; zeros before the first */
	char node[LEDGER_MAX_NODE + 1];
	uint64_t segment;
	bool adopt;     /* the next line is taken as the beginning: earlier segments are not read */
	bool at_start;  /* the next line is the first of a segment */
	int64_t opened; /* seconds: when the segment was begun */
	struct ledger_epoch epoch; /* whose key signs now */
	struct ledger_epoch
		next; /* announced by the last line; a checkpoint right behind makes it valid */
	char root[LEDGER_HASH_SIZE]; /* key id of the first epoch */
	uint64_t last_checkpoint;    /* last record that a checkpoint covers */
	struct ledger_anchor anchor; /* that checkpoint; seq 0: none was seen */
	uint64_t count[LEDGER_TYPES];
	uint64_t recovered_bytes;
};

void ledger_chain_init(struct ledger_chain *chain);
/* The lines that follow are those of segment SEGMENT. */
void ledger_chain_segment(struct ledger_chain *chain, uint64_t segment);
/* Begins with the first line of SEGMENT, taking its number, link and epoch on trust. */
void ledger_chain_adopt(struct ledger_chain *chain, uint64_t segment);
/* LINE with its LF. RC_PERM, ERR_LEDGER_BROKEN with a sentence when it does not continue the chain;
 * CHAIN is then as before. */
enum rc
ledger_chain_line(struct ledger_chain *chain, const char *line, size_t len, struct err *err);
/* The same; *out: the line's fixed beginning. */
enum rc ledger_chain_step(struct ledger_chain *chain, const char *line, size_t len,
	struct ledger_line *out, struct err *err);
/* Is ANCHOR's signature that of CHAIN's present epoch key? RC_OK or RC_PERM. */
enum rc ledger_chain_check_anchor(
	const struct ledger_chain *chain, const struct ledger_anchor *anchor, struct err *err);

#endif
