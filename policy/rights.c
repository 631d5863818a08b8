/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may be signed for. Rows are tried in order, the first that fits decides. Without any row in
 * the configuration a login that is an address may use that address.
 */
#include "policy/policy.h"

#include "base/file.h"
#include "base/network.h"
#include "policy/addrmap.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LOGIN_MAP_MAX (32u << 20)

struct right {
	const char *const *services;
	size_t n_services;
	const char *identity; /* NULL: by network */
	struct network *networks;
	size_t n_networks;
	struct addrmap *from; /* NULL: none but those below */
	bool login_itself;    /* %l */
	bool mapped;          /* %m */
	const char *key;
};

struct login {
	char *name, *addr; /* one row for each address */
};

struct rights {
	struct conf *conf;
	struct right *v;
	size_t n;
	struct login *logins; /* sorted by name */
	size_t n_logins;
};

static enum rc
compile_from(
	struct right *right, struct conf *conf, const struct conf_group *group, struct err *err)
{
	const char *const *values;
	size_t n = conf_strings(group, "from", &values);
	struct err why = ERR_INIT;
	enum rc rc = addrmap_new(&right->from, err);

	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		if (strcmp(values[i], "%l") == 0) {
			right->login_itself = true;
			continue;
		}
		if (strcmp(values[i], "%m") == 0) {
			right->mapped = true;
			continue;
		}
		rc = addrmap_put(right->from, values[i], 0, &why);
		if (rc == RC_PERM)
			rc = conf_err(err, conf, group, "from", "%s", why.detail);
		else if (rc != RC_OK && err)
			*err = why;
	}
	if (rc == RC_OK && !right->identity && (right->login_itself || right->mapped))
		rc = conf_err(err, conf, group, "from", "%%l and %%m need an identity");
	if (rc == RC_OK && right->mapped && !conf_str(conf_section(conf, "senders"), "login_map"))
		rc = conf_err(err, conf, group, "from", "%%m needs senders.login_map");
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
compile_right(
	struct right *right, struct conf *conf, const struct conf_group *group, struct err *err)
{
	char addr[ADDR_MAX + 1];
	enum rc rc;

	right->identity = conf_str(group, "identity");
	right->key = conf_str(group, "key");
	right->n_services = conf_strings(group, "services", &right->services);
	for (size_t i = 0; i < right->n_services; i++) {
		size_t k = 0, n = conf_count(conf, "services");

		while (k < n && strcmp(conf_str(conf_item(conf, "services", k), "name"),
					right->services[i]) != 0)
			k++;
		if (k == n)
			return conf_err(err, conf, group, "services",
				"there is no service \"%.60s\"", right->services[i]);
	}
	rc = compile_networks(right, conf, group, err);
	if (rc == RC_OK)
		rc = compile_from(right, conf, group, err);
	if (rc != RC_OK)
		return rc;
	if (!right->identity && right->n_networks == 0)
		return conf_err(
			err, conf, group, "identity", "a right needs an identity or networks");
	if (strcmp(right->key, "own") != 0) {
		if (addr_canonical(right->key, strlen(right->key), addr, NULL) != RC_OK ||
			!addr_domain(addr))
			return conf_err(err, conf, group, "key", "neither \"own\" nor an address");
	} else if (!right->identity) {
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
	size_t n = conf_count(rights->conf, "rights");
	enum rc rc = RC_OK;

	rights->v = calloc(n ? n : 1, sizeof(*rights->v));
	if (!rights->v)
		return err_set(err, ERR_MEMORY, "rights");
	if (n == 0) {
		rights->v[0] = (struct right){.identity = "*", .login_itself = true, .key = "own"};
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
		addrmap_free(&r->v[i].from);
	}
	free(r->v);
	for (size_t i = 0; i < r->n_logins; i++) {
		free(r->logins[i].name);
		free(r->logins[i].addr);
	}
	free(r->logins);
	conf_unref(&r->conf);
	free(r);
	*rights = NULL;
}

static bool
service_fits(const struct right *right, const char *service)
{
	for (size_t i = 0; i < right->n_services; i++)
		if (service && strcmp(right->services[i], service) == 0)
			return true;
	return right->n_services == 0;
}

/* When a row has both an identity and networks, both must fit. */
static bool
sender_fits(const struct right *right, const char *identity, const char *client_ip)
{
	unsigned char addr[16];

	if (right->identity && (!identity || !*identity ||
				       (strcmp(right->identity, "*") != 0 &&
					       strcmp(right->identity, identity) != 0)))
		return false;
	if (right->n_networks == 0)
		return true;
	if (!client_ip || !network_parse_addr(client_ip, addr))
		return false;
	for (size_t i = 0; i < right->n_networks; i++)
		if (network_has(&right->networks[i], addr))
			return true;
	return false;
}

static bool
mapped_fits(const struct rights *rights, const char *identity, const char *from)
{
	size_t low = 0, high = rights->n_logins;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(rights->logins[middle].name, identity) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < rights->n_logins && strcmp(rights->logins[low].name, identity) == 0; low++)
		if (addr_equal(rights->logins[low].addr, from))
			return true;
	return false;
}

static bool
from_fits(const struct rights *rights, const struct right *right, const char *identity,
	const char *from)
{
	char login[ADDR_MAX + 1];
	struct addrkey key;

	addrkey_set(&key, from);
	if (right->from && addrmap_has(right->from, &key))
		return true;
	if (right->login_itself &&
		addr_canonical(identity, strlen(identity), login, NULL) == RC_OK &&
		addr_domain(login) && addr_equal(login, from))
		return true;
	return right->mapped && mapped_fits(rights, identity, from);
}

enum tri
rights_may_sign(const struct rights *rights, const char *service, const char *identity,
	const char *client_ip, const char *from, const char **key)
{
	*key = NULL;
	if (!*from)
		return TRI_NO;
	for (size_t i = 0; i < rights->n; i++) {
		const struct right *right = &rights->v[i];

		if (!service_fits(right, service) || !sender_fits(right, identity, client_ip) ||
			!from_fits(rights, right, identity, from))
			continue;
		*key = right->key;
		return TRI_YES;
	}
	return TRI_NO;
}
