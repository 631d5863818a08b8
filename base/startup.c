/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/startup.h"

#include "config.h"

#include "base/counter.h"
#include "base/log.h"
#include "base/sandbox.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
print_usage(const char *program, FILE *file)
{
	fprintf(file, "usage: %s -c CONF [-f]\n", program);
}

bool
startup_answer(const char *program, int argc, char **argv)
{
	if (argc != 2)
		return false;
	if (strcmp(argv[1], "--version") == 0) {
		printf("%s " PACKAGE_VERSION "\n", program);
		return true;
	}
	if (strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "-h") != 0)
		return false;
	print_usage(program, stdout);
	puts("  -f   stay in the foreground, log to standard error");
	return true;
}

bool
startup_parse(const char *program, int argc, char **argv, struct startup *out)
{
	bool good = true;
	int c;

	*out = (struct startup){0};
	while (good && (c = getopt(argc, argv, "c:f")) != -1)
		if (c == 'c')
			out->conf = optarg;
		else if (c == 'f')
			out->foreground = true;
		else
			good = false;
	if (good && out->conf && optind == argc)
		return true;
	print_usage(program, stderr);
	return false;
}

void
startup_set_log(const struct conf *conf)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	const char *level = conf_str(conf_section(conf, "log"), "level");

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(level, names[i]) == 0)
			log_set_level((enum log_level)i);
}

void
startup_reload(const char *path, startup_apply *apply, void *ctx)
{
	struct conf *conf = NULL;
	struct err err = ERR_INIT;
	enum rc rc;

	sandbox_notify("RELOADING=1");
	rc = conf_load(path, &conf, &err);
	if (rc == RC_OK)
		rc = apply(ctx, conf, &err);
	if (rc != RC_OK) {
		log_error(LOGL_ERROR, NULL, "reload-refused", &err, NULL);
	} else {
		startup_set_log(conf);
		log_event(LOGL_INFO, NULL, "reloaded", "conf", path, NULL);
	}
	counter_log();
	conf_unref(&conf);
	sandbox_notify("READY=1");
}

int
startup_main(const char *program, int argc, char **argv, startup_run *run)
{
	struct startup args = {0};
	struct conf *conf = NULL;
	struct err err = ERR_INIT;
	char *path;
	int status;

	if (startup_answer(program, argc, argv))
		return 0;
	if (!startup_parse(program, argc, argv, &args))
		return 64;
	/* The daemon leaves the folder that it was started in, and a reload needs the file again.
	 */
	path = realpath(args.conf, NULL);
	if (path)
		args.conf = path;
	log_open(program, args.foreground);
	if (sandbox_harden(&err) != RC_OK || conf_load(args.conf, &conf, &err) != RC_OK) {
		fprintf(stderr, "%s: %s\n", program, err.detail);
		status = err.code == ERR_CONFIG ? 78 : 70;
	} else {
		startup_set_log(conf);
		status = run(&args, conf);
	}
	conf_unref(&conf);
	free(path);
	return status;
}

void
startup_block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* A ledger at its limit of size is one that cannot be written, not the end of the daemon.
	 */
	signal(SIGXFSZ, SIG_IGN);
}
