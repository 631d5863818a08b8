/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tests/unit/milter/delivery_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct world world;

/* splitmix64 */
uint64_t
rnd(void)
{
	uint64_t z = world.state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

bool
chance(unsigned n)
{
	return rnd() % 100000 < (world.storm ? 10ULL : 1ULL) * n;
}

static uint64_t
hash(uint64_t a, uint64_t b)
{
	uint64_t z = a * 0x9e3779b97f4a7c15ULL + b + 0x632be59bd9b4e019ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	return z ^ (z >> 29);
}

static void
violation(const struct mail *mail, const struct person *person, const char *what)
{
	if (world.violations++ < 10)
		printf("VIOLATION: %s: mail %u, %s, try %u, event %llu (got %llu recorded %d, "
		       "reported %llu, forgotten %llu, final %llu, lost %llu)\n",
			what, mail->number, person ? person->addr : "-", mail->tries,
			(unsigned long long)world.seq, person ? (unsigned long long)person->got : 0,
			person ? person->got_recorded : 0,
			person ? (unsigned long long)person->reported : 0,
			person ? (unsigned long long)person->forgotten : 0,
			person ? (unsigned long long)person->final : 0,
			(unsigned long long)world.lost);
}

/* Notices that the journal is another file than before. */
static void
look_at_file(void)
{
	struct stat now;

	memset(&now, 0, sizeof(now));
	if (stat(world.path, &now) == 0 && now.st_ino == world.file.st_ino &&
		now.st_ctim.tv_sec == world.file.st_ctim.tv_sec)
		return;
	if (now.st_ino != world.file.st_ino || now.st_ino == 0)
		world.lost = ++world.seq;
	world.file = now;
}

static void
kill_process(struct process *process)
{
	if (!process->dead)
		world.kills++;
	process->dead = true;
}

/* What the journal has of PERSON from an event at WHEN in a try opened at OPENED is not to be
 * relied on: it may be gone. */
static bool
may_be_gone(const struct person *person, uint64_t when, uint64_t opened)
{
	return world.lost > opened || person->forgotten > when ||
	       world.now - person->touched > MAX_AGE;
}

/* --- What the code under test is given --- */

/* After a durable step of ATTEMPT. */
static void
recorded(struct attempt *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct person *person = &a->mail->people[a->person[i]];

		person->touched = world.now;
		if (a->closing) {
			person->forgotten = ++world.seq;
			person->got_recorded = person->reported_recorded = false;
		} else if (a->telling && a->just_got[a->person[i]]) {
			person->reported_recorded = true;
		} else if (a->just_got[a->person[i]]) {
			person->got_recorded = true;
		}
	}
	memset(a->just_got, 0, sizeof(a->just_got));
	a->unrecorded = false;
}

static enum journal_fault
on_durable_step(void *ctx, bool done)
{
	struct process *process = ctx;

	if (process->dead)
		return JOURNAL_CRASH;
	look_at_file();
	if (done && world.top)
		recorded(world.top);
	if (chance(250)) {
		kill_process(process);
		return JOURNAL_CRASH;
	}
	return chance(300) ? JOURNAL_FAIL : JOURNAL_NO_FAULT;
}

/* Things that happen at any moment. */
static void
anything(struct attempt *a)
{
	struct attempt *top = world.top;

	if (chance(100))
		kill_process(a->process);
	if (chance(4)) {
		unlink(world.path);
		world.losses++;
		look_at_file();
	}
	if (a->depth < 2 && a->mail->impatient && chance(8000)) {
		try_mail(a->mail, a->depth + 1);
		world.top = top;
	}
}

