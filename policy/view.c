/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * view.c - a policy looking at one message, and what it decides for each recipient
 *
 * How it stays fast with ten thousand rules is told in policy.c.
 */
#include "policy/policy_private.h"

#include <stdlib.h>
#include <string.h>

struct policy_view {
	const struct policy *policy;
	struct msg_view msg;
	struct seen {
		unsigned char state;   /* 0 not worked out, else enum tri + 1 */
		const char *criterion; /* as rule_match_msg gives it */
	} * seen;                      /* for each rule */
	unsigned *base;                /* rules that could match whatever the recipient, in order */
	size_t n_base;
};

static int
compare_numbers(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return x < y ? -1 : x > y;
}

/* Rules that name no recipients: those under the sender and those without addresses, in order. */
static enum rc
view_collect(struct policy_view *view, struct err *err)
{
	const struct addrmap_list *lists[ADDRMAP_MAX_LISTS];
	size_t k = addrmap_lists(view->policy->by_sender, &view->msg.sender, lists), n = 0,
	       kept = 0;

	for (size_t i = 0; i < k; i++)
		n += lists[i]->n;
	view->base = calloc(n + view->policy->n_rest + 1, sizeof(*view->base));
	if (!view->base)
		return err_set(err, ERR_MEMORY, "rules");
	n = 0;
	for (size_t i = 0; i < k; i++)
		for (size_t j = 0; j < lists[i]->n; j++)
			view->base[n++] = lists[i]->v[j];
	if (n) {
		for (size_t i = 0; i < view->policy->n_rest; i++)
			view->base[n++] = view->policy->rest[i];
		qsort(view->base, n, sizeof(*view->base), compare_numbers);
		for (size_t i = 0; i < n; i++)
			if (kept == 0 || view->base[kept - 1] != view->base[i])
				view->base[kept++] = view->base[i];
		view->n_base = kept;
	} else {
		memcpy(view->base, view->policy->rest, view->policy->n_rest * sizeof(*view->base));
		view->n_base = view->policy->n_rest;
	}
	return RC_OK;
}

/* What rule I says about the message, remembered. */
static enum rc
view_match(struct policy_view *view, size_t i, enum tri *matched, struct err *err)
{
	struct seen *seen = &view->seen[i];
	enum rc rc = RC_OK;

	if (seen->state == 0) {
		rc = rule_match_msg(
			&view->policy->rules[i], &view->msg, matched, &seen->criterion, err);
		if (rc == RC_OK)
			seen->state = (unsigned char)(*matched + 1);
	} else {
		*matched = (enum tri)(seen->state - 1);
	}
	return rc;
}

/* Rules that don't match the message at all need not be tried again for each recipient. */
static enum rc
view_thin(struct policy_view *view, struct err *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < view->n_base; i++) {
		enum tri matched;
		enum rc rc = view_match(view, view->base[i], &matched, err);

		if (rc != RC_OK)
			return rc;
		if (matched != TRI_NO)
			view->base[kept++] = view->base[i];
	}
	view->n_base = kept;
	return RC_OK;
}

enum rc
policy_view_new(const struct policy *policy, const struct msg_facts *msg, struct policy_view **out,
	struct err *err)
{
	struct policy_view *view = calloc(1, sizeof(*view));
	enum rc rc = RC_OK;

	*out = NULL;
	if (!view)
		return err_set(err, ERR_MEMORY, "rules");
	view->policy = policy;
	view->msg.facts = msg;
	buf_init(&view->msg.subject, HDRS_MAX_BYTES * 4);
	addrkey_set(&view->msg.sender, msg->sender);
	view->seen = calloc(policy->n, sizeof(*view->seen));
	if (!view->seen)
		rc = err_set(err, ERR_MEMORY, "rules");
	if (rc == RC_OK)
		rc = view_collect(view, err);
	if (rc == RC_OK)
		rc = view_thin(view, err);
	if (rc == RC_OK)
		*out = view;
	else
		policy_view_free(&view);
	return rc;
}

