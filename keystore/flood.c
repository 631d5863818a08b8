/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/flood.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE     60
#define HOUR       3600
#define CREDIT_MAX 10000000

struct account {
	char service[65];
	int64_t credit, hour;
};

struct flood {
	pthread_mutex_t lock;
	struct flood_kind kinds[FLOOD_KINDS + 1]; /* the last one: all that had no room */
	int64_t seen[FLOOD_KINDS + 1];            /* how many were recorded by themselves */
	size_t n;
	int64_t minute;   /* the one that KINDS are of, but for those that wait to be written */
	int64_t admitted; /* in it */
	struct account accounts[FLOOD_SERVICES];
	size_t n_accounts;
};

enum rc
flood_new(struct flood **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "refusals");
	pthread_mutex_init(&(*out)->lock, NULL);
	return RC_OK;
}

void
flood_free(struct flood **flood)
{
	if (!*flood)
		return;
	pthread_mutex_destroy(&(*flood)->lock);
	free(*flood);
	*flood = NULL;
}

static bool
is_kind(const struct flood_kind *kind, const struct flood_kind *other)
{
	return strcmp(kind->service, other->service) == 0 && strcmp(kind->use, other->use) == 0 &&
	       strcmp(kind->key, other->key) == 0 && strcmp(kind->reason, other->reason) == 0;
}

/* The place of a kind; the last one when there is no room. */
static size_t
place_of(struct flood *flood, const struct flood_kind *wanted)
{
	for (size_t i = 0; i < flood->n; i++)
		if (is_kind(&flood->kinds[i], wanted))
			return i;
	if (flood->n == FLOOD_KINDS) {
		struct flood_kind *rest = &flood->kinds[FLOOD_KINDS];

		snprintf(rest->service, sizeof(rest->service), "%s", wanted->service);
		snprintf(rest->use, sizeof(rest->use), "%s", wanted->use);
		snprintf(rest->reason, sizeof(rest->reason), "many");
		return FLOOD_KINDS;
	}
	flood->kinds[flood->n] = *wanted;
	flood->seen[flood->n] = 0;
	return flood->n++;
}

/* A new minute: what has nothing left to write goes. */
static void
begin_minute(struct flood *flood, int64_t now)
{
	size_t kept = 0;

	if (flood->minute == now / MINUTE)
		return;
	flood->minute = now / MINUTE;
	flood->admitted = 0;
	for (size_t i = 0; i < flood->n; i++)
		if (flood->kinds[i].count) {
			flood->seen[kept] = 0;
			flood->kinds[kept++] = flood->kinds[i];
		}
	flood->n = kept;
	flood->seen[FLOOD_KINDS] = 0;
}

bool
flood_admits(struct flood *flood, const char *service, const char *use, const char *key,
	const char *reason, int64_t now)
{
	struct flood_kind wanted = {.count = 0};
	size_t i;
	bool admits;

	snprintf(wanted.service, sizeof(wanted.service), "%s", service);
	snprintf(wanted.use, sizeof(wanted.use), "%s", use);
	snprintf(wanted.key, sizeof(wanted.key), "%s", key ? key : "");
	snprintf(wanted.reason, sizeof(wanted.reason), "%s", reason);
	pthread_mutex_lock(&flood->lock);
	begin_minute(flood, now);
	i = place_of(flood, &wanted);
	admits = i < FLOOD_KINDS && flood->seen[i] < FLOOD_EACH && flood->admitted < FLOOD_ALL;
	if (admits) {
		flood->seen[i]++;
		flood->admitted++;
	} else {
		struct flood_kind *kind = &flood->kinds[i];

		if (kind->count++ == 0)
			kind->first = now;
		kind->last = now;
	}
	pthread_mutex_unlock(&flood->lock);
	return admits;
}

/* The next one that is due at or behind I; false: none. A copy, for EACH may take its time. */
static bool
next_due(struct flood *flood, size_t *i, int64_t now, bool all, struct flood_kind *out)
{
	bool found = false;

	pthread_mutex_lock(&flood->lock);
	for (; *i <= FLOOD_KINDS && !found; ++*i) {
		const struct flood_kind *kind = &flood->kinds[*i];

		if (*i >= flood->n && *i < FLOOD_KINDS)
			continue;
		found = kind->count && (all || kind->first / MINUTE != now / MINUTE);
		if (found)
			*out = *kind;
	}
	pthread_mutex_unlock(&flood->lock);
	return found;
}

/* What was written is no longer counted; more may have come meanwhile. */
static void
settle(struct flood *flood, const struct flood_kind *written)
{
	pthread_mutex_lock(&flood->lock);
	for (size_t i = 0; i <= FLOOD_KINDS; i++) {
		struct flood_kind *kind = &flood->kinds[i];

		if ((i < flood->n || i == FLOOD_KINDS) && kind->count && is_kind(kind, written)) {
			kind->count -= written->count;
			kind->first = kind->last;
			break;
		}
	}
	pthread_mutex_unlock(&flood->lock);
}

void
flood_flush(struct flood *flood, int64_t now, bool all, flood_each *each, void *ctx)
{
	struct flood_kind kind;
	size_t i = 0;

	while (next_due(flood, &i, now, all, &kind))
		if (each(ctx, &kind))
			settle(flood, &kind);
}

/* The account of SERVICE; NULL when there are too many services. */
static struct account *
account_of(struct flood *flood, const char *service, int64_t now)
{
	struct account *account = flood->accounts;
	size_t i = 0;

	while (i < flood->n_accounts && strcmp(account[i].service, service) != 0)
		i++;
	if (i == FLOOD_SERVICES)
		return NULL;
	account += i;
	if (i == flood->n_accounts) {
		snprintf(account->service, sizeof(account->service), "%s", service);
		flood->n_accounts++;
	}
	if (account->hour != now / HOUR && account->credit < FLOOD_SPARE)
		account->credit = FLOOD_SPARE;
	account->hour = now / HOUR;
	return account;
}

void
flood_credit(struct flood *flood, const char *service, size_t recipients, int64_t now)
{
	struct account *account;

	pthread_mutex_lock(&flood->lock);
	account = account_of(flood, service, now);
	if (account && account->credit < CREDIT_MAX)
		account->credit += (int64_t)recipients + 1;
	pthread_mutex_unlock(&flood->lock);
}

bool
flood_spend(struct flood *flood, const char *service, int64_t now)
{
	struct account *account;
	bool has;

	pthread_mutex_lock(&flood->lock);
	account = account_of(flood, service, now);
	has = !account || account->credit > 0;
	if (account && has)
		account->credit--;
	pthread_mutex_unlock(&flood->lock);
	return has;
}
