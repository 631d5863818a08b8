/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/ldap_settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/log.h"

#define PASSWORD_MAX 1024

/* The password is the file's content without the line end. */
static enum rc
read_password(
	struct conf *conf, const struct conf_group *group, struct secret **out, struct err *err)
{
	const char *path = conf_str(group, "password_file");
	struct buf text = {.max = PASSWORD_MAX, .wipe = true};
	enum rc rc;

	if (!path || !conf_str(group, "bind_dn"))
		return conf_err(err, conf, group, "bind", "simple needs bind_dn and password_file");
	rc = file_read(path, &text, err);
	if (rc == RC_NONE)
		rc = conf_err(err, conf, group, "password_file", "%s is not there", path);
	while (text.len > 0 && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
		text.len--;
	/* An empty one would be an anonymous bind under a name, which servers let succeed. */
	if (rc == RC_OK && text.len == 0)
		rc = conf_err(err, conf, group, "password_file", "%s is empty", path);
	if (rc == RC_OK)
		rc = secret_copy(text.data, text.len, out, err);
	buf_fini(&text);
	return rc;
}

/* ldap:// over a real network; a loopback address is none. */
static bool
is_readable_by_others(const char *uri)
{
	static const char *const local[] = {"ldap://127.", "ldap://localhost", "ldap://[::1]"};

	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		if (strncasecmp(uri, local[i], strlen(local[i])) == 0)
			return false;
	return strncasecmp(uri, "ldap://", 7) == 0;
}

static enum rc
check_uris(struct conf *conf, const struct conf_group *group, const char *option,
	const char *const *uris, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		bool plain = strncasecmp(uris[i], "ldap://", 7) == 0;

		if (!ldap_is_ldap_url(uris[i]))
			return conf_err(err, conf, group, option,
				"%s is not ldap://, ldaps:// or ldapi://", uris[i]);
		if (conf_bool(group, "starttls") && !plain)
			return conf_err(err, conf, group, "starttls", "is for ldap:// only");
		if (strcmp(conf_str(group, "bind"), "simple") == 0 &&
			is_readable_by_others(uris[i]) && !conf_bool(group, "starttls"))
			log_event(LOGL_WARN, NULL, "directory-password-in-clear", "uri", uris[i],
				NULL);
	}
	return RC_OK;
}

static int
deref_from_name(const char *name)
{
	static const char *const names[] = {"never", "searching", "finding", "always"};
	static const int values[] = {
		LDAP_DEREF_NEVER, LDAP_DEREF_SEARCHING, LDAP_DEREF_FINDING, LDAP_DEREF_ALWAYS};
	size_t i = 0;

	while (i < 3 && strcmp(names[i], name) != 0)
		i++;
	return values[i];
}

static enum rc
copy_option(const struct conf_group *group, const char *option, char **out, struct err *err)
{
	/* Where certificates are published there is not every option of a directory. */
	const char *value = conf_has(group, option) ? conf_str(group, option) : NULL;

	if (value && !(*out = strdup(value)))
		return err_set(err, ERR_MEMORY, "directory");
	return RC_OK;
}

/* Who we are to the server. */
static enum rc
read_login(struct conf *conf, const struct conf_group *group, struct ldap_login *login,
	struct err *err)
{
	const char *bind = conf_str(group, "bind");
	enum rc rc = copy_option(group, "bind_dn", &login->dn, err);

	login->bind = strcmp(bind, "external") == 0 ? LDAP_BIND_EXTERNAL
		      : strcmp(bind, "simple") == 0 ? LDAP_BIND_SIMPLE
						    : LDAP_BIND_ANONYMOUS;
	if (rc == RC_OK)
		rc = copy_option(group, "ca_file", &login->ca_file, err);
	if (rc == RC_OK)
		rc = copy_option(group, "cert_file", &login->cert_file, err);
	if (rc == RC_OK)
		rc = copy_option(group, "key_file", &login->key_file, err);
	if (rc == RC_OK && !login->cert_file != !login->key_file)
		rc = conf_err(err, conf, group, login->cert_file ? "cert_file" : "key_file",
			"cert_file and key_file go together");
	if (rc == RC_OK && login->bind == LDAP_BIND_SIMPLE)
		rc = read_password(conf, group, &login->password, err);
	return rc;
}

/* The servers that are asked, and those that are followed to behind them. */
static enum rc
read_servers(struct conf *conf, const struct conf_group *group, const struct ldap_login *login,
	struct ldap_pool **out, struct err *err)
{
	const char *const *uris, *const *more = NULL;
	/* Where something is written nothing is followed. */
	size_t n = conf_strings(group, "uri", &uris),
	       n_more = conf_has(group, "referral_uris")
				? conf_strings(group, "referral_uris", &more)
				: 0;
	const char **all = calloc(n + n_more, sizeof(*all));
	enum rc rc = check_uris(conf, group, "uri", uris, n, err);

	if (rc == RC_OK)
		rc = check_uris(conf, group, "referral_uris", more, n_more, err);
	if (rc == RC_OK && !all)
		rc = err_set(err, ERR_MEMORY, "directory %s", login->name);
	for (size_t i = 0; rc == RC_OK && i < n + n_more; i++)
		all[i] = i < n ? uris[i] : more[i - n];
	if (rc == RC_OK)
		rc = ldap_pool_new(login, all, n, n + n_more, out, err);
	free(all);
	return rc;
}

enum rc
ldap_settings_pool(struct conf *conf, const struct conf_group *group, const char *name,
	int error_ttl_ms, struct ldap_pool **out, struct err *err)
{
	struct ldap_login login = {
		.name = name,
		.starttls = conf_bool(group, "starttls"),
		.timeout_ms = (int)conf_int(group, "timeout"),
		.error_ttl_ms = error_ttl_ms,
		.error_count = (int)conf_int(conf_section(conf, "lookup"), "error_count"),
		.deref = deref_from_name(
			conf_has(group, "deref") ? conf_str(group, "deref") : "never"),
		.keep = (int)conf_int(group, "connections"),
	};
	enum rc rc = read_login(conf, group, &login, err);

	if (rc == RC_OK)
		rc = read_servers(conf, group, &login, out, err);
	if (rc != RC_OK)
		ldap_login_fini(&login);
	return rc;
}

const struct conf_group *
ldap_settings_find(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf_count(conf, "directories"); i++) {
		const struct conf_group *group = conf_item(conf, "directories", i);

		if (strcmp(conf_str(group, "name"), name) == 0)
			return group;
	}
	return NULL;
}

int
ldap_settings_scope(const struct conf_group *group)
{
	const char *name = conf_str(group, "scope");

	if (strcmp(name, "base") == 0)
		return LDAP_SCOPE_BASE;
	return strcmp(name, "one") == 0 ? LDAP_SCOPE_ONELEVEL : LDAP_SCOPE_SUBTREE;
}

enum rc
ldap_settings_check_filter(struct conf *conf, const struct conf_group *group, struct err *err)
{
	struct buf sample = BUF_INIT(4096);
	struct err why = ERR_INIT;
	enum rc rc = ldap_filter_format(conf_str(group, "filter"), "a@b", &sample, &why);

	buf_fini(&sample);
	return rc == RC_OK ? RC_OK : conf_err(err, conf, group, "filter", "%s", why.detail);
}
