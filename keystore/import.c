/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* --- taking the files apart --- */

/* Certificates that came in files of their own. */
static enum rc
add_others(const struct import_blob *blob, struct p12 *p12, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 1; !rc && i < blob->n_files; i++) {
		struct certset certs = {0};

		rc = certset_parse(blob->files[i].data, blob->files[i].len, &certs, err);
		if (!rc)
			rc = p12_add_certs(p12, &certs, err);
		certset_fini(&certs);
	}
	return rc;
}

enum rc
import_read(const struct import_blob *blob, struct import *im, struct err *err)
{
	size_t i = 0;
	enum rc rc;

	*im = (struct import){0};
	if (blob->n_files == 0)
		return err_set(err, ERR_USAGE, "no file");
	do {
		err_clear(err);
		rc = p12_parse(blob->files[0].data, blob->files[0].len,
			blob->n_passwords ? blob->passwords[i] : NULL, &im->p12, err);
	} while (rc == RC_PERM && err->code == ERR_KEY_PASSWORD && ++i < blob->n_passwords);
	if (rc == RC_PERM && err->code == ERR_KEY_PASSWORD && blob->n_passwords > 1)
		rc = err_set(err, ERR_KEY_PASSWORD,
			"none of %zu passwords fits, or the file is damaged", blob->n_passwords);
	if (!rc)
		rc = add_others(blob, &im->p12, err);
	if (!rc) {
		im->keys = calloc(im->p12.n, sizeof(*im->keys));
		rc = im->keys ? RC_OK : err_set(err, ERR_MEMORY, "import");
	}
	for (; !rc && im->n < im->p12.n; im->n++) {
		struct p12_item *item = &im->p12.items[im->n];

		im->keys[im->n].item = item;
		if (item->cert)
			rc = p12_check_pair(item->pkey, item->cert, err);
	}
	if (rc)
		import_fini(im);
	return rc;
}

void
import_fini(struct import *im)
{
	for (size_t i = 0; i < im->n; i++) {
		certset_fini(&im->keys[i].certs);
		certset_fini(&im->keys[i].chain);
	}
	free(im->keys);
	p12_fini(&im->p12);
	*im = (struct import){0};
}

/* --- deciding --- */

static enum rc
no_cert(const struct import *im, struct err *err)
{
	for (size_t i = 0; i < im->p12.others.n; i++)
		if (!cert_may_issue(im->p12.others.v[i]))
			return err_set(err, ERR_KEY_MALFORMED,
				"the private key does not belong to the certificate of %.200s",
				cert_subject(im->p12.others.v[i]));
	return err_set(err, ERR_CERT_UNUSABLE, "a private key without its certificate");
}

static void
skip(struct import_key *key, const char *why)
{
	key->outcome = IMPORT_SKIPPED;
	key->n_notes = 0;
	import_note(key, "%s", why);
}

/* Its certificates for mail, or why it is left out or refused. */
static enum rc
choose_certs(struct import_key *key, struct err *err)
{
	const struct p12_item *item = key->item;
	struct err why = ERR_INIT;
	enum rc rc = RC_OK;

	if (cert_may_issue(item->cert))
		return err_set(err, ERR_CERT_UNUSABLE,
			"the key of a CA (%.200s) is not taken for a person's",
			cert_subject(item->cert));
	for (size_t i = 0; !rc && i < item->certs.n; i++)
		if (!cert_may_issue(item->certs.v[i]) &&
			(cert_allows(item->certs.v[i], CERT_SIGN) ||
				cert_allows(item->certs.v[i], CERT_ENCRYPT)))
			rc = certset_add(&key->certs, item->certs.v[i], err);
	if (rc || key->certs.n)
		return rc;
	if (cert_is_for_login(item->cert)) {
		skip(key, "for client authentication only, never for mail");
		return RC_OK;
	}
	(void)cert_check_use(item->cert, CERT_ENCRYPT, &why);
	return err_set(err, why.code ? why.code : ERR_CERT_UNUSABLE,
		"the certificate of %.100s cannot be used for mail: %.200s",
		cert_subject(item->cert), why.detail);
}

