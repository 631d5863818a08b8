/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_stub.h"

#include "base/json.h"
#include "crypto/digest.h"
#include "keystore/ledger_read.h"

#include <inttypes.h>
#include <string.h>

#define RETIRE_BEGIN "\"type\":\"admin\",\"event\":\"" LEDGER_RETIRE_EVENT "\""

/* The lines that are kept, as the segment is followed. */
struct keeping {
	struct buf lines;
	struct buf epoch; /* an epoch record whose checkpoint may come next */
	struct buf last;  /* the last line, when it is a checkpoint that was not kept yet */
	struct hasher *hasher;
	struct sink sink;
};

/* Keeps LINE if it is one of those that a stub has. */
static enum rc
keep_line(struct keeping *k, const struct ledger_line *prefix, const char *line, size_t len,
	struct err *err)
{
	bool handed_over = prefix->type == LEDGER_CHECKPOINT && k->epoch.len;
	enum rc rc = RC_OK;

	buf_clear(&k->last);
	if (handed_over)
		rc = buf_append(&k->lines, k->epoch.data, k->epoch.len, err);
	buf_clear(&k->epoch);
	if (rc)
		return rc;
	if (prefix->type == LEDGER_EPOCH)
		return buf_append(&k->epoch, line, len, err);
	if (prefix->type == LEDGER_OPEN || handed_over)
		return buf_append(&k->lines, line, len, err);
	if (prefix->type == LEDGER_CHECKPOINT)
		return buf_append(&k->last, line, len, err);
	return RC_OK;
}

/* Follows the segment's lines to its end. */
static enum rc
walk(struct keeping *k, struct ledger_reader *reader, struct ledger_chain *chain,
	struct ledger_stub *stub, struct err *err)
{
	const char *line;
	size_t len;
	enum rc rc;

	while ((rc = ledger_reader_next(reader, &line, &len, err)) == RC_OK) {
		struct ledger_line prefix;

		rc = ledger_chain_line(chain, line, len, err);
		if (rc)
			return err_prefix(err, "segment %06" PRIu64 " line %" PRIu64, stub->segment,
				ledger_reader_line(reader));
		(void)ledger_line_parse(line, len, &prefix); /* it is one, then */
		rc = sink_feed(&k->sink, line, len, err);
		if (rc == RC_OK)
			rc = keep_line(k, &prefix, line, len, err);
		if (rc)
			return rc;
		if (!stub->first) {
			stub->first = prefix.seq;
			memcpy(stub->from, prefix.time, 27);
		}
		memcpy(stub->to, prefix.time, 27);
		stub->bytes += (int64_t)len;
	}
	if (rc != RC_NONE)
		return rc;
	if (!stub->first || chain->last_checkpoint + 1 != chain->seq)
		return err_set(err, ERR_LEDGER_BROKEN,
			"segment %06" PRIu64 " does not end with a checkpoint", stub->segment);
	return RC_OK;
}

/* The first line. */
static enum rc
put_head(const struct ledger_stub *stub, struct buf *out, struct err *err)
{
	struct json json;
	enum rc rc;

	json_init(&json, out);
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	json_str(&json, "format", LEDGER_STUB_FORMAT);
	json_str(&json, "node", stub->node);
	json_int(&json, "segment", (int64_t)stub->segment);
	json_int(&json, "first", (int64_t)stub->first);
	json_int(&json, "last", (int64_t)stub->last);
	json_str(&json, "from", stub->from);
	json_str(&json, "to", stub->to);
	json_str(&json, "hash", stub->hash);
	json_int(&json, "bytes", stub->bytes);
	json_str(&json, "sha256", stub->sha256);
	json_str(&json, "before", stub->before);
	json_object_end(&json);
	rc = json_end(&json, err);
	return rc ? rc : buf_append_char(out, '\n', err);
}

/* Head and lines behind each other. */
static enum rc
put_together(struct keeping *k, const struct ledger_chain *chain, struct ledger_stub *stub,
	struct buf *out, struct err *err)
{
	const unsigned char *value;
	enum rc rc = sink_finish(&k->sink, err);
	struct buf hex = BUF_INIT(2 * SHA256_SIZE);

