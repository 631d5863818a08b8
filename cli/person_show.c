/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * person_show.c - sealgate person list, show, grants
 */
#include "cli/person.h"

#include "keystore/admin.h"

#include <stdio.h>
#include <string.h>

static int run_list(struct cli *cli, int argc, char **argv);
static int run_show(struct cli *cli, int argc, char **argv);
static int run_grants(struct cli *cli, int argc, char **argv);

const struct command person_list = {
	.name = "person list",
	.usage = "[--left]",
	.help = "all persons, or those who have left",
	.run = run_list,
};
const struct command person_show = {
	.name = "person show",
	.usage = "PERSON",
	.help = "everything about a person, and everybody who ever had an address",
	.run = run_show,
};
const struct command person_grants = {
	.name = "person grants",
	.usage = "[--all] [PERSON]",
	.help = "who may read whose mail; --all: also what is over",
	.run = run_grants,
};

static const char *
text_of(const struct json_value *object, const char *name)
{
	const char *text = json_get_text(object, name);

	return text ? text : "-";
}

enum rc
person_pages(struct admin_session *session, const struct person_list *which, person_each *each,
	void *ctx, struct err *err)
{
	struct json_value *answer = NULL;
	char after[128] = "";
	enum rc rc = RC_OK;

	do {
		const struct json_value *list;
		const char *next;
		struct asking asking;

		asking_begin(&asking, which->cmd);
		if (which->fill)
			which->fill(ctx, &asking.json);
		json_int(&asking.json, "limit", 100);
		json_str(&asking.json, "after", *after ? after : NULL);
		rc = asking_send_in(&asking, session, &answer, err);
		list = rc ? NULL : json_find(answer, which->array);
		for (size_t i = 0; !rc && list && i < json_count(list); i++)
			rc = each(ctx, json_at(list, i), err);
		next = rc ? NULL : json_get_text(answer, "next");
		snprintf(after, sizeof(after), "%s", next ? next : "");
		json_free(&answer);
	} while (!rc && *after);
	return rc;
}

/* --- one person --- */

static void
print_addresses(const struct json_value *person)
{
	const struct json_value *list = json_find(person, "addresses");

	for (size_t i = 0; list && i < json_count(list); i++) {
		const struct json_value *a = json_at(list, i);
		const char *until = json_get_text(a, "until");

		printf("%-12s %s  from %s%s%s%s\n", "address", text_of(a, "address"),
			text_of(a, "since"), until ? "  until " : "", until ? until : "",
			json_is_true(json_find(a, "synced")) ? "  (directory)" : "");
	}
}

