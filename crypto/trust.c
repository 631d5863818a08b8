/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/trust.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "crypto/anchorset.h"
#include "crypto/openssl_glue.h"
#include "crypto/path.h"
#include "crypto/trust_rules.h"
#include "crypto/trustlist.h"
#include "message/addr.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILES      100000
#define MAX_CRL_FILE   (256u << 20)
#define MAX_ROUNDS     8  /* CAs above each other */
#define BUCKET_SECONDS 60 /* how long a result is good for */

/*
 * Results by (leaf, other certificates, use, address, time): a table of sets of WAYS entries each;
 * a new one replaces the oldest of its set. The key is a SHA-256 over the question, so that whoever
 * chooses certificates and addresses cannot make two questions meet.
 */
#define SETS  1024
#define WAYS  4
#define LOCKS 16

struct result {
	unsigned char key[SHA256_SIZE];
	struct verdict *found; /* owned; NULL: free. Never changed once it is here */
};

struct trust {
	atomic_uint refs;
	struct trust_options options; /* its strings point nowhere: see RULES */
	struct trust_rules rules;
	struct anchorset anchors;
	struct issuerset intermediates;
	struct trustlist denied, allowed;
	struct revocation *revocation;
	struct watcher watcher; /* zeros: none */
	struct {
		pthread_mutex_t lock[LOCKS];
		struct result *results; /* SETS * WAYS */
		atomic_uint turn;
	} cache;
};

enum rc
trust_new(const struct trust_options *options, struct trust **out, struct err *err)
{
	struct trust *trust = calloc(1, sizeof(*trust));
	enum rc rc;
	size_t i;

	*out = NULL;
	if (!trust)
		return err_set(err, ERR_MEMORY, "trust");
	atomic_init(&trust->refs, 1);
	for (i = 0; i < LOCKS; i++)
		pthread_mutex_init(&trust->cache.lock[i], NULL);
	trust->options = *options;
	trust->options.policies = trust->options.curves = NULL;
	trust->cache.results = calloc(SETS * WAYS, sizeof(*trust->cache.results));
	rc = trust->cache.results ? trust_rules_init(&trust->rules, options, NULL, err)
				  : err_set(err, ERR_MEMORY, "trust");
	if (rc == RC_OK)
		rc = revocation_new(&trust->revocation, err);
	if (rc != RC_OK)
		trust_unref(&trust);
	*out = trust;
	return rc;
}

void
trust_set_watcher(struct trust *trust, const struct watcher *watcher)
{
	trust->watcher = *watcher;
}

static void
drop(struct verdict *found)
{
	if (found)
		verdict_fini(found);
	free(found);
}

struct trust *
trust_ref(struct trust *trust)
{
	if (trust)
		atomic_fetch_add_explicit(&trust->refs, 1, memory_order_relaxed);
	return trust;
}

void
trust_unref(struct trust **trust)
{
	struct trust *gone = *trust;
	size_t i;

	*trust = NULL;
	if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (i = 0; gone->cache.results && i < SETS * WAYS; i++)
		drop(gone->cache.results[i].found);
	anchorset_fini(&gone->anchors);
	issuerset_fini(&gone->intermediates);
	trustlist_fini(&gone->denied);
	trustlist_fini(&gone->allowed);
	revocation_free(&gone->revocation);
	trust_rules_fini(&gone->rules);
	for (i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&gone->cache.lock[i]);
	free(gone->cache.results);
	if (gone->watcher.free)
		gone->watcher.free(gone->watcher.ctx);
	free(gone);
}

enum signature_time
trust_signature_time(const struct trust *trust)
{
	return trust->options.signature_time;
}

enum rc
trust_add_anchor_with(struct trust *trust, struct cert *cert, const char *const *domains, size_t n,
	const struct trust_options *options, struct err *err)
{
	static const struct trust_options none;
	struct trust_rules *rules = calloc(1, sizeof(*rules));
	enum rc rc = rules ? trust_rules_init(rules, options ? options : &none, &trust->rules, err)
			   : err_set(err, ERR_MEMORY, "trust anchor");

	if (rc == RC_OK)
		rc = anchorset_add(&trust->anchors, cert, domains, n, &rules, err);
	if (rules) /* not taken */
		trust_rules_fini(rules);
	free(rules);
	return rc;
}

