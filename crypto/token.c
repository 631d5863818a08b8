/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/token.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/token_pin.h"
#include "crypto/token_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define START_MS    15000 /* for a module to be loaded and logged in */
#define BACKOFF_MS  500   /* before the first new start; doubled up to … */
#define BACKOFF_MAX 30000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over the list */
static struct token *tokens[TOKENS_MAX * 4];
static size_t n_tokens;
atomic_bool token_background;

const char *const token_state_names[] = {"unused", "starting", "up", "down", "pin-refused"};

/* --- one token's life --- */

static void *keep(void *arg);

/* With the lock. */
static void
start_keeper(struct token *token)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (token->keeper || token->gone || token->state == TOKEN_PIN_REFUSED)
		return;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 256u << 10);
	token->keeper = pthread_create(&thread, &attr, keep, token) == 0;
	pthread_attr_destroy(&attr);
}

void
token_go_down(struct token *token, struct process *process, const char *why)
{
	if (token->process != process)
		return; /* somebody else said so */
	token->process = NULL;
	token->state = TOKEN_DOWN;
	snprintf(token->why, sizeof(token->why), "%s", why);
	log_event(LOGL_ERROR, NULL, "token-down", "token", token->spec.name, "reason", why, NULL);
	process_kill(process);
	process_unref(process);
	pthread_cond_broadcast(&token->idle);
	if (token_background)
		start_keeper(token);
}

/* Starts a process and logs in; without the lock, by one thread at a time. */
static struct process *
begin_process(struct token *token, struct secret *pin, enum wire_status *status, char why[200])
{
	unsigned char packet[WIRE_MAX], answer[WIRE_MAX];
	struct process *p = process_new(&token->spec);
	size_t len, n = 0;

	*status = WIRE_TROUBLE;
	if (!p) {
		snprintf(why, 200, "no process: %s", strerror(errno));
		return NULL;
	}
	len = process_request(packet, WIRE_LOGIN, 0, NULL, pin ? secret_data(pin) : NULL,
		pin ? secret_len(pin) : 0);
	if (process_exchange(p->control, packet, len, clock_monotonic_ms() + START_MS, answer, &n))
		*status = answer[0];
	secret_wipe(packet, sizeof(packet));
	if (n && *status == WIRE_OK)
		return p;
	snprintf(why, 200, "%.*s", n ? (int)(n - 1) : 20,
		n ? (const char *)answer + 1 : "it does not answer");
	process_kill(p);
	process_unref(p);
	return NULL;
}

void
token_begin(struct token *token)
{
	struct secret *pin = NULL;
	struct process *p = NULL;
	enum wire_status status = WIRE_TROUBLE;
	char why[200] = "no PIN";
	bool has_pin = token->pin != NULL;

	token->state = TOKEN_STARTING;
	if (has_pin && secret_copy(secret_data(token->pin), secret_len(token->pin), &pin, NULL))
		has_pin = false;
	pthread_mutex_unlock(&token->lock);
	if (has_pin)
		p = begin_process(token, pin, &status, why);
	pthread_mutex_lock(&token->lock);
	if (p && token->gone) {
		process_kill(p);
		process_unref(p);
		p = NULL;
	}
	/* Meanwhile there may be another PIN; the one that was refused is what counts. */
	if (!p && status == WIRE_PIN &&
		!(token->pin && secret_len(token->pin) == secret_len(pin) &&
			secret_compare(
				secret_data(token->pin), secret_data(pin), secret_len(pin)) == 0))
		status = WIRE_TROUBLE;
	token->process = p;
	token->failures = 0;
	token->state = p ? TOKEN_UP : status == WIRE_PIN ? TOKEN_PIN_REFUSED : TOKEN_DOWN;
	if (p) {
		log_event(LOGL_INFO, NULL, "token-up", "token", token->spec.name, NULL);
	} else {
		if (strcmp(why, token->why) != 0)
			log_event(LOGL_ERROR, NULL,
				status == WIRE_PIN ? "token-pin-refused" : "token-down", "token",
				token->spec.name, "reason", why, NULL);
		snprintf(token->why, sizeof(token->why), "%s", why);
	}
	secret_free(&pin);
	pthread_cond_broadcast(&token->idle);
}

