/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch_http.h - HTTP transfers, several at a time
 *
 * GET of lists and certificates, conditional where there is one already, POST of OCSP requests.
 * libcurl is left nothing to decide: redirections are followed here, each looked at like the first
 * URL; a socket is made only for an allowed address; no other protocols, cookies, logins, netrc,
 * content encodings (nothing is unpacked), environment. Bytes, headers and time have limits. An
 * https server's certificate is verified (fetch.ca_file, or the system's anchors), but nothing is
 * believed for it: what is fetched is signed itself.
 *
 * Threads: one.
 */
#ifndef DIRECTORY_FETCH_HTTP_H
#define DIRECTORY_FETCH_HTTP_H

#include "directory/fetch_job.h"

#include <poll.h>

struct fetch_http;

enum rc fetch_http_new(struct fetch_http **out, struct err *err);
/* Calls MOVE before a job is led to another host: 0 when it may, and is counted there now, else the
 * time (seconds) at which to ask again. */
void fetch_http_on_move(struct fetch_http *http,
	int64_t (*move)(void *ctx, struct fetch_job *job, const char *host), void *ctx);
/* Ends transfers without their answer. */
void fetch_http_free(struct fetch_http **http);
/* Takes the job and begins; when that fails already, it is among those that have ended. SETTINGS
 * must stay until then. */
void fetch_http_start(
	struct fetch_http *http, const struct fetch_settings *settings, struct fetch_job **job);
/* Waits until something happens on a transfer or on one of FDS, at most TIMEOUT_MS, and goes on. */
void fetch_http_wait(struct fetch_http *http, struct pollfd *fds, size_t n, int timeout_ms);
/* The next job that has ended, the caller's now; NULL. */
struct fetch_job *fetch_http_take(struct fetch_http *http);
/* Makes fetch_http_wait return; from any thread. */
void fetch_http_wake(struct fetch_http *http);
size_t fetch_http_active(const struct fetch_http *http);

#endif
