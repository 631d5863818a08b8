/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_crypto - what the S/MIME layer costs over its primitives, CPU time in one process
 *
 * For each size the transformation is run beside the same primitives one after the other (hash,
 * cipher, base64, private or public key operation). Printed: microseconds of CPU for both, their
 * difference, and how fast the transformation is as a part of the primitives' speed.
 */
#include "crypto/cms_envelope.h"
#include "crypto/cms_sign.h"
#include "crypto/cms_verify.h"
#include "crypto/issue.h"
#include "crypto/openssl_glue.h"
#include "crypto/smime.h"
#include "base/clock.h"
#include "message/b64.h"

#define BENCH "bench_crypto"
#include "tests/bench/cpu.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world {
	struct pkey *ca_key, *key;
	struct cert *ca, *cert;
	struct trust *trust;
	struct certset recipients;
	char *data; /* the content */
	size_t len;
	char *work;     /* room for the primitives' output */
	struct buf sig; /* detached signature of data */
	struct buf env; /* base64 of data enveloped */
	struct secret *fallback;
	unsigned char wrapped[1024];
	size_t wrapped_len;
	unsigned char raw_sig[1024];
	size_t raw_sig_len;
};

/* must() for OpenSSL's returns. */
static void
ok(int r, const char *what)
{
	if (r <= 0) {
		fprintf(stderr, "bench_crypto: %s failed\n", what);
		exit(70);
	}
}

/* --- primitives --- */

static void
prim_hash(struct world *w)
{
	unsigned char md[64];

	ok(EVP_Digest(w->data, w->len, md, NULL, EVP_sha256(), NULL), "EVP_Digest");
}

/* AES-256-CBC over the content, 64 KB at a time. */
static void
cipher(struct world *w, int encrypt)
{
	static const unsigned char key[32], iv[16];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;

	ok(ctx != NULL, "EVP_CIPHER_CTX_new");
	ok(EVP_CipherInit_ex(ctx, EVP_aes_256_cbc(), NULL, key, iv, encrypt), "EVP_CipherInit");
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	for (size_t at = 0; at < w->len; at += SINK_CHUNK) {
		size_t part = w->len - at < SINK_CHUNK ? w->len - at : SINK_CHUNK;

		ok(EVP_CipherUpdate(ctx, (unsigned char *)w->work, &n,
			   (unsigned char *)w->data + at, (int)part),
			"EVP_CipherUpdate");
	}
	EVP_CIPHER_CTX_free(ctx);
}

static void
prim_encrypt(struct world *w)
{
	cipher(w, 1);
}

static void
prim_decrypt(struct world *w)
{
	cipher(w, 0);
}

static void
prim_b64_encode(struct world *w)
{
	struct sink null = sink_null();
	struct b64_encoder *encoder;
	struct sink sink;

	must(b64_encoder_new(&null, &encoder, &err), "b64_encoder_new");
	sink = b64_encoder_sink(encoder);
	must(sink_feed(&sink, w->data, w->len, &err), "base64");
	must(sink_finish(&sink, &err), "base64");
	b64_encoder_free(&encoder);
}

static void
prim_b64_decode(struct world *w)
{
	struct sink null = sink_null();
	struct b64_decoder *decoder;
	struct sink sink;

	must(b64_decoder_new(&null, &decoder, &err), "b64_decoder_new");
	sink = b64_decoder_sink(decoder);
	must(sink_feed(&sink, w->env.data, w->env.len, &err), "base64");
	must(sink_finish(&sink, &err), "base64");
	b64_decoder_free(&decoder);
}

static void
prim_key_sign(struct world *w)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey_evp(w->key), NULL);
	static const unsigned char md[32] = {1};

	w->raw_sig_len = sizeof w->raw_sig;
	ok(EVP_PKEY_sign_init(ctx), "sign");
	ok(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()), "sign");
	ok(EVP_PKEY_sign(ctx, w->raw_sig, &w->raw_sig_len, md, sizeof md), "sign");
	EVP_PKEY_CTX_free(ctx);
}

static void
prim_key_verify(struct world *w)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey_evp(w->key), NULL);
	static const unsigned char md[32] = {1};

	ok(EVP_PKEY_verify_init(ctx), "verify");
	ok(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()), "verify");
	ok(EVP_PKEY_verify(ctx, w->raw_sig, w->raw_sig_len, md, sizeof md), "verify");
	EVP_PKEY_CTX_free(ctx);
}

static void
prim_key_encrypt(struct world *w)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey_evp(w->key), NULL);
	static const unsigned char cek[32] = {1};

	w->wrapped_len = sizeof w->wrapped;
	ok(EVP_PKEY_encrypt_init(ctx), "encrypt");
	ok(EVP_PKEY_encrypt(ctx, w->wrapped, &w->wrapped_len, cek, sizeof cek), "encrypt");
	EVP_PKEY_CTX_free(ctx);
}

