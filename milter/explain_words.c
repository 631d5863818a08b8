/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/explain_words.h"

#include <stdlib.h>

const char *const explain_tri[] = {"no", "yes", "unknown"};
const char *const explain_sign[] = {"never", "if-possible", "required"};
const char *const explain_encrypt[] = {"never", "if-proven", "if-known", "required"};
const char *const explain_missing[] = {"refuse-all", "clear", "refuse-recipient"};
const char *const explain_preset[] = {"classic", "modern", "jp-classic", "auto"};
const char *const explain_role[] = {"open", "seal", "gate", "all"};

static const char *const tiers[] = {
	"", "pinned", "domain-first", "directory", "smimea", "harvested", "domain"};

const char *
explain_direction(enum direction direction)
{
	return direction == DIR_OUTBOUND  ? "outbound"
	       : direction == DIR_INBOUND ? "inbound"
					  : "internal";
}

const char *
explain_tier(enum tier tier)
{
	return tier >= TIER_PINNED && tier <= TIER_DOMAIN ? tiers[tier] : "unknown";
}

enum rc
explain_rules(struct transaction *tx, const struct rcpt *rcpt, struct rule_trace **out, size_t *n,
	struct err *err)
{
	size_t max = policy_count(engine_policy(tx->engine));
	enum rc rc;

	*n = 0;
	*out = calloc(max ? max : 1, sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "explain");
	rc = tx->view ? policy_trace(tx->view, &rcpt->facts, *out, max, n, err) : RC_OK;
	if (rc != RC_OK) {
		free(*out);
		*out = NULL;
	}
	return rc;
}
