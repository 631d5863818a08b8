/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit_could.c - sealgate audit report --could: who had the right to open somebody's mail
 *
 * From the vault's tables, which keep ended addresses and grants: whoever had the address then, and
 * whoever had a grant on that person's keys then.
 */
#include "cli/audit_act.h"

#include "cli/csv.h"

#include <stdio.h>
#include <string.h>

struct could {
	enum report_format format;
	int64_t at;
	struct buf text;
	struct json json;
	size_t n;
};

/* Is AT between the members "since" and "until" of VALUE? */
static bool
was_live(const struct json_value *value, int64_t at)
{
	const char *since = json_get_text(value, "since"), *until = json_get_text(value, "until");
	int64_t from = 0, to = 0;

	if (since && (clock_parse(since, &from, NULL) != RC_OK || from > at))
		return false;
	return !until || (clock_parse(until, &to, NULL) == RC_OK && to > at);
}

static enum rc
put(struct could *could, const char *who, const char *person, const char *how,
	const struct json_value *of, struct err *err)
{
	const char *const names[] = {"who", "person", "how", "since", "until"};
	const char *const cells[] = {
		who, person, how, json_get_text(of, "since"), json_get_text(of, "until")};
	enum rc rc = RC_OK;

	could->n++;
	if (could->format == REPORT_TEXT)
		return buf_appendf(&could->text, err, "%-32s %-20s %-28s %s to %s\n",
			who ? who : "", person ? person : "", how, cells[3] ? cells[3] : "always",
			cells[4] ? cells[4] : "now");
	if (could->format == REPORT_JSON)
		json_object(&could->json, NULL);
	for (size_t i = 0; rc == RC_OK && i < sizeof(cells) / sizeof(*cells); i++)
		if (could->format == REPORT_CSV)
			rc = csv_cell(&could->text, cells[i], i == 0, err);
		else
			json_str(&could->json, names[i], cells[i]);
	if (could->format == REPORT_JSON)
		json_object_end(&could->json);
	else if (rc == RC_OK)
		rc = csv_end(&could->text, err);
	return rc;
}

/* Those with a grant on the keys of OWNER then. */
static enum rc
put_grants(struct could *could, struct cli *cli, const char *owner, struct err *err)
{
	char after[64] = "", how[96];
	enum rc rc;

	do {
		struct json_value *answer = NULL;
		const struct json_value *grants;
		struct asking asking;

		asking_begin(&asking, "grant.list");
		json_str(&asking.json, "addr", owner);
		json_bool(&asking.json, "all", true);
		json_str(&asking.json, "after", *after ? after : NULL);
		*after = '\0';
		rc = asking_send(&asking, cli->conf, NULL, &answer, err);
		grants = rc == RC_OK ? json_find(answer, "grants") : NULL;
		for (size_t i = 0; rc == RC_OK && grants && i < json_count(grants); i++) {
			const struct json_value *grant = json_at(grants, i);
			const char *of = json_get_text(grant, "owner"),
				   *id = json_get_text(grant, "grant");

			if (!of || strcmp(of, owner) != 0 || !was_live(grant, could->at))
				continue;
			snprintf(how, sizeof(how), "grant %s", id ? id : "?");
			rc = put(could, json_get_text(grant, "to"), json_get_text(grant, "person"),
				how, grant, err);
		}
		if (rc == RC_OK && json_get_text(answer, "next"))
			snprintf(after, sizeof(after), "%s", json_get_text(answer, "next"));
		json_free(&answer);
	} while (rc == RC_OK && *after);
	return rc;
}

/* One who has or had the address. */
static enum rc
put_person(struct could *could, struct cli *cli, const struct json_value *person, const char *addr,
	struct err *err)
{
	const struct json_value *addrs = json_find(person, "addresses");
	const char *id = json_get_text(person, "person"), *left = json_get_text(person, "left");
	int64_t gone = 0;
	enum rc rc = RC_NONE;

	for (size_t i = 0; id && addrs && i < json_count(addrs); i++) {
		const struct json_value *one = json_at(addrs, i);
		const char *text = json_get_text(one, "address");
		bool by_id = strchr(addr, '@') == NULL;

		if (!text || (!by_id && strcmp(text, addr) != 0) || !was_live(one, could->at))
			continue;
		if (left && clock_parse(left, &gone, err) == RC_OK && gone <= could->at)
			rc = put(could, text, id, "owner, who had left", one, err);
		else
			rc = put(could, text, id, "owner of the address", one, err);
	}
	if (rc == RC_OK)
		rc = put_grants(could, cli, id, err);
	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc
find(struct could *could, struct cli *cli, const char *addr, struct err *err)
{
	struct json_value *answer = NULL;
	const struct json_value *persons;
	enum rc rc = answer_about(cli, "person.show", addr, &answer, err);

	persons = rc == RC_OK ? json_find(answer, "persons") : NULL;
	for (size_t i = 0; rc == RC_OK && persons && i < json_count(persons); i++)
		rc = put_person(could, cli, json_at(persons, i), addr, err);
	json_free(&answer);
	return rc;
}

int
audit_could(struct cli *cli, const char *addr, int64_t time, enum report_format format)
{
	struct could could = {.format = format, .at = time, .text = BUF_INIT(256u << 20)};
	char text[CLOCK_TEXT_SIZE];
	struct err err = ERR_INIT;
	enum rc rc = RC_OK;
	int status;

	clock_format(time, text);
	json_init(&could.json, &could.text);
	if (format == REPORT_JSON) {
		json_object(&could.json, NULL);
		json_int(&could.json, "v", 1);
		json_str(&could.json, "address", addr);
		json_str(&could.json, "at", text);
		json_array(&could.json, "could");
	} else if (format == REPORT_CSV) {
		rc = buf_append_str(&could.text, "who,person,how,since,until\r\n", &err);
	} else {
		rc = buf_appendf(
			&could.text, &err, "Who could have mail to %s opened at %s:\n", addr, text);
	}
	if (rc == RC_OK)
		rc = find(&could, cli, addr, &err);
	if (rc == RC_OK && !could.n && format == REPORT_TEXT)
		rc = buf_append_str(&could.text, "nobody\n", &err);
	if (format == REPORT_JSON) {
		json_array_end(&could.json);
		json_object_end(&could.json);
	}
	if (rc)
		status = cmd_fail(&err);
	else
		status = format == REPORT_JSON ? cmd_print_json(&could.json, EX_OK)
					       : cmd_print(&could.text);
	buf_fini(&could.text);
	return status;
}
