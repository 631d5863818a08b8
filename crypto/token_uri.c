/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/token_uri.h"

#include <stdbool.h>
#include <string.h>

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* VALUE without its %XX, into OUT of MAX bytes. */
static bool
decode(const char *value, size_t len, unsigned char *out, size_t max, size_t *out_len)
{
	for (*out_len = 0; len; ++*out_len) {
		int high, low;

		if (*out_len == max)
			return false;
		if (*value != '%') {
			out[*out_len] = (unsigned char)*value++;
			len--;
			continue;
		}
		if (len < 3 || (high = hex_digit(value[1])) < 0 || (low = hex_digit(value[2])) < 0)
			return false;
		out[*out_len] = (unsigned char)(high << 4 | low);
		value += 3;
		len -= 3;
	}
	return *out_len > 0;
}

/* The same for text, with a NUL. */
static bool
decode_text(const char *value, size_t len, char *out, size_t max)
{
	size_t n;

	if (*out || !decode(value, len, (unsigned char *)out, max, &n) || memchr(out, 0, n))
		return false;
	out[n] = 0;
	return true;
}

static enum rc
take(const char *name, size_t name_len, const char *value, size_t len, struct token_uri *out,
	struct err *err)
{
	bool good = false;

#define IS(text) (name_len == strlen(text) && memcmp(name, text, name_len) == 0)
	if (IS("token"))
		good = decode_text(value, len, out->token, TOKEN_LABEL_MAX);
	else if (IS("object"))
		good = decode_text(value, len, out->object, TOKEN_OBJECT_MAX);
	else if (IS("id"))
		good = out->id_len == 0 && decode(value, len, out->id, TOKEN_ID_MAX, &out->id_len);
	else if (IS("type"))
		good = len == 7 && memcmp(value, "private", 7) == 0;
	else if (IS("pin-value") || IS("pin-source"))
		return err_set(err, ERR_USAGE,
			"no PIN in the name of a key: it stands in the configuration");
	else
		return err_set(err, ERR_USAGE, "pkcs11: no attribute \"%.*s\" here",
			(int)(name_len < 40 ? name_len : 40), name);
#undef IS
	return good ? RC_OK
		    : err_set(err, ERR_USAGE, "pkcs11: a bad value of \"%.*s\"", (int)name_len,
			      name);
}

enum rc
token_uri_parse(const char *text, size_t len, struct token_uri *out, struct err *err)
{
	const char *end = text + len, *p = text + 7;
	enum rc rc = RC_OK;

	memset(out, 0, sizeof(*out));
	if (len > TOKEN_URI_MAX || len < 8 || memcmp(text, "pkcs11:", 7) != 0)
		return err_set(
			err, ERR_USAGE, "no name of a key in a token: pkcs11:token=…;object=…");
	while (!rc && p < end) {
		size_t n = 0, name;

		/* Behind a question mark stand attributes of the way to the token. */
		while (p + n < end && p[n] != ';' && p[n] != '?' && p[n] != '&')
			n++;
		for (name = 0; name < n && p[name] != '='; name++)
			;
		if (name == n)
			return err_set(err, ERR_USAGE, "pkcs11: an attribute without a value");
		rc = take(p, name, p + name + 1, n - name - 1, out, err);
		p += n;
		p += p < end;
	}
	if (!rc && (!out->token[0] || (!out->object[0] && !out->id_len)))
		rc = err_set(err, ERR_USAGE, "pkcs11: token and object or id are needed");
	return rc;
}
