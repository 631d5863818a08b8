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
#include "crypto/revocation_rule.h"

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
/* Is the claimed signing time one that can be: not after receipt, not too long before? */
enum verdict_time { TIME_UNCHECKED, TIME_OK, TIME_ODD };

/* The answers, in the order in which the first bad one decides (unknown revocation comes last). */
enum verdict_part {
	VERDICT_SIGNATURE,
	VERDICT_PATH,
	VERDICT_REVOCATION,
	VERDICT_SENDER,
	VERDICT_STRENGTH,
	VERDICT_TIME,
	VERDICT_PARTS
};

#define VERDICT_MAX_SIGNERS 16
#define VERDICT_MAX_MISSING 8    /* addresses of missing issuers */
#define VERDICT_MAX_URL     1024 /* bytes of one */

/* Why one of the answers is what it is. */
struct finding {
	char *text;        /* owned; NULL: nothing to say. Read it with verdict_text. */
	struct cert *cert; /* owned reference: the certificate that it is about; NULL: none */
};

struct verdict {
	enum verdict_overall overall;
	enum verdict_signature signature;
	enum verdict_path path;
	enum verdict_revocation revocation;
	enum verdict_sender sender;
	enum verdict_strength strength;
	enum verdict_time time;
	struct finding found[VERDICT_PARTS];
	char reason[384]; /* why it is not pass; "" when it is. The deciding part's, or SAID. */
	bool said;        /* verdict_reason was called: the reason is none of the parts' */
	char *missing[VERDICT_MAX_MISSING]; /* owned: caIssuers URLs (http, ldap) where an issuer
					       that no path was found without may be had */
	size_t n_missing;
	bool awaits; /* one of them was asked for and may come: the path is invalid so far */
	struct revocation_rule revocation_rule; /* of the path's anchor */
	/* Of a path whose anchor asks nobody about revocation: what there is to know, for rules
	 * that want more. UNCHECKED: nobody was asked for them either. */
	struct {
		enum verdict_revocation revocation;
		int64_t stale;
		struct finding found;
	} aside;
	int64_t stale; /* seconds that the revocation is only unknown for: what says "good" expired
			  so long ago; 0: unknown for other reasons too, or not unknown */
	int64_t sha1_until; /* of the path's anchor: SHA-1 before this time is not weak */
	struct cert *signers[VERDICT_MAX_SIGNERS]; /* references, owned */
	size_t n_signers;
	int64_t signing_time; /* claimed; -1: none */
	bool malformed;       /* the signature can't be read at all (overall is permerror) */
	bool signer_missing; /* no certificate of the signer was found: the signature is unsupported
			      */
};

void verdict_init(struct verdict *verdict);
void verdict_fini(struct verdict *verdict);
/* Sets overall from the parts; revocation_required makes "unknown" a policy failure: what
 * verdict_revocation_suffices denies. */
void verdict_conclude(struct verdict *verdict, bool revocation_required);
/* The result in the words of RFC 7281, section 3.1, for Authentication-Results. Where that differs
 * from overall: another's signature is "policy", revocation that has to be known and is not
 * "temperror", a signature that can't be read "neutral". */
enum verdict_overall verdict_result(const struct verdict *verdict);
/* Is what was found about revocation good enough? MODE: a rule's own; NULL: the anchor's. */
bool verdict_revocation_suffices(const struct verdict *verdict, const enum revocation_mode *mode);
/* Makes the answer about revocation the one for a rule of MODE (NULL: none), where the anchor asks
 * nobody and the rule does. */
void verdict_be_strict(struct verdict *verdict, const enum revocation_mode *mode);
/* What was found about PART, and of which certificate (ABOUT is borrowed, may be NULL). The first
 * note stays. */
void verdict_note(struct verdict *verdict, enum verdict_part part, struct cert *about,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Forgets what was noted about PART: something graver comes. */
void verdict_forget(struct verdict *verdict, enum verdict_part part);
const char *verdict_text(const struct verdict *verdict, enum verdict_part part); /* "": none */
const char *verdict_part_name(enum verdict_part part);                           /* "path" */
/* The answer to PART as a word: "valid". */
const char *verdict_answer(const struct verdict *verdict, enum verdict_part part);
/* The answer, note and certificate of PART become FROM's. Of the path, the missing URLs too. */
void verdict_take(struct verdict *verdict, struct verdict *from, enum verdict_part part);
void verdict_copy(const struct verdict *from, enum verdict_part part, struct verdict *to);
/* A place where a missing issuer may be had; doubles, odd ones and one too many are left out. */
void verdict_missing(struct verdict *verdict, const char *url);
/* Makes the reason that of the part that decides. verdict_conclude does it too. */
void verdict_settle(struct verdict *verdict);
/* A reason that is about the message as a whole. Keeps the first. */
void
verdict_reason(struct verdict *verdict, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *verdict_overall_name(enum verdict_overall overall); /* "pass" */
const char *verdict_signature_name(enum verdict_signature signature);
const char *verdict_path_name(enum verdict_path path);
const char *verdict_revocation_name(enum verdict_revocation revocation);
const char *verdict_sender_name(enum verdict_sender sender);
const char *verdict_strength_name(enum verdict_strength strength);
/* The answers, the reason and what was found about each part, into an open object. */
void verdict_json_parts(const struct verdict *verdict, struct json *json);
/* Members of the contract's object, "v":1 included, into an open object. */
void verdict_json(const struct verdict *verdict, struct json *json);
/* 0 pass; 75 temperror; 65 anything else. */
int verdict_exit_status(const struct verdict *verdict);

#endif
