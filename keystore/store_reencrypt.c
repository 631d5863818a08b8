/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store_root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "keystore/store_rewrite.h"
#include "keystore/store_row.h"

/*
 * A new store key: a copy of the whole file is made beside it, every wrapped secret and every HMAC
 * in the copy is made anew, and the copy takes the file's place by one rename. Until then the store
 * is in use as it was: nobody waits, and whatever interrupts us leaves it untouched. Only for the
 * end it is closed to others: the secrets, which threads of the ledger may have changed, are copied
 * once more (there are few), and the files change places. If rows changed meanwhile, all is done
 * again.
 */

#define TRIES 3

/* --- the copy --- */

/* A copy of the file as it is at one moment; STORE may be in use. */
static enum rc
copy_file(struct store *store, sqlite3 *to, struct err *err)
{
	sqlite3_backup *backup;
	sqlite3 *from;
	int code = SQLITE_OK;
	enum rc rc = store_connect(store->path, &from, err);

	if (rc)
		return rc;
	backup = sqlite3_backup_init(to, "main", from, "main");
	if (backup) {
		code = sqlite3_backup_step(backup, -1);
		(void)sqlite3_backup_finish(backup);
	}
	if (!backup || code != SQLITE_DONE)
		rc = err_set(err, ERR_KEYSTORE, "copying the key store: %s",
			backup ? sqlite3_errstr(code) : sqlite3_errmsg(to));
	sqlite3_close(from);
	return rc;
}

/* A copy of the file as it is at one moment, under a new name and without a key. What is left of it
 * after a failure is the caller's to remove. */
static enum rc
make_copy(struct store *store, const char *path, struct store **out, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	enum rc rc;

	*out = NULL;
	if (fd < 0)
		return err_set(err, ERR_KEYSTORE, "%s: %s", path, strerror(errno));
	close(fd);
	rc = store_open_file(path, out, err);
	/* Its changes are safe when it is finished, or worth nothing. */
	if (!rc) {
		(void)sqlite3_db_config((*out)->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
		rc = store_exec(*out,
			"PRAGMA journal_mode=DELETE; PRAGMA journal_mode=OFF;"
			"PRAGMA synchronous=OFF;",
			err);
	}
	if (!rc)
		rc = copy_file(store, (*out)->db, err);
	if (!rc)
		rc = store_exec(*out, "PRAGMA journal_mode=DELETE; PRAGMA journal_mode=OFF;", err);
	if (!rc)
		rc = store_version(*out, &(*out)->version, err); /* the copying was ours */
	if (rc)
		store_close(out);
	return rc;
}

/* Everything in the copy under its own new key. */
static enum rc
rewrite(struct store *copy, const struct keyring *old, const struct store_master *master,
	struct secret *key, struct err *err)
{
	static const char sql[] =
		"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
	char names[64][64];
	sqlite3_stmt *st;
	size_t n = 0;
	enum rc rc = store_prepare(copy, sql, &st, err);

	while (!rc && (rc = store_step(copy, st, err)) == RC_OK)
		if (n == 64)
			rc = err_set(err, ERR_INTERNAL, "too many tables");
		else
			snprintf(names[n++], 64, "%s", (const char *)sqlite3_column_text(st, 0));
	if (rc != RC_NONE)
		return rc;
	sqlite3_reset(st);
	rc = store_exec(copy, "BEGIN", err);
	for (size_t i = 0; !rc && i < n; i++)
		if (strcmp(names[i], "masters") != 0)
			rc = store_rewrite(copy, names[i], old, err);
	if (!rc)
		rc = store_exec(copy, "DELETE FROM masters; COMMIT", err);
	if (!rc)
		rc = store_sum_make(copy, err);
	if (!rc)
		rc = store_begin(copy, err);
	if (rc)
		return rc;
	rc = store_root_put(copy, copy->root, master, key, err);
	/* The sum is another one in any case. */
	memset(copy->saved, 0xff, sizeof(copy->saved));
	if (!rc)
		return store_commit(copy, err);
	store_rollback(copy);
	return rc;
}

/* The live secrets, once more; with the lock of LIVE held. */
static enum rc
copy_secrets(struct store *live, struct store *copy, struct err *err)
{
	sqlite3_stmt *st = NULL;
	enum rc rc = store_exec(copy, "BEGIN; DELETE FROM secrets", err);

	if (!rc)
		rc = store_prepare(live, "SELECT name, wrapped FROM secrets", &st, err);
	while (!rc && (rc = store_step(live, st, err)) == RC_OK) {
		struct secret *secret = NULL;
		const char *name = (const char *)sqlite3_column_text(st, 0);
		char aad[STORE_SECRET_AAD_SIZE];
		size_t len = store_secret_aad(name, aad);

		rc = keyring_unwrap(live->keyring, aad, len, sqlite3_column_blob(st, 1),
			(size_t)sqlite3_column_bytes(st, 1), &secret, err);
		if (!rc)
			rc = store_put_secret(copy, name, secret, err);
		secret_free(&secret);
	}
	if (st)
		sqlite3_reset(st); /* after a failure it would keep the live file's log */
	return rc == RC_NONE ? store_exec(copy, "COMMIT", err) : rc;
}

/* --- changing places --- */

static void
finalize_all(struct store *store)
{
	for (size_t i = 0; i < store->n_cache; i++)
		sqlite3_finalize(store->cache[i].st);
	store->n_cache = 0;
}

static enum rc
sync_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), failed;

	if (fd < 0)
		return err_set(err, ERR_KEYSTORE, "%s: %s", path, strerror(errno));
	failed = fsync(fd);
	close(fd);
	return failed ? err_set(err, ERR_KEYSTORE, "%s: %s", path, strerror(errno)) : RC_OK;
}

