/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_held.c - the import in two parts: one person brings the key file, another one its PIN
 *
 * Each PIN is counted, durably, before it is tried; after HELD_TRIES that did not fit the file is
 * locked until somebody who may hold files brings it again.
 */
#include "keystore/import.h"
#include "keystore/store_held.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define HELD_TRIES 10
#define LIMIT_MAX  1000

static void
put_held(struct admin *a, const char *name, const struct store_held *held)
{
	json_object(a->out, name);
	json_str(a->out, "held", held->id);
	if (held->addr[0])
		json_str(a->out, "address", held->addr);
	json_str(a->out, "file", held->label);
	json_str(a->out, "sha256", held->sha256);
	json_time(a->out, "since", held->created);
	json_int(a->out, "wrong", held->tries);
	if (held->tries >= HELD_TRIES)
		json_bool(a->out, "locked", true);
	if (held->foreign)
		json_bool(a->out, "foreign", true);
	if (held->key[0])
		json_str(a->out, "key", held->key);
	json_object_end(a->out);
}

/* EVENT with {"held":ID,"wrong":N}; the record's number goes into the row. */
static enum rc
record(struct admin *a, const char *event, struct store_held *held, struct err *err)
{
	char detail[96];
	uint64_t seq;
	enum rc rc;

	snprintf(detail, sizeof(detail), "{\"held\":\"%s\",\"wrong\":%lld}", held->id,
		(long long)held->tries);
	rc = admin_record(a, event, NULL, held->addr[0] ? held->addr : NULL, detail, &seq, err);
	if (!rc)
		held->seq = (int64_t)seq;
	return rc;
}

/* Writes the row; FILE too when there is one. */
static enum rc
keep(struct admin *a, const struct store_held *held, struct secret *file, struct err *err)
{
	struct store *store = vault_store(a->vault);
	enum rc rc = store_begin(store, err);

	if (rc)
		return rc;
	rc = file ? store_put_held(store, held, file, err) : store_set_held(store, held, err);
	if (!rc)
		return store_commit(store, err);
	store_rollback(store);
	return rc;
}

/* --- holding --- */

/* Whose it is: as the request says, or as a certificate says that anybody can read. */
static enum rc
choose_addr(struct admin *a, const struct certset *certs, struct store_held *held, struct err *err)
{
	const char *const *addrs;
	char addr[ADDR_MAX + 1];
	enum rc rc;

	held->foreign = json_is_true(json_find(a->request, "foreign"));
	if (json_find(a->request, "addr")) {
		rc = admin_addr(a, "addr", held->addr, err);
		if (!rc && !held->foreign && !import_is_ours(a, held->addr))
			rc = import_not_ours(held->addr, err);
		return rc;
	}
	for (size_t i = 0; i < certs->n; i++)
		for (size_t k = 0; k < cert_addrs(certs->v[i], true, &addrs); k++)
			if (!held->addr[0] && !cert_may_issue(certs->v[i]) &&
				!settings_resolve(a->settings, addrs[k], addr, NULL) &&
				import_is_ours(a, addr))
				strcpy(held->addr, addr);
	return RC_OK;
}

/* The row that is to be; *old: it is there already. */
static enum rc
describe(struct admin *a, const struct admin_bytes *file, const struct certset *certs,
	struct store_held *held, bool *old, struct err *err)
{
	const char *label = json_get_text(a->request, "label");
	unsigned char hash[DIGEST_MAX_SIZE];
	char sha256[2 * SHA256_SIZE + 1];
	enum rc rc = digest_bytes(DIGEST_SHA256, file->data, file->len, hash, err);

	*old = false;
	if (label && strlen(label) >= HELD_LABEL_SIZE)
		rc = err_set(err, ERR_USAGE, "label: at most %d bytes", HELD_LABEL_SIZE - 1);
	if (rc)
		return rc;
	for (int i = 0; i < SHA256_SIZE; i++)
		snprintf(sha256 + 2 * i, 3, "%02x", hash[i]);
	rc = store_find_held(vault_store(a->vault), sha256, held, err);
	if (rc != RC_NONE) {
		*old = !rc;
		return rc;
	}
	*held = (struct store_held){.created = clock_now()};
	strcpy(held->sha256, sha256);
	strcpy(held->label, label ? label : "");
	rc = choose_addr(a, certs, held, err);
	return rc ? rc : store_new_id('h', held->id, err);
}

/* The same file again: its PIN may be tried anew; otherwise nothing changes. */
static enum rc
hold_again(struct admin *a, struct store_held *held, struct err *err)
{
	enum rc rc;

	if (held->key[0] || held->tries == 0)
		return RC_OK;
	held->tries = 0;
	held->created = clock_now();
	rc = record(a, "key.hold", held, err);
	return rc ? rc : keep(a, held, NULL, err);
}

static enum rc
hold_new(struct admin *a, const struct admin_bytes *file, struct store_held *held, struct err *err)
{
	struct secret *copy = NULL;
	enum rc rc = secret_copy(file->data, file->len, &copy, err);

	if (!rc)
		rc = record(a, "key.hold", held, err);
	if (!rc)
		rc = keep(a, held, copy, err);
	secret_free(&copy);
	return rc;
}

