/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/flow/mtaload.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double
mta_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct mta *
mta_greet(const struct mta_options *to, struct mta_reply *reply)
{
	char why[200];
	struct mta *mta = mta_open(to, why);

	if (!mta) {
		reply->code = 451;
		reply->stage = 'O';
		reply->lost = true;
		if (asprintf(&reply->text, "451 4.7.1 Service unavailable (%s)", why) < 0)
			reply->text = NULL;
		return NULL;
	}
	if (!mta_hello(mta, reply))
		mta_cut(&mta);
	return mta;
}

struct load {
	const struct load_options *options;
	long connection;
	const struct mta_message *messages; /* options->n_files of them, or one */
	double *latency;                    /* PER_CONNECTION of them */
	long ok, refused, deferred, aborted;
	long untouched; /* of the accepted ones: with the body they came with */
};

/* "%d" in TEXT, if it is there, stands for NUMBER. */
static void
put_number(char **text, long number)
{
	char *mark = strstr(*text, "%d"), *with;

	if (!mark)
		return;
	if (asprintf(&with, "%.*s%ld%s", (int)(mark - *text), *text, number, mark + 2) < 0)
		abort();
	free(*text);
	*text = with;
}

/* Makes the message one of its own. */
static void
number_message(struct mta_message *message, long number)
{
	char *mark =
		memmem(message->body, message->body_len < 100 ? message->body_len : 100, "%d", 2);

	for (size_t i = 0; i < message->n_rcpts; i++)
		put_number(&message->rcpts[i].addr, number);
	for (size_t i = 0; i < message->n_headers; i++)
		put_number(&message->headers[i].value, number);
	if (mark) {
		size_t before = (size_t)(mark - message->body), len = message->body_len;
		char *body = malloc(len + 24);
		int n = body ? sprintf(body, "%.*s%ld", (int)before, message->body, number) : -1;

		if (n < 0)
			abort();
		memcpy(body + n, mark + 2, len - before - 2);
		free(message->body);
		message->body = body;
		message->body_len = (size_t)n + len - before - 2;
	}
}

/* A copy, since the milter may change it. */
static struct mta_message *
message_number(const struct load *load, long i)
{
	const struct load_options *options = load->options;
	long number = options->first + load->connection * options->per_connection + i;
	struct mta_message *copy =
		mta_message_copy(&load->messages[options->n_files ? number % options->n_files : 0]);

	number_message(copy, number);
	return copy;
}

/* One message of a load. */
static void
load_message(struct load *load, struct mta **mta, long number)
{
	const struct load_options *options = load->options;
	struct mta_message *copy = message_number(load, number);
	struct mta_reply reply = {0};
	double begun = mta_now();

	if (!*mta && !(*mta = mta_greet(options->to, &reply)))
		usleep(10000); /* it may be on its way back */
	if (*mta && options->abort_every &&
		number % options->abort_every == options->abort_every - 1) {
		if (mta_envelope(*mta, copy, &reply))
			mta_abort(*mta);
		load->aborted++;
		reply.code = 0;
	} else {
		if (*mta)
			mta_send(*mta, copy, &reply);
		load->ok += reply.code == 250;
		load->untouched += reply.code == 250 && !reply.body_changed;
		load->refused += reply.code / 100 == 5;
		load->deferred += reply.code / 100 == 4;
	}
	load->latency[number] = (mta_now() - begun) * 1000;
	if (reply.lost)
		mta_cut(mta);
	else if (options->new_connection)
		mta_quit(mta);
	mta_reply_fini(&reply);
	mta_message_fini(copy);
	free(copy);
}

/* The same message for the milter options->beside, whose processor time is compared with the
 * other's. */
static void
send_beside(struct load *load, struct mta **mta, long number)
{
	const struct load_options *options = load->options;
	struct mta_message *copy = message_number(load, number);
	struct mta_reply reply = {0};

	if (!*mta)
		*mta = mta_greet(options->beside, &reply);
	if (!*mta || !mta_send(*mta, copy, &reply))
		load->deferred++;
	if (reply.lost)
		mta_cut(mta);
	mta_reply_fini(&reply);
	mta_message_fini(copy);
	free(copy);
}

static void *
load_thread(void *arg)
{
	struct load *load = arg;
	const struct load_options *options = load->options;
	struct mta *mta = NULL, *other = NULL;

	for (long i = 0; i < options->per_connection; i++) {
		if (options->beside)
			send_beside(load, &other, i);
		load_message(load, &mta, i);
	}
	mta_quit(&mta);
	mta_quit(&other);
	return NULL;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int
print_load(const struct load_options *options, struct load *loads, double *latency, double seconds)
{
	long total = options->connections * options->per_connection;
	struct load sum = {0};

	for (long i = 0; i < options->connections; i++) {
		sum.ok += loads[i].ok;
		sum.untouched += loads[i].untouched;
		sum.refused += loads[i].refused;
		sum.deferred += loads[i].deferred;
		sum.aborted += loads[i].aborted;
	}
	qsort(latency, (size_t)total, sizeof *latency, compare);
	printf("{\"messages\":%ld,\"ok\":%ld,\"untouched\":%ld,\"refused\":%ld,\"deferred\":%ld,\"aborted\":%ld,"
	       "\"seconds\":%.3f,\"per_second\":%.1f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,"
	       "\"max_ms\":%.2f}\n",
		total, sum.ok, sum.untouched, sum.refused, sum.deferred, sum.aborted, seconds,
		(double)total / seconds, latency[total / 2], latency[total * 99 / 100],
		latency[total - 1]);
	return sum.refused ? 65 : sum.deferred ? 75 : 0;
}

/* The file, or the N_FILES with their numbers in the place of "%d". */
static struct mta_message *
read_messages(const struct load_options *options, const char *file)
{
	struct mta_message *messages =
		calloc((size_t)(options->n_files ? options->n_files : 1), sizeof *messages);

	for (long i = 0; messages && i < (options->n_files ? options->n_files : 1); i++) {
		char *path = strdup(file);

		if (path && options->n_files)
			put_number(&path, i);
		if (!path || !mta_message_read(&messages[i], path)) {
			perror(path);
			exit(66);
		}
		free(path);
		options->set_envelope(&messages[i]);
	}
	return messages;
}

int
mta_load(const struct load_options *options, const char *file)
{
	struct mta_message *messages = read_messages(options, file);
	struct load *loads = calloc((size_t)options->connections, sizeof *loads);
	double *latency =
		calloc((size_t)(options->connections * options->per_connection), sizeof *latency);
	pthread_t *threads = calloc((size_t)options->connections, sizeof *threads);
	double begun;
	int status;

	if (!messages || !loads || !latency || !threads)
		abort();
	begun = mta_now();
	for (long i = 0; i < options->connections; i++) {
		loads[i] = (struct load){.options = options,
			.connection = i,
			.messages = messages,
			.latency = latency + i * options->per_connection};
		if (pthread_create(&threads[i], NULL, load_thread, &loads[i]) != 0)
			abort();
	}
	for (long i = 0; i < options->connections; i++)
		pthread_join(threads[i], NULL);
	status = print_load(options, loads, latency, mta_now() - begun);
	for (long i = 0; i < (options->n_files ? options->n_files : 1); i++)
		mta_message_fini(&messages[i]);
	free(messages);
	free(loads);
	free(latency);
	free(threads);
	return status;
}
