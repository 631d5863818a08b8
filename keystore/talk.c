/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/talk.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* A kept link that is still alive, or NULL. */
static struct link *
take_kept(struct links *links)
{
	struct link *link = NULL;

	while (!link) {
		pthread_mutex_lock(&links->lock);
		if (links->n_pool > 0)
			link = links->pool[--links->n_pool];
		pthread_mutex_unlock(&links->lock);
		if (!link)
			return NULL;
		if (link_is_dead(link))
			link_close(&link);
	}
	return link;
}

static void
give_back(struct links *links, struct link *link)
{
	pthread_mutex_lock(&links->lock);
	if (links->n_pool < LINKS_MAX) {
		links->pool[links->n_pool++] = link;
		link = NULL; /* the pool's now */
	}
	pthread_mutex_unlock(&links->lock);
	link_close(&link);
}

void
talk_end(struct talk *talk)
{
	proto_msg_fini(&talk->answer);
	if (talk->link) {
		link_forget(talk->link);
		give_back(talk->links, talk->link);
	}
	talk->link = NULL;
}

/*
 * Asks, on a kept link if there is one. When the vault was restarted in between, a kept link ends
 * without a single byte of answer: then once more on a new one. Every request may be asked twice;
 * what the first one did is in the ledger.
 */
static enum rc
ask_once(struct talk *talk, struct buf *request, bool kept, bool *again, struct err *err)
{
	struct links *l = talk->links;
	bool answered = false;
	enum rc rc = RC_OK;

	*again = false;
	talk->link = kept ? take_kept(l) : NULL;
	kept = talk->link != NULL;
	if (!talk->link) {
		rc = link_open(l->path, l->service, l->role, l->timeout_ms, &talk->link, err);
		if (rc)
			return rc == RC_NONE ? RC_TEMP : rc;
	}
	rc = link_ask(talk->link, request, l->timeout_ms, &talk->answer, &answered, err);
	if (rc) {
		*again = kept && !answered;
		link_close(&talk->link);
	}
	return rc;
}

/* Asks, and once more on a new link where that is right. */
static enum rc
ask_twice(struct talk *talk, struct buf *request, struct err *err)
{
	int64_t began = clock_monotonic_ms();
	bool again;
	enum rc rc = ask_once(talk, request, true, &again, err);

	/* Not after a time-out: the caller has waited enough. */
	if (rc && again && clock_monotonic_ms() - began < talk->links->timeout_ms)
		rc = ask_once(talk, request, false, &again, err);
	return rc;
}

/* The decisions that are held go before it, in the same write. */
static enum rc
ask_with_held(struct talk *talk, struct buf *request, struct err *err)
{
	struct held *held = &talk->links->held;
	struct buf frames = BUF_INIT(0);
	size_t n = held_take(held, &frames);
	enum rc rc;

	if (n == 0)
		return ask_twice(talk, request, err);
	rc = buf_append(&frames, request->data, request->len, err);
	if (!rc)
		rc = ask_twice(talk, &frames, err);
	if (!rc)
		held_gone(held, n);
	else if (held_back(held, &frames, n))
		log_error(LOGL_ERROR, NULL, "vault-records-wait", err, NULL);
	buf_fini(&frames);
	return rc;
}

/* RC_OK with an answer of type WANTED; RC_NONE when the answer is NONE. */
enum rc
talk_ask(struct talk *talk, struct links *links, struct buf *request, enum proto_type wanted,
	struct err *err)
{
	struct err local = ERR_INIT;
	enum rc rc;

	err = err ? err : &local;
	*talk = (struct talk){.links = links};
	rc = ask_with_held(talk, request, err);
	if (rc)
		return rc;
	if (talk->answer.type == wanted)
		return RC_OK;
	if (talk->answer.type == PROTO_NONE)
		rc = RC_NONE;
	else if (talk->answer.type == PROTO_ERROR)
		rc = proto_error(&talk->answer, err);
	else
		rc = err_set(err, ERR_VAULT_PROTOCOL, "answer \"%s\" instead of \"%s\"",
			proto_type_name(talk->answer.type), proto_type_name(wanted));
	if (rc != RC_NONE && talk->answer.type != PROTO_ERROR)
		link_close(&talk->link);
	talk_end(talk);
	return rc;
}

