/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/cert_private.h"

#include <pthread.h>
#include <string.h>

/*
 * Sixteen shards, each a fixed hash table with chains and a clock hand over an array of slots:
 * a look-up sets the slot's mark, and when the shard is full the hand passes over marked slots,
 * unmarks them, and takes the first that nobody asked for since. That is LRU nearly enough,
 * without moving anything on a hit. SHA-256 is the key, so its own bytes are the hash.
 */
#define SHARDS  16
#define BUCKETS 1024

struct slot {
	struct cert *cert; /* NULL: free */
	uint32_t next;     /* index + 1 of the next in its bucket; 0: end */
	bool used;         /* asked for since the hand passed */
};

struct shard {
	pthread_mutex_t lock;
	uint32_t bucket[BUCKETS]; /* index + 1 */
	struct slot *slots;
	uint32_t n, cap, hand;
};

static struct shard shards[SHARDS] = {
	[0 ... SHARDS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER},
};
static atomic_size_t cache_limit = 20000;

static struct shard *
shard_of(const unsigned char *sha256)
{
	return &shards[sha256[0] % SHARDS];
}

static uint32_t *
bucket_of(struct shard *shard, const unsigned char *sha256)
{
	return &shard->bucket[(sha256[1] | sha256[2] << 8) % BUCKETS];
}

/* The slot that holds SHA256, or NULL. The shard is locked. */
static struct slot *
slot_find(struct shard *shard, const unsigned char *sha256)
{
	uint32_t i;

	for (i = *bucket_of(shard, sha256); i; i = shard->slots[i - 1].next) {
		struct slot *slot = &shard->slots[i - 1];

		if (memcmp(slot->cert->sha256, sha256, SHA256_SIZE) == 0)
			return slot;
	}
	return NULL;
}

/* Takes slot I out of its chain and drops the cache's reference. */
static void
slot_clear(struct shard *shard, uint32_t i)
{
	struct slot *slot = &shard->slots[i];
	uint32_t *link = bucket_of(shard, slot->cert->sha256);

	while (*link != i + 1)
		link = &shard->slots[*link - 1].next;
	*link = slot->next;
	cert_unref(&slot->cert);
}

/* A free slot, making room by the clock when LIMIT is reached; NULL: none to be had. */
static struct slot *
slot_take(struct shard *shard, uint32_t limit)
{
	if (shard->n < limit) {
		if (shard->n == shard->cap) {
			uint32_t cap = shard->cap ? 2 * shard->cap : 64;
			struct slot *grown = realloc(shard->slots, cap * sizeof(*grown));

			if (!grown)
				return NULL;
			shard->slots = grown;
			shard->cap = cap;
		}
		shard->slots[shard->n] = (struct slot){0};
		return &shard->slots[shard->n++];
	}
	for (;;) { /* the second round at the latest finds an unmarked one */
		uint32_t i = shard->hand++ % shard->n;

		if (!shard->slots[i].used) {
			slot_clear(shard, i);
			return &shard->slots[i];
		}
		shard->slots[i].used = false;
	}
}

struct cert *
cert_cache_find(const unsigned char *sha256)
{
	struct shard *shard = shard_of(sha256);
	struct slot *slot;
	struct cert *cert = NULL;

	pthread_mutex_lock(&shard->lock);
	slot = slot_find(shard, sha256);
	if (slot) {
		slot->used = true;
		cert = cert_ref(slot->cert);
	}
	pthread_mutex_unlock(&shard->lock);
	return cert;
}

void
cert_cache_insert(struct cert **cert)
{
	struct shard *shard = shard_of((*cert)->sha256);
	uint32_t limit = (atomic_load(&cache_limit) + SHARDS - 1) / SHARDS;
	struct cert *other = NULL;
	struct slot *slot;

	if (!limit)
		return;
	pthread_mutex_lock(&shard->lock);
	slot = slot_find(shard, (*cert)->sha256);
	if (slot) {
		other = *cert;
		*cert = cert_ref(slot->cert);
	} else if ((slot = slot_take(shard, limit))) {
		uint32_t *bucket = bucket_of(shard, (*cert)->sha256);

		slot->cert = cert_ref(*cert);
		slot->used = false;
		slot->next = *bucket;
		*bucket = (uint32_t)(slot - shard->slots) + 1;
	}
	pthread_mutex_unlock(&shard->lock);
	cert_unref(&other);
}

void
cert_cache_limit(size_t n)
{
	size_t i;

	atomic_store(&cache_limit, n);
	for (i = 0; i < SHARDS; i++) {
		struct shard *shard = &shards[i];
		uint32_t j;

		pthread_mutex_lock(&shard->lock);
		for (j = 0; j < shard->n; j++)
			cert_unref(&shard->slots[j].cert);
		free(shard->slots);
		shard->slots = NULL;
		shard->n = shard->cap = shard->hand = 0;
		memset(shard->bucket, 0, sizeof(shard->bucket));
		pthread_mutex_unlock(&shard->lock);
	}
}
