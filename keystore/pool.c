/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/pool.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "keystore/batch.h"

#define EVENTS     64
#define STACK_SIZE (1u << 20)
#define FAILED_US  10000 /* until the next try to wait */

void
pool_init(struct pool *pool)
{
	memset(pool, 0, sizeof(*pool));
	pool->epoll = pool->wake = pool->nudge = -1;
	pthread_mutex_init(&pool->lock, NULL);
}

void
pool_fini(struct pool *pool)
{
	pool_stop(pool);
	if (pool->epoll >= 0)
		close(pool->epoll);
	if (pool->wake >= 0)
		close(pool->wake);
	if (pool->nudge >= 0)
		close(pool->nudge);
	pthread_mutex_destroy(&pool->lock);
}

/* --- connections --- */

bool
pool_join(struct pool *pool, struct conn *conn)
{
	pthread_mutex_lock(&pool->lock);
	conn->share = pool->stopping ? NULL : shares_join(&pool->shares, conn->session.uid);
	pthread_mutex_unlock(&pool->lock);
	return conn->share != NULL;
}

void
pool_leave(struct pool *pool, struct conn *conn)
{
	pthread_mutex_lock(&pool->lock);
	if (conn->share)
		shares_leave(&pool->shares, conn->share);
	conn->share = NULL;
	pthread_mutex_unlock(&pool->lock);
}

/* Gives the connection to the set: from here on it may be another worker's. */
static void
arm(struct pool *pool, struct conn *conn, int op)
{
	struct epoll_event ev = {.data.ptr = conn};
	int fd = conn->fd;

	/* Not EPOLLRDHUP: a peer that closed its half and reads nothing would be announced
	 * without end. */
	ev.events = (conn_is_stuck(conn) ? EPOLLOUT : EPOLLIN) | EPOLLONESHOT;
	__atomic_store_n(&conn->turn, 1, __ATOMIC_RELEASE);
	if (epoll_ctl(pool->epoll, op, fd, &ev))
		pool->handler.gone(pool->handler.ctx, &conn);
}

void
pool_watch(struct pool *pool, struct conn *conn)
{
	arm(pool, conn, EPOLL_CTL_ADD);
}

void
pool_listen(struct pool *pool)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = pool->listener};

	(void)epoll_ctl(pool->epoll, EPOLL_CTL_MOD, pool->listener->fd, &ev);
}

/* --- workers --- */

/* Somebody idle is to look at the lines. */
static void
nudge(struct pool *pool)
{
	uint64_t one = 1;

	(void)!write(pool->nudge, &one, sizeof(one));
}

/* Brings connections that have something for us into their lines, waiting when there is nothing to
 * do. False: the end. */
static bool
collect(struct pool *pool)
{
	struct epoll_event ev[EVENTS];
	bool work, end, knock = false;
	uint64_t count;
	int n, max, failed;

	pthread_mutex_lock(&pool->lock);
	work = shares_have_work(&pool->shares);
	max = pool->idle > 0 ? 1 : EVENTS;
	pool->idle += work ? 0 : 1;
	pthread_mutex_unlock(&pool->lock);
	n = epoll_wait(pool->epoll, ev, max, work ? 0 : -1);
	failed = errno;
	pthread_mutex_lock(&pool->lock);
	pool->idle -= work ? 0 : 1;
	for (int i = 0; i < n; i++) {
		struct conn *conn = ev[i].data.ptr;

		if (ev[i].data.ptr == pool->listener) {
			knock = true;
		} else if (ev[i].data.ptr == &pool->nudge) {
			(void)!read(pool->nudge, &count, sizeof(count));
		} else if (ev[i].data.ptr != pool) {
			(void)__atomic_load_n(&conn->turn, __ATOMIC_ACQUIRE);
			conn_set_in_hand(conn, true);
			share_line_up(conn);
		}
	}
	end = pool->stopping;
	pthread_mutex_unlock(&pool->lock);
	if (knock && !end)
		pool->handler.knock(pool->handler.ctx, pool);
	/* A worker that left would never be replaced. */
	if (n < 0 && failed != EINTR)
		usleep(FAILED_US);
	return !end;
}

/* The next connection for a batch; LEFT: how many it may still have. */
static struct conn *
next_conn(struct pool *pool, struct share *share, size_t *left)
{
	struct conn *conn = NULL;

	pthread_mutex_lock(&pool->lock);
	if (*left > 0 && !pool->stopping)
		conn = share_pop(share);
	pthread_mutex_unlock(&pool->lock);
	*left -= conn ? 1 : 0;
	return conn;
}

