/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/verdict.h"

#include "crypto/cert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

void
verdict_init(struct verdict *verdict)
{
	*verdict = (struct verdict){.signing_time = -1};
}

void
verdict_fini(struct verdict *verdict)
{
	size_t i;

	for (i = 0; i < verdict->n_signers; i++)
		cert_unref(&verdict->signers[i]);
	verdict_init(verdict);
}

void
verdict_reason(struct verdict *verdict, const char *fmt, ...)
{
	va_list ap;

	if (verdict->reason[0])
		return;
	va_start(ap, fmt);
	(void)vsnprintf(verdict->reason, sizeof(verdict->reason), fmt, ap);
	va_end(ap);
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
	case SIGNATURE_UNSUPPORTED:
		return VERDICT_NEUTRAL;
	case SIGNATURE_BAD:
		return VERDICT_FAIL;
	case SIGNATURE_GOOD:
		break;
	}
	if (verdict->path != PATH_VALID || verdict->revocation == REVOCATION_REVOKED ||
		verdict->sender == SENDER_MISMATCH)
		return VERDICT_FAIL;
	if (verdict->strength != STRENGTH_OK ||
		(revocation_required && verdict->revocation == REVOCATION_UNKNOWN))
		return VERDICT_POLICY;
	return VERDICT_PASS;
}

void
verdict_conclude(struct verdict *verdict, bool revocation_required)
{
	verdict->overall = conclusion(verdict, revocation_required);
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

void
verdict_json(const struct verdict *verdict, struct json *json)
{
	size_t i;

	json_int(json, "v", 1);
	json_str(json, "verdict", verdict_overall_name(verdict->overall));
	json_str(json, "signature", verdict_signature_name(verdict->signature));
	json_str(json, "path", verdict_path_name(verdict->path));
	json_str(json, "revocation", verdict_revocation_name(verdict->revocation));
	json_str(json, "sender", verdict_sender_name(verdict->sender));
	json_str(json, "strength", verdict_strength_name(verdict->strength));
	json_str(json, "reason", verdict->reason);
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
