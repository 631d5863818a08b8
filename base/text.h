/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text.h - texts in arrays of a fixed size
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>

/* As much of TEXT as fits into the SIZE bytes of OUT, which is always ended. */
void text_copy(char *out, size_t size, const char *text);

#endif
