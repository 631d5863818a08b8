/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_request.c - key.request: keys for which an outside CA is asked
 *
 * A new key waits without certificate; what was asked is kept, so that asking again gives the same
 * bytes and no second key. The request is signed by the key itself: a use of it like others, with
 * an intent before and an outcome after.
 */
#include "keystore/admin_cmd.h"

#include <string.h>

#include "base/clock.h"
#include "crypto/csr.h"
#include "keystore/store_request.h"

#define DEFAULT_TYPE    "rsa2048"
#define DEFAULT_SUBJECT "CN={address}"

/* What is asked for, and the key for it. */
struct asked {
	char addr[ADDR_MAX + 1];
	enum key_purpose purpose;
	const char *type; /* NULL: not given */
	struct dn subject;
	struct buf subject_text;
	struct store_key key;
	struct store_request row;
	struct pkey *pkey;
	struct buf der;
	bool fresh; /* the key is new */
	bool again; /* nothing was done: the request is there already */
};

/* TEMPLATE with {address} and {name} filled in. */
static enum rc
fill_template(
	const char *template, const char *addr, const char *name, struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;

	while (!rc && *template) {
		size_t n = strcspn(template, "{");

		rc = buf_append(out, template, n, err);
		template += n;
		if (rc || !*template)
			break;
		if (strncmp(template, "{address}", 9) == 0) {
			rc = dn_escape(addr, out, err);
			template += 9;
		} else if (strncmp(template, "{name}", 6) == 0) {
			rc = dn_escape(name, out, err);
			template += 6;
		} else {
			rc = err_set(err, ERR_USAGE,
				"subject: {address} and {name} are what can be filled in");
		}
	}
	return rc;
}

/* The subject, in the one way in which it is compared and kept. */
static enum rc
make_subject(
	struct admin *a, const struct store_person *person, struct asked *asked, struct err *err)
{
	const char *template = json_get_text(a->request, "subject"),
		   *name = json_get_text(a->request, "name");
	struct buf text = BUF_INIT(DN_MAX_BYTES);
	enum rc rc;

	if (!name)
		name = person->name[0] ? person->name : asked->addr;
	rc = fill_template(template ? template : DEFAULT_SUBJECT, asked->addr, name, &text, err);
	if (!rc && (rc = dn_parse(buf_text(&text), text.len, &asked->subject, err)))
		err_prefix(err, "subject");
	if (!rc)
		rc = csr_check_subject(&asked->subject, err);
	if (!rc)
		rc = dn_format(&asked->subject, &asked->subject_text, err);
	if (!rc && asked->subject_text.len >= STORE_SUBJECT_SIZE)
		rc = err_set(err, ERR_LIMIT, "a subject of %zu bytes", asked->subject_text.len);
	buf_fini(&text);
	return rc;
}

/* Among the keys of a person: one that waits for an answer to such a request, and an active one. */
struct look {
	struct admin *a;
	const struct asked *asked;
	struct store_key waiting, active;
	struct store_request row;
	bool has_waiting, has_active;
};

static enum rc
each_key(void *ctx, const struct store_key *key, struct err *err)
{
	struct look *look = ctx;
	struct store_request row;
	enum rc rc;

	if (key->purpose == PURPOSE_CA || !(key->purpose & look->asked->purpose))
		return RC_OK;
	if (key->status == KEY_ACTIVE && !look->has_active) {
		look->active = *key;
		look->has_active = true;
	}
	if (key->status != KEY_WAITING || look->has_waiting || key->purpose != look->asked->purpose)
		return RC_OK;
	rc = store_get_request(vault_store(look->a->vault), key->id, &row, NULL, err);
	if (rc == RC_OK && strcmp(row.addr, look->asked->addr) == 0) {
		look->waiting = *key;
		look->row = row;
		look->has_waiting = true;
	}
	return rc == RC_NONE ? RC_OK : rc;
}

/* "rsa2048" and the like name the kind of key that "rsa", "ec-p256" are. */
static bool
is_of_type(const struct pkey *pkey, const char *type)
{
	struct buf spki = BUF_INIT(65536);
	const char *name = key_type_name(pkey_type(pkey));
	size_t n = 0;
	bool same;

	if (strncmp(type, "rsa", 3) != 0)
		return strncmp(name, "ec-", 3) == 0 && strcmp(name + 3, type) == 0;
	/* The modulus is all of the public key but some 38 bytes. */
	if (pkey_public(pkey, &spki, NULL) == RC_OK)
		n = spki.len * 8;
	same = strcmp(name, "rsa") == 0 &&
	       ((strcmp(type, "rsa2048") == 0 && n < 2600) ||
		       (strcmp(type, "rsa3072") == 0 && n >= 2600 && n < 3600) ||
		       (strcmp(type, "rsa4096") == 0 && n >= 3600));
	buf_fini(&spki);
	return same;
}

