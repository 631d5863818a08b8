/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/text.h"

#include <string.h>

void
text_copy(char *out, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	memcpy(out, text, len);
	out[len] = '\0';
}
