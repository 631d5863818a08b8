/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cms_signed.h - what is inside struct cms_signed
 */
#ifndef CRYPTO_CMS_SIGNED_H
#define CRYPTO_CMS_SIGNED_H

#include "crypto/cms_verify.h"
#include "crypto/signer.h"

struct cms_signed {
	struct buf bytes;        /* the skeleton, which everything below points into */
	unsigned listed;         /* digests in digestAlgorithms, a bit set */
	struct der content_type; /* OBJECT IDENTIFIER, whole */
	enum oid content_oid;
	struct certset certs;
	struct signer signers[CMS_MAX_SIGNERS];
	size_t n;
};

#endif
