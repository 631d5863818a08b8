/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/mime_private.h"

#include <string.h>

/* Sixteen bytes at a time; each lane says something of its own byte. */
typedef unsigned char lanes __attribute__((vector_size(16)));

/* Has any lane its highest bit? */
static bool
any_high(lanes v)
{
	uint64_t half[2];

	memcpy(half, &v, sizeof(half));
	return (half[0] | half[1]) & UINT64_C(0x8080808080808080);
}

unsigned
mime_byte_flags(const char *data, size_t len)
{
	lanes bits = {0}, nul = {0}, cr = {0}, v;
	unsigned flags = 0;
	size_t i = 0;

	while (i < len) {
		if (len >= sizeof(v)) { /* the last piece overlaps the one before */
			i = len - i < sizeof(v) ? len - sizeof(v) : i;
			memcpy(&v, data + i, sizeof(v));
		} else {
			memset(&v, ' ', sizeof(v));
			memcpy(&v, data, len);
		}
		bits |= v;
		nul |= (lanes)(v == 0);
		cr |= (lanes)(v == '\r');
		i += sizeof(v);
	}
	if (any_high(bits))
		flags |= MIME_HAS_8BIT;
	if (any_high(nul))
		flags |= MIME_HAS_NUL;
	if (any_high(cr))
		flags |= MIME_BARE_CR;
	return flags;
}

bool
mime_is_clean(const char *data, size_t len)
{
	lanes bad = {0}, v, next;
	size_t i = 0;

	for (; i + sizeof(v) < len; i += sizeof(v)) {
		memcpy(&v, data + i, sizeof(v));
		memcpy(&next, data + i + 1, sizeof(next));
		bad |= v | (lanes)(v == 0) | ((lanes)(v == '\r') & (lanes)(next != '\n'));
	}
	if (any_high(bad))
		return false;
	for (; i < len; i++)
		if ((signed char)data[i] <= 0 ||
			(data[i] == '\r' && (i + 1 == len || data[i + 1] != '\n')))
			return false;
	return true;
}
