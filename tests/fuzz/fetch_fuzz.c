/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch_fuzz.c - what the fetcher is told and what servers send: a want that parses is the same
 * written again, a URL that is taken has a clean host and port, nothing over-reads
 */
#include "tests/fuzz/fuzz.h"

#include "crypto/fetched.h"
#include "directory/fetch_url.h"
#include "directory/want.h"

#include <string.h>

static void
check_url(const char *text, size_t len)
{
	struct fetch_url url;

	if (fetch_url_parse(text, len, &url, NULL) != RC_OK)
		return;
	FUZZ_CHECK(len <= FETCH_URL_MAX && url.port > 0 && url.port < 65536);
	FUZZ_CHECK(*url.host && strlen(url.host) <= FETCH_HOST_MAX);
	FUZZ_CHECK(!strpbrk(url.host, "@/?#%[] "));
	FUZZ_CHECK(url.scheme == FETCH_LDAP || (!*url.dn && !*url.attribute));
}

static void
check_want(const uint8_t *data, size_t size)
{
	struct buf again = BUF_INIT(WANT_MAX);
	struct want want;

	if (want_parse(data, size, &want, NULL) != RC_OK)
		return;
	FUZZ_CHECK(want_format(&want, &again, NULL) == RC_OK);
	FUZZ_CHECK(again.len == size && memcmp(again.data, data, size) == 0);
	if (want.url)
		check_url(want.url, want.url_len);
	buf_fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct fetched_answer answer = {.request = data, .request_len = size};
	struct fetched fetched = {0};

	check_want(data, size);
	check_url((const char *)data, size);
	(void)fetched_crl(data, size, &(struct fetched_there){.now = 1800000000}, &fetched, NULL);
	fetched_fini(&fetched);
	(void)fetched_certs(data, size, NULL, 0, 1800000000, &fetched, NULL);
	fetched_fini(&fetched);
	(void)fetched_ocsp(&answer, data, size, 1800000000, &fetched, NULL);
	fetched_fini(&fetched);
	(void)fetched_is_request(data, size);
	return 0;
}
