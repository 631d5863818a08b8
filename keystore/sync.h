/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sync.h - what has to be done so that the store follows the directory: a pure function
 *
 * In goes what the directory shows (all of it, or nothing: half an answer would look like people
 * who left) and what the store has; out comes a list of acts, in an order that is safe to stop at
 * any point: what takes rights away first, then changes, then new persons, then what gives rights,
 * then keys. Done again it gives an empty list. Nothing is asked or written here.
 *
 * People are the same by their unique id, never by name or address: who has an address of somebody
 * else's gets the address and nothing besides. A person without a unique id (made by an
 * administrator) becomes the directory's when an entry has one of their addresses.
 *
 * What cannot be decided is SYNC_CONFLICT, with the reason, and left as it is.
 */
#ifndef KEYSTORE_SYNC_H
#define KEYSTORE_SYNC_H

#include "keystore/store.h"

#define SYNC_MAX_ADDRS 100 /* of one person */
#define SYNC_FEW       3   /* so many may always leave: a part of ten people says nothing */

enum sync_what {
	SYNC_LEAVE,
	SYNC_MISSING, /* not in the directory; leaves when that lasts */
	SYNC_FOUND,
	SYNC_RETURN,
	SYNC_LINK, /* gets a unique id */
	SYNC_NAME,
	SYNC_ADDRESS_ADD,
	SYNC_ADDRESS_TAKE, /* from somebody who has it */
	SYNC_ADDRESS_LINK, /* is the directory's from now on */
	SYNC_ADDRESS_KEEP, /* does not end after all */
	SYNC_ADDRESS_END,
	SYNC_UNGRANT,
	SYNC_NEW,
	SYNC_GRANT,
	SYNC_KEY,
	SYNC_NOTE, /* nothing is done: an administrator may want to know */
	SYNC_CONFLICT,
	SYNC_WHATS
};
const char *sync_what_name(enum sync_what what); /* "address.add" */
bool sync_what_find(const char *text, enum sync_what *what);

/* All texts are borrowed. */
struct sync_entry { /* the directory's */
	const char *uid;
	const char *name; /* NULL: none */
	enum person_kind kind;
	const char *const *addrs; /* canonical, of our domains; the main one first */
	size_t n_addrs;
};
struct sync_group {
	const char *origin;    /* "group:NAME" */
	const char *owner;     /* canonical address of whose keys */
	const char *name;      /* for a role that has to be made */
	const size_t *members; /* entries, by number */
	size_t n_members;
};

struct sync_addr {
	const char *addr;
	int64_t since, until;
	bool synced;
};
struct sync_person { /* the store's */
	const char *id, *name, *uid;
	enum person_kind kind;
	int64_t left, missing;
	bool left_by_sync;
	size_t keys; /* all there ever were */
	const struct sync_addr *addrs;
	size_t n_addrs;
};
struct sync_grant { /* one that is not over, of the directory's */
	const char *id, *owner, *person, *origin;
};

struct sync_view {
	const struct sync_entry *entries;
	size_t n_entries;
	const struct sync_group *groups;
	size_t n_groups;
	const struct sync_person *persons;
	size_t n_persons;
	const struct sync_grant *grants;
	size_t n_grants;
	int64_t now;
};

struct sync_rules {
	int64_t leave_after;    /* seconds */
	int64_t keep_addresses; /* seconds that an address lasts which the directory dropped */
	bool revoke;            /* keys of leavers */
	bool keys;              /* make one for who has none */
	size_t max_leave;       /* more are refused, and more than … */
	size_t max_percent;     /* … of the directory's persons */
};

#define SYNC_NOBODY ((size_t)-1)
struct sync_act {
	enum sync_what what;
	size_t person; /* of the store's, SYNC_NOBODY: one who is to be made */
	size_t entry;  /* of the directory's, SYNC_NOBODY: none */
	int stage;     /* acts of one person and stage are one transaction */
	const char *addr, *from /* person's id */, *owner /* id or address */, *origin, *grant;
	int64_t at;
	char why[200];
};
struct sync_plan {
	struct sync_act *v; /* owned */
	size_t n, room;
	size_t known;     /* persons of the directory's that are present */
	size_t leaving;   /* of these: who would leave, go missing, or lose an address to another */
	size_t granted;   /* grants of the directory's */
	size_t ungranted; /* of these: who would lose them */
};
void sync_plan_fini(struct sync_plan *plan);

enum rc sync_diff(const struct sync_view *view, const struct sync_rules *rules,
	struct sync_plan *plan, struct err *err);
/* ERR_DIR_ANSWER when so many would leave that the directory must be wrong; ALLOWED: as many may,
 * whatever the rules say. */
enum rc sync_guard(const struct sync_plan *plan, const struct sync_rules *rules, size_t allowed,
	struct err *err);

#endif
