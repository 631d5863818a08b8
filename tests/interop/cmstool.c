/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmstool.c - crypto/ as a filter, so that scripts can hold it against other people's programs
 *
 *   cmstool sign KEY CERTS [pss]                 content -> detached SignedData; the first
 * certificate is the signer's cmstool opaque KEY CERTS                     content -> SignedData
 * with the content cmstool encrypt CIPHER oaep|v15 CERTS        content -> EnvelopedData or
 * AuthEnvelopedData cmstool open KEY CERTS                       EnvelopedData -> content cmstool
 * verify ANCHORS SIGNATURE             content -> verdict cmstool read ANCHORS SignedData ->
 * content; verdict on standard error
 *
 * KEY is PKCS#8 DER, CERTS a file of certificates. Exit status as sealgate's: 0, 65, 75; 64 for
 * wrong usage.
 */
#include "base/clock.h"
#include "base/file.h"
#include "crypto/cms_envelope.h"
#include "crypto/cms_sign.h"
#include "crypto/cms_verify.h"

#include <stdio.h>
#include <string.h>

#define MAX_BYTES (512u << 20)

static struct err err = ERR_INIT;

static enum rc
to_stdout(void *ctx, const void *data, size_t len, struct err *e)
{
	(void)ctx;
	return fwrite(data, 1, len, stdout) == len ? RC_OK
						   : err_set(e, ERR_FILE, "standard output");
}

static enum rc
load(const char *path, struct buf *out)
{
	enum rc rc = file_read(path, out, &err);

	return rc == RC_NONE ? err_set(&err, ERR_FILE, "%s is not there", path) : rc;
}

static enum rc
load_certs(const char *path, struct certset *set)
{
	struct buf b = BUF_INIT(1 << 20);
	enum rc rc = load(path, &b);

	if (rc == RC_OK)
		rc = certset_parse(b.data, b.len, set, &err);
	if (rc == RC_OK && set->n == 0)
		rc = err_set(&err, ERR_CERT_MALFORMED, "%s: no certificates", path);
	buf_fini(&b);
	return rc;
}

static enum rc
load_key(const char *path, struct pkey **key)
{
	struct buf b = BUF_INIT(1 << 20);
	enum rc rc = load(path, &b);

	if (rc == RC_OK)
		rc = pkey_parse(b.data, b.len, KEY_OTHER, key, &err);
	buf_fini(&b);
	return rc;
}

static enum rc
do_sign(const char *key_path, const char *certs_path, bool opaque, bool pss, const struct buf *in)
{
	struct pkey *key = NULL;
	struct certset certs = {NULL, 0};
	unsigned char value[DIGEST_MAX_SIZE];
	struct cms_sign_request request = {.value = value, .signing_time = clock_now(), .pss = pss};
	struct buf der = BUF_INIT(0);
	struct sink out = {.feed = to_stdout}, sink;
	struct cms_opaque *o = NULL;
	enum rc rc = load_key(key_path, &key);

	if (rc == RC_OK)
		rc = load_certs(certs_path, &certs);
	if (rc == RC_OK) {
		request.digest = cms_sign_digest_for(certs.v[0]);
		rc = digest_bytes(request.digest, in->data, in->len, value, &err);
	}
	if (rc == RC_OK)
		rc = cms_sign_digest(key, certs.v[0], &certs, &request, &der, &err);
	if (rc == RC_OK && !opaque)
		rc = sink_feed(&out, der.data, der.len, &err);
	if (rc == RC_OK && opaque)
		rc = cms_opaque_new(der.data, der.len, in->len, &out, &o, &err);
	if (rc == RC_OK && opaque) {
		sink = cms_opaque_sink(o);
		rc = sink_feed(&sink, in->data, in->len, &err);
		if (rc == RC_OK)
			rc = sink_finish(&sink, &err);
	}
	cms_opaque_free(&o);
	buf_fini(&der);
	certset_fini(&certs);
	pkey_unref(&key);
	return rc;
}

static enum rc
do_encrypt(const char *cipher, const char *how, const char *certs_path, const struct buf *in)
{
	struct cms_envelope_options options = {.oaep = strcmp(how, "oaep") == 0};
	struct certset certs = {NULL, 0};
	struct cms_envelope *e = NULL;
	struct sink out = {.feed = to_stdout}, sink;
	enum rc rc = load_certs(certs_path, &certs);

	for (int i = CIPHER_NONE; i < CIPHER_COUNT; i++) {
		if (strcmp(content_cipher_name(i), cipher) == 0)
			options.cipher = i;
	}
	if (rc == RC_OK)
		rc = cms_envelope_new(&certs, &options, in->len, &out, &e, &err);
	if (rc == RC_OK) {
		sink = cms_envelope_sink(e);
		rc = sink_feed(&sink, in->data, in->len, &err);
		if (rc == RC_OK)
			rc = sink_finish(&sink, &err);
	}
	cms_envelope_free(&e);
	certset_fini(&certs);
	return rc;
}

static bool
is_for(const struct rinfo *r, const struct cert *cert)
{
	size_t n, m, k;
	const unsigned char *issuer = cert_issuer_der(cert, &n),
			    *serial = cert_serial_bytes(cert, &m), *ski = cert_ski(cert, &k);

	if (r->issuer)
		return r->issuer_len == n && r->serial_len == m &&
		       memcmp(r->issuer, issuer, n) == 0 && memcmp(r->serial, serial, m) == 0;
	return r->ski && r->ski_len == k && memcmp(r->ski, ski, k) == 0;
}

