/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/tx.h"

#include "base/clock.h"
#include "base/log.h"
#include "directory/anchors.h"
#include "directory/groups.h"
#include "directory/logins.h"
#include "milter/learn.h"
#include "milter/replies.h"
#include "message/charset.h"
#include "message/alias.h"
#include "milter/forwarding.h"
#include "milter/stamp_keys.h"
#include "milter/trust_state.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS  10
#define LEARN_MS 5000 /* at the end, for what was learned last */

struct sources {
	atomic_int refs;
	struct trust *trust;
	struct lookups *lookups;
	struct trust_state state; /* what they were made from */
};

struct engine {
	atomic_int refs;
	struct conf *conf;
	const char *service, *authserv_id;
	enum role role;
	struct policy *policy;
	struct rights *rights;
	struct logins *logins;   /* or NULL */
	struct replies *replies; /* NULL: no rule asks */
	struct certstore *store;
	struct learning *learning; /* NULL: a gate */
	struct vault_client *vault;
	struct stamp_keys *stamp_keys;
	struct forwarding *forwarding; /* or NULL */
	struct groups *groups;         /* or NULL */
	bool checks_stamps, refuses;
	struct alias_map *aliases;
	pthread_mutex_t lock;
	struct sources *sources;      /* under LOCK, as are those below */
	int64_t generation, crl_time; /* when sources were last looked at */
	bool refreshing;
	atomic_llong looked_ms; /* when it was asked last what may have changed */
	int lookup_timeout;
	struct trust_dirs trust_dirs;
	struct spool_conf spool;
	struct engine_limits limits;
	const char *help_url; /* or NULL */
	char delimiter;       /* of extensions of our addresses, or NUL */
};

void
sources_unref(struct sources **sources)
{
	struct sources *s = *sources;

	*sources = NULL;
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	lookups_free(&s->lookups);
	trust_unref(&s->trust);
	trust_state_fini(&s->state);
	free(s);
}

static enum rc
sources_new(const struct engine *engine, const struct sources *old, struct sources **out,
	struct err *err)
{
	struct conf *conf = engine->conf;
	struct certstore *store = engine->store;
	struct sources *s = calloc(1, sizeof(*s));
	enum rc rc;

	*out = NULL;
	if (!s)
		return err_set(err, ERR_MEMORY, "trust");
	atomic_init(&s->refs, 1);
	rc = trust_state_get(conf, &engine->trust_dirs, store, &s->state, err);
	if (rc == RC_OK)
		rc = anchors_trust(conf, store, &s->trust, err);
	if (rc == RC_OK)
		rc = old ? lookups_renew(old->lookups, s->trust, &s->lookups, err)
			 : lookups_new(conf, store, s->trust, &s->lookups, err);
	if (rc == RC_OK)
		*out = s;
	else
		sources_unref(&s);
	return rc;
}

/* Was it asked just now? Nobody who changes something is at the next message that soon. */
static bool
looked_just_now(struct engine *engine)
{
	long long now = clock_monotonic_ms();

	if (now - atomic_load(&engine->looked_ms) < LOOK_MS)
		return true;
	atomic_store(&engine->looked_ms, now);
	return false;
}

/* What changed cheaply tells that something may have: asked for each message, but for a crowd of
 * them. */
static bool
may_have_changed(struct engine *engine)
{
	int64_t generation = 0, crls;
	bool known, changed;

	if (looked_just_now(engine))
		return false;
	crls = trust_state_crl_time(&engine->trust_dirs);
	known = certstore_generation(engine->store, &generation, NULL) == RC_OK;
	pthread_mutex_lock(&engine->lock);
	changed = !engine->refreshing &&
		  ((known && generation != engine->generation) || crls != engine->crl_time);
	if (changed) {
		engine->refreshing = true;
		engine->crl_time = crls;
		if (known)
			engine->generation = generation;
	}
	pthread_mutex_unlock(&engine->lock);
	return changed;
}

/*
 * Anchors added to the store and CRLs put into their folder count from the next message on. One
 * thread makes the new state while others go on with the one in force; when it can't be had, that
 * stays.
 */
