/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/fetch_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
hex_digit(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* The item's request, as it was asked for, gets its nonce. */
static enum rc
make_request(
	const struct fetch_item *item, enum fetched_nonce nonce, struct buf *out, struct err *err)
{
	struct buf der = BUF_INIT(WANT_MAX);
	enum rc rc = RC_OK;

	for (const char *p = item->request_hex; rc == RC_OK && p[0] && p[1]; p += 2)
		rc = buf_append_char(&der, (char)(hex_digit(p[0]) * 16 + hex_digit(p[1])), err);
	if (rc == RC_OK)
		rc = fetched_ask(buf_text(&der), der.len, nonce, out, err);
	buf_fini(&der);
	return rc;
}

enum rc
fetch_job_new(const struct fetch_item *item, const struct fetch_settings *settings,
	struct fetch_job **out, struct err *err)
{
	struct fetch_job *job = calloc(1, sizeof(*job));
	enum rc rc = RC_OK;

	*out = NULL;
	if (!job)
		return err_set(err, ERR_MEMORY, "a transfer");
	job->item = item->id;
	job->kind = item->kind;
	snprintf(job->url, sizeof(job->url), "%s", item->url);
	snprintf(job->host, sizeof(job->host), "%s", item->host);
	snprintf(job->etag, sizeof(job->etag), "%s", item->etag);
	snprintf(job->modified, sizeof(job->modified), "%s", item->modified);
	job->data = (struct buf)BUF_INIT(settings->max_bytes[item->kind]);
	job->request = (struct buf)BUF_INIT(WANT_MAX);
	if (item->kind == WANT_OCSP)
		rc = make_request(item, settings->nonce, &job->request, err);
	if (rc == RC_OK)
		*out = job;
	else
		fetch_job_free(&job);
	return rc;
}

void
fetch_job_free(struct fetch_job **job)
{
	if (!*job)
		return;
	buf_fini(&(*job)->data);
	buf_fini(&(*job)->request);
	free(*job);
	*job = NULL;
}
