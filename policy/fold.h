/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fold.h - text made comparable: width and case
 *
 * What NFKC does to the characters that people type in subject marks: full-width ASCII and
 * brackets become ASCII, the ideographic space a blank, half-width katakana full-width ones (with
 * their voicing marks joined); accents written as characters of their own join Latin letters;
 * letters become lower case. Runs of blanks become one.
 */
#ifndef POLICY_FOLD_H
#define POLICY_FOLD_H

#include "base/buf.h"

/* TEXT is UTF-8; bytes that are not are kept as they are. */
enum rc fold_text(const char *text, size_t len, struct buf *out, struct err *err);

struct fold_map { /* v[k]: offset in TEXT of the character that byte k of OUT comes from; one entry
		     more than OUT has bytes: LEN */
	size_t *v;
	size_t cap;
};
/* OUT is empty. MAP may be NULL; its v is the caller's to free, also after a failure. */
enum rc fold_text_mapped(
	const char *text, size_t len, struct buf *out, struct fold_map *map, struct err *err);

#endif
