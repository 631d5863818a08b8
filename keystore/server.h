/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server.h - the vault's sockets
 *
 * All workers wait on one epoll set; whoever is given a connection owns it until it is armed again,
 * reads what is there without waiting, and when a frame is whole, works on it and answers. A peer
 * that is slow or silent thus holds some memory, never a worker. There are more workers than cores,
 * since a use of a key waits for the ledger to be on the disk, and many waiting at once share one
 * such wait.
 *
 * Limits: SERVER_MAX_CONNS connections, half of them for one uid; PROTO_MAX_HELLO bytes before
 * HELLO; ten seconds for HELLO and for a begun frame; an answer of which nothing could be sent in
 * ten seconds ends its connection.
 */
#ifndef KEYSTORE_SERVER_H
#define KEYSTORE_SERVER_H

#include "keystore/vault.h"

#define SERVER_MAX_CONNS 2000u

struct server;

/* Opened before privileges are given up: files of mode 0660 (service) and 0666 (admin; who may what
 * is told by the peer's uid), replacing stale sockets. */
enum rc server_listen(const struct conf *conf, struct server **out, struct err *err);
/* Starts the workers. VAULT is borrowed until server_stop has returned. */
enum rc server_start(struct server *server, struct vault *vault, struct err *err);
/* Requests in hand are finished, their answers sent; new ones are not taken. */
void server_stop(struct server *server);
void server_free(struct server **server); /* removes the sockets */

#endif
