/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/token_channel.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HIGH_FD 100 /* above every descriptor that the process has */

extern char **environ;

static uint64_t serials;

/* Is it gone? Waits a moment for one that was killed. */
static void
reap(pid_t pid)
{
	for (int i = 0; i < 100 && waitpid(pid, NULL, WNOHANG) == 0; i++)
		usleep(10000);
}

void
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

void
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
spawn(const struct process_spec *token, struct process *p, const int theirs[TOKEN_SESSIONS_MAX + 1])
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

struct process *
process_new(const struct process_spec *token)
{
	struct process *p = calloc(1, sizeof(*p));
	int theirs[TOKEN_SESSIONS_MAX + 1];
	size_t made = 0;
	bool good;

	if (!p)
		return NULL;
	p->refs = 1;
	p->serial = __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
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

bool
process_exchange(int fd, const unsigned char *packet, size_t len, int64_t until,
	unsigned char *answer, size_t *answer_len)
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

size_t
process_request(unsigned char packet[WIRE_MAX], enum wire_op op, unsigned param,
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
