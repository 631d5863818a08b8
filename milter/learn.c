/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/learn.h"

#include "base/clock.h"
#include "base/counter.h"
#include "base/log.h"
#include "milter/tx.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SAY_DROPS_MS 60000 /* how often it is said that messages are dropped */

struct lesson {
	struct harvest_offer offer;
	char qid[64];
	struct lesson *next;
};

struct learning {
	struct harvest_conf conf;
	size_t max;
	pthread_mutex_t lock; /* for all below */
	pthread_cond_t idle;
	bool behind, working;
	struct lesson *first, **last;
	size_t n, dropped;
	int64_t said_ms;
	pthread_mutex_t news_lock; /* for the two below */
	void (*news)(void *ctx);
	void *news_ctx;
};

enum rc
learning_new(const struct conf *conf, struct learning **out, struct err *err)
{
	struct learning *l = calloc(1, sizeof(*l));
	pthread_condattr_t attr;

	*out = l;
	if (!l)
		return err_set(err, ERR_MEMORY, "harvest");
	harvest_conf_read(conf, &l->conf);
	l->max = (size_t)conf_int(conf_section(conf, "harvest"), "queue");
	l->last = &l->first;
	pthread_mutex_init(&l->lock, NULL);
	pthread_mutex_init(&l->news_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->idle, &attr);
	pthread_condattr_destroy(&attr);
	return RC_OK;
}

static void
lesson_free(struct lesson **lesson)
{
	if (!*lesson)
		return;
	harvest_offer_fini(&(*lesson)->offer);
	free(*lesson);
	*lesson = NULL;
}

/* Nothing is queued: whatever is holds the engine. */
void
learning_free(struct learning **learning)
{
	struct learning *l = *learning;

	if (!l)
		return;
	pthread_cond_destroy(&l->idle);
	pthread_mutex_destroy(&l->lock);
	pthread_mutex_destroy(&l->news_lock);
	free(l);
	*learning = NULL;
}

static const struct harvest_conf *
learning_conf(const struct learning *learning)
{
	return &learning->conf;
}

void
learning_behind(struct learning *learning)
{
	pthread_mutex_lock(&learning->lock);
	learning->behind = true;
	pthread_mutex_unlock(&learning->lock);
}

void
learning_wait(struct learning *learning, long ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&learning->lock);
	while (learning->working &&
		pthread_cond_timedwait(&learning->idle, &learning->lock, &until) == 0)
		;
	pthread_mutex_unlock(&learning->lock);
}

void
learning_on_news(struct learning *learning, void (*news)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&learning->news_lock);
	learning->news = news;
	learning->news_ctx = ctx;
	pthread_mutex_unlock(&learning->news_lock);
}

static void
tell_news(struct learning *l)
{
	pthread_mutex_lock(&l->news_lock);
	if (l->news)
		l->news(l->news_ctx);
	pthread_mutex_unlock(&l->news_lock);
}

/* --- what it comes to --- */

/* One line of the log. What goes on as before is not worth one at the usual level. */
static void
say(const struct learning *l, const char *qid, const struct harvest_offer *offer,
	const struct harvest_result *result)
{
	bool quiet = result->outcome == HARVEST_SAME && !*result->why;
	bool observe = l->conf.mode == HARVEST_OBSERVE;
	struct buf caps = BUF_INIT(0);

	(void)smimecaps_format(&offer->caps, &caps, NULL);
	log_event(quiet ? LOGL_DEBUG : LOGL_INFO, qid, "harvest", observe ? "would-be" : "what",
		harvest_outcome_name(result->outcome), "addr", *offer->addr ? offer->addr : NULL,
		"cert", offer->cert ? cert_fingerprint(offer->cert) : NULL, "can-open",
		caps.len ? buf_text(&caps) : NULL, "why", *result->why ? result->why : NULL, NULL);
	buf_fini(&caps);
	if (observe)
		return;
	if (result->outcome == HARVEST_LEARNED)
		counter_add(COUNTER_HARVEST_LEARNED, 1);
	else if (result->outcome == HARVEST_PENDING)
		counter_add(COUNTER_HARVEST_PENDING, 1);
	else if (result->outcome == HARVEST_REFUSED)
		counter_add(COUNTER_HARVEST_REFUSED, 1);
}

