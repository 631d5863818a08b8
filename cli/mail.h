/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mail.h - a mail from standard input through the pipeline, for process and explain
 */
#ifndef CLI_MAIL_H
#define CLI_MAIL_H

#include "cli/cmd.h"
#include "milter/pipeline.h"

#define MAIL_USAGE \
	"--sender A --rcpt B [--rcpt …] [--service S] [--user LOGIN] [--client IP] [--client-cert SUBJECT [--client-issuer ISSUER]]"
#define MAIL_DETAILS                                                         \
	"--sender A     envelope sender; <> for none\n"                      \
	"--rcpt B       envelope recipient; may be given several times\n"    \
	"--service S    as if it came to this service; default: the first\n" \
	"--user LOGIN   as if LOGIN had authenticated\n"                     \
	"--client IP    as if it came from this address\n"                   \
	"--client-cert SUBJECT, --client-issuer ISSUER\n"                    \
	"               as if the client had shown this TLS certificate\n"   \
	"The mail comes from standard input.\n"
#define MAIL_N_OPTS 7

struct mail {
	const char *sender, *service, *user, *client;
	struct client_cert cert;
	struct cmd_values rcpts;
	bool copies; /* recipients may have copies of their own, whatever the configuration */
	struct engine *engine;
	struct transaction *tx;
	struct result *result;
};

/* The shared options, to the first MAIL_N_OPTS of OPTS. */
void mail_opts(struct mail *mail, struct cmd_opt *opts);
/* Reads standard input and runs it. False: *status is what to return, and it was said. */
bool mail_run(const struct command *command, struct cli *cli, struct mail *mail,
	enum pipeline_mode mode, int *status);
void mail_close(struct mail *mail);
/* 0 for 2xx, 65 for 5xx, 75 for 4xx. */
int mail_status(const struct result *result);

#endif
