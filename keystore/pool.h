/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h - the workers behind one of the vault's sockets
 *
 * All of them wait on one epoll set. Whoever is given a connection owns it until it is armed again,
 * reads what is there without waiting, and works on the frames that are whole. A peer that is slow
 * or silent thus holds some memory, never a worker.
 *
 * While another worker is idle, each takes one connection, so that all cores work; when all are
 * busy, whoever comes back takes many, and their uses of keys share one wait for the disk
 * (batch.h). There are a few more workers than cores, for those that wait for the disk.
 */
#ifndef KEYSTORE_POOL_H
#define KEYSTORE_POOL_H

#include "keystore/listener.h"
#include "keystore/share.h"

#include <pthread.h>

#define POOL_MAX_WORKERS 256

struct pool;
struct pool_handler {
	void (*knock)(void *ctx, struct pool *pool); /* somebody wants to connect */
	void (*gone)(void *ctx, struct conn **conn); /* to be closed */
	void *ctx;
};

struct pool {
	struct vault *vault;
	struct listener *listener;
	struct pool_handler handler;
	int epoll, wake, nudge; /* wake: becomes readable, and stays so, at the end */
	pthread_t threads[POOL_MAX_WORKERS];
	size_t n_threads;
	size_t cores;
	pthread_mutex_t lock; /* over what follows */
	struct shares shares;
	size_t idle; /* workers that wait for something to do */
	bool stopping;
};

void pool_init(struct pool *pool);
void pool_fini(struct pool *pool);
/* Starts WORKERS threads over the connections of LISTENER. */
enum rc pool_start(struct pool *pool, struct vault *vault, struct listener *listener,
	size_t workers, const struct pool_handler *handler, struct err *err);
/* Requests in hand are finished, their answers sent; new ones are not taken. */
void pool_stop(struct pool *pool);

/* A new connection waits for its first frame. */
void pool_watch(struct pool *pool, struct conn *conn);
/* May connections be accepted again? After KNOCK. */
void pool_listen(struct pool *pool);
/* A connection of UID comes, or goes. join: false: no memory. */
bool pool_join(struct pool *pool, struct conn *conn);
void pool_leave(struct pool *pool, struct conn *conn);

#endif
