/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/fetch_ldap.h"

#include "base/clock.h"
#include "directory/ldap_guard.h"

#include <errno.h>
#include <lber.h>
#include <netdb.h>
#include <openldap.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VALUES_MAX   64
#define MESSAGES_MAX 16 /* of an answer; one entry and the result are enough */

struct fetch_ldap {
	atomic_int refs; /* ours, and one of each thread */
	pthread_mutex_t lock;
	bool stopping;
	struct fetch_job *ended;
	void (*wake)(void *ctx);
	void *ctx;
};

struct run {
	struct fetch_ldap *ldap;
	struct fetch_job *job;
	struct fetch_settings settings; /* with a reference of its own to the conf */
	struct fetch_url url;
	struct ldap_guard guard;
};

enum rc
fetch_ldap_new(void (*wake)(void *ctx), void *ctx, struct fetch_ldap **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "LDAP");
	atomic_init(&(*out)->refs, 1);
	pthread_mutex_init(&(*out)->lock, NULL);
	(*out)->wake = wake;
	(*out)->ctx = ctx;
	return RC_OK;
}

static void
unref(struct fetch_ldap *ldap)
{
	if (atomic_fetch_sub(&ldap->refs, 1) != 1)
		return;
	while (ldap->ended) {
		struct fetch_job *job = ldap->ended;

		ldap->ended = job->next;
		fetch_job_free(&job);
	}
	pthread_mutex_destroy(&ldap->lock);
	free(ldap);
}

void
fetch_ldap_free(struct fetch_ldap **ldap)
{
	if (!*ldap)
		return;
	pthread_mutex_lock(&(*ldap)->lock);
	(*ldap)->stopping = true;
	pthread_mutex_unlock(&(*ldap)->lock);
	unref(*ldap);
	*ldap = NULL;
}

struct fetch_job *
fetch_ldap_take(struct fetch_ldap *ldap)
{
	struct fetch_job *job;

	pthread_mutex_lock(&ldap->lock);
	job = ldap->ended;
	if (job) {
		ldap->ended = job->next;
		job->next = NULL;
	}
	pthread_mutex_unlock(&ldap->lock);
	return job;
}

static void
give_back(struct fetch_ldap *ldap, struct fetch_job *job)
{
	pthread_mutex_lock(&ldap->lock);
	job->next = ldap->ended;
	ldap->ended = job;
	if (!ldap->stopping)
		ldap->wake(ldap->ctx);
	pthread_mutex_unlock(&ldap->lock);
}

/* --- the connection --- */

/* Connects FD until the deadline; false with errno. */
static bool
connect_until(int fd, const struct addrinfo *ai, int64_t deadline)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int problem = 0;
	socklen_t len = sizeof(problem);
	int64_t left;
	int n;

	if (connect(fd, ai->ai_addr, ai->ai_addrlen) == 0)
		return true;
	if (errno != EINPROGRESS)
		return false;
	do {
		left = deadline - clock_monotonic_ms();
		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = ETIMEDOUT;
	if (n <= 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &len) != 0)
		return false;
	errno = problem;
	return problem == 0;
}

/* The first address that is allowed and answers. */
static enum rc
connect_to(struct run *run, const struct addrinfo *list, int *out)
{
	struct err *err = &run->job->err;
	int64_t until = clock_monotonic_ms() + run->settings.connect_ms;
	enum rc rc = RC_TEMP;

	err_set(err, ERR_FETCH_FAILED, "the host has no address");
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) {
		int fd;

		rc = fetch_settings_allow_addr(&run->settings, ai->ai_addr, ai->ai_addrlen, err);
		if (rc != RC_OK)
			continue;
		fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd >= 0 && connect_until(fd, ai, until)) {
			*out = fd;
			return RC_OK;
		}
		rc = err_set(err, ERR_FETCH_FAILED, "connect: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	return rc;
}

static enum rc
open_connection(struct run *run, int *fd)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	char port[8];
	int failed;
	enum rc rc;

	snprintf(port, sizeof(port), "%u", run->url.port);
	failed = getaddrinfo(run->url.host, port, &hints, &list);
	if (failed)
		return err_set(&run->job->err, ERR_FETCH_FAILED, "%s", gai_strerror(failed));
	rc = connect_to(run, list, fd);
	freeaddrinfo(list);
	return rc;
}