/* Starts it, as often as it takes. */
static void *
keep(void *arg)
{
	struct token *token = arg;
	int64_t wait = 0;

	pthread_mutex_lock(&token->lock);
	while (token_background && !token->gone && token->state != TOKEN_UP &&
		token->state != TOKEN_PIN_REFUSED) {
		pthread_mutex_unlock(&token->lock);
		usleep((useconds_t)wait * 1000);
		pthread_mutex_lock(&token->lock);
		wait = wait ? 2 * wait : BACKOFF_MS;
		wait = wait < BACKOFF_MAX ? wait : BACKOFF_MAX;
		if (token_background && !token->gone && token->state != TOKEN_UP &&
			token->state != TOKEN_PIN_REFUSED)
			token_begin(token);
	}
	token->keeper = false;
	pthread_mutex_unlock(&token->lock);
	return NULL;
}

/* --- the set --- */

static struct token *
token_new(const struct conf *conf, const struct conf_group *group)
{
	const struct conf_group *vault = conf_section(conf, "vault");
	const char *vault_group = conf_str(vault, "group");
	struct token *token = calloc(1, sizeof(*token));
	pthread_condattr_t attr;

	if (!token)
		return NULL;
	pthread_mutex_init(&token->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&token->idle, &attr);
	pthread_condattr_destroy(&attr);
	token->spec.name = strdup(conf_str(group, "name"));
	token->spec.module = strdup(conf_str(group, "module"));
	token->pin_spec = strdup(conf_str(group, "pin"));
	token->spec.user = strdup(conf_str(vault, "user"));
	token->spec.group = strdup(vault_group ? vault_group : "");
	token->spec.sessions = (size_t)conf_int(group, "sessions");
	token->timeout_ms = conf_int(group, "timeout");
	if (token->spec.name && token->spec.module && token->pin_spec && token->spec.user &&
		token->spec.group)
		return token;
	free(token->spec.user);
	free(token->spec.group);
	free(token->spec.name);
	free(token->spec.module);
	free(token->pin_spec);
	free(token);
	return NULL;
}

/* One of the list that GROUP describes; NULL: none yet. */
static struct token *
find_same(const struct conf_group *group)
{
	for (size_t i = 0; i < n_tokens; i++) {
		struct token *t = tokens[i];

		if (!t->gone && strcmp(t->spec.name, conf_str(group, "name")) == 0 &&
			strcmp(t->spec.module, conf_str(group, "module")) == 0 &&
			strcmp(t->pin_spec, conf_str(group, "pin")) == 0 &&
			t->spec.sessions == (size_t)conf_int(group, "sessions") &&
			t->timeout_ms == conf_int(group, "timeout"))
			return t;
	}
	return NULL;
}

/* No longer wanted: its keys are not there any more. With the list's lock. */
static void
let_go(struct token *token)
{
	pthread_mutex_lock(&token->lock);
	if (!token->gone) {
		token->gone = true;
		if (token->process)
			token_go_down(
				token, token->process, "it is not in the configuration any more");
	}
	secret_free(&token->pin);
	pthread_mutex_unlock(&token->lock);
}

/* Reads the PIN; another one is a new chance. */
static enum rc
take_pin(const struct conf *conf, struct token *token, uid_t owner, bool known, struct err *err)
{
	struct secret *pin = NULL;
	struct err why = ERR_INIT;
	enum rc rc;

	if (known && strcmp(token->pin_spec, "ask") == 0)
		return RC_OK;
	rc = token_read_pin(conf, token->spec.name, token->pin_spec, owner, &pin, &why);
	pthread_mutex_lock(&token->lock);
	if (rc && token->pin) {
		log_error(LOGL_WARN, NULL, "token-pin-kept", &why, "token", token->spec.name, NULL);
		rc = RC_OK;
	} else if (rc &&
		   why.code == ERR_TOKEN) { /* its keys wait; that is no reason for others to */
		log_error(LOGL_ERROR, NULL, "token-no-pin", &why, "token", token->spec.name, NULL);
		snprintf(token->why, sizeof(token->why), "no PIN");
		rc = RC_OK;
	} else if (!rc) {
		bool same = token->pin && secret_len(token->pin) == secret_len(pin) &&
			    secret_compare(secret_data(token->pin), secret_data(pin),
				    secret_len(pin)) == 0;

		secret_free(&token->pin);
		token->pin = pin;
		if (!same && token->state == TOKEN_PIN_REFUSED)
			token->state = token_background ? TOKEN_DOWN : TOKEN_UNUSED;
		if (token_background && token->state != TOKEN_UP)
			start_keeper(token);
	}
	pthread_mutex_unlock(&token->lock);
	if (rc && err)
		*err = why;
	return rc;
}

