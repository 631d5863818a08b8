/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_verify.h - proving a ledger whole with public keys only
 *
 * Reads every line once. What is proved: the lines continue each other from the
 * first on, and every checkpoint carries the signature of the epoch key that was in force. That the
 * first key is ours only something kept elsewhere can prove: an anchor, or the key id that init
 * printed (report.root). What stands behind the last checkpoint is chained but not signed; what
 * stands behind the last anchor could be missing unseen.
 *
 * Segments are verified at the same time by several threads and joined in order. Memory grows with
 * the number of segments, anchors and uses without an outcome, not with that of the records.
 */
#ifndef KEYSTORE_LEDGER_VERIFY_H
#define KEYSTORE_LEDGER_VERIFY_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

struct ledger_report {
	uint64_t records;  /* number of the last one */
	uint64_t segments; /* with those that were dropped */
	uint64_t checkpoints, epochs;
	uint64_t last_checkpoint;  /* sequence number of the last record a checkpoint covers */
	uint64_t last_anchored;    /* … an anchor file covers; 0: none given */
	uint64_t anchors;          /* different anchors whose record and checkpoint are there */
	uint64_t anchors_dropped;  /* … whose record is dropped, and whose signature is good */
	uint64_t anchors_other;    /* … that are of other nodes: they say nothing here */
	uint64_t dropped;          /* segments of which a stub is left */
	uint64_t dropped_to;       /* the last record of the last one that was dropped; 0: none */
	uint64_t intents;          /* uses of keys */
	uint64_t unknown_outcomes; /* intents without an outcome, but for … */
	uint64_t under_way; /* … those of the last seconds: a vault that runs writes outcomes
			       up to half a second later */
	uint64_t strays;    /* outcomes of no intent, or of one that has an outcome */
	uint64_t recovered; /* torn ends that the writer closed … */
	uint64_t recovered_bytes; /* … and their bytes */
	bool torn_tail; /* the last line was cut off by a crash, or is being written; it is not
			   counted */
	bool ok;
	char problem[384]; /* what is wrong, with segment and line; "" when ok */
	char head[65];     /* hash of the last record, hex */
	char root[65];     /* SHA-256 of the first epoch's public key, hex */
	char node[65];
};

/* A segment that was dropped, as the ledger proves it. */
struct ledger_gone {
	uint64_t segment, first, last;
	const char *from, *to; /* times of its first and last record */
	int64_t bytes;
	const char *sha256; /* of its file */
	uint64_t record;    /* that says so; 0: the stub behind it does */
	const char *at;     /* time of that record, or NULL */
};

struct ledger_verify_options {
	const char *dir;
	const char *const *anchors; /* files */
	size_t n_anchors;
	const char *node; /* whose ledger it must be; NULL: anybody's */
	unsigned threads; /* 0: one for each processor, LEDGER_VERIFY_THREADS at most */
	/* Called at the end, in order; may be NULL. */
	void (*unknown)(
		void *ctx, uint64_t intent); /* intents without an outcome, but recent ones */
	void (*gone)(void *ctx, const struct ledger_gone *gone);
	void *ctx;
};
#define LEDGER_VERIFY_THREADS 8

/* RC_OK whatever the report says; RC_TEMP when it could not be read, RC_PERM when an anchor file is
 * none. */
enum rc ledger_verify_with(
	const struct ledger_verify_options *options, struct ledger_report *report, struct err *err);

/* DIR: folder of segments. ANCHORS: files with lines that `sealgate audit anchor` printed; may be
 * NULL. RC_OK whatever the report says; RC_TEMP when it could not be read, RC_PERM when an anchor
 * file is none. */
enum rc ledger_verify(const char *dir, const char *const *anchors, size_t n,
	struct ledger_report *report, struct err *err);

/* The last checkpoint of DIR as an anchor: one line, without line end. RC_NONE when there is none.
 * Does not verify the ledger. */
enum rc ledger_anchor(const char *dir, struct buf *out, struct err *err);
/* Every checkpoint of DIR as an anchor, a line each with its LF. RC_NONE when there is none. */
enum rc ledger_all_anchors(const char *dir, struct buf *out, struct err *err);

#endif