static enum rc
op_make(void *ctx, size_t copy, struct err *err)
{
	struct attempt *a = ctx;

	anything(a);
	if (a->process->dead)
		return err_set(err, ERR_INTERNAL, "dead");
	if (a->made >= 0)
		violation(a->mail, NULL, "two copies alive");
	if (a->unrecorded)
		violation(a->mail, NULL, "a copy begun before the last one was recorded");
	if (chance(500))
		return err_set(err, ERR_VAULT_DOWN, "simulated");
	if (chance(300))
		return err_set(err, ERR_POLICY_NO_SIGNER, "simulated");
	a->made = (int)copy;
	return RC_OK;
}

static void
op_drop(void *ctx, size_t copy)
{
	struct attempt *a = ctx;

	if (a->made != (int)copy)
		violation(a->mail, NULL, "dropped another copy");
	a->made = -1;
}

static bool
op_stop(void *ctx)
{
	struct attempt *a = ctx;

	anything(a);
	return a->process->dead || chance(300);
}

static int64_t
op_now(void *ctx)
{
	(void)ctx;
	return world.now;
}

/* The port takes the message for recipient I of A. */
static void
accept_for(struct attempt *a, size_t i)
{
	struct person *person = &a->mail->people[a->person[i]];
	bool fresh = person->got <= person->final;

	if (a->encrypted[i] != a->copy_encrypted[a->made])
		violation(a->mail, person, "in the clear");
	if (person->reported > person->final && person->reported_recorded &&
		!may_be_gone(person, person->reported, person->reported_opened) &&
		world.lost <= a->opened)
		violation(a->mail, person, "sent after it was reported");
	if (!fresh) {
		bool gone = may_be_gone(person, person->got, person->got_opened) ||
			    world.lost > a->opened;

		world.duplicates++;
		if (!gone && person->got_recorded)
			violation(a->mail, person, "a known duplicate was sent");
		if (!gone && !a->rcpts[i].doubtful)
			violation(a->mail, person, "a duplicate without a reason");
	}
	person->got = ++world.seq;
	person->got_opened = a->opened;
	person->got_recorded = false;
	person->accepted++;
	a->just_got[a->person[i]] = true;
	world.accepted++;
}

static void
answer(struct delivery_rcpt *rcpt, int code)
{
	rcpt->code = code;
	snprintf(rcpt->enhanced, sizeof(rcpt->enhanced), "%d.0.0", code / 100);
	snprintf(rcpt->text, sizeof(rcpt->text), "simulated");
}

/* RCPT by RCPT. */
static size_t
port_rcpts(struct attempt *a, const size_t *who, size_t n)
{
	size_t taken = 0, most = chance(5000) ? 1 + rnd() % 3 : 1000;

	for (size_t k = 0; k < n; k++) {
		struct delivery_rcpt *rcpt = &a->rcpts[who[k]];

		if (a->mail->people[a->person[who[k]]].hopeless)
			answer(rcpt, 550);
		else if (taken >= most)
			answer(rcpt, 452);
		else if (chance(4000))
			answer(rcpt, 450);
		else if (chance(200))
			answer(rcpt, 554);
		else
			answer(rcpt, 250);
		taken += rcpt->code == 250;
	}
	return taken;
}

static enum rc
op_send(void *ctx, size_t copy, struct delivery_rcpt *rcpts, const size_t *who, size_t n,
	bool *in_doubt, struct err *err)
{
	struct attempt *a = ctx;
	unsigned doubt = 0;
	size_t taken;

	anything(a);
	if (a->process->dead)
		return err_set(err, ERR_INTERNAL, "dead");
	if (a->made != (int)copy || rcpts != a->rcpts)
		violation(a->mail, NULL, "sent what was not made");
	for (size_t k = 0; k < n; k++)
		if (rcpts[who[k]].copy != copy || rcpts[who[k]].code == 250)
			violation(a->mail, NULL, "sent to somebody else");
	if (world.port_down || chance(1000))
		return err_set(err, ERR_TIMEOUT, "port down");
	taken = port_rcpts(a, who, n);
	if (chance(1500))
		doubt = 1 + rnd() % 2;
	if (taken > 0 && doubt != 1)
		for (size_t k = 0; k < n; k++)
			if (rcpts[who[k]].code == 250)
				accept_for(a, who[k]);
	a->unrecorded = taken > 0 && !doubt;
	anything(a);
	if (doubt && taken > 0) {
		memset(a->just_got, 0, sizeof(a->just_got)); /* the next step records a doubt */
		*in_doubt = true;
		world.doubts++;
		for (size_t k = 0; k < n; k++)
			rcpts[who[k]].code = 0;
		return err_set(err, ERR_TIMEOUT, "no reply");
	}
	return RC_OK;
}

