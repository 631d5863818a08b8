/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/budget.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/counter.h"
#include "base/log.h"

#define HOUR      3600
#define DAY       86400
#define NAME_SIZE 160
#define BUCKETS   4096u
#define MATCHING  64 /* budgets that one use may fall under */

struct count {
	struct count *next;
	char name[NAME_SIZE]; /* uses, and service or key */
	int64_t hour, day;    /* their numbers since 1970 */
	int64_t in_hour, in_day;
};

struct budget {
	pthread_mutex_t lock;
	struct count *buckets[BUCKETS];
	size_t n;
};

enum rc
budget_new(struct budget **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "budgets");
	pthread_mutex_init(&(*out)->lock, NULL);
	return RC_OK;
}

/* Frees the counters whose day is over; ALL: every one. */
static void
sweep(struct budget *budget, int64_t now, bool all)
{
	for (unsigned b = 0; b < BUCKETS; b++)
		for (struct count **p = &budget->buckets[b]; *p;) {
			struct count *count = *p;

			if (!all && count->day == now / DAY) {
				p = &count->next;
				continue;
			}
			*p = count->next;
			free(count);
			budget->n--;
		}
}

void
budget_free(struct budget **budget)
{
	if (!*budget)
		return;
	sweep(*budget, 0, true);
	pthread_mutex_destroy(&(*budget)->lock);
	free(*budget);
	*budget = NULL;
}

