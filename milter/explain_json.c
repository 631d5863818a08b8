/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that led to a result, for programs; and the result alone. Only reads what the stages
 * left behind.
 */
#include "milter/explain_learned.h"
#include "milter/explain_why.h"
#include "milter/explain_words.h"
#include "milter/tx.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const revocation_words[] = {"default", "if-known", "required", "grace"};
static const char *const outcome_words[] = {"deliver", "refuse", "defer"};

static void
json_message(struct json *json, const struct transaction *tx)
{
	char why[FACTS_WHY_SIZE];

	json_object(json, "message");
	json_str(json, "sender", tx->sender);
	json_array(json, "from");
	for (size_t i = 0; i < tx->from.n; i++)
		json_str(json, NULL, tx->from.v[i]);
	json_array_end(json);
	json_str(json, "identity", tx->identity);
	json_str(json, "client", tx->client);
	json_str(json, "stamped_by", tx->gate);
	json_str(json, "authorised", explain_tri[tx->facts.authorised]);
	json_str(json, "why", facts_why_authorised(tx, why));
	json_int(json, "size", (int64_t)tx->facts.size);
	json_array(json, "class");
	for (unsigned bit = 1; bit && bit <= tx->facts.classes; bit <<= 1)
		if (tx->facts.classes & bit)
			json_str(json, NULL, class_name((enum msg_class)bit));
	json_array_end(json);
	json_str(json, "service", engine_service(tx->engine));
	json_str(json, "role", explain_role[engine_role(tx->engine)]);
	json_array(json, "added");
	for (const struct tx_extra *e = tx->extras; e; e = e->next) {
		json_object(json, NULL);
		json_str(json, "address", e->addr);
		json_bool(json, "escrow", e->escrow);
		json_int(json, "certificates", (int64_t)e->certs.n);
		json_str(json, "why", e->err.code != ERR_NONE ? e->err.detail : NULL);
		json_object_end(json);
	}
	json_array_end(json);
	json_object_end(json);
}

static enum rc
json_rules(struct json *json, struct transaction *tx, const struct rcpt *rcpt, struct err *err)
{
	const struct observed *seen;
	struct rule_trace *trace;
	size_t n;
	enum rc rc = explain_rules(tx, rcpt, &trace, &n, err);

	if (rc != RC_OK)
		return rc;
	json_array(json, "rules");
	for (size_t k = 0; k < n; k++) {
		json_object(json, NULL);
		json_str(json, "rule", rule_name(trace[k].rule));
		if (rule_line(trace[k].rule))
			json_int(json, "line", rule_line(trace[k].rule));
		json_str(json, "mode", rule_is_observed(trace[k].rule) ? "observe" : "enforce");
		json_str(json, "matched", explain_tri[trace[k].matched]);
		json_str(json, "criterion", trace[k].criterion);
		why_wanted_json(engine_conf(tx->engine), k, trace[k].criterion, json);
		seen = why_observed(rcpt, trace[k].rule);
		if (seen) {
			json_str(json, "would", seen->would);
			json_str(json, "why", *seen->why ? seen->why : NULL);
			json_str(json, "error",
				seen->cause == ERR_NONE ? NULL : err_name(seen->cause));
		}
		json_object_end(json);
	}
	json_array_end(json);
	free(trace);
	return RC_OK;
}

static void
json_verdicts(struct json *json, const struct verdicts *v)
{
	json_object(json, "says");
	json_str(json, "sign", explain_sign[v->sign]);
	json_array(json, "sign_key");
	for (size_t i = 0; i < v->sign_keys.n; i++)
		json_str(json, NULL, v->sign_keys.v[i]);
	json_array_end(json);
	json_str(json, "encoding", v->encoding == ENCODING_BASE64 ? "base64" : "auto");
	json_array(json, "escrow");
	for (size_t i = 0; i < v->escrow.n; i++)
		json_str(json, NULL, v->escrow.v[i]);
	json_array_end(json);
	json_bool(json, "copy_sender", v->copy_sender);
	json_bool(json, "invite", v->invite);
	json_str(json, "form", v->form == FORM_OPAQUE ? "opaque" : "clear");
	json_str(json, "encrypt", explain_encrypt[v->encrypt]);
	json_str(json, "if_missing", explain_missing[v->if_missing]);
	json_str(json, "preset", explain_preset[v->preset]);
	json_str(json, "open", v->open ? "if-possible" : "never");
	json_str(json, "verify", v->verify ? "if-signed" : "never");
	json_str(json, "revocation", revocation_words[v->revocation]);
	json_str(json, "stale", v->stale == STALE_DEFER ? "defer" : "use");
	json_object_end(json);
}

static void
json_candidates(struct json *json, const struct rcpt *rcpt)
{
	if (rcpt->lookup_err.code != ERR_NONE)
		json_str(json, "lookup_error", rcpt->lookup_err.detail);
	if (!rcpt->found)
		return;
	json_array(json, "certificates");
	for (size_t i = 0; i < rcpt->found->n; i++) {
		const struct candidate *c = &rcpt->found->v[i];

		json_object(json, NULL);
		json_str(json, "sha256", cert_fingerprint(c->cert));
		json_str(json, "subject", cert_subject(c->cert));
		json_str(json, "issuer", cert_issuer(c->cert));
		json_str(json, "serial", cert_serial(c->cert));
		json_time(json, "not_after", cert_not_after(c->cert));
		json_str(json, "source", c->source);
		json_str(json, "tier", explain_tier(c->tier));
		json_bool(json, "proven", c->proven);
		smimecaps_json(&c->caps, json);
		json_bool(json, "used", c->used);
		json_str(json, "why", *c->why ? c->why : NULL);
		if (c->stale)
			json_int(json, "stale", c->stale);
		json_object_end(json);
	}
	json_array_end(json);
}

