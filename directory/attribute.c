/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/attribute.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

static const struct conf_group *
find_directory(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf_count(conf, "directories"); i++) {
		const struct conf_group *group = conf_item(conf, "directories", i);

		if (strcmp(conf_str(group, "name"), name) == 0)
			return group;
	}
	return NULL;
}

enum rc
attributes_new(struct conf *conf, const char *directory, struct attributes **out, struct err *err)
{
	const struct conf_group *group = find_directory(conf, directory);
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
	char *names[ATTRIBUTE_MAX_NAMES + 1]; /* NULL behind the last */
	bool all;                             /* every value, a NUL behind each; else the first */
	struct buf *out;
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

/* RC_NONE: the entry has none. */
static enum rc
take_values(
	LDAP *ld, LDAPMessage *entry, const char *name, const struct query *query, struct err *err)
{
	struct berval **values = ldap_get_values_len(ld, entry, name);
	enum rc rc = RC_NONE;

	for (size_t i = 0; values && values[i] && (query->all || i == 0) && rc >= RC_OK; i++)
		rc = take_one(query, values[i], err);
	ldap_value_free_len(values);
	return rc;
}

static enum rc
take_answer(LDAP *ld, LDAPMessage *answer, const struct query *query, struct err *err)
{
	bool any = false;
	enum rc rc = RC_NONE;

	for (LDAPMessage *e = ldap_first_entry(ld, answer); e; e = ldap_next_entry(ld, e))
		for (size_t i = 0; query->names[i] && (query->all || !any); i++) {
			rc = take_values(ld, e, query->names[i], query, err);
			if (rc < RC_OK)
				return rc;
			any |= rc == RC_OK;
		}
	return any ? RC_OK : RC_NONE;
}

/* One search over one connection: a result code of libldap, and *rc when that is success. */
static int
search(const struct attributes *a, const struct ldap_lease *lease, const char *filter,
	const struct query *query, enum rc *rc, struct err *err)
{
	char **names = (char **)(uintptr_t)query->names;
	struct timeval left = ldap_conn_left(lease->deadline);
	LDAPMessage *answer = NULL;
	int result;

	ldap_set_option(lease->ld, LDAP_OPT_NETWORK_TIMEOUT, &left);
	result = ldap_search_ext_s(lease->ld, a->base, a->scope, filter, names, 0, NULL, NULL,
		&left, ATTRIBUTE_MAX_ENTRIES, &answer);
	if (result == LDAP_SUCCESS)
		*rc = take_answer(lease->ld, answer, query, err);
	ldap_msgfree(answer);
	return result;
}

static bool
is_down(int result)
{
	return result == LDAP_SERVER_DOWN || result == LDAP_CONNECT_ERROR ||
	       result == LDAP_TIMEOUT || result == LDAP_BUSY || result == LDAP_UNAVAILABLE;
}

/* Asks one server; once more over a new connection when a kept one turns out to be dead. */
static enum rc
ask(const struct attributes *a, size_t server, const char *filter, const struct query *query,
	struct err *err)
{
	struct ldap_lease lease;
	bool fresh = false;

	for (;;) {
		enum rc rc = ldap_pool_lend(a->pool, server, fresh, &lease, err);
		int result;

		if (rc != RC_OK)
			return rc;
		result = search(a, &lease, filter, query, &rc, err);
		if (result == LDAP_SUCCESS) {
			ldap_pool_return(a->pool, &lease);
			return rc == RC_PERM ? RC_TEMP : rc;
		}
		if (lease.connection->guard.expired)
			result = LDAP_TIMEOUT;
		ldap_conn_err(err, a->name, ldap_pool_uri(a->pool, server), lease.ld, result);
		fresh = lease.kept && result == LDAP_SERVER_DOWN;
		ldap_pool_drop(a->pool, &lease, !fresh && is_down(result));
		if (!fresh)
			return RC_TEMP;
	}
}

static enum rc
ask_all(struct attributes *a, const char *addr, const struct query *query, struct err *err)
{
	struct buf filter = BUF_INIT(16384);
	size_t had = query->out->len;
	enum rc rc = ldap_filter_format(a->filter, addr, &filter, err);

	if (rc != RC_OK) {
		buf_fini(&filter);
		return RC_TEMP;
	}
	rc = RC_TEMP;
	for (size_t i = 0; rc == RC_TEMP && i < ldap_pool_servers(a->pool); i++) {
		query->out->len = had; /* what a server that failed has given */
		rc = ask(a, i, buf_text(&filter), query, err);
	}
	buf_fini(&filter);
	return rc;
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
