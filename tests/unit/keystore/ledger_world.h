/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_world.h - a ledger in a folder of its own, with a key store in memory
 */
#ifndef TESTS_UNIT_LEDGER_WORLD_H
#define TESTS_UNIT_LEDGER_WORLD_H

#include "tests/unit/unit.h"

#include "base/file.h"
#include "keystore/ledger.h"
#include "keystore/ledger_read.h"
#include "keystore/ledger_verify.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define WORLD_EPOCHS 64

struct world {
	char dir[64];
	struct ledger_options options;
	struct ledger *ledger;
	pthread_mutex_t lock;
	struct secret *epochs[WORLD_EPOCHS];
	uint64_t destroyed; /* up to this epoch */
	bool keep_keys;     /* as if the power went before a key was destroyed */
	/* The disk: what fails from which call on; -1: nothing. */
	_Atomic long writes, syncs, fail_write, fail_sync, short_write;
	_Atomic long room; /* free bytes; -1: unknown */
};

static inline enum rc
world_epoch_load(void *ctx, uint64_t epoch, struct secret **der, struct err *err)
{
	struct world *world = ctx;
	enum rc rc = RC_NONE;

	*der = NULL;
	pthread_mutex_lock(&world->lock);
	if (epoch < WORLD_EPOCHS && world->epochs[epoch])
		rc = secret_copy(secret_data(world->epochs[epoch]),
			secret_len(world->epochs[epoch]), der, err);
	pthread_mutex_unlock(&world->lock);
	return rc;
}

static inline enum rc
world_epoch_store(void *ctx, uint64_t epoch, struct secret *der, struct err *err)
{
	struct world *world = ctx;
	enum rc rc;

	if (epoch >= WORLD_EPOCHS)
		return err_set(err, ERR_LIMIT, "too many epochs for a test");
	pthread_mutex_lock(&world->lock);
	secret_free(&world->epochs[epoch]);
	rc = secret_copy(secret_data(der), secret_len(der), &world->epochs[epoch], err);
	pthread_mutex_unlock(&world->lock);
	return rc;
}

static inline enum rc
world_epoch_destroy(void *ctx, uint64_t epoch, struct err *err)
{
	struct world *world = ctx;

	(void)err;
	pthread_mutex_lock(&world->lock);
	for (uint64_t i = 0; i <= epoch && i < WORLD_EPOCHS && !world->keep_keys; i++)
		secret_free(&world->epochs[i]);
	world->destroyed = epoch;
	pthread_mutex_unlock(&world->lock);
	return RC_OK;
}

/* Up to which epoch private keys were destroyed. */
static inline uint64_t
world_destroyed(struct world *world)
{
	uint64_t upto;

	pthread_mutex_lock(&world->lock);
	upto = world->destroyed;
	pthread_mutex_unlock(&world->lock);
	return upto;
}

/* Is the private key of EPOCH kept? */
static inline bool
world_has_epoch(struct world *world, uint64_t epoch)
{
	bool has;

	pthread_mutex_lock(&world->lock);
	has = world->epochs[epoch] != NULL;
	pthread_mutex_unlock(&world->lock);
	return has;
}

static inline enum rc
world_period_key(void *ctx, const char *period, bool create, struct secret **key, struct err *err)
{
	unsigned char bytes[LEDGER_PERIOD_KEY_SIZE];

	(void)ctx;
	*key = NULL;
	if (!create)
		return RC_NONE;
	memset(bytes, 0, sizeof bytes);
	memcpy(bytes, period, strlen(period));
	return secret_copy(bytes, sizeof bytes, key, err);
}

static inline ssize_t
world_write(void *ctx, int fd, const void *data, size_t len, off_t at)
{
	struct world *world = ctx;
	long n = world->writes++;

	if (world->fail_write >= 0 && n >= world->fail_write) {
		/* As a full disk does: a part goes in first. */
		if (world->short_write > 0 && (size_t)world->short_write < len) {
			len = (size_t)world->short_write;
			world->short_write = 0;
			return pwrite(fd, data, len, at);
		}
		errno = ENOSPC;
		return -1;
	}
	return pwrite(fd, data, len, at);
}

static inline int
world_sync(void *ctx, int fd)
{
	struct world *world = ctx;
	long n = world->syncs++;

	(void)fd; /* tests ask what was written, not whether the power went */
	if (world->fail_sync >= 0 && n >= world->fail_sync) {
		errno = EIO;
		return -1;
	}
	return 0;
}

static inline int64_t
world_room(void *ctx, const char *dir)
{
	(void)dir;
	return ((struct world *)ctx)->room;
}

