/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/bulk_vault.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum rc
add_owner(struct bulk_keys *keys, const char *addr, size_t key, size_t *room, struct err *err)
{
	if (keys->n_owners == *room) {
		size_t more = *room * 2 + 256;
		void *owners = realloc(keys->owners, more * sizeof(*keys->owners));

		if (!owners)
			return err_set(err, ERR_MEMORY, "addresses");
		keys->owners = owners;
		*room = more;
	}
	keys->owners[keys->n_owners++] = (struct bulk_owner){addr, key};
	return RC_OK;
}

/* What a key's object says; texts stay where they are. */
static struct bulk_key
key_of(const struct json_value *object)
{
	const char *until = json_get_text(object, "not_after");
	struct bulk_key key = {
		.id = json_get_text(object, "key"),
		.status = json_get_text(object, "status"),
		.purpose = json_get_text(object, "purpose"),
		.name = json_get_text(object, "name"),
		.subject = json_get_text(object, "subject"),
		.issuer = json_get_text(object, "issuer"),
		.serial = json_get_text(object, "serial"),
		.addrs = json_find(object, "addresses"),
	};

	if (until)
		(void)clock_parse(until, &key.not_after, NULL);
	/* Who was given no name goes by the address. */
	for (size_t i = 0; key.name && key.addrs && i < json_count(key.addrs); i++)
		if (strcasecmp(json_text(json_at(key.addrs, i)), key.name) == 0) {
			key.name = NULL;
			break;
		}
	return key;
}

/* The name that certificates of our own carry as issuer. */
static enum rc
add_own_ca(struct bulk_keys *keys, const char *subject, struct err *err)
{
	const char **more;

	if (!subject)
		return RC_OK;
	more = realloc(keys->own_cas, (keys->n_own_cas + 1) * sizeof(*more));
	if (!more)
		return err_set(err, ERR_MEMORY, "names of CAs");
	keys->own_cas = more;
	keys->own_cas[keys->n_own_cas++] = subject;
	return RC_OK;
}

static enum rc
add_page(struct bulk_keys *keys, struct json_value *page, size_t *room, struct err *err)
{
	const struct json_value *list = json_find(page, "keys");
	size_t n = list ? json_count(list) : 0;
	void *pages = realloc(keys->pages, (keys->n_pages + 1) * sizeof(*keys->pages));
	void *v = pages ? realloc(keys->v, (keys->n + n + 1) * sizeof(*keys->v)) : NULL;
	enum rc rc = RC_OK;

	if (pages)
		keys->pages = pages;
	if (v)
		keys->v = v;
	if (!v) {
		json_free(&page);
		return err_set(err, ERR_MEMORY, "keys");
	}
	keys->pages[keys->n_pages++] = page;
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		struct bulk_key key = key_of(json_at(list, i));

		if (!key.id || !key.status || !key.purpose)
			continue;
		if (strcmp(key.purpose, "ca") == 0) {
			rc = add_own_ca(keys, key.subject, err);
			continue;
		}
		keys->v[keys->n] = key;
		for (size_t k = 0; rc == RC_OK && key.addrs && k < json_count(key.addrs); k++)
			rc = add_owner(keys, json_text(json_at(key.addrs, k)), keys->n, room, err);
		keys->n++;
	}
	return rc;
}

static int
compare_owners(const void *a, const void *b)
{
	const struct bulk_owner *x = a, *y = b;
	int order = strcasecmp(x->addr, y->addr);

	return order ? order : (x->key > y->key) - (x->key < y->key);
}

enum rc
bulk_keys_load(struct conf *conf, struct bulk_keys *out, struct err *err)
{
	char after[128] = "";
	size_t room = 0;
	enum rc rc = RC_OK;

	*out = (struct bulk_keys){.n = 0};
	while (rc == RC_OK) {
		struct json_value *answer = NULL;
		struct asking asking;
		const char *next;

		asking_begin(&asking, "key.list");
		json_str(&asking.json, "after", *after ? after : NULL);
		json_bool(&asking.json, "full", true);
		rc = asking_send(&asking, conf, NULL, &answer, err);
		if (rc != RC_OK)
			break;
		next = json_get_text(answer, "next");
		snprintf(after, sizeof(after), "%s", next ? next : "");
		rc = add_page(out, answer, &room, err);
		if (!*after)
			break;
	}
	if (rc == RC_OK && out->n_owners)
		qsort(out->owners, out->n_owners, sizeof(*out->owners), compare_owners);
	if (rc != RC_OK)
		bulk_keys_fini(out);
	return rc;
}

void
bulk_keys_fini(struct bulk_keys *keys)
{
	for (size_t i = 0; i < keys->n_pages; i++)
		json_free(&keys->pages[i]);
	free(keys->pages);
	free(keys->v);
	free(keys->owners);
	free(keys->own_cas);
	*keys = (struct bulk_keys){.n = 0};
}

size_t
bulk_keys_of(const struct bulk_keys *keys, const char *addr, size_t *n)
{
	size_t low = 0, high = keys->n_owners;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcasecmp(keys->owners[middle].addr, addr) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (*n = 0;
		low + *n < keys->n_owners && strcasecmp(keys->owners[low + *n].addr, addr) == 0;)
		++*n;
	return low;
}

const struct bulk_key *
bulk_key_find(const struct bulk_keys *keys, const char *id)
{
	for (size_t i = 0; i < keys->n; i++)
		if (strcmp(keys->v[i].id, id) == 0)
			return &keys->v[i];
	return NULL;
}

bool
bulk_key_is_active(const struct bulk_key *key)
{
	return strcmp(key->status, "active") == 0;
}

bool
bulk_key_is_from(const struct bulk_keys *keys, const struct bulk_key *key, const char *issuer)
{
	if (!key->serial || !key->issuer)
		return false;
	if (issuer)
		return strstr(key->issuer, issuer) != NULL;
	for (size_t i = 0; i < keys->n_own_cas; i++)
		if (strcmp(keys->own_cas[i], key->issuer) == 0)
			return false;
	return true;
}

const struct bulk_key *
bulk_key_of(const struct bulk_keys *keys, const char *addr, const char *issuer, bool also_others)
{
	size_t n, first = bulk_keys_of(keys, addr, &n);
	const struct bulk_key *best = NULL;

	for (size_t i = first; i < first + n; i++) {
		const struct bulk_key *key = &keys->v[keys->owners[i].key];
		bool active = bulk_key_is_active(key), better;

		if ((!active && !also_others) || !bulk_key_is_from(keys, key, issuer))
			continue;
		better = !best || (active && !bulk_key_is_active(best)) ||
			 (active == bulk_key_is_active(best) && key->not_after > best->not_after);
		if (better)
			best = key;
	}
	return best;
}
