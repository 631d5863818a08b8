/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server.h - the vault's sockets: who may be connected, and for how long
 *
 * Each socket has workers of its own (pool.h), so that operators' long commands keep no service
 * waiting.
 *
 * Limits: SERVER_MAX_CONNS connections, half of them for one uid; PROTO_MAX_HELLO bytes before
 * HELLO; ten seconds for HELLO and for a begun frame; an answer of which nothing could be sent in
 * ten seconds ends its connection. Frames of more than 64 KB that are on their way in share 128 MB
 * for each socket; what goes beyond is closed.
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
