/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/fetch_http.h"

#include "base/clock.h"
#include "base/log.h"

#include <curl/curl.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HEADERS_MAX 32768 /* bytes of all header lines of one answer */
#define FDS_MAX     160

struct transfer {
	struct fetch_job *job;                 /* owned */
	const struct fetch_settings *settings; /* borrowed */
	CURL *easy;
	struct curl_slist *headers;
	struct fetch_http *http;
	struct transfer *next, *prev;
	int64_t deadline; /* clock_monotonic_ms: for all redirections together */
	long redirects;
	size_t header_bytes;
	bool refused;     /* job->err says why, better than libcurl could */
	bool conditional; /* "unchanged" is an answer */
	char detail[CURL_ERROR_SIZE];
};

struct fetch_http {
	CURLM *multi;
	struct transfer *transfers;
	size_t active;
	struct fetch_job *ended, **tail;
	int64_t (*move)(void *ctx, struct fetch_job *job, const char *host); /* or NULL */
	void *ctx;
};

enum rc
fetch_http_new(struct fetch_http **out, struct err *err)
{
	struct fetch_http *http = calloc(1, sizeof(*http));

	*out = NULL;
	if (!http || curl_global_init(CURL_GLOBAL_DEFAULT) != 0 ||
		!(http->multi = curl_multi_init())) {
		free(http);
		return err_set(err, ERR_MEMORY, "libcurl");
	}
	http->tail = &http->ended;
	*out = http;
	return RC_OK;
}

void
fetch_http_on_move(struct fetch_http *http,
	int64_t (*move)(void *ctx, struct fetch_job *job, const char *host), void *ctx)
{
	http->move = move;
	http->ctx = ctx;
}

static void
free_transfer(struct transfer *t)
{
	struct fetch_http *http = t->http;

	if (t->easy) {
		curl_multi_remove_handle(http->multi, t->easy);
		curl_easy_cleanup(t->easy);
	}
	curl_slist_free_all(t->headers);
	*(t->prev ? &t->prev->next : &http->transfers) = t->next;
	if (t->next)
		t->next->prev = t->prev;
	http->active--;
	fetch_job_free(&t->job);
	free(t);
}

void
fetch_http_free(struct fetch_http **http)
{
	struct fetch_job *job;

	if (!*http)
		return;
	while ((*http)->transfers)
		free_transfer((*http)->transfers);
	while ((job = fetch_http_take(*http)) != NULL)
		fetch_job_free(&job);
	curl_multi_cleanup((*http)->multi);
	curl_global_cleanup();
	free(*http);
	*http = NULL;
}

static void
put_ended(struct fetch_http *http, struct fetch_job *job)
{
	job->next = NULL;
	*http->tail = job;
	http->tail = &job->next;
}

struct fetch_job *
fetch_http_take(struct fetch_http *http)
{
	struct fetch_job *job = http->ended;

	if (job) {
		http->ended = job->next;
		if (!http->ended)
			http->tail = &http->ended;
		job->next = NULL;
	}
	return job;
}

size_t
fetch_http_active(const struct fetch_http *http)
{
	return http->active;
}

void
fetch_http_wake(struct fetch_http *http)
{
	(void)curl_multi_wakeup(http->multi);
}

/* --- what libcurl calls --- */

/* The address was resolved and is about to be connected: the only moment to judge it. */
static curl_socket_t
open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *addr)
{
	struct transfer *t = ctx;
	struct err err = ERR_INIT;

	/* To the proxy that the administrator named; what lies behind is the proxy's to refuse. */
	if (purpose != CURLSOCKTYPE_IPCXN)
		return CURL_SOCKET_BAD;
	if (!t->settings->proxy &&
		fetch_settings_allow_addr(t->settings, &addr->addr, addr->addrlen, &err) != RC_OK) {
		t->job->err = err;
		t->refused = true;
		return CURL_SOCKET_BAD;
	}
	t->refused = false; /* one of several addresses is enough */
	return socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
}

static size_t
take_body(char *data, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	struct fetch_job *job = t->job;

	(void)size;
	if (job->data.len + n > job->data.max) {
		err_set(&job->err, ERR_FETCH_ANSWER, "it is larger than %zu bytes", job->data.max);
		t->refused = true;
		return 0;
	}
	if (buf_append(&job->data, data, n, &job->err) != RC_OK) {
		t->refused = true;
		return 0;
	}
	return n;
}

/* "Name: value" with that name: the value, trimmed, in OUT; left alone when it does not fit. */
static void
take_header(const char *line, size_t len, const char *name, char *out, size_t size)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return;
	line += n + 1;
	len -= n + 1;
	while (len > 0 && (*line == ' ' || *line == '\t'))
		line++, len--;
	while (len > 0 && (unsigned char)line[len - 1] <= ' ')
		len--;
	if (len >= size)
		return;
	for (size_t i = 0; i < len; i++)
		if (line[i] < ' ' || line[i] > '~')
			return;
	memcpy(out, line, len);
	out[len] = '\0';
}

