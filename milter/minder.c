/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * minder.c - keeps the worker pool of libmilter moving while answers are slow
 *
 * Debian builds libmilter with its pool of workers (_FFR_WORKERS_POOL). A session is not bound to a
 * thread there: a controller polls the idle connections, and when the MTA has sent something, the
 * session is given to a worker for as long as commands keep coming, callback and all. How it is
 * given away has a gap. Listener and controller look at the number of idle workers; if that is not
 * zero, they mark the session as ready and signal the condition variable on which idle workers
 * wait, else they start a thread for it. But the number goes down only when the woken worker has
 * got the mutex again. Two events inside that window see the same idle worker: the first is served,
 * the second stays ready, with its signal gone to nobody and no thread of its own. It waits until
 * *some* worker returns from its callback and looks for ready sessions (or an idle one's wait of 10
 * s ends). With callbacks of a millisecond nobody notices. With one that waits 2 s for a directory,
 * the stranger in the gap waits 2 s too, and then perhaps for the next: measured, 20 sessions of 2
 * s each took up to 8 s, and 10 of them once 10 s.
 *
 * A callback can't give its worker back, and the pool has no limit on threads; all that is missing
 * is somebody who looks for ready sessions. Any new event makes that happen: a connection to our
 * own socket, closed at once, is either marked ready with a signal to a worker that is really idle
 * by now, or gets a fresh thread. Whichever it is, that worker reads the end of file, ends the
 * empty session, and before it goes to sleep or quits takes the next ready session there is. This
 * is the kick.
 *
 * It is enough to kick once for each slow callback, after that callback began. Proof: a session S
 * is left behind only when a signal was meant for a worker W that had been woken for another
 * session A. W serves A and then looks for ready sessions, so S waits for A at most. If A's
 * callbacks are quick, nothing is wrong. If one is slow, it is kicked; the kick finds either an
 * idle worker that waits, or one woken before that has not got the mutex yet, or none, and then a
 * new thread is made. Each of them looks through the list. The list is in the order of arrival, so
 * S comes before the kick's own session unless S is younger, and then it comes right after it. If S
 * is slow as well, its own kick helps the next one: so N strangers are free after N ticks.
 *
 * A task that knows it will wait is kicked at once; of the others this thread takes care when they
 * have taken KICK_MS, or at the tick after it. A kick costs about 0.1 ms of processor time, and
 * there is at most one in each tick, so quick callbacks never pay for it. A worker can also be kept
 * where no callback shows it: by an MTA that sends its next command within the millisecond for
 * which a worker waits, message after message, or that has sent half a packet. So as long as there
 * are other sessions beside it there is a kick every BUSY_KICK_MS while messages come, and every
 * IDLE_MS in any case.
 *
 * The gap was there in 8.17.1 and may be closed elsewhere; then the kicks are harmless.
 */
#include "milter/minder.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS        40 /* each is a wakeup, and for most messages there is nothing to do */
#define KICKED_TICK_MS 1  /* after a kick, so that many left behind are soon helped */
#define KICK_MS        20 /* a callback that takes longer is slow */
#define YOUNG_MS       10 /* one so young is most likely done long before the next tick */
#define IDLE_MS        250
#define BUSY_KICK_MS   25
#define BUSY_MS        100  /* goes on ticking for so long, so that quick tasks need not wake it */
#define TELL_MS        5000 /* MTAs wait 300 s by default, and some administrators less */
#define OWN_PORTS      256u

struct minder {
	pthread_t thread;
	pthread_t teller; /* tells MTAs: one that does not read holds up nobody's kick */
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	pthread_cond_t due;  /* a task's MTA is to be told */
	pthread_cond_t told; /* one was */
	struct minded *tasks;
	bool asleep; /* waits for a task or a session, without a limit of time */
	bool kick_now;
	bool kicked; /* in this tick */
	bool stop;
	long sessions;
	int64_t kicked_ms;
	int64_t busy_ms; /* when there was a task last */
	struct sockaddr_storage addr;
	socklen_t addr_len;
	atomic_uint own_ports[OWN_PORTS];
	atomic_uint own_next;
};

static enum rc
parse_inet(const char *spec, struct minder *minder, struct err *err)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *ai;
	const char *at = strchr(spec, '@');
	char port[8] = "";

	if (!at || (size_t)(at - spec) >= sizeof port)
		return err_set(err, ERR_CONFIG, "socket \"%s\": PORT@ADDRESS wanted", spec);
	memcpy(port, spec, (size_t)(at - spec));
	if (getaddrinfo(at + 1, port, &hints, &ai) != 0)
		return err_set(err, ERR_CONFIG, "socket \"%s\": no numeric address", spec);
	memcpy(&minder->addr, ai->ai_addr, ai->ai_addrlen);
	minder->addr_len = ai->ai_addrlen;
	freeaddrinfo(ai);
	return RC_OK;
}

