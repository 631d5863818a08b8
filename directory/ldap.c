/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/ldap.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "directory/answers.h"
#include "directory/ldap_entry.h"
#include "directory/ldap_settings.h"

struct directory {
	char *name; /* "ldap:NAME" */
	char *base;
	char *filter;
	int scope;
	int size_limit;
	bool prefer;
	struct ldap_shape shape;
	struct answers *answers; /* for when it can't be asked; NULL: none is used then */
	atomic_int refs;
	struct ldap_pool *pool;
};

/* Letters, digits and what addresses are usually made of; the rest goes as \XX. */
static bool
is_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != 0 && strchr("@.-_+=", c));
}

enum rc
ldap_filter_append(const char *addr, struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;

	for (; rc == RC_OK && *addr; addr++) {
		if (is_plain((unsigned char)*addr))
			rc = buf_append_char(out, *addr, err);
		else if ((rc = buf_append_char(out, '\\', err)) == RC_OK)
			rc = buf_append_hex(out, addr, 1, err);
	}
	return rc;
}

enum rc
ldap_filter_format(const char *template, const char *addr, struct buf *out, struct err *err)
{
	int depth = 0, lowest = 0;
	bool used = false;
	enum rc rc = RC_OK;

	for (const char *p = template; rc == RC_OK && *p; p++) {
		depth += (*p == '(') - (*p == ')');
		lowest = depth < lowest ? depth : lowest;
		if (*p != '%') {
			rc = buf_append_char(out, *p, err);
		} else if (*++p == '%') {
			rc = buf_append_char(out, '%', err);
		} else if (*p == 'a') {
			used = true;
			rc = ldap_filter_append(addr, out, err);
		} else {
			return err_set(err, ERR_CONFIG, "only %%a and %%%% are known in a filter");
		}
	}
	if (rc == RC_OK && !used)
		return err_set(err, ERR_CONFIG, "the filter has no %%a for the address");
	if (rc == RC_OK && (depth != 0 || lowest < 0))
		return err_set(err, ERR_CONFIG, "the filter's parentheses do not match");
	return rc;
}

/* The first few had lines of their own. */
static void
log_ignored(const struct directory *dir, const char *addr, unsigned n)
{
	char count[16];

	snprintf(count, sizeof(count), "%u", n);
	log_event(LOGL_WARN, NULL, "directory-values-ignored", "directory", dir->name, "asked",
		addr, "values", count, NULL);
}

/* One more range of an attribute that goes on; *from gets where the next one begins. */
static enum rc
read_range(const struct directory *dir, struct ldap_reading *reading,
	const struct ldap_range *range, unsigned long *from, struct err *err)
{
	char description[256], *attributes[2] = {description, NULL};
	struct ldap_search search = {.name = dir->name,
		.base = range->dn,
		.scope = LDAP_SCOPE_BASE,
		.filter = "(objectClass=*)",
		.attributes = attributes,
		.max_entries = 1,
		.max_bytes = LDAP_MAX_ANSWER,
		.take = ldap_reading_take,
		.again = ldap_reading_again,
		.ctx = reading};
	unsigned had = reading->values;
	enum rc rc;

	snprintf(description, sizeof(description), "%s;range=%lu-*", dir->shape.certs[range->rank],
		*from);
	reading->within = range;
	reading->next = 0;
	rc = ldap_search_any(&search, dir->pool, err);
	ldap_search_fini(&search);
	*from = reading->next;
	reading->within = NULL;
	if (rc == RC_OK && reading->values == had)
		rc = err_set(
			err, ERR_DIR_ANSWER, "%s: %s ends within a range", dir->name, range->dn);
	return rc;
}

/* The number of values ends this when the server does not, and the clock when it takes its time
 * for each. */
