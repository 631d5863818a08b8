/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/smime_value.h"

#include "crypto/cms_signed.h"
#include "crypto/digest.h"

#include <string.h>

/* 1.2.840.113549.1.9.15 and .1.7.2 */
static const unsigned char oid_capabilities[] = {
	0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0f};
static const unsigned char oid_signed_data[] = {
	0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02};

/* The one value of the SMIMECapabilities among the signed attributes. */
static bool
find_capabilities(const struct signer *s, struct der *out)
{
	struct der in = s->attributes;
	struct der_item set, attribute, oid, values, value;
	bool found = false;

	if (!s->has_attributes || !der_take(&in, DER_SET, &set))
		return false;
	while (der_take(&set.body, DER_SEQUENCE, &attribute)) {
		if (!der_take(&attribute.body, DER_OID, &oid) ||
			!der_take(&attribute.body, DER_SET, &values))
			return false;
		if (oid.body.len != sizeof(oid_capabilities) ||
			memcmp(oid.body.p, oid_capabilities, oid.body.len) != 0)
			continue;
		if (found || !der_next(&values.body, &value) || !der_done(&values.body))
			return false; /* two statements are none */
		*out = value.whole;
		found = true;
	}
	return found && der_done(&set.body);
}

/* Does the signature over the attributes fit a certificate of the value's own? */
static bool
is_signed(const struct signer *s, const struct certset *certs)
{
	const unsigned char none[DIGEST_MAX_SIZE] = {0};
	struct signer_claims claims = {.signing_time = -1, .cert_digest = DIGEST_NONE};
	const char *reason;
	unsigned weak = 0;

	if (s->digest == DIGEST_NONE)
		return false;
	for (size_t i = 0; i < certs->n; i++)
		if (signer_is(s, certs->v[i]))
			return signer_verify(s, &claims, certs->v[i], none, &weak, &reason) ==
				       SIGNATURE_GOOD &&
			       !weak;
	return false;
}

static enum rc
pass_over(void *ctx, const void *data, size_t len, struct err *err)
{
	(void)ctx;
	(void)data;
	(void)len;
	(void)err;
	return RC_OK;
}

/* One with content in it, as the verifier reads it. */
static enum rc
parse_opaque(const void *data, size_t len, struct cms_signed **out, struct err *err)
{
	struct sink to = {.feed = pass_over}, sink;
	struct cms_signed_reader *reader = NULL;
	const struct hasher *hasher;
	enum rc rc = cms_signed_reader_new(&to, &reader, err);

	*out = NULL;
	if (rc == RC_OK) {
		sink = cms_signed_reader_sink(reader);
		rc = sink_feed(&sink, data, len, err);
		if (rc == RC_OK)
			rc = sink_finish(&sink, err);
	}
	if (rc == RC_OK)
		rc = cms_signed_reader_take(reader, out, &hasher, err);
	cms_signed_reader_free(&reader);
	return rc;
}

/* A SignedData that the verifier refuses has certificates all the same, and says nothing. */
static enum rc
read_capabilities(const void *data, size_t len, struct smime_value *value, struct err *err)
{
	struct cms_signed *sd = NULL;
	struct err why = ERR_INIT;
	struct der caps = {0};
	enum rc rc = cms_signed_parse(data, len, &sd, &why);

	if (rc == RC_PERM)
		rc = parse_opaque(data, len, &sd, &why);
	if (rc == RC_OK && sd->n == 1 && find_capabilities(&sd->signers[0], &caps) &&
		is_signed(&sd->signers[0], &value->certs))
		rc = smimecaps_parse(caps.p, caps.len, &value->caps, &why);
	cms_signed_free(&sd);
	if (rc == RC_TEMP)
		return err_set(err, why.code, "%s", why.detail);
	return RC_OK;
}

static bool
looks_signed(const void *data, size_t len)
{
	return memmem(data, len < 48 ? len : 48, oid_signed_data, sizeof(oid_signed_data)) != NULL;
}

enum rc
smime_value_parse(const void *data, size_t len, struct smime_value *value, struct err *err)
{
	enum rc rc = certset_parse(data, len, &value->certs, err);

	if (rc == RC_OK && looks_signed(data, len))
		rc = read_capabilities(data, len, value, err);
	return rc;
}

void
smime_value_fini(struct smime_value *value)
{
	certset_fini(&value->certs);
	value->caps = (struct smimecaps){0};
}
