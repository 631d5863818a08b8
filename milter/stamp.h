/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stamp.h - two keyed header fields of our own: the gate's stamp and the mark of opened mail
 *
 * The stamp says who handed a message in: a service of role gate, which saw the login, writes it,
 * and the service behind the queue, which sees only the queue, believes it. It is an HMAC-SHA-256
 * over who, when and where, and over a digest of what the message is: author, sender and
 * reply fields, subject, date, Message-ID, MIME fields and body. Not bound is what changes between
 * the two: the envelope (aliases, canonical maps), To: and Cc: (completed by the MTA), trace and
 * other fields. A copy of a stamp is thus good for the same message of the same author, to anybody,
 * until it expires; so it never leaves the house and never counts when it comes from outside.
 *
 * The mark says that sealgate opened a message. It only ever restricts, so it is bound to nothing
 * in the message: a mailing list that adds a footer must not take it off.
 *
 * Without keys there are no stamps, and the mark is unkeyed: whatever bears the name counts, since
 * it only restricts.
 *
 * Limits: a field of STAMP_MAX bytes.
 */
#ifndef MILTER_STAMP_H
#define MILTER_STAMP_H

#include "message/msg.h"
#include "milter/stamp_keys.h"
#include "policy/policy.h"

#define STAMP_MARK "X-Sealgate-Stamp"
#define STAMP_MAX  8192

struct stamp { /* what the gate saw and found; "" for what there was not */
	char service[65];
	char identity[321];  /* SASL login */
	char client[64];     /* IP address */
	char connector[321]; /* the right by which a hosted mail service was let in */
	enum tri right;      /* may the sender be signed for, as the gate saw it */
	int64_t time;        /* seconds since 1970 */
};

enum stamp_state {
	STAMP_NONE,    /* there is none */
	STAMP_GOOD,    /* ours, of this message, in time */
	STAMP_FORGED,  /* not made with a key of ours, or damaged since */
	STAMP_UNKNOWN, /* made with a key that is not here: an old one, or a forger's */
	STAMP_EXPIRED, /* ours, but too old, or of a time to come */
	STAMP_UNFIT    /* ours, but of another message, or of one that was changed since */
};
const char *stamp_state_name(enum stamp_state state);

/* The field's value for MSG, folded, leading blank included. */
enum rc stamp_format(const struct stamp_keys *keys, const struct stamp *stamp,
	const struct msg *msg, struct buf *out, struct err *err);
/* The one stamp of ours among the fields of MSG; OUT is filled for STAMP_GOOD only. LIFETIME in
 * seconds. */
enum rc stamp_check(const struct stamp_keys *keys, const struct msg *msg, int64_t now,
	int64_t lifetime, struct stamp *out, enum stamp_state *state, struct err *err);

/* The value of OPENED_MARK. KEYS may be NULL in both: see above. */
enum rc opened_format(const struct stamp_keys *keys, const char *authserv_id, int64_t now,
	struct buf *out, struct err *err);
/* Is this field a mark of ours, not older than LIFETIME? */
enum rc opened_check(const struct stamp_keys *keys, const struct hdr *hdr, int64_t now,
	int64_t lifetime, bool *ours, struct err *err);

#endif
