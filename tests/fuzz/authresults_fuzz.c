/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * authresults_fuzz.c - Authentication-Results and DKIM-Signature from anybody
 */
#include "message/authresults.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const ids[] = {"mx.example.org"};
	struct authresults results;
	struct dkim_signature signature;
	bool read = dkim_signature_read((const char *)data, len, &signature);

	authresults_read((const char *)data, len, ids, 1, &results);
	for (size_t i = 0; read && i < results.n; i++)
		(void)dkim_result_is_of(&results.dkim[i], &signature);
	return 0;
}
