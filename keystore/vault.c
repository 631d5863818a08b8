/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "crypto/token.h"
#include "keystore/ledger_erase.h"
#include "keystore/backup.h"
#include "keystore/master.h"
#include "keystore/store_root.h"

#define LOCK_WAIT_MS 3000

struct vault {
	pthread_rwlock_t settings_lock;
	struct settings *settings;
	struct store *store;
	struct ledger *ledger;
	struct keycache *cache;
	struct rowcache *rows;
	struct budget *budget;
	struct flood *flood;
	struct opened *opened;
	struct backup *backup;
	int lock_fd;
};

char *
vault_conf_dir(const struct conf *conf)
{
	char *path = strdup(conf_path(conf)), *dir = path ? strdup(dirname(path)) : NULL;

	free(path);
	return dir;
}

/* Some sources need parameters that stand in the store. */
static enum rc
find_kdf(const struct conf *conf, const char *spec, char kdf[STORE_KDF_SIZE], struct err *err)
{
	struct store *store;
	enum rc rc = store_open(conf_str(conf_section(conf, "vault"), "store"), &store, err);

	if (!rc)
		rc = store_find_kdf(store, spec, kdf, err);
	store_close(&store);
	return rc == RC_NONE
		       ? err_set(err, ERR_MASTER_KEY,
				 "vault.master_key: the key store knows no master key that comes "
				 "from %s: name the old place, and \"sealgate vault rekey --to %s\"",
				 spec, spec)
		       : rc;
}

enum rc
vault_read_master(const struct conf *conf, struct secret **master, struct err *err)
{
	const char *spec = conf_str(conf_section(conf, "vault"), "master_key");
	const struct passwd *pw = getpwnam(conf_str(conf_section(conf, "vault"), "user"));
	uid_t owner = pw ? pw->pw_uid : geteuid();
	char *dir = vault_conf_dir(conf), kdf[STORE_KDF_SIZE] = "";
	enum rc rc = dir ? RC_OK : err_set(err, ERR_MEMORY, "master key");

	*master = NULL;
	if (!rc && !pw && geteuid() == 0)
		rc = err_set(err, ERR_CONFIG, "vault.user: no such user: %s",
			conf_str(conf_section(conf, "vault"), "user"));
	if (!rc && strncmp(spec, "pkcs11:", 7) == 0)
		rc = vault_read_pins(conf, true, err);
	if (!rc && master_needs_kdf(spec))
		rc = find_kdf(conf, spec, kdf, err);
	if (!rc)
		rc = master_read(spec, dir, kdf, owner, master, err);
	/* Not to be tried again by whatever restarts us: a token locks. */
	if (rc && err->code == ERR_TOKEN && tokens_refuse_pin())
		rc = err_set(err, ERR_CONFIG, "a token refused its PIN");
	free(dir);
	return rc;
}

static enum rc
ask_pin(const char *text, struct secret **out, struct err *err)
{
	return master_ask(text, false, out, err);
}

enum rc
vault_read_pins(const struct conf *conf, bool may_ask, struct err *err)
{
	const struct passwd *pw = getpwnam(conf_str(conf_section(conf, "vault"), "user"));

	tokens_set_prompt(may_ask ? ask_pin : NULL);
	return tokens_set(conf, pw ? pw->pw_uid : geteuid(), err);
}

