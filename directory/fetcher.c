/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/fetcher_private.h"

#include "base/clock.h"
#include "base/counter.h"
#include "base/log.h"
#include "directory/fetch_folder.h"
#include "directory/fetch_plan.h"

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define SAVE_MS      10000
#define TIDY_S       3600
#define DEPTH_MAX    4 /* from a certificate in a message up to the root */
#define ISSUERS_MAX  2 /* URLs of one file of CA certificates that are followed */
#define FDS          160
#define FAILURES_MAX 3 /* in a row, then mail does not wait for a CA's certificate any more */

/* 0 to 99. */
static unsigned
luck(void)
{
	unsigned char byte = 50;

	(void)!getrandom(&byte, 1, GRND_NONBLOCK);
	return byte % 100;
}

static void
wake(void *ctx)
{
	fetch_http_wake(ctx);
}

/* --- what came --- */

/* Is it what was asked for, and better than OLD? */
static enum rc
look(const struct fetcher *fetcher, const struct fetch_item *item, const struct fetch_job *job,
	const struct buf *old, struct fetched *out, struct err *err)
{
	const struct fetched_answer answer = {.request = job->request.data,
		.request_len = job->request.len,
		.nonce = settings_of(fetcher)->nonce,
		.old = buf_text(old),
		.old_len = old->len,
		.old_begins = item->begins,
		.known = &fetcher->known};
	const char *data = buf_text(&job->data);
	int64_t now = clock_now();
	const struct fetched_there there = {buf_text(old), old->len, &fetcher->known, now};

	if (item->kind == WANT_CRL)
		return fetched_crl(data, job->data.len, &there, out, err);
	if (item->kind == WANT_CA)
		return fetched_certs(data, job->data.len, buf_text(old), old->len, now, out, err);
	return fetched_ocsp(&answer, data, job->data.len, now, out, err);
}

/* A list that may be forged is kept for those who can tell, but asked for again soon. */
static enum rc
doubt(const struct fetched *fetched, struct err *err)
{
	return err_set(err, ERR_FETCH_ANSWER,
		"the list is not signed by a key of its CA that is known%s",
		fetched->beside ? ": it is kept beside the one there, which is" : "");
}

/* Looks at what came and writes it. RC_NONE: it is what was there. */
static enum rc
keep(struct fetcher *fetcher, struct fetch_item *item, const struct fetch_job *job, struct err *err)
{
	const struct fetch_settings *s = settings_of(fetcher);
	struct buf old = BUF_INIT(s->max_bytes[item->kind] + 4 * 65536);
	struct fetched fetched = {0};
	struct err ignored = ERR_INIT;
	enum rc rc;

	/* One that cannot be read is as good as none. */
	if (fetch_folder_read(s->dir, item, &old, &ignored) != RC_OK)
		buf_clear(&old);
	rc = look(fetcher, item, job, &old, &fetched, err);
	if (rc == RC_OK)
		rc = fetch_folder_write(s->dir, item, &fetched.data, fetched.beside, err);
	if ((rc == RC_OK || rc == RC_NONE) && !fetched.beside) {
		item->begins = fetched.begins;
		item->ends = fetched.ends;
	}
	if ((rc == RC_OK || rc == RC_NONE) && fetched.proof == FETCHED_DOUBTFUL)
		rc = doubt(&fetched, err);
	else if (rc == RC_OK || rc == RC_NONE)
		fetch_folder_drop_beside(s->dir, item);
	fetched_fini(&fetched);
	buf_fini(&old);
	return rc;
}

static void
log_fetched(const struct fetch_item *item, const struct fetch_job *job, bool unchanged)
{
	char ends[CLOCK_TEXT_SIZE], next[CLOCK_TEXT_SIZE], path[WANT_NAME_MAX + 16];

	fetch_item_path(item, path, sizeof(path));
	log_event(LOGL_INFO, NULL, "fetched", "kind", want_kind_name(item->kind), "url", item->url,
		"file", path, "unchanged", unchanged ? "yes" : NULL, "bytes",
		LOG_NUM(job->data.len), "expires",
		item->ends > 0 ? clock_format(item->ends, ends) : NULL, "next",
		clock_format(item->next, next), NULL);
}

