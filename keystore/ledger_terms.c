/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_terms.h"

#include <string.h>

/* One term, unless there is none, or the one before it was no RC_OK. */
static void
put(enum rc *rc, char kind, const char *text, ledger_term_each *each, void *ctx, struct err *err)
{
	if (*rc == RC_OK && text && *text)
		*rc = each(ctx, kind, text, err);
}

static enum rc
claimed_terms(const struct json_value *claimed, ledger_term_each *each, void *ctx, struct err *err)
{
	const struct json_value *rcpts = json_find(claimed, "recipients");
	enum rc rc = RC_OK;

	put(&rc, LEDGER_TERM_QID, json_get_text(claimed, "qid"), each, ctx, err);
	put(&rc, LEDGER_TERM_RULE, json_get_text(claimed, "rule"), each, ctx, err);
	put(&rc, LEDGER_TERM_ADDR, json_get_text(claimed, "sender"), each, ctx, err);
	put(&rc, LEDGER_TERM_ADDR, json_get_text(claimed, "identity"), each, ctx, err);
	for (size_t i = 0; rcpts && json_type(rcpts) == JSON_ARRAY && i < json_count(rcpts); i++) {
		const char *text = json_text(json_at(rcpts, i));

		put(&rc, LEDGER_TERM_ADDR, text, each, ctx, err);
		put(&rc, LEDGER_TERM_RCPT, text, each, ctx, err);
	}
	return rc;
}

/* Is the member there, and neither false nor 0? */
static bool
is_set(const struct json_value *detail, const char *name)
{
	const struct json_value *value = json_find(detail, name);

	if (!value)
		return false;
	switch (json_type(value)) {
	case JSON_BOOL:
		return json_is_true(value);
	case JSON_INT:
		return json_number(value, 0) != 0;
	case JSON_NULL:
		return false;
	default:
		return true;
	}
}

static enum rc
detail_terms(const struct json_value *detail, ledger_term_each *each, void *ctx, struct err *err)
{
	static const char *const persons[] = {"person", "owner", "grant"};
	enum rc rc = RC_OK;

	for (size_t i = 0; i < sizeof(persons) / sizeof(*persons); i++)
		put(&rc, LEDGER_TERM_PERSON, json_get_text(detail, persons[i]), each, ctx, err);
	put(&rc, LEDGER_TERM_REQUEST, json_get_text(detail, "request"), each, ctx, err);
	put(&rc, LEDGER_TERM_REOPEN, is_set(detail, "reopen") ? "yes" : NULL, each, ctx, err);
	return rc;
}

enum rc
ledger_terms(const struct ledger_line *prefix, const struct json_value *record,
	ledger_term_each *each, void *ctx, struct err *err)
{
	const struct json_value *observed = json_find(record, "observed"),
				*claimed = json_find(record, "claimed"),
				*detail = json_find(record, "detail");
	const char *subject = json_get_text(record, "subject");
	enum rc rc = RC_OK;

	put(&rc, LEDGER_TERM_TYPE, ledger_type_name(prefix->type), each, ctx, err);
	put(&rc, LEDGER_TERM_EVENT, json_get_text(record, "event"), each, ctx, err);
	put(&rc, LEDGER_TERM_PERIOD, json_get_text(record, "period"), each, ctx, err);
	put(&rc, LEDGER_TERM_ADDR, subject, each, ctx, err);
	put(&rc, LEDGER_TERM_RCPT, subject, each, ctx, err);
	if (observed && json_type(observed) == JSON_OBJECT) {
		put(&rc, LEDGER_TERM_SERVICE, json_get_text(observed, "service"), each, ctx, err);
		put(&rc, LEDGER_TERM_KEY, json_get_text(observed, "key"), each, ctx, err);
		put(&rc, LEDGER_TERM_KEY, json_get_text(observed, "fingerprint"), each, ctx, err);
	}
	if (rc == RC_OK && claimed && json_type(claimed) == JSON_OBJECT)
		rc = claimed_terms(claimed, each, ctx, err);
	if (rc == RC_OK && detail && json_type(detail) == JSON_OBJECT)
		rc = detail_terms(detail, each, ctx, err);
	return rc;
}

uint64_t
ledger_denied_count(const struct json_value *record)
{
	const struct json_value *detail = json_find(record, "detail");
	int64_t n =
		detail && json_type(detail) == JSON_OBJECT ? json_get_int(detail, "count", 1) : 1;

	return n > 0 ? (uint64_t)n : 1;
}
