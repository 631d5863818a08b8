/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/reply.h"

#include "base/text.h"

#include <stdarg.h>
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
	text_copy(result->enhanced, sizeof(result->enhanced), "2.0.0");
	text_copy(result->text, sizeof(result->text), text);
}

__attribute__((format(printf, 3, 4))) static void
append(char *text, size_t size, const char *fmt, ...)
{
	size_t len = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + len, size - len, fmt, ap);
	va_end(ap);
}

static void
fill_text(char *text, size_t size, const struct err *err, const struct reply_about *about)
{
	const char *url = about->help_url;

	snprintf(text, size, "%.150s", err_public(err->code));
	if (about->addr)
		append(text, size, " (recipient <%.100s>", about->addr);
	if (about->rule)
		append(text, size, "%srule %.64s", about->addr ? ", " : " (",
			rule_name(about->rule));
	if (about->addr || about->rule)
		append(text, size, ")");
	/* The address before the rule's words: cut short, it would be of no use. */
	if (url && err_rc(err->code) == RC_PERM && strlen(text) + strlen(url) + 8 < size)
		append(text, size, ". See %s", url);
	if (about->message)
		append(text, size, "%s %s", url ? " -" : ".", about->message);
	make_ascii(text);
}

void
reply_set(struct result *result, const struct err *err, const struct reply_about *about)
{
	result->outcome = err_rc(err->code) == RC_PERM ? PLAN_REFUSE : PLAN_DEFER;
	result->smtp = err_smtp(err->code);
	snprintf(result->enhanced, sizeof(result->enhanced), "%s", err_enhanced(err->code));
	fill_text(result->text, sizeof(result->text), err, about);
}

void
reply_set_rcpt(struct rcpt_result *rcpt, const struct err *err, const struct reply_about *about)
{
	rcpt->outcome = err_rc(err->code) == RC_PERM ? PLAN_REFUSE : PLAN_DEFER;
	rcpt->smtp = err_smtp(err->code);
	snprintf(rcpt->enhanced, sizeof(rcpt->enhanced), "%s", err_enhanced(err->code));
	fill_text(rcpt->text, sizeof(rcpt->text), err, about);
}
