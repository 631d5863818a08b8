/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/use.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/log.h"
#include "crypto/cms_envelope.h"
#include "crypto/cms_sign.h"
#include "crypto/token_key.h"

#define KEYS_OF_PERSON 64  /* looked at to find a signer */
#define RINFO_PARTS    512 /* keys in one KeyAgreeRecipientInfo: more than fit into CMS_MAX_RINFO */
#define TIME_BACK      (7 * 86400)
#define TIME_AHEAD     600
#define DETAIL_SIZE    256

struct key_ids {
	char ids[KEYS_OF_PERSON][STORE_ID_SIZE];
	size_t n;
	unsigned purpose; /* any of these bits */
	bool only_active;
	uint64_t waits; /* bits of those whose use_from is still to come */
};

static enum rc
collect_key(void *ctx, const struct store_key *key, struct err *err)
{
	struct key_ids *found = ctx;

	(void)err;
	if (key->purpose != PURPOSE_CA && key->status != KEY_WAITING &&
		key->status != KEY_DESTROYED && (key->purpose & found->purpose) &&
		(key->status == KEY_ACTIVE || !found->only_active) && found->n < KEYS_OF_PERSON)
		memcpy(found->ids[found->n++], key->id, STORE_ID_SIZE);
	if (found->n && key->use_from > clock_now() &&
		strcmp(found->ids[found->n - 1], key->id) == 0)
		found->waits |= (uint64_t)1 << (found->n - 1);
	return RC_OK;
}

/* Successors whose time has not come sign only when nothing else can. */
static void
put_waiting_last(struct key_ids *keys)
{
	struct key_ids in = *keys;

	if (!keys->waits)
		return;
	keys->n = 0;
	for (int waits = 0; waits < 2; waits++)
		for (size_t i = 0; i < in.n; i++)
			if ((int)(in.waits >> i & 1) == waits)
				memcpy(keys->ids[keys->n++], in.ids[i], STORE_ID_SIZE);
}

/* Who has this address now, by the vault's tables. */
static enum rc
find_owner(struct vault *vault, const struct settings *settings, const char *addr,
	char resolved[ADDR_MAX + 1], char person[STORE_ID_SIZE], struct err *err)
{
	enum rc rc = settings_resolve(settings, addr, resolved, err);

	if (rc || !*resolved)
		return rc == RC_TEMP ? rc : RC_NONE;
	return rowcache_find_owner(vault_rowcache(vault), resolved, clock_now(), person, err);
}

static bool
valid_now(const struct keyent *ent)
{
	int64_t now = clock_now();

	return ent->cert.cert && ent->cert.not_before <= now && now <= ent->cert.not_after;
}

enum rc
use_find_signer(struct vault *vault, const struct settings *settings, const char *addr,
	struct keyent **ent, struct err *err)
{
	struct key_ids keys = {.purpose = PURPOSE_SIGN, .only_active = true};
	char resolved[ADDR_MAX + 1], person[STORE_ID_SIZE];
	bool named = false;
	enum rc rc = find_owner(vault, settings, addr, resolved, person, err);

	*ent = NULL;
	if (!rc)
		rc = rowcache_find_present(vault_rowcache(vault), person, clock_now(), err);
	if (!rc)
		rc = store_list_keys(
			vault_store(vault), person, "", STORE_MAX_ROWS, collect_key, &keys, err);
	put_waiting_last(&keys);
	/* The newest key whose certificate names the address; failing that the newest. */
	for (size_t i = 0; !rc && i < keys.n && !named; i++) {
		struct keyent *e;

		rc = keycache_get(vault_keycache(vault), keys.ids[i], false, &e, err);
		if (rc == RC_NONE)
			rc = RC_OK;
		if (rc || !e)
			continue;
		if (valid_now(e) && cert_allows(e->cert.cert, CERT_SIGN)) {
			named = cert_has_addr(e->cert.cert, resolved, true);
			if (named || !*ent) {
				keyent_unref(ent);
				*ent = e;
				continue;
			}
		}
		keyent_unref(&e);
	}
	if (rc)
		keyent_unref(ent);
	return rc ? rc : *ent ? RC_OK : RC_NONE;
}

enum rc
use_holds(struct vault *vault, const struct settings *settings, const char *addr, bool *client_key,
	struct err *err)
{
	struct key_ids keys = {.purpose = PURPOSE_OPEN};
	char resolved[ADDR_MAX + 1], owner[STORE_ID_SIZE];
	struct store_person person;
	enum rc rc = find_owner(vault, settings, addr, resolved, owner, err);