/* One process at a time; a tool that is about to end is waited for. */
static enum rc
take_lock(const char *store_path, int *fd, struct err *err)
{
	struct buf path = BUF_INIT(4096);
	int64_t until = clock_monotonic_ms() + LOCK_WAIT_MS;
	enum rc rc = buf_appendf(&path, err, "%s.lock", store_path);

	*fd = -1;
	if (!rc) {
		*fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (*fd < 0)
			rc = err_set(err, ERR_KEYSTORE, "%s: %s", path.data, strerror(errno));
	}
	while (!rc && flock(*fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			rc = err_set(err, ERR_KEYSTORE, "%s: %s", path.data, strerror(errno));
		else if (clock_monotonic_ms() > until)
			rc = err_set(err, ERR_VAULT_DOWN,
				"%s: another process has the key store open", path.data);
		else
			usleep(20000);
	}
	if (rc && *fd >= 0) {
		close(*fd);
		*fd = -1;
	}
	buf_fini(&path);
	return rc;
}

/* --- the ledger's secrets --- */

static void
epoch_name(uint64_t epoch, char name[64])
{
	snprintf(name, 64, "ledger-epoch-%020" PRIu64, epoch);
}

static enum rc
epoch_load(void *ctx, uint64_t epoch, struct secret **der, struct err *err)
{
	char name[64];

	epoch_name(epoch, name);
	return store_get_secret(ctx, name, der, err);
}

static enum rc
epoch_store(void *ctx, uint64_t epoch, struct secret *der, struct err *err)
{
	char name[64];

	epoch_name(epoch, name);
	return store_put_secret(ctx, name, der, err);
}

static enum rc
epoch_destroy(void *ctx, uint64_t epoch, struct err *err)
{
	char first[64], last[64];

	epoch_name(0, first);
	epoch_name(epoch, last);
	return store_del_secrets(ctx, first, last, err);
}

static enum rc
period_key(void *ctx, const char *period, bool create, struct secret **key, struct err *err)
{
	return ledger_period_key(ctx, period, create, key, err);
}

static enum rc
open_ledger(struct vault *vault, bool create, struct err *err)
{
	const struct conf_group *group = conf_section(vault->settings->conf, "ledger");
	struct ledger_options options = {
		.create = create,
		.dir = conf_str(group, "dir"),
		.node = conf_str(group, "node"),
		.segment_size = conf_int(group, "segment_size"),
		.segment_age = conf_int(group, "segment_age"),
		.keep = conf_int(group, "keep"),
		.warn_free = conf_int(group, "warn_free"),
		.reserve = conf_int(group, "reserve"),
		.checkpoint_records = conf_int(group, "checkpoint_records"),
		.checkpoint_interval = conf_int(group, "checkpoint_interval"),
		.keys = {epoch_load, epoch_store, epoch_destroy, period_key, vault->store},
	};

	return ledger_open(&options, &vault->ledger, err);
}

/* What both ways of opening share: settings and lock before, the rest after the store is there. */
static enum rc
begin(struct conf *conf, struct vault **out, struct err *err)
{
	struct vault *vault = calloc(1, sizeof(*vault));
	enum rc rc;

	*out = NULL;
	if (!vault)
		return err_set(err, ERR_MEMORY, "vault");
	vault->lock_fd = -1;
	pthread_rwlock_init(&vault->settings_lock, NULL);
	rc = settings_new(conf, &vault->settings, err);
	if (!rc)
		rc = take_lock(
			conf_str(conf_section(conf, "vault"), "store"), &vault->lock_fd, err);
	if (rc)
		vault_stop(&vault);
	*out = vault;
	return rc;
}

static enum rc
finish(struct vault *vault, bool create, struct err *err)
{
	struct secret *counts = NULL;
	struct err ignored;
	enum rc rc = open_ledger(vault, create, err);

	if (!rc)
		rc = ledger_erase_resume(vault->ledger, vault->store, err);
	if (!rc)
		rc = keycache_new(vault->store, &vault->cache, err);
	if (!rc)
		rc = rowcache_new(vault->store, &vault->rows, err);
	if (!rc)
		rc = budget_new(&vault->budget, err);
	if (!rc)
		rc = flood_new(&vault->flood, err);
	if (!rc)
		rc = opened_new(conf_str(conf_section(vault->settings->conf, "vault"), "store"),
			&vault->opened, err);
	if (!rc && store_get_secret(vault->store, "budgets", &counts, &ignored) == RC_OK)
		budget_parse(vault->budget, (const char *)secret_data(counts), secret_len(counts));
	secret_free(&counts);
	return rc;
}

/* What a replacement of the master key that was killed right before its end left beside the file.
 */
static void
remove_old_master(struct vault *vault, const char *spec)
{
	char *dir = vault_conf_dir(vault->settings->conf), *path = NULL;
	struct buf old = BUF_INIT(4096);

	if (dir && strncmp(spec, "file:", 5) == 0 && master_path(spec, dir, &path, NULL) == RC_OK &&
		buf_appendf(&old, NULL, "%s.rekey-old", path) == RC_OK && unlink(old.data) &&
		errno != ENOENT)
		log_event(LOGL_WARN, NULL, "old-master-key-left", "file", old.data, "reason",
			strerror(errno), NULL);
	buf_fini(&old);
	free(path);
	free(dir);
}

/* The master key is being replaced: with the new one in its place that is at its end. */
static enum rc
settle_master(struct vault *vault, struct err *err)
{
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_ADMIN);
	struct store_master masters[2];
	size_t n;
	enum rc rc = store_list_masters(vault->store, masters, &n, err);

	if (!rc && n == 1)
		remove_old_master(vault, masters[0].spec);
	if (rc || n == 1)
		return rc;
	if (!masters[1].opened) {
		log_event(LOGL_WARN, NULL, "master-key-pending", "source", masters[1].spec,
			"reason", "it is not in its place yet: sealgate vault rekey --finish",
			NULL);
		return RC_OK;
	}
	record.event = "vault.rekeyed";
	record.observed.service = "admin";
	record.observed.uid = geteuid();
	record.observed.pid = getpid();
	rc = ledger_append(vault->ledger, &record, NULL, err);
	if (!rc)
		rc = store_settle_master(vault->store, NULL, err);
	if (!rc) {
		log_event(LOGL_INFO, NULL, "master-key-replaced", "source", masters[1].spec, NULL);
		remove_old_master(vault, masters[1].spec);
	}
	return rc;
}

