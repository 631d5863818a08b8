/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_private.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BATCH_BYTES (1u << 20) /* of lines in one write */
#define LAZY_MAX    4096       /* lazy records waiting; more are written as the others */

/* Adds GROUP at the end of the queue. */
void
ledger_put_group(struct ledger *ledger, struct ledger_group *group)
{
	group->next = NULL;
	*ledger->tail = group;
	ledger->tail = &group->next;
	ledger->open = NULL;
}

/* The group that takes a lazy record of LEN bytes: the last one of the queue, or a new one. */
static struct ledger_group *
open_group(struct ledger *ledger, size_t len)
{
	struct ledger_group *group = ledger->open;

	if (group && group->n < LEDGER_GROUP_MAX && group->text.len + len <= LEDGER_GROUP_BYTES)
		return group;
	group = malloc(sizeof *group);
	if (!group)
		return NULL;
	ledger_group_init(group, ledger);
	group->lazy = true;
	ledger_put_group(ledger, group);
	ledger->open = group;
	return group;
}

bool
ledger_put_lazy(struct ledger *ledger, enum ledger_type type, const struct buf *body)
{
	struct ledger_group *group =
		ledger->n_lazy < LAZY_MAX ? open_group(ledger, body->len) : NULL;

	if (!group || buf_append(&group->text, body->data, body->len, NULL))
		return false;
	group->parts[group->n].type = type;
	group->parts[group->n++].len = (uint32_t)body->len;
	if (!ledger->n_lazy++) {
		ledger->lazy_since = clock_monotonic_ms();
		/* Most go with the next write, long before the keeper would have to look. */
		if (ledger->keeper_until > ledger->lazy_since + LEDGER_LAZY_MS)
			pthread_cond_signal(&ledger->wake);
	}
	return true;
}

struct ledger_group *
ledger_take_batch(struct ledger *ledger)
{
	struct ledger_group *batch = ledger->head, **end = &batch;
	size_t bytes = 0;

	for (; *end; end = &(*end)->next) {
		size_t more = (*end)->text.len + (*end)->n * LEDGER_LINE_OVERHEAD;

		if (bytes > 0 && bytes + more > BATCH_BYTES)
			break;
		bytes += more;
		ledger->n_lazy -= (*end)->lazy ? (*end)->n : 0;
	}
	ledger->head = *end;
	if (!ledger->head) {
		ledger->tail = &ledger->head;
		ledger->open = NULL;
	}
	*end = NULL;
	return batch;
}

/* Changes a turn; gives the futex to be woken, or NULL if nobody sleeps on it. */
static uint32_t *
set_turn(struct ledger_group *group, enum ledger_turn turn)
{
	uint32_t *word = &group->turn;

	return __atomic_exchange_n(word, turn, __ATOMIC_ACQ_REL) == LEDGER_SLEEPS ? word : NULL;
}

/* With LEDGER_DONE the group may be gone by now; waking its address harms nobody. */
void
ledger_wake_turn(uint32_t *word)
{
	if (word)
		(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

enum ledger_turn
ledger_get_turn(const struct ledger_group *group)
{
	return (enum ledger_turn)__atomic_load_n(&group->turn, __ATOMIC_ACQUIRE);
}

void
ledger_wait_turn(struct ledger_group *group)
{
	uint32_t waits = LEDGER_WAITS;

	(void)__atomic_compare_exchange_n(
		&group->turn, &waits, LEDGER_SLEEPS, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	while (ledger_get_turn(group) == LEDGER_SLEEPS)
		(void)syscall(
			SYS_futex, &group->turn, FUTEX_WAIT_PRIVATE, LEDGER_SLEEPS, NULL, NULL, 0);
}

void
ledger_pass_turn(struct ledger_group *group)
{
	uint32_t commits = LEDGER_COMMITS;

	(void)__atomic_compare_exchange_n(
		&group->turn, &commits, LEDGER_WAITS, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* The lock is held: nothing in the queue goes away. */
uint32_t *
ledger_choose_next(const struct ledger *ledger)
{
	for (struct ledger_group *g = ledger->head; g; g = g->next)
		if (!g->lazy)
			return set_turn(g, LEDGER_COMMITS);
	return NULL;
}

struct ledger_group *
ledger_finish_batch(struct ledger *ledger, struct ledger_group *batch, enum rc rc)
{
	struct ledger_group *again = NULL, **end = &again, *next;
	struct ledger_group *ready = NULL, **ready_end = &ready;

	for (struct ledger_group *g = batch; g; g = next) {
		next = g->next;
		g->next = NULL;
		if (!g->lazy) {
			*ready_end = g;
			ready_end = &g->next;
		} else if (rc == RC_OK) {
			ledger_group_fini(g);
			free(g);
		} else {
			*end = g;
			end = &g->next;
			ledger->n_lazy += g->n;
		}
	}
	if (!again)
		return ready;
	*end = ledger->head;
	if (!ledger->head)
		ledger->tail = end;
	ledger->head = again;
	ledger->lazy_since = clock_monotonic_ms();
	return ready;
}

void
ledger_tell(struct ledger_group *ready, enum rc rc, const struct err *err)
{
	for (struct ledger_group *g = ready, *next; g; g = next) {
		next = g->next;
		g->rc = rc;
		if (rc)
			g->err = *err;
		ledger_wake_turn(set_turn(g, LEDGER_DONE)); /* its thread's again */
	}
}
