/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * meter.c - the clocks of tests/bench/milter.sh
 *
 *     meter cpu PID…          processor time of these processes so far, all threads, in ns
 *     meter key-ran FILE      ns of processor time that the operations with private keys took in
 * the daemon that keyclock.c was loaded into, and how many they were
 *     meter key TYPE MS [THREADS]   ns of processor time of one signature with a fresh key of TYPE,
 * measured for MS with THREADS, by default as many as there are cores
 *
 * With many connections the bare operation is measured while all cores work, since that is how the
 * daemons are measured: a core is slower beside a busy one.
 */
#include "base/clock.h"
#include "crypto/pkey.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_CORES 64

static const char text[32] = "a digest's worth of bytes";

struct run {
	struct pkey *pkey;
	int64_t until;
	long done;
	int64_t ns;
};

static void
die(const char *what)
{
	fprintf(stderr, "meter: %s\n", what);
	exit(1);
}

static int64_t
clock_ns(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) != 0)
		die("no clock");
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int
print_cpu(int argc, char **argv)
{
	int64_t sum = 0;

	for (int i = 0; i < argc; i++) {
		clockid_t id;

		if (clock_getcpuclockid((pid_t)atol(argv[i]), &id) != 0)
			die("no such process");
		sum += clock_ns(id);
	}
	printf("%lld\n", (long long)sum);
	return 0;
}

static int
print_ran(const char *path)
{
	uint64_t sums[2] = {0, 0}; /* calls, ns */
	FILE *f = fopen(path, "rb");

	if (!f || fread(sums, sizeof(sums), 1, f) != 1)
		die(path);
	fclose(f);
	printf("%llu %llu\n", (unsigned long long)sums[1], (unsigned long long)sums[0]);
	return 0;
}

static void *
work(void *ctx)
{
	struct run *run = ctx;
	struct buf sig = BUF_INIT(4096);
	struct err err = ERR_INIT;
	int64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	long n = 0;

	for (; clock_monotonic_ms() < run->until; n++) {
		buf_clear(&sig);
		if (pkey_sign(run->pkey, text, sizeof text, &sig, &err))
			die(err.detail);
	}
	__atomic_add_fetch(&run->ns, clock_ns(CLOCK_THREAD_CPUTIME_ID) - began, __ATOMIC_RELAXED);
	__atomic_add_fetch(&run->done, n, __ATOMIC_RELAXED);
	buf_fini(&sig);
	return NULL;
}

static int
print_key(const char *type, long ms, long cores)
{
	pthread_t threads[MAX_CORES];
	struct run run = {0};
	struct err err = ERR_INIT;

	if (pkey_generate(type, &run.pkey, &err))
		die(err.detail);
	cores = cores < 1 ? 1 : cores > MAX_CORES ? MAX_CORES : cores;
	run.until = clock_monotonic_ms() + ms;
	for (long i = 0; i < cores; i++)
		if (pthread_create(&threads[i], NULL, work, &run) != 0)
			die("no thread");
	for (long i = 0; i < cores; i++)
		pthread_join(threads[i], NULL);
	printf("%lld\n", run.done ? (long long)(run.ns / run.done) : 0);
	pkey_unref(&run.pkey);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "cpu") == 0)
		return print_cpu(argc - 2, argv + 2);
	if (argc == 3 && strcmp(argv[1], "key-ran") == 0)
		return print_ran(argv[2]);
	if ((argc == 4 || argc == 5) && strcmp(argv[1], "key") == 0)
		return print_key(argv[2], atol(argv[3]),
			argc == 5 ? atol(argv[4]) : sysconf(_SC_NPROCESSORS_ONLN));
	fprintf(stderr,
		"usage: meter cpu PID... | meter key-ran FILE | meter key TYPE MS [THREADS]\n");
	return 64;
}
