/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_export.c - a private key leaves the vault, or ceases to be: acts of two persons
 */
#include "keystore/approval.h"
#include "keystore/revoke.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/cms_envelope.h"
#include "crypto/p12.h"
#include "crypto/token_key.h"

#define FILE_MAX     (1u << 20)
#define PASSWORD_MAX 1000

static enum rc
put_addr(void *ctx, const struct store_addr *addr, struct err *err)
{
	int64_t now = clock_now();

	(void)err;
	if (addr->since <= now && (addr->until == 0 || now < addr->until))
		act_put_shown(ctx, "address", addr->addr);
	return RC_OK;
}

/* Which key, and whose. */
enum rc
approval_describe_key(
	struct admin *a, struct act *act, const struct store_key *key, struct err *err)
{
	struct store_person person;
	enum rc rc = store_get_person(vault_store(a->vault), key->person, &person, err);

	if (rc)
		return rc == RC_NONE ? err_set(err, ERR_KEYSTORE_TAMPERED,
					       "key %s belongs to nobody", key->id)
				     : rc;
	act_put(act, "key", key->id);
	act_put(act, "fingerprint", key->fingerprint);
	act_putf(act, "kind", "%s, %s, %s", key_type_name(key->type),
		key->purpose == PURPOSE_CA ? "CA OF THE ORGANISATION"
					   : key_purpose_name(key->purpose),
		key_status_name(key->status));
	act_put_shown(act, "owner", person.name);
	return store_list_addrs(vault_store(a->vault), key->person, put_addr, act, err);
}

static enum rc
find_key(struct admin *a, struct store_key *key, struct err *err)
{
	enum rc rc = admin_find_key(a, 0, key, err);

	if (!rc && key->status == KEY_DESTROYED)
		rc = err_set(err, ERR_VAULT_NO_KEY, "key %s was destroyed", key->id);
	return rc;
}

/* A key in a token: the store has its name only. */
static enum rc
look_for_token(struct admin *a, const struct store_key *key, bool *in_token, struct err *err)
{
	struct pkey *pkey = NULL;
	enum rc rc = store_unwrap_key(vault_store(a->vault), key->id, &pkey, NULL, err);

	*in_token = !rc && pkey_uri(pkey);
	pkey_unref(&pkey);
	return rc;
}

/* --- export --- */

struct export
{
	struct store_key key;
	struct cert *to; /* form cms: who can open it; owned */
	struct store_cert cert;
	bool has_cert;
};

/* "to": a certificate as PEM; without it the file is a PKCS#12 under a password. */
static enum rc
take_recipient(struct admin *a, struct export *e, struct err *err)
{
	const char *pem = json_get_text(a->request, "to");
	struct certset set = {0};
	enum rc rc;

	if (!pem)
		return RC_OK;
	rc = certset_parse(pem, strlen(pem), &set, err);
	if (!rc && set.n == 0)
		rc = err_set(err, ERR_USAGE, "a file without a certificate");
	if (!rc)
		rc = cert_check_use(set.v[0], CERT_ENCRYPT, err);
	if (!rc)
		e->to = cert_ref(set.v[0]);
	certset_fini(&set);
	return rc;
}

static void
describe_export(struct act *act, const struct export *e)
{
	if (!e->to) {
		act_put(act, "form", "PKCS#12 under a password of whoever runs this");
		return;
	}
	act_put(act, "form", "encrypted to the certificate below");
	act_put(act, "to", cert_fingerprint(e->to));
	act_put_shown(act, "to-subject", cert_subject(e->to));
	act_put_shown(act, "to-issuer", cert_issuer(e->to));
}

struct first_cert {
	char sha256[2 * SHA256_SIZE + 1];
};

static enum rc
pick_cert(void *ctx, const struct store_cert *cert, struct err *err)
{
	struct first_cert *first = ctx;

	(void)err;
	if (!first->sha256[0])
		strcpy(first->sha256, cert->sha256);
	return RC_OK;
}

