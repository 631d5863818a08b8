/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/verdict.h"

#include "crypto/cert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const overall_names[] = {
	[VERDICT_NONE] = "none",
	[VERDICT_PASS] = "pass",
	[VERDICT_FAIL] = "fail",
	[VERDICT_POLICY] = "policy",
	[VERDICT_NEUTRAL] = "neutral",
	[VERDICT_TEMPERROR] = "temperror",
	[VERDICT_PERMERROR] = "permerror",
};
static const char *const signature_names[] = {
	[SIGNATURE_NONE] = "none",
	[SIGNATURE_GOOD] = "good",
	[SIGNATURE_BAD] = "bad",
	[SIGNATURE_UNSUPPORTED] = "unsupported",
};
static const char *const path_names[] = {
	[PATH_UNKNOWN] = "unknown",
	[PATH_VALID] = "valid",
	[PATH_INVALID] = "invalid",
};
static const char *const revocation_names[] = {
	[REVOCATION_UNCHECKED] = "unchecked",
	[REVOCATION_GOOD] = "good",
	[REVOCATION_REVOKED] = "revoked",
	[REVOCATION_UNKNOWN] = "unknown",
};
static const char *const sender_names[] = {
	[SENDER_UNCHECKED] = "unchecked",
	[SENDER_MATCH] = "match",
	[SENDER_MISMATCH] = "mismatch",
};
static const char *const strength_names[] = {
	[STRENGTH_OK] = "ok",
	[STRENGTH_WEAK] = "weak",
};

static const char *const time_names[] = {
	[TIME_UNCHECKED] = "unchecked",
	[TIME_OK] = "ok",
	[TIME_ODD] = "odd",
};
static const char *const part_names[] = {
	[VERDICT_SIGNATURE] = "signature",
	[VERDICT_PATH] = "path",
	[VERDICT_REVOCATION] = "revocation",
	[VERDICT_SENDER] = "sender",
	[VERDICT_STRENGTH] = "strength",
	[VERDICT_TIME] = "time",
};

const char *
verdict_overall_name(enum verdict_overall overall)
{
	return overall_names[overall];
}

const char *
verdict_signature_name(enum verdict_signature signature)
{
	return signature_names[signature];
}

const char *
verdict_path_name(enum verdict_path path)
{
	return path_names[path];
}

const char *
verdict_revocation_name(enum verdict_revocation revocation)
{
	return revocation_names[revocation];
}

const char *
verdict_sender_name(enum verdict_sender sender)
{
	return sender_names[sender];
}

const char *
verdict_strength_name(enum verdict_strength strength)
{
	return strength_names[strength];
}

const char *
verdict_part_name(enum verdict_part part)
{
	return part_names[part];
}

const char *
verdict_answer(const struct verdict *verdict, enum verdict_part part)
{
	switch (part) {
	case VERDICT_SIGNATURE:
		return signature_names[verdict->signature];
	case VERDICT_PATH:
		return path_names[verdict->path];
	case VERDICT_REVOCATION:
		return revocation_names[verdict->revocation];
	case VERDICT_SENDER:
		return sender_names[verdict->sender];
	case VERDICT_STRENGTH:
		return strength_names[verdict->strength];
	default:
		return time_names[verdict->time];
	}
}

void
verdict_init(struct verdict *verdict)
{
	*verdict = (struct verdict){.signing_time = -1};
}

static void
drop_missing(struct verdict *verdict)
{
	size_t i;

	for (i = 0; i < verdict->n_missing; i++)
		free(verdict->missing[i]);
	verdict->n_missing = 0;
	verdict->awaits = false;
}

static void
drop_finding(struct finding *finding)
{
	free(finding->text);
	finding->text = NULL;
	cert_unref(&finding->cert);
}

void
verdict_fini(struct verdict *verdict)
{
	size_t i;

	for (i = 0; i < verdict->n_signers; i++)
		cert_unref(&verdict->signers[i]);
	for (i = 0; i < VERDICT_PARTS; i++)
		verdict_forget(verdict, (enum verdict_part)i);
	drop_finding(&verdict->aside.found);
	drop_missing(verdict);
	verdict_init(verdict);
}