static size_t
take_header_line(char *data, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	struct fetch_job *job = t->job;

	(void)size;
	t->header_bytes += n;
	if (t->header_bytes > HEADERS_MAX) {
		err_set(&job->err, ERR_FETCH_ANSWER, "its header is larger than %d bytes",
			HEADERS_MAX);
		t->refused = true;
		return 0;
	}
	/* A new answer: what an earlier one said (100 Continue) does not count. */
	if (n > 5 && memcmp(data, "HTTP/", 5) == 0)
		*job->etag = *job->modified = '\0';
	take_header(data, n, "ETag", job->etag, sizeof(job->etag));
	take_header(data, n, "Last-Modified", job->modified, sizeof(job->modified));
	return n;
}

/* --- making a request --- */

static bool
add_header(struct transfer *t, const char *name, const char *value)
{
	char line[FETCH_TAG_MAX + 64];
	struct curl_slist *more;

	snprintf(line, sizeof(line), "%s: %s", name, value);
	more = curl_slist_append(t->headers, line);
	if (more)
		t->headers = more;
	return more != NULL;
}

/* SET(option, value) that notices when an option is not there. */
#define SET(option, value) (result |= (int)curl_easy_setopt(easy, option, value))

static int
set_limits(const struct transfer *t, CURL *easy)
{
	const struct fetch_settings *s = t->settings;
	int64_t left = t->deadline - clock_monotonic_ms();
	int result = 0;

	SET(CURLOPT_TIMEOUT_MS, left > 1 ? (long)left : 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, s->connect_ms);
	SET(CURLOPT_LOW_SPEED_LIMIT, s->slow_speed);
	SET(CURLOPT_LOW_SPEED_TIME, s->slow_s);
	SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)t->job->data.max);
	SET(CURLOPT_BUFFERSIZE, 65536L);
	return result;
}

static int
set_rules(struct transfer *t, CURL *easy)
{
	const struct fetch_settings *s = t->settings;
	int result = 0;

	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_NOPROGRESS, 1L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_FRESH_CONNECT, 1L); /* every connection is looked at, none is kept */
	SET(CURLOPT_FORBID_REUSE, 1L);
	SET(CURLOPT_USERAGENT, "sealgate/" PACKAGE_VERSION);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, t);
	/* An empty one: nothing from the environment. */
	SET(CURLOPT_PROXY, s->proxy ? s->proxy : "");
	SET(CURLOPT_NOPROXY, "");
	if (s->ca_file)
		SET(CURLOPT_CAINFO, s->ca_file);
	return result;
}

static int
set_question(struct transfer *t, CURL *easy)
{
	const struct fetch_job *job = t->job;
	int result = 0;

	SET(CURLOPT_URL, job->url);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, t);
	SET(CURLOPT_HEADERFUNCTION, take_header_line);
	SET(CURLOPT_HEADERDATA, t);
	SET(CURLOPT_ERRORBUFFER, t->detail);
	SET(CURLOPT_PRIVATE, t);
	if (job->kind == WANT_OCSP) {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDS, job->request.data);
		SET(CURLOPT_POSTFIELDSIZE, (long)job->request.len);
		result |= !add_header(t, "Content-Type", "application/ocsp-request");
		result |= !add_header(t, "Accept", "application/ocsp-response");
	} else {
		if (*job->etag)
			result |= !add_header(t, "If-None-Match", job->etag);
		if (*job->modified)
			result |= !add_header(t, "If-Modified-Since", job->modified);
	}
	t->conditional = *job->etag || *job->modified;
	SET(CURLOPT_HTTPHEADER, t->headers);
	return result;
}

/* A host that we are led to has its limits like one that we were told of. */
static enum rc
move(const struct transfer *t, const char *host)
{
	struct fetch_job *job = t->job;

	if (t->redirects == 0 || !t->http->move || strcmp(job->host, host) == 0)
		return RC_OK;
	job->later = t->http->move(t->http->ctx, job, host);
	return job->later ? err_set(&job->err, ERR_FETCH_FAILED,
				    "%s, to which it leads, was asked enough for now", host)
			  : RC_OK;
}

/* Begins, or begins again for a redirection. */
static enum rc
begin(struct transfer *t)
{
	struct fetch_job *job = t->job;
	struct fetch_url url;
	enum rc rc = fetch_url_parse(job->url, strlen(job->url), &url, &job->err);

	if (rc == RC_OK && url.scheme == FETCH_LDAP)
		rc = err_set(&job->err, ERR_FETCH_URL, "the server leads from HTTP to LDAP");
	if (rc == RC_OK)
		rc = fetch_settings_allow(t->settings, &url, &job->err);
	if (rc == RC_OK)
		rc = move(t, url.host);
	if (rc != RC_OK)
		return rc;
	if (t->easy) {
		curl_multi_remove_handle(t->http->multi, t->easy);
		curl_easy_cleanup(t->easy);
	}
	curl_slist_free_all(t->headers);
	t->headers = NULL;
	t->header_bytes = 0;
	t->refused = false;
	buf_clear(&job->data);
	t->easy = curl_easy_init();
	if (!t->easy || set_limits(t, t->easy) || set_rules(t, t->easy) ||
		set_question(t, t->easy) ||
		curl_multi_add_handle(t->http->multi, t->easy) != CURLM_OK)
		return err_set(&job->err, ERR_MEMORY, "libcurl");
	return RC_OK;
}

