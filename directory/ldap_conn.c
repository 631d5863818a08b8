/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/ldap_conn.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "directory/breaker.h"

#define MAX_KEPT 64

struct server {
	char *uri; /* owned */
	struct breaker breaker;
	struct ldap_connection *kept[MAX_KEPT]; /* idle connections, the one used last at the end */
	int n_kept;
};

struct ldap_pool {
	struct ldap_login login;
	pthread_mutex_t lock; /* for what follows; never held while the network is used */
	struct server *servers;
	size_t n_asked, n;
};

enum rc
ldap_pool_new(const struct ldap_login *login, const char *const *uris, size_t n_asked, size_t n,
	struct ldap_pool **out, struct err *err)
{
	struct ldap_pool *pool = calloc(1, sizeof(*pool));
	bool full = pool != NULL;

	*out = NULL;
	if (pool && (pool->servers = calloc(n, sizeof(*pool->servers)))) {
		pthread_mutex_init(&pool->lock, NULL);
		pool->n = n;
		pool->n_asked = n_asked;
		for (size_t i = 0; i < n; i++)
			full &= (pool->servers[i].uri = strdup(uris[i])) != NULL;
	} else {
		full = false;
	}
	if (!full) {
		ldap_pool_free(&pool);
		return err_set(err, ERR_MEMORY, "directory %s", login->name);
	}
	pool->login = *login;
	if (pool->login.keep > MAX_KEPT)
		pool->login.keep = MAX_KEPT;
	*out = pool;
	return RC_OK;
}

static void
close_connection(struct ldap_connection **connection)
{
	if (!*connection)
		return;
	/* Saying goodbye is worth no waiting. */
	(*connection)->guard.deadline = 0;
	if ((*connection)->ld)
		ldap_unbind_ext((*connection)->ld, NULL, NULL);
	free(*connection);
	*connection = NULL;
}

void
ldap_login_fini(struct ldap_login *login)
{
	free(login->dn);
	free(login->ca_file);
	free(login->cert_file);
	free(login->key_file);
	secret_free(&login->password);
}

void
ldap_pool_free(struct ldap_pool **pool)
{
	if (!*pool)
		return;
	for (size_t i = 0; (*pool)->servers && i < (*pool)->n; i++) {
		struct server *server = &(*pool)->servers[i];

		for (int k = 0; k < server->n_kept; k++)
			close_connection(&server->kept[k]);
		free(server->uri);
	}
	free((*pool)->servers);
	ldap_login_fini(&(*pool)->login);
	free(*pool);
	*pool = NULL;
}

size_t
ldap_pool_servers(const struct ldap_pool *pool)
{
	return pool->n_asked;
}

int
ldap_pool_timeout(const struct ldap_pool *pool)
{
	return pool->login.timeout_ms;
}

bool
ldap_pool_follows(const struct ldap_pool *pool)
{
	return pool->n > pool->n_asked;
}

static int
port_of(const LDAPURLDesc *desc)
{
	if (desc->lud_port)
		return desc->lud_port;
	return strcasecmp(desc->lud_scheme, "ldaps") == 0 ? LDAPS_PORT : LDAP_PORT;
}

static bool
same_server(const LDAPURLDesc *a, const LDAPURLDesc *b)
{
	return a->lud_scheme && b->lud_scheme && strcasecmp(a->lud_scheme, b->lud_scheme) == 0 &&
	       a->lud_host && b->lud_host && strcasecmp(a->lud_host, b->lud_host) == 0 &&
	       port_of(a) == port_of(b);
}

bool
ldap_pool_find(const struct ldap_pool *pool, const LDAPURLDesc *desc, size_t *server)
{
	bool found = false;

	for (size_t i = 0; !found && ldap_pool_follows(pool) && i < pool->n; i++) {
		LDAPURLDesc *ours = NULL;

		if (ldap_url_parse(pool->servers[i].uri, &ours) != LDAP_URL_SUCCESS)
			continue;
		found = same_server(ours, desc);
		*server = i;
		ldap_free_urldesc(ours);
	}
	return found;
}

