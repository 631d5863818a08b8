/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_private.h - what the files of the ledger's writer share; for nobody else
 */
#ifndef KEYSTORE_LEDGER_PRIVATE_H
#define KEYSTORE_LEDGER_PRIVATE_H

#include "keystore/ledger_epoch.h"
#include "keystore/ledger_file.h"
#include "keystore/ledger_pseudonym.h"

#include <pthread.h>

#define LEDGER_LAZY_MS       400 /* how long a lazy record may wait */
#define LEDGER_LINE_OVERHEAD 320 /* bytes at most of a line's fixed members */

enum ledger_turn { LEDGER_WAITS, LEDGER_SLEEPS, LEDGER_COMMITS, LEDGER_DONE };

#define LEDGER_GROUP_BYTES (256u << 10) /* a group that has more takes no further record */

/* Records that are written together, one behind the other. */
struct ledger_group {
	struct ledger *ledger; /* borrowed */
	struct ledger_group *next;
	struct buf text; /* the bodies */
	struct {
		enum ledger_type type;
		uint32_t len; /* of its body */
	} parts[LEDGER_GROUP_MAX];
	size_t n;
	bool lazy;     /* owned by the queue; the others live with their thread */
	uint32_t turn; /* enum ledger_turn; a futex that its thread sleeps on */
	enum rc rc;
	uint64_t first; /* seq of the first one, when it is written */
	struct err err;
};

struct ledger_position { /* the end of the chain */
	uint64_t seq;
	char hash[LEDGER_HASH_SIZE];
	uint64_t last_checkpoint;
	uint64_t since;              /* records behind the last checkpoint */
	struct ledger_anchor anchor; /* that checkpoint; seq 0: none was seen yet */
};

struct ledger {
	char node[LEDGER_MAX_NODE + 1];
	int64_t segment_size, checkpoint_records, checkpoint_ms, epoch_interval;
	struct ledger_keys keys;
	struct ledger_file file; /* the committer's */
	struct buf out;          /* the committer's: lines of the present write */

	pthread_mutex_t lock; /* for everything below */
	pthread_cond_t idle;  /* a write has ended */
	pthread_cond_t wake;  /* the keeper has something to do */
	bool committing;      /* somebody writes */
	bool stopping;        /* the keeper is to end */
	bool failing;         /* the last write failed, and the log says so */
	bool full;            /* the segment has reached its size */
	bool segment_due;     /* the handover before a new segment is done, the segment is not */
	struct ledger_group *head, **tail, *open; /* open: the last one, which takes lazy records */
	size_t n_lazy;
	int64_t lazy_since;         /* ms; when the oldest lazy record came */
	struct ledger_position at;  /* durable */
	int64_t uncovered_since;    /* ms; 0: nothing waits for a checkpoint */
	struct ledger_signer epoch; /* changed by the committer only */
	struct ledger_signer next;  /* made by the keeper, taken by the committer */
	uint64_t destroy;           /* private keys up to this epoch are to be destroyed */

	struct pseudonyms pseudonyms; /* has locks of its own */

	pthread_mutex_t retiring; /* one segment is dropped at a time; taken before LOCK */
	int64_t keep;             /* seconds; 0: for ever */
	int64_t keep_next; /* clock_monotonic_ms: when the keeper looks for what is too old */
	int64_t warn_free, reserve; /* bytes; 0: none */
	int64_t room_next;          /* clock_monotonic_ms: when the keeper looks at the disk */
	bool warned;                /* that there is little room; the keeper's */
	bool low;                   /* less than RESERVE is free; atomic */
	int64_t segment_age;        /* seconds; 0: any */
	int64_t segment_since;      /* seconds: when the present one was begun; the committer's */

	int64_t keeper_until; /* ms; when the keeper looks again by itself */
	pthread_t keeper;
	bool keeper_runs;
};

/* What a write is to do beside the queue's records. */
enum ledger_want {
	LEDGER_WANT_CHECKPOINT = 1,
	LEDGER_WANT_EPOCH = 2,  /* hand over to the next epoch, when its key is there */
	LEDGER_WANT_SEGMENT = 4 /* checkpoint, then a new segment */
};

/* Writes one batch. Called and left with the lock held; nobody else is committing. */
enum rc ledger_commit(struct ledger *ledger, unsigned want, struct err *err);
/* Waits until nobody is committing. */
void ledger_wait_idle(struct ledger *ledger);
/* Numbers, chains and writes BATCH and what WANT asks for. AT is stepped only over what is durable.
 */
enum rc ledger_write_batch(struct ledger *ledger, struct ledger_group *batch, unsigned want,
	struct ledger_position *at, struct err *err);
/* Writes the first record of SEGMENT and goes on there. */
enum rc ledger_begin_segment(
	struct ledger *ledger, uint64_t segment, struct ledger_position *at, struct err *err);
/* --- ledger_queue.c: call with the lock held --- */
void ledger_put_group(struct ledger *ledger, struct ledger_group *group);
/* Queues a lazy record. False: too many wait, or no memory. */
bool ledger_put_lazy(struct ledger *ledger, enum ledger_type type, const struct buf *body);
/* Takes what one write may hold. */
struct ledger_group *ledger_take_batch(struct ledger *ledger);
/* After a write: lazy records are freed, or back in the queue when it failed. Gives the groups
 * whose threads wait, for ledger_tell. */
struct ledger_group *
ledger_finish_batch(struct ledger *ledger, struct ledger_group *batch, enum rc rc);
/* The first thread in the queue commits next; gives what to wake when the lock is free. */
uint32_t *ledger_choose_next(const struct ledger *ledger);

/* --- ledger_queue.c: without the lock --- */
void ledger_wake_turn(uint32_t *word); /* or NULL */
/* Tells each thread what became of its records. */
void ledger_tell(struct ledger_group *ready, enum rc rc, const struct err *err);
enum ledger_turn ledger_get_turn(const struct ledger_group *group);
/* Sleeps until the records are written or the thread is to commit. */
void ledger_wait_turn(struct ledger_group *group);
/* Was chosen, and found somebody else committing: goes on waiting. */
void ledger_pass_turn(struct ledger_group *group);

/* --- ledger_group.c --- */
void ledger_group_init(struct ledger_group *group, struct ledger *ledger);
void ledger_group_fini(struct ledger_group *group);
enum rc ledger_make_body(struct ledger *ledger, const struct ledger_record *record,
	struct buf *body, struct err *err);

/* Looks how much room the disk has, and says in the log when it is little. */
void ledger_look_at_room(struct ledger *ledger);
/* The ledger's own thread: checkpoints by time, lazy records, epochs, segments. ARG: the ledger. */
void *ledger_keeper_main(void *arg);

#endif
