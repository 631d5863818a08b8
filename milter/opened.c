/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mark of opened mail: which are ours, and where they go.
 *
 * A mark of ours stays on mail inside the house, whichever way it takes, so that a list or a
 * forward finds it again; it goes when the message leaves. One that is not ours goes at once.
 */
#include "milter/tx.h"

#include "base/clock.h"
#include "base/log.h"
#include "milter/edit_list.h"
#include "milter/stamp.h"

#include <stdlib.h>
#include <string.h>

enum rc
opened_judge(struct transaction *tx, struct err *err)
{
	const struct hdrs *hdrs = &tx->msg->hdrs;
	size_t n = hdrs_count(hdrs, OPENED_MARK), ours = 0;
	int64_t lifetime;
	enum rc rc = RC_OK;

	tx->facts.classes &= ~(unsigned)CLASS_OPENED;
	if (n == 0)
		return RC_OK;
	tx->marks = calloc(n, sizeof(*tx->marks));
	if (!tx->marks)
		return err_set(err, ERR_MEMORY, "marks");
	lifetime = conf_int(conf_section(engine_conf(tx->engine), "stamp"), "opened_lifetime");
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		rc = opened_check(engine_stamp_keys(tx->engine), hdrs_find(hdrs, OPENED_MARK, i),
			clock_now(), lifetime, &tx->marks[i], err);
		ours += tx->marks[i];
	}
	if (rc != RC_OK)
		return rc;
	if (ours < n)
		log_event(
			LOGL_WARN, tx->qid, "opened-mark-forged", "count", LOG_NUM(n - ours), NULL);
	if (ours)
		tx->facts.classes |= CLASS_OPENED;
	return RC_OK;
}

enum rc
opened_strip(const struct transaction *tx, struct copy *copy, struct err *err)
{
	/* Without keys anybody can write one: what comes in has none, and what leaves had one. */
	bool keyed = engine_stamp_keys(tx->engine) != NULL;
	bool leaves = (copy->transform & PLAN_UNMARK) ||
		      (!keyed && (copy->transform & (PLAN_OPEN | PLAN_VERIFY)));
	size_t n = tx->marks ? hdrs_count(&tx->msg->hdrs, OPENED_MARK) : 0;
	enum rc rc = RC_OK;

	for (; rc == RC_OK && n > 0; n--)
		if (leaves || !tx->marks[n - 1])
			rc = edit_list_add(copy, EDIT_DELETE, OPENED_MARK, n, NULL, err);
	/* A bounce must not carry out what is in the clear in here. */
	if (rc == RC_OK && (tx->facts.classes & CLASS_OPENED) &&
		!(copy->transform & PLAN_ENCRYPT) && !copy->new_ret) {
		copy->new_ret = strdup("HDRS");
		if (!copy->new_ret)
			rc = err_set(err, ERR_MEMORY, "RET");
	}
	return rc;
}
