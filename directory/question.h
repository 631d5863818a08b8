/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * question.h - one object for a look-up under way and for a cached answer
 *
 * A question is made when an address is asked for first, worked on by one thread, and kept in the
 * table after it is answered until it is too old, pushed out, or the store's generation moves.
 * Whoever asks for the same address while the question is in the table shares it, answered or not.
 * A caller holds a handle (struct lookup), which keeps the question alive even when the table has
 * dropped it.
 *
 * When the local store was written to, every question leaves the table, those under way too: they
 * may have read the store before. Their holders still get the answer; nobody else does. While
 * somebody is writing, the generation can't be told, and then nothing is shared at all.
 *
 * RC_TEMP is never kept: a server that failed is left alone by its own source, which answers at
 * once meanwhile.
 *
 * Threads: the caller holds one lock around everything here.
 * Limits:  the table's bytes, counted as an upper bound.
 */
#ifndef DIRECTORY_QUESTION_H
#define DIRECTORY_QUESTION_H

#include "directory/lookup.h"

#include <pthread.h>

enum question_state { QUESTION_QUEUED, QUESTION_RUNNING, QUESTION_DONE };

struct question {
	char *addr; /* in lower case */
	enum question_state state;
	int refs;               /* handles, the table, the queue or a worker */
	struct question *chain; /* next in the bucket */
	bool linked;            /* in the table */
	struct question *queue_next;
	struct question *newer, *older; /* answered ones in the table, by last use */
	struct lookup *handles;
	pthread_cond_t changed;
	struct lookup_result result; /* when done */
	size_t size;                 /* bytes that the table counts for it */
	int64_t good_until_ms;       /* by the monotonic clock */
	int64_t not_after;           /* the first of the used certificates to expire */
};

#define QUESTION_BUCKETS 8192

struct question_table {
	struct question *buckets[QUESTION_BUCKETS];
	struct question *newest, *oldest; /* of the answered ones */
	size_t bytes, max_bytes;
};

/* With one reference, the caller's; NULL for no memory. */
struct question *question_new(const char *addr);
void question_unref(struct question *q);

void question_table_add(struct question_table *table, struct question *q);
void question_table_clear(struct question_table *table);
/* A question for ADDR that may be shared: under way, or answered and still good. NULL: none. */
struct question *question_table_find(struct question_table *table, const char *addr);
/* Q of the table was answered: keeps it for TTL_MS, or drops it when it is not one to keep. */
void question_table_keep(struct question_table *table, struct question *q, int64_t ttl_ms);

#endif
