/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/openssl_glue.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local unsigned refusals;
static atomic_bool ever_refused;

unsigned
ossl_refusals(void)
{
	return refusals;
}

bool
ossl_was_refused(void)
{
	return atomic_load(&ever_refused);
}

static void
note_refusal(void)
{
	refusals++;
	atomic_store(&ever_refused, true);
}

/* OpenSSL asks these for nothing, too, and takes NULL for an answer then. */
static void *
watched_malloc(size_t n, const char *file, int line)
{
	void *p = n ? malloc(n) : NULL;

	(void)file, (void)line;
	if (n && !p)
		note_refusal();
	return p;
}

static void *
watched_realloc(void *old, size_t n, const char *file, int line)
{
	void *p;

	(void)file, (void)line;
	if (n == 0) {
		free(old);
		return NULL;
	}
	p = realloc(old, n);
	if (!p)
		note_refusal();
	return p;
}

static void
watched_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	free(p);
}

/* Only possible before OpenSSL's first allocation. Where another library was quicker, what OpenSSL
 * leaves in its queue has to do. */
__attribute__((constructor)) static void
watch_memory(void)
{
	(void)CRYPTO_set_mem_functions(watched_malloc, watched_realloc, watched_free);
}

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

const ASN1_STRING *
ossl_mailbox_of(const GENERAL_NAME *name)
{
	int type;
	const void *value = GENERAL_NAME_get0_value(name, &type); /* get0 */
	const OTHERNAME *other = value;

	if (type == GEN_EMAIL)
		return value;
	if (type == GEN_OTHERNAME && OBJ_obj2nid(other->type_id) == NID_id_on_SmtpUTF8Mailbox &&
		ASN1_TYPE_get(other->value) == V_ASN1_UTF8STRING)
		return other->value->value.utf8string;
	return NULL;
}
