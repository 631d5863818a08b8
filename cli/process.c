/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process.c - sealgate process: what the milter would do with a mail, done
 */
#include "base/file.h"
#include "base/log.h"
#include "cli/mail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command cmd_process = {
	.name = "process",
	.usage = MAIL_USAGE " [--out DIR]",
	.help = "do to a mail what the milter would do, keys included",
	.details = MAIL_DETAILS
	"--out DIR      write copies as DIR/1.eml …, JSON to standard output; without it the\n"
	"               message goes to standard output and the JSON to standard error\n"
	"Needs the running vault and the operator right \"process\"; the ledger says so.\n"
	"Status: 0 accepted, 65 refused, 75 deferred.\n",
	.run = run,
};

static enum rc
write_fd(void *ctx, const void *data, size_t len, struct err *err)
{
	return file_write_all(*(int *)ctx, data, len, err);
}

/* A copy of an earlier run must not be taken for this one's. */
static void
remove_old(const char *dir)
{
	char *path = file_join(dir, "1.eml");

	if (path)
		(void)unlink(path);
	free(path);
}

/* The copy is made whole under another name first, so that a reader never sees a part of it. */
static enum rc
write_copy(const struct mail *mail, const char *dir, struct err *err)
{
	char *path = file_join(dir, "1.eml"), *part = file_join(dir, ".1.eml.part");
	struct sink sink = {.feed = write_fd};
	enum rc rc = RC_OK;
	int fd = -1;

	if (!path || !part)
		rc = err_set(err, ERR_MEMORY, "%s", dir);
	if (rc == RC_OK)
		rc = file_make_dir(dir, 0700, err);
	if (rc == RC_OK) {
		fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			rc = err_set(err, ERR_FILE, "%s: %s", part, strerror(errno));
	}
	if (rc == RC_OK) {
		sink.ctx = &fd;
		rc = copy_write(mail->tx, mail->result->copies, &sink, err);
	}
	if (fd >= 0 && close(fd) != 0 && rc == RC_OK)
		rc = err_set(err, ERR_FILE, "%s: %s", part, strerror(errno));
	if (rc == RC_OK && rename(part, path) != 0)
		rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	if (rc != RC_OK && part)
		(void)unlink(part);
	free(path);
	free(part);
	return rc;
}

static enum rc
describe(const struct result *result, bool named, struct buf *out, struct err *err)
{
	struct json json;

	json_init(&json, out);
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	result_json(result, named, &json);
	json_object_end(&json);
	return json_end(&json, err);
}

static enum rc
print_message(const struct mail *mail, struct err *err)
{
	int fd = STDOUT_FILENO;
	struct sink sink = {.feed = write_fd, .ctx = &fd};

	return copy_write(mail->tx, mail->result->copies, &sink, err);
}

static int
report(const struct mail *mail, const char *dir)
{
	struct buf text = BUF_INIT(0);
	struct err err = ERR_INIT;
	bool deliver = mail->result->outcome == PLAN_DELIVER;
	int status = mail_status(mail->result);
	enum rc rc = describe(mail->result, dir != NULL, &text, &err);

	if (dir)
		remove_old(dir);
	if (rc == RC_OK && deliver)
		rc = dir ? write_copy(mail, dir, &err) : print_message(mail, &err);
	if (rc != RC_OK)
		status = cmd_fail(&err);
	else if (dir)
		status = cmd_print(&text) == EX_OK ? status : EX_SOFTWARE;
	else
		fprintf(stderr, "%s\n", buf_text(&text));
	buf_fini(&text);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct mail *mail = calloc(1, sizeof(*mail)); /* its list is large */
	struct cmd_opt opts[MAIL_N_OPTS + 1];
	const char *dir = NULL;
	int status = EX_OSERR;

	if (!mail)
		return status;
	/* Standard error is for the result; the log of this use of keys goes where the daemon's
	 * goes. */
	log_open("sealgate-process", false);
	log_set_level(LOGL_INFO);
	mail_opts(mail, opts);
	opts[MAIL_N_OPTS] = (struct cmd_opt){"out", OPT_VALUE, &dir};
	if (cmd_parse(&cmd_process, cli, opts, MAIL_N_OPTS + 1, &argc, argv, &status)) {
		if (argc > 1)
			status = cmd_usage(&cmd_process, "the mail comes from standard input");
		else if (mail_run(&cmd_process, cli, mail, PIPELINE_RUN, &status))
			status = report(mail, dir);
	}
	mail_close(mail);
	free(mail);
	return status;
}
