/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/reply.h"

#include <stdio.h>
#include <string.h>

/* What cannot stand in a reply becomes '?'. */
static void
make_ascii(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

void
reply_accept(struct result *result, const char *text)
{
	result->outcome = PLAN_DELIVER;
	result->smtp = 250;
	snprintf(result->enhanced, sizeof(result->enhanced), "2.0.0");
	snprintf(result->text, sizeof(result->text), "%s", text);
}

void
reply_set(struct result *result, const struct err *err, const char *addr, const struct rule *rule,
	const struct verdicts *verdicts)
{
	size_t len, size = sizeof(result->text);

	result->outcome = err_rc(err->code) == RC_PERM ? PLAN_REFUSE : PLAN_DEFER;
	result->smtp = err_smtp(err->code);
	snprintf(result->enhanced, sizeof(result->enhanced), "%s", err_enhanced(err->code));
	len = (size_t)snprintf(result->text, size, "%.150s", err_public(err->code));
	if (addr)
		len += (size_t)snprintf(
			result->text + len, size - len, " (recipient <%.100s>", addr);
	if (rule)
		len += (size_t)snprintf(result->text + len, size - len, "%srule %.64s",
			addr ? ", " : " (", rule_name(rule));
	if (addr || rule)
		len += (size_t)snprintf(result->text + len, size - len, ")");
	if (verdicts && verdicts->message && len < size)
		snprintf(result->text + len, size - len, ". %s", verdicts->message);
	make_ascii(result->text);
}
