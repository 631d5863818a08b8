/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_terms.h - the words under which a record of the ledger is found
 *
 * One list of them serves both the index and the search without one, so that the two cannot
 * disagree. Pure functions.
 */
#ifndef KEYSTORE_LEDGER_TERMS_H
#define KEYSTORE_LEDGER_TERMS_H

#include "base/json.h"
#include "keystore/ledger_format.h"

enum ledger_term {
	LEDGER_TERM_TYPE = 't',    /* intent, admin, … */
	LEDGER_TERM_EVENT = 'e',   /* sign, open, key.new, … */
	LEDGER_TERM_SERVICE = 's', /* observed service */
	LEDGER_TERM_KEY = 'k',     /* key id; fingerprint of its certificate */
	LEDGER_TERM_QID = 'q',     /* queue id that was claimed */
	LEDGER_TERM_RULE = 'r',    /* rule that was claimed */
	LEDGER_TERM_ADDR = 'a',    /* any pseudonym: sender, login, recipients, subject */
	LEDGER_TERM_RCPT = 'c',    /* a recipient's, or the subject's */
	LEDGER_TERM_PERSON = 'p',  /* person, owner or grant that the detail names */
	LEDGER_TERM_PERIOD = 'm',  /* month of its pseudonyms */
	LEDGER_TERM_REQUEST = 'o', /* officers' request */
	LEDGER_TERM_REOPEN = 'i',  /* "yes": the same encryptedKey was opened before */
};

typedef enum rc ledger_term_each(void *ctx, char kind, const char *text, struct err *err);
/* Calls EACH for each term of RECORD, some of them twice. Ends with what EACH returned when that is
 * not RC_OK. */
enum rc ledger_terms(const struct ledger_line *prefix, const struct json_value *record,
	ledger_term_each *each, void *ctx, struct err *err);

/* Number of uses that a record "denied" stands for: many that came in a flood are counted in one.
 */
uint64_t ledger_denied_count(const struct json_value *record);

#endif
