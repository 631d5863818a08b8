/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_cert.c - key.cert.add: certificates that come back from an outside CA
 *
 * Each is matched with a key by its public key, and belongs to a key only when it names an address
 * of the key's owner. What does not fit is said for each certificate and left out; the others are
 * kept. Certificates of CAs stand above the others, and nothing else.
 */
#include "keystore/admin_cmd.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "crypto/certchain.h"
#include "crypto/csr.h"
#include "keystore/import.h"
#include "keystore/import.h"
#include "keystore/store_request.h"

#define SIGNATURES_MAX 32          /* that are looked at: a file may be full of CAs of one name */
#define ANSWERS_BEFORE (2 * 86400) /* a CA may date its certificate back */

/* One certificate of the file and what becomes of it. */
struct arrival {
	struct cert *cert;    /* borrowed */
	struct store_key key; /* id "": none */
	char addr[ADDR_MAX + 1];
	const char *outcome; /* "added", "known", "unmatched", "refused", "ca", "not-for-mail" */
	char reason[512];
	struct certset chain;         /* above it */
	bool again;                   /* it is here, and only its chain is longer now */
	struct store_request request; /* key "": nobody asked for it */
};

static void
settle(struct arrival *arrival, const char *outcome, const char *reason)
{
	arrival->outcome = outcome;
	snprintf(arrival->reason, sizeof(arrival->reason), "%s", reason ? reason : "");
}

/* Is it for mail at all, and for what its key does? */
static bool
check_use(struct arrival *arrival)
{
	bool sign = cert_allows(arrival->cert, CERT_SIGN),
	     open = cert_allows(arrival->cert, CERT_ENCRYPT);
	unsigned purpose = arrival->key.purpose;

	if (!sign && !open) {
		settle(arrival, "not-for-mail",
			cert_is_for_login(arrival->cert)
				? "it is for client authentication, not for mail"
				: "it is for neither signing nor encrypting mail");
		return false;
	}
	if (!*arrival->key.id)
		return true;
	if (!((purpose & PURPOSE_SIGN && sign) || (purpose & PURPOSE_OPEN && open))) {
		settle(arrival, "refused",
			sign ? "it is for signing only, and the key only opens"
			     : "it is for encrypting only, and the key only signs");
		return false;
	}
	if (purpose == PURPOSE_BOTH && !(sign && open))
		snprintf(arrival->reason, sizeof(arrival->reason), "it is for %s only",
			sign ? "signing" : "encrypting");
	return true;
}

/* Addresses of the key's owner: for the comparison, and for the sentence that says no. */
struct owner {
	struct admin *a;
	struct arrival *arrival;
	char first[ADDR_MAX + 1];
	bool match;
};

static enum rc
each_addr(void *ctx, const struct store_addr *row, struct err *err)
{
	struct owner *owner = ctx;
	const char *const *addrs;
	size_t n = cert_addrs(owner->arrival->cert, true, &addrs);
	int64_t now = clock_now();
	char resolved[ADDR_MAX + 1];

	(void)err;
	if (row->since > now || (row->until && row->until <= now))
		return RC_OK;
	if (!*owner->first)
		strcpy(owner->first, row->addr);
	for (size_t i = 0; i < n && !owner->match; i++) {
		if (settings_resolve(owner->a->settings, addrs[i], resolved, NULL) != RC_OK ||
			strcasecmp(resolved, row->addr) != 0)
			continue;
		strcpy(owner->arrival->addr, row->addr);
		owner->match = true;
	}
	return RC_OK;
}

static enum rc
check_owner(struct admin *a, struct arrival *arrival, struct err *err)
{
	struct owner owner = {.a = a, .arrival = arrival};
	const char *const *addrs;
	enum rc rc = store_list_addrs(
		vault_store(a->vault), arrival->key.person, each_addr, &owner, err);

	if (rc || owner.match)
		return rc;
	arrival->outcome = "refused";
	snprintf(arrival->reason, sizeof(arrival->reason),
		"it names %.300s, and key %s belongs to %.300s",
		cert_addrs(arrival->cert, true, &addrs) ? addrs[0] : "no mail address",
		arrival->key.id, *owner.first ? owner.first : "nobody who has an address now");
	return RC_OK;
}

/*
 * A key that signs would sign with a certificate that anybody made for its public key, and readers
 * would see a stranger's CA: so somebody must have asked for it, or says that it is right.
 */