static void
went_well(struct fetcher *fetcher, struct fetch_item *item, const struct fetch_job *job,
	bool unchanged)
{
	item->fetched = item->tried = clock_now();
	item->failures = 0;
	*item->why = '\0';
	if (item->kind == WANT_CA)
		fetch_folder_give_up(settings_of(fetcher)->dir, item->name, false);
	if (!job->unchanged || *job->etag)
		snprintf(item->etag, sizeof(item->etag), "%s", job->etag);
	if (!job->unchanged || *job->modified)
		snprintf(item->modified, sizeof(item->modified), "%s", job->modified);
	item->next = fetch_plan_refresh(
		settings_of(fetcher), item->kind, item->begins, item->ends, item->fetched, luck());
	counter_add(unchanged ? COUNTER_FETCHED_UNCHANGED : COUNTER_FETCHED, 1);
	log_fetched(item, job, unchanged);
}

/* A CA's certificate that mail is not to wait for any longer. */
static bool
is_given_up(const struct fetch_item *item)
{
	return item->kind == WANT_CA && item->failures >= FAILURES_MAX;
}

static void
went_wrong(struct fetcher *fetcher, struct fetch_item *item, const struct fetch_job *job,
	const struct err *err)
{
	char next[CLOCK_TEXT_SIZE];
	int64_t now = clock_now();

	item->tried = now;
	item->failures++;
	if (is_given_up(item))
		fetch_folder_give_up(settings_of(fetcher)->dir, item->name, true);
	snprintf(item->why, sizeof(item->why), "%.255s", err->detail);
	/* What may have gone from the folder is asked for in full. */
	*item->etag = *item->modified = '\0';
	item->next = fetch_plan_retry(
		settings_of(fetcher), item->failures, job ? job->retry_after : 0, now, luck());
	counter_add(COUNTER_FETCH_FAILED, 1);
	log_error(LOGL_WARN, NULL, "fetch-failed", err, "kind", want_kind_name(item->kind), "url",
		item->url, "failures", LOG_NUM(item->failures), "next",
		clock_format(item->next, next), NULL);
}

/* Asks for one URL that ITEM leads to. */
static void
want_one(struct fetcher *fetcher, const struct fetch_item *item, const char *url)
{
	struct want want = {
		.verb = WANT_FETCH, .kind = item->kind, .url = url, .url_len = strlen(url)};
	struct fetch_item *next = fetch_list_find(fetcher->list, item->kind, url, "");
	bool known = next != NULL;

	if (next == item)
		return;
	fetcher_ask(fetcher, &want, false);
	next = known ? NULL : fetch_list_find(fetcher->list, item->kind, url, "");
	if (next)
		next->depth = item->depth + 1;
}

/*
 * A list that names its deltas is half of what is needed; so is the certificate of a CA without
 * that CA's own: nobody believes it, and so nobody asks for more, until it has a path. Whoever
 * writes certificates can lead on and on: not far, and not to many.
 */
static void
want_more(struct fetcher *fetcher, struct fetch_item *item)
{
	char path[WANT_NAME_MAX + 16];
	const struct fetch_settings *s = settings_of(fetcher);
	struct fetched file = {.data = BUF_INIT(s->max_bytes[item->kind] + 4 * 65536)};
	struct cert_urls urls = {0};
	size_t most = item->kind == WANT_CRL ? CERT_URLS_MAX : ISSUERS_MAX;

	if (item->kind == WANT_OCSP || item->depth >= DEPTH_MAX)
		return;
	fetch_item_path(item, path, sizeof(path));
	if (fetch_folder_read(s->dir, item, &file.data, NULL) == RC_OK)
		(void)(item->kind == WANT_CRL ? fetched_crl_urls(&file, &urls, NULL)
					      : fetched_issuer_urls(&file, &urls, NULL));
	item->busy = true; /* it is not pushed out by what it leads to */
	for (size_t i = 0; i < urls.n && i < most; i++)
		want_one(fetcher, item, urls.v[i]);
	item->busy = false;
	cert_urls_fini(&urls);
	fetched_fini(&file);
}

