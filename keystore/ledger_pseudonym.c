/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_pseudonym.h"

#include "base/clock.h"
#include "crypto/mac.h"

#include <stdlib.h>
#include <string.h>

#define DAY 86400

void
ledger_period(int64_t seconds, char out[LEDGER_PERIOD_SIZE])
{
	char time[CLOCK_TEXT_SIZE];

	memcpy(out, clock_format(seconds, time), LEDGER_PERIOD_SIZE - 1);
	out[LEDGER_PERIOD_SIZE - 1] = '\0';
}

enum rc
ledger_pseudonym(
	struct secret *key, const char *addr, char out[LEDGER_PSEUDONYM_SIZE], struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char mac[MAC_SIZE];
	enum rc rc = mac_bytes(secret_data(key), secret_len(key), addr, strlen(addr), mac, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < (LEDGER_PSEUDONYM_SIZE - 1) / 2; i++) {
		out[2 * i] = digits[mac[i] >> 4];
		out[2 * i + 1] = digits[mac[i] & 15];
	}
	out[LEDGER_PSEUDONYM_SIZE - 1] = '\0';
	return RC_OK;
}

enum rc
pseudonyms_init(struct pseudonyms *pseudonyms, struct err *err)
{
	*pseudonyms = (struct pseudonyms){.day = -1};
	pthread_rwlock_init(&pseudonyms->lock, NULL);
	pthread_mutex_init(&pseudonyms->kept_lock, NULL);
	pseudonyms->kept = calloc(PSEUDONYMS_KEPT, sizeof *pseudonyms->kept);
	return pseudonyms->kept ? RC_OK : err_set(err, ERR_MEMORY, "pseudonyms");
}

/* With nobody else at work. */
static void
forget_all(struct pseudonyms *pseudonyms)
{
	if (pseudonyms->kept)
		secret_wipe(pseudonyms->kept, PSEUDONYMS_KEPT * sizeof *pseudonyms->kept);
}

void
pseudonyms_fini(struct pseudonyms *pseudonyms)
{
	forget_all(pseudonyms);
	free(pseudonyms->kept);
	secret_free(&pseudonyms->key);
	pthread_mutex_destroy(&pseudonyms->kept_lock);
	pthread_rwlock_destroy(&pseudonyms->lock);
}

/* The key for the month of the day TODAY, fetched when the month is a new one. Call with the lock
 * held for writing. */
static enum rc
refresh(struct pseudonyms *pseudonyms, int64_t today, const struct ledger_keys *keys,
	struct err *err)
{
	char period[LEDGER_PERIOD_SIZE];
	struct secret *key = NULL;
	enum rc rc;

	ledger_period(today * DAY, period);
	if (pseudonyms->key && strcmp(period, pseudonyms->period) == 0) {
		pseudonyms->day = today;
		return RC_OK;
	}
	rc = keys->period_key(keys->ctx, period, true, &key, err);
	if (rc == RC_OK && secret_len(key) != LEDGER_PERIOD_KEY_SIZE) {
		secret_free(&key);
		rc = err_set(err, ERR_LEDGER, "a pseudonym key of a wrong size");
	}
	if (rc == RC_NONE)
		rc = err_set(err, ERR_LEDGER, "no pseudonym key for %s", period);
	if (rc)
		return rc;
	forget_all(pseudonyms);
	secret_free(&pseudonyms->key);
	pseudonyms->key = key;
	pseudonyms->day = today;
	memcpy(pseudonyms->period, period, sizeof period);
	return RC_OK;
}

enum rc
pseudonyms_lock(struct pseudonyms *pseudonyms, const struct ledger_keys *keys, struct err *err)
{
	int64_t today;
	enum rc rc;

	for (;;) {
		today = clock_now() / DAY;
		pthread_rwlock_rdlock(&pseudonyms->lock);
		if (pseudonyms->key && pseudonyms->day == today)
			return RC_OK;
		pthread_rwlock_unlock(&pseudonyms->lock);
		pthread_rwlock_wrlock(&pseudonyms->lock);
		rc = refresh(pseudonyms, today, keys, err);
		pthread_rwlock_unlock(&pseudonyms->lock);
		if (rc)
			return rc;
	}
}

void
pseudonyms_unlock(struct pseudonyms *pseudonyms)
{
	pthread_rwlock_unlock(&pseudonyms->lock);
}

/* Where ADDR's pseudonym is kept: a newer one takes its place. NULL: not at all. */
static struct pseudonym *
place_of(struct pseudonyms *pseudonyms, const char *addr)
{
	uint32_t hash = 2166136261u;
	size_t len = 0;

	for (; addr[len]; len++)
		hash = (hash ^ (unsigned char)addr[len]) * 16777619u;
	return pseudonyms->kept && len > 0 && len <= PSEUDONYMS_ADDR
		       ? &pseudonyms->kept[hash % PSEUDONYMS_KEPT]
		       : NULL;
}

enum rc
pseudonyms_get(struct pseudonyms *pseudonyms, const char *addr, char out[LEDGER_PSEUDONYM_SIZE],
	struct err *err)
{
	struct pseudonym *place = place_of(pseudonyms, addr);
	bool known = false;
	enum rc rc;

	if (place) {
		pthread_mutex_lock(&pseudonyms->kept_lock);
		known = strcmp(place->addr, addr) == 0;
		if (known)
			memcpy(out, place->text, LEDGER_PSEUDONYM_SIZE);
		pthread_mutex_unlock(&pseudonyms->kept_lock);
	}
	if (known)
		return RC_OK;
	rc = ledger_pseudonym(pseudonyms->key, addr, out, err);
	if (rc == RC_OK && place) {
		pthread_mutex_lock(&pseudonyms->kept_lock);
		strcpy(place->addr, addr);
		memcpy(place->text, out, LEDGER_PSEUDONYM_SIZE);
		pthread_mutex_unlock(&pseudonyms->kept_lock);
	}
	return rc;
}