static void
refresh(struct engine *engine)
{
	struct trust_state now = {0};
	struct sources *fresh = NULL, *old = NULL;
	struct err err = ERR_INIT;
	enum rc rc = trust_state_get(engine->conf, &engine->trust_dirs, engine->store, &now, &err);

	/* Only the refreshing thread replaces sources, so it may look at them without the lock. */
	if (rc == RC_OK && !trust_state_equal(&now, &engine->sources->state))
		rc = sources_new(engine, engine->sources, &fresh, &err);
	pthread_mutex_lock(&engine->lock);
	if (fresh) {
		old = engine->sources;
		engine->sources = fresh;
	}
	engine->refreshing = false;
	if (rc != RC_OK)
		engine->generation = engine->crl_time = -1; /* try again with the next message */
	pthread_mutex_unlock(&engine->lock);
	sources_unref(&old);
	if (rc != RC_OK)
		log_error(LOGL_ERROR, NULL, "trust-reload-failed", &err, NULL);
	else if (fresh)
		log_event(LOGL_INFO, NULL, "trust-reloaded", NULL);
	trust_state_fini(&now);
}

struct sources *
engine_sources(struct engine *engine)
{
	struct sources *s;

	if (engine->role == ROLE_GATE)
		return NULL;
	if (may_have_changed(engine))
		refresh(engine);
	pthread_mutex_lock(&engine->lock);
	s = engine->sources;
	atomic_fetch_add(&s->refs, 1);
	pthread_mutex_unlock(&engine->lock);
	return s;
}

struct lookups *
sources_lookups(const struct sources *sources)
{
	return sources->lookups;
}

struct trust *
sources_trust(const struct sources *sources)
{
	return sources->trust;
}

/* NULL: the first service. */
static enum rc
find_service(struct engine *engine, const char *name, struct err *err)
{
	static const char *const roles[] = {"open", "seal", "gate", "all"};
	size_t n = conf_count(engine->conf, "services");

	for (size_t i = 0; i < n; i++) {
		const struct conf_group *group = conf_item(engine->conf, "services", i);

		if (name && strcmp(conf_str(group, "name"), name) != 0)
			continue;
		engine->service = conf_str(group, "name");
		engine->refuses = strcmp(conf_str(group, "unauthorised"), "refuse") == 0;
		engine->checks_stamps = strcmp(conf_str(group, "stamps"), "check") == 0;
		for (size_t k = 0; k < sizeof(roles) / sizeof(*roles); k++)
			if (strcmp(conf_str(group, "role"), roles[k]) == 0)
				engine->role = (enum role)k;
		return RC_OK;
	}
	return err_set(err, ERR_CONFIG, "%s: there is no service%s%s", conf_path(engine->conf),
		name ? " " : "", name ? name : "");
}

/* All servers of all directories, one after the other, and a little for ourselves. */
static int
lookup_timeout(const struct conf *conf)
{
	int64_t ms = 2000;

	for (size_t i = 0; i < conf_count(conf, "directories"); i++) {
		const struct conf_group *group = conf_item(conf, "directories", i);
		const char *const *uris;

		ms += conf_int(group, "timeout") * (int64_t)conf_strings(group, "uri", &uris);
	}
	return ms > 120000 ? 120000 : (int)ms;
}

/*
 * A store that is not there is not made here: an empty one knows nobody, and mail for
 * correspondents whose certificates it had would go in the clear.
 */
static enum rc
open_store(struct engine *engine, struct err *err)
{
	const char *path = conf_str(conf_section(engine->conf, "certstore"), "path");

	if (access(path, F_OK) != 0 && errno == ENOENT)
		return err_set(err, ERR_STORE,
			"%s is not there: bring it back, or make a new one with \"sealgate cert add\"",
			path);
	return certstore_open(path, false, &engine->store, err);
}

static enum rc
load_stamp_keys(struct engine *engine, struct err *err)
{
	enum rc rc = stamp_keys_load(engine->conf, &engine->stamp_keys, err);

	if (rc == RC_NONE && (engine->checks_stamps || engine->role == ROLE_GATE))
		return err_set(err, ERR_CONFIG, "service %s needs stamp.key_file", engine->service);
	return rc == RC_NONE ? RC_OK : rc;
}

