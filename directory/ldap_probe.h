/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ldap_probe.h - does each server of a directory answer, now?
 *
 * For whoever checks a configuration: a new connection with TLS and bind as configured, and one
 * search for the base alone.
 */
#ifndef DIRECTORY_LDAP_PROBE_H
#define DIRECTORY_LDAP_PROBE_H

#include "base/conf.h"

struct ldap_probe {
	const char *directory, *uri; /* borrowed */
	enum rc rc;                  /* RC_OK, RC_TEMP */
	int ms;                      /* that it took */
	struct err err;              /* when it is not RC_OK */
};

/* Calls SAID for each server of GROUP, an item of the section "directories". */
enum rc ldap_probe(struct conf *conf, const struct conf_group *group,
	void (*said)(void *ctx, const struct ldap_probe *probe), void *ctx, struct err *err);

#endif
