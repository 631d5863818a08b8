/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store_officer.h"

#include <stdlib.h>
#include <string.h>

#include "keystore/store_row.h"

#define QUORUM          "quorum" /* the id of the only row */
#define OFFICER_COLUMNS "id, name, keyid, since, until, seq, cert, mac"
#define REQUEST_COLUMNS                                                                    \
	"id, act, state, uses, max_uses, quorum, made, expires, changed, head, hash, seq," \
	" command, text, mac"
#define APPROVAL_COLUMNS "id, request, officer, at, sha256, seq, cms, mac"
#define USES_MAX         1000

static const char *const states[REQUEST_STATES] = {"open", "done", "withdrawn", "expired", "void"};

const char *
request_state_name(enum request_state state)
{
	return state < REQUEST_STATES ? states[state] : "?";
}

/* --- officers --- */

void
store_officer_fini(struct store_officer *officer)
{
	cert_unref(&officer->cert);
}

void
officers_fini(struct officers *officers)
{
	for (size_t i = 0; i < officers->n; i++)
		store_officer_fini(&officers->v[i]);
	officers->n = 0;
}

static void
put_officer(struct row *row, const void *what)
{
	const struct store_officer *officer = what;
	size_t len;
	const unsigned char *der = cert_der(officer->cert, &len);

	row_put_text(row, officer->id);
	row_put_text(row, officer->name);
	row_put_text(row, officer->keyid);
	row_put_int(row, officer->since);
	row_put_int(row, officer->until);
	row_put_int(row, officer->seq);
	row_put_blob(row, der, len);
}

enum rc
store_put_officer(struct store *store, const struct store_officer *officer, struct err *err)
{
	return row_store(store, "officers",
		"INSERT OR REPLACE INTO officers(" OFFICER_COLUMNS
		") VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
		put_officer, officer, err);
}

static enum rc
read_officer(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	struct store_officer *out = what;
	const void *der;
	size_t len;
	struct row row;
	enum rc rc;

	out->cert = NULL;
	row_read(&row, store, "officers", st);
	row_get_text(&row, out->id, sizeof(out->id));
	row_get_text(&row, out->name, sizeof(out->name));
	row_get_text(&row, out->keyid, sizeof(out->keyid));
	out->since = row_get_int(&row, 0, INT64_MAX);
	out->until = row_get_int(&row, 0, INT64_MAX);
	out->seq = row_get_int(&row, 0, INT64_MAX);
	der = row_get_blob(&row, &len);
	rc = row_check(&row, err);
	return rc ? rc : cert_parse(der, len, &out->cert, err);
}

static enum rc
read_officers(struct store *store, struct officers *out, struct err *err)
{
	struct store_officer officer;
	struct rows rows;
	enum rc rc;

	rows_begin(&rows, store,
		"SELECT " OFFICER_COLUMNS " FROM officers WHERE until = 0 ORDER BY id", err);
	while ((rc = rows_next(&rows, read_officer, &officer, err)) == RC_OK) {
		if (out->n == OFFICERS_MAX) {
			store_officer_fini(&officer);
			rc = err_set(
				err, ERR_KEYSTORE_TAMPERED, "more than %d officers", OFFICERS_MAX);
			break;
		}
		out->v[out->n++] = officer;
	}
	return rows_end(&rows, rc);
}

static enum rc
read_quorum(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	struct officers *out = what;
	char id[STORE_ID_SIZE];
	struct row row;

	row_read(&row, store, "quorum", st);
	row_get_text(&row, id, sizeof(id));
	out->threshold = (int)row_get_int(&row, OFFICERS_MIN, OFFICERS_MAX);
	out->changed = row_get_int(&row, 0, INT64_MAX);
	out->seq = row_get_int(&row, 0, INT64_MAX);
	return row_check(&row, err);
}

enum rc
store_get_officers(struct store *store, struct officers *out, struct err *err)
{
	enum rc rc;

	out->n = 0;
	pthread_mutex_lock(&store->lock);
	rc = row_find(store, "SELECT id, threshold, changed, seq, mac FROM quorum WHERE id = ?",
		QUORUM, read_quorum, out, err);
	if (!rc)
		rc = read_officers(store, out, err);
	pthread_mutex_unlock(&store->lock);
	if (!rc && out->n < (size_t)out->threshold)
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "%zu officers, but %d have to approve",
			out->n, out->threshold);
	if (rc)
		officers_fini(out);
	return rc;
}

