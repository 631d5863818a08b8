/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How ten thousand rules stay fast. A rule that names recipients stands in a hash table under each
 * of its patterns; one that names senders, in another; the few others in a plain list. When a
 * message comes, the rules that could match it whatever the recipient are collected once, in order.
 * For each recipient those found under its address, domain and parent domains are merged with them,
 * again in order, and tried until one decides. What a rule says about the message is worked out
 * when first asked for and remembered.
 */
#include "policy/policy_private.h"

#include <stdlib.h>
#include <string.h>

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
