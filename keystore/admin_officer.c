/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_officer.c - requests, approvals, and the acts themselves: the commands of approval.h
 */
#include "keystore/approval.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/signed_by.h"

#define LIST_MAX 1000

/* The request that the command names. */
static enum rc
get_request(struct admin *a, struct store_act *request, struct err *err)
{
	const char *id = json_get_text(a->request, "request");
	enum rc rc;

	*request = (struct store_act){0};
	if (!id || !*id)
		return err_set(err, ERR_USAGE, "\"request\" is missing");
	rc = store_get_act(vault_store(a->vault), id, request, err);
	return rc == RC_NONE ? err_set(err, ERR_APPROVAL, "no request %.40s", id) : rc;
}

static enum rc
get_officers(struct admin *a, struct officers **out, struct err *err)
{
	enum rc rc;

	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "officers");
	rc = approval_officers(a, *out, err);
	return rc == RC_NONE ? err_set(err, ERR_OFFICERS,
				       "there are no officers: see sealgate officer init")
			     : rc;
}

static void
free_officers(struct officers **officers)
{
	if (*officers)
		officers_fini(*officers);
	free(*officers);
	*officers = NULL;
}

/* --- what is open, what was --- */

struct open_ids {
	char ids[REQUEST_PENDING + 1][STORE_ID_SIZE];
	size_t n;
};

static enum rc
collect_open(void *ctx, const struct store_act *request, struct err *err)
{
	struct open_ids *open = ctx;

	(void)err;
	if (open->n < sizeof(open->ids) / sizeof(*open->ids))
		memcpy(open->ids[open->n++], request->id, STORE_ID_SIZE);
	return RC_OK;
}

/* Those whose time is over, or whose officers are, are marked so. What cannot be judged stays. */
static enum rc
mark_old(struct admin *a, const struct officers *officers, struct err *err)
{
	struct open_ids open = {.n = 0};
	struct store_act request;
	int64_t now;
	enum rc rc = store_list_acts(
		vault_store(a->vault), true, REQUEST_PENDING + 1, collect_open, &open, err);

	if (!rc)
		rc = approval_now(a, &now, err);
	for (size_t i = 0; !rc && i < open.n; i++) {
		rc = store_get_act(vault_store(a->vault), open.ids[i], &request, err);
		if (!rc && now >= request.expires)
			rc = approval_set_state(a, &request, REQUEST_EXPIRED, now, err);
		else if (!rc && request.quorum != officers->seq)
			rc = approval_set_state(a, &request, REQUEST_VOID, now, err);
		store_act_fini(&request);
	}
	return rc;
}

struct printing {
	struct admin *a;
};

static enum rc
put_request(void *ctx, const struct store_act *request, struct err *err)
{
	struct printing *p = ctx;
	enum rc rc;

	json_object(p->a->out, NULL);
	rc = approval_put_request(p->a, request, false, err);
	json_object_end(p->a->out);
	return rc;
}

enum rc
admin_officer_requests(struct admin *a, struct err *err)
{
	bool all = json_is_true(json_find(a->request, "all"));
	struct officers *officers;
	struct printing p = {a};
	enum rc rc = get_officers(a, &officers, err);

	if (!rc)
		rc = mark_old(a, officers, err);
	json_array(a->out, "requests");
	if (!rc)
		rc = store_list_acts(vault_store(a->vault), !all, LIST_MAX, put_request, &p, err);
	json_array_end(a->out);
	free_officers(&officers);
	return rc;
}

enum rc
admin_officer_show(struct admin *a, struct err *err)
{
	struct store_act request = {0};
	struct officers *officers;
	enum rc rc = get_officers(a, &officers, err);

	if (!rc)
		rc = mark_old(a, officers, err);
	if (!rc)
		rc = get_request(a, &request, err);
	if (!rc)
		rc = approval_put_request(a, &request, true, err);
	if (!rc)
		json_int(a->out, "threshold", officers->threshold);
	store_act_fini(&request);
	free_officers(&officers);
	return rc;
}

/* --- approvals --- */

static enum rc
keep_approval(struct admin *a, const struct store_act *request, const struct store_officer *officer,
	const void *cms, size_t len, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_approval approval = {.at = clock_now(), .cms = cms, .len = len};
	unsigned char hash[DIGEST_MAX_SIZE];
	uint64_t seq;
	enum rc rc = digest_bytes(DIGEST_SHA256, cms, len, hash, err);

	if (rc)
		return rc;
	for (int i = 0; i < SHA256_SIZE; i++)
		snprintf(approval.sha256 + 2 * i, 3, "%02x", hash[i]);
	strcpy(approval.request, request->id);
	strcpy(approval.officer, officer->id);
	rc = store_new_id('v', approval.id, err);
	if (!rc)
		rc = approval_record(a, "officer.approve", request,
			&(struct approval_said){"approval", approval.sha256, officer->id}, &seq,
			err);
	if (!rc)
		rc = store_begin(store, err);
	if (rc)
		return rc;
	approval.seq = (int64_t)seq;
	rc = store_add_approval(store, &approval, err);
	if (!rc)
		return store_commit(store, err);
	store_rollback(store);
	return rc;
}

