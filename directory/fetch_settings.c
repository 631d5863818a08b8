/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/fetch_settings.h"

#include "directory/fetch_addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static enum rc
read_schemes(const struct conf_group *group, struct fetch_settings *out, struct err *err)
{
	const char *const *words;
	size_t n = conf_strings(group, "schemes", &words);

	for (size_t k = 0; k <= FETCH_LDAP; k++)
		out->schemes[k] = n == 0;
	for (size_t i = 0; i < n; i++) {
		bool known = false;

		for (size_t k = 0; k <= FETCH_LDAP; k++)
			if (strcmp(words[i], fetch_scheme_name((enum fetch_scheme)k)) == 0)
				out->schemes[k] = known = true;
		if (!known)
			return conf_err(err, out->conf, group, "schemes",
				"\"%s\" is not http, https or ldap", words[i]);
	}
	return RC_OK;
}

static enum rc
read_ports(const struct conf_group *group, struct fetch_settings *out, struct err *err)
{
	static const unsigned usual[] = {80, 443, 389};
	const char *const *words;
	size_t n = conf_strings(group, "ports", &words);

	for (size_t i = 0; i < n && i < FETCH_PORTS_MAX; i++) {
		char *end;
		long port = strtol(words[i], &end, 10);

		if (*end || end == words[i] || port < 1 || port > 65535)
			return conf_err(
				err, out->conf, group, "ports", "\"%s\" is no port", words[i]);
		out->ports[out->n_ports++] = (unsigned)port;
	}
	if (n == 0) {
		memcpy(out->ports, usual, sizeof(usual));
		out->n_ports = sizeof(usual) / sizeof(*usual);
	}
	return RC_OK;
}

/* A permanent URL that could never be fetched is a mistake of the configuration. */
static enum rc
read_urls(const struct conf_group *group, const char *name, enum want_kind kind,
	struct fetch_settings *out, struct err *err)
{
	struct err why = ERR_INIT;
	struct fetch_url url;

	out->n_urls[kind] = conf_strings(group, name, &out->urls[kind]);
	for (size_t i = 0; i < out->n_urls[kind]; i++) {
		const char *text = out->urls[kind][i];

		if (fetch_url_parse(text, strlen(text), &url, &why) != RC_OK ||
			fetch_settings_allow(out, &url, &why) != RC_OK)
			return conf_err(
				err, out->conf, group, name, "%.200s: %.150s", text, why.detail);
	}
	return RC_OK;
}

static enum rc
read_proxy(const struct conf_group *group, struct fetch_settings *out, struct err *err)
{
	struct err why = ERR_INIT;
	struct fetch_url url;

	out->proxy = conf_str(group, "proxy");
	if (!out->proxy)
		return RC_OK;
	if (fetch_url_parse(out->proxy, strlen(out->proxy), &url, &why) == RC_OK &&
		url.scheme == FETCH_HTTP)
		return RC_OK;
	return conf_err(err, out->conf, group, "proxy", "is not http://HOST:PORT");
}

static void
read_numbers(const struct conf_group *group, struct fetch_settings *out)
{
	const char *nonce = conf_str(group, "nonce");

	out->max_bytes[WANT_CRL] = (size_t)conf_int(group, "max_crl");
	out->max_bytes[WANT_CA] = (size_t)conf_int(group, "max_ca");
	out->max_bytes[WANT_OCSP] = (size_t)conf_int(group, "max_ocsp");
	out->max_items = (size_t)conf_int(group, "max_items");
	out->new_per_hour = (long)conf_int(group, "new_per_hour");
	out->parallel = (long)conf_int(group, "parallel");
	out->host_parallel = (long)conf_int(group, "host_parallel");
	out->host_hour = (long)conf_int(group, "host_hour");
	out->redirects = (long)conf_int(group, "redirects");
	out->host_day_bytes = conf_int(group, "host_day_bytes");
	out->day_bytes = conf_int(group, "day_bytes");
	out->connect_ms = (long)conf_int(group, "connect_timeout");
	out->total_ms = (long)conf_int(group, "timeout");
	out->slow_speed = (long)conf_int(group, "slow_speed");
	out->slow_s = (long)conf_int(group, "slow_time");
	out->refresh = conf_int(group, "refresh");
	out->margin = conf_int(group, "margin");
	out->refresh_ca = conf_int(group, "refresh_ca");
	out->retry = conf_int(group, "retry");
	out->retry_max = conf_int(group, "retry_max");
	out->forget = conf_int(group, "forget");
	out->nonce = strcmp(nonce, "send") == 0      ? NONCE_SEND
		     : strcmp(nonce, "require") == 0 ? NONCE_REQUIRE
						     : NONCE_OFF;
}

