/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * person.h - sealgate person …: its subcommands in several files
 */
#ifndef CLI_PERSON_H
#define CLI_PERSON_H

#include "cli/answer.h"

/* person.c: sends, and shows the person that comes back. */
int person_finish(struct cli *cli, struct asking *asking);

/* person_show.c */
extern const struct command person_list, person_show, person_grants;
/* The answer's "person" or "persons", in full, for people or as JSON. */
int person_print(const struct cli *cli, const struct json_value *answer);

/* Which list; FILL (may be NULL) adds members to each request. */
typedef void person_fill(void *ctx, struct json *request);
struct person_list {
	const char *cmd;
	const char *array; /* that the answers have it in */
	person_fill *fill;
};
/* Every page of it; EACH gets each element. */
typedef enum rc person_each(void *ctx, const struct json_value *element, struct err *err);
enum rc person_pages(struct admin_session *session, const struct person_list *which,
	person_each *each, void *ctx, struct err *err);

/* person_sync.c */
extern const struct command person_sync;

#endif
