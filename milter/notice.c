/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is decided while a message is at hand: whether something is to be said, within the limits,
 * and the facts that it takes, into the outbox.
 */
#include "milter/notice.h"

#include "base/clock.h"
#include "base/log.h"
#include "message/addr.h"
#include "message/classify.h"
#include "message/dsn.h"
#include "milter/notice_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DAY       86400
#define MAX_ORCPT 1000

static const char *const kind_names[NOTICE_KINDS] = {
	"failed", "refused", "named", "invite", "learned"};

const char *
notice_kind_name(enum notice_kind kind)
{
	return kind_names[kind];
}

enum notice_kind
notice_kind_of(const struct json_value *facts)
{
	const char *name = json_get_text(facts, "kind");
	int kind = 0;

	while (name && kind < NOTICE_KINDS && strcmp(name, kind_names[kind]) != 0)
		kind++;
	return name ? (enum notice_kind)kind : NOTICE_KINDS;
}

void
notice_log(const char *qid, const char *what, const char *kind, const char *to, const char *why)
{
	log_event(LOGL_INFO, qid && *qid ? qid : NULL, "notice", "what", what, "kind", kind, "to",
		to, "why", why, NULL);
}

int64_t
notices_now(const struct notices *notices)
{
	return notices->attached ? notices->ops.now(notices->ctx) : clock_now();
}

void
notices_attach(struct notices *notices, const struct notice_ops *ops, void *ctx)
{
	notices->ops = *ops;
	notices->ctx = ctx;
	notices->attached = true;
}

void
notices_wake(struct notices *notices, void (*wake)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&notices->lock);
	notices->wake = wake;
	notices->wake_ctx = ctx;
	pthread_mutex_unlock(&notices->lock);
}

void
notices_look(struct notices *notices)
{
	pthread_mutex_lock(&notices->lock);
	if (notices->wake)
		notices->wake(notices->wake_ctx);
	pthread_mutex_unlock(&notices->lock);
}

/* notices.from in canonical form. */
static enum rc
take_from(struct notices *notices, struct err *err)
{
	const char *from = conf_str(notices->group, "from");
	char text[ADDR_MAX + 1], addr[ADDR_MAX + 1];
	struct err why = ERR_INIT;

	snprintf(text, sizeof(text), "postmaster@%.900s", notices->domain);
	if (addr_canonical(from ? from : text, strlen(from ? from : text), addr, &why) != RC_OK ||
		!addr_domain(addr))
		return conf_err(err, notices->conf, notices->group, "from", "is no mail address");
	notices->from = strdup(addr);
	if (!notices->from)
		return err_set(err, ERR_MEMORY, "notices");
	notices->domain = addr_domain(notices->from);
	return RC_OK;
}

static enum rc
check_settings(struct notices *notices, struct err *err)
{
	const char *language = conf_str(notices->group, "language");

	if (!texts_has(notices->texts, language))
		return conf_err(err, notices->conf, notices->group, "language",
			"there is no text in %s", language);
	for (size_t i = 0; i < conf_count(notices->conf, "rules"); i++) {
		const struct conf_group *rule = conf_item(notices->conf, "rules", i);

		language = conf_str(rule, "invite_language");
		if (language && !texts_has(notices->texts, language))
			return conf_err(err, notices->conf, rule, "invite_language",
				"there is no text in %s", language);
	}
	return RC_OK;
}

