/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * settings.h - what the vault takes from the configuration, checked once
 *
 * Services with role and expected uid, operators with rights, budgets, the way from a claimed
 * recipient to the canonical address of a person. Immutable and reference-counted: a reload swaps
 * the whole.
 */
#ifndef KEYSTORE_SETTINGS_H
#define KEYSTORE_SETTINGS_H

#include "base/conf.h"
#include "crypto/cert.h"
#include "message/addr.h"
#include "keystore/profile.h"
#include "message/alias.h"

#include <sys/types.h>

enum role { ROLE_NONE = 0, ROLE_SIGN = 1, ROLE_OPEN = 2 }; /* bits: what a service may ask for */
enum right {
	RIGHT_PROCESS = 1,
	RIGHT_KEYS = 2,
	RIGHT_AUDIT = 4,
	RIGHT_HOLD = 8,    /* key files that wait for their PIN */
	RIGHT_PIN = 16,    /* the PINs */
	RIGHT_OFFICER = 32 /* looking at requests, handing in approvals */
};

struct service {
	const char *name;      /* borrowed from the configuration */
	const char *role_name; /* "open", "seal", "gate", "all" */
	unsigned role;         /* enum role */
	bool has_uid;          /* false: its user is unknown here, so nobody is let in */
	uid_t uid;
};

struct operator
{
	uid_t uid;
	unsigned rights; /* enum right */
};

struct budget_rule {
	const char *service; /* NULL: for each key */
	unsigned use;        /* enum role: which uses are counted */
	int64_t hour, day;   /* 0: no limit */
};

struct settings {
	int refs;
	struct conf *conf;
	struct service *services;
	size_t n_services;
	struct operator* operators;
	size_t n_operators;
	struct budget_rule *budgets;
	size_t n_budgets;
	int64_t reopen_memory;    /* seconds; 0: none */
	int64_t budget_alarm;     /* percent of a budget at which the log says so */
	struct profiles profiles; /* of the CA's certificates */
	struct alias_map *aliases;
	const char *const *domains; /* ours */
	size_t n_domains;
	char delimiter;               /* before an extension; 0: none */
	struct certset intermediates; /* for chains of keys that are imported */
};

/* ERR_CONFIG names file and line. */
enum rc settings_new(struct conf *conf, struct settings **out, struct err *err);
struct settings *settings_ref(struct settings *settings);
void settings_unref(struct settings **settings);

const struct service *
settings_service(const struct settings *settings, const char *name); /* or NULL */
/* Rights of UID on the admin socket: root and OWN (the vault's uid) have keys and audit always. */
unsigned settings_rights(const struct settings *settings, uid_t uid, uid_t own);
/*
 * What takes the point out of two daemons, as warnings in the log: a service whose user is root,
 * the vault's own (OWN) or an operator over keys, and services of different roles with one user.
 * Returns their number.
 */
size_t settings_warn(const struct settings *settings, uid_t own);
/* The address by which a person is known: canonical, aliases resolved, extension taken off. */
enum rc settings_resolve(
	const struct settings *settings, const char *addr, char out[ADDR_MAX + 1], struct err *err);

#endif
