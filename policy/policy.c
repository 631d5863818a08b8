/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How ten thousand rules stay fast. A rule that names recipients stands in a hash table under each
 * of its patterns; one that names senders, in another; the few others in a plain list. When a
 * message comes, the rules that could match it whatever the recipient are collected once, in order.
 * For each recipient those found under its address, domain and parent domains are merged with them,
 * again in order, and tried until one decides. What a rule says about the message is worked out
 * when first asked for and remembered.
 */
#include "policy/policy.h"

#include "policy/shipped.h"

#include <stdlib.h>
#include <string.h>

struct policy {
	struct conf *conf;
	struct rule *rules;
	size_t n, n_own; /* rules in all, and of the configuration */
	struct addrmap *by_recipient, *by_sender;
	unsigned *rest; /* rules under neither, in order */
	size_t n_rest;
	const char *const *domains;
	size_t n_domains;
	struct addrmap *lists;     /* policy.list_map */
	unsigned certs_for;        /* directions for which a rule could ask for certificates */
	unsigned classes;          /* that rules ask for */
	unsigned sealed_for;       /* and whether a message is sealed */
	struct group_names groups; /* that rules name */
};

struct policy_view {
	const struct policy *policy;
	struct msg_view msg;
	unsigned char *state; /* for each rule: 0 not worked out, else enum tri + 1 */
	const char **criterion;
	unsigned *base; /* rules that could match whatever the recipient, in order */
	size_t n_base;
};

static enum rc
index_patterns(struct policy *policy, size_t which, const char *option, struct addrmap *map,
	struct err *err)
{
	const char *const *values;
	size_t n = conf_strings(conf_item(policy->conf, "rules", which), option, &values);
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = addrmap_put(map, values[i], (unsigned)which, err);
	return rc;
}

static enum rc
index_rules(struct policy *policy, struct err *err)
{
	enum rc rc = addrmap_new(&policy->by_recipient, err);

	if (rc == RC_OK)
		rc = addrmap_new(&policy->by_sender, err);
	policy->rest = calloc(policy->n, sizeof(*policy->rest));
	if (rc == RC_OK && !policy->rest)
		rc = err_set(err, ERR_MEMORY, "rules");
	for (size_t i = 0; rc == RC_OK && i < policy->n; i++) {
		const struct rule *rule = &policy->rules[i];

		if (rule->certificate || rule->verdicts.encrypt != ENCRYPT_NEVER)
			policy->certs_for |= rule->directions ? rule->directions : ~0u;
		policy->classes |= rule->classes;
		if (rule->sealed)
			policy->sealed_for |= rule->directions ? rule->directions : ~0u;
		if (rule->recipients && i < policy->n_own)
			rc = index_patterns(policy, i, "recipients", policy->by_recipient, err);
		else if (rule->senders && i < policy->n_own)
			rc = index_patterns(policy, i, "senders", policy->by_sender, err);
		else
			policy->rest[policy->n_rest++] = (unsigned)i;
	}
	return rc;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp((*(struct rule *const *)a)->name, (*(struct rule *const *)b)->name);
}

static enum rc
check_names(struct policy *policy, struct err *err)
{
	struct rule **sorted = calloc(policy->n, sizeof(*sorted));
	enum rc rc = RC_OK;

	if (!sorted)
		return err_set(err, ERR_MEMORY, "rules");
	for (size_t i = 0; i < policy->n; i++)
		sorted[i] = &policy->rules[i];
	qsort(sorted, policy->n, sizeof(*sorted), compare_names);
	for (size_t i = 1; rc == RC_OK && i < policy->n; i++) {
		const struct rule *later = sorted[i - 1] > sorted[i] ? sorted[i - 1] : sorted[i];
		const struct rule *first = sorted[i - 1] > sorted[i] ? sorted[i] : sorted[i - 1];

		if (strcmp(later->name, first->name) != 0)
			continue;
		if (later->line)
			rc = conf_err(err, policy->conf,
				conf_item(policy->conf, "rules", (size_t)(later - policy->rules)),
				"name", "\"%s\" is the name of the rule in line %d", later->name,
				first->line);
		else
			rc = conf_err(err, policy->conf,
				conf_item(policy->conf, "rules", (size_t)(first - policy->rules)),
				"name", "\"%s\" is the name of a shipped rule", first->name);
	}
	free(sorted);
	return rc;
}

