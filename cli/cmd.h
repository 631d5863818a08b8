/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd.h - one record for each command of `sealgate`, and what all of them share
 *
 * A command is a file with a struct command in it and a line in commands.def. Results go to
 * standard output, messages for people to standard error. A command returns its exit status
 * (sysexits.h): 0 done, 64 wrong usage, 65 refused, 66 input unreadable, 70 our fault, 75 deferred,
 * 78 configuration refused.
 */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include "base/conf.h"
#include "base/json.h"

#include <sysexits.h>

#define CMD_MAX_VALUES 4096

/* What stands before the command's name, and what commands find there. */
struct cli {
	const char *conf_path; /* -c; NULL: not given */
	struct conf *conf;     /* loaded by cmd_conf */
	bool json;             /* --json */
};

struct command {
	const char *name;
	const char *usage;   /* what follows "sealgate [-c CONF] NAME " */
	const char *help;    /* one line for the list of commands */
	const char *details; /* more lines for --help; may be NULL */
	int (*run)(struct cli *cli, int argc, char **argv); /* argv[0] is the command's name */
};

/* One option of a command, "--name". Every command has --help, --json and -c besides its own. */
enum cmd_opt_type {
	OPT_FLAG /* bool */,
	OPT_VALUE /* const char * */,
	OPT_VALUES /* struct cmd_values */
};
struct cmd_values {
	const char *v[CMD_MAX_VALUES]; /* borrowed from argv */
	size_t n;
};
struct cmd_opt {
	const char *name;
	enum cmd_opt_type type;
	void *to;
};

/*
 * Takes options out of ARGV (up to "--"), in any place among the arguments. Afterwards argv[1] …
 * argv[*argc - 1] are the arguments. False: *status is what to return (0 after --help, 64
 * otherwise), and everything has been said.
 */
bool cmd_parse(const struct command *command, struct cli *cli, const struct cmd_opt *opts, size_t n,
	int *argc, char **argv, int *status);

/* Says what went wrong and returns the exit status that goes with it. */
int cmd_fail(const struct err *err);
/* The same for input that could not be read: 66. */
int cmd_fail_input(const struct err *err);
/* Wrong usage: says it, with the command's usage line; 64. */
int cmd_usage(const struct command *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Loads -c once. False: *status is 64 (not given) or 78 (refused), and it was said. */
bool cmd_conf(const struct command *command, struct cli *cli, int *status);
/* All that most commands begin with: options, LEAST to MOST arguments, the configuration. */
struct cmd_args {
	const struct cmd_opt *opts;
	size_t n;
	int least, most;
};
bool cmd_take(const struct command *command, struct cli *cli, const struct cmd_args *args,
	int *argc, char **argv, int *status);
/* Writes OUT, and a final line end when there is none, to standard output. */
int cmd_print(const struct buf *out);
/* Begins an answer for scripts in OUT: an object with its version, which stays open. */
void cmd_json_begin(struct json *json, struct buf *out);
/* Ends JSON begun with json_init and prints it as one line; returns STATUS, or 70. */
int cmd_print_json(struct json *json, int status);
/* The same for what cmd_json_begin began, whose object it ends and whose text it frees. */
int cmd_json_end(struct json *json, int status);

/* Commands of commands: finds argv[1] among N and runs it with its own argv. */
int cmd_dispatch(const struct command *parent, const struct command *const *table, size_t n,
	struct cli *cli, int argc, char **argv);

/* Every command of commands.def. */
#define COMMAND(name) extern const struct command cmd_##name;
#include "cli/commands.def"
#undef COMMAND

#endif
