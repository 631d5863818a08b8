/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/approval.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/signed_by.h"
#include "keystore/ledger_find.h"

#define NONCE_SIZE 32

static const char PREAMBLE[] =
	"sealgate-request:1\r\n"
	"Whoever signs this text approves the act below, as it is described here,\r\n"
	"once, until it expires.\r\n\r\n";

static const char *
ledger_dir(struct admin *a)
{
	return conf_str(conf_section(a->settings->conf, "ledger"), "dir");
}

enum rc
approval_now(struct admin *a, int64_t *now, struct err *err)
{
	int64_t newest;
	enum rc rc = ledger_newest(ledger_dir(a), &newest, err);

	*now = clock_now();
	if (newest > *now)
		*now = newest;
	return rc;
}

enum rc
approval_record(struct admin *a, const char *event, const struct store_act *request,
	const struct approval_said *said, uint64_t *seq, struct err *err)
{
	struct buf detail = BUF_INIT(LEDGER_MAX_DETAIL);
	struct json json;
	enum rc rc;

	json_init(&json, &detail);
	json_object(&json, NULL);
	if (request) {
		json_str(&json, "request", request->id);
		json_str(&json, "act", request->act);
	}
	if (said)
		json_str(&json, "officer", said->officer);
	if (said && said->name)
		json_str(&json, said->name, said->value);
	json_object_end(&json);
	rc = json_end(&json, err);
	if (!rc)
		rc = admin_record(a, event, NULL, NULL, buf_text(&detail), seq, err);
	buf_fini(&detail);
	return rc;
}

enum rc
approval_set_state(struct admin *a, struct store_act *request, enum request_state state,
	int64_t now, struct err *err)
{
	struct store *store = vault_store(a->vault);
	enum rc rc = store_begin(store, err);

	if (rc)
		return rc;
	request->state = state;
	request->changed = now;
	rc = store_put_act(store, request, err);
	if (!rc)
		return store_commit(store, err);
	store_rollback(store);
	return rc;
}

enum rc
approval_officers(struct admin *a, struct officers *officers, struct err *err)
{
	enum rc rc = store_get_officers(vault_store(a->vault), officers, err), told;
	uint64_t changed;

	if (rc != RC_OK && rc != RC_NONE)
		return rc;
	told = ledger_officers_changed(ledger_dir(a), &changed, err);
	if (told != RC_OK)
		return told;
	if (changed > (uint64_t)(rc == RC_OK ? officers->seq : 0))
		return err_set(err, ERR_KEYSTORE_TAMPERED,
			"the ledger's record %llu changed the officers, and the key store does not "
			"know of it: an earlier copy was put back",
			(unsigned long long)changed);
	return rc;
}

/* --- is it still good? --- */

/* What the ledger says about REQUEST; ERR_APPROVAL when it has another history. */
static enum rc
read_since(struct admin *a, const struct store_act *request, struct ledger_since *since,
	struct err *err)
{
	enum rc rc = ledger_read_since(
		ledger_dir(a), (uint64_t)request->head, request->hash, request->id, since, err);

	if (rc == RC_NONE)
		rc = err_set(err, ERR_APPROVAL,
			"request %s names record %lld, which this ledger does not have: it was "
			"replaced or put back",
			request->id, (long long)request->head);
	return rc;
}

/* What the row says and what the ledger says: the worse of both counts. A store that was put back
 * to an earlier copy does not give a use back. */
static enum rc
check_state(struct store_act *request, const struct officers *officers,
	const struct ledger_since *since, struct err *err)
{
	char text[CLOCK_TEXT_SIZE];

	if (request->state == REQUEST_EXPIRED)
		return err_set(err, ERR_APPROVAL, "request %s expired %s", request->id,
			clock_format(request->expires, text));
	if (request->state != REQUEST_OPEN)
		return err_set(err, ERR_APPROVAL, "request %s is %s", request->id,
			request_state_name(request->state));
	if (request->quorum != officers->seq || since->changes)
		return err_set(err, ERR_APPROVAL,
			"request %s is void: the officers have changed since it was made",
			request->id);
	if (since->runs >= (uint64_t)request->max_uses)
		request->uses = request->max_uses;
	else if (since->runs > (uint64_t)request->uses)
		request->uses = (int)since->runs;
	if (request->uses >= request->max_uses)
		return err_set(
			err, ERR_APPROVAL, "request %s was used, says the ledger", request->id);
	return RC_OK;
}

enum rc
approval_check_request(struct admin *a, struct store_act *request, const struct officers *officers,
	struct err *err)
{
	struct ledger_since since;
	int64_t now = clock_now();
	enum rc rc = read_since(a, request, &since, err);

