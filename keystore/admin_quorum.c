/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_quorum.c - who the officers are: the first ones, and every change
 */
#include "keystore/approval.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/signed_by.h"

#define NAME_MAX_BYTES 200
#define MIN_RSA_BITS   2048

/* What a command wants: who comes, who goes, how many have to approve. */
struct change {
	struct store_officer add[OFFICERS_MAX];
	size_t n_add;
	size_t remove[OFFICERS_MAX]; /* indexes of present officers */
	size_t n_remove;
	int threshold;
};

static void
change_free(struct change **change)
{
	for (size_t i = 0; *change && i < (*change)->n_add; i++)
		store_officer_fini(&(*change)->add[i]);
	free(*change);
	*change = NULL;
}

/* The name that requests will show. */
static enum rc
take_name(const char *given, struct cert *cert, struct store_officer *officer, struct err *err)
{
	const char *name = given ? given : cert_subject(cert);

	if (!approval_is_plain(name, NAME_MAX_BYTES))
		return err_set(err, ERR_USAGE,
			"an officer needs a name of plain text, up to %d bytes: %s", NAME_MAX_BYTES,
			given ? "this is none" : "the certificate's is none, so give one");
	strcpy(officer->name, name);
	return RC_OK;
}

/* The certificate's dates: on the day of the appointment it has to be valid. */
static enum rc
check_cert(struct cert *cert, struct err *err)
{
	int64_t now = clock_now();
	enum key_type type = cert_key_type(cert);

	if (now < cert_not_before(cert) || now > cert_not_after(cert))
		return err_set(err, ERR_CERT_UNUSABLE, "the certificate of %.200s is not valid now",
			cert_subject(cert));
	if (!cert_key_is_usual(cert)) /* else a key of the vault would not be known as such */
		return err_set(err, ERR_CERT_UNSUPPORTED,
			"an officer's key is RSA, P-256, P-384, P-521 or Ed25519, its point not "
			"compressed");
	if (type == KEY_RSA && cert_key_bits(cert) < MIN_RSA_BITS)
		return err_set(err, ERR_CERT_UNUSABLE, "an RSA key of %d bits is too short",
			cert_key_bits(cert));
	return RC_OK;
}

/* {"pem": …, "name": …}: the first certificate in it is the officer's. */
static enum rc
take_officer(
	struct admin *a, const struct json_value *value, struct store_officer *out, struct err *err)
{
	const char *pem = json_get_text(value, "pem");
	struct certset set = {0};
	enum rc rc;

	if (!pem)
		return err_set(err, ERR_USAGE, "an officer is known by a certificate");
	rc = certset_parse(pem, strlen(pem), &set, err);
	if (!rc && set.n == 0)
		rc = err_set(err, ERR_USAGE, "a file without a certificate");
	if (!rc)
		rc = check_cert(set.v[0], err);
	if (!rc)
		rc = take_name(json_get_text(value, "name"), set.v[0], out, err);
	if (!rc)
		rc = approval_key(set.v[0], out->keyid, err);
	if (!rc)
		rc = approval_check_elsewhere(a, set.v[0], err);
	if (!rc)
		rc = store_new_id('o', out->id, err);
	if (!rc)
		out->cert = cert_ref(set.v[0]);
	certset_fini(&set);
	return rc;
}

static enum rc
take_added(struct admin *a, const char *member, struct change *change, struct err *err)
{
	const struct json_value *list = json_find(a->request, member);
	enum rc rc = RC_OK;

	if (list && json_type(list) != JSON_ARRAY)
		return err_set(err, ERR_USAGE, "\"%s\" is no list", member);
	for (size_t i = 0; !rc && list && i < json_count(list); i++) {
		if (change->n_add == OFFICERS_MAX)
			return err_set(err, ERR_LIMIT, "more than %d officers", OFFICERS_MAX);
		rc = take_officer(a, json_at(list, i), &change->add[change->n_add], err);
		if (!rc)
			change->n_add++;
	}
	return rc;
}

static bool
is_removed(const struct change *change, size_t officer)
{
	for (size_t i = 0; i < change->n_remove; i++)
		if (change->remove[i] == officer)
			return true;
	return false;
}

/* By id, or by a name that only one has. */
static enum rc
take_removed(
	const struct officers *officers, const char *who, struct change *change, struct err *err)
{
	size_t found = officers->n;

	for (size_t i = 0; who && i < officers->n; i++) {
		if (strcmp(officers->v[i].id, who) != 0 && strcmp(officers->v[i].name, who) != 0)
			continue;
		if (found < officers->n)
			return err_set(err, ERR_USAGE, "%.100s: two officers are called so", who);
		found = i;
	}
	if (found == officers->n)
		return err_set(err, ERR_USAGE, "%.100s is no officer", who ? who : "?");
	if (is_removed(change, found))
		return err_set(err, ERR_USAGE, "%.100s is named twice", who);
	change->remove[change->n_remove++] = found;
	return RC_OK;
}

