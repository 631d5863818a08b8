/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does a rule match a message, and a recipient of it? What stands in the message is judged here,
 * nothing is changed.
 */
#include "policy/rule.h"

#include "policy/fold.h"

#include <string.h>
#include <strings.h>

static bool
service_matches(const struct rule *rule, const char *service)
{
	for (size_t i = 0; i < rule->n_services; i++)
		if (service && strcmp(rule->services[i], service) == 0)
			return true;
	return rule->n_services == 0;
}

static enum tri
identity_matches(const struct rule *rule, const struct msg_facts *facts)
{
	const char *identity = facts->identity;

	if (rule->n_identities == 0)
		return TRI_YES;
	for (size_t i = 0; i < rule->n_identities; i++)
		if (identity && (strcmp(rule->identities[i], "*") == 0 ||
					strcmp(rule->identities[i], identity) == 0))
			return TRI_YES;
	return facts->identity_unknown ? TRI_UNKNOWN : TRI_NO;
}

/* What can't be read might have matched: nobody gets round a rule by a From: with a fault in it. */
static enum tri
from_matches(const struct rule *rule, const struct msg_facts *facts)
{
	struct addrkey key;

	for (size_t i = 0; facts->from && i < facts->from->n; i++) {
		addrkey_set(&key, facts->from->v[i]);
		if (addrmap_has(rule->from, &key))
			return TRI_YES;
	}
	return facts->from_unread ? TRI_UNKNOWN : TRI_NO;
}

/*
 * Does the field hold MATCH's pattern? Of a very long text only the beginning is searched, since
 * some patterns take time that grows with its square: what stands behind is not known.
 */
static enum rc
field_matches(
	const struct header_match *match, const struct hdr *hdr, enum tri *found, struct err *err)
{
	struct buf text = BUF_INIT(HDRS_MAX_BYTES * 4);
	enum rc rc = hdr_decode(hdr, &text, err);

	if (rc == RC_OK) {
		bool is_cut = text.len > HEADER_TEXT_MAX;
		regmatch_t range = {
			.rm_so = 0, .rm_eo = (regoff_t)(is_cut ? HEADER_TEXT_MAX : text.len)};

		/* A NUL, out of an encoded word, does not end the text. */
		if (regexec(&match->pattern, buf_text(&text), 1, &range, REG_STARTEND) == 0)
			*found = TRI_YES;
		else
			*found = is_cut ? TRI_UNKNOWN : TRI_NO;
	}
	buf_fini(&text);
	return rc;
}

static enum tri
either(enum tri a, enum tri b)
{
	if (a == TRI_YES || b == TRI_YES)
		return TRI_YES;
	return a == TRI_UNKNOWN || b == TRI_UNKNOWN ? TRI_UNKNOWN : TRI_NO;
}

/* Does any field called MATCH's name hold its pattern? */
static enum rc
header_matches(
	const struct header_match *match, const struct hdrs *hdrs, enum tri *found, struct err *err)
{
	const struct hdr *hdr;
	enum rc rc = RC_OK;

	for (size_t i = 0;
		rc == RC_OK && *found != TRI_YES && (hdr = hdrs_find(hdrs, match->name, i)); i++) {
		enum tri here = TRI_NO;

		rc = field_matches(match, hdr, &here, err);
		*found = either(*found, here);
	}
	return rc;
}

enum rc
rule_match_field(const struct rule *rule, const struct hdr *hdr, bool *found, struct err *err)
{
	enum tri here = TRI_NO;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && here != TRI_YES && i < rule->n_headers; i++)
		if (strcasecmp(rule->headers[i].name, hdr->name) == 0)
			rc = field_matches(&rule->headers[i], hdr, &here, err);
	*found = here == TRI_YES;
	return rc;
}

static enum rc
headers_match(const struct rule *rule, const struct hdrs *hdrs, enum tri *found, struct err *err)
{
	enum rc rc = RC_OK;

	*found = TRI_NO;
	for (size_t i = 0; rc == RC_OK && *found != TRI_YES && i < rule->n_headers; i++)
		rc = header_matches(&rule->headers[i], hdrs, found, err);
	return rc;
}