enum rc
trust_add_anchor(struct trust *trust, struct cert *cert, const char *const *domains, size_t n,
	struct err *err)
{
	return trust_add_anchor_with(trust, cert, domains, n, NULL, err);
}

enum rc
trust_deny(struct trust *trust, const unsigned char *key, const char *reason, struct err *err)
{
	return trustlist_add(&trust->denied, key, reason, NULL, 0, err);
}

enum rc
trust_allow(struct trust *trust, const unsigned char *sha256, const char *reason,
	const char *const *addrs, size_t n, struct err *err)
{
	return trustlist_add(&trust->allowed, sha256, reason, addrs, n, err);
}

enum rc
trust_add_intermediate(struct trust *trust, struct cert *cert, struct err *err)
{
	return issuerset_add(&trust->intermediates, cert, err);
}

enum rc
trust_add_crl(struct trust *trust, const void *data, size_t len, struct err *err)
{
	return revocation_add_crl(trust->revocation, data, len, NULL, err);
}

enum rc
trust_add_ocsp(struct trust *trust, const void *data, size_t len, const char *file, struct err *err)
{
	return revocation_add_ocsp(trust->revocation, data, len, file, err);
}

enum rc
trust_set_ocsp_dir(struct trust *trust, const char *dir, struct err *err)
{
	return revocation_set_ocsp_dir(trust->revocation, dir, err);
}

struct revocation *
trust_revocation(const struct trust *trust)
{
	return trust->revocation;
}

static enum rc
load_crl(struct trust *trust, const struct buf *file, const char *name, bool as_anchors,
	struct err *err)
{
	(void)as_anchors;
	return revocation_add_crl(trust->revocation, file->data, file->len, name, err);
}

static enum rc
load_certs(struct trust *trust, const struct buf *file, const char *name, bool as_anchors,
	struct err *err)
{
	struct certset set = {0};
	enum rc rc = certset_parse(buf_text(file), file->len, &set, err);
	size_t i;

	(void)name;
	for (i = 0; rc == RC_OK && i < set.n; i++)
		rc = as_anchors ? trust_add_anchor(trust, set.v[i], NULL, 0, err)
				: trust_add_intermediate(trust, set.v[i], err);
	certset_fini(&set);
	return rc;
}

static enum rc
load_vouched(struct trust *trust, const struct buf *file, const char *name, bool as_anchors,
	struct err *err)
{
	struct certset set = {0};
	enum rc rc = certset_parse(buf_text(file), file->len, &set, err);
	size_t i;

	(void)name;
	(void)as_anchors;
	for (i = 0; rc == RC_OK && i < set.n; i++)
		if (issuerset_vouches(&trust->intermediates, &trust->anchors, set.v[i]))
			rc = trust_add_intermediate(trust, set.v[i], err);
	certset_fini(&set);
	return rc;
}

/* Hands each file of DIR to LOAD; what is malformed is logged and left out. */
static enum rc
load_dir(struct trust *trust, const char *dir, bool as_anchors,
	enum rc (*load)(struct trust *, const struct buf *, const char *, bool, struct err *),
	struct err *err)
{
	char **names;
	size_t n, i;
	enum rc rc = file_list(dir, MAX_FILES, &names, &n, err);

	if (rc != RC_OK)
		return rc == RC_NONE ? RC_OK : rc;
	for (i = 0; rc == RC_OK && i < n; i++) {
		char *path = file_join(dir, names[i]);
		struct buf file = BUF_INIT(MAX_CRL_FILE);
		struct err why = ERR_INIT;
		unsigned refusals = ossl_refusals();

		rc = path ? file_read(path, &file, &why) : err_set(&why, ERR_MEMORY, "%s", dir);
		if (rc == RC_OK)
			rc = load(trust, &file, names[i], as_anchors, &why);
		if (rc == RC_PERM && ossl_refusals() != refusals)
			rc = err_set(&why, ERR_MEMORY, "file");
		if (rc == RC_PERM) {
			log_error(LOGL_WARN, NULL, "file-left-out", &why, "file", path, NULL);
			rc = RC_OK;
		} else if (rc == RC_NONE) { /* gone meanwhile */
			rc = RC_OK;
		} else if (rc != RC_OK) {
			err_set(err, why.code, "%s: %s", names[i], why.detail);
		}
		buf_fini(&file);
		free(path);
	}
	file_list_free(&names, n);
	return rc;
}

