/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/rowcache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A question: its kind and what it is about. What does not fit is asked each time: no row has it.
 */
struct question {
	unsigned char name[STORE_ID_SIZE + ADDR_MAX + 8];
	size_t len;
	bool fits;
};

struct answer {
	struct question question;
	uint64_t generation; /* of the store, before it was asked */
	int64_t from, until; /* the times that it holds for */
	enum rc rc;          /* RC_OK or RC_NONE */
	char ids[ROWCACHE_KEYS][STORE_ID_SIZE];
	size_t n;
};

struct rowcache {
	struct store *store;
	pthread_mutex_t lock;
	struct answer *slots[ROWCACHE_MAX];
};

enum rc
rowcache_new(struct store *store, struct rowcache **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "row cache");
	pthread_mutex_init(&(*out)->lock, NULL);
	(*out)->store = store;
	return RC_OK;
}

void
rowcache_free(struct rowcache **cache)
{
	if (!*cache)
		return;
	for (size_t i = 0; i < ROWCACHE_MAX; i++)
		free((*cache)->slots[i]);
	pthread_mutex_destroy(&(*cache)->lock);
	free(*cache);
	*cache = NULL;
}

static void
put_part(struct question *q, const void *data, size_t len)
{
	q->fits = q->fits && len <= sizeof(q->name) - q->len;
	if (q->fits) {
		memcpy(q->name + q->len, data, len);
		q->len += len;
	}
}

static void
make_question(
	struct question *q, char kind, const void *a, size_t a_len, const void *b, size_t b_len)
{
	q->len = 0;
	q->fits = true;
	put_part(q, &kind, 1);
	put_part(q, a, a_len);
	put_part(q, "", 1);
	put_part(q, b, b_len);
}

static struct answer **
slot_of(struct rowcache *cache, const struct question *q)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < q->len; i++)
		hash = (hash ^ q->name[i]) * 16777619u;
	return &cache->slots[hash % ROWCACHE_MAX];
}

/* Is there an answer to OUT's question that holds at AT? Copies it to OUT. If not, OUT is made
 * ready for one. */
static bool
recall(struct rowcache *cache, int64_t at, struct answer *out)
{
	uint64_t now = store_generation(cache->store);
	struct answer **slot = slot_of(cache, &out->question), *a;
	bool ok;

	pthread_mutex_lock(&cache->lock);
	a = *slot;
	ok = out->question.fits && a && a->generation == now &&
	     a->question.len == out->question.len &&
	     memcmp(a->question.name, out->question.name, a->question.len) == 0 && a->from <= at &&
	     at < a->until;
	if (ok) {
		out->rc = a->rc;
		out->n = a->n;
		memcpy(out->ids, a->ids, a->n * STORE_ID_SIZE);
	}
	pthread_mutex_unlock(&cache->lock);
	out->generation = now;
	out->from = at;
	return ok;
}

/* Keeps ANSWER; that there is no memory for it does not matter. */
static void
keep(struct rowcache *cache, const struct answer *answer)
{
	struct answer **slot = slot_of(cache, &answer->question);

	if (!answer->question.fits)
		return;
	pthread_mutex_lock(&cache->lock);
	if (!*slot)
		*slot = malloc(sizeof(**slot));
	if (*slot)
		**slot = *answer;
	pthread_mutex_unlock(&cache->lock);
}

enum rc
rowcache_find_owner(struct rowcache *cache, const char *addr, int64_t at,
	char person[STORE_ID_SIZE], struct err *err)
{
	struct answer a = {.n = 1};
	struct store_addr row;
	enum rc rc = store_look(cache->store, err);

	if (rc)
		return rc;
	make_question(&a.question, 'a', addr, strlen(addr), "", 0);
	if (!recall(cache, at, &a)) {
		a.rc = store_find_addr_until(cache->store, addr, at, &row, &a.until, err);
		if (a.rc == RC_OK)
			memcpy(a.ids[0], row.person, STORE_ID_SIZE);
		if (a.rc == RC_OK || a.rc == RC_NONE)
			keep(cache, &a);
	}
	if (a.rc == RC_OK)
		memcpy(person, a.ids[0], STORE_ID_SIZE);
	return a.rc;
}

enum rc
rowcache_find_present(struct rowcache *cache, const char *person, int64_t at, struct err *err)
{
	struct answer a = {.n = 0};
	struct store_person row;
	enum rc rc = store_look(cache->store, err);

	if (rc)
		return rc;
	make_question(&a.question, 'p', person, strlen(person), "", 0);
	if (!recall(cache, at, &a)) {
		rc = store_get_person(cache->store, person, &row, err);
		if (rc)
			return rc == RC_NONE ? err_set(err, ERR_KEYSTORE_TAMPERED,
						       "person %s is gone", person)
					     : rc;
		a.rc = store_person_is_present(&row, at) ? RC_OK : RC_NONE;
		a.until = row.left > at ? row.left : INT64_MAX;
		keep(cache, &a);
	}
	return a.rc;
}

enum rc
rowcache_find_grant(struct rowcache *cache, const char *owner, const char *person, int64_t at,
	char grant[STORE_ID_SIZE], struct err *err)
{
	struct answer a = {.n = 0};
	struct store_grant row;
	enum rc rc = store_look(cache->store, err);

	grant[0] = 0;
	if (rc)
		return rc;
	make_question(&a.question, 'g', owner, strlen(owner), person, strlen(person));
	if (!recall(cache, at, &a)) {
		a.rc = store_find_grant_until(cache->store, owner, person, at, &row, &a.until, err);
		if (a.rc == RC_OK)
			memcpy(a.ids[a.n++], row.id, STORE_ID_SIZE);
		if (a.rc == RC_OK || a.rc == RC_NONE)
			keep(cache, &a);
	}
	if (a.rc == RC_OK)
		memcpy(grant, a.ids[0], STORE_ID_SIZE);
	return a.rc;
}

enum rc
rowcache_match(struct rowcache *cache, bool is_ski, const void *value, size_t len,
	char ids[ROWCACHE_KEYS][STORE_ID_SIZE], size_t *n, struct err *err)
{
	struct answer a = {.until = INT64_MAX};
	enum rc rc = store_look(cache->store, err);

	*n = 0;
	if (rc)
		return rc;
	make_question(&a.question, is_ski ? 's' : 'i', value, len, "", 0);
	if (!recall(cache, 0, &a)) {
		a.rc = store_match(
			cache->store, is_ski, value, len, a.ids, ROWCACHE_KEYS, &a.n, err);
		if (a.rc == RC_OK)
			keep(cache, &a);
	}
	if (a.rc == RC_OK) {
		memcpy(ids, a.ids, a.n * STORE_ID_SIZE);
		*n = a.n;
	}
	return a.rc;
}