/* The certificate that goes along: the one that is valid now, else the newest, else none. */
static enum rc
load_cert(struct admin *a, struct export *e, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct first_cert first = {""};
	enum rc rc = store_current_cert(store, e->key.id, clock_now(), &e->cert, err);

	if (rc == RC_NONE) {
		rc = store_list_certs(store, e->key.id, pick_cert, &first, err);
		if (rc || !first.sha256[0])
			return rc;
		rc = store_get_cert(store, first.sha256, &e->cert, err);
	}
	e->has_cert = rc == RC_OK;
	return rc == RC_NONE ? RC_OK : rc;
}

/* PEM of key and certificates in AuthEnvelopedData, so that nothing plain leaves this process. */
static enum rc
envelope(const struct pkey *pkey, const struct export *e, struct buf *out, struct err *err)
{
	struct cms_envelope_options options = {.cipher = CIPHER_AES256_GCM};
	struct buf pem = {.max = FILE_MAX, .wipe = true};
	struct certset to = {0};
	struct cms_envelope *stage = NULL;
	struct sink sink, feed;
	enum rc rc = pem_write_key(pkey, e->cert.cert, &e->cert.chain, &pem, err);

	sink = sink_to_buf(out);
	if (!rc)
		rc = certset_add(&to, e->to, err);
	if (!rc)
		rc = cms_envelope_new(&to, &options, pem.len, &sink, &stage, err);
	if (!rc) {
		feed = cms_envelope_sink(stage);
		rc = sink_feed(&feed, pem.data, pem.len, err);
		if (!rc)
			rc = sink_finish(&feed, err);
	}
	cms_envelope_free(&stage);
	certset_fini(&to);
	buf_fini(&pem);
	return rc;
}

static enum rc
write_file(struct admin *a, const struct export *e, struct err *err)
{
	struct buf out = {.max = FILE_MAX, .wipe = true};
	struct pkey *pkey = NULL;
	enum rc rc = store_unwrap_key(vault_store(a->vault), e->key.id, &pkey, NULL, err);

	if (!rc)
		rc = e->to ? envelope(pkey, e, &out, err)
			   : p12_write(pkey, e->cert.cert, &e->cert.chain, e->key.id, a->blob, &out,
				     err);
	if (!rc)
		rc = secret_copy(out.data, out.len, &a->result, err);
	pkey_unref(&pkey);
	buf_fini(&out);
	return rc;
}

/* Intent, durable; then the key; then the outcome. */
static enum rc
export_key(struct admin *a, const struct export *e, struct err *err)
{
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_INTENT);
	struct ledger_record outcome = LEDGER_RECORD_INIT(LEDGER_OUTCOME);
	struct err ignored = ERR_INIT;
	char detail[64];
	uint64_t seq;
	enum rc rc;

	snprintf(detail, sizeof(detail), "{\"request\":\"%s\"}", a->approved);
	record.event = "export";
	record.observed.key = e->key.id;
	record.observed.fingerprint = e->has_cert ? e->cert.sha256 : e->key.fingerprint;
	record.observed.service = "admin";
	record.observed.uid = a->uid;
	record.observed.pid = a->pid;
	record.detail = detail;
	rc = ledger_append(vault_ledger(a->vault), &record, &seq, err);
	if (rc)
		return rc;
	rc = write_file(a, e, err);
	outcome.event = rc ? "failed" : "done";
	outcome.reason = rc ? err_name(err->code) : NULL;
	outcome.intent = seq;
	outcome.observed.key = e->key.id;
	outcome.lazy = true;
	if (ledger_append(vault_ledger(a->vault), &outcome, NULL, &ignored))
		log_error(LOGL_WARN, NULL, "ledger-outcome-lost", &ignored, NULL);
	return rc;
}

