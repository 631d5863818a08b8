/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * killat.c - runs a command and kills it at the Nth system call that changes a file
 *
 *     killat N COMMAND [ARGUMENT …]
 *
 * Writes, syncs, renames, links and removals are counted over all threads; the Nth one is not
 * carried out. Exit status: 0 when the command was killed, 3 when it came to its end before (N is
 * too high).
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <elf.h>
#include <linux/ptrace.h>

static bool
changes_a_file(unsigned long long nr)
{
	static const long calls[] = {SYS_write, SYS_pwrite64, SYS_pwritev, SYS_writev, SYS_fsync,
		SYS_fdatasync, SYS_ftruncate, SYS_fallocate,
#ifdef SYS_rename
		SYS_rename, SYS_link, SYS_unlink,
#endif
		SYS_renameat, SYS_renameat2, SYS_linkat, SYS_unlinkat};

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if ((unsigned long long)calls[i] == nr)
			return true;
	return false;
}

/* The tracee has stopped at a system call's door: is it going in, for one that counts? */
static bool
counts(pid_t pid)
{
	struct __ptrace_syscall_info info;

	return ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0 &&
	       info.op == PTRACE_SYSCALL_INFO_ENTRY && changes_a_file(info.entry.nr);
}

int
main(int argc, char **argv)
{
	long n = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
	pid_t child, pid;
	int status;

	if (n < 1)
		return 64;
	child = fork();
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 70;
	ptrace(PTRACE_SETOPTIONS, child, NULL,
		PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
	ptrace(PTRACE_SYSCALL, child, NULL, NULL);
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		int sig = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;

		if (!WIFSTOPPED(status)) {
			if (pid == child)
				return WIFSIGNALED(status) && n == 0 ? 0 : 3;
			continue;
		}
		if (sig == (SIGTRAP | 0x80) && n > 0 && counts(pid) && --n == 0)
			kill(child, SIGKILL);
		if (sig == (SIGTRAP | 0x80) || sig == SIGTRAP || sig == SIGSTOP)
			sig = 0;
		ptrace(PTRACE_SYSCALL, pid, NULL, sig);
	}
	return 70;
}