static void
done_with(void *ctx, struct conn *conn, bool alive)
{
	struct pool *pool = ctx;

	if (!alive) {
		pool->handler.gone(pool->handler.ctx, &conn);
	} else if (!conn_is_stuck(conn) && conn_has_frame(conn)) {
		/* What came with the frames before is not announced again. */
		pthread_mutex_lock(&pool->lock);
		share_line_up(conn);
		pthread_mutex_unlock(&pool->lock);
	} else {
		conn_note_wait(conn);
		conn_set_in_hand(conn, false);
		arm(pool, conn, EPOLL_CTL_MOD);
	}
}

/* Works on a part of the line of whoever's turn it is: what one core should have of it. */
static void
serve_some(struct pool *pool, struct batch *batch)
{
	struct share *share;
	struct conn *conn;
	size_t left = 0;
	bool more = false;

	pthread_mutex_lock(&pool->lock);
	share = shares_take(&pool->shares);
	if (share)
		left = (share->waiting + 2 * pool->cores - 1) / (2 * pool->cores);
	pthread_mutex_unlock(&pool->lock);
	if (!share)
		return;
	while (batch_has_room(batch) && (conn = next_conn(pool, share, &left)) != NULL)
		batch_take(batch, conn);
	pthread_mutex_lock(&pool->lock);
	more = pool->idle > 0 && shares_have_work(&pool->shares);
	pthread_mutex_unlock(&pool->lock);
	if (more)
		nudge(pool);
	batch_run(batch, done_with, pool);
	pthread_mutex_lock(&pool->lock);
	shares_give_back(&pool->shares, share);
	pthread_mutex_unlock(&pool->lock);
}

static void *
worker(void *ctx)
{
	struct pool *pool = ctx;
	struct batch *batch;
	struct err err = ERR_INIT;

	if (batch_new(pool->vault, &batch, &err)) {
		log_error(LOGL_ERROR, NULL, "vault-worker", &err, NULL);
		return NULL;
	}
	while (collect(pool))
		serve_some(pool, batch);
	batch_free(&batch);
	return NULL;
}

/* --- life --- */

static enum rc
add_to_epoll(struct pool *pool, int fd, unsigned events, void *ptr, struct err *err)
{
	struct epoll_event ev = {.events = events, .data.ptr = ptr};

	if (epoll_ctl(pool->epoll, EPOLL_CTL_ADD, fd, &ev))
		return err_set(err, ERR_SYSTEM, "epoll: %s", strerror(errno));
	return RC_OK;
}

static enum rc
open_epoll(struct pool *pool, struct err *err)
{
	enum rc rc;

	pool->epoll = epoll_create1(EPOLL_CLOEXEC);
	pool->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pool->nudge = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->epoll < 0 || pool->wake < 0 || pool->nudge < 0)
		return err_set(err, ERR_SYSTEM, "epoll: %s", strerror(errno));
	rc = add_to_epoll(pool, pool->wake, EPOLLIN, pool, err);
	if (!rc)
		rc = add_to_epoll(pool, pool->nudge, EPOLLIN | EPOLLET, &pool->nudge, err);
	if (!rc)
		rc = add_to_epoll(
			pool, pool->listener->fd, EPOLLIN | EPOLLONESHOT, pool->listener, err);
	return rc;
}

enum rc
pool_start(struct pool *pool, struct vault *vault, struct listener *listener, size_t workers,
	const struct pool_handler *handler, struct err *err)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_attr_t attr;
	enum rc rc;

	pool->vault = vault;
	pool->listener = listener;
	pool->handler = *handler;
	pool->cores = cores > 1 ? (size_t)cores : 1;
	pool->shares.limit = workers - workers / 4;
	rc = open_epoll(pool, err);
	if (rc)
		return rc;
	/* Small stacks: with all memory locked, each of them is real. */
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	while (pool->n_threads < workers && pool->n_threads < POOL_MAX_WORKERS &&
		pthread_create(&pool->threads[pool->n_threads], &attr, worker, pool) == 0)
		pool->n_threads++;
	pthread_attr_destroy(&attr);
	return pool->n_threads > 0 ? RC_OK : err_set(err, ERR_SYSTEM, "no threads");
}

void
pool_stop(struct pool *pool)
{
	uint64_t one = 1;

	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_mutex_unlock(&pool->lock);
	if (pool->wake >= 0)
		(void)!write(pool->wake, &one, sizeof(one));
	for (size_t i = 0; i < pool->n_threads; i++)
		pthread_join(pool->threads[i], NULL);
	pool->n_threads = 0;
}
