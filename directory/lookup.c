/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/lookup.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/counter.h"
#include "directory/harvest_store.h"
#include "directory/ldap.h"
#include "directory/question.h"
#include "directory/select.h"
#include "message/addr.h"

struct lookup {
	struct lookups *lookups;
	struct question *question;
	struct lookup *next; /* of the same question */
	void (*done)(void *ctx);
	void *ctx;
	bool calling;     /* done() is running, */
	pthread_t caller; /* in this thread */
	bool *gone;       /* set when the handle is freed from within done() */
};

struct lookups {
	struct conf *conf; /* reference, or NULL */
	struct lookup_settings settings;
	struct source **sources; /* best tier first */
	size_t n_sources;
	struct certstore *store; /* borrowed, or NULL */
	struct trust *trust;     /* reference */

	pthread_mutex_t lock; /* for all that follows and for every question */
	pthread_cond_t work;
	bool stop;
	pthread_t *threads;
	int n_threads, idle;
	struct question *queue, **queue_end;
	int n_queued;
	struct question_table table;
	int64_t generation;
};

/* Calls back whoever asked to be. The lock is released meanwhile. */
static void
question_call_back(struct lookups *l, struct question *q)
{
	struct lookup *h = q->handles;

	while (h) {
		void (*done)(void *ctx) = h->done;
		void *ctx = h->ctx;
		bool gone = false;

		if (!done) {
			h = h->next;
			continue;
		}
		h->done = NULL;
		h->calling = true;
		h->caller = pthread_self();
		h->gone = &gone;
		pthread_mutex_unlock(&l->lock);
		done(ctx);
		pthread_mutex_lock(&l->lock);
		if (!gone) {
			h->calling = false;
			h->gone = NULL;
			pthread_cond_broadcast(&q->changed);
		}
		h = q->handles; /* the list may have changed */
	}
}

/* What the owner showed by signatures counts for a certificate whoever brought it. Not to know it
 * is not to know whether there is proof. */
static void
add_shown(struct lookups *l, const char *addr, struct selection *selection)
{
	struct err err = ERR_INIT;

	if (l->store && selection->n > 0 &&
		harvest_annotate(l->store, addr, l->settings.proof_months, selection->v,
			selection->n, &err) != RC_OK)
		selection_fail(selection, TIER_PINNED, &err);
}

/* Asks everybody who may know. */
static void
ask_sources(struct lookups *l, const char *addr, struct lookup_result *result)
{
	struct selection selection;

	selection_init(&selection, l->trust, addr);
	selection.several = l->settings.several;
	selection.all = l->settings.ask_all;
	selection_ask(&selection, l->sources, l->n_sources);
	add_shown(l, addr, &selection);
	selection_finish(&selection, result);
	selection_fini(&selection);
}

/* How long an answer is kept, in ms. */
static int64_t
ttl_of(const struct lookups *l, const struct lookup_result *result)
{
	if (result->stale)
		return l->settings.stale_ms;
	return 1000 * (result->rc == RC_OK ? l->settings.positive_ttl : l->settings.negative_ttl);
}

/* Takes one question through; called and left with the lock held. */
static void
work_on(struct lookups *l, struct question *q)
{
	struct lookup_result result = {.rc = RC_TEMP};

	q->state = QUESTION_RUNNING;
	if (l->stop) {
		err_set(&result.err, ERR_DIR_UNAVAILABLE, "stopping");
	} else {
		pthread_mutex_unlock(&l->lock);
		ask_sources(l, q->addr, &result);
		pthread_mutex_lock(&l->lock);
	}
	q->result = result;
	q->state = QUESTION_DONE;
	if (q->linked)
		question_table_keep(&l->table, q, ttl_of(l, &result));
	pthread_cond_broadcast(&q->changed);
	question_call_back(l, q);
	question_unref(q); /* the queue's */
}

static void *
worker(void *arg)
{
	struct lookups *l = arg;

	pthread_mutex_lock(&l->lock);
	for (;;) {
		struct question *q = l->queue;

		if (q) {
			l->queue = q->queue_next;
			if (!l->queue)
				l->queue_end = &l->queue;
			l->n_queued--;
			work_on(l, q);
		} else if (l->stop) {
			break;
		} else {
			l->idle++;
			pthread_cond_wait(&l->work, &l->lock);
			l->idle--;
		}
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/*
 * Makes sure that a thread will take one more question; false when there is none and none can be
 * made. Threads are made only when no idle one is left, so that a daemon may fork after
 * lookups_new. They get no signals: those belong to the daemon's own threads.
 */
static bool
have_thread(struct lookups *l)
{
	pthread_attr_t attr;
	sigset_t all, before;

	if (l->n_queued < l->idle || l->n_threads >= l->settings.threads)
		return true;
	if (pthread_attr_init(&attr) != 0)
		return l->n_threads > 0;
	pthread_attr_setstacksize(&attr, 1 << 20);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&l->threads[l->n_threads], &attr, worker, l) == 0)
		l->n_threads++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return l->n_threads > 0;
}

