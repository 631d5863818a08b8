/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger.h - writing the record of every use of a key, durable before the key is used
 *
 * The ledger is a folder of JSON Lines segments; each record carries the SHA-256 of the line
 * before it (doc/ledger.md has the whole format). ledger_append returns RC_OK only when the record
 * is on the disk: many threads appending at once share one write and one fdatasync, and so do the
 * records of one group. When it returns
 * anything else, the record is not there and the key must not be used; the next append tries the
 * disk again, so a disk that was full and has room is used without a restart.
 *
 * Every checkpoint_records records, at the latest checkpoint_interval after a record, and at
 * ledger_close a checkpoint is signed with the epoch key. Epoch keys are handed over at a new
 * segment, when they are older than epoch_interval: the old key's last
 * checkpoint covers the new public key, then the old private key is destroyed.
 *
 * Threads: ledger_append from any number of threads. One thread of the ledger's own writes
 * checkpoints that time asks for, prepares and destroys epoch keys. Limits:  LEDGER_MAX_LINE bytes
 * for a record, LEDGER_MAX_RCPTS recipients listed in it (the rest are counted).
 */
#ifndef KEYSTORE_LEDGER_H
#define KEYSTORE_LEDGER_H

#include "base/secret.h"
#include "keystore/client.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ledger;

#define LEDGER_MAX_LINE        65536u
#define LEDGER_MAX_RCPTS       1000u
#define LEDGER_MAX_DETAIL      4096u
#define LEDGER_PERIOD_KEY_SIZE 32u

/*
 * The secrets that the vault's store keeps for the ledger. Every callback can be called from the
 * ledger's own thread at any time and from ledger_open; period_key also from ledger_append (the
 * first record of a month). None may call the ledger. They should not wait for a transaction in
 * which the caller of ledger_append sits.
 */
struct ledger_keys {
	/* The private key of EPOCH as PKCS#8 DER. RC_NONE: there is none. */
	enum rc (*epoch_load)(void *ctx, uint64_t epoch, struct secret **der, struct err *err);
	/* Keeps it (replacing one of the same number), durable when it returns. DER is borrowed. */
	enum rc (*epoch_store)(void *ctx, uint64_t epoch, struct secret *der, struct err *err);
	/* Destroys the private keys of all epochs up to and including EPOCH; RC_OK also when there
	 * were none. */
	enum rc (*epoch_destroy)(void *ctx, uint64_t epoch, struct err *err);
	/* The pseudonym key (LEDGER_PERIOD_KEY_SIZE bytes) of PERIOD, "2026-11". CREATE: made and
	 * kept if there is none. RC_NONE: there is none (never made, or destroyed). */
	enum rc (*period_key)(
		void *ctx, const char *period, bool create, struct secret **key, struct err *err);
	void *ctx;
};

/* The disk; tests put their own in its place. NULL members: the system's. */
struct ledger_disk {
	ssize_t (*write)(
		void *ctx, int fd, const void *data, size_t len, off_t at); /* like pwrite */
	int (*sync)(void *ctx, int fd);                                     /* like fdatasync */
	int (*open)(void *ctx, const char *path, int flags, mode_t mode);   /* for writing */
	int (*truncate)(void *ctx, int fd, off_t size);
	int (*rename)(void *ctx, const char *from, const char *to);
	int (*unlink)(void *ctx, const char *path);
	int (*sync_dir)(void *ctx, const char *dir); /* names that were made, changed or removed */
	int64_t (*room)(void *ctx, const char *dir); /* bytes that are free for us; -1: unknown */
	void *ctx;
};

struct ledger_options {
	bool create;                 /* only for init: make a new ledger; DIR has none yet */
	const char *dir;             /* with create made when it is not there, mode 0750 */
	const char *node;            /* [A-Za-z0-9._-], 1 to 64 of them */
	int64_t segment_size;        /* bytes; 0: 64 MB */
	int64_t checkpoint_records;  /* 0: 1000 */
	int64_t checkpoint_interval; /* seconds; 0: 3600 */
	int64_t epoch_interval;      /* seconds; 0: 86400 */
	int64_t segment_age;         /* seconds after which a new one is begun; 0: never */
	int64_t keep;                /* seconds that segments are kept for; 0: for ever */
	int64_t warn_free;           /* bytes free on the disk below which the log warns; 0: none */
	int64_t reserve; /* bytes free on the disk below which no key is used and nothing is denied
			    or decided on record, so that acts of administrators, outcomes and
			    checkpoints have room; 0: none */
	struct ledger_keys keys;
	struct ledger_disk disk;
};

enum ledger_type {
	LEDGER_OPEN, /* first record of each segment; written by the ledger itself, as are the next
			three */
	LEDGER_EPOCH,
	LEDGER_CHECKPOINT,
	LEDGER_RECOVERED,
	LEDGER_INTENT,   /* a key is about to be used */
	LEDGER_OUTCOME,  /* what became of it; an intent without one is "outcome unknown" */
	LEDGER_DENIED,   /* a use that was asked for and refused */
	LEDGER_DECISION, /* what the service did with a message for which a key was used */
	LEDGER_ADMIN,    /* keys, persons, grants */
	LEDGER_TYPES
};
const char *ledger_type_name(enum ledger_type type); /* "intent" */