enum rc
trust_load_crls(struct trust *trust, const char *dir, struct err *err)
{
	return load_dir(trust, dir, false, load_crl, err);
}

enum rc
trust_load_certs(struct trust *trust, const char *dir, bool as_anchors, struct err *err)
{
	return load_dir(trust, dir, as_anchors, load_certs, err);
}

/* Those of one round are signed by those of the round before. */
enum rc
trust_load_fetched(struct trust *trust, const char *dir, struct err *err)
{
	size_t had, round = 0;
	enum rc rc;

	do {
		had = trust->intermediates.n;
		rc = load_dir(trust, dir, false, load_vouched, err);
	} while (rc == RC_OK && trust->intermediates.n > had && ++round < MAX_ROUNDS);
	return rc;
}

/* One question. */
struct question {
	struct cert *leaf;
	const struct certset *extra;
	unsigned use;
	const char *addr;      /* canonical, or NULL */
	int64_t at, path_at;   /* -1: now, and the answer is good for this minute */
	struct effort *effort; /* of the message, or NULL */
};

/*
 * The question as a fixed-size key. What else the answer depends on is the trust itself, which does
 * not change, and what the revocation folder holds: so an answer is never older than the minute,
 * also when it is about a time gone by.
 */
static enum rc
make_key(const struct question *q, unsigned char key[DIGEST_MAX_SIZE], struct err *err)
{
	/* How many hashes follow and whether there is an address, so that no two questions look
	 * alike. */
	const int64_t head[] = {q->at, q->path_at, clock_now() / BUCKET_SECONDS, q->use,
		q->extra ? (int64_t)q->extra->n : 0, q->addr != NULL};
	struct buf all = BUF_INIT(SHA256_SIZE * (CERTSET_MAX + 1) + ADDR_MAX + sizeof(head));
	enum rc rc;
	size_t i;

	rc = buf_append(&all, head, sizeof(head), err);
	if (rc == RC_OK)
		rc = buf_append(&all, cert_sha256(q->leaf), SHA256_SIZE, err);
	for (i = 0; rc == RC_OK && q->extra && i < q->extra->n; i++)
		rc = buf_append(&all, cert_sha256(q->extra->v[i]), SHA256_SIZE, err);
	if (rc == RC_OK && q->addr)
		rc = buf_append(&all, q->addr, strlen(q->addr), err);
	if (rc == RC_OK)
		rc = digest_bytes(DIGEST_SHA256, all.data, all.len, key, err);
	buf_fini(&all);
	return rc;
}

static struct result *
set_of(struct trust *trust, const unsigned char *key, pthread_mutex_t **lock)
{
	size_t set = (key[0] | key[1] << 8) % SETS;

	*lock = &trust->cache.lock[set % LOCKS];
	return &trust->cache.results[set * WAYS];
}

/* The parts that trust_check fills. */
static void
answer(const struct verdict *found, struct verdict *out)
{
	verdict_copy(found, VERDICT_PATH, out);
	verdict_copy(found, VERDICT_REVOCATION, out);
	verdict_copy(found, VERDICT_SENDER, out);
	verdict_copy(found, VERDICT_STRENGTH, out);
	verdict_settle(out);
}

static bool
cache_find(struct trust *trust, const unsigned char *key, struct verdict *out)
{
	pthread_mutex_t *lock;
	struct result *set = set_of(trust, key, &lock);
	bool found = false;
	size_t i;

	pthread_mutex_lock(lock);
	for (i = 0; i < WAYS && !found; i++) {
		found = set[i].found && memcmp(set[i].key, key, SHA256_SIZE) == 0;
		if (found)
			answer(set[i].found, out);
	}
	pthread_mutex_unlock(lock);
	return found;
}

/* FOUND is taken. */
static void
cache_insert(struct trust *trust, const unsigned char *key, struct verdict *found)
{
	struct verdict *kept = malloc(sizeof(*kept)), *old;
	pthread_mutex_t *lock;
	struct result *set = set_of(trust, key, &lock);
	unsigned way = atomic_fetch_add(&trust->cache.turn, 1) % WAYS;

	if (!kept) { /* it will be found out again */
		verdict_fini(found);
		return;
	}
	*kept = *found;
	pthread_mutex_lock(lock);
	old = set[way].found;
	set[way].found = kept;
	memcpy(set[way].key, key, SHA256_SIZE);
	pthread_mutex_unlock(lock);
	drop(old);
}

