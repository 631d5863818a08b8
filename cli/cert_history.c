/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_history.c - the history of the store's certificates, for people and for programs
 */
#include "base/clock.h"
#include "cli/cert.h"

#include <stdio.h>

static const char *
event_name(enum certevent what)
{
	switch (what) {
	case CERTEVENT_ADDED:
		return "added";
	case CERTEVENT_PINNED:
		return "pinned";
	case CERTEVENT_UNPINNED:
		return "unpinned";
	case CERTEVENT_FORGOTTEN:
		return "forgotten";
	case CERTEVENT_USED:
		return "used";
	}
	return "unknown";
}

static enum rc
tell_text(void *ctx, const struct certhistory *event, struct err *err)
{
	char at[CLOCK_TEXT_SIZE], until[CLOCK_TEXT_SIZE];
	size_t *n = ctx;

	(void)err;
	++*n;
	printf("%s  %-9s %.16s  %s", clock_format(event->at, at), event_name(event->what),
		event->fingerprint, *event->addr ? event->addr : "anchor");
	if (event->what == CERTEVENT_USED)
		printf(" until %s", clock_format(event->until, until));
	if (*event->source)
		printf(" from %s", event->source);
	if (*event->who)
		printf(" by %s", event->who);
	if (*event->why)
		printf(": %s", event->why);
	putchar('\n');
	return RC_OK;
}

enum rc
cert_history_text(struct certstore *store, const char *addr, const char *fingerprint, size_t *n,
	struct err *err)
{
	*n = 0;
	return certstore_history(store, addr, fingerprint, tell_text, n, err);
}

static const char *
unless_empty(const char *text)
{
	return *text ? text : NULL;
}

static enum rc
tell_json(void *ctx, const struct certhistory *event, struct err *err)
{
	struct json *json = ctx;

	json_object(json, NULL);
	json_str(json, "event", event_name(event->what));
	json_time(json, "at", event->at);
	if (event->what == CERTEVENT_USED)
		json_time(json, "until", event->until);
	json_str(json, "address", unless_empty(event->addr));
	json_bool(json, "anchor", !*event->addr);
	json_str(json, "sha256", event->fingerprint);
	json_str(json, "source", unless_empty(event->source));
	json_str(json, "who", unless_empty(event->who));
	json_str(json, "reason", unless_empty(event->why));
	json_object_end(json);
	return cert_drain(json->out, false, err);
}

enum rc
cert_history_json(struct certstore *store, const char *addr, const char *fingerprint,
	struct json *json, struct err *err)
{
	return certstore_history(store, addr, fingerprint, tell_json, json, err);
}
