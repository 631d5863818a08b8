/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/want.h"

#include "crypto/digest.h"

#include <stdio.h>
#include <string.h>

static const char *const kinds[WANT_KINDS] = {"crl", "ca", "ocsp"};
static const char *const verbs[] = {[WANT_LIST] = "list",
	[WANT_STATUS] = "status",
	[WANT_NOW] = "now",
	[WANT_ISSUER] = "issuer"};

const char *
want_kind_name(enum want_kind kind)
{
	return kinds[kind];
}

bool
want_is_name(const char *text, size_t len)
{
	if (len == 0 || len > WANT_NAME_MAX || *text == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!text[i] || !strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.", text[i]))
			return false;
	return true;
}

/* The next word of a line, without a blank; its length, 0 at the end. */
static size_t
take_word(const char **p, const char *end, const char **word)
{
	const char *blank = memchr(*p, ' ', (size_t)(end - *p));

	*word = *p;
	*p = blank ? blank + 1 : end;
	return (size_t)((blank ? blank : end) - *word);
}

/* No control character, whatever the URL is. */
static bool
is_text(const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)word[i] < ' ' || word[i] == 0x7f)
			return false;
	return true;
}

static bool
is(const char *word, size_t len, const char *text)
{
	return strlen(text) == len && memcmp(word, text, len) == 0;
}

static bool
take_verb(const char *word, size_t len, struct want *out)
{
	for (size_t i = 0; i < WANT_KINDS; i++)
		if (is(word, len, kinds[i])) {
			out->kind = (enum want_kind)i;
			return true;
		}
	for (size_t i = WANT_LIST; i <= WANT_ISSUER; i++)
		if (is(word, len, verbs[i])) {
			out->verb = (enum want_verb)i;
			return true;
		}
	return false;
}

/* Is there something behind the line? */
static bool
has_bytes(const struct want *want)
{
	return want->verb == WANT_ISSUER || (want->verb == WANT_FETCH && want->kind == WANT_OCSP);
}

/* Is there as much as the verb needs, and no more? */
static bool
is_whole(const struct want *want)
{
	if (has_bytes(want) != (want->request_len > 0))
		return false;
	return want->verb == WANT_FETCH ? want->url != NULL : want->verb == WANT_NOW || !want->url;
}

enum rc
want_parse(const void *data, size_t len, struct want *out, struct err *err)
{
	const char *p = data, *end = len ? memchr(data, '\n', len) : NULL, *word;
	size_t n;

	memset(out, 0, sizeof(*out));
	if (!end || len > WANT_MAX)
		return err_set(err, ERR_USAGE, "a want is one line of at most %d bytes", WANT_MAX);
	n = take_word(&p, end, &word);
	if (!take_verb(word, n, out))
		return err_set(err, ERR_USAGE, "an unknown want");
	n = take_word(&p, end, &word);
	if (!is_text(word, n))
		return err_set(err, ERR_USAGE, "a want with control characters");
	if (n > 0) {
		out->url = word;
		out->url_len = n;
	}
	if (out->verb == WANT_FETCH && out->kind == WANT_OCSP) {
		n = take_word(&p, end, &word);
		if (!want_is_name(word, n))
			return err_set(err, ERR_USAGE, "a want without the name of a file");
		memcpy(out->name, word, n);
	}
	out->request = end + 1;
	out->request_len = (size_t)((const char *)data + len - (end + 1));
	if (p != end || end[-1] == ' ' || !is_whole(out))
		return err_set(err, ERR_USAGE, "a want with too much or too little");
	return RC_OK;
}

enum rc
want_format(const struct want *want, struct buf *out, struct err *err)
{
	enum rc rc = buf_append_str(
		out, want->verb == WANT_FETCH ? kinds[want->kind] : verbs[want->verb], err);

	if (rc == RC_OK && want->url)
		rc = buf_appendf(out, err, " %.*s", (int)want->url_len, want->url);
	if (rc == RC_OK && want->verb == WANT_FETCH && want->kind == WANT_OCSP)
		rc = buf_appendf(out, err, " %s", want->name);
	if (rc == RC_OK)
		rc = buf_append_char(out, '\n', err);
	if (rc == RC_OK && has_bytes(want))
		rc = buf_append(out, want->request, want->request_len, err);
	return rc;
}

enum rc
want_name_of_url(const char *url, char name[WANT_NAME_MAX + 1], struct err *err)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	enum rc rc = digest_bytes(DIGEST_SHA256, url, strlen(url), hash, err);

	for (size_t i = 0; rc == RC_OK && i < SHA256_SIZE; i++)
		snprintf(name + 2 * i, 3, "%02x", hash[i]);
	return rc;
}