/* That somebody handed in what does not count is worth knowing. */
static void
note_refused(struct admin *a, const struct store_act *request, const struct err *why)
{
	struct err ignored = ERR_INIT;

	if (approval_record(a, "officer.refused", request,
		    &(struct approval_said){"reason", err_name(why->code), NULL}, NULL, &ignored))
		log_error(LOGL_WARN, NULL, "ledger-refused-lost", &ignored, NULL);
}

static enum rc
take_approval(struct admin *a, struct store_act *request, const struct officers *officers,
	size_t *officer, struct err *err)
{
	const void *cms = a->blob ? secret_data(a->blob) : NULL;
	size_t len = a->blob ? secret_len(a->blob) : 0, n;
	bool given[OFFICERS_MAX];
	enum rc rc;

	if (!cms)
		return err_set(err, ERR_USAGE, "an approval is a signature");
	rc = approval_check_request(a, request, officers, err);
	if (!rc)
		rc = approval_verify(a, request, officers, cms, len, officer, err);
	if (!rc)
		rc = approval_count(a, request, officers, given, &n, err);
	if (!rc && given[*officer])
		rc = err_set(
			err, ERR_APPROVAL, "%s has approved already", officers->v[*officer].name);
	if (!rc)
		rc = keep_approval(a, request, &officers->v[*officer], cms, len, err);
	return rc;
}

enum rc
admin_officer_approve(struct admin *a, struct err *err)
{
	struct store_act request = {0};
	struct officers *officers;
	bool given[OFFICERS_MAX];
	size_t officer = 0, n = 0;
	enum rc rc = get_officers(a, &officers, err);

	if (!rc)
		rc = get_request(a, &request, err);
	if (!rc)
		rc = take_approval(a, &request, officers, &officer, err);
	if (rc == RC_PERM && request.id[0] && err->code == ERR_APPROVAL)
		note_refused(a, &request, err);
	if (!rc)
		rc = approval_count(a, &request, officers, given, &n, err);
	if (!rc) {
		json_str(a->out, "officer", officers->v[officer].id);
		json_str(a->out, "name", officers->v[officer].name);
		json_int(a->out, "given", (int64_t)n);
		json_int(a->out, "threshold", officers->threshold);
		rc = approval_put_request(a, &request, false, err);
		log_event(LOGL_WARN, NULL, "officer-approved", "request", request.id, "act",
			request.act, "officer", officers->v[officer].id, "given",
			LOG_NUM((int64_t)n), NULL);
	}
	store_act_fini(&request);
	free_officers(&officers);
	return rc;
}

enum rc
admin_officer_withdraw(struct admin *a, struct err *err)
{
	struct store_act request;
	uint64_t seq;
	enum rc rc = get_request(a, &request, err);

	if (!rc && request.state != REQUEST_OPEN)
		rc = err_set(err, ERR_APPROVAL, "request %s is %s", request.id,
			request_state_name(request.state));
	if (!rc)
		rc = approval_record(a, "officer.withdraw", &request, NULL, &seq, err);
	if (!rc) {
		request.seq = (int64_t)seq;
		rc = approval_set_state(a, &request, REQUEST_WITHDRAWN, clock_now(), err);
	}
	if (!rc)
		rc = approval_put_request(a, &request, false, err);
	store_act_fini(&request);
	return rc;
}

/* --- the act --- */

enum rc
admin_officer_run(struct admin *a, struct err *err)
{
	struct store_act request = {0};
	const char *wanted = json_get_text(a->request, "act"); /* NULL: any */
	struct officers *officers;
	struct err ignored = ERR_INIT;
	enum rc rc = get_officers(a, &officers, err);

	if (!rc)
		rc = get_request(a, &request, err);
	/* The act looks again; but what is over is to be told so, whatever the act finds. */
	if (!rc)
		rc = approval_check_request(a, &request, officers, err);
	free_officers(&officers);
	if (!rc && wanted && strcmp(wanted, request.act) != 0)
		rc = err_set(err, ERR_USAGE, "request %s is for %s, not for %.40s", request.id,
			request.act, wanted);
	a->approved = request.id;
	a->used = false;
	json_str(a->out, "request", request.id);
	json_str(a->out, "act", request.act);
	if (!rc)
		rc = admin_rerun(a, request.command, err);
	if (a->used &&
		approval_record(a, rc ? "officer.failed" : "officer.done", &request,
			rc ? &(struct approval_said){"reason", err_name(err->code), NULL} : NULL,
			NULL, &ignored))
		log_error(LOGL_ERROR, NULL, "ledger-outcome-lost", &ignored, NULL);
	if (!a->used && request.id[0] && rc == RC_PERM && err->code == ERR_APPROVAL)
		note_refused(a, &request, err);
	if (a->used && rc)
		err_prefix(err, "request %s is used up by this", request.id);
	a->approved = NULL;
	store_act_fini(&request);
	return rc;
}
