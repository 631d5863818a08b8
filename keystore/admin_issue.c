/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/admin_cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/digest.h"
#include "crypto/issue.h"

#define CA_DAYS     3650
#define CA_KIND     "rsa3072"
#define LEAF_KIND   "rsa2048"
#define CRL_DAYS    7
#define MAX_REVOKED 50000
#define PEM_LINE    48 /* bytes for 64 characters */

/* The organisation's CA, ready to sign. */
static enum rc
open_ca(struct admin *a, struct keyent **ent, struct err *err)
{
	struct store_key key;
	enum rc rc = store_find_ca(vault_store(a->vault), &key, err);

	*ent = NULL;
	if (!rc)
		rc = keycache_get(vault_keycache(a->vault), key.id, true, ent, err);
	if (!rc && !(*ent)->cert.cert) {
		keyent_unref(ent);
		rc = err_set(err, ERR_VAULT_NO_KEY, "the organisation's CA has expired");
	}
	return rc == RC_NONE ? err_set(err, ERR_VAULT_NO_KEY, "there is no CA of the organisation")
			     : rc;
}

/* A key pair with everything of its row but the record's number. */
static enum rc
make_key(const char *kind, enum key_purpose purpose, struct store_key *key, struct pkey **pkey,
	struct buf *spki, struct err *err)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	enum rc rc = pkey_generate(kind, pkey, err);

	*key = (struct store_key){
		.purpose = purpose, .created = clock_now(), .changed = clock_now()};
	if (!rc)
		rc = pkey_public(*pkey, spki, err);
	if (!rc)
		rc = digest_bytes(DIGEST_SHA256, spki->data, spki->len, hash, err);
	if (!rc)
		rc = store_new_id('k', key->id, err);
	if (rc)
		return rc;
	key->type = pkey_type(*pkey);
	for (int i = 0; i < SHA256_SIZE; i++)
		snprintf(key->fingerprint + 2 * i, 3, "%02x", hash[i]);
	return RC_OK;
}

/* One new key of a person with its certificate, before it is in the store. */
struct fresh {
	struct store_key key;
	struct pkey *pkey;
	struct cert *cert;
};

static void
fresh_fini(struct fresh *fresh)
{
	pkey_unref(&fresh->pkey);
	cert_unref(&fresh->cert);
}

/* Certificate for the new key, not longer than the CA's own. */
static enum rc
make_fresh(struct admin *a, const struct keyent *ca, const char *kind, enum key_purpose purpose,
	const char *addr, const char *name, struct fresh *fresh, struct err *err)
{
	struct issue_request request = {
		.common_name = name,
		.organisation = conf_str(conf_section(a->settings->conf, "organisation"), "name"),
		.addr = addr,
		.not_before = clock_now() - 300, /* clocks of others may be behind */
		.use = (purpose & PURPOSE_SIGN ? CERT_SIGN : 0) |
		       (purpose & PURPOSE_OPEN ? CERT_ENCRYPT : 0),
	};
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_INTENT);
	struct buf spki = BUF_INIT(65536);
	uint64_t seq = 0;
	int64_t days;
	enum rc rc = admin_days(a, &days, err);

	request.not_after = clock_now() + days * 86400;
	if (request.not_after > ca->cert.not_after)
		request.not_after = ca->cert.not_after;
	if (request.not_before < ca->cert.not_before)
		request.not_before = ca->cert.not_before;
	if (!rc)
		rc = make_key(kind, purpose, &fresh->key, &fresh->pkey, &spki, err);

	/* The CA's key is a private key like others: no use without a record. */
	record.event = "issue";
	record.observed.key = ca->key.id;
	record.observed.fingerprint = ca->cert.sha256;
	record.observed.service = "admin";
	record.observed.uid = a->uid;
	record.observed.pid = a->pid;
	record.subject = addr;
	if (!rc)
		rc = ledger_append(vault_ledger(a->vault), &record, &seq, err);
	if (!rc)
		rc = issue_leaf(
			ca->pkey, ca->cert.cert, spki.data, spki.len, &request, &fresh->cert, err);
	if (seq) {
		struct ledger_record done = LEDGER_RECORD_INIT(LEDGER_OUTCOME);

		done.event = rc ? "failed" : "done";
		done.reason = rc ? err_name(err->code) : NULL;
		done.intent = seq;
		done.observed.key = ca->key.id;
		done.lazy = true;
		(void)ledger_append(vault_ledger(a->vault), &done, NULL, NULL);
	}
	buf_fini(&spki);
	return rc;
}

