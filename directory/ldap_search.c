/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/ldap_search.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* Beside the entries: references, and what no search should have as an answer. */
#define MAX_OTHER_MESSAGES 256

static void
refs_fini(struct ldap_search *s)
{
	for (size_t i = 0; i < s->n_refs; i++)
		for (size_t k = 0; k < s->refs[i].n; k++)
			free(s->refs[i].urls[k]);
	s->n_refs = 0;
}

/* What the last message said. */
static void
reset(struct ldap_search *s)
{
	ldap_controls_free(s->said);
	s->said = NULL;
	s->partial = false;
}

void
ldap_search_fini(struct ldap_search *s)
{
	refs_fini(s);
	reset(s);
}

/* --- messages --- */

static enum rc
no_memory(struct ldap_search *s, struct err *err)
{
	return err_set(err, ERR_MEMORY, "%s", s->name);
}

/* Past LDAP_SEARCH_MAX_REFS they are only counted: whoever follows them refuses then. */
static enum rc
keep_reference(struct ldap_search *s, char *const *urls, bool whole, struct err *err)
{
	struct ldap_ref *ref = &s->refs[s->n_refs];

	s->n_references++;
	if (s->n_refs == LDAP_SEARCH_MAX_REFS)
		return RC_OK;
	*ref = (struct ldap_ref){.whole = whole};
	s->n_refs++;
	for (; urls && *urls && ref->n < LDAP_SEARCH_MAX_URLS; urls++)
		if (!(ref->urls[ref->n++] = strdup(*urls)))
			return no_memory(s, err);
	return RC_OK;
}

static enum rc
take_reference(struct ldap_search *s, LDAP *ld, LDAPMessage *message, struct err *err)
{
	char **urls = NULL;
	int result = ldap_parse_reference(ld, message, &urls, NULL, 0);
	enum rc rc = result == LDAP_SUCCESS ? keep_reference(s, urls, false, err)
					    : ldap_conn_err(err, s->name, s->uri, NULL, result);

	ber_memvfree((void **)urls);
	return rc;
}

/* The bytes of an entry as it came. */
static size_t
message_size(LDAP *ld, LDAPMessage *message)
{
	BerElement *ber = NULL;
	struct berval dn;
	ber_len_t size = 0;

	if (ldap_get_dn_ber(ld, message, &ber, &dn) != LDAP_SUCCESS || !ber ||
		ber_get_option(ber, LBER_OPT_BER_TOTAL_BYTES, &size) != LBER_OPT_SUCCESS)
		size = 0;
	ber_free(ber, 0);
	return size;
}

static enum rc
take_entry(struct ldap_search *s, const struct ldap_lease *lease, LDAPMessage *message,
	struct err *err)
{
	s->bytes += message_size(lease->ld, message);
	if (++s->entries > s->max_entries)
		return err_set(
			err, ERR_DIR_ANSWER, "%s: more than %zu entries", s->name, s->max_entries);
	if (s->bytes > s->max_bytes)
		return err_set(err, ERR_DIR_ANSWER, "%s: an answer of more than %zu bytes", s->name,
			s->max_bytes);
	return s->take(s->ctx, lease, message, err);
}

/* The last message: only plain success lets "none" be said. */
static int
take_result(struct ldap_search *s, LDAP *ld, LDAPMessage *message, enum rc *rc, struct err *err)
{
	char **urls = NULL;
	int code = LDAP_OTHER, result;

	result = ldap_parse_result(ld, message, &code, NULL, NULL, &urls, &s->said, 0);
	if (result == LDAP_SUCCESS && code == LDAP_REFERRAL && urls)
		*rc = keep_reference(s, urls, true, err);
	ber_memvfree((void **)urls);
	if (result != LDAP_SUCCESS)
		return result;
	s->partial = s->entries > 0 &&
		     (code == LDAP_SIZELIMIT_EXCEEDED || code == LDAP_ADMINLIMIT_EXCEEDED ||
			     code == LDAP_TIMELIMIT_EXCEEDED);
	return s->partial && s->take_partial ? LDAP_SUCCESS : code;
}

/* Why ldap_result gave nothing. A message past the limit looks like a lost connection. */
static int
lost_result(LDAP *ld, int saved_errno)
{
	int code = LDAP_OTHER;

	if (saved_errno == ERANGE)
		return LDAP_SIZELIMIT_EXCEEDED;
	ldap_get_option(ld, LDAP_OPT_RESULT_CODE, &code);
	return code == LDAP_SUCCESS ? LDAP_OTHER : code;
}

