/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/cms_envelope.h"

#include "crypto/content_cipher.h"
#include "crypto/gcm_late.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TAG 16
#define CHUNK   (SINK_CHUNK / 2)
#define BLOCKS  32 /* more than came in is at most what was held back */

/*
 * Once there is a key, every failure that lies in the message has one code and one text: a wrong
 * key, damaged content, a bad tag, and also whatever the sink finds wrong with what came out, since
 * that may be garbage. Only our own trouble (RC_TEMP) keeps its name.
 */
struct cms_decryptor {
	struct ber_splitter *splitter;
	struct sink to;
	struct secret *cek; /* borrowed, for the life of the decryptor */
	const struct cms_enveloped *header;
	struct cms_enveloped *parsed; /* HEADER, when it is ours */
	EVP_CIPHER_CTX *ctx;
	uint64_t ciphertext_len;
	bool whole;         /* the last byte came out right */
	unsigned char *out; /* what comes out, CHUNK + BLOCKS bytes at a time */
	size_t used;        /* bytes of it that were ever written: wiped at the end */
};

static enum rc
corrupt(struct err *err)
{
	ossl_clear();
	return err_set(err, ERR_CMS_CORRUPT, "the content could not be opened");
}

/* Turns every RC_PERM into the one shape. */
static enum rc
one_shape(enum rc rc, const struct err *found, struct err *err)
{
	if (rc == RC_OK)
		return rc;
	if (rc == RC_PERM)
		return corrupt(err);
	if (err)
		*err = *found;
	return rc;
}

/* The header out of what the splitter has so far. */
static enum rc
parse_header(struct cms_decryptor *d, struct err *err)
{
	struct buf skeleton = BUF_INIT(0);
	enum rc rc = ber_skeleton(d->splitter, &skeleton, err);

	if (rc == RC_OK)
		rc = cms_enveloped_parse(skeleton.data, skeleton.len, &d->parsed, err);
	d->header = d->parsed;
	buf_fini(&skeleton);
	return rc;
}

static enum rc
on_header(void *ctx, enum cms_kind kind, bool has_content, struct err *err)
{
	struct cms_decryptor *d = ctx;
	const struct cms_enveloped *h;
	enum rc rc = RC_OK;

	if ((kind != CMS_ENVELOPED && kind != CMS_AUTH_ENVELOPED) || !has_content)
		return corrupt(err);
	if (!d->header)
		rc = parse_header(d, err);
	if (rc != RC_OK)
		return rc;
	h = d->header;
	if (h->kind != kind || h->cipher == CIPHER_NONE ||
		secret_len(d->cek) != content_cipher_key_size(h->cipher))
		return corrupt(err);
	d->ctx = EVP_CIPHER_CTX_new();
	if (!d->ctx)
		return err_set(err, ERR_MEMORY, "decryptor");
	if (EVP_DecryptInit_ex(d->ctx, content_cipher_evp(h->cipher), NULL, NULL, NULL) != 1 ||
		(kind == CMS_AUTH_ENVELOPED && EVP_CIPHER_CTX_ctrl(d->ctx, EVP_CTRL_AEAD_SET_IVLEN,
						       (int)h->iv_len, NULL) != 1) ||
		EVP_DecryptInit_ex(d->ctx, NULL, NULL, secret_data(d->cek), h->iv) != 1)
		return ossl_err(err, ERR_CRYPTO, "cipher %s", content_cipher_name(h->cipher));
	return RC_OK;
}

static enum rc
on_content(void *ctx, const void *data, size_t len, struct err *err)
{
	struct cms_decryptor *d = ctx;
	const unsigned char *p = data;
	enum rc rc = RC_OK;
	int n;

	d->ciphertext_len += len;
	while (len && rc == RC_OK) {
		size_t part = len < CHUNK ? len : CHUNK;

		if (d->used < part + BLOCKS)
			d->used = part + BLOCKS;
		if (EVP_DecryptUpdate(d->ctx, d->out, &n, p, (int)part) != 1)
			return corrupt(err);
		if (n > 0)
			rc = sink_feed(&d->to, d->out, (size_t)n, err);
		p += part;
		len -= part;
	}
	return rc;
}