/* Who has ADDR now: the name for the certificate, and whether a key of that PURPOSE is there. */
static enum rc
look_before(struct admin *a, const char *addr, unsigned purpose, struct store_person *person,
	struct err *err)
{
	struct json_value *value = NULL;
	struct admin probe = *a;
	struct store_addr row;
	struct store_key key;
	struct buf text = BUF_INIT(4096);
	struct json json;
	enum rc rc;

	*person = (struct store_person){0};
	rc = store_find_addr(vault_store(a->vault), addr, clock_now(), &row, err);
	if (rc)
		return rc == RC_NONE ? RC_OK : rc;
	rc = store_get_person(vault_store(a->vault), row.person, person, err);
	if (!rc)
		rc = admin_check_present(person, err);
	if (rc || json_is_true(json_find(a->request, "also")))
		return rc;
	json_init(&json, &text);
	json_object(&json, NULL);
	json_str(&json, "key", addr);
	json_object_end(&json);
	rc = json_end(&json, err);
	if (!rc)
		rc = json_parse(text.data, text.len, &value, err);
	probe.request = value;
	if (!rc)
		rc = admin_find_key(&probe, purpose, &key, err);
	if (!rc && key.status == KEY_ACTIVE)
		rc = err_set(err, ERR_KEY_EXISTS, "%s has the active key %s already", addr, key.id);
	else if (rc && err->code == ERR_VAULT_NO_KEY)
		rc = RC_OK;
	json_free(&value);
	buf_fini(&text);
	return rc;
}

