/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/smimecaps.h"

#include <string.h>

#include "crypto/oid.h"

/* Strongest first: the order in which they are written. */
static const struct {
	enum smimecap cap;
	enum oid oid;
	enum digest oaep; /* with OID_RSA_OAEP */
	const char *name;
} table[SMIMECAP_COUNT] = {
	{SMIMECAP_AES256_GCM, OID_AES256_GCM, DIGEST_NONE, "aes-256-gcm"},
	{SMIMECAP_AES192_GCM, OID_AES192_GCM, DIGEST_NONE, "aes-192-gcm"},
	{SMIMECAP_AES128_GCM, OID_AES128_GCM, DIGEST_NONE, "aes-128-gcm"},
	{SMIMECAP_AES256_CBC, OID_AES256_CBC, DIGEST_NONE, "aes-256-cbc"},
	{SMIMECAP_AES192_CBC, OID_AES192_CBC, DIGEST_NONE, "aes-192-cbc"},
	{SMIMECAP_AES128_CBC, OID_AES128_CBC, DIGEST_NONE, "aes-128-cbc"},
	{SMIMECAP_OAEP_SHA512, OID_RSA_OAEP, DIGEST_SHA512, "oaep-sha512"},
	{SMIMECAP_OAEP_SHA384, OID_RSA_OAEP, DIGEST_SHA384, "oaep-sha384"},
	{SMIMECAP_OAEP_SHA256, OID_RSA_OAEP, DIGEST_SHA256, "oaep-sha256"},
	{SMIMECAP_OAEP_SHA1, OID_RSA_OAEP, DIGEST_SHA1, "oaep-sha1"},
};

/*
 * RSAES-OAEP-params (RFC 4055 section 4.1): the digest of the hash and of MGF1, which have to be
 * the same here, and no label. What is left out is SHA-1.
 */
static enum digest
oaep_digest(struct der params)
{
	enum digest hash = DIGEST_SHA1, mgf1 = DIGEST_SHA1;
	struct der_item seq, part;
	struct der inner, rest;
	enum oid oid;

	if (der_no_params(&params))
		return DIGEST_SHA1;
	if (!der_take(&params, DER_SEQUENCE, &seq) || !der_done(&params))
		return DIGEST_NONE;
	if (der_take(&seq.body, DER_CONTEXT_CONSTRUCTED, &part)) {
		if (!der_take_algorithm(&part.body, &oid, &inner) || !der_no_params(&inner))
			return DIGEST_NONE;
		hash = oid_digest(oid);
	}
	if (der_take(&seq.body, DER_CONTEXT_CONSTRUCTED | 1, &part)) {
		if (!der_take_algorithm(&part.body, &oid, &rest) || oid != OID_MGF1 ||
			!der_take_algorithm(&rest, &oid, &inner) || !der_no_params(&inner))
			return DIGEST_NONE;
		mgf1 = oid_digest(oid);
	}
	return der_done(&seq.body) && hash == mgf1 ? hash : DIGEST_NONE;
}

static unsigned
bit_of(enum oid oid, struct der params)
{
	enum digest digest = oid == OID_RSA_OAEP ? oaep_digest(params) : DIGEST_NONE;

	if (oid == OID_NONE || (oid == OID_RSA_OAEP && digest == DIGEST_NONE) ||
		(oid != OID_RSA_OAEP && !der_no_params(&params)))
		return 0;
	for (size_t i = 0; i < SMIMECAP_COUNT; i++)
		if (table[i].oid == oid && table[i].oaep == digest)
			return 1u << table[i].cap;
	return 0;
}

enum rc
smimecaps_parse(const void *der, size_t len, struct smimecaps *out, struct err *err)
{
	struct der in = {der, len}, params;
	struct der_item list;
	unsigned set = 0, n = 0;
	enum oid oid;

	*out = (struct smimecaps){0};
	if (len > SMIMECAPS_MAX_BYTES)
		return err_set(err, ERR_CMS_LIMIT, "capabilities: %zu bytes", len);
	if (!der_take(&in, DER_SEQUENCE, &list) || !der_done(&in))
		return err_set(err, ERR_CMS_MALFORMED, "capabilities: malformed");
	while (!der_done(&list.body)) {
		if (n++ == SMIMECAPS_MAX)
			return err_set(
				err, ERR_CMS_LIMIT, "capabilities: more than %d", SMIMECAPS_MAX);
		if (!der_take_algorithm(&list.body, &oid, &params))
			return err_set(err, ERR_CMS_MALFORMED, "capabilities: malformed");
		set |= bit_of(oid, params);
	}
	*out = (struct smimecaps){.known = true, .set = set};
	return RC_OK;
}

bool
smimecaps_has(const struct smimecaps *caps, enum smimecap cap)
{
	return caps->known && (caps->set & 1u << cap);
}

enum rc
smimecaps_format(const struct smimecaps *caps, struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;
	bool any = false;

	for (size_t i = 0; rc == RC_OK && i < SMIMECAP_COUNT; i++) {
		if (!smimecaps_has(caps, table[i].cap))
			continue;
		rc = buf_appendf(out, err, "%s%s", any ? " " : "", table[i].name);
		any = true;
	}
	if (rc == RC_OK && caps->known && !any)
		rc = buf_append_str(out, "none", err);
	return rc;
}

void
smimecaps_json(const struct smimecaps *caps, struct json *json)
{
	struct buf words = BUF_INIT(0);

	if (caps->known && smimecaps_format(caps, &words, NULL) == RC_OK)
		json_str(json, "can_open", buf_text(&words));
	if (caps->known && caps->since)
		json_time(json, "can_open_since", caps->since);
	buf_fini(&words);
}

struct smimecaps
smimecaps_read(const char *text, int64_t since)
{
	struct smimecaps caps = {0};

	while (*(text += strspn(text, " "))) {
		size_t len = strcspn(text, " ");

		caps.known = true;
		caps.since = since;
		for (size_t i = 0; i < SMIMECAP_COUNT; i++)
			if (strlen(table[i].name) == len && memcmp(table[i].name, text, len) == 0)
				caps.set |= 1u << table[i].cap;
		text += len;
	}
	return caps;
}

struct smimecaps
smimecaps_newer(struct smimecaps a, struct smimecaps b)
{
	if (!a.known || !b.known)
		return a.known ? a : b;
	return b.since > a.since ? b : a;
}
