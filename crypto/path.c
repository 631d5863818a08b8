/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path.c - the only place that builds certificate paths
 *
 * OpenSSL goes up from the leaf, taking at each step the issuer that looks best, and never comes
 * back to another choice. Where a CA has two certificates of one name (a new key, a
 * cross-certificate), its choice may lead nowhere although a good path exists. So a path that
 * failed is tried again without the certificate that made it fail, MAX_ATTEMPTS times at most; the
 * first failure is the one that is reported.
 *
 * Weak algorithms are no path failure: OpenSSL's security level 2 finds them, the callback takes
 * note and lets the path go on, so that "right, but weak" and "wrong" stay different answers.
 *
 * Revocation is asked along the finished path (path_revocation.h).
 */
#include "crypto/path.h"

#include "base/clock.h"
#include "crypto/cert.h"
#include "crypto/name_text.h"
#include "crypto/openssl_glue.h"
#include "crypto/path_revocation.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <string.h>

#define MAX_ATTEMPTS  8
#define SENTENCE_SIZE 384
#define MAX_DEPTH     16 /* intermediates; OpenSSL would take 100 from whoever sends them */

/* One run of X509_verify_cert. */
struct run {
	const struct path_request *request;
	X509_STORE *store;
	STACK_OF(X509) * untrusted;
	STACK_OF(X509) * chain; /* owned; what was built */
	bool valid;
	int error, depth;        /* when not valid */
	struct verdict *verdict; /* takes what the callback finds */
};

/* Ours of OpenSSL's: what a verdict says is about a struct cert. NULL without one, or memory. */
static struct cert *
cert_of(const X509 *x509)
{
	struct cert *cert = NULL;
	unsigned char *der = NULL;
	int len = x509 ? i2d_X509(x509, &der) : 0;

	if (len > 0)
		(void)cert_parse(der, (size_t)len, &cert, NULL);
	OPENSSL_free(der);
	return cert;
}

void
path_note(struct verdict *verdict, enum verdict_part part, const X509 *x509, const char *text)
{
	struct cert *about = cert_of(x509);

	verdict_note(verdict, part, about, "%s", text);
	cert_unref(&about);
}

static bool
is_weakness(int error)
{
	return error == X509_V_ERR_EE_KEY_TOO_SMALL || error == X509_V_ERR_CA_KEY_TOO_SMALL ||
	       error == X509_V_ERR_CA_MD_TOO_WEAK;
}

static void
note_weak(struct run *run, int error, const X509 *cert)
{
	char name[NAME_TEXT_SIZE], text[SENTENCE_SIZE];

	run->verdict->strength = STRENGTH_WEAK;
	name_text_of(cert, name);
	if (error == X509_V_ERR_CA_MD_TOO_WEAK)
		(void)snprintf(text, sizeof(text),
			"the certificate of %s is signed with a hash that is too weak", name);
	else
		(void)snprintf(text, sizeof(text), "the key of %s is too short or too weak", name);
	path_note(run->verdict, VERDICT_STRENGTH, cert, text);
}

static int
on_verify(int ok, X509_STORE_CTX *ctx)
{
	int error = X509_STORE_CTX_get_error(ctx);

	if (ok || !is_weakness(error))
		return ok;
	note_weak(X509_STORE_CTX_get_app_data(ctx), error, X509_STORE_CTX_get_current_cert(ctx));
	return 1;
}

static bool
set_params(X509_STORE_CTX *ctx, const struct run *run)
{
	const struct path_request *request = run->request;
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx); /* get0 */
	unsigned long flags =
		X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_POLICY_CHECK;

	if (request->require_policy)
		flags |= X509_V_FLAG_EXPLICIT_POLICY;
	if (request->inhibit_mapping)
		flags |= X509_V_FLAG_INHIBIT_MAP;
	if (request->inhibit_any)
		flags |= X509_V_FLAG_INHIBIT_ANY;
	if (!X509_VERIFY_PARAM_set_flags(param, flags))
		return false;
	if (request->policies &&
		!X509_VERIFY_PARAM_set1_policies(param, (STACK_OF(ASN1_OBJECT) *)request->policies))
		return false;
	X509_VERIFY_PARAM_set_depth(param, MAX_DEPTH);
	X509_VERIFY_PARAM_set_time(param, (time_t)request->at);
	X509_VERIFY_PARAM_set_auth_level(param, request->min_rsa < 2048 ? 1 : 2);
	return true;
}

