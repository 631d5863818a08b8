/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/smime.h"

#include "base/buf.h"
#include "base/secret.h"
#include "message/b64.h"

#include <string.h>

/*
 * 128 random bits: no entity contains them by chance, so the content need not be searched. The "=_"
 * can't stand in quoted-printable or base64 text (RFC 2045 section 6.7).
 */
enum rc
smime_boundary(char out[SMIME_BOUNDARY_SIZE], struct err *err)
{
	static const char begin[] = "=_sealgate_", digits[] = "0123456789abcdef";
	unsigned char bytes[16];
	enum rc rc = random_bytes(bytes, sizeof bytes, err);
	char *p = out + sizeof begin - 1;

	_Static_assert(sizeof begin + 2 * sizeof bytes <= SMIME_BOUNDARY_SIZE, "room");
	if (rc != RC_OK)
		return rc;
	memcpy(out, begin, sizeof begin);
	for (size_t i = 0; i < sizeof bytes; i++) {
		*p++ = digits[bytes[i] >> 4];
		*p++ = digits[bytes[i] & 15];
	}
	*p = '\0';
	return RC_OK;
}

/* TEXTS: one after the other, up to NULL. */
static enum rc
feed_texts(const struct sink *to, const char *const *texts, struct err *err)
{
	enum rc rc = RC_OK;

	for (; rc == RC_OK && *texts; texts++)
		rc = sink_feed_str(to, *texts, err);
	return rc;
}

enum rc
smime_signed_type(const char *boundary, enum digest digest, struct buf *out, struct err *err)
{
	const char *const texts[] = {
		"multipart/signed; protocol=\"application/pkcs7-signature\";\n\tmicalg=",
		digest_micalg(digest), "; boundary=\"", boundary, "\"", NULL};
	struct sink to = sink_to_buf(out);

	return feed_texts(&to, texts, err);
}

enum rc
smime_signed_begin(const char *boundary, const struct sink *to, struct err *err)
{
	const char *const texts[] = {
		"This is a cryptographically signed message in MIME format.\r\n\r\n--", boundary,
		"\r\n", NULL};

	return feed_texts(to, texts, err);
}

/* Collects what the base64 encoder writes without passing its finish() on: more lines follow. */
static enum rc
pass_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	return sink_feed(ctx, data, len, err);
}

enum rc
smime_signed_end(
	const char *boundary, const void *der, size_t len, const struct sink *to, struct err *err)
{
	struct sink copy = *to, pass = {.feed = pass_feed, .finish = NULL, .ctx = &copy}, encode;
	struct b64_encoder *encoder = NULL;
	const char *const head[] = {"\r\n--", boundary,
		"\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n"
		"Content-Transfer-Encoding: base64\r\n"
		"Content-Disposition: attachment; filename=smime.p7s\r\n\r\n",
		NULL};
	const char *const tail[] = {"--", boundary, "--\r\n", NULL};
	enum rc rc = feed_texts(to, head, err);

	if (rc == RC_OK)
		rc = b64_encoder_new(&pass, &encoder, err);
	if (rc == RC_OK) {
		encode = b64_encoder_sink(encoder);
		rc = sink_feed(&encode, der, len, err);
		if (rc == RC_OK)
			rc = sink_finish(&encode, err);
	}
	b64_encoder_free(&encoder);
	return rc == RC_OK ? feed_texts(to, tail, err) : rc;
}

enum rc
smime_pkcs7_type(const char *smime_type, struct buf *out, struct err *err)
{
	return buf_appendf(
		out, err, "application/pkcs7-mime; smime-type=%s;\n\tname=smime.p7m", smime_type);
}
