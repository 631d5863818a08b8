/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/ldap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "directory/ldap_settings.h"

struct directory {
	char *name; /* "ldap:NAME" */
	char *base;
	char *filter;
	int scope;
	enum tier tier;
	bool willing;
	struct ldap_pool *pool;
};

/* One search under way. */
struct search {
	const struct directory *dir;
	const char *uri;
	struct answer *answer;
	size_t entries, values;
};

/* Letters, digits and what addresses are usually made of; the rest goes as \XX. */
static bool
is_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != 0 && strchr("@.-_+=", c));
}

static enum rc
append_escaped(const char *addr, struct buf *out, struct err *err)
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
			rc = append_escaped(addr, out, err);
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

/* The two attributes, as they are or with ";binary" behind. */
static bool
is_wanted(const struct berval *attribute)
{
	static const char *const names[] = {"userCertificate", "userSMIMECertificate",
		"userCertificate;binary", "userSMIMECertificate;binary"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (attribute->bv_len == strlen(names[i]) &&
			strncasecmp(attribute->bv_val, names[i], attribute->bv_len) == 0)
			return true;
	return false;
}

/*
 * A value is one certificate or a certs-only PKCS#7. Of the latter, CA certificates only help with
 * the path. What is neither is left out: somebody else's garbage must not keep a correspondent's
 * good certificate from being used.
 */
static enum rc
take_value(struct search *search, const struct berval *value, struct err *err)
{
	struct certset set = {0};
	struct err bad = ERR_INIT;
	const struct directory *dir = search->dir;
	enum rc rc;

	if (++search->values > LDAP_MAX_VALUES)
		return err_set(
			err, ERR_DIR_ANSWER, "%s: more than %d values", dir->name, LDAP_MAX_VALUES);
	if (value->bv_len > LDAP_MAX_VALUE)
		err_set(&bad, ERR_LIMIT, "a value of %zu bytes", (size_t)value->bv_len);
	else if (certset_parse(value->bv_val, value->bv_len, &set, &bad) == RC_TEMP)
		return err_set(err, bad.code, "%s: %s", dir->name, bad.detail);
	if (bad.code != ERR_NONE)
		log_error(LOGL_WARN, NULL, "directory-value-ignored", &bad, "directory", dir->name,
			NULL);
	rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && bad.code == ERR_NONE && i < set.n; i++) {
		rc = certset_add(&search->answer->extra, set.v[i], err);
		if (rc == RC_OK && (set.n == 1 || !cert_is_ca(set.v[i])))
			rc = answer_add(
				search->answer, set.v[i], dir->name, dir->tier, dir->willing, err);
	}
	certset_fini(&set);
	return rc;
}

/*
 * One attribute of an entry; *more is false behind the last. ldap_first_attribute and its kin give
 * the same NULL at the end and where the entry is broken, which must not look like "none".
 */
static enum rc
take_attribute(struct search *search, LDAP *ld, LDAPMessage *entry, BerElement *ber, bool *more,
	struct err *err)
{
	struct berval name = {0}, *values = NULL;
	int result = ldap_get_attribute_ber(ld, entry, ber, &name, &values);
	enum rc rc = RC_OK;

	*more = result == LDAP_SUCCESS && name.bv_val != NULL;
	if (result != LDAP_SUCCESS)
		rc = ldap_conn_err(err, search->dir->name, search->uri, NULL, result);
	else if (*more && is_wanted(&name) && !values)
		rc = err_set(
			err, ERR_DIR_ANSWER, "%s: an attribute without a value", search->dir->name);
	else if (*more && is_wanted(&name))
		for (size_t i = 0; rc == RC_OK && values[i].bv_val; i++)
			rc = take_value(search, &values[i], err);
	ber_memfree(values); /* the values themselves lie in the message */
	return rc;
}

