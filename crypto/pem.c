/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "crypto/openssl_glue.h"

enum rc
pem_each(const void *data, size_t len, enum errcode damaged, pem_block *each, void *ctx,
	struct err *err)
{
	BIO *bio = BIO_new_mem_buf(data, (int)len);
	enum rc rc = bio ? RC_OK : ossl_err(err, ERR_MEMORY, "PEM");

	while (rc == RC_OK) {
		char *name = NULL, *header = NULL;
		unsigned char *der = NULL;
		long n = 0;

		if (!PEM_read_bio(bio, &name, &header, &der, &n)) {
			if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
				rc = ossl_err(err, damaged, "damaged PEM");
			break;
		}
		rc = each(ctx, name, header, der, (size_t)n, err);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)n);
	}
	BIO_free(bio);
	ossl_clear();
	return rc;
}
