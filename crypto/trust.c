/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/trust.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "crypto/anchorset.h"
#include "crypto/openssl_glue.h"
#include "crypto/path.h"
#include "message/addr.h"

#include <openssl/objects.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ANCHORS    10000
#define MAX_FILES      100000
#define MAX_CRL_FILE   (256u << 20)
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
	struct trust_options options; /* its policies point nowhere: see POLICIES */
	STACK_OF(ASN1_OBJECT) * policies;
	struct anchorset anchors;
	struct certset intermediates;
	STACK_OF(X509) * untrusted; /* borrowed from INTERMEDIATES */
	struct revocation *revocation;
	struct {
		pthread_mutex_t lock[LOCKS];
		struct result *results; /* SETS * WAYS */
		atomic_uint turn;
	} cache;
};

/* The acceptable policies. None given means anyPolicy, and that has to be said: to OpenSSL an empty
 * set is one that nothing satisfies when a CA requires an explicit policy. */
static enum rc
add_policies(struct trust *trust, const struct trust_options *options, struct err *err)
{
	size_t i;

	trust->policies = sk_ASN1_OBJECT_new_null();
	if (!trust->policies)
		return ossl_err(err, ERR_MEMORY, "trust");
	if (!options->n_policies &&
		!sk_ASN1_OBJECT_push(trust->policies, OBJ_nid2obj(NID_any_policy))) /* static */
		return ossl_err(err, ERR_MEMORY, "trust");
	for (i = 0; i < options->n_policies; i++) {
		ASN1_OBJECT *oid = OBJ_txt2obj(options->policies[i], 0);

		if (!oid)
			return ossl_err(err, ERR_USAGE, "no object identifier: %.100s",
				options->policies[i]);
		if (!sk_ASN1_OBJECT_push(trust->policies, oid)) {
			ASN1_OBJECT_free(oid);
			return ossl_err(err, ERR_MEMORY, "trust");
		}
	}
	return RC_OK;
}

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
	trust->options.policies = NULL;
	trust->untrusted = sk_X509_new_null();
	trust->cache.results = calloc(SETS * WAYS, sizeof(*trust->cache.results));
	if (!trust->untrusted || !trust->cache.results)
		rc = err_set(err, ERR_MEMORY, "trust");
	else
		rc = add_policies(trust, options, err);
	if (rc == RC_OK)
		rc = revocation_new(&trust->revocation, err);
	if (rc != RC_OK)
		trust_unref(&trust);
	*out = trust;
	return rc;
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
	sk_X509_free(gone->untrusted);
	anchorset_fini(&gone->anchors);
	certset_fini(&gone->intermediates);
	revocation_unref(&gone->revocation);
	sk_ASN1_OBJECT_pop_free(gone->policies, ASN1_OBJECT_free);
	for (i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&gone->cache.lock[i]);
	free(gone->cache.results);
	free(gone);
}

enum revocation_mode
trust_revocation_mode(const struct trust *trust)
{
	return trust->options.revocation;
}

enum rc
trust_add_anchor(struct trust *trust, struct cert *cert, const char *const *domains, size_t n,
	struct err *err)
{
	return anchorset_add(&trust->anchors, cert, domains, n, err);
}

enum rc
trust_add_intermediate(struct trust *trust, struct cert *cert, struct err *err)
{
	size_t before = trust->intermediates.n;
	enum rc rc = certset_add(&trust->intermediates, cert, err);

	if (rc == RC_OK && trust->intermediates.n > before &&
		!sk_X509_push(trust->untrusted, cert_x509(cert)))
		rc = err_set(err, ERR_MEMORY, "intermediate certificate");
	return rc;
}

enum rc
trust_add_crl(struct trust *trust, const void *data, size_t len, struct err *err)
{
	return revocation_add_crl(trust->revocation, data, len, NULL, err);
}

static enum rc
load_crl(struct trust *trust, const struct buf *file, bool as_anchors, struct err *err)
{
	(void)as_anchors;
	return trust_add_crl(trust, file->data, file->len, err);
}

static enum rc
load_certs(struct trust *trust, const struct buf *file, bool as_anchors, struct err *err)
{
	struct certset set = {0};
	enum rc rc = certset_parse(buf_text(file), file->len, &set, err);
	size_t i;

	for (i = 0; rc == RC_OK && i < set.n; i++)
		rc = as_anchors ? trust_add_anchor(trust, set.v[i], NULL, 0, err)
				: trust_add_intermediate(trust, set.v[i], err);
	certset_fini(&set);
	return rc;
}

/* Hands each file of DIR to LOAD; what is malformed is logged and left out. */
static enum rc
load_dir(struct trust *trust, const char *dir, bool as_anchors,
	enum rc (*load)(struct trust *, const struct buf *, bool, struct err *), struct err *err)
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
			rc = load(trust, &file, as_anchors, &why);
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