static enum rc
take_entry(struct search *search, LDAP *ld, LDAPMessage *entry, struct err *err)
{
	BerElement *ber = NULL;
	struct berval dn;
	bool more = true;
	int result;
	enum rc rc = RC_OK;

	if (++search->entries > LDAP_MAX_ENTRIES)
		return err_set(err, ERR_DIR_ANSWER, "%s: more than %d entries", search->dir->name,
			LDAP_MAX_ENTRIES);
	result = ldap_get_dn_ber(ld, entry, &ber, &dn);
	if (result != LDAP_SUCCESS)
		rc = ldap_conn_err(err, search->dir->name, search->uri, NULL, result);
	while (rc == RC_OK && more)
		rc = take_attribute(search, ld, entry, ber, &more, err);
	ber_free(ber, 0);
	return rc;
}

/* The final message of a search: only plain success lets "none" be said. */
static int
final_result(LDAP *ld, LDAPMessage *message)
{
	int code = LDAP_OTHER, result;

	result = ldap_parse_result(ld, message, &code, NULL, NULL, NULL, NULL, 0);
	return result == LDAP_SUCCESS ? code : result;
}

/* Why ldap_result gave nothing. A message past the limit looks like a lost connection. */
static int
lost_result(LDAP *ld, int saved_errno)
{
	int code = LDAP_OTHER;

	if (saved_errno == ERANGE)
		return LDAP_SIZELIMIT_EXCEEDED;
	ldap_get_option(ld, LDAP_OPT_RESULT_CODE, &code);
	return code == LDAP_SUCCESS ? LDAP_OTHER : code;
}

/* Takes the messages of search ID one by one until the last. */
static int
collect(struct search *search, const struct ldap_lease *lease, int id, enum rc *rc, struct err *err)
{
	for (;;) {
		struct timeval left = ldap_conn_left(lease->deadline);
		LDAPMessage *message = NULL;
		int type, code;

		if (clock_monotonic_ms() >= lease->deadline)
			return LDAP_TIMEOUT;
		errno = 0;
		type = ldap_result(lease->ld, id, LDAP_MSG_ONE, &left, &message);
		if (type == 0)
			return LDAP_TIMEOUT;
		if (type < 0 || !message)
			return lost_result(lease->ld, errno);
		code = LDAP_SUCCESS;
		if (type == LDAP_RES_SEARCH_ENTRY)
			*rc = take_entry(search, lease->ld, message, err);
		else if (type == LDAP_RES_SEARCH_RESULT)
			code = final_result(lease->ld, message);
		ldap_msgfree(message);
		if (*rc != RC_OK || type == LDAP_RES_SEARCH_RESULT)
			return code;
	}
}

/* One search over one connection: the result code of libldap, and *rc when an entry was refused. */
static int
search_once(struct search *search, const struct ldap_lease *lease, const char *filter, enum rc *rc,
	struct err *err)
{
	char *attributes[] = {(char *)"userCertificate", (char *)"userSMIMECertificate", NULL};
	struct timeval left = ldap_conn_left(lease->deadline);
	int id, result;

	/* The server's own time limit counts whole seconds. */
	struct timeval server_limit = {.tv_sec = left.tv_sec + 1};

	*rc = RC_OK;
	answer_fini(search->answer);
	search->entries = search->values = 0;
	ldap_set_option(lease->ld, LDAP_OPT_NETWORK_TIMEOUT, &left);
	result = ldap_search_ext(lease->ld, search->dir->base, search->dir->scope, filter,
		attributes, 0, NULL, NULL, &server_limit, LDAP_MAX_ENTRIES + 1, &id);
	if (result != LDAP_SUCCESS)
		return result;
	return collect(search, lease, id, rc, err);
}

/* Is it the server that failed, rather than this one question? */
static bool
is_down(int result)
{
	return result == LDAP_SERVER_DOWN || result == LDAP_CONNECT_ERROR ||
	       result == LDAP_TIMEOUT || result == LDAP_BUSY || result == LDAP_UNAVAILABLE;
}

