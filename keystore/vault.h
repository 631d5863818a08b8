/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vault.h - the vault as an object: store, ledger, caches, budgets, behind the daemon's sockets and
 * the admin commands
 *
 * Whoever opens it holds the vault's lock (STORE.lock), so there is one at a time: the daemon, or
 * the operator's tool when no daemon runs.
 *
 * Threads: every use from any thread; vault_reload swaps the settings under running requests.
 */
#ifndef KEYSTORE_VAULT_H
#define KEYSTORE_VAULT_H

#include "keystore/budget.h"
#include "keystore/flood.h"
#include "keystore/keycache.h"
#include "keystore/ledger.h"
#include "keystore/rowcache.h"
#include "keystore/settings.h"
#include "keystore/store.h"
#include "keystore/store_opened.h"

struct vault;

/* Reads the master key as the configuration says; for "ask" that includes asking. */
enum rc vault_read_master(const struct conf *conf, struct secret **master, struct err *err);
/* Takes the tokens of the configuration with their PINs, which are asked for where the
 * configuration says so and MAY_ASK. */
enum rc vault_read_pins(const struct conf *conf, bool may_ask, struct err *err);
/* MASTER is borrowed and no longer needed afterwards. ERR_VAULT_DOWN when another process holds the
 * lock. */
enum rc vault_start(struct conf *conf, struct secret *master, struct vault **out, struct err *err);
/* For init: makes store, master key and ledger; refuses when there is a store. */
enum rc vault_create(struct conf *conf, struct vault **out, struct err *err);
/* Last checkpoint of ledger and store. */
void vault_stop(struct vault **vault);

enum rc vault_reload(struct vault *vault, struct conf *conf, struct err *err);
/* Keeps the budgets' counts over a crash, and records refusals that were only counted; called once
 * a minute or so. */
void vault_tick(struct vault *vault);

struct settings *vault_settings(struct vault *vault); /* a reference for the caller */
struct store *vault_store(struct vault *vault);
struct ledger *vault_ledger(struct vault *vault);
struct keycache *vault_keycache(struct vault *vault);
struct rowcache *vault_rowcache(struct vault *vault);
struct budget *vault_budget(struct vault *vault);
struct flood *vault_flood(struct vault *vault);
struct opened *vault_opened(struct vault *vault);
/* The backup that is being made, or NULL; for the admin commands, of which one runs at a time. */
struct backup;
struct backup **vault_backup_slot(struct vault *vault);
/* The folder of the configuration file, where relative paths begin. Free with free(). */
char *vault_conf_dir(const struct conf *conf);

#endif
