/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan.h - requirement × availability → groups of recipients with one transformation each
 *
 * Pure. Availability comes in as it was found; what could not be asked defers the whole message
 * when it matters to the verdict, and only then.
 */
#ifndef POLICY_PLAN_H
#define POLICY_PLAN_H

#include "policy/policy.h"

enum transform {
	PLAN_LEAVE = 0,
	PLAN_SIGN = 1,
	PLAN_ENCRYPT = 2,
	PLAN_OPEN = 4,
	PLAN_VERIFY = 8,
	PLAN_UNMARK = 16 /* the mark of opened mail goes */
};

enum outcome { PLAN_DELIVER, PLAN_REFUSE, PLAN_DEFER };

struct plan_rcpt { /* one recipient's input */
	const char *addr;
	const struct decision *decision;
	bool inside;                      /* a recipient of our domains */
	bool hidden;                      /* named neither in To: nor in Cc: */
	enum tri cert_known, cert_proven; /* of usable certificates */
	bool stale;    /* they rest on what a directory said that can't be asked now */
	enum tri held; /* the gateway holds this recipient's key and they have none of their own */
	enum tri signer; /* a key for the rule's sign_key is there and the sender may use it */
	enum tri extra;  /* certificates that the rule adds to an envelope: TRI_NO is trouble too */
	struct err lookup_err; /* why something is unknown */
	struct err sender_err; /* why nobody knows who the sender is */
	struct err extra_err;  /* why EXTRA is not TRI_YES */
	/* output */
	enum outcome outcome;
	unsigned transform; /* enum transform */
	size_t group;       /* index into groups, for PLAN_DELIVER */
	bool alone;         /* a refusal that concerns nobody else */
	struct err err;     /* for refusal and deferral: ERR_POLICY_… */
	char why[200];      /* one sentence for log and explain */
};

struct plan_group {
	unsigned transform;
	const struct verdicts
		*verdicts; /* of its first recipient; equal in what the transformation needs */
	size_t n;          /* recipients */
};

struct plan {
	enum outcome outcome; /* of the whole: any refusal refuses (refuse-all), any deferral
				 defers, else deliver, to all but those who are refused alone */
	struct err err;
	size_t blamed; /* recipient that ERR is about */
	struct plan_group *groups;
	size_t n_groups;
	size_t n_refused; /* alone, though the others get theirs */
};

/* Would a signature by A's rule do for B's? Only what signing looks at counts. */
bool plan_same_signature(const struct verdicts *a, const struct verdicts *b);
/* ALONE: a recipient may be refused alone (refuse-recipient): there is a way for copies, and a
 * sender who can be told. */
enum rc
plan_build(struct plan_rcpt *rcpts, size_t n, bool alone, struct plan **out, struct err *err);
void plan_free(struct plan **plan);

#endif
