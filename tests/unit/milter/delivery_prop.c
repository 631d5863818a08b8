/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * delivery_prop.c - a hundred thousand messages through delivery.c and the real journal
 *
 *   delivery_prop [MESSAGES [SEED]]
 *
 * Clients that retry as MTAs do, two processes that share a journal, a port, and a clock, all
 * simulated in one thread; whatever can fail does so by chance: kills before and after each durable
 * step and each send, writes that fail or do not say that they were done, the journal deleted or
 * damaged, recipients refused for now or for good, a port that is down, takes only so many, or
 * takes the message and does not say so, copies that can't be made, deadlines, reports that can't
 * be kept, replies that get lost, retries with other recipients, at the same time, after the rules
 * changed, after too long a time, and the same message sent again on purpose.
 *
 * What the simulation knows and the code does not (who really got what, when) is compared:
 *   - a client that is told 250 is right: each recipient has the message or was reported
 *   - a copy in the clear never goes where this try's plan says encrypted
 *   - nobody gets it twice without a reason that the code could not help, and where it can tell
 *     (it was in doubt), it has told
 *   - a 5xx for all only if nobody is known to have it
 *   - nobody is reported twice, or reported and then served, without such a reason
 *
 * The seed is printed; the same seed does the same.
 */
#include "config.h"

#include "tests/unit/milter/delivery_sim.h"

#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WINDOW   300       /* messages under way at a time */
#define LIFETIME (5 * DAY) /* then a client gives up */

static void
new_mail(struct mail *mail, unsigned number)
{
	memset(mail, 0, sizeof(*mail));
	mail->number = number;
	mail->n = 1 + (rnd() % 4 ? rnd() % 4 : rnd() % MAX_RCPT);
	mail->born = mail->next = world.now;
	mail->wait = 300;
	mail->impatient = chance(20000);
	snprintf(mail->sender, sizeof(mail->sender), "s%u@ours", number % 50);
	snprintf(mail->id, sizeof(mail->id), "<%u@client>", number);
	mail->key.service = "seal";
	mail->key.sender = mail->sender;
	mail->key.identity = number % 3 ? mail->sender : NULL;
	mail->key.message_id = number % 11 ? mail->id : NULL;
	memcpy(mail->key.digest, &number, sizeof(number));
	for (size_t i = 0; i < mail->n; i++) {
		struct person *person = &mail->people[i];

		snprintf(person->addr, sizeof(person->addr), "r%u-%zu@x", number % 7, i);
		person->held = true;
		person->hopeless = chance(4000);
		person->touched = world.now;
	}
}

static bool
is_held(const struct mail *mail)
{
	for (size_t i = 0; i < mail->n; i++)
		if (mail->people[i].held)
			return true;
	return false;
}

/* The client gives up and says so: whoever was left has been told of. */
static void
give_up(struct mail *mail)
{
	world.bounces++;
	for (size_t i = 0; i < mail->n; i++)
		mail->people[i].held = false;
}

/* The same message once more, on purpose or by somebody who does not believe it. */
static void
send_again(struct mail *mail)
{
	world.again++;
	mail->born = mail->next = world.now + (int64_t)(rnd() % (2 * DAY));
	mail->wait = 300;
	for (size_t i = 0; i < mail->n; i++)
		mail->people[i].held = true;
}

/* After a try: when is the next one? False: this message is over. */
static bool
reschedule(struct mail *mail)
{
	if (is_held(mail) && world.now - mail->born > LIFETIME)
		give_up(mail);
	if (!is_held(mail)) {
		if (!chance(5000))
			return false;
		send_again(mail);
		return true;
	}
	mail->tries++;
	mail->next = world.now + mail->wait + (int64_t)(rnd() % 60);
	mail->wait = mail->wait < 4000 ? mail->wait * 2 : 4000;
	if (chance(300))
		mail->next += 2 * MAX_AGE; /* a laptop in a drawer */
	if (mail->n > 1 && chance(500))
		mail->people[rnd() % mail->n].held = false; /* the user thought better of it */
	return true;
}

/* What goes wrong for a while. */
static void
weather(void)
{
	if (rnd() % 400 == 0)
		world.storm = rnd() % 3 == 0;
	world.port_down = rnd() % 1000 < (world.port_down ? 970 : 2);
	if (chance(100))
		world.epoch++;
	if (chance(5) && world.processes[0].running + world.processes[1].running == 0) {
		int fd = open(world.path, O_WRONLY);

		if (fd >= 0 && pwrite(fd, "junk junk junk junk ", 20, 0) == 20)
			world.losses++;
		if (fd >= 0)
			close(fd);
		for (int i = 0; i < DAEMONS; i++)
			start_process(&world.processes[i]);
	}
}

static struct mail *
next_mail(struct mail *mails, size_t n)
{
	struct mail *next = NULL;

	for (size_t i = 0; i < n; i++)
		if (mails[i].n && (!next || mails[i].next < next->next))
			next = &mails[i];
	return next;
}

static void
simulate(unsigned total)
{
	static struct mail mails[WINDOW];
	unsigned number = 0;
	struct mail *mail;

	for (size_t i = 0; i < WINDOW && number < total; i++)
		new_mail(&mails[i], number++);
	while ((mail = next_mail(mails, WINDOW)) && world.violations < 10) {
		if (mail->next > world.now)
			world.now = mail->next;
		weather();
		try_mail(mail, 0);
		if (reschedule(mail))
			continue;
		mail->n = 0;
		if (number < total)
			new_mail(mail, number++);
	}
}

static void
clean_up(void)
{
	static const char *const endings[] = {
		"", "-wal", "-shm", ".lock", ".damaged", ".damaged-wal", ".damaged-shm"};
	char name[160];

	for (int i = 0; i < DAEMONS; i++)
		journal_free(&world.processes[i].journal);
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
		snprintf(name, sizeof(name), "%s%s", world.path, endings[i]);
		unlink(name);
	}
	rmdir(world.dir);
}

int
main(int argc, char **argv)
{
	unsigned total = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3000;
	const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	world.seed = argc > 2 ? strtoull(argv[2], NULL, 10)
			      : (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	world.state = world.seed;
	world.now = 1800000000;
	printf("seed %llu, %u messages\n", (unsigned long long)world.seed, total);
	fflush(stdout);
	if (!freopen("/dev/null", "w", stderr)) /* the log: hundreds of thousands of lines */
		return 70;
	log_open("delivery_prop", true);
	snprintf(world.dir, sizeof(world.dir), "%s/delivery-prop.XXXXXX", tmp);
	if (!mkdtemp(world.dir))
		return 70;
	snprintf(world.path, sizeof(world.path), "%s/journal.db", world.dir);
	for (int i = 0; i < DAEMONS; i++)
		start_process(&world.processes[i]);
	simulate(total);
	clean_up();
	printf("%lu tries, %lu acceptances, %lu duplicates, %lu known and not sent, %lu kills, %lu in "
	       "doubt, %lu journals lost, %lu busy, %lu reports, %lu final replies (%lu refusals), %lu "
	       "given up, %lu sent again, %d violations\n",
		world.tries, world.accepted, world.duplicates, world.known, world.kills,
		world.doubts, world.losses, world.busy, world.reports, world.finals, world.refusals,
		world.bounces, world.again, world.violations);
	return world.violations ? 1 : 0;
}
