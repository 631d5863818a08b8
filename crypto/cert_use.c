/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_use.c - KeyUsage and ExtendedKeyUsage by RFC 8550 sections 4.4.2 and 4.4.4
 *
 * OpenSSL's purposes smimesign and smimeencrypt are of no use here: they refuse anyExtendedKeyUsage
 * alone, and an EC certificate for key agreement.
 */
#include "crypto/cert_private.h"

/* What the key itself can do, whatever the certificate says. */
static enum rc
check_key(const struct cert *cert, enum cert_use use, struct err *err)
{
	const char *name = key_type_name(cert->key_type);

	switch (cert->key_type) {
	case KEY_RSA:
	case KEY_EC_P256:
	case KEY_EC_P384:
	case KEY_EC_P521:
		return RC_OK;
	case KEY_RSA_PSS:
	case KEY_ED25519:
		if (use == CERT_SIGN)
			return RC_OK;
		return err_set(err, ERR_CERT_UNUSABLE, "a key of type %s cannot encrypt", name);
	case KEY_X25519:
		if (use == CERT_SIGN)
			return err_set(
				err, ERR_CERT_UNUSABLE, "a key of type %s cannot sign", name);
		break;
	case KEY_OTHER:
		break;
	}
	return err_set(
		err, ERR_CERT_UNSUPPORTED, "the type of its key (%s) is not supported", name);
}

static enum rc
check_ku_encrypt(const struct cert *cert, struct err *err)
{
	bool rsa = cert->key_type == KEY_RSA;

	if (cert->ku & KU_KEY_ENCIPHERMENT || (!rsa && cert->ku & KU_KEY_AGREEMENT))
		return RC_OK;
	return err_set(err, ERR_CERT_UNUSABLE, "it is not for encryption: its keyUsage has no %s",
		rsa ? "keyEncipherment" : "keyAgreement");
}

static enum rc
check_extensions(const struct cert *cert, enum cert_use use, struct err *err)
{
	if (cert->has_eku && !cert->eku_email && !cert->eku_any)
		return err_set(err, ERR_CERT_UNUSABLE,
			"it is not for mail: its extendedKeyUsage has neither emailProtection nor anyExtendedKeyUsage");
	if (cert->ku == CERT_NO_KU)
		return RC_OK;
	if (use == CERT_ENCRYPT)
		return check_ku_encrypt(cert, err);
	if (cert->ku & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION))
		return RC_OK;
	return err_set(err, ERR_CERT_UNUSABLE,
		"it is not for signing: its keyUsage has neither digitalSignature nor nonRepudiation");
}

enum rc
cert_check_use(const struct cert *cert, enum cert_use use, struct err *err)
{
	enum rc rc = check_extensions(cert, use, err);

	return rc == RC_OK ? check_key(cert, use, err) : rc;
}

bool
cert_allows(const struct cert *cert, enum cert_use use)
{
	return cert_check_use(cert, use, NULL) == RC_OK;
}
