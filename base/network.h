/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * network.h - IP addresses and networks of the configuration
 */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include <stdbool.h>

struct network {
	unsigned char addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	unsigned bits;
};

/* "192.0.2.7", "2001:db8::1", also with "IPv6:" before it. */
bool network_parse_addr(const char *text, unsigned char out[16]);
/* "192.0.2.0/24", "2001:db8::/32", or one address. */
bool network_parse(const char *text, struct network *out);
bool network_has(const struct network *network, const unsigned char addr[16]);

#endif
