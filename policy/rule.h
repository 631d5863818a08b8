/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rule.h - one compiled rule: criteria and verdicts
 *
 * Inside policy/ only. Strings are borrowed from the configuration, which the policy keeps.
 * Every criterion that stands in a rule must hold; a list holds when one of its entries does.
 */
#ifndef POLICY_RULE_H
#define POLICY_RULE_H

#include "policy/addrmap.h"
#include "policy/policy.h"

#include <regex.h>

/* Decoded header text that a pattern looks at; the rest of a longer one is not looked at. */
#define HEADER_TEXT_MAX 65536u

/* Of authorised and sealed. */
enum { AUTH_YES = 1, AUTH_NO = 2 };
enum { FINAL_INSIDE = 1, FINAL_OUTSIDE = 2 };
enum { CERT_KNOWN = 1, CERT_PROVEN = 2, CERT_NONE = 4 };

struct header_match {
	char *name;
	regex_t pattern;
};

struct group_names { /* of all rules; each has the number of its place */
	const char **v;
	size_t n;
};

struct rule_groups { /* numbers */
	unsigned *v;
	size_t n;
};

struct rule {
	const char *name;
	int line; /* 0: shipped */
	bool observe;
	const char *const *services;
	size_t n_services;
	unsigned directions;                         /* enum direction, or-ed; 0: any */
	struct addrmap *senders, *recipients, *from; /* NULL: any */
	const char *const *identities;
	size_t n_identities;
	struct header_match *headers;
	size_t n_headers;
	char **marks; /* folded */
	size_t n_marks;
	unsigned authorised; /* AUTH_…, or-ed; 0: any */
	bool has_over, has_under;
	uint64_t over, under;
	unsigned classes;         /* enum msg_class, or-ed; 0: any */
	unsigned final_recipient; /* FINAL_…, or-ed; 0: any */
	unsigned certificate;     /* CERT_…, or-ed; 0: any */
	unsigned sealed;          /* AUTH_…, or-ed; 0: any */
	struct rule_groups sender_groups, recipient_groups;
	bool to_list; /* shipped: RECIPIENTS are those of policy.list_map */
	bool content; /* a criterion looks at more than the envelope */
	struct verdicts verdicts;
};

/* What is worked out once for a message. */
struct msg_view {
	const struct msg_facts *facts;
	struct addrkey sender;
	struct buf subject; /* folded */
	bool has_subject;   /* it was worked out */
};

/* Fills RULE, which is zero; rule_fini it also after a failure. Errors name file and line. Groups
 * that it names are added to NAMES. */
enum rc rule_compile(struct rule *rule, struct conf *conf, const struct conf_group *group,
	struct group_names *names, struct err *err);
enum rc
rule_groups_compile(struct rule_groups *groups, struct conf *conf, const struct conf_group *group,
	const char *option, struct group_names *names, struct err *err);
void rule_groups_fini(struct rule_groups *groups);
void rule_fini(struct rule *rule);

/* *criterion: the one that failed, or that can't be told; NULL when all hold. */
enum rc rule_match_msg(const struct rule *rule, struct msg_view *msg, enum tri *matched,
	const char **criterion, struct err *err);
/* Does one of the rule's header criteria hold for this field? */
enum rc
rule_match_field(const struct rule *rule, const struct hdr *hdr, bool *found, struct err *err);
enum tri rule_match_rcpt(const struct rule *rule, const struct rcpt_facts *rcpt,
	const struct addrkey *key, const char **criterion);
/* The criteria about groups; *criterion as above. */
enum tri rule_match_groups(const struct rule *rule, const enum tri *sender,
	const enum tri *recipient, const char **criterion);

#endif