	if (rc)
		return rc;
	value = hasher_value(k->hasher, DIGEST_SHA256);
	rc = buf_append_hex(&hex, value, SHA256_SIZE, err);
	if (rc)
		return rc;
	memcpy(stub->sha256, hex.data, sizeof stub->sha256);
	buf_fini(&hex);
	stub->last = chain->seq;
	memcpy(stub->hash, chain->hash, sizeof stub->hash);
	memcpy(stub->node, chain->node, sizeof stub->node);
	rc = put_head(stub, out, err);
	if (rc == RC_OK)
		rc = buf_append(out, k->lines.data, k->lines.len, err);
	if (rc == RC_OK && k->last.len)
		rc = buf_append(out, k->last.data, k->last.len, err);
	return rc ? rc : ledger_hash(out->data, out->len, stub->self, err);
}

enum rc
ledger_stub_make(const char *dir, uint64_t segment, const char *before, struct ledger_chain *chain,
	struct buf *out, struct ledger_stub *stub, struct err *err)
{
	struct keeping k = {.lines = BUF_INIT(LEDGER_MAX_STUB),
		.epoch = BUF_INIT(LEDGER_MAX_LINE),
		.last = BUF_INIT(LEDGER_MAX_LINE)};
	struct ledger_reader *reader = NULL;
	enum rc rc = hasher_new(1u << DIGEST_SHA256, &k.hasher, err);

	*stub = (struct ledger_stub){.segment = segment};
	memcpy(stub->before, before, LEDGER_HASH_SIZE);
	if (chain->seq || segment == 1)
		ledger_chain_segment(chain, segment);
	else
		ledger_chain_adopt(chain, segment);
	if (rc == RC_OK)
		rc = ledger_reader_open_one(dir, segment, &reader, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_LEDGER_BROKEN, "segment %06" PRIu64 " is gone", segment);
	if (rc == RC_OK) {
		k.sink = hasher_sink(k.hasher);
		rc = walk(&k, reader, chain, stub, err);
	}
	if (rc == RC_OK)
		rc = put_together(&k, chain, stub, out, err);
	ledger_reader_close(&reader);
	hasher_free(&k.hasher);
	buf_fini(&k.lines);
	buf_fini(&k.epoch);
	buf_fini(&k.last);
	return rc;
}

/* Member NAME as a hash. */
static bool
get_hash(const struct json_value *object, const char *name, char out[LEDGER_HASH_SIZE])
{
	const char *text = json_get_text(object, name);

	if (!text || !ledger_is_hash(text, strlen(text)))
		return false;
	memcpy(out, text, LEDGER_HASH_SIZE);
	return true;
}

/* Member NAME as a time of the ledger's form. */
static bool
get_time(const struct json_value *object, const char *name, char out[CLOCK_TEXT_SIZE])
{
	const char *text = json_get_text(object, name);

	/* It is shown to people, so it must be nothing else than a time. */
	if (!text || strlen(text) != 27 || strspn(text, "0123456789-T:.Z") != 27)
		return false;
	memcpy(out, text, 28);
	return true;
}

/* The members of a stub's head. */
static bool
read_head(const struct json_value *head, struct ledger_stub *stub)
{
	const char *format = json_get_text(head, "format"), *node = json_get_text(head, "node");
	int64_t segment = json_get_int(head, "segment", 0), first = json_get_int(head, "first", 0),
		last = json_get_int(head, "last", 0);

	stub->bytes = json_get_int(head, "bytes", -1);
	if (!format || strcmp(format, LEDGER_STUB_FORMAT) != 0 || !ledger_node_ok(node) ||
		segment < 1 || first < 1 || last < first || stub->bytes < 0)
		return false;
	stub->segment = (uint64_t)segment;
	stub->first = (uint64_t)first;
	stub->last = (uint64_t)last;
	strcpy(stub->node, node);
	return get_time(head, "from", stub->from) && get_time(head, "to", stub->to) &&
	       get_hash(head, "hash", stub->hash) && get_hash(head, "sha256", stub->sha256) &&
	       get_hash(head, "before", stub->before);
}

enum rc
ledger_stub_parse(
	const char *text, size_t len, uint64_t segment, struct ledger_stub *stub, struct err *err)
{
	struct json_value *head = NULL;
	const char *lf = len ? memchr(text, '\n', len) : NULL;
	struct err why = ERR_INIT;
	enum rc rc;
	bool ok;

	*stub = (struct ledger_stub){.segment = 0};
	rc = lf ? json_parse(text, (size_t)(lf - text), &head, &why) : RC_PERM;
	if (rc == RC_TEMP)
		return err_set(err, why.code, "%s", why.detail);
	ok = rc == RC_OK && json_type(head) == JSON_OBJECT && read_head(head, stub) &&
	     stub->segment == segment;
	json_free(&head);
	if (!ok)
		return err_set(err, ERR_LEDGER_BROKEN, "the stub of segment %06" PRIu64 " is none",
			segment);
	return ledger_hash(text, len, stub->self, err);
}

