/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ldap_search.h - one search, its answer taken message by message
 *
 * Nothing of an answer is gathered inside libldap: each entry goes to the caller when it comes and
 * is freed behind it, so that a server that lies about how much it has costs no memory. Whoever
 * asks says how many entries and how many bytes are believed.
 *
 * Continuation references beside entries, and a referral in place of an answer, are kept; they are
 * followed only to servers that the configuration names for it (directories.referral_uris), with
 * the filter, attributes and limits of the first search. A reference to another server is passed
 * over; a referral in place of an answer is no answer.
 *
 * Threads: a search belongs to one thread.
 * Limits:  LDAP_SEARCH_MAX_REFS references followed; messages, bytes and entries as the caller
 * says; the directory's timeout for each server.
 */
#ifndef DIRECTORY_LDAP_SEARCH_H
#define DIRECTORY_LDAP_SEARCH_H

#include "directory/ldap_conn.h"

#define LDAP_SEARCH_MAX_REFS 8
#define LDAP_SEARCH_MAX_URLS 4 /* of one reference; more are passed over */

struct ldap_ref { /* one reference: any one of its servers will do */
	char *urls[LDAP_SEARCH_MAX_URLS];
	size_t n;
	bool whole; /* it stands in place of the answer */
};

struct ldap_search {
	const char *name; /* of the directory, for errors and the log */
	const char *base, *filter;
	int scope;
	char *const *attributes; /* NULL behind the last */
	LDAPControl **controls;  /* or NULL */
	int size_limit;          /* for the server; 0: none */
	size_t max_entries;      /* more of them, or of their bytes, are ERR_DIR_ANSWER */
	size_t max_bytes;
	bool take_partial; /* entries up to a limit of the server's are an answer */
	/* An entry that is here and not to be believed is RC_OK and passed over; anything else ends
	 * the search. */
	enum rc (*take)(
		void *ctx, const struct ldap_lease *lease, LDAPMessage *entry, struct err *err);
	/* Throws away what was taken: another server is asked from the beginning. May be NULL. */
	void (*again)(void *ctx);
	void *ctx;

	/* what came; ldap_search_fini */
	const char *uri; /* borrowed: the server that was asked last */
	size_t entries, bytes;
	bool partial; /* the server says that there is more */
	size_t n_references;
	struct ldap_ref refs[LDAP_SEARCH_MAX_REFS];
	size_t n_refs;
	LDAPControl **said; /* of the last message */
};

void ldap_search_fini(struct ldap_search *search);
/* One search over one connection: a result code of libldap; *rc is not RC_OK when SEARCH's own
 * limits or take() ended it. */
int ldap_search_once(
	struct ldap_search *search, const struct ldap_lease *lease, enum rc *rc, struct err *err);
/*
 * Asks the pool's servers in order until one answers, and follows its references. RC_OK: asked,
 * whatever was found. RC_TEMP: not, with the first server's error, which is the one to look at.
 */
enum rc ldap_search_any(struct ldap_search *search, struct ldap_pool *pool, struct err *err);

#endif