void
policy_view_free(struct policy_view **view)
{
	if (!*view)
		return;
	buf_fini(&(*view)->msg.subject);
	free((*view)->seen);
	free((*view)->base);
	free(*view);
	*view = NULL;
}

/* Message and recipient together. The second criterion is one more that can't be told, or NULL. */
static enum rc
match_both(struct policy_view *view, size_t i, const struct rcpt_facts *rcpt,
	const struct addrkey *key, enum tri *matched, const char *criterion[2], struct err *err)
{
	const struct rule *rule = &view->policy->rules[i];
	enum tri by_msg, by_group, by_rcpt = rule_match_rcpt(rule, rcpt, key, &criterion[0]);
	const char *group;
	enum rc rc;

	*matched = TRI_NO;
	criterion[1] = NULL;
	if (by_rcpt == TRI_NO)
		return RC_OK;
	rc = view_match(view, i, &by_msg, err);
	if (rc != RC_OK)
		return rc;
	if (by_msg == TRI_NO || by_rcpt == TRI_YES)
		criterion[0] = view->seen[i].criterion;
	if (by_msg == TRI_NO)
		return RC_OK;
	/* Last, since the directory has to be asked. */
	by_group = rule_match_groups(rule, view->msg.facts->groups, rcpt->groups, &group);
	if (group) {
		criterion[1] = by_group == TRI_UNKNOWN ? criterion[0] : NULL;
		criterion[0] = group;
	}
	if (by_group != TRI_NO)
		*matched = by_msg == TRI_YES && by_rcpt == TRI_YES && by_group == TRI_YES
				   ? TRI_YES
				   : TRI_UNKNOWN;
	return RC_OK;
}

/* Merges ascending lists: the least number above LAST, or -1 at the end. */
static long
next_rule(const struct addrmap_list **lists, size_t *at, size_t k, long last)
{
	long least = -1;

	for (size_t i = 0; i < k; i++) {
		while (at[i] < lists[i]->n && (long)lists[i]->v[at[i]] <= last)
			at[i]++;
		if (at[i] < lists[i]->n && (least < 0 || (long)lists[i]->v[at[i]] < least))
			least = (long)lists[i]->v[at[i]];
	}
	return least;
}

/* What has to be asked so that a criterion of RULE can be told. */
static void
want(const struct rule *rule, const char *criterion, struct decision *out)
{
	if (!criterion)
		return;
	if (strcmp(criterion, "certificate") == 0 || strcmp(criterion, "sealed") == 0)
		out->wants_certs = true;
	if (strcmp(criterion, "final_recipient") == 0)
		out->wants_leaves = true;
	if (strcmp(criterion, "sender_group") == 0 || strcmp(criterion, "recipient_group") == 0) {
		out->wants_sender_groups |= rule->sender_groups.n > 0;
		out->wants_groups |= rule->recipient_groups.n > 0;
	}
}

/* Takes note of what a rule said; true when it decides. */
static bool
consider(const struct rule *rule, enum tri matched, const char *const criterion[2],
	struct decision *out)
{
	for (size_t i = 0; matched == TRI_UNKNOWN && i < 2; i++)
		want(rule, criterion[i], out);
	if (matched == TRI_NO)
		return false;
	if (rule->observe) {
		if (out->n_observed < sizeof(out->observed) / sizeof(*out->observed)) {
			out->undecided[out->n_observed] = matched == TRI_UNKNOWN;
			out->observed[out->n_observed++] = rule;
		}
		return false;
	}
	out->known = matched;
	out->rule = rule;
	out->verdicts = rule->verdicts;
	return true;
}

/*
 * Opened mail. Whatever rule decides, and whatever it says of other mail, what was opened leaves
 * the house in the clear only when the rule says just that. What is to be handed on as it came must
 * not be opened in the first place: once it is, nobody has the original any more.
 */
