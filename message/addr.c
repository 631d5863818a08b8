/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/addr.h"

#include "message/charset.h"

#include <idn2.h>
#include <string.h>
#include <strings.h>

#define DOMAIN_MAX 255

/* A blank, or (where fields are read) a byte of a line end. */
static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* ASCII letters and digits, whatever the locale. */
static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* ASCII lower case. */
static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* May C stand in a local part without quotes? Dots may, wherever they are: carriers do that. */
static bool
is_plain(char c)
{
	return is_alnum(c) || (c && strchr(".!#$%&'*+-/=?^_`{|}~", c)) || (unsigned char)c >= 0x80;
}

/* Domain literal in OUT, lower case. */
static enum rc
copy_literal(const char *text, size_t len, char *out, struct err *err)
{
	if (len < 3 || len > DOMAIN_MAX || text[len - 1] != ']')
		return err_set(err, ERR_ADDR_SYNTAX, "bad domain literal");
	for (size_t i = 0; i < len; i++) {
		bool bracket = (i == 0 || i == len - 1);

		if (!bracket && !is_alnum(text[i]) && text[i] != '.' && text[i] != ':' &&
			text[i] != '-')
			return err_set(err, ERR_ADDR_SYNTAX, "bad domain literal");
		out[i] = lower(text[i]);
	}
	out[len] = '\0';
	return RC_OK;
}

/* Is this a host name of letters, digits, hyphens, underscores and dots, no label empty? */
static bool
is_host_name(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!is_alnum(text[i]) && text[i] != '-' && text[i] != '_' && text[i] != '.')
			return false;
		if (text[i] == '.' && (i == 0 || i == len - 1 || text[i - 1] == '.'))
			return false;
	}
	return len > 0 && len <= DOMAIN_MAX;
}

/* A domain with U-labels as A-labels. */
static enum rc
copy_idn(const char *text, size_t len, char *out, struct err *err)
{
	char name[4 * DOMAIN_MAX + 1], *ascii = NULL;
	int rc;

	if (len >= sizeof(name) || memchr(text, '\0', len) || !utf8_is_valid(text, len))
		return err_set(err, ERR_ADDR_SYNTAX, "bad domain name");
	memcpy(name, text, len);
	name[len] = '\0';
	rc = idn2_to_ascii_8z(name, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc == IDN2_MALLOC)
		return err_set(err, ERR_MEMORY, "domain name");
	if (rc != IDN2_OK)
		return err_set(err, ERR_ADDR_SYNTAX, "bad domain name: %s", idn2_strerror(rc));
	len = strlen(ascii);
	if (!is_host_name(ascii, len)) {
		idn2_free(ascii);
		return err_set(err, ERR_ADDR_SYNTAX, "bad domain name");
	}
	for (size_t i = 0; i <= len; i++)
		out[i] = lower(ascii[i]);
	idn2_free(ascii);
	return RC_OK;
}

/* Writes the canonical form of a domain; OUT has DOMAIN_MAX + 1 bytes. */
static enum rc
copy_domain(const char *text, size_t len, char *out, struct err *err)
{
	if (len > 0 && text[0] == '[')
		return copy_literal(text, len, out, err);
	if (len > 1 && text[len - 1] == '.')
		len--; /* the root's dot */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] >= 0x80)
			return copy_idn(text, len, out, err);
	if (!is_host_name(text, len))
		return err_set(err, ERR_ADDR_SYNTAX, "bad domain name");
	for (size_t i = 0; i < len; i++)
		out[i] = lower(text[i]);
	out[len] = '\0';
	return RC_OK;
}

/* Writes a local part, in quotes where it must be; OUT has SIZE bytes. Returns its length, 0: no
 * room. */
static size_t
copy_local(const char *local, size_t len, char *out, size_t size)
{
	bool quotes = len == 0;
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		quotes = quotes || !is_plain(local[i]);
	if (2 * len + 3 > size)
		return 0;
	if (quotes)
		out[n++] = '"';
	for (size_t i = 0; i < len; i++) {
		if (local[i] == '"' || local[i] == '\\')
			out[n++] = '\\';
		out[n++] = local[i];
	}
	if (quotes)
		out[n++] = '"';
	out[n] = '\0';
	return n;
}

/* A local part without its quotes, and where the domain begins. */
struct split {
	char local[ADDR_MAX + 1];
	size_t local_len;
	size_t domain; /* offset behind the last '@' that is outside of quotes; 0: there is none */
	bool quoted;   /* a quoted string was in the local part */
};

/* Takes the quotes and backslashes off TEXT (at most ADDR_MAX bytes) and finds the last '@'. */
static enum rc
split_address(const char *text, size_t len, struct split *split, struct err *err)
{
	bool inside = false;
	size_t n = 0;

	split->domain = 0;
	split->quoted = false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '"') {
			inside = !inside;
			split->quoted = true;
			continue;
		}
		if (c == '\\' && i + 1 < len) {
			c = text[++i];
		} else if (c == '@' && !inside) {
			split->domain = i + 1;
			split->local_len = n;
		}
		if ((unsigned char)c < ' ' || c == 127)
			return err_set(err, ERR_ADDR_SYNTAX, "control character in a mail address");
		split->local[n++] = c;
	}
	if (inside)
		return err_set(err, ERR_ADDR_SYNTAX, "quotes are not closed");
	if (split->domain == 0)
		split->local_len = n;
	return RC_OK;
}

