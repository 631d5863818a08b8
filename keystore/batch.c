/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/batch.h"

#include <stdlib.h>

struct part {
	struct conn *conn;
	size_t n;  /* of its tasks */
	bool lost; /* to be closed */
};

struct batch {
	struct vault *vault;
	struct settings *settings; /* while there are tasks */
	struct ledger_group *group;
	struct task tasks[BATCH_TASKS];
	size_t n_tasks;
	struct part parts[BATCH_TASKS];
	size_t n_parts;
	unsigned cost;
};

enum rc
batch_new(struct vault *vault, struct batch **out, struct err *err)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	enum rc rc;

	*out = NULL;
	if (!batch)
		return err_set(err, ERR_MEMORY, "a worker");
	batch->vault = vault;
	rc = ledger_group_new(vault_ledger(vault), &batch->group, err);
	if (rc)
		batch_free(&batch);
	*out = batch;
	return rc;
}

void
batch_free(struct batch **batch)
{
	if (*batch)
		ledger_group_free(&(*batch)->group);
	free(*batch);
	*batch = NULL;
}

bool
batch_has_room(const struct batch *batch)
{
	return batch->cost < BATCH_COST && batch->n_tasks < BATCH_TASKS &&
	       batch->n_parts < BATCH_TASKS && !ledger_group_is_full(batch->group);
}

/* The first halves of the requests that CONN has. */
static void
take_tasks(struct batch *batch, struct part *part)
{
	struct session *session = &part->conn->session;
	const void *frame;
	size_t len;
	bool alone = false; /* what comes behind HELLO depends on its answer */

	while (!alone && batch_has_room(batch) && conn_take_frame(part->conn, &frame, &len)) {
		struct task *task = &batch->tasks[batch->n_tasks++];

		if (!batch->settings)
			batch->settings = vault_settings(batch->vault);
		alone = !session->service[0];
		task_begin(task, session, batch->settings, frame, len, batch->group);
		batch->cost += task_cost(task);
		part->n++;
		part->conn->broken |= task->broken;
	}
}

void
batch_take(struct batch *batch, struct conn *conn)
{
	struct part *part = &batch->parts[batch->n_parts++];

	*part = (struct part){.conn = conn};
	if (conn_is_stuck(conn)) {
		part->lost = !conn_flush(conn);
		return; /* what it asks meanwhile can wait until it has read its answers */
	}
	if (conn_read(conn))
		take_tasks(batch, part);
	else
		part->lost = true;
}

/* The second halves of a connection's requests. */
static void
end_part(struct batch *batch, struct part *part, size_t first, enum rc written,
	const struct err *why)
{
	if (part->n > 1)
		conn_expect(part->conn, part->n);
	for (size_t i = first; i < first + part->n; i++) {
		struct task *task = &batch->tasks[i];

		if (part->lost)
			task_drop(task);
		else if (task_end(task, written, why, &part->conn->out))
			part->lost = true;
		if (!part->lost && conn_has_load(part->conn) && !conn_flush(part->conn))
			part->lost = true;
	}
	conn_consume(part->conn);
	if (!conn_flush(part->conn) || part->conn->broken)
		part->lost = true;
}

void
batch_run(struct batch *batch, batch_done *done, void *ctx)
{
	struct err why = ERR_INIT;
	enum rc written = ledger_group_write(batch->group, &why);
	size_t first = 0;

	for (size_t i = 0; i < batch->n_parts; i++) {
		struct part *part = &batch->parts[i];

		end_part(batch, part, first, written, &why);
		first += part->n;
		done(ctx, part->conn, !part->lost); /* it may be another worker's now */
	}
	settings_unref(&batch->settings);
	ledger_group_clear(batch->group);
	batch->n_tasks = batch->n_parts = 0;
	batch->cost = 0;
}