static enum rc
parse_socket(const char *socket, struct minder *minder, struct err *err)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)&minder->addr;
	const char *spec = strchr(socket, ':');

	if (!spec)
		return err_set(err, ERR_CONFIG, "socket \"%s\": no kind", socket);
	if (!strncmp(socket, "inet", 4))
		return parse_inet(spec + 1, minder, err);
	if (strlen(spec + 1) >= sizeof sun->sun_path)
		return err_set(err, ERR_CONFIG, "socket \"%s\": too long", socket);
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, spec + 1, strlen(spec + 1) + 1);
	minder->addr_len = sizeof *sun;
	return RC_OK;
}

/* Binds a TCP socket first, so that its port is known as ours before anybody can see it. */
static void
note_own_port(struct minder *minder, int fd)
{
	struct sockaddr_storage own = minder->addr;
	socklen_t len = sizeof own;
	unsigned port = 0;

	if (own.ss_family == AF_INET)
		((struct sockaddr_in *)&own)->sin_port = 0;
	else if (own.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&own)->sin6_port = 0;
	else
		return;
	if (bind(fd, (struct sockaddr *)&own, minder->addr_len) < 0 ||
		getsockname(fd, (struct sockaddr *)&own, &len) < 0)
		return;
	if (own.ss_family == AF_INET)
		port = ntohs(((struct sockaddr_in *)&own)->sin_port);
	else
		port = ntohs(((struct sockaddr_in6 *)&own)->sin6_port);
	atomic_store(&minder->own_ports[atomic_fetch_add(&minder->own_next, 1) % OWN_PORTS], port);
}

bool
minder_is_own_port(struct minder *minder, unsigned port)
{
	for (unsigned i = 0; i < OWN_PORTS; i++)
		if (atomic_load(&minder->own_ports[i]) == port)
			return true;
	return false;
}

bool
minder_knock(struct minder *minder)
{
	struct timeval limit = {.tv_usec = 100000};
	int fd = socket(minder->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool done;

	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	note_own_port(minder, fd);
	done = connect(fd, (struct sockaddr *)&minder->addr, minder->addr_len) == 0;
	close(fd);
	return done;
}

/* Looks at each task: is its MTA to be told, is a kick due? */
static bool
look_after_tasks(struct minder *minder, int64_t now)
{
	bool kick = minder->kick_now;
	int64_t every = IDLE_MS;

	minder->kick_now = false;
	if (minder->tasks)
		minder->busy_ms = now;
	if (minder->sessions > 1 && now - minder->busy_ms < BUSY_MS)
		every = BUSY_KICK_MS;
	if (now - minder->kicked_ms >= every)
		kick = true;
	for (struct minded *task = minder->tasks; task; task = task->next) {
		if (!task->kicked && now - task->began_ms >= KICK_MS) {
			task->kicked = true;
			kick = true;
		}
		if (task->still_at_it && now - task->told_ms >= TELL_MS) {
			task->told_ms = now;
			task->is_due = true;
			pthread_cond_signal(&minder->due);
		}
	}
	return kick;
}

/* Until the next tick; one that may turn out to be slow is looked at when it is. */
static long
tick_ms(const struct minder *minder, int64_t now)
{
	int64_t ms = minder->kicked ? KICKED_TICK_MS : TICK_MS;

	for (struct minded *task = minder->tasks; task; task = task->next) {
		int64_t age = now - task->began_ms;

		if (!task->kicked && age >= YOUNG_MS && KICK_MS - age < ms)
			ms = KICK_MS > age ? KICK_MS - age : 1;
	}
	return (long)ms;
}

/* Waits for the next tick, or without a task for the next idle kick, or for somebody to come. */
static void
wait_for_work(struct minder *minder)
{
	struct timespec until;
	int64_t now = clock_monotonic_ms();
	bool busy = minder->tasks || now - minder->busy_ms < BUSY_MS;
	long ms = busy ? tick_ms(minder, now) : IDLE_MS;

	if (minder->kick_now)
		return;
	minder->asleep = !busy;
	if (!busy && minder->sessions <= 0) {
		pthread_cond_wait(&minder->cond, &minder->mutex);
	} else {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += ms * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&minder->cond, &minder->mutex, &until);
	}
	minder->asleep = false;
}

static void *
minder_run(void *arg)
{
	struct minder *minder = arg;

	pthread_mutex_lock(&minder->mutex);
	while (!minder->stop) {
		int64_t now = clock_monotonic_ms();

		minder->kicked = false;
		if (!minder->tasks && minder->sessions <= 0) {
			minder->kick_now = false; /* who asked for it has left: nobody waits */
		} else if (look_after_tasks(minder, now)) {
			bool done;

			pthread_mutex_unlock(&minder->mutex);
			done = minder_knock(minder);
			pthread_mutex_lock(&minder->mutex);
			minder->kicked = true;
			minder->kicked_ms = done ? now : now - IDLE_MS; /* at the next tick again */
		}
		if (!minder->stop)
			wait_for_work(minder);
	}
	pthread_mutex_unlock(&minder->mutex);
	return NULL;
}

