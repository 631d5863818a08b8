/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/listen.h"
#include "base/log.h"

#include <libmilter/mfapi.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Takes the lock and keeps it: the descriptor is closed only by the end of the process. */
static enum rc
take_lock(const struct service *service, struct err *err)
{
	char path[sizeof service->socket + 8], pid[24];
	int fd, len;

	snprintf(path, sizeof path, "%s.lock", service->path);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int why = errno;

		close(fd);
		return err_set(err, ERR_CONFIG, "%s: %s", path,
			why == EWOULDBLOCK ? "another sealgate-milter serves this socket"
					   : strerror(why));
	}
	len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0 || write(fd, pid, (size_t)len) != len)
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	return RC_OK;
}

/* Gives the unix socket its owner, group and mode; until now only the owner of the process could
 * use it. */
static enum rc
set_owner(const struct service *service, struct err *err)
{
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	if (geteuid() == 0 && service->user) {
		struct passwd *pw = getpwnam(service->user);

		if (!pw)
			return err_set(err, ERR_CONFIG, "no such user: %s", service->user);
		uid = pw->pw_uid;
		gid = pw->pw_gid;
	}
	if (service->socket_group) {
		struct group *gr = getgrnam(service->socket_group);

		if (!gr)
			return err_set(err, ERR_CONFIG, "no such group: %s", service->socket_group);
		gid = gr->gr_gid;
	}
	if (lchown(service->path, uid, gid) < 0 || chmod(service->path, service->mode) < 0)
		return err_set(err, ERR_CONFIG, "%s: %s", service->path, strerror(errno));
	return RC_OK;
}

/*
 * Accepted sockets inherit TCP_NODELAY from the listening one, and libmilter has no other way.
 * Without it each message with more than one modification takes 44 ms (Nagle against delayed ACK).
 */
static enum rc
set_nodelay(struct err *err)
{
	long max = sysconf(_SC_OPEN_MAX);
	int found = 0, on = 1;

	for (int fd = 3; fd < (max > 4096 ? 4096 : max); fd++) {
		int is = 0;
		socklen_t len = sizeof is;

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is, &len) < 0 || !is)
			continue;
		if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0)
			found++;
	}
	return found ? RC_OK : err_set(err, ERR_SYSTEM, "TCP_NODELAY: %s", strerror(errno));
}

enum rc
listen_open(const struct service *service, struct err *err)
{
	char socket[sizeof service->socket];
	mode_t old;
	int opened;
	enum rc rc = service->path ? take_lock(service, err) : RC_OK;

	if (rc != RC_OK)
		return rc;
	snprintf(socket, sizeof socket, "%s", service->socket);
	old = umask(0177);
	opened = smfi_setconn(socket) == MI_SUCCESS && smfi_opensocket(1) == MI_SUCCESS;
	umask(old);
	if (!opened)
		return err_set(err, ERR_CONFIG,
			"%s: could not be opened, libmilter's line in the log says why",
			service->socket);
	return service->path ? set_owner(service, err) : set_nodelay(err);
}

void
listen_close(const struct service *service)
{
	if (service->path)
		unlink(service->path);
}

/* The address as network.h has it, and the port; false for what is not TCP/IP. */
static bool
take_address(const struct sockaddr_storage *ss, unsigned char addr[16], unsigned *port)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (ss->ss_family == AF_INET6) {
		memcpy(addr, &((const struct sockaddr_in6 *)ss)->sin6_addr, 16);
		*port = ntohs(((const struct sockaddr_in6 *)ss)->sin6_port);
		return true;
	}
	if (ss->ss_family != AF_INET)
		return false;
	memcpy(addr, mapped, sizeof mapped);
	memcpy(addr + 12, &((const struct sockaddr_in *)ss)->sin_addr, 4);
	*port = ntohs(((const struct sockaddr_in *)ss)->sin_port);
	return true;
}

static bool
is_allowed(const struct service *service, const unsigned char addr[16])
{
	for (size_t i = 0; i < service->n_allow; i++)
		if (network_has(&service->allow[i], addr))
			return true;
	return false;
}

/*
 * Breaks FD when it is a connection to our port from somewhere that is not in the list. Even what
 * the peer sent before is lost with it: the answer to its negotiation can't be written, and that
 * ends the session.
 */
static void
check_fd(const struct service *service, struct minder *minder, int fd)
{
	struct sockaddr_storage own = {0}, peer = {0};
	socklen_t own_len = sizeof own, peer_len = sizeof peer;
	unsigned char addr[16], own_addr[16];
	unsigned port, own_port;
	char text[64] = "";

	if (getsockname(fd, (struct sockaddr *)&own, &own_len) < 0 ||
		!take_address(&own, own_addr, &own_port) || own_port != service->port)
		return;
	if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0 ||
		!take_address(&peer, addr, &port))
		return; /* the listening one, or gone */
	if (is_allowed(service, addr))
		return;
	if (!memcmp(addr, own_addr, 16) && minder_is_own_port(minder, port))
		return;
	shutdown(fd, SHUT_RDWR);
	inet_ntop(AF_INET6, addr, text, sizeof text);
	log_event(LOGL_WARN, NULL, "peer-refused", "service", service->name, "peer", text, NULL);
}

bool
listen_check_peers(const struct service *service, struct minder *minder)
{
	DIR *dir;

	if (service->path)
		return true;
	dir = opendir("/proc/self/fd");
	if (!dir) {
		log_event(LOGL_ERROR, NULL, "peers-unknown", "service", service->name, "why",
			strerror(errno), NULL);
		return false;
	}
	for (struct dirent *entry; (entry = readdir(dir));) {
		int fd = atoi(entry->d_name);

		if (fd > 2)
			check_fd(service, minder, fd);
	}
	closedir(dir);
	return true;
}
