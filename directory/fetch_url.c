/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/fetch_url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct scheme {
	const char *name, *prefix;
	unsigned port;
} schemes[] = {
	[FETCH_HTTP] = {"http", "http://", 80},
	[FETCH_HTTPS] = {"https", "https://", 443},
	[FETCH_LDAP] = {"ldap", "ldap://", 389},
};

/* RFC 4523 section 2: what a CA's entry holds. */
static const char *const attributes[] = {"certificateRevocationList", "authorityRevocationList",
	"deltaRevocationList", "cACertificate"};

const char *
fetch_scheme_name(enum fetch_scheme scheme)
{
	return schemes[scheme].name;
}

/* Finds the scheme; 0 when it is none of ours. */
static size_t
take_scheme(const char *text, size_t len, struct fetch_url *out)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		size_t n = strlen(schemes[i].prefix);

		if (len < n || strncasecmp(text, schemes[i].prefix, n) != 0)
			continue;
		out->scheme = (enum fetch_scheme)i;
		out->port = schemes[i].port;
		return n;
	}
	return 0;
}

/* RFC 3986's characters and no others. */
static bool
is_clean(const char *text, size_t len)
{
	static const char odd[] = "\"<>\\^`{|}#";

	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~' || strchr(odd, text[i]))
			return false;
	return true;
}

/* An IPv4 address is four decimal numbers: resolvers take 0x7f.1 and 2130706433 for addresses too,
 * so a last label without a letter is no name. */
static bool
is_name(const char *host)
{
	const char *last = strrchr(host, '.');
	size_t label = 0;

	for (const char *p = host; *p; p++) {
		if (*p == '.') {
			if (label == 0)
				return false;
			label = 0;
			continue;
		}
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", *p) || ++label > 63)
			return false;
	}
	last = last ? last + 1 : host;
	return *last >= 'a' && *last <= 'z';
}

static enum rc
take_host(const char *text, size_t len, struct fetch_url *out, struct err *err)
{
	unsigned char addr[16];

	if (len == 0 || len > FETCH_HOST_MAX)
		return err_set(err, ERR_FETCH_URL, "the URL has no host, or one that is too long");
	for (size_t i = 0; i < len; i++)
		out->host[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
	out->host[len] = '\0';
	out->literal = inet_pton(AF_INET, out->host, addr) == 1;
	if (!out->literal && !is_name(out->host))
		return err_set(err, ERR_FETCH_URL, "the URL's host is no name and no address");
	return RC_OK;
}

/* "host", "host:port", "[v6]:port" */
static enum rc
take_authority(const char *text, size_t len, struct fetch_url *out, struct err *err)
{
	const char *end = text + len, *colon;
	unsigned char addr[16];
	unsigned long port;
	enum rc rc = RC_OK;

	if (memchr(text, '@', len))
		return err_set(err, ERR_FETCH_URL, "the URL names a user");
	if (len > 0 && *text == '[') {
		const char *close = memchr(text, ']', len);
		size_t n = close ? (size_t)(close - text - 1) : 0;

		if (n == 0 || n >= INET6_ADDRSTRLEN)
			return err_set(err, ERR_FETCH_URL, "the URL's address is not one");
		memcpy(out->host, text + 1, n);
		out->host[n] = '\0';
		if (inet_pton(AF_INET6, out->host, addr) != 1)
			return err_set(err, ERR_FETCH_URL, "the URL's address is not one");
		out->literal = true;
		colon = close + 1;
	} else {
		colon = memchr(text, ':', len);
		if (!colon)
			colon = end;
		rc = take_host(text, (size_t)(colon - text), out, err);
	}
	if (rc != RC_OK || colon == end)
		return rc;
	if (*colon != ':' || colon + 1 == end || end - colon > 6)
		return err_set(err, ERR_FETCH_URL, "the URL's port is no number");
	for (const char *p = colon + 1; p < end; p++)
		if (*p < '0' || *p > '9')
			return err_set(err, ERR_FETCH_URL, "the URL's port is no number");
	port = strtoul(colon + 1, NULL, 10);
	if (port == 0 || port > 65535)
		return err_set(err, ERR_FETCH_URL, "the URL's port is no number");
	out->port = (unsigned)port;
	return RC_OK;
}

static int
hex(char c)
{
	const char *digits = "0123456789abcdef0123456789ABCDEF", *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) % 16 : -1;
}