static struct minded *
find_due(const struct minder *minder)
{
	struct minded *task = minder->tasks;

	while (task && !task->is_due)
		task = task->next;
	return task;
}

/* Writes to an MTA may take as long as that MTA likes: only the end of the same task waits. */
static void *
teller_run(void *arg)
{
	struct minder *minder = arg;
	struct minded *task;

	pthread_mutex_lock(&minder->mutex);
	while (!minder->stop) {
		task = find_due(minder);
		if (!task) {
			pthread_cond_wait(&minder->due, &minder->mutex);
			continue;
		}
		task->is_due = false;
		task->is_told = true;
		pthread_mutex_unlock(&minder->mutex);
		task->still_at_it(task->ctx);
		pthread_mutex_lock(&minder->mutex);
		task->is_told = false;
		pthread_cond_broadcast(&minder->told);
	}
	pthread_mutex_unlock(&minder->mutex);
	return NULL;
}

static void
free_minder(struct minder *minder)
{
	pthread_cond_destroy(&minder->cond);
	pthread_cond_destroy(&minder->due);
	pthread_cond_destroy(&minder->told);
	pthread_mutex_destroy(&minder->mutex);
	free(minder);
}

/* Ends the minder's own thread, or both. */
static void
stop_threads(struct minder *minder, bool both)
{
	pthread_mutex_lock(&minder->mutex);
	minder->stop = true;
	pthread_cond_signal(&minder->cond);
	pthread_cond_signal(&minder->due);
	pthread_mutex_unlock(&minder->mutex);
	pthread_join(minder->thread, NULL);
	if (both)
		pthread_join(minder->teller, NULL);
}

enum rc
minder_start(const char *socket, struct minder **out, struct err *err)
{
	struct minder *minder = calloc(1, sizeof *minder);
	pthread_condattr_t attr;
	enum rc rc;

	*out = NULL;
	if (!minder)
		return err_set(err, ERR_MEMORY, "minder");
	rc = parse_socket(socket, minder, err);
	if (rc != RC_OK) {
		free(minder);
		return rc;
	}
	pthread_mutex_init(&minder->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&minder->cond, &attr);
	pthread_condattr_destroy(&attr);
	pthread_cond_init(&minder->due, NULL);
	pthread_cond_init(&minder->told, NULL);
	if (pthread_create(&minder->thread, NULL, minder_run, minder) != 0) {
		free_minder(minder);
		return err_set(err, ERR_INTERNAL, "minder: no thread");
	}
	if (pthread_create(&minder->teller, NULL, teller_run, minder) != 0) {
		stop_threads(minder, false);
		free_minder(minder);
		return err_set(err, ERR_INTERNAL, "minder: no thread");
	}
	*out = minder;
	return RC_OK;
}

void
minder_stop(struct minder **minder)
{
	struct minder *m = *minder;

	if (!m)
		return;
	stop_threads(m, true);
	free_minder(m);
	*minder = NULL;
}

void
minder_begin(struct minder *minder, struct minded *task)
{
	task->began_ms = task->told_ms = clock_monotonic_ms();
	task->kicked = task->is_due = task->is_told = false;
	pthread_mutex_lock(&minder->mutex);
	task->next = minder->tasks;
	task->prev = &minder->tasks;
	if (task->next)
		task->next->prev = &task->next;
	minder->tasks = task;
	if (minder->asleep)
		pthread_cond_signal(&minder->cond);
	pthread_mutex_unlock(&minder->mutex);
}

void
minder_end(struct minder *minder, struct minded *task)
{
	pthread_mutex_lock(&minder->mutex);
	task->is_due = false;
	while (task->is_told)
		pthread_cond_wait(&minder->told, &minder->mutex);
	*task->prev = task->next;
	if (task->next)
		task->next->prev = task->prev;
	pthread_mutex_unlock(&minder->mutex);
}

void
minder_kick(struct minder *minder, struct minded *task)
{
	pthread_mutex_lock(&minder->mutex);
	task->kicked = true;
	minder->kick_now = true;
	pthread_cond_signal(&minder->cond);
	pthread_mutex_unlock(&minder->mutex);
}

void
minder_count(struct minder *minder, int change)
{
	pthread_mutex_lock(&minder->mutex);
	minder->sessions += change;
	if (minder->asleep && minder->sessions == 1)
		pthread_cond_signal(&minder->cond);
	pthread_mutex_unlock(&minder->mutex);
}

long
minder_sessions(struct minder *minder)
{
	long n;

	pthread_mutex_lock(&minder->mutex);
	n = minder->sessions;
	pthread_mutex_unlock(&minder->mutex);
	return n;
}
