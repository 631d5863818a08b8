/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy.h - rules → what is due for each recipient. Pure: no I/O, no clock
 *
 * Rules are compiled from the configuration, the shipped ones follow. They are tried in order; the
 * first that matches a (message, recipient) pair decides for that recipient. A criterion that can't
 * be told makes the decision "unknown", which defers, unless the rule is in observe mode: then it
 * is passed over and logged. Observed rules never decide.
 *
 * Threads: a compiled policy is immutable and may be used by any.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/conf.h"
#include "message/classify.h"

enum tri { TRI_NO, TRI_YES, TRI_UNKNOWN };

enum direction { DIR_OUTBOUND = 1, DIR_INBOUND = 2, DIR_INTERNAL = 4 };

enum verdict_sign { SIGN_NEVER, SIGN_IF_POSSIBLE, SIGN_REQUIRED };
enum verdict_encrypt { ENCRYPT_NEVER, ENCRYPT_IF_PROVEN, ENCRYPT_IF_KNOWN, ENCRYPT_REQUIRED };
enum sign_form { FORM_CLEAR, FORM_OPAQUE };
enum unsafe { UNSAFE_OPAQUE, UNSAFE_SKIP, UNSAFE_REFUSE };
enum if_missing { MISSING_REFUSE_ALL, MISSING_CLEAR, MISSING_REFUSE_RECIPIENT };
enum preset { PRESET_CLASSIC, PRESET_MODERN, PRESET_JP_CLASSIC, PRESET_AUTO };
enum encoding { ENCODING_AUTO, ENCODING_BASE64 };
/* What is done when revocation is not known; DEFAULT: as trust and anchors say. */
enum on_unknown { UNKNOWN_DEFAULT, UNKNOWN_IF_KNOWN, UNKNOWN_REQUIRED, UNKNOWN_GRACE };
/* A certificate that rests on what a directory said that can't be asked now. */
enum on_stale { STALE_USE, STALE_DEFER };
enum on_trouble { TROUBLE_DELIVER, TROUBLE_MARK };
enum opened { OPENED_RE_ENCRYPT, OPENED_ORIGINAL, OPENED_REFUSE, OPENED_CLEAR };

#define POLICY_MAX_GROUPS 256 /* that rules name, in all */

struct rule; /* one compiled rule */

struct words { /* borrowed from the configuration */
	const char *const *v;
	size_t n;
};

struct verdicts {
	enum verdict_sign sign;
	struct words sign_keys; /* "own" or an address, maybe with %d; the first that has a key;
				   none: "own" */
	enum encoding encoding;
	enum sign_form form;
	enum unsafe unsafe;
	enum verdict_encrypt encrypt;
	enum if_missing if_missing;
	struct words escrow; /* addresses */
	bool copy_sender;
	bool invite;                 /* whoever has no certificate */
	const char *invite_language; /* or NULL */
	enum preset preset;
	bool open, verify;
	enum on_unknown revocation;
	enum on_stale stale;
	enum opened opened; /* on its way out again; ORIGINAL: do not open what will leave */
	enum on_trouble on_no_key, on_bad_signature, on_unauthenticated;
	const char *message;       /* or NULL */
	const struct rule *unmark; /* whose marks are taken away, or NULL */
};

/* What is known about the message. Pointers are borrowed. */
struct msg_facts {
	bool envelope_only; /* service, sender and identity are known, all else is to come */
	const char *service;
	const char *sender;          /* canonical; "" for the null path */
	const struct addrlist *from; /* addresses of all From: fields */
	bool from_unread; /* there is a From: that can't be read: FROM may lack addresses */
	const struct hdrs *hdrs;
	const char *identity;   /* SASL login, or NULL */
	bool identity_unknown;  /* there may be one that nobody knows, or not yet: a stamp */
	enum tri authorised;    /* may the sender be signed for */
	const enum tri *groups; /* the envelope sender's, as policy_groups counts them; NULL: not
				   known. May be filled in after the view was made */
	uint64_t size;
	unsigned classes;         /* enum msg_class */
	unsigned classes_unknown; /* those of which it can't be told */
};

/* What is known about one recipient. */
struct rcpt_facts {
	const char *addr;         /* canonical */
	enum direction direction; /* with envelope_only maybe several, or-ed: one of them */
	enum tri cert_known;      /* asked for only when policy_needs_certs said so */
	enum tri cert_proven;
	enum tri sealed; /* S/MIME that can be read as such, and for this recipient when encrypted:
			    may need certificates */
	enum tri leaves; /* their mail ends outside, by forwarding; asked for only when wanted */
	const enum tri *groups; /* as policy_groups counts them; NULL: not known */
};

/* KEY for an author of DOMAIN: each %d becomes DOMAIN. OUT has ADDR_MAX + 1 bytes; false: too long
 * or no address. "own" is no address. */
bool sign_key_expand(const char *key, const char *domain, char *out);

