/* SPDX-License-Identifier: BSD-2-Clause */
/* What the fetcher is told, and what it answers to the operator's tool. */
#include "directory/fetcher_private.h"

#include "base/clock.h"
#include "base/counter.h"
#include "base/json.h"
#include "base/log.h"
#include "directory/fetch_folder.h"

#include <stdio.h>
#include <string.h>

#define ISSUER_MS   1000 /* in which the lists of a CA are asked for that just came */
#define FULL_LOG_MS 60000
#define REFUSED_MAX 10000 /* files that say so */
#define ASKED_S     600   /* how exactly the saved list knows when something was asked for */

/* --- what is wanted --- */

/* The list is full, or too much that is new came in this hour: said now and then. */
static void
turn_away(struct fetcher *fetcher, const struct want *want, const char *reason)
{
	char url[FETCH_URL_MAX + 1];
	int64_t now = clock_monotonic_ms();

	counter_add(COUNTER_FETCH_TURNED_AWAY, 1);
	if (fetcher->full_logged && now - fetcher->full_logged < FULL_LOG_MS)
		return;
	fetcher->full_logged = now;
	snprintf(url, sizeof(url), "%.*s", (int)want->url_len, want->url);
	log_event(LOGL_WARN, NULL, "want-refused", "kind", want_kind_name(want->kind), "url", url,
		"reason", reason, NULL);
}

/* May something new come in this hour? */
static bool
has_room_for_new(struct fetcher *fetcher)
{
	int64_t now = clock_now();

	if (now >= fetcher->new_hour + 3600 || now < fetcher->new_hour) {
		fetcher->new_hour = now;
		fetcher->new_in_hour = 0;
	}
	return fetcher->new_in_hour < settings_of(fetcher)->new_per_hour;
}

/* Is it known already, so that it costs nothing new? */
static struct fetch_item *
find_known(struct fetcher *fetcher, const struct want *want)
{
	char url[FETCH_URL_MAX + 1];

	if (want->url_len > FETCH_URL_MAX)
		return NULL;
	memcpy(url, want->url, want->url_len);
	url[want->url_len] = '\0';
	return fetch_list_find(fetcher->list, want->kind, url, want->name);
}

/* Nobody is to wait for a CA's certificate that is never asked for. */
static void
refuse_ca(struct fetcher *fetcher, const struct want *want)
{
	char url[WANT_MAX + 1], name[WANT_NAME_MAX + 1];

	if (want->kind != WANT_CA || fetcher->n_refused >= REFUSED_MAX || want->url_len > WANT_MAX)
		return;
	memcpy(url, want->url, want->url_len);
	url[want->url_len] = '\0';
	if (want_name_of_url(url, name, NULL) != RC_OK)
		return;
	fetch_folder_give_up(settings_of(fetcher)->dir, name, true);
	fetcher->n_refused++;
}

/* Something new, when it may be asked. */
static void
ask_new(struct fetcher *fetcher, const struct want *want, bool permanent)
{
	struct fetch_item *item = NULL, *lost = NULL;
	struct err err = ERR_INIT;
	struct fetch_url url;
	bool is_new;
	enum rc rc = fetch_url_parse(want->url, want->url_len, &url, &err);

	if (rc == RC_OK)
		rc = fetch_settings_allow(settings_of(fetcher), &url, &err);
	if (rc == RC_OK && want->kind == WANT_OCSP &&
		(url.scheme == FETCH_LDAP || !fetched_is_request(want->request, want->request_len)))
		rc = err_set(&err, ERR_FETCH_URL, "it is no OCSP request about one certificate");
	if (rc != RC_OK) {
		turn_away(fetcher, want, err.detail);
		refuse_ca(fetcher, want);
		return;
	}
	rc = fetch_list_ask(
		fetcher->list, want, url.host, clock_now(), &item, &is_new, &lost, &err);
	if (lost)
		fetch_folder_remove(settings_of(fetcher)->dir, lost);
	fetch_item_free(&lost);
	if (rc != RC_OK) {
		turn_away(fetcher, want, rc == RC_NONE ? "fetch.max_items" : err.detail);
		return;
	}
	item->permanent = permanent;
	fetcher->new_in_hour++;
	fetcher->changed = true;
}

/* What is there of a CA that was not known before may be anybody's: it is asked for anew. */
static void
hasten(struct fetcher *fetcher, struct fetch_item *item)
{
	if (item->kind != WANT_CRL || item->busy || !fetcher->issuer_came ||
		clock_monotonic_ms() - fetcher->issuer_came > ISSUER_MS)
		return;
	item->next = clock_now();
	*item->etag = *item->modified = '\0';
	fetcher->next = 0;
}

