/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/change.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "keystore/revoke.h"

void
change_fini(struct change *change)
{
	free(change->records);
	free(change->rows);
	*change = (struct change){0};
}

enum rc
change_record(struct change *change, const char *event, const char *subject, const char *detail,
	struct err *err)
{
	struct change_record *record;

	if (!change->records)
		change->records = calloc(LEDGER_GROUP_MAX, sizeof(*change->records));
	if (!change->records)
		return err_set(err, ERR_MEMORY, "change");
	if (change->n_records == LEDGER_GROUP_MAX)
		return err_set(err, ERR_LIMIT, "more than %u changes at once", LEDGER_GROUP_MAX);
	record = &change->records[change->n_records++];
	*record = (struct change_record){.event = event};
	snprintf(record->subject, sizeof(record->subject), "%s", subject ? subject : "");
	snprintf(record->detail, sizeof(record->detail), "%s", detail ? detail : "");
	return RC_OK;
}

static const char *
row_id(const struct change_row *row)
{
	switch (row->type) {
	case CHANGE_PERSON:
		return row->person.id;
	case CHANGE_ADDR:
		return row->addr.id;
	case CHANGE_GRANT:
		return row->grant.id;
	case CHANGE_KEY:
		break;
	}
	return row->key.id;
}

static enum rc
put(struct change *change, const struct change_row *row, struct err *err)
{
	assert(change->n_records > 0);
	/* A grant is put once by whoever puts it, and there may be thousands. */
	for (size_t i = 0; row->type != CHANGE_GRANT && i < change->n_rows; i++)
		if (change->rows[i].type == row->type &&
			strcmp(row_id(&change->rows[i]), row_id(row)) == 0) {
			change->rows[i] = *row;
			change->rows[i].record = change->n_records - 1;
			return RC_OK;
		}
	if (change->n_rows == CHANGE_MAX_ROWS)
		return err_set(err, ERR_LIMIT, "more than %u rows change at once", CHANGE_MAX_ROWS);
	if (change->n_rows == change->rows_room) {
		size_t room = change->rows_room * 2 + 16;
		void *rows = realloc(change->rows, room * sizeof(*change->rows));

		if (!rows)
			return err_set(err, ERR_MEMORY, "change");
		change->rows = rows;
		change->rows_room = room;
	}
	change->rows[change->n_rows] = *row;
	change->rows[change->n_rows++].record = change->n_records - 1;
	return RC_OK;
}

enum rc
change_put_person(struct change *change, const struct store_person *person, struct err *err)
{
	return put(change, &(struct change_row){.type = CHANGE_PERSON, .person = *person}, err);
}

enum rc
change_put_addr(struct change *change, const struct store_addr *addr, struct err *err)
{
	return put(change, &(struct change_row){.type = CHANGE_ADDR, .addr = *addr}, err);
}

enum rc
change_put_grant(struct change *change, const struct store_grant *grant, struct err *err)
{
	return put(change, &(struct change_row){.type = CHANGE_GRANT, .grant = *grant}, err);
}

enum rc
change_set_status(struct change *change, const char *key, enum key_status status, struct err *err)
{
	struct change_row row = {.type = CHANGE_KEY};
	enum rc rc;

	snprintf(row.key.id, sizeof(row.key.id), "%s", key);
	row.key.status = status;
	rc = put(change, &row, err);
	if (!rc)
		memcpy(change->records[change->n_records - 1].key, row.key.id, sizeof(row.key.id));
	return rc;
}

const struct store_addr *
change_find_addr(const struct change *change, const char *id)
{
	for (size_t i = 0; i < change->n_rows; i++)
		if (change->rows[i].type == CHANGE_ADDR && strcmp(change->rows[i].addr.id, id) == 0)
			return &change->rows[i].addr;
	return NULL;
}

/* All records with one wait for the disk. */
static enum rc
write_records(struct admin *a, struct change *change, struct err *err)
{
	struct ledger_group *group = NULL;
	size_t index[LEDGER_GROUP_MAX];
	enum rc rc = ledger_group_new(vault_ledger(a->vault), &group, err);

	for (size_t i = 0; !rc && i < change->n_records; i++) {
		const struct change_record *r = &change->records[i];
		struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_ADMIN);

		record.event = r->event;
		record.observed.key = r->key[0] ? r->key : NULL;
		record.observed.service = "admin";
		record.observed.uid = a->uid;
		record.observed.pid = a->pid;
		record.subject = r->subject[0] ? r->subject : NULL;
		record.detail = r->detail[0] ? r->detail : NULL;
		rc = ledger_group_add(group, &record, &index[i], err);
	}
	a->changed = true;
	if (!rc)
		rc = ledger_group_write(group, err);
	for (size_t i = 0; !rc && i < change->n_records; i++)
		change->records[i].seq = ledger_group_seq(group, index[i]);
	ledger_group_free(&group);
	return rc;
}

static enum rc
write_row(struct store *store, struct change_row *row, int64_t seq, struct err *err)
{
	size_t outside;
	enum rc rc = RC_OK;

	switch (row->type) {
	case CHANGE_PERSON:
		row->person.seq = seq;
		return store_put_person(store, &row->person, err);
	case CHANGE_ADDR:
		row->addr.seq = seq;
		return store_put_addr(store, &row->addr, err);
	case CHANGE_GRANT:
		row->grant.seq = seq;
		return store_put_grant(store, &row->grant, err);
	case CHANGE_KEY:
		if (row->key.status == KEY_REVOKED)
			rc = revoke_certs(store, row->key.id,
				&(struct revoke_how){REVOKE_LEFT, NULL, clock_now(), seq}, &outside,
				err);
		break;
	}
	if (rc)
		return rc;
	return store_set_status(store, row->key.id, row->key.status, clock_now(), seq, err);
}

enum rc
change_commit(struct admin *a, struct change *change, struct err *err)
{
	struct store *store = vault_store(a->vault);
	enum rc rc;

	if (change->n_records == 0)
		return RC_OK;
	rc = write_records(a, change, err);
	if (!rc)
		rc = store_begin(store, err);
	for (size_t i = 0; !rc && i < change->n_rows; i++)
		rc = write_row(store, &change->rows[i],
			(int64_t)change->records[change->rows[i].record].seq, err);
	if (!rc)
		rc = store_commit(store, err);
	else
		store_rollback(store); /* harmless when none was begun */
	return rc;
}
