/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/server.h"

#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "keystore/pool.h"

#define STRANGERS_MAX    16u /* connections to the admin socket without rights, all together */
#define ADMIN_MAX        64u /* connections of one operator to the admin socket */
#define FILES_OF_OURS    64u /* descriptors beside the connections */
#define REFUSED_LOG_MS   10000
#define KEEPER_MS        200
#define SAVE_MS          60000 /* between savings of the budgets' counts */
#define WORKERS_A_CORE   4
#define WORKERS_FOR_DISK 2 /* beside those: they wait for the ledger to be on the disk */
#define ADMIN_WORKERS    4 /* operators' commands take long, and stand in no service's way */

struct server {
	struct vault *vault;
	struct listener listeners[2]; /* services, operators */
	struct pool pools[2];         /* the same */
	pthread_t keeper;
	bool has_keeper;
	pthread_mutex_t lock; /* over what follows; a pool's lock may be taken within */
	struct conn *conns;
	size_t n_conns, max_conns;
	size_t n_refused;       /* since the log said so last … */
	int64_t refused_logged; /* … at this time, ms */
	bool stopping;
};

/* Descriptors for the connections that are allowed; how many connections there can be then. */
static size_t
raise_files(void)
{
	struct rlimit limit;
	rlim_t want = SERVER_MAX_CONNS + FILES_OF_OURS;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return SERVER_MAX_CONNS / 4;
	if (limit.rlim_cur < want) {
		limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
		(void)getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur >= want)
		return SERVER_MAX_CONNS;
	return limit.rlim_cur > 2 * FILES_OF_OURS ? (size_t)limit.rlim_cur - FILES_OF_OURS
						  : (size_t)limit.rlim_cur / 2;
}

enum rc
server_listen(const struct conf *conf, struct server **out, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "vault");
	/* What getpwnam gave is overwritten by the look-ups of listener_gid. */
	const struct passwd *pw = getpwnam(conf_str(group, "user"));
	uid_t uid = geteuid() == 0 && pw ? pw->pw_uid : (uid_t)-1;
	gid_t gid = pw ? pw->pw_gid : (gid_t)-1;
	struct server *server = calloc(1, sizeof(*server));
	enum rc rc;

	*out = NULL;
	if (!server)
		return err_set(err, ERR_MEMORY, "server");
	pthread_mutex_init(&server->lock, NULL);
	for (int i = 0; i < 2; i++) {
		server->listeners[i] = (struct listener){.fd = -1, .admin = i == 1};
		pool_init(&server->pools[i]);
	}
	server->max_conns = raise_files();
	rc = listener_open(&server->listeners[0], conf_str(group, "socket"), 0660, uid,
		listener_gid(conf), err);
	if (!rc)
		rc = listener_open(&server->listeners[1], conf_str(group, "admin_socket"), 0666,
			uid, gid, err);
	if (rc)
		server_free(&server);
	*out = server;
	return rc;
}

/* --- connections --- */

static struct pool *
pool_of(struct server *server, const struct conn *conn)
{
	return &server->pools[conn->session.admin ? 1 : 0];
}

/*
 * Too many in all, or of this kind? Everybody may connect to the admin socket, so those who may do
 * nothing there share a few connections, and nobody's take the place of the services'. Called with
 * the lock held.
 */
static bool
is_crowded(const struct server *server, const struct conn *conn)
{
	size_t same = 0, max = server->max_conns / 2;

	if (server->n_conns >= server->max_conns)
		return true;
	if (conn->session.admin)
		max = conn->stranger ? STRANGERS_MAX : ADMIN_MAX;
	for (const struct conn *c = server->conns; c; c = c->next)
		if (c->session.admin == conn->session.admin && c->stranger == conn->stranger)
			same += conn->stranger || c->session.uid == conn->session.uid;
	return same >= max;
}

/* Says so once in a while: who is refused comes again. Called with the lock held. */
static void
log_crowded(struct server *server, int64_t uid)
{
	int64_t now = clock_monotonic_ms();

	server->n_refused++;
	if (server->refused_logged && now - server->refused_logged < REFUSED_LOG_MS)
		return;
	log_event(LOGL_WARN, NULL, "vault-crowded", "uid", LOG_NUM(uid), "refused",
		LOG_NUM((int64_t)server->n_refused), NULL);
	server->refused_logged = now;
	server->n_refused = 0;
}

/* May UID do anything on the admin socket? */
static bool
is_operator(struct server *server, uid_t uid)
{
	struct settings *settings = vault_settings(server->vault);
	bool yes = settings_rights(settings, uid, geteuid()) != 0;

	settings_unref(&settings);
	return yes;
}