/*
 * Hands frames over without waiting for the answers: the keys were used with durable records
 * before, and the vault itself only queues these. On a kept link that turns out to be gone, once
 * more on a new one.
 */
static enum rc
tell(struct links *links, struct buf *frames, struct err *err)
{
	int64_t began = clock_monotonic_ms();
	struct link *link = take_kept(links);
	enum rc rc = RC_OK;

	if (link && (rc = link_tell(link, frames, links->timeout_ms, err)) != RC_OK) {
		link_close(&link);
		/* Not after a time-out: the caller has waited enough. */
		if (clock_monotonic_ms() - began < links->timeout_ms)
			rc = RC_OK;
	}
	if (!rc && !link) {
		rc = link_open(
			links->path, links->service, links->role, links->timeout_ms, &link, err);
		rc = rc == RC_NONE ? RC_TEMP : rc;
		if (!rc)
			rc = link_tell(link, frames, links->timeout_ms, err);
	}
	if (!rc)
		give_back(links, link);
	else
		link_close(&link);
	return rc;
}

/* What is held goes by itself. */
static void
send_held(void *ctx)
{
	struct links *links = ctx;
	struct buf frames = BUF_INIT(0);
	struct err err = ERR_INIT;
	size_t n = held_take(&links->held, &frames);

	if (n && tell(links, &frames, &err) == RC_OK)
		held_gone(&links->held, n);
	else if (held_back(&links->held, &frames, n))
		log_error(LOGL_ERROR, NULL, "vault-records-wait", &err, NULL);
	buf_fini(&frames);
}

/* One that can't be held goes at once, with those that are. */
enum rc
links_record(struct links *links, const struct buf *frame, struct err *err)
{
	struct buf frames = BUF_INIT(0);
	size_t n;
	enum rc rc;

	if (held_add(&links->held, frame))
		return RC_OK;
	n = held_take(&links->held, &frames);
	rc = buf_append(&frames, frame->data, frame->len, err);
	if (!rc)
		rc = tell(links, &frames, err);
	if (!rc)
		held_gone(&links->held, n);
	else
		(void)held_back(&links->held, &frames, n);
	buf_fini(&frames);
	return rc;
}

void
links_hold(struct links *links)
{
	held_start(&links->held, send_held, links);
}

void
links_flush(struct links *links)
{
	held_stop(&links->held);
	send_held(links);
}

enum rc
links_init(struct links *links, const struct conf *conf, const char *service, struct err *err)
{
	const struct conf_group *vault = conf_section(conf, "vault");

	*links = (struct links){.timeout_ms = conf_int(vault, "timeout")};
	pthread_mutex_init(&links->lock, NULL);
	held_init(&links->held);
	links->path = strdup(conf_str(vault, "socket"));
	links->service = strdup(service);
	for (size_t i = 0; i < conf_count(conf, "services"); i++)
		if (strcmp(conf_str(conf_item(conf, "services", i), "name"), service) == 0)
			links->role = strdup(conf_str(conf_item(conf, "services", i), "role"));
	if (links->path && links->service && links->role)
		return RC_OK;
	return err_set(err, ERR_CONFIG, "no service \"%s\"", service);
}

void
links_fini(struct links *links)
{
	struct buf lost = BUF_INIT(0);

	links_flush(links);
	if (held_take(&links->held, &lost) > 0)
		log_event(LOGL_ERROR, NULL, "vault-records-lost", "bytes", LOG_NUM(lost.len), NULL);
	buf_fini(&lost);
	held_fini(&links->held);
	for (size_t i = 0; i < links->n_pool; i++)
		link_close(&links->pool[i]);
	pthread_mutex_destroy(&links->lock);
	free(links->path);
	free(links->service);
	free(links->role);
}
