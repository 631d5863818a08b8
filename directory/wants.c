/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/wants.h"

#include "base/clock.h"
#include "base/counter.h"
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NOTED           2048 /* notes that are remembered; a power of two */
#define SOON_MS         1000
#define NOW_AND_THEN_MS 3600000
#define RECONNECT_MS    500
#define JUST_NOW_S      3 /* in which what was fetched is loaded */

struct noted {
	uint64_t hash;
	int64_t until; /* clock_monotonic_ms */
};

struct wants {
	struct sockaddr_un addr;
	pthread_mutex_t lock; /* for what follows; held for calls that do not wait */
	int fd;               /* -1: not connected */
	int64_t tried;        /* when it was tried to connect last */
	bool away;            /* the log says so */
	char dir[PATH_MAX];   /* of what was fetched */
	struct noted noted[NOTED];
	struct noted certs[NOTED]; /* certificates whose URLs were noted */
};

enum rc
wants_open(const struct conf *conf, struct wants **out, struct err *err)
{
	const char *path = conf_str(conf_section(conf, "fetch"), "socket");
	struct wants *wants;

	*out = NULL;
	if (!path || !*path)
		return RC_OK;
	if (strlen(path) >= sizeof(wants->addr.sun_path))
		return err_set(err, ERR_CONFIG, "fetch.socket: %s: too long for a socket", path);
	wants = calloc(1, sizeof(*wants));
	if (!wants)
		return err_set(err, ERR_MEMORY, "wants");
	wants->addr.sun_family = AF_UNIX;
	strcpy(wants->addr.sun_path, path);
	snprintf(wants->dir, sizeof(wants->dir), "%.3000s",
		conf_str(conf_section(conf, "fetch"), "dir"));
	wants->fd = -1;
	wants->tried = -RECONNECT_MS;
	pthread_mutex_init(&wants->lock, NULL);
	*out = wants;
	return RC_OK;
}

void
wants_close(struct wants **wants)
{
	if (!*wants)
		return;
	if ((*wants)->fd >= 0)
		close((*wants)->fd);
	pthread_mutex_destroy(&(*wants)->lock);
	free(*wants);
	*wants = NULL;
}

/* FNV-1a; what collides is noted later. */
static uint64_t
hash(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * UINT64_C(1099511628211);
	return h;
}

/* Was the same noted just now? Called with the lock held. */
static struct noted *
find_noted(struct wants *wants, const struct want *want, int64_t now, bool *just_now)
{
	uint64_t h = hash(UINT64_C(14695981039346656037), want->url, want->url_len);
	struct noted *slot;

	h = hash(h, want->name, strlen(want->name));
	if (want->verb == WANT_ISSUER)
		h = hash(h, want->request, want->request_len);
	h += (uint64_t)want->kind + 1;
	slot = &wants->noted[(h ^ h >> 32) & (NOTED - 1)];
	*just_now = slot->hash == h && now < slot->until;
	slot->hash = h;
	return slot;
}

static void
drop_connection(struct wants *wants)
{
	if (wants->fd >= 0)
		close(wants->fd);
	wants->fd = -1;
}

/* Connects without waiting; a socket whose queue is full counts as away. */
static bool
connect_now(struct wants *wants, int64_t now)
{
	if (wants->fd >= 0)
		return true;
	if (now - wants->tried < RECONNECT_MS)
		return false;
	wants->tried = now;
	wants->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (wants->fd >= 0 &&
		connect(wants->fd, (struct sockaddr *)&wants->addr, sizeof(wants->addr)) == 0)
		return true;
	if (!wants->away)
		log_event(LOGL_INFO, NULL, "fetcher-away", "socket", wants->addr.sun_path, "reason",
			strerror(errno), NULL);
	wants->away = true;
	drop_connection(wants);
	return false;
}

/* One packet or nothing. A fetcher that was started anew is connected to anew, once. */
static bool
send_now(struct wants *wants, const struct buf *packet, int64_t now)
{
	for (int i = 0; i < 2 && connect_now(wants, now); i++) {
		ssize_t n = send(wants->fd, packet->data, packet->len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n == (ssize_t)packet->len)
			return true;
		if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
			return false; /* it has enough to do */
		drop_connection(wants);
		wants->tried = now - RECONNECT_MS;
	}
	return false;
}

