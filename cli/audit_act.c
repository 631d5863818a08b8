/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/audit_act.h"

#include "cli/csv.h"

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OWNERS 2000000u
#define CELL_SIZE  4096

/* --- owners --- */

struct owner {
	char key[64], name[256];
};

static int
by_key(const void *a, const void *b)
{
	return strcmp(((const struct owner *)a)->key, ((const struct owner *)b)->key);
}

/* "alice@example.org" or the name, or the id. */
static const char *
owner_name(const struct json_value *key)
{
	const struct json_value *addrs = json_find(key, "addresses");
	const char *text = addrs && json_count(addrs) ? json_text(json_at(addrs, 0)) : NULL;

	if (!text)
		text = json_get_text(key, "name");
	return text && *text ? text : json_get_text(key, "person");
}

static enum rc
add_owner(struct act_names *names, const struct json_value *key, struct err *err)
{
	struct owner *owner = calloc(1, sizeof(*owner));
	const char *id = json_get_text(key, "key"), *name = owner_name(key);

	if (!owner || names->n_owners == MAX_OWNERS) {
		free(owner);
		return err_set(err, ERR_LIMIT, "too many keys");
	}
	snprintf(owner->key, sizeof(owner->key), "%s", id ? id : "");
	snprintf(owner->name, sizeof(owner->name), "%s", name ? name : "");
	if (tfind(owner, &names->owners, by_key) || !tsearch(owner, &names->owners, by_key))
		free(owner);
	else
		names->n_owners++;
	return RC_OK;
}

enum rc
act_names_load(struct act_names *names, struct cli *cli, struct err *err)
{
	char after[64] = "";
	enum rc rc = RC_OK;

	do {
		struct json_value *answer = NULL;
		const struct json_value *keys;
		struct asking asking;

		asking_begin(&asking, "key.list");
		json_str(&asking.json, "after", *after ? after : NULL);
		*after = '\0';
		rc = asking_send(&asking, cli->conf, NULL, &answer, err);
		keys = rc == RC_OK ? json_find(answer, "keys") : NULL;
		for (size_t i = 0; rc == RC_OK && keys && i < json_count(keys); i++)
			rc = add_owner(names, json_at(keys, i), err);
		if (rc == RC_OK && json_get_text(answer, "next"))
			snprintf(after, sizeof(after), "%s", json_get_text(answer, "next"));
		json_free(&answer);
	} while (rc == RC_OK && *after);
	return rc;
}

void
act_names_fini(struct act_names *names)
{
	tdestroy(names->owners, free);
	names->owners = NULL;
}

static const char *
owner_of(const struct act_names *names, const char *key)
{
	struct owner wanted = {.key = ""};
	void *found;

	if (!key)
		return NULL;
	snprintf(wanted.key, sizeof(wanted.key), "%s", key);
	found = tfind(&wanted, &names->owners, by_key);
	return found ? (*(struct owner *const *)found)->name : NULL;
}

/* The address of a pseudonym that was asked for; else the pseudonym. */
static const char *
address_of(const struct act_names *names, const char *pseudonym)
{
	size_t len = pseudonym ? strlen(pseudonym) : 0;

	for (size_t i = 0; pseudonym && i < names->filter->n_names; i++) {
		const char *name = names->filter->names[i];

		if (strncmp(name, pseudonym, len) == 0 && name[len] == ' ')
			return name + len + 1;
	}
	return pseudonym;
}

/* --- cells --- */

enum cell {
	CELL_TIME,
	CELL_SEQ,
	CELL_TYPE,
	CELL_EVENT,
	CELL_OUTCOME,
	CELL_KEY,
	CELL_OWNER,
	CELL_SERVICE,
	CELL_RULE,
	CELL_QID,
	CELL_RECIPIENTS,
	CELL_SENDER,
	CELL_IDENTITY,
	CELL_SUBJECT,
	CELL_REOPEN,
	CELL_COUNT,
	CELL_REASON,
	CELL_DETAIL,
	CELLS
};
static const char *const cell_names[CELLS] = {"time", "seq", "type", "event", "outcome", "key",
	"owner", "service", "rule", "qid", "recipients", "sender", "identity", "subject", "reopen",
	"count", "reason", "detail"};

