/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy_run.c - one case through the policy's code: rights, rules, plan
 *
 * Where the milter would ask vault or directory, the case says what the answer is. What it does not
 * say is what is usual: no certificate, a key for whoever may sign, people inside have theirs here.
 */
#include "config.h"

#include "cli/policy.h"

#include "message/addr.h"
#include "milter/check_signature.h"
#include "policy/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[ANSWER_COUNT] = {
	[ANSWER_RULE] = "rule",
	[ANSWER_AUTHORISED] = "authorised",
	[ANSWER_DIRECTION] = "direction",
	[ANSWER_SIGN] = "sign",
	[ANSWER_SIGN_KEY] = "sign_key",
	[ANSWER_FORM] = "form",
	[ANSWER_ENCRYPT] = "encrypt",
	[ANSWER_IF_MISSING] = "if_missing",
	[ANSWER_PRESET] = "preset",
	[ANSWER_OPEN] = "open",
	[ANSWER_VERIFY] = "verify",
	[ANSWER_OPENED] = "opened",
	[ANSWER_REVOCATION] = "revocation",
	[ANSWER_STALE] = "stale",
	[ANSWER_DOES] = "does",
	[ANSWER_ERROR] = "error",
	[ANSWER_OBSERVED] = "observed",
};

const char *
answer_name(enum answer which)
{
	return names[which];
}