enum rc
notices_new(struct conf *conf, struct notices **out, struct err *err)
{
	const struct conf_group *organisation = conf_section(conf, "organisation");
	struct notices *n = calloc(1, sizeof(*n));
	const char *const *domains;
	enum rc rc;

	*out = NULL;
	if (!n)
		return err_set(err, ERR_MEMORY, "notices");
	pthread_mutex_init(&n->lock, NULL);
	n->conf = conf_ref(conf);
	n->group = conf_section(conf, "notices");
	if (conf_strings(organisation, "domains", &domains) > 0)
		n->domain = **domains == '.' ? *domains + 1 : *domains;
	n->name = conf_str(organisation, "name");
	n->url = conf_str(organisation, "help_url");
	n->host = conf_str(organisation, "authserv_id");
	n->host = n->host ? n->host : n->domain;
	n->name = n->name ? n->name : n->domain;
	if (strcmp(conf_str(n->group, "japanese"), "iso-2022-jp") == 0)
		n->japanese = COMPOSE_ISO_2022_JP;
	rc = texts_new(conf_str(n->group, "templates"), &n->texts, err);
	if (rc == RC_OK)
		rc = take_from(n, err);
	if (rc == RC_OK)
		rc = check_settings(n, err);
	if (rc == RC_OK)
		rc = notice_store_new(conf_str(n->group, "store"), &n->store, err);
	if (rc == RC_OK)
		*out = n;
	else
		notices_free(&n);
	return rc;
}

void
notices_free(struct notices **notices)
{
	struct notices *n = *notices;

	*notices = NULL;
	if (!n)
		return;
	notice_store_free(&n->store);
	texts_free(&n->texts);
	pthread_mutex_destroy(&n->lock);
	conf_unref(&n->conf);
	free(n->from);
	free(n);
}

/* "no to this sender", logged once with its reason. */
static enum rc
suppress(const struct notice_message *msg, enum notice_kind kind, const char *why)
{
	notice_log(
		msg->qid, "suppressed", kind_names[kind], *msg->sender ? msg->sender : "<>", why);
	return RC_NONE;
}

/* The decoded value of a header field, clean. */
static void
put_header(struct json *json, const char *key, const struct hdrs *hdrs, const char *name)
{
	const struct hdr *hdr = hdrs ? hdrs_find(hdrs, name, 0) : NULL;
	struct buf text = BUF_INIT(HDRS_MAX_BYTES), clean = BUF_INIT(0);

	if (hdr && hdr_decode(hdr, &text, NULL) == RC_OK &&
		compose_clean(buf_text(&text), 300, &clean, NULL) == RC_OK && clean.len > 0)
		json_str(json, key, buf_text(&clean));
	buf_fini(&text);
	buf_fini(&clean);
}

static void
put_rcpt(struct json *json, const struct notice_rcpt *rcpt)
{
	json_object(json, NULL);
	json_str(json, "addr", rcpt->addr);
	if (rcpt->orcpt && strlen(rcpt->orcpt) <= MAX_ORCPT)
		json_str(json, "orcpt", rcpt->orcpt);
	if (rcpt->cause != ERR_NONE)
		json_str(json, "cause", err_name(rcpt->cause));
	json_int(json, "code", rcpt->code);
	json_str(json, "enhanced", rcpt->enhanced);
	json_str(json, "text", rcpt->text);
	json_str(json, "rule", rcpt->rule);
	json_str(json, "message", rcpt->message);
	json_object_end(json);
}

/* The facts about recipients from FIRST on, NOTICE_MAX_RCPTS of them; *next is the first behind. */
static enum rc
put_facts(const struct notice_message *msg, enum notice_kind kind, size_t first, size_t *next,
	struct buf *out, struct err *err)
{
	struct json json;
	size_t n = 0;

	json_init(&json, out);
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	json_str(&json, "kind", kind_names[kind]);
	json_str(&json, "qid", msg->qid);
	json_str(&json, "to", msg->sender);
	json_bool(&json, "ours", msg->ours);
	json_str(&json, "envid", msg->envid);
	json_bool(&json, "utf8", msg->smtputf8);
	json_int(&json, "arrival", msg->arrival);
	put_header(&json, "subject", msg->hdrs, "Subject");
	put_header(&json, "date", msg->hdrs, "Date");
	put_header(&json, "message_id", msg->hdrs, "Message-ID");
	json_array(&json, "rcpts");
	for (*next = first; *next < msg->n && n < NOTICE_MAX_RCPTS; (*next)++)
		if (dsn_wants_failure(msg->rcpts[*next].notify)) {
			put_rcpt(&json, &msg->rcpts[*next]);
			n++;
		}
	json_array_end(&json);
	json_object_end(&json);
	return json_end(&json, err);
}

