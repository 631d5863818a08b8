/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The marks of senders that a rule takes away. The sealed entity has no Subject: of its own, so the
 * message's header is the only place where they stand.
 */
#include "milter/tx.h"

#include "milter/edit_list.h"

#include <string.h>
#include <strings.h>

/* The fields that say what sealgate did are not marks of a sender's. */
static bool
is_ours(const char *name)
{
	return strncasecmp(name, "X-Sealgate-", 11) == 0;
}

/* From the last of a name to the first, as for every deletion. */
enum rc
unmark(const struct transaction *tx, struct copy *copy, struct err *err)
{
	const struct rule *rule = copy->verdicts ? copy->verdicts->unmark : NULL;
	const struct hdrs *hdrs = &tx->msg->hdrs;
	struct buf value = BUF_INIT(HDRS_MAX_BYTES);
	enum rc rc = RC_OK;

	for (size_t i = hdrs->n; rule && rc == RC_OK && i-- > 0;) {
		const struct hdr *hdr = &hdrs->v[i];
		enum unmark what;
		size_t index = 1;

		if (is_ours(hdr->name))
			continue;
		buf_clear(&value);
		rc = rule_unmark(rule, hdr, &what, &value, err);
		if (rc != RC_OK || what == UNMARK_KEEP ||
			(value.len && memchr(value.data, '\0', value.len)))
			continue; /* a milter can't write a NUL */
		for (size_t k = 0; k < i; k++)
			index += strcasecmp(hdrs->v[k].name, hdr->name) == 0;
		rc = edit_list_add(copy, what == UNMARK_DELETE ? EDIT_DELETE : EDIT_CHANGE,
			hdr->name, index, what == UNMARK_DELETE ? NULL : buf_text(&value), err);
	}
	buf_fini(&value);
	return rc;
}
