/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/admin_cmd.h"

#include "base/clock.h"

#define LIST_MAX 1000

struct list {
	struct json *out;
	int64_t least; /* percent of the limit */
	size_t n;
	bool more;
};

static bool
has_reached(int64_t uses, int64_t limit, int64_t least)
{
	return limit && uses >= limit / 100 * least + limit % 100 * least / 100;
}

static enum rc
put_use(void *ctx, const struct budget_use *use, struct err *err)
{
	static const char *const uses[] = {
		[ROLE_SIGN] = "sign", [ROLE_OPEN] = "open", [ROLE_SIGN | ROLE_OPEN] = "any"};
	struct list *list = ctx;

	(void)err;
	if (!has_reached(use->in_hour, use->rule->hour, list->least) &&
		!has_reached(use->in_day, use->rule->day, list->least))
		return RC_OK;
	if (list->n == LIST_MAX) {
		list->more = true;
		return RC_OK;
	}
	list->n++;
	json_object(list->out, NULL);
	json_str(list->out, use->rule->service ? "service" : "key", use->name);
	json_str(list->out, "use", uses[use->rule->use]);
	json_int(list->out, "in_hour", use->in_hour);
	if (use->rule->hour)
		json_int(list->out, "hour", use->rule->hour);
	json_int(list->out, "in_day", use->in_day);
	if (use->rule->day)
		json_int(list->out, "day", use->rule->day);
	json_object_end(list->out);
	return RC_OK;
}

enum rc
admin_budgets(struct admin *a, struct err *err)
{
	struct list list = {.out = a->out, .least = json_get_int(a->request, "least", 0)};
	enum rc rc;

	if (list.least < 0 || list.least > 100)
		return err_set(err, ERR_USAGE, "least: 0 to 100");
	json_array(a->out, "budgets");
	rc = budget_list(vault_budget(a->vault), a->settings, clock_now(), put_use, &list, err);
	json_array_end(a->out);
	json_bool(a->out, "more", list.more);
	return rc;
}