/* Without blanks and angle brackets around it, and without a source route (RFC 5321
 * section 4.1.1.3). */
static enum rc
strip_path(const char **text, size_t *len, struct err *err)
{
	while (*len && is_blank((*text)[*len - 1]))
		--*len;
	for (; *len && is_blank(**text); ++*text)
		--*len;
	if (*len && **text == '<') {
		if ((*text)[*len - 1] != '>')
			return err_set(err, ERR_ADDR_SYNTAX, "angle bracket is not closed");
		++*text;
		*len -= 2;
	}
	if (*len && **text == '@') {
		const char *colon = memchr(*text, ':', *len);

		if (!colon || colon + 1 == *text + *len)
			return err_set(err, ERR_ADDR_SYNTAX, "no local part");
		*len -= (size_t)(colon + 1 - *text);
		*text = colon + 1;
	}
	return RC_OK;
}

enum rc
addr_canonical(const char *text, size_t len, char *out, struct err *err)
{
	struct split split;
	char domain[DOMAIN_MAX + 1];
	size_t n;
	enum rc rc;

	out[0] = '\0';
	rc = strip_path(&text, &len, err);
	if (rc != RC_OK || len == 0)
		return rc;
	if (len > ADDR_MAX)
		return err_set(err, ERR_ADDR_SYNTAX, "mail address of %zu bytes", len);
	rc = split_address(text, len, &split, err);
	if (rc != RC_OK)
		return rc;
	if ((split.local_len == 0 && !split.quoted) || !utf8_is_valid(split.local, split.local_len))
		return err_set(err, ERR_ADDR_SYNTAX, "bad local part");
	if (split.domain) {
		rc = copy_domain(text + split.domain, len - split.domain, domain, err);
		if (rc != RC_OK)
			return rc;
	}
	n = copy_local(split.local, split.local_len, out, ADDR_MAX - DOMAIN_MAX);
	if (n == 0)
		return err_set(err, ERR_ADDR_SYNTAX, "mail address too long");
	if (split.domain) {
		out[n] = '@';
		memcpy(out + n + 1, domain, strlen(domain) + 1);
	}
	return RC_OK;
}

const char *
addr_domain(const char *addr)
{
	const char *at = strrchr(addr, '@');

	/* "a@b" in quotes and nothing behind it has no domain. */
	return at && !strchr(at, '"') ? at + 1 : NULL;
}

bool
addr_equal(const char *a, const char *b)
{
	return strcasecmp(a, b) == 0;
}

/* A configured domain may have U-labels; DOMAIN is canonical. */
static bool
domain_equal(const char *configured, const char *domain)
{
	char canonical[DOMAIN_MAX + 1];
	struct err ignored = ERR_INIT;

	if (strcasecmp(configured, domain) == 0)
		return true;
	for (const char *p = configured; *p; p++)
		if ((unsigned char)*p >= 0x80)
			return copy_domain(configured, strlen(configured), canonical, &ignored) ==
				       RC_OK &&
			       strcmp(canonical, domain) == 0;
	return false;
}

/* Is DOMAIN what ENTRY names, or below it when ENTRY begins with a dot? */
static bool
domain_matches(const char *entry, const char *domain)
{
	if (entry[0] != '.')
		return domain_equal(entry, domain);
	for (const char *dot = strchr(domain, '.'); dot; dot = strchr(dot + 1, '.'))
		if (domain_equal(entry + 1, dot + 1))
			return true;
	return false;
}

bool
addr_match(const char *pattern, const char *addr)
{
	const char *domain = addr_domain(addr), *wanted = addr_domain(pattern);
	size_t local;

	if (strcmp(pattern, "*") == 0)
		return true;
	if (strcmp(pattern, "<>") == 0)
		return addr[0] == '\0';
	if (pattern[0] == '.')
		return domain && domain_matches(pattern, domain);
	if (pattern[0] == '@')
		return domain && domain_equal(pattern + 1, domain);
	if (!domain || !wanted)
		return addr[0] && addr_equal(pattern, addr);
	local = (size_t)(domain - addr);
	return (size_t)(wanted - pattern) == local && strncasecmp(pattern, addr, local) == 0 &&
	       domain_equal(wanted, domain);
}

bool
addr_domain_in(const char *domain, const char *const *entries, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (domain_matches(entries[i], domain))
			return true;
	return false;
}

void
addr_strip_extension(const char *addr, char delimiter, char *out)
{
	const char *domain = addr_domain(addr);
	const char *end = domain ? domain - 1 : addr + strlen(addr), *cut = NULL;

	if (delimiter && addr[0] != '"' && end > addr + 1)
		cut = memchr(addr + 1, delimiter, (size_t)(end - addr) - 1);
	if (!cut)
		cut = end;
	memmove(out, addr, (size_t)(cut - addr));
	memmove(out + (cut - addr), end, strlen(end) + 1);
}
