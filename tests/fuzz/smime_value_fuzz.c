/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smime_value_fuzz.c - what a directory calls somebody's certificate
 */
#include "crypto/smime_value.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct smime_value value = {0};
	enum rc rc = smime_value_parse(data, len, &value, NULL);

	/* Something was found, or it was refused; who speaks is in it. */
	if (rc == RC_NONE || (value.caps.known && value.certs.n == 0))
		abort();
	smime_value_fini(&value);
	return 0;
}
