/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_chain.h"

#include "base/json.h"
#include "crypto/pkey.h"

#include <inttypes.h>
#include <string.h>

void
ledger_chain_init(struct ledger_chain *chain)
{
	memset(chain, 0, sizeof *chain);
	memcpy(chain->hash, LEDGER_ZERO_HASH, LEDGER_HASH_SIZE);
}

void
ledger_chain_segment(struct ledger_chain *chain, uint64_t segment)
{
	chain->segment = segment;
	chain->at_start = true;
}

void
ledger_chain_adopt(struct ledger_chain *chain, uint64_t segment)
{
	ledger_chain_init(chain);
	ledger_chain_segment(chain, segment);
	chain->adopt = segment > 1;
}

/* Reads the members epoch, keyid and key; the key must be the one that the id names. */
static enum rc
epoch_parse(const struct json_value *record, const char *time, struct ledger_epoch *out,
	struct err *err)
{
	const char *keyid = json_get_text(record, "keyid"), *key = json_get_text(record, "key");
	int64_t number = json_get_int(record, "epoch", 0);
	char hash[LEDGER_HASH_SIZE], when[CLOCK_TEXT_SIZE];
	enum rc rc;

	memset(out, 0, sizeof *out);
	if (!keyid || !key || number < 1 ||
		!ledger_unhex(key, out->spki, sizeof out->spki, &out->spki_len))
		return err_set(err, ERR_LEDGER_BROKEN, "a malformed epoch key");
	rc = ledger_hash(out->spki, out->spki_len, hash, err);
	if (rc)
		return rc;
	if (strcmp(hash, keyid) != 0)
		return err_set(err, ERR_LEDGER_BROKEN, "the epoch key is not the one of its id");
	memcpy(when, time, 19);
	memcpy(when + 19, "Z", 2);
	rc = clock_parse(when, &out->since, err);
	if (rc)
		return err_set(err, ERR_LEDGER_BROKEN, "a malformed time");
	out->number = (uint64_t)number;
	memcpy(out->keyid, hash, sizeof hash);
	return RC_OK;
}

/* The first record of a segment: for the first one it founds the ledger, later it repeats the
 * epoch. */
static enum rc
take_open(struct ledger_chain *chain, const struct ledger_line *line,
	const struct json_value *record, struct err *err)
{
	const char *format = json_get_text(record, "format");
	struct ledger_epoch epoch;
	enum rc rc;

	if (!format || strcmp(format, LEDGER_FORMAT) != 0)
		return err_set(err, ERR_LEDGER_BROKEN, "unknown format");
	if ((uint64_t)json_get_int(record, "segment", 0) != chain->segment)
		return err_set(err, ERR_LEDGER_BROKEN, "this is another segment");
	rc = epoch_parse(record, line->time, &epoch, err);
	if (rc)
		return rc;
	chain->opened = epoch.since;
	if (chain->epoch.number == 0) {
		if (epoch.number != 1 && !chain->adopt)
			return err_set(err, ERR_LEDGER_BROKEN, "the first epoch is not 1");
		chain->epoch = epoch;
		memcpy(chain->root, epoch.keyid, sizeof chain->root);
		return RC_OK;
	}
	if (epoch.number != chain->epoch.number || strcmp(epoch.keyid, chain->epoch.keyid) != 0)
		return err_set(err, ERR_LEDGER_BROKEN, "another epoch than the one in force");
	return RC_OK;
}

/* A new epoch key is announced. */
static enum rc
take_epoch(struct ledger_chain *chain, const struct ledger_line *line,
	const struct json_value *record, struct err *err)
{
	struct ledger_epoch epoch;
	enum rc rc = epoch_parse(record, line->time, &epoch, err);

	if (rc)
		return rc;
	if (epoch.number != chain->epoch.number + 1)
		return err_set(err, ERR_LEDGER_BROKEN, "epoch %" PRIu64 " does not follow %" PRIu64,
			epoch.number, chain->epoch.number);
	chain->next = epoch;
	return RC_OK;
}

enum rc
ledger_chain_check_anchor(
	const struct ledger_chain *chain, const struct ledger_anchor *anchor, struct err *err)
{
	struct buf text = BUF_INIT(1024);
	enum rc rc;

	if (strcmp(anchor->keyid, chain->epoch.keyid) != 0)
		return err_set(err, ERR_LEDGER_BROKEN, "signed with another key than the epoch's");
	rc = ledger_anchor_text(&text, anchor, err);
	if (rc == RC_OK)
		rc = spki_verify(chain->epoch.spki, chain->epoch.spki_len, text.data, text.len,
			anchor->signature, anchor->signature_len, err);
	buf_fini(&text);
	if (rc == RC_PERM)
		return err_set(err, ERR_LEDGER_BROKEN, "the signature is not valid");
	return rc;
}

/*
 * A checkpoint's own members are not in what it signs one by one, so the line must be exactly the
 * one that the writer would have made of them.
 */
static enum rc
checkpoint_is_exact(const struct ledger_chain *chain, const struct ledger_anchor *anchor,
	const char *line, size_t len, struct err *err)
{
	struct buf want = BUF_INIT(LEDGER_MAX_LINE);
	enum rc rc = buf_appendf(&want, err,
		"{\"v\":1,\"seq\":%" PRIu64 ",\"prev\":\"%s\",\"time\":\"%s\",\"node\":\"%s\","
		"\"type\":\"checkpoint\",\"epoch\":%" PRIu64 ",\"keyid\":\"%s\",\"sig\":\"",
		anchor->seq + 1, anchor->hash, anchor->time, anchor->node, chain->epoch.number,
		anchor->keyid);

	if (rc == RC_OK)
		rc = buf_append_hex(&want, anchor->signature, anchor->signature_len, err);
	if (rc == RC_OK)
		rc = buf_append_str(&want, "\"}\n", err);
	if (rc == RC_OK && (want.len != len || memcmp(want.data, line, len) != 0))
		rc = err_set(err, ERR_LEDGER_BROKEN, "the checkpoint has another form");
	buf_fini(&want);
	return rc;
}

