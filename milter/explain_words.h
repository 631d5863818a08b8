/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain_words.h - for explain: the configuration's own words, and what became of each rule
 *
 * For the text and for the JSON, so that both say the same.
 */
#ifndef MILTER_EXPLAIN_WORDS_H
#define MILTER_EXPLAIN_WORDS_H

#include "milter/tx.h"

/* By enum tri, the verdicts' enums and enum role; never out of range, as the loader has chosen the
 * values. */
extern const char *const explain_tri[];
extern const char *const explain_sign[];
extern const char *const explain_encrypt[];
extern const char *const explain_missing[];
extern const char *const explain_preset[];
extern const char *const explain_role[];

const char *explain_direction(enum direction direction);
const char *explain_tier(enum tier tier);

/* What became of each of the policy's rules for RCPT: *OUT, with *N, belongs to the caller; free().
 * Not RC_OK: NULL and 0. */
enum rc explain_rules(struct transaction *tx, const struct rcpt *rcpt, struct rule_trace **out,
	size_t *n, struct err *err);

#endif
