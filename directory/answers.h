/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answers.h - what a directory said last, for when it can't be asked
 *
 * Only what was found is kept, never that there was nothing; and as it was found: whether a
 * certificate is still good is judged anew each time. When the directory says that there is nothing
 * (any more), what was kept goes.
 *
 * Threads: one struct answers may be used by any number of threads.
 * Limits:  bytes, counted as an upper bound; the ones used longest ago go first.
 */
#ifndef DIRECTORY_ANSWERS_H
#define DIRECTORY_ANSWERS_H

#include "directory/source.h"

struct answers;
/* TTL_MS: how long an answer may be used, from when it was given. NULL: no memory. */
struct answers *answers_new(size_t max_bytes, int64_t ttl_ms);
void answers_free(struct answers **answers);
/* ANSWER for ADDR, which the directory has just given; copied. Without candidates: forgotten. */
void answers_keep(struct answers *answers, const char *addr, const struct answer *answer);
/* A copy into ANSWER, which is empty, its candidates marked with their age (at least a second).
 * RC_NONE: none that may be used. */
enum rc
answers_find(struct answers *answers, const char *addr, struct answer *answer, struct err *err);
/* What they take, at most. */
size_t answers_bytes(struct answers *answers);

#endif
