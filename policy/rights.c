/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may be signed for. Rows are tried in order, the first that fits decides. Without any row in
 * the configuration a login that is an address may use that address.
 */
#include "policy/rights.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LOGIN_MAP_MAX (32u << 20)

/* Words that stand for addresses of the login; false: VALUE is a plain pattern. */
static enum rc
compile_word(struct right *right, const char *value, bool *word, struct err *err)
{
	char **v;

	*word = true;
	if (strcmp(value, "%l") == 0)
		right->login_itself = true;
	else if (strcmp(value, "%m") == 0)
		right->mapped = true;
	else if (strcmp(value, "%a") == 0)
		right->by_directory = true;
	else if (strchr(value, '%')) {
		v = realloc(right->templates, (right->n_templates + 1) * sizeof(*v));
		if (!v)
			return err_set(err, ERR_MEMORY, "rights");
		right->templates = v;
		v[right->n_templates] = strdup(value);
		if (!v[right->n_templates++])
			return err_set(err, ERR_MEMORY, "rights");
	} else
		*word = false;
	return RC_OK;
}

/* What stands in words needs something to be put there. */
static enum rc
check_words(const struct right *right, struct conf *conf, const struct conf_group *group,
	struct err *err)
{
	const struct conf_group *senders = conf_section(conf, "senders");
	bool login =
		right->login_itself || right->mapped || right->by_directory || right->n_templates;
	char addr[ADDR_MAX + 1];

	if (login && right->n_identities == 0 && !right->has_pattern)
		return conf_err(
			err, conf, group, "from", "%%l, %%m, %%a, %%u and %%1 need an identity");
	if (right->mapped && !conf_str(senders, "login_map"))
		return conf_err(err, conf, group, "from", "%%m needs senders.login_map");
	if (right->by_directory && !conf_str(senders, "directory"))
		return conf_err(err, conf, group, "from", "%%a needs senders.directory");
	for (size_t i = 0; i < right->n_templates; i++)
		if (!right_expand(right, right->templates[i], NULL, addr))
			return conf_err(err, conf, group, "from",
				"\"%.60s\" gives no address, or has a group that identity_pattern has not",
				right->templates[i]);
	return RC_OK;
}

static enum rc
compile_from(
	struct right *right, struct conf *conf, const struct conf_group *group, struct err *err)
{
	const char *const *values;
	size_t n = conf_strings(group, "from", &values);
	struct err why = ERR_INIT;
	enum rc rc = addrmap_new(&right->from, err);

	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		bool word;

		rc = compile_word(right, values[i], &word, err);
		if (rc != RC_OK || word)
			continue;
		rc = addrmap_put(right->from, values[i], 0, &why);
		if (rc == RC_PERM)
			rc = conf_err(err, conf, group, "from", "%s", why.detail);
		else if (rc != RC_OK && err)
			*err = why;
	}
	if (rc == RC_OK)
		rc = check_words(right, conf, group, err);
	return rc;
}

static enum rc
compile_networks(
	struct right *right, struct conf *conf, const struct conf_group *group, struct err *err)
{
	const char *const *values;
	size_t n = conf_strings(group, "networks", &values);

	if (n == 0)
		return RC_OK;
	right->networks = calloc(n, sizeof(*right->networks));
	if (!right->networks)
		return err_set(err, ERR_MEMORY, "rights");
	for (size_t i = 0; i < n; i++)
		if (!network_parse(values[i], &right->networks[right->n_networks++]))
			return conf_err(err, conf, group, "networks",
				"\"%.60s\" is no address or network", values[i]);
	return RC_OK;
}

static enum rc
compile_pattern(
	struct right *right, struct conf *conf, const struct conf_group *group, struct err *err)
{
	const char *pattern = conf_str(group, "identity_pattern");
	char *whole, why[200];
	int bad;

	if (!pattern)
		return RC_OK;
	if (asprintf(&whole, "^(%s)$", pattern) < 0)
		return err_set(err, ERR_MEMORY, "rights");
	bad = regcomp(&right->pattern, whole, REG_EXTENDED);
	free(whole);
	if (bad) {
		regerror(bad, &right->pattern, why, sizeof(why));
		return conf_err(err, conf, group, "identity_pattern", "%s", why);
	}
	right->has_pattern = true;
	return RC_OK;
}

/* Has the configuration's list SECTION one of that name? */
static bool
list_has(const struct conf *conf, const char *section, const char *name)
{
	for (size_t i = 0; i < conf_count(conf, section); i++)
		if (strcmp(conf_str(conf_item(conf, section, i), "name"), name) == 0)
			return true;
	return false;
}

static enum rc
compile_right(
	struct right *right, struct conf *conf, const struct conf_group *group, struct err *err)
{
	char addr[ADDR_MAX + 1];
	bool personal;
	enum rc rc;