static void
prim_key_decrypt(struct world *w)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey_evp(w->key), NULL);
	unsigned char cek[512];
	size_t len = sizeof cek;

	ok(EVP_PKEY_decrypt_init(ctx), "decrypt");
	ok(EVP_PKEY_decrypt(ctx, cek, &len, w->wrapped, w->wrapped_len), "decrypt");
	EVP_PKEY_CTX_free(ctx);
}

/* --- transformations --- */

/* Hash, SignedData, multipart/signed; the signature stays in w->sig. */
static void
do_sign(struct world *w)
{
	struct sink null = sink_null(), sink;
	struct hasher *hasher;
	struct cms_sign_request request = {.digest = DIGEST_SHA256, .signing_time = clock_now()};
	char boundary[SMIME_BOUNDARY_SIZE];

	must(hasher_new(1u << DIGEST_SHA256, &hasher, &err), "hasher");
	sink = hasher_sink(hasher);
	must(smime_boundary(boundary, &err), "boundary");
	must(smime_signed_begin(boundary, &null, &err), "begin");
	must(sink_feed(&sink, w->data, w->len, &err), "hash");
	must(sink_finish(&sink, &err), "hash");
	request.value = hasher_value(hasher, DIGEST_SHA256);
	buf_clear(&w->sig);
	must(cms_sign_digest(w->key, w->cert, NULL, &request, &w->sig, &err), "sign");
	must(smime_signed_end(boundary, w->sig.data, w->sig.len, &null, &err), "end");
	hasher_free(&hasher);
}

static void
do_verify(struct world *w)
{
	struct cms_signed *sd;
	struct hasher *hasher;
	struct sink sink;
	struct verdict verdict;

	must(cms_signed_parse(w->sig.data, w->sig.len, &sd, &err), "parse");
	must(hasher_new(cms_signed_digests(sd), &hasher, &err), "hasher");
	sink = hasher_sink(hasher);
	must(sink_feed(&sink, w->data, w->len, &err), "hash");
	must(sink_finish(&sink, &err), "hash");
	verdict_init(&verdict);
	must(cms_signed_verify(sd, hasher, w->trust, NULL, "alice@example.org", -1, &verdict, &err),
		"verify");
	if (verdict.overall != VERDICT_PASS) {
		fprintf(stderr, "bench_crypto: the verdict is %s\n", verdict.reason);
		exit(70);
	}
	verdict_fini(&verdict);
	hasher_free(&hasher);
	cms_signed_free(&sd);
}

/* Envelope and base64 into OUT. */
static void
seal(struct world *w, const struct sink *out)
{
	struct cms_envelope_options options = {.cipher = CIPHER_AES256_CBC};
	struct b64_encoder *encoder;
	struct cms_envelope *envelope;
	struct sink to, sink;

	must(b64_encoder_new(out, &encoder, &err), "base64");
	to = b64_encoder_sink(encoder);
	must(cms_envelope_new(&w->recipients, &options, w->len, &to, &envelope, &err), "envelope");
	sink = cms_envelope_sink(envelope);
	must(sink_feed(&sink, w->data, w->len, &err), "envelope");
	must(sink_finish(&sink, &err), "envelope");
	cms_envelope_free(&envelope);
	b64_encoder_free(&encoder);
}

static void
do_encrypt(struct world *w)
{
	struct sink null = sink_null();

	seal(w, &null);
}

/* Header first, then the vault's step, then the content. */
static void
do_open(struct world *w)
{
	struct sink null = sink_null(), to, sink;
	struct cms_header_reader *reader;
	struct cms_decryptor *decryptor;
	struct b64_decoder *decoder;
	struct cms_enveloped *env;
	struct secret *cek;

	must(cms_header_reader_new(&reader, &err), "header");
	to = cms_header_reader_sink(reader);
	must(b64_decoder_new(&to, &decoder, &err), "base64");
	sink = b64_decoder_sink(decoder);
	for (size_t at = 0; at < w->env.len && !cms_header_done(reader); at += 4096)
		must(sink_feed(&sink, w->env.data + at,
			     w->env.len - at < 4096 ? w->env.len - at : 4096, &err),
			"header");
	b64_decoder_free(&decoder);
	must(cms_header_take(reader, &env, &err), "header");
	cms_header_reader_free(&reader);
	must(rinfo_open(env->rinfos[0].der, env->rinfos[0].der_len, env->rinfos[0].index,
		     env->cipher, w->key, w->fallback, &cek, &err),
		"rinfo_open");
	cms_enveloped_free(&env);
	must(cms_decryptor_new(cek, &null, &decryptor, &err), "decryptor");
	to = cms_decryptor_sink(decryptor);
	must(b64_decoder_new(&to, &decoder, &err), "base64");
	sink = b64_decoder_sink(decoder);
	must(sink_feed(&sink, w->env.data, w->env.len, &err), "open");
	must(sink_finish(&sink, &err), "open");
	b64_decoder_free(&decoder);
	cms_decryptor_free(&decryptor);
	secret_free(&cek);
}