static void
json_plan(struct json *json, const struct plan_rcpt *plan)
{
	json_object(json, "plan");
	json_str(json, "outcome", outcome_words[plan->outcome]);
	json_bool(json, "sign", plan->transform & PLAN_SIGN);
	json_bool(json, "encrypt", plan->transform & PLAN_ENCRYPT);
	json_bool(json, "open", plan->transform & PLAN_OPEN);
	json_bool(json, "verify", plan->transform & PLAN_VERIFY);
	json_str(json, "why", *plan->why ? plan->why : NULL);
	json_str(json, "error", plan->err.code != ERR_NONE ? err_name(plan->err.code) : NULL);
	json_str(json, "detail", plan->err.code != ERR_NONE ? plan->err.detail : NULL);
	json_object_end(json);
}

static enum rc
json_recipient(struct json *json, struct transaction *tx, size_t i, struct err *err)
{
	const struct rcpt *rcpt = &tx->rcpts[i];
	const struct tx_signer *signer;
	char groups[400];
	enum rc rc;

	json_object(json, NULL);
	json_str(json, "recipient", rcpt->addr);
	json_str(json, "person", rcpt->person);
	json_str(json, "direction", explain_direction(rcpt->facts.direction));
	if (rcpt->groups)
		json_str(json, "groups",
			why_groups(engine_policy(tx->engine), rcpt->groups, groups));
	if (tx->groups)
		json_str(json, "sender_groups",
			why_groups(engine_policy(tx->engine), tx->groups, groups));
	rc = json_rules(json, tx, rcpt, err);
	if (rcpt->decision.rule) {
		json_str(json, "rule", rule_name(rcpt->decision.rule));
		json_verdicts(json, &rcpt->decision.verdicts);
		signer = tx_signer_for(tx, &rcpt->decision.verdicts);
		if (signer && signer->there == TRI_YES)
			json_str(json, "signing_key", signer->signer.key_id);
	}
	json_candidates(json, rcpt);
	if (tx->plan_rcpts)
		json_plan(json, &tx->plan_rcpts[i]);
	json_object_end(json);
	return rc;
}

static void
json_verdict(struct json *json, const struct verdict *v)
{
	json_object(json, "signature");
	verdict_json_parts(v, json);
	json_object_end(json);
}

enum rc
pipeline_explain_json(struct transaction *tx, const struct result *result, struct json *json)
{
	enum rc rc = RC_OK;

	json_int(json, "v", 1);
	result_json(result, false, json);
	json_message(json, tx);
	json_array(json, "recipients");
	for (size_t i = 0; rc == RC_OK && i < tx->n; i++)
		rc = json_recipient(json, tx, i, NULL);
	json_array_end(json);
	for (size_t k = 0; k < result->n_copies; k++)
		if (result->copies[k].verdict) {
			json_verdict(json, result->copies[k].verdict);
			break;
		}
	explain_learned_json(tx, json);
	return rc;
}

static void
json_copy(struct json *json, const struct result *result, size_t k, const char *file)
{
	const struct copy *copy = &result->copies[k];

	json_object(json, NULL);
	json_str(json, "file", file);
	json_array(json, "recipients");
	for (size_t i = 0; i < copy->n; i++)
		json_str(json, NULL, result->rcpts[copy->rcpts[i]].addr);
	json_array_end(json);
	json_bool(json, "signed", copy->done & PLAN_SIGN);
	json_bool(json, "encrypted", copy->done & PLAN_ENCRYPT);
	json_bool(json, "opened", copy->done & PLAN_OPEN);
	json_str(json, "rule", copy->rule);
	if (copy->done & PLAN_ENCRYPT)
		json_str(json, "cipher", content_cipher_name(copy->cipher));
	json_object_end(json);
}

static void
json_refused(struct json *json, const struct rcpt_result *rcpt)
{
	char reply[440];

	snprintf(reply, sizeof(reply), "%d %s %s", rcpt->smtp, rcpt->enhanced, rcpt->text);
	json_object(json, NULL);
	json_str(json, "recipient", rcpt->addr);
	json_str(json, "reply", reply);
	json_str(json, "rule", rcpt->rule);
	json_object_end(json);
}

/* Those of the first copy that has any: the others' are the same or fewer. */
static void
json_layers(struct json *json, const struct result *result)
{
	size_t k = 0;

	while (k < result->n_copies && result->copies[k].n_layers == 0)
		k++;
	json_array(json, "layers");
	for (size_t i = 0; k < result->n_copies && i < result->copies[k].n_layers; i++) {
		json_object(json, NULL);
		json_str(json, "kind", result->copies[k].layers[i].kind);
		json_str(json, "detail", result->copies[k].layers[i].detail);
		json_object_end(json);
	}
	json_array_end(json);
}

void
result_json(const struct result *result, bool files, struct json *json)
{
	char reply[440], file[32];
	size_t number = 0;

	snprintf(reply, sizeof(reply), "%d %s %s", result->smtp, result->enhanced, result->text);
	json_str(json, "reply", reply);
	json_array(json, "copies");
	for (size_t k = 0; result->outcome == PLAN_DELIVER && k < result->n_copies; k++) {
		if (result->copies[k].n == 0)
			continue;
		snprintf(file, sizeof(file), "%zu.eml", ++number);
		json_copy(json, result, k, files ? file : NULL);
	}
	json_array_end(json);
	json_array(json, "refused");
	for (size_t i = 0; i < result->n_rcpts; i++)
		if (result->rcpts[i].outcome != PLAN_DELIVER)
			json_refused(json, &result->rcpts[i]);
	json_array_end(json);
	json_layers(json, result);
}
