/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch_addr.h - may the fetcher connect to this address?
 *
 * Where a certificate's URLs lead is decided by whoever made the certificate. Only addresses of the
 * public internet are allowed, and what is asked is the address of the socket that is about to be
 * connected, after the name was resolved: a name that changes its mind between a check and its use
 * (DNS rebinding) gains nothing.
 */
#ifndef DIRECTORY_FETCH_ADDR_H
#define DIRECTORY_FETCH_ADDR_H

#include <stdbool.h>
#include <sys/socket.h>

/*
 * Why not, as a word ("loopback", "private", …), or NULL: it is public. Of IPv6 only 2000::/3 is,
 * without what leads elsewhere (6to4, Teredo, documentation); an IPv4 address inside an IPv6
 * one (mapped, NAT64, 6to4) counts as itself. Anything that is no IP address is "no address".
 */
const char *fetch_addr_refusal(const struct sockaddr *addr, socklen_t len);

#endif
