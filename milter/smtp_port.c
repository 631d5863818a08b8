/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smtp_port.c - the port as it is configured, its idle connections, and what it can do
 */
#include "milter/smtp_port.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PASSWORD_MAX 1024

/* --- configuration --- */

static enum rc
parse_unix(struct smtp_port *port, const char *path, const struct conf *conf,
	const struct conf_group *group, struct err *err)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&port->addr;
	char *absolute = conf_absolute(conf, path);
	enum rc rc = RC_OK;

	if (!absolute)
		return err_set(err, ERR_MEMORY, "port");
	if (!*path || strlen(absolute) >= sizeof un->sun_path) {
		rc = conf_err(err, conf, group, "address", "the path is too long or empty");
	} else {
		un->sun_family = AF_UNIX;
		strcpy(un->sun_path, absolute);
		port->addr_len = sizeof *un;
	}
	free(absolute);
	return rc;
}

/* The address as text is given back, for the certificate's name. */
static enum rc
parse_inet(struct smtp_port *port, const char *spec, const struct conf *conf,
	const struct conf_group *group, const char **ip, struct err *err)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)&port->addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&port->addr;
	char *end;
	unsigned long number = strtoul(spec, &end, 10);

	if (*end != '@' || end == spec || number < 1 || number > 65535)
		return conf_err(err, conf, group, "address", "inet:PORT@ADDRESS wanted");
	*ip = end + 1;
	if (inet_pton(AF_INET, *ip, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons((unsigned short)number);
		port->addr_len = sizeof *in4;
	} else if (inet_pton(AF_INET6, *ip, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((unsigned short)number);
		port->addr_len = sizeof *in6;
	} else {
		return conf_err(err, conf, group, "address", "\"%.60s\" is no IP address", *ip);
	}
	return RC_OK;
}

static bool
is_local(const struct smtp_port *port, const char *ip)
{
	static const char *const nets[] = {"127.0.0.0/8", "::1"};
	unsigned char addr[16];
	struct network net;

	if (port->addr.ss_family == AF_UNIX)
		return true;
	for (int i = 0; i < 2; i++)
		if (network_parse_addr(ip, addr) && network_parse(nets[i], &net) &&
			network_has(&net, addr))
			return true;
	return false;
}

/* A secret that others on the machine can read is none. */
static enum rc
check_private(const struct conf *conf, const struct conf_group *group, const char *option,
	struct err *err)
{
	const char *path = conf_str(group, option);
	struct stat st;

	if (stat(path, &st) < 0)
		return conf_err(err, conf, group, option, "%s: %s", path, strerror(errno));
	if (st.st_mode & S_IRWXO)
		return conf_err(err, conf, group, option, "everybody may use %s", path);
	return RC_OK;
}

static enum rc
read_password(struct smtp_port *port, const struct conf *conf, const struct conf_group *group,
	struct err *err)
{
	const char *path = conf_str(group, "password_file");
	struct buf text = {.max = PASSWORD_MAX, .wipe = true};
	enum rc rc = check_private(conf, group, "password_file", err);

	if (!rc)
		rc = file_read(path, &text, err);
	if (rc && rc != RC_PERM)
		rc = conf_err(err, conf, group, "password_file", "%s cannot be read", path);
	while (text.len > 0 && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
		text.len--;
	if (!rc && (text.len == 0 || memchr(text.data, 0, text.len)))
		rc = conf_err(err, conf, group, "password_file", "%s is empty, or no text", path);
	if (!rc)
		rc = secret_copy(text.data, text.len, &port->password, err);
	buf_fini(&text);
	return rc;
}

static enum rc
init_login(struct smtp_port *port, const struct conf *conf, const struct conf_group *group,
	struct err *err)
{
	const char *user = conf_str(group, "user");

	if (!user != !conf_str(group, "password_file"))
		return conf_err(err, conf, group, "user", "user and password_file belong together");
	if (!user)
		return RC_OK;
	port->user = strdup(user);
	return port->user ? read_password(port, conf, group, err)
			  : err_set(err, ERR_MEMORY, "port");
}

static enum rc
init_tls(struct smtp_port *port, const struct conf *conf, const struct conf_group *group,
	const char *ip, struct err *err)
{
	const char *mode = conf_str(group, "tls"), *name = conf_str(group, "tls_name");
	struct tls_options options = {.ca_file = conf_str(group, "ca_file"),
		.cert_file = conf_str(group, "cert_file"),
		.key_file = conf_str(group, "key_file"),
		.name = name ? name : ip};
	enum rc rc;

	port->mode = strcmp(mode, "tls") == 0        ? SMTP_TLS_IMPLICIT
		     : strcmp(mode, "starttls") == 0 ? SMTP_TLS_STARTTLS
						     : SMTP_TLS_NONE;
	if (!options.cert_file != !options.key_file)
		return conf_err(
			err, conf, group, "cert_file", "cert_file and key_file belong together");
	if (port->mode == SMTP_TLS_NONE && !is_local(port, ip))
		return conf_err(err, conf, group, "tls",
			"mail and password would cross the network in the clear: starttls or tls is needed");
	if (port->mode == SMTP_TLS_NONE && options.cert_file)
		return conf_err(err, conf, group, "cert_file", "a certificate is for TLS");
	if (port->mode == SMTP_TLS_NONE)
		return RC_OK;
	if (!options.name)
		return conf_err(err, conf, group, "tls_name", "needed for TLS over a unix socket");
	rc = options.key_file ? check_private(conf, group, "key_file", err) : RC_OK;
	if (!rc)
		rc = tls_client_new(&options, &port->tls, err);
	return rc;
}

/* What may stand after EHLO: a host name, or an address in brackets. */
static bool
is_helo(const char *name)
{
	return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789.-_:[]")];
}

static enum rc
init_helo(struct smtp_port *port, const struct conf *conf, const struct conf_group *group,
	struct err *err)
{
	const char *name = conf_str(group, "helo");
	char host[256] = "";

	if (name && !is_helo(name))
		return conf_err(err, conf, group, "helo", "\"%.60s\" is no host name", name);
	if (!name && (gethostname(host, sizeof host - 1) < 0 || !is_helo(host)))
		strcpy(host, "localhost");
	port->helo = strdup(name ? name : host);
	return port->helo ? RC_OK : err_set(err, ERR_MEMORY, "port");
}

static enum rc
init_port(struct smtp_port *port, const struct conf *conf, const struct conf_group *group,
	const char *option, struct err *err)
{
	const char *spec = conf_str(group, option), *ip = NULL;
	enum rc rc;

	port->connect_ms = conf_int(group, "connect_timeout");
	port->command_ms = conf_int(group, "command_timeout");
	port->data_ms = conf_int(group, "data_timeout");
	port->end_ms = conf_int(group, "end_timeout");
	port->idle_ms = conf_int(group, "idle");
	port->max_recipients = (size_t)conf_int(group, "recipients");
	port->max_kept = (size_t)conf_int(group, "connections");
	port->name = strdup(spec);
	port->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!port->name || port->stop_fd < 0)
		return err_set(err, ERR_MEMORY, "port");
	if (strncmp(spec, "unix:", 5) == 0)
		rc = parse_unix(port, spec + 5, conf, group, err);
	else if (strncmp(spec, "inet:", 5) == 0)
		rc = parse_inet(port, spec + 5, conf, group, &ip, err);
	else
		rc = conf_err(err, conf, group, option, "unix:PATH or inet:PORT@ADDRESS wanted");
	if (!rc)
		rc = init_tls(port, conf, group, ip, err);
	if (!rc)
		rc = init_login(port, conf, group, err);
	return rc ? rc : init_helo(port, conf, group, err);
}

/* OPTION is where the address stands. */
static enum rc
new_port(struct conf *conf, const char *option, struct smtp_port **out, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "port");
	struct smtp_port *port;
	enum rc rc;

	*out = NULL;
	if (!conf_str(group, option))
		return RC_NONE;
	port = calloc(1, sizeof(*port));
	if (!port)
		return err_set(err, ERR_MEMORY, "port");
	pthread_mutex_init(&port->lock, NULL);
	port->stop_fd = -1;
	rc = init_port(port, conf, group, option, err);
	if (rc)
		smtp_port_free(&port);
	*out = port;
	return rc;
}

