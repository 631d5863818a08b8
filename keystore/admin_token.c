/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/cms_envelope.h"
#include "crypto/rinfo.h"
#include "crypto/token.h"
#include "crypto/token_key.h"

/* --- trying a key --- */

/* What was encrypted to the certificate comes out again. */
static enum rc
try_opening(const struct pkey *pkey, const struct cert *cert, bool oaep, struct err *err)
{
	struct secret *cek = NULL, *fallback = NULL, *got = NULL;
	struct der_out w;
	enum rc rc = secret_random(32, &cek, err);

	der_out_init(&w, CMS_MAX_RINFO, err);
	if (!rc)
		rc = secret_random(32, &fallback, err);
	if (!rc)
		rc = rinfo_write(cert, cek, oaep, &w, err);
	if (!rc)
		rc = rinfo_open(
			w.buf.data, w.buf.len, 0, CIPHER_AES256_GCM, pkey, fallback, &got, err);
	if (!rc && secret_compare(secret_data(got), secret_data(cek), 32) != 0)
		rc = err_set(err, ERR_KEY_MALFORMED,
			"the key in the token does not open what is encrypted to the certificate");
	der_out_fini(&w);
	secret_free(&cek);
	secret_free(&fallback);
	secret_free(&got);
	return rc;
}

/* Does what the certificate is for. */
static enum rc
try_key(const struct pkey *pkey, const struct cert *cert, struct err *err)
{
	enum rc rc = RC_OK;

	if (cert_allows(cert, CERT_SIGN))
		rc = p12_check_pair(pkey, cert, err);
	if (!rc && cert_allows(cert, CERT_ENCRYPT))
		rc = try_opening(pkey, cert, false, err);
	return rc;
}

/* --- adding one --- */

/* The certificate that is the key's: the first that is no CA's. */
static struct cert *
pick_leaf(const struct certset *certs)
{
	for (size_t i = 0; i < certs->n; i++)
		if (!cert_is_ca(certs->v[i]))
			return certs->v[i];
	return NULL;
}

/* As import_read, with a key that is in no file. */
static enum rc
read_key(struct admin *a, struct import *im, const char *uri, struct err *err)
{
	struct certset certs = {0};
	struct p12_item *item = calloc(1, sizeof(*item));
	struct import_key *key = calloc(1, sizeof(*key));
	const unsigned char *spki;
	struct cert *leaf = NULL;
	size_t len;
	enum rc rc = item && key ? RC_OK : err_set(err, ERR_MEMORY, "a key in a token");

	if (!rc)
		rc = a->blob ? certset_parse(secret_data(a->blob), secret_len(a->blob), &certs, err)
			     : err_set(err, ERR_USAGE, "the certificate is missing");
	if (!rc && !(leaf = pick_leaf(&certs)))
		rc = err_set(err, ERR_CERT_UNUSABLE, "there is no certificate but a CA's");
	if (!rc) {
		im->p12.items = item;
		im->p12.n = 1;
		im->keys = key;
		im->n = 1;
		key->item = item;
		item->cert = cert_ref(leaf);
		item = NULL; /* the import's now, */
		key = NULL;  /* and so is this */
		rc = certset_add(&im->p12.items[0].certs, leaf, err);
	}
	for (size_t i = 0; !rc && i < certs.n; i++)
		if (certs.v[i] != leaf)
			rc = certset_add(&im->p12.others, certs.v[i], err);
	if (!rc) {
		spki = cert_spki(leaf, &len);
		rc = key_open(uri, spki, len, &im->p12.items[0].pkey, err);
	}
	certset_fini(&certs);
	free(item);
	free(key);
	return rc;
}

enum rc
admin_key_token(struct admin *a, struct err *err)
{
	const char *uri = json_get_text(a->request, "uri");
	char addr[ADDR_MAX + 1];
	enum rc rc = uri ? RC_OK : err_set(err, ERR_USAGE, "\"uri\" is missing");

	if (!rc)
		rc = admin_import_new(a, err);
	if (!rc)
		rc = read_key(a, a->import, uri, err);
	if (!rc)
		rc = try_key(a->import->p12.items[0].pkey, a->import->p12.items[0].cert, err);
	if (!rc && json_find(a->request, "addr")) {
		rc = admin_addr(a, "addr", addr, err);
		a->import->addr = addr;
	}
	if (!rc)
		rc = import_judge(a, a->import, err);
	if (!rc)
		rc = import_keep(a, a->import, NULL, NULL, err);
	return rc ? rc : import_put(a, a->import, err);
}