/* The question for ADDR with a reference for the caller. SHARED: the table can be trusted. */
static enum rc
question_get(
	struct lookups *l, const char *addr, bool shared, struct question **out, struct err *err)
{
	struct question *q = shared ? question_table_find(&l->table, addr) : NULL;

	if (q) {
		q->refs++;
		*out = q;
		return RC_OK;
	}
	if (!(q = question_new(addr)))
		return err_set(err, ERR_MEMORY, "look-up");
	if (!have_thread(l)) {
		question_unref(q);
		return err_set(err, ERR_SYSTEM, "look-up: no thread can be made");
	}
	q->refs++; /* the queue's */
	*l->queue_end = q;
	l->queue_end = &q->queue_next;
	l->n_queued++;
	pthread_cond_signal(&l->work);
	if (shared)
		question_table_add(&l->table, q);
	*out = q;
	return RC_OK;
}

/* Lower case of ADDR: the same mailbox is one question. */
static enum rc
make_key(const char *addr, char key[ADDR_MAX + 1], struct err *err)
{
	size_t len = strlen(addr);

	if (len == 0 || len > ADDR_MAX)
		return err_set(err, ERR_ADDR_SYNTAX, "look-up of an address of %zu bytes", len);
	for (size_t i = 0; i <= len; i++)
		key[i] = addr[i] >= 'A' && addr[i] <= 'Z' ? (char)(addr[i] | 0x20) : addr[i];
	return RC_OK;
}

enum rc
lookup_begin(struct lookups *lookups, const char *addr, struct lookup **out, struct err *err)
{
	struct lookup *h = calloc(1, sizeof(*h));
	char key[ADDR_MAX + 1];
	int64_t generation = 0;
	bool known = true;
	enum rc rc;

	*out = NULL;
	if (!h)
		return err_set(err, ERR_MEMORY, "look-up");
	if ((rc = make_key(addr, key, err)) != RC_OK) {
		free(h);
		return rc;
	}
	counter_add(COUNTER_LOOKUPS, 1);
	if (lookups->store)
		known = certstore_generation(lookups->store, &generation, NULL) == RC_OK;
	pthread_mutex_lock(&lookups->lock);
	if (known && generation != lookups->generation) {
		question_table_clear(&lookups->table);
		lookups->generation = generation;
	}
	rc = question_get(lookups, key, known, &h->question, err);
	if (rc == RC_OK) {
		h->lookups = lookups;
		h->next = h->question->handles;
		h->question->handles = h;
	}
	pthread_mutex_unlock(&lookups->lock);
	if (rc != RC_OK) {
		free(h);
		return rc;
	}
	*out = h;
	return RC_OK;
}

enum rc
lookup_wait(
	struct lookup *lookup, int timeout_ms, const struct lookup_result **result, struct err *err)
{
	struct question *q = lookup->question;
	struct timespec until;
	int64_t ns;
	int waited = 0;

	*result = NULL;
	clock_gettime(CLOCK_MONOTONIC, &until);
	ns = until.tv_nsec + (int64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000000;
	until.tv_sec += ns / 1000000000;
	until.tv_nsec = ns % 1000000000;
	pthread_mutex_lock(&lookup->lookups->lock);
	while (q->state != QUESTION_DONE && waited == 0)
		waited = pthread_cond_timedwait(&q->changed, &lookup->lookups->lock, &until);
	if (q->state == QUESTION_DONE)
		*result = &q->result;
	pthread_mutex_unlock(&lookup->lookups->lock);
	if (!*result)
		return err_set(err, ERR_DIR_TIMEOUT, "no answer within %d ms", timeout_ms);
	return RC_OK;
}

void
lookup_notify(struct lookup *lookup, void (*done)(void *ctx), void *ctx)
{
	bool now;

	pthread_mutex_lock(&lookup->lookups->lock);
	now = lookup->question->state == QUESTION_DONE;
	if (!now) {
		lookup->done = done;
		lookup->ctx = ctx;
	}
	pthread_mutex_unlock(&lookup->lookups->lock);
	if (now)
		done(ctx);
}

/* After this DONE is not called any more; one that is being called is waited for. */
void
lookup_free(struct lookup **lookup)
{
	struct lookup *h = *lookup, **p;
	struct lookups *l;

	if (!h)
		return;
	l = h->lookups;
	pthread_mutex_lock(&l->lock);
	h->done = NULL;
	while (h->calling && !pthread_equal(h->caller, pthread_self()))
		pthread_cond_wait(&h->question->changed, &l->lock);
	if (h->calling)
		*h->gone = true;
	for (p = &h->question->handles; *p != h; p = &(*p)->next)
		;
	*p = h->next;
	question_unref(h->question);
	pthread_mutex_unlock(&l->lock);
	free(h);
	*lookup = NULL;
}

/*
 * Best tier first, so that the first to decide saves the others the question; sources of one tier
 * stay in the order of the configuration.
 */
static void
sort_sources(struct source **v, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t k = i; k > 0 && v[k - 1]->tier > v[k]->tier; k--) {
			struct source *swap = v[k];

			v[k] = v[k - 1];
			v[k - 1] = swap;
		}
}

