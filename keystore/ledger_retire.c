/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_retire.h"

#include "base/file.h"
#include "base/log.h"
#include "keystore/ledger_private.h"
#include "keystore/ledger_stub.h"
#include "keystore/ledger_tail.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "000001.stub.new" */
static const char *
new_stub_name(uint64_t segment, char out[LEDGER_SEGMENT_NAME])
{
	(void)snprintf(
		out, LEDGER_SEGMENT_NAME, "%06" PRIu64 LEDGER_NEW_STUB, segment % 1000000000);
	return out;
}

/* The segment that is written now. */
static uint64_t
present_segment(struct ledger *ledger)
{
	uint64_t segment;

	pthread_mutex_lock(&ledger->lock);
	ledger_wait_idle(ledger);
	segment = ledger->file.segment;
	pthread_mutex_unlock(&ledger->lock);
	return segment;
}

/* Is the record with TIME, of the ledger's form, older than SECONDS? */
static bool
is_before(const char *time, int64_t seconds)
{
	char limit[CLOCK_TEXT_SIZE];

	(void)clock_format_us(seconds * 1000000, limit);
	return strcmp(time, limit) < 0;
}

/* The oldest segment that ORDER is about. RC_NONE: there is none. */
static enum rc
choose(struct ledger *ledger, const struct ledger_retire_order *order, struct ledger_dropped *out,
	struct err *err)
{
	uint64_t present = present_segment(ledger), n;
	struct ledger_files files;
	struct ledger_ends ends;
	enum rc rc = ledger_files_list(ledger->file.dir, &files, err);

	if (rc)
		return rc;
	n = files.first > order->behind + 1 ? files.first : order->behind + 1;
	while (n < present && !(ledger_files_kind(&files, n) & LEDGER_LINES))
		n++;
	ledger_files_free(&files);
	if (n >= present || (order->up_to && n > order->up_to))
		return RC_NONE;
	rc = ledger_ends_read(ledger->file.dir, n, &ends, err);
	if (rc == RC_OK && (!ends.has_first || !ends.has_last))
		rc = err_set(err, ERR_LEDGER_BROKEN, "segment %06" PRIu64 " does not verify", n);
	if (rc)
		return rc;
	if (order->before && !is_before(ends.to, order->before))
		return RC_NONE;
	*out = (struct ledger_dropped){
		.segment = n, .first = ends.first, .last = ends.last, .bytes = ends.bytes};
	strcpy(out->from, ends.from);
	strcpy(out->to, ends.to);
	return RC_OK;
}

/* The chain at the end of the stub before SEGMENT, and that stub's hash. */
static enum rc
follow_before(const char *dir, uint64_t segment, struct ledger_chain *chain,
	char hash[LEDGER_HASH_SIZE], struct err *err)
{
	struct buf text = BUF_INIT(LEDGER_MAX_STUB);
	struct ledger_stub stub;
	enum rc rc;

	ledger_chain_init(chain);
	memcpy(hash, LEDGER_ZERO_HASH, LEDGER_HASH_SIZE);
	if (segment == 1)
		return RC_OK;
	rc = ledger_stub_read(dir, segment - 1, &text, err);
	if (rc == RC_NONE)
		return err_set(err, ERR_LEDGER_BROKEN,
			"the segments before %06" PRIu64 " are gone without a stub", segment);
	if (rc == RC_OK)
		rc = ledger_stub_parse(text.data, text.len, segment - 1, &stub, err);
	ledger_chain_adopt(chain, segment - 1);
	if (rc == RC_OK)
		rc = ledger_stub_follow(text.data, text.len, &stub, chain, NULL, NULL, err);
	memcpy(hash, stub.self, LEDGER_HASH_SIZE);
	buf_fini(&text);
	return rc;
}

/* Puts the record and its checkpoint into the ledger. */
static enum rc
record_stub(struct ledger *ledger, const struct ledger_retire_order *order,
	const struct ledger_stub *stub, uint64_t *seq, struct err *err)
{
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_ADMIN);
	struct buf detail = BUF_INIT(LEDGER_MAX_DETAIL);
	enum rc rc = ledger_retire_detail(stub, &detail, err);

	record.event = LEDGER_RETIRE_EVENT;
	record.observed.service = order->service;
	record.observed.uid = order->uid;
	record.observed.pid = order->pid;
	record.detail = buf_text(&detail);
	if (rc == RC_OK)
		rc = ledger_append(ledger, &record, seq, err);
	if (rc == RC_OK)
		rc = ledger_checkpoint(ledger, err);
	buf_fini(&detail);
	return rc;
}