static const struct delivery_ops ops = {
	.make = op_make, .send = op_send, .drop = op_drop, .stop = op_stop, .now = op_now};

/* --- A try as the session does it --- */

/* What the rules say now: which copy each has. By chance of the epoch a person has an own copy. */
static void
plan(struct attempt *a, const size_t *chosen, size_t n)
{
	size_t copies = 2;

	a->copy_encrypted[1] = true;
	a->n = n;
	for (size_t i = 0; i < n; i++) {
		struct person *person = &a->mail->people[chosen[i]];
		uint64_t h = hash(a->mail->number * 64 + chosen[i], world.epoch);

		memset(&a->rcpts[i], 0, sizeof(a->rcpts[i]));
		a->rcpts[i].addr = person->addr;
		a->person[i] = chosen[i];
		a->encrypted[i] = h & 1;
		a->rcpts[i].copy = a->encrypted[i];
		if (h % 7 == 3) {
			a->copy_encrypted[copies] = a->encrypted[i];
			a->rcpts[i].copy = copies++;
		}
		if (h % 41 == 5) {
			a->rcpts[i].copy = DELIVERY_NO_COPY;
			answer(&a->rcpts[i], 550);
		}
	}
}

/* The reports for those that were refused while others were served. */
static enum rc
report(struct attempt *a)
{
	size_t who[2 * MAX_RCPT], n = 0;
	enum rc rc;

	for (size_t i = 0; i < a->n; i++)
		if (a->rcpts[i].code / 100 == 5 && !(a->rcpts[i].told & JOURNAL_REPORTED))
			who[n++] = i;
	anything(a);
	if (a->process->dead || chance(2000))
		return RC_TEMP; /* can't be kept */
	for (size_t k = 0; k < n; k++) {
		struct person *person = &a->mail->people[a->person[who[k]]];

		if (person->reported > person->final && person->reported_recorded &&
			!may_be_gone(person, person->reported, person->reported_opened) &&
			world.lost <= a->opened)
			violation(a->mail, person, "reported twice");
		person->reported = ++world.seq;
		person->reported_opened = a->opened;
		person->reported_recorded = false;
		a->just_got[a->person[who[k]]] = true;
	}
	world.reports++;
	anything(a);
	a->telling = true;
	rc = delivery_told(a->delivery, who, n, JOURNAL_REPORTED, world.now, NULL);
	a->telling = false;
	return rc;
}

static int
close_delivery(struct attempt *a, int reply)
{
	enum rc rc;

	anything(a);
	a->closing = true;
	rc = delivery_close(a->delivery, NULL);
	a->closing = false;
	anything(a);
	return rc == RC_OK && !a->process->dead ? reply : 451;
}

/* The reply to the end of data; 451 also when the process died: the client sees a lost connection.
 */