int
answer_find(const char *name)
{
	for (int i = 0; i < ANSWER_COUNT; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

enum rc
policy_world_init(struct policy_world *world, struct conf *conf, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "organisation");
	enum rc rc;

	memset(world, 0, sizeof(*world));
	world->conf = conf;
	rc = policy_compile(conf, &world->policy, err);
	if (rc == RC_OK)
		rc = rights_compile(conf, &world->rights, err);
	if (rc == RC_OK)
		rc = alias_map_load(conf_str(group, "alias_map"), &world->aliases, err);
	if (rc != RC_OK)
		policy_world_fini(world);
	return rc;
}

void
policy_world_fini(struct policy_world *world)
{
	policy_free(&world->policy);
	rights_free(&world->rights);
	alias_map_free(&world->aliases);
}

/* A message as the case tells of it. */
struct subject {
	struct hdrs hdrs;
	struct addrlist from, addresses;
	struct spool *body;
	struct entity *root;
	struct msg_facts facts;
	enum tri *sender_groups, *groups;
	char sender[ADDR_MAX + 1], rcpt[ADDR_MAX + 1];
	bool seals; /* the service may sign */
};

static void
subject_fini(struct subject *s)
{
	entity_free(&s->root);
	spool_free(&s->body);
	addrlist_fini(&s->from);
	addrlist_fini(&s->addresses);
	free(s->sender_groups);
	free(s->groups);
	hdrs_fini(&s->hdrs);
}

/* "Name: value" as a field. */
static enum rc
add_header(struct hdrs *hdrs, const char *text, struct err *err)
{
	const char *colon = strchr(text, ':');

	if (!colon || colon == text)
		return err_set(err, ERR_USAGE, "header=\"%.60s\": not \"Name: value\"", text);
	return hdrs_add(hdrs, text, (size_t)(colon - text), colon + 1, strlen(colon + 1), err);
}

static enum rc
add_field(struct hdrs *hdrs, const char *name, const char *value, struct err *err)
{
	struct buf text = BUF_INIT(CASE_MAX_LINE + 100);
	enum rc rc = buf_appendf(&text, err, "%s: %s", name, value);

	if (rc == RC_OK)
		rc = add_header(hdrs, buf_text(&text), err);
	buf_fini(&text);
	return rc;
}

/* The header: From: is the sender unless the case says otherwise (from="" for none). */
static enum rc
make_header(const struct policy_case *one, struct subject *s, struct err *err)
{
	const char *from = case_fact(one, "from", 0), *subject = case_fact(one, "subject", 0);
	const char *text;
	enum rc rc = RC_OK;

	if (!from)
		from = s->sender;
	if (*from)
		rc = add_field(&s->hdrs, "From", from, err);
	if (rc == RC_OK && subject)
		rc = add_field(&s->hdrs, "Subject", subject, err);
	for (size_t k = 0; rc == RC_OK && (text = case_fact(one, "header", k)); k++)
		rc = add_header(&s->hdrs, text, err);
	return rc;
}

/* class=list,signed; without it what the header makes of an empty message. */
static enum rc
find_classes(const struct policy_world *world, const struct policy_case *one, struct subject *s,
	struct err *err)
{
	const struct spool_conf conf = {.memory = 4096};
	const char *list = case_fact(one, "class", 0);
	char word[32];
	enum rc rc = RC_OK;

	if (!list) {
		rc = spool_new(&conf, &s->body, err);
		if (rc == RC_OK)
			rc = mime_parse(&s->hdrs, s->body, &s->root, err);
		if (rc == RC_OK)
			rc = classify(
				&s->hdrs, s->root, s->body, s->sender, &s->facts.classes, err);
		for (size_t i = 0; rc == RC_OK && i < s->from.n; i++)
			if (policy_is_list(world->policy, s->from.v[i]))
				s->facts.classes |= CLASS_LIST;
		return rc;
	}
	while (*list) {
		size_t len = strcspn(list, ",");

		snprintf(word, sizeof(word), "%.*s", (int)(len < 31 ? len : 31), list);
		if (!class_from_name(word))
			return err_set(err, ERR_USAGE, "class=%s: there is no such class", word);
		s->facts.classes |= class_from_name(word);
		list += len + (list[len] == ',');
	}
	return RC_OK;
}

/* The right of the service's client or login to sign as ADDR. */
static enum tri
may_sign(const struct policy_world *world, const struct policy_case *one, const struct subject *s,
	const char *addr)
{
	const struct right_ask ask = {.service = s->facts.service,
		.identity = s->facts.identity,
		.client = case_fact(one, "client", 0),
		.connector = case_fact(one, "connector", 0),
		.addresses = &s->addresses};
	struct right_found found;

	return rights_may_sign(world->rights, &ask, addr, &found);
}

/* As the milter does it: one author, a service that signs, a right for the address or for whoever
 * it belongs to. */
static enum tri
find_right(const struct policy_world *world, const struct policy_case *one, const struct subject *s)
{
	const char *delimiter =
		conf_str(conf_section(world->conf, "organisation"), "recipient_delimiter");
	char person[ADDR_MAX + 1];
	enum tri answer;

	if (s->from.n != 1 || hdrs_count(&s->hdrs, "From") != 1 || !s->seals)
		return TRI_NO;
	answer = may_sign(world, one, s, s->from.v[0]);
	if (answer != TRI_NO)
		return answer;
	alias_map_person(world->aliases, s->from.v[0],
		policy_is_ours(world->policy, s->from.v[0]) && delimiter ? *delimiter : '\0',
		person);
	return may_sign(world, one, s, person);
}

static enum rc
find_service(const struct policy_world *world, const struct policy_case *one, struct subject *s,
	struct err *err)
{
	const char *name = case_fact(one, "service", 0);

	for (size_t i = 0; i < conf_count(world->conf, "services"); i++) {
		const struct conf_group *group = conf_item(world->conf, "services", i);

		if (name && strcmp(conf_str(group, "name"), name) != 0)
			continue;
		s->facts.service = conf_str(group, "name");
		s->seals = strcmp(conf_str(group, "role"), "open") != 0;
		return RC_OK;
	}
	return err_set(err, ERR_USAGE, "service=%s: there is none", name ? name : "");
}

/* What a directory would say of the login. */
static enum rc
list_addresses(const struct policy_case *one, struct addrlist *out, struct err *err)
{
	char addr[ADDR_MAX + 1];
	const char *text;
	size_t n = 0;

	while (case_fact(one, "address", n))
		n++;
	out->v = calloc(n ? n : 1, sizeof(*out->v));
	if (!out->v)
		return err_set(err, ERR_MEMORY, "addresses");
	for (size_t k = 0; (text = case_fact(one, "address", k)); k++) {
		if (addr_canonical(text, strlen(text), addr, err) != RC_OK)
			return RC_PERM;
		out->v[k] = strdup(addr);
		if (!out->v[k])
			return err_set(err, ERR_MEMORY, "addresses");
		out->n++;
	}
	return RC_OK;
}

/* One answer for each group that rules name, from the case's facts called WORD: "unknown", or
 * names; without any, nobody is in a group. */
static enum rc
make_groups(const struct policy_world *world, const struct policy_case *one, const char *word,
	enum tri **out, struct err *err)
{
	const char *const *groups, *value;
	size_t n = policy_groups(world->policy, &groups);

	*out = calloc(n + 1, sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "groups");
	for (size_t k = 0; (value = case_fact(one, word, k)); k++)
		for (size_t i = 0; i < n; i++)
			if (strcmp(value, "unknown") == 0)
				(*out)[i] = TRI_UNKNOWN;
			else if (strcasecmp(value, groups[i]) == 0)
				(*out)[i] = TRI_YES;
	return RC_OK;
}

static enum rc
make_subject(const struct policy_world *world, const struct policy_case *one, const char *rcpt,
	struct subject *s, struct err *err)
{
	const char *sender = case_fact(one, "sender", 0), *size = case_fact(one, "size", 0);
	enum rc rc = find_service(world, one, s, err);

	if (rc == RC_OK)
		rc = addr_canonical(sender, strlen(sender), s->sender, err);
	if (rc == RC_OK)
		rc = addr_canonical(rcpt, strlen(rcpt), s->rcpt, err);
	if (rc == RC_OK)
		rc = make_header(one, s, err);
	if (rc == RC_OK)
		rc = list_addresses(one, &s->addresses, err);
	if (rc == RC_OK)
		rc = make_groups(world, one, "sender-group", &s->sender_groups, err);
	if (rc == RC_OK)
		rc = make_groups(world, one, "group", &s->groups, err);
	if (rc != RC_OK)
		return rc;
	s->facts.groups = s->sender_groups;
	s->facts.from_unread = hdrs_from(&s->hdrs, &s->from, err) == RC_PERM;
	s->facts.sender = s->sender;
	s->facts.from = &s->from;
	s->facts.hdrs = &s->hdrs;
	s->facts.identity = case_fact(one, "login", 0);
	s->facts.size = size ? strtoull(size, NULL, 10) : 1000;
	s->facts.authorised = case_tri(
		one, "authorised", s->facts.from_unread ? TRI_NO : find_right(world, one, s));
	return find_classes(world, one, s, err);
}

/* What would have been asked of directory and vault. */
static void
make_rcpt(const struct policy_world *world, const struct policy_case *one, const struct subject *s,
	struct rcpt_facts *rcpt)
{
	const char *cert = case_fact(one, "cert", 0);
	bool inside = s->facts.authorised == TRI_YES ||
		      (s->facts.identity && policy_is_ours(world->policy, s->sender));
	bool wrapped = s->facts.classes & (CLASS_SIGNED | CLASS_ENVELOPED);

	rcpt->addr = s->rcpt;
	rcpt->direction = policy_direction(world->policy, inside, s->rcpt);
	rcpt->cert_known = rcpt->cert_proven = TRI_NO;
	if (cert && strcmp(cert, "unknown") == 0)
		rcpt->cert_known = rcpt->cert_proven = TRI_UNKNOWN;
	else if (cert && strcmp(cert, "none") != 0)
		rcpt->cert_known = TRI_YES;
	if (cert && strcmp(cert, "proven") == 0)
		rcpt->cert_proven = TRI_YES;
	rcpt->sealed = case_tri(one, "sealed", wrapped ? TRI_YES : TRI_NO);
	rcpt->groups = s->groups;
	rcpt->leaves = case_tri(one, "final", rcpt->direction == DIR_OUTBOUND ? TRI_YES : TRI_NO);
}

/* The Ith word of the enum option NAME, from the table that the configuration is read by. */
static void
put_word(struct policy_answer *out, enum answer which, unsigned i)
{
	const struct conf_option *options;
	const char *p = NULL;
	size_t n, len;

	options = conf_options(&n);
	for (size_t k = 0; k < n && !p; k++)
		if (strcmp(options[k].section, "rules") == 0 &&
			strcmp(options[k].name, names[which]) == 0)
			p = options[k].help + 1;
	for (; p && i > 0; i--)
		p += strcspn(p, "|]") + 1;
	len = p ? strcspn(p, "|]") : 0;
	snprintf(out->text[which], sizeof(out->text[which]), "%.*s", (int)len, p ? p : "");
}

static const char *
tri_word(enum tri value)
{
	return value == TRI_YES ? "yes" : value == TRI_NO ? "no" : "unknown";
}

/* What the plan does, in the words of the log and of sealgate report. */
static const char *
does_word(const struct plan_rcpt *plan)
{
	static const char *const seals[] = {"leave", "sign", "encrypt", "sign+encrypt"};

	if (plan->outcome != PLAN_DELIVER)
		return plan->outcome == PLAN_REFUSE ? "refuse" : "defer";
	if (plan->transform & PLAN_OPEN)
		return plan->transform & PLAN_VERIFY ? "open+verify" : "open";
	if (plan->transform & PLAN_VERIFY)
		return "verify";
	return seals[plan->transform & (PLAN_SIGN | PLAN_ENCRYPT)];
}

static void
put_verdicts(struct policy_answer *out, const struct verdicts *v)
{
	put_word(out, ANSWER_SIGN, v->sign);
	put_word(out, ANSWER_FORM, v->form);
	put_word(out, ANSWER_ENCRYPT, v->encrypt);
	put_word(out, ANSWER_PRESET, v->preset);
	put_word(out, ANSWER_OPEN, v->open);
	put_word(out, ANSWER_VERIFY, v->verify);
	put_word(out, ANSWER_OPENED, v->opened);
	put_word(out, ANSWER_REVOCATION, v->revocation);
	put_word(out, ANSWER_STALE, v->stale);
	snprintf(out->text[ANSWER_IF_MISSING], sizeof(out->text[0]), "%s",
		v->if_missing == MISSING_CLEAR        ? "clear"
		: v->if_missing == MISSING_REFUSE_ALL ? "refuse-all"
						      : "refuse-recipient");
	snprintf(out->text[ANSWER_SIGN_KEY], sizeof(out->text[0]), "%.127s",
		v->sign_keys.n ? v->sign_keys.v[0] : "own");
}

static void
put_answers(struct policy_answer *out, const struct subject *s, const struct rcpt_facts *rcpt,
	const struct decision *decision, const struct plan_rcpt *plan)
{
	static const char *const directions[] = {[DIR_OUTBOUND] = "outbound",
		[DIR_INBOUND] = "inbound",
		[DIR_INTERNAL] = "internal"};
	char *seen = out->text[ANSWER_OBSERVED];
	size_t size = sizeof(out->text[0]);

	snprintf(out->text[ANSWER_RULE], size, "%s", rule_name(decision->rule));
	snprintf(out->text[ANSWER_AUTHORISED], size, "%s", tri_word(s->facts.authorised));
	snprintf(out->text[ANSWER_DIRECTION], size, "%s", directions[rcpt->direction]);
	put_verdicts(out, &decision->verdicts);
	snprintf(out->text[ANSWER_DOES], size, "%s", does_word(plan));
	snprintf(out->text[ANSWER_ERROR], size, "%s",
		plan->outcome == PLAN_DELIVER ? "none" : err_name(plan->err.code));
	snprintf(
		seen, size, "%s", decision->n_observed ? rule_name(decision->observed[0]) : "none");
	for (size_t i = 1; i < decision->n_observed; i++)
		if (strlen(seen) + strlen(rule_name(decision->observed[i])) + 2 < size)
			strcat(strcat(seen, ","), rule_name(decision->observed[i]));
	snprintf(out->why, sizeof(out->why), "%s", plan->why);
}

static enum rc
decide(const struct policy_world *world, const struct policy_case *one, const struct subject *s,
	struct policy_answer *out, struct err *err)
{
	struct policy_view *view = NULL;
	struct rcpt_facts rcpt = {0};
	struct decision decision = {0};
	struct plan_rcpt in = {0};
	struct plan *plan = NULL;
	enum rc rc = policy_view_new(world->policy, &s->facts, &view, err);

	make_rcpt(world, one, s, &rcpt);
	if (rc == RC_OK)
		rc = policy_decide(view, &rcpt, &decision, err);
	in = (struct plan_rcpt){.addr = rcpt.addr,
		.decision = &decision,
		.inside = rcpt.direction != DIR_OUTBOUND,
		.hidden = case_tri(one, "hidden", TRI_NO) == TRI_YES,
		.cert_known = rcpt.cert_known,
		.cert_proven = rcpt.cert_proven,
		.stale = case_tri(one, "stale", TRI_NO) == TRI_YES,
		.held = case_tri(one, "held", rcpt.direction == DIR_OUTBOUND ? TRI_NO : TRI_YES),
		.signer = s->facts.authorised == TRI_YES ? case_tri(one, "key", TRI_YES)
							 : s->facts.authorised,
		.extra = case_tri(one, "extra", TRI_YES)};
	if (in.extra == TRI_NO)
		err_set(&in.extra_err, ERR_POLICY_NO_CERT, "the case says so");
	if (rc == RC_OK)
		rc = plan_build(&in, 1, *s->sender, &plan, err);
	if (rc == RC_OK)
		put_answers(out, s, &rcpt, &decision, &in);
	plan_free(&plan);
	policy_view_free(&view);
	return rc;
}

enum rc
policy_case_run(const struct policy_world *world, const struct policy_case *one, const char *rcpt,
	struct policy_answer *out, struct err *err)
{
	struct subject s = {0};
	enum rc rc;

	memset(out, 0, sizeof(*out));
	hdrs_init(&s.hdrs);
	rc = make_subject(world, one, rcpt, &s, err);
	if (rc == RC_OK)
		rc = decide(world, one, &s, out, err);
	subject_fini(&s);
	return rc;
}
