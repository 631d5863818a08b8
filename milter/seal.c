/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/seal.h"

#include "base/buf.h"
#include "crypto/cms_envelope.h"
#include "crypto/cms_sign.h"
#include "crypto/smime.h"
#include "message/b64.h"

#include <string.h>

void
sealed_fini(struct sealed *sealed)
{
	hdrs_fini(&sealed->hdrs);
	spool_free(&sealed->body);
	memset(sealed, 0, sizeof(*sealed));
}

/* EXPECTED: bytes of the body, about. */
static enum rc
sealed_init(
	struct sealed *sealed, const struct spool_conf *conf, uint64_t expected, struct err *err)
{
	enum rc rc;

	memset(sealed, 0, sizeof(*sealed));
	hdrs_init(&sealed->hdrs);
	rc = spool_new(conf, &sealed->body, err);
	if (rc == RC_OK)
		spool_expect(sealed->body, expected);
	return rc;
}

/* Both a spool and a hash are fed. */
struct tee {
	struct sink a, b;
};

static enum rc
tee_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	struct tee *tee = ctx;
	enum rc rc = sink_feed(&tee->a, data, len, err);

	return rc == RC_OK ? sink_feed(&tee->b, data, len, err) : rc;
}

static enum rc
write_entity(const struct seal_source *source, enum preset preset, bool raw, const struct sink *to,
	struct err *err)
{
	enum mime_style style = source->base64                ? MIME_STYLE_BASE64
				: preset == PRESET_JP_CLASSIC ? MIME_STYLE_NO_QP
							      : MIME_STYLE_NORMAL;
	enum rc rc;

	if (!raw)
		return entity_write_7bit(
			source->root, source->content, source->body, style, to, err);
	rc = hdrs_write(source->content, to, err);
	if (rc == RC_OK)
		rc = sink_feed_str(to, "\r\n", err);
	return rc == RC_OK ? spool_send(source->body, 0, spool_size(source->body), to, err) : rc;
}

enum rc
seal_plain(const struct seal_source *source, enum preset preset, bool raw, struct sealed *out,
	struct err *err)
{
	struct sink sink;
	enum rc rc = sealed_init(out, source->spool, spool_size(source->body), err);

	if (rc == RC_OK) {
		sink = spool_sink(out->body);
		rc = write_entity(source, preset, raw, &sink, err);
	}
	out->whole = true;
	if (rc != RC_OK)
		sealed_fini(out);
	return rc;
}

static enum rc
add_field(struct sealed *sealed, const char *name, const char *value, struct err *err)
{
	return hdrs_add(&sealed->hdrs, name, strlen(name), value, strlen(value), err);
}

static enum rc
ask_signature(const struct seal_signing *signing, const struct hasher *hasher, enum preset preset,
	struct buf *der, struct err *err)
{
	struct vault_sign_request request = {.key_id = signing->signer->key_id,
		.digest = signing->signer->digest,
		.value = hasher_value(hasher, signing->signer->digest),
		.signing_time = signing->signing_time,
		.pss = preset == PRESET_MODERN,
		.claim = signing->claim};

	return vault_sign(signing->vault, &request, der, err);
}

/* The Content-Type field that goes with BOUNDARY. */
static enum rc
add_signed_type(struct sealed *out, const char *boundary, enum digest digest, struct err *err)
{
	struct buf value = BUF_INIT(4096);
	enum rc rc = buf_append_char(&value, ' ', err);

	if (rc == RC_OK)
		rc = smime_signed_type(boundary, digest, &value, err);
	if (rc == RC_OK)
		rc = add_field(out, "Content-Type", buf_text(&value), err);
	buf_fini(&value);
	return rc;
}

/* Preamble, first delimiter and the entity, hashed on its way. */
static enum rc
write_signed(const struct seal_source *source, enum preset preset, const char *boundary,
	struct hasher *hasher, struct sealed *out, struct err *err)
{
	struct tee tee = {.a = spool_sink(out->body), .b = hasher_sink(hasher)};
	struct sink both = {.feed = tee_feed, .ctx = &tee};
	enum rc rc = smime_signed_begin(boundary, &tee.a, err);