/* A log beside the old file would be taken for the new one's. */
static enum rc
check_no_log(const char *path, struct err *err)
{
	struct buf name = BUF_INIT(4096);
	struct stat st;
	enum rc rc = buf_appendf(&name, err, "%s-wal", path);

	if (!rc && stat(name.data, &st) == 0 && st.st_size > 0)
		rc = err_set(
			err, ERR_KEYSTORE, "%s: another program has the key store open", name.data);
	buf_fini(&name);
	return rc;
}

static enum rc
sync_parent(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? strndup(path, slash > path ? (size_t)(slash - path) : 1) : strdup(".");
	enum rc rc = dir ? file_sync_dir(dir, err) : err_set(err, ERR_MEMORY, "re-encrypting");

	free(dir);
	return rc;
}

/* Opens the file at the store's path; when that fails the store is of no use any more. */
static enum rc
reopen(struct store *store, struct err *err)
{
	enum rc rc = store_connect(store->path, &store->db, err);

	if (rc) {
		__atomic_store_n(&store->broken, true, __ATOMIC_RELEASE);
		(void)sqlite3_open(":memory:", &store->db);
		log_error(LOGL_ERROR, NULL, "keystore-lost", err, "reason", "restart the vault",
			NULL);
	}
	return rc;
}

/* Puts the file PATH in the place of STORE's, which is open again afterwards whatever happens. */
static enum rc
rename_over(struct store *store, const char *path, bool *renamed, struct err *err)
{
	struct err why = ERR_INIT;
	enum rc rc;

	finalize_all(store);
	sqlite3_close(store->db);
	store->db = NULL;
	rc = check_no_log(store->path, err);
	if (!rc && rename(path, store->path))
		rc = err_set(err, ERR_KEYSTORE, "%s: %s", path, strerror(errno));
	*renamed = !rc;
	if (*renamed && sync_parent(store->path, &why))
		log_error(LOGL_WARN, NULL, "keystore-sync", &why, NULL);
	if (reopen(store, &why) && !rc)
		rc = err_set(err, why.code, "%s", why.detail);
	return rc;
}

