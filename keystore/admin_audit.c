/* SPDX-License-Identifier: BSD-2-Clause */
/* The operator's commands about the ledger. */
#include "keystore/approval.h"
#include "keystore/admin_cmd.h"

#include <string.h>

#include "base/clock.h"
#include "keystore/ledger_erase.h"
#include "keystore/ledger_retire.h"

static void
put_head(struct admin *a)
{
	struct ledger_head head;

	ledger_head(vault_ledger(a->vault), &head);
	json_int(a->out, "seq", (int64_t)head.seq);
	json_str(a->out, "hash", head.hash);
	json_int(a->out, "epoch", (int64_t)head.epoch);
	json_str(a->out, "keyid", head.keyid);
	json_int(a->out, "checkpoint", (int64_t)head.last_checkpoint);
}

enum rc
admin_ledger_head(struct admin *a, struct err *err)
{
	(void)err;
	put_head(a);
	return RC_OK;
}

/* The anchor is that of a checkpoint which is on the disk, so no power cut can make it untrue. */
enum rc
admin_ledger_checkpoint(struct admin *a, struct err *err)
{
	struct buf anchor = BUF_INIT(4096);
	enum rc rc = ledger_checkpoint(vault_ledger(a->vault), err);

	if (!rc) {
		put_head(a);
		rc = ledger_last_anchor(vault_ledger(a->vault), &anchor, err);
	}
	if (!rc)
		json_str(a->out, "anchor", buf_text(&anchor));
	buf_fini(&anchor);
	return rc == RC_NONE ? RC_OK : rc;
}

/* One month's pseudonym of ADDR; that there is none any more is said. */
static enum rc
put_pseudonym(struct admin *a, const char *period, const char *addr, struct err *err)
{
	char pseudonym[LEDGER_PSEUDONYM_SIZE];
	struct secret *key = NULL;
	enum rc rc;

	if (!ledger_is_period(period))
		return err_set(err, ERR_USAGE, "a period is a month like 2026-05");
	rc = ledger_period_key(vault_store(a->vault), period, false, &key, err);
	if (!rc)
		rc = ledger_pseudonym(key, addr, pseudonym, err);
	secret_free(&key);
	if (rc < 0)
		return rc;
	json_object(a->out, NULL);
	json_str(a->out, "period", period);
	if (rc == RC_OK)
		json_str(a->out, "pseudonym", pseudonym);
	else
		json_bool(a->out, "erased", true);
	json_object_end(a->out);
	return RC_OK;
}

/* Under which names the ledger speaks of an address. That somebody asked is in the ledger. */
enum rc
admin_audit_pseudonyms(struct admin *a, struct err *err)
{
	const struct json_value *periods = json_find(a->request, "periods");
	char addr[ADDR_MAX + 1];
	enum rc rc = admin_addr(a, "addr", addr, err);

	if (!rc && (!periods || json_type(periods) != JSON_ARRAY || json_count(periods) > 1200))
		rc = err_set(err, ERR_USAGE, "\"periods\" is no list");
	if (!rc)
		rc = admin_record(a, "audit.pseudonyms", NULL, addr, NULL, NULL, err);
	json_array(a->out, "pseudonyms");
	for (size_t i = 0; !rc && i < json_count(periods); i++)
		rc = put_pseudonym(a, json_text(json_at(periods, i)), addr, err);
	json_array_end(a->out);
	return rc;
}

static enum rc
put_period(void *ctx, const char *period, struct err *err)
{
	(void)err;
	json_str(ctx, NULL, period);
	return RC_OK;
}

enum rc
admin_audit_periods(struct admin *a, struct err *err)
{
	enum rc rc;

	json_array(a->out, "periods");
	rc = ledger_periods(vault_store(a->vault), put_period, a->out, err);
	json_array_end(a->out);
	return rc;
}

static enum rc
erase(struct admin *a, const char *period, struct err *err)
{
	uint64_t seq;
	enum rc rc = ledger_erase(
		vault_ledger(a->vault), vault_store(a->vault), period, a->uid, a->pid, &seq, err);

	if (rc == RC_NONE)
		return err_set(
			err, ERR_USAGE, "%s has no key: it was erased, or never used", period);
	if (rc)
		return rc;
	json_str(a->out, "period", period);
	json_int(a->out, "record", (int64_t)seq);
	return RC_OK;
}