/* Record, then all rows in one transaction. OLD: a key that the new one replaces, or NULL. */
static enum rc
keep_fresh(struct admin *a, const char *event, const char *addr, const struct keyent *ca,
	struct fresh *fresh, size_t n, const struct store_key *old, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_person person;
	struct certset chain = {0};
	uint64_t seq;
	enum rc rc = admin_record(a, event, fresh[0].key.id, addr, NULL, &seq, err);

	if (!rc)
		rc = certset_add(&chain, ca->cert.cert, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = admin_get_person(a, addr, seq, &person, err);
	for (size_t i = 0; !rc && i < n; i++) {
		struct store_key *key = &fresh[i].key;

		strcpy(key->person, old ? old->person : person.id);
		key->seq = (int64_t)seq;
		rc = store_add_key(store, key, fresh[i].pkey, err);
		if (!rc)
			rc = store_add_cert(store, key->id, fresh[i].cert, &chain, clock_now(),
				(int64_t)seq, err);
	}
	if (!rc && old)
		rc = store_set_status(store, old->id, KEY_RETIRED, clock_now(), (int64_t)seq, err);
	if (!rc)
		rc = store_commit(store, err);
	certset_fini(&chain);
	return rc;
}

/* The answer of all that make keys. */
static enum rc
put_keys(struct admin *a, const struct fresh *fresh, size_t n, struct err *err)
{
	enum rc rc = RC_OK;

	json_array(a->out, "keys");
	for (size_t i = 0; !rc && i < n; i++)
		rc = admin_put_key(a, &fresh[i].key, false, false, err);
	json_array_end(a->out);
	return rc;
}

enum rc
admin_key_new(struct admin *a, struct err *err)
{
	const char *purpose = json_get_text(a->request, "purpose"),
		   *kind = json_get_text(a->request, "type"),
		   *name = json_get_text(a->request, "name");
	enum key_purpose first = PURPOSE_BOTH;
	struct fresh fresh[2] = {0};
	struct store_person person;
	struct keyent *ca = NULL;
	char addr[ADDR_MAX + 1];
	size_t n = 1;
	enum rc rc = admin_addr(a, "addr", addr, err);

	if (!rc && purpose && strcmp(purpose, "separate") == 0) {
		first = PURPOSE_SIGN;
		n = 2;
	} else if (!rc && purpose && (!key_purpose_find(purpose, &first) || first == PURPOSE_CA)) {
		rc = err_set(err, ERR_USAGE, "purpose: both, sign, open or separate");
	}
	if (!rc)
		rc = look_before(a, addr, n == 2 ? PURPOSE_BOTH : first, &person, err);
	if (!rc && !name && person.name[0] && strcmp(person.name, addr) != 0)
		name = person.name;
	if (!rc)
		rc = open_ca(a, &ca, err);
	for (size_t i = 0; !rc && i < n; i++)
		rc = make_fresh(a, ca, kind ? kind : LEAF_KIND, i ? PURPOSE_OPEN : first, addr,
			name, &fresh[i], err);
	if (!rc)
		rc = keep_fresh(a, "key.new", addr, ca, fresh, n, NULL, err);
	if (!rc)
		rc = put_keys(a, fresh, n, err);
	fresh_fini(&fresh[0]);
	fresh_fini(&fresh[1]);
	keyent_unref(&ca);
	return rc;
}

/* For the address that the old certificate names. */
enum rc
admin_key_renew(struct admin *a, struct err *err)
{
	const char *kind = json_get_text(a->request, "type"), *const * addrs;
	struct fresh fresh = {0};
	struct store_person person;
	struct store_key old;
	struct keyent *ca = NULL, *ent = NULL;
	char addr[ADDR_MAX + 1] = "";
	enum rc rc = admin_find_key(a, 0, &old, err);

	if (!rc)
		rc = keycache_get(vault_keycache(a->vault), old.id, false, &ent, err);
	if (!rc && old.status != KEY_ACTIVE)
		rc = err_set(err, ERR_USAGE, "key %s is %s", old.id, key_status_name(old.status));
	if (!rc && strchr(json_get_text(a->request, "key"), '@'))
		rc = admin_addr(a, "key", addr, err);
	else if (!rc && ent->cert.cert && cert_addrs(ent->cert.cert, true, &addrs) > 0)
		rc = settings_resolve(a->settings, addrs[0], addr, err);
	else if (!rc)
		rc = err_set(
			err, ERR_USAGE, "name the key by its address: its certificate has expired");
	if (!rc)
		rc = store_get_person(vault_store(a->vault), old.person, &person, err);
	if (!rc)
		rc = admin_check_present(&person, err);
	if (!rc)
		rc = open_ca(a, &ca, err);
	if (!rc)
		rc = make_fresh(a, ca, kind ? kind : LEAF_KIND, old.purpose, addr,
			strcmp(person.name, addr) == 0 ? NULL : person.name, &fresh, err);
	if (!rc)
		rc = keep_fresh(a, "key.renew", addr, ca, &fresh, 1, &old, err);
	if (!rc)
		rc = put_keys(a, &fresh, 1, err);
	fresh_fini(&fresh);
	keyent_unref(&ca);
	keyent_unref(&ent);
	return rc;
}

enum rc
admin_ca_show(struct admin *a, struct err *err)
{
	struct buf pem = BUF_INIT(1u << 20);
	struct store_cert cert = {0};
	struct store_key key;
	enum rc rc = store_find_ca(vault_store(a->vault), &key, err);

	if (!rc)
		rc = store_current_cert(vault_store(a->vault), key.id, clock_now(), &cert, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_VAULT_NO_KEY, "there is no CA of the organisation");
	if (!rc)
		rc = cert_format_pem(cert.cert, &pem, err);
	if (!rc) {
		json_str(a->out, "pem", buf_text(&pem));
		json_str(a->out, "sha256", cert.sha256);
	}
	store_cert_fini(&cert);
	buf_fini(&pem);
	return rc;
}

/* Serial numbers of what the CA issued for keys that are revoked now. */
struct revoked_list {
	struct admin *a;
	const struct keyent *ca;
	char (*keys)[STORE_ID_SIZE];
	int64_t *at;
	size_t n, room;
};

static enum rc
collect_revoked(void *ctx, const struct store_key *key, struct err *err)
{
	struct revoked_list *list = ctx;

	if (key->status != KEY_REVOKED && key->status != KEY_DESTROYED)
		return RC_OK;
	if (list->n == MAX_REVOKED)
		return err_set(err, ERR_LIMIT, "more than %d revoked keys", MAX_REVOKED);
	if (list->n == list->room) {
		size_t room = list->room * 2 + 64;
		void *keys = realloc(list->keys, room * sizeof(*list->keys));
		void *at;

		if (keys)
			list->keys = keys;
		at = keys ? realloc(list->at, room * sizeof(*list->at)) : NULL;
		if (!at)
			return err_set(err, ERR_MEMORY, "revoked keys");
		list->at = at;
		list->room = room;
	}
	memcpy(list->keys[list->n], key->id, STORE_ID_SIZE);
	list->at[list->n++] = key->changed;
	return RC_OK;
}

struct serials {
	char (*sha256)[2 * SHA256_SIZE + 1];
	size_t n, max;
};

static enum rc
collect_cert(void *ctx, const struct store_cert *cert, struct err *err)
{
	struct serials *s = ctx;

	(void)err;
	if (s->n < s->max)
		memcpy(s->sha256[s->n++], cert->sha256, sizeof(*s->sha256));
	return RC_OK;
}

/* Base64 between the lines that every tool looks for. */
static enum rc
format_pem(const struct buf *der, struct buf *out, struct err *err)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)der->data;
	enum rc rc = buf_append_str(out, "-----BEGIN X509 CRL-----\n", err);

	for (size_t i = 0; !rc && i < der->len; i += 3) {
		size_t left = der->len - i;
		unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
			     (left > 2 ? p[i + 2] : 0);
		char four[5] = {digits[v >> 18], digits[v >> 12 & 63],
			left > 1 ? digits[v >> 6 & 63] : '=', left > 2 ? digits[v & 63] : '=', 0};

		rc = buf_append(out, four, 4, err);
		if (!rc && ((i + 3) % PEM_LINE == 0 || left <= 3))
			rc = buf_append_char(out, '\n', err);
	}
	return rc ? rc : buf_append_str(out, "-----END X509 CRL-----\n", err);
}