/* Nothing depends on ldap.conf or the environment. */
static int
set_options(LDAP *ld, size_t max)
{
	int version = LDAP_VERSION3, deref = LDAP_DEREF_NEVER, result = 0;
	ber_len_t most = max + 65536;
	Sockbuf *sb = NULL;

	result |= ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version);
	result |= ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
	result |= ldap_set_option(ld, LDAP_OPT_DEREF, &deref);
	result |= ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_ON);
	result |= ldap_get_option(ld, LDAP_OPT_SOCKBUF, &sb);
	if (result != LDAP_OPT_SUCCESS || !sb ||
		ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &most) < 0)
		return LDAP_LOCAL_ERROR;
	return LDAP_SUCCESS;
}

/* --- the answer --- */

static enum rc
say(struct run *run, LDAP *ld, int result)
{
	char *said = NULL;

	if (run->guard.expired || result == LDAP_TIMEOUT)
		return err_set(&run->job->err, ERR_FETCH_FAILED, "no answer in time");
	ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &said);
	(void)err_set(&run->job->err, ERR_FETCH_FAILED, "%s%s%.100s", ldap_err2string(result),
		said && *said ? ": " : "", said ? said : "");
	ldap_memfree(said);
	return RC_TEMP;
}

/* One value as it is, several as PEM. */
static enum rc
take_values(struct run *run, struct berval **values)
{
	const char *label = run->job->kind == WANT_CRL ? "X509 CRL" : "CERTIFICATE";
	struct fetch_job *job = run->job;
	int n = ldap_count_values_len(values);
	enum rc rc = RC_OK;

	if (n > VALUES_MAX)
		return err_set(&job->err, ERR_FETCH_ANSWER, "the entry has more than %d values",
			VALUES_MAX);
	for (int i = 0; rc == RC_OK && i < n; i++)
		rc = n == 1 ? buf_append(
				      &job->data, values[i]->bv_val, values[i]->bv_len, &job->err)
			    : fetched_append_pem(label, values[i]->bv_val, values[i]->bv_len,
				      &job->data, &job->err);
	job->bytes = job->data.len;
	return rc == RC_OK ? rc
			   : err_set(&job->err, ERR_FETCH_ANSWER, "it is larger than %zu bytes",
				     job->data.max);
}

/* The attribute with or without ";binary"; what the kind asks for when the URL names none. */
static enum rc
take_entry(struct run *run, LDAP *ld, LDAPMessage *entry)
{
	static const char *const usual[] = {"certificateRevocationList", "cACertificate"};
	const char *name = *run->url.attribute ? run->url.attribute : usual[run->job->kind];
	char binary[96];
	struct berval **values;
	enum rc rc;

	snprintf(binary, sizeof(binary), "%s;binary", name);
	values = ldap_get_values_len(ld, entry, binary);
	if (!values)
		values = ldap_get_values_len(ld, entry, name);
	if (!values)
		return err_set(&run->job->err, ERR_FETCH_FAILED, "the entry has no %s", name);
	rc = take_values(run, values);
	ldap_value_free_len(values);
	return rc;
}

/* Message by message: libldap would gather whatever a server sends before the result. *ENTRY is the
 * caller's. */
static int
collect(struct run *run, LDAP *ld, int id, LDAPMessage **entry)
{
	for (int n = 0; n < MESSAGES_MAX; n++) {
		int64_t left = run->guard.deadline - clock_monotonic_ms();
		struct timeval tv = {.tv_sec = left > 0 ? left / 1000 : 0,
			.tv_usec = left > 0 ? left % 1000 * 1000 : 0};
		LDAPMessage *message = NULL;
		int code = LDAP_OTHER, type = ldap_result(ld, id, LDAP_MSG_ONE, &tv, &message);

		if (type == 0)
			return LDAP_TIMEOUT;
		if (type < 0) {
			ldap_get_option(ld, LDAP_OPT_RESULT_CODE, &code);
			return code == LDAP_SUCCESS ? LDAP_OTHER : code;
		}
		if (type == LDAP_RES_SEARCH_RESULT) {
			int result =
				ldap_parse_result(ld, message, &code, NULL, NULL, NULL, NULL, 1);

			return result == LDAP_SUCCESS ? code : result;
		}
		if (type == LDAP_RES_SEARCH_ENTRY && !*entry)
			*entry = message;
		else
			ldap_msgfree(message);
	}
	return LDAP_SIZELIMIT_EXCEEDED;
}

