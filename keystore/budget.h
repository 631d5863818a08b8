/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * budget.h - how often keys were used in this hour and this day
 *
 * A budget of the configuration is for one service, or (without one) for each key. Hours and days
 * are those of the clock in UTC. A use is counted before it happens, for all budgets that it falls
 * under or for none. The counts are kept over a restart by budget_format and budget_parse.
 *
 * Threads: any.  Limits: BUDGET_MAX counters; when all are in use by this day, further keys are
 * refused.
 */
#ifndef KEYSTORE_BUDGET_H
#define KEYSTORE_BUDGET_H

#include "base/secret.h"
#include "keystore/settings.h"

#define BUDGET_MAX 200000u

struct budget;

enum rc budget_new(struct budget **out, struct err *err);
void budget_free(struct budget **budget);
/* Counts one USE (ROLE_SIGN or ROLE_OPEN) of KEY by SERVICE; ERR_VAULT_BUDGET when a budget is used
 * up. */
enum rc budget_charge(struct budget *budget, const struct settings *settings, const char *service,
	const char *key, unsigned use, int64_t now, struct err *err);

/* What was counted, for each budget and each service or key that has uses in this hour or day. NAME
 * is the service or the key. EACH must not call the budget; anything but RC_OK ends the list. */
struct budget_use {
	const struct budget_rule *rule;
	const char *name;
	int64_t in_hour, in_day;
};
typedef enum rc budget_each(void *ctx, const struct budget_use *use, struct err *err);
enum rc budget_list(struct budget *budget, const struct settings *settings, int64_t now,
	budget_each *each, void *ctx, struct err *err);
enum rc budget_format(struct budget *budget, int64_t now, struct buf *out, struct err *err);
/* What cannot be read is ignored: nobody but the vault wrote it, and no counts are no reason to
 * stop mail. */
void budget_parse(struct budget *budget, const char *text, size_t len);

#endif
