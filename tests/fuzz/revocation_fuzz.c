/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * revocation_fuzz.c - revocation lists and OCSP responses from anybody
 */
#include "crypto/ocsp.h"
#include "crypto/revocation.h"
#include "tests/fuzz/fuzz.h"

/* A request for serial number 1 of an issuer that nobody has. */
static const unsigned char request[] =
	"\x30\x3c\x30\x3a\x30\x38\x30\x36\x30\x34\x30\x09\x06\x05\x2b\x0e"
	"\x03\x02\x1a\x05\x00\x04\x13"
	"0123456789012345678"
	"\x04\x0f"
	"012345678901234"
	"\x02\x01\x01";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct revocation *revocation;
	struct ocsp_facts facts;
	struct buf out = BUF_INIT(0);
	unsigned char nonce[OCSP_NONCE_SIZE] = {0};

	if (revocation_new(&revocation, NULL) != RC_OK)
		return 0;
	(void)revocation_add_crl(revocation, data, len, "input", NULL);
	(void)revocation_size(revocation);
	ocsp_response_fits(data, len, request, sizeof(request) - 1, 1790000000, &facts);
	ocsp_response_fits(data, len, data, len, 1790000000, &facts);
	(void)ocsp_request_add_nonce(data, len, nonce, &out, NULL);
	buf_fini(&out);
	revocation_free(&revocation);
	return 0;
}
