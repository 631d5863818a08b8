/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/err.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const struct row {
	enum rc rc;
	int smtp;
	const char *name;
	const char *enhanced;
	const char *text;
} rows[ERR_COUNT] = {
	[ERR_NONE] = {RC_OK, 250, "OK", "2.0.0", "Ok"},
#define ERR(name, rc, smtp, enhanced, text) [ERR_##name] = {rc, smtp, #name, enhanced, text},
#include "base/errors.def"
#undef ERR
};

static char names[ERR_COUNT][32];
static pthread_once_t names_once = PTHREAD_ONCE_INIT;

/* "VAULT_DOWN" → "vault-down", for all rows. */
static void
names_fill(void)
{
	for (int i = 0; i < ERR_COUNT; i++) {
		size_t j;

		for (j = 0; rows[i].name[j] && j + 1 < sizeof names[i]; j++) {
			unsigned char c = (unsigned char)rows[i].name[j];

			names[i][j] = c == '_' ? '-' : (char)tolower(c);
		}
		names[i][j] = '\0';
	}
}

enum rc
err_rc(enum errcode code)
{
	return rows[code].rc;
}

const char *
err_name(enum errcode code)
{
	pthread_once(&names_once, names_fill);
	return names[code];
}

int
err_smtp(enum errcode code)
{
	return rows[code].smtp;
}

const char *
err_enhanced(enum errcode code)
{
	return rows[code].enhanced;
}

const char *
err_public(enum errcode code)
{
	return rows[code].text;
}

/* What came from elsewhere may stand in a detail, and details go to terminals: control characters
 * but line ends and tabs become "?". */
static void
clean(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++)
		if ((*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f)
			*p = '?';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) /* U+0080 to U+009F */
			p[0] = p[1] = '?';
}

enum rc
err_set(struct err *err, enum errcode code, const char *fmt, ...)
{
	va_list ap;
	char text[sizeof err->detail]; /* an argument may point into the detail */

	if (err) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof text, fmt, ap);
		va_end(ap);
		clean(text);
		memcpy(err->detail, text, sizeof text);
		err->code = code;
	}
	return err_rc(code);
}

enum rc
err_prefix(struct err *err, const char *fmt, ...)
{
	va_list ap;
	char text[sizeof err->detail];
	int n;

	if (!err)
		return RC_TEMP;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof text)
		snprintf(text + n, sizeof text - (size_t)n, ": %s", err->detail);
	clean(text);
	memcpy(err->detail, text, sizeof text);
	return err_rc(err->code);
}

void
err_clear(struct err *err)
{
	if (err) {
		err->code = ERR_NONE;
		err->detail[0] = '\0';
	}
}

int
err_exit_status(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return 0;
	case RC_NONE:
	case RC_PERM:
		return 65;
	case RC_TEMP:
		break;
	}
	return 75;
}
