/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_uses.h"

#include <stdlib.h>
#include <string.h>

#define CLOSED   (UINT64_C(1) << 63)
#define MAX_USES (64u << 20) /* numbers in memory at once: half a gigabyte */

/* Adds N at the end of a list. */
static enum rc
push(uint64_t **v, size_t *n, size_t *room, uint64_t value, struct err *err)
{
	if (*n == *room) {
		size_t more = *room ? 2 * *room : 256;
		uint64_t *grown = more <= MAX_USES ? realloc(*v, more * sizeof **v) : NULL;

		if (!grown)
			return err_set(err, ERR_MEMORY, "%zu uses without an outcome", *n);
		*v = grown;
		*room = more;
	}
	(*v)[(*n)++] = value;
	return RC_OK;
}

/* Takes those out that are closed. */
static void
sweep(struct ledger_uses *uses)
{
	size_t to = 0;

	for (size_t i = 0; i < uses->n_open; i++)
		if (!(uses->open[i] & CLOSED))
			uses->open[to++] = uses->open[i];
	uses->n_open = to;
	uses->n_closed = 0;
}

enum rc
ledger_uses_intent(struct ledger_uses *uses, uint64_t seq, struct err *err)
{
	if (uses->n_open == uses->room_open && uses->n_closed > uses->n_open / 2)
		sweep(uses);
	return push(&uses->open, &uses->n_open, &uses->room_open, seq, err);
}

/* Closes INTENT. False: it is not open here. */
static bool
close_one(struct ledger_uses *uses, uint64_t intent)
{
	size_t low = 0, high = uses->n_open;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if ((uses->open[middle] & ~CLOSED) < intent)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == uses->n_open || uses->open[low] != intent)
		return false;
	uses->open[low] |= CLOSED;
	uses->n_closed++;
	return true;
}

enum rc
ledger_uses_outcome(struct ledger_uses *uses, uint64_t intent, struct err *err)
{
	if (close_one(uses, intent))
		return RC_OK;
	return push(&uses->early, &uses->n_early, &uses->room_early, intent, err);
}

enum rc
ledger_uses_join(struct ledger_uses *uses, struct ledger_uses *next, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < next->n_early && rc == RC_OK; i++)
		if (!close_one(uses, next->early[i]))
			rc = push(&uses->early, &uses->n_early, &uses->room_early, next->early[i],
				err);
	sweep(uses);
	for (size_t i = 0; i < next->n_open && rc == RC_OK; i++)
		if (!(next->open[i] & CLOSED))
			rc = push(&uses->open, &uses->n_open, &uses->room_open, next->open[i], err);
	uses->strays += next->strays;
	ledger_uses_fini(next);
	return rc;
}

void
ledger_uses_end(struct ledger_uses *uses, uint64_t first)
{
	for (size_t i = 0; i < uses->n_early; i++)
		uses->strays += uses->early[i] >= first;
	uses->n_early = 0;
	sweep(uses);
}

void
ledger_uses_each(const struct ledger_uses *uses, void (*each)(void *ctx, uint64_t seq), void *ctx)
{
	for (size_t i = 0; i < uses->n_open; i++)
		if (!(uses->open[i] & CLOSED))
			each(ctx, uses->open[i]);
}

void
ledger_uses_fini(struct ledger_uses *uses)
{
	free(uses->open);
	free(uses->early);
	*uses = (struct ledger_uses){.open = NULL};
}