	*client_key = false;
	if (!rc)
		rc = store_list_keys(
			vault_store(vault), owner, "", STORE_MAX_ROWS, collect_key, &keys, err);
	if (!rc && keys.n == 0)
		return RC_NONE;
	if (!rc)
		rc = store_get_person(vault_store(vault), owner, &person, err);
	if (!rc)
		*client_key = person.client_key;
	return rc;
}

/* --- the ledger --- */

/* A refused use goes into the ledger; that it cannot be written changes nothing, for no key was
 * used. */
static enum rc
deny(struct vault *vault, const struct peer *peer, const char *event, const char *key,
	const struct vault_claim *claim, const char *qid, struct err *why)
{
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_DENIED);
	struct err err = ERR_INIT;

	counter_add(COUNTER_VAULT_DENIED, 1);
	if (!flood_admits(vault_flood(vault), peer->service, event, key, err_name(why->code),
		    clock_now()))
		return err_rc(why->code);
	record.event = event;
	record.reason = err_name(why->code);
	record.observed.key = key;
	record.observed.service = peer->service;
	record.observed.uid = peer->uid;
	record.observed.pid = peer->pid;
	record.claim = claim;
	record.lazy = true;
	if (ledger_append(vault_ledger(vault), &record, NULL, &err))
		log_error(LOGL_WARN, qid, "ledger-denied-lost", &err, NULL);
	log_error(LOGL_INFO, qid, "key-denied", why, "use", event, "service", peer->service, "key",
		key, NULL);
	return err_rc(why->code);
}

/* After the key was used: "done", or "failed" with the reason. Made durable with what comes next.
 */
static void
outcome(const struct use *use, enum rc rc, const struct err *why)
{
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_OUTCOME);
	struct err err = ERR_INIT;

	record.event = rc ? "failed" : "done";
	record.reason = rc ? err_name(why->code) : NULL;
	record.intent = ledger_group_seq(use->group, use->index);
	record.observed.key = use->ent->key.id;
	record.lazy = true;
	if (ledger_append(vault_ledger(use->vault), &record, NULL, &err))
		log_error(LOGL_WARN, NULL, "ledger-outcome-lost", &err, NULL);
}

/* LEN bytes as hex digits and a NUL. */
static void
hex_of(const unsigned char *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * len] = 0;
}

static void
fill_intent(struct ledger_record *record, const char *event, const struct peer *peer,
	const struct keyent *ent, const struct vault_claim *claim)
{
	*record = (struct ledger_record)LEDGER_RECORD_INIT(LEDGER_INTENT);
	record->event = event;
	record->observed.key = ent->key.id;
	record->observed.fingerprint = ent->cert.sha256[0] ? ent->cert.sha256 : NULL;
	record->observed.service = peer->service;
	record->observed.uid = peer->uid;
	record->observed.pid = peer->pid;
	record->claim = claim;
}

void
use_fini(struct use *use)
{
	keyent_unref(&use->ent);
}

/* --- signing --- */

/*
 * Who has left signs nothing: neither is a key of theirs used, nor another's by their login. (Where
 * logins are no addresses the vault knows nobody by them.) That somebody left between the question
 * for a key and its use is no reason to refuse a message for good.
 */
static enum rc
check_present(struct vault *vault, const struct settings *settings, const struct keyent *ent,
	const char *identity, struct err *err)
{
	char resolved[ADDR_MAX + 1], person[STORE_ID_SIZE];
	struct err ignored = ERR_INIT;
	enum rc rc =
		rowcache_find_present(vault_rowcache(vault), ent->key.person, clock_now(), err);

	if (rc == RC_NONE)
		return err_set(err, ERR_VAULT_KEY_CHANGED,
			"key %s belongs to somebody who has left", ent->key.id);
	if (rc || !identity || !strchr(identity, '@'))
		return rc;
	rc = find_owner(vault, settings, identity, resolved, person, &ignored);
	if (!rc && strcmp(person, ent->key.person) != 0)
		rc = rowcache_find_present(vault_rowcache(vault), person, clock_now(), &ignored);
	else if (rc == RC_NONE)
		rc = RC_OK; /* nobody that the tables know */
	if (rc == RC_NONE)
		return err_set(err, ERR_VAULT_DENIED, "the login is of somebody who has left");
	if (rc)
		*err = ignored;
	return rc;
}