/* Where there are officers, they have to approve. */
enum rc
admin_audit_erase(struct admin *a, struct err *err)
{
	const char *period = json_get_text(a->request, "period");
	struct secret *key = NULL;
	struct act act;
	bool go = false;
	enum rc rc;

	if (!period || !ledger_is_period(period))
		return err_set(err, ERR_USAGE, "a period is a month like 2026-05");
	rc = ledger_period_key(vault_store(a->vault), period, false, &key, err);
	secret_free(&key);
	if (rc == RC_NONE && !a->approved) /* an interrupted erasure is gone on with by itself */
		return err_set(
			err, ERR_USAGE, "%s has no key: it was erased, or never used", period);
	if (rc < 0)
		return rc;
	act_init(&act, "audit.erase", false);
	act_put(&act, "period", period);
	act_put(&act, "effect", "the records of that month speak of nobody any more, for ever");
	rc = approval_require(a, &act, &go, err);
	act_fini(&act);
	return rc || !go ? rc : erase(a, period, err);
}

static void
put_dropped(struct admin *a, const struct ledger_dropped *dropped)
{
	json_object(a->out, NULL);
	json_int(a->out, "segment", (int64_t)dropped->segment);
	json_int(a->out, "first", (int64_t)dropped->first);
	json_int(a->out, "last", (int64_t)dropped->last);
	json_str(a->out, "from", dropped->from);
	json_str(a->out, "to", dropped->to);
	json_int(a->out, "bytes", dropped->bytes);
	if (dropped->record)
		json_int(a->out, "record", (int64_t)dropped->record);
	json_object_end(a->out);
}

/* Which segments are meant. */
static enum rc
read_order(struct admin *a, struct ledger_retire_order *order, struct err *err)
{
	const char *before = json_get_text(a->request, "before");
	int64_t segment = json_get_int(a->request, "segment", 0);

	*order = (struct ledger_retire_order){.service = "admin",
		.uid = a->uid,
		.pid = a->pid,
		.up_to = segment > 0 ? (uint64_t)segment : 0,
		.dry_run = json_is_true(json_find(a->request, "dry_run"))};
	if (before && clock_parse(before, &order->before, err))
		return err_set(err, ERR_USAGE, "before: \"%.64s\" is no time", before);
	if (segment < 0 || (!segment && !before))
		return err_set(err, ERR_USAGE, "\"before\" or \"segment\" is missing");
	if (before && (order->before <= 0 || order->before > clock_now()))
		return err_set(err, ERR_USAGE, "before: %.64s is not in the past", before);
	return RC_OK;
}

/* A call drops for a few seconds at most; whoever asked asks again. */
#define RETIRE_MS     5000
#define RETIRE_LISTED 1000
#define RETIRE_CALLS  1000 /* by one approval */

/* Where there are officers, they have to approve; what they approve may take several calls. */
static enum rc
ask_officers(struct admin *a, const struct ledger_retire_order *order, bool *go, struct err *err)
{
	struct act act;
	enum rc rc;

	*go = true;
	if (order->dry_run)
		return RC_OK;
	act_init(&act, "audit.retire", false);
	act.max_uses = RETIRE_CALLS;
	act_put(&act, "before", json_get_text(a->request, "before"));
	if (json_find(a->request, "segment"))
		act_putf(
			&act, "segment", "%lld", (long long)json_get_int(a->request, "segment", 0));
	act_put(&act, "effect", "old segments of the ledger are dropped and leave stubs");
	act_putf(&act, "times", "up to %d, until all of them are dropped", act.max_uses);
	rc = approval_require(a, &act, go, err);
	act_fini(&act);
	return rc;
}

enum rc
admin_audit_retire(struct admin *a, struct err *err)
{
	int64_t until = clock_monotonic_ms() + RETIRE_MS;
	struct ledger_retire_order order;
	struct ledger_dropped dropped;
	bool go = false;
	size_t n = 0;
	enum rc rc = read_order(a, &order, err);

	if (!rc)
		rc = ask_officers(a, &order, &go, err);
	if (rc || !go)
		return rc;
	json_array(a->out, "segments");
	while ((rc = ledger_retire(vault_ledger(a->vault), &order, &dropped, err)) == RC_OK) {
		put_dropped(a, &dropped);
		order.behind = dropped.segment;
		if (++n == RETIRE_LISTED || (!order.dry_run && clock_monotonic_ms() > until))
			break;
	}
	json_array_end(a->out);
	if (rc == RC_OK)
		json_bool(a->out, "more", true);
	return rc == RC_NONE ? RC_OK : rc;
}
