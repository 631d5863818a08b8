/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smimecaps_fuzz.c - SMIMECapabilities from anybody
 */
#include "crypto/smimecaps.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf text = BUF_INIT(0);
	struct smimecaps caps, again;

	if (smimecaps_parse(data, len, &caps, NULL) != RC_OK)
		return 0;
	if (smimecaps_format(&caps, &text, NULL) == RC_OK) {
		again = smimecaps_read(buf_text(&text), 0);
		if (!again.known || again.set != caps.set)
			abort();
	}
	buf_fini(&text);
	return 0;
}