static enum rc
take_waiting(struct admin *a, const struct look *look, struct asked *asked, struct err *err)
{
	enum rc rc =
		store_unwrap_key(vault_store(a->vault), look->waiting.id, &asked->pkey, NULL, err);

	asked->key = look->waiting;
	asked->row = look->row;
	if (!rc && asked->type && !is_of_type(asked->pkey, asked->type))
		rc = err_set(err, ERR_KEY_EXISTS,
			"%s has key %s waiting for a certificate, and it is no %s: retire it, or "
			"ask for one more",
			asked->addr, asked->key.id, asked->type);
	return rc;
}

static enum rc
make_key(struct asked *asked, struct err *err)
{
	struct buf spki = BUF_INIT(65536);
	enum rc rc = pkey_generate(asked->type ? asked->type : DEFAULT_TYPE, &asked->pkey, err);

	asked->fresh = true;
	asked->key = (struct store_key){.purpose = asked->purpose,
		.status = KEY_WAITING,
		.created = clock_now(),
		.changed = clock_now()};
	if (!rc)
		rc = pkey_public(asked->pkey, &spki, err);
	if (!rc)
		rc = spki_fingerprint(spki.data, spki.len, asked->key.fingerprint, err);
	if (!rc)
		rc = store_new_id('k', asked->key.id, err);
	if (!rc)
		asked->key.type = pkey_type(asked->pkey);
	buf_fini(&spki);
	return rc;
}

/* A key for ADDR: the one that waits already, or a new one. */
static enum rc
choose_key(struct admin *a, struct asked *asked, struct err *err)
{
	bool also = json_is_true(json_find(a->request, "also")),
	     renew = json_is_true(json_find(a->request, "renew"));
	struct look look = {.a = a, .asked = asked};
	struct store_person person = {.name = ""};
	struct store_addr row;
	enum rc rc = store_find_addr(vault_store(a->vault), asked->addr, clock_now(), &row, err);

	if (!rc)
		rc = store_get_person(vault_store(a->vault), row.person, &person, err);
	if (!rc && !store_person_is_present(&person, clock_now()))
		rc = err_set(err, ERR_VAULT_DENIED, "%s has left", asked->addr);
	if (!rc)
		rc = admin_check_present(&person, err);
	if (!rc)
		rc = store_list_keys(vault_store(a->vault), row.person, "", STORE_MAX_ROWS,
			each_key, &look, err);
	rc = rc == RC_NONE ? RC_OK : rc;
	if (!rc)
		rc = make_subject(a, &person, asked, err);
	if (!rc && renew && !look.has_active)
		rc = err_set(err, ERR_VAULT_NO_KEY, "%s has no active key to renew", asked->addr);
	if (rc)
		return rc;
	if (look.has_waiting && !also) {
		rc = take_waiting(a, &look, asked, err);
	} else if (look.has_active && !also && !renew) {
		rc = err_set(err, ERR_KEY_EXISTS, "%s has the active key %s already", asked->addr,
			look.active.id);
	} else {
		rc = make_key(asked, err);
	}
	if (!rc && renew)
		strcpy(asked->row.replaces, look.active.id);
	return rc;
}

/* The address: of the request, of the one that is open, or of the certificate (NULL: none). */
static enum rc
name_owner(struct admin *a, struct asked *asked, const struct cert *cert, struct err *err)
{
	const char *const *addrs;

	if (json_find(a->request, "addr"))
		return admin_addr(a, "addr", asked->addr, err);
	if (strchr(json_get_text(a->request, "key"), '@'))
		return admin_addr(a, "key", asked->addr, err);
	if (asked->row.addr[0])
		strcpy(asked->addr, asked->row.addr);
	else if (cert && cert_addrs(cert, true, &addrs) > 0)
		return settings_resolve(a->settings, addrs[0], asked->addr, err);
	else
		return err_set(err, ERR_USAGE,
			"name the key by its address: it has no certificate that is valid now");
	return RC_OK;
}

