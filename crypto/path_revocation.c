/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists that need more than a look-up (crl.h) are judged by a run of OpenSSL with its own machinery
 * along the path that was found.
 */
#include "crypto/path_revocation.h"

#include "base/clock.h"
#include "crypto/name_text.h"
#include "crypto/openssl_glue.h"
#include "crypto/revocation_private.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <string.h>

#define SENTENCE_SIZE 384

struct run {
	const struct path_request *request;
	STACK_OF(X509) * chain; /* borrowed */
	struct verdict *verdict;
};

/* The context at the top: OpenSSL makes contexts of its own for the paths of CRL issuers. */
static X509_STORE_CTX *
top_of(X509_STORE_CTX *ctx)
{
	X509_STORE_CTX *parent;

	while ((parent = X509_STORE_CTX_get0_parent_ctx(ctx)))
		ctx = parent;
	return ctx;
}

/* What OpenSSL says of a certificate's revocation. Revoked outweighs unknown. */
static void
note_revocation(struct run *run, int error, const X509 *cert)
{
	char name[NAME_TEXT_SIZE], text[SENTENCE_SIZE];

	name_text_of(cert, name);
	if (run->verdict->revocation == REVOCATION_REVOKED)
		return;
	if (error == X509_V_ERR_CERT_REVOKED) {
		verdict_forget(run->verdict, VERDICT_REVOCATION); /* "unknown" is less grave */
		run->verdict->revocation = REVOCATION_REVOKED;
		(void)snprintf(text, sizeof(text), "the certificate of %s is revoked", name);
	} else {
		run->verdict->revocation = REVOCATION_UNKNOWN;
		(void)snprintf(text, sizeof(text),
			"whether the certificate of %s is revoked is unknown: %s", name,
			X509_verify_cert_error_string(error));
	}
	path_note(run->verdict, VERDICT_REVOCATION, cert, text);
}

static int
on_verify(int ok, X509_STORE_CTX *ctx)
{
	X509_STORE_CTX *top = top_of(ctx);
	int error = X509_STORE_CTX_get_error(ctx), depth = X509_STORE_CTX_get_error_depth(ctx);

	if (ok || error == X509_V_ERR_EE_KEY_TOO_SMALL || error == X509_V_ERR_CA_KEY_TOO_SMALL ||
		error == X509_V_ERR_CA_MD_TOO_WEAK)
		return 1;
	if (ctx != top)
		return 0;
	/* The path itself was found good before: what comes now is about CRLs. */
	if (depth < sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) - 1)
		note_revocation(X509_STORE_CTX_get_app_data(top), error,
			X509_STORE_CTX_get_current_cert(ctx));
	return 1;
}

static STACK_OF(X509_CRL) * on_lookup_crls(const X509_STORE_CTX *ctx, const X509_NAME *name)
{
	/* top_of changes nothing; the getter merely lacks the const. */
	const struct run *run = X509_STORE_CTX_get_app_data(top_of((X509_STORE_CTX *)ctx));

	return crl_index_lookup(run->request->revocation->crls, name);
}

/* Of the path that was found, so that the same one is built again. */
static X509_STORE *
make_store(const struct run *run)
{
	X509_STORE *store = X509_STORE_new();

	if (store && !X509_STORE_add_cert(
			     store, sk_X509_value(run->chain, sk_X509_num(run->chain) - 1))) {
		X509_STORE_free(store);
		return NULL;
	}
	if (store)
		X509_STORE_set_lookup_crls(store, on_lookup_crls);
	return store;
}

static STACK_OF(X509) * make_untrusted(const struct run *run)
{
	STACK_OF(X509) *all = sk_X509_dup(run->chain);
	int i;

	for (i = 0; all && i < sk_X509_num(run->request->untrusted); i++)
		if (!sk_X509_push(all, sk_X509_value(run->request->untrusted, i))) {
			sk_X509_free(all);
			return NULL;
		}
	return all;
}

static enum rc
ask_openssl(struct run *run, struct err *err)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_STORE *store = make_store(run);
	STACK_OF(X509) *untrusted = make_untrusted(run);
	X509_VERIFY_PARAM *param;
	enum rc rc = RC_OK;

	if (!ctx || !store || !untrusted ||
		!X509_STORE_CTX_init(ctx, store, run->request->leaf, untrusted) ||
		!X509_STORE_CTX_set_app_data(ctx, run)) {
		rc = ossl_err(err, ERR_MEMORY, "revocation");
		goto out;
	}
	param = X509_STORE_CTX_get0_param(ctx); /* get0 */
	X509_VERIFY_PARAM_set_flags(
		param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST |
			       X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL |
			       X509_V_FLAG_EXTENDED_CRL_SUPPORT | X509_V_FLAG_USE_DELTAS);
	X509_VERIFY_PARAM_set_time(param, (time_t)run->request->at);
	X509_STORE_CTX_set_verify_cb(ctx, on_verify);
	if (X509_verify_cert(ctx) != 1)
		note_revocation(run, X509_STORE_CTX_get_error(ctx), run->request->leaf);
out:
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_free(untrusted);
	ossl_clear();
	return rc;
}

/* Asks our own index for each certificate of the path; true when it knew all the answers. */
static bool
ask_index(struct run *run)
{
	int i;

	for (i = 0; i < sk_X509_num(run->chain) - 1; i++) {
		X509 *cert = sk_X509_value(run->chain, i);
		char name[NAME_TEXT_SIZE], day[CLOCK_TEXT_SIZE], text[SENTENCE_SIZE];
		int64_t when = 0;

		switch (crl_index_check(run->request->revocation->crls, cert,
			sk_X509_value(run->chain, i + 1), run->request->at, &when)) {
		case CRL_GOOD:
			break;
		case CRL_COMPLEX:
			return false;
		case CRL_NONE:
			run->verdict->revocation = REVOCATION_UNKNOWN;
			(void)snprintf(text, sizeof(text),
				"whether the certificate of %s is revoked is unknown: there is no CRL of its issuer",
				name_text_of(cert, name));
			path_note(run->verdict, VERDICT_REVOCATION, cert, text);
			break;
		case CRL_REVOKED:
			run->verdict->revocation = REVOCATION_REVOKED;
			verdict_forget(run->verdict, VERDICT_REVOCATION);
			(void)snprintf(text, sizeof(text),
				"the certificate of %s was revoked on %.10s",
				name_text_of(cert, name), clock_format(when, day));
			path_note(run->verdict, VERDICT_REVOCATION, cert, text);
			return true;
		}
	}
	return true;
}

enum rc
path_check_revocation(const struct path_request *request, STACK_OF(X509) * chain,
	struct verdict *verdict, struct err *err)
{
	struct run run = {.request = request, .chain = chain, .verdict = verdict};

	if (sk_X509_num(chain) < 2)
		return RC_OK; /* the leaf is an anchor itself: nobody speaks for it */
	verdict->revocation = REVOCATION_GOOD;
	if (ask_index(&run))
		return RC_OK;
	verdict_forget(verdict, VERDICT_REVOCATION);
	verdict->revocation = REVOCATION_GOOD;
	return ask_openssl(&run, err);
}