/* One entry for each certificate of the revoked keys that this CA issued. */
static enum rc
fill_crl(struct revoked_list *list, struct revoked *v, struct cert **hold, size_t max, size_t *n,
	struct err *err)
{
	char sha256[8][2 * SHA256_SIZE + 1];
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < list->n; i++) {
		struct serials s = {.sha256 = sha256, .max = 8};

		rc = store_list_certs(
			vault_store(list->a->vault), list->keys[i], collect_cert, &s, err);
		for (size_t k = 0; !rc && k < s.n && *n < max; k++) {
			struct store_cert cert;

			rc = store_get_cert(vault_store(list->a->vault), sha256[k], &cert, err);
			if (rc)
				break;
			if (strcmp(cert_issuer(cert.cert), cert_subject(list->ca->cert.cert)) ==
				0) {
				hold[*n] = cert_ref(cert.cert);
				v[*n].serial = cert_serial_bytes(hold[*n], &v[*n].serial_len);
				v[*n].at = list->at[i];
				v[*n].reason = 0;
				(*n)++;
			}
			store_cert_fini(&cert);
		}
	}
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc
admin_ca_crl(struct admin *a, struct err *err)
{
	struct buf der = BUF_INIT(8u << 20), pem = BUF_INIT(12u << 20);
	struct revoked_list list = {.a = a};
	int64_t now = clock_now(), days = json_get_int(a->request, "days", CRL_DAYS);
	struct revoked *v = NULL;
	struct cert **hold = NULL;
	struct keyent *ca = NULL;
	size_t n = 0, max;
	uint64_t seq;
	enum rc rc = days < 1 || days > 3650 ? err_set(err, ERR_USAGE, "days: 1 to 3650")
					     : open_ca(a, &ca, err);

	list.ca = ca;
	if (!rc)
		rc = store_list_keys(
			vault_store(a->vault), NULL, "", 1u << 30, collect_revoked, &list, err);
	max = list.n * 8 + 1;
	v = calloc(max, sizeof(*v));
	hold = calloc(max, sizeof(struct cert *));
	if (!rc && (!v || !hold))
		rc = err_set(err, ERR_MEMORY, "CRL");
	if (!rc)
		rc = fill_crl(&list, v, hold, max, &n, err);
	if (!rc)
		rc = admin_record(a, "ca.crl", ca->key.id, NULL, NULL, &seq, err);
	/* The record's number only grows: a number for the CRL. */
	if (!rc)
		rc = issue_crl(ca->pkey, ca->cert.cert, v, n, (int64_t)seq, now, now + days * 86400,
			&der, err);
	if (!rc)
		rc = format_pem(&der, &pem, err);
	if (!rc) {
		json_str(a->out, "pem", buf_text(&pem));
		json_int(a->out, "entries", (int64_t)n);
	}
	for (size_t i = 0; hold && i < n; i++)
		cert_unref(&hold[i]);
	free(hold);
	free(v);
	free(list.keys);
	free(list.at);
	keyent_unref(&ca);
	buf_fini(&der);
	buf_fini(&pem);
	return rc;
}