/* May this key sign now? A service asks for the key first and signs later: that the key was
 * replaced in between is no reason to refuse a message for good. */
static enum rc
check_signer(const struct keyent *ent, const struct vault_sign_request *request, size_t value_len,
	struct err *err)
{
	if (ent->key.status != KEY_ACTIVE)
		return err_set(err, ERR_VAULT_KEY_CHANGED, "key %s is %s", ent->key.id,
			key_status_name(ent->key.status));
	if (!(ent->key.purpose & PURPOSE_SIGN) || ent->key.purpose == PURPOSE_CA)
		return err_set(err, ERR_VAULT_DENIED, "key %s is for %s", ent->key.id,
			key_purpose_name(ent->key.purpose));
	if (!valid_now(ent))
		return err_set(err, ERR_VAULT_KEY_CHANGED,
			"key %s has no certificate that is valid now", ent->key.id);
	if (request->digest != DIGEST_SHA256 && request->digest != DIGEST_SHA384 &&
		request->digest != DIGEST_SHA512)
		return err_set(err, ERR_VAULT_DENIED, "signing with digest %s",
			digest_name(request->digest));
	if (value_len != digest_size(request->digest))
		return err_set(err, ERR_VAULT_PROTOCOL, "a digest of %zu bytes", value_len);
	return RC_OK;
}

static enum rc
put_sign_intent(struct use *use, const struct peer *peer, const struct vault_sign_request *request,
	struct err *err)
{
	char digest[2 * DIGEST_MAX_SIZE + 1];
	struct ledger_record record;

	fill_intent(&record, "sign", peer, use->ent, &request->claim);
	hex_of(request->value, digest_size(request->digest), digest);
	record.observed.digest_name = digest_name(request->digest);
	record.observed.digest = digest;
	flood_credit(
		vault_flood(use->vault), peer->service, request->claim.n_recipients, clock_now());
	return ledger_group_add(use->group, &record, &use->index, err);
}

enum rc
use_sign_begin(struct use *use, struct vault *vault, const struct settings *settings,
	const struct peer *peer, const struct vault_sign_request *request, size_t value_len,
	struct ledger_group *group, struct err *err)
{
	enum rc rc;

	*use = (struct use){.vault = vault, .group = group};
	if (!(peer->role & ROLE_SIGN))
		rc = err_set(err, ERR_VAULT_DENIED, "service %s may not sign", peer->service);
	else
		rc = keycache_get(vault_keycache(vault), request->key_id, true, &use->ent, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_VAULT_NO_KEY, "no key %s", request->key_id);
	if (!rc)
		rc = check_signer(use->ent, request, value_len, err);
	if (!rc)
		rc = pkey_ready(use->ent->pkey, err);
	if (!rc)
		rc = check_present(vault, settings, use->ent, request->claim.identity, err);
	if (!rc)
		rc = budget_charge(vault_budget(vault), settings, peer->service, use->ent->key.id,
			ROLE_SIGN, clock_now(), err);
	if (rc && (err->code == ERR_VAULT_DENIED || err->code == ERR_VAULT_NO_KEY ||
			  err->code == ERR_VAULT_BUDGET || err->code == ERR_VAULT_KEY_CHANGED))
		deny(vault, peer, "sign", use->ent ? use->ent->key.id : NULL, &request->claim,
			request->claim.qid, err);
	return rc ? rc : put_sign_intent(use, peer, request, err);
}

enum rc
use_sign_end(
	struct use *use, const struct vault_sign_request *request, struct buf *der, struct err *err)
{
	const struct keyent *ent = use->ent;
	int64_t now = clock_now();
	struct cms_sign_request cms = {
		.digest = request->digest,
		.value = request->value,
		.signing_time = request->signing_time,
		.pss = request->pss,
		.encrypt_cert = ent->encrypt_cert,
		.signer = ent->signer,
	};
	enum rc rc;

	if (cms.signing_time < now - TIME_BACK || cms.signing_time > now + TIME_AHEAD)
		cms.signing_time = -1;
	rc = cms_sign_digest(ent->pkey, ent->cert.cert, &ent->cert.chain, &cms, der, err);
	outcome(use, rc, err);
	counter_add(COUNTER_VAULT_SIGNS, 1);
	return rc;
}

/* --- opening --- */

