/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cms_fuzz.c - everything that reads CMS, as milter and vault use it, with keys made at the start
 */
#include "tests/fuzz/fuzz.h"

#include "crypto/cms_envelope.h"
#include "crypto/cms_said.h"
#include "crypto/cms_sign.h"
#include "crypto/cms_verify.h"

#include <string.h>

static struct pkey *rsa, *ec;
static struct secret *fallback;

static void
set_up(void)
{
	if (fallback)
		return;
	FUZZ_CHECK(pkey_generate("rsa2048", &rsa, NULL) == RC_OK);
	FUZZ_CHECK(pkey_generate("p256", &ec, NULL) == RC_OK);
	FUZZ_CHECK(secret_random(32, &fallback, NULL) == RC_OK);
	cert_cache_limit(0);
}

/* Header, every RecipientInfo with both keys, the content with what came out. */
static void
open_enveloped(const uint8_t *data, size_t size)
{
	struct cms_header_reader *r = NULL;
	struct cms_enveloped *e = NULL;
	struct sink sink, null = sink_null();

	FUZZ_CHECK(cms_header_reader_new(&r, NULL) == RC_OK);
	sink = cms_header_reader_sink(r);
	if (sink_feed(&sink, data, size, NULL) == RC_OK && sink_finish(&sink, NULL) == RC_OK)
		(void)cms_header_take(r, &e, NULL);
	for (size_t i = 0; e && i < e->n && i < 4; i++) {
		struct cms_decryptor *d = NULL;
		struct secret *cek = NULL;
		struct err err = ERR_INIT;

		if (rinfo_open(e->rinfos[i].der, e->rinfos[i].der_len, e->rinfos[i].index,
			    e->cipher, e->rinfos[i].type == RINFO_KARI ? ec : rsa, fallback, &cek,
			    NULL) != RC_OK)
			continue;
		FUZZ_CHECK(secret_len(cek) == content_cipher_key_size(e->cipher));
		FUZZ_CHECK(cms_decryptor_new(cek, &null, &d, NULL) == RC_OK);
		sink = cms_decryptor_sink(d);
		if (sink_feed(&sink, data, size, &err) != RC_OK ||
			sink_finish(&sink, &err) != RC_OK)
			FUZZ_CHECK(err.code == ERR_CMS_CORRUPT);
		cms_decryptor_free(&d);
		secret_free(&cek);
	}
	cms_enveloped_free(&e);
	cms_header_reader_free(&r);
}

static void
judge(struct cms_signed *sd, const struct hasher *hasher)
{
	struct verdict v;

	verdict_init(&v);
	FUZZ_CHECK(cms_signed_verify(sd, hasher, NULL, NULL, NULL, 0, &v, NULL) == RC_OK);
	FUZZ_CHECK(v.overall != VERDICT_PASS); /* there is no anchor */
	verdict_fini(&v);
	for (size_t i = 0; i <= cms_signed_signers(sd); i++) {
		struct cms_said said;

		cms_signed_said(sd, i, &said);
		for (size_t k = 0; k < cms_signed_certs(sd)->n; k++)
			(void)cms_said_prefers(&said, cms_signed_certs(sd)->v[k]);
	}
}

static void
verify_signed(const uint8_t *data, size_t size)
{
	struct cms_signed *sd = NULL;
	struct cms_signed_reader *r = NULL;
	struct hasher *own = NULL;
	const struct hasher *hasher;
	struct cms_opaque *o = NULL;
	struct sink sink, null = sink_null();

	if (cms_signed_parse(data, size, &sd, NULL) == RC_OK) {
		FUZZ_CHECK(hasher_new(cms_signed_digests(sd), &own, NULL) == RC_OK);
		sink = hasher_sink(own);
		FUZZ_CHECK(sink_finish(&sink, NULL) == RC_OK);
		judge(sd, own);
		hasher_free(&own);
		cms_signed_free(&sd);
	}
	FUZZ_CHECK(cms_signed_reader_new(&null, &r, NULL) == RC_OK);
	sink = cms_signed_reader_sink(r);
	if (sink_feed(&sink, data, size, NULL) == RC_OK && sink_finish(&sink, NULL) == RC_OK &&
		cms_signed_reader_take(r, &sd, &hasher, NULL) == RC_OK) {
		judge(sd, hasher);
		cms_signed_free(&sd);
	}
	cms_signed_reader_free(&r);
	(void)cms_opaque_new(data, size, 10, &null, &o, NULL);
	cms_opaque_free(&o);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	set_up();
	open_enveloped(data, size);
	verify_signed(data, size);
	return 0;
}
