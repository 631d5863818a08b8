/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_dns.c - the dNSName entries of a certificate: for gateways that are named by their domain
 */
#include "crypto/cert.h"

#include "crypto/cert_private.h"

#include <openssl/x509v3.h>

#include <string.h>

bool
cert_has_dns(const struct cert *cert, const char *domain)
{
	const unsigned flags = X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
	size_t len = strlen(domain);

	/* A domain that begins with a dot would mean every host below it. */
	return len > 0 && domain[0] != '.' &&
	       X509_check_host(cert->x509, domain, len, flags, NULL) == 1;
}
