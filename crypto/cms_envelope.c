/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/cms_envelope.h"

#include "crypto/kek.h"
#include "crypto/rinfo.h"

#include <stdlib.h>
#include <string.h>

#define GCM_TAG   16
#define FRAME_MAX ((size_t)CMS_MAX_RECIPIENTS * 4096)
#define CHUNK     (SINK_CHUNK / 2)

/*
 * The length of the ciphertext follows from that of the content, so everything around it is written
 * once, at the beginning, with definite lengths; only the tag of GCM is filled in at the end.
 */
struct cms_envelope {
	struct sink to;
	enum content_cipher cipher;
	struct der_out frame; /* all but the ciphertext, which belongs at later_at */
	EVP_CIPHER_CTX *ctx;
	unsigned char iv[16];
	uint64_t left;
	bool started;
	unsigned char out[CHUNK + 32];
};

static uint64_t
ciphertext_len(enum content_cipher cipher, uint64_t content_len)
{
	if (content_cipher_is_authenticated(cipher))
		return content_len;
	return (content_len / 16 + 1) * 16;
}

/* EncryptedContentInfo around the ciphertext that comes later. */
static void
put_content_info(struct der_out *w, const struct cms_envelope *e, uint64_t content_len)
{
	size_t start = der_begin(w), algorithm, params;
	size_t iv_len = content_cipher_iv_size(e->cipher);

	der_put_oid(w, OID_DATA);
	algorithm = der_begin(w);
	der_put_oid(w, content_cipher_oid(e->cipher));
	if (content_cipher_is_authenticated(e->cipher)) {
		params = der_begin(w);
		der_put(w, DER_OCTETS, e->iv, iv_len);
		der_put_int(w, GCM_TAG);
		der_end(w, params, DER_SEQUENCE);
	} else {
		der_put(w, DER_OCTETS, e->iv, iv_len);
	}
	der_end(w, algorithm, DER_SEQUENCE);
	der_put_later(w, DER_CONTEXT, ciphertext_len(e->cipher, content_len));
	der_end(w, start, DER_SEQUENCE);
}

static bool
wants_oaep(const struct cms_envelope_options *options, const struct cert *cert)
{
	for (size_t i = 0; options->v15 && i < options->v15->n; i++)
		if (memcmp(cert_sha256(options->v15->v[i]), cert_sha256(cert), SHA256_SIZE) == 0)
			return false;
	return options->oaep;
}

/* One RecipientInfo for each certificate. */
static enum rc
put_recipients(struct der_out *w, const struct certset *recipients, struct secret *cek,
	const struct cms_envelope_options *options, bool *all_ktri, struct err *err)
{
	size_t set = der_begin(w);
	enum rc rc;

	*all_ktri = true;
	for (size_t i = 0; i < recipients->n; i++) {
		rc = cert_check_use(recipients->v[i], CERT_ENCRYPT, err);
		if (rc == RC_OK)
			rc = rinfo_write(recipients->v[i], cek,
				wants_oaep(options, recipients->v[i]), w, err);
		if (rc != RC_OK)
			return rc;
		*all_ktri = *all_ktri && cert_key_type(recipients->v[i]) == KEY_RSA;
	}
	if (options->kek) {
		rc = kek_write(options->kek, cek, w, err);
		if (rc != RC_OK)
			return rc;
		*all_ktri = false;
	}
	der_end_set_of(w, set, DER_SET);
	return w->rc;
}

static enum rc
build_frame(struct cms_envelope *e, const struct certset *recipients, struct secret *cek,
	const struct cms_envelope_options *options, uint64_t content_len, struct err *err)
{
	struct der_out *w = &e->frame;
	bool auth = content_cipher_is_authenticated(e->cipher), all_ktri;
	static const unsigned char no_tag[GCM_TAG];
	unsigned char version[3];
	size_t info = der_begin(w), wrap, body, version_at;
	enum rc rc;

	der_put_oid(w, auth ? OID_AUTH_ENVELOPED_DATA : OID_ENVELOPED_DATA);
	wrap = der_begin(w);
	body = der_begin(w);
	version_at = der_begin(w);
	der_put_int(w, 0);
	if ((rc = put_recipients(w, recipients, cek, options, &all_ktri, err)) != RC_OK)
		return rc;
	if (!auth && !all_ktri) { /* RFC 5652 section 6.1; AuthEnvelopedData is always version 0 */
		memcpy(version, w->buf.data + version_at, sizeof version);
		version[2] = 2;
		memcpy(w->buf.data + version_at, version, sizeof version);
	}
	put_content_info(w, e, content_len);
	if (auth)
		der_put(w, DER_OCTETS, no_tag, GCM_TAG);
	der_end(w, body, DER_SEQUENCE);
	der_end(w, wrap, DER_CONTEXT_CONSTRUCTED);
	der_end(w, info, DER_SEQUENCE);
	return w->rc;
}

/* What stands before the ciphertext. */
static enum rc
start(struct cms_envelope *e, struct err *err)
{
	e->started = true;
	return sink_feed(&e->to, e->frame.buf.data, e->frame.later_at, err);
}