/* Steps 3 and 4. */
static enum rc
put_in_place(struct ledger *ledger, uint64_t segment, bool rename, struct err *err)
{
	const struct ledger_disk *disk = &ledger->file.disk;
	const char *dir = ledger->file.dir;
	char lines[LEDGER_SEGMENT_NAME], stub[LEDGER_SEGMENT_NAME], fresh[LEDGER_SEGMENT_NAME];
	enum rc rc = RC_OK;

	(void)ledger_segment_name(segment, lines);
	(void)ledger_stub_name(segment, stub);
	if (rename)
		rc = ledger_disk_rename(disk, dir, new_stub_name(segment, fresh), stub, err);
	if (rc == RC_OK)
		rc = ledger_disk_sync(disk, dir, err);
	if (rc == RC_OK)
		rc = ledger_disk_unlink(disk, dir, lines, err);
	return rc ? rc : ledger_disk_sync(disk, dir, err);
}

/* All four steps for the segment in OUT. */
static enum rc
drop(struct ledger *ledger, const struct ledger_retire_order *order, struct ledger_dropped *out,
	struct err *err)
{
	const struct ledger_disk *disk = &ledger->file.disk;
	const char *dir = ledger->file.dir;
	char name[LEDGER_SEGMENT_NAME], before[LEDGER_HASH_SIZE];
	struct buf text = BUF_INIT(LEDGER_MAX_STUB);
	struct ledger_chain chain;
	struct ledger_stub stub;
	enum rc rc = follow_before(dir, out->segment, &chain, before, err);

	if (rc == RC_OK)
		rc = ledger_stub_make(dir, out->segment, before, &chain, &text, &stub, err);
	(void)new_stub_name(out->segment, name);
	if (rc == RC_OK)
		rc = ledger_disk_put(disk, dir, name, text.data, text.len, err);
	buf_fini(&text);
	if (rc == RC_OK)
		rc = ledger_disk_sync(disk, dir, err);
	if (rc == RC_OK)
		rc = record_stub(ledger, order, &stub, &out->record, err);
	if (rc) /* a record without its checkpoint is taken up again by the next start */
		return rc;
	return put_in_place(ledger, out->segment, true, err);
}

enum rc
ledger_retire(struct ledger *ledger, const struct ledger_retire_order *order,
	struct ledger_dropped *out, struct err *err)
{
	enum rc rc;

	pthread_mutex_lock(&ledger->retiring);
	rc = choose(ledger, order, out, err);
	if (rc == RC_OK && !order->dry_run) {
		rc = drop(ledger, order, out, err);
		if (rc == RC_OK)
			log_event(LOGL_WARN, NULL, "ledger-retired", "segment",
				LOG_NUM(out->segment), "first", LOG_NUM(out->first), "last",
				LOG_NUM(out->last), "to", out->to, "record", LOG_NUM(out->record),
				NULL);
	}
	pthread_mutex_unlock(&ledger->retiring);
	return rc;
}

/* --- after a crash --- */

/* Is there a record that SEGMENT was dropped with a stub of this HASH? RC_NONE: no. */
static enum rc
find_record(const char *dir, uint64_t segment, const char *hash, struct err *err)
{
	struct ledger_reader *reader = NULL;
	const char *line;
	size_t len;
	enum rc rc = ledger_reader_open(dir, segment + 1, &reader, err);

	while (rc == RC_OK && (rc = ledger_reader_next(reader, &line, &len, err)) == RC_OK) {
		struct ledger_retired retired;
		struct ledger_line prefix;

		if (memmem(line, len, hash, LEDGER_HASH_SIZE - 1) &&
			ledger_line_parse(line, len, &prefix) &&
			ledger_retire_parse(line, len, &prefix, &retired) &&
			retired.segment == segment && strcmp(retired.stub, hash) == 0)
			break;
	}
	ledger_reader_close(&reader);
	return rc;
}

