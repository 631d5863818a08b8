/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "keystore/serve.h"

#define BACKLOG        511
#define PATIENCE_MS    10000 /* for HELLO, a begun frame, an answer */
#define STRANGERS_MAX  16u   /* connections to the admin socket without rights, all together */
#define ADMIN_MAX      64u   /* connections of one operator to the admin socket */
#define FILES_OF_OURS  64u   /* descriptors beside the connections */
#define REFUSED_LOG_MS 10000
#define READ_STEP      16384u
#define WORKERS_MIN    32
#define WORKERS_A_CORE 16
#define WORKERS_MAX    256
#define STACK_SIZE     (1u << 20)

enum state { READING, WRITING };

/*
 * The workers are shared by uid: while one has SHARE_OF_WORKERS of them at work, its further
 * connections wait in its own line. So a service that floods the vault, or an operator's long
 * commands, let the others wait for the processor, but not for all that stands before them.
 */
struct share {
	struct share *next;
	int64_t uid;
	size_t conns, working; /* freed when there are none of both */
	struct conn *first, **last;
};

#define SHARE_OF_WORKERS(n) ((n) - (n) / 4)

struct conn {
	int fd;
	struct conn *prev, *next;
	struct share *share;
	struct conn *behind; /* in the share's line */
	struct session session;
	bool stranger; /* on the admin socket, without any right there */
	enum state state;
	struct buf in, out;
	size_t sent;
	int64_t busy_since; /* when HELLO was due, a frame begun or an answer stuck; 0: idle */
	int turn; /* what one owner wrote is seen by the next: released in arm, acquired by the
		     worker */
};

struct listener {
	int fd;
	bool admin;
	bool bound; /* the socket in the file system is ours */
	struct sockaddr_un addr;
};

struct server {
	struct vault *vault;
	struct listener listeners[2];
	int epoll, wake; /* wake: becomes readable, and stays so, at the end */
	pthread_t threads[WORKERS_MAX];
	pthread_t keeper;
	size_t n_threads, want_threads;
	bool has_keeper;
	pthread_mutex_t lock; /* over what follows */
	struct conn *conns;
	size_t n_conns, max_conns;
	struct share *shares;
	size_t n_refused;       /* since the log said so last … */
	int64_t refused_logged; /* … at this time, ms */
	bool stopping;
};

/* --- sockets --- */

/* The group that may connect: the configured one, or that of the milter's user. (gid_t)-1: leave
 * it. */
static gid_t
socket_gid(const struct conf *conf)
{
	const char *group = conf_str(conf_section(conf, "vault"), "socket_group");
	const struct group *gr = group ? getgrnam(group) : NULL;
	const struct passwd *pw;

	if (group)
		return gr ? gr->gr_gid : (gid_t)-1;
	pw = getpwnam(conf_str(conf_section(conf, "milter"), "user"));
	return pw ? pw->pw_gid : (gid_t)-1;
}

/* Does somebody listen there? Another vault's socket must not be taken away. */
static bool
is_alive(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive = fd >= 0 && (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 ||
					errno == EAGAIN);

	if (fd >= 0)
		close(fd);
	return alive;
}

/* The umask gives the socket its mode when it is made, and the owner is changed without following a
 * link: in a folder that others may write to, the name could be somebody else's a moment later. */
static enum rc
listen_on(struct listener *l, const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err)
{
	struct stat st;
	mode_t mask;
	int failed;

	l->addr.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(l->addr.sun_path))
		return err_set(err, ERR_CONFIG, "%s: too long for a socket", path);
	strcpy(l->addr.sun_path, path);
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode) || is_alive(&l->addr))
			return err_set(err, ERR_CONFIG, "%s: is there and no stale socket", path);
		if (unlink(path))
			return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	}
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return err_set(err, ERR_SYSTEM, "socket: %s", strerror(errno));
	mask = umask(0777 & ~mode);
	failed = bind(l->fd, (struct sockaddr *)&l->addr, sizeof(l->addr));
	umask(mask);
	if (failed)
		return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	l->bound = true;
	if (gid != (gid_t)-1 && lchown(path, uid, gid) && geteuid() == 0)
		return err_set(err, ERR_SYSTEM, "%s: chown: %s", path, strerror(errno));
	if (listen(l->fd, BACKLOG))
		return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	return RC_OK;
}

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
	/* What getpwnam gave is overwritten by the look-ups of socket_gid. */
	const struct passwd *pw = getpwnam(conf_str(group, "user"));
	uid_t uid = geteuid() == 0 && pw ? pw->pw_uid : (uid_t)-1;
	gid_t gid = pw ? pw->pw_gid : (gid_t)-1;
	struct server *server = calloc(1, sizeof(*server));
	enum rc rc;

	*out = NULL;
	if (!server)
		return err_set(err, ERR_MEMORY, "server");
	pthread_mutex_init(&server->lock, NULL);
	server->epoll = server->wake = -1;
	server->listeners[0].fd = server->listeners[1].fd = -1;
	server->listeners[1].admin = true;
	server->max_conns = raise_files();
	rc = listen_on(
		&server->listeners[0], conf_str(group, "socket"), 0660, uid, socket_gid(conf), err);
	if (!rc)
		rc = listen_on(&server->listeners[1], conf_str(group, "admin_socket"), 0666, uid,
			gid, err);
	if (rc)
		server_free(&server);
	*out = server;
	return rc;
}