/* Gives OpenSSL the tag to compare with, corrected for authAttrs: their DER as a SET OF is the AAD
 * (RFC 5083 section 2.2). */
static enum rc
set_tag(struct cms_decryptor *d, struct err *err)
{
	unsigned char tag[MAX_TAG], *aad;
	const unsigned char *mac, *attrs;
	size_t len, attrs_len;
	enum rc rc = RC_OK;

	mac = ber_mac(d->splitter, &len);
	if (len != d->header->tag_len || len > sizeof tag)
		return corrupt(err);
	memcpy(tag, mac, len);
	if (ber_auth_attrs(d->splitter, &attrs, &attrs_len)) {
		aad = malloc(attrs_len);
		if (!aad)
			return err_set(err, ERR_MEMORY, "decryptor");
		memcpy(aad, attrs, attrs_len);
		aad[0] = DER_SET;
		rc = gcm_late_tag(secret_data(d->cek), secret_len(d->cek), d->ciphertext_len, aad,
			attrs_len, tag, len, err);
		free(aad);
	}
	if (rc == RC_OK && EVP_CIPHER_CTX_ctrl(d->ctx, EVP_CTRL_AEAD_SET_TAG, (int)len, tag) != 1)
		rc = corrupt(err);
	return rc;
}

static enum rc
on_trailer(void *ctx, struct err *err)
{
	struct cms_decryptor *d = ctx;
	enum rc rc = RC_OK;
	int n = 0;

	if (d->header->kind == CMS_AUTH_ENVELOPED)
		rc = set_tag(d, err);
	if (rc != RC_OK)
		return rc;
	if (d->used < BLOCKS)
		d->used = BLOCKS;
	if (EVP_DecryptFinal_ex(d->ctx, d->out, &n) != 1)
		return corrupt(err);
	if (n > 0)
		rc = sink_feed(&d->to, d->out, (size_t)n, err);
	d->whole = rc == RC_OK;
	return rc;
}

static enum rc
decryptor_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	struct cms_decryptor *d = ctx;
	struct sink sink = ber_splitter_sink(d->splitter);
	struct err found = ERR_INIT;

	return one_shape(sink.feed(sink.ctx, data, len, &found), &found, err);
}

static enum rc
decryptor_finish(void *ctx, struct err *err)
{
	struct cms_decryptor *d = ctx;
	struct sink sink = ber_splitter_sink(d->splitter);
	struct err found = ERR_INIT;
	enum rc rc = sink.finish(sink.ctx, &found);

	if (rc == RC_OK && !d->whole)
		return corrupt(err);
	if (rc == RC_OK)
		rc = sink_finish(&d->to, &found);
	return one_shape(rc, &found, err);
}

enum rc
cms_decryptor_new(
	struct secret *cek, const struct sink *to, struct cms_decryptor **out, struct err *err)
{
	struct cms_decryptor *d = calloc(1, sizeof *d);
	struct ber_handler handler = {
		.header = on_header, .content = on_content, .trailer = on_trailer, .ctx = d};
	enum rc rc;

	*out = NULL;
	if (!d || !(d->out = malloc(CHUNK + BLOCKS))) {
		free(d);
		return err_set(err, ERR_MEMORY, "decryptor");
	}
	d->to = *to;
	d->cek = cek;
	rc = ber_splitter_new(&handler, &d->splitter, err);
	if (rc != RC_OK)
		cms_decryptor_free(&d);
	*out = d;
	return rc;
}

void
cms_decryptor_expect(struct cms_decryptor *decryptor, const struct cms_enveloped *header)
{
	decryptor->header = header;
	if (header)
		ber_splitter_known(decryptor->splitter);
}

struct sink
cms_decryptor_sink(struct cms_decryptor *decryptor)
{
	return (struct sink){.feed = decryptor_feed, .finish = decryptor_finish, .ctx = decryptor};
}

void
cms_decryptor_free(struct cms_decryptor **decryptor)
{
	struct cms_decryptor *d = *decryptor;

	if (!d)
		return;
	ber_splitter_free(&d->splitter);
	cms_enveloped_free(&d->parsed);
	EVP_CIPHER_CTX_free(d->ctx);
	secret_wipe(d->out, d->used);
	free(d->out);
	free(d);
	*decryptor = NULL;
}
