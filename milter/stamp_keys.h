/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stamp_keys.h - the keys behind our keyed header fields
 *
 * stamp.key_file has one key on each line, as 64 hexadecimal digits; "#" begins a comment. The
 * first makes, all verify: to change keys put the new one behind the others, later first, and take
 * the old one away when nothing is on its way any more. A key is known by the first bytes of a hash
 * of it.
 *
 * Threads: keys are immutable and may be used by any.
 * Limits:  STAMP_MAX_KEYS keys.
 */
#ifndef MILTER_STAMP_KEYS_H
#define MILTER_STAMP_KEYS_H

#include "base/conf.h"
#include "crypto/mac.h"

#define STAMP_MAX_KEYS   16
#define STAMP_KEY_SIZE   32
#define STAMP_KEYID_SIZE 9 /* of its text, with the NUL */

struct stamp_keys;

/* The keys of stamp.key_file; RC_NONE and NULL when none is configured. A file that others can
 * read, or write, is refused. */
enum rc stamp_keys_load(struct conf *conf, struct stamp_keys **out, struct err *err);
void stamp_keys_free(struct stamp_keys **keys);
/* A file with one new key. */
enum rc stamp_keys_generate(struct buf *out, struct err *err);

/* The id of the key that makes. */
const char *stamp_keys_id(const struct stamp_keys *keys);
/* HMAC with key ID over LABEL, which keeps the kinds of field apart, and TEXT. RC_NONE: there is
 * no such key. */
enum rc stamp_keys_mac(const struct stamp_keys *keys, const char *id, const char *label,
	const char *text, size_t len, unsigned char out[MAC_SIZE], struct err *err);

#endif
