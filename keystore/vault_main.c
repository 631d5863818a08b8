/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sealgate-vault: the daemon that holds the keys
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/counter.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/startup.h"
#include "crypto/token.h"
#include "keystore/server.h"

#define PROGRAM "sealgate-vault"

static enum rc
apply(void *ctx, struct conf *conf, struct err *err)
{
	return vault_reload(ctx, conf, err);
}

/* Until somebody says stop. */
static void
wait_for_end(const struct startup *args, const sigset_t *set, struct vault *vault)
{
	for (;;) {
		int sig = 0;

		if (sigwait(set, &sig))
			continue;
		if (sig == SIGTERM || sig == SIGINT)
			return;
		if (sig == SIGUSR1)
			startup_reload(args->conf, apply, vault);
	}
}

/*
 * Sockets and master key are opened with the privileges of the start and, where a passphrase is
 * asked for, with its terminal; everything else as the vault's own user.
 */
static enum rc
start(const struct startup *args, struct conf *conf, struct server **server, struct vault **vault,
	struct err *err)
{
	const struct conf_group *group = conf_section(conf, "vault");
	struct secret *master = NULL;
	enum rc rc = vault_read_master(conf, &master, err);

	if (!rc)
		rc = vault_read_pins(conf, true, err);
	tokens_stop(); /* a process that the master key needed is no child of what we become */
	if (!rc && !args->foreground)
		rc = sandbox_daemonize(err);
	/* Locks are not inherited by the child. */
	if (!rc)
		(void)sandbox_lock_memory();
	if (!rc)
		rc = server_listen(conf, server, err);
	if (!rc)
		rc = sandbox_drop(conf_str(group, "user"), conf_str(group, "group"), err);
	if (!rc)
		rc = vault_start(conf, master, vault, err);
	secret_free(&master);
	if (!rc)
		tokens_start();
	return rc ? rc : server_start(*server, *vault, err);
}

/* Two thousand connections need more than the usual number of descriptors. */
static void
raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 4096) {
		limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* A configuration that works and gives away what it is for. */
static void
warn(struct vault *vault)
{
	struct settings *settings = vault_settings(vault);

	(void)settings_warn(settings, geteuid());
	settings_unref(&settings);
}

/* Nothing that passes by itself: whatever restarts us is not to try again. */
static bool
needs_somebody(const struct err *err)
{
	return err->code == ERR_CONFIG || err->code == ERR_MASTER_KEY;
}

static int
run(const struct startup *args, struct conf *conf)
{
	struct server *server = NULL;
	struct vault *vault = NULL;
	struct err err = ERR_INIT;
	int64_t began = clock_monotonic_ms();
	sigset_t set;
	enum rc rc;

	startup_block_signals(&set);
	raise_files();
	rc = start(args, conf, &server, &vault, &err);
	if (!rc) {
		log_event(LOGL_INFO, NULL, "vault-ready", "version", PACKAGE_VERSION, "ms",
			LOG_NUM(clock_monotonic_ms() - began), NULL);
		warn(vault);
		sandbox_ready();
		wait_for_end(args, &set, vault);
		sandbox_notify("STOPPING=1");
		server_stop(server);
		counter_log();
	} else {
		log_error(LOGL_ERROR, NULL, "vault-not-started", &err, NULL);
		if (!args->foreground)
			fprintf(stderr, PROGRAM ": %s\n", err.detail);
	}
	server_free(&server);
	vault_stop(&vault);
	tokens_stop();
	log_event(LOGL_INFO, NULL, "vault-stopped", NULL);
	return rc == RC_OK ? 0 : needs_somebody(&err) ? 78 : err_exit_status(rc);
}

int
main(int argc, char **argv)
{
	if (token_process_is_wanted(argc, argv))
		return token_process_main(argv);
	return startup_main(PROGRAM, argc, argv, run);
}
