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

/* "DIR/N.eml", or with HIDDEN "DIR/.N.eml.part". */
static char *
copy_path(const char *dir, size_t number, bool hidden)
{
	char name[40];

	snprintf(name, sizeof(name), hidden ? ".%zu.eml.part" : "%zu.eml", number);
	return file_join(dir, name);
}

/* Copies of an earlier run must not be taken for this one's. */
static void
remove_old(const char *dir)
{
	bool more = true;

	for (size_t n = 1; more; n++) {
		char *path = copy_path(dir, n, false);

		more = path && unlink(path) == 0;
		free(path);
	}
}

static enum rc
write_file(const struct mail *mail, const struct copy *copy, const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct sink sink = {.feed = write_fd, .ctx = &fd};
	enum rc rc;

	if (fd < 0)
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	rc = copy_write(mail->tx, copy, &sink, err);
	if (close(fd) != 0 && rc == RC_OK)
		rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	return rc;
}

/* The copy is made whole under another name first, so that a reader never sees a part of it. */
static enum rc
write_copy(const struct mail *mail, const struct copy *copy, const char *dir, size_t number,
	struct err *err)
{
	char *path = copy_path(dir, number, false), *part = copy_path(dir, number, true);
	enum rc rc = path && part ? RC_OK : err_set(err, ERR_MEMORY, "%s", dir);

	if (rc == RC_OK)
		rc = file_make_dir(dir, 0700, err);
	if (rc == RC_OK)
		rc = write_file(mail, copy, part, err);
	if (rc == RC_OK && rename(part, path) != 0)
		rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	if (rc != RC_OK && part)
		(void)unlink(part);
	free(path);
	free(part);
	return rc;
}

/* False: it can't be had, which is in the result now. */
static bool
make(struct mail *mail, size_t k)
{
	struct err why = ERR_INIT;
	enum rc rc = mail->result->in_place ? RC_OK
					    : pipeline_make_copy(mail->tx, mail->result, k, &why);

	if (rc == RC_PERM)
		pipeline_refuse_copy(mail->tx, mail->result, k, &why);
	else if (rc != RC_OK)
		pipeline_stop(mail->tx, mail->result, &why);
	return rc == RC_OK;
}

/* One after the other, as they would be sent. One that can't be had is its recipients' trouble. */
static enum rc
write_copies(struct mail *mail, const char *dir, struct err *err)
{
	struct result *result = mail->result;
	enum rc rc = RC_OK;
	size_t number = 0;

	for (size_t k = 0; rc == RC_OK && k < result->n_copies; k++) {
		if (!make(mail, k))
			continue;
		rc = write_copy(mail, &result->copies[k], dir, ++number, err);
		copy_drop(&result->copies[k]);
	}
	if (!result->in_place)
		pipeline_conclude(mail->tx, result);
	if (result->outcome != PLAN_DELIVER)
		remove_old(dir);
	return rc;
}

static enum rc
describe(const struct result *result, bool named, struct buf *out, struct err *err)
{
	struct json json;

	cmd_json_begin(&json, out);
	result_json(result, named, &json);
	json_object_end(&json);
	return json_end(&json, err);
}

static enum rc
print_message(struct mail *mail, struct err *err)
{
	struct result *result = mail->result;
	int fd = STDOUT_FILENO;
	struct sink sink = {.feed = write_fd, .ctx = &fd};
	bool made = make(mail, 0);

	if (!result->in_place)
		pipeline_conclude(mail->tx, result);
	return made ? copy_write(mail->tx, result->copies, &sink, err) : RC_OK;
}

static enum rc
write_out(struct mail *mail, const char *dir, struct err *err)
{
	if (mail->result->outcome != PLAN_DELIVER)
		return RC_OK;
	return dir ? write_copies(mail, dir, err) : print_message(mail, err);
}

static int
report(struct mail *mail, const char *dir)
{
	struct buf text = BUF_INIT(0);
	struct err err = ERR_INIT;
	enum rc rc;
	int status = EX_OK;

	if (dir)
		remove_old(dir);
	else if (mail->result->n_copies > 1)
		return cmd_usage(&cmd_process, "there would be %zu copies: use --out DIR",
			mail->result->n_copies);
	rc = write_out(mail, dir, &err);
	if (rc == RC_OK)
		rc = describe(mail->result, dir != NULL, &text, &err);
	if (rc == RC_OK)
		status = mail_status(mail->result);
	else if (dir)
		remove_old(dir);
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
		mail->copies = dir != NULL;
		if (argc <= 1 && mail_run(&cmd_process, cli, mail, PIPELINE_RUN, &status))
			status = report(mail, dir);
	}
	mail_close(mail);
	free(mail);
	return status;
}