/* What the key may be used for. What is expired or weak opens old mail, nothing else. */
static void
choose_purpose(const struct admin *a, struct import_key *key)
{
	const struct cert *cert = key->item->cert;
	int min_rsa = (int)conf_int(conf_section(a->settings->conf, "trust"), "min_rsa");
	const char *weak = cert_weakness(cert, min_rsa);
	bool sign = false, open = false, expired = cert_not_after(cert) < clock_now();
	char day[CLOCK_TEXT_SIZE];

	for (size_t i = 0; i < key->certs.n; i++) {
		sign = sign || cert_allows(key->certs.v[i], CERT_SIGN);
		open = open || cert_allows(key->certs.v[i], CERT_ENCRYPT);
	}
	key->key.status = KEY_ACTIVE;
	if (expired || weak) {
		key->key.status = KEY_RETIRED;
		key->only_opens = true;
	}
	if (expired)
		import_note(key, "expired on %.10s: it only opens",
			clock_format(cert_not_after(cert), day));
	if (weak)
		import_note(key, "%s: it only opens", weak);
	if (cert_not_before(cert) > clock_now())
		import_note(
			key, "not valid before %.10s", clock_format(cert_not_before(cert), day));
	if (key->only_opens && !open)
		skip(key,
			expired ? "expired, and it was to sign only: nothing can be opened with it"
				: "it may only open, and its certificate is to sign only");
	key->key.purpose =
		(sign && !key->only_opens ? PURPOSE_SIGN : 0) | (open ? PURPOSE_OPEN : 0);
}

static enum rc
fill_key(struct import_key *key, struct err *err)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	struct buf spki = BUF_INIT(65536);
	enum rc rc = pkey_public(key->item->pkey, &spki, err);

	if (!rc)
		rc = digest_bytes(DIGEST_SHA256, spki.data, spki.len, hash, err);
	buf_fini(&spki);
	if (rc)
		return rc;
	for (int i = 0; i < SHA256_SIZE; i++)
		snprintf(key->key.fingerprint + 2 * i, 3, "%02x", hash[i]);
	key->key.type = pkey_type(key->item->pkey);
	key->key.created = key->key.changed = clock_now();
	return store_new_id('k', key->key.id, err);
}

/* Does the store have these certificates with at least these chains? */
static enum rc
has_certs(struct admin *a, const struct import_key *key, bool *all, struct err *err)
{
	struct store_cert row;
	enum rc rc = RC_OK;

	*all = true;
	for (size_t i = 0; !rc && i < key->certs.n; i++) {
		rc = store_get_cert(
			vault_store(a->vault), cert_fingerprint(key->certs.v[i]), &row, err);
		if (rc == RC_NONE ||
			(!rc && (strcmp(row.key, key->key.id) != 0 || row.chain.n < key->chain.n)))
			*all = false;
		if (!rc)
			store_cert_fini(&row);
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	return rc;
}

/* Is the key here already? For the same person that is fine. */
static enum rc
look_for_known(struct admin *a, struct import_key *key, struct err *err)
{
	struct store_key old;
	bool all;
	enum rc rc = store_find_key(vault_store(a->vault), key->key.fingerprint, &old, err);

	if (rc)
		return rc == RC_NONE ? RC_OK : rc;
	if (old.status == KEY_DESTROYED)
		return err_set(err, ERR_KEY_EXISTS,
			"key %s is the same, and officers had it destroyed: it does not come back",
			old.id);
	if (strcmp(key->person, old.person) != 0)
		return err_set(err, ERR_KEY_EXISTS,
			"key %s is the same and belongs to another person", old.id);
	key->key = old;
	rc = has_certs(a, key, &all, err);
	key->outcome = all ? IMPORT_KNOWN : IMPORT_NEW;
	key->n_notes = 0;
	import_note(key, all ? "known already" : "the key is known, its certificate is new");
	return rc;
}

static enum rc
judge(struct admin *a, const struct import *im, struct import_key *key, struct err *err)
{
	enum rc rc;

	key->outcome = IMPORT_NEW;
	if (!key->item->cert)
		return no_cert(im, err);
	rc = choose_certs(key, err);
	if (rc || key->outcome == IMPORT_SKIPPED)
		return rc;
	rc = import_find_owner(a, im, key, err);
	if (!rc)
		choose_purpose(a, key);
	if (rc || key->outcome == IMPORT_SKIPPED)
		return rc;
	rc = import_find_chain(a, key->item->cert, &im->p12.others, &key->chain, err);
	if (!rc)
		rc = fill_key(key, err);
	return rc ? rc : look_for_known(a, key, err);
}

enum rc
import_judge(struct admin *a, struct import *im, struct err *err)
{
	struct err unsupported = ERR_INIT;
	bool taken = false;
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < im->n; i++) {
		struct import_key *key = &im->keys[i];

		rc = judge(a, im, key, err);
		taken = taken || (!rc && key->outcome < IMPORT_SKIPPED);
		if (rc != RC_PERM || err->code != ERR_CERT_UNSUPPORTED)
			continue;
		skip(key, err->detail);
		key->outcome = IMPORT_FAILED;
		if (unsupported.code == ERR_NONE)
			unsupported = *err;
		err_clear(err);
		rc = RC_OK;
	}
	if (rc || taken || unsupported.code == ERR_NONE)
		return rc;
	return err_set(err, unsupported.code, "%s", unsupported.detail);
}

