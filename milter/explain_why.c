/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/explain_why.h"

#include <stdio.h>
#include <string.h>

#define WORDS_SHOWN 3

/* The option that is CRITERION, and the rule's group; NULL: a shipped rule, or no option. */
static const struct conf_option *
find_option(const struct conf *conf, size_t which, const char *criterion,
	const struct conf_group **group)
{
	const struct conf_option *options;
	size_t n;

	if (!criterion || which >= conf_count(conf, "rules"))
		return NULL;
	*group = conf_item(conf, "rules", which);
	options = conf_options(&n);
	for (size_t i = 0; i < n; i++)
		if (strcmp(options[i].section, "rules") == 0 &&
			strcmp(options[i].name, criterion) == 0)
			return &options[i];
	return NULL;
}

const char *
why_wanted(const struct conf *conf, size_t which, const char *criterion, char out[160])
{
	const struct conf_group *group;
	const struct conf_option *option = find_option(conf, which, criterion, &group);
	const char *const *values = NULL;
	size_t n, len = 0;

	out[0] = '\0';
	if (option && option->type == CONF_SIZE)
		snprintf(out, 160, " (wants %lld)", (long long)conf_int(group, criterion));
	if (!option || option->type != CONF_STRINGS)
		return out;
	n = conf_strings(group, criterion, &values);
	for (size_t i = 0; i < n && i < WORDS_SHOWN && len < 100; i++)
		len += (size_t)snprintf(
			out + len, 160 - len, "%s%.50s", i ? ", " : " (wants ", values[i]);
	if (n && len < 150)
		snprintf(out + len, 160 - len, "%s)", n > WORDS_SHOWN ? ", …" : "");
	return out;
}

void
why_wanted_json(const struct conf *conf, size_t which, const char *criterion, struct json *json)
{
	const struct conf_group *group;
	const struct conf_option *option = find_option(conf, which, criterion, &group);
	const char *const *values = NULL;
	size_t n;

	if (option && option->type == CONF_SIZE)
		json_int(json, "wanted", conf_int(group, criterion));
	if (!option || option->type != CONF_STRINGS)
		return;
	n = conf_strings(group, criterion, &values);
	json_array(json, "wanted");
	for (size_t i = 0; i < n; i++)
		json_str(json, NULL, values[i]);
	json_array_end(json);
}

const struct observed *
why_observed(const struct rcpt *rcpt, const struct rule *rule)
{
	for (size_t i = 0; rcpt->observed && i < rcpt->decision.n_observed; i++)
		if (rcpt->observed[i].rule == rule)
			return &rcpt->observed[i];
	return NULL;
}

const char *
why_groups(const struct policy *policy, const enum tri *known, char out[400])
{
	const char *const *names;
	size_t n = policy_groups(policy, &names), len = 0;
	bool unknown = false;

	out[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		unknown |= known[i] == TRI_UNKNOWN;
		if (known[i] != TRI_YES || len > 300)
			continue;
		len += (size_t)snprintf(out + len, 400 - len, "%s%.80s", len ? ", " : "", names[i]);
		if (len > 300)
			snprintf(out + len, 400 - len, ", …");
	}
	if (!out[0])
		snprintf(out, 400, "%s", unknown ? "unknown" : "none");
	return out;
}