/* EXTRA ones and intermediates of ours, borrowed: for issuers of revocation lists. */
static STACK_OF(X509) * untrusted_for(const struct trust *trust, const struct certset *extra)
{
	size_t n = extra ? extra->n : 0, i;
	STACK_OF(X509) *untrusted = sk_X509_new_reserve(NULL, (int)(n + trust->intermediates.n));

	for (i = 0; untrusted && i < n; i++)
		(void)sk_X509_push(untrusted, cert_x509(extra->v[i])); /* there is room */
	for (i = 0; untrusted && i < trust->intermediates.n; i++)
		(void)sk_X509_push(untrusted, cert_x509(trust->intermediates.v[i]));
	return untrusted;
}

static enum rc
check_path(struct trust *trust, const struct question *q, struct verdict *verdict, struct err *err)
{
	struct path_request request = {
		.cert = q->leaf,
		.leaf = cert_x509(q->leaf),
		.anchors = &trust->anchors,
		.intermediates = &trust->intermediates,
		.extra = q->extra,
		.untrusted = untrusted_for(trust, q->extra),
		.addr = q->addr,
		.denied = &trust->denied,
		.rules = &trust->rules,
		.revocation = trust->revocation,
		.at = q->at,
		.path_at = q->path_at,
		.aside = trust->options.stricter_rules,
		.watcher = trust->watcher.note ? &trust->watcher : NULL,
		.effort = q->effort,
	};
	enum rc rc = request.untrusted ? path_check(&request, verdict, err)
				       : err_set(err, ERR_MEMORY, "building a path");

	for (size_t i = 0; rc == RC_OK && i < verdict->n_missing; i++)
		verdict->awaits |= watch_issuer(request.watcher, verdict->missing[i]);
	sk_X509_free(request.untrusted);
	return rc;
}

/* Denied, whatever path there may be? */
static bool
is_denied(const struct trust *trust, struct cert *leaf, struct verdict *verdict)
{
	const struct trustlist_entry *entry = trustlist_denies(&trust->denied, leaf);

	if (!entry)
		return false;
	verdict->path = PATH_INVALID;
	verdict_note(verdict, VERDICT_PATH, leaf, "the certificate of %.120s is denied%s%.200s",
		cert_subject(leaf), *entry->reason ? ": " : "", entry->reason);
	return true;
}

/* Believed without a path? Then the answer is complete. */
static bool
is_allowed(const struct trust *trust, const struct question *q, struct verdict *verdict)
{
	const struct trustlist_entry *entry = trustlist_find(&trust->allowed, cert_sha256(q->leaf));
	X509 *x509 = cert_x509(q->leaf); /* get0 */

	if (!entry || !q->addr || !trustlist_entry_is_for(entry, q->addr) ||
		q->path_at < cert_not_before(q->leaf) || q->path_at > cert_not_after(q->leaf))
		return false;
	verdict->path = PATH_VALID;
	verdict->sender = SENDER_MATCH; /* the list says whose it is */
	verdict_note(verdict, VERDICT_PATH, q->leaf,
		"believed without a path: the certificate of %.120s is allowed%s%.200s",
		cert_subject(q->leaf), *entry->reason ? ": " : "", entry->reason);
	trust_rules_strength(&trust->rules, &x509, 1, verdict);
	return true;
}

/* KeyUsage and ExtendedKeyUsage of the leaf. A signature by a key of an odd type is the CMS
 * reader's to judge. */
static void
check_use(struct cert *leaf, unsigned use, struct verdict *verdict)
{
	static const enum cert_use uses[] = {CERT_SIGN, CERT_ENCRYPT};
	size_t i;

	for (i = 0; i < 2; i++) {
		struct err why = ERR_INIT;

		if (!(use & uses[i]) || cert_check_use(leaf, uses[i], &why) == RC_OK)
			continue;
		if (uses[i] == CERT_SIGN && why.code == ERR_CERT_UNSUPPORTED)
			continue;
		verdict->path = PATH_INVALID;
		verdict_forget(verdict, VERDICT_PATH);
		verdict_note(verdict, VERDICT_PATH, leaf, "the certificate of %.120s: %s",
			cert_subject(leaf), why.detail);
		return;
	}
}

