/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ldap_conn.h - connections to the servers of one directory
 *
 * Servers are tried in order. A connection is opened, secured and bound within one deadline, lent
 * to one thread, and kept when it comes back in good order. A server that fails is left alone for
 * error_ttl (breaker.h): at once when no connection can be made, after error_count failures in a
 * row when it does not answer. Meanwhile the next one is tried, and when none is left the answer
 * comes at once.
 *
 * Threads: any; an LDAP handle belongs to the thread it is lent to.
 */
#ifndef DIRECTORY_LDAP_CONN_H
#define DIRECTORY_LDAP_CONN_H

#include "base/secret.h"
#include "directory/ldap.h"
#include "directory/ldap_guard.h"

#include <ldap.h>

enum ldap_bind { LDAP_BIND_ANONYMOUS, LDAP_BIND_SIMPLE, LDAP_BIND_EXTERNAL };

struct ldap_login {       /* how to connect; set once */
	const char *name; /* borrowed: the directory's, for errors and the log */
	enum ldap_bind bind;
	char *dn; /* owned */
	struct secret *password;
	bool starttls;
	char *ca_file;              /* owned; NULL: the system's anchors */
	char *cert_file, *key_file; /* owned; ours, both or none */
	int timeout_ms;             /* for one server */
	int error_ttl_ms, error_count;
	int deref; /* LDAP_DEREF_… */
	int keep;  /* connections kept at most */
};

struct ldap_pool;

/* LOGIN's owned members are taken on RC_OK. The servers behind the first N_ASKED of N are only
 * followed to. */
enum rc ldap_pool_new(const struct ldap_login *login, const char *const *uris, size_t n_asked,
	size_t n, struct ldap_pool **out, struct err *err);
void ldap_login_fini(struct ldap_login *login);
void ldap_pool_free(struct ldap_pool **pool);
size_t ldap_pool_servers(const struct ldap_pool *pool); /* that are asked, in order */
int ldap_pool_timeout(const struct ldap_pool *pool);    /* ms */
bool ldap_pool_follows(const struct ldap_pool *pool);   /* are there any to follow to? */
/* The server that a reference leads to, if it may be followed to. */
bool ldap_pool_find(const struct ldap_pool *pool, const LDAPURLDesc *desc, size_t *server);

struct ldap_connection {
	LDAP *ld;
	struct ldap_guard guard;
};

struct ldap_lease { /* one connection while a thread uses it */
	struct ldap_connection *connection;
	LDAP *ld;         /* the connection's */
	size_t server;    /* which of the servers */
	bool kept;        /* it was used before: may have gone stale */
	int64_t deadline; /* clock_monotonic_ms */
};

/* A connection to server number SERVER. RC_TEMP at once while that server is left alone. */
enum rc ldap_pool_lend(struct ldap_pool *pool, size_t server, bool fresh, struct ldap_lease *lease,
	struct err *err);
/* Back in good order: kept if there is room. */
void ldap_pool_return(struct ldap_pool *pool, struct ldap_lease *lease);
/* What a connection that is closed says of its server: nothing, since it was an old one; that it
 * answers; that it does not, this time; that it is not there. */
enum ldap_health { LDAP_STALE, LDAP_ALIVE, LDAP_DOWN, LDAP_GONE };
/* Closed. WHY: the failure, with the last two; when the server is left alone for it, its kept
 * connections are closed too. */
void ldap_pool_drop(struct ldap_pool *pool, struct ldap_lease *lease, enum ldap_health health,
	const struct err *why);
const char *ldap_pool_uri(const struct ldap_pool *pool, size_t server);

/* An error for RESULT, a result code of libldap, with what LD (may be NULL) knows beside it. */
enum rc ldap_conn_err(struct err *err, const char *name, const char *uri, LDAP *ld, int result);
/* What is left until DEADLINE, at least a millisecond. */
struct timeval ldap_conn_left(int64_t deadline);

#endif
