/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch_settings.h - the section "fetch" of the configuration, read once
 *
 * Memory: strings are borrowed from the conf, which the settings hold a reference to.
 */
#ifndef DIRECTORY_FETCH_SETTINGS_H
#define DIRECTORY_FETCH_SETTINGS_H

#include "base/conf.h"
#include "crypto/fetched.h"
#include "directory/fetch_url.h"
#include "directory/want.h"

#include <sys/socket.h>

#define FETCH_PORTS_MAX 64

struct fetch_settings {
	struct conf *conf; /* a reference */
	const char *dir, *socket, *proxy, *ca_file;
	bool schemes[FETCH_LDAP + 1];
	unsigned ports[FETCH_PORTS_MAX];
	size_t n_ports;
	bool allow_private;
	size_t max_bytes[WANT_KINDS];
	size_t max_items;
	long new_per_hour, parallel, host_parallel, host_hour, redirects;
	int64_t host_day_bytes, day_bytes;
	long connect_ms, total_ms, slow_speed, slow_s;
	int64_t refresh, margin, refresh_ca, retry, retry_max, forget;
	enum fetched_nonce nonce;
	const char *const *urls[WANT_OCSP]; /* permanent ones, by kind */
	size_t n_urls[WANT_OCSP];
};

/* ERR_CONFIG with file and line when something in it makes no sense. */
enum rc fetch_settings_read(struct conf *conf, struct fetch_settings *out, struct err *err);
void fetch_settings_fini(struct fetch_settings *settings);
/* May this URL be asked, by the settings: scheme, port, an address in place of a name? */
enum rc fetch_settings_allow(
	const struct fetch_settings *settings, const struct fetch_url *url, struct err *err);
/* May this address be connected to? */
enum rc fetch_settings_allow_addr(const struct fetch_settings *settings,
	const struct sockaddr *addr, socklen_t len, struct err *err);

#endif
