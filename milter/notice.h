/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notice.h - what people are told by mail: reports of failure, notices, invitations
 *
 * Four kinds. A *report* (DSN, RFC 3464) says which recipients of a message that was accepted did
 * not get it. A *notice* tells an authenticated sender of ours in plain words why a message was
 * refused (RFC 3834). An *invitation* goes, signed, to a correspondent without a certificate.
 * *News* tell whoever waited for that certificate that it is there.
 *
 * Report or notice, never both for the same cause: a message that was accepted (250) gets a report,
 * whose human part is the notice's text; one that is refused (5xx) gets a notice.
 *
 * The functions that a message calls decide, apply the limits and put what is to be said into a
 * durable outbox (notices.store); nothing there waits for the network. A thread (outbox.h) finds
 * the sender's language, writes the text, signs and submits, again and again until it is taken or
 * too old, which is logged as an error. Each decision is one line in the log: event=notice with
 * what=sent|kept|suppressed|failed.
 *
 * Threads: one struct notices may be used by any number of threads.
 * Limits:  NOTICE_MAX_RCPTS recipients and NOTICE_MAX_HEADER bytes of header in one report (the
 * rest is counted, not lost), notices.outbox_entries messages, notices.per_day for a sender and
 * cause.
 */
#ifndef MILTER_NOTICE_H
#define MILTER_NOTICE_H

#include "base/conf.h"
#include "message/msg.h"

#include <stdbool.h>

#define NOTICE_MAX_RCPTS  500
#define NOTICE_MAX_HEADER 65536

struct notices;
/* Compiles texts and settings; opens no file but the templates. CONF: a reference is taken. */
enum rc notices_new(struct conf *conf, struct notices **out, struct err *err);
void notices_free(struct notices **notices);

struct notice_rcpt { /* one recipient that did not get the message; all borrowed */
	const char *addr;
	const char *orcpt;    /* "rfc822;addr" as the client gave it, xtext; or NULL */
	const char *notify;   /* "NEVER", "FAILURE,DELAY", … as the client gave it; or NULL */
	enum errcode cause;   /* ours; ERR_NONE: the next server refused it */
	int code;             /* SMTP reply code, 5xx */
	const char *enhanced; /* "5.7.1"; NULL or "": by the code's first digit */
	const char *text;     /* the reply's text */
	const char *rule;     /* the rule that decided; or NULL */
	const char *message;  /* that rule's own words (rules.message); or NULL */
};

struct notice_message { /* the message that it is about; all borrowed */
	const char *qid;
	const char *sender;   /* envelope sender, canonical; "": the null path */
	const char *identity; /* SASL login, or NULL: nobody is authenticated */
	bool ours;            /* the sender is an address of ours that IDENTITY may use */
	const char *envid;    /* xtext as given, without "ENVID="; or NULL */
	const char *ret;      /* "FULL", "HDRS" or NULL */
	bool smtputf8;
	bool secret;      /* its body must not go back: it was opened, or had to be encrypted */
	int64_t arrival;  /* seconds */
	unsigned classes; /* enum msg_class */
	const struct hdrs *hdrs;
	struct spool *body;
	const struct notice_rcpt *rcpts;
	size_t n;
};

/*
 * The message is being accepted though RCPTS did not get it: keeps a report for its sender. Those
 * whose NOTIFY does not ask for failures are left out. RC_OK: the report is kept durably, or there
 * must be none (null sender, NOTIFY=NEVER). RC_TEMP: it could not be kept, so the message must be
 * deferred.
 */
enum rc notice_failed(struct notices *notices, const struct notice_message *msg, struct err *err);
/*
 * The message is being refused by a rule of ours: keeps a notice for its authenticated sender.
 * Without hdrs it is a recipient who is refused when named, before there is a message. The refusal
 * stands whatever comes out. RC_OK: kept; RC_NONE: not sent, for a reason that is logged.
 */
enum rc notice_refused(struct notices *notices, const struct notice_message *msg, struct err *err);

struct notice_invitation {
	const char *rcpt;   /* who has no certificate */
	const char *sender; /* who wrote to them: told when a certificate is there */
	const char *qid;
	const char *rule;
	const char *language; /* of the rule; NULL: notices.language */
	unsigned classes;     /* of the message: none for lists, reports and automatic answers */
};
/* Once for a recipient in notices.invite_interval. RC_OK: kept; RC_NONE: not sent, logged. */
enum rc
notice_invite(struct notices *notices, const struct notice_invitation *invitation, struct err *err);

#endif