static void
check_asked(struct admin *a, struct arrival *arrival)
{
	if (arrival->outcome || arrival->key.status != KEY_ACTIVE || *arrival->request.key ||
		cert_not_after(arrival->cert) < clock_now() ||
		json_is_true(json_find(a->request, "unasked")))
		return;
	arrival->outcome = "refused";
	snprintf(arrival->reason, sizeof(arrival->reason),
		"key %s has a certificate, and nobody asked for another", arrival->key.id);
}

/* Among the CAs of a set: one that the certificate names, and one that made it. */
static void
look_for_issuer(const struct arrival *arrival, const struct certset *set, const struct cert **named,
	bool *made, unsigned *left)
{
	for (size_t i = 0; i < set->n && !*made && *left; i++) {
		if (!cert_names_issuer(arrival->cert, set->v[i]))
			continue;
		--*left;
		*named = set->v[i];
		*made = cert_is_issued_by(arrival->cert, set->v[i]);
	}
}

/* A certificate that was changed on its way is told by the CA's own, where that is at hand. */
static void
check_signature(struct admin *a, struct arrival *arrival, const struct certset *pool)
{
	const struct cert *named = NULL;
	unsigned left = SIGNATURES_MAX;
	bool made = false;

	if (arrival->outcome || arrival->again)
		return;
	look_for_issuer(arrival, &a->settings->intermediates, &named, &made, &left);
	look_for_issuer(arrival, pool, &named, &made, &left);
	if (!named || made)
		return;
	arrival->outcome = "refused";
	snprintf(arrival->reason, sizeof(arrival->reason),
		"its signature is not by the CA that it names, %.200s", cert_subject(named));
}

/* The key that it certifies; none: its id is "". */
static enum rc
find_key(struct admin *a, struct arrival *arrival, struct err *err)
{
	char fingerprint[2 * SHA256_SIZE + 1];
	size_t len;
	const unsigned char *spki = cert_spki(arrival->cert, &len);
	enum rc rc = spki_fingerprint(spki, len, fingerprint, err);

	if (!rc)
		rc = store_find_key(vault_store(a->vault), fingerprint, &arrival->key, err);
	if (rc != RC_NONE)
		return rc;
	arrival->key = (struct store_key){.id = ""};
	return RC_OK;
}

/* The request that is open for the key, and the chain; is the certificate here already? */
static enum rc
compare_known(struct admin *a, struct arrival *arrival, const struct certset *pool, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_cert there;
	enum rc rc = store_get_request(store, arrival->key.id, &arrival->request, NULL, err);

	if (rc == RC_NONE)
		arrival->request = (struct store_request){.key = ""};
	if (rc >= 0)
		rc = import_find_chain(a, arrival->cert, pool, &arrival->chain, err);
	if (!rc)
		rc = store_get_cert(store, cert_fingerprint(arrival->cert), &there, err);
	if (rc == RC_OK) {
		arrival->again = arrival->chain.n > there.chain.n;
		if (!arrival->again)
			settle(arrival, "known", NULL);
		store_cert_fini(&there);
	}
	return rc;
}

/* Which key, and may it have this certificate? An outcome is set when not, or when it has it. */
static enum rc
judge(struct admin *a, struct arrival *arrival, const struct certset *pool, struct err *err)
{
	enum rc rc;

	if (cert_is_ca(arrival->cert)) {
		settle(arrival, "ca", NULL);
		return RC_OK;
	}
	rc = find_key(a, arrival, err);
	if (rc)
		return rc;
	if (!check_use(arrival))
		return RC_OK;
	if (!arrival->key.id[0]) {
		settle(arrival, "unmatched", "no key here belongs to it");
		return RC_OK;
	}
	if (arrival->key.purpose == PURPOSE_CA) {
		settle(arrival, "refused", "its key is the organisation's CA's");
		return RC_OK;
	}
	rc = compare_known(a, arrival, pool, err);
	if (rc != RC_NONE)
		return rc;
	rc = check_owner(a, arrival, err);
	if (!rc)
		check_signature(a, arrival, pool);
	if (!rc)
		check_asked(a, arrival);
	return rc;
}

/* Is it what the key's open request is about, not an older certificate? */
static bool
answers(const struct arrival *arrival)
{
	return *arrival->request.key &&
	       cert_not_before(arrival->cert) + ANSWERS_BEFORE >= arrival->request.created;
}

/* The active key whose place this one takes now: OLD's id is "" when there is none. */
static enum rc
find_replaced(
	struct admin *a, const struct arrival *arrival, struct store_key *old, struct err *err)
{
	int64_t now = clock_now();
	enum rc rc = RC_NONE;