/*
 * May PERSON, who has the recipient's address now ("": nobody, or somebody who has left), have mail
 * opened with this key? An address that was another's gives nothing: neither that one's keys nor
 * grants to them. The keys of somebody who has left open for grants only, and leaving ends those
 * that were not made to go on (person_leave.c); what officers open together is another way.
 */
static enum rc
check_entitled(struct vault *vault, const struct store_key *key, const char *person,
	char grant[STORE_ID_SIZE], struct err *err)
{
	grant[0] = 0;
	if (key->purpose == PURPOSE_CA || !(key->purpose & PURPOSE_OPEN) || !*person)
		return RC_NONE;
	if (strcmp(key->person, person) == 0)
		return RC_OK;
	return rowcache_find_grant(
		vault_rowcache(vault), key->person, person, clock_now(), grant, err);
}

/*
 * The key among those that C names which PERSON may have used, by GRANT ("": it is theirs); a
 * reference for the caller.
 * RC_NONE: none; *known tells whether there is one that is somebody else's.
 */
static enum rc
find_opener(struct vault *vault, const char *person, const struct candidate *c, struct keyent **ent,
	char grant[STORE_ID_SIZE], bool *known, struct err *err)
{
	char ids[ROWCACHE_KEYS][STORE_ID_SIZE];
	size_t n;
	enum rc rc =
		rowcache_match(vault_rowcache(vault), c->is_ski, c->value, c->len, ids, &n, err);

	for (size_t i = 0; !rc && i < n; i++) {
		rc = keycache_get(vault_keycache(vault), ids[i], false, ent, err);
		if (rc == RC_NONE)
			return err_set(err, ERR_KEYSTORE_TAMPERED, "key %s is gone", ids[i]);
		if (rc)
			return rc;
		if ((*ent)->key.status == KEY_DESTROYED) { /* as if it had never been here */
			keyent_unref(ent);
			continue;
		}
		rc = check_entitled(vault, &(*ent)->key, person, grant, err);
		if (rc == RC_OK)
			return rc;
		keyent_unref(ent);
		if (rc != RC_NONE)
			return rc;
		*known = true;
		rc = RC_OK;
	}
	return rc ? rc : RC_NONE;
}

/* The person that the tables know by the address RESOLVED, "" for nobody, and for somebody who has
 * left (*left). */
static enum rc
find_recipient(struct vault *vault, const char *resolved, char owner[STORE_ID_SIZE], bool *left,
	struct err *err)
{
	int64_t now = clock_now();
	enum rc rc = rowcache_find_owner(vault_rowcache(vault), resolved, now, owner, err);

	*left = false;
	if (!rc) {
		rc = rowcache_find_present(vault_rowcache(vault), owner, now, err);
		*left = rc == RC_NONE;
	}
	if (rc)
		owner[0] = 0;
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc
use_match(struct vault *vault, const struct settings *settings, const struct peer *peer,
	const char *recipient, const struct candidate *v, size_t n, size_t *index, struct err *err)
{
	char resolved[ADDR_MAX + 1], owner[STORE_ID_SIZE], grant[STORE_ID_SIZE];
	struct keyent *ent = NULL;
	bool known = false, left;
	enum rc rc;

	if (!(peer->role & ROLE_OPEN))
		return err_set(err, ERR_VAULT_DENIED, "service %s may not open", peer->service);
	rc = settings_resolve(settings, recipient, resolved, err);
	if (!rc)
		rc = find_recipient(vault, resolved, owner, &left, err);
	for (size_t i = 0; !rc && i < n; i++) {
		rc = find_opener(vault, owner, &v[i], &ent, grant, &known, err);
		if (rc == RC_OK) {
			keyent_unref(&ent);
			*index = i;
			return RC_OK;
		}
		if (rc == RC_NONE)
			rc = RC_OK;
	}
	return rc ? rc : RC_NONE;
}

/* What the RecipientInfo says: by what its key is found, and what that key opens. */
struct target {
	struct candidate c;
	unsigned char ident[SHA256_SIZE];
	const unsigned char *encrypted_key;
	size_t encrypted_key_len;
};

static enum rc
target_of(const struct open_request *request, struct target *target, struct err *err)
{
	struct rinfo parts[RINFO_PARTS];
	size_t n = 0;
	enum rc rc = rinfo_parse(request->der, request->len, parts, RINFO_PARTS, &n, err);

	for (size_t i = 0; !rc && i < n; i++) {
		const struct rinfo *part = &parts[i];

		if (part->index != request->index || part->type == RINFO_OTHER)
			continue;
		target->encrypted_key = part->encrypted_key;
		target->encrypted_key_len = part->encrypted_key_len;
		if (part->ski_len) {
			target->c = (struct candidate){true, part->ski, part->ski_len};
			return RC_OK;
		}
		rc = store_ident(part->issuer, part->issuer_len, part->serial, part->serial_len,
			target->ident, err);
		target->c = (struct candidate){false, target->ident, SHA256_SIZE};
		return rc;
	}
	return rc ? rc
		  : err_set(err, ERR_CMS_UNSUPPORTED,
			    "a RecipientInfo without a key that can be found");
}

/* Everything that is decided before a private key is touched. RESOLVED: the recipient, NULL when it
 * is no address (WHY). */
static enum rc
decide_open(struct use *use, const struct settings *settings, const struct peer *peer,
	const struct open_request *request, const char *resolved, const struct err *why,
	struct target *target, struct err *err)
{
	struct vault *vault = use->vault;
	char owner[STORE_ID_SIZE];
	struct keyent *found = NULL;
	bool known = false, left = false;
	enum rc rc;