static enum rc
take_all_removed(
	struct admin *a, const struct officers *officers, struct change *change, struct err *err)
{
	const struct json_value *list = json_find(a->request, "remove");
	enum rc rc = RC_OK;

	if (list && (json_type(list) != JSON_ARRAY || json_count(list) > officers->n))
		return err_set(err, ERR_USAGE, "\"remove\" is no list of officers");
	for (size_t i = 0; !rc && list && i < json_count(list); i++)
		rc = take_removed(officers, json_text(json_at(list, i)), change, err);
	return rc;
}

/* Nobody twice, whichever certificate they show. */
static enum rc
check_distinct(const struct officers *officers, const struct change *change, struct err *err)
{
	for (size_t i = 0; i < change->n_add; i++) {
		const struct store_officer *one = &change->add[i];

		for (size_t k = 0; k < i; k++)
			if (strcmp(one->keyid, change->add[k].keyid) == 0)
				return err_set(err, ERR_USAGE, "%s and %s have the same key",
					one->name, change->add[k].name);
		for (size_t k = 0; k < officers->n; k++)
			if (strcmp(one->keyid, officers->v[k].keyid) == 0 && !is_removed(change, k))
				return err_set(err, ERR_USAGE, "%s has the key of %s", one->name,
					officers->v[k].name);
	}
	return RC_OK;
}

static enum rc
check_numbers(
	struct admin *a, const struct officers *officers, struct change *change, struct err *err)
{
	size_t n = officers->n - change->n_remove + change->n_add;
	int64_t threshold = json_get_int(
		a->request, "threshold", officers->n ? officers->threshold : OFFICERS_MIN);

	if (n > OFFICERS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d officers", OFFICERS_MAX);
	if (threshold < OFFICERS_MIN)
		return err_set(
			err, ERR_USAGE, "at least %d officers have to approve", OFFICERS_MIN);
	if (threshold > (int64_t)n)
		return err_set(err, ERR_USAGE, "%zu officers, but %lld would have to approve", n,
			(long long)threshold);
	change->threshold = (int)threshold;
	return RC_OK;
}

/* --- ledger and rows --- */

static enum rc
record_officer(
	struct admin *a, const char *event, const struct store_officer *officer, struct err *err)
{
	return approval_record(a, event, NULL,
		&(struct approval_said){"keyid", officer->keyid, officer->id}, NULL, err);
}

static enum rc
record_change(struct admin *a, const char *event, const struct officers *officers,
	const struct change *change, uint64_t *seq, struct err *err)
{
	char threshold[16];
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < change->n_remove; i++)
		rc = record_officer(a, "officer.remove", &officers->v[change->remove[i]], err);
	for (size_t i = 0; !rc && i < change->n_add; i++)
		rc = record_officer(a, "officer.add", &change->add[i], err);
	snprintf(threshold, sizeof(threshold), "%d", change->threshold);
	return rc ? rc
		  : approval_record(a, event, NULL,
			    &(struct approval_said){"threshold", threshold, NULL}, seq, err);
}

static enum rc
put_rows(struct admin *a, struct officers *officers, struct change *change, int64_t seq,
	struct err *err)
{
	struct store *store = vault_store(a->vault);
	int64_t now = clock_now();
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < change->n_remove; i++) {
		struct store_officer *gone = &officers->v[change->remove[i]];

		gone->until = now;
		gone->seq = seq;
		rc = store_put_officer(store, gone, err);
	}
	for (size_t i = 0; !rc && i < change->n_add; i++) {
		change->add[i].since = now;
		change->add[i].seq = seq;
		rc = store_put_officer(store, &change->add[i], err);
	}
	return rc ? rc : store_put_quorum(store, change->threshold, now, seq, err);
}

static enum rc
keep(struct admin *a, const char *event, struct officers *officers, struct change *change,
	struct err *err)
{
	struct store *store = vault_store(a->vault);
	uint64_t seq;
	enum rc rc = record_change(a, event, officers, change, &seq, err);

	if (!rc)
		rc = store_begin(store, err);
	if (rc)
		return rc;
	rc = put_rows(a, officers, change, (int64_t)seq, err);
	if (rc)
		store_rollback(store);
	else
		rc = store_commit(store, err);
	if (!rc)
		log_event(LOGL_WARN, NULL, "officers-changed", "event", event, "record",
			LOG_NUM((int64_t)seq), "uid", LOG_NUM(a->uid), NULL);
	return rc;
}

/* --- commands --- */

