/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/keycache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/cms_sign.h"

#define BUCKETS    4096u
#define MAX_AGE_MS 60000

struct keycache {
	pthread_mutex_t lock;
	struct store *store;
	struct keyent *buckets[BUCKETS];
	struct keyent *oldest, *newest; /* by last use */
	size_t n;
	unsigned generation; /* counts flushes: what was loaded before one is not kept */
	uint64_t seen;       /* the store's generation, as of the last flush */
};

enum rc
keycache_new(struct store *store, struct keycache **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "key cache");
	pthread_mutex_init(&(*out)->lock, NULL);
	(*out)->store = store;
	(*out)->seen = store_generation(store);
	return RC_OK;
}

void
keycache_free(struct keycache **cache)
{
	if (!*cache)
		return;
	keycache_flush(*cache);
	pthread_mutex_destroy(&(*cache)->lock);
	free(*cache);
	*cache = NULL;
}

void
keyent_unref(struct keyent **ent)
{
	struct keyent *e = *ent;

	*ent = NULL;
	if (!e || __atomic_sub_fetch(&e->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	store_cert_fini(&e->cert);
	cert_unref(&e->encrypt_cert);
	pkey_unref(&e->pkey);
	secret_free(&e->fallback);
	cms_signer_free(&e->signer);
	free(e);
}

unsigned
keyent_cost(const struct keyent *ent)
{
	unsigned bits = ent->cert.cert ? (unsigned)cert_key_bits(ent->cert.cert) : 3072;

	switch (ent->key.type) {
	case KEY_RSA:
	case KEY_RSA_PSS:
		return 1 + 2 * (bits / 1024) * (bits / 1024) * (bits / 1024);
	case KEY_EC_P384:
	case KEY_EC_P521:
		return 32;
	default:
		return 1;
	}
}

static struct keyent **
bucket_of(struct keycache *cache, const char *id)
{
	uint32_t hash = 2166136261u;

	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 16777619u;
	return &cache->buckets[hash % BUCKETS];
}

static void
unlink_use(struct keycache *cache, struct keyent *e)
{
	*(e->older ? &e->older->newer : &cache->oldest) = e->newer;
	*(e->newer ? &e->newer->older : &cache->newest) = e->older;
	e->older = e->newer = NULL;
}

static void
link_newest(struct keycache *cache, struct keyent *e)
{
	e->older = cache->newest;
	e->newer = NULL;
	*(cache->newest ? &cache->newest->newer : &cache->oldest) = e;
	cache->newest = e;
}

/* Takes E out and gives the cache's reference up; under the lock. */
static void
drop(struct keycache *cache, struct keyent *e)
{
	struct keyent **p = bucket_of(cache, e->key.id);

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	unlink_use(cache, e);
	cache->n--;
	keyent_unref(&e);
}

/* Under the lock. */
static void
flush(struct keycache *cache)
{
	cache->generation++;
	while (cache->oldest)
		drop(cache, cache->oldest);
}

void
keycache_flush(struct keycache *cache)
{
	pthread_mutex_lock(&cache->lock);
	flush(cache);
	pthread_mutex_unlock(&cache->lock);
}

struct find_encrypt {
	struct store *store;
	int64_t now;
	struct cert *cert;
	bool waits; /* the one found does */
};

/* The newest active key of the person that opens and has a certificate to encrypt to. */
static enum rc
each_encrypt(void *ctx, const struct store_key *key, struct err *err)
{
	struct find_encrypt *find = ctx;
	bool waits = key->use_from > find->now; /* only when there is no other */
	struct store_cert cert;
	enum rc rc;

	if ((find->cert && (waits || !find->waits)) || key->status != KEY_ACTIVE ||
		!(key->purpose & PURPOSE_OPEN) || key->purpose == PURPOSE_CA)
		return RC_OK;
	rc = store_current_cert(find->store, key->id, find->now, &cert, err);
	if (rc)
		return rc == RC_NONE ? RC_OK : rc;
	if (cert_allows(cert.cert, CERT_ENCRYPT)) {
		cert_unref(&find->cert);
		find->cert = cert_ref(cert.cert);
		find->waits = waits;
	}
	store_cert_fini(&cert);
	return RC_OK;
}

static enum rc
load(struct keycache *cache, const char *id, bool with_pkey, struct keyent **out, struct err *err)
{
	struct keyent *e = calloc(1, sizeof(*e));
	struct find_encrypt find = {.store = cache->store, .now = clock_now()};
	enum rc rc;

	*out = NULL;
	if (!e)
		return err_set(err, ERR_MEMORY, "key cache");
	e->refs = 1;
	e->loaded = clock_monotonic_ms();
	rc = store_get_key(cache->store, id, &e->key, err);
	if (!rc) {
		rc = store_current_cert(cache->store, id, find.now, &e->cert, err);
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	if (!rc && (e->key.purpose & PURPOSE_SIGN) && e->key.purpose != PURPOSE_CA) {
		rc = store_list_keys(
			cache->store, e->key.person, "", STORE_MAX_ROWS, each_encrypt, &find, err);
		e->encrypt_cert = find.cert;
		if (!rc && e->cert.cert)
			rc = cms_signer_new(
				e->cert.cert, &e->cert.chain, e->encrypt_cert, &e->signer, err);
	}
	if (!rc && with_pkey)
		rc = store_unwrap_key(cache->store, id, &e->pkey, &e->fallback, err);
	if (rc)
		keyent_unref(&e);
	*out = e;
	return rc;
}

/* A usable entry with a reference for the caller, or NULL. */
static struct keyent *
find(struct keycache *cache, const char *id, bool with_pkey, unsigned *generation)
{
	struct keyent *e;
	uint64_t now = store_generation(cache->store);

	pthread_mutex_lock(&cache->lock);
	if (now != cache->seen)
		flush(cache);
	cache->seen = now;
	*generation = cache->generation;
	for (e = *bucket_of(cache, id); e; e = e->next)
		if (strcmp(e->key.id, id) == 0)
			break;
	if (e && (clock_monotonic_ms() - e->loaded > MAX_AGE_MS || (with_pkey && !e->pkey))) {
		drop(cache, e);
		e = NULL;
	}
	if (e) {
		__atomic_add_fetch(&e->refs, 1, __ATOMIC_RELAXED);
		unlink_use(cache, e);
		link_newest(cache, e);
	}
	pthread_mutex_unlock(&cache->lock);
	return e;
}

/* Keeps E, unless the store changed while it was loaded; of two with one id the newer stays. */
static void
keep(struct keycache *cache, struct keyent *e, unsigned generation)
{
	struct keyent **bucket = bucket_of(cache, e->key.id), *other;

	pthread_mutex_lock(&cache->lock);
	if (generation == cache->generation) {
		for (other = *bucket; other; other = other->next)
			if (strcmp(other->key.id, e->key.id) == 0)
				break;
		if (other)
			drop(cache, other);
		if (cache->n >= KEYCACHE_MAX)
			drop(cache, cache->oldest);
		__atomic_add_fetch(&e->refs, 1, __ATOMIC_RELAXED);
		e->next = *bucket;
		*bucket = e;
		link_newest(cache, e);
		cache->n++;
	}
	pthread_mutex_unlock(&cache->lock);
}

enum rc
keycache_get(struct keycache *cache, const char *id, bool with_pkey, struct keyent **out,
	struct err *err)
{
	unsigned generation;
	enum rc rc;

	*out = NULL;
	rc = store_look(cache->store, err);
	if (rc)
		return rc;
	*out = find(cache, id, with_pkey, &generation);
	if (*out)
		return RC_OK;
	rc = load(cache, id, with_pkey, out, err);
	if (!rc)
		keep(cache, *out, generation);
	return rc;
}