const char *
ldap_pool_uri(const struct ldap_pool *pool, size_t server)
{
	return pool->servers[server].uri;
}

struct timeval
ldap_conn_left(int64_t deadline)
{
	int64_t ms = deadline - clock_monotonic_ms();

	if (ms < 1)
		ms = 1;
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

enum rc
ldap_conn_err(struct err *err, const char *name, const char *uri, LDAP *ld, int result)
{
	char *said = NULL;
	enum errcode code = ERR_DIR_ANSWER;

	switch (result) {
	case LDAP_TIMEOUT:
	case LDAP_TIMELIMIT_EXCEEDED:
		code = ERR_DIR_TIMEOUT;
		break;
	case LDAP_SERVER_DOWN:
	case LDAP_CONNECT_ERROR:
	case LDAP_BUSY:
	case LDAP_UNAVAILABLE:
		code = ERR_DIR_UNAVAILABLE;
		break;
	default:
		break;
	}
	if (ld)
		ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &said);
	err_set(err, code, "directory %s, %s: %s%s%s", name, uri, ldap_err2string(result),
		said && *said ? ": " : "", said ? said : "");
	ldap_memfree(said);
	return RC_TEMP;
}

/* Settings of TLS for one handle: the server's certificate has to be good, always. */
static int
set_tls(LDAP *ld, const struct ldap_login *login)
{
	int demand = LDAP_OPT_X_TLS_DEMAND, client = 0, result;

	result = ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
	if (result == LDAP_OPT_SUCCESS && login->ca_file)
		result = ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, login->ca_file);
	if (result == LDAP_OPT_SUCCESS && login->cert_file)
		result = ldap_set_option(ld, LDAP_OPT_X_TLS_CERTFILE, login->cert_file);
	if (result == LDAP_OPT_SUCCESS && login->key_file)
		result = ldap_set_option(ld, LDAP_OPT_X_TLS_KEYFILE, login->key_file);
	if (result == LDAP_OPT_SUCCESS)
		result = ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &client);
	return result == LDAP_OPT_SUCCESS ? LDAP_SUCCESS : LDAP_LOCAL_ERROR;
}

/*
 * Every option that matters is set here, so that nothing depends on ldap.conf, a user's file
 * or the environment, which libldap reads too. (The system's anchors do come from there
 * when ca_file is unset.)
 */
static int
set_options(LDAP *ld, const struct ldap_login *login, int64_t deadline)
{
	struct timeval left = ldap_conn_left(deadline);
	int version = LDAP_VERSION3, deref = login->deref, result = 0;
	ber_len_t most = LDAP_MAX_ANSWER;
	Sockbuf *sb = NULL;

	result |= ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version);
	result |= ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
	result |= ldap_set_option(ld, LDAP_OPT_DEREF, &deref);
	result |= ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_ON);
	result |= ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &left);
	result |= ldap_set_option(ld, LDAP_OPT_TIMEOUT, &left);
	result |= ldap_get_option(ld, LDAP_OPT_SOCKBUF, &sb);
	if (result != LDAP_OPT_SUCCESS || !sb)
		return LDAP_LOCAL_ERROR;
	/* A message of the protocol past this closes the connection before it is read. */
	if (ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &most) < 0)
		return LDAP_LOCAL_ERROR;
	return set_tls(ld, login);
}