/* The counter NAME, made when there is none; NULL when there is no room. */
static struct count *
get_count(struct budget *budget, const char *name, int64_t now)
{
	uint32_t hash = 2166136261u;
	struct count *count, **bucket;

	for (const char *p = name; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	bucket = &budget->buckets[hash % BUCKETS];
	for (count = *bucket; count; count = count->next)
		if (strcmp(count->name, name) == 0)
			break;
	if (!count) {
		if (budget->n >= BUDGET_MAX)
			sweep(budget, now, false);
		if (budget->n >= BUDGET_MAX || !(count = calloc(1, sizeof(*count))))
			return NULL;
		snprintf(count->name, sizeof(count->name), "%s", name);
		count->next = *bucket;
		*bucket = count;
		budget->n++;
	}
	if (count->hour != now / HOUR) {
		count->hour = now / HOUR;
		count->in_hour = 0;
	}
	if (count->day != now / DAY) {
		count->day = now / DAY;
		count->in_day = 0;
	}
	return count;
}

static bool
falls_under(const struct budget_rule *rule, const char *service, unsigned use)
{
	return (rule->use & use) && (rule->hour || rule->day) &&
	       (!rule->service || strcmp(rule->service, service) == 0);
}

/* One use of a key. */
struct charge {
	const struct settings *settings;
	const char *service, *key;
	unsigned use;
	int64_t now;
};

/* Is there room for one more in every budget? Fills HITS. */
static enum rc
check(struct budget *budget, const struct charge *charge, struct count **hits, size_t *n,
	struct err *err)
{
	for (size_t i = 0; i < charge->settings->n_budgets; i++) {
		const struct budget_rule *rule = &charge->settings->budgets[i];
		const char *name_of = rule->service ? rule->service : charge->key;
		char name[NAME_SIZE];
		struct count *count;
		bool known = false;

		if (!falls_under(rule, charge->service, charge->use))
			continue;
		snprintf(name, sizeof(name), "%u %s %s", rule->use,
			rule->service ? "service" : "key", name_of);
		count = get_count(budget, name, charge->now);
		if (!count || *n == MATCHING)
			return err_set(err, ERR_VAULT_BUDGET, "no room for more counters");
		if ((rule->hour && count->in_hour >= rule->hour) ||
			(rule->day && count->in_day >= rule->day))
			return err_set(err, ERR_VAULT_BUDGET,
				"%s %s: %" PRId64 " uses in this hour, %" PRId64 " today",
				rule->service ? "service" : "key", name_of, count->in_hour,
				count->in_day);
		for (size_t k = 0; k < *n; k++)
			known |= hits[k] == count;
		if (!known)
			hits[(*n)++] = count;
	}
	return RC_OK;
}

/* SHARE percent of LIMIT, at least one use. */
static int64_t
share_of(int64_t limit, int64_t share)
{
	int64_t n = limit / 100 * share + limit % 100 * share / 100;

	return n ? n : 1;
}

static void
tell(const struct budget_rule *rule, const char *name, const char *period, int64_t uses,
	int64_t limit)
{
	counter_add(COUNTER_BUDGET_ALARMS, 1);
	log_event(LOGL_WARN, NULL, "budget-alarm", rule->service ? "service" : "key", name,
		"period", period, "uses", LOG_NUM(uses), "limit", LOG_NUM(limit), NULL);
}

/* Each limit tells once in its hour or day when its share is reached, and once when it is used up.
 * The count passes each number once, whatever the order of uses. */
static void
alarm_uses(const struct settings *settings, const struct budget_rule *rule, const char *name,
	const struct count *count)
{
	if (rule->hour && (count->in_hour == share_of(rule->hour, settings->budget_alarm) ||
				  count->in_hour == rule->hour))
		tell(rule, name, "hour", count->in_hour, rule->hour);
	if (rule->day && (count->in_day == share_of(rule->day, settings->budget_alarm) ||
				 count->in_day == rule->day))
		tell(rule, name, "day", count->in_day, rule->day);
}

/* After a use was counted. */
static void
alarm_all(struct budget *budget, const struct charge *charge)
{
	const struct settings *settings = charge->settings;

	for (size_t i = 0; i < settings->n_budgets; i++) {
		const struct budget_rule *rule = &settings->budgets[i];
		const char *name = rule->service ? rule->service : charge->key;
		char full[NAME_SIZE];
		struct count *count;

		if (!falls_under(rule, charge->service, charge->use))
			continue;
		snprintf(full, sizeof(full), "%u %s %s", rule->use,
			rule->service ? "service" : "key", name);
		count = get_count(budget, full, charge->now);
		if (count)
			alarm_uses(settings, rule, name, count);
	}
}

enum rc
budget_charge(struct budget *budget, const struct settings *settings, const char *service,
	const char *key, unsigned use, int64_t now, struct err *err)
{
	const struct charge charge = {settings, service, key, use, now};
	struct count *hits[MATCHING];
	size_t n = 0;
	enum rc rc;

	if (settings->n_budgets == 0)
		return RC_OK;
	pthread_mutex_lock(&budget->lock);
	rc = check(budget, &charge, hits, &n, err);
	for (size_t i = 0; !rc && i < n; i++) {
		hits[i]->in_hour++;
		hits[i]->in_day++;
	}
	if (!rc)
		alarm_all(budget, &charge);
	pthread_mutex_unlock(&budget->lock);
	return rc;
}

/* The service or key that COUNT is of, when it is one of RULE's; else NULL. */
static const char *
name_under(const struct budget_rule *rule, const struct count *count)
{
	char head[32];
	size_t len;

	len = (size_t)snprintf(
		head, sizeof(head), "%u %s ", rule->use, rule->service ? "service" : "key");
	if (strncmp(count->name, head, len) != 0)
		return NULL;
	return !rule->service || strcmp(rule->service, count->name + len) == 0 ? count->name + len
									       : NULL;
}

enum rc
budget_list(struct budget *budget, const struct settings *settings, int64_t now, budget_each *each,
	void *ctx, struct err *err)
{
	enum rc rc = RC_OK;

	pthread_mutex_lock(&budget->lock);
	for (size_t i = 0; i < settings->n_budgets; i++)
		for (unsigned b = 0; b < BUCKETS; b++)
			for (const struct count *c = budget->buckets[b]; !rc && c; c = c->next) {
				struct budget_use use = {.rule = &settings->budgets[i],
					.name = name_under(&settings->budgets[i], c),
					.in_hour = c->hour == now / HOUR ? c->in_hour : 0,
					.in_day = c->day == now / DAY ? c->in_day : 0};

				if (use.name && (use.in_hour || use.in_day))
					rc = each(ctx, &use, err);
			}
	pthread_mutex_unlock(&budget->lock);
	return rc;
}

enum rc
budget_format(struct budget *budget, int64_t now, struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;

	pthread_mutex_lock(&budget->lock);
	for (unsigned b = 0; !rc && b < BUCKETS; b++)
		for (struct count *count = budget->buckets[b]; !rc && count; count = count->next)
			if (count->day == now / DAY)
				rc = buf_appendf(out, err,
					"%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %s\n",
					count->hour, count->in_hour, count->day, count->in_day,
					count->name);
	pthread_mutex_unlock(&budget->lock);
	return rc;
}

void
budget_parse(struct budget *budget, const char *text, size_t len)
{
	const char *end = text + len;

	pthread_mutex_lock(&budget->lock);
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		int64_t hour, in_hour, day, in_day;
		char line[NAME_SIZE + 100], name[NAME_SIZE];
		struct count *count;

		if (!stop || (size_t)(stop - text) >= sizeof(line))
			break;
		memcpy(line, text, (size_t)(stop - text));
		line[stop - text] = 0;
		text = stop + 1;
		if (sscanf(line, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %159[^\n]", &hour,
			    &in_hour, &day, &in_day, name) != 5)
			continue;
		count = get_count(budget, name, day * DAY);
		if (!count)
			break;
		count->hour = hour;
		count->in_hour = in_hour;
		count->in_day = in_day;
	}
	pthread_mutex_unlock(&budget->lock);
}