/* --- looking --- */

/* "pkcs11:token=…;id=…;object=…" with %XX for what is no letter or digit. */
static void
put_uri(struct admin *a, const char *token, const char *id, size_t id_len, const char *label,
	size_t label_len)
{
	struct buf uri = BUF_INIT(4096);
	const char *const names[] = {"pkcs11:token=", ";object="}, *const values[] = {token, label};
	const size_t lens[] = {strlen(token), label_len};
	enum rc rc = RC_OK;

	for (size_t k = 0; k < 2; k++) {
		if (!lens[k])
			continue;
		rc = buf_append_str(&uri, names[k], NULL);
		for (size_t i = 0; !rc && i < lens[k]; i++) {
			unsigned char c = (unsigned char)values[k][i];
			bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
				     (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';

			rc = plain ? buf_append_char(&uri, (char)c, NULL)
				   : buf_appendf(&uri, NULL, "%%%02X", c);
		}
	}
	if (!rc && id_len)
		rc = buf_append_str(&uri, ";id=", NULL);
	for (size_t i = 0; !rc && i + 1 < id_len; i += 2)
		rc = buf_appendf(&uri, NULL, "%%%c%c", id[i], id[i + 1]);
	if (!rc)
		json_str(a->out, "uri", buf_text(&uri));
	buf_fini(&uri);
}

/* The keys of one that is up. */
static void
put_keys(struct admin *a, const char *token)
{
	struct buf lines = BUF_INIT(65536);
	const char *p;

	json_array(a->out, "keys");
	if (token_list(token, &lines, NULL) == RC_OK)
		for (p = buf_text(&lines); *p; p += strcspn(p, "\n") + 1) {
			size_t type = strcspn(p, "\t"), id = strcspn(p + type + 1, "\t");
			const char *label = p + type + id + 2;
			size_t label_len = strcspn(label, "\n");

			json_object(a->out, NULL);
			json_strn(a->out, "type", p, type);
			json_strn(a->out, "id", p + type + 1, id);
			json_strn(a->out, "label", label, label_len);
			put_uri(a, token, p + type + 1, id, label, label_len);
			json_object_end(a->out);
		}
	json_array_end(a->out);
	buf_fini(&lines);
}

enum rc
admin_token_list(struct admin *a, struct err *err)
{
	struct token_state tokens[TOKENS_MAX];
	size_t n = tokens_list(tokens);

	(void)err;
	json_array(a->out, "tokens");
	for (size_t i = 0; i < n; i++) {
		json_object(a->out, NULL);
		json_str(a->out, "token", tokens[i].name);
		/* Without a running vault it is begun here. */
		if (strcmp(tokens[i].state, "up") == 0 || strcmp(tokens[i].state, "unused") == 0) {
			put_keys(a, tokens[i].name);
			n = tokens_list(tokens);
		}
		json_str(a->out, "state", tokens[i].state);
		if (tokens[i].why[0])
			json_str(a->out, "reason", tokens[i].why);
		json_object_end(a->out);
	}
	json_array_end(a->out);
	return RC_OK;
}

/* One of our keys, tried; that is a use of a key, so the ledger has it first. */
enum rc
admin_token_test(struct admin *a, struct err *err)
{
	struct store_cert cert = {0};
	struct pkey *pkey = NULL;
	struct store_key key;
	enum rc rc = admin_find_key(a, 0, &key, err);

	if (!rc)
		rc = store_unwrap_key(vault_store(a->vault), key.id, &pkey, NULL, err);
	if (!rc && !pkey_uri(pkey))
		rc = err_set(err, ERR_USAGE, "key %s is in no token", key.id);
	if (!rc)
		rc = store_current_cert(vault_store(a->vault), key.id, clock_now(), &cert, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_VAULT_NO_KEY, "key %s has no certificate that is valid now",
			key.id);
	if (!rc)
		rc = admin_record(a, "key.test", key.id, NULL, NULL, NULL, err);
	if (!rc)
		rc = try_key(pkey, cert.cert, err);
	if (!rc) {
		json_str(a->out, "key", key.id);
		json_str(a->out, "uri", pkey_uri(pkey));
	}
	pkey_unref(&pkey);
	store_cert_fini(&cert);
	return rc;
}
