/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certstore_change.c - an administrator's acts on a certificate of the store: pin, forget, erase
 *
 * Each is a row of the history, in the same transaction.
 */
#include "config.h"

#include "directory/certstore_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum rc
certstore_fingerprint_id(
	struct certstore *store, const char *fingerprint, int64_t *id, struct err *err)
{
	static const char sql[] = "SELECT id FROM certs WHERE sha256 BETWEEN ?1 AND ?2 LIMIT 2";
	unsigned char low[SHA256_SIZE], high[SHA256_SIZE];
	sqlite3_stmt *stmt = NULL;
	enum rc rc;

	*id = 0;
	if (!certstore_prefix(fingerprint, low, high))
		return err_set(err, ERR_USAGE, "a fingerprint is 4 to 64 hex digits");
	certstore_lock(store);
	rc = certstore_stmt(store, sql, &stmt, err);
	if (rc == RC_OK)
		rc = certstore_bind(store, stmt, err, "bb", low, sizeof(low), high, sizeof(high));
	if (rc == RC_OK && (rc = certstore_step(store, stmt, err)) == RC_OK) {
		*id = sqlite3_column_int64(stmt, 0);
		rc = certstore_step(store, stmt, err);
		if (rc == RC_OK)
			rc = err_set(err, ERR_USAGE, "%s: more than one certificate begins so",
				fingerprint);
		else if (rc == RC_NONE)
			rc = RC_OK;
	}
	certstore_done(stmt);
	certstore_unlock(store);
	return rc;
}

/* The oldest events of an address go when there are too many. */
static enum rc
trim(struct certstore *store, const char *addr, struct err *err)
{
	static const char sql[] =
		"DELETE FROM history WHERE addr = ?1 AND id <= (SELECT id FROM history"
		" WHERE addr = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";

	return certstore_exec(store, err, sql, "ti", addr, (int64_t)CERTSTORE_MAX_EVENTS);
}

enum rc
certstore_remember(struct certstore *store, const struct certstore_event *event, struct err *err)
{
	static const char sql[] = "INSERT INTO history (addr, cert, what, at, source, who, why)"
				  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
	enum rc rc = certstore_exec(store, err, sql, "tiiittt", event->addr, event->cert,
		(int64_t)event->what, event->at, event->source, event->who, event->why);

	return rc == RC_OK ? trim(store, event->addr, err) : rc;
}

enum rc
certstore_drop_cert(struct certstore *store, int64_t id, struct err *err)
{
	static const char sql[] = "DELETE FROM certs WHERE id = ?1"
				  " AND NOT EXISTS (SELECT 1 FROM filed WHERE cert = ?1)"
				  " AND NOT EXISTS (SELECT 1 FROM anchors WHERE cert = ?1)"
				  " AND NOT EXISTS (SELECT 1 FROM history WHERE cert = ?1)"
				  " AND NOT EXISTS (SELECT 1 FROM used WHERE cert = ?1)"
				  " AND NOT EXISTS (SELECT 1 FROM shown WHERE cert = ?1)"
				  " AND NOT EXISTS (SELECT 1 FROM pending WHERE cert = ?1)";

	return certstore_exec(store, err, sql, "i", id);
}

/* One act on the filings of a certificate. */
struct act {
	enum certevent what;
	int64_t id;
	const char *addr; /* NULL: all */
	const struct certword *word;
	bool anchors; /* also where it is an anchor */
};

/* The next filing after LAST that ACT is about; its address goes to *ADDR. For a forgotten one the
 * word that was given for it becomes history. */
static enum rc
next_filing(struct certstore *store, const struct act *act, const char *last, char **addr,
	struct err *err)
{
	static const char sql[] =
		"SELECT addr, source, vouched, why, word_at FROM filed WHERE cert = ?1"
		" AND addr > ?2 AND (?3 = '' OR addr = ?3) ORDER BY addr LIMIT 1";
	sqlite3_stmt *stmt = NULL;
	enum rc rc = certstore_stmt(store, sql, &stmt, err);

	if (rc == RC_OK)
		rc = certstore_bind(store, stmt, err, "itt", act->id, last, act->addr);
	if (rc == RC_OK)
		rc = certstore_step(store, stmt, err);
	if (rc == RC_OK)
		rc = certstore_text(stmt, 0, addr, err);
	if (rc == RC_OK && act->what == CERTEVENT_FORGOTTEN)
		rc = certstore_remember(store,
			&(struct certstore_event){*addr, act->id, CERTEVENT_ADDED,
				sqlite3_column_int64(stmt, 4),
				(const char *)sqlite3_column_text(stmt, 1),
				(const char *)sqlite3_column_text(stmt, 2),
				(const char *)sqlite3_column_text(stmt, 3)},
			err);
	certstore_done(stmt);
	return rc;
}

