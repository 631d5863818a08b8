/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/sandbox.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int ready_fd = -1; /* the child's end of the pipe to the waiting parent */

/* Set again after setuid, which resets the dumpable flag. */
static enum rc
undumpable(struct err *err)
{
	struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none))
		return err_set(err, ERR_SYSTEM, "setrlimit: %s", strerror(errno));
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return err_set(err, ERR_SYSTEM, "prctl: %s", strerror(errno));
	return RC_OK;
}

enum rc
sandbox_harden(struct err *err)
{
	umask(077);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return err_set(err, ERR_SYSTEM, "prctl: %s", strerror(errno));
	return undumpable(err);
}

bool
sandbox_lock_memory(void)
{
	struct rlimit limit, none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};

	/* Root's own freedom ends with sandbox_drop; the limit that it sets stays. */
	if (geteuid() == 0)
		(void)setrlimit(RLIMIT_MEMLOCK, &none);
	/* With a small limit, locking what comes later would make later allocations fail. */
	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur != RLIM_INFINITY) {
		log_event(LOGL_INFO, NULL, "memory-not-locked", "reason",
			"RLIMIT_MEMLOCK is not infinity", NULL);
		return false;
	}
	if (mlockall(MCL_CURRENT | MCL_FUTURE)) {
		log_event(LOGL_WARN, NULL, "memory-not-locked", "reason", strerror(errno), NULL);
		return false;
	}
	return true;
}

enum rc
sandbox_drop(const char *user, const char *group, struct err *err)
{
	struct passwd *pw;
	struct group *gr;
	gid_t gid;

	if (geteuid() != 0 || !user || strcmp(user, "root") == 0)
		return RC_OK;
	pw = getpwnam(user);
	if (!pw)
		return err_set(err, ERR_CONFIG, "no such user: %s", user);
	gid = pw->pw_gid;
	if (group) {
		gr = getgrnam(group);
		if (!gr)
			return err_set(err, ERR_CONFIG, "no such group: %s", group);
		gid = gr->gr_gid;
	}
	if (initgroups(user, gid) || setresgid(gid, gid, gid) ||
		setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid))
		return err_set(err, ERR_SYSTEM, "could not become %s: %s", user, strerror(errno));
	if (setuid(0) == 0 && pw->pw_uid != 0)
		return err_set(err, ERR_SYSTEM, "privileges did not go away");
	return undumpable(err);
}

/* The parent's end of sandbox_daemonize: never returns. */
static _Noreturn void
wait_for_child(int fd, pid_t child)
{
	char byte;
	ssize_t n;
	int status;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(0);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 70);
}

enum rc
sandbox_daemonize(struct err *err)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC))
		return err_set(err, ERR_SYSTEM, "pipe: %s", strerror(errno));
	child = fork();
	if (child < 0)
		return err_set(err, ERR_SYSTEM, "fork: %s", strerror(errno));
	if (child > 0) {
		close(fds[1]);
		wait_for_child(fds[0], child);
	}
	close(fds[0]);
	ready_fd = fds[1];
	if (setsid() < 0 || chdir("/"))
		return err_set(err, ERR_SYSTEM, "setsid: %s", strerror(errno));
	return RC_OK;
}

void
sandbox_ready(void)
{
	int null;

	sandbox_notify("READY=1");
	if (ready_fd < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	if (write(ready_fd, "r", 1) < 0) {
		/* The parent is gone; the daemon goes on. */
	}
	close(ready_fd);
	ready_fd = -1;
}

void
sandbox_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len;
	int fd;

	if (!path || (*path != '/' && *path != '@'))
		return;
	len = strlen(path);
	if (len >= sizeof sun.sun_path)
		return;
	memcpy(sun.sun_path, path, len);
	if (*path == '@')
		sun.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sun,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		log_event(LOGL_WARN, NULL, "notify-failed", "reason", strerror(errno), NULL);
	close(fd);
}
