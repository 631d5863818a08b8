/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * delivery.h - sends the copies of one transaction at least once, and no known one twice
 *
 * The caller opens a delivery, runs it, acts on what delivery_end says, closes it and only then
 * gives its final reply. What the journal keeps at each moment:
 *
 *   open     nothing is written; the recipients are held, what earlier tries came to is read
 *   run      before a copy goes out, its recipients are BEGUN, durably; what the port said about
 *            them is durable before the next copy is begun
 *   told     those that the sender got a DSN or a notice about
 *   close    forgotten, durably, so that the same message sent again on purpose is not swallowed
 *   free     the hold ends; without a close the rows stay, and a retry sends only what is missing
 *
 * A recipient that was BEGUN and nothing else, because we died, the disk was full, or no reply
 * came to the end of data, may have the message or not: it is sent again, event=maybe-duplicate in
 * the log. Known recipients are event=known-duplicate and not sent again.
 *
 * Threads: one at a time for a delivery.
 */
#ifndef MILTER_DELIVERY_H
#define MILTER_DELIVERY_H

#include "milter/journal.h"

/* What tells a transaction from others. All borrowed; NULL allowed but for SERVICE. */
struct delivery_key {
	const char *service; /* the same mail passing another service is another matter */
	const char *sender, *identity;
	const char *message_id; /* as the client gave it, not one that was added */
	const char *envid;
	unsigned char digest[32]; /* SHA-256 of the body as it came, and without a Message-ID of
				   * some fields */
};

#define DELIVERY_NO_COPY ((size_t)-1) /* refused by the rules: CODE is 5xx already */

struct delivery_rcpt {
	const char *addr; /* canonical; the same address twice gets one copy, the first one's */
	size_t copy;      /* index of its copy, or DELIVERY_NO_COPY */
	int code;         /* out: 2xx, 4xx, 5xx */
	char enhanced[12];
	char text[200]; /* what the port or the error said; ASCII */
	bool known;     /* out: an earlier try had it accepted, or reported */
	bool doubtful;  /* out: sent now although it may have it already */
	unsigned told;  /* out: JOURNAL_REPORTED, JOURNAL_NOTICED of earlier tries and now */
};

struct delivery_ops {
	/* Makes copy COPY. Only called when somebody needs it; one is alive at a time. RC_PERM: its
	 * recipients get the error as a 5xx. */
	enum rc (*make)(void *ctx, size_t copy, struct err *err);
	/*
	 * Sends what make made to the N recipients WHO (indices): each gets code, enhanced and
	 * text. RC_TEMP: nobody got it, or *IN_DOUBT: it was sent whole and no reply came. Called
	 * again with the rest when the port took only so many at a time (452).
	 */
	enum rc (*send)(void *ctx, size_t copy, struct delivery_rcpt *rcpts, const size_t *who,
		size_t n, bool *in_doubt, struct err *err);
	void (*drop)(void *ctx, size_t copy); /* frees what make made */
	bool (*stop)(void *ctx);              /* deadline or shutdown; asked before each copy */
	int64_t (*now)(void *ctx);            /* seconds */
};

struct delivery;

/* Holds RCPTS (borrowed until the delivery is freed). ERR_JOURNAL, ERR_JOURNAL_BUSY: defer. */
enum rc
delivery_open(struct journal *journal, const struct delivery_key *key, struct delivery_rcpt *rcpts,
	size_t n, const char *qid, struct delivery **out, struct err *err);
/* Did an earlier try hand copies on, so that this one must not go another way? Cheap while there
 * are no unfinished transactions; a journal that can't be asked knows of none. ADDRS may repeat. */
bool delivery_was_begun(struct journal *journal, const struct delivery_key *key,
	const char *const *addrs, size_t n);
/*
 * Sends what is missing. RC_OK: every recipient has its code. Otherwise the journal failed and the
 * transaction must be deferred with that error, whatever the codes say.
 */
enum rc
delivery_run(struct delivery *delivery, const struct delivery_ops *ops, void *ctx, struct err *err);

enum delivery_end {
	DELIVERY_DONE,   /* all have it, or were reported by an earlier try: close, 250 */
	DELIVERY_REPORT, /* all settled, some refused: DSN for those not told yet, close, 250 */
	DELIVERY_REFUSE, /* nobody has it and all are refused: close, the 5xx of BLAMED */
	DELIVERY_DEFER   /* somebody is left: 451, no close */
};
enum delivery_end delivery_end(const struct delivery *delivery, size_t *blamed);

/* The N recipients WHO were told by WHAT (JOURNAL_REPORTED or JOURNAL_NOTICED): durable. Before a
 * retry could tell them again, after the message to the sender was accepted. */
enum rc delivery_told(struct delivery *delivery, const size_t *who, size_t n, unsigned what,
	int64_t now, struct err *err);
/* Before the final reply of 2xx or 5xx. Anything but RC_OK: defer; a retry sends nothing twice. */
enum rc delivery_close(struct delivery *delivery, struct err *err);
void delivery_free(struct delivery **delivery);

#endif
