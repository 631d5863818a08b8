/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/digest.h"

#include "crypto/openssl_glue.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	const char *micalg;
	size_t size;
} table[DIGEST_COUNT] = {
	[DIGEST_NONE] = {"none", "unknown", 0},
	[DIGEST_MD5] = {"md5", "md5", 16},
	[DIGEST_SHA1] = {"sha1", "sha-1", 20},
	[DIGEST_SHA224] = {"sha224", "sha-224", 28},
	[DIGEST_SHA256] = {"sha256", "sha-256", 32},
	[DIGEST_SHA384] = {"sha384", "sha-384", 48},
	[DIGEST_SHA512] = {"sha512", "sha-512", 64},
};

static EVP_MD *fetched[DIGEST_COUNT];
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

/* An implicit fetch costs half a microsecond each time, so it is done once. */
static void
fetch_all(void)
{
	for (int i = DIGEST_NONE + 1; i < DIGEST_COUNT; i++)
		fetched[i] = EVP_MD_fetch(NULL, table[i].name, NULL);
	ossl_clear();
}

const EVP_MD *
digest_evp(enum digest digest)
{
	(void)pthread_once(&fetch_once, fetch_all);
	return digest > DIGEST_NONE && digest < DIGEST_COUNT ? fetched[digest] : NULL;
}

size_t
digest_size(enum digest digest)
{
	return digest < DIGEST_COUNT ? table[digest].size : 0;
}

const char *
digest_name(enum digest digest)
{
	return table[digest < DIGEST_COUNT ? digest : DIGEST_NONE].name;
}

const char *
digest_micalg(enum digest digest)
{
	return table[digest < DIGEST_COUNT ? digest : DIGEST_NONE].micalg;
}

enum rc
digest_bytes(enum digest digest, const void *data, size_t len, unsigned char out[DIGEST_MAX_SIZE],
	struct err *err)
{
	const EVP_MD *md = digest_evp(digest);

	if (!md)
		return err_set(err, ERR_CRYPTO, "digest %s is not available", digest_name(digest));
	if (EVP_Digest(data, len, out, NULL, md, NULL) != 1)
		return ossl_err(err, ERR_CRYPTO, "digest %s", digest_name(digest));
	return RC_OK;
}

struct hasher {
	EVP_MD_CTX *ctx[DIGEST_COUNT]; /* NULL: not in the set */
	unsigned char value[DIGEST_COUNT][EVP_MAX_MD_SIZE];
	bool finished;
};

static enum rc
hasher_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	struct hasher *hasher = ctx;

	for (int i = 0; i < DIGEST_COUNT; i++) {
		if (hasher->ctx[i] && EVP_DigestUpdate(hasher->ctx[i], data, len) != 1)
			return ossl_err(err, ERR_CRYPTO, "digest %s", table[i].name);
	}
	return RC_OK;
}

static enum rc
hasher_finish(void *ctx, struct err *err)
{
	struct hasher *hasher = ctx;

	for (int i = 0; i < DIGEST_COUNT; i++) {
		if (hasher->ctx[i] &&
			EVP_DigestFinal_ex(hasher->ctx[i], hasher->value[i], NULL) != 1)
			return ossl_err(err, ERR_CRYPTO, "digest %s", table[i].name);
	}
	hasher->finished = true;
	return RC_OK;
}

enum rc
hasher_new(unsigned set, struct hasher **out, struct err *err)
{
	struct hasher *hasher = calloc(1, sizeof *hasher);
	enum rc rc = RC_OK;

	*out = NULL;
	if (!hasher)
		return err_set(err, ERR_MEMORY, "hasher");
	for (int i = DIGEST_NONE + 1; i < DIGEST_COUNT && rc == RC_OK; i++) {
		if (!(set & 1u << i))
			continue;
		if (!digest_evp(i))
			rc = err_set(err, ERR_CRYPTO, "digest %s is not available", table[i].name);
		else if (!(hasher->ctx[i] = EVP_MD_CTX_new()))
			rc = err_set(err, ERR_MEMORY, "hasher");
		else if (EVP_DigestInit_ex2(hasher->ctx[i], digest_evp(i), NULL) != 1)
			rc = ossl_err(err, ERR_CRYPTO, "digest %s", table[i].name);
	}
	if (rc != RC_OK)
		hasher_free(&hasher);
	*out = hasher;
	return rc;
}

struct sink
hasher_sink(struct hasher *hasher)
{
	return (struct sink){.feed = hasher_feed, .finish = hasher_finish, .ctx = hasher};
}

const unsigned char *
hasher_value(const struct hasher *hasher, enum digest digest)
{
	if (!hasher->finished || digest >= DIGEST_COUNT || !hasher->ctx[digest])
		return NULL;
	return hasher->value[digest];
}

void
hasher_free(struct hasher **hasher)
{
	if (!*hasher)
		return;
	for (int i = 0; i < DIGEST_COUNT; i++)
		EVP_MD_CTX_free((*hasher)->ctx[i]);
	free(*hasher);
	*hasher = NULL;
}
