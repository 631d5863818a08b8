/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * approval.h - acts of two persons
 *
 * Some acts are too much for one administrator: taking a private key out of the vault, destroying
 * it, opening somebody's mail for an auditor, erasing part of the ledger, and naming those who
 * approve. They need officers: persons with a signing key of their own, which the vault does not
 * have.
 *
 *     sealgate officer init    names the first officers, once, while there are none; until then
 *                              these acts are impossible, not free
 *     the act's own command    without a request: the vault makes one and gives back a text
 *     the officers             read that text and sign exactly its bytes (CMS, RFC 5652), with any
 *                              program and on any machine
 *     sealgate officer approve hands a signature in; it is checked, recorded and kept
 *     sealgate officer run     carries the act out, with the parameters of the request
 *
 * The request is a text that a person can read and a machine compares byte for byte: CR LF lines
 * "name: value", UTF-8, without any character that would not show or would change the order of
 * others. The first part says when and under which officers it was made, and has a nonce of 256
 * bits and the ledger's last record; the second part says what would be done:
 *
 *     sealgate-request:1
 *     Whoever signs this text approves the act below, …
 *
 *     request: q0123456789abcdef
 *     nonce: …
 *     ledger: NODE SEQ HASH
 *     made: …          expires: …          by: uid 1000 (alice)
 *     officers: 2 of 3, since record 17
 *     officer: o… KEYID Anna Bauer         (one line for each)
 *
 *     act: key.export
 *     key: k…          (what else belongs to the act)
 *     reason: …
 *
 * CR LF, because then `openssl cms -sign` signs the same bytes with and without -binary.
 *
 * What makes an approval count, each time one is handed in and again for all of them before the
 * act:
 *
 *   - The signature is good over the stored text, by one signer, with a strong algorithm, with the
 *     public key of somebody who is an officer now. Keys are compared as numbers (cert_key_id):
 *     another certificate, another encoding of the same key is the same officer. The certificate's
 *     dates and issuer do not count: officers are named and dismissed by officers, not by a CA.
 *   - The vault does not hold that key itself.
 *   - The officers and the threshold are those that the text names. Any change of officers makes
 *     all open requests void.
 *   - It is before the expiry, by a clock that does not go back: the time is never earlier than
 *     that of any record since the request was made. What once was expired is marked so.
 *   - The ledger still has the record that the text names, and from there to its end is a chain
 *     that tells of no change of officers and of no use of this request that would be one too many.
 *     So a store that was put back to an earlier copy does not give a use back.
 *   - The row of the request is the vault's (HMAC) and no row is missing (the store's sum).
 *   - The ledger tells of no change of officers that was carried out after the one that the key
 *     store knows last. So an earlier copy of the store does not bring dismissed officers back, nor
 *     the time before there were any.
 *
 * Before the act: what would be described now is what the text says, byte for byte. A key that was
 * retired meanwhile, another person by that address: the officers read something else, so a new
 * request is needed.
 *
 * Use: "officer.run" in the ledger, then the row counts the use, durable, then the act. When the
 * act fails after that, the request is used up all the same; officers have to be asked again. Only
 * opening a message may be repeated, APPROVAL_OPENS times, for the same RecipientInfo.
 *
 * Ledger: admin records officer.init, officer.request, officer.approve, officer.refused (an
 * approval that did not count), officer.withdraw, officer.change, officer.run, officer.done,
 * officer.failed, with request, act, officer, and the SHA-256 of the text or the approval.
 *
 * What this does not stop is root on the vault's machine, who can read the master key or change
 * this program: sealgate-officers(7) says so.
 *
 * Limits: REQUEST_PENDING open requests, SIGNED_BY_MAX bytes of an approval, APPROVAL_HOURS_MAX.
 */
#ifndef KEYSTORE_APPROVAL_H
#define KEYSTORE_APPROVAL_H

#include "keystore/admin_cmd.h"
#include "keystore/store_officer.h"

#define APPROVAL_HOURS      24
#define APPROVAL_HOURS_MAX  168
#define APPROVAL_OPENS      3   /* uses of one approved opening */
#define APPROVAL_REASON_MAX 500 /* bytes */

/* What officers are to read about an act, line by line. The first failure sticks. */
struct act {
	const char *name; /* "key.export"; at most REQUEST_ACT_SIZE - 1 */
	bool always;      /* impossible without officers; else free while there are none */
	int max_uses;     /* 0: 1 */
	struct buf lines;
	enum rc rc;
	struct err err;
};

