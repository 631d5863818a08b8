/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smimecaps.h - what a correspondent's program says that it can open (RFC 8551 section 2.5.2)
 *
 * A plain value: copy it, compare it, keep it. Only what changes our choice is remembered: ciphers
 * of the content, and OAEP by digest. What is unknown, old or weak (RC2, DES, 3DES) is passed over,
 * so that a list of nothing else is known and empty: it can narrow a choice, never lead below AES.
 *
 * SMIMECapabilities are a claim. Believe them only out of signed attributes of a signature that was
 * found good, or from a source that is believed anyway.
 *
 * Limits: SMIMECAPS_MAX_BYTES of DER, SMIMECAPS_MAX entries.
 */
#ifndef CRYPTO_SMIMECAPS_H
#define CRYPTO_SMIMECAPS_H

#include "base/buf.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

#define SMIMECAPS_MAX_BYTES 8192
#define SMIMECAPS_MAX       128

enum smimecap {
	SMIMECAP_AES128_CBC,
	SMIMECAP_AES192_CBC,
	SMIMECAP_AES256_CBC,
	SMIMECAP_AES128_GCM,
	SMIMECAP_AES192_GCM,
	SMIMECAP_AES256_GCM,
	SMIMECAP_OAEP_SHA1, /* also OAEP without parameters */
	SMIMECAP_OAEP_SHA256,
	SMIMECAP_OAEP_SHA384,
	SMIMECAP_OAEP_SHA512,
	SMIMECAP_COUNT
};

struct smimecaps {
	bool known;    /* they said something; false: all zero, nothing is known */
	unsigned set;  /* bits 1 << enum smimecap */
	int64_t since; /* when they said it, seconds since 1970; 0: no date */
};

/* DER of SMIMECapabilities, all of it. *out is known on RC_OK, without a date. ERR_CMS_MALFORMED,
 * ERR_CMS_LIMIT: nothing is known. */
enum rc smimecaps_parse(const void *der, size_t len, struct smimecaps *out, struct err *err);
bool smimecaps_has(const struct smimecaps *caps, enum smimecap cap);
/* "aes-256-gcm aes-256-cbc oaep-sha256", strongest first; "none" when known and empty; "" when
 * nothing is known. */
enum rc smimecaps_format(const struct smimecaps *caps, struct buf *out, struct err *err);
/* "can_open" and "can_open_since" into an open object, when something is known. */
void smimecaps_json(const struct smimecaps *caps, struct json *json);
/* The other way round; words of a later version are passed over. SINCE as in the struct. */
struct smimecaps smimecaps_read(const char *text, int64_t since);
/* Of two statements of one correspondent the one that counts: the newer, else the one that is
 * known. */
struct smimecaps smimecaps_newer(struct smimecaps a, struct smimecaps b);

#endif