static bool
is_new(const struct harvest_result *result)
{
	return result->outcome == HARVEST_LEARNED || result->outcome == HARVEST_NOTED ||
	       result->outcome == HARVEST_PENDING;
}

/*
 * Whose key the vault holds is one of us, whatever the domain. Asked only where something new would
 * be written; a vault that can't be asked has not said no.
 */
static enum rc
check_held(struct engine *engine, const struct harvest_offer *offer, struct harvest_result *result,
	struct err *err)
{
	char person[ADDR_MAX + 1];
	bool client_key;
	enum rc rc = RC_NONE;

	if (!is_new(result) || !engine_vault(engine))
		return RC_OK;
	engine_person(engine, offer->addr, person);
	rc = vault_holds(engine_vault(engine), person, &client_key, err);
	if (rc == RC_NONE)
		return RC_OK;
	if (rc == RC_OK) {
		result->outcome = HARVEST_REFUSED;
		snprintf(result->why, sizeof(result->why), "the vault holds a key of the author");
	}
	return rc;
}

/* What OFFER would come to, and unless DRY, what it came to. */
static enum rc
take(struct engine *engine, const struct harvest_offer *offer, const char *qid, bool dry,
	struct harvest_result *result, struct err *err)
{
	struct harvest_run run = {learning_conf(engine_learning(engine)), qid, clock_now(), true};
	enum rc rc = harvest_store(engine_store(engine), offer, &run, result, err);

	if (rc == RC_OK)
		rc = check_held(engine, offer, result, err);
	if (rc != RC_OK || dry || result->outcome == HARVEST_REFUSED ||
		result->outcome == HARVEST_SAME)
		return rc;
	run.dry = false;
	return harvest_store(engine_store(engine), offer, &run, result, err);
}

static void
take_lesson(struct engine *engine, const struct lesson *lesson)
{
	struct learning *l = engine_learning(engine);
	struct harvest_result result = {0};
	struct err err = ERR_INIT;
	const char *qid = *lesson->qid ? lesson->qid : NULL;
	enum rc rc = take(engine, &lesson->offer, qid, l->conf.mode != HARVEST_ON, &result, &err);

	if (rc != RC_OK) {
		counter_add(COUNTER_HARVEST_FAILED, 1);
		log_error(LOGL_WARN, qid, "harvest", &err, "what", "failed", "addr",
			lesson->offer.addr, NULL);
		return;
	}
	say(l, qid, &lesson->offer, &result);
	if (result.news)
		tell_news(l);
}

/* --- the queue --- */

static struct lesson *
next_lesson(struct learning *l)
{
	struct lesson *lesson;

	pthread_mutex_lock(&l->lock);
	lesson = l->first;
	if (lesson) {
		l->first = lesson->next;
		if (!l->first)
			l->last = &l->first;
		l->n--;
	} else {
		l->working = false;
		pthread_cond_broadcast(&l->idle);
	}
	pthread_mutex_unlock(&l->lock);
	return lesson;
}

/* Works until the queue is empty. Holds the engine meanwhile, and lets go of it last. */
static void *
work(void *arg)
{
	struct engine *engine = arg;
	struct lesson *lesson;

	while ((lesson = next_lesson(engine_learning(engine)))) {
		take_lesson(engine, lesson);
		lesson_free(&lesson);
	}
	engine_unref(&engine);
	return NULL;
}

static bool
start_worker(struct engine *engine)
{
	struct engine *kept = engine_ref(engine);
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;
	bool started = false;

	if (pthread_attr_init(&attr) == 0) {
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		pthread_attr_setstacksize(&attr, 1 << 20);
		sigfillset(&all); /* signals are the first thread's */
		pthread_sigmask(SIG_SETMASK, &all, &before);
		started = pthread_create(&thread, &attr, work, kept) == 0;
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		pthread_attr_destroy(&attr);
	}
	if (!started)
		engine_unref(&kept);
	return started;
}

/* Under the lock: one is dropped. True when it is to be said, with the number since the last time.
 */
