/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* "sealgate [-c CONF] cert check …" */
static void
print_usage(FILE *to, const struct command *command)
{
	fprintf(to, "usage: sealgate [-c CONF] %s%s%s\n", command->name,
		command->usage && *command->usage ? " " : "", command->usage ? command->usage : "");
}

static void
print_help(const struct command *command)
{
	print_usage(stdout, command);
	printf("\n%s\n", command->help);
	if (command->details)
		printf("\n%s", command->details);
}

int
cmd_usage(const struct command *command, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "sealgate %s: ", command->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	print_usage(stderr, command);
	return EX_USAGE;
}

static int
exit_status(const struct err *err)
{
	switch (err->code) {
	case ERR_USAGE:
		return EX_USAGE;
	case ERR_CONFIG:
	case ERR_MASTER_KEY:
		return EX_CONFIG;
	case ERR_INTERNAL:
		return EX_SOFTWARE;
	default:
		return err_exit_status(err_rc(err->code));
	}
}

int
cmd_fail(const struct err *err)
{
	int status = exit_status(err);

	fprintf(stderr, "sealgate: %s\n", err->detail[0] ? err->detail : err_public(err->code));
	return status ? status : EX_SOFTWARE;
}

int
cmd_fail_input(const struct err *err)
{
	(void)cmd_fail(err);
	return EX_NOINPUT;
}

static bool
take(const struct command *command, const struct cmd_opt *opt, const char *value, int *status)
{
	struct cmd_values *values;

	switch (opt->type) {
	case OPT_FLAG:
		*(bool *)opt->to = true;
		return true;
	case OPT_VALUE:
		*(const char **)opt->to = value;
		return true;
	case OPT_VALUES:
		values = opt->to;
		if (values->n == CMD_MAX_VALUES) {
			*status = cmd_usage(command, "too many --%s", opt->name);
			return false;
		}
		values->v[values->n++] = value;
		return true;
	}
	return true;
}

static const struct cmd_opt *
find_opt(const struct cmd_opt *opts, size_t n, const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strlen(opts[i].name) == len && memcmp(opts[i].name, name, len) == 0)
			return &opts[i];
	return NULL;
}

/* The option that ARG names, one of the command's or one of everybody's; ALL keeps the latter. */
static const struct cmd_opt *
opt_of(const char *arg, const struct cmd_opt *opts, size_t n, const struct cmd_opt all[3],
	const char **equals)
{
	const struct cmd_opt *opt;

	*equals = NULL;
	if (strcmp(arg, "-c") == 0)
		return &all[2];
	if (strcmp(arg, "-h") == 0)
		return &all[0];
	if (strncmp(arg, "--", 2) != 0)
		return NULL;
	arg += 2;
	*equals = strchr(arg, '=');
	opt = find_opt(opts, n, arg, *equals ? (size_t)(*equals - arg) : strlen(arg));
	return opt ? opt : find_opt(all, 2, arg, *equals ? (size_t)(*equals - arg) : strlen(arg));
}

/* ARG names OPT (NULL: no such option), with EQUALS or not; MORE: something comes behind it. */
static bool
opt_fits(const struct command *command, const struct cmd_opt *opt, const char *arg,
	const char *equals, bool more, int *status)
{
	if (!opt)
		*status = cmd_usage(command, "no such option: %s", arg);
	else if (opt->type == OPT_FLAG ? equals != NULL : !equals && !more)
		*status = cmd_usage(
			command, "%s %s", arg, equals ? "takes no value" : "needs a value");
	else
		return true;
	return false;
}

bool
cmd_parse(const struct command *command, struct cli *cli, const struct cmd_opt *opts, size_t n,
	int *argc, char **argv, int *status)
{
	bool help = false;
	const struct cmd_opt all[3] = {
		{"help", OPT_FLAG, &help},
		{"json", OPT_FLAG, &cli->json},
		{"c", OPT_VALUE, &cli->conf_path},
	};
	int from, to = 1;

	for (from = 1; from < *argc; from++) {
		const char *equals, *value = NULL;
		const struct cmd_opt *opt;

		if (strcmp(argv[from], "--") == 0) {
			while (++from < *argc)
				argv[to++] = argv[from];
			break;
		}
		if (argv[from][0] != '-' || !argv[from][1]) {
			argv[to++] = argv[from];
			continue;
		}
		opt = opt_of(argv[from], opts, n, all, &equals);
		if (!opt_fits(command, opt, argv[from], equals, from + 1 < *argc, status))
			return false;
		if (opt->type != OPT_FLAG)
			value = equals ? equals + 1 : argv[++from];
		if (!take(command, opt, value, status))
			return false;
	}
	*argc = to;
	argv[to] = NULL;
	if (help) {
		print_help(command);
		*status = EX_OK;
	}
	return !help;
}

bool
cmd_conf(const struct command *command, struct cli *cli, int *status)
{
	struct err err = ERR_INIT;

	if (cli->conf)
		return true;
	if (!cli->conf_path) {
		*status = cmd_usage(command, "needs a configuration file: -c CONF");
		return false;
	}
	if (conf_load(cli->conf_path, &cli->conf, &err) == RC_OK)
		return true;
	(void)cmd_fail(&err);
	*status = EX_CONFIG;
	return false;
}

int
cmd_print(const struct buf *out)
{
	if (out->len)
		fwrite(out->data, 1, out->len, stdout);
	if (out->len && out->data[out->len - 1] != '\n')
		putchar('\n');
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EX_OK;
	fprintf(stderr, "sealgate: standard output could not be written\n");
	return EX_SOFTWARE;
}

bool
cmd_take(const struct command *command, struct cli *cli, const struct cmd_args *args, int *argc,
	char **argv, int *status)
{
	if (!cmd_parse(command, cli, args->opts, args->n, argc, argv, status))
		return false;
	if (*argc <= args->least || *argc > args->most + 1) {
		*status = cmd_usage(command,
			*argc <= args->least ? "an argument is missing" : "too many arguments");
		return false;
	}
	return cmd_conf(command, cli, status);
}

void
cmd_json_begin(struct json *json, struct buf *out)
{
	json_init(json, out);
	json_object(json, NULL);
	json_int(json, "v", 1);
}

int
cmd_json_end(struct json *json, int status)
{
	json_object_end(json);
	status = cmd_print_json(json, status);
	buf_fini(json->out);
	return status;
}

int
cmd_print_json(struct json *json, int status)
{
	struct err err = ERR_INIT;
	int printed;

	if (json_end(json, &err) != RC_OK)
		return cmd_fail(&err);
	printed = cmd_print(json->out);
	return printed == EX_OK ? status : printed;
}

int
cmd_dispatch(const struct command *parent, const struct command *const *table, size_t n,
	struct cli *cli, int argc, char **argv)
{
	bool help = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
	size_t i;

	for (i = 0; argc > 1 && i < n; i++) {
		const char *name = strrchr(table[i]->name, ' '); /* "cert check" → "check" */

		if (strcmp(argv[1], name ? name + 1 : table[i]->name) == 0)
			return table[i]->run(cli, argc - 1, argv + 1);
	}
	if (argc > 1 && !help)
		fprintf(stderr, "sealgate %s: no such command: %s\n", parent->name, argv[1]);
	print_usage(help ? stdout : stderr, parent);
	for (i = 0; i < n; i++)
		fprintf(help ? stdout : stderr, "  %-18s %s\n", table[i]->name, table[i]->help);
	return help ? EX_OK : EX_USAGE;
}
