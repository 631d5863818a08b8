/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path.c - judges each way to an anchor that path_build.c finds, and keeps the best
 *
 * OpenSSL's own builder goes up from the leaf, taking at each step the issuer that looks best, and
 * never comes back to another choice. So the ways are found by us and OpenSSL gets each as it is:
 * its store knows one anchor, and "issued by" is answered from the path. What RFC 5280 section 6
 * asks for (signatures, times, path length, policies, name constraints) is OpenSSL's work; nothing
 * is valid that it refuses.
 *
 * Weak algorithms are no path failure: "right, but weak" and "wrong" are different answers.
 */
#include "crypto/path.h"

#include "crypto/name_text.h"
#include "crypto/openssl_glue.h"
#include "crypto/path_build.h"
#include "crypto/path_revocation.h"
#include "crypto/path_rules.h"
#include "crypto/trust_rules.h"
#include "message/addr.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

/* One question under way. */
struct run {
	const struct path_request *request;
	struct verdict best;
	enum path_score score; /* of BEST */
	unsigned quality;      /* of BEST, when it is good */
};

/* "Issued by" for OpenSSL: what stands next to each other in the path. */
static int
on_check_issued(X509_STORE_CTX *ctx, X509 *subject, X509 *issuer)
{
	const struct path_chain *chain = X509_STORE_CTX_get_app_data(ctx);
	int i;

	for (i = 0; i < chain->n - 1; i++)
		if (chain->v[i] == subject && chain->v[i + 1] == issuer)
			return 1;
	return chain->v[chain->n - 1] == subject && subject == issuer;
}

static bool
set_params(X509_STORE_CTX *ctx, const struct run *run, const struct trust_rules *rules)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx); /* get0 */
	unsigned long flags =
		X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_POLICY_CHECK;

	if (rules->require_policy && !run->request->plain)
		flags |= X509_V_FLAG_EXPLICIT_POLICY;
	if (rules->inhibit_mapping && !run->request->plain)
		flags |= X509_V_FLAG_INHIBIT_MAP;
	if (rules->inhibit_any && !run->request->plain)
		flags |= X509_V_FLAG_INHIBIT_ANY;
	X509_VERIFY_PARAM_set_depth(param, PATH_MAX_CERTS);
	X509_VERIFY_PARAM_set_time(param, (time_t)run->request->path_at);
	X509_VERIFY_PARAM_set_auth_level(param, 0); /* strength is judged by the anchor's rules */
	return X509_VERIFY_PARAM_set_flags(param, flags) &&
	       (run->request->plain || X509_VERIFY_PARAM_set1_policies(param, rules->policies));
}

/* Between leaf and anchor, borrowed. */
static STACK_OF(X509) * stack_of(const struct path_chain *chain, int from, int to)
{
	STACK_OF(X509) *stack = sk_X509_new_null();
	int i;

	for (i = from; stack && i < to; i++)
		if (!sk_X509_push(stack, chain->v[i])) {
			sk_X509_free(stack);
			return NULL;
		}
	return stack;
}

/* OpenSSL's answer: X509_V_OK or an error about the certificate at *DEPTH. */
static enum rc
ask_openssl(const struct run *run, const struct path_chain *chain, int *error, int *depth,
	struct err *err)
{
	const struct trust_rules *rules = chain->anchor->rules;
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_STORE *store = X509_STORE_new();
	STACK_OF(X509) *middle = stack_of(chain, 1, chain->n - 1);
	STACK_OF(X509) *end = stack_of(chain, chain->n - 1, chain->n);
	unsigned refusals = ossl_refusals();
	enum rc rc = RC_OK;

