/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both ends of the stamp: role gate, which writes it where senders log in, and what a service
 * behind the queue makes of it.
 *
 * A stamp is taken out of the message before anything looks at it, whoever wrote it and whatever it
 * says: so it is in no copy, under no signature, and never leaves the house. From outside it counts
 * as if it were not there. Behind the gate, one that does not fit means that somebody had the right
 * and something happened since: nobody knows any more who the sender is, and a rule that needs to
 * know refuses the message rather than to treat it as a stranger's. That goes for one whose MAC is
 * bad as well, unless a good one stands beside it.
 */
#include "milter/tx.h"

#include "base/clock.h"
#include "base/log.h"
#include "milter/edit_list.h"
#include "milter/reply.h"
#include "milter/stamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
remove_stamps(struct transaction *tx)
{
	struct hdrs *hdrs = &tx->msg->hdrs;
	const struct hdr *hdr;

	while ((hdr = hdrs_find(hdrs, STAMP_MARK, 0))) {
		hdrs_remove(hdrs, (size_t)(hdr - hdrs->v));
		tx->n_stamps++;
	}
}

static enum rc
replace(char **field, const char *value, struct err *err)
{
	char *copy = *value ? strdup(value) : NULL;

	if (*value && !copy)
		return err_set(err, ERR_MEMORY, "stamp");
	free(*field);
	*field = copy;
	return RC_OK;
}

/* From now on it is as if the sender had logged in here. */
static enum rc
believe(struct transaction *tx, const struct stamp *stamp, struct err *err)
{
	enum rc rc = replace(&tx->identity, stamp->identity, err);

	if (rc == RC_OK)
		rc = replace(&tx->client, stamp->client, err);
	if (rc == RC_OK)
		rc = replace(&tx->connector, stamp->connector, err);
	if (rc == RC_OK)
		rc = replace(&tx->gate, stamp->service, err);
	tx->gate_right = stamp->right;
	return rc;
}

static void
doubt(struct transaction *tx, enum stamp_state state)
{
	struct err *why = &tx->stamp_err;

	switch (state) {
	case STAMP_UNKNOWN:
		err_set(why, ERR_STAMP_KEY, "the stamp's key is not in stamp.key_file");
		break;
	case STAMP_EXPIRED:
		err_set(why, ERR_STAMP_EXPIRED, "the stamp is too old");
		break;
	case STAMP_UNFIT:
		err_set(why, ERR_STAMP_UNFIT, "the stamp is of another message");
		break;
	case STAMP_FORGED:
		/* A stranger's invention, or one of ours with a byte bent on its way: the gate
		 * takes others' stamps away, so what is here should be one of ours. Taken for none,
		 * it would make a message leave in the clear that has to be sealed. */
		err_set(why, ERR_STAMP_UNFIT, "the stamp is none of ours, or was damaged");
		break;
	case STAMP_NONE:
	case STAMP_GOOD:
		break;
	}
	if (why->code != ERR_NONE)
		log_error(LOGL_WARN, tx->qid, "stamp-bad", why, NULL);
}

enum rc
gate_take_stamp(struct transaction *tx, struct err *err)
{
	struct stamp stamp;
	enum stamp_state state = STAMP_NONE;
	enum rc rc = RC_OK;

	if (!hdrs_find(&tx->msg->hdrs, STAMP_MARK, 0))
		return RC_OK;
	if (!engine_checks_stamps(tx->engine)) {
		log_event(LOGL_WARN, tx->qid, "stamp-from-outside", NULL);
	} else {
		rc = stamp_check(engine_stamp_keys(tx->engine), tx->msg, clock_now(),
			conf_int(conf_section(engine_conf(tx->engine), "stamp"), "lifetime"),
			&stamp, &state, err);
		if (rc == RC_OK && state == STAMP_GOOD)
			rc = believe(tx, &stamp, err);
		else if (rc == RC_OK)
			doubt(tx, state);
	}
	remove_stamps(tx);
	return rc;
}

enum rc
gate_strip_stamps(struct transaction *tx, struct copy *copy, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = tx->n_stamps; rc == RC_OK && i > 0; i--)
		rc = edit_list_add(copy, EDIT_DELETE, STAMP_MARK, i, NULL, err);
	return rc;
}

static enum rc
write_stamp(struct transaction *tx, struct copy *copy, struct err *err)
{
	struct stamp stamp = {.right = tx->facts.authorised, .time = clock_now()};
	struct buf value = BUF_INIT(STAMP_MAX);
	enum rc rc;

	if (tx->identity && strlen(tx->identity) >= sizeof(stamp.identity))
		return err_set(err, ERR_LIMIT, "a login of %zu bytes", strlen(tx->identity));
	snprintf(stamp.service, sizeof(stamp.service), "%s", engine_service(tx->engine));
	snprintf(stamp.identity, sizeof(stamp.identity), "%s", tx->identity ? tx->identity : "");
	snprintf(stamp.client, sizeof(stamp.client), "%s", tx->client ? tx->client : "");
	snprintf(
		stamp.connector, sizeof(stamp.connector), "%s", tx->connector ? tx->connector : "");
	rc = stamp_format(engine_stamp_keys(tx->engine), &stamp, tx->msg, &value, err);
	if (rc == RC_OK)
		rc = edit_list_add(copy, EDIT_INSERT, STAMP_MARK, 0, buf_text(&value), err);
	tx->stamped = rc == RC_OK;
	buf_fini(&value);
	return rc;
}

enum rc
gate_enforce(const struct transaction *tx, struct err *err)
{
	const struct policy *policy = engine_policy(tx->engine);

	if (!engine_refuses(tx->engine) || tx->facts.authorised == TRI_YES)
		return RC_OK;
	if (tx->facts.from_unread) /* it may be read as one of ours by others */
		return err_set(err, ERR_POLICY_SENDER, "%s", tx->why_authorised);
	for (size_t i = 0; i < tx->from.n; i++) {
		if (!policy_is_ours(policy, tx->from.v[i]))
			continue;
		if (tx->facts.authorised == TRI_UNKNOWN)
			return err_set(err, ERR_POLICY_UNKNOWN, "%s", tx->why_authorised);
		return err_set(err, ERR_POLICY_SENDER, "%s", tx->why_authorised);
	}
	return RC_OK;
}

enum rc
gate_run(struct transaction *tx, struct result *result, struct err *err)
{
	enum rc rc;

	reply_accept(result, "Accepted");
	result->in_place = true;
	rc = copies_join(tx, result, PLAN_LEAVE, err);
	if (rc == RC_OK)
		rc = gate_strip_stamps(tx, result->copies, err);
	if (rc == RC_OK)
		rc = opened_strip(tx, result->copies, err);
	/* Who is nobody to us, and has no right by where he comes from, gets none. */
	if (rc == RC_OK && (tx->identity || tx->facts.authorised != TRI_NO))
		rc = write_stamp(tx, result->copies, err);
	return rc;
}
