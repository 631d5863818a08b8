/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/mail.h"

#include "base/network.h"

#include <string.h>
#include <unistd.h>

void
mail_opts(struct mail *mail, struct cmd_opt *opts)
{
	opts[0] = (struct cmd_opt){"sender", OPT_VALUE, &mail->sender};
	opts[1] = (struct cmd_opt){"rcpt", OPT_VALUES, &mail->rcpts};
	opts[2] = (struct cmd_opt){"service", OPT_VALUE, &mail->service};
	opts[3] = (struct cmd_opt){"user", OPT_VALUE, &mail->user};
	opts[4] = (struct cmd_opt){"client", OPT_VALUE, &mail->client};
	opts[5] = (struct cmd_opt){"client-cert", OPT_VALUE, &mail->cert.subject};
	opts[6] = (struct cmd_opt){"client-issuer", OPT_VALUE, &mail->cert.issuer};
}

/* Then the milter sends copies. */
static bool
has_port(const struct mail *mail)
{
	return conf_str(conf_section(engine_conf(mail->engine), "port"), "address");
}

static enum rc
fill(struct mail *mail, struct err *err)
{
	enum rc rc = transaction_new(mail->engine, &mail->tx, err);

	if (rc == RC_OK && (mail->copies || has_port(mail)))
		transaction_allow_copies(mail->tx, 0);
	if (rc == RC_OK)
		rc = transaction_sender(mail->tx, mail->sender, mail->user, mail->client, err);
	if (rc == RC_OK)
		rc = transaction_client_cert(mail->tx, &mail->cert, err);
	for (size_t i = 0; rc == RC_OK && i < mail->rcpts.n; i++)
		rc = transaction_rcpt(mail->tx, mail->rcpts.v[i], err);
	return rc;
}

bool
mail_run(const struct command *command, struct cli *cli, struct mail *mail, enum pipeline_mode mode,
	int *status)
{
	struct err err = ERR_INIT;
	struct spool_conf spool;
	unsigned char ip[16];
	struct msg *msg = NULL;

	if (!mail->sender || mail->rcpts.n == 0) {
		*status = cmd_usage(command, "needs --sender and --rcpt");
		return false;
	}
	if (mail->client && !network_parse_addr(mail->client, ip)) {
		*status = cmd_usage(command, "--client %s is no IP address", mail->client);
		return false;
	}
	if (!cmd_conf(command, cli, status))
		return false;
	if (engine_new(cli->conf, mail->service, &mail->engine, &err) != RC_OK ||
		fill(mail, &err) != RC_OK) {
		*status = cmd_fail(&err);
		return false;
	}
	spool = engine_spool_conf(mail->engine);
	if (msg_read(STDIN_FILENO, &spool, &msg, &err) != RC_OK) {
		*status = err.code == ERR_FILE ? cmd_fail_input(&err) : cmd_fail(&err);
		return false;
	}
	transaction_set_msg(mail->tx, &msg);
	if (pipeline_run(mail->tx, mode, &mail->result, &err) != RC_OK) {
		*status = cmd_fail(&err);
		return false;
	}
	return true;
}

void
mail_close(struct mail *mail)
{
	result_free(&mail->result);
	transaction_free(&mail->tx);
	engine_unref(&mail->engine);
}

int
mail_status(const struct result *result)
{
	return result->smtp < 300 ? EX_OK : result->smtp < 500 ? EX_TEMPFAIL : EX_DATAERR;
}