	if (rc)
		return rc;
	if (since.newest > now)
		now = since.newest;
	if (request->changed > now)
		now = request->changed;
	if (request->state == REQUEST_OPEN && now >= request->expires)
		rc = approval_set_state(a, request, REQUEST_EXPIRED, now, err);
	return rc ? rc : check_state(request, officers, &since, err);
}

static void
hex_of(const unsigned char *data, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", data[i]);
}

/* The vault must not be able to approve. CERT's key is written as keys of the store are. */
enum rc
approval_check_elsewhere(struct admin *a, struct cert *cert, struct err *err)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	char fingerprint[2 * SHA256_SIZE + 1];
	struct store_key key;
	const unsigned char *spki;
	size_t len;
	enum rc rc;

	spki = cert_spki(cert, &len);
	rc = digest_bytes(DIGEST_SHA256, spki, len, hash, err);
	if (rc)
		return rc;
	hex_of(hash, SHA256_SIZE, fingerprint);
	rc = store_find_key(vault_store(a->vault), fingerprint, &key, err);
	if (rc == RC_OK)
		return err_set(err, ERR_APPROVAL,
			"the vault holds that key itself (%s): an officer's key has to be elsewhere",
			key.id);
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc
approval_key(const struct cert *cert, char keyid[2 * SHA256_SIZE + 1], struct err *err)
{
	unsigned char id[SHA256_SIZE];
	enum rc rc = cert_key_id(cert, id, err);

	if (!rc)
		hex_of(id, SHA256_SIZE, keyid);
	return rc;
}

enum rc
approval_verify(struct admin *a, const struct store_act *request, const struct officers *officers,
	const void *cms, size_t len, size_t *officer, struct err *err)
{
	struct certset known = {0};
	struct cert *signer = NULL;
	char keyid[2 * SHA256_SIZE + 1];
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < officers->n; i++)
		rc = certset_add(&known, officers->v[i].cert, err);
	if (!rc)
		rc = signed_by(cms, len, request->text, request->len, &known, &signer, err);
	if (!rc)
		rc = approval_key(signer, keyid, err);
	if (rc == RC_PERM && err->code == ERR_CERT_UNSUPPORTED)
		err->code = ERR_APPROVAL;
	*officer = officers->n;
	for (size_t i = 0; !rc && i < officers->n; i++)
		if (strcmp(officers->v[i].keyid, keyid) == 0)
			*officer = i;
	if (!rc && *officer == officers->n)
		rc = err_set(err, ERR_APPROVAL, "signed by %.200s, whose key is no officer's",
			cert_subject(signer));
	if (!rc)
		rc = approval_check_elsewhere(a, officers->v[*officer].cert, err);
	cert_unref(&signer);
	certset_fini(&known);
	return rc;
}

struct count {
	struct admin *a;
	const struct store_act *request;
	const struct officers *officers;
	bool *given;
};

/* One kept approval: whoever is no officer any more, or was counted before, does not count. */
static enum rc
count_one(void *ctx, const struct store_approval *approval, struct err *err)
{
	struct count *c = ctx;
	struct err why = ERR_INIT;
	size_t officer;
	enum rc rc = approval_verify(
		c->a, c->request, c->officers, approval->cms, approval->len, &officer, &why);

	if (rc == RC_PERM) {
		log_error(LOGL_WARN, NULL, "approval-void", &why, "request", c->request->id,
			"approval", approval->id, NULL);
		return RC_OK;
	}
	if (rc) {
		if (err)
			*err = why;
		return rc;
	}
	if (strcmp(approval->officer, c->officers->v[officer].id) != 0)
		return err_set(err, ERR_KEYSTORE_TAMPERED, "approval %s is another officer's",
			approval->id);
	c->given[officer] = true;
	return RC_OK;
}

enum rc
approval_count(struct admin *a, const struct store_act *request, const struct officers *officers,
	bool given[OFFICERS_MAX], size_t *n, struct err *err)
{
	struct count c = {a, request, officers, given};
	enum rc rc;

	memset(given, 0, OFFICERS_MAX * sizeof(*given));
	rc = store_list_approvals(vault_store(a->vault), request->id, count_one, &c, err);
	*n = 0;
	for (size_t i = 0; i < officers->n; i++)
		*n += given[i];
	return rc;
}

/* --- the answer --- */

struct listing { /* of approvals */
	struct json *out;
};

static enum rc
put_approval(void *ctx, const struct store_approval *approval, struct err *err)
{
	struct listing *list = ctx;

	(void)err;
	json_object(list->out, NULL);
	json_str(list->out, "officer", approval->officer);
	json_time(list->out, "at", approval->at);
	json_str(list->out, "sha256", approval->sha256);
	json_object_end(list->out);
	return RC_OK;
}

