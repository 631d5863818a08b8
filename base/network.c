/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool
network_parse_addr(const char *text, unsigned char out[16])
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (strncasecmp(text, "IPv6:", 5) == 0)
		text += 5;
	if (inet_pton(AF_INET6, text, out) == 1)
		return true;
	memcpy(out, mapped, sizeof(mapped));
	return inet_pton(AF_INET, text, out + 12) == 1;
}

bool
network_parse(const char *text, struct network *out)
{
	const char *slash = strchr(text, '/');
	char addr[64], *end;
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	bool v4 = !memchr(text, ':', len);
	long bits = v4 ? 32 : 128;

	if (len >= sizeof(addr))
		return false;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (!network_parse_addr(addr, out->addr))
		return false;
	if (slash) {
		if (slash[1] < '0' || slash[1] > '9')
			return false;
		bits = strtol(slash + 1, &end, 10);
		if (*end || bits > (v4 ? 32 : 128))
			return false;
	}
	out->bits = (unsigned)bits + (v4 ? 96 : 0);
	return true;
}

bool
network_has(const struct network *network, const unsigned char addr[16])
{
	unsigned whole = network->bits / 8, rest = network->bits % 8;

	if (memcmp(network->addr, addr, whole) != 0)
		return false;
	return rest == 0 || ((network->addr[whole] ^ addr[whole]) >> (8 - rest)) == 0;
}