/* The question as a fixed-size key. */
static enum rc
make_key(const struct cert *leaf, const struct certset *extra, unsigned use, const char *addr,
	int64_t at, unsigned char key[DIGEST_MAX_SIZE], struct err *err)
{
	/* How many hashes follow and whether there is an address, so that no two questions look
	 * alike. */
	const int64_t head[] = {at, use, extra ? (int64_t)extra->n : 0, addr != NULL};
	struct buf all = BUF_INIT(SHA256_SIZE * (CERTSET_MAX + 1) + ADDR_MAX + sizeof(head));
	enum rc rc;
	size_t i;

	rc = buf_append(&all, head, sizeof(head), err);
	if (rc == RC_OK)
		rc = buf_append(&all, cert_sha256(leaf), SHA256_SIZE, err);
	for (i = 0; rc == RC_OK && extra && i < extra->n; i++)
		rc = buf_append(&all, cert_sha256(extra->v[i]), SHA256_SIZE, err);
	if (rc == RC_OK && addr)
		rc = buf_append(&all, addr, strlen(addr), err);
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

/* Intermediates of ours and EXTRA ones, borrowed. */
static STACK_OF(X509) * untrusted_for(const struct trust *trust, const struct certset *extra)
{
	STACK_OF(X509) *untrusted = sk_X509_dup(trust->untrusted);
	size_t i;

	for (i = 0; untrusted && extra && i < extra->n; i++)
		if (!sk_X509_push(untrusted, cert_x509(extra->v[i]))) {
			sk_X509_free(untrusted);
			return NULL;
		}
	return untrusted;
}

/*
 * No path with the anchors for this address: would there be one with the others? Then that is the
 * reason that helps.
 */
static enum rc
explain_scope(struct trust *trust, const struct path_request *request, const char *addr,
	struct verdict *verdict, struct err *err)
{
	struct path_request wider = *request;
	struct verdict other;
	bool passed_over;
	enum rc rc;

	wider.anchors = anchorset_for(
		&trust->anchors, request->leaf, request->untrusted, NULL, &passed_over);
	wider.revocation = NULL;
	verdict_init(&other);
	rc = wider.anchors ? path_check(&wider, &other, err)
			   : err_set(err, ERR_MEMORY, "building a path");
	if (rc == RC_OK && other.path == PATH_VALID) {
		verdict_forget(verdict, VERDICT_PATH);
		verdict_note(verdict, VERDICT_PATH, NULL,
			"its path is valid, but the trust anchor at its end may not speak for %.200s",
			addr_domain(addr) ? addr_domain(addr) : addr);
	}
	verdict_fini(&other);
	sk_X509_free(wider.anchors);
	return rc;
}

static enum rc
check_path(struct trust *trust, struct cert *leaf, const struct certset *extra, const char *addr,
	int64_t at, struct verdict *verdict, struct err *err)
{
	struct path_request request = {
		.leaf = cert_x509(leaf),
		.untrusted = untrusted_for(trust, extra),
		.revocation = trust->options.revocation == REVOKE_OFF ? NULL : trust->revocation,
		.at = at,
		.min_rsa = trust->options.min_rsa,
		.policies = trust->policies,
		.require_policy = trust->options.require_policy,
		.inhibit_mapping = trust->options.inhibit_mapping,
		.inhibit_any = trust->options.inhibit_any,
	};
	bool passed_over = false;
	enum rc rc;

	if (request.untrusted)
		request.anchors = anchorset_for(
			&trust->anchors, request.leaf, request.untrusted, addr, &passed_over);
	rc = request.anchors ? path_check(&request, verdict, err)
			     : err_set(err, ERR_MEMORY, "building a path");
	if (rc == RC_OK && verdict->path == PATH_INVALID && passed_over)
		rc = explain_scope(trust, &request, addr, verdict, err);
	sk_X509_free(request.anchors);
	sk_X509_free(request.untrusted);
	return rc;
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

static void
check_sender(struct cert *leaf, const char *addr, struct verdict *verdict)
{
	const char *const *addrs;

	if (!addr)
		return;
	if (cert_has_addr(leaf, addr, true)) {
		verdict->sender = SENDER_MATCH;
		return;
	}
	verdict->sender = SENDER_MISMATCH;
	if (cert_addrs(leaf, true, &addrs))
		verdict_note(verdict, VERDICT_SENDER, leaf,
			"the certificate is for %.120s, not for %.120s", addrs[0], addr);
	else
		verdict_note(verdict, VERDICT_SENDER, leaf,
			"the certificate has no mail address, so it is not for %.120s", addr);
}

static enum rc
check_all(struct trust *trust, struct cert *leaf, const struct certset *extra, unsigned use,
	const char *addr, int64_t at, struct verdict *found, struct err *err)
{
	enum rc rc = check_path(trust, leaf, extra, addr, at, found, err);

	if (rc != RC_OK)
		return rc;
	check_use(leaf, use, found);
	if (found->path != PATH_VALID) {
		found->revocation = REVOCATION_UNCHECKED;
		verdict_forget(found, VERDICT_REVOCATION);
	}
	check_sender(leaf, addr, found);
	return RC_OK;
}

/* "" when the address cannot be read: then it matches nothing. */
static void
canonical(const char *addr, char out[ADDR_MAX + 1])
{
	if (!addr || addr_canonical(addr, strlen(addr), out, NULL) != RC_OK)
		out[0] = '\0';
}

enum rc
trust_check(struct trust *trust, struct cert *leaf, const struct certset *extra, unsigned use,
	const char *addr, int64_t at, struct verdict *verdict, struct err *err)
{
	unsigned char key[DIGEST_MAX_SIZE];
	char mailbox[ADDR_MAX + 1];
	int64_t now = at < 0 ? clock_now() : at;
	unsigned refusals = ossl_refusals();
	struct verdict found;
	enum rc rc;

	canonical(addr, mailbox);
	rc = make_key(leaf, extra, use, addr ? mailbox : NULL,
		at < 0 ? -1 - now / BUCKET_SECONDS : at, key, err);
	if (rc != RC_OK || cache_find(trust, key, verdict))
		return rc;
	verdict_init(&found);
	rc = check_all(trust, leaf, extra, use, addr ? mailbox : NULL, now, &found, err);
	/* "No path" may mean "no memory for one": then nobody knows. */
	if (rc == RC_OK && ossl_refusals() != refusals)
		rc = err_set(err, ERR_MEMORY, "building a path");
	if (rc != RC_OK) {
		verdict_fini(&found);
		return rc;
	}
	answer(&found, verdict);
	cache_insert(trust, key, &found); /* taken */
	return RC_OK;
}
