/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * password.h - what a person's password may have been when a file was written with it
 *
 * RFC 7292 wants the characters as a BMPString for the key derivation of PKCS#12; PBES2 (RFC 8018)
 * takes bytes, UTF-8 by agreement. Programs did otherwise: OpenSSL before 1.1 and its relatives
 * took each byte that the terminal gave (UTF-8, CP932, EUC-JP, CP850, Latin) for one character, old
 * NSS put the BMPString into PBKDF2, and "no password" was written in two ways. So there are lists
 * of what to try, the likeliest first; for plain ASCII they are short. What worked for one part of
 * the file is tried first for the next.
 *
 * Trying costs time that whoever made the file chose, in iterations; so each password has an
 * allowance of PASSWORD_WORK for one file, and a single derivation one of PASSWORD_ITERATIONS.
 *
 * Threads: one at a time.
 */
#ifndef CRYPTO_PASSWORD_H
#define CRYPTO_PASSWORD_H

#include "base/secret.h"

#include <stdbool.h>
#include <stdint.h>

#define PASSWORD_MAX_BYTES  1024u
#define PASSWORD_ITERATIONS 5000000  /* in one derivation: two or three seconds */
#define PASSWORD_WORK       30000000 /* in all of a file with one password */
#define PASSWORD_WAYS       24u

/* PASSWORD_CHARS: UTF-8 of the characters, for the derivation of PKCS#12; PASSWORD_BYTES: as they
 * are. */
enum password_form { PASSWORD_CHARS, PASSWORD_BYTES, PASSWORD_FORMS };

struct passwords {
	struct {
		struct secret *v[PASSWORD_WAYS]; /* owned; NULL: none at all */
		size_t n;
		size_t last; /* the one that worked */
	} forms[PASSWORD_FORMS];
	int64_t work;  /* iterations left */
	bool is_empty; /* none was given, or an empty one */
};

/* GIVEN: bytes from a person, borrowed; NULL: none. ERR_LIMIT: longer than PASSWORD_MAX_BYTES. */
enum rc passwords_init(struct passwords *passwords, struct secret *given, struct err *err);
void passwords_fini(struct passwords *passwords);

/* Does this one open it? PASSWORD is NULL for none; it is not terminated. */
typedef bool password_try(void *ctx, const char *password, int len);
/*
 * Calls ATTEMPT with each password of FORM until it says yes; ITERATIONS is what a try costs.
 * RC_OK; ERR_KEY_PASSWORD: none fits; ERR_LIMIT: the allowance is used up.
 */
enum rc passwords_try(struct passwords *passwords, enum password_form form, int64_t iterations,
	password_try *attempt, void *ctx, struct err *err);

#endif