/* Verifies the signature over all before it; an announced epoch comes into force. */
static enum rc
take_checkpoint(struct ledger_chain *chain, const struct ledger_line *line,
	const struct json_value *record, const char *text, size_t len, struct err *err)
{
	struct ledger_anchor anchor = {.seq = line->seq - 1};
	const char *keyid = json_get_text(record, "keyid"), *sig = json_get_text(record, "sig");
	enum rc rc;

	if (!keyid || !sig || strlen(keyid) >= sizeof anchor.keyid ||
		!ledger_unhex(
			sig, anchor.signature, sizeof anchor.signature, &anchor.signature_len))
		return err_set(err, ERR_LEDGER_BROKEN, "a malformed checkpoint");
	memcpy(anchor.keyid, keyid, strlen(keyid) + 1);
	memcpy(anchor.node, chain->node, sizeof anchor.node);
	memcpy(anchor.hash, chain->hash, sizeof anchor.hash);
	memcpy(anchor.time, line->time, 27);
	rc = ledger_chain_check_anchor(chain, &anchor, err);
	if (rc == RC_OK)
		rc = checkpoint_is_exact(chain, &anchor, text, len, err);
	if (rc)
		return err_prefix(err, "checkpoint");
	chain->last_checkpoint = anchor.seq;
	chain->anchor = anchor;
	if (chain->next.number)
		chain->epoch = chain->next;
	return RC_OK;
}

/* The record types that say something about the chain itself. */
static enum rc
take_record(struct ledger_chain *chain, const struct ledger_line *line, const char *text,
	size_t len, struct err *err)
{
	struct json_value *record = NULL;
	enum rc rc;

	if (line->type > LEDGER_RECOVERED)
		return RC_OK;
	rc = json_parse(text, len - 1, &record, err);
	if (rc)
		return rc == RC_PERM ? err_set(err, ERR_LEDGER_BROKEN, "malformed JSON") : rc;
	if (line->type == LEDGER_OPEN)
		rc = take_open(chain, line, record, err);
	else if (line->type == LEDGER_EPOCH)
		rc = take_epoch(chain, line, record, err);
	else if (line->type == LEDGER_CHECKPOINT)
		rc = take_checkpoint(chain, line, record, text, len, err);
	else
		chain->recovered_bytes += (uint64_t)json_get_int(record, "bytes", 0);
	json_free(&record);
	return rc;
}

/* Does the fixed beginning continue CHAIN? */
static enum rc
check_link(const struct ledger_chain *chain, const struct ledger_line *line, struct err *err)
{
	if (line->seq != chain->seq + 1)
		return err_set(err, ERR_LEDGER_BROKEN,
			"record %" PRIu64 " stands where %" PRIu64 " is due", line->seq,
			chain->seq + 1);
	if (memcmp(line->prev, chain->hash, LEDGER_HASH_SIZE - 1) != 0)
		return err_set(err, ERR_LEDGER_BROKEN,
			"record %" PRIu64 " does not continue the one before it", line->seq);
	if (chain->seq && (line->node_len != strlen(chain->node) ||
				  memcmp(line->node, chain->node, line->node_len) != 0))
		return err_set(
			err, ERR_LEDGER_BROKEN, "record %" PRIu64 " is another node's", line->seq);
	if (chain->at_start != (line->type == LEDGER_OPEN))
		return err_set(err, ERR_LEDGER_BROKEN,
			chain->at_start ? "the segment does not begin with an open record"
					: "an open record inside a segment");
	return RC_OK;
}

/* Takes what LINE says of the record before it, which was the checkpoint of the segment before. */
static void
adopt(struct ledger_chain *chain, const struct ledger_line *line)
{
	chain->seq = line->seq - 1;
	memcpy(chain->hash, line->prev, LEDGER_HASH_SIZE - 1);
	memcpy(chain->node, line->node, line->node_len);
	chain->last_checkpoint = line->seq > 2 ? line->seq - 2 : 0;
}

enum rc
ledger_chain_step(struct ledger_chain *chain, const char *text, size_t len,
	struct ledger_line *line, struct err *err)
{
	struct ledger_chain after = *chain;
	enum rc rc;

	if (!ledger_line_parse(text, len, line))
		return err_set(err, ERR_LEDGER_BROKEN, "this line is no record");
	if (after.adopt)
		adopt(&after, line);
	rc = check_link(&after, line, err);
	if (rc)
		return rc;
	memcpy(after.node, line->node, line->node_len);
	after.node[line->node_len] = '\0';
	rc = take_record(&after, line, text, len, err);
	if (rc)
		return err_prefix(err, "record %" PRIu64, line->seq);
	if (line->type != LEDGER_EPOCH)
		memset(&after.next, 0, sizeof after.next);
	rc = ledger_hash(text, len, after.hash, err);
	if (rc)
		return rc;
	after.seq = line->seq;
	after.at_start = after.adopt = false;
	after.count[line->type]++;
	*chain = after;
	return RC_OK;
}

enum rc
ledger_chain_line(struct ledger_chain *chain, const char *text, size_t len, struct err *err)
{
	struct ledger_line line;

	return ledger_chain_step(chain, text, len, &line, err);
}
