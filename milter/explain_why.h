/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain_why.h - for explain: what a criterion wanted, and what an observe rule would have done
 */
#ifndef MILTER_EXPLAIN_WHY_H
#define MILTER_EXPLAIN_WHY_H

#include "milter/tx.h"

#include "base/json.h"

/* What the configuration's WHICHth rule wants by CRITERION, short, in words; "" when there is
 * nothing to say. */
const char *why_wanted(const struct conf *conf, size_t which, const char *criterion, char out[160]);
/* The same as "wanted", an array, whole. */
void
why_wanted_json(const struct conf *conf, size_t which, const char *criterion, struct json *json);
/* What RULE, which only observes, would have done for RCPT; or NULL. */
const struct observed *why_observed(const struct rcpt *rcpt, const struct rule *rule);

/* Those of the groups that rules name which KNOWN, as policy_groups counts them, says yes to, with
 * commas between; "unknown", "none". OUT has 400 bytes and is cut with "…". */
const char *why_groups(const struct policy *policy, const enum tri *known, char out[400]);

#endif
