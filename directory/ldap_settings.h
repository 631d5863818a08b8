/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ldap_settings.h - one item of the section "directories", made ready to connect
 */
#ifndef DIRECTORY_LDAP_SETTINGS_H
#define DIRECTORY_LDAP_SETTINGS_H

#include "directory/ldap_conn.h"

/* NAME is borrowed for the pool's life. What is wrong is ERR_CONFIG with file and line. */
enum rc ldap_settings_pool(struct conf *conf, const struct conf_group *group, const char *name,
	int error_ttl_ms, struct ldap_pool **out, struct err *err);
/* The item with this name; borrowed; NULL: there is none. */
const struct conf_group *ldap_settings_find(const struct conf *conf, const char *name);
/* LDAP_SCOPE_… */
int ldap_settings_scope(const struct conf_group *group);
enum rc
ldap_settings_check_filter(struct conf *conf, const struct conf_group *group, struct err *err);

#endif