void
fetcher_ask(struct fetcher *fetcher, const struct want *want, bool permanent)
{
	struct fetch_item *item = find_known(fetcher, want);

	counter_add(COUNTER_FETCH_WANTED, 1);
	if (item) {
		fetcher->changed |= clock_now() - item->asked > ASKED_S;
		item->asked = clock_now();
		item->permanent |= permanent;
		hasten(fetcher, item);
	} else if (permanent || has_room_for_new(fetcher)) {
		ask_new(fetcher, want, permanent);
		fetcher->next = 0;
	} else {
		turn_away(fetcher, want, "fetch.new_per_hour");
	}
}

/* What the configuration names always. */
void
fetcher_ask_permanent(struct fetcher *fetcher)
{
	const struct fetch_settings *s = settings_of(fetcher);

	for (size_t i = 0; i < fetch_list_count(fetcher->list); i++)
		fetch_list_at(fetcher->list, i)->permanent = false;
	for (int kind = WANT_CRL; kind <= WANT_CA; kind++)
		for (size_t i = 0; i < s->n_urls[kind]; i++) {
			struct want want = {.verb = WANT_FETCH,
				.kind = (enum want_kind)kind,
				.url = s->urls[kind][i],
				.url_len = strlen(s->urls[kind][i])};

			fetcher_ask(fetcher, &want, true);
		}
}

/* --- the operator's questions --- */

static void
answer_status(struct fetcher *fetcher, struct buf *out)
{
	size_t n = fetch_list_count(fetcher->list), failing = 0, missing = 0, busy = 0;
	struct json json;

	for (size_t i = 0; i < n; i++) {
		const struct fetch_item *item = fetch_list_at(fetcher->list, i);

		failing += item->failures > 0;
		missing += item->fetched == 0;
		busy += item->busy;
	}
	json_init(&json, out);
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	json_int(&json, "items", (int64_t)n);
	json_int(&json, "busy", (int64_t)busy);
	json_int(&json, "failing", (int64_t)failing);
	json_int(&json, "never_fetched", (int64_t)missing);
	json_int(&json, "wanted", counter_get(COUNTER_FETCH_WANTED));
	json_int(&json, "turned_away", counter_get(COUNTER_FETCH_TURNED_AWAY));
	json_int(&json, "fetched", counter_get(COUNTER_FETCHED));
	json_int(&json, "unchanged", counter_get(COUNTER_FETCHED_UNCHANGED));
	json_int(&json, "failed", counter_get(COUNTER_FETCH_FAILED));
	json_int(&json, "kilobytes", counter_get(COUNTER_FETCHED_KB));
	json_object_end(&json);
	(void)json_end(&json, NULL);
}

/* Everything, or one URL, whatever was planned. */
static void
answer_now(struct fetcher *fetcher, const struct want *want, struct buf *out)
{
	int64_t found = 0, now = clock_now();
	struct json json;

	for (size_t i = 0; i < fetch_list_count(fetcher->list); i++) {
		struct fetch_item *item = fetch_list_at(fetcher->list, i);

		if (want->url && (strlen(item->url) != want->url_len ||
					 memcmp(item->url, want->url, want->url_len) != 0))
			continue;
		item->next = now;
		found++;
	}
	fetcher->next = 0;
	json_init(&json, out);
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	json_int(&json, "items", found);
	json_object_end(&json);
	(void)json_end(&json, NULL);
}

/* A CA that somebody had a path over. */
static void
take_issuer(struct fetcher *fetcher, const struct want *want)
{
	struct err err = ERR_INIT;
	enum rc rc = fetch_issuers_add(
		settings_of(fetcher)->dir, &fetcher->known, want->request, want->request_len, &err);

	if (rc == RC_OK)
		fetcher->issuer_came = clock_monotonic_ms();
	else if (rc != RC_NONE)
		log_error(LOGL_WARN, NULL, "issuer-not-kept", &err, NULL);
}

static void
take_want(void *ctx, const struct want *want, struct buf *out)
{
	if (want->verb == WANT_STATUS)
		answer_status(ctx, out);
	else if (want->verb == WANT_NOW)
		answer_now(ctx, want, out);
	else if (want->verb == WANT_ISSUER)
		take_issuer(ctx, want);
	else
		fetcher_ask(ctx, want, false);
}

/* The first item with a higher id than *PLACE. */
static enum rc
list_item(void *ctx, uint64_t *place, struct buf *out)
{
	struct fetcher *fetcher = ctx;
	size_t low = 0, high = fetch_list_count(fetcher->list);
	struct fetch_item *item;
	struct json json;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (fetch_list_at(fetcher->list, middle)->id <= *place)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == fetch_list_count(fetcher->list))
		return RC_NONE;
	item = fetch_list_at(fetcher->list, low);
	*place = item->id;
	json_init(&json, out);
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	fetch_item_json(item, false, &json);
	json_object_end(&json);
	return json_end(&json, NULL);
}

struct door_handler
fetcher_handler(struct fetcher *fetcher)
{
	return (struct door_handler){take_want, list_item, fetcher};
}