/* One attempt. Fills chain, valid, error, depth. */
static enum rc
run_once(struct run *run, struct err *err)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	enum rc rc = RC_OK;

	sk_X509_pop_free(run->chain, X509_free);
	run->chain = NULL;
	if (!ctx || !X509_STORE_CTX_init(ctx, run->store, run->request->leaf, run->untrusted) ||
		!set_params(ctx, run) || !X509_STORE_CTX_set_app_data(ctx, run)) {
		rc = ossl_err(err, ERR_MEMORY, "building a path");
		goto out;
	}
	X509_STORE_CTX_set_verify_cb(ctx, on_verify);
	run->valid = X509_verify_cert(ctx) == 1;
	run->error = X509_STORE_CTX_get_error(ctx);
	run->depth = X509_STORE_CTX_get_error_depth(ctx);
	run->chain = X509_STORE_CTX_get1_chain(ctx); /* get1 */
	if (!run->valid && (run->error == X509_V_ERR_OUT_OF_MEM ||
				   run->error == X509_V_ERR_UNSPECIFIED || run->error == X509_V_OK))
		rc = ossl_err(err, ERR_CRYPTO, "building a path");
out:
	X509_STORE_CTX_free(ctx);
	ossl_clear();
	return rc;
}

/* A store of the anchors that are not in EXCLUDED. */
static X509_STORE *
make_store(const STACK_OF(X509) * anchors, const STACK_OF(X509) * excluded)
{
	X509_STORE *store = X509_STORE_new();
	int i, j;

	for (i = 0; store && i < sk_X509_num(anchors); i++) {
		X509 *anchor = sk_X509_value(anchors, i);

		for (j = 0; j < sk_X509_num(excluded); j++)
			if (X509_cmp(sk_X509_value(excluded, j), anchor) == 0)
				break;
		/* The number of no stack at all is -1. */
		if (j >= sk_X509_num(excluded) && !X509_STORE_add_cert(store, anchor)) {
			X509_STORE_free(store);
			return NULL;
		}
	}
	return store;
}

/*
 * An intermediate CA whose extendedKeyUsage leaves out mail does not issue certificates for mail,
 * as browsers and mail programs have it (RFC 5280 is silent, OpenSSL does not look). Returns its
 * place, or -1.
 */
static int
misplaced_ca(const STACK_OF(X509) * chain)
{
	int i;

	for (i = 1; i < sk_X509_num(chain) - 1; i++) {
		X509 *ca = sk_X509_value(chain, i);

		if (X509_get_extension_flags(ca) & EXFLAG_XKUSAGE &&
			!(X509_get_extended_key_usage(ca) & (XKU_SMIME | XKU_ANYEKU)))
			return i;
	}
	return -1;
}

/* Place in the chain of the certificate without which another path may be found; 0: none. */
static int
culprit(const struct run *run)
{
	int last = sk_X509_num(run->chain) - 1;

	switch (run->error) {
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
		return run->depth < last ? run->depth + 1 : last;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
		return last;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return run->depth; /* 0: it is the leaf's own fault */
	default:
		return run->depth > 0 && run->depth <= last ? run->depth : last > 0 ? 1 : 0;
	}
}

/* Takes the culprit out of what the next attempt may use. */
static enum rc
exclude(struct run *run, int place, STACK_OF(X509) * excluded, struct err *err)
{
	X509 *out = sk_X509_value(run->chain, place);
	X509_STORE *store;
	int i;

	for (i = sk_X509_num(run->untrusted) - 1; i >= 0; i--)
		if (X509_cmp(sk_X509_value(run->untrusted, i), out) == 0)
			(void)sk_X509_delete(run->untrusted, i); /* borrowed there */
	if (!X509_up_ref(out))
		return ossl_err(err, ERR_CRYPTO, "building a path");
	if (!sk_X509_push(excluded, out)) {
		X509_free(out);
		return ossl_err(err, ERR_MEMORY, "building a path");
	}
	store = make_store(run->request->anchors, excluded);
	if (!store)
		return ossl_err(err, ERR_MEMORY, "building a path");
	X509_STORE_free(run->store);
	run->store = store;
	return RC_OK;
}

/* Why there is no path, for an administrator. */
static void
path_sentence(const struct run *run, X509 *cert, char text[SENTENCE_SIZE])
{
	char name[NAME_TEXT_SIZE], issuer[NAME_TEXT_SIZE], day[CLOCK_TEXT_SIZE];
	const ASN1_TIME *until = cert ? X509_get0_notAfter(cert) : NULL;
	struct tm tm;

	name_text_of(cert, name);
	switch (run->error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		if (!until || !ASN1_TIME_to_tm(until, &tm))
			break;
		(void)snprintf(text, SENTENCE_SIZE, "the certificate of %s expired on %.10s", name,
			clock_format((int64_t)timegm(&tm), day));
		return;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		(void)snprintf(text, SENTENCE_SIZE, "the certificate of %s is not valid yet", name);
		return;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		if (!cert)
			break;
		(void)snprintf(text, SENTENCE_SIZE,
			"no path to a trust anchor: the issuer of %s (%s) is not known or not trusted",
			name, name_text(X509_get_issuer_name(cert), issuer));
		return;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		(void)snprintf(text, SENTENCE_SIZE,
			"no path to a trust anchor: it ends at %s, which is not trusted", name);
		return;
	default:
		break;
	}
	(void)snprintf(text, SENTENCE_SIZE, "the certificate of %s: %s", name,
		X509_verify_cert_error_string(run->error));
}