enum rc
store_put_quorum(struct store *store, int threshold, int64_t changed, int64_t seq, struct err *err)
{
	struct row row;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = row_begin(&row, store, "quorum",
		"INSERT OR REPLACE INTO quorum(id, threshold, changed, seq, mac)"
		" VALUES(?, ?, ?, ?, ?)",
		err);
	if (!rc) {
		row_put_text(&row, QUORUM);
		row_put_int(&row, threshold);
		row_put_int(&row, changed);
		row_put_int(&row, seq);
		rc = row_seal(&row, err);
		if (!rc)
			rc = store_run(store, row.st, err);
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

/* --- requests --- */

void
store_act_fini(struct store_act *request)
{
	free(request->command);
	free(request->text);
	request->command = request->text = NULL;
}

static void
put_act(struct row *row, const void *what)
{
	const struct store_act *request = what;

	row_put_text(row, request->id);
	row_put_text(row, request->act);
	row_put_int(row, request->state);
	row_put_int(row, request->uses);
	row_put_int(row, request->max_uses);
	row_put_int(row, request->quorum);
	row_put_int(row, request->made);
	row_put_int(row, request->expires);
	row_put_int(row, request->changed);
	row_put_int(row, request->head);
	row_put_text(row, request->hash);
	row_put_int(row, request->seq);
	row_put_text(row, request->command);
	row_put_blob(row, request->text, request->len);
}

enum rc
store_put_act(struct store *store, const struct store_act *request, struct err *err)
{
	return row_store(store, "acts",
		"INSERT OR REPLACE INTO acts(" REQUEST_COLUMNS
		") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		put_act, request, err);
}

/* LEN bytes as a string, or NULL. */
static char *
copy_text(const void *data, size_t len)
{
	char *text = malloc(len + 1);

	if (text && len)
		memcpy(text, data, len);
	if (text)
		text[len] = 0;
	return text;
}

static enum rc
read_request(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	struct store_act *out = what;
	char *command = malloc(REQUEST_TEXT_MAX);
	const void *text;
	struct row row;
	enum rc rc;

	*out = (struct store_act){0};
	if (!command)
		return err_set(err, ERR_MEMORY, "request");
	row_read(&row, store, "acts", st);
	row_get_text(&row, out->id, sizeof(out->id));
	row_get_text(&row, out->act, sizeof(out->act));
	out->state = (enum request_state)row_get_int(&row, 0, REQUEST_STATES - 1);
	out->uses = (int)row_get_int(&row, 0, USES_MAX);
	out->max_uses = (int)row_get_int(&row, 1, USES_MAX);
	out->quorum = row_get_int(&row, 0, INT64_MAX);
	out->made = row_get_int(&row, 0, INT64_MAX);
	out->expires = row_get_int(&row, 0, INT64_MAX);
	out->changed = row_get_int(&row, 0, INT64_MAX);
	out->head = row_get_int(&row, 0, INT64_MAX);
	row_get_text(&row, out->hash, sizeof(out->hash));
	out->seq = row_get_int(&row, 0, INT64_MAX);
	row_get_text(&row, command, REQUEST_TEXT_MAX);
	text = row_get_blob(&row, &out->len);
	rc = row_check(&row, err);
	if (!rc) {
		out->command = copy_text(command, strlen(command));
		out->text = copy_text(text, out->len);
		if (!out->command || !out->text)
			rc = err_set(err, ERR_MEMORY, "request");
	}
	free(command);
	if (rc)
		store_act_fini(out);
	return rc;
}

enum rc
store_get_act(struct store *store, const char *id, struct store_act *out, struct err *err)
{
	enum rc rc;

	*out = (struct store_act){0};
	rc = row_find(store, "SELECT " REQUEST_COLUMNS " FROM acts WHERE id = ?", id, read_request,
		out, err);
	if (!rc && strcmp(out->id, id) != 0) {
		store_act_fini(out);
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "index of table acts");
	}
	return rc;
}

enum rc
store_list_acts(struct store *store, bool only_open, size_t max, store_each_act *each, void *ctx,
	struct err *err)
{
	struct store_act request;
	struct rows rows;
	enum rc rc;

	rows_begin(&rows, store,
		"SELECT " REQUEST_COLUMNS
		" FROM acts WHERE state <= ?1 ORDER BY seq DESC, id LIMIT ?2",
		err);
	rows_int(&rows, 1, only_open ? REQUEST_OPEN : REQUEST_VOID);
	rows_int(&rows, 2, (int64_t)max);
	while ((rc = rows_next(&rows, read_request, &request, err)) == RC_OK) {
		rc = each(ctx, &request, err);
		store_act_fini(&request);
		if (rc != RC_OK)
			break;
	}
	return rows_end(&rows, rc);
}

/* --- approvals --- */

static void
put_approval(struct row *row, const void *what)
{
	const struct store_approval *approval = what;

	row_put_text(row, approval->id);
	row_put_text(row, approval->request);
	row_put_text(row, approval->officer);
	row_put_int(row, approval->at);
	row_put_text(row, approval->sha256);
	row_put_int(row, approval->seq);
	row_put_blob(row, approval->cms, approval->len);
}

enum rc
store_add_approval(struct store *store, const struct store_approval *approval, struct err *err)
{
	return row_store(store, "approvals",
		"INSERT INTO approvals(" APPROVAL_COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
		put_approval, approval, err);
}

static enum rc
read_approval(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	struct store_approval *out = what;
	struct row row;

	row_read(&row, store, "approvals", st);
	row_get_text(&row, out->id, sizeof(out->id));
	row_get_text(&row, out->request, sizeof(out->request));
	row_get_text(&row, out->officer, sizeof(out->officer));
	out->at = row_get_int(&row, 0, INT64_MAX);
	row_get_text(&row, out->sha256, sizeof(out->sha256));
	out->seq = row_get_int(&row, 0, INT64_MAX);
	out->cms = row_get_blob(&row, &out->len);
	return row_check(&row, err);
}

enum rc
store_list_approvals(struct store *store, const char *request, store_each_approval *each, void *ctx,
	struct err *err)
{
	struct store_approval approval;
	struct rows rows;
	enum rc rc;

	rows_begin(&rows, store,
		"SELECT " APPROVAL_COLUMNS " FROM approvals WHERE request = ? ORDER BY seq, id",
		err);
	rows_text(&rows, 1, request);
	while ((rc = rows_next(&rows, read_approval, &approval, err)) == RC_OK)
		if ((rc = each(ctx, &approval, err)) != RC_OK)
			break;
	return rows_end(&rows, rc);
}
