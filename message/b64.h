/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * b64.h - base64 as a stream (RFC 2045 section 6.8)
 *
 * The encoder writes lines of 76 characters with CRLF. The decoder skips what is not in the
 * alphabet, as the RFC says, and stops at padding; data after padding is refused unless it is junk
 * only. AVX2 where the machine has it, checked once at run time.
 */
#ifndef MESSAGE_B64_H
#define MESSAGE_B64_H

#include "base/sink.h"

#include <stdint.h>

/* Whole buffers, no lines. OUT has room for 4 * ((len + 2) / 3) bytes; returns what was written. */
size_t b64_encode(const void *data, size_t len, char *out);
/* Strict: alphabet and padding only. OUT has 3 * (len / 4) bytes. */
enum rc b64_decode(const char *text, size_t len, void *out, size_t *out_len, struct err *err);

struct b64_encoder;
enum rc b64_encoder_new(const struct sink *to, struct b64_encoder **out, struct err *err);
struct sink b64_encoder_sink(struct b64_encoder *encoder);
void b64_encoder_free(struct b64_encoder **encoder);
/* Length of the encoder's output for LEN bytes, line ends included. */
uint64_t b64_encoded_size(uint64_t len);

struct b64_decoder;
enum rc b64_decoder_new(const struct sink *to, struct b64_decoder **out, struct err *err);
struct sink b64_decoder_sink(struct b64_decoder *decoder);
void b64_decoder_free(struct b64_decoder **decoder);

#endif
