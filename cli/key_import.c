/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key_import.c - sealgate key import: PKCS#12 and PEM files into the vault
 *
 * A password comes from a file or from the terminal, never from the command line, where every
 * process could read it.
 */
#include "base/file.h"
#include "cli/key.h"
#include "keystore/admin.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define KEY_FILE_MAX      (4u << 20)
#define PASSWORD_FILE_MAX 4096

static int run(struct cli *cli, int argc, char **argv);

const struct command key_import = {
	.name = "key import",
	.usage = "[--password P-FILE] [--address A] [--name NAME] [--kind person|role] "
		 "[--client-key] FILE…",
	.help = "take private keys with their certificates from PKCS#12 or PEM files",
	.details =
		"  --password P-FILE  the first line of P-FILE is the password of every FILE; without\n"
		"                     it, it is asked for where one is needed\n"
		"  --address A        whose key it is; default: the address in the certificate\n"
		"  --name NAME        the person's name\n"
		"  --kind WORD        person (default) or role\n"
		"  --client-key       the person has the key in a mail program too\n",
	.run = run,
};

struct import_options {
	const char *password_file, *address, *name, *kind;
	bool client_key;
};

/* The first line of TEXT, without its line end, as a secret. */
static enum rc
first_line(const char *text, size_t len, struct secret **out, struct err *err)
{
	const char *lf = memchr(text, '\n', len);

	if (lf)
		len = (size_t)(lf - text);
	if (len && text[len - 1] == '\r')
		len--;
	return secret_copy(text, len, out, err);
}

/* The first line of the file PATH. */
static enum rc
read_password(const char *path, struct secret **out, struct err *err)
{
	struct buf text = {.max = PASSWORD_FILE_MAX, .wipe = true};
	enum rc rc = file_read(path, &text, err);

	if (rc == RC_NONE)
		rc = RC_TEMP;
	if (rc == RC_OK)
		rc = first_line(buf_text(&text), text.len, out, err);
	buf_fini(&text);
	return rc;
}

/* Asks on the terminal without echo. */
static enum rc
ask_password(const char *path, struct secret **out, struct err *err)
{
	char line[1024] = "";
	struct termios old, quiet;
	bool echo_off = tcgetattr(STDIN_FILENO, &old) == 0;
	enum rc rc;

	fprintf(stderr, "Password of %s: ", path);
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	if (echo_off)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	if (fgets(line, sizeof(line), stdin))
		rc = first_line(line, strlen(line), out, err);
	else
		rc = err_set(err, ERR_KEY_MALFORMED, "%s: no password", path);
	if (echo_off)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
	fputc('\n', stderr);
	secret_wipe(line, sizeof(line));
	return rc;
}

/* One request for one file. */
static enum rc
send_file(struct cli *cli, const struct import_options *options, const struct buf *file,
	struct secret *password, struct json_value **answer, struct err *err)
{
	struct secret *blob = NULL;
	struct asking asking;
	struct admin_bytes pass = {password ? secret_data(password) : NULL,
		password ? secret_len(password) : 0};
	enum rc rc = admin_pack(&pass, password != NULL, &(struct admin_bytes){file->data, file->len},
		1, &blob, err);

	*answer = NULL;
	if (rc != RC_OK)
		return rc;
	asking_begin(&asking, "key.import");
	json_str(&asking.json, "addr", options->address);
	json_str(&asking.json, "name", options->name);
	json_str(&asking.json, "kind", options->kind);
	if (options->client_key)
		json_bool(&asking.json, "client_key", true);
	rc = asking_send(&asking, cli->conf, blob, answer, err);
	secret_free(&blob);
	return rc;
}

/* Imports PATH, asking for its password when it does not open without one. */
static int
import_file(struct cli *cli, const struct import_options *options, const char *path,
	struct secret *password)
{
	struct buf file = {.max = KEY_FILE_MAX, .wipe = true};
	struct json_value *answer = NULL;
	struct secret *asked = NULL;
	struct err err = ERR_INIT;
	int status;
	enum rc rc = file_read(path, &file, &err);

	if (rc != RC_OK) {
		buf_fini(&file);
		return cmd_fail_input(&err);
	}
	rc = send_file(cli, options, &file, password, &answer, &err);
	if (rc == RC_PERM && err.code == ERR_KEY_PASSWORD && !password && isatty(STDIN_FILENO)) {
		err_clear(&err);
		rc = ask_password(path, &asked, &err);
		if (rc == RC_OK)
			rc = send_file(cli, options, &file, asked, &answer, &err);
	}
	if (rc != RC_OK) {
		err_prefix(&err, "%s", path);
		status = cmd_fail(&err);
	} else {
		status = key_print(cli, answer);
	}
	json_free(&answer);
	secret_free(&asked);
	buf_fini(&file);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct import_options options = {NULL};
	const struct cmd_opt opts[] = {{"password", OPT_VALUE, &options.password_file},
		{"address", OPT_VALUE, &options.address}, {"name", OPT_VALUE, &options.name},
		{"kind", OPT_VALUE, &options.kind}, {"client-key", OPT_FLAG, &options.client_key}};
	struct secret *password = NULL;
	struct err err = ERR_INIT;
	int status;

	if (!cmd_parse(&key_import, cli, opts, sizeof(opts) / sizeof(*opts), &argc, argv, &status))
		return status;
	if (argc < 2)
		return cmd_usage(&key_import, "which file?");
	if (options.address && argc > 2)
		return cmd_usage(&key_import, "--address is for one file");
	if (!cmd_conf(&key_import, cli, &status))
		return status;
	if (options.password_file && read_password(options.password_file, &password, &err) != RC_OK)
		return cmd_fail_input(&err);
	status = EX_OK;
	for (int i = 1; i < argc; i++) { /* the first that fails decides, the others are imported */
		int one = import_file(cli, &options, argv[i], password);

		status = status == EX_OK ? one : status;
	}
	secret_free(&password);
	return status;
}
