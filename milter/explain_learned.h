/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain_learned.h - for explain: what a message would teach, and what correspondents can open
 *
 * By the milter's own code (learn.h), with nothing written.
 */
#ifndef MILTER_EXPLAIN_LEARNED_H
#define MILTER_EXPLAIN_LEARNED_H

#include "base/json.h"
#include "crypto/smimecaps.h"
#include "milter/tx.h"

#define EXPLAIN_LEARNED_LINES 5
#define EXPLAIN_LEARNED_SIZE  1200

/* Lines of text, the first a heading; 0: the message teaches nothing. */
size_t explain_learned(
	const struct transaction *tx, char lines[EXPLAIN_LEARNED_LINES][EXPLAIN_LEARNED_SIZE]);
/* "harvest", into an open object. */
void explain_learned_json(const struct transaction *tx, struct json *json);

/* A line about CAPS; false: nothing is known. */
bool explain_caps(const struct smimecaps *caps, char line[EXPLAIN_LEARNED_SIZE]);

#endif
