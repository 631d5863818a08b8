/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/certchain.h"

#include "crypto/openssl_glue.h"

#include <openssl/x509v3.h>

bool
cert_names_issuer(const struct cert *cert, const struct cert *issuer)
{
	return cert_is_ca(issuer) &&
	       X509_check_issued(cert_x509(issuer), cert_x509(cert)) == X509_V_OK;
}

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
