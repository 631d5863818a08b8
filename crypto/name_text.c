/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/name_text.h"

#include <stdio.h>

const char *
name_text(const X509_NAME *name, char out[NAME_TEXT_SIZE])
{
	BIO *bio = name ? BIO_new(BIO_s_mem()) : NULL;
	char *data;
	long len = 0;

	if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
		len = BIO_get_mem_data(bio, &data); /* get0 */
	if (len > 0)
		(void)snprintf(out, NAME_TEXT_SIZE, "%.*s", (int)len, data);
	else
		(void)snprintf(out, NAME_TEXT_SIZE, "(without a name)");
	BIO_free(bio);
	return out;
}

const char *
name_text_of(const X509 *x509, char out[NAME_TEXT_SIZE])
{
	return name_text(x509 ? X509_get_subject_name(x509) : NULL, out);
}
