/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token_uri.h - which key of which token: "pkcs11:token=LABEL;object=LABEL;id=%01%02" (RFC 7512)
 *
 * Needed are token and at least one of object and id; "type=private" may stand there. Everything
 * else is refused, and PINs (pin-value, pin-source) above all: they come from the configuration.
 */
#ifndef CRYPTO_TOKEN_URI_H
#define CRYPTO_TOKEN_URI_H

#include "base/err.h"

#include <stddef.h>

#define TOKEN_LABEL_MAX  32 /* of a token, by PKCS#11 */
#define TOKEN_OBJECT_MAX 255
#define TOKEN_ID_MAX     64
#define TOKEN_URI_MAX    1024

struct token_uri {
	char token[TOKEN_LABEL_MAX + 1];
	char object[TOKEN_OBJECT_MAX + 1]; /* "": not given */
	unsigned char id[TOKEN_ID_MAX];
	size_t id_len; /* 0: not given */
};

/* ERR_USAGE says what is wrong; TEXT is LEN bytes. */
enum rc token_uri_parse(const char *text, size_t len, struct token_uri *out, struct err *err);

#endif
