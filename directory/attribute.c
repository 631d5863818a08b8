/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/attribute.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "directory/ldap_attrs.h"
#include "directory/ldap_search.h"
#include "directory/ldap_settings.h"

struct attributes {
	char *name; /* of the directory */
	char *base, *filter;
	int scope;
	struct ldap_pool *pool;
};

static enum rc
fill(struct attributes *a, struct conf *conf, const struct conf_group *group, struct err *err)
{
	int error_ttl = (int)conf_int(conf_section(conf, "lookup"), "error_ttl");
	enum rc rc = ldap_settings_check_filter(conf, group, err);

	if (rc != RC_OK)
		return rc;
	a->name = strdup(conf_str(group, "name"));
	a->base = strdup(conf_str(group, "base"));
	a->filter = strdup(conf_str(group, "filter"));
	a->scope = ldap_settings_scope(group);
	if (!a->name || !a->base || !a->filter)
		return err_set(err, ERR_MEMORY, "directory");
	return ldap_settings_pool(conf, group, a->name, error_ttl, &a->pool, err);
}

enum rc
attributes_new(struct conf *conf, const char *directory, struct attributes **out, struct err *err)
{
	const struct conf_group *group = ldap_settings_find(conf, directory);
	struct attributes *a = calloc(1, sizeof(*a));
	enum rc rc;

	*out = NULL;
	if (!a)
		return err_set(err, ERR_MEMORY, "directory");
	if (!group)
		rc = err_set(err, ERR_CONFIG, "%s: there is no directory called %s",
			conf_path(conf), directory);
	else
		rc = fill(a, conf, group, err);
	if (rc == RC_OK)
		*out = a;
	else
		attributes_free(&a);
	return rc;
}

void
attributes_free(struct attributes **attributes)
{
	struct attributes *a = *attributes;

	*attributes = NULL;
	if (!a)
		return;
	ldap_pool_free(&a->pool);
	free(a->name);
	free(a->base);
	free(a->filter);
	free(a);
}

/* What is asked for, and where it goes. */
struct query {
	const char *who;                      /* the directory's name */
	char *names[ATTRIBUTE_MAX_NAMES + 1]; /* NULL behind the last */
	bool all;                             /* every value, a NUL behind each; else the first */
	bool any;                             /* a value was found */
	struct buf *out;
	size_t had; /* bytes in OUT before */
};

static enum rc
take_one(const struct query *query, const struct berval *value, struct err *err)
{
	enum rc rc;

	if (value->bv_len > ATTRIBUTE_MAX_VALUE)
		return err_set(err, ERR_DIR_ANSWER, "a value of %zu bytes", (size_t)value->bv_len);
	rc = buf_append(query->out, value->bv_val, value->bv_len, err);
	return rc == RC_OK && query->all ? buf_append_char(query->out, '\0', err) : rc;
}

static enum rc
take_values(const struct ldap_attrs *attrs, const char *name, struct query *query, struct err *err)
{
	enum rc rc = RC_OK;

	if (attrs->name.bv_len != strlen(name) ||
		strncasecmp(attrs->name.bv_val, name, attrs->name.bv_len) != 0)
		return RC_OK;
	for (const struct berval *v = attrs->values; rc == RC_OK && v && v->bv_val; v++) {
		if (!query->all && query->any)
			break;
		rc = take_one(query, v, err);
		query->any = true;
	}
	return rc;
}

static enum rc
take_entry(void *ctx, const struct ldap_lease *lease, LDAPMessage *entry, struct err *err)
{
	struct query *query = ctx;
	struct ldap_attrs attrs;
	enum rc rc = ldap_attrs_begin(&attrs, lease->ld, entry, query->who, err);

	while (rc == RC_OK && (rc = ldap_attrs_next(&attrs, err)) == RC_OK)
		for (size_t i = 0; rc == RC_OK && query->names[i]; i++)
			rc = take_values(&attrs, query->names[i], query, err);
	ldap_attrs_end(&attrs);
	return rc == RC_NONE ? RC_OK : rc;
}

/* What a server that failed has given. */
static void
forget(void *ctx)
{
	struct query *query = ctx;

	query->out->len = query->had;
	query->any = false;
}

static enum rc
ask_all(struct attributes *a, const char *addr, struct query *query, struct err *err)
{
	struct buf filter = BUF_INIT(16384);
	struct ldap_search search = {.name = a->name,
		.base = a->base,
		.scope = a->scope,
		.attributes = query->names,
		.size_limit = ATTRIBUTE_MAX_ENTRIES + 1,
		.max_entries = ATTRIBUTE_MAX_ENTRIES,
		.max_bytes = ATTRIBUTE_MAX_BYTES,
		.take = take_entry,
		.again = forget,
		.ctx = query};
	enum rc rc = ldap_filter_format(a->filter, addr, &filter, err);

	query->who = a->name;
	query->had = query->out->len;
	search.filter = buf_text(&filter);
	rc = rc == RC_OK ? ldap_search_any(&search, a->pool, err) : RC_TEMP;
	ldap_search_fini(&search);
	buf_fini(&filter);
	if (rc != RC_OK)
		forget(query);
	return rc == RC_OK && !query->any ? RC_NONE : rc;
}

enum rc
attributes_find(struct attributes *a, const char *addr, const char *attribute, struct buf *out,
	struct err *err)
{
	struct query query = {.names = {(char *)(uintptr_t)attribute}, .out = out};

	return ask_all(a, addr, &query, err);
}

enum rc
attributes_all(struct attributes *a, const char *addr, const char *const *names, size_t n,
	struct buf *out, struct err *err)
{
	struct query query = {.all = true, .out = out};

	for (size_t i = 0; i < n && i < ATTRIBUTE_MAX_NAMES; i++)
		query.names[i] = (char *)(uintptr_t)names[i];
	return ask_all(a, addr, &query, err);
}
