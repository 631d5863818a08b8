/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/cms_said.h"

#include "crypto/cms_signed.h"

#include <string.h>

/* SMIMEEncryptionKeyPreference: a choice of three, all implicitly tagged. */
static void
take_preference(const struct der_item *value, struct cms_said *said)
{
	struct der body = value->body;
	struct der_item name, item;

	switch (value->tag) {
	case DER_CONTEXT_CONSTRUCTED: /* IssuerAndSerialNumber */
		if (der_take(&body, DER_SEQUENCE, &name) && der_take(&body, DER_INTEGER, &item) &&
			der_done(&body)) {
			said->issuer = name.whole;
			said->serial = item.body;
		}
		break;
	case DER_CONTEXT_CONSTRUCTED | 1: /* RecipientKeyIdentifier, whose date is no matter */
		if (der_take(&body, DER_OCTETS, &item))
			said->ski = item.body;
		break;
	case DER_CONTEXT | 2:
		said->ski = body;
		break;
	default:
		break;
	}
}

struct seen {
	unsigned caps, preferences;
};

static void
take_attribute(enum oid oid, struct der values, struct seen *seen, struct cms_said *said)
{
	struct der_item value;
	bool single = der_next(&values, &value) && der_done(&values);

	if (oid == OID_SMIME_CAPABILITIES) {
		if (seen->caps++ || !single ||
			smimecaps_parse(value.whole.p, value.whole.len, &said->caps, NULL) != RC_OK)
			said->caps = (struct smimecaps){0};
	} else if (oid == OID_KEY_PREFERENCE) {
		said->prefers = true;
		said->issuer = said->serial = said->ski = (struct der){NULL, 0};
		if (!seen->preferences++ && single)
			take_preference(&value, said);
	}
}

void
cms_signed_said(const struct cms_signed *sd, size_t i, struct cms_said *said)
{
	struct der_item set, attribute, values;
	struct seen seen = {0, 0};
	struct der all;
	enum oid oid;

	memset(said, 0, sizeof(*said));
	if (i >= sd->n || !sd->signers[i].has_attributes)
		return;
	all = sd->signers[i].attributes;
	if (!der_take(&all, DER_SET, &set))
		return;
	for (unsigned n = 0; n < SIGNER_MAX_ATTRIBUTES && !der_done(&set.body); n++) {
		if (!der_take(&set.body, DER_SEQUENCE, &attribute) ||
			!der_take_oid(&attribute.body, &oid) ||
			!der_take(&attribute.body, DER_SET, &values))
			return;
		take_attribute(oid, values.body, &seen, said);
	}
}

bool
cms_said_prefers(const struct cms_said *said, const struct cert *cert)
{
	struct der issuer, serial, ski;

	if (said->issuer.len) {
		issuer.p = cert_issuer_der(cert, &issuer.len);
		serial.p = cert_serial_bytes(cert, &serial.len);
		return der_equal(&serial, &said->serial) && der_equal(&issuer, &said->issuer);
	}
	ski.p = cert_ski(cert, &ski.len);
	return said->ski.len && der_equal(&ski, &said->ski);
}

const struct certset *
cms_signed_certs(const struct cms_signed *sd)
{
	return &sd->certs;
}