/* SHA-256 of the segment's file. */
static enum rc
hash_segment(const char *dir, uint64_t segment, char hash[LEDGER_HASH_SIZE], struct err *err)
{
	struct buf text = BUF_INIT(LEDGER_MAX_STUB);
	struct ledger_chain chain;
	struct ledger_stub stub;
	enum rc rc;

	ledger_chain_init(&chain);
	rc = ledger_stub_make(dir, segment, LEDGER_ZERO_HASH, &chain, &text, &stub, err);
	memcpy(hash, stub.sha256, LEDGER_HASH_SIZE);
	buf_fini(&text);
	return rc;
}

/* The stub of SEGMENT has its name, and the lines are there too. Are they what it tells of? */
static enum rc
resume_removal(struct ledger *ledger, uint64_t segment, struct err *err)
{
	struct buf text = BUF_INIT(LEDGER_MAX_STUB);
	char hash[LEDGER_HASH_SIZE];
	struct ledger_stub stub;
	enum rc rc = ledger_stub_read(ledger->file.dir, segment, &text, err);

	if (rc == RC_OK)
		rc = ledger_stub_parse(text.data, text.len, segment, &stub, err);
	if (rc == RC_OK)
		rc = hash_segment(ledger->file.dir, segment, hash, err);
	if (rc == RC_OK && strcmp(hash, stub.sha256) != 0)
		rc = RC_NONE;
	if (rc == RC_OK)
		rc = find_record(ledger->file.dir, segment, stub.self, err);
	buf_fini(&text);
	if (rc == RC_OK)
		return put_in_place(ledger, segment, false, err);
	if (rc == RC_TEMP)
		return rc;
	/* Nothing of our making: left for somebody to look at, and audit verify tells more. */
	log_event(LOGL_ERROR, NULL, "ledger-stub-unknown", "segment", LOG_NUM(segment), NULL);
	return RC_OK;
}

/* A stub that did not get its name: it does when its record is there, and is forgotten otherwise.
 */
static enum rc
resume_stub(struct ledger *ledger, uint64_t segment, const char *name, struct err *err)
{
	struct buf text = BUF_INIT(LEDGER_MAX_STUB);
	char *path = file_join(ledger->file.dir, name);
	struct ledger_stub stub;
	enum rc rc = path ? file_read(path, &text, err) : err_set(err, ERR_MEMORY, "a path");

	if (rc == RC_OK)
		rc = ledger_stub_parse(text.data, text.len, segment, &stub, err);
	if (rc == RC_OK)
		rc = find_record(ledger->file.dir, segment, stub.self, err);
	free(path);
	buf_fini(&text);
	if (rc == RC_TEMP)
		return rc;
	if (rc)
		return ledger_disk_unlink(&ledger->file.disk, ledger->file.dir, name, err);
	rc = ledger_checkpoint(ledger, err); /* the crash may have taken the one over the record */
	return rc ? rc : put_in_place(ledger, segment, true, err);
}

/* Segments that have both lines and a stub. */
static enum rc
resume_removals(struct ledger *ledger, struct err *err)
{
	struct ledger_files files;
	enum rc rc = ledger_files_list(ledger->file.dir, &files, err);

	for (uint64_t n = files.first; rc == RC_OK && n && n < files.last; n++)
		if (ledger_files_kind(&files, n) == (LEDGER_LINES | LEDGER_STUB))
			rc = resume_removal(ledger, n, err);
	ledger_files_free(&files);
	return rc;
}

enum rc
ledger_retire_resume(struct ledger *ledger, struct err *err)
{
	char **names = NULL, again[LEDGER_SEGMENT_NAME];
	size_t count = 0;
	enum rc rc = file_list(ledger->file.dir, LEDGER_MAX_FILES, &names, &count, err);

	if (rc)
		return rc == RC_NONE ? RC_TEMP : rc;
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		uint64_t n = strtoull(names[i], NULL, 10);

		if (n && strcmp(new_stub_name(n, again), names[i]) == 0)
			rc = resume_stub(ledger, n, names[i], err);
	}
	file_list_free(&names, count);
	return rc ? rc : resume_removals(ledger, err);
}