/* Stamps and marks of ours are nobody else's business. */
static bool
is_ours(const struct hdr *hdr)
{
	return hdr->name_len >= 11 && strncasecmp(hdr->name, "X-Sealgate-", 11) == 0;
}

/* Fields from the beginning of the header, as many as NOTICE_MAX_HEADER bytes take. */
static enum rc
put_head(const struct hdrs *hdrs, struct buf *out, struct err *err)
{
	struct sink sink = sink_to_buf(out);
	enum rc rc = RC_OK;

	for (size_t i = 0; hdrs && rc == RC_OK && i < hdrs->n; i++) {
		const struct hdr *hdr = &hdrs->v[i];

		if (is_ours(hdr) ||
			out->len + hdr->name_len + hdr->gap_len + 2 * hdr->value_len + 3 >
				NOTICE_MAX_HEADER)
			continue; /* the rest may fit */
		rc = hdr_write(hdr, &sink, err);
	}
	return rc;
}

/* How many of them are to be told. */
static size_t
count_told(const struct notice_message *msg, enum notice_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < msg->n; i++) {
		if (dsn_wants_failure(msg->rcpts[i].notify))
			n++;
		else
			notice_log(msg->qid, "suppressed", kind_names[kind], msg->rcpts[i].addr,
				"notify");
	}
	return n;
}

static enum rc
keep(struct notices *notices, const struct notice_item *item, const struct notice_limit *limits,
	size_t n, size_t *which, struct err *err)
{
	const struct notice_limits all = {limits, n, conf_int(notices->group, "outbox_entries")};
	enum rc rc =
		notice_store_keep(notices->store, item, &all, notices_now(notices), which, err);

	pthread_mutex_lock(&notices->lock);
	if (rc == RC_OK && notices->wake)
		notices->wake(notices->wake_ctx);
	pthread_mutex_unlock(&notices->lock);
	return rc;
}

/* May the whole message go back? It never rests in a file, so it is only tried at once. */
static bool
returns_all(const struct notices *notices, const struct notice_message *msg)
{
	return msg->ret && strcasecmp(msg->ret, "FULL") == 0 && !msg->secret && msg->body &&
	       conf_bool(notices->group, "return_full") && notices->attached;
}

/* Reports recipients from FIRST on. */
static enum rc
report(struct notices *notices, const struct notice_message *msg, size_t first, size_t *next,
	struct err *err)
{
	struct notice_item item;
	size_t which = 0;
	enum rc rc;

	notice_item_init(&item);
	item.created = notices_now(notices);
	rc = put_facts(msg, NOTICE_FAILED, first, next, &item.data, err);
	if (rc == RC_OK)
		rc = put_head(msg->hdrs, &item.head, err);
	if (rc == RC_OK && returns_all(notices, msg) &&
		notice_send_now(notices, &item, msg->body) == RC_OK) {
		notice_item_fini(&item);
		return RC_OK;
	}
	if (rc == RC_OK)
		rc = keep(notices, &item, NULL, 0, &which, err);
	if (rc == RC_OK)
		notice_log(msg->qid, "kept", "failed", msg->sender, NULL);
	notice_item_fini(&item);
	return rc == RC_PERM ? RC_TEMP : rc;
}