static enum rc
read_ranges(const struct directory *dir, struct ldap_reading *reading, struct err *err)
{
	int64_t until = clock_monotonic_ms() + ldap_pool_timeout(dir->pool);
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < reading->n_ranges; i++)
		for (unsigned long from = reading->ranges[i].from; rc == RC_OK && from;) {
			rc = read_range(dir, reading, &reading->ranges[i], &from, err);
			if (rc == RC_OK && from && clock_monotonic_ms() > until)
				rc = err_set(err, ERR_DIR_TIMEOUT,
					"%s: reading ranges of %s takes too long", dir->name,
					reading->ranges[i].dn);
		}
	return rc;
}

/* The search for one address, whose filter is FILTER. */
static enum rc
read_answer(const struct directory *dir, struct ldap_reading *reading, const char *filter,
	struct err *err)
{
	struct ldap_search search = {.name = dir->name,
		.base = dir->base,
		.scope = dir->scope,
		.filter = filter,
		.attributes = dir->shape.wanted,
		.size_limit = dir->size_limit,
		.max_entries = LDAP_MAX_ENTRIES,
		.max_bytes = 2 * LDAP_MAX_ANSWER,
		.take_partial = true,
		.take = ldap_reading_take,
		.again = ldap_reading_again,
		.ctx = reading};
	enum rc rc = ldap_search_any(&search, dir->pool, err);

	if (rc == RC_OK && search.partial) {
		reading->answer->partial = true;
		err_set(&reading->answer->partial_err, ERR_DIR_ANSWER,
			"%s, %s: the server's limit let only %zu of the entries through", dir->name,
			search.uri, search.entries);
	}
	ldap_search_fini(&search);
	return rc == RC_OK ? read_ranges(dir, reading, err) : rc;
}

/* What it said last, if that may be used; else RC stays as it is. The log says so each time. */
static enum rc
take_stale(
	const struct directory *dir, const char *addr, struct answer *answer, const struct err *why)
{
	char age[24];

	answer_fini(answer);
	if (!dir->answers || (why->code != ERR_DIR_UNAVAILABLE && why->code != ERR_DIR_TIMEOUT) ||
		answers_find(dir->answers, addr, answer, NULL) != RC_OK) {
		answer_fini(answer);
		return RC_TEMP;
	}
	answer->partial_err = *why;
	snprintf(age, sizeof(age), "%lld", (long long)answer->v[0].stale);
	log_error(LOGL_WARN, NULL, "directory-stale", why, "directory", dir->name, "asked", addr,
		"age", age, NULL);
	return RC_OK;
}

static enum rc
ldap_find(void *ctx, const char *addr, struct answer *answer, struct err *err)
{
	const struct directory *dir = ctx;
	struct ldap_reading reading = {.shape = &dir->shape, .addr = addr, .answer = answer};
	struct buf filter = BUF_INIT(16384);
	struct err why = ERR_INIT;
	/* The template was checked at load: no memory, or an absurd length. */
	enum rc rc = ldap_filter_format(dir->filter, addr, &filter, &why);

	if (rc == RC_OK)
		rc = read_answer(dir, &reading, buf_text(&filter), &why);
	buf_fini(&filter);
	if (reading.ignored > 0)
		log_ignored(dir, addr, reading.ignored);
	ldap_reading_fini(&reading);
	if (rc != RC_OK) {
		if (err)
			*err = why;
		return take_stale(dir, addr, answer, &why);
	}
	answer->prefer = dir->prefer;
	if (dir->answers)
		answers_keep(dir->answers, addr, answer);
	return answer->n > 0 || answer->partial ? RC_OK : RC_NONE;
}

static void
directory_free(void *ctx)
{
	struct directory *dir = ctx;

	if (!dir || atomic_fetch_sub(&dir->refs, 1) != 1)
		return;
	answers_free(&dir->answers);
	ldap_pool_free(&dir->pool);
	ldap_shape_fini(&dir->shape);
	free(dir->name);
	free(dir->base);
	free(dir->filter);
	free(dir);
}

static void *
directory_ref(void *ctx)
{
	struct directory *dir = ctx;

	atomic_fetch_add(&dir->refs, 1);
	return dir;
}

static enum tier
tier_from_name(const char *name)
{
	if (strcmp(name, "pinned") == 0)
		return TIER_PINNED;
	return strcmp(name, "harvested") == 0 ? TIER_HARVESTED : TIER_DIRECTORY;
}