/* Closes *COPY and puts its file in the place of STORE's. With the store's lock held. */
static enum rc
change_places(struct store *store, struct store **copy, const char *path, struct err *err)
{
	struct secret *root = (*copy)->root;
	struct keyring *keyring = (*copy)->keyring;
	unsigned char sum[WRAP_MAC_SIZE];
	struct err why = ERR_INIT;
	bool renamed = false;
	enum rc rc;

	memcpy(sum, (*copy)->sum, sizeof(sum));
	(*copy)->root = NULL; /* ours now */
	(*copy)->keyring = NULL;
	store_close(copy);
	rc = check_no_log(path, err);
	if (!rc)
		rc = sync_file(path, err);
	if (!rc)
		rc = store_checkpoint(store, err);
	if (!rc)
		rc = rename_over(store, path, &renamed, err);
	if (renamed) {
		secret_free(&store->root);
		keyring_free(&store->keyring);
		store->root = root;
		store->keyring = keyring;
		store->opened_pending = false;
		memcpy(store->sum, sum, sizeof(sum));
		store_next_generation(store);
		(void)store_version(store, &store->version, &why);
	} else {
		secret_free(&root);
		keyring_free(&keyring);
	}
	return rc;
}

/* One try. RC_NONE: rows changed meanwhile. */
static enum rc
reencrypt_once(struct store *store, const char *path, const struct store_master *master,
	struct secret *key, struct err *err)
{
	uint64_t generation = store_generation(store);
	struct store *copy;
	enum rc rc;

	store_clean(store->path);
	rc = make_copy(store, path, &copy, err);
	if (!rc)
		rc = secret_random(MASTER_SIZE, &copy->root, err);
	if (!rc)
		rc = keyring_new(copy->root, &copy->keyring, err);
	if (!rc)
		rc = rewrite(copy, store->keyring, master, key, err);
	if (!rc) {
		pthread_mutex_lock(&store->lock);
		if (store_generation(store) != generation || store->in_tx)
			rc = RC_NONE;
		if (!rc)
			rc = copy_secrets(store, copy, err);
		if (!rc)
			rc = change_places(store, &copy, path, err);
		pthread_mutex_unlock(&store->lock);
	}
	store_close(&copy);
	if (rc)
		store_clean(store->path);
	return rc;
}

enum rc
store_reencrypt(struct store *store, struct secret *key, struct err *err)
{
	struct store_master masters[2];
	struct buf path = BUF_INIT(4096);
	size_t n;
	enum rc rc = store_list_masters(store, masters, &n, err);

	if (!rc && n > 1)
		rc = err_set(err, ERR_KEYSTORE,
			"the replacement of the master key has to be finished first");
	if (!rc)
		rc = store_check_master(store, key, false, err);
	if (!rc)
		rc = store_check(store, err);
	if (!rc)
		rc = buf_appendf(&path, err, "%s.rekey", store->path);
	for (int i = 0; !rc && i < TRIES; i++) {
		rc = reencrypt_once(store, path.data, &masters[0], key, err);
		if (rc != RC_NONE)
			break;
		rc = i + 1 < TRIES ? RC_OK
				   : err_set(err, ERR_KEYSTORE, "rows go on changing: try again");
	}
	buf_fini(&path);
	return rc;
}

enum rc
store_snapshot(struct store *store, const char *path, struct err *err)
{
	struct store *copy;
	enum rc rc = make_copy(store, path, &copy, err);

	store_close(&copy);
	if (!rc)
		rc = check_no_log(path, err);
	if (rc)
		(void)unlink(path);
	return rc;
}

void
store_clean(const char *path)
{
	static const char *const suffixes[] = {".rekey", ".rekey-wal", ".rekey-shm",
		".rekey-journal", ".backup", ".backup-wal", ".backup-shm", ".backup-journal"};
	struct buf name = BUF_INIT(4096);

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		buf_clear(&name);
		if (buf_appendf(&name, NULL, "%s%s", path, suffixes[i]) == RC_OK)
			(void)unlink(name.data);
	}
	buf_fini(&name);
}
