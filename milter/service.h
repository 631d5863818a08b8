/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * service.h - where a service listens, checked before anything is opened
 *
 * The milter socket is a way to plaintext, so what would let anybody in is refused with file and
 * line: a mode for others, a folder that everybody may write to, a wildcard address, TCP without a
 * list of peers.
 *
 * Memory: a struct service borrows from its configuration.
 */
#ifndef MILTER_SERVICE_H
#define MILTER_SERVICE_H

#include "base/conf.h"
#include "base/network.h"

#include <sys/types.h>

#define SERVICE_MAX_ALLOW 256

struct service {
	const char *name;
	const char *user, *group; /* what the daemon becomes; group may be NULL */
	char socket[400];         /* "unix:/absolute/path", "inet:PORT@ADDRESS", "inet6:…" */
	const char *path;         /* into socket; NULL for TCP */
	unsigned port;            /* TCP */
	mode_t mode;
	const char *socket_group; /* may be NULL */
	struct network allow[SERVICE_MAX_ALLOW];
	size_t n_allow;
};

/* NAME NULL: the only service there is. Refusals are ERR_CONFIG. */
enum rc
service_init(struct service *service, const struct conf *conf, const char *name, struct err *err);
/* All services of CONF, and that no two listen at the same place. */
enum rc service_check_all(const struct conf *conf, struct err *err);

#endif
