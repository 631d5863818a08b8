/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/fetch_list.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BUCKETS 4096u /* a power of two */

struct fetch_list {
	struct fetch_item **v; /* by id */
	size_t n, max;
	uint64_t last_id, key;
	struct fetch_item *buckets[BUCKETS];
};

enum rc
fetch_list_new(size_t max, struct fetch_list **out, struct err *err)
{
	struct fetch_list *list = calloc(1, sizeof(*list));

	*out = NULL;
	if (list)
		list->v = calloc(max, sizeof(*list->v));
	if (!list || !list->v) {
		free(list);
		return err_set(err, ERR_MEMORY, "list of URLs");
	}
	list->max = max;
	/* Who chooses URLs must not choose where they fall; without it they merely are slower. */
	(void)!getrandom(&list->key, sizeof(list->key), GRND_NONBLOCK);
	*out = list;
	return RC_OK;
}

void
fetch_item_free(struct fetch_item **item)
{
	if (!*item)
		return;
	free((*item)->url);
	free((*item)->request_hex);
	free(*item);
	*item = NULL;
}

void
fetch_list_free(struct fetch_list **list)
{
	if (!*list)
		return;
	for (size_t i = 0; i < (*list)->n; i++)
		fetch_item_free(&(*list)->v[i]);
	free((*list)->v);
	free(*list);
	*list = NULL;
}

size_t
fetch_list_count(const struct fetch_list *list)
{
	return list->n;
}

struct fetch_item *
fetch_list_at(const struct fetch_list *list, size_t i)
{
	return list->v[i];
}

static unsigned
bucket_of(const struct fetch_list *list, enum want_kind kind, const char *url)
{
	uint64_t h = list->key ^ ((uint64_t)kind << 32);

	for (; *url; url++)
		h = (h ^ (unsigned char)*url) * UINT64_C(0x9e3779b97f4a7c15), h ^= h >> 29;
	return (unsigned)(h >> 17) & (BUCKETS - 1);
}

struct fetch_item *
fetch_list_find(
	const struct fetch_list *list, enum want_kind kind, const char *url, const char *name)
{
	struct fetch_item *item = list->buckets[bucket_of(list, kind, url)];

	for (; item; item = item->same)
		if (item->kind == kind && strcmp(item->url, url) == 0 &&
			(kind != WANT_OCSP || strcmp(item->name, name) == 0))
			return item;
	return NULL;
}

/* Where ID is or would be. */
static size_t
place_of(const struct fetch_list *list, uint64_t id)
{
	size_t low = 0, high = list->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (list->v[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct fetch_item *
fetch_list_by_id(const struct fetch_list *list, uint64_t id)
{
	size_t i = place_of(list, id);

	return i < list->n && list->v[i]->id == id ? list->v[i] : NULL;
}

/* Takes ITEM out without freeing it. */
static void
take_out(struct fetch_list *list, struct fetch_item *item)
{
	struct fetch_item **p = &list->buckets[bucket_of(list, item->kind, item->url)];
	size_t i = place_of(list, item->id);

	while (*p != item)
		p = &(*p)->same;
	*p = item->same;
	memmove(&list->v[i], &list->v[i + 1], (list->n - i - 1) * sizeof(*list->v));
	list->n--;
}

void
fetch_list_remove(struct fetch_list *list, struct fetch_item *item)
{
	take_out(list, item);
	fetch_item_free(&item);
}

/* There is room. */
static void
put_in(struct fetch_list *list, struct fetch_item *item)
{
	unsigned b = bucket_of(list, item->kind, item->url);

	item->id = ++list->last_id;
	item->same = list->buckets[b];
	list->buckets[b] = item;
	list->v[list->n++] = item;
}

/* Should A go rather than B? */
static bool
is_worse(const struct fetch_item *a, const struct fetch_item *b)
{
	if ((a->fetched == 0) != (b->fetched == 0))
		return a->fetched == 0;
	return a->asked < b->asked;
}

/* Whoever writes certificates can fill the list with URLs; what works is not pushed out by what
 * never did, and a kind only by itself. */
static struct fetch_item *
find_loser(const struct fetch_list *list, enum want_kind kind)
{
	struct fetch_item *worst = NULL;

	for (size_t i = 0; i < list->n; i++) {
		struct fetch_item *item = list->v[i];

		if (item->permanent || item->busy || (item->fetched && item->kind != kind))
			continue;
		if (!worst || is_worse(item, worst))
			worst = item;
	}
	return worst;
}

/* A new item, not yet in the list. */
static enum rc
make_item(const struct want *want, const char *host, struct fetch_item **out, struct err *err)
{
	struct fetch_item *item = calloc(1, sizeof(*item));
	struct buf hex = BUF_INIT(0);
	enum rc rc = item ? RC_OK : err_set(err, ERR_MEMORY, "a URL");

	*out = NULL;
	if (rc == RC_OK) {
		item->kind = want->kind;
		item->begins = item->ends = -1;
		item->url = strndup(want->url, want->url_len);
		snprintf(item->host, sizeof(item->host), "%s", host);
		if (!item->url)
			rc = err_set(err, ERR_MEMORY, "a URL");
	}
	if (rc == RC_OK && want->kind == WANT_OCSP) {
		strcpy(item->name, want->name);
		rc = buf_append_hex(&hex, want->request, want->request_len, err);
		if (rc == RC_OK && !(item->request_hex = strdup(buf_text(&hex))))
			rc = err_set(err, ERR_MEMORY, "an OCSP request");
	} else if (rc == RC_OK) {
		rc = want_name_of_url(item->url, item->name, err);
	}
	buf_fini(&hex);
	if (rc == RC_OK)
		*out = item;
	else
		fetch_item_free(&item);
	return rc;
}

enum rc
fetch_list_ask(struct fetch_list *list, const struct want *want, const char *host, int64_t now,
	struct fetch_item **out, bool *is_new, struct fetch_item **lost, struct err *err)
{
	struct fetch_item *item;
	char *url = strndup(want->url, want->url_len);
	enum rc rc;

	*out = *lost = NULL;
	*is_new = false;
	if (!url)
		return err_set(err, ERR_MEMORY, "a URL");
	item = fetch_list_find(list, want->kind, url, want->name);
	free(url);
	if (item) {
		item->asked = now;
		*out = item;
		return RC_OK;
	}
	if (list->n >= list->max) {
		*lost = find_loser(list, want->kind);
		if (!*lost)
			return RC_NONE;
		take_out(list, *lost);
	}
	rc = make_item(want, host, &item, err);
	if (rc != RC_OK)
		return rc;
	item->asked = now;
	item->next = now;
	put_in(list, item);
	*is_new = true;
	*out = item;
	return RC_OK;
}

void
fetch_item_path(const struct fetch_item *item, char *out, size_t size)
{
	static const struct {
		const char *folder, *suffix;
	} places[WANT_KINDS] = {{"crl", ".crl"}, {"aia", ".cer"}, {"ocsp", ""}};

	snprintf(out, size, "%s/%s%s", places[item->kind].folder, item->name,
		places[item->kind].suffix);
}
