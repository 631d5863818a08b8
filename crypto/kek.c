/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/kek.h"

#include "crypto/der.h"
#include "crypto/oid.h"
#include "crypto/openssl_glue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SALT_SIZE   16
#define SCRYPT_N    65536u
#define SCRYPT_R    8u
#define SCRYPT_P    1u
#define MAX_WRAPPED 40
#define KEKRI       (DER_CONTEXT_CONSTRUCTED | 2)

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum rc
kek_remake(const char *id, struct secret *passphrase, struct secret **key, struct err *err)
{
	uint64_t n;
	uint32_t r, p;
	char hex[2 * SALT_SIZE + 1];
	unsigned char salt[SALT_SIZE];
	enum rc rc;

	*key = NULL;
	if (sscanf(id, "scrypt:%" SCNu64 ":%" SCNu32 ":%" SCNu32 ":%32[0-9a-f]", &n, &r, &p, hex) !=
			4 ||
		strlen(hex) != 2 * SALT_SIZE)
		return err_set(err, ERR_CMS_UNSUPPORTED, "a key that comes from no passphrase");
	if (n < 16384 || n > 1u << 20 || (n & (n - 1)) || r < 1 || r > 16 || p < 1 || p > 4 ||
		n * r > 1u << 21) /* 256 MB */
		return err_set(err, ERR_LIMIT, "scrypt parameters out of bounds");
	for (size_t i = 0; i < SALT_SIZE; i++)
		salt[i] = (unsigned char)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
	rc = secret_new(KEK_SIZE, key, err);
	if (!rc && EVP_PBE_scrypt((const char *)secret_data(passphrase), secret_len(passphrase),
			   salt, SALT_SIZE, n, r, p, 128 * n * r + (64u << 20), secret_data(*key),
			   KEK_SIZE) != 1) {
		secret_free(key);
		rc = ossl_err(err, ERR_CRYPTO, "scrypt");
	}
	return rc;
}

enum rc
kek_make(struct secret *passphrase, struct kek *out, struct err *err)
{
	unsigned char salt[SALT_SIZE];
	struct buf hex = BUF_INIT(2 * SALT_SIZE);
	enum rc rc = random_bytes(salt, sizeof(salt), err);

	*out = (struct kek){{0}, NULL};
	if (!rc)
		rc = buf_append_hex(&hex, salt, sizeof(salt), err);
	if (!rc) {
		snprintf(out->id, sizeof(out->id), "scrypt:%u:%u:%u:%s", SCRYPT_N, SCRYPT_R,
			SCRYPT_P, buf_text(&hex));
		rc = kek_remake(out->id, passphrase, &out->key, err);
	}
	buf_fini(&hex);
	return rc;
}

void
kek_fini(struct kek *kek)
{
	secret_free(&kek->key);
}

/* AES-256 key wrap, either way; false when it does not work. */
static bool
wrap(struct secret *key, bool seal, const unsigned char *in, size_t len, unsigned char *out,
	size_t *out_len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool good = false;
	int n = 0;

	if (ctx) {
		EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
		good = EVP_CipherInit_ex(
			       ctx, EVP_aes_256_wrap(), NULL, secret_data(key), NULL, seal) == 1 &&
		       EVP_CipherUpdate(ctx, out, &n, in, (int)len) == 1;
	}
	EVP_CIPHER_CTX_free(ctx);
	*out_len = n > 0 ? (size_t)n : 0;
	return good && n > 0;
}

enum rc
kek_write(const struct kek *kek, struct secret *cek, struct der_out *w, struct err *err)
{
	unsigned char wrapped[MAX_WRAPPED + 8];
	size_t len, start = der_begin(w), part;

	if (secret_len(cek) > 32 || secret_len(kek->key) != KEK_SIZE ||
		!wrap(kek->key, true, secret_data(cek), secret_len(cek), wrapped, &len))
		return ossl_err(err, ERR_CRYPTO, "wrapping a content key");
	der_put_int(w, 4);
	part = der_begin(w);
	der_put(w, DER_OCTETS, kek->id, strlen(kek->id));
	der_end(w, part, DER_SEQUENCE);
	part = der_begin(w);
	der_put_oid(w, OID_AES256_WRAP);
	der_end(w, part, DER_SEQUENCE);
	der_put(w, DER_OCTETS, wrapped, len);
	der_end(w, start, KEKRI);
	return w->rc;
}

/* The identifier and the wrapped key. */
static enum rc
take(const void *der, size_t len, struct der *id, struct der *key, struct err *err)
{
	struct der in = {der, len}, params;
	struct der_item all, kekid, octets, wrapped;
	enum oid oid;
	int version;

	if (!der_take(&in, KEKRI, &all))
		return RC_NONE;
	if (!der_done(&in) || !der_take_int(&all.body, &version) || version != 4 ||
		!der_take(&all.body, DER_SEQUENCE, &kekid) ||
		!der_take(&kekid.body, DER_OCTETS, &octets) ||
		!der_take_algorithm(&all.body, &oid, &params) ||
		!der_take(&all.body, DER_OCTETS, &wrapped) || !der_done(&all.body))
		return err_set(err, ERR_CMS_MALFORMED, "malformed KEKRecipientInfo");
	if (oid != OID_AES256_WRAP || wrapped.body.len > MAX_WRAPPED || wrapped.body.len < 24)
		return err_set(err, ERR_CMS_UNSUPPORTED, "a key that is wrapped in another way");
	*id = octets.body;
	*key = wrapped.body;
	return RC_OK;
}

enum rc
kek_parse(const void *der, size_t len, char id[KEK_ID_MAX + 1], struct err *err)
{
	struct der text, key;
	enum rc rc = take(der, len, &text, &key, err);

	id[0] = 0;
	if (rc)
		return rc;
	if (text.len > KEK_ID_MAX || memchr(text.p, 0, text.len))
		return err_set(err, ERR_CMS_UNSUPPORTED, "the name of a key is too long");
	memcpy(id, text.p, text.len);
	id[text.len] = 0;
	return RC_OK;
}

enum rc
kek_open(const void *der, size_t len, struct secret *key, struct secret **cek, struct err *err)
{
	unsigned char plain[MAX_WRAPPED + 8];
	struct der id, wrapped;
	size_t n;
	enum rc rc = take(der, len, &id, &wrapped, err);

	*cek = NULL;
	if (rc)
		return rc == RC_NONE ? err_set(err, ERR_CMS_UNSUPPORTED, "no KEKRecipientInfo")
				     : rc;
	if (secret_len(key) != KEK_SIZE || !wrap(key, false, wrapped.p, wrapped.len, plain, &n)) {
		ossl_clear();
		rc = err_set(err, ERR_KEY_MALFORMED, "another passphrase");
	} else {
		rc = secret_copy(plain, n, cek, err);
	}
	secret_wipe(plain, sizeof(plain));
	return rc;
}