static bool
drop(struct learning *l, size_t *dropped)
{
	int64_t now = clock_monotonic_ms();

	l->dropped++;
	if (l->said_ms && now - l->said_ms < SAY_DROPS_MS)
		return false;
	l->said_ms = now;
	*dropped = l->dropped;
	l->dropped = 0;
	return true;
}

/* Takes LESSON. */
static void
submit(struct engine *engine, struct lesson *lesson)
{
	struct learning *l = engine_learning(engine);
	size_t dropped = 0;
	bool say_so = false;

	pthread_mutex_lock(&l->lock);
	if (l->n < l->max) {
		if (!l->working)
			l->working = start_worker(engine);
		if (l->working) {
			*l->last = lesson;
			l->last = &lesson->next;
			l->n++;
			lesson = NULL; /* the queue's now */
		}
	}
	if (lesson)
		say_so = drop(l, &dropped);
	pthread_mutex_unlock(&l->lock);
	if (!lesson)
		return;
	counter_add(COUNTER_HARVEST_FAILED, 1);
	if (say_so)
		log_event(LOGL_WARN, lesson->qid, "harvest", "what", "dropped", "addr",
			lesson->offer.addr, "why", "too many wait (harvest.queue)", "messages",
			LOG_NUM(dropped), NULL);
	lesson_free(&lesson);
}

/* --- of one message --- */

void
learned_free(struct learned **learned)
{
	if (!*learned)
		return;
	harvest_offer_fini(&(*learned)->offer);
	free(*learned);
	*learned = NULL;
}

/* Is ADDR one of us, itself or by the map of aliases? */
static bool
is_ours(const struct engine *engine, const char *addr)
{
	char person[ADDR_MAX + 1];

	engine_person(engine, addr, person);
	return policy_is_ours(engine_policy(engine), addr) ||
	       policy_is_ours(engine_policy(engine), person);
}

void
learn_look(struct transaction *tx, const struct cms_signed *sd, const struct verdict *verdict)
{
	const struct harvest_conf *conf = learning_conf(engine_learning(tx->engine));
	const struct harvest_message msg = {.hdrs = &tx->msg->hdrs,
		.from = &tx->from,
		.from_fields = hdrs_count(&tx->msg->hdrs, "From"),
		.sd = sd,
		.verdict = verdict,
		.trust = sources_trust(tx->sources),
		.now = clock_now()};

	if (tx->learned || conf->mode == HARVEST_OFF ||
		!(tx->learned = calloc(1, sizeof(*tx->learned))))
		return;
	tx->learned->ours = tx->from.n == 1 && is_ours(tx->engine, tx->from.v[0]);
	if (tx->learned->ours)
		return;
	if (harvest_examine(conf, &msg, &tx->learned->offer, &tx->learned->err) != RC_OK)
		log_error(LOGL_WARN, tx->qid, "harvest", &tx->learned->err, "what", "failed", NULL);
}

static void
judge_only(struct transaction *tx)
{
	struct learned *learned = tx->learned;

	if (learned->err.code == ERR_NONE)
		(void)take(tx->engine, &learned->offer, tx->qid, true, &learned->result,
			&learned->err);
}

void
learn_conclude(struct transaction *tx, enum pipeline_mode mode)
{
	struct learned *learned = tx->learned;
	struct learning *l = engine_learning(tx->engine);
	struct lesson *lesson;
	bool behind;

	if (!learned || learned->ours || learned->err.code != ERR_NONE || learned->taken)
		return;
	learned->taken = true;
	if (mode == PIPELINE_EXPLAIN) {
		judge_only(tx);
		return;
	}
	lesson = calloc(1, sizeof(*lesson));
	if (!lesson)
		return;
	lesson->offer = learned->offer;
	memset(&learned->offer, 0, sizeof(learned->offer)); /* the lesson's now */
	snprintf(lesson->qid, sizeof(lesson->qid), "%s", tx->qid ? tx->qid : "");
	pthread_mutex_lock(&l->lock);
	behind = l->behind;
	pthread_mutex_unlock(&l->lock);
	if (behind) {
		submit(tx->engine, lesson);
		return;
	}
	take_lesson(tx->engine, lesson);
	lesson_free(&lesson);
}
