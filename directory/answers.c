/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/answers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define BUCKETS 4096

struct kept {
	char *addr;
	struct answer answer;
	int64_t given_ms;
	size_t size;
	struct kept *chain; /* next in the bucket */
	struct kept *newer, *older;
};

struct answers {
	pthread_mutex_t lock;
	size_t bytes, max_bytes;
	int64_t ttl_ms;
	struct kept *newest, *oldest;
	struct kept *buckets[BUCKETS];
};

struct answers *
answers_new(size_t max_bytes, int64_t ttl_ms)
{
	struct answers *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	pthread_mutex_init(&a->lock, NULL);
	a->max_bytes = max_bytes;
	a->ttl_ms = ttl_ms;
	return a;
}

static struct kept **
bucket_of(struct answers *a, const char *addr)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *addr; addr++)
		hash = (hash ^ (unsigned char)*addr) * 16777619u;
	return &a->buckets[hash % BUCKETS];
}

static void
kept_free(struct kept *k)
{
	if (!k)
		return;
	answer_fini(&k->answer);
	free(k->addr);
	free(k);
}

static void
list_remove(struct answers *a, struct kept *k)
{
	*(k->newer ? &k->newer->older : &a->newest) = k->older;
	*(k->older ? &k->older->newer : &a->oldest) = k->newer;
	k->newer = k->older = NULL;
}

static void
list_add(struct answers *a, struct kept *k)
{
	k->older = a->newest;
	*(a->newest ? &a->newest->newer : &a->oldest) = k;
	a->newest = k;
}

/* Takes what is kept for ADDR out; NULL: nothing. */
static struct kept *
take_out(struct answers *a, const char *addr)
{
	struct kept **p = bucket_of(a, addr), *k;

	while (*p && strcmp((*p)->addr, addr) != 0)
		p = &(*p)->chain;
	if (!(k = *p))
		return NULL;
	*p = k->chain;
	list_remove(a, k);
	a->bytes -= k->size;
	return k;
}

static void
put_in(struct answers *a, struct kept *k)
{
	struct kept **bucket = bucket_of(a, k->addr);

	k->chain = *bucket;
	*bucket = k;
	list_add(a, k);
	a->bytes += k->size;
}

void
answers_free(struct answers **answers)
{
	struct answers *a = *answers;

	*answers = NULL;
	if (!a)
		return;
	while (a->oldest)
		kept_free(take_out(a, a->oldest->addr));
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* The parsed form of a certificate is larger than its bytes. */
static size_t
cert_size(struct cert *cert)
{
	size_t len = 0;

	cert_der(cert, &len);
	return 4 * len;
}

static enum rc
copy(struct answer *to, const struct answer *from, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < from->n; i++)
		rc = answer_take(to, &from->v[i], err);
	for (size_t i = 0; rc == RC_OK && i < from->extra.n; i++)
		rc = certset_add(&to->extra, from->extra.v[i], err);
	to->partial = from->partial;
	to->partial_err = from->partial_err;
	to->prefer = from->prefer;
	return rc;
}

/* NULL: no memory, and nothing is kept. */
static struct kept *
kept_new(const char *addr, const struct answer *answer)
{
	struct kept *k = calloc(1, sizeof(*k));

	if (!k || !(k->addr = strdup(addr)) || copy(&k->answer, answer, NULL) != RC_OK) {
		kept_free(k);
		return NULL;
	}
	k->given_ms = clock_monotonic_ms();
	k->size = sizeof(*k) + strlen(addr) + 1;
	for (size_t i = 0; i < answer->n; i++)
		k->size += sizeof(*answer->v) + cert_size(answer->v[i].cert);
	for (size_t i = 0; i < answer->extra.n; i++)
		k->size += cert_size(answer->extra.v[i]);
	return k;
}

void
answers_keep(struct answers *a, const char *addr, const struct answer *answer)
{
	struct kept *fresh = answer->n > 0 ? kept_new(addr, answer) : NULL, *gone[2] = {NULL, NULL};

	pthread_mutex_lock(&a->lock);
	gone[0] = take_out(a, addr);
	if (fresh)
		put_in(a, fresh);
	while (a->bytes > a->max_bytes && a->oldest) {
		kept_free(gone[1]);
		gone[1] = take_out(a, a->oldest->addr);
	}
	pthread_mutex_unlock(&a->lock);
	kept_free(gone[0]);
	kept_free(gone[1]);
}

enum rc
answers_find(struct answers *a, const char *addr, struct answer *answer, struct err *err)
{
	int64_t age = 0;
	struct kept *k;
	enum rc rc = RC_NONE;

	pthread_mutex_lock(&a->lock);
	k = take_out(a, addr);
	if (k) {
		age = clock_monotonic_ms() - k->given_ms;
		if (age < a->ttl_ms) {
			rc = copy(answer, &k->answer, err);
			put_in(a, k);
			k = NULL; /* the table's again */
		}
	}
	pthread_mutex_unlock(&a->lock);
	kept_free(k);
	for (size_t i = 0; rc == RC_OK && i < answer->n; i++)
		answer->v[i].stale = age < 1000 ? 1 : age / 1000;
	/* What was found is found; that nothing more is there by now, nobody can tell. */
	if (rc == RC_OK) {
		answer->partial = true;
		err_set(&answer->partial_err, ERR_DIR_UNAVAILABLE,
			"only what was said before is known");
	}
	return rc;
}

size_t
answers_bytes(struct answers *a)
{
	size_t bytes;

	pthread_mutex_lock(&a->lock);
	bytes = a->bytes;
	pthread_mutex_unlock(&a->lock);
	return bytes;
}
