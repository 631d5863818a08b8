/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_private.h"

#include <stdlib.h>

#define FIRST_BODY 1024u /* what most records fit in */

/* Appends the body of RECORD to OUT, or nothing. */
enum rc
ledger_make_body(
	struct ledger *ledger, const struct ledger_record *record, struct buf *out, struct err *err)
{
	bool locked = ledger_needs_period(record);
	size_t before = out->len;
	enum rc rc;

	/* Whoever floods the ledger must not take the room from those who could end it. */
	if (__atomic_load_n(&ledger->low, __ATOMIC_RELAXED) &&
		(record->type == LEDGER_INTENT || record->type == LEDGER_DENIED ||
			record->type == LEDGER_DECISION))
		return err_set(err, ERR_LEDGER, "the ledger's disk has less room than is reserved");
	rc = buf_reserve(out, FIRST_BODY, err);
	if (rc == RC_OK && locked)
		rc = pseudonyms_lock(&ledger->pseudonyms, &ledger->keys, err);
	if (rc)
		return rc;
	rc = ledger_body_record(out, record, locked ? &ledger->pseudonyms : NULL, err);
	if (locked)
		pseudonyms_unlock(&ledger->pseudonyms);
	if (rc == RC_OK && out->len - before > LEDGER_MAX_LINE - LEDGER_LINE_OVERHEAD)
		rc = err_set(err, ERR_LIMIT, "a ledger record would be too long");
	if (rc)
		out->len = before;
	return rc;
}

void
ledger_group_init(struct ledger_group *group, struct ledger *ledger)
{
	group->ledger = ledger;
	group->next = NULL;
	buf_init(&group->text, LEDGER_GROUP_BYTES + LEDGER_MAX_LINE);
	group->lazy = false;
	group->err = (struct err)ERR_INIT;
	ledger_group_clear(group);
}

void
ledger_group_fini(struct ledger_group *group)
{
	buf_fini(&group->text);
}

void
ledger_group_clear(struct ledger_group *group)
{
	buf_clear(&group->text);
	group->n = 0;
	group->turn = LEDGER_WAITS;
	group->rc = RC_TEMP;
	group->first = 0;
}

enum rc
ledger_group_new(struct ledger *ledger, struct ledger_group **out, struct err *err)
{
	*out = malloc(sizeof **out);
	if (!*out)
		return err_set(err, ERR_MEMORY, "records");
	ledger_group_init(*out, ledger);
	return RC_OK;
}

void
ledger_group_free(struct ledger_group **group)
{
	if (*group)
		ledger_group_fini(*group);
	free(*group);
	*group = NULL;
}

bool
ledger_group_is_full(const struct ledger_group *group)
{
	return group->n == LEDGER_GROUP_MAX || group->text.len > LEDGER_GROUP_BYTES;
}

enum rc
ledger_group_add(struct ledger_group *group, const struct ledger_record *record, size_t *index,
	struct err *err)
{
	size_t start = group->text.len;
	enum rc rc;

	*index = group->n;
	if (ledger_group_is_full(group))
		return err_set(err, ERR_LIMIT, "too many records in one write");
	rc = ledger_make_body(group->ledger, record, &group->text, err);
	if (rc)
		return rc;
	group->parts[group->n].type = record->type;
	group->parts[group->n++].len = (uint32_t)(group->text.len - start);
	return RC_OK;
}

uint64_t
ledger_group_seq(const struct ledger_group *group, size_t index)
{
	return group->first ? group->first + index : 0;
}
