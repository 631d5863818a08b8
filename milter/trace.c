/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/trace.h"

#include "base/clock.h"
#include "crypto/digest.h"
#include "milter/marks.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BINDING_SIZE 17 /* hex digits and NUL */

/* What stands for service and sender in the mark. */
static enum rc
binding_of(const struct trace *trace, char out[BINDING_SIZE], struct err *err)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	struct buf text = BUF_INIT(0);
	enum rc rc = buf_append(&text, trace->service, strlen(trace->service) + 1, err);

	if (rc == RC_OK)
		rc = buf_append_str(&text, trace->sender, err);
	if (rc == RC_OK)
		rc = digest_bytes(DIGEST_SHA256, text.data, text.len, hash, err);
	for (size_t i = 0; rc == RC_OK && i < BINDING_SIZE / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
	buf_fini(&text);
	return rc;
}

/* TEXT where it can stand in a Received: line as it is, else "unknown". */
static const char *
word(const char *text)
{
	if (!text || !*text)
		return "unknown";
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~' || strchr("()<>,;\\\"", *p))
			return "unknown";
	return text;
}

enum rc
trace_format(const struct trace *trace, struct buf *out, struct err *err)
{
	const struct envelope_client *client = trace->client;
	char date[40], binding[BINDING_SIZE];
	enum rc rc = binding_of(trace, binding, err);

	clock_format_mail(trace->now, date);
	if (rc == RC_OK)
		rc = buf_appendf(out, err, "Received: from %s (%s [%s])\r\n\tby %s (sealgate)",
			word(client->helo), word(client->name), word(client->addr),
			word(*client->host ? client->host : trace->authserv_id));
	if (rc == RC_OK)
		rc = buf_appendf(out, err, " with %s id %s;\r\n\t%s\r\n",
			trace->authenticated ? "ESMTPA"
			: trace->extended    ? "ESMTP"
					     : "SMTP",
			word(trace->qid), date);
	if (rc == RC_OK)
		rc = buf_appendf(out, err, LOOP_MARK ": %s; h=%s\r\n", trace->authserv_id, binding);
	return rc;
}

/* One mark: "authserv-id" or "authserv-id; h=binding". */
static bool
is_ours(const char *text, const char *authserv_id, const char *binding)
{
	size_t len = strlen(authserv_id);

	if (strncasecmp(text, authserv_id, len) != 0)
		return false;
	text += len;
	text += strspn(text, " \t");
	if (!*text)
		return true;
	if (*text != ';')
		return false;
	text++;
	text += strspn(text, " \t");
	return strncasecmp(text, "h=", 2) != 0 || strcasecmp(text + 2, binding) == 0;
}

enum rc
trace_is_loop(const struct trace *trace, const struct hdrs *hdrs, bool *loop, struct err *err)
{
	struct buf text = BUF_INIT(HDRS_MAX_BYTES);
	char binding[BINDING_SIZE];
	const struct hdr *hdr;
	enum rc rc = RC_OK;

	*loop = false;
	if (!hdrs_find(hdrs, LOOP_MARK, 0))
		return RC_OK;
	rc = binding_of(trace, binding, err);
	for (size_t i = 0; rc == RC_OK && (hdr = hdrs_find(hdrs, LOOP_MARK, i)); i++) {
		buf_clear(&text);
		rc = hdr_unfold(hdr, &text, err);
		*loop |= rc == RC_OK && is_ours(buf_text(&text), trace->authserv_id, binding);
	}
	buf_fini(&text);
	return rc;
}
