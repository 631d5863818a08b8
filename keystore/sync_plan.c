/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sync_plan.c - what can be said of a plan: the names of its acts, and whether it may be believed
 */
#include "keystore/sync.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[SYNC_WHATS] = {"leave", "missing", "found", "return", "link", "name",
	"address.add", "address.take", "address.link", "address.keep", "address.end", "ungrant",
	"new", "grant", "key", "note", "conflict"};

const char *
sync_what_name(enum sync_what what)
{
	return what < SYNC_WHATS ? names[what] : "?";
}

bool
sync_what_find(const char *text, enum sync_what *what)
{
	for (int i = 0; i < SYNC_WHATS; i++)
		if (strcmp(text, names[i]) == 0) {
			*what = i;
			return true;
		}
	return false;
}

void
sync_plan_fini(struct sync_plan *plan)
{
	free(plan->v);
	*plan = (struct sync_plan){0};
}

/* FEW may always go. */
static enum rc
check_limit(const char *what, size_t n, size_t of, size_t few, const struct sync_rules *rules,
	size_t allowed, struct err *err)
{
	if (n <= allowed || n <= few ||
		(n <= rules->max_leave && n * 100 <= of * rules->max_percent))
		return RC_OK;
	return err_set(err, ERR_DIR_ANSWER,
		"%zu of %zu %s at once: the directory is taken to be wrong, nothing was changed "
		"(people.max_leave is %zu, people.max_leave_percent %zu)",
		n, of, what, rules->max_leave, rules->max_percent);
}

enum rc
sync_guard(const struct sync_plan *plan, const struct sync_rules *rules, size_t allowed,
	struct err *err)
{
	/* All of few are not few. */
	size_t few = plan->known <= SYNC_FEW ? plan->known / 2 : SYNC_FEW;
	enum rc rc = check_limit(
		"persons would leave", plan->leaving, plan->known, few, rules, allowed, err);

	return rc ? rc
		  : check_limit("grants would end", plan->ungranted, plan->granted, SYNC_FEW, rules,
			    allowed, err);
}