enum rc
smtp_port_new(struct conf *conf, struct smtp_port **out, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "port");

	*out = NULL;
	if (conf_str(group, "own_address") && !conf_str(group, "address"))
		return conf_err(err, conf, group, "own_address", "goes with address");
	return new_port(conf, "address", out, err);
}

enum rc
smtp_port_new_own(struct conf *conf, struct smtp_port **out, struct err *err)
{
	return new_port(conf, "own_address", out, err);
}

void
smtp_port_free(struct smtp_port **port)
{
	struct smtp_port *p = *port;

	*port = NULL;
	if (!p)
		return;
	for (size_t i = 0; i < p->n_kept; i++)
		smtp_conn_close(&p->kept[i]);
	tls_client_free(&p->tls);
	secret_free(&p->password);
	pthread_mutex_destroy(&p->lock);
	if (p->stop_fd >= 0)
		close(p->stop_fd);
	free(p->name);
	free(p->helo);
	free(p->user);
	free(p);
}

const char *
smtp_port_name(const struct smtp_port *port)
{
	return port->name;
}

uint64_t
smtp_port_size_limit(const struct smtp_port *port)
{
	return atomic_load(&port->size_limit);
}

void
smtp_port_stop(struct smtp_port *port)
{
	uint64_t one = 1;

	if (write(port->stop_fd, &one, sizeof one) < 0) {
		/* full: it has been said often enough */
	}
}

