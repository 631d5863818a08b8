/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/outlet.h"

#include "base/log.h"
#include "milter/learn.h"
#include "milter/notice_world.h"
#include "milter/outbox.h"
#include "milter/tx.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

struct outlet {
	atomic_int refs;
	struct smtp_port *port;
	struct smtp_port *own; /* for our own mail, or NULL: port */
	struct journal *journal;
	struct notices *notices;
	struct notice_world *world;
	struct outbox *outbox; /* or NULL */
	struct engine *engine; /* the world's */
};

/* A certificate was learned: somebody may be waiting for it. */
static void
on_news(void *ctx)
{
	notices_look(ctx);
}

enum rc
outlet_new(struct conf *conf, struct engine *engine, struct outlet **out, struct err *err)
{
	struct journal_conf journal = journal_conf_of(conf);
	struct outlet *outlet = calloc(1, sizeof(*outlet));
	enum rc rc;

	*out = NULL;
	if (!outlet)
		return err_set(err, ERR_MEMORY, "outlet");
	atomic_init(&outlet->refs, 1);
	rc = smtp_port_new(conf, &outlet->port, err);
	if (rc == RC_OK) {
		rc = smtp_port_new_own(conf, &outlet->own, err);
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	if (rc == RC_OK)
		rc = journal_new(&journal, &outlet->journal, err);
	if (rc == RC_OK)
		rc = notices_new(conf, &outlet->notices, err);
	if (rc == RC_OK)
		rc = notice_world_new(
			engine, outlet->own ? outlet->own : outlet->port, &outlet->world, err);
	if (rc == RC_OK) {
		notice_world_attach(outlet->world, outlet->notices);
		outlet->engine = engine;
		if (engine_learning(engine))
			learning_on_news(engine_learning(engine), on_news, outlet->notices);
		*out = outlet;
	} else {
		outlet_unref(&outlet);
	}
	return rc;
}

struct outlet *
outlet_ref(struct outlet *outlet)
{
	if (outlet)
		atomic_fetch_add(&outlet->refs, 1);
	return outlet;
}

void
outlet_unref(struct outlet **outlet)
{
	struct outlet *o = *outlet;

	*outlet = NULL;
	if (!o || atomic_fetch_sub(&o->refs, 1) != 1)
		return;
	if (o->engine && engine_learning(o->engine))
		learning_on_news(engine_learning(o->engine), NULL, NULL);
	outbox_free(&o->outbox);
	notices_free(&o->notices);
	notice_world_free(&o->world);
	journal_free(&o->journal);
	smtp_port_free(&o->own);
	smtp_port_free(&o->port);
	free(o);
}

bool
outlet_is_used(const struct outlet *outlet)
{
	return atomic_load(&outlet->refs) > 1;
}

static void
probe_port(struct smtp_port *port)
{
	struct smtp_caps caps;
	struct err err = ERR_INIT;

	if (smtp_port_probe(port, &caps, &err) != RC_OK)
		log_error(LOGL_WARN, NULL, "port-not-ready", &err, "port", smtp_port_name(port),
			NULL);
}

/* A port that is down, or a journal that can't be opened, is a warning: mail that needs it is
 * deferred, all other mail goes on. */
static void *
probe(void *arg)
{
	struct outlet *outlet = arg;
	struct err err = ERR_INIT;

	probe_port(outlet->port);
	if (outlet->own)
		probe_port(outlet->own);
	if (journal_probe(outlet->journal, &err) != RC_OK)
		log_error(LOGL_WARN, NULL, "journal-not-ready", &err, NULL);
	outlet_unref(&outlet);
	return NULL;
}

void
outlet_probe(struct outlet *outlet)
{
	pthread_t thread;
	sigset_t all, old;

	if (!outlet)
		return;
	outlet_ref(outlet);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&thread, NULL, probe, outlet) == 0)
		pthread_detach(thread);
	else
		outlet_unref(&outlet);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void
outbox_ended(void *ctx)
{
	struct outlet *outlet = ctx;

	outlet_unref(&outlet);
}

enum rc
outlet_serve(struct outlet *outlet, struct err *err)
{
	struct outlet *kept;
	enum rc rc;

	if (!outlet || !notice_world_works(outlet->world))
		return RC_OK;
	kept = outlet_ref(outlet); /* the thread's */
	rc = outbox_start(outlet->notices, outbox_ended, kept, &outlet->outbox, err);
	if (rc != RC_OK)
		outlet_unref(&kept);
	return rc;
}

void
outlet_retire(struct outlet *outlet)
{
	if (outlet && outlet->outbox)
		outbox_stop(outlet->outbox);
}

bool
outlet_is_quiet(struct outlet *outlet, long ms)
{
	return !outlet || !outlet->outbox || outbox_wait(outlet->outbox, ms);
}

void
outlet_stop(struct outlet *outlet)
{
	if (!outlet)
		return;
	outlet_retire(outlet);
	smtp_port_stop(outlet->port);
	if (outlet->own)
		smtp_port_stop(outlet->own);
}

struct smtp_port *
outlet_port(const struct outlet *outlet)
{
	return outlet->port;
}

struct journal *
outlet_journal(const struct outlet *outlet)
{
	return outlet->journal;
}

struct notices *
outlet_notices(const struct outlet *outlet)
{
	return outlet->notices;
}