enum rc
admin_key_export(struct admin *a, struct err *err)
{
	struct export e = {.to = NULL};
	struct act act;
	bool go = false, in_token = false;
	enum rc rc;

	act_init(&act, "key.export", true);
	rc = find_key(a, &e.key, err);
	if (!rc)
		rc = look_for_token(a, &e.key, &in_token, err);
	if (!rc && in_token)
		rc = err_set(err, ERR_VAULT_DENIED,
			"key %s is in a token, out of which nobody here can take it", e.key.id);
	if (!rc)
		rc = take_recipient(a, &e, err);
	/* What would fail for want of a password is not to use the approval up. */
	if (!rc && a->approved && !e.to &&
		(!a->blob || secret_len(a->blob) < 8 || secret_len(a->blob) > PASSWORD_MAX ||
			memchr(secret_data(a->blob), 0, secret_len(a->blob))))
		rc = err_set(err, ERR_USAGE, "a PKCS#12 file needs a password of 8 to %d bytes",
			PASSWORD_MAX);
	if (!rc)
		rc = load_cert(a, &e, err);
	if (!rc)
		rc = approval_describe_key(a, &act, &e.key, err);
	if (!rc) {
		describe_export(&act, &e);
		rc = approval_require(a, &act, &go, err);
	}
	if (!rc && go) {
		rc = export_key(a, &e, err);
		json_str(a->out, "key", e.key.id);
		json_str(a->out, "form", e.to ? "cms" : "pkcs12");
	}
	act_fini(&act);
	cert_unref(&e.to);
	store_cert_fini(&e.cert);
	return rc;
}

/* --- deletion --- */

static enum rc
destroy(struct admin *a, const struct store_key *key, struct err *err)
{
	struct store *store = vault_store(a->vault);
	char detail[64];
	size_t outside;
	uint64_t seq;
	enum rc rc;

	snprintf(detail, sizeof(detail), "{\"request\":\"%s\"}", a->approved);
	rc = admin_record(a, "key.delete", key->id, NULL, detail, &seq, err);
	if (!rc)
		rc = store_begin(store, err);
	if (rc)
		return rc;
	rc = store_destroy_key(store, key->id, clock_now(), (int64_t)seq, err);
	/* Nobody is to encrypt to it any more. */
	if (!rc)
		rc = revoke_certs(store, key->id,
			&(struct revoke_how){REVOKE_ENDED, NULL, clock_now(), (int64_t)seq},
			&outside, err);
	if (rc) {
		store_rollback(store);
		return rc;
	}
	rc = store_commit(store, err);
	if (rc)
		return rc;
	if (outside)
		json_int(a->out, "outside", (int64_t)outside);
	keycache_flush(vault_keycache(a->vault));
	rc = store_checkpoint(store, err);
	if (rc)
		err_prefix(
			err, "the key is destroyed, but its bytes are in the write-ahead log yet");
	return rc;
}

enum rc
admin_key_delete(struct admin *a, struct err *err)
{
	struct store_key key;
	struct act act;
	bool go = false, in_token = false;
	enum rc rc;

	act_init(&act, "key.delete", true);
	rc = find_key(a, &key, err);
	if (!rc)
		rc = look_for_token(a, &key, &in_token, err);
	if (!rc && key.purpose == PURPOSE_CA && key.status == KEY_ACTIVE)
		rc = err_set(err, ERR_VAULT_DENIED,
			"key %s is the organisation's CA, which is in use", key.id);
	if (!rc)
		rc = approval_describe_key(a, &act, &key, err);
	if (!rc) {
		act_put(&act, "effect",
			in_token
				? "the vault forgets the key; in its token it has to be destroyed too"
				: "the private key is destroyed: what only it opens stays closed");
		rc = approval_require(a, &act, &go, err);
	}
	if (!rc && go)
		rc = destroy(a, &key, err);
	if (!rc && go)
		rc = store_get_key(vault_store(a->vault), key.id, &key, err);
	if (!rc && go) {
		json_array(a->out, "keys");
		rc = admin_put_key(a, &key, false, false, err);
		json_array_end(a->out);
	}
	act_fini(&act);
	return rc;
}