/* Percent-decodes TEXT into OUT of SIZE bytes; false for what is malformed, too long or has
 * control characters. */
static bool
decode(const char *text, size_t len, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '%') {
			int high = i + 2 < len ? hex(text[i + 1]) : -1;
			int low = i + 2 < len ? hex(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if ((unsigned char)c < ' ' || c == 0x7f || n + 1 >= size)
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	return true;
}

/* What stands before the next '?', which is passed over; empty at the end. */
static size_t
take_field(const char **p, const char *end)
{
	const char *mark;
	size_t len;

	if (*p >= end)
		return 0;
	mark = memchr(*p, '?', (size_t)(end - *p));
	len = (size_t)((mark ? mark : end) - *p);
	*p = mark ? mark + 1 : end;
	return len;
}

/* "certificateRevocationList;binary" without its option. */
static enum rc
take_attribute(const char *text, size_t len, struct fetch_url *out, struct err *err)
{
	const char *semicolon = memchr(text, ';', len);
	size_t n = semicolon ? (size_t)(semicolon - text) : len;

	if (len == 0)
		return RC_OK;
	if (semicolon && (len - n != 7 || strncasecmp(semicolon, ";binary", 7) != 0))
		return err_set(
			err, ERR_FETCH_URL, "the URL asks for an attribute with an odd option");
	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
		if (strlen(attributes[i]) == n && strncasecmp(attributes[i], text, n) == 0) {
			snprintf(out->attribute, sizeof(out->attribute), "%s", attributes[i]);
			return RC_OK;
		}
	return err_set(err, ERR_FETCH_URL,
		"the URL asks for an attribute that holds no list and no CA certificate");
}

/* "/dn?attribute?scope?filter?extensions" */
static enum rc
take_ldap(const char *text, const char *end, struct fetch_url *out, struct err *err)
{
	const char *p = text < end && *text == '/' ? text + 1 : text;
	const char *field;
	size_t len = take_field(&p, end);
	enum rc rc;

	if (text == end || *text != '/' || !decode(text + 1, len, out->dn, sizeof(out->dn)) ||
		!*out->dn)
		return err_set(err, ERR_FETCH_URL, "the URL names no entry of a directory");
	field = p;
	len = take_field(&p, end);
	rc = take_attribute(field, len, out, err);
	if (rc != RC_OK)
		return rc;
	field = p;
	len = take_field(&p, end);
	if (len > 0 && (len != 4 || strncasecmp(field, "base", 4) != 0))
		return err_set(err, ERR_FETCH_URL, "the URL asks for more than one entry");
	/* With scope base a filter adds nothing: the widespread ones name an object class. */
	(void)take_field(&p, end);
	if (p < end)
		return err_set(err, ERR_FETCH_URL, "the URL has LDAP extensions");
	return RC_OK;
}

enum rc
fetch_url_parse(const char *text, size_t len, struct fetch_url *out, struct err *err)
{
	size_t skip, n;
	const char *end = text + len;
	enum rc rc;

	memset(out, 0, sizeof(*out));
	if (len == 0 || len > FETCH_URL_MAX)
		return err_set(err, ERR_FETCH_URL, "the URL is empty or longer than %d bytes",
			FETCH_URL_MAX);
	if (!is_clean(text, len))
		return err_set(err, ERR_FETCH_URL, "the URL has characters that belong in none");
	skip = take_scheme(text, len, out);
	if (skip == 0)
		return err_set(err, ERR_FETCH_URL, "the URL is not http, https or ldap");
	text += skip;
	for (n = 0; text + n < end && text[n] != '/' && text[n] != '?'; n++)
		;
	rc = take_authority(text, n, out, err);
	if (rc != RC_OK)
		return rc;
	return out->scheme == FETCH_LDAP ? take_ldap(text + n, end, out, err) : RC_OK;
}
