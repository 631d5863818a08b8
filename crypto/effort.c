/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/effort.h"

#include <openssl/evp.h>

#define USUAL_BITS 4096

static bool
take(struct effort *effort, size_t *count, size_t n, size_t max)
{
	if (!effort)
		return true;
	if (effort->spent || n > max - *count) {
		effort->spent = true;
		return false;
	}
	*count += n;
	return true;
}

/* Verifying grows with the square of an RSA modulus. */
bool
effort_signature(struct effort *effort, const EVP_PKEY *key)
{
	size_t bits = key && EVP_PKEY_get_bits(key) > 0 ? (size_t)EVP_PKEY_get_bits(key) : 0;
	size_t times = (bits + USUAL_BITS - 1) / USUAL_BITS;

	return take(effort, effort ? &effort->signatures : NULL, times > 1 ? times * times : 1,
		EFFORT_SIGNATURES);
}

bool
effort_path(struct effort *effort)
{
	return take(effort, effort ? &effort->paths : NULL, 1, EFFORT_PATHS);
}

bool
effort_step(struct effort *effort)
{
	return take(effort, effort ? &effort->steps : NULL, 1, EFFORT_STEPS);
}

bool
effort_names(struct effort *effort, size_t n)
{
	return take(effort, effort ? &effort->names : NULL, n, EFFORT_NAMES);
}

bool
effort_is_spent(const struct effort *effort)
{
	return effort && effort->spent;
}

const char *
effort_reason(void)
{
	return "there is too much to check: the signers and certificates of this message need more "
	       "work than is done for one message";
}