enum rc
approval_put_request(struct admin *a, const struct store_act *request, bool full, struct err *err)
{
	struct listing list = {a->out};
	enum rc rc;

	json_str(a->out, "request", request->id);
	json_str(a->out, "act", request->act);
	json_str(a->out, "state", request_state_name(request->state));
	json_time(a->out, "made", request->made);
	json_time(a->out, "expires", request->expires);
	json_int(a->out, "uses", request->uses);
	json_int(a->out, "max_uses", request->max_uses);
	json_array(a->out, "approvals");
	rc = store_list_approvals(vault_store(a->vault), request->id, put_approval, &list, err);
	json_array_end(a->out);
	if (full)
		json_strn(a->out, "text", request->text, request->len);
	return rc;
}

/* --- a new request --- */

/* The part about this request, before the act's own lines. */
static enum rc
format_head(struct admin *a, const struct store_act *request, const struct officers *officers,
	struct buf *text, struct err *err)
{
	const char *node = conf_str(conf_section(a->settings->conf, "ledger"), "node");
	const struct passwd *pw = getpwuid((uid_t)a->uid);
	unsigned char nonce[NONCE_SIZE];
	char hex[2 * NONCE_SIZE + 1], made[CLOCK_TEXT_SIZE], expires[CLOCK_TEXT_SIZE];
	bool named = pw && approval_is_plain(pw->pw_name, 100);
	enum rc rc = random_bytes(nonce, sizeof(nonce), err);

	if (rc)
		return rc;
	hex_of(nonce, sizeof(nonce), hex);
	rc = buf_appendf(text, err,
		"%srequest: %s\r\nnonce: %s\r\nledger: %s %lld %s\r\nmade: %s\r\nexpires: %s\r\n"
		"by: uid %lld%s%s%s\r\nofficers: %d of %zu, since record %lld\r\n",
		PREAMBLE, request->id, hex, node ? node : "?", (long long)request->head,
		request->hash, clock_format(request->made, made),
		clock_format(request->expires, expires), (long long)a->uid, named ? " (" : "",
		named ? pw->pw_name : "", named ? ")" : "", officers->threshold, officers->n,
		(long long)officers->seq);
	for (size_t i = 0; !rc && i < officers->n; i++)
		rc = buf_appendf(text, err, "officer: %s %s %s\r\n", officers->v[i].id,
			officers->v[i].keyid, officers->v[i].name);
	return rc ? rc : buf_append_str(text, "\r\n", err);
}

/* The act's own lines begin behind the first part's empty line: those of TEXT. */
static const char *
act_of(const struct store_act *request, size_t *len)
{
	const char *found = strstr(request->text, "\r\n\r\nact: ");

	*len = found ? request->len - (size_t)(found + 4 - request->text) : 0;
	return found ? found + 4 : "";
}

static enum rc
count_open(void *ctx, const struct store_act *request, struct err *err)
{
	(void)request;
	(void)err;
	++*(size_t *)ctx;
	return RC_OK;
}

static enum rc
check_room(struct admin *a, struct err *err)
{
	size_t n = 0;
	enum rc rc = store_list_acts(
		vault_store(a->vault), true, REQUEST_PENDING + 1, count_open, &n, err);

	if (!rc && n >= REQUEST_PENDING)
		rc = err_set(err, ERR_LIMIT, "%zu requests are open: withdraw some", n);
	return rc;
}

/* Fills REQUEST; its text and command are its own. */
static enum rc
fill_request(struct admin *a, struct act *act, const struct officers *officers,
	struct store_act *request, struct err *err)
{
	int64_t hours = json_get_int(a->request, "hours", APPROVAL_HOURS);
	struct buf text = BUF_INIT(REQUEST_TEXT_MAX - 1);
	struct ledger_head head;
	enum rc rc;

	if (hours < 1 || hours > APPROVAL_HOURS_MAX)
		return err_set(err, ERR_USAGE, "hours: 1 to %d", APPROVAL_HOURS_MAX);
	if (a->request_len >= REQUEST_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "a command of %zu bytes", a->request_len);
	ledger_head(vault_ledger(a->vault), &head);
	request->head = (int64_t)head.seq;
	strcpy(request->hash, head.hash);
	strcpy(request->act, act->name);
	request->max_uses = act->max_uses ? act->max_uses : 1;
	request->quorum = officers->seq;
	rc = approval_now(a, &request->made, err);
	request->changed = request->made;
	request->expires = request->made + hours * 3600;
	if (!rc)
		rc = store_new_id('q', request->id, err);
	if (!rc)
		rc = format_head(a, request, officers, &text, err);
	if (!rc)
		rc = buf_append(&text, act->lines.data, act->lines.len, err);
	if (rc) {
		buf_fini(&text);
		return rc;
	}
	request->text = text.data; /* the request's now */
	request->len = text.len;
	request->command = strndup(a->request_text, a->request_len);
	return request->command ? RC_OK : err_set(err, ERR_MEMORY, "request");
}