/* An empty folder; nothing is opened. */
static inline void
world_init(struct world *world)
{
	memset(world, 0, sizeof *world);
	pthread_mutex_init(&world->lock, NULL);
	world->fail_write = world->fail_sync = world->room = -1;
	/* in memory where possible: what is asked here is not whether the disk works */
	strcpy(world->dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/sealgate-ledger-XXXXXX"
							 : "/tmp/sealgate-ledger-XXXXXX");
	if (!mkdtemp(world->dir))
		abort();
	world->options = (struct ledger_options){.dir = world->dir,
		.node = "test-1",
		.keys = {.epoch_load = world_epoch_load,
			.epoch_store = world_epoch_store,
			.epoch_destroy = world_epoch_destroy,
			.period_key = world_period_key,
			.ctx = world},
		.disk = {.write = world_write,
			.sync = world_sync,
			.room = world_room,
			.ctx = world}};
}

/* Removes all files in the folder. */
static inline void
world_empty(struct world *world)
{
	char **names = NULL;
	size_t n = 0;

	if (file_list(world->dir, 100000, &names, &n, NULL) == RC_OK)
		for (size_t i = 0; i < n; i++) {
			char *path = file_join(world->dir, names[i]);

			unlink(path);
			free(path);
		}
	file_list_free(&names, n);
}

static inline void
world_fini(struct world *world)
{
	char path[128];

	assert_null(world->ledger);
	world_empty(world);
	snprintf(path, sizeof path, "%s/.lock", world->dir);
	unlink(path);
	rmdir(world->dir);
	for (int i = 0; i < WORLD_EPOCHS; i++)
		secret_free(&world->epochs[i]);
	pthread_mutex_destroy(&world->lock);
}

static inline enum rc
world_try_open(struct world *world, struct err *err)
{
	return ledger_open(&world->options, &world->ledger, err);
}

/* Opens, or makes at the first time; fails the test otherwise. */
static inline void
world_open(struct world *world)
{
	struct err err = ERR_INIT;
	uint64_t first, last;

	assert_int_equal(ledger_segments(world->dir, &first, &last, &err), RC_OK);
	world->options.create = last == 0;
	if (world_try_open(world, &err))
		fail_msg("ledger_open: %s", err.detail);
	world->options.create = false;
}

static inline void
world_close(struct world *world)
{
	struct err err = ERR_INIT;

	if (ledger_close(&world->ledger, &err))
		fail_msg("ledger_close: %s", err.detail);
}

/* One intent for ADDR. */
static inline enum rc
world_append(struct world *world, const char *addr, uint64_t *seq, struct err *err)
{
	const char *rcpts[] = {addr};
	struct vault_claim claim = {.qid = "4bXyZ1",
		.sender = "alice@example.org",
		.rule = "staff",
		.recipients = rcpts,
		.n_recipients = 1};
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_INTENT);

	record.event = "open";
	record.observed.key = "k-17";
	record.observed.service = "all";
	record.observed.uid = 110;
	record.observed.pid = 4711;
	record.claim = &claim;
	return ledger_append(world->ledger, &record, seq, err);
}

static inline void
world_outcome(struct world *world, uint64_t intent, bool lazy)
{
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_OUTCOME);
	struct err err = ERR_INIT;

	record.event = "done";
	record.intent = intent;
	record.lazy = lazy;
	if (ledger_append(world->ledger, &record, NULL, &err))
		fail_msg("outcome: %s", err.detail);
}

/* N intents with their outcomes. */
static inline void
world_fill(struct world *world, int n)
{
	for (int i = 0; i < n; i++) {
		struct err err = ERR_INIT;
		uint64_t seq;

		if (world_append(world, "bob@example.org", &seq, &err))
			fail_msg("append: %s", err.detail);
		world_outcome(world, seq, false);
	}
}

static inline struct ledger_report
world_verify(struct world *world, const char *anchor_file)
{
	struct ledger_report report;
	struct err err = ERR_INIT;

	if (ledger_verify(world->dir, anchor_file ? &anchor_file : NULL, anchor_file ? 1 : 0,
		    &report, &err))
		fail_msg("ledger_verify: %s", err.detail);
	return report;
}

/* The ledger must verify. */
static inline struct ledger_report
world_verify_ok(struct world *world)
{
	struct ledger_report report = world_verify(world, NULL);

	if (!report.ok)
		fail_msg("verify: %s", report.problem);
	return report;
}

static inline char *
world_path(struct world *world, const char *name)
{
	return file_join(world->dir, name);
}

#endif
