/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_crew.h - the threads that verify a ledger's pieces
 *
 * They take the segments one after another and verify each by itself; the caller gets them in
 * order. While the piece that it wants is not ready, the caller's thread verifies one too.
 *
 * Memory: each piece that was given out is the caller's; ledger_piece_fini and free.
 */
#ifndef KEYSTORE_LEDGER_CREW_H
#define KEYSTORE_LEDGER_CREW_H

#include "keystore/ledger_piece.h"

#include <pthread.h>

#define LEDGER_CREW_MAX 7 /* threads beside the caller's */

struct ledger_crew {
	const struct ledger_files *files;
	uint64_t last; /* segment in which the ledger ends */
	struct ledger_piece_job *job;
	pthread_t threads[LEDGER_CREW_MAX];
	unsigned n;

	pthread_mutex_t lock;
	pthread_cond_t ready;
	/* By segment, from files->first; NULL: nobody took it, or it was given out. */
	struct ledger_piece **pieces;
	bool *done;
	uint64_t next; /* segment that is taken next */
};

/* Segments from FILES' first to LAST; all borrowed. At most HELPERS threads are begun, maybe fewer.
 * ERR_MEMORY; ledger_crew_end is due in any case. */
enum rc ledger_crew_begin(struct ledger_crew *crew, const struct ledger_files *files, uint64_t last,
	struct ledger_piece_job *job, unsigned helpers, struct err *err);
/* The piece of SEGMENT, verified. NULL: no memory. */
struct ledger_piece *ledger_crew_get(struct ledger_crew *crew, uint64_t segment);
/* What was not begun yet is left. */
void ledger_crew_end(struct ledger_crew *crew);

#endif
