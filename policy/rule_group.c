/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups of the directory as criteria of a rule.
 *
 * Each group that any rule names has a number, and what is known about somebody is one answer for
 * each number: so the directory is asked once, for all of them.
 */
#include "policy/rule.h"

#include <stdlib.h>
#include <string.h>

/* The number of group NAME; a new one has the next. */
static enum rc
number_of(struct group_names *names, const char *name, unsigned *out, struct err *err)
{
	const char **v;

	for (*out = 0; *out < names->n; (*out)++)
		if (strcmp(names->v[*out], name) == 0)
			return RC_OK;
	if (names->n == POLICY_MAX_GROUPS)
		return err_set(
			err, ERR_CONFIG, "rules name more than %d groups", POLICY_MAX_GROUPS);
	v = realloc(names->v, (names->n + 1) * sizeof(*v));
	if (!v)
		return err_set(err, ERR_MEMORY, "rules");
	names->v = v;
	v[names->n++] = name;
	return RC_OK;
}

enum rc
rule_groups_compile(struct rule_groups *groups, struct conf *conf, const struct conf_group *group,
	const char *option, struct group_names *names, struct err *err)
{
	const char *const *values;
	size_t n = conf_strings(group, option, &values);
	enum rc rc = RC_OK;

	if (n == 0)
		return RC_OK;
	if (!conf_str(conf_section(conf, "groups"), "directory"))
		return conf_err(err, conf, group, option, "who is in it needs groups.directory");
	groups->v = calloc(n, sizeof(*groups->v));
	if (!groups->v)
		return err_set(err, ERR_MEMORY, "rules");
	for (; rc == RC_OK && groups->n < n; groups->n++) {
		if (!*values[groups->n])
			return conf_err(err, conf, group, option, "an empty name");
		rc = number_of(names, values[groups->n], &groups->v[groups->n], err);
	}
	return rc;
}

void
rule_groups_fini(struct rule_groups *groups)
{
	free(groups->v);
	*groups = (struct rule_groups){0};
}

/* Is somebody of whom KNOWN is known in one of the groups? */
static enum tri
is_in(const struct rule_groups *groups, const enum tri *known)
{
	enum tri found = TRI_NO;

	if (!known)
		return TRI_UNKNOWN;
	for (size_t i = 0; i < groups->n && found != TRI_YES; i++)
		if (known[groups->v[i]] != TRI_NO)
			found = known[groups->v[i]];
	return found;
}

enum tri
rule_match_groups(const struct rule *rule, const enum tri *sender, const enum tri *recipient,
	const char **criterion)
{
	enum tri by_sender = rule->sender_groups.n ? is_in(&rule->sender_groups, sender) : TRI_YES;
	enum tri by_rcpt =
		rule->recipient_groups.n ? is_in(&rule->recipient_groups, recipient) : TRI_YES;

	*criterion = NULL;
	if (by_sender == TRI_NO || (by_sender == TRI_UNKNOWN && by_rcpt != TRI_NO))
		*criterion = "sender_group";
	else if (by_rcpt != TRI_YES)
		*criterion = "recipient_group";
	if (by_sender == TRI_NO || by_rcpt == TRI_NO)
		return TRI_NO;
	return by_sender == TRI_YES && by_rcpt == TRI_YES ? TRI_YES : TRI_UNKNOWN;
}