enum rc
vault_start(struct conf *conf, struct secret *master, struct vault **out, struct err *err)
{
	const char *path = conf_str(conf_section(conf, "vault"), "store");
	enum rc rc = begin(conf, out, err);

	if (!rc)
		store_clean(path);
	if (!rc)
		rc = store_open(path, &(*out)->store, err);
	if (!rc)
		rc = store_unlock((*out)->store, master, err);
	if (!rc)
		rc = finish(*out, false, err);
	if (!rc)
		rc = settle_master(*out, err);
	if (rc)
		vault_stop(out);
	return rc;
}

enum rc
vault_create(struct conf *conf, struct vault **out, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "vault");
	const char *path = conf_str(group, "store");
	char kdf[MASTER_KDF_SIZE], *dir = vault_conf_dir(conf);
	struct secret *master = NULL;
	enum rc rc = dir ? RC_OK : err_set(err, ERR_MEMORY, "vault");

	*out = NULL;
	if (!rc && access(path, F_OK) == 0)
		rc = err_set(err, ERR_KEY_EXISTS, "%s: there is a key store already", path);
	if (!rc)
		rc = begin(conf, out, err);
	if (!rc && strncmp(conf_str(group, "master_key"), "pkcs11:", 7) == 0)
		rc = vault_read_pins(conf, true, err);
	if (!rc)
		rc = master_make(conf_str(group, "master_key"), dir, kdf, &master, err);
	if (!rc)
		rc = store_create(
			path, conf_str(group, "master_key"), kdf, master, &(*out)->store, err);
	if (!rc)
		rc = finish(*out, true, err);
	if (rc)
		vault_stop(out);
	secret_free(&master);
	free(dir);
	return rc;
}

static void
save_budgets(struct vault *vault)
{
	struct buf text = BUF_INIT(64u << 20);
	struct secret *secret = NULL;
	struct err err = ERR_INIT;
	enum rc rc = budget_format(vault->budget, clock_now(), &text, &err);

	if (!rc && text.len > 0)
		rc = secret_copy(text.data, text.len, &secret, &err);
	if (!rc && secret)
		rc = store_put_secret(vault->store, "budgets", secret, &err);
	if (rc)
		log_error(LOGL_WARN, NULL, "budgets-not-saved", &err, NULL);
	secret_free(&secret);
	buf_fini(&text);
}

