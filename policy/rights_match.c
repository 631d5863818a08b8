/* SPDX-License-Identifier: BSD-2-Clause */
/* Does a right fit whoever hands a message in, and the address that they write as? */
#include "policy/rights.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool
service_fits(const struct right *right, const char *service)
{
	for (size_t i = 0; i < right->n_services; i++)
		if (service && strcmp(right->services[i], service) == 0)
			return true;
	return right->n_services == 0;
}

static bool
identity_fits(const struct right *right, const char *identity)
{
	if (right->n_identities == 0 && !right->has_pattern)
		return true;
	if (!identity || !*identity)
		return false;
	if (right->has_pattern && regexec(&right->pattern, identity, 0, NULL, 0) != 0)
		return false;
	for (size_t i = 0; i < right->n_identities; i++)
		if (strcmp(right->identities[i], "*") == 0 ||
			strcmp(right->identities[i], identity) == 0)
			return true;
	return right->n_identities == 0;
}

static bool
client_fits(const struct right *right, const char *client)
{
	unsigned char addr[16];

	if (right->n_networks == 0)
		return true;
	if (!client || !network_parse_addr(client, addr))
		return false;
	for (size_t i = 0; i < right->n_networks; i++)
		if (network_has(&right->networks[i], addr))
			return true;
	return false;
}

static bool
connector_fits(const struct right *right, const char *connector)
{
	return !right->connector || (connector && strcmp(right->connector, connector) == 0);
}

/* Appends a part of the login; one with marks of its own could make another address of it. */
static bool
put_part(char *text, size_t *n, const char *part, size_t len)
{
	if (len == 0 || *n + len > ADDR_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)part[i] <= ' ' || strchr("@\"\\<>(),:;[]%", part[i]))
			return false;
	memcpy(text + *n, part, len);
	*n += len;
	return true;
}

/* %u or a group, at P behind the percent sign. */
static bool
put_word(
	char *text, size_t *n, char p, const char *login, const regmatch_t *groups, size_t n_groups)
{
	size_t group = (size_t)(p - '0') + 1; /* group 1 is the whole login */

	if (p == 'u')
		return put_part(text, n, login ? login : "x", login ? strcspn(login, "@") : 1);
	if (p < '1' || p > '9' || group >= n_groups)
		return false;
	if (!login)
		return put_part(text, n, "x", 1);
	return groups[group].rm_so >= 0 &&
	       put_part(text, n, login + groups[group].rm_so,
		       (size_t)(groups[group].rm_eo - groups[group].rm_so));
}

bool
right_expand(const struct right *right, const char *template, const char *login, char *out)
{
	regmatch_t groups[11];
	size_t n_groups = right->has_pattern ? right->pattern.re_nsub + 1 : 0, n = 0;
	char text[ADDR_MAX + 1];

	if (n_groups > 11)
		n_groups = 11;
	if (login && n_groups && regexec(&right->pattern, login, n_groups, groups, 0) != 0)
		return false;
	for (const char *p = template; *p; p++) {
		if (*p == '%') {
			if (!put_word(text, &n, *++p, login, groups, n_groups))
				return false;
		} else if (n < ADDR_MAX) {
			text[n++] = *p;
		} else {
			return false;
		}
	}
	return addr_canonical(text, n, out, NULL) == RC_OK && addr_domain(out) != NULL;
}

/* Of a login with a domain %u leaves the domain away: that must not make of somebody else's alice
 * ours. A right that says which logins it is for (identity_pattern) knows what it does. */
static bool
realm_fits(const struct right *right, const char *template, const char *identity, const char *addr)
{
	const char *realm = strchr(identity, '@');

	return !realm || right->has_pattern || !strstr(template, "%u") ||
	       strcasecmp(realm + 1, addr_domain(addr)) == 0;
}

static bool
template_fits(const struct right *right, const char *identity, const char *from)
{
	char addr[ADDR_MAX + 1];

	for (size_t i = 0; identity && i < right->n_templates; i++)
		if (right_expand(right, right->templates[i], identity, addr) &&
			realm_fits(right, right->templates[i], identity, addr) &&
			addr_equal(addr, from))
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

/* Is FROM an address of the login's own? */
static enum tri
own_fits(const struct rights *rights, const struct right *right, const struct right_ask *ask,
	const char *from)
{
	const char *identity = ask->identity;
	char login[ADDR_MAX + 1];

	if (!identity)
		return TRI_NO;
	if (right->login_itself &&
		addr_canonical(identity, strlen(identity), login, NULL) == RC_OK &&
		addr_domain(login) && addr_equal(login, from))
		return TRI_YES;
	if (template_fits(right, identity, from) ||
		(right->mapped && mapped_fits(rights, identity, from)))
		return TRI_YES;
	if (!right->by_directory)
		return TRI_NO;
	if (!ask->addresses)
		return TRI_UNKNOWN;
	return addrlist_has(ask->addresses, from) ? TRI_YES : TRI_NO;
}

static bool
listed_fits(const struct right *right, const char *from)
{
	struct addrkey key;

	addrkey_set(&key, from);
	return right->from && addrmap_has(right->from, &key);
}

static bool
who_fits(const struct right *right, const struct right_ask *ask)
{
	return service_fits(right, ask->service) && identity_fits(right, ask->identity) &&
	       client_fits(right, ask->client) && connector_fits(right, ask->connector);
}

enum tri
rights_may_sign(const struct rights *rights, const struct right_ask *ask, const char *from,
	struct right_found *found)
{
	*found = (struct right_found){.key = NULL};
	for (size_t i = 0; *from && i < rights->n; i++) {
		const struct right *right = &rights->v[i];
		bool asks_who = right->n_identities || right->has_pattern || right->connector;
		enum tri fits;

		if (!who_fits(right, ask))
			continue;
		if (listed_fits(right, from)) {
			*found = (struct right_found){.key = right->key, .is_network = !asks_who};
			return TRI_YES;
		}
		fits = own_fits(rights, right, ask, from);
		if (fits == TRI_YES)
			found->key = right->key;
		if (fits != TRI_NO)
			return fits;
	}
	return TRI_NO;
}
