/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/restore_private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "crypto/cms_envelope.h"
#include "crypto/kek.h"
#include "crypto/p12.h"

#define KEKS_MAX 4

static bool
same_name(const struct rinfo *rinfo, const struct cert *cert)
{
	size_t len, serial_len, ski_len;
	const unsigned char *issuer = cert_issuer_der(cert, &len),
			    *serial = cert_serial_bytes(cert, &serial_len),
			    *ski = cert_ski(cert, &ski_len);

	if (rinfo->type == RINFO_OTHER)
		return false;
	if (rinfo->ski_len)
		return ski && ski_len == rinfo->ski_len && memcmp(ski, rinfo->ski, ski_len) == 0;
	return rinfo->issuer_len == len && rinfo->serial_len == serial_len &&
	       memcmp(issuer, rinfo->issuer, len) == 0 &&
	       memcmp(serial, rinfo->serial, serial_len) == 0;
}

/* With one of the officers' keys. RC_NONE: it is for none of them. */
static enum rc
open_by_key(const struct cms_enveloped *e, const struct restore_keys *keys, struct secret **cek,
	struct err *err)
{
	struct secret *fallback = NULL;
	enum rc rc = secret_random(32, &fallback, err);

	for (size_t i = 0; !rc && !*cek && i < e->n; i++)
		for (size_t k = 0; !rc && !*cek && k < keys->n; k++)
			for (size_t m = 0; !rc && !*cek && m < keys->officers[k].n; m++) {
				const struct p12_item *item = &keys->officers[k].items[m];

				if (item->cert && same_name(&e->rinfos[i], item->cert))
					rc = rinfo_open(e->rinfos[i].der, e->rinfos[i].der_len,
						e->rinfos[i].index, e->cipher, item->pkey, fallback,
						cek, err);
			}
	secret_free(&fallback);
	return rc ? rc : *cek ? RC_OK : RC_NONE;
}

static enum rc
open_by_passphrase(const struct cms_enveloped *e, const struct restore_keys *keys,
	struct secret **cek, struct err *err)
{
	struct secret *passphrase = NULL, *key = NULL;
	char id[KEK_ID_MAX + 1];
	enum rc rc = RC_NONE;
	int tries = 0;

	for (size_t i = 0; rc == RC_NONE && keys->passphrase && i < e->n; i++) {
		secret_free(&key);
		rc = kek_parse(e->rinfos[i].der, e->rinfos[i].der_len, id, err);
		/* Each costs a quarter of a second; we write one. */
		if (!rc && ++tries > KEKS_MAX)
			rc = err_set(err, ERR_LIMIT, "too many passphrases");
		if (!rc && !passphrase)
			rc = keys->passphrase(&passphrase, err);
		if (!rc)
			rc = kek_remake(id, passphrase, &key, err);
		if (!rc)
			rc = kek_open(e->rinfos[i].der, e->rinfos[i].der_len, key, cek, err);
	}
	secret_free(&passphrase);
	secret_free(&key);
	return rc;
}

static enum rc
read_header(int fd, const char *path, struct cms_enveloped **out, struct err *err)
{
	struct cms_header_reader *reader = NULL;
	static unsigned char chunk[SINK_CHUNK];
	struct sink sink;
	ssize_t n = 1;
	enum rc rc = cms_header_reader_new(&reader, err);

	if (!rc)
		sink = cms_header_reader_sink(reader);
	while (!rc && n > 0 && !cms_header_done(reader)) {
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0)
			rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
		else if (n > 0)
			rc = sink_feed(&sink, chunk, (size_t)n, err);
	}
	if (!rc)
		rc = cms_header_take(reader, out, err);
	cms_header_reader_free(&reader);
	return rc;
}

enum rc
restore_open(int fd, const char *path, const struct restore_keys *keys, struct secret **cek,
	struct err *err)
{
	struct cms_enveloped *e = NULL;
	enum rc rc = read_header(fd, path, &e, err);

	if (rc) {
		err_prefix(err, "%s: no backup", path);
		return rc;
	}
	if (e->kind != CMS_AUTH_ENVELOPED || e->cipher != CIPHER_AES256_GCM)
		rc = err_set(err, ERR_CMS_UNSUPPORTED, "%s: no backup of ours", path);
	if (!rc)
		rc = open_by_key(e, keys, cek, err);
	if (rc == RC_NONE)
		rc = open_by_passphrase(e, keys, cek, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_VAULT_NO_KEY, "%s: it is for none of these keys", path);
	cms_enveloped_free(&e);
	return rc;
}
