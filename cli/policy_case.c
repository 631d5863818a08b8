/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "cli/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Facts, with the words that they may be where they are not free. */
static const struct {
	const char *name, *words;
} facts[] = {
	{"service", NULL},
	{"sender", NULL},
	{"from", NULL},
	{"login", NULL},
	{"client", NULL},
	{"connector", NULL},
	{"address", NULL},
	{"rcpt", NULL},
	{"header", NULL},
	{"subject", NULL},
	{"class", NULL},
	{"size", NULL},
	{"authorised", " yes no unknown "},
	{"cert", " none known proven unknown "},
	{"held", " yes no unknown "},
	{"key", " yes no unknown "},
	{"extra", " yes no unknown "},
	{"sealed", " yes no unknown "},
	{"stale", " yes no "},
	{"sender-group", NULL},
	{"group", NULL},
	{"final", " inside outside unknown "},
	{"hidden", " yes no "},
};

const char *
case_fact(const struct policy_case *one, const char *name, size_t k)
{
	for (size_t i = 0; i < one->n_facts; i++)
		if (strcmp(one->facts[i].name, name) == 0 && k-- == 0)
			return one->facts[i].value;
	return NULL;
}

enum tri
case_tri(const struct policy_case *one, const char *name, enum tri otherwise)
{
	const char *value = case_fact(one, name, 0);

	if (!value)
		return otherwise;
	return strcmp(value, "yes") == 0 || strcmp(value, "outside") == 0 ? TRI_YES
	       : strcmp(value, "no") == 0 || strcmp(value, "inside") == 0 ? TRI_NO
									  : TRI_UNKNOWN;
}

/* Takes the quotes off the value at P in place; gives what follows, or NULL when it does not end.
 */
static char *
take_quoted(char *p)
{
	char *out = p;

	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
			p++;
		*out++ = *p;
	}
	if (!*p)
		return NULL;
	*out = '\0';
	return p + 1;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* One word at *P, which moves on. RC_NONE: the end. A word without "=" has no value. */
static enum rc
take_word(char **p, struct case_word *word, struct err *err)
{
	char *at = *p;

	while (is_blank(*at))
		at++;
	if (!*at || *at == '#')
		return RC_NONE;
	word->name = at;
	word->value = NULL;
	if (at[0] == '=' && at[1] == '>') {
		*p = at + 2;
		word->name = NULL; /* the arrow */
		return RC_OK;
	}
	at += strcspn(at, "= \t\r\n");
	if (*at != '=')
		return err_set(err, ERR_USAGE, "%.*s: not name=value",
			(int)(at - word->name > 40 ? 40 : at - word->name), word->name);
	*at++ = '\0';
	word->value = at;
	if (*at == '"') {
		at = take_quoted(at);
		if (!at)
			return err_set(err, ERR_USAGE, "%s: the quote does not end", word->name);
		if (*at && !is_blank(*at))
			return err_set(err, ERR_USAGE, "%s: text after the quote", word->name);
	} else {
		at += strcspn(at, " \t\r\n");
	}
	if (*at)
		*at++ = '\0';
	*p = at;
	return RC_OK;
}

static enum rc
check_fact(const struct case_word *word, struct err *err)
{
	for (size_t i = 0; i < sizeof(facts) / sizeof(*facts); i++) {
		char wanted[80];

		if (strcmp(facts[i].name, word->name) != 0)
			continue;
		snprintf(wanted, sizeof(wanted), " %.70s ", word->value);
		if (!facts[i].words || strstr(facts[i].words, wanted))
			return RC_OK;
		return err_set(err, ERR_USAGE, "%s=%.40s: it may be%s", word->name, word->value,
			facts[i].words);
	}
	return err_set(err, ERR_USAGE, "%.40s: there is no such fact", word->name);
}

static enum rc
add_word(struct policy_case *out, bool want, const struct case_word *word, struct err *err)
{
	size_t *n = want ? &out->n_wants : &out->n_facts;

	if (*n == CASE_MAX_WORDS)
		return err_set(err, ERR_USAGE, "more than %d words", CASE_MAX_WORDS);
	if (want && answer_find(word->name) < 0)
		return err_set(err, ERR_USAGE, "%.40s: nothing that can be expected", word->name);
	if (!want && check_fact(word, err) != RC_OK)
		return RC_PERM;
	(want ? out->wants : out->facts)[(*n)++] = *word;
	return RC_OK;
}

enum rc
case_parse(char *text, unsigned line, struct policy_case *out, struct err *err)
{
	struct case_word word;
	bool want = false;
	enum rc rc;

	out->line = line;
	out->n_facts = out->n_wants = 0;
	while ((rc = take_word(&text, &word, err)) == RC_OK) {
		if (!word.name && want)
			return err_set(err, ERR_USAGE, "a second =>");
		if (!word.name)
			want = true;
		else if ((rc = add_word(out, want, &word, err)) != RC_OK)
			return rc;
	}
	if (rc == RC_PERM)
		return rc;
	if (out->n_facts == 0 && !want)
		return RC_NONE;
	if (!case_fact(out, "rcpt", 0) || !case_fact(out, "sender", 0))
		return err_set(err, ERR_USAGE, "a case needs sender= and rcpt=");
	return RC_OK;
}