/* Every Subject:, one behind the other: which of several a reader sees is not known. */
static enum rc
fold_subjects(struct msg_view *msg, struct err *err)
{
	const struct hdr *hdr;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && (hdr = hdrs_find(msg->facts->hdrs, "Subject", i)); i++) {
		struct buf text = BUF_INIT(HDRS_MAX_BYTES * 4);

		rc = hdr_decode(hdr, &text, err);
		if (rc == RC_OK)
			rc = fold_text(buf_text(&text), text.len, &msg->subject, err);
		if (rc == RC_OK)
			rc = buf_append_char(&msg->subject, '\x01', err);
		buf_fini(&text);
	}
	return rc;
}

static enum rc
marks_match(const struct rule *rule, struct msg_view *msg, bool *found, struct err *err)
{
	enum rc rc = RC_OK;

	*found = false;
	if (!msg->has_subject)
		rc = fold_subjects(msg, err);
	if (rc != RC_OK)
		return rc;
	msg->has_subject = true;
	for (size_t i = 0; !*found && i < rule->n_marks; i++)
		*found = msg->subject.len > 0 &&
			 memmem(msg->subject.data, msg->subject.len, rule->marks[i],
				 strlen(rule->marks[i])) != NULL;
	return RC_OK;
}

static enum tri
class_matches(const struct rule *rule, const struct msg_facts *facts)
{
	if (rule->classes == 0 || rule->classes & facts->classes)
		return TRI_YES;
	return rule->classes & facts->classes_unknown ? TRI_UNKNOWN : TRI_NO;
}

/* Criteria that look at the envelope and at what is known, cheapest first; the name of the first
 * that fails, or NULL. */
static const char *
failing_fact(const struct rule *rule, const struct msg_view *msg)
{
	const struct msg_facts *facts = msg->facts;

	if (!service_matches(rule, facts->service))
		return "services";
	if (class_matches(rule, facts) == TRI_NO)
		return "class";
	if (rule->has_over && facts->size <= rule->over)
		return "size_over";
	if (rule->has_under && facts->size >= rule->under)
		return "size_under";
	if (rule->senders && !addrmap_has(rule->senders, &msg->sender))
		return "senders";
	if (identity_matches(rule, facts) == TRI_NO)
		return "identity";
	if (rule->from && from_matches(rule, facts) == TRI_NO)
		return "from";
	if ((rule->authorised == AUTH_YES && facts->authorised == TRI_NO) ||
		(rule->authorised == AUTH_NO && facts->authorised == TRI_YES))
		return "authorised";
	return NULL;
}

/* The same before there is a message. */
static enum tri
match_envelope(const struct rule *rule, const struct msg_view *msg, const char **criterion)
{
	*criterion = NULL;
	if (!service_matches(rule, msg->facts->service))
		*criterion = "services";
	else if (rule->senders && !addrmap_has(rule->senders, &msg->sender))
		*criterion = "senders";
	else if (identity_matches(rule, msg->facts) == TRI_NO)
		*criterion = "identity";
	if (*criterion)
		return TRI_NO;
	if (identity_matches(rule, msg->facts) == TRI_UNKNOWN)
		*criterion = "identity";
	if (rule->content || rule->classes || rule->authorised || rule->sealed)
		*criterion = "content";
	return *criterion ? TRI_UNKNOWN : TRI_YES;
}

/* The criterion that cannot be told yet, the last one of several; or NULL. */
static const char *
untold_fact(const struct rule *rule, const struct msg_facts *facts)
{
	if (rule->from && from_matches(rule, facts) == TRI_UNKNOWN)
		return "from";
	if (identity_matches(rule, facts) == TRI_UNKNOWN)
		return "identity";
	if (facts->authorised == TRI_UNKNOWN &&
		(rule->authorised == AUTH_YES || rule->authorised == AUTH_NO))
		return "authorised";
	return class_matches(rule, facts) == TRI_UNKNOWN ? "class" : NULL;
}