static void
put_officer(struct admin *a, const struct store_officer *officer)
{
	json_object(a->out, NULL);
	json_str(a->out, "officer", officer->id);
	json_str(a->out, "name", officer->name);
	json_str(a->out, "keyid", officer->keyid);
	json_str(a->out, "type", key_type_name(cert_key_type(officer->cert)));
	json_time(a->out, "since", officer->since);
	json_str(a->out, "subject", cert_subject(officer->cert));
	json_str(a->out, "sha256", cert_fingerprint(officer->cert));
	json_time(a->out, "not_after", cert_not_after(officer->cert));
	json_object_end(a->out);
}

/* With no officers an empty list: that is so before init. */
enum rc
admin_officer_list(struct admin *a, struct err *err)
{
	struct officers *officers = calloc(1, sizeof(*officers));
	enum rc rc;

	if (!officers)
		return err_set(err, ERR_MEMORY, "officers");
	rc = approval_officers(a, officers, err);
	json_array(a->out, "officers");
	for (size_t i = 0; !rc && i < officers->n; i++)
		put_officer(a, &officers->v[i]);
	json_array_end(a->out);
	if (!rc) {
		json_int(a->out, "threshold", officers->threshold);
		json_time(a->out, "changed", officers->changed);
		json_int(a->out, "record", officers->seq);
	}
	officers_fini(officers);
	free(officers);
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc
admin_officer_init(struct admin *a, struct err *err)
{
	struct officers *officers = calloc(1, sizeof(*officers));
	struct change *change = calloc(1, sizeof(*change));
	enum rc rc = RC_OK;

	if (!officers || !change)
		rc = err_set(err, ERR_MEMORY, "officers");
	/* Who only administers keys could name two officers of their own, and export every key. */
	if (!rc)
		rc = admin_owner(a, err);
	if (!rc)
		rc = approval_officers(a, officers, err);
	if (rc == RC_OK && officers && officers->n)
		rc = err_set(err, ERR_OFFICERS,
			"there are officers: only they can change that (sealgate officer change)");
	else if (rc == RC_NONE)
		rc = take_added(a, "officers", change, err);
	if (!rc)
		rc = check_distinct(officers, change, err);
	if (!rc)
		rc = check_numbers(a, officers, change, err);
	if (!rc)
		rc = keep(a, "officer.init", officers, change, err);
	/* Only what is told as done holds against an earlier copy of the key store. */
	if (!rc)
		rc = approval_record(a, "officer.done", NULL,
			&(struct approval_said){"act", "officer.init", NULL}, NULL, err);
	if (officers)
		officers_fini(officers);
	free(officers);
	change_free(&change);
	return rc ? rc : admin_officer_list(a, err);
}

/* What those who approve the change read. */
static void
describe(struct act *act, const struct officers *officers, const struct change *change)
{
	for (size_t i = 0; i < change->n_remove; i++)
		act_putf(act, "remove", "%s %s %s", officers->v[change->remove[i]].id,
			officers->v[change->remove[i]].keyid, officers->v[change->remove[i]].name);
	for (size_t i = 0; i < change->n_add; i++) {
		act_putf(act, "add", "%s %s", change->add[i].keyid, change->add[i].name);
		act_putf(act, "certificate", "sha256 %s", cert_fingerprint(change->add[i].cert));
	}
	act_putf(act, "afterwards", "%d of %zu", change->threshold,
		officers->n - change->n_remove + change->n_add);
}

static enum rc
prepare(struct admin *a, struct officers *officers, struct change *change, struct err *err)
{
	enum rc rc = approval_officers(a, officers, err);

	if (rc)
		return rc == RC_NONE ? err_set(err, ERR_OFFICERS,
					       "there are no officers: see sealgate officer init")
				     : rc;
	rc = take_all_removed(a, officers, change, err);
	if (!rc)
		rc = take_added(a, "add", change, err);
	if (!rc)
		rc = check_distinct(officers, change, err);
	if (!rc)
		rc = check_numbers(a, officers, change, err);
	if (!rc && !change->n_add && !change->n_remove && change->threshold == officers->threshold)
		rc = err_set(err, ERR_USAGE, "nothing would change");
	return rc;
}

enum rc
admin_officer_change(struct admin *a, struct err *err)
{
	struct officers *officers = calloc(1, sizeof(*officers));
	struct change *change = calloc(1, sizeof(*change));
	struct act act;
	bool go = false;
	enum rc rc = RC_OK;

	act_init(&act, "officer.change", true);
	if (!officers || !change)
		rc = err_set(err, ERR_MEMORY, "officers");
	if (!rc)
		rc = prepare(a, officers, change, err);
	if (!rc) {
		describe(&act, officers, change);
		rc = approval_require(a, &act, &go, err);
	}
	if (!rc && go) {
		rc = keep(a, "officer.change", officers, change, err);
		if (!rc)
			rc = admin_officer_list(a, err);
	}
	act_fini(&act);
	if (officers)
		officers_fini(officers);
	free(officers);
	change_free(&change);
	return rc;
}
