/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * person.h - sealgate person …: its subcommands in several files
 */
#ifndef CLI_PERSON_H
#define CLI_PERSON_H

#include "cli/answer.h"

/* person_show.c */
extern const struct command person_list, person_show, person_grants;
/* The answer's "person" or "persons", in full, for people or as JSON. */
int person_print(const struct cli *cli, const struct json_value *answer);

/* person_sync.c */
extern const struct command person_sync;

/* Parses options and N arguments (argv[1] …), and loads the configuration; false: *status. */
bool person_parse(const struct command *command, struct cli *cli, const struct cmd_opt *opts,
	size_t n_opts, int n, int *argc, char **argv, int *status);
/* Sends and shows the person that comes back. */
int person_finish(struct cli *cli, struct asking *asking);

/*
 * Every page of the list CMD (whose answers have an array ARRAY), asked for with FILL's members
 * (may be NULL); EACH gets each element.
 */
typedef void person_fill(void *ctx, struct json *request);
typedef enum rc person_each(void *ctx, const struct json_value *element, struct err *err);
enum rc person_pages(struct admin_session *session, const char *cmd, const char *array,
	person_fill *fill, person_each *each, void *ctx, struct err *err);

#endif