/* Takes the messages of search ID one by one until the last. */
static int
collect(struct ldap_search *s, const struct ldap_lease *lease, int id, enum rc *rc, struct err *err)
{
	for (size_t other = 0; other < MAX_OTHER_MESSAGES;) {
		struct timeval left = ldap_conn_left(lease->deadline);
		LDAPMessage *message = NULL;
		int type, code = LDAP_SUCCESS;

		if (clock_monotonic_ms() >= lease->deadline)
			return LDAP_TIMEOUT;
		errno = 0;
		type = ldap_result(lease->ld, id, LDAP_MSG_ONE, &left, &message);
		if (type == 0)
			return LDAP_TIMEOUT;
		if (type < 0 || !message)
			return lost_result(lease->ld, errno);
		if (type == LDAP_RES_SEARCH_ENTRY)
			*rc = take_entry(s, lease, message, err);
		else if (type == LDAP_RES_SEARCH_REFERENCE)
			*rc = take_reference(s, lease->ld, message, err);
		else if (type == LDAP_RES_SEARCH_RESULT)
			code = take_result(s, lease->ld, message, rc, err);
		other += type != LDAP_RES_SEARCH_ENTRY;
		ldap_msgfree(message);
		if (*rc != RC_OK || type == LDAP_RES_SEARCH_RESULT)
			return code;
	}
	*rc = err_set(err, ERR_DIR_ANSWER, "%s: messages without end", s->name);
	return LDAP_SUCCESS;
}

static int
send_and_collect(struct ldap_search *s, const struct ldap_lease *lease, int size_limit, enum rc *rc,
	struct err *err)
{
	struct timeval left = ldap_conn_left(lease->deadline);
	/* The server's own time limit counts whole seconds. */
	struct timeval server_limit = {.tv_sec = left.tv_sec + 1};
	int id, result;

	reset(s);
	ldap_set_option(lease->ld, LDAP_OPT_NETWORK_TIMEOUT, &left);
	result = ldap_search_ext(lease->ld, s->base, s->scope, s->filter,
		(char **)(uintptr_t)s->attributes, 0, s->controls, NULL, &server_limit, size_limit,
		&id);
	return result == LDAP_SUCCESS ? collect(s, lease, id, rc, err) : result;
}

/*
 * Some servers refuse a search that asks for more than their own limit instead of lowering it
 * (slapd: administrative limit exceeded): those are asked again without a limit of ours.
 */
int
ldap_search_once(
	struct ldap_search *s, const struct ldap_lease *lease, enum rc *rc, struct err *err)
{
	size_t had = s->entries;
	int result;

	*rc = RC_OK;
	result = send_and_collect(s, lease, s->size_limit, rc, err);
	if (*rc == RC_OK && s->entries == had && s->size_limit > 0 &&
		(result == LDAP_ADMINLIMIT_EXCEEDED || result == LDAP_UNWILLING_TO_PERFORM))
		result = send_and_collect(s, lease, 0, rc, err);
	return result;
}

/* --- servers --- */

/* Is it the server that failed, rather than this one question? A new connection that gives nothing
 * is none: libldap connects when it first sends something. */
static enum ldap_health
health_of(int result, bool gave)
{
	if (result == LDAP_SERVER_DOWN || result == LDAP_CONNECT_ERROR)
		return gave ? LDAP_DOWN : LDAP_GONE;
	return result == LDAP_TIMEOUT || result == LDAP_BUSY || result == LDAP_UNAVAILABLE
		       ? LDAP_DOWN
		       : LDAP_ALIVE;
}

/*
 * Asks one server; once more over a new connection when a kept one turns out to be dead. A referral
 * in place of an answer is RC_OK here, and kept.
 */
static enum rc
ask_server(struct ldap_search *s, struct ldap_pool *pool, size_t server, struct err *err)
{
	size_t had_entries = s->entries, had_bytes = s->bytes;
	struct ldap_lease lease;
	bool fresh = false;
	int result;
	enum rc rc;

	s->uri = ldap_pool_uri(pool, server);
	for (;;) {
		s->entries = had_entries;
		s->bytes = had_bytes;
		if ((rc = ldap_pool_lend(pool, server, fresh, &lease, err)) != RC_OK)
			return rc;
		result = ldap_search_once(s, &lease, &rc, err);
		if (rc == RC_OK &&
			(result == LDAP_SUCCESS || (result == LDAP_REFERRAL && s->n_refs))) {
			ldap_pool_return(pool, &lease);
			return RC_OK;
		}
		if (lease.connection->guard.expired)
			result = LDAP_TIMEOUT;
		if (rc == RC_OK)
			ldap_conn_err(err, s->name, s->uri, lease.ld, result);
		fresh = lease.kept && result == LDAP_SERVER_DOWN && s->entries == had_entries;
		if (!fresh)
			break;
		ldap_pool_drop(pool, &lease, LDAP_STALE, NULL);
	}
	log_error(LOGL_WARN, NULL, "directory-failed", err, "directory", s->name, NULL);
	ldap_pool_drop(pool, &lease, health_of(result, s->entries > had_entries), err);
	return RC_TEMP;
}

