/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * milter_main.c - sealgate-milter: reads mail, holds no private key
 *
 * libmilter has a thread of its own that waits for SIGHUP, SIGTERM and SIGINT and then stops in up
 * to 5 s, cutting whatever is under way. So libmilter runs in a second thread here, and the first
 * one, which Linux prefers when a signal is for the whole process and does not block it, keeps
 * these signals for itself: a handler writes the number into a pipe that this thread reads. A stop
 * is then: defer what is new, give what is in flight a moment, tell libmilter, knock at our own
 * socket so that its listener wakes, and go.
 */
#include "config.h"

#include "base/counter.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/startup.h"
#include "milter/ahead.h"
#include "milter/callbacks.h"
#include "milter/folders.h"
#include "milter/listen.h"
#include "milter/supervise.h"

#include <libmilter/mfapi.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define EXIT_USAGE  64
#define EXIT_FAULT  70
#define EXIT_CONFIG 78
#define DRAIN_MS    600 /* for what is in flight when a stop comes */
#define KEEP_FREE \
	(1 << 20)  /* bytes that an arena keeps: giving them back costs two calls a message */
#define END_MS 250 /* for libmilter to return after that */

static int signal_pipe[2] = {-1, -1};

struct options {
	const char *conf;
	const char *service;
	bool foreground;
};

/* One service's process. */
struct server {
	const struct options *options;
	struct conf *conf;
	struct service service;
	struct daemon *daemon;
	int ready_fd; /* -1: there is no supervisor */
};

static void
on_signal(int sig)
{
	int saved = errno;
	unsigned char byte = (unsigned char)sig;

	if (write(signal_pipe[1], &byte, 1) < 0) {
		/* full: there is more than enough to do already */
	}
	errno = saved;
}

