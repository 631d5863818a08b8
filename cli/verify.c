/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * verify.c - sealgate verify: whose signature is this, and does it hold?
 *
 * The same code as in the milter (check_signature.h), without a daemon.
 */
#include "base/clock.h"
#include "cli/judge.h"
#include "message/classify.h"
#include "message/msg.h"
#include "milter/check_signature.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMORY   (256u << 10)
#define MAIL_MAX (4ull << 30)

static int run(struct cli *cli, int argc, char **argv);

const struct command cmd_verify = {
	.name = "verify",
	.usage = JUDGE_USAGE " [MAIL]",
	.help = "verify the signature of a mail: the verdict, as JSON or text",
	.details = "The mail comes from standard input or the file MAIL.\n" JUDGE_DETAILS
		   "Status: 0 pass, 75 temperror, 65 anything else.\n",
	.run = run,
};

static struct spool_conf
spool_conf_of(const struct cli *cli)
{
	const char *tmp = getenv("TMPDIR");
	struct spool_conf conf = {
		.dir = tmp && *tmp ? tmp : "/var/tmp", .memory = MEMORY, .max = MAIL_MAX};

	if (cli->conf)
		conf.max = (uint64_t)conf_int(conf_section(cli->conf, "milter"), "max_message");
	return conf;
}

/* FROM: the address of --from, else what From: says; one that cannot be read names nobody. */
static enum rc
read_from(const struct judge *judge, const struct msg *msg, struct addrlist *from, struct err *err)
{
	enum rc rc = judge->from ? addrlist_parse(judge->from, strlen(judge->from), from, err)
				 : hdrs_from(&msg->hdrs, from, err);

	if (rc != RC_PERM)
		return rc;
	err_clear(err);
	*from = (struct addrlist){0};
	return RC_OK;
}

/* When our mail server took it, by its own trace field, the newest; 0: not known. One that lies
 * after the time of judgement is no use. */
static int64_t
received_at(const struct judge *judge, const struct msg *msg)
{
	const struct hdr *hdr = hdrs_find(&msg->hdrs, "Received", 0);
	int64_t limit = judge->at < 0 ? clock_now() : judge->at, when = 0;
	struct err ignored = ERR_INIT;
	size_t i;

	for (i = hdr ? hdr->value_len : 0; i && hdr->value[i - 1] != ';';)
		i--;
	if (!i || clock_parse_mail(hdr->value + i, hdr->value_len - i, &when, &ignored) != RC_OK)
		return 0;
	return when > limit ? 0 : when;
}

static enum rc
verify(const struct judge *judge, const struct msg *msg, struct verdict *verdict, struct err *err)
{
	struct addrlist from = {0};
	struct entity *root = NULL;
	struct signature_check check = {
		.trust = judge->trust,
		.extra = &judge->extra,
		.from = &from,
		.from_fields = judge->from ? 0 : hdrs_count(&msg->hdrs, "From"),
		.at = judge->at,
		.received = trust_signature_time(judge->trust) == SIGNATURE_TIME_NOW
				    ? 0
				    : received_at(judge, msg),
	};
	enum rc rc = mime_parse(&msg->hdrs, msg->body, &root, err);

	if (rc == RC_OK)
		rc = read_from(judge, msg, &from, err);
	if (rc == RC_OK)
		rc = check_signature(&check, root, msg->body, NULL, verdict, err);
	if (rc == RC_OK && verdict->overall == VERDICT_NONE)
		verdict_reason(verdict,
			entity_wrapping(root) == WRAP_PKCS7_MIME
				? "the message is encrypted, or a CMS object without a signature: "
				  "whether it is signed shows when it is opened"
				: "the message as a whole is not signed");
	addrlist_fini(&from);
	entity_free(&root);
	return rc;
}

/* A message that breaks the rules of mail is a verdict; our own trouble as well, another one. */
static int
verify_fd(const struct cli *cli, const struct judge *judge, const char *name, int fd)
{
	struct spool_conf conf = spool_conf_of(cli);
	struct err err = ERR_INIT;
	struct verdict verdict;
	struct msg *msg;
	enum rc rc;
	int status;

	verdict_init(&verdict);
	rc = msg_read(fd, &conf, &msg, &err);
	if (rc != RC_OK && err.code == ERR_FILE)
		return cmd_fail_input(&err);
	if (rc == RC_OK)
		rc = verify(judge, msg, &verdict, &err);
	if (rc != RC_OK) {
		verdict_fini(&verdict);
		verdict.overall = rc == RC_PERM ? VERDICT_PERMERROR : VERDICT_TEMPERROR;
		verdict_reason(&verdict, "%s", err.detail);
	}
	status = judge_print(judge, name, &verdict);
	msg_free(&msg);
	verdict_fini(&verdict);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct judge *judge = calloc(1, sizeof(*judge)); /* its lists are large */
	struct cmd_opt opts[JUDGE_N_OPTS];
	struct err err = ERR_INIT;
	int status = EX_OSERR, fd = STDIN_FILENO;

	if (!judge) {
		err_set(&err, ERR_MEMORY, "verify");
		return cmd_fail(&err);
	}
	judge_opts(judge, opts);
	if (!cmd_parse(&cmd_verify, cli, opts, JUDGE_N_OPTS, &argc, argv, &status))
		goto out;
	if (argc > 2) {
		status = cmd_usage(&cmd_verify, "one mail at a time");
		goto out;
	}
	if (argc == 2 && strcmp(argv[1], "-") != 0 &&
		(fd = open(argv[1], O_RDONLY | O_CLOEXEC)) < 0) {
		err_set(&err, ERR_FILE, "%s: %s", argv[1], strerror(errno));
		status = cmd_fail_input(&err);
		goto out;
	}
	if (judge_open(&cmd_verify, cli, judge, &status))
		status = verify_fd(cli, judge, fd > STDIN_FILENO ? argv[1] : "mail", fd);
out:
	if (fd > STDIN_FILENO)
		close(fd);
	judge_close(judge);
	free(judge);
	return status;
}