	if (rc == RC_OK)
		rc = write_entity(source, preset, false, &both, err);
	return rc == RC_OK ? sink_finish(&tee.b, err) : rc;
}

enum rc
seal_sign_clear(const struct seal_source *source, const struct seal_signing *signing,
	enum preset preset, struct sealed *out, struct err *err)
{
	char boundary[SMIME_BOUNDARY_SIZE];
	struct hasher *hasher = NULL;
	struct buf der = BUF_INIT(0);
	struct sink sink;
	enum rc rc = sealed_init(out, source->spool,
		seal_estimate(spool_size(source->body), signing->signer, false, NULL), err);

	if (rc == RC_OK)
		rc = smime_boundary(boundary, err);
	if (rc == RC_OK)
		rc = hasher_new(1u << signing->signer->digest, &hasher, err);
	if (rc == RC_OK)
		rc = add_signed_type(out, boundary, signing->signer->digest, err);
	if (rc == RC_OK)
		rc = write_signed(source, preset, boundary, hasher, out, err);
	if (rc == RC_OK)
		rc = ask_signature(signing, hasher, preset, &der, err);
	if (rc == RC_OK) {
		sink = spool_sink(out->body);
		rc = smime_signed_end(boundary, der.data, der.len, &sink, err);
	}
	hasher_free(&hasher);
	buf_fini(&der);
	if (rc != RC_OK)
		sealed_fini(out);
	return rc;
}

/* Fields of an application/pkcs7-mime entity (RFC 8551 section 3.2). */
static enum rc
add_pkcs7_fields(struct sealed *out, const char *smime_type, struct err *err)
{
	struct buf value = BUF_INIT(4096);
	enum rc rc = buf_append_char(&value, ' ', err);

	if (rc == RC_OK)
		rc = smime_pkcs7_type(smime_type, &value, err);
	if (rc == RC_OK)
		rc = add_field(out, "Content-Type", buf_text(&value), err);
	if (rc == RC_OK)
		rc = add_field(out, "Content-Transfer-Encoding", " base64", err);
	if (rc == RC_OK)
		rc = add_field(out, "Content-Disposition", " attachment; filename=smime.p7m", err);
	buf_fini(&value);
	return rc;
}

static enum rc
hash_spool(struct spool *spool, enum digest digest, struct hasher **out, struct err *err)
{
	struct sink sink;
	enum rc rc = hasher_new(1u << digest, out, err);

	if (rc != RC_OK)
		return rc;
	sink = hasher_sink(*out);
	rc = spool_send(spool, 0, spool_size(spool), &sink, err);
	return rc == RC_OK ? sink_finish(&sink, err) : rc;
}

static enum rc
write_opaque(const struct buf *der, struct spool *content, struct spool *to, struct err *err)
{
	struct sink sink = spool_sink(to), encode, stage;
	struct b64_encoder *encoder = NULL;
	struct cms_opaque *opaque = NULL;
	enum rc rc = b64_encoder_new(&sink, &encoder, err);

	if (rc == RC_OK) {
		encode = b64_encoder_sink(encoder);
		rc = cms_opaque_new(
			der->data, der->len, spool_size(content), &encode, &opaque, err);
	}
	if (rc == RC_OK) {
		stage = cms_opaque_sink(opaque);
		rc = spool_send(content, 0, spool_size(content), &stage, err);
		if (rc == RC_OK)
			rc = sink_finish(&stage, err);
	}
	cms_opaque_free(&opaque);
	b64_encoder_free(&encoder);
	return rc;
}

enum rc
seal_sign_opaque(const struct sealed *plain, const struct seal_signing *signing, enum preset preset,
	struct sealed *out, struct err *err)
{
	struct hasher *hasher = NULL;
	struct buf der = BUF_INIT(0);
	enum rc rc = sealed_init(out, spool_conf(plain->body),
		seal_estimate(spool_size(plain->body), signing->signer, true, NULL), err);