enum rc
notice_failed(struct notices *notices, const struct notice_message *msg, struct err *err)
{
	size_t next = 0;
	enum rc rc = RC_OK;

	if (!*msg->sender) {
		(void)suppress(msg, NOTICE_FAILED, "null-sender");
		return RC_OK;
	}
	if (count_told(msg, NOTICE_FAILED) == 0)
		return RC_OK;
	while (rc == RC_OK && next < msg->n) {
		while (next < msg->n && !dsn_wants_failure(msg->rcpts[next].notify))
			next++;
		if (next < msg->n)
			rc = report(notices, msg, next, &next, err);
	}
	if (rc != RC_OK)
		log_error(LOGL_ERROR, msg->qid, "notice-not-kept", err, "kind", "failed", NULL);
	return rc;
}

/* Automatic mail is never answered (RFC 3834 section 2). */
static const char *
automatic(const struct notice_message *msg)
{
	static const char *const words[] = {"bulk", "junk", "list"};
	const struct hdr *hdr = msg->hdrs ? hdrs_find(msg->hdrs, "Precedence", 0) : NULL;
	struct buf text = BUF_INIT(HDRS_MAX_BYTES);
	const char *why = NULL;

	if (msg->classes & (CLASS_LIST | CLASS_REPORT | CLASS_AUTO_REPLY))
		return msg->classes & CLASS_LIST ? "list" : "automatic";
	if (hdr && hdr_unfold(hdr, &text, NULL) == RC_OK)
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
			if (strcasecmp(buf_text(&text), words[i]) == 0)
				why = "precedence";
	buf_fini(&text);
	return why;
}

/* Why there is no notice about a refusal, or NULL. */
static const char *
why_silent(const struct notices *notices, const struct notice_message *msg)
{
	if (!*msg->sender)
		return "null-sender";
	if (!conf_bool(notices->group, "on_refusal"))
		return "off";
	if (!msg->identity || !*msg->identity || !msg->ours)
		return "not-authenticated";
	return automatic(msg);
}

/* Sender, cause and rule, of the first recipient to be told about. */
static enum rc
cause_key(const struct notice_message *msg, struct buf *key, struct err *err)
{
	size_t i = 0;

	while (i + 1 < msg->n && !dsn_wants_failure(msg->rcpts[i].notify))
		i++;
	return buf_appendf(key, err, "refused %s %s %s", msg->sender, err_name(msg->rcpts[i].cause),
		msg->rcpts[i].rule ? msg->rcpts[i].rule : "");
}

enum rc
notice_refused(struct notices *notices, const struct notice_message *msg, struct err *err)
{
	enum notice_kind kind = msg->hdrs ? NOTICE_REFUSED : NOTICE_NAMED;
	const char *why = why_silent(notices, msg);
	struct buf key = BUF_INIT(8192);
	struct notice_limit limit = {.max = conf_int(notices->group, "per_day"), .seconds = DAY};
	struct notice_item item;
	size_t which = 0, next;
	enum rc rc;

	if (why)
		return suppress(msg, kind, why);
	if (count_told(msg, kind) == 0)
		return RC_NONE;
	notice_item_init(&item);
	rc = put_facts(msg, kind, 0, &next, &item.data, err);
	if (rc == RC_OK)
		rc = cause_key(msg, &key, err);
	if (rc == RC_OK) {
		limit.key = buf_text(&key);
		rc = keep(notices, &item, &limit, 1, &which, err);
	}
	if (rc == RC_OK)
		notice_log(msg->qid, "kept", kind_names[kind], msg->sender, NULL);
	else if (rc == RC_NONE)
		(void)suppress(msg, kind, "limit");
	else
		log_error(LOGL_ERROR, msg->qid, "notice-not-kept", err, "kind", kind_names[kind],
			NULL);
	buf_fini(&key);
	notice_item_fini(&item);
	return rc;
}