/* What each message asks for. */
static void
read_settings(struct engine *engine)
{
	const struct conf_group *group = conf_section(engine->conf, "milter");
	const struct conf_group *ours = conf_section(engine->conf, "organisation");
	const char *delimiter = conf_str(ours, "recipient_delimiter");
	const char *help_url = conf_str(ours, "help_url");

	engine->spool = (struct spool_conf){.dir = conf_str(group, "spool"),
		.memory = (size_t)conf_int(group, "spool_memory"),
		.max = (uint64_t)conf_int(group, "max_message")};
	engine->limits =
		(struct engine_limits){.recipients = (size_t)conf_int(group, "max_recipients"),
			.copies = (size_t)conf_int(group, "max_copies"),
			.next_size = (uint64_t)conf_int(group, "next_size_limit"),
			.depth = (unsigned)conf_int(group, "max_depth"),
			.end_ms = conf_int(group, "end_timeout"),
			.refuse_at_rcpt = conf_bool(group, "refuse_at_rcpt")};
	engine->help_url = help_url && *help_url ? help_url : NULL;
	engine->delimiter = delimiter ? *delimiter : '\0';
	engine->lookup_timeout = lookup_timeout(engine->conf);
}

static enum rc
engine_fill(struct engine *engine, const char *service, struct err *err)
{
	const struct conf_group *group = conf_section(engine->conf, "organisation");
	const char *const *domains;
	enum rc rc = find_service(engine, service, err);

	charset_prepare();
	engine->authserv_id = conf_str(group, "authserv_id");
	if (!engine->authserv_id && conf_strings(group, "domains", &domains) > 0)
		engine->authserv_id = **domains == '.' ? *domains + 1 : *domains;
	read_settings(engine);
	if (rc == RC_OK)
		rc = policy_compile(engine->conf, &engine->policy, err);
	if (rc == RC_OK)
		rc = rights_compile(engine->conf, &engine->rights, err);
	if (rc == RC_OK && policy_needs_class(engine->policy, CLASS_REPLY))
		rc = replies_new(engine->conf, &engine->replies, err);
	if (rc == RC_OK) {
		rc = logins_new(engine->conf, &engine->logins, err);
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	if (rc == RC_OK)
		rc = alias_map_load(conf_str(group, "alias_map"), &engine->aliases, err);
	if (rc == RC_OK)
		rc = load_stamp_keys(engine, err);
	if (rc != RC_OK || engine->role == ROLE_GATE)
		return rc; /* a gate looks nothing up and uses no key of anybody's */
	if (rc == RC_OK)
		rc = forwarding_new(engine->conf, engine->policy, &engine->forwarding, err);
	if (rc == RC_OK || rc == RC_NONE) {
		const char *const *names;
		size_t n = policy_groups(engine->policy, &names);

		rc = groups_new(engine->conf, names, n, &engine->groups, err);
	}
	if (rc == RC_OK || rc == RC_NONE)
		rc = open_store(engine, err);
	if (rc == RC_OK)
		rc = trust_dirs_init(&engine->trust_dirs, engine->conf, err);
	if (rc == RC_OK)
		rc = sources_new(engine, NULL, &engine->sources, err);
	if (rc == RC_OK)
		rc = vault_client_new(engine->conf, engine->service, &engine->vault, err);
	if (rc == RC_OK)
		rc = learning_new(engine->conf, &engine->learning, err);
	return rc;
}

enum rc
engine_new(struct conf *conf, const char *service, struct engine **out, struct err *err)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	enum rc rc;

	*out = NULL;
	if (!engine)
		return err_set(err, ERR_MEMORY, "engine");
	atomic_init(&engine->refs, 1);
	atomic_init(&engine->looked_ms, -LOOK_MS);
	pthread_mutex_init(&engine->lock, NULL);
	engine->conf = conf_ref(conf);
	engine->generation = engine->crl_time = -1;
	rc = engine_fill(engine, service, err);
	if (rc == RC_OK)
		*out = engine;
	else
		engine_unref(&engine);
	return rc;
}

