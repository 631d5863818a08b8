/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/certchain.h"

enum rc
certchain_find(struct cert *leaf, const struct certset *pool, struct certset *out, struct err *err)
{
	enum rc rc = RC_OK;

	for (int depth = 0; rc == RC_OK && depth < CERTCHAIN_DEPTH; depth++) {
		struct cert *up = NULL;

		if (cert_is_self_issued(leaf))
			return RC_OK;
		for (size_t i = 0; i < pool->n; i++)
			if ((!up || cert_not_after(pool->v[i]) > cert_not_after(up)) &&
				cert_is_issued_by(leaf, pool->v[i]))
				up = pool->v[i];
		if (!up || cert_is_self_issued(up))
			return RC_OK;
		for (size_t i = 0; i < out->n; i++)
			if (out->v[i] == up)
				return RC_OK; /* two that issued each other */
		rc = certset_add(out, up, err);
		leaf = up;
	}
	return rc;
}