enum rc
fetch_settings_read(struct conf *conf, struct fetch_settings *out, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "fetch");
	enum rc rc;

	memset(out, 0, sizeof(*out));
	out->conf = conf_ref(conf);
	out->dir = conf_str(group, "dir");
	out->socket = conf_str(group, "socket");
	out->ca_file = conf_str(group, "ca_file");
	out->allow_private = conf_bool(group, "allow_private");
	read_numbers(group, out);
	rc = read_schemes(group, out, err);
	if (rc == RC_OK)
		rc = read_ports(group, out, err);
	if (rc == RC_OK)
		rc = read_proxy(group, out, err);
	if (rc == RC_OK)
		rc = read_urls(group, "crl_urls", WANT_CRL, out, err);
	if (rc == RC_OK)
		rc = read_urls(group, "ca_urls", WANT_CA, out, err);
	if (rc != RC_OK)
		fetch_settings_fini(out);
	return rc;
}

void
fetch_settings_fini(struct fetch_settings *settings)
{
	conf_unref(&settings->conf);
}

/* The host as a socket's address, when it is one. */
static socklen_t
literal_addr(const struct fetch_url *url, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
	struct sockaddr_in *four = (struct sockaddr_in *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, url->host, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons((uint16_t)url->port);
		return sizeof(*four);
	}
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET6, url->host, &six->sin6_addr) != 1)
		return 0;
	six->sin6_family = AF_INET6;
	six->sin6_port = htons((uint16_t)url->port);
	return sizeof(*six);
}

static bool
has_port(const struct fetch_settings *settings, unsigned port)
{
	for (size_t i = 0; i < settings->n_ports; i++)
		if (settings->ports[i] == port)
			return true;
	return false;
}

enum rc
fetch_settings_allow_addr(const struct fetch_settings *settings, const struct sockaddr *addr,
	socklen_t len, struct err *err)
{
	const char *why = settings->allow_private ? NULL : fetch_addr_refusal(addr, len);
	struct sockaddr_in in;

	if (why)
		return err_set(
			err, ERR_FETCH_URL, "the host has an address that is not public (%s)", why);
	/* The port stands in the same place for both families. */
	memset(&in, 0, sizeof(in));
	memcpy(&in, addr, len < sizeof(in) ? len : sizeof(in));
	if (!has_port(settings, ntohs(in.sin_port)))
		return err_set(err, ERR_FETCH_URL, "port %u is not in fetch.ports",
			(unsigned)ntohs(in.sin_port));
	return RC_OK;
}

enum rc
fetch_settings_allow(
	const struct fetch_settings *settings, const struct fetch_url *url, struct err *err)
{
	struct sockaddr_storage addr;

	if (!settings->schemes[url->scheme])
		return err_set(err, ERR_FETCH_URL, "%s is not in fetch.schemes",
			fetch_scheme_name(url->scheme));
	if (!has_port(settings, url->port))
		return err_set(err, ERR_FETCH_URL, "port %u is not in fetch.ports", url->port);
	if (url->literal) {
		socklen_t len = literal_addr(url, &addr);

		return fetch_settings_allow_addr(settings, (struct sockaddr *)&addr, len, err);
	}
	return RC_OK;
}
