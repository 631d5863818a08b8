/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which groups are sender and recipient in? Asked of the directory when a rule that else could
 * match wants to know; not to get an answer is an answer of its own.
 */
#include "milter/tx.h"

#include "base/log.h"
#include "directory/groups.h"

#include <stdlib.h>

/* *out: one answer for each group; NULL and WHY when there is no memory for it. However many
 * recipients there are, a whole message waits for the directory once. */
static void
ask(struct transaction *tx, const char *person, enum tri **out, struct err *why)
{
	const char *const *names;
	size_t n = policy_groups(engine_policy(tx->engine), &names);
	struct groups *groups = engine_groups(tx->engine);
	bool *in = calloc(n + 1, sizeof(*in));
	enum rc rc;

	*out = calloc(n + 1, sizeof(**out));
	if (!in || !*out) {
		free(*out);
		*out = NULL;
		rc = err_set(why, ERR_MEMORY, "groups");
	} else if (!groups) {
		rc = err_set(why, ERR_CONFIG, "groups.directory is not set");
	} else if (tx->view && tx_time_left(tx) == 0) {
		rc = err_set(why, ERR_DIR_TIMEOUT, "no time is left to ask who is in which group");
	} else {
		rc = groups_find(groups, person, in, why);
	}
	for (size_t i = 0; *out && i < n; i++)
		(*out)[i] = rc != RC_OK ? TRI_UNKNOWN : in[i] ? TRI_YES : TRI_NO;
	if (rc != RC_OK)
		log_error(LOGL_WARN, tx->qid, "groups-unknown", why, "address", person, NULL);
	free(in);
}

bool
tx_ask_groups(struct transaction *tx, struct rcpt *rcpt, const struct decision *decision)
{
	bool asked = false;

	if (decision->wants_sender_groups && !tx->groups) {
		char person[ADDR_MAX + 1] = "";

		if (*tx->sender) /* the null path is nobody */
			engine_person(tx->engine, tx->sender, person);
		ask(tx, person, &tx->groups, &tx->groups_err);
		asked = tx->groups != NULL;
	}
	if (decision->wants_groups && !rcpt->groups) {
		struct err why = ERR_INIT;

		ask(tx, rcpt->person, &rcpt->groups, &why);
		asked |= rcpt->groups != NULL;
		if (why.code != ERR_NONE)
			rcpt->leaves_err = why;
	}
	if (tx->groups_err.code != ERR_NONE && rcpt->leaves_err.code == ERR_NONE)
		rcpt->leaves_err = tx->groups_err;
	tx->facts.groups = tx->early_facts.groups = tx->groups;
	rcpt->facts.groups = rcpt->groups;
	return asked;
}
