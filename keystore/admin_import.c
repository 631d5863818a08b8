/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/admin_cmd.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/p12.h"
#include "keystore/admin.h"

#define CHAIN_DEPTH 8
#define KEYS_MAX    64 /* in one file */

enum rc
admin_pack(struct secret *password, const void *file, size_t len, struct secret **blob,
	struct err *err)
{
	size_t head = password ? secret_len(password) : 0;
	unsigned char *p;
	enum rc rc;

	*blob = NULL;
	if (head > 4096 || len == 0 || len > (4u << 20) - 8192)
		return err_set(err, ERR_LIMIT, "a file of %zu bytes", len);
	rc = secret_new(5 + head + len, blob, err);
	if (rc)
		return rc;
	p = secret_data(*blob);
	p[0] = password != NULL;
	for (int i = 0; i < 4; i++)
		p[1 + i] = head >> (24 - 8 * i) & 0xff;
	if (head)
		memcpy(p + 5, secret_data(password), head);
	memcpy(p + 5 + head, file, len);
	return RC_OK;
}

/* The other way round; *file points into BLOB. */
static enum rc
unpack(struct secret *blob, struct secret **password, const unsigned char **file, size_t *len,
	struct err *err)
{
	const unsigned char *p = blob ? secret_data(blob) : NULL;
	size_t head;

	*password = NULL;
	if (!blob || secret_len(blob) < 6 || p[0] > 1)
		return err_set(err, ERR_USAGE, "key.import needs a file");
	head = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	if (head > 4096 || head >= secret_len(blob) - 5)
		return err_set(err, ERR_USAGE, "key.import needs a file");
	*file = p + 5 + head;
	*len = secret_len(blob) - 5 - head;
	return p[0] ? secret_copy(p + 5, head, password, err) : RC_OK;
}

/* What this key is and whose it becomes. */
struct import {
	const struct p12_item *item;
	char addr[ADDR_MAX + 1];
	struct certset chain;
	struct store_key key;
	bool known; /* the key is in the store, only its certificate may be new */
};

/* The certificates above CERT, found by name among OTHERS; a root that signs itself is left out. */
static enum rc
find_chain(struct cert *cert, const struct certset *others, struct certset *chain, struct err *err)
{
	enum rc rc = RC_OK;

	for (int depth = 0; !rc && depth < CHAIN_DEPTH; depth++) {
		struct cert *up = NULL;

		for (size_t i = 0; i < others->n && !up; i++)
			if (cert_is_ca(others->v[i]) &&
				strcmp(cert_subject(others->v[i]), cert_issuer(cert)) == 0)
				up = others->v[i];
		if (!up || cert_is_self_issued(up))
			return RC_OK;
		rc = certset_add(chain, up, err);
		cert = up;
	}
	return rc;
}

static enum rc
choose_addr(struct admin *a, struct import *im, struct err *err)
{
	const char *const *addrs;
	size_t n;

	if (json_find(a->request, "addr"))
		return admin_addr(a, "addr", im->addr, err);
	n = cert_addrs(im->item->cert, true, &addrs);
	if (n == 0)
		return err_set(err, ERR_USAGE, "the certificate names no mail address: give one");
	return settings_resolve(a->settings, addrs[0], im->addr, err);
}

static enum rc
choose_purpose(struct import *im, struct err *err)
{
	bool sign = cert_allows(im->item->cert, CERT_SIGN),
	     open = cert_allows(im->item->cert, CERT_ENCRYPT);

	if (!sign && !open)
		return err_set(err, ERR_CERT_UNUSABLE,
			"the certificate is for neither signing nor encrypting mail");
	im->key.purpose = (sign ? PURPOSE_SIGN : 0) | (open ? PURPOSE_OPEN : 0);
	/* Expired: nothing is signed with it, but old mail is opened. */
	im->key.status = cert_not_after(im->item->cert) < clock_now() ? KEY_RETIRED : KEY_ACTIVE;
	return RC_OK;
}