static enum rc
set_all(const struct conf *conf, uid_t owner, struct err *err)
{
	size_t n = conf_count(conf, "tokens"), kept = 0;
	struct token *wanted[TOKENS_MAX];
	enum rc rc = RC_OK;

	if (n > TOKENS_MAX)
		return err_set(err, ERR_CONFIG, "tokens: more than %u", TOKENS_MAX);
	for (size_t i = 0; !rc && i < n; i++) {
		const struct conf_group *group = conf_item(conf, "tokens", i);
		struct token *token = find_same(group);
		bool known = token != NULL;

		for (size_t k = 0; k < i; k++)
			if (strcmp(wanted[k]->spec.name, conf_str(group, "name")) == 0)
				return conf_err(err, conf, group, "name", "it is there twice");
		if (!token && n_tokens == sizeof(tokens) / sizeof(*tokens))
			return err_set(err, ERR_CONFIG, "tokens changed too often: restart");
		if (!token)
			token = token_new(conf, group);
		if (!token)
			return err_set(err, ERR_MEMORY, "tokens");
		if (!known)
			tokens[n_tokens++] = token;
		wanted[kept++] = token;
		rc = take_pin(conf, token, owner, known, err);
	}
	for (size_t i = 0; !rc && i < n_tokens; i++) {
		bool stays = false;

		for (size_t k = 0; k < kept; k++)
			stays |= tokens[i] == wanted[k];
		if (!stays)
			let_go(tokens[i]);
	}
	return rc;
}

enum rc
tokens_set(const struct conf *conf, uid_t owner, struct err *err)
{
	enum rc rc;

	pthread_mutex_lock(&lock);
	rc = set_all(conf, owner, err);
	pthread_mutex_unlock(&lock);
	return rc;
}

void
tokens_start(void)
{
	pthread_mutex_lock(&lock);
	token_background = true;
	for (size_t i = 0; i < n_tokens; i++) {
		pthread_mutex_lock(&tokens[i]->lock);
		if (!tokens[i]->gone && tokens[i]->state != TOKEN_UP)
			start_keeper(tokens[i]);
		pthread_mutex_unlock(&tokens[i]->lock);
	}
	pthread_mutex_unlock(&lock);
}

void
tokens_stop(void)
{
	pthread_mutex_lock(&lock);
	token_background = false;
	for (size_t i = 0; i < n_tokens; i++) {
		struct token *token = tokens[i];

		pthread_mutex_lock(&token->lock);
		if (token->process) {
			struct process *p = token->process;

			token->process = NULL;
			token->state = TOKEN_UNUSED;
			process_kill(p);
			process_unref(p);
		}
		pthread_mutex_unlock(&token->lock);
	}
	pthread_mutex_unlock(&lock);
}

size_t
tokens_list(struct token_state out[TOKENS_MAX])
{
	size_t n = 0;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n_tokens && n < TOKENS_MAX; i++) {
		struct token *token = tokens[i];

		pthread_mutex_lock(&token->lock);
		if (!token->gone) {
			out[n].name = token->spec.name;
			out[n].state = token_state_names[token->state];
			snprintf(out[n].why, sizeof(out[n].why), "%s",
				token->state == TOKEN_UP ? "" : token->why);
			n++;
		}
		pthread_mutex_unlock(&token->lock);
	}
	pthread_mutex_unlock(&lock);
	return n;
}

bool
tokens_refuse_pin(void)
{
	struct token_state list[TOKENS_MAX];
	size_t n = tokens_list(list);

	for (size_t i = 0; i < n; i++)
		if (list[i].state == token_state_names[TOKEN_PIN_REFUSED])
			return true;
	return false;
}

enum rc
token_find(const char *label, struct token **out, struct err *err)
{
	*out = NULL;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n_tokens; i++)
		if (!tokens[i]->gone && strcmp(tokens[i]->spec.name, label) == 0)
			*out = tokens[i];
	pthread_mutex_unlock(&lock);
	return *out ? RC_OK
		    : err_set(err, ERR_TOKEN, "token %s is not in the configuration", label);
}
