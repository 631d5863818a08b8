/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_erase.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#define KEY_PREFIX  "ledger-period-"
#define MARK_PREFIX "ledger-erase-"
#define NAME_SIZE   64

bool
ledger_is_period(const char *text)
{
	if (!text || strlen(text) != LEDGER_PERIOD_SIZE - 1)
		return false;
	for (size_t i = 0; i < LEDGER_PERIOD_SIZE - 1; i++)
		if (i == 4 ? text[i] != '-' : text[i] < '0' || text[i] > '9')
			return false;
	return strcmp(text + 5, "01") >= 0 && strcmp(text + 5, "12") <= 0;
}

enum rc
ledger_period_key(
	struct store *store, const char *period, bool create, struct secret **key, struct err *err)
{
	char name[NAME_SIZE];
	enum rc rc;

	snprintf(name, sizeof name, KEY_PREFIX "%.32s", period);
	rc = store_get_secret(store, name, key, err);
	if (rc != RC_NONE || !create)
		return rc;
	rc = secret_random(LEDGER_PERIOD_KEY_SIZE, key, err);
	if (rc == RC_OK)
		rc = store_put_secret(store, name, *key, err);
	if (rc)
		secret_free(key);
	return rc;
}

struct naming {
	size_t skip; /* length of the prefix */
	ledger_each_period *each;
	void *ctx;
};

static enum rc
name_period(void *ctx, const char *name, struct err *err)
{
	struct naming *naming = ctx;
	const char *period = name + naming->skip;

	return ledger_is_period(period) ? naming->each(naming->ctx, period, err) : RC_OK;
}

enum rc
ledger_periods(struct store *store, ledger_each_period *each, void *ctx, struct err *err)
{
	struct naming naming = {strlen(KEY_PREFIX), each, ctx};

	return store_list_secrets(store, KEY_PREFIX, name_period, &naming, err);
}

/* Keeps the last one, which is the newest. */
static enum rc
keep_newest(void *ctx, const char *period, struct err *err)
{
	(void)err;
	memcpy(ctx, period, LEDGER_PERIOD_SIZE);
	return RC_OK;
}

/* Is PERIOD over? The clock may have been set back, so the newest key has a word too. */
static enum rc
check_past(struct store *store, const char *period, struct err *err)
{
	char now[LEDGER_PERIOD_SIZE], newest[LEDGER_PERIOD_SIZE] = "";
	enum rc rc = ledger_periods(store, keep_newest, newest, err);

	if (rc)
		return rc;
	ledger_period(clock_now(), now);
	if (strcmp(period, now) >= 0)
		return err_set(err, ERR_USAGE, "%s is not over: its key is in use", period);
	if (strcmp(period, newest) == 0)
		return err_set(err, ERR_USAGE,
			"%s is the newest month in the ledger: its key may be in use", period);
	return RC_OK;
}

/* The record, then the end of key and mark. */
static enum rc
finish(struct ledger *ledger, struct store *store, const char *period, int64_t uid, int64_t pid,
	uint64_t *seq, struct err *err)
{
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_ADMIN);
	char detail[64], key[NAME_SIZE], mark[NAME_SIZE];
	enum rc rc;

	snprintf(key, sizeof key, KEY_PREFIX "%s", period);
	snprintf(mark, sizeof mark, MARK_PREFIX "%s", period);
	snprintf(detail, sizeof detail, "{\"period\":\"%s\"}", period);
	record.event = "audit.erase";
	record.observed.service = "admin";
	record.observed.uid = uid;
	record.observed.pid = pid;
	record.detail = detail;
	rc = ledger_append(ledger, &record, seq, err);
	if (rc == RC_OK)
		rc = store_del_secrets(store, key, key, err);
	/* Gone from the table; its bytes may still stand in the write-ahead log. */
	if (rc == RC_OK)
		rc = store_checkpoint(store, err);
	return rc == RC_OK ? store_del_secrets(store, mark, mark, err) : rc;
}

enum rc
ledger_erase(struct ledger *ledger, struct store *store, const char *period, int64_t uid,
	int64_t pid, uint64_t *seq, struct err *err)
{
	struct secret *secret = NULL;
	char mark[NAME_SIZE];
	enum rc rc;

	*seq = 0;
	if (!ledger_is_period(period))
		return err_set(err, ERR_USAGE, "a period is a month like 2026-05");
	rc = check_past(store, period, err);
	if (rc == RC_OK)
		rc = ledger_period_key(store, period, false, &secret, err);
	secret_free(&secret);
	snprintf(mark, sizeof mark, MARK_PREFIX "%s", period);
	if (rc == RC_NONE) /* gone, but perhaps not to its last byte */
		rc = store_get_secret(store, mark, &secret, err);
	secret_free(&secret);
	if (rc)
		return rc;
	rc = secret_copy("1", 1, &secret, err);
	if (rc == RC_OK)
		rc = store_put_secret(store, mark, secret, err);
	secret_free(&secret);
	return rc == RC_OK ? finish(ledger, store, period, uid, pid, seq, err) : rc;
}

/* One mark that is left. */
static enum rc
first_mark(void *ctx, const char *period, struct err *err)
{
	(void)err;
	memcpy(ctx, period, LEDGER_PERIOD_SIZE);
	return RC_NONE;
}

enum rc
ledger_erase_resume(struct ledger *ledger, struct store *store, struct err *err)
{
	enum rc rc;

	for (;;) {
		char period[LEDGER_PERIOD_SIZE] = "";
		struct naming naming = {strlen(MARK_PREFIX), first_mark, period};
		uint64_t seq;

		rc = store_list_secrets(store, MARK_PREFIX, name_period, &naming, err);
		if (!*period)
			return rc == RC_NONE ? RC_OK : rc;
		rc = finish(ledger, store, period, -1, -1, &seq, err);
		if (rc)
			return rc;
		log_event(LOGL_WARN, NULL, "ledger-erased", "period", period, "record",
			LOG_NUM(seq), "reason", "an erasure had been interrupted", NULL);
	}
}