/* Looks at one key of the file. */
static enum rc
prepare(struct admin *a, const struct p12_item *item, const struct certset *others,
	struct import *im, struct err *err)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	struct buf spki = BUF_INIT(65536);
	const unsigned char *of_cert;
	size_t len;
	enum rc rc;

	im->item = item;
	if (!item->cert)
		return err_set(err, ERR_CERT_UNUSABLE, "a private key without its certificate");
	rc = pkey_public(item->pkey, &spki, err);
	of_cert = cert_spki(item->cert, &len);
	if (!rc && (len != spki.len || memcmp(of_cert, spki.data, len) != 0))
		rc = err_set(err, ERR_KEY_MALFORMED,
			"the private key does not belong to the certificate");
	if (!rc)
		rc = digest_bytes(DIGEST_SHA256, spki.data, spki.len, hash, err);
	buf_fini(&spki);
	if (rc)
		return rc;
	for (int i = 0; i < SHA256_SIZE; i++)
		snprintf(im->key.fingerprint + 2 * i, 3, "%02x", hash[i]);
	im->key.type = pkey_type(item->pkey);
	if (im->key.type == KEY_OTHER)
		return err_set(err, ERR_CERT_UNSUPPORTED, "a key of a kind that mail does not use");
	im->key.created = im->key.changed = clock_now();
	rc = choose_purpose(im, err);
	if (!rc)
		rc = choose_addr(a, im, err);
	if (!rc)
		rc = find_chain(item->cert, others, &im->chain, err);
	if (!rc)
		rc = store_new_id('k', im->key.id, err);
	return rc;
}

/* Is the key here already? For the same person that is fine. */
static enum rc
look_for_known(struct admin *a, struct import *im, struct err *err)
{
	struct store_key key;
	struct store_addr row;
	enum rc rc = store_find_key(vault_store(a->vault), im->key.fingerprint, &key, err);

	if (rc)
		return rc == RC_NONE ? RC_OK : rc;
	rc = store_find_addr(vault_store(a->vault), im->addr, clock_now(), &row, err);
	if (rc < 0)
		return rc;
	if (rc == RC_NONE || strcmp(row.person, key.person) != 0)
		return err_set(err, ERR_KEY_EXISTS,
			"key %s is the same and belongs to another person", key.id);
	im->key = key;
	im->known = true;
	return RC_OK;
}

static enum rc
keep(struct admin *a, struct import *im, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_person person;
	uint64_t seq;
	enum rc rc = look_for_known(a, im, err);

	if (!rc)
		rc = admin_record(a, "key.import", im->key.id, im->addr, NULL, &seq, err);
	if (!rc)
		rc = store_begin(store, err);
	if (rc)
		return rc;
	rc = admin_get_person(a, im->addr, seq, &person, err);
	if (!rc && !im->known) {
		strcpy(im->key.person, person.id);
		im->key.seq = (int64_t)seq;
		rc = store_add_key(store, &im->key, im->item->pkey, err);
	}
	if (!rc)
		rc = store_add_cert(store, im->key.id, im->item->cert, &im->chain, clock_now(),
			(int64_t)seq, err);
	if (!rc)
		rc = store_commit(store, err);
	else
		store_rollback(store);
	return rc;
}

enum rc
admin_key_import(struct admin *a, struct err *err)
{
	struct import im[KEYS_MAX] = {0};
	struct secret *password = NULL;
	const unsigned char *file = NULL;
	struct p12 p12 = {0};
	size_t len = 0, n = 0;
	enum rc rc = unpack(a->blob, &password, &file, &len, err);

	if (!rc)
		rc = p12_parse(file, len, password, &p12, err);
	if (!rc && (p12.n == 0 || p12.n > KEYS_MAX))
		rc = err_set(err, ERR_KEY_MALFORMED, "%zu private keys in the file", p12.n);
	/* All are looked at before the first is kept. */
	for (; !rc && n < p12.n; n++)
		rc = prepare(a, &p12.items[n], &p12.others, &im[n], err);
	for (size_t i = 0; !rc && i < p12.n; i++)
		rc = keep(a, &im[i], err);
	json_array(a->out, "keys");
	for (size_t i = 0; !rc && i < p12.n; i++)
		rc = admin_put_key(a, &im[i].key, false, im[i].known, err);
	json_array_end(a->out);
	for (size_t i = 0; i < KEYS_MAX; i++)
		certset_fini(&im[i].chain);
	p12_fini(&p12);
	secret_free(&password);
	return rc;
}