/* --- keeping --- */

/* {"purpose":"open","status":"retired","held":"h…"} */
static enum rc
record(struct admin *a, const struct import *im, struct import_key *key, struct err *err)
{
	struct buf text = BUF_INIT(1024);
	struct json json;
	enum rc rc;

	json_init(&json, &text);
	json_object(&json, NULL);
	json_str(&json, "purpose", key_purpose_name(key->key.purpose));
	json_str(&json, "status", key_status_name(key->key.status));
	json_str(&json, "held", im->held);
	json_object_end(&json);
	rc = json_end(&json, err);
	if (!rc)
		rc = admin_record(
			a, "key.import", key->key.id, key->addr, buf_text(&text), &key->seq, err);
	buf_fini(&text);
	return rc;
}

static enum rc
keep_one(struct admin *a, struct import_key *key, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_person person;
	enum rc rc = RC_OK;

	if (!key->key.person[0]) { /* the key is not known */
		rc = key->person[0] ? store_get_person(store, key->person, &person, err)
				    : admin_get_person(a, key->addr, key->seq, &person, err);
		if (rc)
			return rc == RC_NONE ? err_set(err, ERR_KEYSTORE_TAMPERED,
						       "an address belongs to nobody")
					     : rc;
		strcpy(key->key.person, person.id);
		key->key.seq = (int64_t)key->seq;
		rc = store_add_key(store, &key->key, key->item->pkey, err);
	}
	for (size_t i = 0; !rc && i < key->certs.n; i++)
		rc = store_add_cert(store, key->key.id, key->certs.v[i], &key->chain, clock_now(),
			(int64_t)key->seq, err);
	return rc;
}

enum rc
import_keep(struct admin *a, struct import *im, import_also *also, void *ctx, struct err *err)
{
	struct store *store = vault_store(a->vault);
	uint64_t seq = 0;
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < im->n; i++)
		if (im->keys[i].outcome == IMPORT_NEW) {
			rc = record(a, im, &im->keys[i], err);
			seq = im->keys[i].seq;
		}
	if (rc || (!seq && !also))
		return rc;
	rc = store_begin(store, err);
	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < im->n; i++)
		if (im->keys[i].outcome == IMPORT_NEW)
			rc = keep_one(a, &im->keys[i], err);
	if (!rc && also)
		rc = also(ctx, a, seq, err);
	if (!rc)
		return store_commit(store, err);
	store_rollback(store);
	return rc;
}

static void
put_outcome(struct admin *a, const struct import_key *key)
{
	static const char *const names[] = {"imported", "known", "skipped", "failed"};

	json_object(a->out, NULL);
	json_str(a->out, "outcome", names[key->outcome]);
	if (key->outcome < IMPORT_SKIPPED) {
		json_str(a->out, "key", key->key.id);
		json_str(a->out, "purpose", key_purpose_name(key->key.purpose));
		json_str(a->out, "status", key_status_name(key->key.status));
		json_str(a->out, "type", key_type_name(key->key.type));
		json_int(a->out, "chain", (int64_t)key->chain.n);
	}
	if (key->addr[0])
		json_str(a->out, "address", key->addr);
	json_str(a->out, "subject", cert_subject(key->item->cert));
	json_str(a->out, "serial", cert_serial(key->item->cert));
	json_array(a->out, "notes");
	for (size_t i = 0; i < key->n_notes; i++)
		json_str(a->out, NULL, key->notes[i]);
	json_array_end(a->out);
	json_object_end(a->out);
}

/* Keys that could not even be read. */
static void
put_left_out(struct admin *a, const struct p12 *p12)
{
	for (size_t i = 0; i < p12->n_left_out; i++) {
		json_object(a->out, NULL);
		json_str(a->out, "outcome", "failed");
		json_array(a->out, "notes");
		json_str(a->out, NULL,
			i ? "another private key that is not supported" : p12->left_out.detail);
		json_array_end(a->out);
		json_object_end(a->out);
	}
}

enum rc
import_put(struct admin *a, const struct import *im, struct err *err)
{
	enum rc rc = RC_OK;

	json_array(a->out, "keys");
	for (size_t i = 0; !rc && i < im->n; i++)
		if (im->keys[i].outcome < IMPORT_SKIPPED)
			rc = admin_put_key(a, &im->keys[i].key, false,
				im->keys[i].key.seq != (int64_t)im->keys[i].seq ||
					im->keys[i].outcome == IMPORT_KNOWN,
				err);
	json_array_end(a->out);
	json_array(a->out, "imports");
	for (size_t i = 0; !rc && i < im->n; i++)
		put_outcome(a, &im->keys[i]);
	put_left_out(a, &im->p12);
	json_array_end(a->out);
	return rc;
}