/* Binds and waits for the answer until DEADLINE. */
static int
do_bind(LDAP *ld, const struct ldap_login *login, int64_t deadline)
{
	struct berval cred = {0};
	struct timeval left;
	LDAPMessage *answer = NULL;
	const char *mechanism = LDAP_SASL_SIMPLE, *dn = login->dn;
	int id, result, bound = LDAP_OTHER;

	if (login->bind == LDAP_BIND_ANONYMOUS)
		return LDAP_SUCCESS; /* version 3 needs no bind for it */
	if (login->bind == LDAP_BIND_EXTERNAL) {
		mechanism = "EXTERNAL";
		dn = NULL;
		cred.bv_val = (char *)""; /* empty, which is not the same as none */
	} else {
		cred.bv_val = (char *)secret_data(login->password);
		cred.bv_len = secret_len(login->password);
	}
	result = ldap_sasl_bind(ld, dn, mechanism, &cred, NULL, NULL, &id);
	if (result != LDAP_SUCCESS)
		return result;
	left = ldap_conn_left(deadline);
	result = ldap_result(ld, id, LDAP_MSG_ALL, &left, &answer);
	if (result == 0)
		return LDAP_TIMEOUT;
	if (result < 0 || !answer) {
		ldap_get_option(ld, LDAP_OPT_RESULT_CODE, &bound);
		return bound == LDAP_SUCCESS ? LDAP_OTHER : bound;
	}
	result = ldap_parse_result(ld, answer, &bound, NULL, NULL, NULL, NULL, 1);
	return result == LDAP_SUCCESS ? bound : result;
}

/* A new connection, secured and bound. */
static enum rc
open_connection(const struct ldap_pool *pool, const char *uri, int64_t deadline,
	struct ldap_connection **out, struct err *err)
{
	const struct ldap_login *login = &pool->login;
	struct ldap_connection *c = calloc(1, sizeof(*c));
	int result;

	*out = NULL;
	if (!c)
		return err_set(err, ERR_MEMORY, "directory %s", login->name);
	c->guard.deadline = deadline;
	result = ldap_initialize(&c->ld, uri);
	if (result == LDAP_SUCCESS)
		result = set_options(c->ld, login, deadline);
	if (result == LDAP_SUCCESS)
		result = ldap_guard_install(c->ld, &c->guard);
	if (result == LDAP_SUCCESS && login->starttls)
		result = ldap_start_tls_s(c->ld, NULL, NULL);
	if (result == LDAP_SUCCESS)
		result = do_bind(c->ld, login, deadline);
	if (result == LDAP_SUCCESS) {
		*out = c;
		return RC_OK;
	}
	ldap_conn_err(err, login->name, uri, c->ld, c->guard.expired ? LDAP_TIMEOUT : result);
	close_connection(&c);
	return RC_TEMP;
}

/* Says in the log that a server is left alone from now on. */
static void
log_down(const struct ldap_pool *pool, const struct server *server, const char *why)
{
	char ms[24];

	snprintf(ms, sizeof(ms), "%d", pool->login.error_ttl_ms);
	log_event(LOGL_WARN, NULL, "directory-down", "directory", pool->login.name, "server",
		server->uri, "why", why, "left-alone-ms", ms, NULL);
}

static void
log_up(const struct ldap_pool *pool, const struct server *server, const struct breaker *was)
{
	char ms[24], refused[24];

	snprintf(ms, sizeof(ms), "%lld", (long long)(clock_monotonic_ms() - was->since_ms));
	snprintf(refused, sizeof(refused), "%lu", was->refused);
	log_event(LOGL_INFO, NULL, "directory-up", "directory", pool->login.name, "server",
		server->uri, "after-ms", ms, "refused", refused, NULL);
}

/* A failure; when the breaker opens, the kept connections go. */
static void
note_failure(struct ldap_pool *pool, struct server *server, bool certain, const struct err *why)
{
	const struct ldap_login *login = &pool->login;
	struct ldap_connection *closing[MAX_KEPT];
	bool opened;
	int n = 0;

	pthread_mutex_lock(&pool->lock);
	opened = breaker_failure(&server->breaker, clock_monotonic_ms(), login->error_ttl_ms,
		login->error_count, certain, why ? why->detail : "failed");
	if (server->breaker.state == BREAKER_OPEN) {
		n = server->n_kept;
		memcpy(closing, server->kept, sizeof(closing));
		server->n_kept = 0;
	}
	pthread_mutex_unlock(&pool->lock);
	for (int i = 0; i < n; i++)
		close_connection(&closing[i]);
	if (opened && login->error_ttl_ms > 0)
		log_down(pool, server, why ? why->detail : "failed");
}

