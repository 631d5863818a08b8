/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/token.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS    15000 /* for a module to be loaded and logged in */
#define BACKOFF_MS  500   /* before the first new start; doubled up to … */
#define BACKOFF_MAX 30000
#define HIGH_FD     100 /* above every descriptor that the process has */
#define PIN_MAX     256

extern char **environ;

/* A process, as long as somebody talks to it. */
struct process {
	int refs; /* under the token's lock, as BUSY */
	pid_t pid;
	int control;
	int fds[TOKEN_SESSIONS_MAX];
	bool busy[TOKEN_SESSIONS_MAX];
	size_t n;
};

enum state { UNUSED, STARTING, UP, DOWN, PIN_REFUSED };

struct token {
	char *name, *module, *pin_spec;
	char *user, *group; /* that its process becomes when we are root */
	size_t sessions;
	int64_t timeout_ms;
	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t idle;  /* a session, or the state, changed */
	enum state state;
	char why[200];
	struct secret *pin;
	struct process *process; /* UP only */
	bool keeper;             /* a thread is starting it, or waits to */
	bool gone;               /* no longer in the configuration */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over the list */
static struct token *tokens[TOKENS_MAX * 4];
static size_t n_tokens;
static bool background;
static token_prompt *ask;

static const char *const state_names[] = {"unused", "starting", "up", "down", "pin-refused"};

/* --- processes --- */

/* Is it gone? Waits a moment for one that was killed. */
static void
reap(pid_t pid)
{
	for (int i = 0; i < 100 && waitpid(pid, NULL, WNOHANG) == 0; i++)
		usleep(10000);
}

/* With the token's lock. */
static void
process_unref(struct process *p)
{
	if (--p->refs > 0)
		return;
	if (p->control >= 0)
		close(p->control);
	for (size_t i = 0; i < p->n; i++)
		close(p->fds[i]);
	free(p);
}

/* Whoever waits for an answer gets an end. */
static void
process_kill(struct process *p)
{
	kill(p->pid, SIGKILL);
	shutdown(p->control, SHUT_RDWR);
	for (size_t i = 0; i < p->n; i++)
		shutdown(p->fds[i], SHUT_RDWR);
	reap(p->pid);
}

/* A pair with our end in *OURS; the other one far above the numbers that it gets there. */
static bool
make_pair(int *ours, int *theirs)
{
	int pair[2], high;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return false;
	high = fcntl(pair[1], F_DUPFD_CLOEXEC, HIGH_FD);
	close(pair[1]);
	if (high < 0) {
		close(pair[0]);
		return false;
	}
	*ours = pair[0];
	*theirs = high;
	return true;
}

static bool
spawn(const struct token *token, struct process *p, const int theirs[TOKEN_SESSIONS_MAX + 1])
{
	char sessions[16], program[] = "/proc/self/exe", word[] = TOKEN_PROCESS_WORD;
	char name[] = "sealgate-token";
	char *argv[] = {
		name, word, token->module, token->name, sessions, token->user, token->group, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int failed;

	snprintf(sessions, sizeof(sessions), "%zu", p->n);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	for (size_t i = 0; i <= p->n; i++)
		posix_spawn_file_actions_adddup2(&actions, theirs[i], WIRE_CONTROL + (int)i);
	failed = posix_spawn(&p->pid, program, &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	errno = failed;
	return failed == 0;
}

static struct process *
process_new(const struct token *token)
{
	struct process *p = calloc(1, sizeof(*p));
	int theirs[TOKEN_SESSIONS_MAX + 1];
	size_t made = 0;
	bool good;

	if (!p)
		return NULL;
	p->refs = 1;
	p->control = -1;
	good = make_pair(&p->control, &theirs[0]);
	made = good;
	while (good && p->n < token->sessions) {
		good = make_pair(&p->fds[p->n], &theirs[p->n + 1]);
		p->n += good;
		made += good;
	}
	good = good && spawn(token, p, theirs);
	for (size_t i = 0; i < made; i++)
		close(theirs[i]);
	if (!good)
		process_unref(p);
	return good ? p : NULL;
}

/* --- packets --- */

/* One exchange by the time UNTIL. False: no answer. */
static bool
exchange(int fd, const unsigned char *packet, size_t len, int64_t until, unsigned char *answer,
	size_t *answer_len)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	int64_t left;
	ssize_t n;

	if (send(fd, packet, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
		return false;
	while ((left = until - clock_monotonic_ms()) > 0) {
		int ready = poll(&poll_fd, 1, left > 1000000 ? 1000000 : (int)left);

		if (ready < 0 && errno != EINTR)
			return false;
		if (ready <= 0)
			continue;
		n = recv(fd, answer, WIRE_MAX, MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		*answer_len = n > 0 ? (size_t)n : 0;
		return n > 0;
	}
	return false;
}

static size_t
put_request(unsigned char packet[WIRE_MAX], enum wire_op op, unsigned param,
	const struct token_uri *uri, const void *data, size_t len)
{
	size_t label = uri ? strlen(uri->object) : 0, id = uri ? uri->id_len : 0;
	unsigned char *p = packet;

	if (WIRE_HEAD + label + id + len > WIRE_MAX)
		return 0;
	*p++ = (unsigned char)op;
	*p++ = (unsigned char)param;
	*p++ = (unsigned char)label;
	*p++ = (unsigned char)id;
	if (label)
		memcpy(p, uri->object, label);
	if (id)
		memcpy(p + label, uri->id, id);
	if (len)
		memcpy(p + label + id, data, len);
	return WIRE_HEAD + label + id + len;
}

/* --- one token's life --- */

static void *keep(void *arg);

/* With the lock. */
static void
start_keeper(struct token *token)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (token->keeper || token->gone || token->state == PIN_REFUSED)
		return;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 256u << 10);
	token->keeper = pthread_create(&thread, &attr, keep, token) == 0;
	pthread_attr_destroy(&attr);
}

/* PROCESS (still the token's) is of no use any more; with the lock. */
static void
go_down(struct token *token, struct process *process, const char *why)
{
	if (token->process != process)
		return; /* somebody else said so */
	token->process = NULL;
	token->state = DOWN;
	snprintf(token->why, sizeof(token->why), "%s", why);
	log_event(LOGL_ERROR, NULL, "token-down", "token", token->name, "reason", why, NULL);
	process_kill(process);
	process_unref(process);
	pthread_cond_broadcast(&token->idle);
	if (background)
		start_keeper(token);
}

/* Starts a process and logs in; without the lock, by one thread at a time. */
static struct process *
begin_process(struct token *token, struct secret *pin, enum wire_status *status, char why[200])
{
	unsigned char packet[WIRE_MAX], answer[WIRE_MAX];
	struct process *p = process_new(token);
	size_t len, n = 0;

	*status = WIRE_TROUBLE;
	if (!p) {
		snprintf(why, 200, "no process: %s", strerror(errno));
		return NULL;
	}
	len = put_request(packet, WIRE_LOGIN, 0, NULL, pin ? secret_data(pin) : NULL,
		pin ? secret_len(pin) : 0);
	if (exchange(p->control, packet, len, clock_monotonic_ms() + START_MS, answer, &n))
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

/* One start; with the lock, which is free meanwhile. */
static void
start(struct token *token)
{
	struct secret *pin = NULL;
	struct process *p = NULL;
	enum wire_status status = WIRE_TROUBLE;
	char why[200] = "no PIN";
	bool has_pin = token->pin != NULL;

	token->state = STARTING;
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
	token->state = p ? UP : status == WIRE_PIN ? PIN_REFUSED : DOWN;
	if (p) {
		log_event(LOGL_INFO, NULL, "token-up", "token", token->name, NULL);
	} else {
		if (strcmp(why, token->why) != 0)
			log_event(LOGL_ERROR, NULL,
				status == WIRE_PIN ? "token-pin-refused" : "token-down", "token",
				token->name, "reason", why, NULL);
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
	while (background && !token->gone && token->state != UP && token->state != PIN_REFUSED) {
		pthread_mutex_unlock(&token->lock);
		usleep((useconds_t)wait * 1000);
		pthread_mutex_lock(&token->lock);
		wait = wait ? 2 * wait : BACKOFF_MS;
		wait = wait < BACKOFF_MAX ? wait : BACKOFF_MAX;
		if (background && !token->gone && token->state != UP && token->state != PIN_REFUSED)
			start(token);
	}
	token->keeper = false;
	pthread_mutex_unlock(&token->lock);
	return NULL;
}

/* --- the set --- */

void
tokens_set_prompt(token_prompt *prompt)
{
	ask = prompt;
}

/* The one line of a PIN file. */
static enum rc
read_pin_file(const char *path, bool credential, uid_t owner, struct secret **out, struct err *err)
{
	struct buf text = {.max = PIN_MAX, .wipe = true};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	enum rc rc = RC_OK;

	if (fd < 0 || fstat(fd, &st))
		rc = err_set(err, ERR_TOKEN, "PIN %s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode) ||
		 (st.st_uid != geteuid() && st.st_uid != 0 && st.st_uid != owner) ||
		 (!credential && (st.st_mode & 07377)))
		rc = err_set(err, ERR_CONFIG,
			"PIN %s: must be a plain file of mode 0400 of ours or root's", path);
	if (!rc)
		rc = file_read_fd(fd, path, &text, err);
	if (fd >= 0)
		close(fd);
	while (text.len && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
		text.len--;
	if (!rc && (text.len == 0 || memchr(text.data, '\n', text.len)))
		rc = err_set(err, ERR_CONFIG, "PIN %s: is not one line", path);
	if (!rc)
		rc = secret_copy(text.data, text.len, out, err);
	buf_fini(&text);
	return rc;
}

static enum rc
read_pin(const struct conf *conf, const struct token *token, uid_t owner, struct secret **out,
	struct err *err)
{
	const char *spec = token->pin_spec, *dir = getenv("CREDENTIALS_DIRECTORY");
	char *path = NULL, text[80];
	bool credential = strncmp(spec, "credential:", 11) == 0;
	enum rc rc;

	*out = NULL;
	if (strcmp(spec, "ask") == 0) {
		snprintf(text, sizeof(text), "PIN of token %s: ", token->name);
		return ask ? ask(text, out, err)
			   : err_set(err, ERR_TOKEN, "nobody to ask for the PIN of token %s",
				     token->name);
	}
	if (credential)
		path = dir && spec[11] && !strchr(spec + 11, '/') ? file_join(dir, spec + 11)
								  : NULL;
	else if (strncmp(spec, "file:", 5) == 0 && spec[5])
		path = conf_absolute(conf, spec + 5);
	rc = path ? read_pin_file(path, credential, owner, out, err)
		  : err_set(err, ERR_CONFIG,
			    "tokens.pin: \"%s\" is none of file:PATH, credential:NAME, ask", spec);
	free(path);
	return rc;
}

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
	token->name = strdup(conf_str(group, "name"));
	token->module = strdup(conf_str(group, "module"));
	token->pin_spec = strdup(conf_str(group, "pin"));
	token->user = strdup(conf_str(vault, "user"));
	token->group = strdup(vault_group ? vault_group : "");
	token->sessions = (size_t)conf_int(group, "sessions");
	token->timeout_ms = conf_int(group, "timeout");
	if (token->name && token->module && token->pin_spec && token->user && token->group)
		return token;
	free(token->user);
	free(token->group);
	free(token->name);
	free(token->module);
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

		if (!t->gone && strcmp(t->name, conf_str(group, "name")) == 0 &&
			strcmp(t->module, conf_str(group, "module")) == 0 &&
			strcmp(t->pin_spec, conf_str(group, "pin")) == 0 &&
			t->sessions == (size_t)conf_int(group, "sessions") &&
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
			go_down(token, token->process, "it is not in the configuration any more");
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
	rc = read_pin(conf, token, owner, &pin, &why);
	pthread_mutex_lock(&token->lock);
	if (rc && token->pin) {
		log_error(LOGL_WARN, NULL, "token-pin-kept", &why, "token", token->name, NULL);
		rc = RC_OK;
	} else if (rc &&
		   why.code == ERR_TOKEN) { /* its keys wait; that is no reason for others to */
		log_error(LOGL_ERROR, NULL, "token-no-pin", &why, "token", token->name, NULL);
		snprintf(token->why, sizeof(token->why), "no PIN");
		rc = RC_OK;
	} else if (!rc) {
		bool same = token->pin && secret_len(token->pin) == secret_len(pin) &&
			    secret_compare(secret_data(token->pin), secret_data(pin),
				    secret_len(pin)) == 0;

		secret_free(&token->pin);
		token->pin = pin;
		if (!same && token->state == PIN_REFUSED)
			token->state = background ? DOWN : UNUSED;
		if (background && token->state != UP)
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
			if (strcmp(wanted[k]->name, conf_str(group, "name")) == 0)
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
	background = true;
	for (size_t i = 0; i < n_tokens; i++) {
		pthread_mutex_lock(&tokens[i]->lock);
		if (!tokens[i]->gone && tokens[i]->state != UP)
			start_keeper(tokens[i]);
		pthread_mutex_unlock(&tokens[i]->lock);
	}
	pthread_mutex_unlock(&lock);
}

void
tokens_stop(void)
{
	pthread_mutex_lock(&lock);
	background = false;
	for (size_t i = 0; i < n_tokens; i++) {
		struct token *token = tokens[i];

		pthread_mutex_lock(&token->lock);
		if (token->process) {
			struct process *p = token->process;

			token->process = NULL;
			token->state = UNUSED;
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
			out[n].name = token->name;
			out[n].state = state_names[token->state];
			snprintf(out[n].why, sizeof(out[n].why), "%s",
				token->state == UP ? "" : token->why);
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
		if (list[i].state == state_names[PIN_REFUSED])
			return true;
	return false;
}

/* --- use --- */

static enum rc
find(const char *label, struct token **out, struct err *err)
{
	*out = NULL;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n_tokens; i++)
		if (!tokens[i]->gone && strcmp(tokens[i]->name, label) == 0)
			*out = tokens[i];
	pthread_mutex_unlock(&lock);
	return *out ? RC_OK
		    : err_set(err, ERR_TOKEN, "token %s is not in the configuration", label);
}

static enum rc
down(const struct token *token, struct err *err)
{
	return err_set(err, ERR_TOKEN, "token %s is %s%s%s", token->name, state_names[token->state],
		token->why[0] ? ": " : "", token->why);
}

enum rc
token_ready(const struct token_uri *uri, struct err *err)
{
	struct token *token;
	enum rc rc = find(uri->token, &token, err);

	if (rc)
		return rc;
	pthread_mutex_lock(&token->lock);
	if (token->state != UP && (background || token->state == PIN_REFUSED))
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
	if (token->state == UNUSED || (token->state == DOWN && !background))
		start(token);
	while (token->state == STARTING && !background && wait_idle(token, until))
		;
	while (token->state == UP) {
		struct process *p = token->process;

		for (*index = 0; *index < p->n; ++*index)
			if (!p->busy[*index]) {
				p->busy[*index] = true;
				p->refs++;
				*process = p;
				return RC_OK;
			}
		if (!wait_idle(token, until))
			return err_set(err, ERR_TOKEN, "token %s is busy", token->name);
	}
	return down(token, err);
}

/* What the answer says; anything but data is text. */
static enum rc
take_answer(const struct token *token, const unsigned char *answer, size_t n,
	enum wire_status *status, unsigned char *out, size_t *out_len, struct err *err)
{
	*status = answer[0];
	if (*status == WIRE_REFUSED || *status == WIRE_UNSUPPORTED)
		return RC_OK;
	if (*status != WIRE_OK)
		return err_set(err, ERR_TOKEN, "token %s: %.*s", token->name, (int)(n - 1),
			(const char *)answer + 1);
	if (n - 1 > *out_len)
		return err_set(
			err, ERR_TOKEN, "token %s: an answer of %zu bytes", token->name, n - 1);
	memcpy(out, answer + 1, n - 1);
	*out_len = n - 1;
	return RC_OK;
}

enum rc
token_call(const struct token_uri *uri, enum wire_op op, unsigned param, const void *data,
	size_t len, enum wire_status *status, unsigned char *out, size_t *out_len, struct err *err)
{
	unsigned char packet[WIRE_MAX], answer[WIRE_MAX];
	size_t n = 0, index = 0, size = put_request(packet, op, param, uri, data, len);
	struct process *p = NULL;
	struct token *token;
	int64_t until;
	char why[200];
	bool answered;
	enum rc rc = size ? find(uri->token, &token, err)
			  : err_set(err, ERR_TOKEN, "%zu bytes for a token", len);

	*status = WIRE_TROUBLE;
	if (rc)
		return rc;
	until = clock_monotonic_ms() + token->timeout_ms;
	pthread_mutex_lock(&token->lock);
	rc = take_session(token, until, &p, &index, err);
	pthread_mutex_unlock(&token->lock);
	if (rc)
		return rc;
	until = clock_monotonic_ms() + token->timeout_ms;
	answered = exchange(p->fds[index], packet, size, until, answer, &n);
	pthread_mutex_lock(&token->lock);
	if (!answered) {
		go_down(token, p,
			clock_monotonic_ms() >= until ? "it did not answer in time"
						      : "its process ended");
	} else if (answer[0] == WIRE_TROUBLE || answer[0] == WIRE_PIN) {
		snprintf(why, sizeof(why), "%.*s", (int)(n - 1), (const char *)answer + 1);
		go_down(token, p, why);
	}
	p->busy[index] = false;
	process_unref(p);
	pthread_cond_broadcast(&token->idle);
	if (!answered)
		rc = err_set(err, ERR_TOKEN, "token %s: no answer", token->name);
	pthread_mutex_unlock(&token->lock);
	if (!rc)
		rc = take_answer(token, answer, n, status, out, out_len, err);
	secret_wipe(packet, size);
	secret_wipe(answer, n);
	return rc;
}

enum rc
token_list(const char *label, struct buf *out, struct err *err)
{
	unsigned char packet[WIRE_MAX], answer[WIRE_MAX];
	size_t n = 0, size = put_request(packet, WIRE_LIST, 0, NULL, NULL, 0), index;
	struct process *p = NULL;
	struct token *token;
	bool answered = false;
	enum rc rc = find(label, &token, err);

	if (rc)
		return rc;
	/* The control channel is free when a session is: one list at a time. */
	pthread_mutex_lock(&token->lock);
	rc = take_session(token, clock_monotonic_ms() + token->timeout_ms, &p, &index, err);
	if (!rc) {
		pthread_mutex_unlock(&token->lock);
		answered = exchange(p->control, packet, size,
			clock_monotonic_ms() + token->timeout_ms, answer, &n);
		pthread_mutex_lock(&token->lock);
		if (!answered || answer[0] != WIRE_OK)
			go_down(token, p, "it could not list its keys");
		p->busy[index] = false;
		process_unref(p);
		pthread_cond_broadcast(&token->idle);
	}
	pthread_mutex_unlock(&token->lock);
	if (!rc && (!answered || answer[0] != WIRE_OK))
		rc = err_set(err, ERR_TOKEN, "token %s: its keys could not be listed", label);
	return rc ? rc : buf_append(out, answer + 1, n - 1, err);
}