enum rc
admin_key_hold(struct admin *a, struct err *err)
{
	struct import_blob blob;
	struct certset certs = {0};
	struct store_held held;
	bool old = false;
	enum rc rc = import_blob_open(a->blob, &blob, err);

	if (!rc && (blob.n_files != 1 || blob.n_passwords))
		rc = err_set(err, ERR_USAGE, "one file, without a password, can be held");
	if (!rc)
		rc = p12_look(blob.files[0].data, blob.files[0].len, &certs, err);
	if (!rc)
		rc = describe(a, &blob.files[0], &certs, &held, &old, err);
	if (!rc)
		rc = old ? hold_again(a, &held, err) : hold_new(a, &blob.files[0], &held, err);
	if (!rc) {
		json_bool(a->out, "known", old);
		put_held(a, "held", &held);
	}
	certset_fini(&certs);
	import_blob_fini(&blob);
	return rc;
}

/* --- listing and dropping --- */

struct page {
	struct admin *a;
	char last[STORE_ID_SIZE];
	int64_t n;
};

static enum rc
on_held(void *ctx, const struct store_held *held, struct err *err)
{
	struct page *page = ctx;

	(void)err;
	put_held(page->a, NULL, held);
	strcpy(page->last, held->id);
	page->n++;
	return RC_OK;
}

enum rc
admin_key_held(struct admin *a, struct err *err)
{
	const char *after = json_get_text(a->request, "after");
	int64_t limit = json_get_int(a->request, "limit", LIMIT_MAX);
	struct page page = {.a = a};
	enum rc rc;

	if (limit < 1 || limit > LIMIT_MAX)
		return err_set(err, ERR_USAGE, "limit: 1 to %d", LIMIT_MAX);
	json_array(a->out, "files");
	rc = store_list_held(vault_store(a->vault), NULL, after ? after : "", (size_t)limit,
		on_held, &page, err);
	json_array_end(a->out);
	if (!rc && page.n == limit)
		json_str(a->out, "next", page.last);
	return rc;
}

struct one {
	struct store_held held;
	size_t n;
};

static enum rc
on_one(void *ctx, const struct store_held *held, struct err *err)
{
	struct one *one = ctx;

	(void)err;
	if (one->n++ == 0)
		one->held = *held;
	return RC_OK;
}

/* Member "held": an id, or an address that one file waits for. */
static enum rc
find(struct admin *a, struct store_held *out, struct err *err)
{
	const char *text = json_get_text(a->request, "held");
	char addr[ADDR_MAX + 1];
	struct one one = {.n = 0};
	enum rc rc;

	if (!text || !*text)
		return err_set(err, ERR_USAGE, "\"held\" is missing");
	if (!strchr(text, '@')) {
		rc = store_get_held(vault_store(a->vault), text, out, err);
		return rc == RC_NONE ? err_set(err, ERR_VAULT_NO_KEY, "no held file %.64s", text)
				     : rc;
	}
	rc = admin_addr(a, "held", addr, err);
	if (!rc)
		rc = store_list_held(vault_store(a->vault), addr, "", 2, on_one, &one, err);
	if (!rc && one.n == 0)
		rc = err_set(err, ERR_VAULT_NO_KEY, "no file for %.200s waits for its PIN", addr);
	if (!rc && one.n > 1)
		rc = err_set(err, ERR_USAGE,
			"several files for %.200s wait for their PIN: name one by its id", addr);
	*out = one.held;
	return rc;
}

enum rc
admin_key_held_drop(struct admin *a, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_held held;
	enum rc rc = find(a, &held, err);

	if (!rc)
		rc = record(a, "key.held.drop", &held, err);
	if (!rc)
		rc = store_begin(store, err);
	if (rc)
		return rc;
	rc = store_del_held(store, held.id, err);
	if (!rc)
		rc = store_commit(store, err);
	else
		store_rollback(store);
	if (!rc)
		(void)store_checkpoint(store, NULL); /* no copy stays in the write-ahead log */
	if (!rc)
		put_held(a, "held", &held);
	return rc;
}

/* --- the PIN --- */

/* In the transaction that keeps the key: the file is destroyed. */
static enum rc
finish(void *ctx, struct admin *a, uint64_t seq, struct err *err)
{
	struct store_held *held = ctx;

	if (seq)
		held->seq = (int64_t)seq;
	return store_set_held(vault_store(a->vault), held, err);
}

/* What the PIN opened goes the way of every import. */
static enum rc
import(struct admin *a, struct store_held *held, struct err *err)
{
	struct import *im = a->import;
	enum rc rc;

	im->addr = held->addr[0] ? held->addr : NULL;
	im->foreign = held->foreign;
	im->held = held->id;
	rc = import_judge(a, im, err);
	if (rc)
		return rc;
	strcpy(held->key, "-");
	for (size_t i = 0; i < im->n; i++)
		if (im->keys[i].outcome < IMPORT_SKIPPED)
			strcpy(held->key, im->keys[i].key.id);
	rc = import_keep(a, im, finish, held, err);
	if (rc)
		return rc;
	(void)store_checkpoint(vault_store(a->vault), NULL);
	return import_put(a, im, err);
}