/* A transfer of JOB's host is over. */
static void
count_end(struct fetcher *fetcher, struct fetch_job *job)
{
	if (*job->host)
		fetch_hosts_end(fetcher->hosts, job->host, job->bytes, clock_now());
	counter_add(COUNTER_FETCHED_KB, (long)((job->bytes + 1023) / 1024));
	*job->host = '\0';
	job->bytes = 0;
}

/* It is led to another host. */
static int64_t
on_move(void *ctx, struct fetch_job *job, const char *host)
{
	struct fetcher *fetcher = ctx;
	int64_t later;

	count_end(fetcher, job);
	later = fetch_hosts_begin(fetcher->hosts, settings_of(fetcher), host, clock_now());
	if (!later)
		snprintf(job->host, sizeof(job->host), "%s", host);
	return later;
}

/* Nothing went wrong: a host has no room yet. */
static void
postpone(struct fetch_item *item, const struct fetch_job *job)
{
	int64_t now = clock_now();

	snprintf(item->why, sizeof(item->why), "%.255s", job->err.detail);
	item->next = job->later > now ? job->later : now + FETCH_SOONEST;
}

static void
take_job(struct fetcher *fetcher, struct fetch_job *job)
{
	struct fetch_item *item = fetch_list_by_id(fetcher->list, job->item);
	struct err err = job->err;
	bool unchanged;
	enum rc rc = job->rc;

	count_end(fetcher, job);
	if (item && job->later) {
		item->busy = false;
		fetcher->changed = true;
		fetcher->next = 0;
		postpone(item, job);
	} else if (item) {
		item->busy = false;
		fetcher->changed = true;
		fetcher->next = 0;
		if (rc == RC_OK && !job->unchanged)
			rc = keep(fetcher, item, job, &err);
		unchanged = job->unchanged || rc == RC_NONE;
		if (rc == RC_OK || rc == RC_NONE)
			went_well(fetcher, item, job, unchanged);
		else
			went_wrong(fetcher, item, job, &err);
		if (rc == RC_OK && !unchanged)
			want_more(fetcher, item);
	}
	fetch_job_free(&job);
}

/* --- the work --- */

/* Begins one transfer, or ITEM says when. */
static void
begin(struct fetcher *fetcher, struct fetch_item *item, int64_t now)
{
	const struct fetch_settings *s = settings_of(fetcher);
	struct fetch_job *job = NULL;
	struct err err = ERR_INIT;
	int64_t later = fetch_hosts_begin(fetcher->hosts, s, item->host, now);

	if (later) {
		item->next = later;
		return;
	}
	if (fetch_job_new(item, s, &job, &err) != RC_OK) {
		fetch_hosts_end(fetcher->hosts, item->host, 0, now);
		went_wrong(fetcher, item, NULL, &err);
		return;
	}
	/* A file that is gone is asked for, not whether it changed. */
	if (!fetch_folder_has(s->dir, item))
		*job->etag = *job->modified = '\0';
	item->busy = true;
	if (strncasecmp(job->url, "ldap:", 5) == 0)
		fetch_ldap_start(fetcher->ldap, s, &job);
	else
		fetch_http_start(fetcher->http, s, &job);
}

/* Begins what is due, and finds when something is due next. */
static void
begin_due(struct fetcher *fetcher)
{
	int64_t now = clock_now(), next = INT64_MAX;

	if (now < fetcher->next)
		return;
	for (size_t i = 0; i < fetch_list_count(fetcher->list); i++) {
		struct fetch_item *item = fetch_list_at(fetcher->list, i);

		if (!item->busy && item->next <= now &&
			!fetch_hosts_busy(fetcher->hosts, settings_of(fetcher)))
			begin(fetcher, item, now);
		/* What is due and waits for others begins when one of them has ended. */
		if (!item->busy && item->next > now && item->next < next)
			next = item->next;
	}
	fetcher->next = next;
}

/* What nobody asked for goes, with its file. */
static void
forget(struct fetcher *fetcher)
{
	const struct fetch_settings *s = settings_of(fetcher);
	int64_t now = clock_now();

	if (now < fetcher->tidied + TIDY_S && now >= fetcher->tidied)
		return;
	fetcher->tidied = now;
	for (size_t i = fetch_list_count(fetcher->list); i-- > 0;) {
		struct fetch_item *item = fetch_list_at(fetcher->list, i);

		if (!fetch_plan_is_forgotten(s, item, now))
			continue;
		log_event(LOGL_INFO, NULL, "fetch-forgotten", "kind", want_kind_name(item->kind),
			"url", item->url, NULL);
		fetch_folder_remove(s->dir, item);
		fetch_list_remove(fetcher->list, item);
		fetcher->changed = true;
	}
}

