/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sealgate-fetcher: the daemon that fetches revocation lists and CA certificates
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/counter.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "directory/fetcher.h"

#define STEP_MS 1000

struct args {
	const char *conf;
	bool foreground;
};

#define USAGE "usage: sealgate-fetcher -c CONF [-f]\n"

static int
usage(void)
{
	fputs(USAGE, stderr);
	return 64;
}

/* The questions that need no configuration. */
static bool
answer(int argc, char **argv)
{
	if (argc != 2)
		return false;
	if (strcmp(argv[1], "--version") == 0)
		puts("sealgate-fetcher " PACKAGE_VERSION);
	else if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		fputs(USAGE "  -f   stay in the foreground, log to standard error\n", stdout);
	else
		return false;
	return true;
}

static bool
parse_args(int argc, char **argv, struct args *args)
{
	int c;

	while ((c = getopt(argc, argv, "c:f")) != -1)
		if (c == 'c')
			args->conf = optarg;
		else if (c == 'f')
			args->foreground = true;
		else
			return false;
	return args->conf && optind == argc;
}

static void
set_level(const struct conf *conf)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	const char *level = conf_str(conf_section(conf, "log"), "level");

	for (int i = 0; i < 4; i++)
		if (strcmp(level, names[i]) == 0)
			log_set_level((enum log_level)i);
}

/* Signals are read from a descriptor; threads that come later leave them alone too. */
static int
open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* A configuration that is refused leaves the old one in force. */
static void
reload(const char *path, struct fetcher *fetcher)
{
	struct conf *conf = NULL;
	struct err err = ERR_INIT;
	enum rc rc;

	sandbox_notify("RELOADING=1");
	rc = conf_load(path, &conf, &err);
	if (rc == RC_OK)
		rc = fetcher_reload(fetcher, conf, &err);
	if (rc != RC_OK) {
		log_error(LOGL_ERROR, NULL, "reload-refused", &err, NULL);
	} else {
		set_level(conf);
		log_event(LOGL_INFO, NULL, "reloaded", "conf", path, NULL);
	}
	counter_log();
	conf_unref(&conf);
	sandbox_notify("READY=1");
}

/* Until somebody says stop. */
static void
work(const struct args *args, int signals, struct fetcher *fetcher)
{
	struct signalfd_siginfo info;

	for (;;) {
		fetcher_step(fetcher, signals, STEP_MS);
		while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
			if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
				return;
			if (info.ssi_signo == SIGUSR1)
				reload(args->conf, fetcher);
		}
	}
}

/* Folder and socket are made with the privileges of the start, everything else without. */
static enum rc
start(const struct args *args, struct conf *conf, struct fetcher **fetcher, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "fetch");
	enum rc rc = args->foreground ? RC_OK : sandbox_daemonize(err);

	if (rc == RC_OK)
		rc = fetcher_open(conf, fetcher, err);
	if (rc == RC_OK)
		rc = sandbox_drop(conf_str(group, "user"), conf_str(group, "group"), err);
	return rc == RC_OK ? fetcher_start(*fetcher, err) : rc;
}

static int
run(const struct args *args, struct conf *conf)
{
	struct fetcher *fetcher = NULL;
	struct err err = ERR_INIT;
	int64_t began = clock_monotonic_ms();
	int signals = open_signals();
	enum rc rc;

	if (signals < 0)
		rc = err_set(&err, ERR_SYSTEM, "signalfd: %s", strerror(errno));
	else
		rc = start(args, conf, &fetcher, &err);
	if (rc == RC_OK) {
		log_event(LOGL_INFO, NULL, "fetcher-ready", "version", PACKAGE_VERSION, "ms",
			LOG_NUM(clock_monotonic_ms() - began), NULL);
		sandbox_ready();
		work(args, signals, fetcher);
		sandbox_notify("STOPPING=1");
		counter_log();
	} else {
		log_error(LOGL_ERROR, NULL, "fetcher-not-started", &err, NULL);
		if (!args->foreground)
			fprintf(stderr, "sealgate-fetcher: %s\n", err.detail);
	}
	fetcher_close(&fetcher);
	if (signals >= 0)
		close(signals);
	log_event(LOGL_INFO, NULL, "fetcher-stopped", NULL);
	return rc == RC_OK ? 0 : err.code == ERR_CONFIG ? 78 : err_exit_status(rc);
}

int
main(int argc, char **argv)
{
	struct args args = {0};
	struct conf *conf = NULL;
	struct err err = ERR_INIT;
	char *path;
	int status;

	if (answer(argc, argv))
		return 0;
	if (!parse_args(argc, argv, &args))
		return usage();
	/* The daemon leaves the folder that it was started in, and a reload needs the file again.
	 */
	path = realpath(args.conf, NULL);
	if (path)
		args.conf = path;
	log_open("sealgate-fetcher", args.foreground);
	if (sandbox_harden(&err) != RC_OK || conf_load(args.conf, &conf, &err) != RC_OK) {
		fprintf(stderr, "sealgate-fetcher: %s\n", err.detail);
		status = err.code == ERR_CONFIG ? 78 : 70;
	} else {
		set_level(conf);
		status = run(&args, conf);
	}
	conf_unref(&conf);
	free(path);
	return status;
}