/* --- connections --- */

/* The share of UID, made when there is none; NULL: no memory. Called with the lock held. */
static struct share *
get_share(struct server *server, int64_t uid)
{
	struct share *share;

	for (share = server->shares; share; share = share->next)
		if (share->uid == uid)
			return share;
	share = calloc(1, sizeof(*share));
	if (!share)
		return NULL;
	share->uid = uid;
	share->last = &share->first;
	share->next = server->shares;
	server->shares = share;
	return share;
}

/* Frees it when nobody needs it. Called with the lock held. */
static void
put_share(struct server *server, struct share *share)
{
	struct share **p = &server->shares;

	if (share->conns > 0 || share->working > 0)
		return;
	while (*p != share)
		p = &(*p)->next;
	*p = share->next;
	free(share);
}

/* May this worker serve CONN now? If not, CONN waits in its share's line. */
static bool
take_turn(struct server *server, struct conn *conn)
{
	struct share *share;
	bool now;

	pthread_mutex_lock(&server->lock);
	share = conn->share;
	now = share->working < SHARE_OF_WORKERS(server->want_threads);
	if (now) {
		share->working++;
	} else {
		conn->behind = NULL;
		*share->last = conn;
		share->last = &conn->behind;
	}
	pthread_mutex_unlock(&server->lock);
	return now;
}

/* The next one of SHARE's line for the worker that served another of it; NULL: none. */
static struct conn *
next_turn(struct server *server, struct share *share)
{
	struct conn *conn;

	pthread_mutex_lock(&server->lock);
	conn = server->stopping ? NULL : share->first;
	if (conn) {
		share->first = conn->behind;
		if (!share->first)
			share->last = &share->first;
	} else {
		share->working--;
		put_share(server, share);
	}
	pthread_mutex_unlock(&server->lock);
	return conn;
}

static void
conn_free(struct server *server, struct conn *conn)
{
	pthread_mutex_lock(&server->lock);
	conn->share->conns--;
	put_share(server, conn->share);
	*(conn->prev ? &conn->prev->next : &server->conns) = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	server->n_conns--;
	pthread_mutex_unlock(&server->lock);
	close(conn->fd);
	buf_fini(&conn->in);
	buf_fini(&conn->out);
	free(conn);
}

/* Read by the keeper while the owner writes it. */
static void
set_busy(struct conn *conn, int64_t since)
{
	__atomic_store_n(&conn->busy_since, since, __ATOMIC_RELAXED);
}

/* Gives the connection back to the set. */
static void
arm(struct server *server, struct conn *conn)
{
	struct epoll_event ev = {.data.ptr = conn};
	int fd = conn->fd;

	/* Not EPOLLRDHUP: a peer that closed its half and reads nothing would be announced
	 * without end. */
	ev.events = (conn->state == WRITING ? EPOLLOUT : EPOLLIN) | EPOLLONESHOT;
	/* From here on it may be another worker's. */
	__atomic_store_n(&conn->turn, 1, __ATOMIC_RELEASE);
	if (epoll_ctl(server->epoll, EPOLL_CTL_MOD, fd, &ev))
		conn_free(server, conn);
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

static struct conn *
conn_new(struct server *server, int fd, bool admin)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (!conn || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len)) {
		free(conn);
		return NULL;
	}
	conn->fd = fd;
	conn->session = (struct session){
		.vault = server->vault, .admin = admin, .uid = cred.uid, .pid = cred.pid};
	buf_init(&conn->in, PROTO_MAX_ADMIN + 1);
	buf_init(&conn->out, PROTO_MAX_ADMIN + 1);
	conn->in.wipe = conn->out.wipe = true;
	conn->busy_since = clock_monotonic_ms();
	conn->stranger = admin && !is_operator(server, cred.uid);
	pthread_mutex_lock(&server->lock);
	conn->share = get_share(server, cred.uid);
	if (!conn->share || server->stopping || is_crowded(server, conn)) {
		if (conn->share)
			put_share(server, conn->share); /* may be a new one */
		log_crowded(server, cred.uid);
		pthread_mutex_unlock(&server->lock);
		free(conn);
		return NULL;
	}
	conn->share->conns++;
	conn->next = server->conns;
	if (conn->next)
		conn->next->prev = conn;
	server->conns = conn;
	server->n_conns++;
	pthread_mutex_unlock(&server->lock);
	return conn;
}