static enum rc
catch_signals(struct err *err)
{
	static const int caught[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_set(err, ERR_SYSTEM, "pipe: %s", strerror(errno));
	for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
		sigaction(caught[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	return RC_OK;
}

static int
refuse(const struct options *options, const struct err *err)
{
	log_error(LOGL_ERROR, NULL, "not-started", err, NULL);
	if (!options->foreground) /* whoever typed the command does not see the log */
		fprintf(stderr, "sealgate-milter: %s\n", err->detail);
	return err->code == ERR_CONFIG ? EXIT_CONFIG : EXIT_FAULT;
}

static void
tell_missing(const char *option, const char *dir, const char *why)
{
	log_event(LOGL_WARN, NULL, "folder-not-there", "option", option, "folder", dir, "why", why,
		NULL);
}

/* No port is no trouble: *out is NULL then. */
static enum rc
open_outlet(struct conf *conf, struct engine *engine, struct outlet **out, struct err *err)
{
	enum rc rc = outlet_new(conf, engine, out, err);

	return rc == RC_NONE ? RC_OK : rc;
}

/* The new configuration, or the old one stays. Messages under way keep theirs in any case. */
static void
reload(struct server *server)
{
	struct err err = ERR_INIT;
	struct conf *conf = NULL;
	struct engine *engine = NULL;
	struct outlet *outlet = NULL;
	struct service service;
	enum rc rc = conf_load(server->options->conf, &conf, &err);

	if (rc == RC_OK)
		rc = service_init(&service, conf, server->service.name, &err);
	if (rc == RC_OK)
		rc = folders_spool(conf, &err);
	if (rc == RC_OK)
		rc = engine_new(conf, server->service.name, &engine, &err);
	if (rc == RC_OK)
		rc = open_outlet(conf, engine, &outlet, &err);
	if (rc == RC_OK)
		rc = outlet_serve(outlet, &err);
	if (rc != RC_OK) {
		log_error(LOGL_ERROR, NULL, "reload-refused", &err, "service", server->service.name,
			NULL);
	} else {
		daemon_set_engine(server->daemon, engine, outlet);
		outlet_probe(outlet);
		startup_set_log(conf);
		folders_missing(conf, tell_missing);
		log_event(LOGL_INFO, NULL, "reloaded", "service", server->service.name, "socket",
			strcmp(service.socket, server->service.socket) ? "needs a restart" : NULL,
			NULL);
		counter_log();
	}
	engine_unref(&engine);
	outlet_unref(&outlet);
	conf_unref(&conf);
}

static void *
run_libmilter(void *arg)
{
	int *result = arg;

	*result = smfi_main();
	on_signal(SIGCHLD); /* wakes the first thread: libmilter is at its end */
	return NULL;
}

/* All signals are blocked in the thread, and so in all that libmilter makes. */
static enum rc
start_libmilter(pthread_t *thread, int *result, struct err *err)
{
	sigset_t all, old;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	failed = pthread_create(thread, NULL, run_libmilter, result);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return failed ? err_set(err, ERR_SYSTEM, "no thread: %s", strerror(failed)) : RC_OK;
}

static void *
tell_libmilter(void *arg)
{
	(void)arg;
	smfi_stop(); /* waits for a lock that the listener has while it polls, up to 5 s */
	return NULL;
}

/* True when libmilter's main thread has returned. */
static bool
end_libmilter(struct server *server, pthread_t thread)
{
	struct timespec until;
	pthread_t teller;
	bool told;

	ahead_keep();
	told = pthread_create(&teller, NULL, tell_libmilter, NULL) == 0;
	for (int ms = 0; told && ms < END_MS; ms += 10) {
		minder_knock(daemon_minder(server->daemon));
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 10000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (pthread_timedjoin_np(thread, NULL, &until) == 0) {
			pthread_join(teller, NULL);
			return true;
		}
	}
	return false;
}

/* Reads signals until one says stop, or libmilter ends by itself. */
static int
serve(struct server *server)
{
	struct pollfd pfd = {.fd = signal_pipe[0], .events = POLLIN};
	unsigned char sig;

	for (;;) {
		poll(&pfd, 1, -1);
		while (read(signal_pipe[0], &sig, 1) == 1) {
			if (sig == SIGUSR1)
				reload(server);
			else
				return sig;
		}
	}
}

/* What was in flight is finished, or deferred by the end of the process. */
static int
stop(struct server *server, pthread_t thread, bool alive)
{
	bool quiet;

	log_event(LOGL_INFO, NULL, "stopping", "service", server->service.name, NULL);
	quiet = daemon_drain(server->daemon, DRAIN_MS);
	counter_log();
	if (alive)
		alive = !end_libmilter(server, thread);
	listen_close(&server->service); /* not before: the knocks need it */
	log_event(LOGL_INFO, NULL, "stopped", "service", server->service.name, "in-flight",
		quiet ? NULL : "deferred", NULL);
	/* libmilter's workers may still be inside of us: nothing is freed under them */
	if (alive || !quiet || !daemon_is_quiet(server->daemon, END_MS) ||
		minder_sessions(daemon_minder(server->daemon)) > 0)
		_exit(0);
	return 0;
}

static void
tell_ready(struct server *server)
{
	log_event(LOGL_INFO, NULL, "ready", "service", server->service.name, "socket",
		server->service.socket, NULL);
	if (server->ready_fd < 0)
		sandbox_ready();
	else if (write(server->ready_fd, "r", 1) < 0)
		log_event(LOGL_WARN, NULL, "supervisor-gone", NULL);
}

/* With the socket open and privileges gone. */
static int
run_server(struct server *server)
{
	struct err err = ERR_INIT;
	pthread_t thread;
	int result = MI_SUCCESS, sig;

	if (daemon_start_minder(server->daemon, &err) != RC_OK || catch_signals(&err) != RC_OK ||
		start_libmilter(&thread, &result, &err) != RC_OK)
		return refuse(server->options, &err);
	tell_ready(server);
	sig = serve(server);
	if (sig == SIGCHLD)
		pthread_join(thread, NULL);
	stop(server, thread, sig != SIGCHLD);
	if (sig == SIGCHLD && result != MI_SUCCESS)
		log_event(LOGL_ERROR, NULL, "libmilter-failed", "service", server->service.name,
			NULL);
	return sig == SIGCHLD ? EXIT_FAULT : 0;
}

/* What needs privileges, then without them the engine, whose files the daemon's user must be able
 * to read: a reload can't do otherwise. */
static enum rc
prepare(struct server *server, struct err *err)
{
	struct engine *engine = NULL;
	struct outlet *outlet = NULL;
	enum rc rc = service_init(&server->service, server->conf, server->options->service, err);

	if (rc == RC_OK)
		rc = callbacks_register(NULL, err);
	if (rc == RC_OK)
		rc = listen_open(&server->service, err);
	if (rc == RC_OK)
		rc = sandbox_drop(server->service.user, server->service.group, err);
	if (rc == RC_OK)
		rc = folders_spool(server->conf, err);
	if (rc == RC_OK)
		rc = engine_new(server->conf, server->service.name, &engine, err);
	if (rc == RC_OK)
		rc = open_outlet(server->conf, engine, &outlet, err);
	if (rc == RC_OK)
		rc = daemon_new(&server->service, engine, outlet, &server->daemon, err);
	if (rc == RC_OK)
		outlet_probe(outlet);
	if (rc == RC_OK)
		rc = callbacks_register(server->daemon, err);
	if (rc == RC_OK)
		rc = outlet_serve(outlet, err);
	if (rc == RC_OK)
		folders_missing(server->conf, tell_missing);
	engine_unref(&engine);
	outlet_unref(&outlet);
	return rc;
}

static int
run_service(const char *service, int ready_fd, void *ctx)
{
	struct options options = *(const struct options *)ctx;
	struct server server = {.options = &options, .ready_fd = ready_fd};
	struct err err = ERR_INIT;
	int status;

	if (service)
		options.service = service;
	if (conf_load(options.conf, &server.conf, &err) != RC_OK)
		return refuse(&options, &err);
	startup_set_log(server.conf);
	status = prepare(&server, &err) == RC_OK ? 0 : refuse(&options, &err);
	if (status == 0) {
		if (ready_fd >= 0) /* setuid has cleared it, so it is set only now */
			prctl(PR_SET_PDEATHSIG, SIGTERM);
		status = run_server(&server);
	}
	daemon_free(&server.daemon);
	conf_unref(&server.conf);
	return status;
}

#define USAGE "usage: sealgate-milter -c CONF [-s SERVICE] [-f]\n"

static int
usage(void)
{
	fputs(USAGE, stderr);
	return EXIT_USAGE;
}

/* The questions that need no configuration. */
static bool
answer(int argc, char **argv)
{
	if (argc != 2)
		return false;
	if (strcmp(argv[1], "--version") == 0)
		puts("sealgate-milter " PACKAGE_VERSION);
	else if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		fputs(USAGE "  -s   this service only; without it each has a process of its own\n"
			    "  -f   stay in the foreground, log to standard error\n",
			stdout);
	else
		return false;
	return true;
}

/* -c is made absolute: the daemon leaves its folder and reads the file again at a reload. */
static bool
take_options(int argc, char **argv, struct options *options)
{
	int opt;

	*options = (struct options){0};
	while ((opt = getopt(argc, argv, "c:s:f")) != -1) {
		if (opt == 'c')
			options->conf = optarg;
		else if (opt == 's')
			options->service = optarg;
		else if (opt == 'f')
			options->foreground = true;
		else
			return false;
	}
	return options->conf && optind == argc;
}

/* libmilter spins without a pause when it can't accept for want of descriptors. */
static void
raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Everything that can be refused without a service's own process. */
static enum rc
load_all(const struct options *options, struct conf **conf, struct err *err)
{
	enum rc rc = sandbox_harden(err);

	if (rc == RC_OK)
		rc = conf_load(options->conf, conf, err);
	if (rc == RC_OK)
		rc = service_check_all(*conf, err);
	if (rc == RC_OK && !options->foreground)
		rc = sandbox_daemonize(err);
	return rc;
}

int
main(int argc, char **argv)
{
	struct options options;
	struct err err = ERR_INIT;
	struct conf *conf = NULL;
	char *path;
	int status;

	if (answer(argc, argv))
		return 0;
	signal(SIGUSR1, SIG_IGN); /* one that comes too early must not kill */
	raise_limits();
	mallopt(M_TRIM_THRESHOLD, KEEP_FREE);
	if (!take_options(argc, argv, &options))
		return usage();
	log_open("sealgate-milter", options.foreground);
	path = realpath(options.conf, NULL);
	if (!path) {
		err_set(&err, ERR_CONFIG, "%s: %s", options.conf, strerror(errno));
		return refuse(&options, &err);
	}
	options.conf = path;
	if (load_all(&options, &conf, &err) != RC_OK) {
		status = refuse(&options, &err);
	} else {
		if (options.service || conf_count(conf, "services") == 1)
			status = run_service(options.service, -1, &options);
		else
			status = supervise(conf, run_service, sandbox_ready, &options);
	}
	conf_unref(&conf);
	free(path);
	return status;
}
