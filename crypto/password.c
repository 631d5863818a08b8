/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/password.h"

#include <iconv.h>
#include <string.h>

/* What terminals and programs wrote passwords in, besides UTF-8. */
static const char *const charsets[] = {"CP932", "EUC-JP", "CP1252", "CP850"};

#define CHARSETS (sizeof(charsets) / sizeof(*charsets))

/* TEXT in another charset; *out NULL: it has no such characters, or the system no such charset. */
static enum rc
convert(const char *to, const char *from, struct secret *text, struct secret **out, struct err *err)
{
	char *in = (char *)secret_data(text), *p; /* iconv does not write to it */
	size_t left = secret_len(text), room = 4 * left + 4;
	iconv_t cd = iconv_open(to, from);
	enum rc rc;

	*out = NULL;
	if (cd == (iconv_t)-1)
		return RC_OK;
	rc = secret_new(room, out, err);
	if (rc == RC_OK) {
		p = (char *)secret_data(*out);
		if (iconv(cd, &in, &left, &p, &room) != 0 ||
			iconv(cd, NULL, NULL, &p, &room) == (size_t)-1)
			secret_free(out);
		else
			secret_truncate(*out, (size_t)(p - (char *)secret_data(*out)));
	}
	iconv_close(cd);
	return rc;
}

/* Takes *WAY, unless it is there already. Past the last place ways are left out. */
static void
add(struct passwords *p, enum password_form form, struct secret **way)
{
	size_t i, n = p->forms[form].n;

	for (i = 0; *way && i < n; i++) {
		struct secret *old = p->forms[form].v[i];

		if (old && secret_len(old) == secret_len(*way) &&
			secret_compare(secret_data(old), secret_data(*way), secret_len(old)) == 0)
			break;
	}
	if (*way && (i < n || n == PASSWORD_WAYS)) {
		secret_free(way);
		return;
	}
	p->forms[form].v[p->forms[form].n++] = *way; /* owned by the list from here */
	*way = NULL;
}

static enum rc
add_copy(struct passwords *p, enum password_form form, struct secret *way, struct err *err)
{
	struct secret *copy = NULL;
	enum rc rc = secret_copy(secret_data(way), secret_len(way), &copy, err);

	if (rc == RC_OK)
		add(p, form, &copy);
	return rc;
}

/* The bytes as they are, and each of them taken for a character (which is what Latin-1 means). */
static enum rc
add_bytes(struct passwords *p, struct secret *bytes, struct err *err)
{
	struct secret *wide = NULL;
	enum rc rc = add_copy(p, PASSWORD_BYTES, bytes, err);

	if (rc == RC_OK)
		rc = convert("UTF-8", "ISO-8859-1", bytes, &wide, err);
	if (rc == RC_OK && wide)
		rc = add_copy(p, PASSWORD_BYTES, wide, err);
	if (rc == RC_OK && wide)
		add(p, PASSWORD_CHARS, &wide);
	secret_free(&wide);
	return rc;
}

/* All that a program may have made of these characters. */
static enum rc
add_chars(struct passwords *p, struct secret *text, bool ascii, struct err *err)
{
	struct secret *other = NULL;
	enum rc rc = add_copy(p, PASSWORD_CHARS, text, err);

	if (rc == RC_OK)
		rc = add_bytes(p, text, err);
	for (size_t i = 0; rc == RC_OK && !ascii && i < CHARSETS; i++) {
		rc = convert(charsets[i], "UTF-8", text, &other, err);
		if (rc == RC_OK && other)
			rc = add_bytes(p, other, err);
		secret_free(&other);
	}
	return rc;
}

/* A BMPString, with the NUL that PKCS#12 puts behind it: what old NSS gave to PBKDF2. */
static enum rc
add_bmp(struct passwords *p, struct secret *text, struct err *err)
{
	struct secret *bmp = NULL, *ended = NULL;
	enum rc rc = convert("UTF-16BE", "UTF-8", text, &bmp, err);

	if (rc == RC_OK && bmp)
		rc = secret_new(secret_len(bmp) + 2, &ended, err);
	if (rc == RC_OK && bmp) {
		if (secret_len(bmp))
			memcpy(secret_data(ended), secret_data(bmp), secret_len(bmp));
		add(p, PASSWORD_BYTES, &ended);
	}
	secret_free(&bmp);
	return rc;
}

/* No password, and the empty one: for the derivation of PKCS#12 they differ. */
static enum rc
init_empty(struct passwords *p, struct err *err)
{
	struct secret *empty = NULL, *none = NULL;
	enum rc rc = secret_new(0, &empty, err);

	p->is_empty = true;
	if (rc == RC_OK)
		rc = add_copy(p, PASSWORD_BYTES, empty, err);
	if (rc == RC_OK)
		rc = add_bmp(p, empty, err);
	if (rc == RC_OK) {
		add(p, PASSWORD_CHARS, &empty);
		add(p, PASSWORD_CHARS, &none);
	}
	secret_free(&empty);
	return rc;
}

static enum rc
init_given(struct passwords *p, struct secret *given, struct err *err)
{
	struct secret *text = NULL;
	bool ascii = true;
	enum rc rc;

	for (size_t i = 0; i < secret_len(given); i++)
		ascii = ascii && secret_data(given)[i] < 128;
	rc = convert("UTF-16BE", "UTF-8", given, &text, err); /* is it UTF-8? */
	if (rc == RC_OK && text) {
		rc = add_chars(p, given, ascii, err);
		if (rc == RC_OK)
			rc = add_bmp(p, given, err);
		secret_free(&text);
		return rc;
	}
	if (rc == RC_OK)
		rc = add_bytes(p, given, err);
	for (size_t i = 0; rc == RC_OK && i < CHARSETS; i++) {
		rc = convert("UTF-8", charsets[i], given, &text, err);
		if (rc == RC_OK && text)
			rc = add_chars(p, text, true, err);
		secret_free(&text);
	}
	return rc;
}

enum rc
passwords_init(struct passwords *passwords, struct secret *given, struct err *err)
{
	enum rc rc;

	*passwords = (struct passwords){.work = PASSWORD_WORK};
	if (given && secret_len(given) > PASSWORD_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "a password of %zu bytes", secret_len(given));
	rc = given && secret_len(given) ? init_given(passwords, given, err)
					: init_empty(passwords, err);
	if (rc != RC_OK)
		passwords_fini(passwords);
	return rc;
}

void
passwords_fini(struct passwords *passwords)
{
	for (int form = 0; form < PASSWORD_FORMS; form++)
		for (size_t i = 0; i < passwords->forms[form].n; i++)
			secret_free(&passwords->forms[form].v[i]);
	*passwords = (struct passwords){0};
}

enum rc
passwords_try(struct passwords *passwords, enum password_form form, int64_t iterations,
	password_try *attempt, void *ctx, struct err *err)
{
	size_t n = passwords->forms[form].n, last = passwords->forms[form].last;

	for (size_t i = 0; i < n; i++) {
		size_t k = (last + i) % n;
		struct secret *way = passwords->forms[form].v[k];

		if (iterations > passwords->work)
			return err_set(err, ERR_LIMIT,
				"it takes more than %d iterations in all to see whether the "
				"password is right",
				PASSWORD_WORK);
		passwords->work -= iterations;
		if (attempt(ctx, way ? (const char *)secret_data(way) : NULL,
			    way ? (int)secret_len(way) : 0)) {
			passwords->forms[form].last = k;
			return RC_OK;
		}
	}
	return err_set(err, ERR_KEY_PASSWORD,
		passwords->is_empty ? "it needs a password"
				    : "the password is wrong, or the file is damaged");
}
