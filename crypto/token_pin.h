/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token_pin.h - the PIN of a token, from where the configuration says
 */
#ifndef CRYPTO_TOKEN_PIN_H
#define CRYPTO_TOKEN_PIN_H

#include "crypto/token.h"

/* SPEC: "file:PATH", "credential:NAME", "ask". OWNER: whose file it may be besides ours and root's.
 * ERR_TOKEN: it is not to be had now; ERR_CONFIG: it never will. */
enum rc token_read_pin(const struct conf *conf, const char *name, const char *spec, uid_t owner,
	struct secret **out, struct err *err);

#endif