/* Asks one server; once more over a new connection when a kept one turns out to be dead. */
static enum rc
ask_server(struct search *search, size_t server, const char *filter, struct err *err)
{
	struct ldap_pool *pool = search->dir->pool;
	struct ldap_lease lease;
	bool fresh = false;
	enum rc rc;
	int result;

	search->uri = ldap_pool_uri(pool, server);
	for (;;) {
		if ((rc = ldap_pool_lend(pool, server, fresh, &lease, err)) != RC_OK)
			return rc;
		result = search_once(search, &lease, filter, &rc, err);
		if (result == LDAP_SUCCESS && rc == RC_OK) {
			ldap_pool_return(pool, &lease);
			return search->answer->n > 0 ? RC_OK : RC_NONE;
		}
		if (lease.connection->guard.expired)
			result = LDAP_TIMEOUT;
		if (rc == RC_OK)
			ldap_conn_err(err, search->dir->name, search->uri, lease.ld, result);
		fresh = lease.kept && result == LDAP_SERVER_DOWN;
		if (!fresh)
			break;
		ldap_pool_drop(pool, &lease, false);
	}
	log_error(LOGL_WARN, NULL, "directory-failed", err, "directory", search->dir->name, NULL);
	ldap_pool_drop(pool, &lease, is_down(result));
	return RC_TEMP;
}

/* The error of the first server stands when none could be asked: it is the one to look at. */
static enum rc
ldap_find(void *ctx, const char *addr, struct answer *answer, struct err *err)
{
	const struct directory *dir = ctx;
	struct search search = {.dir = dir, .answer = answer};
	struct buf filter = BUF_INIT(16384);
	enum rc rc = ldap_filter_format(dir->filter, addr, &filter, err);

	if (rc != RC_OK) {
		buf_fini(&filter);
		return RC_TEMP; /* the template was checked at load: no memory, or an absurd length
				 */
	}
	rc = RC_TEMP;
	for (size_t i = 0; rc == RC_TEMP && i < ldap_pool_servers(dir->pool); i++) {
		struct err here = ERR_INIT;

		rc = ask_server(&search, i, buf_text(&filter), &here);
		if (rc == RC_TEMP && i == 0 && err)
			*err = here;
	}
	buf_fini(&filter);
	if (rc != RC_OK)
		answer_fini(answer);
	return rc;
}

static void
directory_free(void *ctx)
{
	struct directory *dir = ctx;

	if (!dir)
		return;
	ldap_pool_free(&dir->pool);
	free(dir->name);
	free(dir->base);
	free(dir->filter);
	free(dir);
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

enum rc
source_ldap_new(struct conf *conf, const struct conf_group *group, int error_ttl_ms,
	struct source **out, struct err *err)
{
	struct source *source = calloc(1, sizeof(*source));
	struct directory *dir = calloc(1, sizeof(*dir));
	enum rc rc = ldap_settings_check_filter(conf, group, err);

	*out = NULL;
	if (rc == RC_OK && source && dir) {
		dir->name = source_name(group);
		dir->base = strdup(conf_str(group, "base"));
		dir->filter = strdup(conf_str(group, "filter"));
		dir->scope = ldap_settings_scope(group);
		dir->tier = tier_from_name(conf_str(group, "tier"));
		dir->willing = conf_bool(group, "willing");
		source->name = source_name(group);
		source->tier = dir->tier;
		source->find = ldap_find;
	}
	if (rc == RC_OK && (!source || !dir || !dir->name || !dir->base || !dir->filter ||
				   !source->name || !copy_domains(group, source)))
		rc = err_set(err, ERR_MEMORY, "directory");
	if (rc == RC_OK)
		rc = ldap_settings_pool(conf, group, dir->name, error_ttl_ms, &dir->pool, err);
	if (rc != RC_OK) {
		directory_free(dir);
		source_free(&source);
		return rc;
	}
	source->free = directory_free;
	source->ctx = dir; /* the source's now */
	*out = source;
	return RC_OK;
}