	right->n_identities = conf_strings(group, "identity", &right->identities);
	right->connector = conf_str(group, "connector");
	right->key = conf_str(group, "key");
	right->n_services = conf_strings(group, "services", &right->services);
	for (size_t i = 0; i < right->n_services; i++)
		if (!list_has(conf, "services", right->services[i]))
			return conf_err(err, conf, group, "services",
				"there is no service \"%.60s\"", right->services[i]);
	rc = compile_pattern(right, conf, group, err);
	if (rc == RC_OK)
		rc = compile_networks(right, conf, group, err);
	if (rc == RC_OK)
		rc = compile_from(right, conf, group, err);
	if (rc != RC_OK)
		return rc;
	personal = right->n_identities || right->has_pattern || right->connector;
	if (!personal && right->n_networks == 0)
		return conf_err(err, conf, group, "identity",
			"a right needs an identity, a connector or networks");
	if (right->connector && !list_has(conf, "connectors", right->connector))
		return conf_err(err, conf, group, "connector", "there is no connector \"%.60s\"",
			right->connector);
	if (strcmp(right->key, "own") != 0) {
		if (addr_canonical(right->key, strlen(right->key), addr, NULL) != RC_OK ||
			!addr_domain(addr))
			return conf_err(err, conf, group, "key", "neither \"own\" nor an address");
	} else if (!personal) {
		return conf_err(err, conf, group, "key",
			"networks get role keys only: name the address of one");
	}
	return RC_OK;
}

static int
compare_logins(const void *a, const void *b)
{
	return strcmp(((const struct login *)a)->name, ((const struct login *)b)->name);
}

static enum rc
add_login(struct rights *rights, const char *name, const char *addr, size_t *cap, struct err *err)
{
	struct login *one;

	if (rights->n_logins == *cap) {
		size_t more = *cap ? *cap * 2 : 64;
		struct login *v = realloc(rights->logins, more * sizeof(*v));

		if (!v)
			return err_set(err, ERR_MEMORY, "login map");
		rights->logins = v;
		*cap = more;
	}
	one = &rights->logins[rights->n_logins++];
	one->name = strdup(name);
	one->addr = strdup(addr);
	return one->name && one->addr ? RC_OK : err_set(err, ERR_MEMORY, "login map");
}

/* "login address [address …]"; '#' begins a comment line. */
static enum rc
parse_login_line(struct rights *rights, char *line, size_t *cap, int number, const char *path,
	struct err *err)
{
	char addr[ADDR_MAX + 1], *save = NULL, *word;
	char *login = strtok_r(line, " \t\r", &save);
	enum rc rc = RC_OK;
	size_t n = 0;

	if (!login || *login == '#')
		return RC_OK;
	for (; rc == RC_OK && (word = strtok_r(NULL, " \t\r", &save)); n++) {
		if (addr_canonical(word, strlen(word), addr, NULL) != RC_OK || !addr_domain(addr))
			return err_set(err, ERR_CONFIG, "%s:%d: \"%.60s\" is no address", path,
				number, word);
		rc = add_login(rights, login, addr, cap, err);
	}
	if (rc == RC_OK && n == 0)
		rc = err_set(err, ERR_CONFIG, "%s:%d: a login without an address", path, number);
	return rc;
}

static enum rc
load_logins(struct rights *rights, struct err *err)
{
	const char *path = conf_str(conf_section(rights->conf, "senders"), "login_map");
	struct buf text = BUF_INIT(LOGIN_MAP_MAX);
	char *line;
	size_t cap = 0;
	enum rc rc;

	if (!path)
		return RC_OK;
	rc = file_read(path, &text, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_CONFIG, "%s: senders.login_map is not there", path);
	if (rc == RC_OK && text.len) {
		int number = 0;
		char *next = text.data;

		while (rc == RC_OK && (line = strsep(&next, "\n")))
			rc = parse_login_line(rights, line, &cap, ++number, path, err);
	}
	buf_fini(&text);
	if (rc == RC_OK && rights->n_logins)
		qsort(rights->logins, rights->n_logins, sizeof(*rights->logins), compare_logins);
	return rc;
}

static enum rc
compile_rows(struct rights *rights, struct err *err)
{
	static const char *const any[] = {"*"};
	size_t n = conf_count(rights->conf, "rights");
	enum rc rc = RC_OK;

	rights->v = calloc(n ? n : 1, sizeof(*rights->v));
	if (!rights->v)
		return err_set(err, ERR_MEMORY, "rights");
	if (n == 0) {
		rights->v[0] = (struct right){
			.identities = any, .n_identities = 1, .login_itself = true, .key = "own"};
		rights->n = 1;
	}
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		rights->n = i + 1;
		rc = compile_right(
			&rights->v[i], rights->conf, conf_item(rights->conf, "rights", i), err);
	}
	return rc;
}

enum rc
rights_compile(struct conf *conf, struct rights **out, struct err *err)
{
	struct rights *rights = calloc(1, sizeof(*rights));
	enum rc rc;

	*out = NULL;
	if (!rights)
		return err_set(err, ERR_MEMORY, "rights");
	rights->conf = conf_ref(conf);
	rc = connectors_compile(rights, err);
	if (rc == RC_OK)
		rc = compile_rows(rights, err);
	if (rc == RC_OK)
		rc = load_logins(rights, err);
	if (rc == RC_OK)
		*out = rights;
	else
		rights_free(&rights);
	return rc;
}

void
rights_free(struct rights **rights)
{
	struct rights *r = *rights;

	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].networks);
		for (size_t k = 0; k < r->v[i].n_templates; k++)
			free(r->v[i].templates[k]);
		free(r->v[i].templates);
		if (r->v[i].has_pattern)
			regfree(&r->v[i].pattern);
		addrmap_free(&r->v[i].from);
	}
	free(r->v);
	for (size_t i = 0; i < r->n_logins; i++) {
		free(r->logins[i].name);
		free(r->logins[i].addr);
	}
	free(r->logins);
	connectors_free(r);
	conf_unref(&r->conf);
	free(r);
	*rights = NULL;
}