	if (rc == RC_OK)
		rc = add_pkcs7_fields(out, "signed-data", err);
	if (rc == RC_OK)
		rc = hash_spool(plain->body, signing->signer->digest, &hasher, err);
	if (rc == RC_OK)
		rc = ask_signature(signing, hasher, preset, &der, err);
	if (rc == RC_OK)
		rc = write_opaque(&der, plain->body, out->body, err);
	hasher_free(&hasher);
	buf_fini(&der);
	if (rc != RC_OK)
		sealed_fini(out);
	return rc;
}

/* The header block of INNER, empty line included. */
static enum rc
header_block(const struct sealed *inner, struct buf *out, struct err *err)
{
	struct sink sink = sink_to_buf(out);
	enum rc rc;

	if (inner->whole)
		return RC_OK;
	rc = hdrs_write(&inner->hdrs, &sink, err);
	return rc == RC_OK ? buf_append_str(out, "\r\n", err) : rc;
}

static enum rc
write_envelope(const struct sealed *inner, const struct certset *recipients,
	const struct cms_envelope_options *options, struct spool *to, struct err *err)
{
	struct buf header = BUF_INIT(0);
	struct sink sink = spool_sink(to), encode, stage;
	struct b64_encoder *encoder = NULL;
	struct cms_envelope *envelope = NULL;
	uint64_t body = spool_size(inner->body);
	enum rc rc = header_block(inner, &header, err);

	if (rc == RC_OK)
		rc = b64_encoder_new(&sink, &encoder, err);
	if (rc == RC_OK) {
		encode = b64_encoder_sink(encoder);
		rc = cms_envelope_new(
			recipients, options, header.len + body, &encode, &envelope, err);
	}
	if (rc == RC_OK) {
		stage = cms_envelope_sink(envelope);
		rc = sink_feed(&stage, buf_text(&header), header.len, err);
	}
	if (rc == RC_OK)
		rc = spool_send(inner->body, 0, body, &stage, err);
	if (rc == RC_OK)
		rc = sink_finish(&stage, err);
	cms_envelope_free(&envelope);
	b64_encoder_free(&encoder);
	buf_fini(&header);
	return rc;
}

enum rc
seal_encrypt(const struct sealed *inner, const struct certset *recipients,
	const struct algorithms *algorithms, struct sealed *out, struct err *err)
{
	struct cms_envelope_options options = {
		.cipher = algorithms->cipher, .oaep = algorithms->oaep, .v15 = &algorithms->v15};
	bool auth = content_cipher_is_authenticated(options.cipher);
	enum rc rc = sealed_init(out, spool_conf(inner->body),
		seal_estimate(spool_size(inner->body), NULL, false, recipients), err);

	if (rc == RC_OK)
		rc = add_pkcs7_fields(out, auth ? "authEnveloped-data" : "enveloped-data", err);
	if (rc == RC_OK)
		rc = write_envelope(inner, recipients, &options, out->body, err);
	if (rc != RC_OK)
		sealed_fini(out);
	return rc;
}

static uint64_t
der_size(const struct cert *cert)
{
	size_t len = 0;

	if (cert)
		(void)cert_der(cert, &len);
	return len;
}

uint64_t
seal_estimate(uint64_t body, const struct vault_signer *signer, bool opaque,
	const struct certset *recipients)
{
	uint64_t size = body, signature = 2048;

	if (signer) {
		signature += der_size(signer->cert) + der_size(signer->encrypt_cert);
		for (size_t i = 0; i < signer->chain.n; i++)
			signature += der_size(signer->chain.v[i]);
		size = opaque ? b64_encoded_size(size + signature)
			      : size + b64_encoded_size(signature) + 1024;
	}
	if (recipients)
		size = b64_encoded_size(size + 1024 + 1200 * (uint64_t)recipients->n);
	return size;
}
