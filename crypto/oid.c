/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/oid.h"

#include <string.h>

static const struct {
	const char *body;
	size_t len;
} table[OID_COUNT] = {
	[OID_NONE] = {"", 0},
#define OID(name, bytes) [OID_##name] = {bytes, sizeof bytes - 1},
#include "crypto/oids.def"
#undef OID
};

static const struct {
	enum oid oid;
	enum digest digest;
} digests[] = {
	{OID_MD5, DIGEST_MD5},
	{OID_SHA1, DIGEST_SHA1},
	{OID_SHA224, DIGEST_SHA224},
	{OID_SHA256, DIGEST_SHA256},
	{OID_SHA384, DIGEST_SHA384},
	{OID_SHA512, DIGEST_SHA512},
};

#define N_DIGESTS (sizeof digests / sizeof digests[0])

enum oid
oid_find(const unsigned char *body, size_t len)
{
	for (unsigned i = OID_NONE + 1; i < OID_COUNT; i++) {
		if (table[i].len == len && memcmp(table[i].body, body, len) == 0)
			return i;
	}
	return OID_NONE;
}

void
der_put_oid(struct der_out *out, enum oid oid)
{
	der_put(out, DER_OID, table[oid].body, table[oid].len);
}

bool
der_take_oid(struct der *in, enum oid *oid)
{
	struct der_item item;

	if (!der_take(in, DER_OID, &item) || item.body.len == 0)
		return false;
	*oid = oid_find(item.body.p, item.body.len);
	return true;
}

bool
der_take_algorithm(struct der *in, enum oid *oid, struct der *params)
{
	struct der_item item, param;

	*params = (struct der){NULL, 0};
	if (!der_take(in, DER_SEQUENCE, &item) || !der_take_oid(&item.body, oid))
		return false;
	if (der_done(&item.body))
		return true;
	*params = item.body;
	return der_next(&item.body, &param) && der_done(&item.body);
}

bool
der_no_params(const struct der *params)
{
	return params->len == 0 ||
	       (params->len == 2 && params->p[0] == DER_NULL && params->p[1] == 0);
}

enum digest
oid_digest(enum oid oid)
{
	for (size_t i = 0; i < N_DIGESTS; i++) {
		if (digests[i].oid == oid)
			return digests[i].digest;
	}
	return DIGEST_NONE;
}

enum oid
digest_oid(enum digest digest)
{
	for (size_t i = 0; i < N_DIGESTS; i++) {
		if (digests[i].digest == digest)
			return digests[i].oid;
	}
	return OID_NONE;
}