static enum rc
compile_rules(struct policy *policy, struct err *err)
{
	const struct conf_group *group = conf_section(policy->conf, "policy");
	size_t n_shipped, skip;
	const struct rule *shipped = shipped_rules(&n_shipped);
	size_t n_own = conf_count(policy->conf, "rules");
	enum rc rc = RC_OK;

	skip = conf_bool(group, "shipped_rules") ? 0 : n_shipped - 1;
	policy->rules = calloc(n_own + n_shipped, sizeof(*policy->rules));
	if (!policy->rules)
		return err_set(err, ERR_MEMORY, "rules");
	for (size_t i = 0; rc == RC_OK && i < n_own; i++) {
		policy->n_own = i + 1; /* also a half-made one is finished */
		rc = rule_compile(&policy->rules[i], policy->conf,
			conf_item(policy->conf, "rules", i), &policy->groups, err);
	}
	if (rc != RC_OK)
		return rc;
	memcpy(policy->rules + n_own, shipped + skip, (n_shipped - skip) * sizeof(*shipped));
	policy->n = n_own + n_shipped - skip;
	for (size_t i = n_own; i < policy->n; i++)
		if (policy->rules[i].to_list)
			policy->rules[i].recipients = policy->lists; /* borrowed */
	return RC_OK;
}

static enum rc
load_lists(struct policy *policy, struct err *err)
{
	const char *path = conf_str(conf_section(policy->conf, "policy"), "list_map");
	enum rc rc = addrmap_new(&policy->lists, err);

	return rc == RC_OK && path ? addrmap_load(policy->lists, path, "policy.list_map", err) : rc;
}

enum rc
policy_compile(struct conf *conf, struct policy **out, struct err *err)
{
	struct policy *policy = calloc(1, sizeof(*policy));
	enum rc rc;

	*out = NULL;
	if (!policy)
		return err_set(err, ERR_MEMORY, "rules");
	policy->conf = conf_ref(conf);
	policy->n_domains =
		conf_strings(conf_section(conf, "organisation"), "domains", &policy->domains);
	rc = load_lists(policy, err);
	if (rc == RC_OK)
		rc = compile_rules(policy, err);
	if (rc == RC_OK)
		rc = check_names(policy, err);
	if (rc == RC_OK)
		rc = index_rules(policy, err);
	if (rc == RC_OK)
		*out = policy;
	else
		policy_free(&policy);
	return rc;
}

void
policy_free(struct policy **policy)
{
	struct policy *p = *policy;

	if (!p)
		return;
	for (size_t i = 0; i < p->n_own; i++)
		rule_fini(&p->rules[i]);
	free(p->rules);
	addrmap_free(&p->by_recipient);
	addrmap_free(&p->by_sender);
	addrmap_free(&p->lists);
	free(p->rest);
	free(p->groups.v);
	conf_unref(&p->conf);
	free(p);
	*policy = NULL;
}

bool
policy_needs_certs(const struct policy *policy, enum direction direction)
{
	return policy->certs_for & direction;
}

bool
policy_needs_sealed(const struct policy *policy, enum direction direction)
{
	return policy->sealed_for & direction;
}

bool
policy_needs_class(const struct policy *policy, unsigned classes)
{
	return policy->classes & classes;
}

size_t
policy_groups(const struct policy *policy, const char *const **names)
{
	*names = policy->groups.v;
	return policy->groups.n;
}

bool
policy_is_list(const struct policy *policy, const char *addr)
{
	struct addrkey key;

	addrkey_set(&key, addr);
	return addrmap_has(policy->lists, &key);
}

bool
policy_is_ours(const struct policy *policy, const char *addr)
{
	const char *domain = addr_domain(addr);

	return domain && addr_domain_in(domain, policy->domains, policy->n_domains);
}

/* user%host@ours, host!user@ours, "user@host"@ours: an MTA that finds our domain its own may take
 * it off and send to what is left, as Postfix and Sendmail do where nobody told them not to. */
static bool
is_route(const char *addr)
{
	const char *domain = addr_domain(addr);

	return domain && strcspn(addr, "%!@") < (size_t)(domain - 1 - addr);
}

enum direction
policy_direction(const struct policy *policy, bool sender_inside, const char *rcpt)
{
	if (!policy_is_ours(policy, rcpt) || is_route(rcpt))
		return DIR_OUTBOUND;
	return sender_inside ? DIR_INTERNAL : DIR_INBOUND;
}

size_t
policy_count(const struct policy *policy)
{
	return policy->n;
}

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
	enum rc rc = RC_OK;

	if (view->state[i] == 0) {
		rc = rule_match_msg(
			&view->policy->rules[i], &view->msg, matched, &view->criterion[i], err);
		if (rc == RC_OK)
			view->state[i] = (unsigned char)(*matched + 1);
	} else {
		*matched = (enum tri)(view->state[i] - 1);
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
	view->state = calloc(policy->n, sizeof(*view->state));
	view->criterion = calloc(policy->n, sizeof(*view->criterion));
	if (!view->state || !view->criterion)
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
	free((*view)->state);
	free((*view)->criterion);
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
		criterion[0] = view->criterion[i];
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

const char *
rule_name(const struct rule *rule)
{
	return rule ? rule->name : ""; /* none: before anything was decided */
}

const struct verdicts *
rule_verdicts(const struct rule *rule)
{
	return &rule->verdicts;
}

bool
rule_is_observed(const struct rule *rule)
{
	return rule->observe;
}

int
rule_line(const struct rule *rule)
{
	return rule->line;
}