static enum rc
envelope_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	struct cms_envelope *e = ctx;
	const unsigned char *p = data;
	enum rc rc = RC_OK;
	int n;

	if (len > e->left)
		return err_set(err, ERR_INTERNAL, "envelope: more content than announced");
	if (!e->started)
		rc = start(e, err);
	while (len && rc == RC_OK) {
		size_t part = len < CHUNK ? len : CHUNK;

		if (EVP_EncryptUpdate(e->ctx, e->out, &n, p, (int)part) != 1)
			return ossl_err(err, ERR_CRYPTO, "encrypting");
		rc = sink_feed(&e->to, e->out, (size_t)n, err);
		p += part;
		len -= part;
		e->left -= part;
	}
	return rc;
}

static enum rc
envelope_finish(void *ctx, struct err *err)
{
	struct cms_envelope *e = ctx;
	struct buf *b = &e->frame.buf;
	enum rc rc = RC_OK;
	int n = 0;

	if (e->left)
		return err_set(err, ERR_INTERNAL, "envelope: less content than announced");
	if (!e->started)
		rc = start(e, err);
	if (rc != RC_OK)
		return rc;
	if (EVP_EncryptFinal_ex(e->ctx, e->out, &n) != 1)
		return ossl_err(err, ERR_CRYPTO, "encrypting");
	if (n && (rc = sink_feed(&e->to, e->out, (size_t)n, err)) != RC_OK)
		return rc;
	if (content_cipher_is_authenticated(e->cipher) &&
		EVP_CIPHER_CTX_ctrl(
			e->ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG, b->data + b->len - GCM_TAG) != 1)
		return ossl_err(err, ERR_CRYPTO, "tag of AES-GCM");
	if (b->len > e->frame.later_at)
		rc = sink_feed(
			&e->to, b->data + e->frame.later_at, b->len - e->frame.later_at, err);
	return rc == RC_OK ? sink_finish(&e->to, err) : rc;
}

/* A fresh key and IV, the frame, the cipher. */
static enum rc
set_up(struct cms_envelope *e, const struct certset *recipients,
	const struct cms_envelope_options *options, uint64_t content_len, struct err *err)
{
	struct secret *cek = NULL;
	enum rc rc = secret_random(content_cipher_key_size(e->cipher), &cek, err);

	if (rc == RC_OK)
		rc = random_bytes(e->iv, content_cipher_iv_size(e->cipher), err);
	if (rc == RC_OK)
		rc = build_frame(e, recipients, cek, options, content_len, err);
	if (rc == RC_OK && !(e->ctx = EVP_CIPHER_CTX_new()))
		rc = err_set(err, ERR_MEMORY, "envelope");
	if (rc == RC_OK && EVP_EncryptInit_ex(e->ctx, content_cipher_evp(e->cipher), NULL,
				   secret_data(cek), e->iv) != 1)
		rc = ossl_err(err, ERR_CRYPTO, "cipher %s", content_cipher_name(e->cipher));
	secret_free(&cek);
	return rc;
}

enum rc
cms_envelope_new(const struct certset *recipients, const struct cms_envelope_options *options,
	uint64_t content_len, const struct sink *to, struct cms_envelope **out, struct err *err)
{
	struct cms_envelope *e;
	enum rc rc;

	*out = NULL;
	if (options->cipher <= CIPHER_3DES_CBC || options->cipher >= CIPHER_COUNT)
		return err_set(err, ERR_USAGE, "no encryption with cipher %s",
			content_cipher_name(options->cipher));
	if ((recipients->n == 0 && !options->kek) || recipients->n > CMS_MAX_RECIPIENTS)
		return err_set(err, recipients->n ? ERR_LIMIT : ERR_USAGE,
			"%zu recipients of an envelope", recipients->n);
	/* NIST SP 800-38D section 5.2.1.1: 2^36 - 32 bytes; below what ber.h reads as well. */
	if (content_len > (1ull << 36) - 32)
		return err_set(err, ERR_LIMIT, "more than 64 GB to encrypt");
	e = calloc(1, sizeof *e);
	if (!e)
		return err_set(err, ERR_MEMORY, "envelope");
	e->to = *to;
	e->cipher = options->cipher;
	e->left = content_len;
	der_out_init(&e->frame, FRAME_MAX, err);
	rc = set_up(e, recipients, options, content_len, err);
	e->frame.err = NULL; /* the caller's, and not for longer than this call */
	if (rc != RC_OK)
		cms_envelope_free(&e);
	*out = e;
	return rc;
}

struct sink
cms_envelope_sink(struct cms_envelope *envelope)
{
	return (struct sink){.feed = envelope_feed, .finish = envelope_finish, .ctx = envelope};
}

void
cms_envelope_free(struct cms_envelope **envelope)
{
	struct cms_envelope *e = *envelope;

	if (!e)
		return;
	der_out_fini(&e->frame);
	EVP_CIPHER_CTX_free(e->ctx);
	free(e);
	*envelope = NULL;
}
