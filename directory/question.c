/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/question.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/counter.h"
#include "directory/source.h"

struct question *
question_new(const char *addr)
{
	struct question *q = calloc(1, sizeof(*q));
	pthread_condattr_t attr;

	if (!q || !(q->addr = strdup(addr)) || pthread_condattr_init(&attr) != 0) {
		if (q)
			free(q->addr);
		free(q);
		return NULL;
	}
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->changed, &attr);
	pthread_condattr_destroy(&attr);
	q->refs = 1;
	return q;
}

static size_t
bucket_of(const char *addr)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *addr; addr++)
		hash = (hash ^ (unsigned char)*addr) * 16777619u;
	return hash % QUESTION_BUCKETS;
}

void
question_unref(struct question *q)
{
	if (--q->refs > 0)
		return;
	candidates_free(&q->result.v, q->result.n);
	pthread_cond_destroy(&q->changed);
	free(q->addr);
	free(q);
}

/* The list of answered questions: out of it, and in at its new end. */
static void
lru_remove(struct question_table *t, struct question *q)
{
	if (q->newer)
		q->newer->older = q->older;
	else
		t->newest = q->older;
	if (q->older)
		q->older->newer = q->newer;
	else
		t->oldest = q->newer;
	q->newer = q->older = NULL;
	t->bytes -= q->size;
}

static void
lru_add(struct question_table *t, struct question *q)
{
	q->older = t->newest;
	if (t->newest)
		t->newest->newer = q;
	else
		t->oldest = q;
	t->newest = q;
	t->bytes += q->size;
}

void
question_table_add(struct question_table *t, struct question *q)
{
	struct question **bucket = &t->buckets[bucket_of(q->addr)];

	q->chain = *bucket;
	*bucket = q;
	q->linked = true;
	q->refs++;
}

static void
table_remove(struct question_table *t, struct question *q)
{
	struct question **p = &t->buckets[bucket_of(q->addr)];

	while (*p != q)
		p = &(*p)->chain;
	*p = q->chain;
	q->linked = false;
	if (q->state == QUESTION_DONE)
		lru_remove(t, q);
	question_unref(q);
}

void
question_table_clear(struct question_table *t)
{
	for (size_t i = 0; i < QUESTION_BUCKETS; i++)
		while (t->buckets[i])
			table_remove(t, t->buckets[i]);
}

struct question *
question_table_find(struct question_table *t, const char *addr)
{
	struct question *q = t->buckets[bucket_of(addr)];

	while (q && strcmp(q->addr, addr) != 0)
		q = q->chain;
	if (!q || q->state != QUESTION_DONE)
		return q;
	if (clock_monotonic_ms() >= q->good_until_ms || clock_now() > q->not_after) {
		table_remove(t, q);
		return NULL;
	}
	lru_remove(t, q);
	lru_add(t, q);
	counter_add(COUNTER_LOOKUP_CACHE_HITS, 1);
	return q;
}

/* What an answer costs to keep. Certificates are shared, but count: the sum is an upper bound. */
static size_t
question_size(const struct question *q)
{
	size_t size = sizeof(*q) + strlen(q->addr) + 1;

	for (size_t i = 0; i < q->result.n; i++) {
		size_t len = 0;

		cert_der(q->result.v[i].cert, &len);
		size += sizeof(q->result.v[i]) + 4 * len; /* the parsed form is larger */
	}
	return size;
}

void
question_table_keep(struct question_table *t, struct question *q, int64_t ttl_ms)
{
	q->not_after = INT64_MAX;
	for (size_t i = 0; i < q->result.n; i++) {
		const struct candidate *c = &q->result.v[i];

		if (c->used && cert_not_after(c->cert) < q->not_after)
			q->not_after = cert_not_after(c->cert);
	}
	q->good_until_ms = clock_monotonic_ms() + ttl_ms;
	q->size = question_size(q);
	lru_add(t, q);
	if ((q->result.rc == RC_TEMP && q->result.err.code != ERR_CERT_NAMED) || ttl_ms <= 0)
		table_remove(t, q);
	while (t->bytes > t->max_bytes && t->oldest)
		table_remove(t, t->oldest);
}
