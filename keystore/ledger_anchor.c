/* SPDX-License-Identifier: BSD-2-Clause */
/* Anchors out of the files of a ledger. */
#include "keystore/ledger_verify.h"

#include "base/json.h"
#include "keystore/ledger_read.h"

#include <string.h>

/* Reads the members of a checkpoint's line into ANCHOR. */
static enum rc
anchor_of(const char *line, size_t len, const struct ledger_line *prefix,
	struct ledger_anchor *anchor, struct err *err)
{
	struct json_value *record = NULL;
	enum rc rc = json_parse(line, len, &record, err);
	const char *keyid = rc ? NULL : json_get_text(record, "keyid");
	const char *sig = rc ? NULL : json_get_text(record, "sig");

	memset(anchor, 0, sizeof *anchor);
	if (rc == RC_OK && (!keyid || !ledger_is_hash(keyid, strlen(keyid)) || !sig ||
				   !ledger_unhex(sig, anchor->signature, sizeof anchor->signature,
					   &anchor->signature_len)))
		rc = err_set(err, ERR_LEDGER_BROKEN, "a malformed checkpoint");
	if (rc == RC_OK) {
		anchor->seq = prefix->seq - 1;
		memcpy(anchor->node, prefix->node, prefix->node_len);
		memcpy(anchor->hash, prefix->prev, 64);
		memcpy(anchor->time, prefix->time, 27);
		memcpy(anchor->keyid, keyid, 64);
	}
	json_free(&record);
	return rc;
}

enum rc
ledger_anchor(const char *dir, struct buf *out, struct err *err)
{
	struct ledger_reader *reader = NULL;
	struct ledger_anchor anchor = {.seq = 0};
	uint64_t first, last;
	const char *line;
	size_t len;
	enum rc rc = ledger_segments(dir, &first, &last, err);

	/* Each segment but the last ends with a checkpoint, so two segments are enough. */
	if (rc == RC_OK)
		rc = ledger_reader_open(dir, last > first ? last - 1 : first, &reader, err);
	while (rc == RC_OK && (rc = ledger_reader_next(reader, &line, &len, err)) == RC_OK) {
		struct ledger_line prefix;

		if (ledger_line_parse(line, len, &prefix) && prefix.type == LEDGER_CHECKPOINT &&
			prefix.seq > 1)
			rc = anchor_of(line, len, &prefix, &anchor, err);
	}
	ledger_reader_close(&reader);
	if (rc == RC_NONE && anchor.seq)
		return ledger_anchor_format(out, &anchor, err);
	return rc;
}

enum rc
ledger_all_anchors(const char *dir, struct buf *out, struct err *err)
{
	struct ledger_reader *reader = NULL;
	const char *line;
	size_t len;
	enum rc rc = ledger_reader_open(dir, 0, &reader, err);

	while (rc == RC_OK && (rc = ledger_reader_next(reader, &line, &len, err)) == RC_OK) {
		struct ledger_anchor anchor;
		struct ledger_line prefix;

		if (!ledger_line_parse(line, len, &prefix) || prefix.type != LEDGER_CHECKPOINT ||
			prefix.seq < 2)
			continue;
		rc = anchor_of(line, len, &prefix, &anchor, err);
		if (rc == RC_OK)
			rc = ledger_anchor_format(out, &anchor, err);
		if (rc == RC_OK)
			rc = buf_append_char(out, '\n', err);
	}
	ledger_reader_close(&reader);
	return rc == RC_NONE && out->len ? RC_OK : rc;
}