static enum rc
hash_hex(const void *data, size_t len, char out[2 * SHA256_SIZE + 1], struct err *err)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	enum rc rc = digest_bytes(DIGEST_SHA256, data, len, hash, err);

	if (!rc)
		hex_of(hash, SHA256_SIZE, out);
	return rc;
}

static enum rc
make_request(struct admin *a, struct act *act, const struct officers *officers, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_act request = {0};
	char sha256[2 * SHA256_SIZE + 1];
	uint64_t seq;
	enum rc rc = check_room(a, err);

	if (!rc)
		rc = fill_request(a, act, officers, &request, err);
	if (!rc)
		rc = hash_hex(request.text, request.len, sha256, err);
	if (!rc)
		rc = approval_record(a, "officer.request", &request,
			&(struct approval_said){"text", sha256, NULL}, &seq, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc) {
		request.seq = (int64_t)seq;
		rc = store_put_act(store, &request, err);
		if (!rc)
			rc = store_commit(store, err);
		else
			store_rollback(store);
	}
	if (!rc)
		rc = approval_put_request(a, &request, true, err);
	if (!rc)
		json_int(a->out, "threshold", officers->threshold);
	store_act_fini(&request);
	return rc;
}

/* --- the use of a request --- */

static enum rc
check_enough(struct admin *a, const struct store_act *request, const struct officers *officers,
	struct err *err)
{
	bool given[OFFICERS_MAX];
	size_t n;
	enum rc rc = approval_count(a, request, officers, given, &n, err);

	if (!rc && n < (size_t)officers->threshold)
		rc = err_set(err, ERR_APPROVAL, "request %s has %zu of the %d approvals it needs",
			request->id, n, officers->threshold);
	return rc;
}

/* The use is on the disk, in ledger and store, before the act begins. */
static enum rc
use_request(struct admin *a, struct act *act, const struct officers *officers, struct err *err)
{
	struct store_act request;
	const char *lines;
	size_t len;
	int64_t now = 0;
	uint64_t seq;
	enum rc rc = store_get_act(vault_store(a->vault), a->approved, &request, err);

	if (rc)
		return rc == RC_NONE ? err_set(err, ERR_APPROVAL, "no request %.40s", a->approved)
				     : rc;
	rc = approval_check_request(a, &request, officers, err);
	lines = act_of(&request, &len);
	if (!rc && (strcmp(request.act, act->name) != 0 || len != act->lines.len ||
			   memcmp(lines, act->lines.data, len) != 0))
		rc = err_set(err, ERR_APPROVAL,
			"what request %s describes has changed since: make a new one", request.id);
	if (!rc)
		rc = check_enough(a, &request, officers, err);
	if (!rc)
		rc = approval_now(a, &now, err);
	if (!rc)
		rc = approval_record(a, "officer.run", &request, NULL, &seq, err);
	if (!rc) {
		request.uses++;
		request.seq = (int64_t)seq;
		rc = approval_set_state(a, &request,
			request.uses >= request.max_uses ? REQUEST_DONE : REQUEST_OPEN,
			now > request.changed ? now : request.changed, err);
	}
	if (!rc) {
		a->used = true;
		log_event(LOGL_WARN, NULL, "officers-act", "request", request.id, "act",
			request.act, "uid", LOG_NUM(a->uid), NULL);
	}
	store_act_fini(&request);
	return rc;
}

/* The reason is what the officers read last. */
static enum rc
put_reason(struct admin *a, struct act *act, struct err *err)
{
	const struct json_value *value = json_find(a->request, "reason");
	const char *reason = value ? json_text(value) : NULL;

	if (value && (!reason || !approval_is_plain(reason, APPROVAL_REASON_MAX)))
		return err_set(err, ERR_USAGE,
			"reason: one line of plain text, up to %d bytes, without two blanks in a row",
			APPROVAL_REASON_MAX);
	act_put(act, "reason", reason);
	if (act->rc && err)
		*err = act->err;
	return act->rc;
}

enum rc
approval_require(struct admin *a, struct act *act, bool *go, struct err *err)
{
	struct officers *officers = calloc(1, sizeof(*officers));
	enum rc rc;

	*go = false;
	if (!officers)
		return err_set(err, ERR_MEMORY, "officers");
	rc = approval_officers(a, officers, err);
	if (rc == RC_NONE && act->always) {
		rc = err_set(err, ERR_OFFICERS,
			"%s needs the approval of two officers, and there are none: see sealgate "
			"officer init",
			act->name);
	} else if (rc == RC_NONE) {
		*go = true;
		rc = RC_OK;
	} else if (!rc) {
		rc = put_reason(a, act, err);
		if (!rc && a->approved)
			rc = use_request(a, act, officers, err);
		else if (!rc)
			rc = make_request(a, act, officers, err);
		*go = !rc && a->approved;
	}
	officers_fini(officers);
	free(officers);
	return rc;
}