	if (!(peer->role & ROLE_OPEN))
		return err_set(err, ERR_VAULT_DENIED, "service %s may not open", peer->service);
	rc = target_of(request, target, err);
	if (!rc && !resolved)
		rc = err_set(err, why->code, "%s", why->detail);
	if (!rc)
		rc = find_recipient(vault, resolved, owner, &left, err);
	if (!rc)
		rc = find_opener(vault, owner, &target->c, &found, use->grant, &known, err);
	if (rc == RC_NONE)
		return known ? err_set(err, ERR_VAULT_DENIED,
				       left ? "the recipient has left"
					    : "the key belongs to another recipient")
			     : err_set(err, ERR_VAULT_NO_KEY, "no key for this RecipientInfo");
	if (rc)
		return rc;
	rc = keycache_get(vault_keycache(vault), found->key.id, true, &use->ent, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_VAULT_NO_KEY, "no key %s", found->key.id);
	if (!rc)
		rc = pkey_ready(use->ent->pkey, err);
	if (!rc)
		rc = budget_charge(vault_budget(vault), settings, peer->service, use->ent->key.id,
			ROLE_OPEN, clock_now(), err);
	keyent_unref(&found);
	return rc;
}

static enum rc
put_open_intent(struct use *use, const struct peer *peer, const struct open_request *request,
	const struct vault_claim *claim, const char *detail, struct err *err)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	char hex[2 * DIGEST_MAX_SIZE + 1];
	struct ledger_record record;
	enum rc rc = digest_bytes(DIGEST_SHA256, request->der, request->len, hash, err);

	if (rc)
		return rc;
	hex_of(hash, SHA256_SIZE, hex);
	fill_intent(&record, "open", peer, use->ent, claim);
	record.observed.rinfo = hex;
	record.detail = detail;
	flood_credit(vault_flood(use->vault), peer->service, claim->n_recipients, clock_now());
	return ledger_group_add(use->group, &record, &use->index, err);
}

/* What is worth saying about an opening: the grant, a revoked key, and a content key that was
 * opened before. NULL: nothing. */
static const char *
describe_open(const struct use *use, const struct settings *settings, const struct peer *peer,
	const struct target *target, const char *qid, char out[DETAIL_SIZE])
{
	bool revoked = use->ent->key.status == KEY_REVOKED;
	struct opened_before before = {.count = 0};
	char first[CLOCK_TEXT_SIZE], reopen[DETAIL_SIZE - 96] = "", grant[64] = "";

	if (settings->reopen_memory)
		opened_note(vault_opened(use->vault), use->ent->key.id, target->encrypted_key,
			target->encrypted_key_len, qid, clock_now(), &before);
	if (before.count) {
		snprintf(reopen, sizeof(reopen),
			",\"reopen\":true,\"opened\":%" PRId64 ",\"first\":\"%s\"%s", before.count,
			clock_format(before.first, first), before.retry ? ",\"retry\":true" : "");
		counter_add(COUNTER_VAULT_REOPENS, 1);
		log_event(before.retry ? LOGL_INFO : LOGL_WARN, qid, "reopen", "service",
			peer->service, "key", use->ent->key.id, "opened", LOG_NUM(before.count),
			"first", first, "retry", before.retry ? "yes" : "no", NULL);
	}
	if (use->grant[0])
		snprintf(grant, sizeof(grant), ",\"grant\":\"%s\"", use->grant);
	if (!revoked && !before.count && !use->grant[0])
		return NULL;
	snprintf(out, DETAIL_SIZE, "%s%s%s}", revoked ? ",\"key\":\"revoked\"" : "", grant, reopen);
	out[0] = '{';
	return out;
}

