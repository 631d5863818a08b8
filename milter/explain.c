/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that led to a result, for people. Only reads what the stages left behind.
 */
#include "milter/check_signature.h"
#include "milter/explain_learned.h"
#include "milter/explain_why.h"
#include "milter/explain_words.h"
#include "milter/tx.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const opened_words[] = {"re-encrypt", "original", "refuse", "clear"};

/* The algorithms that PRESET stands for, as they are used. */
static const char *
preset_algorithms(enum preset preset)
{
	if (preset == PRESET_MODERN)
		return "RSA-PSS and OAEP where keys are RSA, AES-256-GCM";
	return preset == PRESET_AUTO ? "OAEP and AES-256-GCM for whoever announced them"
				     : "RSA PKCS#1 v1.5 where keys are RSA, AES-256-CBC";
}

/* The first failure sticks, so that a text can be written without looking at each step. */
struct text {
	struct buf *out;
	struct err *err;
	enum rc rc;
};

__attribute__((format(printf, 2, 3))) static void
put(struct text *t, const char *fmt, ...)
{
	char line[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	/* What came from outside must not move a terminal's cursor. */
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ' && *p != '\n')
			*p = '?';
	if (t->rc == RC_OK)
		t->rc = buf_append_str(t->out, line, t->err);
}

static void
text_classes(struct text *t, unsigned classes)
{
	const char *separator = "";

	put(t, "  kind       ");
	for (unsigned bit = 1; bit && bit <= classes; bit <<= 1)
		if (classes & bit) {
			put(t, "%s%s", separator, class_name((enum msg_class)bit));
			separator = ", ";
		}
	put(t, "\n");
}

static bool
is_gate(const struct transaction *tx)
{
	return engine_role(tx->engine) == ROLE_GATE;
}

/* What a gate does, which tries no rule and asks for no certificate. */
static void
text_gate(struct text *t, const struct transaction *tx)
{
	put(t, "\nGate\n");
	if (tx->stamped)
		put(t, "  stamp      made, for the service behind the queue: login %s, client %s, right %s\n",
			tx->identity ? tx->identity : "none", tx->client ? tx->client : "unknown",
			explain_tri[tx->facts.authorised]);
	else
		put(t, "  stamp      none: %s\n", tx->why_authorised);
	if (tx->n_stamps)
		put(t, "  taken out  %zu that came with the message\n", tx->n_stamps);
	put(t, "  rules      are for the service behind the queue: ask with --service and its name\n");
}

static void
text_message(struct text *t, const struct transaction *tx)
{
	char why[FACTS_WHY_SIZE];

	put(t, "Message\n  sender     <%s>\n  From:      ", tx->sender);
	for (size_t i = 0; i < tx->from.n && i < 10; i++)
		put(t, "%s%s", i ? ", " : "", tx->from.v[i]);
	put(t, "%s\n", tx->from.n ? "" : "(nobody)");
	put(t, "  may sign   %s: %s\n", explain_tri[tx->facts.authorised],
		facts_why_authorised(tx, why));
	if (tx->gate)
		put(t, "  stamped by service %s\n", tx->gate);
	put(t, "  size       %llu bytes\n", (unsigned long long)tx->facts.size);
	if (!is_gate(tx)) /* which does not look */
		text_classes(t, tx->facts.classes);
	put(t, "  service    %s (role %s)\n", engine_service(tx->engine),
		explain_role[engine_role(tx->engine)]);
	for (const struct tx_extra *e = tx->extras; e; e = e->next)
		put(t, "  %-10s %s: %zu certificates%s%s\n", e->escrow ? "archive" : "author",
			e->addr, e->certs.n, e->err.code != ERR_NONE ? ", " : "", e->err.detail);
}

static void
text_rule(struct text *t, const struct transaction *tx, const struct rcpt *rcpt,
	const struct rule_trace *trace, size_t which)
{
	const struct observed *seen = why_observed(rcpt, trace->rule);
	const char *criterion = trace->criterion ? trace->criterion : "its criteria";
	char where[24], wanted[160];

	why_wanted(engine_conf(tx->engine), which, trace->criterion, wanted);

	if (rule_line(trace->rule))
		snprintf(where, sizeof(where), "line %d", rule_line(trace->rule));
	else
		snprintf(where, sizeof(where), "shipped");
	put(t, "    %-28s %-10s ", rule_name(trace->rule), where);
	if (trace->matched == TRI_NO)
		put(t, "no, by %s%s\n", criterion, wanted);
	else if (trace->matched == TRI_UNKNOWN)
		put(t, "cannot be told, by %s%s\n", criterion, wanted);
	else if (seen)
		put(t, "matches, but only observes; would %s%s%s\n", seen->would,
			*seen->why ? ": " : "", seen->why);
	else
		put(t, "%s\n",
			rule_is_observed(trace->rule) ? "matches, but only observes"
						      : "matches and decides");
}

/* The verdicts' Ith key. */
static const char *
sign_key_words(const struct verdicts *v, size_t i)
{
	bool own = v->sign_keys.n == 0 || strcmp(v->sign_keys.v[i], "own") == 0;

	return own ? "the author's key" : v->sign_keys.v[i];
}

static void
text_verdicts(struct text *t, const struct verdicts *v)
{
	put(t, "  says\n    sign %s", explain_sign[v->sign]);
	if (v->sign != SIGN_NEVER)
		put(t, " with ");
	for (size_t i = 0; v->sign != SIGN_NEVER && i < (v->sign_keys.n ? v->sign_keys.n : 1); i++)
		put(t, "%s%s", i ? " or " : "", sign_key_words(v, i));
	if (v->sign != SIGN_NEVER)
		put(t, ", %s%s", v->form == FORM_OPAQUE ? "opaque" : "clear",
			v->encoding == ENCODING_BASE64 ? ", text as base64" : "");
	put(t, "; encrypt %s", explain_encrypt[v->encrypt]);
	if (v->encrypt == ENCRYPT_REQUIRED)
		put(t, " (without a certificate: %s)", explain_missing[v->if_missing]);
	for (size_t i = 0; i < v->escrow.n; i++)
		put(t, ", also for %s", v->escrow.v[i]);
	if (v->copy_sender)
		put(t, ", also for the author");
	if (v->invite)
		put(t, ", invite whoever has no certificate");
	put(t, "; open %s; verify %s; opened %s\n", v->open ? "if-possible" : "never",
		v->verify ? "if-signed" : "never", opened_words[v->opened]);
	if (v->sign != SIGN_NEVER || v->encrypt != ENCRYPT_NEVER)
		put(t, "    preset %s: %s\n", explain_preset[v->preset],
			preset_algorithms(v->preset));
	if (v->encrypt != ENCRYPT_NEVER && v->stale == STALE_DEFER)
		put(t, "    not by what a directory said before it could not be asked\n");
}

static void
text_candidates(struct text *t, const struct rcpt *rcpt)
{
	const enum revocation_mode *mode = rule_revocation(&rcpt->decision.verdicts);
	char until[CLOCK_TEXT_SIZE], caps[EXPLAIN_LEARNED_SIZE];

	put(t, "  certificates\n");
	if (!rcpt->found) {
		put(t, "    %s\n",
			rcpt->lookup_err.code != ERR_NONE ? rcpt->lookup_err.detail
							  : "not asked: no verdict needs one");
		return;
	}
	if (rcpt->found->n == 0)
		put(t, "    %s%s\n",
			rcpt->lookup_err.code == ERR_NONE ? "none: nobody knows this address"
			: rcpt->found->rc == RC_TEMP && rcpt->found->err.code == ERR_CERT_NAMED
				? ""
				: "could not be asked: ",
			rcpt->lookup_err.detail);
	for (size_t i = 0; i < rcpt->found->n; i++) {
		const struct candidate *c = &rcpt->found->v[i];

		put(t, "    %s %.16s from %s (%s%s), valid until %s\n      %s\n",
			c->used ? "used    " : "not used", cert_fingerprint(c->cert), c->source,
			explain_tier(c->tier), c->proven ? ", proven" : "",
			clock_format(cert_not_after(c->cert), until), cert_subject(c->cert));
		if (explain_caps(&c->caps, caps))
			put(t, "      %s\n", caps);
		if (!c->used)
			put(t, "      because %s\n", c->why);
		else if (mode && c->short_of & 1u << *mode)
			put(t, "      but too little is known of its revocation for this rule\n");
		if (c->stale)
			put(t, "      as it was said %lld s ago; %s can't be asked now%s\n",
				(long long)c->stale, c->source,
				c->used && rcpt->decision.verdicts.stale == STALE_DEFER
					? ", and this rule wants it to be"
					: "");
	}
}

static void
text_signer(struct text *t, const struct transaction *tx, const struct rcpt *rcpt)
{
	const struct tx_signer *signer = rcpt->decision.verdicts.sign == SIGN_NEVER
						 ? NULL
						 : tx_signer_for(tx, &rcpt->decision.verdicts);

	if (!signer)
		return;
	put(t, "  signing key\n    %s: ", signer->addr);
	if (signer->there == TRI_YES)
		put(t, "%s %.16s, %s\n", signer->signer.key_id,
			cert_fingerprint(signer->signer.cert),
			key_type_name(cert_key_type(signer->signer.cert)));
	else
		put(t, "%s\n", signer->there == TRI_NO ? "the vault has none" : signer->err.detail);
}

static void
text_recipient(struct text *t, struct transaction *tx, size_t i)
{
	struct rcpt *rcpt = &tx->rcpts[i];
	struct rule_trace *trace = NULL;
	char groups[400];
	size_t n = 0;

	put(t, "\nRecipient %s (%s)\n", rcpt->addr, explain_direction(rcpt->facts.direction));
	if (strcmp(rcpt->addr, rcpt->person) != 0)
		put(t, "  is         %s\n", rcpt->person);
	if (rcpt->groups)
		put(t, "  groups     %s\n",
			why_groups(engine_policy(tx->engine), rcpt->groups, groups));
	if (tx->groups)
		put(t, "  sender in  %s\n",
			why_groups(engine_policy(tx->engine), tx->groups, groups));
	if (rcpt->leaves_err.code != ERR_NONE)
		put(t, "  unknown    %s\n", rcpt->leaves_err.detail);
	if (t->rc == RC_OK)
		t->rc = explain_rules(tx, rcpt, &trace, &n, t->err);
	put(t, "  rules, in order\n");
	for (size_t k = 0; k < n; k++)
		text_rule(t, tx, rcpt, &trace[k], k);
	free(trace);
	if (!rcpt->decision.rule)
		return;
	text_verdicts(t, &rcpt->decision.verdicts);
	if (rcpt->decision.verdicts.encrypt != ENCRYPT_NEVER || rcpt->found)
		text_candidates(t, rcpt);
	text_signer(t, tx, rcpt);
	if (tx->plan_rcpts && *tx->plan_rcpts[i].why)
		put(t, "  plan       %s\n", tx->plan_rcpts[i].why);
	if (tx->plan_rcpts && tx->plan_rcpts[i].outcome == PLAN_DEFER)
		put(t, "             %s\n", tx->plan_rcpts[i].err.detail);
}

static const char *
yes(unsigned bit)
{
	return bit ? "yes" : "no";
}

/* What was found about each part of a verdict, and of which certificate. */
static void
text_findings(struct text *t, const struct verdict *v)
{
	for (size_t i = 0; i < VERDICT_PARTS; i++) {
		const struct finding *finding = &v->found[i];

		if (!finding->text)
			continue;
		put(t, "    %-10s %s\n", verdict_part_name((enum verdict_part)i), finding->text);
		if (finding->cert)
			put(t, "               certificate %s of %s\n",
				cert_fingerprint(finding->cert), cert_subject(finding->cert));
	}
	for (size_t i = 0; i < v->n_missing; i++)
		put(t, "    missing    an issuer, to be had at %s\n", v->missing[i]);
}

static void
text_copy(struct text *t, const struct result *result, size_t k)
{
	const struct copy *copy = &result->copies[k];

	put(t, "\nCopy %zu%s\n  for       ", k + 1,
		result->in_place ? " (the message itself)" : "");
	for (size_t i = 0; i < copy->n && i < 20; i++)
		put(t, " %s", result->rcpts[copy->rcpts[i]].addr);
	put(t, "%s\n  signed     %s, encrypted %s\n", copy->n > 20 ? " and others" : "",
		yes(copy->done & PLAN_SIGN), yes(copy->done & PLAN_ENCRYPT));
	if (copy->done & PLAN_ENCRYPT)
		put(t, "  cipher     %s%s\n", content_cipher_name(copy->cipher),
			copy->narrowed ? ", narrowed by what readers say that they open" : "");
	for (size_t i = 0; i < copy->n_layers; i++)
		put(t, "  layer %zu    %s: %s\n", i + 1, copy->layers[i].kind,
			copy->layers[i].detail);
	if (copy->verdict) {
		const struct verdict *v = copy->verdict;

		put(t, "  signature  %s: signature %s, path %s, revocation %s, sender %s, strength %s%s%s\n",
			verdict_overall_name(v->overall), verdict_signature_name(v->signature),
			verdict_path_name(v->path), verdict_revocation_name(v->revocation),
			verdict_sender_name(v->sender), verdict_strength_name(v->strength),
			*v->reason ? "; " : "", v->reason);
		text_findings(t, v);
	}
	if (*copy->detail)
		put(t, "  note       %s\n", copy->detail);
}

static void
text_learned(struct text *t, const struct transaction *tx)
{
	char lines[EXPLAIN_LEARNED_LINES][EXPLAIN_LEARNED_SIZE];
	size_t n = explain_learned(tx, lines);

	for (size_t i = 0; i < n; i++)
		put(t, "%s%s\n", i ? "  " : "\n", lines[i]);
}

static void
text_result(struct text *t, const struct result *result)
{
	for (size_t k = 0; k < result->n_copies; k++)
		text_copy(t, result, k);
	put(t, "\nResult\n");
	for (size_t i = 0; result->outcome == PLAN_DELIVER && i < result->n_rcpts; i++)
		if (result->rcpts[i].outcome != PLAN_DELIVER)
			put(t, "  refused    %s: %d %s %s\n", result->rcpts[i].addr,
				result->rcpts[i].smtp, result->rcpts[i].enhanced,
				result->rcpts[i].text);
	put(t, "  reply      %d %s %s\n", result->smtp, result->enhanced, result->text);
}

enum rc
pipeline_explain_text(
	struct transaction *tx, const struct result *result, struct buf *out, struct err *err)
{
	struct text t = {.out = out, .err = err, .rc = RC_OK};

	text_message(&t, tx);
	if (is_gate(tx))
		text_gate(&t, tx);
	for (size_t i = 0; !is_gate(tx) && i < tx->n; i++)
		text_recipient(&t, tx, i);
	text_learned(&t, tx);
	text_result(&t, result);
	return t.rc;
}