/* Takes CONN into the list, when there is room. */
static bool
admit(struct server *server, struct conn *conn)
{
	bool yes;

	pthread_mutex_lock(&server->lock);
	yes = !server->stopping && !is_crowded(server, conn) &&
	      pool_join(pool_of(server, conn), conn);
	if (yes) {
		conn->next = server->conns;
		if (conn->next)
			conn->next->prev = conn;
		server->conns = conn;
		server->n_conns++;
	} else {
		log_crowded(server, conn->session.uid);
	}
	pthread_mutex_unlock(&server->lock);
	return yes;
}

/* Somebody connected. */
static void
receive(struct server *server, int fd, bool admin)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct conn *conn = NULL;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		conn = conn_new(fd, admin, server->vault, &cred);
	if (!conn) {
		close(fd);
		return;
	}
	conn->stranger = admin && !is_operator(server, cred.uid);
	if (admit(server, conn))
		pool_watch(pool_of(server, conn), conn);
	else
		conn_free(&conn);
}

/* A few at a time, so that this worker gets back to those it has. */
static void
knock(void *ctx, struct pool *pool)
{
	struct listener *l = pool->listener;

	for (int i = 0; i < 16; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 &&
			(errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
			usleep(10000); /* no room now; others may end meanwhile */
		if (fd < 0)
			break;
		receive(ctx, fd, l->admin);
	}
	pool_listen(pool);
}

static void
gone(void *ctx, struct conn **conn)
{
	struct server *server = ctx;
	struct conn *c = *conn;

	pthread_mutex_lock(&server->lock);
	pool_leave(pool_of(server, c), c);
	*(c->prev ? &c->prev->next : &server->conns) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	server->n_conns--;
	pthread_mutex_unlock(&server->lock);
	conn_free(conn);
}

/*
 * Looks now and then for peers that let us wait. It only shuts the socket down: the connection
 * belongs to whichever worker is woken by that.
 */
static void *
keeper(void *ctx)
{
	struct server *server = ctx;
	int64_t saved = clock_monotonic_ms();

	for (;;) {
		int64_t now = clock_monotonic_ms();

		pthread_mutex_lock(&server->lock);
		if (server->stopping) {
			pthread_mutex_unlock(&server->lock);
			return NULL;
		}
		for (struct conn *c = server->conns; c; c = c->next)
			if (conn_is_late(c, now))
				shutdown(c->fd, SHUT_RDWR);
		pthread_mutex_unlock(&server->lock);
		if (now - saved > SAVE_MS) {
			vault_tick(server->vault);
			saved = now;
		}
		usleep(KEEPER_MS * 1000);
	}
}

/* --- life --- */

static size_t
worker_count(struct vault *vault)
{
	struct settings *settings = vault_settings(vault);
	int64_t n = conf_int(conf_section(settings->conf, "vault"), "workers");
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	settings_unref(&settings);
	if (n == 0)
		n = (cores > 1 ? cores : 1) * WORKERS_A_CORE + WORKERS_FOR_DISK;
	return n > POOL_MAX_WORKERS ? POOL_MAX_WORKERS : (size_t)n;
}

enum rc
server_start(struct server *server, struct vault *vault, struct err *err)
{
	const struct pool_handler handler = {knock, gone, server};
	enum rc rc;

	server->vault = vault;
	server->has_keeper = pthread_create(&server->keeper, NULL, keeper, server) == 0;
	if (!server->has_keeper)
		return err_set(err, ERR_SYSTEM, "no threads");
	rc = pool_start(&server->pools[0], vault, &server->listeners[0], worker_count(vault),
		&handler, err);
	return rc ? rc
		  : pool_start(&server->pools[1], vault, &server->listeners[1], ADMIN_WORKERS,
			    &handler, err);
}

void
server_stop(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	server->stopping = true;
	pthread_mutex_unlock(&server->lock);
	for (int i = 0; i < 2; i++)
		pool_stop(&server->pools[i]);
	if (server->has_keeper)
		pthread_join(server->keeper, NULL);
	server->has_keeper = false;
	while (server->conns) {
		struct conn *conn = server->conns;

		gone(server, &conn);
	}
}

void
server_free(struct server **server)
{
	struct server *s = *server;

	*server = NULL;
	if (!s)
		return;
	server_stop(s);
	for (int i = 0; i < 2; i++) {
		pool_fini(&s->pools[i]);
		listener_close(&s->listeners[i]);
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
}