enum rc
rule_match_msg(const struct rule *rule, struct msg_view *msg, enum tri *matched,
	const char **criterion, struct err *err)
{
	enum tri header = TRI_YES;
	enum rc rc = RC_OK;
	bool found;

	if (msg->facts->envelope_only) {
		*matched = match_envelope(rule, msg, criterion);
		return RC_OK;
	}
	*matched = TRI_NO;
	*criterion = failing_fact(rule, msg);
	if (*criterion)
		return RC_OK;
	if (rule->n_headers) {
		rc = headers_match(rule, msg->facts->hdrs, &header, err);
		*criterion = "header";
		if (rc != RC_OK || header == TRI_NO)
			return rc;
	}
	if (rule->n_marks) {
		rc = marks_match(rule, msg, &found, err);
		*criterion = "subject_mark";
		if (rc != RC_OK || !found)
			return rc;
	}
	*criterion = untold_fact(rule, msg->facts);
	if (!*criterion && header == TRI_UNKNOWN)
		*criterion = "header";
	*matched = *criterion ? TRI_UNKNOWN : TRI_YES;
	return RC_OK;
}

static enum tri
certificate_matches(const struct rule *rule, const struct rcpt_facts *rcpt)
{
	enum tri none = rcpt->cert_known == TRI_UNKNOWN ? TRI_UNKNOWN
			: rcpt->cert_known == TRI_YES   ? TRI_NO
							: TRI_YES;
	enum tri found = TRI_NO;

	if (rule->certificate & CERT_KNOWN)
		found = either(found, rcpt->cert_known);
	if (rule->certificate & CERT_PROVEN)
		found = either(found, rcpt->cert_proven);
	if (rule->certificate & CERT_NONE)
		found = either(found, none);
	/* All three words together leave nothing to ask. */
	return (rule->certificate & (CERT_KNOWN | CERT_NONE)) == (CERT_KNOWN | CERT_NONE) ? TRI_YES
											  : found;
}

static enum tri
sealed_matches(const struct rule *rule, const struct rcpt_facts *rcpt)
{
	if (rcpt->sealed == TRI_UNKNOWN)
		return TRI_UNKNOWN;
	return (rcpt->sealed == TRI_YES) == (rule->sealed == AUTH_YES) ? TRI_YES : TRI_NO;
}

static enum tri
final_matches(const struct rule *rule, const struct rcpt_facts *rcpt)
{
	if (rule->final_recipient == (FINAL_INSIDE | FINAL_OUTSIDE))
		return TRI_YES;
	if (rcpt->leaves == TRI_UNKNOWN)
		return TRI_UNKNOWN;
	return (rcpt->leaves == TRI_YES) == (rule->final_recipient == FINAL_OUTSIDE) ? TRI_YES
										     : TRI_NO;
}

enum tri
rule_match_rcpt(const struct rule *rule, const struct rcpt_facts *rcpt, const struct addrkey *key,
	const char **criterion)
{
	enum tri found = TRI_YES;

	if (rule->directions && !(rule->directions & rcpt->direction)) {
		*criterion = "direction";
		return TRI_NO;
	}
	if (rule->recipients && !addrmap_has(rule->recipients, key)) {
		*criterion = "recipients";
		return TRI_NO;
	}
	*criterion = NULL;
	if (rule->sealed == AUTH_YES || rule->sealed == AUTH_NO)
		found = sealed_matches(rule, rcpt);
	if (found != TRI_YES)
		*criterion = "sealed";
	if (found != TRI_NO && rule->certificate) {
		enum tri certificate = certificate_matches(rule, rcpt);

		if (certificate != TRI_YES)
			*criterion = "certificate";
		found = certificate == TRI_YES ? found : certificate;
	}
	if (found != TRI_NO && rule->final_recipient) {
		enum tri final = final_matches(rule, rcpt);

		if (final != TRI_YES)
			*criterion = "final_recipient";
		found = final == TRI_YES ? found : final;
	}
	if (found == TRI_YES && rule->directions &&
		(rule->directions & rcpt->direction) != rcpt->direction) {
		*criterion = "direction";
		found = TRI_UNKNOWN;
	}
	return found;
}