static enum rc
change_filing(struct certstore *store, const struct act *act, const char *addr, int *changed,
	struct err *err)
{
	static const char pin[] = "UPDATE filed SET pinned = 1 WHERE cert = ?1 AND addr = ?2"
				  " AND NOT pinned",
			  unpin[] = "UPDATE filed SET pinned = 0 WHERE cert = ?1 AND addr = ?2"
				    " AND pinned",
			  forget[] = "DELETE FROM filed WHERE cert = ?1 AND addr = ?2";
	const char *sql = act->what == CERTEVENT_PINNED     ? pin
			  : act->what == CERTEVENT_UNPINNED ? unpin
							    : forget;
	sqlite3_stmt *stmt = NULL;
	enum rc rc = certstore_stmt(store, sql, &stmt, err);

	if (rc == RC_OK)
		rc = certstore_bind(store, stmt, err, "it", act->id, addr);
	if (rc == RC_OK)
		rc = certstore_run(store, stmt, changed, err);
	certstore_done(stmt);
	if (rc == RC_OK && *changed) /* what is so already is no event */
		rc = certstore_remember(store,
			&(struct certstore_event){addr, act->id, (int)act->what, clock_now(), "",
				act->word->who, act->word->why},
			err);
	return rc;
}

static enum rc
forget_anchor(struct certstore *store, const struct act *act, struct err *err)
{
	static const char add[] =
		"INSERT INTO history (addr, cert, what, at, source, who, why) SELECT"
		" '', cert, 1, word_at, source, vouched, why FROM anchors WHERE cert = ?1",
			  forget[] = "DELETE FROM anchors WHERE cert = ?1";
	sqlite3_stmt *stmt = NULL;
	int changed = 0;
	enum rc rc = certstore_exec(store, err, add, "i", act->id);

	if (rc == RC_OK)
		rc = certstore_stmt(store, forget, &stmt, err);
	if (rc == RC_OK)
		rc = certstore_bind(store, stmt, err, "i", act->id);
	if (rc == RC_OK)
		rc = certstore_run(store, stmt, &changed, err);
	certstore_done(stmt);
	if (rc == RC_OK && changed)
		rc = certstore_remember(store,
			&(struct certstore_event){"", act->id, CERTEVENT_FORGOTTEN, clock_now(), "",
				act->word->who, act->word->why},
			err);
	return rc == RC_OK && !changed ? RC_NONE : rc;
}

/* Does ACT on each filing; RC_NONE when there is none. */
static enum rc
act_on(struct certstore *store, const struct act *act, struct err *err)
{
	char *last = NULL, *addr = NULL;
	bool any = false;
	int changed;
	enum rc rc;

	while ((rc = next_filing(store, act, last, &addr, err)) == RC_OK) {
		any = true;
		free(last);
		last = addr;
		if ((rc = change_filing(store, act, addr, &changed, err)) != RC_OK)
			break;
		certstore_touch(store);
	}
	if (rc == RC_NONE && act->anchors && (rc = forget_anchor(store, act, err)) == RC_OK) {
		any = true;
		certstore_touch(store);
	}
	free(last);
	return rc == RC_NONE && any ? RC_OK : rc;
}

static enum rc
change(struct certstore *store, const char *fingerprint, struct act *act, struct err *err)
{
	char who[CERTSTORE_MAX_WORD + 1], why[CERTSTORE_MAX_WORD + 1];
	const struct certword word = {.who = certstore_word(act->word ? act->word->who : NULL, who),
		.why = certstore_word(act->word ? act->word->why : NULL, why)};
	enum rc rc = certstore_begin(store, err);

	if (rc != RC_OK)
		return rc;
	act->word = &word;
	rc = certstore_fingerprint_id(store, fingerprint, &act->id, err);
	if (rc == RC_OK)
		rc = act_on(store, act, err);
	return certstore_end(store, rc, err);
}

enum rc
certstore_pin(struct certstore *store, const char *fingerprint, const char *addr, bool pinned,
	const struct certword *word, struct err *err)
{
	struct act act = {
		.what = pinned ? CERTEVENT_PINNED : CERTEVENT_UNPINNED, .addr = addr, .word = word};

	return change(store, fingerprint, &act, err);
}

enum rc
certstore_forget(struct certstore *store, const char *fingerprint, const char *addr,
	const struct certword *word, struct err *err)
{
	struct act act = {
		.what = CERTEVENT_FORGOTTEN, .addr = addr, .word = word, .anchors = !addr};

	return change(store, fingerprint, &act, err);
}

enum rc
certstore_erase(struct certstore *store, const char *fingerprint, struct err *err)
{
	static const char *const tables[] = {"DELETE FROM filed WHERE cert = ?1",
		"DELETE FROM anchors WHERE cert = ?1", "DELETE FROM history WHERE cert = ?1",
		"DELETE FROM used WHERE cert = ?1", "DELETE FROM shown WHERE cert = ?1",
		"DELETE FROM pending WHERE cert = ?1"};
	int64_t id = 0;
	enum rc rc = certstore_begin(store, err);

	if (rc != RC_OK)
		return rc;
	rc = certstore_fingerprint_id(store, fingerprint, &id, err);
	for (size_t i = 0; rc == RC_OK && i < sizeof(tables) / sizeof(*tables); i++)
		rc = certstore_exec(store, err, tables[i], "i", id);
	if (rc == RC_OK)
		rc = certstore_drop_cert(store, id, err);
	certstore_touch(store);
	return certstore_end(store, rc, err);
}
