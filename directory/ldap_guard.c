/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/ldap_guard.h"

#include <errno.h>
#include <lber.h>
#include <poll.h>

#include "base/clock.h"

static int
guard_setup(Sockbuf_IO_Desc *io, void *guard)
{
	io->sbiod_pvt = guard;
	return 0;
}

static int
guard_remove(Sockbuf_IO_Desc *io)
{
	io->sbiod_pvt = NULL;
	return 0;
}

static int
guard_ctrl(Sockbuf_IO_Desc *io, int option, void *arg)
{
	return LBER_SBIOD_CTRL_NEXT(io, option, arg);
}

/* Waits until the socket is ready for EVENTS; false, with errno, at the deadline. */
static bool
wait_socket(Sockbuf_IO_Desc *io, short events)
{
	struct ldap_guard *guard = io->sbiod_pvt;
	struct pollfd fd = {.fd = -1, .events = events};
	int64_t left;
	int n;

	if (ber_sockbuf_ctrl(io->sbiod_sb, LBER_SB_OPT_GET_FD, &fd.fd) < 0)
		return true; /* not connected: the layer below will say so */
	do {
		left = guard->deadline - clock_monotonic_ms();
		n = poll(&fd, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	if (n == 0) {
		guard->expired = true;
		errno = ETIMEDOUT;
	}
	return n > 0;
}

static ber_slen_t
guard_read(Sockbuf_IO_Desc *io, void *data, ber_len_t len)
{
	return wait_socket(io, POLLIN) ? LBER_SBIOD_READ_NEXT(io, data, len) : -1;
}

static ber_slen_t
guard_write(Sockbuf_IO_Desc *io, void *data, ber_len_t len)
{
	return wait_socket(io, POLLOUT) ? LBER_SBIOD_WRITE_NEXT(io, data, len) : -1;
}

static int
guard_close(Sockbuf_IO_Desc *io)
{
	(void)io;
	return 0;
}

static Sockbuf_IO guard_io = {
	.sbi_setup = guard_setup,
	.sbi_remove = guard_remove,
	.sbi_ctrl = guard_ctrl,
	.sbi_read = guard_read,
	.sbi_write = guard_write,
	.sbi_close = guard_close,
};

int
ldap_guard_install(LDAP *ld, struct ldap_guard *guard)
{
	Sockbuf *sb = NULL;

	if (ldap_get_option(ld, LDAP_OPT_SOCKBUF, &sb) != LDAP_OPT_SUCCESS || !sb)
		return LDAP_LOCAL_ERROR;
	/* Above what reads the socket, below what buffers and TLS. */
	if (ber_sockbuf_add_io(sb, &guard_io, LBER_SBIOD_LEVEL_PROVIDER + 1, guard) < 0)
		return LDAP_LOCAL_ERROR;
	return LDAP_SUCCESS;
}