/* Hands the job back and forgets the transfer. */
static void
end(struct transfer *t, enum rc rc)
{
	struct fetch_http *http = t->http;
	struct fetch_job *job = t->job;

	job->rc = rc;
	t->job = NULL; /* the list's now */
	put_ended(http, job);
	free_transfer(t);
}

void
fetch_http_start(
	struct fetch_http *http, const struct fetch_settings *settings, struct fetch_job **job)
{
	struct transfer *t = calloc(1, sizeof(*t));
	enum rc rc;

	if (!t) {
		(*job)->rc = err_set(&(*job)->err, ERR_MEMORY, "a transfer");
		put_ended(http, *job);
		*job = NULL;
		return;
	}
	t->http = http;
	t->settings = settings;
	t->job = *job; /* ours now */
	*job = NULL;
	t->deadline = clock_monotonic_ms() + settings->total_ms;
	t->next = http->transfers;
	if (t->next)
		t->next->prev = t;
	http->transfers = t;
	http->active++;
	rc = begin(t);
	if (rc != RC_OK)
		end(t, rc);
}

/* --- what came --- */

/* Follows a redirection; RC_OK: it is under way. */
static enum rc
follow(struct transfer *t, const char *to)
{
	struct fetch_job *job = t->job;

	if (++t->redirects > t->settings->redirects)
		return err_set(&job->err, ERR_FETCH_ANSWER, "more than %ld redirections",
			t->settings->redirects);
	/* A question with a body is not asked of somebody else. */
	if (job->kind == WANT_OCSP)
		return err_set(&job->err, ERR_FETCH_ANSWER, "the responder redirects");
	if (strlen(to) >= sizeof(job->url))
		return err_set(&job->err, ERR_FETCH_URL, "a redirection to a URL that is too long");
	snprintf(job->url, sizeof(job->url), "%s", to);
	*job->etag = *job->modified = '\0';
	if (begin(t) == RC_OK)
		return RC_OK;
	return err_prefix(&job->err, "a redirection");
}

/* An answer with a status. RC_NONE: it was a redirection and goes on. */
static enum rc
judge_status(struct transfer *t)
{
	struct fetch_job *job = t->job;
	curl_off_t wait = 0;
	char *to = NULL;
	long status = 0;
	enum rc rc;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &wait);
	job->retry_after = wait > 0 ? (int64_t)wait : 0;
	if (status == 200)
		return RC_OK;
	if (status == 304 && t->conditional && job->kind != WANT_OCSP) {
		job->unchanged = true;
		return RC_OK;
	}
	if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) {
		curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &to);
		if (!to)
			return err_set(
				&job->err, ERR_FETCH_ANSWER, "a redirection that leads nowhere");
		to = strdup(to);
		rc = to ? follow(t, to) : err_set(&job->err, ERR_MEMORY, "a redirection");
		free(to);
		return rc == RC_OK ? RC_NONE : rc;
	}
	return err_set(&job->err, ERR_FETCH_FAILED, "the server answers %ld", status);
}

static void
finish(struct transfer *t, CURLcode result)
{
	struct fetch_job *job = t->job;
	curl_off_t got = 0;
	enum rc rc;

	curl_easy_getinfo(t->easy, CURLINFO_SIZE_DOWNLOAD_T, &got);
	job->bytes += (size_t)got + t->header_bytes;
	if (result == CURLE_OK)
		rc = judge_status(t);
	else if (t->refused)
		rc = err_rc(job->err.code);
	else if (result == CURLE_FILESIZE_EXCEEDED)
		rc = err_set(
			&job->err, ERR_FETCH_ANSWER, "it is larger than %zu bytes", job->data.max);
	else
		rc = err_set(&job->err, ERR_FETCH_FAILED, "%s",
			*t->detail ? t->detail : curl_easy_strerror(result));
	if (rc != RC_NONE)
		end(t, rc);
}

void
fetch_http_wait(struct fetch_http *http, struct pollfd *fds, size_t n, int timeout_ms)
{
	struct curl_waitfd extra[FDS_MAX];
	int running, left;
	CURLMsg *msg;

	if (n > FDS_MAX)
		n = FDS_MAX;
	for (size_t i = 0; i < n; i++)
		extra[i] = (struct curl_waitfd){.fd = fds[i].fd,
			.events = (short)((fds[i].events & POLLIN ? CURL_WAIT_POLLIN : 0) |
					  (fds[i].events & POLLOUT ? CURL_WAIT_POLLOUT : 0))};
	if (http->ended)
		timeout_ms = 0;
	(void)curl_multi_poll(http->multi, extra, (unsigned)n, timeout_ms, NULL);
	/* libcurl says nothing of hang-ups: who is gone is noticed by reading. */
	if (n > 0)
		(void)poll(fds, n, 0);
	(void)curl_multi_perform(http->multi, &running);
	while ((msg = curl_multi_info_read(http->multi, &left)) != NULL) {
		struct transfer *t = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		finish(t, msg->data.result);
	}
}
