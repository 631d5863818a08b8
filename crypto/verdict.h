/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * verdict.h - what was found about a signature or a certificate, each answer with its own word
 *
 * The structure behind `sealgate verify`, `cert check`, `explain` and Authentication-Results
 * (RFC 8601, RFC 7281). Overall: pass = good signature, valid path, revocation good or
 * unchecked (or unknown where the setting allows it), sender match or unchecked, strength ok.
 */
#ifndef CRYPTO_VERDICT_H
#define CRYPTO_VERDICT_H

#include "base/json.h"

enum verdict_overall {
	VERDICT_NONE,
	VERDICT_PASS,
	VERDICT_FAIL,
	VERDICT_POLICY,
	VERDICT_NEUTRAL,
	VERDICT_TEMPERROR,
	VERDICT_PERMERROR
};
enum verdict_signature { SIGNATURE_NONE, SIGNATURE_GOOD, SIGNATURE_BAD, SIGNATURE_UNSUPPORTED };
enum verdict_path { PATH_UNKNOWN, PATH_VALID, PATH_INVALID };
enum verdict_revocation {
	REVOCATION_UNCHECKED,
	REVOCATION_GOOD,
	REVOCATION_REVOKED,
	REVOCATION_UNKNOWN
};
enum verdict_sender { SENDER_UNCHECKED, SENDER_MATCH, SENDER_MISMATCH };
enum verdict_strength { STRENGTH_OK, STRENGTH_WEAK };

#define VERDICT_MAX_SIGNERS 16

struct verdict {
	enum verdict_overall overall;
	enum verdict_signature signature;
	enum verdict_path path;
	enum verdict_revocation revocation;
	enum verdict_sender sender;
	enum verdict_strength strength;
	char reason[384];                          /* why it is not pass; "" when it is */
	struct cert *signers[VERDICT_MAX_SIGNERS]; /* references, owned */
	size_t n_signers;
	int64_t signing_time; /* claimed; -1: none */
};

void verdict_init(struct verdict *verdict);
void verdict_fini(struct verdict *verdict);
/* Sets overall from the parts; revocation_required makes "unknown" a policy failure. */
void verdict_conclude(struct verdict *verdict, bool revocation_required);
/* Keeps the first reason. */
void
verdict_reason(struct verdict *verdict, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *verdict_overall_name(enum verdict_overall overall); /* "pass" */
const char *verdict_signature_name(enum verdict_signature signature);
const char *verdict_path_name(enum verdict_path path);
const char *verdict_revocation_name(enum verdict_revocation revocation);
const char *verdict_sender_name(enum verdict_sender sender);
const char *verdict_strength_name(enum verdict_strength strength);
/* Members of the contract's object, "v":1 included, into an open object. */
void verdict_json(const struct verdict *verdict, struct json *json);
/* 0 pass; 75 temperror; 65 anything else. */
int verdict_exit_status(const struct verdict *verdict);

#endif