void
verdict_reason(struct verdict *verdict, const char *fmt, ...)
{
	va_list ap;

	if (verdict->said)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(verdict->reason, sizeof(verdict->reason), fmt, ap);
	va_end(ap);
	verdict->said = verdict->reason[0];
}

void
verdict_note(
	struct verdict *verdict, enum verdict_part part, struct cert *about, const char *fmt, ...)
{
	struct finding *finding = &verdict->found[part];
	char text[sizeof(verdict->reason)];
	va_list ap;

	if (finding->text)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cert_unref(&finding->cert);
	finding->cert = about ? cert_ref(about) : NULL;
	finding->text = strdup(text); /* without memory the answer remains, without its reason */
}

void
verdict_forget(struct verdict *verdict, enum verdict_part part)
{
	drop_finding(&verdict->found[part]);
}

const char *
verdict_text(const struct verdict *verdict, enum verdict_part part)
{
	return verdict->found[part].text ? verdict->found[part].text : "";
}

void
verdict_missing(struct verdict *verdict, const char *url)
{
	size_t i;

	if (verdict->n_missing == VERDICT_MAX_MISSING || strlen(url) > VERDICT_MAX_URL ||
		(strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "ldap://", 7) != 0))
		return;
	for (i = 0; url[i]; i++)
		if (url[i] <= ' ' || url[i] > '~')
			return;
	for (i = 0; i < verdict->n_missing; i++)
		if (strcmp(verdict->missing[i], url) == 0)
			return;
	verdict->missing[i] = strdup(url);
	verdict->n_missing += verdict->missing[i] != NULL;
}

static void
set_answer(struct verdict *to, const struct verdict *from, enum verdict_part part)
{
	switch (part) {
	case VERDICT_SIGNATURE:
		to->signature = from->signature;
		break;
	case VERDICT_PATH:
		to->path = from->path;
		break;
	case VERDICT_REVOCATION:
		to->revocation = from->revocation;
		to->revocation_rule = from->revocation_rule;
		to->stale = from->stale;
		to->aside.revocation = from->aside.revocation;
		to->aside.stale = from->aside.stale;
		break;
	case VERDICT_SENDER:
		to->sender = from->sender;
		break;
	case VERDICT_STRENGTH:
		to->strength = from->strength;
		break;
	case VERDICT_TIME:
	case VERDICT_PARTS:
		to->time = from->time;
	}
}

static void
copy_finding(const struct finding *from, struct finding *to)
{
	drop_finding(to);
	if (from->text)
		to->text = strdup(from->text);
	to->cert = from->cert ? cert_ref(from->cert) : NULL;
}

void
verdict_copy(const struct verdict *from, enum verdict_part part, struct verdict *to)
{
	size_t i;

	set_answer(to, from, part);
	copy_finding(&from->found[part], &to->found[part]);
	if (part == VERDICT_REVOCATION)
		copy_finding(&from->aside.found, &to->aside.found);
	if (part == VERDICT_SIGNATURE)
		to->signer_missing = from->signer_missing;
	if (part != VERDICT_PATH)
		return;
	to->sha1_until = from->sha1_until;
	drop_missing(to);
	for (i = 0; i < from->n_missing; i++)
		verdict_missing(to, from->missing[i]);
	to->awaits = from->awaits;
}

void
verdict_take(struct verdict *verdict, struct verdict *from, enum verdict_part part)
{
	set_answer(verdict, from, part);
	verdict_forget(verdict, part);
	verdict->found[part] = from->found[part]; /* it is VERDICT's now */
	from->found[part] = (struct finding){0};
	if (part == VERDICT_REVOCATION) {
		drop_finding(&verdict->aside.found);
		verdict->aside.found = from->aside.found;
		from->aside.found = (struct finding){0};
	}
	if (part == VERDICT_SIGNATURE)
		verdict->signer_missing = from->signer_missing;
	if (part != VERDICT_PATH)
		return;
	verdict->sha1_until = from->sha1_until;
	drop_missing(verdict);
	memcpy(verdict->missing, from->missing, sizeof(verdict->missing));
	verdict->n_missing = from->n_missing;
	verdict->awaits = from->awaits;
	from->n_missing = 0;
}

