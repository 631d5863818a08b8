/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/openssl_glue.h"

#include <openssl/err.h>

#include <stdio.h>

enum rc
ossl_err(struct err *err, enum errcode code, const char *fmt, ...)
{
	char text[256];
	unsigned long e = ERR_peek_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (e && ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE)
		code = ERR_MEMORY;
	ERR_clear_error();
	if (!reason)
		return err_set(err, code, "%s", text);
	return err_set(err, code, "%s: %s", text, reason);
}

void
ossl_clear(void)
{
	ERR_clear_error();
}