static enum rc
check_all(struct trust *trust, const struct question *q, struct verdict *found, struct err *err)
{
	enum rc rc = RC_OK;

	if (is_denied(trust, q->leaf, found))
		trust_rules_sender(&trust->rules, q->leaf, q->addr, found);
	else if (!is_allowed(trust, q, found))
		rc = check_path(trust, q, found, err);
	if (rc != RC_OK)
		return rc;
	check_use(q->leaf, q->use, found);
	if (found->path != PATH_VALID) { /* nobody cares then */
		found->revocation = REVOCATION_UNCHECKED;
		verdict_forget(found, VERDICT_REVOCATION);
	}
	return RC_OK;
}

/* "" when the address cannot be read: then it matches nothing. */
static void
canonical(const char *addr, char out[ADDR_MAX + 1])
{
	if (!addr || addr_canonical(addr, strlen(addr), out, NULL) != RC_OK)
		out[0] = '\0';
}

/* Q's times may be -1. */
static enum rc
ask(struct trust *trust, struct question *q, struct verdict *verdict, struct err *err)
{
	unsigned char key[DIGEST_MAX_SIZE];
	char mailbox[ADDR_MAX + 1];
	unsigned refusals = ossl_refusals();
	struct verdict found;
	enum rc rc;

	canonical(q->addr, mailbox);
	if (q->addr)
		q->addr = mailbox;
	rc = make_key(q, key, err);
	if (rc != RC_OK || cache_find(trust, key, verdict))
		return rc;
	q->at = q->at < 0 ? clock_now() : q->at;
	q->path_at = q->path_at < 0 ? q->at : q->path_at;
	verdict_init(&found);
	rc = check_all(trust, q, &found, err);
	/* "No path" may mean "no memory for one": then nobody knows. */
	if (rc == RC_OK && ossl_refusals() != refusals)
		rc = err_set(err, ERR_MEMORY, "building a path");
	if (rc != RC_OK) {
		verdict_fini(&found);
		return rc;
	}
	answer(&found, verdict);
	if (found.awaits || effort_is_spent(q->effort)) /* the next one asks again */
		verdict_fini(&found);
	else
		cache_insert(trust, key, &found); /* taken */
	return RC_OK;
}

enum rc
trust_check(struct trust *trust, struct cert *leaf, const struct certset *extra, unsigned use,
	const char *addr, int64_t at, struct verdict *verdict, struct err *err)
{
	struct question q = {leaf, extra, use, addr, at, at, NULL};

	return ask(trust, &q, verdict, err);
}

/* Is the claimed time one that can be? Otherwise it counts for nothing. */
static bool
judge_time(const struct trust_options *options, const struct trust_signing *times, int64_t received,
	struct verdict *verdict)
{
	char made[CLOCK_TEXT_SIZE], came[CLOCK_TEXT_SIZE];

	if (times->made < 0)
		return false;
	clock_format(times->made, made);
	clock_format(received, came);
	verdict->time = TIME_ODD;
	if (options->signing_future && times->made > received + options->signing_future)
		verdict_note(verdict, VERDICT_TIME, NULL,
			"its signing time %s lies after the time of receipt, %s", made, came);
	else if (options->signing_age && times->made < received - options->signing_age)
		verdict_note(verdict, VERDICT_TIME, NULL,
			"its signing time %s lies too long before the time of receipt, %s", made,
			came);
	else
		verdict->time = TIME_OK;
	return verdict->time == TIME_OK;
}

enum rc
trust_check_signer(struct trust *trust, struct cert *leaf, const struct certset *extra,
	const char *addr, const struct trust_signing *times, struct verdict *verdict, bool *old,
	struct err *err)
{
	struct question q = {leaf, extra, CERT_SIGN, addr, times->at, times->at, times->effort};
	int64_t at = times->at < 0 ? clock_now() : times->at;
	int64_t received = times->received < 0 ? at : times->received;
	bool believed = judge_time(&trust->options, times, received, verdict);
	int64_t made = believed && times->made < received ? times->made : received;
	enum rc rc;

	if (trust->options.signature_time == SIGNATURE_TIME_SIGNING)
		q.path_at = made;
	else if (trust->options.signature_time == SIGNATURE_TIME_RECEIPT && times->received >= 0)
		q.path_at = received;
	rc = ask(trust, &q, verdict, err);
	*old = rc == RC_OK && verdict->path == PATH_VALID && made < verdict->sha1_until;
	verdict_settle(verdict);
	return rc;
}