/* The part that decides; VERDICT_PARTS: all are well. */
static enum verdict_part
deciding(const struct verdict *verdict)
{
	if (verdict->signature == SIGNATURE_BAD || verdict->signature == SIGNATURE_UNSUPPORTED)
		return VERDICT_SIGNATURE;
	if (verdict->path == PATH_INVALID || /* a path that nobody looked for has no note */
		(verdict->path == PATH_UNKNOWN && *verdict_text(verdict, VERDICT_PATH)))
		return VERDICT_PATH;
	if (verdict->revocation == REVOCATION_REVOKED)
		return VERDICT_REVOCATION;
	if (verdict->sender == SENDER_MISMATCH)
		return VERDICT_SENDER;
	if (verdict->strength == STRENGTH_WEAK)
		return VERDICT_STRENGTH;
	if (verdict->time == TIME_ODD)
		return VERDICT_TIME;
	return verdict->revocation == REVOCATION_UNKNOWN ? VERDICT_REVOCATION : VERDICT_PARTS;
}

void
verdict_settle(struct verdict *verdict)
{
	enum verdict_part part = deciding(verdict);

	if (!verdict->said)
		(void)snprintf(verdict->reason, sizeof(verdict->reason), "%s",
			part < VERDICT_PARTS ? verdict_text(verdict, part) : "");
}

/*
 * RFC 8601 section 2.7 and RFC 7281: "fail" is a signature that does not hold or is somebody
 * else's, "policy" one that holds but is not good enough for us, "neutral" one that we cannot
 * judge.
 */
static enum verdict_overall
conclusion(const struct verdict *verdict, bool revocation_required)
{
	if (verdict->overall == VERDICT_TEMPERROR || verdict->overall == VERDICT_PERMERROR)
		return verdict->overall;
	switch (verdict->signature) {
	case SIGNATURE_NONE:
		return VERDICT_NONE;
	case SIGNATURE_UNSUPPORTED: /* RFC 7281: permerror when its certificate is not to be had */
		return verdict->signer_missing ? VERDICT_PERMERROR : VERDICT_NEUTRAL;
	case SIGNATURE_BAD:
		return VERDICT_FAIL;
	case SIGNATURE_GOOD:
		break;
	}
	if (verdict->path != PATH_VALID || verdict->revocation == REVOCATION_REVOKED ||
		verdict->sender == SENDER_MISMATCH)
		return VERDICT_FAIL;
	if (verdict->strength != STRENGTH_OK || verdict->time == TIME_ODD ||
		(revocation_required && verdict->revocation == REVOCATION_UNKNOWN))
		return VERDICT_POLICY;
	return VERDICT_PASS;
}

enum verdict_overall
verdict_result(const struct verdict *verdict)
{
	enum verdict_part part = deciding(verdict);

	if (verdict->overall == VERDICT_FAIL && part == VERDICT_SENDER)
		return VERDICT_POLICY;
	if (verdict->overall == VERDICT_POLICY && part == VERDICT_REVOCATION)
		return VERDICT_TEMPERROR;
	if (verdict->overall == VERDICT_PERMERROR && verdict->malformed)
		return VERDICT_NEUTRAL;
	return verdict->overall;
}

/* Does a rule of MODE want to know what the anchor does not? */
static bool
goes_aside(const struct verdict *verdict, const enum revocation_mode *mode)
{
	return verdict->revocation == REVOCATION_UNCHECKED && mode && *mode != REVOKE_OFF;
}

