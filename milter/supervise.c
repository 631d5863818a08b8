/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/supervise.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAUSE_MAX_MS 30000
#define STEADY_MS    60000 /* a child that lived so long starts anew without a pause */
#define STOP_MS      5000  /* then what still runs is killed */

struct child {
	const char *service;
	pid_t pid;      /* 0: not running */
	int ready_fd;   /* -1: told us already, or ended */
	bool was_ready; /* ever */
	int64_t started_ms;
	int64_t pause_ms;
	int64_t start_at_ms;
};

struct family {
	struct child *children;
	size_t n;
	int (*run)(const char *service, int ready_fd, void *ctx);
	void (*ready)(void);
	void *ctx;
	bool told_ready, stopping;
	int status;
};

static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};

static void
start_child(struct family *family, struct child *child, const sigset_t *old)
{
	int fds[2];

	child->started_ms = clock_monotonic_ms();
	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	child->pid = fork();
	if (child->pid < 0) {
		log_event(LOGL_ERROR, NULL, "fork-failed", "service", child->service, "why",
			strerror(errno), NULL);
		child->pid = 0;
		close(fds[0]);
		close(fds[1]);
		child->start_at_ms = child->started_ms + 1000;
		return;
	}
	if (child->pid == 0) {
		sigprocmask(SIG_SETMASK, old, NULL);
		close(fds[0]);
		for (size_t i = 0; i < family->n; i++)
			if (family->children[i].ready_fd >= 0)
				close(family->children[i].ready_fd);
		_exit(family->run(child->service, fds[1], family->ctx));
	}
	close(fds[1]);
	child->ready_fd = fds[0];
}

static void
signal_all(struct family *family, int sig)
{
	for (size_t i = 0; i < family->n; i++)
		if (family->children[i].pid > 0)
			kill(family->children[i].pid, sig);
}

static void
stop_all(struct family *family, int status)
{
	if (!family->stopping)
		family->status = status;
	family->stopping = true;
	signal_all(family, SIGTERM);
}

/* One child has ended: starts it anew later, or gives up when it never came up. */
static void
child_ended(struct family *family, struct child *child, int status)
{
	int64_t now = clock_monotonic_ms();
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 70;

	child->pid = 0;
	if (child->ready_fd >= 0)
		close(child->ready_fd);
	child->ready_fd = -1;
	if (family->stopping)
		return;
	log_event(LOGL_ERROR, NULL, "service-ended", "service", child->service, "status",
		WIFEXITED(status) ? LOG_NUM(code) : NULL, "signal",
		WIFSIGNALED(status) ? LOG_NUM(WTERMSIG(status)) : NULL, NULL);
	if (!child->was_ready && !family->told_ready) {
		stop_all(family, code ? code : 70);
		return;
	}
	if (now - child->started_ms >= STEADY_MS)
		child->pause_ms = 0;
	child->start_at_ms = now + child->pause_ms;
	child->pause_ms = child->pause_ms ? child->pause_ms * 2 : 500;
	if (child->pause_ms > PAUSE_MAX_MS)
		child->pause_ms = PAUSE_MAX_MS;
}

static void
reap(struct family *family)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < family->n; i++)
			if (family->children[i].pid == pid)
				child_ended(family, &family->children[i], status);
}

/* Reads who has become ready. */
static void
look_for_ready(struct family *family)
{
	bool all = true;
	char byte;

	for (size_t i = 0; i < family->n; i++) {
		struct child *child = &family->children[i];
		struct pollfd pfd = {.fd = child->ready_fd, .events = POLLIN};

		if (child->ready_fd >= 0 && poll(&pfd, 1, 0) > 0) {
			if (read(child->ready_fd, &byte, 1) == 1)
				child->was_ready = true;
			close(child->ready_fd);
			child->ready_fd = -1;
		}
		all = all && child->was_ready;
	}
	if (all && !family->told_ready && !family->stopping) {
		family->told_ready = true;
		family->ready();
	}
}

static bool
any_runs(const struct family *family)
{
	for (size_t i = 0; i < family->n; i++)
		if (family->children[i].pid > 0)
			return true;
	return false;
}

static void
start_due(struct family *family, const sigset_t *old)
{
	int64_t now = clock_monotonic_ms();

	for (size_t i = 0; i < family->n; i++)
		if (family->children[i].pid == 0 && now >= family->children[i].start_at_ms)
			start_child(family, &family->children[i], old);
}

static void
take_signal(struct family *family, int sig)
{
	if (sig == SIGTERM || sig == SIGINT || sig == SIGHUP)
		stop_all(family, 0);
	else if (sig == SIGUSR1)
		signal_all(family, SIGUSR1);
}

static void
watch(struct family *family, const sigset_t *set, const sigset_t *old)
{
	int64_t stop_since = 0;

	for (;;) {
		struct timespec tick = {.tv_nsec = family->told_ready ? 200000000 : 5000000};
		int sig;

		if (!family->stopping)
			start_due(family, old);
		sig = sigtimedwait(set, NULL, &tick);
		if (sig > 0)
			take_signal(family, sig);
		reap(family);
		look_for_ready(family);
		if (!family->stopping)
			continue;
		if (!any_runs(family))
			return;
		if (!stop_since)
			stop_since = clock_monotonic_ms();
		else if (clock_monotonic_ms() - stop_since > STOP_MS)
			signal_all(family, SIGKILL);
	}
}

int
supervise(const struct conf *conf, int (*run)(const char *service, int ready_fd, void *ctx),
	void (*ready)(void), void *ctx)
{
	struct family family = {
		.n = conf_count(conf, "services"), .run = run, .ready = ready, .ctx = ctx};
	sigset_t set, old;

	family.children = calloc(family.n, sizeof *family.children);
	if (!family.children)
		return 70;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, &old);
	for (size_t i = 0; i < family.n; i++) {
		family.children[i].service = conf_str(conf_item(conf, "services", i), "name");
		family.children[i].ready_fd = -1;
	}
	watch(&family, &set, &old);
	free(family.children);
	return family.status;
}
