/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fold.h - text made comparable: width and case
 *
 * What NFKC does to the characters that people type in subject marks: full-width ASCII and
 * brackets become ASCII, the ideographic space a blank, half-width katakana full-width ones (with
 * their voicing marks joined); letters become lower case. Runs of blanks become one.
 */
#ifndef POLICY_FOLD_H
#define POLICY_FOLD_H

#include "base/buf.h"

/* TEXT is UTF-8; bytes that are not are kept as they are. */
enum rc fold_text(const char *text, size_t len, struct buf *out, struct err *err);

#endif
