/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/groups.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "directory/group_walk.h"
#include "message/addr.h"

struct kept {
	char *addr; /* NULL: free */
	bool *in;   /* for each group */
	int64_t until_ms;
};

struct groups {
	struct conf *conf;
	struct group_walk *walk;
	struct group_name *names;
	size_t n;
	const char *const *domains; /* of the directory; none: all */
	size_t n_domains;
	int64_t positive_ms, negative_ms;
	pthread_mutex_t lock;
	struct kept
		*kept; /* GROUPS_MAX_KEPT, by hash: a later address takes an earlier one's place */
};

static enum rc
take_names(struct groups *g, const char *const *names, size_t n, struct err *err)
{
	g->names = calloc(n + 1, sizeof(*g->names));
	g->kept = calloc(GROUPS_MAX_KEPT, sizeof(*g->kept));
	if (!g->names || !g->kept)
		return err_set(err, ERR_MEMORY, "groups");
	for (; g->n < n; g->n++) {
		enum rc rc = group_name_init(&g->names[g->n], names[g->n], err);

		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

enum rc
groups_new(
	struct conf *conf, const char *const *names, size_t n, struct groups **out, struct err *err)
{
	const struct conf_group *section = conf_section(conf, "groups");
	const struct conf_group *lookup = conf_section(conf, "lookup");
	struct groups *g;
	enum rc rc;

	*out = NULL;
	if (!conf_str(section, "directory"))
		return RC_NONE;
	g = calloc(1, sizeof(*g));
	if (!g)
		return err_set(err, ERR_MEMORY, "groups");
	pthread_mutex_init(&g->lock, NULL);
	g->conf = conf_ref(conf);
	g->positive_ms = conf_int(lookup, "positive_ttl") * 1000;
	g->negative_ms = conf_int(lookup, "negative_ttl") * 1000;
	rc = take_names(g, names, n, err);
	if (rc == RC_OK)
		rc = group_walk_new(conf, &g->walk, &g->domains, &g->n_domains, err);
	if (rc == RC_OK)
		*out = g;
	else
		groups_free(&g);
	return rc;
}

static void
drop(struct kept *kept)
{
	free(kept->addr);
	free(kept->in);
	*kept = (struct kept){0};
}

void
groups_free(struct groups **groups)
{
	struct groups *g = *groups;

	*groups = NULL;
	if (!g)
		return;
	for (size_t i = 0; g->kept && i < GROUPS_MAX_KEPT; i++)
		drop(&g->kept[i]);
	for (size_t i = 0; i < g->n; i++)
		group_name_fini(&g->names[i]);
	free(g->kept);
	free(g->names);
	group_walk_free(&g->walk);
	pthread_mutex_destroy(&g->lock);
	conf_unref(&g->conf);
	free(g);
}

static struct kept *
slot(struct groups *g, const char *addr)
{
	uint32_t hash = 2166136261u;

	for (; *addr; addr++)
		hash = (hash ^ (unsigned char)*addr) * 16777619u;
	return &g->kept[hash % GROUPS_MAX_KEPT];
}

/* A kept answer that is still good. */
static bool
find_kept(struct groups *g, const char *addr, bool *in)
{
	struct kept *kept = slot(g, addr);
	bool found;

	pthread_mutex_lock(&g->lock);
	found = kept->addr && strcmp(kept->addr, addr) == 0 &&
		clock_monotonic_ms() < kept->until_ms;
	if (found)
		memcpy(in, kept->in, g->n * sizeof(*in));
	pthread_mutex_unlock(&g->lock);
	return found;
}

/* No memory: not kept. */
static void
keep(struct groups *g, const char *addr, const bool *in)
{
	struct kept fresh = {.addr = strdup(addr), .in = calloc(g->n + 1, sizeof(*in))};
	struct kept *kept = slot(g, addr);
	bool any = false;

	if (!fresh.addr || !fresh.in) {
		drop(&fresh);
		return;
	}
	memcpy(fresh.in, in, g->n * sizeof(*in));
	for (size_t i = 0; i < g->n; i++)
		any |= in[i];
	fresh.until_ms = clock_monotonic_ms() + (any ? g->positive_ms : g->negative_ms);
	pthread_mutex_lock(&g->lock);
	drop(kept);
	*kept = fresh;
	pthread_mutex_unlock(&g->lock);
}

enum rc
groups_find(struct groups *g, const char *addr, bool *in, struct err *err)
{
	struct group_list found = {0};
	const char *domain = addr_domain(addr);
	enum rc rc;

	memset(in, 0, g->n * sizeof(*in));
	if (!domain || (g->n_domains > 0 && !addr_domain_in(domain, g->domains, g->n_domains)))
		return RC_OK; /* nobody whom the directory knows */
	if (g->n == 0 || find_kept(g, addr, in))
		return RC_OK;
	rc = group_walk_run(g->walk, addr, &found, err);
	for (size_t i = 0; rc == RC_OK && i < g->n; i++)
		for (size_t k = 0; k < found.n && !in[i]; k++)
			in[i] = group_name_is(&g->names[i], &found.v[k]);
	if (rc == RC_OK)
		keep(g, addr, in);
	group_list_fini(&found);
	return rc == RC_OK ? RC_OK : RC_TEMP;
}
