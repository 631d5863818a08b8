/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/token.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/token_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static enum rc
down(const struct token *token, struct err *err)
{
	return err_set(err, ERR_TOKEN, "token %s is %s%s%s", token->spec.name,
		token_state_names[token->state], token->why[0] ? ": " : "", token->why);
}

enum rc
token_ready(const struct token_uri *uri, struct err *err)
{
	struct token *token;
	enum rc rc = token_find(uri->token, &token, err);

	if (rc)
		return rc;
	pthread_mutex_lock(&token->lock);
	if (token->state != TOKEN_UP && (token_background || token->state == TOKEN_PIN_REFUSED))
		rc = down(token, err);
	pthread_mutex_unlock(&token->lock);
	return rc;
}

static bool
wait_idle(struct token *token, int64_t until)
{
	struct timespec ts = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};

	return pthread_cond_timedwait(&token->idle, &token->lock, &ts) != ETIMEDOUT;
}

/* An idle session of the running process; with the lock. */
static enum rc
take_session(struct token *token, int64_t until, struct process **process, size_t *index,
	struct err *err)
{
	if (token->state == TOKEN_UNUSED || (token->state == TOKEN_DOWN && !token_background))
		token_begin(token);
	while (token->state == TOKEN_STARTING && !token_background && wait_idle(token, until))
		;
	while (token->state == TOKEN_UP) {
		struct process *p = token->process;

		for (*index = 0; *index < p->n; ++*index)
			if (!p->busy[*index]) {
				p->busy[*index] = true;
				p->refs++;
				*process = p;
				return RC_OK;
			}
		if (!wait_idle(token, until))
			return err_set(err, ERR_TOKEN, "token %s is busy", token->spec.name);
	}
	return down(token, err);
}

/* What the answer says; anything but data is text. */
static enum rc
take_answer(const struct token *token, const unsigned char *answer, size_t n, unsigned char *out,
	size_t *out_len, struct err *err)
{
	enum wire_status status = answer[0];

	if (status == WIRE_REFUSED || status == WIRE_UNSUPPORTED)
		return RC_OK;
	if (status != WIRE_OK)
		return err_set(err, ERR_TOKEN, "token %s: %.*s", token->spec.name, (int)(n - 1),
			(const char *)answer + 1);
	if (n - 1 > *out_len)
		return err_set(err, ERR_TOKEN, "token %s: an answer of %zu bytes", token->spec.name,
			n - 1);
	memcpy(out, answer + 1, n - 1);
	*out_len = n - 1;
	return RC_OK;
}

static void
give_session(struct token *token, struct process *p, size_t index)
{
	p->busy[index] = false;
	process_unref(p);
	pthread_cond_broadcast(&token->idle);
}

/* Gives the session back when the key has to wait. */
static enum rc
may_try(struct token *token, const struct token_uri *uri, struct process *p, size_t index,
	struct err *err)
{
	int64_t ms = troubles_wait(&token->troubles, uri, clock_monotonic_ms());

	if (ms == 0)
		return RC_OK;
	give_session(token, p, index);
	return err_set(err, ERR_TOKEN, "token %s fails with this key: not tried for another %lld s",
		token->spec.name, (long long)(ms + 999) / 1000);
}

/* What the answer (NULL: none) means for the key and for the token. One key that fails is that
 * key's trouble; with no use between that was good, a fresh start may mend it. */
static void
note_outcome(struct token *token, const struct token_uri *uri, struct process *p,
	const unsigned char *answer, size_t n)
{
	enum wire_status status = answer ? answer[0] : WIRE_TROUBLE;
	int64_t now = clock_monotonic_ms();
	char why[200] = "";

	if (answer && status != WIRE_OK)
		snprintf(why, sizeof(why), "%.*s", (int)(n - 1), (const char *)answer + 1);
	switch (status) {
	case WIRE_OK:
	case WIRE_REFUSED:
		troubles_clear(&token->troubles, uri);
		token->failures = 0;
		break;
	case WIRE_FAILED:
		troubles_note(&token->troubles, uri, 0, now);
		log_event(LOGL_ERROR, NULL, "token-key-failed", "token", token->spec.name, "object",
			uri->object, "reason", why, NULL);
		if (++token->failures > 1)
			token_go_down(token, p, why);
		break;
	case WIRE_UNSUPPORTED:
	case WIRE_NO_KEY:
		break;
	default:
		troubles_note(&token->troubles, uri, p->serial, now);
		token_go_down(token, p, why);
	}
}

enum rc
token_call(const struct token_use *use, enum wire_status *status, unsigned char *out,
	size_t *out_len, struct err *err)
{
	const struct token_uri *uri = use->uri;
	unsigned char packet[WIRE_MAX], answer[WIRE_MAX];
	size_t n = 0, index = 0,
	       size = process_request(packet, use->op, use->param, uri, use->data, use->len);
	struct process *p = NULL;
	struct token *token;
	int64_t until;
	bool answered;
	enum rc rc = size ? token_find(uri->token, &token, err)
			  : err_set(err, ERR_TOKEN, "%zu bytes for a token", use->len);

	*status = WIRE_TROUBLE;
	if (rc)
		return rc;
	pthread_mutex_lock(&token->lock);
	rc = take_session(token, clock_monotonic_ms() + token->timeout_ms, &p, &index, err);
	if (!rc)
		rc = may_try(token, uri, p, index, err);
	pthread_mutex_unlock(&token->lock);
	if (rc)
		return rc;
	until = clock_monotonic_ms() + token->timeout_ms;
	answered = process_exchange(p->fds[index], packet, size, until, answer, &n);
	pthread_mutex_lock(&token->lock);
	if (!answered)
		token_go_down(token, p,
			clock_monotonic_ms() >= until ? "it did not answer in time"
						      : "its process ended");
	note_outcome(token, uri, p, answered ? answer : NULL, n);
	give_session(token, p, index);
	if (!answered)
		rc = err_set(err, ERR_TOKEN, "token %s: no answer", token->spec.name);
	pthread_mutex_unlock(&token->lock);
	if (!rc) {
		*status = answer[0];
		rc = take_answer(token, answer, n, out, out_len, err);
	}
	secret_wipe(packet, size);
	secret_wipe(answer, n);
	return rc;
}

enum rc
token_list(const char *label, struct buf *out, struct err *err)
{
	unsigned char packet[WIRE_MAX], answer[WIRE_MAX];
	size_t n = 0, size = process_request(packet, WIRE_LIST, 0, NULL, NULL, 0), index;
	struct process *p = NULL;
	struct token *token;
	bool answered = false;
	enum rc rc = token_find(label, &token, err);

	if (rc)
		return rc;
	/* The control channel is free when a session is: one list at a time. */
	pthread_mutex_lock(&token->lock);
	rc = take_session(token, clock_monotonic_ms() + token->timeout_ms, &p, &index, err);
	if (!rc) {
		pthread_mutex_unlock(&token->lock);
		answered = process_exchange(p->control, packet, size,
			clock_monotonic_ms() + token->timeout_ms, answer, &n);
		pthread_mutex_lock(&token->lock);
		if (!answered || answer[0] != WIRE_OK)
			token_go_down(token, p, "it could not list its keys");
		give_session(token, p, index);
	}
	pthread_mutex_unlock(&token->lock);
	if (!rc && (!answered || answer[0] != WIRE_OK))
		rc = err_set(err, ERR_TOKEN, "token %s: its keys could not be listed", label);
	return rc ? rc : buf_append(out, answer + 1, n - 1, err);
}
