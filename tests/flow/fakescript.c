/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/flow/fakescript.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	char stage[16];
	int n;
} stage_counts[32];
static int used[1000]; /* by line of the script */

static void
add_rule(struct script *s, const char *line, int number)
{
	struct rule *r = &s->rules[s->n_rules];
	int at = 0, n;

	if (s->n_rules == SCRIPT_MAX_RULES || sscanf(line, "%15s %n", r->stage, &at) != 1)
		return;
	r->line = number;
	for (;;) {
		if (sscanf(line + at, "nth=%d %n", &r->nth, &n) == 1 ||
			sscanf(line + at, "times=%d %n", &r->times, &n) == 1 ||
			sscanf(line + at, "match=%199s %n", r->match, &n) == 1)
			at += n;
		else
			break;
	}
	snprintf(r->action, sizeof r->action, "%s", line + at);
	s->n_rules++;
}

void
script_read(struct script *s, const char *path)
{
	FILE *file = path ? fopen(path, "r") : NULL;
	char line[700];

	for (int number = 0; file && number < 1000 && fgets(line, sizeof line, file); number++) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "offer ", 6) == 0 && s->n_offers < 10)
			snprintf(s->offers[s->n_offers++], 200, "%s", line + 6);
		else if (strncmp(line, "without ", 8) == 0 && s->n_without < 10)
			snprintf(s->without[s->n_without++], 40, "%s", line + 8);
		else if (strncmp(line, "limit ", 6) == 0)
			s->limit = atoi(line + 6);
		else if (*line && *line != '#')
			add_rule(s, line, number);
	}
	if (file)
		fclose(file);
}

static int
count_stage(const char *stage)
{
	int i = 0;

	while (stage_counts[i].n && strcmp(stage_counts[i].stage, stage) != 0)
		i++;
	snprintf(stage_counts[i].stage, sizeof stage_counts[i].stage, "%s", stage);
	return ++stage_counts[i].n;
}

const char *
script_find(struct script *s, const char *stage, const char *command)
{
	const char *action = NULL;
	int nth;

	pthread_mutex_lock(&lock);
	nth = count_stage(stage);
	for (int i = 0; !action && i < s->n_rules; i++) {
		struct rule *r = &s->rules[i];

		if (strcmp(r->stage, stage) != 0 || (r->nth && r->nth != nth) ||
			(*r->match && !strstr(command, r->match)) ||
			(r->times && used[r->line] >= r->times))
			continue;
		used[r->line]++;
		action = r->action;
	}
	pthread_mutex_unlock(&lock);
	return action;
}

bool
script_is_without(const struct script *s, const char *line)
{
	for (int i = 0; i < s->n_without; i++)
		if (strncasecmp(line, s->without[i], strlen(s->without[i])) == 0)
			return true;
	return false;
}