/* A few at a time, so that this worker gets back to those it has. */
static void
accept_some(struct server *server, struct listener *l)
{
	struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = l};

	for (int i = 0; i < 16; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct conn *conn;
		struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT};

		if (fd < 0 &&
			(errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
			usleep(10000); /* no room now; others may end meanwhile */
		if (fd < 0)
			break;
		conn = conn_new(server, fd, l->admin);
		if (!conn) {
			close(fd);
			continue;
		}
		ev.data.ptr = conn;
		__atomic_store_n(&conn->turn, 1, __ATOMIC_RELEASE);
		if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &ev))
			conn_free(server, conn);
	}
	(void)epoll_ctl(server->epoll, EPOLL_CTL_MOD, l->fd, &again);
}

/* Sends what can be sent. False: the connection is of no more use. */
static bool
flush_out(struct conn *conn)
{
	while (conn->sent < conn->out.len) {
		ssize_t n = send(conn->fd, conn->out.data + conn->sent, conn->out.len - conn->sent,
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			conn->state = WRITING;
			return true;
		}
		if (n <= 0)
			return false;
		conn->sent += (size_t)n;
		if (conn->busy_since)
			set_busy(conn, clock_monotonic_ms());
	}
	secret_wipe(conn->out.data, conn->out.len);
	buf_clear(&conn->out);
	conn->sent = 0;
	conn->state = READING;
	set_busy(conn, 0);
	return !conn->session.closing;
}

/* Works on the frame of FRAME bytes at the beginning of the buffer. False: close. */
static bool
work(struct server *server, struct conn *conn, size_t frame)
{
	enum rc rc = session_serve(&conn->session, conn->in.data, frame, &conn->out);

	(void)server;
	memmove(conn->in.data, conn->in.data + frame, conn->in.len - frame);
	secret_wipe(conn->in.data + conn->in.len - frame, frame);
	conn->in.len -= frame;
	/* A big request leaves no big buffer with an idle connection. */
	if (conn->in.len == 0 && conn->in.cap > 4 * READ_STEP)
		buf_fini(&conn->in);
	set_busy(conn, clock_monotonic_ms());
	return rc == RC_OK && flush_out(conn);
}

/* One step of a connection that has something for us. False: close. */
static bool
step(struct server *server, struct conn *conn)
{
	size_t frame = 0;
	struct err err = ERR_INIT;

	if (conn->state == WRITING)
		return flush_out(conn);
	for (;;) {
		ssize_t n;

		if (proto_frame_len(conn->in.data, conn->in.len, session_limit(&conn->session),
			    &frame, &err)) {
			session_log_broken(&conn->session, &err);
			return false;
		}
		if (frame && conn->in.len >= frame)
			break;
		if (buf_reserve(&conn->in, READ_STEP, &err))
			return false;
		n = recv(conn->fd, conn->in.data + conn->in.len, READ_STEP, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			if (conn->in.len > 0 && !conn->busy_since)
				set_busy(conn, clock_monotonic_ms());
			return true;
		}
		if (n <= 0)
			return false;
		conn->in.len += (size_t)n;
	}
	return work(server, conn, frame);
}

/* Steps until the peer has to do something: a frame that came with the one before is not announced
 * again. */
static void
serve_conn(struct server *server, struct conn *conn)
{
	bool more;

	(void)__atomic_load_n(&conn->turn, __ATOMIC_ACQUIRE);
	do {
		size_t frame = 0;

		if (!step(server, conn)) {
			conn_free(server, conn);
			return;
		}
		more = conn->state == READING && conn->in.len > 0 &&
		       proto_frame_len(conn->in.data, conn->in.len, session_limit(&conn->session),
			       &frame, NULL) == RC_OK &&
		       frame && conn->in.len >= frame;
	} while (more && !__atomic_load_n(&server->stopping, __ATOMIC_RELAXED));
	arm(server, conn);
}