void
verdict_be_strict(struct verdict *verdict, const enum revocation_mode *mode)
{
	if (!goes_aside(verdict, mode))
		return;
	verdict->revocation = verdict->aside.revocation;
	verdict->stale = verdict->aside.stale;
	verdict_forget(verdict, VERDICT_REVOCATION);
	verdict->found[VERDICT_REVOCATION] = verdict->aside.found;
	verdict->aside.found = (struct finding){0};
}

bool
verdict_revocation_suffices(const struct verdict *verdict, const enum revocation_mode *mode)
{
	bool aside = goes_aside(verdict, mode);
	enum verdict_revocation found = aside ? verdict->aside.revocation : verdict->revocation;
	int64_t stale = aside ? verdict->aside.stale : verdict->stale;

	if (found != REVOCATION_UNKNOWN)
		return found != REVOCATION_REVOKED;
	switch (mode ? *mode : verdict->revocation_rule.mode) {
	case REVOKE_REQUIRED:
		return false;
	case REVOKE_GRACE:
		return stale > 0 && stale <= verdict->revocation_rule.grace;
	case REVOKE_OFF:
	case REVOKE_IF_KNOWN:
		return true;
	}
	return false;
}

void
verdict_conclude(struct verdict *verdict, bool revocation_required)
{
	verdict->overall = conclusion(verdict, revocation_required);
	verdict_settle(verdict);
	if (verdict->overall == VERDICT_PASS)
		verdict->reason[0] = '\0';
}

static void
signer_json(const struct cert *cert, struct json *json)
{
	const char *const *addrs;
	size_t n = cert_addrs(cert, true, &addrs), i;

	json_object(json, NULL);
	json_array(json, "addresses");
	for (i = 0; i < n; i++)
		json_str(json, NULL, addrs[i]);
	json_array_end(json);
	json_str(json, "subject", cert_subject(cert));
	json_str(json, "issuer", cert_issuer(cert));
	json_str(json, "serial", cert_serial(cert));
	json_str(json, "sha256", cert_fingerprint(cert));
	json_object_end(json);
}

/* What was found about each part, for those of which there is something to say. */
static void
reasons_json(const struct verdict *verdict, struct json *json)
{
	size_t i;

	json_object(json, "reasons");
	for (i = 0; i < VERDICT_PARTS; i++) {
		const struct finding *finding = &verdict->found[i];

		if (!finding->text)
			continue;
		json_object(json, part_names[i]);
		json_str(json, "text", finding->text);
		if (finding->cert) {
			json_str(json, "subject", cert_subject(finding->cert));
			json_str(json, "issuer", cert_issuer(finding->cert));
			json_str(json, "serial", cert_serial(finding->cert));
			json_str(json, "sha256", cert_fingerprint(finding->cert));
		}
		json_object_end(json);
	}
	json_object_end(json);
	if (!verdict->n_missing)
		return;
	json_array(json, "missing");
	for (i = 0; i < verdict->n_missing; i++)
		json_str(json, NULL, verdict->missing[i]);
	json_array_end(json);
}

void
verdict_json_parts(const struct verdict *verdict, struct json *json)
{
	size_t i;

	json_str(json, "verdict", verdict_overall_name(verdict->overall));
	for (i = 0; i < VERDICT_PARTS; i++)
		json_str(json, part_names[i], verdict_answer(verdict, (enum verdict_part)i));
	json_str(json, "reason", verdict->reason);
	reasons_json(verdict, json);
}

void
verdict_json(const struct verdict *verdict, struct json *json)
{
	size_t i;

	json_int(json, "v", 1);
	verdict_json_parts(verdict, json);
	if (verdict->signing_time >= 0)
		json_time(json, "signing_time", verdict->signing_time);
	json_array(json, "signers");
	for (i = 0; i < verdict->n_signers; i++)
		signer_json(verdict->signers[i], json);
	json_array_end(json);
}

int
verdict_exit_status(const struct verdict *verdict)
{
	switch (verdict->overall) {
	case VERDICT_PASS:
		return 0;
	case VERDICT_TEMPERROR:
		return 75;
	default:
		return 65;
	}
}
