/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * revocation_private.h - what the files around struct revocation share
 */
#ifndef CRYPTO_REVOCATION_PRIVATE_H
#define CRYPTO_REVOCATION_PRIVATE_H

#include "crypto/crl.h"
#include "crypto/revocation.h"

#include <stdatomic.h>

struct revocation {
	atomic_uint refs;
	struct crl_index *crls;
};

#endif