/* What the vault saw itself. NULL, 0 and -1 (uid, pid) leave a field out. */
struct ledger_observed {
	const char *key;         /* key id */
	const char *fingerprint; /* SHA-256 of its certificate, lower-case hex */
	const char *rinfo;       /* SHA-256 over the RecipientInfo, lower-case hex */
	const char *digest_name; /* "sha256" … with */
	const char *digest;      /* … the content digest that was signed, lower-case hex */
	const char *service;     /* name of the configured service, or "admin" */
	int64_t uid, pid;        /* of the peer */
};

/* CLAIM's addresses and identity and SUBJECT become pseudonyms here; give canonical addresses in
 * plain. */
struct ledger_record {
	enum ledger_type type; /* LEDGER_INTENT or a later one */
	const char *event;     /* what: intent, denied: "sign", "open"; outcome: "done", "failed";
				  decision: "sealed", "opened", "refused"; admin: "key.new", … */
	uint64_t intent;       /* outcome: seq of its intent; else 0 */
	const char *reason;    /* err_name, for what failed or was denied; or NULL */
	struct ledger_observed observed;
	const struct vault_claim *claim; /* or NULL */
	const char *subject;             /* admin: address that the act is about; or NULL */
	const char *detail;              /* flat JSON object without personal text; or NULL */
	bool lazy; /* may be made durable with the next record, at the latest in half a second: for
		      outcomes and decisions. RC_OK then means queued, and *seq is 0. */
};

#define LEDGER_RECORD_INIT(t)                                    \
	{                                                        \
		.type = (t), .observed = {.uid = -1, .pid = -1 } \
	}

/*
 * Opens DIR for writing. An empty or missing folder is ERR_LEDGER_BROKEN unless options.create is
 * set: a ledger that is gone must not be replaced by a new one in silence. A line torn by a crash
 * is put aside (DIR/torn-…) and closed with a "recovered" record. ERR_LEDGER: held by another
 * writer (flock), or trouble with the disk. ERR_LEDGER_BROKEN: the last segment does not verify, or
 * the epoch key is gone; an operator has to look. Ignore SIGXFSZ where a limit on file sizes may be
 * set.
 */
enum rc ledger_open(const struct ledger_options *options, struct ledger **out, struct err *err);
/* Last checkpoint, then closes. What went wrong in it is returned; the ledger is gone in any case.
 */
enum rc ledger_close(struct ledger **ledger, struct err *err);

/* SEQ may be NULL. RC_TEMP, ERR_LEDGER: not written, do not use the key. RC_PERM, ERR_LIMIT or
 * ERR_USAGE: no such record can be written. */
enum rc ledger_append(
	struct ledger *ledger, const struct ledger_record *record, uint64_t *seq, struct err *err);

/*
 * Several records with one wait for the disk: all are added, then written; none is lazy. SEQ of the
 * Ith is that of the first and I. A group belongs to one thread, and can be used again.
 */
#define LEDGER_GROUP_MAX 256u
struct ledger_group;
enum rc ledger_group_new(struct ledger *ledger, struct ledger_group **out, struct err *err);
void ledger_group_free(struct ledger_group **group);
void ledger_group_clear(struct ledger_group *group);
bool ledger_group_is_full(const struct ledger_group *group);
/* *index: for ledger_group_seq. What cannot be recorded leaves the group as it was. */
enum rc ledger_group_add(struct ledger_group *group, const struct ledger_record *record,
	size_t *index, struct err *err);
/* RC_OK: all of them are on the disk. Anything else: none is. */
enum rc ledger_group_write(struct ledger_group *group, struct err *err);
uint64_t ledger_group_seq(const struct ledger_group *group, size_t index); /* once written */

/* Writes what is queued and a checkpoint over it, when there is anything new. */
enum rc ledger_checkpoint(struct ledger *ledger, struct err *err);

/* The last durable checkpoint as an anchor: one line, without line end. RC_NONE: none was written
 * since the present segment began. */
enum rc ledger_last_anchor(struct ledger *ledger, struct buf *out, struct err *err);

struct ledger_head {
	uint64_t seq;  /* of the last durable record */
	char hash[65]; /* of its line */
	uint64_t epoch;
	char keyid[65];           /* SHA-256 of the present epoch's public key */
	uint64_t last_checkpoint; /* last record that a checkpoint covers */
};
void ledger_head(struct ledger *ledger, struct ledger_head *head);

/* "2026-11" for a time; the pseudonym of ADDR under KEY: 32 hex digits. */
#define LEDGER_PERIOD_SIZE    8
#define LEDGER_PSEUDONYM_SIZE 33
void ledger_period(int64_t seconds, char out[LEDGER_PERIOD_SIZE]);
enum rc ledger_pseudonym(
	struct secret *key, const char *addr, char out[LEDGER_PSEUDONYM_SIZE], struct err *err);

#endif