static int
run_attempt(struct attempt *a)
{
	struct journal *journal = a->process->journal;
	struct err err = ERR_INIT;
	size_t blamed = 0;
	enum rc rc;

	look_at_file();
	for (size_t i = 0; i < a->n; i++)
		if (world.now - a->mail->people[a->person[i]].touched > MAX_AGE)
			a->mail->people[a->person[i]].forgotten = ++world.seq;
	a->opened = ++world.seq;
	rc = delivery_open(journal, &a->mail->key, a->rcpts, a->n, NULL, &a->delivery, &err);
	look_at_file();
	if (rc != RC_OK) {
		world.busy += err.code == ERR_JOURNAL_BUSY;
		return 451;
	}
	if (world.lost > a->opened)
		a->opened = ++world.seq; /* it was replaced by this very opening */
	if (delivery_run(a->delivery, &ops, a, &err) != RC_OK)
		return 451;
	for (size_t i = 0; i < a->n; i++)
		world.known += a->rcpts[i].known;
	switch (delivery_end(a->delivery, &blamed)) {
	case DELIVERY_DONE:
		return close_delivery(a, 250);
	case DELIVERY_REPORT:
		return report(a) == RC_OK ? close_delivery(a, 250) : 451;
	case DELIVERY_REFUSE:
		return close_delivery(a, a->rcpts[blamed].code);
	case DELIVERY_DEFER:
		break;
	}
	return 451;
}

/* 250: whoever was in this try has it, or its sender knows. */
static void
check_accepted(struct attempt *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct person *person = &a->mail->people[a->person[i]];

		if (person->got <= person->final && person->reported <= person->final)
			violation(a->mail, person, "lost");
	}
}

static void
check_refused(struct attempt *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct person *person = &a->mail->people[a->person[i]];

		if (a->rcpts[i].code / 100 != 5)
			violation(a->mail, person, "refused for all, with another code for one");
		if (person->got > a->opened && !a->rcpts[i].doubtful)
			violation(a->mail, person, "refused for all, and one was served");
	}
}

/* What the client makes of the reply. */
static void
take_reply(struct attempt *a, int reply)
{
	if (reply / 100 == 4 || a->process->dead)
		return;
	if (reply / 100 == 2)
		check_accepted(a);
	else
		check_refused(a);
	if (chance(1500))
		return; /* lost on its way: nobody knows, and the client tries again */
	world.finals++;
	world.refusals += reply / 100 == 5;
	for (size_t i = 0; i < a->n; i++) {
		a->mail->people[a->person[i]].held = false;
		a->mail->people[a->person[i]].final = ++world.seq;
	}
}

void
start_process(struct process *process)
{
	struct journal_conf conf = {
		.path = world.path, .max_age = MAX_AGE, .max_entries = 1000000, .unsynced = true};

	journal_free(&process->journal);
	if (journal_new(&conf, &process->journal, NULL) != RC_OK)
		exit(70);
	journal_set_fault(process->journal, on_durable_step, process);
	process->dead = false;
}

/* One transaction with the people CHOSEN. */
static void
transact(struct mail *mail, const size_t *chosen, size_t n, int depth)
{
	struct process *process = &world.processes[rnd() % DAEMONS];
	struct attempt a = {
		.mail = mail, .process = process, .depth = depth, .made = -1, .outer = world.top};

	if (process->dead && process->running == 0)
		start_process(process);
	if (process->dead)
		return; /* connection refused */
	world.tries++;
	plan(&a, chosen, n);
	world.top = &a;
	process->running++;
	take_reply(&a, run_attempt(&a));
	delivery_free(&a.delivery);
	process->running--;
	world.top = a.outer;
}

/* The client's next try: all that it still has, in any order, some named twice; or by halves. */
void
try_mail(struct mail *mail, int depth)
{
	size_t chosen[2 * MAX_RCPT], n = 0, half;

	for (size_t i = 0; i < mail->n; i++)
		if (mail->people[i].held && !(depth > 0 && chance(20000)))
			chosen[n++] = i;
	if (n == 0)
		return;
	for (size_t i = n - 1; i > 0; i--) {
		size_t k = rnd() % (i + 1), swap = chosen[i];

		chosen[i] = chosen[k];
		chosen[k] = swap;
	}
	if (chance(3000))
		chosen[n] = chosen[rnd() % n], n++;
	half = chance(10000) && n > 1 ? n / 2 : n;
	transact(mail, chosen, half, depth);
	if (half < n)
		transact(mail, chosen + half, n - half, depth);
}
