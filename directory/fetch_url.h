/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch_url.h - a URL that a certificate, a message or an administrator names, taken apart
 *
 * Works from a list of what is allowed: http, https and ldap; visible ASCII without quotes,
 * brackets and backslashes; a host that is a DNS name or an IP address in its usual form (no
 * numbers like 0x7f.1); no user, no password, no fragment; a port. An ldap URL (RFC 4516) asks
 * one entry for one attribute that holds lists or certificates of a CA, and nothing else.
 *
 * Limits: FETCH_URL_MAX bytes.
 */
#ifndef DIRECTORY_FETCH_URL_H
#define DIRECTORY_FETCH_URL_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define FETCH_URL_MAX  1024
#define FETCH_HOST_MAX 253

enum fetch_scheme { FETCH_HTTP, FETCH_HTTPS, FETCH_LDAP };

struct fetch_url {
	enum fetch_scheme scheme;
	char host[FETCH_HOST_MAX + 1]; /* lower case; an IPv6 address without its brackets */
	bool literal;                  /* the host is an IP address */
	unsigned port;
	char attribute[64];     /* ldap: what is asked for, without options; "": by kind */
	char dn[FETCH_URL_MAX]; /* ldap: the entry, decoded */
};

/* ERR_FETCH_URL with a sentence. TEXT has LEN bytes; no NUL is needed behind them. */
enum rc fetch_url_parse(const char *text, size_t len, struct fetch_url *out, struct err *err);
const char *fetch_scheme_name(enum fetch_scheme scheme);

#endif
