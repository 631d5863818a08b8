/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * person_edit.h - the lifecycle of a person: what may be done to one, and what follows from it
 *
 * One edit is one person and one transaction: steps are checked and collected, nothing is done
 * before edit_commit. What holds whatever the steps are:
 *
 * - An address is one person's at a time. Whoever gets it next inherits neither keys nor grants,
 *   for both are bound to persons.
 * - A key is never deleted, and never given to another person.
 * - Who has left signs nothing and has nothing opened. Leaving ends the grants on their keys and
 *   those to them, except grants made to be kept. Coming back brings neither grants nor addresses
 *   back that ended.
 * - Grants and addresses are ended, not removed: the store can tell who could read what, when.
 *
 * Errors: ERR_USAGE for what makes no sense, ERR_KEY_EXISTS for an address that is somebody's,
 * ERR_VAULT_DENIED for what somebody who has left may not be given.
 */
#ifndef KEYSTORE_PERSON_EDIT_H
#define KEYSTORE_PERSON_EDIT_H

#include "keystore/change.h"

struct edit {
	struct admin *a;
	struct change change;
	struct store_person person; /* as it is going to be */
	char subject[ADDR_MAX + 1]; /* the address that records name */
	bool changed;               /* the person's row is to be written */
	int64_t now;                /* one time for all steps */
};

/* WHO: a canonical address that is a person's now, or a person's id. ERR_VAULT_NO_KEY:
 * nobody's. */
enum rc edit_find(struct admin *a, const char *who, struct store_person *out,
	char addr[ADDR_MAX + 1], struct err *err);
enum rc edit_begin(struct edit *edit, struct admin *a, const char *who, struct err *err);
/* A new person, with nothing but a kind and a name (NULL: ADDR). */
enum rc edit_begin_new(struct edit *edit, struct admin *a, const char *event, const char *addr,
	const char *name, enum person_kind kind, struct err *err);
void edit_fini(struct edit *edit);
enum rc edit_commit(struct edit *edit, struct err *err);

/* A record of EVENT about the person; EXTRA: more members for its detail ("\"a\":1"), or NULL. */
enum rc edit_record(struct edit *edit, const char *event, const char *extra, struct err *err);
enum rc edit_set_name(struct edit *edit, const char *name, struct err *err);
enum rc edit_set_uid(struct edit *edit, const char *uid, struct err *err);
/* Addresses. UNTIL 0: no end. SYNCED: it came from the directory. */
enum rc edit_add_addr(struct edit *edit, const char *addr, int64_t since, int64_t until,
	bool synced, struct err *err);
/* Ends an address of theirs at AT, which takes nothing back: AT is not before now. 0: no end after
 * all, when it was to have one. */
enum rc edit_end_addr(struct edit *edit, const char *addr, int64_t at, struct err *err);
/* Takes ADDR from FROM (a person's id) and gives it to this person, from AT on. */
enum rc edit_take_addr(struct edit *edit, const char *addr, const char *from, int64_t at,
	bool synced, struct err *err);
/* Marks the live address ADDR as one that comes from the directory. */
enum rc edit_sync_addr(struct edit *edit, const char *addr, struct err *err);

/* Lets the person have mail opened with the keys of OWNER (a person's id). A grant on the keys of
 * somebody who is going to leave ends then, unless KEEP. ID gets the new grant's. */
enum rc edit_grant(struct edit *edit, const struct store_grant *terms, char id[STORE_ID_SIZE],
	struct err *err);
/* Ends a grant that is in force or to come; the edit's person is the one who had it. */
enum rc edit_ungrant(struct edit *edit, const char *id, struct err *err);

struct edit_leave {
	int64_t at;         /* 0: now */
	bool keep;          /* grants on their keys go on */
	bool end_addresses; /* at the same time; otherwise they stay theirs, so that nobody else
			       can be given them by mistake */
	const char *to;     /* id of the person who gets the addresses, or NULL */
	bool revoke;        /* their keys; only when AT is now */
	bool by_sync;
};
/* person_leave.c */
enum rc edit_leave(struct edit *edit, const struct edit_leave *leave, struct err *err);
enum rc edit_return(struct edit *edit, struct err *err);

#endif
