/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fakescript.h - the script of fakesmtp: what is to be done at which stage
 */
#ifndef TESTS_FLOW_FAKESCRIPT_H
#define TESTS_FLOW_FAKESCRIPT_H

#include <stdbool.h>

#define SCRIPT_MAX_RULES 64

struct rule {
	char stage[16], match[200], action[400];
	int nth, times, line;
};

struct script {
	struct rule rules[SCRIPT_MAX_RULES];
	int n_rules;
	char offers[10][200], without[10][40];
	int n_offers, n_without, limit;
};

/* PATH may be NULL: an empty one. */
void script_read(struct script *script, const char *path);
/* What is to be done at STAGE for COMMAND, or NULL; counts. Threads: any. */
const char *script_find(struct script *script, const char *stage, const char *command);
/* Is the extension LINE left out? */
bool script_is_without(const struct script *script, const char *line);

#endif