static void
save(struct fetcher *fetcher, bool at_once)
{
	char path[PATH_MAX];
	struct err err = ERR_INIT;
	int64_t now = clock_monotonic_ms();

	if (!fetcher->changed || (!at_once && now - fetcher->saved < SAVE_MS))
		return;
	snprintf(path, sizeof(path), "%.4000s/wants", settings_of(fetcher)->dir);
	fetcher->saved = now;
	if (fetch_list_save(fetcher->list, path, &err) == RC_OK)
		fetcher->changed = false;
	else
		log_error(LOGL_ERROR, NULL, "wants-not-saved", &err, NULL);
}

/* Settings that no transfer uses any more. */
static void
drop_old(struct fetcher *fetcher)
{
	if (!fetcher->now->older || fetch_http_active(fetcher->http) > 0)
		return;
	while (fetcher->now->older) {
		struct generation *old = fetcher->now->older;

		fetcher->now->older = old->older;
		fetch_settings_fini(&old->settings);
		free(old);
	}
}

void
fetcher_step(struct fetcher *fetcher, int fd, int timeout_ms)
{
	const struct door_handler handler = fetcher_handler(fetcher);
	struct pollfd fds[FDS];
	struct fetch_job *job;
	size_t n, doors;
	int64_t wait;

	begin_due(fetcher);
	wait = fetcher->next == INT64_MAX ? timeout_ms : (fetcher->next - clock_now()) * 1000;
	if (wait < timeout_ms)
		timeout_ms = wait > 0 ? (int)wait : fetcher->next == 0 ? 0 : 50;
	doors = n = fetch_door_fds(fetcher->door, fds, FDS - 1, &timeout_ms);
	if (fd >= 0)
		fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
	fetch_http_wait(fetcher->http, fds, n, timeout_ms);
	while ((job = fetch_http_take(fetcher->http)) != NULL)
		take_job(fetcher, job);
	while ((job = fetch_ldap_take(fetcher->ldap)) != NULL)
		take_job(fetcher, job);
	fetch_door_serve(fetcher->door, fds, doors, &handler);
	forget(fetcher);
	save(fetcher, false);
	drop_old(fetcher);
}

/* --- life --- */

/* The group that may connect and read: the configured one, or that of the milter's user. */
static gid_t
readers(const struct conf *conf)
{
	const char *name = conf_str(conf_section(conf, "fetch"), "socket_group");
	const struct group *gr = name ? getgrnam(name) : NULL;
	const struct passwd *pw;

	if (name)
		return gr ? gr->gr_gid : (gid_t)-1;
	pw = getpwnam(conf_str(conf_section(conf, "milter"), "user"));
	return pw ? pw->pw_gid : (gid_t)-1;
}

static enum rc
open_places(struct fetcher *fetcher, struct conf *conf, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "fetch");
	const struct fetch_settings *s = settings_of(fetcher);
	const char *name = conf_str(group, "socket_group");
	const struct passwd *pw = getpwnam(conf_str(group, "user"));
	uid_t uid = geteuid() == 0 && pw ? pw->pw_uid : (uid_t)-1;
	gid_t gid = readers(conf);
	enum rc rc;

	if (name && gid == (gid_t)-1)
		return conf_err(err, conf, group, "socket_group", "no such group: %s", name);
	if (geteuid() == 0 && !pw)
		return conf_err(
			err, conf, group, "user", "no such user: %s", conf_str(group, "user"));
	if (!s->socket || !*s->socket)
		return conf_err(err, conf, group, "socket", "the fetcher needs one");
	rc = fetch_folder_make(s->dir, uid, gid, err);
	return rc == RC_OK ? fetch_door_open(s->socket, uid, gid, &fetcher->door, err) : rc;
}