struct policy;
struct policy_view; /* a policy looking at one message: for each rule what its message criteria say,
		       found when first asked for */

struct decision {
	enum tri known; /* TRI_YES: RULE decided; TRI_UNKNOWN: a criterion of RULE could not be told
			 */
	const struct rule *rule; /* never NULL: the last shipped rule matches everything */
	struct verdicts verdicts;
	const struct rule *observed[8]; /* observe rules that would have decided before it */
	bool undecided[8];              /* for each: a criterion of it could not be told */
	size_t n_observed;
	bool wants_certs; /* a rule on the way asked for the recipient's certificates, and they were
			     unknown */
	bool wants_leaves;                      /* and where their mail ends */
	bool wants_groups, wants_sender_groups; /* and which groups they, and the sender, are in */
	bool opened_out; /* the message was opened here, and is on its way out again */
};

enum rc policy_compile(struct conf *conf, struct policy **out, struct err *err);
void policy_free(struct policy **policy);
/* Could any rule ask for the certificates of a recipient of this direction? */
bool policy_needs_certs(const struct policy *policy, enum direction direction);
/* Could any rule ask whether mail of this direction is sealed? */
bool policy_needs_sealed(const struct policy *policy, enum direction direction);
/* Could any rule ask for one of these classes (enum msg_class, or-ed)? */
bool policy_needs_class(const struct policy *policy, unsigned classes);
/* The groups that rules name, borrowed; their number. */
size_t policy_groups(const struct policy *policy, const char *const **names);
/* Is ADDR (canonical) in policy.list_map? */
bool policy_is_list(const struct policy *policy, const char *addr);
/* MSG and what it points to are borrowed for the view's life. A view is for one thread at a time.
 */
enum rc policy_view_new(const struct policy *policy, const struct msg_facts *msg,
	struct policy_view **out, struct err *err);
void policy_view_free(struct policy_view **view);
enum rc policy_decide(struct policy_view *view, const struct rcpt_facts *rcpt, struct decision *out,
	struct err *err);
/* Could any rule make us encrypt to RCPT? Rules that can't be told yet may. */
enum rc policy_may_encrypt(
	struct policy_view *view, const struct rcpt_facts *rcpt, bool *may, struct err *err);
/* Direction of mail to RCPT: from inside to us internal, from outside to us inbound, all else
 * outbound; also what has a route to somewhere else in its local part. */
enum direction policy_direction(const struct policy *policy, bool sender_inside, const char *rcpt);
bool policy_is_ours(const struct policy *policy, const char *addr);

/* What is to become of field HDR when RULE's marks are taken away: subject_mark out of Subject:
 * (VALUE, as in struct hdr), and what a header criterion matched whose name begins with "X-". */
enum unmark { UNMARK_KEEP, UNMARK_DELETE, UNMARK_CHANGE };
enum rc rule_unmark(const struct rule *rule, const struct hdr *hdr, enum unmark *what,
	struct buf *value, struct err *err);

const char *rule_name(const struct rule *rule);
bool rule_is_observed(const struct rule *rule);
const struct verdicts *rule_verdicts(const struct rule *rule);
int rule_line(const struct rule *rule); /* 0: shipped */

/* For explain: each rule tried in order with whether and why not it matched. */
struct rule_trace {
	const struct rule *rule;
	enum tri matched;
	const char *criterion;
};
enum rc policy_trace(struct policy_view *view, const struct rcpt_facts *rcpt,
	struct rule_trace *out, size_t max, size_t *n, struct err *err);
size_t policy_count(const struct policy *policy); /* rules in all */

/* Who may be signed for: does (service, identity, client) have the right to sign as FROM, and with
 * which key? *key is "own" or an address, borrowed. TRI_UNKNOWN never means yes. */
struct rights;
struct right_ask { /* who hands a message in; NULL: not known */
	const char *service, *identity, *client;
	const char *connector; /* as rights_connector or a gate found it */
	const struct addrlist
		*addresses; /* the identity's, from the directory; NULL: not asked for */
};
struct client_cert { /* the SMTP client's, as the MTA says it; NULL: not known */
	const char *subject, *issuer;
	const char *verify; /* "OK", where the MTA says that */
};
enum rc rights_compile(struct conf *conf, struct rights **out, struct err *err);
void rights_free(struct rights **rights);
struct right_found {
	const char *key; /* the right's, or NULL; lives as long as RIGHTS */
	bool is_network; /* the right asks neither for a login nor for a connector: it says nothing
			    of who writes, and gives no person's key */
};
/* TRI_UNKNOWN with ADDRESSES NULL: ask the directory for them and try again. FOUND is filled in any
 * case. */
enum tri rights_may_sign(const struct rights *rights, const struct right_ask *ask, const char *from,
	struct right_found *found);
/* The connector that CERT and the fields of HDRS belong to, borrowed; NULL: none. */
enum rc rights_connector(const struct rights *rights, const struct client_cert *cert,
	const struct hdrs *hdrs, const char **name, struct err *err);

#endif