void act_init(struct act *act, const char *name, bool always);
void act_fini(struct act *act);
/* VALUE is refused (ERR_USAGE) when it does not show as what it is: approval_is_plain. NULL: left
 * out. */
void act_put(struct act *act, const char *name, const char *value);
void act_putf(struct act *act, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void act_put_time(struct act *act, const char *name, int64_t seconds);
/* A name out of the store or a certificate: what is not plain in it stands as "?". */
void act_put_shown(struct act *act, const char *name, const char *value);
/* Text of one line: UTF-8, 1 to MAX bytes, no control, format or private character, no blanks at
 * its ends or beside each other. */
bool approval_is_plain(const char *text, size_t max);

/*
 * To be asked before an act, when it is known what would be done and nothing was done yet. The
 * members "reason" and "hours" of the command are taken care of here.
 *
 * *go: do it now; for acts that are not ALWAYS that is so while there are no officers. Not *go with
 * RC_OK: the command was not the run of a request, so one was made for it, and the answer tells
 * which: return without doing anything. ERR_OFFICERS: there are no officers. ERR_APPROVAL: it is
 * the run of a request that does not allow it.
 */
enum rc approval_require(struct admin *a, struct act *act, bool *go, struct err *err);

/* Id, fingerprint, kind, status, owner and present addresses of KEY, for acts about a key. */
enum rc approval_describe_key(
	struct admin *a, struct act *act, const struct store_key *key, struct err *err);

/* The commands: admin_quorum.c */
enum rc admin_officer_init(struct admin *a, struct err *err);
enum rc admin_officer_list(struct admin *a, struct err *err);
enum rc admin_officer_change(struct admin *a, struct err *err);
/* admin_officer.c */
enum rc admin_officer_requests(struct admin *a, struct err *err);
enum rc admin_officer_show(struct admin *a, struct err *err);
enum rc admin_officer_approve(struct admin *a, struct err *err);
enum rc admin_officer_withdraw(struct admin *a, struct err *err);
enum rc admin_officer_run(struct admin *a, struct err *err);

/* --- between approval.c, admin_officer.c and admin_quorum.c --- */
/* Who the officers are now; RC_NONE: there are none. ERR_KEYSTORE_TAMPERED when the ledger tells of
 * a later change than the key store knows: an earlier copy was put back. */
enum rc approval_officers(struct admin *a, struct officers *officers, struct err *err);
/* By what an officer with CERT is known (cert_key_id in hex). ERR_CERT_UNSUPPORTED. */
enum rc approval_key(const struct cert *cert, char keyid[2 * SHA256_SIZE + 1], struct err *err);
/* ERR_APPROVAL when the vault holds the key of an officer's CERT itself. */
enum rc approval_check_elsewhere(struct admin *a, struct cert *cert, struct err *err);
/* The time for expiries, which does not go back. */
enum rc approval_now(struct admin *a, int64_t *now, struct err *err);
/* Is REQUEST open, and may approvals of it be given and used? Marks it when it is not any more.
 * ERR_APPROVAL says why. */
enum rc approval_check_request(struct admin *a, struct store_act *request,
	const struct officers *officers, struct err *err);
/* Which of OFFICERS signed REQUEST's text with these bytes: an index. ERR_APPROVAL. */
enum rc
approval_verify(struct admin *a, const struct store_act *request, const struct officers *officers,
	const void *cms, size_t len, size_t *officer, struct err *err);
/* How many different officers' approvals REQUEST has that are still good; GIVEN: for each of
 * OFFICERS whether. */
enum rc approval_count(struct admin *a, const struct store_act *request,
	const struct officers *officers, bool given[OFFICERS_MAX], size_t *n, struct err *err);
struct approval_said { /* what else a record holds; each may be NULL */
	const char *name, *value;
	const char *officer;
};
/* A record with the request's id and act (NULL: neither), and what is SAID (NULL: nothing). */
enum rc approval_record(struct admin *a, const char *event, const struct store_act *request,
	const struct approval_said *said, uint64_t *seq, struct err *err);
/* The request as members of an open object; FULL: with its text. */
enum rc
approval_put_request(struct admin *a, const struct store_act *request, bool full, struct err *err);
/* Another state of REQUEST, in a transaction of its own unless one is open. */
enum rc approval_set_state(struct admin *a, struct store_act *request, enum request_state state,
	int64_t now, struct err *err);

#endif
