/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/entity_split.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct entity_split {
	struct buf header; /* with the empty line */
	struct spool *body;
	bool in_body, after_cr;
	bool has_text; /* the present header line is not empty */
};

enum rc
entity_split_new(const struct spool_conf *conf, uint64_t expected, struct entity_split **out,
	struct err *err)
{
	struct entity_split *split = calloc(1, sizeof(*split));
	enum rc rc;

	*out = NULL;
	if (!split)
		return err_set(err, ERR_MEMORY, "entity");
	buf_init(&split->header, ENTITY_HEADER_MAX);
	split->header.wipe = true;
	rc = spool_new(conf, &split->body, err);
	if (rc == RC_OK) {
		spool_expect(split->body, expected);
		*out = split;
	} else {
		entity_split_free(&split);
	}
	return rc;
}

void
entity_split_free(struct entity_split **split)
{
	if (!*split)
		return;
	buf_fini(&(*split)->header);
	spool_free(&(*split)->body);
	free(*split);
	*split = NULL;
}

/* A piece of a header line, or its rest when ENDS says so; a bare LF gets its CR. */
static enum rc
take_header_line(
	struct entity_split *split, const char *data, size_t len, bool ends, struct err *err)
{
	size_t crs = 0, more;
	enum rc rc;

	while (crs < len && data[crs] == '\r')
		crs++;
	split->has_text |= crs < len;
	if (len)
		split->after_cr = data[len - 1] == '\r';
	more = len + (!ends ? 0 : split->after_cr ? 1 : 2);
	/* A header block without an end is no entity, whoever made it. */
	if (more > ENTITY_HEADER_MAX - split->header.len)
		return err_set(err, ERR_MSG_MALFORMED, "no end of the header within %u bytes",
			ENTITY_HEADER_MAX);
	rc = buf_append(&split->header, data, len, err);
	if (rc != RC_OK || !ends)
		return rc;
	rc = buf_append_str(&split->header, split->after_cr ? "\n" : "\r\n", err);
	split->in_body = !split->has_text;
	split->has_text = split->after_cr = false;
	return rc;
}

/* Header bytes up to and with the empty line; *TAKEN tells how many. */
static enum rc
take_header(
	struct entity_split *split, const char *data, size_t len, size_t *taken, struct err *err)
{
	enum rc rc = RC_OK;
	size_t at = 0;

	while (rc == RC_OK && at < len && !split->in_body) {
		const char *lf = memchr(data + at, '\n', len - at);
		size_t n = lf ? (size_t)(lf - (data + at)) : len - at;

		rc = take_header_line(split, data + at, n, lf != NULL, err);
		at += n + (lf != NULL);
	}
	*taken = at;
	return rc;
}

/* Runs of lines that end as they should go in one piece; a bare LF gets its CR. */
static enum rc
take_body(struct entity_split *split, const char *data, size_t len, struct err *err)
{
	const char *run = data, *at = data, *end = data + len, *lf;
	enum rc rc = RC_OK;

	while (rc == RC_OK && (lf = memchr(at, '\n', (size_t)(end - at)))) {
		at = lf + 1;
		if (lf > data ? lf[-1] == '\r' : split->after_cr)
			continue;
		rc = spool_append(split->body, run, (size_t)(lf - run), err);
		if (rc == RC_OK)
			rc = spool_append(split->body, "\r\n", 2, err);
		run = at;
	}
	if (rc == RC_OK)
		rc = spool_append(split->body, run, (size_t)(end - run), err);
	split->after_cr = end[-1] == '\r';
	return rc;
}

static enum rc
split_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	struct entity_split *split = ctx;
	size_t taken = 0;
	enum rc rc = RC_OK;

	if (!split->in_body)
		rc = take_header(split, data, len, &taken, err);
	if (rc != RC_OK || taken == len)
		return rc;
	return take_body(split, (const char *)data + taken, len - taken, err);
}

struct sink
entity_split_sink(struct entity_split *split)
{
	return (struct sink){.feed = split_feed, .ctx = split};
}

/* Content-Type is the default text/plain when there is none, but something has to speak of the
 * content. */
static bool
says_content(const struct hdrs *hdrs)
{
	for (size_t i = 0; i < hdrs->n; i++)
		if (strncasecmp(hdrs->v[i].name, "Content-", 8) == 0)
			return true;
	return false;
}

/* Either an empty header, or fields only, of which one says what the content is. They go into the
 * message's header, so none may hold what could end a line there. */
static enum rc
check_header(
	const struct entity_split *split, const struct hdrs *hdrs, size_t used, struct err *err)
{
	if (!split->in_body || used != split->header.len)
		return err_set(err, ERR_MSG_MALFORMED, "no MIME entity");
	if (hdrs->n > 0 && !says_content(hdrs))
		return err_set(err, ERR_MSG_MALFORMED, "no Content-* field inside");
	if (hdrs->n > ENTITY_FIELDS_MAX)
		return err_set(err, ERR_MSG_MALFORMED, "%zu header fields inside", hdrs->n);
	for (size_t i = 0; i < hdrs->n; i++) {
		const struct hdr *hdr = &hdrs->v[i];

		if (hdr->value_len > ENTITY_FIELD_MAX || memchr(hdr->value, '\0', hdr->value_len) ||
			memchr(hdr->value, '\r', hdr->value_len))
			return err_set(err, ERR_MSG_MALFORMED, "a bad header field inside");
	}
	return RC_OK;
}

enum rc
entity_split_take(struct entity_split *split, struct inner *out, struct err *err)
{
	size_t used = 0;
	enum rc rc;

	memset(out, 0, sizeof(*out));
	hdrs_init(&out->hdrs);
	rc = hdrs_parse(buf_text(&split->header), split->header.len, &out->hdrs, &used, err);
	if (rc == RC_OK)
		rc = check_header(split, &out->hdrs, used, err);
	if (rc == RC_OK)
		rc = mime_parse(&out->hdrs, split->body, &out->root, err);
	if (rc == RC_OK) {
		out->body = split->body;
		split->body = NULL; /* the inner entity's now */
	} else {
		inner_fini(out);
	}
	return rc;
}

void
inner_fini(struct inner *inner)
{
	entity_free(&inner->root);
	spool_free(&inner->body);
	hdrs_fini(&inner->hdrs);
	memset(inner, 0, sizeof(*inner));
}
