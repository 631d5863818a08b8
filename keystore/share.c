/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/share.h"

#include <stdlib.h>

/* Where SHARE hangs in the list. */
static struct share **
place_of(struct shares *shares, const struct share *share)
{
	struct share **p = &shares->list;

	while (*p != share)
		p = &(*p)->next;
	return p;
}

/* Frees it when nobody needs it. */
static void
drop_unused(struct shares *shares, struct share *share)
{
	if (share->conns > 0 || share->working > 0)
		return;
	*place_of(shares, share) = share->next;
	free(share);
}

struct share *
shares_join(struct shares *shares, int64_t uid)
{
	struct share *share;

	for (share = shares->list; share; share = share->next)
		if (share->uid == uid)
			break;
	if (!share) {
		share = calloc(1, sizeof(*share));
		if (!share)
			return NULL;
		share->uid = uid;
		share->last = &share->first;
		share->next = shares->list;
		shares->list = share;
	}
	share->conns++;
	return share;
}

void
shares_leave(struct shares *shares, struct share *share)
{
	share->conns--;
	drop_unused(shares, share);
}

void
share_line_up(struct conn *conn)
{
	struct share *share = conn->share;

	conn->behind = NULL;
	*share->last = conn;
	share->last = &conn->behind;
	share->waiting++;
}

static bool
may_work(const struct shares *shares, const struct share *share)
{
	return share->first && share->working < shares->limit;
}

bool
shares_have_work(const struct shares *shares)
{
	for (const struct share *share = shares->list; share; share = share->next)
		if (may_work(shares, share))
			return true;
	return false;
}

struct share *
shares_take(struct shares *shares)
{
	struct share *share, **end = &shares->list;

	for (share = shares->list; share && !may_work(shares, share); share = share->next)
		;
	if (!share)
		return NULL;
	share->working++;
	/* To the end: its next turn comes after the others'. */
	*place_of(shares, share) = share->next;
	share->next = NULL;
	while (*end)
		end = &(*end)->next;
	*end = share;
	return share;
}

void
shares_give_back(struct shares *shares, struct share *share)
{
	share->working--;
	drop_unused(shares, share);
}

struct conn *
share_pop(struct share *share)
{
	struct conn *conn = share->first;

	if (!conn)
		return NULL;
	share->first = conn->behind;
	if (!share->first)
		share->last = &share->first;
	share->waiting--;
	return conn;
}
