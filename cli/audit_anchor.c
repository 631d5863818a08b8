/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit_anchor.c - sealgate audit anchor: one line to keep where the ledger's machine cannot reach
 *
 * With a configuration the vault signs a checkpoint and gives its anchor, so the tool needs no
 * access to the ledger's files. With --dir, or when the vault does not answer, the last checkpoint
 * that stands in the files is taken.
 */
#include "cli/audit.h"

#include "base/file.h"
#include "keystore/ledger_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command audit_anchor = {
	.name = "audit anchor",
	.usage = "[--dir DIR] [--append FILE] [--syslog] [--all]",
	.help = "print one line to keep elsewhere: it proves everything up to now",
	.details =
		"  --dir DIR          the ledger's folder; its last checkpoint is taken as it is\n"
		"  --append FILE      at the end of this file, and not on standard output\n"
		"  --syslog           to the system's log too, facility auth\n"
		"  --all              an anchor for each checkpoint that is in the folder\n",
	.run = run,
};

/* A checkpoint over everything up to now. False: the vault cannot be asked. */
static bool
ask_vault(struct cli *cli, struct buf *out, struct err *err)
{
	struct json_value *answer = NULL;
	struct asking asking;
	const char *anchor;
	enum rc rc;

	asking_begin(&asking, "ledger.checkpoint");
	rc = asking_send(&asking, cli->conf, NULL, &answer, err);
	anchor = rc == RC_OK ? json_get_text(answer, "anchor") : NULL;
	if (rc == RC_OK && !anchor)
		rc = err_set(err, ERR_VAULT_PROTOCOL, "no anchor in the vault's answer");
	if (rc == RC_OK)
		rc = buf_append_str(out, anchor, err);
	json_free(&answer);
	return rc == RC_OK;
}

/* Adds TEXT to FILE, durably: who reads an anchor there may throw away other copies. */
static enum rc
append(const char *path, const struct buf *text, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
	enum rc rc;

	if (fd < 0)
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	rc = file_write_all(fd, text->data, text->len, err);
	if (rc == RC_OK && fsync(fd))
		rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	if (close(fd) && rc == RC_OK)
		rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	return rc == RC_OK ? RC_OK : err_prefix(err, "%s", path);
}

/* One event for each line. */
static void
send_syslog(const struct buf *text)
{
	const char *p = buf_text(text), *lf;

	openlog("sealgate", LOG_PID, LOG_AUTH);
	for (; (lf = strchr(p, '\n')); p = lf + 1)
		syslog(LOG_NOTICE, "%.*s", (int)(lf - p), p);
	closelog();
}

/* The anchors of the files in DIR. */
static enum rc
read_dir(const char *dir, bool all, struct buf *out, struct err *err)
{
	enum rc rc = all ? ledger_all_anchors(dir, out, err) : ledger_anchor(dir, out, err);

	return rc == RC_OK && !all ? buf_append_char(out, '\n', err) : rc;
}

/* Is somebody there who takes what is sent to the system's log? syslog(3) would not say. */
static bool
has_syslog(struct err *err)
{
	const struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = _PATH_LOG};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool there = fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0;

	/* Some listen as a stream. */
	if (!there && errno == EPROTOTYPE)
		there = true;
	if (!there)
		err_set(err, ERR_FILE, "%s: %s: the anchor is not in the system's log", _PATH_LOG,
			strerror(errno));
	if (fd >= 0)
		close(fd);
	return there;
}

static int
print(const struct cli *cli, const struct buf *text)
{
	struct buf out = BUF_INIT(0);
	const char *p = buf_text(text), *lf;
	struct json json;

	if (!cli->json)
		return cmd_print(text);
	cmd_json_begin(&json, &out);
	json_array(&json, "anchors");
	for (; (lf = strchr(p, '\n')); p = lf + 1)
		json_strn(&json, NULL, p, (size_t)(lf - p));
	json_array_end(&json);
	return cmd_json_end(&json, EX_OK);
}

static int
deliver(const struct cli *cli, const struct buf *text, const char *file, bool to_syslog)
{
	struct err err = ERR_INIT;

	if (to_syslog && !has_syslog(&err))
		return cmd_fail(&err);
	if (to_syslog)
		send_syslog(text);
	if (!file)
		return print(cli, text);
	return append(file, text, &err) == RC_OK ? EX_OK : cmd_fail(&err);
}

static int
run(struct cli *cli, int argc, char **argv)
{
	const char *opt = NULL, *dir = NULL, *file = NULL;
	bool to_syslog = false, all = false;
	const struct cmd_opt opts[] = {{"dir", OPT_VALUE, &opt}, {"append", OPT_VALUE, &file},
		{"syslog", OPT_FLAG, &to_syslog}, {"all", OPT_FLAG, &all}};
	struct buf text = BUF_INIT(256u << 20);
	struct err err = ERR_INIT;
	enum rc rc = RC_OK;
	int status;

	if (!cmd_parse(&audit_anchor, cli, opts, 4, &argc, argv, &status))
		return status;
	if (argc > 1)
		return cmd_usage(&audit_anchor, "too many arguments");
	if (!audit_dir(&audit_anchor, cli, opt, &dir, &status))
		return status;
	if (!opt && !all && ask_vault(cli, &text, &err)) {
		rc = buf_append_char(&text, '\n', &err);
	} else {
		if (!opt && !all)
			fprintf(stderr, "sealgate: no new checkpoint (%s): this is the last one\n",
				err.detail);
		err_clear(&err);
		buf_clear(&text);
		rc = read_dir(dir, all, &text, &err);
	}
	if (rc == RC_OK)
		status = deliver(cli, &text, file, to_syslog);
	else if (rc == RC_NONE)
		status = (fprintf(stderr, "sealgate: %s: there is no checkpoint\n", dir),
			EX_DATAERR);
	else
		status = cmd_fail_input(&err);
	buf_fini(&text);
	return status;
}
