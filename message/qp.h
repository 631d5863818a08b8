/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qp.h - quoted-printable as a stream (RFC 2045 section 6.7)
 *
 * The encoder keeps CRLF as line ends and encodes every other CR and LF, so that decoding gives
 * the same bytes. Its lines have at most 76 characters; at the beginning of a line it encodes a
 * dot, the F of "From " and the first of two hyphens (a line of content can't become a delimiter).
 * The decoder takes what is not encoded rightly as it stands, and drops blanks before line ends.
 */
#ifndef MESSAGE_QP_H
#define MESSAGE_QP_H

#include "base/sink.h"

struct qp_encoder;
enum rc qp_encoder_new(const struct sink *to, struct qp_encoder **out, struct err *err);
struct sink qp_encoder_sink(struct qp_encoder *encoder);
void qp_encoder_free(struct qp_encoder **encoder);

struct qp_decoder;
enum rc qp_decoder_new(const struct sink *to, struct qp_decoder **out, struct err *err);
struct sink qp_decoder_sink(struct qp_decoder *decoder);
void qp_decoder_free(struct qp_decoder **decoder);

#endif