/* --- connections --- */

int64_t
smtp_until(int64_t ms, int64_t deadline)
{
	int64_t until = clock_monotonic_ms() + ms;

	return deadline && deadline < until ? deadline : until;
}

/* The one used last that is still good, or NULL. Those that nobody needed for long are closed. */
static struct smtp_conn *
take_kept(struct smtp_port *port)
{
	int64_t oldest = clock_monotonic_ms() - port->idle_ms;
	struct smtp_conn *conn;

	for (;;) {
		conn = NULL;
		pthread_mutex_lock(&port->lock);
		if (port->n_kept > 0)
			conn = port->kept[--port->n_kept];
		pthread_mutex_unlock(&port->lock);
		if (!conn || (conn->idle_since > oldest && smtp_conn_is_silent(conn)))
			return conn;
		smtp_conn_close(&conn);
	}
}

enum rc
smtp_port_take(struct smtp_port *port, bool fresh, int64_t deadline, struct smtp_conn **out,
	bool *kept, struct err *err)
{
	struct smtp_conn *conn = fresh ? NULL : take_kept(port);
	enum rc rc;

	*kept = conn != NULL;
	*out = conn;
	if (conn)
		return RC_OK;
	rc = smtp_conn_open((struct sockaddr *)&port->addr, port->addr_len, port->stop_fd,
		smtp_until(port->connect_ms, deadline), &conn, err);
	if (!rc)
		rc = smtp_login(port, conn, deadline, err);
	if (rc) {
		err_prefix(err, "%s", port->name);
		smtp_conn_close(&conn);
		return rc == RC_NONE ? RC_TEMP : rc;
	}
	atomic_store(&port->size_limit, conn->caps.size);
	*out = conn;
	return RC_OK;
}

void
smtp_port_give(struct smtp_port *port, struct smtp_conn **conn, bool good)
{
	struct smtp_conn *c = *conn;

	*conn = NULL;
	if (!c)
		return;
	c->never_stop = false;
	c->idle_since = clock_monotonic_ms();
	/* In the middle of a message no word of ours may become a part of it. */
	c->closed |= !good;
	pthread_mutex_lock(&port->lock);
	if (good && port->n_kept < port->max_kept && port->n_kept < SMTP_PORT_KEPT) {
		port->kept[port->n_kept++] = c;
		c = NULL; /* the pool's now */
	}
	pthread_mutex_unlock(&port->lock);
	smtp_conn_close(&c);
}

enum rc
smtp_port_reach(struct smtp_port *port, int64_t deadline, struct err *err)
{
	struct smtp_conn *conn;
	bool kept;
	enum rc rc = smtp_port_take(port, false, deadline, &conn, &kept, err);

	if (!rc)
		smtp_port_give(port, &conn, true);
	return rc;
}

/* What copies will lose. */
static void
log_missing(const struct smtp_port *port, const struct smtp_caps *caps)
{
	const struct {
		bool there;
		const char *name, *lost;
	} wanted[] = {
		{caps->dsn, "DSN", "NOTIFY, RET, ENVID and ORCPT are dropped"},
		{caps->smtputf8, "SMTPUTF8", "mail with UTF-8 addresses is refused"},
		{caps->eightbitmime, "8BITMIME", "mail with 8-bit content is refused"},
		{caps->size_offered, "SIZE", "too big mail is noticed late"},
		{caps->xforward != 0, "XFORWARD", "its log does not tell where mail came from"},
	};

	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		if (!wanted[i].there)
			log_event(LOGL_WARN, NULL, "port-without", "port", port->name, "extension",
				wanted[i].name, "so", wanted[i].lost, NULL);
}

enum rc
smtp_port_probe(struct smtp_port *port, struct smtp_caps *out, struct err *err)
{
	struct smtp_conn *conn;
	bool kept;
	enum rc rc = smtp_port_take(port, true, 0, &conn, &kept, err);

	*out = (struct smtp_caps){0};
	if (rc)
		return rc;
	*out = conn->caps;
	log_event(LOGL_INFO, NULL, "port-ready", "port", port->name, "tls",
		conn->tls ? tls_version(conn->tls) : "none", "auth",
		port->user ? port->user : "none", "size", LOG_NUM(out->size), NULL);
	log_missing(port, out);
	smtp_port_give(port, &conn, true);
	return RC_OK;
}