/* Refusals that were only counted, as one record. */
static bool
record_flood(void *ctx, const struct flood_kind *kind)
{
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_DENIED);
	struct vault *vault = ctx;
	char detail[160], first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE];
	struct err err = ERR_INIT;

	snprintf(detail, sizeof(detail), "{\"count\":%" PRId64 ",\"first\":\"%s\",\"last\":\"%s\"}",
		kind->count, clock_format(kind->first, first), clock_format(kind->last, last));
	record.event = kind->use;
	record.reason = kind->reason;
	record.observed.key = kind->key[0] ? kind->key : NULL;
	record.observed.service = kind->service;
	record.detail = detail;
	if (ledger_append(vault->ledger, &record, NULL, &err)) {
		log_error(LOGL_WARN, NULL, "ledger-denied-late", &err, NULL);
		return false;
	}
	log_event(LOGL_WARN, NULL, "key-denied-flood", "service", kind->service, "use", kind->use,
		"reason", kind->reason, "count", LOG_NUM(kind->count), NULL);
	return true;
}

void
vault_tick(struct vault *vault)
{
	struct settings *settings;

	save_budgets(vault);
	flood_flush(vault->flood, clock_now(), false, record_flood, vault);
	settings = vault_settings(vault);
	opened_tick(vault->opened, clock_now(), settings->reopen_memory);
	settings_unref(&settings);
}

void
vault_stop(struct vault **vault)
{
	struct vault *v = *vault;
	struct err err = ERR_INIT;

	*vault = NULL;
	if (!v)
		return;
	backup_free(&v->backup);
	if (v->budget)
		save_budgets(v);
	if (v->flood && v->ledger)
		flood_flush(v->flood, clock_now(), true, record_flood, v);
	if (v->ledger && ledger_close(&v->ledger, &err))
		log_error(LOGL_ERROR, NULL, "ledger-close", &err, NULL);
	keycache_free(&v->cache);
	rowcache_free(&v->rows);
	budget_free(&v->budget);
	flood_free(&v->flood);
	opened_free(&v->opened);
	if (v->store && store_checkpoint(v->store, &err))
		log_error(LOGL_WARN, NULL, "store-checkpoint", &err, NULL);
	store_close(&v->store);
	settings_unref(&v->settings);
	if (v->lock_fd >= 0)
		close(v->lock_fd);
	pthread_rwlock_destroy(&v->settings_lock);
	free(v);
}

enum rc
vault_reload(struct vault *vault, struct conf *conf, struct err *err)
{
	struct settings *fresh, *old;
	enum rc rc = settings_new(conf, &fresh, err);

	if (!rc)
		rc = vault_read_pins(conf, false, err);
	if (rc) {
		settings_unref(&fresh);
		return rc;
	}
	pthread_rwlock_wrlock(&vault->settings_lock);
	old = vault->settings;
	vault->settings = fresh;
	pthread_rwlock_unlock(&vault->settings_lock);
	settings_unref(&old);
	keycache_flush(vault->cache);
	return RC_OK;
}

struct settings *
vault_settings(struct vault *vault)
{
	struct settings *settings;

	pthread_rwlock_rdlock(&vault->settings_lock);
	settings = settings_ref(vault->settings);
	pthread_rwlock_unlock(&vault->settings_lock);
	return settings;
}

struct store *
vault_store(struct vault *vault)
{
	return vault->store;
}

struct ledger *
vault_ledger(struct vault *vault)
{
	return vault->ledger;
}

struct keycache *
vault_keycache(struct vault *vault)
{
	return vault->cache;
}

struct rowcache *
vault_rowcache(struct vault *vault)
{
	return vault->rows;
}

struct budget *
vault_budget(struct vault *vault)
{
	return vault->budget;
}

struct backup **
vault_backup_slot(struct vault *vault)
{
	return &vault->backup;
}

struct flood *
vault_flood(struct vault *vault)
{
	return vault->flood;
}

struct opened *
vault_opened(struct vault *vault)
{
	return vault->opened;
}
