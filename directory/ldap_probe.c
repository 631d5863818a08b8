/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/ldap_probe.h"

#include "base/clock.h"
#include "directory/ldap_search.h"
#include "directory/ldap_settings.h"

/* An entry or none: it is the answer that counts. */
static enum rc
pass_over(void *ctx, const struct ldap_lease *lease, LDAPMessage *entry, struct err *err)
{
	(void)ctx;
	(void)lease;
	(void)entry;
	(void)err;
	return RC_OK;
}

static enum rc
ask(struct ldap_pool *pool, size_t server, const struct conf_group *group, struct err *err)
{
	char *attributes[2] = {(char *)"1.1", NULL};
	struct ldap_search search = {.name = conf_str(group, "name"),
		.uri = ldap_pool_uri(pool, server),
		.base = conf_str(group, "base"),
		.scope = LDAP_SCOPE_BASE,
		.filter = "(objectClass=*)",
		.attributes = attributes,
		.max_entries = 1,
		.max_bytes = 1 << 20,
		.take = pass_over};
	struct ldap_lease lease;
	enum rc rc = ldap_pool_lend(pool, server, true, &lease, err);
	int result;

	if (rc != RC_OK)
		return RC_TEMP;
	result = ldap_search_once(&search, &lease, &rc, err);
	if (lease.connection->guard.expired)
		result = LDAP_TIMEOUT;
	if (rc == RC_OK && result != LDAP_SUCCESS)
		rc = ldap_conn_err(err, search.name, search.uri, lease.ld, result);
	ldap_search_fini(&search);
	ldap_pool_drop(pool, &lease, LDAP_STALE, NULL);
	return rc == RC_OK ? RC_OK : RC_TEMP;
}

enum rc
ldap_probe(struct conf *conf, const struct conf_group *group,
	void (*said)(void *ctx, const struct ldap_probe *probe), void *ctx, struct err *err)
{
	struct ldap_pool *pool;
	enum rc rc = ldap_settings_pool(conf, group, conf_str(group, "name"), 0, &pool, err);

	for (size_t i = 0; rc == RC_OK && i < ldap_pool_servers(pool); i++) {
		struct ldap_probe probe = {
			.directory = conf_str(group, "name"), .uri = ldap_pool_uri(pool, i)};
		int64_t begun = clock_monotonic_ms();

		probe.rc = ask(pool, i, group, &probe.err);
		probe.ms = (int)(clock_monotonic_ms() - begun);
		said(ctx, &probe);
	}
	if (rc == RC_OK)
		ldap_pool_free(&pool);
	return rc;
}
