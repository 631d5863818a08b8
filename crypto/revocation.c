/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/revocation.h"

#include "crypto/ocsp.h"
#include "crypto/ocsp_response.h"
#include "crypto/openssl_glue.h"
#include "crypto/pem.h"
#include "crypto/revocation_private.h"

#include <openssl/pem.h>

#include <stdlib.h>
#include <string.h>

#define MAX_CRLS 100000
#define MAX_OCSP 10000

enum rc
revocation_new(struct revocation **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "revocation");
	return RC_OK;
}

void
revocation_free(struct revocation **revocation)
{
	struct revocation *gone = *revocation;
	struct held_crl *list;
	struct held_ocsp *answer;
	size_t i;

	*revocation = NULL;
	if (!gone)
		return;
	for (i = 0; i < CRL_BUCKETS; i++)
		while ((list = gone->bucket[i])) {
			gone->bucket[i] = list->next;
			crl_unref(&list->crl);
			free(list->file);
			free(list);
		}
	while ((answer = gone->ocsp)) {
		gone->ocsp = answer->next;
		free(answer->der);
		free(answer->file);
		free(answer);
	}
	free(gone->ocsp_dir);
	free(gone);
}

/* Names that OpenSSL compares as equal have equal hashes. */
static size_t
bucket_of(const X509_NAME *name)
{
	int ok = 0;
	unsigned long hash = X509_NAME_hash_ex(name, NULL, NULL, &ok);

	return ok ? hash % CRL_BUCKETS : 0;
}

const struct held_crl *
revocation_lists(const struct revocation *revocation, const X509_NAME *name)
{
	return revocation->bucket[bucket_of(name)];
}

/* The same list under two file names is one. */
static bool
is_held(const struct held_crl *held, const struct crl *crl)
{
	for (; held; held = held->next)
		if (held->crl == crl)
			return true;
	return false;
}

static enum rc
add_der(struct revocation *revocation, const void *der, size_t len, const char *file,
	struct err *err)
{
	struct held_crl *held;
	struct crl *crl;
	size_t b;
	enum rc rc;

	if (revocation->n_crls >= MAX_CRLS)
		return err_set(err, ERR_LIMIT, "more than %d revocation lists", MAX_CRLS);
	rc = crl_parse(der, len, &crl, err);
	if (rc != RC_OK)
		return rc;
	b = bucket_of(crl->issuer);
	if (is_held(revocation->bucket[b], crl)) {
		crl_unref(&crl);
		return RC_OK;
	}
	held = calloc(1, sizeof(*held));
	if (held && file)
		held->file = strdup(file);
	if (!held || (file && !held->file)) {
		crl_unref(&crl);
		free(held);
		return err_set(err, ERR_MEMORY, "revocation list");
	}
	held->crl = crl;
	held->next = revocation->bucket[b];
	revocation->bucket[b] = held;
	revocation->n_crls++;
	return RC_OK;
}

struct pem_lists { /* of one file */
	struct revocation *revocation;
	const char *file;
	size_t found;
};

static enum rc
add_pem_block(
	void *ctx, const char *name, char *header, unsigned char *der, size_t len, struct err *err)
{
	struct pem_lists *lists = ctx;

	(void)header;
	if (strcmp(name, PEM_STRING_X509_CRL) != 0)
		return RC_OK;
	lists->found++;
	return add_der(lists->revocation, der, len, lists->file, err);
}

static enum rc
add_pem(struct revocation *revocation, const void *data, size_t len, const char *file,
	struct err *err)
{
	struct pem_lists lists = {revocation, file, 0};
	enum rc rc = pem_each(data, len, ERR_CRL_MALFORMED, add_pem_block, &lists, err);

	if (rc == RC_OK && !lists.found)
		rc = err_set(err, ERR_CRL_MALFORMED, "a PEM file without a revocation list");
	return rc;
}

enum rc
revocation_add_crl(struct revocation *revocation, const void *data, size_t len, const char *file,
	struct err *err)
{
	static const char begin[] = "-----BEGIN ";

	if (len > INT32_MAX)
		return err_set(err, ERR_LIMIT, "a revocation list of %zu bytes", len);
	if (memmem(data, len < 65536 ? len : 65536, begin, sizeof(begin) - 1))
		return add_pem(revocation, data, len, file, err);
	return add_der(revocation, data, len, file, err);
}

enum rc
revocation_add_ocsp(struct revocation *revocation, const void *data, size_t len, const char *file,
	struct err *err)
{
	struct ocsp_response response;
	struct held_ocsp *held;
	const char *why;

	if (!ocsp_response_parse(data, len, &response, &why))
		return err_set(err, ERR_CRL_MALFORMED, "an OCSP response is malformed: %s", why);
	if (len > OCSP_RESPONSE_MAX || revocation->n_ocsp >= MAX_OCSP)
		return err_set(err, ERR_LIMIT, "an OCSP response of %zu bytes, or more than %d",
			len, MAX_OCSP);
	held = calloc(1, sizeof(*held));
	if (held) {
		held->der = malloc(len ? len : 1);
		held->file = file ? strdup(file) : NULL;
	}
	if (!held || !held->der || (file && !held->file)) {
		if (held)
			free(held->der);
		free(held);
		return err_set(err, ERR_MEMORY, "OCSP response");
	}
	if (len)
		memcpy(held->der, data, len);
	held->len = len;
	held->next = revocation->ocsp;
	revocation->ocsp = held;
	revocation->n_ocsp++;
	return RC_OK;
}

enum rc
revocation_set_ocsp_dir(struct revocation *revocation, const char *dir, struct err *err)
{
	char *copy = dir ? strdup(dir) : NULL;

	if (dir && !copy)
		return err_set(err, ERR_MEMORY, "OCSP responses");
	free(revocation->ocsp_dir);
	revocation->ocsp_dir = copy;
	return RC_OK;
}

struct revocation_size
revocation_size(const struct revocation *revocation)
{
	struct revocation_size size = {0};
	const struct held_crl *held;
	size_t i;

	for (i = 0; i < CRL_BUCKETS; i++)
		for (held = revocation->bucket[i]; held; held = held->next) {
			size.lists++;
			size.entries += serialset_count(held->crl->entries);
			size.bytes += sizeof(*held) + crl_bytes(held->crl);
		}
	return size;
}