static void
sources_free(struct source **v, size_t n)
{
	for (size_t i = 0; v && i < n; i++)
		source_free(&v[i]);
	free(v);
}

enum rc
lookups_new_sources(const struct lookup_settings *settings, struct source **sources, size_t n,
	struct certstore *store, struct trust *trust, struct lookups **out, struct err *err)
{
	struct lookups *l = calloc(1, sizeof(*l));

	*out = NULL;
	if (!l || !(l->threads = calloc((size_t)settings->threads, sizeof(*l->threads)))) {
		sources_free(sources, n);
		free(l);
		return err_set(err, ERR_MEMORY, "look-ups");
	}
	l->settings = *settings;
	l->table.max_bytes = settings->cache_size;
	l->sources = sources;
	l->n_sources = n;
	sort_sources(sources, n);
	l->store = store;
	l->trust = trust_ref(trust);
	l->queue_end = &l->queue;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->work, NULL);
	*out = l;
	return RC_OK;
}

static struct lookup_settings
read_settings(const struct conf *conf)
{
	const struct conf_group *group = conf_section(conf, "lookup");
	const char *several = conf_str(group, "several");

	return (struct lookup_settings){
		.cache_size = (size_t)conf_int(group, "cache_size"),
		.positive_ttl = conf_int(group, "positive_ttl"),
		.negative_ttl = conf_int(group, "negative_ttl"),
		.threads = (int)conf_int(group, "threads"),
		.stale_ms = conf_int(group, "error_ttl"),
		.several = strcmp(several, "newest") == 0    ? SEVERAL_NEWEST
			   : strcmp(several, "longest") == 0 ? SEVERAL_LONGEST
							     : SEVERAL_ALL,
		.proof_months = (int)conf_int(group, "proof_months"),
	};
}

/* The directories of CONF, or those that OLD (may be NULL) has. */
static enum rc
add_directories(struct conf *conf, const struct lookups *old, struct source **sources, size_t *n,
	struct err *err)
{
	int error_ttl = (int)conf_int(conf_section(conf, "lookup"), "error_ttl");
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && !old && i < conf_count(conf, "directories"); i++) {
		const struct conf_group *item = conf_item(conf, "directories", i);

		if (!conf_bool(item, "certificates"))
			continue;
		rc = source_ldap_new(conf, item, error_ttl, &sources[*n], err);
		*n += rc == RC_OK;
	}
	for (size_t i = 0; rc == RC_OK && old && i < old->n_sources; i++) {
		if (!old->sources[i]->ref)
			continue; /* the store */
		rc = source_share(old->sources[i], &sources[*n], err);
		*n += rc == RC_OK;
	}
	return rc;
}

static enum rc
make(struct conf *conf, const struct lookups *old, struct certstore *store, struct trust *trust,
	struct lookups **out, struct err *err)
{
	struct source **sources = calloc(
		conf_count(conf, "directories") + conf_count(conf, "domain_certificates") + 1,
		sizeof(struct source *));
	struct lookup_settings settings = read_settings(conf);
	size_t n = 0;
	enum rc rc;

	*out = NULL;
	if (!sources)
		return err_set(err, ERR_MEMORY, "look-ups");
	rc = source_store_new(store, (int)conf_int(conf_section(conf, "lookup"), "proof_months"),
		&sources[n], err);
	n += rc == RC_OK;
	if (rc == RC_OK)
		rc = add_directories(conf, old, sources, &n, err);
	if (rc == RC_OK) {
		sort_sources(sources, n);
		rc = domain_sources(conf, store, trust, sources, n, sources, &n, err);
	}
	if (rc != RC_OK) {
		sources_free(sources, n);
		return rc;
	}
	rc = lookups_new_sources(&settings, sources, n, store, trust, out, err);
	if (rc == RC_OK)
		(*out)->conf = conf_ref(conf);
	return rc;
}

enum rc
lookups_new(struct conf *conf, struct certstore *store, struct trust *trust, struct lookups **out,
	struct err *err)
{
	return make(conf, NULL, store, trust, out, err);
}

enum rc
lookups_renew(struct lookups *old, struct trust *trust, struct lookups **out, struct err *err)
{
	return make(old->conf, old, old->store, trust, out, err);
}

void
lookups_ask_all(struct lookups *lookups)
{
	lookups->settings.ask_all = true;
}

void
lookups_free(struct lookups **lookups)
{
	struct lookups *l = *lookups;

	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_broadcast(&l->work);
	pthread_mutex_unlock(&l->lock);
	for (int i = 0; i < l->n_threads; i++)
		pthread_join(l->threads[i], NULL);
	question_table_clear(&l->table);
	sources_free(l->sources, l->n_sources);
	trust_unref(&l->trust);
	conf_unref(&l->conf);
	pthread_cond_destroy(&l->work);
	pthread_mutex_destroy(&l->lock);
	free(l->threads);
	free(l);
	*lookups = NULL;
}