struct cells {
	char v[CELLS][CELL_SIZE];
};

static void
put(struct cells *cells, enum cell cell, const char *text)
{
	if (text)
		snprintf(cells->v[cell], CELL_SIZE, "%s", text);
}

static void
put_recipients(struct cells *cells, const struct json_value *claimed, const struct act_names *names)
{
	const struct json_value *list = json_find(claimed, "recipients");
	int64_t unlisted = json_get_int(claimed, "unlisted", 0);
	char *out = cells->v[CELL_RECIPIENTS];
	size_t shown = 0, n = list && json_type(list) == JSON_ARRAY ? json_count(list) : 0;

	for (; shown < n && strlen(out) < CELL_SIZE - 400; shown++) {
		const char *text = address_of(names, json_text(json_at(list, shown)));

		snprintf(out + strlen(out), CELL_SIZE - strlen(out), "%s%.320s", *out ? " " : "",
			text ? text : "?");
	}
	if (n - shown + (size_t)(unlisted > 0 ? unlisted : 0))
		snprintf(out + strlen(out), CELL_SIZE - strlen(out), " and %" PRId64 " more",
			(int64_t)(n - shown) + (unlisted > 0 ? unlisted : 0));
}

/* What else the detail says, as "name=value …". */
static void
put_detail(struct cells *cells, const struct json_value *detail)
{
	char *out = cells->v[CELL_DETAIL];

	for (size_t i = 0; i < json_count(detail); i++) {
		const struct json_value *value = json_at(detail, i);
		const char *name = json_key_at(detail, i);
		size_t used = strlen(out), room = CELL_SIZE - used;

		if (json_type(value) == JSON_STRING)
			snprintf(out + used, room, "%s%s=%s", used ? " " : "", name,
				json_text(value));
		else if (json_type(value) == JSON_INT)
			snprintf(out + used, room, "%s%s=%" PRId64, used ? " " : "", name,
				json_number(value, 0));
		else if (json_type(value) == JSON_BOOL)
			snprintf(out + used, room, "%s%s=%s", used ? " " : "", name,
				json_is_true(value) ? "yes" : "no");
	}
	if (json_is_true(json_find(detail, "reopen")))
		put(cells, CELL_REOPEN, json_is_true(json_find(detail, "retry")) ? "retry" : "yes");
}

static void
fill(struct cells *cells, const struct ledger_line *prefix, const struct json_value *record,
	enum act_outcome outcome, const struct act_names *names)
{
	static const char *const outcomes[] = {"unknown", "done", "failed"};
	const struct json_value *observed = json_find(record, "observed"),
				*claimed = json_find(record, "claimed"),
				*detail = json_find(record, "detail");
	const char *key = observed ? json_get_text(observed, "key") : NULL;

	snprintf(cells->v[CELL_TIME], CELL_SIZE, "%.19sZ", prefix->time);
	snprintf(cells->v[CELL_SEQ], CELL_SIZE, "%" PRIu64, prefix->seq);
	put(cells, CELL_TYPE, ledger_type_name(prefix->type));
	put(cells, CELL_EVENT, json_get_text(record, "event"));
	put(cells, CELL_REASON, json_get_text(record, "reason"));
	put(cells, CELL_SUBJECT, address_of(names, json_get_text(record, "subject")));
	if (prefix->type == LEDGER_INTENT)
		put(cells, CELL_OUTCOME, outcomes[outcome]);
	if (prefix->type == LEDGER_DENIED)
		snprintf(cells->v[CELL_COUNT], CELL_SIZE, "%" PRIu64, ledger_denied_count(record));
	put(cells, CELL_KEY, key);
	put(cells, CELL_OWNER, owner_of(names, key));
	if (observed)
		put(cells, CELL_SERVICE, json_get_text(observed, "service"));
	if (claimed) {
		put(cells, CELL_RULE, json_get_text(claimed, "rule"));
		put(cells, CELL_QID, json_get_text(claimed, "qid"));
		put(cells, CELL_SENDER, address_of(names, json_get_text(claimed, "sender")));
		put(cells, CELL_IDENTITY, address_of(names, json_get_text(claimed, "identity")));
		put_recipients(cells, claimed, names);
	}
	if (detail)
		put_detail(cells, detail);
}