/* Mailboxes that no person reads: an invitation there is a nuisance or the beginning of a loop. */
static bool
is_machine(const char *addr)
{
	static const char *const names[] = {"mailer-daemon", "postmaster", "noreply", "no-reply",
		"no_reply", "donotreply", "do-not-reply", "do_not_reply", "bounce", "bounces",
		"listserv", "majordomo", "mailman", "root", "daemon", "abuse", "hostmaster"};
	static const char *const ends[] = {
		"-request", "-owner", "-bounces", "-bounce", "-noreply", "-no-reply", "-admin"};
	const char *at = strrchr(addr, '@');
	size_t len = at ? (size_t)(at - addr) : strlen(addr);

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strncasecmp(addr, names[i], len) == 0 && names[i][len] == '\0')
			return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		size_t n = strlen(ends[i]);

		if (len > n && strncasecmp(addr + len - n, ends[i], n) == 0)
			return true;
	}
	return strncasecmp(addr, "owner-", 6) == 0 || strncasecmp(addr, "bounce", 6) == 0;
}

/* Why nobody is invited, or NULL. */
static const char *
why_uninvited(const struct notices *notices, const struct notice_invitation *invitation)
{
	if (invitation->classes & (CLASS_LIST | CLASS_REPORT | CLASS_AUTO_REPLY))
		return "automatic";
	if (!*invitation->sender)
		return "null-sender";
	if (!*invitation->rcpt || is_machine(invitation->rcpt))
		return "no-person";
	return conf_bool(notices->group, "sign") ? NULL : "no-key";
}

static enum rc
put_invitation(const struct notices *notices, const struct notice_invitation *invitation,
	struct buf *out, struct err *err)
{
	const char *language = invitation->language;
	struct json json;

	if (!language || !texts_has(notices->texts, language))
		language = conf_str(notices->group, "language");
	json_init(&json, out);
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	json_str(&json, "kind", kind_names[NOTICE_INVITE]);
	json_str(&json, "qid", invitation->qid);
	json_str(&json, "to", invitation->rcpt);
	json_str(&json, "sender", invitation->sender);
	json_str(&json, "rule", invitation->rule);
	json_str(&json, "language", language);
	json_object_end(&json);
	return json_end(&json, err);
}

/* Both limits at once: neither counts when the other one says no. */
static enum rc
keep_invitation(struct notices *notices, const struct notice_invitation *invitation,
	const char **why, struct err *err)
{
	struct buf key = BUF_INIT(4096);
	struct notice_limit limits[2] = {
		{.max = 1, .seconds = conf_int(notices->group, "invite_interval")},
		{.key = "invite",
			.max = conf_int(notices->group, "invite_per_day"),
			.seconds = DAY}};
	struct notice_item item;
	size_t which = 0;
	enum rc rc;

	notice_item_init(&item);
	rc = buf_appendf(&key, err, "invite %s", invitation->rcpt);
	for (char *p = key.data; rc == RC_OK && *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + ('a' - 'A'));
	limits[0].key = buf_text(&key);
	if (rc == RC_OK)
		rc = put_invitation(notices, invitation, &item.data, err);
	if (rc == RC_OK)
		rc = keep(notices, &item, limits, 2, &which, err);
	*why = which == 0 ? "invited-already" : "limit";
	buf_fini(&key);
	notice_item_fini(&item);
	return rc;
}

enum rc
notice_invite(struct notices *notices, const struct notice_invitation *invitation, struct err *err)
{
	const char *why = why_uninvited(notices, invitation);
	enum rc rc = RC_NONE;

	if (!why) {
		rc = notice_store_wait(notices->store, invitation->rcpt, invitation->sender,
			conf_int(notices->group, "wait_entries"), notices_now(notices), err);
		if (rc == RC_OK)
			rc = keep_invitation(notices, invitation, &why, err);
	}
	if (rc == RC_OK)
		notice_log(invitation->qid, "kept", "invite", invitation->rcpt, NULL);
	else if (rc == RC_NONE)
		notice_log(invitation->qid, "suppressed", "invite", invitation->rcpt, why);
	else
		log_error(LOGL_ERROR, invitation->qid, "notice-not-kept", err, "kind", "invite",
			NULL);
	return rc;
}