enum rc
use_open_begin(struct use *use, struct vault *vault, const struct settings *settings,
	const struct peer *peer, const struct open_request *request, struct ledger_group *group,
	struct err *err)
{
	struct vault_claim claim = request->claim;
	char resolved[ADDR_MAX + 1];
	const char *recipient = resolved;
	struct err why = ERR_INIT;
	struct target target;
	char detail[DETAIL_SIZE];
	bool is_addr;
	enum rc rc;

	*use = (struct use){.vault = vault, .group = group};
	/* The record is about this recipient, whoever else the message had, by the address that the
	 * tables know. */
	is_addr = settings_resolve(settings, request->recipient, resolved, &why) == RC_OK;
	if (!is_addr)
		snprintf(resolved, sizeof(resolved), "%s", request->recipient);
	claim.recipients = &recipient;
	claim.n_recipients = 1;
	rc = decide_open(
		use, settings, peer, request, is_addr ? resolved : NULL, &why, &target, err);
	if (rc && (err->code == ERR_VAULT_DENIED || err->code == ERR_VAULT_NO_KEY ||
			  err->code == ERR_VAULT_BUDGET))
		deny(vault, peer, "open", use->ent ? use->ent->key.id : NULL, &claim, claim.qid,
			err);
	return rc ? rc
		  : put_open_intent(use, peer, request, &claim,
			    describe_open(use, settings, peer, &target, claim.qid, detail), err);
}

enum rc
use_open_end(
	struct use *use, const struct open_request *request, struct secret **cek, struct err *err)
{
	enum rc rc = rinfo_open(request->der, request->len, request->index, request->cipher,
		use->ent->pkey, use->ent->fallback, cek, err);

	outcome(use, rc, err);
	counter_add(COUNTER_VAULT_OPENS, 1);
	return rc;
}

/* --- opening that officers approved --- */

enum rc
use_named_keys(struct vault *vault, const struct open_request *request,
	char ids[USE_NAMED_KEYS][STORE_ID_SIZE], size_t *n, struct err *err)
{
	struct target target;
	enum rc rc = target_of(request, &target, err);

	*n = 0;
	return rc ? rc
		  : store_match(vault_store(vault), target.c.is_ski, target.c.value, target.c.len,
			    ids, USE_NAMED_KEYS, n, err);
}

enum rc
use_open_approved(struct use *use, struct vault *vault, const struct peer *peer,
	const struct open_request *request, const char *key, const char *detail,
	struct ledger_group *group, struct err *err)
{
	enum rc rc;

	*use = (struct use){.vault = vault, .group = group};
	rc = keycache_get(vault_keycache(vault), key, true, &use->ent, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_VAULT_NO_KEY, "no key %s", key);
	return rc ? rc : put_open_intent(use, peer, request, &request->claim, detail, err);
}

/* --- decisions --- */

enum rc
use_record(struct vault *vault, const struct peer *peer, const char *event,
	const struct vault_claim *claim, const char *json, struct err *err)
{
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_DECISION);

	if (peer->role == ROLE_NONE)
		return err_set(err, ERR_VAULT_DENIED, "service %s uses no keys", peer->service);
	if (strcmp(event, "sealed") != 0 && strcmp(event, "opened") != 0 &&
		strcmp(event, "refused") != 0)
		return err_set(err, ERR_USAGE, "no decision \"%s\"", event);
	if (!flood_spend(vault_flood(vault), peer->service, clock_now())) {
		err_set(err, ERR_VAULT_BUDGET, "more decisions than uses of keys");
		return deny(vault, peer, "record", NULL, claim, claim->qid, err);
	}
	record.event = event;
	record.observed.service = peer->service;
	record.observed.uid = peer->uid;
	record.observed.pid = peer->pid;
	record.claim = claim;
	record.detail = json; /* parsed and checked there */
	record.lazy = true;
	return ledger_append(vault_ledger(vault), &record, NULL, err);
}