/* --- references --- */

/* Asks where URL leads to, if that is a server that may be followed to. RC_NONE: it is not. */
static enum rc
follow_url(struct ldap_search *s, struct ldap_pool *pool, const char *url, struct err *err)
{
	struct ldap_search there = *s;
	LDAPURLDesc *desc = NULL;
	size_t server;
	enum rc rc;

	if (ldap_url_parse(url, &desc) != LDAP_URL_SUCCESS)
		return RC_NONE;
	if (desc->lud_crit_exts || !ldap_pool_find(pool, desc, &server)) {
		ldap_free_urldesc(desc);
		return RC_NONE;
	}
	there.said = NULL;
	there.base = desc->lud_dn && *desc->lud_dn ? desc->lud_dn : s->base;
	/* The filter is ours: whoever wrote the reference does not decide who is looked for. */
	if (desc->lud_scope == LDAP_SCOPE_BASE || desc->lud_scope == LDAP_SCOPE_ONELEVEL ||
		desc->lud_scope == LDAP_SCOPE_SUBTREE)
		there.scope = desc->lud_scope;
	rc = ask_server(&there, pool, server, err);
	s->entries = there.entries; /* and the list of references: it is longer, or the same */
	s->bytes = there.bytes;
	s->partial |= there.partial;
	memcpy(s->refs, there.refs, sizeof(s->refs));
	s->n_refs = there.n_refs;
	s->n_references = there.n_references;
	ldap_controls_free(there.said);
	ldap_free_urldesc(desc);
	return rc;
}

static enum rc
follow(struct ldap_search *s, struct ldap_pool *pool, size_t at, struct err *err)
{
	bool whole = s->refs[at].whole;
	const char *url = s->refs[at].n ? s->refs[at].urls[0] : "";
	enum rc rc = RC_NONE;

	for (size_t i = 0; rc != RC_OK && i < s->refs[at].n; i++) {
		enum rc here = follow_url(s, pool, s->refs[at].urls[i], err);

		rc = here == RC_NONE ? rc : here;
	}
	if (rc == RC_NONE && whole)
		return err_set(err, ERR_DIR_ANSWER,
			"%s, %s: the answer is on another server, %.200s (directories.referral_uris)",
			s->name, s->uri, url);
	if (rc == RC_NONE)
		log_event(LOGL_DEBUG, NULL, "directory-reference", "directory", s->name, "to", url,
			NULL);
	return rc == RC_NONE ? RC_OK : rc;
}

/* New references may come while they are followed. */
static enum rc
follow_all(struct ldap_search *s, struct ldap_pool *pool, struct err *err)
{
	int64_t until = clock_monotonic_ms() + ldap_pool_timeout(pool);
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < s->n_refs; i++) {
		rc = follow(s, pool, i, err);
		if (rc == RC_OK && i + 1 < s->n_refs && clock_monotonic_ms() > until)
			rc = err_set(err, ERR_DIR_TIMEOUT,
				"%s: following references takes too long", s->name);
	}
	if (rc == RC_OK && s->n_references > LDAP_SEARCH_MAX_REFS && ldap_pool_follows(pool))
		rc = err_set(err, ERR_DIR_ANSWER, "%s: more than %d references", s->name,
			LDAP_SEARCH_MAX_REFS);
	return rc;
}

enum rc
ldap_search_any(struct ldap_search *s, struct ldap_pool *pool, struct err *err)
{
	enum rc rc = RC_TEMP;

	for (size_t i = 0; rc != RC_OK && i < ldap_pool_servers(pool); i++) {
		struct err here = ERR_INIT;

		refs_fini(s);
		s->entries = s->bytes = s->n_references = 0;
		if (s->again)
			s->again(s->ctx);
		rc = ask_server(s, pool, i, &here);
		if (rc == RC_OK)
			rc = follow_all(s, pool, &here);
		if (rc != RC_OK && i == 0 && err)
			*err = here;
	}
	return rc == RC_OK ? RC_OK : RC_TEMP;
}