static void
explain_path(const struct run *run, struct verdict *verdict)
{
	X509 *cert = sk_X509_value(run->chain, run->depth); /* get0; NULL past the end */
	char text[SENTENCE_SIZE];

	path_sentence(run, cert, text);
	path_note(verdict, VERDICT_PATH, cert, text);
}

/* Tries until a path is valid or nothing is left to be tried. */
static enum rc
find_path(struct run *run, struct err *err)
{
	STACK_OF(X509) *excluded = sk_X509_new_null();
	struct verdict *verdict = run->verdict, found, first;
	enum rc rc = excluded ? RC_OK : ossl_err(err, ERR_MEMORY, "building a path");
	int attempt, place;

	verdict_init(&first);
	verdict_init(&found);
	for (attempt = 0; rc == RC_OK && attempt < MAX_ATTEMPTS; attempt++) {
		verdict_fini(&found);
		run->verdict = &found;
		rc = run_once(run, err);
		if (rc != RC_OK)
			break;
		place = run->valid ? misplaced_ca(run->chain) : culprit(run);
		if (run->valid && place < 0)
			break;
		if (run->valid) {
			X509 *ca = sk_X509_value(run->chain, place);
			char name[NAME_TEXT_SIZE], text[SENTENCE_SIZE];

			run->valid = false;
			(void)snprintf(text, sizeof(text),
				"the CA %s may not issue certificates for mail",
				name_text_of(ca, name));
			path_note(&found, VERDICT_PATH, ca, text);
		} else {
			explain_path(run, &found);
		}
		if (attempt == 0) {
			first = found; /* with all that it owns */
			verdict_init(&found);
		}
		if (place <= 0)
			break;
		rc = exclude(run, place, excluded, err);
	}
	run->verdict = verdict;
	if (rc == RC_OK) {
		verdict_fini(verdict);
		*verdict = run->valid ? found : first;
		verdict_init(run->valid ? &found : &first);
	}
	verdict_fini(&first);
	verdict_fini(&found);
	sk_X509_pop_free(excluded, X509_free);
	return rc;
}

/* Floors that OpenSSL's levels do not know: the configured RSA size, and DSA, which is no longer
 * used. */
static void
check_floors(struct run *run)
{
	int i;

	for (i = 0; i < sk_X509_num(run->chain); i++) {
		X509 *cert = sk_X509_value(run->chain, i);
		EVP_PKEY *key = X509_get0_pubkey(cert); /* get0 */
		int id = key ? EVP_PKEY_get_base_id(key) : NID_undef;

		if (id == EVP_PKEY_DSA || ((id == EVP_PKEY_RSA || id == EVP_PKEY_RSA_PSS) &&
						  EVP_PKEY_get_bits(key) < run->request->min_rsa))
			note_weak(run, X509_V_ERR_EE_KEY_TOO_SMALL, cert);
	}
}

enum rc
path_check(const struct path_request *request, struct verdict *verdict, struct err *err)
{
	struct run run = {.request = request, .verdict = verdict};
	struct verdict found;
	enum rc rc;

	verdict_init(&found);
	run.verdict = &found;
	run.store = make_store(request->anchors, NULL);
	run.untrusted = request->untrusted ? sk_X509_dup(request->untrusted) : sk_X509_new_null();
	rc = run.store && run.untrusted ? find_path(&run, err)
					: ossl_err(err, ERR_MEMORY, "building a path");
	if (rc == RC_OK && run.valid) {
		found.path = PATH_VALID;
		check_floors(&run);
		if (request->revocation)
			rc = path_check_revocation(request, run.chain, &found, err);
	} else if (rc == RC_OK) {
		found.path = PATH_INVALID;
	}
	if (rc == RC_OK) {
		verdict_take(verdict, &found, VERDICT_PATH);
		verdict_take(verdict, &found, VERDICT_REVOCATION);
		verdict_take(verdict, &found, VERDICT_STRENGTH);
	}
	verdict_fini(&found);
	sk_X509_pop_free(run.chain, X509_free);
	sk_X509_free(run.untrusted); /* borrowed certificates */
	X509_STORE_free(run.store);
	return rc;
}
