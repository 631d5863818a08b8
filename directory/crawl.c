/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/crawl.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "directory/ldap_attrs.h"
#include "directory/ldap_search.h"
#include "directory/ldap_settings.h"

#define MAX_RANGES 2000 /* of an attribute; a server gives a thousand values or more in one */

struct crawl {
	char *name; /* of the directory */
	char *base;
	int scope;
	int timeout_ms;
	struct ldap_pool *pool;
};

/* One crawl over one connection. */
struct walk {
	struct crawl *crawl;
	const struct crawl_query *query;
	struct crawl_result *result;
	struct ldap_lease *lease;
	struct err *err;
};

static void
values_fini(struct crawl_values *values)
{
	for (size_t i = 0; i < values->n; i++)
		free(values->v[i]);
	free(values->v);
	free(values->len);
	*values = (struct crawl_values){0};
}

void
crawl_result_fini(struct crawl_result *result)
{
	for (size_t i = 0; i < result->n; i++) {
		free(result->v[i].name);
		free(result->v[i].dn);
		for (size_t k = 0; k < CRAWL_MAX_ATTRS; k++)
			values_fini(&result->v[i].attrs[k]);
	}
	free(result->v);
	*result = (struct crawl_result){0};
}

char *
crawl_dn(const char *text)
{
	char *dn = NULL, *copy;

	if (!*text || ldap_dn_normalize(text, LDAP_DN_FORMAT_LDAPV3, &dn, LDAP_DN_FORMAT_LDAPV3) !=
			      LDAP_SUCCESS)
		return NULL;
	copy = strdup(dn);
	ldap_memfree(dn);
	for (char *p = copy; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

enum rc
crawl_new(struct conf *conf, const char *directory, struct crawl **out, struct err *err)
{
	const struct conf_group *group = ldap_settings_find(conf, directory);
	struct crawl *crawl;
	enum rc rc;

	*out = NULL;
	if (!group)
		return err_set(err, ERR_CONFIG, "%s: there is no directory called %s",
			conf_path(conf), directory);
	crawl = calloc(1, sizeof(*crawl));
	if (!crawl || !(crawl->name = strdup(conf_str(group, "name"))) ||
		!(crawl->base = strdup(conf_str(group, "base")))) {
		crawl_free(&crawl);
		return err_set(err, ERR_MEMORY, "directory");
	}
	crawl->scope = ldap_settings_scope(group);
	crawl->timeout_ms = (int)conf_int(group, "timeout");
	rc = ldap_settings_pool(conf, group, crawl->name, 0, &crawl->pool, err);
	if (rc == RC_OK)
		*out = crawl;
	else
		crawl_free(&crawl);
	return rc;
}

void
crawl_free(struct crawl **crawl)
{
	struct crawl *c = *crawl;

	*crawl = NULL;
	if (!c)
		return;
	ldap_pool_free(&c->pool);
	free(c->name);
	free(c->base);
	free(c);
}

/* --- entries --- */

static enum rc
add_value(struct walk *w, struct crawl_values *values, const struct berval *value)
{
	if (value->bv_len > CRAWL_MAX_VALUE || values->n == CRAWL_MAX_VALUES ||
		w->result->bytes + value->bv_len > CRAWL_MAX_BYTES)
		return err_set(w->err, ERR_DIR_ANSWER,
			"directory %s: a value of %zu bytes, %zu of them", w->crawl->name,
			(size_t)value->bv_len, values->n);
	if (values->n == values->room) {
		size_t room = values->room * 2 + 2;
		char **v = realloc(values->v, room * sizeof(*v));
		size_t *len;

		values->v = v ? v : values->v;
		len = v ? realloc(values->len, room * sizeof(*len)) : NULL;
		values->len = len ? len : values->len;
		if (!len)
			return err_set(w->err, ERR_MEMORY, "directory");
		values->room = room;
	}
	values->v[values->n] = malloc(value->bv_len + 1);
	if (!values->v[values->n])
		return err_set(w->err, ERR_MEMORY, "directory");
	memcpy(values->v[values->n], value->bv_val, value->bv_len);
	values->v[values->n][value->bv_len] = 0;
	values->len[values->n++] = value->bv_len;
	w->result->bytes += value->bv_len + 32;
	return RC_OK;
}

/* Is DESCRIPTION the attribute NAME, which may have options behind it? */
static bool
is_attr(const char *name, const char *description)
{
	size_t len = strcspn(description, ";");

	return strlen(name) == len && strncasecmp(name, description, len) == 0;
}

/* Where the next range begins of what DESCRIPTION gives in ranges; 0: it is whole. */
static unsigned long
next_range(const char *description)
{
	const char *range = strcasestr(description, ";range="),
		   *dash = range ? strchr(range, '-') : NULL;

	return dash && dash[1] != '*' ? strtoul(dash + 1, NULL, 10) + 1 : 0;
}

/* Every value of an entry's attributes, into ENTRY; what the query names twice comes twice. NEXT
 * gets where further ranges begin. */
static enum rc
take_values(struct walk *w, LDAPMessage *message, struct crawl_entry *entry,
	unsigned long next[CRAWL_MAX_ATTRS])
{
	struct ldap_attrs attrs;
	enum rc rc = ldap_attrs_begin(&attrs, w->lease->ld, message, w->crawl->name, w->err);

	while (rc == RC_OK && (rc = ldap_attrs_next(&attrs, w->err)) == RC_OK) {
		char name[256];

		if (attrs.name.bv_len >= sizeof(name))
			continue; /* none of those that were asked for */
		memcpy(name, attrs.name.bv_val, attrs.name.bv_len);
		name[attrs.name.bv_len] = '\0';
		for (size_t k = 0; k < w->query->n_attrs; k++) {
			if (!is_attr(w->query->attrs[k], name))
				continue;
			for (const struct berval *v = attrs.values; rc == RC_OK && v && v->bv_val;
				v++)
				rc = add_value(w, &entry->attrs[k], v);
			if (next_range(name))
				next[k] = next_range(name);
		}
	}
	ldap_attrs_end(&attrs);
	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc
take_entry(struct walk *w, LDAPMessage *message, unsigned long (**next)[CRAWL_MAX_ATTRS])
{
	struct crawl_result *result = w->result;
	struct crawl_entry *entry;
	char *name;

	if (result->n == w->query->max_entries)
		return err_set(w->err, ERR_DIR_ANSWER, "directory %s: more than %zu entries",
			w->crawl->name, w->query->max_entries);
	if (result->n == result->room) {
		size_t room = result->room * 2 + 64;
		void *v = realloc(result->v, room * sizeof(*result->v)),
		     *more = v ? realloc(*next, room * sizeof(**next)) : NULL;

		result->v = v ? v : result->v;
		*next = more ? more : *next;
		if (!more)
			return err_set(w->err, ERR_MEMORY, "directory");
		result->room = room;
	}
	entry = &result->v[result->n];
	*entry = (struct crawl_entry){0};
	memset((*next)[result->n++], 0, sizeof(**next));
	name = ldap_get_dn(w->lease->ld, message);
	entry->name = strdup(name ? name : "");
	entry->dn = crawl_dn(name ? name : "");
	ldap_memfree(name);
	if (!entry->name || !entry->dn)
		return err_set(w->err, ERR_DIR_ANSWER, "directory %s: an entry without a name",
			w->crawl->name);
	return take_values(w, message, entry, (*next)[result->n - 1]);
}

/* --- searches --- */

/* A result code of libldap as an error; what is left of an answer is not enough of it. */
static enum rc
failed(struct walk *w, int result)
{
	const char *uri = ldap_pool_uri(w->crawl->pool, w->lease->server);

	if (w->lease->connection->guard.expired)
		result = LDAP_TIMEOUT;
	ldap_conn_err(w->err, w->crawl->name, uri, w->lease->ld, result);
	if (result == LDAP_SIZELIMIT_EXCEEDED || result == LDAP_ADMINLIMIT_EXCEEDED ||
		result == LDAP_TIMELIMIT_EXCEEDED)
		err_prefix(w->err, "only a part of the entries");
	return RC_TEMP;
}

/* One search, entry by entry, with a deadline of its own. What the server says at its end stays in
 * SEARCH, also when it fails. */
static enum rc
search(struct walk *w, struct ldap_search *search)
{
	int64_t deadline = clock_monotonic_ms() + w->crawl->timeout_ms;
	enum rc rc = RC_OK;
	int result;

	search->name = w->crawl->name;
	search->uri = ldap_pool_uri(w->crawl->pool, w->lease->server);
	search->max_bytes = CRAWL_MAX_BYTES;
	w->lease->deadline = w->lease->connection->guard.deadline = deadline;
	result = ldap_search_once(search, w->lease, &rc, w->err);
	if (rc == RC_OK && result != LDAP_SUCCESS)
		rc = failed(w, result);
	return rc == RC_OK ? RC_OK : RC_TEMP;
}

/* An entry whose values go on. */
struct rest {
	struct walk *walk;
	struct crawl_entry *entry;
	unsigned long next[CRAWL_MAX_ATTRS];
};

static enum rc
take_rest(void *ctx, const struct ldap_lease *lease, LDAPMessage *message, struct err *err)
{
	struct rest *rest = ctx;

	(void)lease;
	(void)err; /* the walk has it */
	return take_values(rest->walk, message, rest->entry, rest->next);
}

/* The rest of an attribute that the server gives in ranges. */
static enum rc
read_rest(struct walk *w, struct crawl_entry *entry, size_t attr, unsigned long from)
{
	size_t ranges = 0;
	enum rc rc = RC_OK;

	while (rc == RC_OK && from) {
		struct rest rest = {.walk = w, .entry = entry};
		size_t had = entry->attrs[attr].n;
		char description[256], *attrs[2] = {description, NULL};
		struct ldap_search one = {.base = entry->name,
			.scope = LDAP_SCOPE_BASE,
			.filter = "(objectClass=*)",
			.attributes = attrs,
			.max_entries = 1,
			.take = take_rest,
			.ctx = &rest};

		snprintf(description, sizeof(description), "%s;range=%lu-*", w->query->attrs[attr],
			from);
		rc = search(w, &one);
		if (rc == RC_OK && (entry->attrs[attr].n == had || ++ranges == MAX_RANGES))
			rc = err_set(w->err, ERR_DIR_ANSWER, "directory %s: %s ends within a range",
				w->crawl->name, entry->name);
		from = rest.next[attr];
		ldap_search_fini(&one);
	}
	return rc;
}

/* Entries, and where the values of each go on. */
struct page {
	struct walk *walk;
	unsigned long (**next)[CRAWL_MAX_ATTRS];
};

static enum rc
take_from_page(void *ctx, const struct ldap_lease *lease, LDAPMessage *message, struct err *err)
{
	struct page *page = ctx;

	(void)lease;
	(void)err;
	return take_entry(page->walk, message, page->next);
}

/* Where the next page begins, from what the server said at the end of one. */
static enum rc
end_page(struct walk *w, const struct ldap_search *page, struct berval *cookie)
{
	LDAPControl *control = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, page->said, NULL);
	ber_int_t estimate;

	if (page->n_references > 0 && !w->query->ignore_references)
		return err_set(w->err, ERR_DIR_ANSWER,
			"directory %s: a part of the entries is on another server (people.references)",
			w->crawl->name);
	ber_memfree(cookie->bv_val);
	*cookie = (struct berval){0};
	if (w->query->page_size && !control)
		return err_set(w->err, ERR_DIR_ANSWER,
			"directory %s: the server does not give its answer in pages (people.page_size)",
			w->crawl->name);
	if (control && ldap_parse_pageresponse_control(w->lease->ld, control, &estimate, cookie) !=
			       LDAP_SUCCESS)
		return err_set(w->err, ERR_DIR_ANSWER, "directory %s: a page without an end",
			w->crawl->name);
	return RC_OK;
}

static int
scope_of(const struct walk *w)
{
	const char *scope = w->query->scope;

	if (!scope)
		return w->crawl->scope;
	if (strcmp(scope, "base") == 0)
		return LDAP_SCOPE_BASE;
	return strcmp(scope, "one") == 0 ? LDAP_SCOPE_ONELEVEL : LDAP_SCOPE_SUBTREE;
}

/* One page; FIRST has no cookie. */
static enum rc
read_page(
	struct walk *w, bool first, struct berval *cookie, unsigned long (**next)[CRAWL_MAX_ATTRS])
{
	const struct crawl_query *query = w->query;
	char *attrs[CRAWL_MAX_ATTRS + 1] = {0};
	LDAPControl *controls[2] = {NULL, NULL};
	struct page page = {w, next};
	struct ldap_search one = {.base = query->base ? query->base : w->crawl->base,
		.scope = scope_of(w),
		.filter = query->filter,
		.attributes = attrs,
		.controls = query->page_size ? controls : NULL,
		.max_entries = query->max_entries - w->result->n + 1, /* the last is refused */
		.take = take_from_page,
		.ctx = &page};
	enum rc rc = RC_OK;

	memcpy(attrs, query->attrs, query->n_attrs * sizeof(*attrs));
	if (query->page_size && ldap_create_page_control(w->lease->ld, (ber_int_t)query->page_size,
					first ? NULL : cookie, 1, &controls[0]) != LDAP_SUCCESS)
		rc = err_set(w->err, ERR_MEMORY, "directory");
	if (rc == RC_OK)
		rc = search(w, &one);
	if (rc == RC_OK)
		rc = end_page(w, &one, cookie);
	ldap_search_fini(&one);
	if (controls[0])
		ldap_control_free(controls[0]);
	return rc;
}

static enum rc
read_pages(struct walk *w, unsigned long (**next)[CRAWL_MAX_ATTRS])
{
	struct berval cookie = {0};
	size_t pages = 0;
	enum rc rc = RC_OK;

	do {
		if (pages++ > w->query->max_entries + 16)
			rc = err_set(w->err, ERR_DIR_ANSWER, "directory %s: pages without end",
				w->crawl->name);
		else
			rc = read_page(w, pages == 1, &cookie, next);
	} while (rc == RC_OK && cookie.bv_len > 0);
	ber_memfree(cookie.bv_val);
	return rc;
}

static enum rc
walk_server(struct walk *w)
{
	unsigned long(*next)[CRAWL_MAX_ATTRS] = NULL;
	enum rc rc = read_pages(w, &next);

	for (size_t i = 0; rc == RC_OK && i < w->result->n; i++)
		for (size_t k = 0; rc == RC_OK && k < w->query->n_attrs; k++)
			rc = read_rest(w, &w->result->v[i], k, next[i][k]);
	free(next);
	return rc;
}

enum rc
crawl_run(struct crawl *crawl, const struct crawl_query *query, struct crawl_result *result,
	struct err *err)
{
	enum rc rc = RC_TEMP;

	*result = (struct crawl_result){0};
	for (size_t i = 0; rc != RC_OK && i < ldap_pool_servers(crawl->pool); i++) {
		struct ldap_lease lease;
		struct walk w = {crawl, query, result, &lease, err};

		rc = ldap_pool_lend(crawl->pool, i, true, &lease, err);
		if (rc != RC_OK)
			continue;
		rc = walk_server(&w);
		/* The next crawl may be hours away. */
		ldap_pool_drop(crawl->pool, &lease, rc == RC_OK ? LDAP_ALIVE : LDAP_DOWN, err);
		if (rc != RC_OK)
			crawl_result_fini(result);
	}
	return rc == RC_OK ? RC_OK : RC_TEMP;
}
