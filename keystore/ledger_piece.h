/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_piece.h - one segment of a ledger, or the stub of one, verified by itself
 *
 * Number, link and epoch of its first record are taken on trust; who joins the pieces compares them
 * with the end of the piece before (ledger_verify.c). So pieces may be verified at the same time.
 *
 * Threads: one for each piece.
 */
#ifndef KEYSTORE_LEDGER_PIECE_H
#define KEYSTORE_LEDGER_PIECE_H

#include "keystore/ledger_anchors.h"
#include "keystore/ledger_read.h"
#include "keystore/ledger_stub.h"
#include "keystore/ledger_uses.h"

/* What all pieces of one verification share; constant meanwhile, but for STOP. */
struct ledger_piece_job {
	const char *dir;
	const struct ledger_anchors *anchors; /* sorted */
	char since[CLOCK_TEXT_SIZE];          /* intents from this time on are recent */
	bool stop;                            /* atomic: somebody found a problem */
};

struct ledger_piece {
	uint64_t segment;
	unsigned kind; /* LEDGER_LINES, LEDGER_STUB */
	bool last;     /* a torn end is no problem */

	enum rc rc; /* RC_OK, or why it could not be read */
	struct err err;
	char problem[384]; /* "": it verifies */
	bool begun;        /* its first record fits; then … */
	uint64_t first;
	char prev[LEDGER_HASH_SIZE];
	struct ledger_epoch epoch; /* … and the epoch in which it begins */
	struct ledger_chain chain; /* at its end */
	bool is_stub;              /* the lines are not there */
	struct ledger_stub stub;   /* when there is one */
	bool torn;
	bool has_checkpoint;
	struct ledger_uses uses;
	uint64_t recent;                /* the first recent intent; 0: none */
	struct ledger_retired *retired; /* what its records say was dropped */
	size_t n_retired;
	char (*keyids)[LEDGER_HASH_SIZE]; /* of epochs that came into force in it */
	size_t n_keyids;
	uint64_t anchors;         /* that fit … */
	uint64_t anchors_dropped; /* … and whose signature is good, while the record is gone */
	uint64_t last_anchored;
	uint64_t waiting; /* record that an anchor covers and whose checkpoint did not come; or 0 */
};

void ledger_piece_verify(struct ledger_piece *piece, const struct ledger_piece_job *job);
void ledger_piece_fini(struct ledger_piece *piece);

#endif
