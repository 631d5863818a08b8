/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/listener.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 511

/* The group that may connect: the configured one, or that of the milter's user. (gid_t)-1: leave
 * it. */
gid_t
listener_gid(const struct conf *conf)
{
	const char *group = conf_str(conf_section(conf, "vault"), "socket_group");
	const struct group *gr = group ? getgrnam(group) : NULL;
	const struct passwd *pw;

	if (group)
		return gr ? gr->gr_gid : (gid_t)-1;
	pw = getpwnam(conf_str(conf_section(conf, "milter"), "user"));
	return pw ? pw->pw_gid : (gid_t)-1;
}

/* Does somebody listen there? Another vault's socket must not be taken away. */
static bool
is_alive(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive = fd >= 0 && (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 ||
					errno == EAGAIN);

	if (fd >= 0)
		close(fd);
	return alive;
}

/* The umask gives the socket its mode when it is made, and the owner is changed without following a
 * link: in a folder that others may write to, the name could be somebody else's a moment later. */
enum rc
listener_open(
	struct listener *l, const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err)
{
	struct stat st;
	mode_t mask;
	int failed;

	l->addr.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(l->addr.sun_path))
		return err_set(err, ERR_CONFIG, "%s: too long for a socket", path);
	strcpy(l->addr.sun_path, path);
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return err_set(err, ERR_CONFIG, "%s: is there and no socket", path);
		if (is_alive(&l->addr))
			return err_set(
				err, ERR_CONFIG, "%s: another process serves this socket", path);
		if (unlink(path))
			return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	}
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return err_set(err, ERR_SYSTEM, "socket: %s", strerror(errno));
	mask = umask(0777 & ~mode);
	failed = bind(l->fd, (struct sockaddr *)&l->addr, sizeof(l->addr));
	umask(mask);
	if (failed)
		return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	l->bound = true;
	if (gid != (gid_t)-1 && lchown(path, uid, gid) && geteuid() == 0)
		return err_set(err, ERR_SYSTEM, "%s: chown: %s", path, strerror(errno));
	if (listen(l->fd, BACKLOG))
		return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	return RC_OK;
}

void
listener_close(struct listener *l)
{
	if (l->fd < 0)
		return;
	close(l->fd);
	if (l->bound)
		(void)unlink(l->addr.sun_path);
	l->fd = -1;
}