/* A try at a PIN: counted, then made without the commands' lock, then what comes of it. */
struct held_try {
	struct store_held held;
	struct secret *file;
	enum rc rc; /* of taking the file apart */
	struct err err;
};

void
admin_held_free(struct admin *a)
{
	if (a->held)
		secret_free(&a->held->file);
	free(a->held);
	a->held = NULL;
}

/* The row as it is now: it may have been dropped, or the PIN found, while nobody looked. */
static enum rc
look_again(struct admin *a, struct store_held *held, struct err *err)
{
	char id[STORE_ID_SIZE];
	enum rc rc;

	strcpy(id, held->id);
	rc = store_get_held(vault_store(a->vault), id, held, err);
	if (rc == RC_NONE)
		return err_set(err, ERR_VAULT_NO_KEY, "no held file %.64s", id);
	if (!rc && held->key[0])
		return err_set(err, ERR_KEY_EXISTS, "the key of held file %s is in already", id);
	return rc;
}

/* The try was none. */
static void
give_back(struct admin *a, struct store_held *held)
{
	struct err ignored;

	if (held->tries > 0)
		held->tries--;
	held->key[0] = 0;
	(void)keep(a, held, NULL, &ignored);
}

/* Counts the try before it is made. */
enum rc
admin_key_pin_count(struct admin *a, struct err *err)
{
	struct store_held *held;
	enum rc rc = admin_import_new(a, err);

	a->held = calloc(1, sizeof(*a->held));
	if (!rc && !a->held)
		rc = err_set(err, ERR_MEMORY, "a held file");
	if (rc)
		return rc;
	held = &a->held->held;
	rc = find(a, held, err);
	if (!rc && held->key[0])
		rc = err_set(
			err, ERR_KEY_EXISTS, "the key of held file %s is in already", held->id);
	if (!rc && held->tries >= HELD_TRIES)
		rc = err_set(err, ERR_VAULT_DENIED,
			"held file %s is locked after %d wrong PINs: hold the file again", held->id,
			HELD_TRIES);
	if (rc)
		return rc;
	held->tries++;
	rc = record(a, "key.pin", held, err);
	if (!rc)
		rc = keep(a, held, NULL, err);
	if (rc)
		return rc;
	rc = store_unwrap_held(vault_store(a->vault), held, &a->held->file, err);
	if (rc)
		give_back(a, held);
	return rc == RC_NONE ? err_set(err, ERR_KEYSTORE_TAMPERED, "held file %s is gone", held->id)
			     : rc;
}

/* Takes the file apart with the PIN of the request: seconds, or as many as the file asks for. */
enum rc
admin_key_pin_open(struct admin *a, struct err *err)
{
	struct import_blob pin;
	struct held_try *try = a->held;
	enum rc rc = import_blob_open(a->blob, &pin, err);

	if (!rc) {
		pin.files[0] = (struct admin_bytes){secret_data(try->file), secret_len(try->file)};
		pin.n_files = 1;
		try->rc = import_read(&pin, a->import, &try->err);
	}
	secret_free(&try->file);
	import_blob_fini(&pin);
	return rc;
}

/* One PIN and nothing else? Before anything is counted. */
enum rc
admin_key_pin_check(struct admin *a, struct err *err)
{
	struct import_blob pin;
	enum rc rc = import_blob_open(a->blob, &pin, err);

	if (!rc && (pin.n_passwords != 1 || pin.n_files))
		rc = err_set(err, ERR_USAGE, "one PIN at a time");
	import_blob_fini(&pin);
	return rc;
}

/* What came of the try. Work without an end is no reason to try for nothing: it counts. */
enum rc
admin_key_pin(struct admin *a, struct err *err)
{
	struct held_try *try = a->held;
	struct err ignored;
	struct store_held *held;
	enum rc rc;

	if (!try)
		return err_set(err, ERR_INTERNAL, "no PIN was tried");
	held = &try->held;
	rc = look_again(a, held, err);
	if (rc)
		return rc;
	if (try->rc == RC_PERM && try->err.code == ERR_KEY_PASSWORD) {
		(void)record(a, "key.pin.wrong", held, &ignored);
		return err_set(err, ERR_KEY_PASSWORD, "the PIN is wrong; %lld more may be tried",
			(long long)(HELD_TRIES - held->tries));
	}
	if (try->rc == RC_PERM && try->err.code == ERR_LIMIT) {
		*err = try->err;
		return try->rc;
	}
	if (try->rc) {
		*err = try->err;
		give_back(a, held);
		return try->rc;
	}
	if (held->tries > 0)
		held->tries--;
	rc = import(a, held, err);
	if (rc) {
		held->tries++;
		give_back(a, held);
	} else {
		put_held(a, "held", held);
	}
	return rc;
}
