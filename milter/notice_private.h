/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notice_private.h - inside of notices: decided facts on their way to a message
 */
#ifndef MILTER_NOTICE_PRIVATE_H
#define MILTER_NOTICE_PRIVATE_H

#include "base/json.h"
#include "message/compose.h"
#include "milter/notice_store.h"
#include "milter/notice_text.h"
#include "milter/notice_work.h"

#include <pthread.h>

#define NOTICE_SHOWN 50 /* recipients in the part for people; the machine's part has all */

struct notices {
	struct conf *conf;
	const struct conf_group *group; /* section "notices" */
	struct texts *texts;
	struct notice_store *store;
	char *from;         /* address */
	const char *name;   /* of the organisation */
	const char *url;    /* where people can read more; or NULL */
	const char *host;   /* reporting MTA */
	const char *domain; /* for Message-ID */
	enum compose_charset japanese;
	struct notice_ops ops;
	void *ctx;
	bool attached;
	pthread_mutex_t lock; /* for the two below */
	void (*wake)(void *ctx);
	void *wake_ctx;
	/* of whoever works; one thread */
	int64_t checked_at, swept_at;
	char looked_at[1100]; /* the last correspondent looked for */
};

int64_t notices_now(const struct notices *notices);

/* What becomes of an item of the outbox. */
enum notice_kind {
	NOTICE_FAILED,
	NOTICE_REFUSED,
	NOTICE_NAMED,
	NOTICE_INVITE,
	NOTICE_LEARNED,
	NOTICE_KINDS
};
const char *notice_kind_name(enum notice_kind kind);

struct notice_made {
	struct msg *msg;
	char to[1100]; /* the envelope's recipient */
	enum notice_kind kind;
	bool smtputf8;
	bool sign; /* to be signed */
	bool must; /* not to be sent unsigned */
};
void notice_made_fini(struct notice_made *made);
/* The message for ITEM. LANGUAGE: tag or tags. BODY: of the original, to be returned; or NULL. */
enum rc notice_make(const struct notices *notices, const struct notice_item *item,
	const struct json_value *facts, const char *language, struct spool *body,
	struct notice_made *made, struct err *err);
/* Makes ITEM a message and submits it at once. RC_OK: it is submitted. */
enum rc
notice_send_now(struct notices *notices, const struct notice_item *item, struct spool *body);
/* Which kind FACTS are; NOTICE_KINDS: none. */
enum notice_kind notice_kind_of(const struct json_value *facts);

/* One line of the log. */
void
notice_log(const char *qid, const char *what, const char *kind, const char *to, const char *why);

#endif