static enum rc
do_open(const char *key_path, const char *certs_path, const struct buf *in)
{
	struct pkey *key = NULL;
	struct certset certs = {NULL, 0};
	struct cms_header_reader *r = NULL;
	struct cms_enveloped *e = NULL;
	struct cms_decryptor *d = NULL;
	struct secret *cek = NULL, *fallback = NULL;
	struct sink out = {.feed = to_stdout}, sink;
	size_t i = 0;
	enum rc rc = load_key(key_path, &key);

	if (rc == RC_OK)
		rc = load_certs(certs_path, &certs);
	if (rc == RC_OK)
		rc = secret_random(32, &fallback, &err);
	if (rc == RC_OK)
		rc = cms_header_reader_new(&r, &err);
	if (rc == RC_OK) {
		sink = cms_header_reader_sink(r);
		rc = sink_feed(&sink, in->data, in->len, &err);
	}
	if (rc == RC_OK)
		rc = cms_header_take(r, &e, &err);
	while (rc == RC_OK && i < e->n && !is_for(&e->rinfos[i], certs.v[0]))
		i++;
	if (rc == RC_OK && i == e->n)
		rc = err_set(&err, ERR_VAULT_NO_KEY, "not for this certificate");
	if (rc == RC_OK)
		rc = rinfo_open(e->rinfos[i].der, e->rinfos[i].der_len, e->rinfos[i].index,
			e->cipher, key, fallback, &cek, &err);
	if (rc == RC_OK)
		rc = cms_decryptor_new(cek, &out, &d, &err);
	if (rc == RC_OK) {
		sink = cms_decryptor_sink(d);
		rc = sink_feed(&sink, in->data, in->len, &err);
		if (rc == RC_OK)
			rc = sink_finish(&sink, &err);
	}
	cms_decryptor_free(&d);
	secret_free(&cek);
	secret_free(&fallback);
	cms_enveloped_free(&e);
	cms_header_reader_free(&r);
	certset_fini(&certs);
	pkey_unref(&key);
	return rc;
}

/* SIGNATURE NULL: IN is an opaque SignedData. */
static enum rc
do_verify(const char *anchors_path, const char *signature, const struct buf *in)
{
	struct trust_options options = {.min_rsa = 2048};
	struct trust *trust = NULL;
	struct certset anchors = {NULL, 0};
	struct cms_signed *sd = NULL;
	struct cms_signed_reader *r = NULL;
	struct hasher *own = NULL;
	const struct hasher *hasher = NULL;
	struct buf sig = BUF_INIT(1 << 20);
	struct sink out = {.feed = to_stdout}, sink;
	struct verdict v;
	enum rc rc = load_certs(anchors_path, &anchors);

	verdict_init(&v);
	if (rc == RC_OK)
		rc = trust_new(&options, &trust, &err);
	for (size_t i = 0; rc == RC_OK && i < anchors.n; i++)
		rc = trust_add_anchor(trust, anchors.v[i], NULL, 0, &err);
	if (rc == RC_OK && signature) {
		rc = load(signature, &sig);
		if (rc == RC_OK)
			rc = cms_signed_parse(sig.data, sig.len, &sd, &err);
		if (rc == RC_OK)
			rc = hasher_new(cms_signed_digests(sd), &own, &err);
		if (rc == RC_OK)
			sink = hasher_sink(own);
		hasher = own;
	} else if (rc == RC_OK) {
		rc = cms_signed_reader_new(&out, &r, &err);
		if (rc == RC_OK)
			sink = cms_signed_reader_sink(r);
	}
	if (rc == RC_OK)
		rc = sink_feed(&sink, in->data, in->len, &err);
	if (rc == RC_OK)
		rc = sink_finish(&sink, &err);
	if (rc == RC_OK && r)
		rc = cms_signed_reader_take(r, &sd, &hasher, &err);
	if (rc == RC_OK)
		rc = cms_signed_verify(sd, hasher, trust, NULL, NULL, -1, &v, &err);
	if (rc == RC_OK) {
		(void)fprintf(stderr, "%s signature=%s path=%s strength=%s %s\n",
			verdict_overall_name(v.overall), verdict_signature_name(v.signature),
			verdict_path_name(v.path), verdict_strength_name(v.strength), v.reason);
		if (v.overall != VERDICT_PASS)
			rc = err_set(&err, ERR_CMS_CORRUPT, "verdict %s",
				verdict_overall_name(v.overall));
	}
	verdict_fini(&v);
	cms_signed_free(&sd);
	cms_signed_reader_free(&r);
	hasher_free(&own);
	trust_unref(&trust);
	certset_fini(&anchors);
	buf_fini(&sig);
	return rc;
}

int
main(int argc, char **argv)
{
	struct buf in = BUF_INIT(MAX_BYTES);
	const char *what = argc > 1 ? argv[1] : "";
	enum rc rc = file_read_fd(0, "standard input", &in, &err);

	if (rc != RC_OK)
		goto out;
	if (strcmp(what, "sign") == 0 && argc >= 4)
		rc = do_sign(argv[2], argv[3], false, argc > 4, &in);
	else if (strcmp(what, "opaque") == 0 && argc == 4)
		rc = do_sign(argv[2], argv[3], true, false, &in);
	else if (strcmp(what, "encrypt") == 0 && argc == 5)
		rc = do_encrypt(argv[2], argv[3], argv[4], &in);
	else if (strcmp(what, "open") == 0 && argc == 4)
		rc = do_open(argv[2], argv[3], &in);
	else if (strcmp(what, "verify") == 0 && argc == 4)
		rc = do_verify(argv[2], argv[3], &in);
	else if (strcmp(what, "read") == 0 && argc == 3)
		rc = do_verify(argv[2], NULL, &in);
	else
		return 64;
out:
	if (rc != RC_OK)
		(void)fprintf(stderr, "cmstool: %s: %s\n", err_name(err.code), err.detail);
	buf_fini(&in);
	return err_exit_status(rc);
}