enum rc
admin_make_ca(struct admin *a, const char *organisation, const char *type, struct buf *pem,
	struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_person person = {.kind = PERSON_ORGANISATION, .created = clock_now()};
	struct buf spki = BUF_INIT(65536), name = BUF_INIT(STORE_NAME_SIZE - 1);
	struct issue_request request = {
		.organisation = organisation,
		.not_before = clock_now() - 300,
		.not_after = clock_now() + CA_DAYS * (int64_t)86400,
	};
	struct pkey *pkey = NULL;
	struct cert *cert = NULL;
	struct store_key key;
	uint64_t seq;
	enum rc rc = make_key(type ? type : CA_KIND, PURPOSE_CA, &key, &pkey, &spki, err);

	snprintf(person.name, sizeof(person.name), "%.200s", organisation);
	/* A common name has 64 characters at most. */
	if (!rc)
		rc = buf_appendf(&name, err, "%.48s S/MIME CA", organisation);
	request.common_name = buf_text(&name);
	if (!rc)
		rc = store_new_id('p', person.id, err);
	if (!rc)
		rc = admin_record(a, "ca.new", key.id, NULL, NULL, &seq, err);
	if (!rc)
		rc = issue_root(pkey, &request, &cert, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc) {
		person.seq = key.seq = (int64_t)seq;
		strcpy(key.person, person.id);
		rc = store_put_person(store, &person, err);
	}
	if (!rc)
		rc = store_add_key(store, &key, pkey, err);
	if (!rc)
		rc = store_add_cert(store, key.id, cert, NULL, clock_now(), (int64_t)seq, err);
	if (!rc)
		rc = store_commit(store, err);
	else
		store_rollback(store);
	if (!rc)
		rc = cert_format_pem(cert, pem, err);
	pkey_unref(&pkey);
	cert_unref(&cert);
	buf_fini(&spki);
	buf_fini(&name);
	return rc;
}
