/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * learn.h - what a signed message on its way in teaches about its author; inside the pipeline
 * library only
 *
 * The outermost signature is looked at while it is being checked, which costs no I/O. What it comes
 * to is written behind the message's back: a daemon's engine has a queue, and a thread as long as
 * something is in it. Nothing here delays a message or fails it; what could not be learned is
 * logged, and the next message of the same author brings it again.
 *
 * Threads: a struct learning may be used by any; what belongs to a transaction, by its one.
 * Limits:  harvest.queue messages wait; past it they are dropped, counted and logged.
 */
#ifndef MILTER_LEARN_H
#define MILTER_LEARN_H

#include "directory/harvest_store.h"
#include "milter/pipeline.h"

struct learning; /* of one engine */
enum rc learning_new(const struct conf *conf, struct learning **out, struct err *err);
void learning_free(struct learning **learning);
/* From now on in a thread: the engine is a daemon's. */
void learning_behind(struct learning *learning);
/* Waits until nothing is queued, at most MS milliseconds. */
void learning_wait(struct learning *learning, long ms);
/* NEWS is called, by any thread, when a look-up may answer something else now. NULL: nobody. */
void learning_on_news(struct learning *learning, void (*news)(void *ctx), void *ctx);

struct learned { /* of one transaction */
	struct harvest_offer offer;
	struct harvest_result result; /* for explain */
	struct err err;               /* why there is no result */
	bool ours;                    /* the author is one of us */
	bool taken;                   /* learn_conclude was there */
};
void learned_free(struct learned **learned);

/* The transaction's outermost signature: SD with VERDICT. */
void learn_look(struct transaction *tx, const struct cms_signed *sd, const struct verdict *verdict);
/* What was seen is taken, or with PIPELINE_EXPLAIN only judged. */
void learn_conclude(struct transaction *tx, enum pipeline_mode mode);

#endif
