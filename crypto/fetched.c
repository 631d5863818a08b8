/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/fetched.h"

#include "crypto/openssl_glue.h"

#include <openssl/pem.h>

#include <string.h>

void
fetched_fini(struct fetched *fetched)
{
	buf_fini(&fetched->data);
}

enum rc
fetched_certs(const void *data, size_t len, const void *old, size_t old_len, int64_t now,
	struct fetched *out, struct err *err)
{
	struct certset all = {0};
	struct err why = ERR_INIT;
	size_t kept = 0;
	enum rc rc;

	*out = (struct fetched){.begins = now, .ends = -1, .data = BUF_INIT(4 * len + 4096)};
	rc = certset_parse(data, len, &all, &why);
	if (rc == RC_PERM || (rc == RC_OK && all.n == 0))
		rc = err_set(err, ERR_FETCH_ANSWER, "it is no certificate");
	else if (rc != RC_OK)
		rc = err_set(err, why.code, "%s", why.detail);
	for (size_t i = 0; rc == RC_OK && i < all.n; i++) {
		const unsigned char *der;
		size_t der_len;

		if (!cert_may_issue(all.v[i]) || cert_not_after(all.v[i]) <= now)
			continue;
		der = cert_der(all.v[i], &der_len);
		if (out->ends < 0 || cert_not_after(all.v[i]) < out->ends)
			out->ends = cert_not_after(all.v[i]);
		rc = all.n == 1 ? buf_append(&out->data, der, der_len, err)
				: cert_format_pem(all.v[i], &out->data, err);
		kept++;
	}
	if (rc == RC_OK && kept == 0)
		rc = err_set(err, ERR_FETCH_ANSWER, "it is no certificate of a CA that is valid");
	certset_fini(&all);
	if (rc == RC_OK && out->data.len == old_len && memcmp(out->data.data, old, old_len) == 0)
		rc = RC_NONE;
	return rc;
}

enum rc
fetched_issuer_urls(const struct fetched *certs, struct cert_urls *out, struct err *err)
{
	struct certset all = {0};
	enum rc rc = certset_parse(certs->data.data, certs->data.len, &all, err);

	*out = (struct cert_urls){0};
	for (size_t i = 0; rc == RC_OK && i < all.n && out->n < CERT_URLS_MAX; i++) {
		struct cert_urls urls = {0};

		rc = cert_urls_get(all.v[i], CERT_URL_ISSUER, &urls, err);
		for (size_t k = 0; k < urls.n && out->n < CERT_URLS_MAX; k++) {
			out->v[out->n++] = urls.v[k];
			urls.v[k] = NULL;
		}
		cert_urls_fini(&urls);
	}
	certset_fini(&all);
	return rc;
}

enum rc
fetched_append_pem(const char *label, const void *der, size_t len, struct buf *out, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n = 0;
	enum rc rc;

	if (bio && PEM_write_bio(bio, label, "", der, (long)len) > 0)
		n = BIO_get_mem_data(bio, &text);
	rc = n > 0 ? buf_append(out, text, (size_t)n, err) : ossl_err(err, ERR_MEMORY, "PEM");
	BIO_free(bio);
	return rc;
}