	if (!arrival->again && answers(arrival) && *arrival->request.replaces &&
		cert_not_before(arrival->cert) <= now && now <= cert_not_after(arrival->cert))
		rc = store_get_key(vault_store(a->vault), arrival->request.replaces, old, err);
	if (rc == RC_NONE || (!rc && old->status != KEY_ACTIVE)) {
		*old = (struct store_key){.id = ""};
		rc = RC_OK;
	}
	return rc;
}

/* The key that was asked for begins its work; what it replaces ends. */
static enum rc
activate(struct admin *a, struct arrival *arrival, const struct store_key *old, int64_t seq,
	struct err *err)
{
	struct store *store = vault_store(a->vault);
	int64_t now = clock_now();
	bool expired = cert_not_after(arrival->cert) < now;
	enum rc rc = RC_OK;

	if (arrival->key.status == KEY_WAITING) {
		arrival->key.status = expired ? KEY_RETIRED : KEY_ACTIVE;
		rc = store_set_status(store, arrival->key.id, arrival->key.status, now, seq, err);
	}
	if (expired && !*arrival->reason)
		snprintf(arrival->reason, sizeof(arrival->reason), "it has expired");
	if (!rc && *old->id)
		rc = store_set_status(store, old->id, KEY_RETIRED, now, seq, err);
	return rc || !answers(arrival) ? rc : store_del_request(store, arrival->key.id, err);
}

static enum rc
keep(struct admin *a, struct arrival *arrival, struct err *err)
{
	struct store *store = vault_store(a->vault);
	char detail[2 * SHA256_SIZE + STORE_ID_SIZE + 48];
	struct store_key old;
	uint64_t seq;
	enum rc rc = find_replaced(a, arrival, &old, err);

	snprintf(detail, sizeof(detail), "{\"certificate\":\"%s\"%s%s%s}",
		cert_fingerprint(arrival->cert), *old.id ? ",\"retires\":\"" : "", old.id,
		*old.id ? "\"" : "");
	if (!rc)
		rc = admin_record(a, "key.cert.add", arrival->key.id,
			*arrival->addr ? arrival->addr : NULL, detail, &seq, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = store_add_cert(store, arrival->key.id, arrival->cert, &arrival->chain,
			clock_now(), (int64_t)seq, err);
	if (!rc && !arrival->again)
		rc = activate(a, arrival, &old, (int64_t)seq, err);
	if (!rc)
		rc = store_commit(store, err);
	else
		store_rollback(store);
	if (!rc && arrival->again)
		settle(arrival, "known", "its chain is longer now");
	else if (!rc)
		arrival->outcome = "added";
	return rc;
}

static void
put_arrival(struct json *json, const struct arrival *arrival)
{
	json_object(json, NULL);
	json_str(json, "sha256", cert_fingerprint(arrival->cert));
	json_str(json, "subject", cert_subject(arrival->cert));
	json_str(json, "issuer", cert_issuer(arrival->cert));
	json_str(json, "serial", cert_serial(arrival->cert));
	json_time(json, "not_after", cert_not_after(arrival->cert));
	json_str(json, "outcome", arrival->outcome);
	json_str(json, "key", *arrival->key.id ? arrival->key.id : NULL);
	if (*arrival->key.id)
		json_str(json, "status", key_status_name(arrival->key.status));
	json_str(json, "address", *arrival->addr ? arrival->addr : NULL);
	json_str(json, "reason", *arrival->reason ? arrival->reason : NULL);
	json_object_end(json);
}

enum rc
admin_key_cert_add(struct admin *a, struct err *err)
{
	struct certset set = {0}, pool = {0};
	enum rc rc = RC_OK;

	if (!a->blob || secret_len(a->blob) == 0)
		return err_set(err, ERR_USAGE, "key.cert.add needs certificates");
	rc = certset_parse(secret_data(a->blob), secret_len(a->blob), &set, err);
	for (size_t i = 0; !rc && i < set.n; i++)
		if (cert_is_ca(set.v[i]))
			rc = certset_add(&pool, set.v[i], err);
	json_array(a->out, "certificates");
	for (size_t i = 0; !rc && i < set.n; i++) {
		struct arrival arrival = {.cert = set.v[i]};

		rc = judge(a, &arrival, &pool, err);
		if (!rc && !arrival.outcome)
			rc = keep(a, &arrival, err);
		if (!rc)
			put_arrival(a->out, &arrival);
		certset_fini(&arrival.chain);
	}
	json_array_end(a->out);
	certset_fini(&set);
	certset_fini(&pool);
	return rc;
}