/* --- lines --- */

enum rc
act_header(const struct act_writer *w, struct err *err)
{
	enum rc rc = RC_OK;

	if (w->format != REPORT_CSV)
		return RC_OK;
	for (int i = 0; rc == RC_OK && i < CELLS; i++)
		rc = csv_cell(w->out, cell_names[i], i == 0, err);
	return rc == RC_OK ? csv_end(w->out, err) : rc;
}

/* What others claimed is shown on a terminal, which obeys. */
static void
tame(struct cells *cells)
{
	for (int i = 0; i < CELLS; i++)
		for (char *p = cells->v[i]; *p; p++)
			if ((unsigned char)*p < ' ' || *p == 127)
				*p = '?';
}

/* "2026-11-22 06:30:57  open, done  key k1 of alice@…  for bob@…  by rule x (service y, Q1)" */
static enum rc
write_text(const struct cells *c, struct buf *out, struct err *err)
{
	static const struct {
		enum cell cell;
		const char *word;
	} words[] = {{CELL_KEY, "key"}, {CELL_OWNER, "of"}, {CELL_RECIPIENTS, "for"},
		{CELL_SENDER, "from"}, {CELL_IDENTITY, "login"}, {CELL_SUBJECT, "about"},
		{CELL_RULE, "rule"}, {CELL_SERVICE, "service"}, {CELL_QID, "message"},
		{CELL_REASON, "because"}, {CELL_DETAIL, "--"}};
	enum rc rc = buf_appendf(out, err, "%s  #%-6s %s %s%s%s%s", c->v[CELL_TIME], c->v[CELL_SEQ],
		c->v[CELL_TYPE], c->v[CELL_EVENT], *c->v[CELL_OUTCOME] ? ", " : "",
		c->v[CELL_OUTCOME], *c->v[CELL_REOPEN] ? ", opened before" : "");

	if (rc == RC_OK && *c->v[CELL_COUNT] && strcmp(c->v[CELL_COUNT], "1") != 0)
		rc = buf_appendf(out, err, ", %s times", c->v[CELL_COUNT]);
	for (size_t i = 0; rc == RC_OK && i < sizeof(words) / sizeof(*words); i++)
		if (*c->v[words[i].cell])
			rc = buf_appendf(out, err, " %s %s", words[i].word, c->v[words[i].cell]);
	return rc == RC_OK ? buf_append_char(out, '\n', err) : rc;
}

enum rc
act_write(const struct act_writer *w, const char *line, size_t len, enum act_outcome outcome,
	struct err *err)
{
	enum report_format format = w->format;
	struct cells *cells = calloc(1, sizeof(*cells));
	struct json_value *record = NULL;
	struct ledger_line prefix;
	enum rc rc =
		cells ? json_parse(line, len, &record, err) : err_set(err, ERR_MEMORY, "a report");

	if (rc == RC_OK && ledger_line_parse(line, len, &prefix))
		fill(cells, &prefix, record, outcome, w->names);
	if (rc == RC_OK && format == REPORT_TEXT)
		tame(cells);
	if (rc == RC_OK && format == REPORT_TEXT)
		rc = write_text(cells, w->out, err);
	if (rc == RC_OK && format == REPORT_JSON)
		json_object(w->json, NULL);
	for (int i = 0; rc == RC_OK && format != REPORT_TEXT && i < CELLS; i++)
		if (format == REPORT_CSV)
			rc = csv_cell(w->out, cells->v[i], i == 0, err);
		else
			json_str(w->json, cell_names[i], *cells->v[i] ? cells->v[i] : NULL);
	if (rc == RC_OK && format == REPORT_CSV)
		rc = csv_end(w->out, err);
	if (rc == RC_OK && format == REPORT_JSON)
		json_object_end(w->json);
	json_free(&record);
	free(cells);
	return rc;
}