static void
note(struct wants *wants, const struct want *want, enum wants_need need)
{
	struct buf packet = BUF_INIT(WANT_MAX);
	struct err ignored = ERR_INIT;
	int64_t now = clock_monotonic_ms();
	struct noted *slot;
	bool just_now, sent;

	if (want_format(want, &packet, &ignored) != RC_OK) {
		counter_add(COUNTER_WANTS_DROPPED, 1);
		buf_fini(&packet);
		return;
	}
	pthread_mutex_lock(&wants->lock);
	slot = find_noted(wants, want, now, &just_now);
	/* What is in use and was noted so may be missing a moment later. */
	if (just_now && need == WANTS_MISSING && slot->until > now + SOON_MS)
		just_now = false;
	if (!just_now) {
		sent = send_now(wants, &packet, now);
		slot->until = now + (sent && need == WANTS_IN_USE ? NOW_AND_THEN_MS : SOON_MS);
		counter_add(sent ? COUNTER_WANTS_SENT : COUNTER_WANTS_DROPPED, 1);
		if (sent && wants->away) {
			wants->away = false;
			log_event(LOGL_INFO, NULL, "fetcher-back", NULL);
		}
	}
	pthread_mutex_unlock(&wants->lock);
	buf_fini(&packet);
}

void
wants_note(struct wants *wants, enum want_kind kind, const char *url, enum wants_need need)
{
	struct want want = {.verb = WANT_FETCH, .kind = kind, .url = url, .url_len = strlen(url)};

	if (wants)
		note(wants, &want, need);
}

void
wants_note_ocsp(struct wants *wants, const char *url, const char *name, const void *request,
	size_t len, enum wants_need need)
{
	struct want want = {.verb = WANT_FETCH,
		.kind = WANT_OCSP,
		.url = url,
		.url_len = strlen(url),
		.request = request,
		.request_len = len};

	if (!wants || !want_is_name(name, strlen(name)))
		return;
	strcpy(want.name, name);
	note(wants, &want, need);
}

void
wants_note_issuer(struct wants *wants, const struct cert *issuer)
{
	struct want want = {.verb = WANT_ISSUER};

	want.request = cert_der(issuer, &want.request_len);
	if (wants && want.request_len + 16 <= WANT_MAX) /* one that is longer does without */
		note(wants, &want, WANTS_IN_USE);
}

/* --- as the watcher of a trust --- */

/* Were this certificate's URLs noted just now? */
static bool
cares(void *ctx, const unsigned char *sha256, bool missing)
{
	struct wants *wants = ctx;
	int64_t now = clock_monotonic_ms();
	struct noted *slot;
	uint64_t h;
	bool yes;

	memcpy(&h, sha256, sizeof(h));
	pthread_mutex_lock(&wants->lock);
	slot = &wants->certs[h & (NOTED - 1)];
	yes = slot->hash != h || now >= slot->until || (missing && slot->until > now + SOON_MS);
	if (yes) {
		slot->hash = h;
		slot->until = now + (missing ? SOON_MS : NOW_AND_THEN_MS);
	}
	pthread_mutex_unlock(&wants->lock);
	return yes;
}

static void
take_note(void *ctx, const struct watch_note *note)
{
	enum wants_need need = note->missing ? WANTS_MISSING : WANTS_IN_USE;

	if (note->kind == CERT_URL_OCSP)
		wants_note_ocsp(ctx, note->url, note->name, note->request, note->request_len, need);
	else
		wants_note(ctx, note->kind == CERT_URL_CRL ? WANT_CRL : WANT_CA, note->url, need);
}

static void
take_issuer(void *ctx, const struct cert *issuer)
{
	wants_note_issuer(ctx, issuer);
}

/*
 * The fetcher that listens will bring it, unless it gave it up or brought it already; what came a
 * moment ago may not be in this trust yet. Without a fetcher nothing is awaited.
 */
static bool
awaits(void *ctx, const char *url)
{
	struct wants *wants = ctx;
	char name[WANT_NAME_MAX + 1], path[PATH_MAX];
	struct stat st;
	bool listens;

	pthread_mutex_lock(&wants->lock);
	listens = wants->fd >= 0;
	pthread_mutex_unlock(&wants->lock);
	if (!listens || want_name_of_url(url, name, NULL) != RC_OK)
		return false;
	snprintf(path, sizeof(path), "%.3000s/failed/%s", wants->dir, name);
	if (stat(path, &st) == 0)
		return false;
	snprintf(path, sizeof(path), "%.3000s/aia/%s.cer", wants->dir, name);
	return stat(path, &st) != 0 || time(NULL) - st.st_mtime <= JUST_NOW_S;
}

static void
end(void *ctx)
{
	struct wants *wants = ctx;

	wants_close(&wants);
}

enum rc
wants_watch(const struct conf *conf, struct trust *trust, struct err *err)
{
	struct wants *wants = NULL;
	enum rc rc = wants_open(conf, &wants, err);

	if (wants)
		trust_set_watcher(trust, &(struct watcher){.cares = cares,
						 .note = take_note,
						 .issuer = take_issuer,
						 .awaits = awaits,
						 .free = end,
						 .ctx = wants});
	return rc;
}
