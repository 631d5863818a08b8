/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reconcile.h - what the mail log knows beside what the ledger claims
 *
 * What a milter claims to have, the vault cannot check; the MTA's log can. A use of a key for a
 * queue id that the MTA never gave, or at another time, is what a milter in wrong hands leaves
 * behind. The other way round, what our own log says was done with a key must be decided in the
 * ledger.
 *
 * First all lines of the logs, then the records of the ledger, then reconcile_messages.
 * Limits: MTA_LOG_QIDS queue ids, 40,000 days; 100,000 findings are kept, the others counted.
 */
#ifndef CLI_RECONCILE_H
#define CLI_RECONCILE_H

#include "cli/mta_log.h"
#include "keystore/ledger_search.h"

#define DAY_SIZE 11 /* "2026-11-22" */

/* A time in which lines about a queue id came, none further from the next than the skew. */
struct span {
	int64_t from, to;
	struct span *next;
};

/* All that is known of a queue id. Ids are used again after some time, hence the spans. */
struct message {
	char qid[MTA_LOG_QID];
	struct span *mta, *decided;
	struct span *keyed; /* our log: done with a key */
	bool sent;
};

enum finding_kind { FINDING_NO_MESSAGE, FINDING_NO_QID, FINDING_NO_DECISION, FINDING_KINDS };

struct finding {
	enum finding_kind kind;
	int64_t time;
	uint64_t seq;
	char qid[MTA_LOG_QID], event[24], service[40], key[64];
	bool sent;
};

struct day {
	char day[DAY_SIZE];
	uint64_t sign, open, matched, unmatched, decisions, undecided;
};

struct reconcile {
	void *messages, *days;
	size_t n_messages, n_days;
	struct span *notices;      /* our log: about a notice that the milter wrote itself */
	int64_t skew, first, last; /* of lines that are not ours; -1: none */
	uint64_t lines, mta_lines, our_lines, timeless;
	uint64_t uses, matched, outside, denied, denied_unknown;
	uint64_t counts[FINDING_KINDS];
	struct finding *findings;
	size_t n_findings, room;
	const char *since, *until;
	int64_t since_seconds, until_seconds;
};

/* A line of a log, and a record of the ledger: CTX is the struct reconcile, zeroed but for what its
 * comments say. */
mta_log_each reconcile_line;
ledger_found reconcile_record;
/* What our log says was done with a key must have been decided. */
enum rc reconcile_messages(struct reconcile *r, struct err *err);
bool reconcile_is_fine(const struct reconcile *r);
void reconcile_fini(struct reconcile *r);

/* The answer on standard output; returns STATUS, or EX_SOFTWARE. */
int reconcile_print_json(const struct reconcile *r, int status);
int reconcile_print_text(const struct reconcile *r, int status);

#endif