static void
mind_opened(const struct msg_facts *msg, const struct rcpt_facts *rcpt, struct decision *out)
{
	struct verdicts *v = &out->verdicts;

	if (out->known != TRI_YES)
		return;
	if (v->open && v->opened == OPENED_ORIGINAL && rcpt->leaves != TRI_NO) {
		if (rcpt->leaves == TRI_UNKNOWN)
			out->known = TRI_UNKNOWN;
		out->wants_leaves = rcpt->leaves == TRI_UNKNOWN;
		v->open = false;
	}
	out->opened_out = (msg->classes & CLASS_OPENED) && rcpt->direction == DIR_OUTBOUND;
	if (!out->opened_out || v->opened != OPENED_RE_ENCRYPT)
		return;
	if (v->encrypt != ENCRYPT_REQUIRED || v->if_missing == MISSING_CLEAR)
		v->if_missing = MISSING_REFUSE_RECIPIENT;
	v->encrypt = ENCRYPT_REQUIRED;
}

enum rc
policy_decide(struct policy_view *view, const struct rcpt_facts *rcpt, struct decision *out,
	struct err *err)
{
	const struct addrmap_list *lists[ADDRMAP_MAX_LISTS + 1];
	size_t at[ADDRMAP_MAX_LISTS + 1] = {0}, k;
	struct addrmap_list base = {.v = view->base, .n = view->n_base};
	struct addrkey key;
	long i = -1;

	memset(out, 0, sizeof(*out));
	addrkey_set(&key, rcpt->addr);
	k = addrmap_lists(view->policy->by_recipient, &key, lists);
	lists[k++] = &base;
	while ((i = next_rule(lists, at, k, i)) >= 0) {
		const char *criterion[2];
		enum tri matched;
		enum rc rc = match_both(view, (size_t)i, rcpt, &key, &matched, criterion, err);

		if (rc != RC_OK)
			return rc;
		if (consider(&view->policy->rules[i], matched, criterion, out)) {
			mind_opened(view->msg.facts, rcpt, out);
			return RC_OK;
		}
	}
	/* The last shipped rule matches everything. */
	return err_set(err, ERR_INTERNAL, "no rule matched");
}

enum rc
policy_may_encrypt(
	struct policy_view *view, const struct rcpt_facts *rcpt, bool *may, struct err *err)
{
	const struct addrmap_list *lists[ADDRMAP_MAX_LISTS + 1];
	size_t at[ADDRMAP_MAX_LISTS + 1] = {0}, k;
	struct addrmap_list base = {.v = view->base, .n = view->n_base};
	struct addrkey key;
	long i = -1;

	*may = false;
	addrkey_set(&key, rcpt->addr);
	k = addrmap_lists(view->policy->by_recipient, &key, lists);
	lists[k++] = &base;
	while (!*may && (i = next_rule(lists, at, k, i)) >= 0) {
		const struct rule *rule = &view->policy->rules[i];
		const char *criterion[2];
		enum tri matched;
		enum rc rc = match_both(view, (size_t)i, rcpt, &key, &matched, criterion, err);

		if (rc != RC_OK)
			return rc;
		if (matched == TRI_NO || rule->observe)
			continue;
		*may = rule->verdicts.encrypt != ENCRYPT_NEVER;
		if (matched == TRI_YES)
			break;
	}
	return RC_OK;
}

enum rc
policy_trace(struct policy_view *view, const struct rcpt_facts *rcpt, struct rule_trace *out,
	size_t max, size_t *n, struct err *err)
{
	struct addrkey key;

	*n = 0;
	addrkey_set(&key, rcpt->addr);
	for (size_t i = 0; i < view->policy->n && *n < max; i++) {
		struct rule_trace *one = &out[*n];
		const char *criterion[2];
		enum rc rc = match_both(view, i, rcpt, &key, &one->matched, criterion, err);

		if (rc != RC_OK)
			return rc;
		one->criterion = criterion[0];
		one->rule = &view->policy->rules[i];
		(*n)++;
		if (one->matched != TRI_NO && !one->rule->observe)
			break;
	}
	return RC_OK;
}
