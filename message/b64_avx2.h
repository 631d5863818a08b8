/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * b64_avx2.h - base64 in steps of 32 characters (for b64.c only)
 *
 * The method is that of Wojciech Muła and Daniel Lemire, "Faster Base64 Encoding and
 * Decoding using AVX2 Instructions" (2018).
 */
#ifndef MESSAGE_B64_AVX2_H
#define MESSAGE_B64_AVX2_H

#include <stddef.h>

#if defined(__x86_64__) && !defined(B64_NO_AVX2)
#define B64_HAVE_AVX2 1
/* Encodes 24 bytes at a time while there are 28; returns how many of the bytes were used. */
size_t b64_avx2_encode(const unsigned char *in, size_t len, char *out);
/* Decodes 32 characters at a time, up to the first step with one that is not in the alphabet, while
 * there are 44, so that OUT needs no more than 3 * (len / 4) bytes. Returns characters used. */
size_t b64_avx2_decode(const unsigned char *in, size_t len, unsigned char *out);
#endif

#endif