static void
print_person(const struct json_value *person)
{
	static const char *const names[] = {
		"person", "name", "kind", "state", "left", "left_by", "uid", "missing", "created"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (json_get_text(person, names[i]))
			printf("%-12s %s\n", names[i], json_get_text(person, names[i]));
	if (json_is_true(json_find(person, "client_key")))
		printf("%-12s yes\n", "client-key");
	printf("%-12s %lld, %lld active\n", "keys", (long long)json_get_int(person, "keys", 0),
		(long long)json_get_int(person, "active_keys", 0));
	print_addresses(person);
}

int
person_print(const struct cli *cli, const struct json_value *answer)
{
	const struct json_value *one = json_find(answer, "person"),
				*list = json_find(answer, "persons");

	if (cli->json)
		return answer_print_json(answer, EX_OK);
	if (one)
		print_person(one);
	for (size_t i = 0; list && i < json_count(list); i++) {
		printf("%s", i ? "\n" : "");
		print_person(json_at(list, i));
	}
	return EX_OK;
}

/* --- lists, line by line or as one JSON object --- */

struct listing {
	const struct cli *cli;
	struct buf text;
	struct json json;
	const char *addr; /* of the request, or NULL */
	bool flag;        /* --left, --all */
	size_t n;
};

static void
begin_listing(struct listing *l, const struct cli *cli, const char *array)
{
	*l = (struct listing){.cli = cli};
	buf_init(&l->text, 256u << 20);
	json_init(&l->json, &l->text);
	json_object(&l->json, NULL);
	json_int(&l->json, "v", 1);
	json_array(&l->json, array);
}

/* All pages of a list, within one session. */
static enum rc
list_all(struct listing *l, const struct person_list *which, person_each *each, struct err *err)
{
	struct admin_session *session = NULL;
	enum rc rc = admin_open(l->cli->conf, &session, err);

	if (!rc)
		rc = person_pages(session, which, each, l, err);
	admin_close(&session);
	return rc;
}

static int
end_listing(struct listing *l, enum rc rc, const struct err *err)
{
	int status = rc ? cmd_fail(err) : EX_OK;

	json_array_end(&l->json);
	json_object_end(&l->json);
	if (status == EX_OK && l->cli->json)
		status = cmd_print_json(&l->json, EX_OK);
	buf_fini(&l->text);
	return status;
}

static enum rc
each_person(void *ctx, const struct json_value *person, struct err *err)
{
	struct listing *l = ctx;
	const struct json_value *list = json_find(person, "addresses");

	(void)err;
	if (l->flag && strcmp(text_of(person, "state"), "left") != 0)
		return RC_OK;
	if (l->cli->json) {
		answer_put(&l->json, NULL, person);
		return RC_OK;
	}
	printf("%s  %-12s  %-7s  %2lld  ", text_of(person, "person"), text_of(person, "kind"),
		json_get_text(person, "missing") ? "missing" : text_of(person, "state"),
		(long long)json_get_int(person, "active_keys", 0));
	for (size_t i = 0; list && i < json_count(list); i++)
		printf("%s%s%s", i ? " " : "", text_of(json_at(list, i), "address"),
			json_get_text(json_at(list, i), "until") ? "*" : "");
	printf("  %s\n", text_of(person, "name"));
	return RC_OK;
}

static int
run_list(struct cli *cli, int argc, char **argv)
{
	bool left = false;
	const struct cmd_opt opts[] = {{"left", OPT_FLAG, &left}};
	struct err err = ERR_INIT;
	struct listing l;
	int status;

	if (!cmd_take(&person_list, cli, &(struct cmd_args){opts, 1, 0, 0}, &argc, argv, &status))
		return status;
	begin_listing(&l, cli, "persons");
	l.flag = left;
	return end_listing(&l,
		list_all(&l, &(struct person_list){"person.list", "persons", NULL}, each_person,
			&err),
		&err);
}

static void
fill_grants(void *ctx, struct json *request)
{
	const struct listing *l = ctx;

	json_str(request, "addr", l->addr);
	json_bool(request, "all", l->flag);
}

static enum rc
each_grant(void *ctx, const struct json_value *grant, struct err *err)
{
	struct listing *l = ctx;

	(void)err;
	l->n++;
	if (l->cli->json) {
		answer_put(&l->json, NULL, grant);
		return RC_OK;
	}
	printf("%s  %-4s  %s may read what is for %s  from %s until %s%s%s%s\n",
		text_of(grant, "grant"), json_is_true(json_find(grant, "live")) ? "live" : "-",
		text_of(grant, "to"), text_of(grant, "from"), text_of(grant, "since"),
		text_of(grant, "until"), json_is_true(json_find(grant, "keep")) ? "  (keeps)" : "",
		json_get_text(grant, "origin") ? "  by " : "",
		json_get_text(grant, "origin") ? json_get_text(grant, "origin") : "");
	return RC_OK;
}

static int
run_grants(struct cli *cli, int argc, char **argv)
{
	bool all = false;
	const struct cmd_opt opts[] = {{"all", OPT_FLAG, &all}};
	struct err err = ERR_INIT;
	struct listing l;
	int status;

	if (!cmd_take(&person_grants, cli, &(struct cmd_args){opts, 1, 0, 1}, &argc, argv, &status))
		return status;
	begin_listing(&l, cli, "grants");
	l.flag = all;
	l.addr = argc == 2 ? argv[1] : NULL;
	return end_listing(&l,
		list_all(&l, &(struct person_list){"grant.list", "grants", fill_grants}, each_grant,
			&err),
		&err);
}

static int
run_show(struct cli *cli, int argc, char **argv)
{
	struct asking asking;
	int status;

	if (!cmd_take(&person_show, cli, &(struct cmd_args){NULL, 0, 1, 1}, &argc, argv, &status))
		return status;
	asking_begin(&asking, "person.show");
	json_str(&asking.json, "addr", argv[1]);
	return person_finish(cli, &asking);
}
