/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

/* The folder above PATH must not let everybody put a socket of their own there. */
static enum rc
check_folder(
	const char *path, const struct conf *conf, const struct conf_group *group, struct err *err)
{
	char folder[sizeof((struct service *)0)->socket];
	struct stat st;

	snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
	if (!folder[0])
		snprintf(folder, sizeof folder, "/");
	if (stat(folder, &st) < 0)
		return conf_err(err, conf, group, "socket", "%s: %s", folder, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return conf_err(err, conf, group, "socket", "%s is no folder", folder);
	if (st.st_mode & S_IWOTH)
		return conf_err(
			err, conf, group, "socket", "everybody may write to the folder %s", folder);
	return RC_OK;
}

static enum rc
init_mode(struct service *service, const struct conf *conf, const struct conf_group *group,
	struct err *err)
{
	const char *text = conf_str(group, "socket_mode");
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (*end || mode > 0777 || !(mode & S_IRUSR) || !(mode & S_IWUSR))
		return conf_err(err, conf, group, "socket_mode",
			"\"%s\" is no octal mode with read and write for the owner", text);
	if (mode & S_IRWXO)
		return conf_err(err, conf, group, "socket_mode",
			"%s would let everybody on this machine use the socket", text);
	service->mode = (mode_t)mode;
	service->socket_group = conf_str(group, "socket_group");
	if (service->socket_group && !getgrnam(service->socket_group))
		return conf_err(err, conf, group, "socket_group", "no such group: %s",
			service->socket_group);
	return RC_OK;
}

/* A relative path is meant from the configuration's folder, as everywhere in it. */
static enum rc
init_unix(struct service *service, const char *path, const struct conf *conf,
	const struct conf_group *group, struct err *err)
{
	int n;

	if (path[0] == '/')
		n = snprintf(service->socket, sizeof service->socket, "unix:%s", path);
	else
		n = snprintf(service->socket, sizeof service->socket, "unix:%s/%s", conf_dir(conf),
			path);
	if (n < 0 || (size_t)n - 5 >= sizeof((struct sockaddr_un *)0)->sun_path || !path[0])
		return conf_err(err, conf, group, "socket", "the path is too long or empty");
	service->path = service->socket + 5;
	if (service->path[0] != '/')
		return conf_err(
			err, conf, group, "socket", "%s is no absolute path", service->path);
	if (init_mode(service, conf, group, err) != RC_OK)
		return RC_PERM;
	return check_folder(service->path, conf, group, err);
}

static bool
is_wildcard(const unsigned char addr[16])
{
	static const unsigned char any6[16], any4[16] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(addr, any6, 16) || !memcmp(addr, any4, 16);
}

static enum rc
init_allow(struct service *service, const struct conf *conf, const struct conf_group *group,
	struct err *err)
{
	const char *const *values;

	service->n_allow = conf_strings(group, "allow", &values);
	if (service->n_allow == 0)
		return conf_err(err, conf, group, "allow",
			"TCP needs the list of addresses that may connect");
	for (size_t i = 0; i < service->n_allow; i++) {
		if (i >= SERVICE_MAX_ALLOW || !network_parse(values[i], &service->allow[i]))
			return conf_err(err, conf, group, "allow",
				"\"%.60s\" is no address or network", values[i]);
		if (service->allow[i].bits == 0 || service->allow[i].bits == 96)
			return conf_err(err, conf, group, "allow", "%.60s would let everybody in",
				values[i]);
	}
	return RC_OK;
}

static enum rc
init_inet(struct service *service, const char *spec, const struct conf *conf,
	const struct conf_group *group, struct err *err)
{
	const char *at = strchr(spec, '@');
	unsigned char addr[16];
	char *end;
	unsigned long port = strtoul(spec, &end, 10);

	if (!at || end != at || port < 1 || port > 65535)
		return conf_err(err, conf, group, "socket", "inet:PORT@ADDRESS wanted");
	if (!network_parse_addr(at + 1, addr))
		return conf_err(err, conf, group, "socket",
			"\"%.60s\" is no numeric address; one of this machine's is wanted", at + 1);
	if (is_wildcard(addr))
		return conf_err(err, conf, group, "socket",
			"%s would listen on every address of this machine", at + 1);
	service->port = (unsigned)port;
	snprintf(service->socket, sizeof service->socket, "inet%s:%lu@%s",
		strchr(at, ':') ? "6" : "", port, at + 1);
	return init_allow(service, conf, group, err);
}

static enum rc
init_socket(struct service *service, const struct conf *conf, const struct conf_group *group,
	struct err *err)
{
	const char *spec = conf_str(group, "socket"), *rest = strchr(spec, ':');
	size_t kind = rest ? (size_t)(rest - spec) : 0;

	if ((kind == 4 && !strncmp(spec, "unix", 4)) || (kind == 5 && !strncmp(spec, "local", 5)))
		return init_unix(service, rest + 1, conf, group, err);
	if ((kind == 4 && !strncmp(spec, "inet", 4)) || (kind == 5 && !strncmp(spec, "inet6", 5)))
		return init_inet(service, rest + 1, conf, group, err);
	return conf_err(err, conf, group, "socket", "unix:PATH or inet:PORT@ADDRESS wanted");
}

/* A gate without a key could stamp nothing, and who checks without one would believe nobody. */
static enum rc
check_stamps(const struct conf *conf, const struct conf_group *group, struct err *err)
{
	const char *role = conf_str(group, "role");
	bool checks = strcmp(conf_str(group, "stamps"), "check") == 0;

	if (checks && strcmp(role, "seal") != 0 && strcmp(role, "all") != 0)
		return conf_err(err, conf, group, "stamps",
			"only a service of role seal or all can check stamps");
	if ((checks || strcmp(role, "gate") == 0) &&
		!conf_str(conf_section(conf, "stamp"), "key_file"))
		return conf_err(err, conf, group, "role", "stamps need stamp.key_file");
	return RC_OK;
}

static enum rc
init_item(struct service *service, const struct conf *conf, const struct conf_group *group,
	struct err *err)
{
	const struct conf_group *milter = conf_section(conf, "milter");
	const char *user = conf_str(group, "user");

	if (check_stamps(conf, group, err) != RC_OK)
		return RC_PERM;
	memset(service, 0, sizeof *service);
	service->name = conf_str(group, "name");
	service->user = user ? user : conf_str(milter, "user");
	/* a service's own user has a group of its own */
	service->group = user ? NULL : conf_str(milter, "group");
	return init_socket(service, conf, group, err);
}

enum rc
service_init(struct service *service, const struct conf *conf, const char *name, struct err *err)
{
	size_t n = conf_count(conf, "services");

	if (n == 0)
		return err_set(err, ERR_CONFIG, "%s: no service is configured", conf_path(conf));
	if (!name && n > 1)
		return err_set(err, ERR_CONFIG, "%s: there are %zu services: -s is needed",
			conf_path(conf), n);
	for (size_t i = 0; i < n; i++) {
		const struct conf_group *group = conf_item(conf, "services", i);

		if (!name || !strcmp(conf_str(group, "name"), name))
			return init_item(service, conf, group, err);
	}
	return err_set(err, ERR_CONFIG, "%s: there is no service \"%s\"", conf_path(conf), name);
}

enum rc
service_check_all(const struct conf *conf, struct err *err)
{
	size_t n = conf_count(conf, "services");
	struct service one, other;
	enum rc rc;

	if (n == 0)
		return err_set(err, ERR_CONFIG, "%s: no service is configured", conf_path(conf));
	for (size_t i = 0; i < n; i++) {
		const struct conf_group *group = conf_item(conf, "services", i);

		rc = init_item(&one, conf, group, err);
		for (size_t j = 0; rc == RC_OK && j < i; j++) {
			rc = init_item(&other, conf, conf_item(conf, "services", j), err);
			if (rc == RC_OK && !strcmp(one.name, other.name))
				rc = conf_err(err, conf, group, "name", "\"%s\" is there twice",
					one.name);
			if (rc == RC_OK && !strcmp(one.socket, other.socket))
				rc = conf_err(err, conf, group, "socket", "\"%s\" uses the same",
					other.name);
		}
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}
