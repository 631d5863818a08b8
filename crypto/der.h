/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * der.h - reading and writing definite-length encodings in memory
 *
 * The reader takes what ber.h has made definite: it accepts lengths that are longer than
 * needed (BER), refuses indefinite ones, tags above 30 and everything that leaves its parent.
 * What it gives back points into the input.
 *
 * The writer appends to a struct buf; its first failure sticks, so look at rc once at the end.
 */
#ifndef CRYPTO_DER_H
#define CRYPTO_DER_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define DER_MAX_DEPTH  32
#define DER_MAX_HEADER 10 /* a tag and a length below 2^64 */

enum {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTETS = 0x04,
	DER_NULL = 0x05,
	DER_OID = 0x06,
	DER_UTC_TIME = 0x17,
	DER_GENERALIZED_TIME = 0x18,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	DER_CONTEXT = 0x80,            /* [0] IMPLICIT, primitive; add the number */
	DER_CONTEXT_CONSTRUCTED = 0xa0 /* [0] EXPLICIT, or constructed; add the number */
};

struct der { /* what is still to be read */
	const unsigned char *p;
	size_t len;
};

struct der_item {
	unsigned tag;
	struct der body;
	struct der whole; /* with tag and length */
};

/* The next element; false when there is none or it is malformed (der_done tells which). */
bool der_next(struct der *in, struct der_item *item);
/* The next element when it has TAG; else false and nothing was read. */
bool der_take(struct der *in, unsigned tag, struct der_item *item);
/* The same for an INTEGER that fits. */
bool der_take_int(struct der *in, int *value);
/* A UTCTime or GeneralizedTime in the one form that DER and RFC 5280 allow: seconds, Z, no
 * fraction. */
bool der_time(const struct der_item *item, int64_t *seconds);
bool der_done(const struct der *in);
bool der_equal(const struct der *a, const struct der *b);

/* Rewrites one BER element with definite lengths; constructed octet strings become primitive.
 * False when it is malformed or nested deeper than DER_MAX_DEPTH. Other bytes stay as they are. */
enum rc der_from_ber(const void *ber, size_t len, struct buf *out, struct err *err);
/* Would der_from_ber leave every byte as it is? */
bool der_is_definite(const void *ber, size_t len);

struct der_out {
	struct buf buf;
	enum rc rc;
	struct err *err;
	uint64_t later;  /* bytes that are counted but not put */
	size_t later_at; /* where they belong */
};

void der_out_init(struct der_out *out, size_t max, struct err *err);
void der_out_fini(struct der_out *out);
void der_put_raw(struct der_out *out, const void *data, size_t len);
void der_put(struct der_out *out, unsigned tag, const void *data, size_t len);
void der_put_int(struct der_out *out, unsigned value);
/* Where an element begins, and its end: what was put since START gets TAG and length. */
size_t der_begin(const struct der_out *out);
void der_end(struct der_out *out, size_t start, unsigned tag);
/* The header of an element whose LEN bytes of content follow later, outside this buffer, once at
 * most: all elements around it count them. later_at says where they go. */
void der_put_later(struct der_out *out, unsigned tag, uint64_t len);
/* As der_end for a SET OF: sorts the elements as DER wants it. */
void der_end_set_of(struct der_out *out, size_t start, unsigned tag);
/* Tag and length alone; returns the number of bytes. */
size_t der_header(unsigned char out[DER_MAX_HEADER], unsigned tag, uint64_t len);

#endif
