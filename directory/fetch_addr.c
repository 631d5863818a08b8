/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/fetch_addr.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

struct range4 {
	uint32_t addr;
	unsigned bits;
	const char *why;
};

/* IANA's registry of special-purpose addresses (RFC 6890), and multicast. */
static const struct range4 ranges4[] = {
	{0x00000000, 8, "unspecified"},    /* 0.0.0.0/8: this network */
	{0x0a000000, 8, "private"},        /* 10.0.0.0/8 */
	{0x64400000, 10, "shared"},        /* 100.64.0.0/10: carriers' NAT, RFC 6598 */
	{0x7f000000, 8, "loopback"},       /* 127.0.0.0/8 */
	{0xa9fe0000, 16, "link-local"},    /* 169.254.0.0/16; clouds' metadata too */
	{0xac100000, 12, "private"},       /* 172.16.0.0/12 */
	{0xc0000000, 24, "special"},       /* 192.0.0.0/24: protocol assignments */
	{0xc0000200, 24, "documentation"}, /* 192.0.2.0/24 */
	{0xc0586300, 24, "special"},       /* 192.88.99.0/24: 6to4 relays */
	{0xc0a80000, 16, "private"},       /* 192.168.0.0/16 */
	{0xc6120000, 15, "special"},       /* 198.18.0.0/15: benchmarks */
	{0xc6336400, 24, "documentation"}, /* 198.51.100.0/24 */
	{0xcb007100, 24, "documentation"}, /* 203.0.113.0/24 */
	{0xe0000000, 4, "multicast"},      /* 224.0.0.0/4 */
	{0xf0000000, 4, "special"},        /* 240.0.0.0/4: reserved, and broadcast */
};

struct range6 {
	unsigned char addr[16];
	unsigned bits;
	const char *why;
};

/* Those with a word of their own; what is not in 2000::/3 is refused in any case. */
static const struct range6 ranges6[] = {
	{{0}, 128, "unspecified"},                            /* :: */
	{{[15] = 1}, 128, "loopback"},                        /* ::1 */
	{{0xfc}, 7, "private"},                               /* fc00::/7: unique local */
	{{0xfe, 0x80}, 10, "link-local"},                     /* fe80::/10 */
	{{0xfe, 0xc0}, 10, "private"},                        /* fec0::/10: site-local of old */
	{{0xff}, 8, "multicast"},                             /* ff00::/8 */
	{{0x20, 0x01, 0x0d, 0xb8}, 32, "documentation"},      /* 2001:db8::/32 */
	{{0x20, 0x01, 0x00, 0x00}, 32, "tunnel"},             /* 2001::/32: Teredo */
	{{0x20, 0x01, 0x00, 0x00}, 23, "special"},            /* 2001::/23: protocol assignments */
	{{0x3f, 0xff, 0x00}, 20, "documentation"},            /* 3fff::/20 */
	{{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, "tunnel"}, /* 64:ff9b:1::/48: local NAT64 */
};

/* Ranges with an IPv4 address inside, from this byte on. */
static const struct embedded {
	unsigned char addr[16];
	unsigned bits, at;
	bool tunnel; /* never public, whatever is inside */
} embeddings[] = {
	{{[10] = 0xff, [11] = 0xff}, 96, 12, false}, /* ::ffff:0:0/96: mapped */
	{{0x00, 0x64, 0xff, 0x9b}, 96, 12, false},   /* 64:ff9b::/96: NAT64, RFC 6052 */
	{{0x20, 0x02}, 16, 2, true},                 /* 2002::/16: 6to4 */
	{{[8] = 0xff, [9] = 0xff}, 96, 12, true},    /* ::ffff:0:0:0/96: SIIT */
	{{0}, 96, 12, true},                         /* ::/96: compatible, of old */
};

static const char *
refuse4(const unsigned char *bytes)
{
	uint32_t addr = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
			(uint32_t)bytes[2] << 8 | bytes[3];

	for (size_t i = 0; i < sizeof(ranges4) / sizeof(*ranges4); i++)
		if ((addr ^ ranges4[i].addr) >> (32 - ranges4[i].bits) == 0)
			return ranges4[i].why;
	return NULL;
}

static bool
begins(const unsigned char *addr, const unsigned char *range, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(addr, range, whole) != 0)
		return false;
	return rest == 0 || (addr[whole] ^ range[whole]) >> (8 - rest) == 0;
}

static const char *
refuse6(const unsigned char *addr)
{
	for (size_t i = 0; i < sizeof(ranges6) / sizeof(*ranges6); i++)
		if (begins(addr, ranges6[i].addr, ranges6[i].bits))
			return ranges6[i].why;
	for (size_t i = 0; i < sizeof(embeddings) / sizeof(*embeddings); i++) {
		const struct embedded *e = &embeddings[i];
		const char *why;

		if (!begins(addr, e->addr, e->bits))
			continue;
		why = refuse4(addr + e->at);
		return why ? why : e->tunnel ? "tunnel" : NULL;
	}
	return addr[0] >> 5 == 1 ? NULL : "special";
}

const char *
fetch_addr_refusal(const struct sockaddr *addr, socklen_t len)
{
	/* Copied: what points to a struct sockaddr need not be aligned for the larger ones. */
	struct sockaddr_in6 six;
	struct sockaddr_in four;

	if (len >= sizeof(four) && addr->sa_family == AF_INET) {
		memcpy(&four, addr, sizeof(four));
		return refuse4((const unsigned char *)&four.sin_addr);
	}
	if (len < sizeof(six) || addr->sa_family != AF_INET6)
		return "no address";
	memcpy(&six, addr, sizeof(six));
	return refuse6(six.sin6_addr.s6_addr);
}