	if (store)
		X509_STORE_set_check_issued(store, on_check_issued);
	if (!ctx || !store || !middle || !end ||
		!X509_STORE_CTX_init(ctx, store, chain->v[0], middle) ||
		!X509_STORE_CTX_set_app_data(ctx, (void *)chain) || !set_params(ctx, run, rules)) {
		rc = ossl_err(err, ERR_MEMORY, "checking a path");
		goto out;
	}
	X509_STORE_CTX_set0_trusted_stack(ctx, end);
	*error = X509_V_OK;
	if (X509_verify_cert(ctx) != 1) {
		*error = X509_STORE_CTX_get_error(ctx);
		*depth = X509_STORE_CTX_get_error_depth(ctx);
		if (*error == X509_V_OK)
			*error = X509_V_ERR_UNSPECIFIED;
	}
	/* "Out of memory" without a refusal is a limit of OpenSSL's, and an answer. */
	if (*error == X509_V_ERR_OUT_OF_MEM && ossl_refusals() != refusals)
		rc = ossl_err(err, ERR_MEMORY, "checking a path");
out:
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_free(middle);
	sk_X509_free(end);
	ossl_clear();
	return rc;
}

/* Path, by every rule there is. */
static enum rc
judge(const struct run *run, const struct path_chain *chain, struct path_fault *fault,
	struct err *err)
{
	const struct path_request *request = run->request;
	int error = X509_V_OK, depth = 0;
	enum rc rc;

	fault->score = PATH_GOOD;
	if (!path_rules_before(request, chain, fault))
		return RC_OK;
	rc = ask_openssl(run, chain, &error, &depth, err);
	if (rc != RC_OK)
		return rc;
	if (error != X509_V_OK)
		path_rules_error(chain, error, depth, fault);
	/* What nobody signed has no rules. */
	if (fault->score == PATH_FORGED || !path_rules_after(request, chain, fault))
		return RC_OK;
	if (error == X509_V_OK && !anchor_speaks_for(chain->anchor, request->addr)) {
		const char *domain = addr_domain(request->addr);

		fault->score = PATH_SCOPED;
		fault->cert = chain->v[chain->n - 1];
		(void)snprintf(fault->text, sizeof(fault->text),
			"its path is valid, but the trust anchor at its end may not speak for %.200s",
			domain ? domain : request->addr);
	}
	return RC_OK;
}

/* Of valid paths. */
static unsigned
quality_of(const struct verdict *v)
{
	unsigned revocation = v->revocation == REVOCATION_REVOKED   ? 0
			      : v->revocation == REVOCATION_UNKNOWN ? 1
								    : 2;

	return revocation * 4 + (v->sender != SENDER_MISMATCH) * 2u + (v->strength == STRENGTH_OK);
}

#define BEST_QUALITY (2 * 4 + 2 + 1)

/* Is the leaf itself revoked? Then no other path helps. */
static bool
leaf_is_revoked(const struct run *run, const struct verdict *v)
{
	const struct cert *about = v->found[VERDICT_REVOCATION].cert;

	return v->revocation == REVOCATION_REVOKED && about && run->request->cert &&
	       memcmp(cert_sha256(about), cert_sha256(run->request->cert), SHA256_SIZE) == 0;
}

/* Keeps FOUND when it is better than what there was; FOUND is given up. */
static void
keep(struct run *run, enum path_score score, unsigned quality, struct verdict *found)
{
	if (score > run->score || (score == run->score && quality > run->quality)) {
		verdict_fini(&run->best);
		run->best = *found;
		run->score = score;
		run->quality = quality;
		verdict_init(found); /* all that it owned is the best's now */
	}
	verdict_fini(found);
}

/* Revocation along a valid path, by its anchor's rules: in the verdict, or aside. */
static enum rc
ask_revocation(const struct run *run, const struct path_chain *chain, struct verdict *found,
	struct err *err)
{
	struct path_request own = *run->request; /* with this anchor's rules */
	bool off = found->revocation_rule.mode == REVOKE_OFF && !own.level;
	struct verdict aside;
	STACK_OF(X509) * stack;
	enum rc rc;

	if (!own.revocation || (off && !own.aside))
		return RC_OK;
	own.rules = chain->anchor->rules;
	stack = stack_of(chain, 0, chain->n);
	if (!stack)
		return ossl_err(err, ERR_MEMORY, "revocation");
	verdict_init(&aside);
	aside.revocation_rule = found->revocation_rule;
	rc = path_check_revocation(&own, stack, off ? &aside : found, err);
	sk_X509_free(stack);
	if (off) {
		found->aside.revocation = aside.revocation;
		found->aside.stale = aside.stale;
		found->aside.found = aside.found[VERDICT_REVOCATION];
		aside.found[VERDICT_REVOCATION] = (struct finding){0}; /* FOUND's now */
	}
	verdict_fini(&aside);
	return rc;
}

