/* SPDX-License-Identifier: BSD-2-Clause */
/* What of fetch_list.h writes and reads the list. */
#include "directory/fetch_list.h"

#include "base/file.h"
#include "directory/fetch_url.h"

#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 16384
#define FILE_MAX_BYTES (512u << 20)

/* Unset times are left out. */
static void
put_time(struct json *json, const char *key, int64_t at)
{
	if (at > 0)
		json_time(json, key, at);
}

void
fetch_item_json(const struct fetch_item *item, bool full, struct json *json)
{
	char path[WANT_NAME_MAX + 16];

	fetch_item_path(item, path, sizeof(path));
	json_str(json, "kind", want_kind_name(item->kind));
	json_str(json, "url", item->url);
	json_str(json, "file", path);
	json_bool(json, "permanent", item->permanent);
	if (!full)
		json_bool(json, "busy", item->busy);
	if (full) {
		json_str(json, "name", item->name);
		json_str(json, "request", item->request_hex);
		json_str(json, "etag", *item->etag ? item->etag : NULL);
		json_str(json, "modified", *item->modified ? item->modified : NULL);
		json_int(json, "asked", item->asked);
		json_int(json, "fetched", item->fetched);
		json_int(json, "begins", item->begins);
		json_int(json, "ends", item->ends);
		json_int(json, "next", item->next);
		json_int(json, "tried", item->tried);
	} else {
		put_time(json, "asked", item->asked);
		put_time(json, "fetched", item->fetched);
		put_time(json, "begins", item->begins);
		put_time(json, "ends", item->ends);
		put_time(json, "next", item->next);
		put_time(json, "tried", item->tried);
	}
	json_int(json, "failures", item->failures);
	json_str(json, "error", *item->why ? item->why : NULL);
}

enum rc
fetch_list_save(const struct fetch_list *list, const char *path, struct err *err)
{
	struct buf out = BUF_INIT(FILE_MAX_BYTES);
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < fetch_list_count(list); i++) {
		struct json json;

		json_init(&json, &out);
		json_object(&json, NULL);
		fetch_item_json(fetch_list_at(list, i), true, &json);
		json_object_end(&json);
		rc = json_end(&json, err);
		if (rc == RC_OK)
			rc = buf_append_char(&out, '\n', err);
	}
	if (rc == RC_OK)
		rc = file_write(path, buf_text(&out), out.len, 0600, err);
	buf_fini(&out);
	return rc;
}

static bool
copy_text(const struct json_value *line, const char *key, char *out, size_t size)
{
	const char *text = json_get_text(line, key);

	if (text && strlen(text) >= size)
		return false;
	if (text)
		strcpy(out, text);
	return true;
}

static bool
read_kind(const struct json_value *line, enum want_kind *out)
{
	const char *text = json_get_text(line, "kind");

	for (int i = 0; text && i < WANT_KINDS; i++)
		if (strcmp(text, want_kind_name((enum want_kind)i)) == 0) {
			*out = (enum want_kind)i;
			return true;
		}
	return false;
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes of an even number of digits. */
static bool
read_hex(const char *text, unsigned char *out, size_t size, size_t *len)
{
	size_t n = strlen(text);

	if (n % 2 || n / 2 > size)
		return false;
	for (size_t i = 0; i < n / 2; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (unsigned char)(high * 16 + low);
	}
	*len = n / 2;
	return true;
}

/* The item's history, which the want does not have. */
static bool
read_rest(const struct json_value *line, struct fetch_item *item)
{
	item->asked = json_get_int(line, "asked", 0);
	item->fetched = json_get_int(line, "fetched", 0);
	item->begins = json_get_int(line, "begins", -1);
	item->ends = json_get_int(line, "ends", -1);
	item->next = json_get_int(line, "next", 0);
	item->tried = json_get_int(line, "tried", 0);
	item->failures = (long)json_get_int(line, "failures", 0);
	return copy_text(line, "error", item->why, sizeof(item->why)) &&
	       copy_text(line, "etag", item->etag, sizeof(item->etag)) &&
	       copy_text(line, "modified", item->modified, sizeof(item->modified));
}

/* Everything is looked at as if it came from the socket. */
static bool
read_line(struct fetch_list *list, const struct json_value *line)
{
	unsigned char request[WANT_MAX];
	struct want want = {.verb = WANT_FETCH, .request = request};
	const char *hex = json_get_text(line, "request"), *name = json_get_text(line, "name");
	struct fetch_item *item, *lost = NULL;
	struct fetch_url url;
	bool is_new;
	enum rc rc;

	want.url = json_get_text(line, "url");
	if (!want.url || !read_kind(line, &want.kind) || !name || !want_is_name(name, strlen(name)))
		return false;
	want.url_len = strlen(want.url);
	strcpy(want.name, name);
	if (fetch_url_parse(want.url, want.url_len, &url, NULL) != RC_OK)
		return false;
	if (want.kind == WANT_OCSP &&
		(!hex || !read_hex(hex, request, sizeof(request), &want.request_len)))
		return false;
	rc = fetch_list_ask(list, &want, url.host, 0, &item, &is_new, &lost, NULL);
	fetch_item_free(&lost);
	if (rc != RC_OK || !is_new)
		return false;
	if (read_rest(line, item))
		return true;
	fetch_list_remove(list, item);
	return false;
}

enum rc
fetch_list_load(struct fetch_list *list, const char *path, size_t *bad, struct err *err)
{
	struct buf text = BUF_INIT(FILE_MAX_BYTES);
	enum rc rc = file_read(path, &text, err);
	const char *p = buf_text(&text), *end = p + text.len;

	*bad = 0;
	while (rc == RC_OK && p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((nl ? nl : end) - p);
		struct json_value *line = NULL;

		if (len > LINE_MAX_BYTES || json_parse(p, len, &line, NULL) != RC_OK ||
			json_type(line) != JSON_OBJECT || !read_line(list, line))
			++*bad;
		json_free(&line);
		p += len + 1;
	}
	buf_fini(&text);
	return rc == RC_NONE ? RC_OK : rc;
}
