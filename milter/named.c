/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whom To: and Cc: name, for an envelope must not tell its readers of anybody else. Sorted, since a
 * thousand recipients are looked for among a thousand.
 */
#include "milter/tx.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int
compare(const void *a, const void *b)
{
	return strcasecmp(*(char *const *)a, *(char *const *)b);
}

static bool
has(const struct addrlist *list, const char *addr)
{
	return list->n && bsearch(&addr, list->v, list->n, sizeof(*list->v), compare);
}

/* MORE's addresses go over to LIST. */
static enum rc
join(struct addrlist *list, struct addrlist *more, struct err *err)
{
	char **v = more->n ? realloc(list->v, (list->n + more->n) * sizeof(*v)) : list->v;

	if (more->n && !v)
		return err_set(err, ERR_MEMORY, "recipients in the header");
	list->v = v;
	for (size_t i = 0; i < more->n; i++)
		list->v[list->n++] = more->v[i];
	more->n = 0;
	return RC_OK;
}

static enum rc
read_fields(struct transaction *tx, const char *name, struct err *err)
{
	const struct hdr *hdr;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && (hdr = hdrs_find(&tx->msg->hdrs, name, i)); i++) {
		struct addrlist one;

		rc = addrlist_parse(hdr->value, hdr->value_len, &one, err);
		if (rc == RC_OK) {
			rc = join(&tx->named, &one, err);
			addrlist_fini(&one);
		} else if (rc == RC_PERM) {
			rc = RC_OK; /* names nobody that we can read: a copy of one's own then */
		}
	}
	return rc;
}

/* The same people under the one address that each has with us. */
static enum rc
read_persons(struct transaction *tx, struct err *err)
{
	char person[ADDR_MAX + 1];
	size_t n = tx->named.n;

	tx->named_persons.v = calloc(n ? n : 1, sizeof(*tx->named_persons.v));
	if (!tx->named_persons.v)
		return err_set(err, ERR_MEMORY, "recipients in the header");
	for (size_t i = 0; i < n; i++) {
		engine_person(tx->engine, tx->named.v[i], person);
		tx->named_persons.v[i] = strdup(person);
		if (!tx->named_persons.v[i])
			return err_set(err, ERR_MEMORY, "recipients in the header");
		tx->named_persons.n++;
	}
	qsort(tx->named_persons.v, n, sizeof(*tx->named_persons.v), compare);
	return RC_OK;
}

enum rc
named_has(
	struct transaction *tx, const struct rcpt *rcpt, bool inside, bool *named, struct err *err)
{
	enum rc rc = RC_OK;

	if (!tx->named_known) {
		rc = read_fields(tx, "To", err);
		if (rc == RC_OK)
			rc = read_fields(tx, "Cc", err);
		if (rc == RC_OK && tx->named.n)
			qsort(tx->named.v, tx->named.n, sizeof(*tx->named.v), compare);
		tx->named_known = rc == RC_OK;
	}
	*named = rc == RC_OK && has(&tx->named, rcpt->addr);
	if (rc != RC_OK || *named || !inside)
		return rc;
	if (!tx->named_persons.v)
		rc = read_persons(tx, err);
	*named = rc == RC_OK && has(&tx->named_persons, rcpt->person);
	return rc;
}