/* CONN has something for us. It may be gone when it was served, its share is not: it is working. */
static void
serve_in_turn(struct server *server, struct conn *conn)
{
	struct share *share = conn->share;

	if (!take_turn(server, conn))
		return;
	for (; conn; conn = next_turn(server, share))
		serve_conn(server, conn);
}

static void *
worker(void *ctx)
{
	struct server *server = ctx;

	while (!__atomic_load_n(&server->stopping, __ATOMIC_RELAXED)) {
		struct epoll_event ev;
		int n = epoll_wait(server->epoll, &ev, 1, -1);

		if (n < 0 && errno != EINTR)
			return NULL;
		if (n <= 0)
			continue;
		if (ev.data.ptr == server)
			return NULL; /* the end */
		if (ev.data.ptr == &server->listeners[0] || ev.data.ptr == &server->listeners[1])
			accept_some(server, ev.data.ptr);
		else
			serve_in_turn(server, ev.data.ptr);
	}
	return NULL;
}

/*
 * Looks once a second for peers that let us wait. It only shuts the socket down: the connection
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
		for (struct conn *c = server->conns; c; c = c->next) {
			int64_t since = __atomic_load_n(&c->busy_since, __ATOMIC_RELAXED);

			if (since && now - since > PATIENCE_MS &&
				!__atomic_load_n(&c->session.busy, __ATOMIC_RELAXED))
				shutdown(c->fd, SHUT_RDWR);
		}
		pthread_mutex_unlock(&server->lock);
		if (now - saved > 60000) {
			vault_save_budgets(server->vault);
			saved = now;
		}
		usleep(200000);
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
	if (n == 0) {
		n = cores * WORKERS_A_CORE;
		n = n < WORKERS_MIN ? WORKERS_MIN : n;
	}
	return n > WORKERS_MAX ? WORKERS_MAX : (size_t)n;
}

static enum rc
add_to_epoll(struct server *server, int fd, unsigned events, void *ptr, struct err *err)
{
	struct epoll_event ev = {.events = events, .data.ptr = ptr};

	if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &ev))
		return err_set(err, ERR_SYSTEM, "epoll: %s", strerror(errno));
	return RC_OK;
}

enum rc
server_start(struct server *server, struct vault *vault, struct err *err)
{
	size_t want = worker_count(vault);
	pthread_attr_t attr;
	enum rc rc = RC_OK;

	server->vault = vault;
	server->want_threads = want;
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->epoll < 0 || server->wake < 0)
		return err_set(err, ERR_SYSTEM, "epoll: %s", strerror(errno));
	rc = add_to_epoll(server, server->wake, EPOLLIN, server, err);
	for (int i = 0; !rc && i < 2; i++)
		rc = add_to_epoll(server, server->listeners[i].fd, EPOLLIN | EPOLLONESHOT,
			&server->listeners[i], err);
	if (rc)
		return rc;
	/* Small stacks: with all memory locked, each of them is real. */
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	server->has_keeper = pthread_create(&server->keeper, &attr, keeper, server) == 0;
	while (server->n_threads < want &&
		pthread_create(&server->threads[server->n_threads], &attr, worker, server) == 0)
		server->n_threads++;
	pthread_attr_destroy(&attr);
	if (server->n_threads == 0 || !server->has_keeper)
		return err_set(err, ERR_SYSTEM, "no threads");
	return RC_OK;
}

void
server_stop(struct server *server)
{
	uint64_t one = 1;

	pthread_mutex_lock(&server->lock);
	__atomic_store_n(&server->stopping, true, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&server->lock);
	if (server->wake >= 0)
		(void)!write(server->wake, &one, sizeof(one));
	for (size_t i = 0; i < server->n_threads; i++)
		pthread_join(server->threads[i], NULL);
	server->n_threads = 0;
	if (server->has_keeper)
		pthread_join(server->keeper, NULL);
	server->has_keeper = false;
	while (server->conns)
		conn_free(server, server->conns);
}

void
server_free(struct server **server)
{
	struct server *s = *server;

	*server = NULL;
	if (!s)
		return;
	server_stop(s);
	for (int i = 0; i < 2; i++)
		if (s->listeners[i].fd >= 0) {
			close(s->listeners[i].fd);
			if (s->listeners[i].bound)
				(void)unlink(s->listeners[i].addr.sun_path);
		}
	if (s->epoll >= 0)
		close(s->epoll);
	if (s->wake >= 0)
		close(s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
