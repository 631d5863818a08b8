/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listener.h - a socket in the file system that the vault listens on
 */
#ifndef KEYSTORE_LISTENER_H
#define KEYSTORE_LISTENER_H

#include "base/conf.h"

#include <sys/types.h>
#include <sys/un.h>

struct listener {
	int fd; /* -1: not open */
	bool admin;
	bool bound; /* the socket in the file system is ours */
	struct sockaddr_un addr;
};

/* Replaces a stale socket, never one that somebody listens on. GID (gid_t)-1: leave owner and group
 * as they are. */
enum rc listener_open(
	struct listener *l, const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err);
void listener_close(struct listener *l); /* removes the socket */
/* The group that may connect as a service: the configured one, or that of the milter's user;
 * (gid_t)-1. */
gid_t listener_gid(const struct conf *conf);

#endif