/* A further certificate for a key that has one. */
static enum rc
choose_same_key(struct admin *a, struct asked *asked, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct keyent *ent = NULL;
	struct store_person person;
	enum rc rc = admin_find_key(a, asked->purpose, &asked->key, err);

	if (!rc && asked->key.purpose == PURPOSE_CA)
		rc = err_set(err, ERR_VAULT_DENIED, "key %s is a CA's", asked->key.id);
	if (!rc && asked->key.status != KEY_ACTIVE && asked->key.status != KEY_WAITING)
		rc = err_set(err, ERR_USAGE, "key %s is %s", asked->key.id,
			key_status_name(asked->key.status));
	if (!rc)
		rc = keycache_get(vault_keycache(a->vault), asked->key.id, true, &ent, err);
	if (!rc) {
		asked->pkey = pkey_ref(ent->pkey);
		asked->purpose = asked->key.purpose;
		rc = store_get_request(store, asked->key.id, &asked->row, NULL, err);
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	if (!rc)
		rc = name_owner(a, asked, ent->cert.cert, err);
	if (!rc)
		rc = store_get_person(store, asked->key.person, &person, err);
	if (!rc && !store_person_is_present(&person, clock_now()))
		rc = err_set(err, ERR_VAULT_DENIED, "%s has left", asked->addr);
	if (!rc)
		rc = admin_check_present(&person, err);
	if (!rc)
		rc = make_subject(a, &person, asked, err);
	keyent_unref(&ent);
	return rc;
}

/* Signs the request; the key is not used before that is on the disk. */
static enum rc
sign_request(struct admin *a, struct asked *asked, struct err *err)
{
	struct csr_request request = {
		.subject = &asked->subject,
		.addr = asked->addr,
		.use = (asked->purpose & PURPOSE_SIGN ? CERT_SIGN : 0) |
		       (asked->purpose & PURPOSE_OPEN ? CERT_ENCRYPT : 0),
	};
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_INTENT),
			     done = LEDGER_RECORD_INIT(LEDGER_OUTCOME);
	uint64_t seq = 0;
	enum rc rc;

	record.event = "request";
	record.observed.key = done.observed.key = asked->key.id;
	record.observed.fingerprint = asked->key.fingerprint;
	record.observed.service = "admin";
	record.observed.uid = a->uid;
	record.observed.pid = a->pid;
	record.subject = asked->addr;
	rc = ledger_append(vault_ledger(a->vault), &record, &seq, err);
	if (rc)
		return rc;
	rc = csr_make(asked->pkey, &request, &asked->der, err);
	done.event = rc ? "failed" : "done";
	done.reason = rc ? err_name(err->code) : NULL;
	done.intent = seq;
	done.lazy = true;
	(void)ledger_append(vault_ledger(a->vault), &done, NULL, NULL);
	return rc;
}

static enum rc
keep(struct admin *a, struct asked *asked, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_person person;
	uint64_t seq;
	enum rc rc = admin_record(a, "key.request", asked->key.id, asked->addr, NULL, &seq, err);

	if (!rc)
		rc = store_begin(store, err);
	if (!rc && asked->fresh) {
		rc = admin_get_person(a, asked->addr, seq, &person, err);
		if (!rc) {
			strcpy(asked->key.person, person.id);
			asked->key.seq = (int64_t)seq;
			rc = store_add_key(store, &asked->key, asked->pkey, err);
		}
	}
	strcpy(asked->row.key, asked->key.id);
	strcpy(asked->row.addr, asked->addr);
	strcpy(asked->row.subject, buf_text(&asked->subject_text));
	asked->row.created = clock_now();
	asked->row.seq = (int64_t)seq;
	if (!rc)
		rc = store_put_request(store, &asked->row, &asked->der, err);
	return rc ? rc : store_commit(store, err);
}

/* The same request as before is answered with the same bytes. */
static enum rc
look_for_same(struct admin *a, struct asked *asked, struct err *err)
{
	struct store_request row;
	enum rc rc;

	if (asked->fresh)
		return RC_OK;
	rc = store_get_request(vault_store(a->vault), asked->key.id, &row, &asked->der, err);
	asked->again = rc == RC_OK && strcmp(row.subject, buf_text(&asked->subject_text)) == 0 &&
		       strcmp(row.addr, asked->addr) == 0 &&
		       strcmp(row.replaces, asked->row.replaces) == 0;
	if (!asked->again)
		buf_clear(&asked->der);
	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc
answer(struct admin *a, const struct asked *asked, struct err *err)
{
	struct buf pem = BUF_INIT(65536);
	enum rc rc;

	json_array(a->out, "keys");
	rc = admin_put_key(a, &asked->key, false, asked->again, err);
	json_array_end(a->out);
	if (!rc)
		rc = csr_format_pem(asked->der.data, asked->der.len, &pem, err);
	if (!rc) {
		json_str(a->out, "address", asked->addr);
		json_str(a->out, "subject", buf_text(&asked->subject_text));
		json_str(a->out, "csr", buf_text(&pem));
	}
	buf_fini(&pem);
	return rc;
}

enum rc
admin_key_request(struct admin *a, struct err *err)
{
	const char *purpose = json_get_text(a->request, "purpose");
	struct asked asked = {.purpose = PURPOSE_BOTH,
		.type = json_get_text(a->request, "type"),
		.subject_text = BUF_INIT(DN_MAX_BYTES),
		.der = BUF_INIT(65536)};
	bool same_key = json_find(a->request, "key") != NULL;
	enum rc rc = RC_OK;

	if (purpose && (!key_purpose_find(purpose, &asked.purpose) || asked.purpose == PURPOSE_CA))
		rc = err_set(err, ERR_USAGE, "purpose: both, sign or open");
	if (!rc && same_key)
		rc = choose_same_key(a, &asked, err);
	else if (!rc && (rc = admin_addr(a, "addr", asked.addr, err)) == RC_OK)
		rc = choose_key(a, &asked, err);
	if (!rc)
		rc = look_for_same(a, &asked, err);
	if (!rc && !asked.again)
		rc = sign_request(a, &asked, err);
	if (!rc && !asked.again)
		rc = keep(a, &asked, err);
	if (!rc)
		rc = answer(a, &asked, err);
	pkey_unref(&asked.pkey);
	dn_fini(&asked.subject);
	buf_fini(&asked.subject_text);
	buf_fini(&asked.der);
	return rc;
}