/* Copies the domains that the directory is asked for. */
static bool
copy_domains(const struct conf_group *group, struct source *source)
{
	const char *const *domains;
	size_t n = conf_strings(group, "domains", &domains);

	if (n > 0 && !(source->domains = calloc(n, sizeof(*source->domains))))
		return false;
	for (; source->n_domains < n; source->n_domains++)
		if (!(source->domains[source->n_domains] = strdup(domains[source->n_domains])))
			return false;
	return true;
}

/* "ldap:NAME" */
static char *
source_name(const struct conf_group *group)
{
	struct buf name = BUF_INIT(128);

	if (buf_appendf(&name, NULL, "ldap:%s", conf_str(group, "name")) == RC_OK)
		return name.data; /* the caller's now */
	buf_fini(&name);
	return NULL;
}

/* An answer is good for positive_ttl in any case. */
static enum rc
init_answers(struct directory *dir, const struct conf *conf, const struct conf_group *group,
	struct err *err)
{
	const struct conf_group *lookup = conf_section(conf, "lookup");
	int64_t stale = conf_int(group, "stale");

	if (stale == 0)
		return RC_OK;
	dir->answers = answers_new((size_t)conf_int(lookup, "cache_size"),
		(conf_int(lookup, "positive_ttl") + stale) * 1000);
	return dir->answers ? RC_OK : err_set(err, ERR_MEMORY, "directory");
}

static enum rc
init_shape(
	struct directory *dir, struct conf *conf, const struct conf_group *group, struct err *err)
{
	const char *const *names;
	size_t n = conf_strings(group, "attributes", &names);
	struct err why = ERR_INIT;
	enum rc rc = ldap_shape_init(&dir->shape, names, n, dir->filter, &why);

	if (rc == RC_PERM)
		return conf_err(err, conf, group, "attributes", "%s", why.detail);
	if (rc != RC_OK && err)
		*err = why;
	return rc;
}

/* What needs nobody's help; false: no memory. */
static bool
init_directory(struct directory *dir, struct source *source, const struct conf_group *group)
{
	dir->name = source_name(group);
	dir->base = strdup(conf_str(group, "base"));
	dir->filter = strdup(conf_str(group, "filter"));
	dir->scope = ldap_settings_scope(group);
	dir->size_limit = (int)conf_int(group, "size_limit");
	dir->prefer = conf_bool(group, "prefer");
	dir->shape.name = dir->name;
	dir->shape.tier = tier_from_name(conf_str(group, "tier"));
	dir->shape.willing = conf_bool(group, "willing");
	dir->shape.check_entry = conf_bool(group, "check_entry");
	source->name = source_name(group);
	source->tier = dir->shape.tier;
	source->find = ldap_find;
	return dir->name && dir->base && dir->filter && source->name && copy_domains(group, source);
}

enum rc
source_ldap_new(struct conf *conf, const struct conf_group *group, int error_ttl_ms,
	struct source **out, struct err *err)
{
	struct source *source = calloc(1, sizeof(*source));
	struct directory *dir = calloc(1, sizeof(*dir));
	enum rc rc = ldap_settings_check_filter(conf, group, err);

	*out = NULL;
	if (dir)
		atomic_init(&dir->refs, 1);
	if (!source || !dir || !init_directory(dir, source, group))
		rc = err_set(err, ERR_MEMORY, "directory");
	if (rc == RC_OK)
		rc = init_answers(dir, conf, group, err);
	if (rc == RC_OK)
		rc = init_shape(dir, conf, group, err);
	if (rc == RC_OK)
		rc = ldap_settings_pool(conf, group, dir->name, error_ttl_ms, &dir->pool, err);
	if (rc != RC_OK) {
		directory_free(dir);
		source_free(&source);
		return rc;
	}
	source->free = directory_free;
	source->ref = directory_ref;
	source->ctx = dir; /* the source's now */
	*out = source;
	return RC_OK;
}
