/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * envelopes.c - many enveloped messages for tests/bench/milter.sh
 *
 *     envelopes CERTS HEAD ENTITY COUNT OUT
 *
 * Writes OUT with "%d" replaced by 0, 1, ...: the header fields HEAD, then the file ENTITY
 * enveloped for the first of CERTS (AES-256-CBC, PKCS#1 v1.5). Each has a content key of its own,
 * as real mail does: the vault remembers what it opened before, and says so.
 */
#include "base/file.h"
#include "crypto/cms_envelope.h"
#include "message/b64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct err err = ERR_INIT;

static void
must(enum rc rc, const char *what)
{
	if (rc == RC_OK)
		return;
	fprintf(stderr, "envelopes: %s: %s\n", what, err.detail);
	exit(1);
}

static enum rc
to_file(void *ctx, const void *data, size_t len, struct err *e)
{
	return fwrite(data, 1, len, ctx) == len ? RC_OK : err_set(e, ERR_FILE, "cannot be written");
}

static void
write_one(const char *path, const struct certset *to, const struct buf *head,
	const struct buf *entity)
{
	struct cms_envelope_options options = {.cipher = CIPHER_AES256_CBC};
	struct cms_envelope *envelope;
	struct b64_encoder *encoder;
	FILE *file = fopen(path, "wb");
	struct sink out = {.ctx = file, .feed = to_file}, text, sink;

	if (!file)
		must(err_set(&err, ERR_FILE, "cannot be made"), path);
	must(sink_feed(&out, head->data, head->len, &err), path);
	must(b64_encoder_new(&out, &encoder, &err), path);
	text = b64_encoder_sink(encoder);
	must(cms_envelope_new(to, &options, entity->len, &text, &envelope, &err), path);
	sink = cms_envelope_sink(envelope);
	must(sink_feed(&sink, entity->data, entity->len, &err), path);
	must(sink_finish(&sink, &err), path);
	cms_envelope_free(&envelope);
	b64_encoder_free(&encoder);
	if (fclose(file) != 0)
		must(err_set(&err, ERR_FILE, "cannot be written"), path);
}

int
main(int argc, char **argv)
{
	struct buf certs = BUF_INIT(1 << 20), head = BUF_INIT(1 << 16), entity = BUF_INIT(1 << 26);
	struct certset set = {NULL, 0}, to = {NULL, 1};
	const char *mark = argc == 6 ? strstr(argv[5], "%d") : NULL;

	if (!mark) {
		fprintf(stderr, "usage: envelopes CERTS HEAD ENTITY COUNT OUT-WITH-%%d\n");
		return 64;
	}
	must(file_read(argv[1], &certs, &err), argv[1]);
	must(file_read(argv[2], &head, &err), argv[2]);
	must(file_read(argv[3], &entity, &err), argv[3]);
	must(certset_parse(certs.data, certs.len, &set, &err), argv[1]);
	if (!set.n)
		must(err_set(&err, ERR_CERT_MALFORMED, "no certificates"), argv[1]);
	to.v = set.v;
	for (long i = 0; i < atol(argv[4]); i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%.*s%ld%s", (int)(mark - argv[5]), argv[5], i,
			mark + 2);
		write_one(path, &to, &head, &entity);
	}
	certset_fini(&set);
	buf_fini(&certs);
	buf_fini(&head);
	buf_fini(&entity);
	return 0;
}
