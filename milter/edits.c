/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/edits.h"

#include <libmilter/mfapi.h>

#include <string.h>

/* A line end that is not followed by a blank would begin a field that nobody decided on. */
static bool
is_folded_well(const char *value)
{
	for (const char *p = value; (p = strchr(p, '\n')); p++)
		if (p[1] != ' ' && p[1] != '\t')
			return false;
	return !strchr(value, '\r');
}

static enum rc
check_edit(const struct edit *edit, unsigned long actions, struct err *err)
{
	unsigned long needed = edit->kind == EDIT_DELETE || edit->kind == EDIT_CHANGE
				       ? SMFIF_CHGHDRS
				       : SMFIF_ADDHDRS;
	size_t len = strlen(edit->name) + (edit->value ? strlen(edit->value) : 0);

	if (!(actions & needed))
		return err_set(err, ERR_INTERNAL, "the MTA does not let us edit header fields");
	if (!edit->value && edit->kind != EDIT_DELETE)
		return err_set(err, ERR_INTERNAL, "edit of %s without a value", edit->name);
	if (len > EDITS_MAX_HEADER)
		return err_set(err, ERR_INTERNAL, "header field %s of %zu bytes cannot be sent",
			edit->name, len);
	if (strpbrk(edit->name, "\r\n:") || (edit->value && !is_folded_well(edit->value)))
		return err_set(err, ERR_INTERNAL, "malformed edit of a header field");
	return RC_OK;
}

enum rc
edits_check(const struct copy *copy, unsigned long actions, struct err *err)
{
	if (copy->body && !(actions & SMFIF_CHGBODY))
		return err_set(err, ERR_INTERNAL, "the MTA does not let us replace the body");
	if (copy->new_ret && !(actions & SMFIF_CHGFROM))
		return err_set(err, ERR_INTERNAL, "the MTA does not let us change the envelope");
	for (size_t i = 0; i < copy->n_edits; i++) {
		enum rc rc = check_edit(&copy->edits[i], actions, err);

		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}
