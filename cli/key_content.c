/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/key_files.h"

#include "crypto/cert.h"

#include <string.h>
#include <strings.h>

static bool
has(const void *data, size_t len, const char *text)
{
	return memmem(data, len, text, strlen(text)) != NULL;
}

static bool
is_certs(const void *data, size_t len)
{
	struct certset certs = {0};
	bool yes = certset_parse(data, len, &certs, NULL) == RC_OK && certs.n > 0;

	certset_fini(&certs);
	return yes;
}

enum key_content
key_content(struct secret *bytes)
{
	const unsigned char *p = secret_data(bytes);
	size_t len = secret_len(bytes), head;

	if (has(p, len, "-----BEGIN ")) {
		bool key = has(p, len, "PRIVATE KEY-----"),
		     certs = has(p, len, "CERTIFICATE-----") || has(p, len, "PKCS7-----") ||
			     has(p, len, "CMS-----");

		if (has(p, len, "PKCS12-----") || (key && certs))
			return KEY_CONTENT_KEYS;
		return key ? KEY_CONTENT_ALONE : certs ? KEY_CONTENT_CERTS : KEY_CONTENT_OTHER;
	}
	if (len < 8 || p[0] != 0x30)
		return KEY_CONTENT_OTHER;
	head = p[1] > 0x80 && p[1] < 0x86 ? 2 + (size_t)(p[1] & 0x7f) : 2;
	if (len > head + 3 && memcmp(p + head, "\x02\x01\x03", 3) == 0)
		return KEY_CONTENT_KEYS; /* PFX is version 3 */
	return is_certs(p, len) ? KEY_CONTENT_CERTS : KEY_CONTENT_ALONE;
}

bool
key_name_promises(const char *name)
{
	static const char *const endings[] = {
		".p12", ".pfx", ".pem", ".key", ".der", ".p8", ".pk8", ".pkcs12"};
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++)
		if (len > strlen(endings[i]) &&
			strcasecmp(name + len - strlen(endings[i]), endings[i]) == 0)
			return true;
	return false;
}