static enum rc
search(struct run *run, LDAP *ld)
{
	static const char *const usual[] = {"certificateRevocationList", "cACertificate"};
	const char *name = *run->url.attribute ? run->url.attribute : usual[run->job->kind];
	char binary[96], plain[96];
	char *attributes[] = {binary, plain, NULL};
	int64_t left = run->guard.deadline - clock_monotonic_ms();
	struct timeval tv = {.tv_sec = left > 1000 ? left / 1000 : 1};
	LDAPMessage *entry = NULL;
	int result, id;
	enum rc rc;

	snprintf(binary, sizeof(binary), "%s;binary", name);
	snprintf(plain, sizeof(plain), "%s", name);
	result = ldap_search_ext(ld, run->url.dn, LDAP_SCOPE_BASE, "(objectClass=*)", attributes, 0,
		NULL, NULL, &tv, 2, &id);
	if (result == LDAP_SUCCESS)
		result = collect(run, ld, id, &entry);
	if (result != LDAP_SUCCESS)
		rc = say(run, ld, result);
	else if (!entry)
		rc = err_set(&run->job->err, ERR_FETCH_FAILED, "there is no such entry");
	else
		rc = take_entry(run, ld, entry);
	ldap_msgfree(entry);
	return rc;
}

static enum rc
fetch(struct run *run)
{
	LDAP *ld = NULL;
	int fd = -1, result;
	enum rc rc = open_connection(run, &fd);

	if (rc != RC_OK)
		return rc;
	result = ldap_init_fd(fd, LDAP_PROTO_TCP, "ldap://", &ld);
	if (result != LDAP_SUCCESS) {
		close(fd);
		return err_set(&run->job->err, ERR_FETCH_FAILED, "%s", ldap_err2string(result));
	}
	result = set_options(ld, run->job->data.max);
	if (result == LDAP_SUCCESS)
		result = ldap_guard_install(ld, &run->guard);
	rc = result == LDAP_SUCCESS ? search(run, ld) : say(run, ld, result);
	run->guard.deadline = 0; /* saying goodbye is worth no waiting */
	ldap_unbind_ext(ld, NULL, NULL);
	return rc;
}

static void *
run_thread(void *arg)
{
	struct run *run = arg;
	struct fetch_ldap *ldap = run->ldap;

	run->job->rc = fetch(run);
	fetch_settings_fini(&run->settings);
	give_back(ldap, run->job);
	free(run);
	unref(ldap);
	return NULL;
}

/* What can be said before there is a thread. */
static enum rc
prepare(struct run *run)
{
	struct fetch_job *job = run->job;
	enum rc rc = fetch_url_parse(job->url, strlen(job->url), &run->url, &job->err);

	if (rc == RC_OK && job->kind == WANT_OCSP)
		rc = err_set(&job->err, ERR_FETCH_URL, "there is no OCSP by LDAP");
	if (rc == RC_OK && *run->url.attribute &&
		(strcmp(run->url.attribute, "cACertificate") == 0) != (job->kind == WANT_CA))
		rc = err_set(
			&job->err, ERR_FETCH_URL, "%s is not what is wanted", run->url.attribute);
	if (rc == RC_OK)
		rc = fetch_settings_allow(&run->settings, &run->url, &job->err);
	return rc;
}

void
fetch_ldap_start(
	struct fetch_ldap *ldap, const struct fetch_settings *settings, struct fetch_job **job)
{
	struct run *run = calloc(1, sizeof(*run));
	struct fetch_job *j = *job;
	pthread_attr_t attr;
	pthread_t thread;
	enum rc rc;

	*job = NULL;
	if (!run) {
		j->rc = err_set(&j->err, ERR_MEMORY, "a transfer");
		give_back(ldap, j);
		return;
	}
	run->ldap = ldap;
	run->job = j;
	run->settings = *settings;
	run->settings.conf = conf_ref(settings->conf);
	run->guard.deadline = clock_monotonic_ms() + settings->total_ms;
	rc = prepare(run);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	atomic_fetch_add(&ldap->refs, 1);
	/* Once there is a thread, run and job are its own. */
	if (rc == RC_OK && pthread_create(&thread, &attr, run_thread, run) == 0)
		run = NULL;
	else if (rc == RC_OK)
		rc = err_set(&j->err, ERR_SYSTEM, "no threads");
	pthread_attr_destroy(&attr);
	if (!run)
		return;
	fetch_settings_fini(&run->settings);
	free(run);
	j->rc = rc;
	give_back(ldap, j);
	unref(ldap);
}