/* One line of the table; KEY_OP is shown apart, since at 4 KB it is nearly all. */
static void
row(const char *what, const char *kind, size_t len, double whole, double bulk, double key_op)
{
	printf("%-8s %-8s %9zu %11.1f %11.1f %11.1f %11.1f %9.0f%%\n", what, kind, len, whole,
		key_op, bulk, whole - key_op - bulk, 100 * (bulk + key_op) / whole);
	fflush(stdout);
}

/* Key, certificate, trust. */
static void
world_init(struct world *w, const char *kind)
{
	struct issue_request root = {.common_name = "Bench CA",
		.not_before = clock_now() - 3600,
		.not_after = clock_now() + 86400};
	struct issue_request leaf = {.addr = "alice@example.org",
		.not_before = clock_now() - 3600,
		.not_after = clock_now() + 86400,
		.use = CERT_SIGN | CERT_ENCRYPT};
	struct trust_options options = {.revocation = REVOKE_IF_KNOWN, .min_rsa = 2048};
	struct buf spki = BUF_INIT(0);

	memset(w, 0, sizeof *w);
	must(pkey_generate("p256", &w->ca_key, &err), "key");
	must(issue_root(w->ca_key, &root, &w->ca, &err), "root");
	must(pkey_generate(kind, &w->key, &err), "key");
	must(pkey_public(w->key, &spki, &err), "public key");
	must(issue_leaf(w->ca_key, w->ca, spki.data, spki.len, &leaf, &w->cert, &err), "leaf");
	buf_fini(&spki);
	must(trust_new(&options, &w->trust, &err), "trust");
	must(trust_add_anchor(w->trust, w->ca, NULL, 0, &err), "anchor");
	must(certset_add(&w->recipients, w->cert, &err), "recipients");
	must(secret_random(32, &w->fallback, &err), "fallback");
}

static void
world_fini(struct world *w)
{
	pkey_unref(&w->ca_key);
	pkey_unref(&w->key);
	cert_unref(&w->ca);
	cert_unref(&w->cert);
	trust_unref(&w->trust);
	certset_fini(&w->recipients);
	secret_free(&w->fallback);
	buf_fini(&w->sig);
	buf_fini(&w->env);
	free(w->data);
	free(w->work);
}

/* The four operations at one size. */
static void
run(struct world *w, const char *kind, size_t len, bool rsa)
{
	struct sink to;
	double hash;

	free(w->data);
	free(w->work);
	w->len = len;
	w->data = malloc(len);
	w->work = malloc(len + SINK_CHUNK);
	if (!w->data || !w->work)
		exit(70);
	for (size_t i = 0; i < len; i++)
		w->data[i] = i % 78 == 76 ? '\r' : i % 78 == 77 ? '\n' : (char)('a' + i % 23);
	buf_fini(&w->env);
	buf_init(&w->env, 2 * len + 65536);
	to = sink_to_buf(&w->env);
	seal(w, &to);

	hash = measure(prim_hash, w);
	row("sign", kind, len, measure(do_sign, w), hash, measure(prim_key_sign, w));
	row("verify", kind, len, measure(do_verify, w), hash, measure(prim_key_verify, w));
	if (!rsa) /* an ephemeral key and an agreement have no single primitive to stand beside */
		return;
	row("encrypt", kind, len, measure(do_encrypt, w),
		measure(prim_encrypt, w) + measure(prim_b64_encode, w),
		measure(prim_key_encrypt, w));
	row("open", kind, len, measure(do_open, w),
		measure(prim_decrypt, w) + measure(prim_b64_decode, w),
		measure(prim_key_decrypt, w));
}

int
main(int argc, char **argv)
{
	static const size_t sizes[] = {4096, 102400, 10485760, 209715200};
	static const char *const kinds[] = {"rsa2048", "p256"};
	size_t n = argc > 1 && strcmp(argv[1], "--large") == 0 ? 4 : 3;

	puts("CPU microseconds; speed: primitives one after the other / transformation");
	printf("%-8s %-8s %9s %11s %11s %11s %11s %10s\n", "", "key", "bytes", "whole", "key op",
		"bulk", "overhead", "speed");
	for (size_t k = 0; k < 2; k++) {
		struct world w;

		world_init(&w, kinds[k]);
		for (size_t i = 0; i < n; i++)
			run(&w, kinds[k], sizes[i], k == 0);
		world_fini(&w);
	}
	return 0;
}