/* Nobody said whose mail it is about: then the anchor's limit is said, not judged. */
static void
note_domains(const struct anchor *anchor, struct verdict *found)
{
	char list[200] = "";
	size_t len = 0, i;

	for (i = 0; i < anchor->n && len + 12 < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%.100s", i ? ", " : "",
			anchor->domains[i]);
	verdict_note(found, VERDICT_PATH, anchor->cert,
		"valid, but the trust anchor at its end may speak only for mail of %s%s; for which address was not asked",
		list, i < anchor->n || len >= sizeof(list) ? ", …" : "");
}

/* One complete path, for path_build. */
static enum rc
on_path(void *ctx, const struct path_chain *chain, bool *enough, struct err *err)
{
	struct run *run = ctx;
	struct path_fault fault;
	struct verdict found;
	unsigned quality;
	enum rc rc = judge(run, chain, &fault, err);

	if (rc != RC_OK)
		return rc;
	verdict_init(&found);
	if (fault.score != PATH_GOOD) {
		path_note(&found, VERDICT_PATH, fault.cert, fault.text);
		found.path = PATH_INVALID;
		keep(run, fault.score, 0, &found);
		return RC_OK;
	}
	found.path = PATH_VALID;
	if (!run->request->addr && !run->request->level && chain->anchor->n)
		note_domains(chain->anchor, &found);
	found.sha1_until = chain->anchor->rules->sha1_until;
	trust_rules_strength(chain->anchor->rules, chain->v, chain->n, &found);
	trust_rules_sender(chain->anchor->rules, run->request->cert, run->request->addr, &found);
	found.revocation_rule = chain->anchor->rules->revocation;
	rc = ask_revocation(run, chain, &found, err);
	if (rc != RC_OK) {
		verdict_fini(&found);
		return rc;
	}
	quality = quality_of(&found);
	*enough = quality == BEST_QUALITY || leaf_is_revoked(run, &found);
	keep(run, PATH_GOOD, quality, &found);
	return RC_OK;
}

/* There is no valid path. */
static void
explain(struct run *run, const struct path_search *search)
{
	struct path_fault fault;
	size_t i;

	if (run->score <= PATH_FORGED && search->exhausted &&
		effort_is_spent(run->request->effort)) {
		verdict_forget(&run->best, VERDICT_PATH);
		path_note(&run->best, VERDICT_PATH, search->crowded, effort_reason());
	} else if (run->score <= PATH_FORGED && (search->exhausted || search->n_ends)) {
		bool forged = run->score == PATH_FORGED && !search->exhausted;

		path_rules_end(search, &fault);
		if (!forged) {
			verdict_forget(&run->best, VERDICT_PATH);
			path_note(&run->best, VERDICT_PATH, fault.cert, fault.text);
		}
	}
	run->best.path =
		search->exhausted && run->score <= PATH_FORGED ? PATH_UNKNOWN : PATH_INVALID;
	for (i = 0; i < search->n_ends; i++)
		if (search->ends[i].kind == PATH_END_UNKNOWN ||
			search->ends[i].kind == PATH_END_FORGED)
			path_rules_issuers(search->ends[i].cert, &run->best);
	trust_rules_sender(run->request->rules, run->request->cert, run->request->addr, &run->best);
}

enum rc
path_check(const struct path_request *request, struct verdict *verdict, struct err *err)
{
	struct run run = {.request = request, .score = PATH_NO_WAY};
	struct path_search search = {.try = on_path, .ctx = &run};
	enum rc rc;

	verdict_init(&run.best);
	rc = path_build(request, &search, err);
	if (rc == RC_OK && run.score != PATH_GOOD)
		explain(&run, &search);
	if (rc == RC_OK) {
		verdict_take(verdict, &run.best, VERDICT_PATH);
		verdict_take(verdict, &run.best, VERDICT_REVOCATION);
		verdict_take(verdict, &run.best, VERDICT_SENDER);
		verdict_take(verdict, &run.best, VERDICT_STRENGTH);
	}
	verdict_fini(&run.best);
	return rc;
}