static void
note_success(struct ldap_pool *pool, struct server *server)
{
	struct breaker was;
	bool closed;

	pthread_mutex_lock(&pool->lock);
	was = server->breaker;
	closed = breaker_success(&server->breaker);
	pthread_mutex_unlock(&pool->lock);
	if (closed && pool->login.error_ttl_ms > 0)
		log_up(pool, server, &was);
}

/* Why a question does not go through. */
static enum rc
refused(const struct ldap_pool *pool, const char *uri, const struct breaker *b, int64_t now,
	struct err *err)
{
	if (b->state == BREAKER_HALF_OPEN)
		return err_set(err, ERR_DIR_UNAVAILABLE,
			"directory %s, %s: left alone while one question tries it; the last failure: %s",
			pool->login.name, uri, b->why);
	return err_set(err, ERR_DIR_UNAVAILABLE,
		"directory %s, %s: left alone for %lld ms more; the last failure: %s",
		pool->login.name, uri, (long long)(b->until_ms - now), b->why);
}

enum rc
ldap_pool_lend(
	struct ldap_pool *pool, size_t i, bool fresh, struct ldap_lease *lease, struct err *err)
{
	struct server *server = &pool->servers[i];
	int64_t now = clock_monotonic_ms(), probe_ms;
	enum breaker_answer answer;
	struct breaker breaker;

	/* Without a time to leave it alone there is nothing that a probe would hold up. */
	probe_ms = pool->login.error_ttl_ms > 0 ? 2 * (int64_t)pool->login.timeout_ms : 0;
	*lease = (struct ldap_lease){.server = i, .deadline = now + pool->login.timeout_ms};
	pthread_mutex_lock(&pool->lock);
	answer = breaker_ask(&server->breaker, now, probe_ms);
	breaker = server->breaker;
	if (answer == BREAKER_PASS && !fresh && server->n_kept > 0) {
		lease->connection = server->kept[--server->n_kept];
		lease->kept = true;
	}
	pthread_mutex_unlock(&pool->lock);
	if (answer == BREAKER_REFUSE)
		return refused(pool, server->uri, &breaker, now, err);
	if (answer == BREAKER_PROBE && pool->login.error_ttl_ms > 0)
		log_event(LOGL_INFO, NULL, "directory-probe", "directory", pool->login.name,
			"server", server->uri, NULL);
	if (lease->connection || open_connection(pool, server->uri, lease->deadline,
					 &lease->connection, err) == RC_OK) {
		lease->ld = lease->connection->ld;
		lease->connection->guard.deadline = lease->deadline;
		return RC_OK;
	}
	log_error(LOGL_WARN, NULL, "directory-failed", err, "directory", pool->login.name, NULL);
	note_failure(pool, server, !err || err->code != ERR_DIR_TIMEOUT, err);
	return RC_TEMP;
}

void
ldap_pool_return(struct ldap_pool *pool, struct ldap_lease *lease)
{
	struct server *server = &pool->servers[lease->server];

	note_success(pool, server);
	pthread_mutex_lock(&pool->lock);
	if (server->n_kept < pool->login.keep) {
		server->kept[server->n_kept++] = lease->connection;
		lease->connection = NULL; /* the pool's now */
	}
	pthread_mutex_unlock(&pool->lock);
	close_connection(&lease->connection);
	lease->ld = NULL;
}

void
ldap_pool_drop(struct ldap_pool *pool, struct ldap_lease *lease, enum ldap_health health,
	const struct err *why)
{
	struct server *server = &pool->servers[lease->server];

	if (health == LDAP_DOWN || health == LDAP_GONE)
		note_failure(pool, server, health == LDAP_GONE, why);
	else if (health == LDAP_ALIVE)
		note_success(pool, server);
	close_connection(&lease->connection);
	lease->ld = NULL;
}
