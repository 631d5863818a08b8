/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/edit_list.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum rc
edit_list_add(struct copy *copy, enum edit_kind kind, const char *name, size_t index,
	const char *value, struct err *err)
{
	size_t name_size = strlen(name) + 1, value_size = value ? strlen(value) + 1 : 0;
	struct edit *v = copy->edits, *edit;

	if (copy->n_edits == 0 ||
		(copy->n_edits >= 8 && (copy->n_edits & (copy->n_edits - 1)) == 0))
		v = realloc(copy->edits, (copy->n_edits ? copy->n_edits * 2 : 8) * sizeof(*v));
	if (!v)
		return err_set(err, ERR_MEMORY, "edits");
	copy->edits = v;
	edit = &v[copy->n_edits];
	*edit = (struct edit){.kind = kind, .name = malloc(name_size + value_size), .index = index};
	if (!edit->name)
		return err_set(err, ERR_MEMORY, "edits");
	memcpy(edit->name, name, name_size);
	if (value)
		edit->value = memcpy(edit->name + name_size, value, value_size);
	copy->n_edits++;
	return RC_OK;
}

/* Which of its name, from 1, is field I? */
static size_t
index_of(const struct hdrs *hdrs, size_t i)
{
	size_t n = 1;

	for (size_t k = 0; k < i; k++)
		n += strcasecmp(hdrs->v[k].name, hdrs->v[i].name) == 0;
	return n;
}

static bool
is_content(const char *name)
{
	return strncasecmp(name, "Content-", 8) == 0;
}

enum rc
edit_list_delete(struct copy *copy, const struct hdrs *hdrs, const char *name, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = hdrs->n; rc == RC_OK && i-- > 0;)
		if (strcasecmp(hdrs->v[i].name, name) == 0)
			rc = edit_list_add(
				copy, EDIT_DELETE, hdrs->v[i].name, index_of(hdrs, i), NULL, err);
	return rc;
}

/* Field I gives way to NEW, or goes when that is NULL. */
static enum rc
give_way(struct copy *copy, const struct hdrs *hdrs, size_t i, const struct hdr *new,
	struct err *err)
{
	const struct hdr *old = &hdrs->v[i];

	if (!new)
		return edit_list_add(copy, EDIT_DELETE, old->name, index_of(hdrs, i), NULL, err);
	if (old->value_len == new->value_len && old->gap_len == 0 &&
		memcmp(old->value, new->value, new->value_len) == 0)
		return RC_OK;
	return edit_list_add(copy, EDIT_CHANGE, new->name, index_of(hdrs, i), new->value, err);
}

/*
 * What is there already stays, and what is there with another value is changed where it stands:
 * each edit is a packet and wakes the MTA. From the last of a name to the first, as for deletions.
 */
static enum rc
replace_where(
	struct copy *copy, const struct hdrs *hdrs, const struct hdrs *content, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = hdrs->n; rc == RC_OK && i-- > 0;)
		if (is_content(hdrs->v[i].name))
			rc = give_way(copy, hdrs, i,
				hdrs_find(content, hdrs->v[i].name, index_of(hdrs, i) - 1), err);
	for (size_t i = 0; rc == RC_OK && i < content->n; i++)
		if (index_of(content, i) > hdrs_count(hdrs, content->v[i].name))
			rc = edit_list_add(
				copy, EDIT_ADD, content->v[i].name, 0, content->v[i].value, err);
	return rc;
}

enum rc
edit_list_replace_content(
	struct copy *copy, const struct hdrs *hdrs, const struct hdrs *content, struct err *err)
{
	static char version[] = "MIME-Version", one[] = " 1.0";
	const struct hdr mime = {.name = version, .value = one, .value_len = sizeof(one) - 1};
	bool there = false;
	enum rc rc = RC_OK;

	for (size_t i = hdrs->n; rc == RC_OK && i-- > 0;) {
		if (strcasecmp(hdrs->v[i].name, version) != 0)
			continue;
		there = index_of(hdrs, i) == 1;
		rc = give_way(copy, hdrs, i, there ? &mime : NULL, err);
	}
	if (rc == RC_OK && !there)
		rc = edit_list_add(copy, EDIT_ADD, version, 0, one, err);
	return rc == RC_OK ? replace_where(copy, hdrs, content, err) : rc;
}

enum rc
content_fields(const struct hdrs *hdrs, struct hdrs *out, struct err *err)
{
	enum rc rc = RC_OK;

	hdrs_init(out);
	for (size_t i = 0; rc == RC_OK && i < hdrs->n; i++)
		if (is_content(hdrs->v[i].name))
			rc = hdrs_add(out, hdrs->v[i].name, hdrs->v[i].name_len, hdrs->v[i].value,
				hdrs->v[i].value_len, err);
	return rc;
}

/* Position of the INDEXth (from 1) field called NAME; HDRS->n when there is none. */
static size_t
position(const struct hdrs *hdrs, const char *name, size_t index)
{
	size_t i;

	for (i = 0; i < hdrs->n; i++)
		if (strcasecmp(hdrs->v[i].name, name) == 0 && --index == 0)
			break;
	return i;
}

static enum rc
apply_one(struct hdrs *hdrs, const struct edit *edit, struct err *err)
{
	size_t at = hdrs->n;

	switch (edit->kind) {
	case EDIT_DELETE:
		at = position(hdrs, edit->name, edit->index);
		if (at < hdrs->n)
			hdrs_remove(hdrs, at);
		return RC_OK;
	case EDIT_CHANGE:
		at = position(hdrs, edit->name, edit->index);
		if (at < hdrs->n)
			hdrs_remove(hdrs, at);
		return hdrs_insert(hdrs, at, edit->name, edit->value, err);
	case EDIT_INSERT:
		at = edit->index < hdrs->n ? edit->index : hdrs->n;
		return hdrs_insert(hdrs, at, edit->name, edit->value, err);
	case EDIT_ADD:
	default:
		return hdrs_insert(hdrs, hdrs->n, edit->name, edit->value, err);
	}
}

enum rc
edit_list_apply(const struct copy *copy, const struct hdrs *hdrs, struct hdrs *out, struct err *err)
{
	enum rc rc = hdrs_copy(hdrs, out, err);

	for (size_t i = 0; rc == RC_OK && i < copy->n_edits; i++)
		rc = apply_one(out, &copy->edits[i], err);
	return rc;
}
