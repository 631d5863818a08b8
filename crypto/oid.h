/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oid.h - the object identifiers that CMS needs, by name
 */
#ifndef CRYPTO_OID_H
#define CRYPTO_OID_H

#include "crypto/der.h"
#include "crypto/digest.h"

enum oid {
	OID_NONE,
#define OID(name, bytes) OID_##name,
#include "crypto/oids.def"
#undef OID
	OID_COUNT
};

/* The content octets of an OBJECT IDENTIFIER; OID_NONE when it is not in the table. */
enum oid oid_find(const unsigned char *body, size_t len);
void der_put_oid(struct der_out *out, enum oid oid);
/* The next element as an OBJECT IDENTIFIER. */
bool der_take_oid(struct der *in, enum oid *oid);
/* AlgorithmIdentifier: the algorithm and its parameters (whole element; empty when absent). */
bool der_take_algorithm(struct der *in, enum oid *oid, struct der *params);
/* Parameters that say nothing: absent or NULL. */
bool der_no_params(const struct der *params);

enum digest oid_digest(enum oid oid); /* DIGEST_NONE when it is no digest's */
enum oid digest_oid(enum digest digest);

#endif