/* Steps CHAIN over what is not in the stub, to right before LINE. */
static enum rc
skip_to(struct ledger_chain *chain, const struct ledger_line *line, struct err *err)
{
	if (line->seq <= chain->seq)
		return err_set(err, ERR_LEDGER_BROKEN, "its lines are out of order");
	if (chain->next.number) /* an announcement is only there with its checkpoint */
		return err_set(err, ERR_LEDGER_BROKEN, "an epoch without its checkpoint");
	chain->seq = line->seq - 1;
	memcpy(chain->hash, line->prev, LEDGER_HASH_SIZE - 1);
	return RC_OK;
}

/* One line of the stub. */
static enum rc
follow_line(struct ledger_chain *chain, const char *text, size_t len, ledger_stub_each *before_line,
	void *ctx, struct err *err)
{
	struct ledger_line line;
	enum rc rc = RC_OK;

	if (!ledger_line_parse(text, len, &line) ||
		(line.type != LEDGER_OPEN && line.type != LEDGER_EPOCH &&
			line.type != LEDGER_CHECKPOINT))
		return err_set(err, ERR_LEDGER_BROKEN, "a line that no stub has");
	if (line.type != LEDGER_OPEN && line.seq != chain->seq + 1)
		rc = skip_to(chain, &line, err);
	if (rc == RC_OK && before_line)
		rc = before_line(ctx, chain, &line, err);
	return rc ? rc : ledger_chain_line(chain, text, len, err);
}

enum rc
ledger_stub_follow(const char *text, size_t len, const struct ledger_stub *stub,
	struct ledger_chain *chain, ledger_stub_each *before_line, void *ctx, struct err *err)
{
	const char *end = text + len, *p = memchr(text, '\n', len), *lf;
	uint64_t first = 0;
	enum rc rc = RC_OK;

	for (p = p ? p + 1 : end; rc == RC_OK && p < end; p = lf + 1) {
		lf = memchr(p, '\n', (size_t)(end - p));
		if (!lf)
			rc = err_set(err, ERR_LEDGER_BROKEN, "its last line is cut off");
		else
			rc = follow_line(chain, p, (size_t)(lf - p) + 1, before_line, ctx, err);
		if (rc)
			break;
		first = first ? first : chain->seq;
	}
	if (rc == RC_OK && (first != stub->first || chain->seq != stub->last ||
				   chain->last_checkpoint + 1 != chain->seq ||
				   strcmp(chain->hash, stub->hash) != 0 ||
				   strcmp(chain->node, stub->node) != 0))
		rc = err_set(err, ERR_LEDGER_BROKEN, "its lines are not those that it tells of");
	return rc == RC_PERM ? err_prefix(err, "the stub of segment %06" PRIu64, stub->segment)
			     : rc;
}

enum rc
ledger_retire_detail(const struct ledger_stub *stub, struct buf *out, struct err *err)
{
	struct json json;

	json_init(&json, out);
	json_object(&json, NULL);
	json_int(&json, "segment", (int64_t)stub->segment);
	json_int(&json, "first", (int64_t)stub->first);
	json_int(&json, "last", (int64_t)stub->last);
	json_str(&json, "hash", stub->hash);
	json_int(&json, "bytes", stub->bytes);
	json_str(&json, "sha256", stub->sha256);
	json_str(&json, "stub", stub->self);
	json_object_end(&json);
	return json_end(&json, err);
}

bool
ledger_retire_parse(
	const char *line, size_t len, const struct ledger_line *prefix, struct ledger_retired *out)
{
	struct json_value *record = NULL;
	const struct json_value *detail;
	const char *event;
	bool ok = prefix->type == LEDGER_ADMIN &&
		  memmem(line, len < 300 ? len : 300, RETIRE_BEGIN, strlen(RETIRE_BEGIN));

	*out = (struct ledger_retired){.record = prefix->seq};
	if (!ok || json_parse(line, len - 1, &record, NULL))
		return false;
	detail = json_find(record, "detail");
	event = json_get_text(record, "event");
	out->segment = detail ? (uint64_t)json_get_int(detail, "segment", 0) : 0;
	ok = out->segment && strcmp(event, LEDGER_RETIRE_EVENT) == 0 &&
	     get_hash(detail, "stub", out->stub);
	memcpy(out->time, prefix->time, 27);
	json_free(&record);
	return ok;
}