enum rc
fetcher_open(struct conf *conf, struct fetcher **out, struct err *err)
{
	struct fetcher *fetcher = calloc(1, sizeof(*fetcher));
	enum rc rc = RC_OK;

	*out = NULL;
	if (fetcher)
		fetcher->now = calloc(1, sizeof(*fetcher->now));
	if (!fetcher || !fetcher->now) {
		free(fetcher);
		return err_set(err, ERR_MEMORY, "fetcher");
	}
	rc = fetch_settings_read(conf, &fetcher->now->settings, err);
	if (rc == RC_OK)
		rc = open_places(fetcher, conf, err);
	if (rc == RC_OK)
		*out = fetcher;
	else
		fetcher_close(&fetcher);
	return rc;
}

enum rc
fetcher_start(struct fetcher *fetcher, struct err *err)
{
	const struct fetch_settings *s = settings_of(fetcher);
	char path[PATH_MAX];
	size_t bad = 0;
	enum rc rc = fetch_list_new(s->max_items, &fetcher->list, err);

	if (rc == RC_OK)
		rc = fetch_hosts_new(&fetcher->hosts, err);
	if (rc == RC_OK)
		rc = fetch_http_new(&fetcher->http, err);
	if (rc == RC_OK)
		fetch_http_on_move(fetcher->http, on_move, fetcher);
	if (rc == RC_OK)
		rc = fetch_ldap_new(wake, fetcher->http, &fetcher->ldap, err);
	snprintf(path, sizeof(path), "%.4000s/wants", s->dir);
	if (rc == RC_OK)
		rc = fetch_issuers_load(s->dir, &fetcher->known, err);
	if (rc == RC_OK)
		rc = fetch_list_load(fetcher->list, path, &bad, err);
	if (rc == RC_OK && bad)
		log_event(LOGL_WARN, NULL, "wants-damaged", "file", path, "lines", LOG_NUM(bad),
			NULL);
	if (rc == RC_OK)
		rc = fetch_folder_tidy(s->dir, fetcher->list, clock_now() - s->forget, err);
	for (size_t i = 0; rc == RC_OK && i < fetch_list_count(fetcher->list); i++)
		if (is_given_up(fetch_list_at(fetcher->list, i)))
			fetch_folder_give_up(s->dir, fetch_list_at(fetcher->list, i)->name, true);
	if (rc == RC_OK)
		fetcher_ask_permanent(fetcher);
	fetcher->saved = clock_monotonic_ms();
	fetcher->tidied = clock_now();
	return rc;
}

enum rc
fetcher_reload(struct fetcher *fetcher, struct conf *conf, struct err *err)
{
	struct generation *fresh = calloc(1, sizeof(*fresh));
	const struct fetch_settings *old = settings_of(fetcher);
	enum rc rc;

	if (!fresh)
		return err_set(err, ERR_MEMORY, "fetcher");
	rc = fetch_settings_read(conf, &fresh->settings, err);
	if (rc == RC_OK && (strcmp(fresh->settings.dir, old->dir) != 0 || !fresh->settings.socket ||
				   strcmp(fresh->settings.socket, old->socket) != 0 ||
				   fresh->settings.max_items != old->max_items)) {
		rc = conf_err(err, conf, conf_section(conf, "fetch"), NULL,
			"dir, socket and max_items are read at start only");
		fetch_settings_fini(&fresh->settings);
	}
	if (rc != RC_OK) {
		free(fresh);
		return rc;
	}
	fresh->older = fetcher->now;
	fetcher->now = fresh;
	fetcher_ask_permanent(fetcher);
	fetcher->next = 0;
	return RC_OK;
}

void
fetcher_close(struct fetcher **fetcher)
{
	struct fetcher *f = *fetcher;

	*fetcher = NULL;
	if (!f)
		return;
	if (f->list)
		save(f, true);
	fetch_door_close(&f->door);
	fetch_ldap_free(&f->ldap);
	fetch_http_free(&f->http);
	fetch_hosts_free(&f->hosts);
	fetch_list_free(&f->list);
	certset_fini(&f->known);
	while (f->now) {
		struct generation *old = f->now;

		f->now = old->older;
		if (old->settings.conf)
			fetch_settings_fini(&old->settings);
		free(old);
	}
	free(f);
}
