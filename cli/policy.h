/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy.h - sealgate policy test: a table of cases, each with facts and what is expected
 *
 * One case a line, words "name=value", a value with blanks in double quotes (\" and \\ inside),
 * facts before "=>", expectations after it. # begins a comment. What is true of the message and of
 * the recipient stands in the facts; neither vault nor directory is asked.
 */
#ifndef CLI_POLICY_H
#define CLI_POLICY_H

#include "base/conf.h"
#include "message/alias.h"
#include "policy/policy.h"

#define CASE_MAX_WORDS 64
#define CASE_MAX_LINE  65536

struct case_word {
	char *name, *value; /* within the line */
};

struct policy_case {
	unsigned line;
	struct case_word facts[CASE_MAX_WORDS], wants[CASE_MAX_WORDS];
	size_t n_facts, n_wants;
};

/* TEXT is changed and stays in use. RC_NONE: an empty line or a comment; RC_PERM: ERR says why. */
enum rc case_parse(char *text, unsigned line, struct policy_case *out, struct err *err);
/* The Kth fact NAME, or NULL. */
const char *case_fact(const struct policy_case *one, const char *name, size_t k);
/* The same as yes, no or unknown; OTHERWISE when it is not given. */
enum tri case_tri(const struct policy_case *one, const char *name, enum tri otherwise);

/* What a case is run against: compiled once. */
struct policy_world {
	struct conf *conf; /* borrowed */
	struct policy *policy;
	struct rights *rights;
	struct alias_map *aliases;
};
enum rc policy_world_init(struct policy_world *world, struct conf *conf, struct err *err);
void policy_world_fini(struct policy_world *world);

/* What became of one recipient, in the words that expectations are written in. */
enum answer {
	ANSWER_RULE,
	ANSWER_AUTHORISED,
	ANSWER_DIRECTION,
	ANSWER_SIGN,
	ANSWER_SIGN_KEY,
	ANSWER_FORM,
	ANSWER_ENCRYPT,
	ANSWER_IF_MISSING,
	ANSWER_PRESET,
	ANSWER_OPEN,
	ANSWER_VERIFY,
	ANSWER_OPENED,
	ANSWER_REVOCATION,
	ANSWER_STALE,
	ANSWER_DOES,  /* leave, sign, encrypt, sign+encrypt, open, …, refuse, defer */
	ANSWER_ERROR, /* of a refusal or deferral; else "none" */
	ANSWER_OBSERVED,
	ANSWER_COUNT
};
const char *answer_name(enum answer which);
int answer_find(const char *name); /* -1: no such name */
struct policy_answer {
	char text[ANSWER_COUNT][128];
	char why[200];
};
/* RC_PERM: the case makes no sense, ERR says why. */
enum rc policy_case_run(const struct policy_world *world, const struct policy_case *one,
	const char *rcpt, struct policy_answer *out, struct err *err);

#endif