struct engine *
engine_ref(struct engine *engine)
{
	atomic_fetch_add(&engine->refs, 1);
	return engine;
}

void
engine_unref(struct engine **engine)
{
	struct engine *e = *engine;

	*engine = NULL;
	if (!e || atomic_fetch_sub(&e->refs, 1) != 1)
		return;
	sources_unref(&e->sources);
	trust_dirs_fini(&e->trust_dirs);
	learning_free(&e->learning);
	certstore_close(&e->store);
	vault_client_free(&e->vault);
	stamp_keys_free(&e->stamp_keys);
	forwarding_free(&e->forwarding);
	groups_free(&e->groups);
	policy_free(&e->policy);
	rights_free(&e->rights);
	logins_free(&e->logins);
	replies_free(&e->replies);
	alias_map_free(&e->aliases);
	pthread_mutex_destroy(&e->lock);
	conf_unref(&e->conf);
	free(e);
}

void
engine_hold_decisions(struct engine *engine)
{
	if (engine->vault) /* a gate needs none */
		vault_client_hold(engine->vault);
	if (engine->learning)
		learning_behind(engine->learning);
}

void
engine_flush_decisions(struct engine *engine)
{
	if (engine->vault)
		vault_client_flush(engine->vault);
	if (engine->learning)
		learning_wait(engine->learning, LEARN_MS);
}

struct certstore *
engine_store(const struct engine *engine)
{
	return engine->store;
}

struct learning *
engine_learning(const struct engine *engine)
{
	return engine->learning;
}

int64_t
engine_store_generation(const struct engine *engine)
{
	int64_t generation = -1;

	if (!engine->store || certstore_generation(engine->store, &generation, NULL) != RC_OK)
		return -1;
	return generation;
}

const struct conf *
engine_conf(const struct engine *engine)
{
	return engine->conf;
}

struct spool_conf
engine_spool_conf(const struct engine *engine)
{
	return engine->spool;
}

const struct engine_limits *
engine_limits(const struct engine *engine)
{
	return &engine->limits;
}

const char *
engine_service(const struct engine *engine)
{
	return engine->service;
}

enum role
engine_role(const struct engine *engine)
{
	return engine->role;
}

const struct policy *
engine_policy(const struct engine *engine)
{
	return engine->policy;
}

const struct rights *
engine_rights(const struct engine *engine)
{
	return engine->rights;
}

const struct stamp_keys *
engine_stamp_keys(const struct engine *engine)
{
	return engine->stamp_keys;
}

struct groups *
engine_groups(const struct engine *engine)
{
	return engine->groups;
}

struct forwarding *
engine_forwarding(const struct engine *engine)
{
	return engine->forwarding;
}

bool
engine_refuses(const struct engine *engine)
{
	return engine->refuses;
}

bool
engine_checks_stamps(const struct engine *engine)
{
	return engine->checks_stamps;
}

struct replies *
engine_replies(const struct engine *engine)
{
	return engine->replies;
}

struct logins *
engine_logins(const struct engine *engine)
{
	return engine->logins;
}

struct vault_client *
engine_vault(const struct engine *engine)
{
	return engine->vault;
}

const char *
engine_authserv_id(const struct engine *engine)
{
	return engine->authserv_id;
}

const char *
engine_help_url(const struct engine *engine)
{
	return engine->help_url;
}

void
engine_note_used(const struct engine *engine, const char *addr, const struct lookup_result *found)
{
	for (size_t i = 0; engine->store && found && i < found->n; i++)
		if (found->v[i].used)
			certstore_used(engine->store, addr, found->v[i].cert, found->v[i].source);
}

int
engine_lookup_timeout(const struct engine *engine)
{
	return engine->lookup_timeout;
}

void
engine_person(const struct engine *engine, const char *addr, char *out)
{
	bool ours = policy_is_ours(engine->policy, addr);

	alias_map_person(engine->aliases, addr, ours ? engine->delimiter : '\0', out);
}
