/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mime_private.h - between the files that make up mime.h
 *
 * The pass over a message is mime.c; what its bytes have in them is mime_bytes.c, what the fields
 * of an entity say is mime_type.c.
 */
#ifndef MESSAGE_MIME_PRIVATE_H
#define MESSAGE_MIME_PRIVATE_H

#include "message/mime.h"

/* MIME_HAS_8BIT, MIME_HAS_NUL, MIME_BARE_CR of a run of bytes without line ends. */
unsigned mime_byte_flags(const char *data, size_t len);
/* Is there neither an 8-bit byte nor NUL, nor a CR without LF behind it, in DATA? One pass over
 * all lines; "no" may be said too often, at the end of DATA. */
bool mime_is_clean(const char *data, size_t len);

/* Reads what the fields of ENTITY say about its body. What is damaged is flagged; ERR_LIMIT,
 * ERR_MEMORY. */
enum rc mime_set_type(struct entity *entity, const struct hdrs *hdrs, struct err *err);
/* Two boundary parameters that differ: other programs may take the other one. */
bool mime_has_two_boundaries(const struct ctype *ctype);

#endif
