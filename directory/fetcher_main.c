/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sealgate-fetcher: the daemon that fetches revocation lists and CA certificates
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/counter.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/startup.h"
#include "directory/fetcher.h"

#define PROGRAM "sealgate-fetcher"
#define STEP_MS 1000

/* Signals are read from a descriptor; threads that come later leave them alone too. */
static int
open_signals(void)
{
	sigset_t set;

	startup_block_signals(&set);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static enum rc
apply(void *ctx, struct conf *conf, struct err *err)
{
	return fetcher_reload(ctx, conf, err);
}

/* Until somebody says stop. */
static void
work(const struct startup *args, int signals, struct fetcher *fetcher)
{
	struct signalfd_siginfo info;

	for (;;) {
		fetcher_step(fetcher, signals, STEP_MS);
		while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
			if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
				return;
			if (info.ssi_signo == SIGUSR1)
				startup_reload(args->conf, apply, fetcher);
		}
	}
}

/* Folder and socket are made with the privileges of the start, everything else without. */
static enum rc
start(const struct startup *args, struct conf *conf, struct fetcher **fetcher, struct err *err)
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
run(const struct startup *args, struct conf *conf)
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
			fprintf(stderr, PROGRAM ": %s\n", err.detail);
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
	return startup_main(PROGRAM, argc, argv, run);
}
