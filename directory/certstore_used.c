/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certstore_used.c - which certificate was encrypted to, for whom, from when to when
 *
 * Mail does not wait for this: uses are gathered in memory, a certificate of an address once a day,
 * and written together. A store that cannot be written now is tried again with the next one; a
 * daemon that is killed loses a minute of it. Each message's own line in the log says it too.
 */
#include "config.h"

#include "directory/certstore_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define DAY_S   86400
#define SLOTS   4096 /* uses remembered; more addresses than that in a day are written again */
#define BUSY_MS 50
#define PENDING 512 /* uses that wait; written at once when there are so many */

struct use {
	char *addr, *source; /* owned */
	struct cert *cert;   /* owned reference */
	int64_t at;
};

struct certstore_uses {
	pthread_mutex_t lock;
	struct use pending[PENDING];
	size_t n;
	int64_t first_ms; /* when the first of those that wait came, or the last failure was */
	struct known {
		uint64_t hash;
		int64_t day;
	} known[SLOTS];
};

static pthread_mutex_t make_lock = PTHREAD_MUTEX_INITIALIZER;

/* The list of the store, made at its first use; NULL for no memory. */
static struct certstore_uses *
uses_of(struct certstore *store)
{
	struct certstore_uses *uses;

	pthread_mutex_lock(&make_lock);
	uses = store->uses;
	if (!uses && (uses = calloc(1, sizeof(*uses)))) {
		pthread_mutex_init(&uses->lock, NULL);
		store->uses = uses;
	}
	pthread_mutex_unlock(&make_lock);
	return uses;
}

static void
use_fini(struct use *use)
{
	free(use->addr);
	free(use->source);
	cert_unref(&use->cert);
}

/* FNV-1a over address and certificate. */
static uint64_t
hash_of(const char *addr, const struct cert *cert)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *addr; addr++)
		hash = (hash ^ (unsigned char)(*addr >= 'A' && *addr <= 'Z' ? *addr | 0x20
									    : *addr)) *
		       0x100000001b3;
	for (size_t i = 0; i < SHA256_SIZE; i++)
		hash = (hash ^ cert_sha256(cert)[i]) * 0x100000001b3;
	return hash;
}

static enum rc
write_use(struct certstore *store, const struct use *use, struct err *err)
{
	static const char sql[] =
		"INSERT INTO used (addr, cert, source, first, last) VALUES (?1, ?2, ?3, ?4, ?4)"
		" ON CONFLICT (addr, cert) DO UPDATE SET source = excluded.source,"
		" first = min(first, excluded.first), last = max(last, excluded.last)";
	int64_t id = 0;
	enum rc rc = certstore_cert_id(store, use->cert, true, &id, err);

	if (rc == RC_OK)
		rc = certstore_exec(store, err, sql, "titi", use->addr, id, use->source, use->at);
	return rc;
}

/* Mail waits meanwhile: a store that somebody else writes is left for the next time. */
static enum rc
begin_quickly(struct certstore *store, struct err *err)
{
	enum rc rc;

	certstore_lock(store);
	sqlite3_busy_timeout(store->db, BUSY_MS);
	rc = certstore_begin(store, err);
	sqlite3_busy_timeout(store->db, CERTSTORE_BUSY_MS);
	certstore_unlock(store); /* what certstore_begin took remains */
	return rc;
}

/* Called with the list's lock. */
static enum rc
flush(struct certstore *store, struct certstore_uses *uses, struct err *err)
{
	enum rc rc;

	if (uses->n == 0)
		return RC_OK;
	if ((rc = begin_quickly(store, err)) != RC_OK)
		return rc;
	for (size_t i = 0; rc == RC_OK && i < uses->n; i++)
		rc = write_use(store, &uses->pending[i], err);
	rc = certstore_end(store, rc, err);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < uses->n; i++)
		use_fini(&uses->pending[i]);
	uses->n = 0;
	return RC_OK;
}

enum rc
certstore_used_flush(struct certstore *store, struct err *err)
{
	struct certstore_uses *uses = uses_of(store);
	enum rc rc;

	if (!uses)
		return err_set(err, ERR_MEMORY, "certificate store");
	pthread_mutex_lock(&uses->lock);
	rc = flush(store, uses, err);
	pthread_mutex_unlock(&uses->lock);
	return rc;
}

/* Takes a use into the list; full or out of memory, it is left out until tomorrow's. */
static void
note(struct certstore_uses *uses, const char *addr, struct cert *cert, const char *source)
{
	int64_t now = clock_now();
	uint64_t hash = hash_of(addr, cert);
	struct known *known = &uses->known[hash % SLOTS];
	struct use use = {.addr = strdup(addr), .source = strdup(source), .at = now};

	if ((known->hash == hash && known->day == now / DAY_S + 1) || uses->n == PENDING ||
		!use.addr || !use.source) {
		use_fini(&use);
		return;
	}
	use.cert = cert_ref(cert);
	if (uses->n == 0)
		uses->first_ms = clock_monotonic_ms();
	uses->pending[uses->n++] = use;
	*known = (struct known){.hash = hash, .day = now / DAY_S + 1};
}

void
certstore_used(struct certstore *store, const char *addr, struct cert *cert, const char *source)
{
	struct certstore_uses *uses = uses_of(store);
	struct err err = ERR_INIT;
	int64_t waited;

	if (!uses)
		return;
	pthread_mutex_lock(&uses->lock);
	note(uses, addr, cert, source);
	waited = clock_monotonic_ms() - uses->first_ms;
	if (uses->n > 0 && (waited >= CERTSTORE_USED_S * 1000 ||
				   (uses->n == PENDING && waited >= CERTSTORE_BUSY_MS))) {
		if (flush(store, uses, &err) != RC_OK) {
			log_error(LOGL_WARN, NULL, "certstore-used", &err, NULL);
			uses->first_ms = clock_monotonic_ms();
		}
	}
	pthread_mutex_unlock(&uses->lock);
}

void
certstore_uses_close(struct certstore *store)
{
	struct certstore_uses *uses = store->uses;

	if (!uses)
		return;
	if (store->db)
		(void)flush(store, uses, NULL);
	for (size_t i = 0; i < uses->n; i++)
		use_fini(&uses->pending[i]);
	pthread_mutex_destroy(&uses->lock);
	free(uses);
	store->uses = NULL;
}
