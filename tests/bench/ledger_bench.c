/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_bench.c - what a durable ledger record costs with 1, 8 and 64 writers, and how fast a
 * ledger verifies
 *
 * usage: ledger_bench DIR [RECORDS]: DIR is an empty folder on the disk that is asked about.
 */
#include "base/clock.h"
#include "keystore/ledger.h"
#include "keystore/ledger_verify.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define EPOCHS    1000
#define MILLION_S 10.0 /* goal: a million records are verified in seconds */

static struct secret *epochs[EPOCHS];
static _Atomic long syncs;

static enum rc
epoch_load(void *ctx, uint64_t epoch, struct secret **der, struct err *err)
{
	(void)ctx;
	*der = NULL;
	return epoch < EPOCHS && epochs[epoch] ? secret_copy(secret_data(epochs[epoch]),
							 secret_len(epochs[epoch]), der, err)
					       : RC_NONE;
}

static enum rc
epoch_store(void *ctx, uint64_t epoch, struct secret *der, struct err *err)
{
	(void)ctx;
	if (epoch >= EPOCHS)
		return err_set(err, ERR_LIMIT, "too many epochs");
	secret_free(&epochs[epoch]);
	return secret_copy(secret_data(der), secret_len(der), &epochs[epoch], err);
}

static enum rc
epoch_destroy(void *ctx, uint64_t epoch, struct err *err)
{
	(void)ctx;
	(void)epoch;
	(void)err;
	return RC_OK;
}

static enum rc
period_key(void *ctx, const char *period, bool create, struct secret **key, struct err *err)
{
	(void)ctx;
	(void)period;
	(void)create;
	return secret_new(LEDGER_PERIOD_KEY_SIZE, key, err);
}

static int
count_sync(void *ctx, int fd)
{
	(void)ctx;
	syncs++;
	return fdatasync(fd);
}

static int
no_sync(void *ctx, int fd)
{
	(void)ctx;
	(void)fd;
	return 0;
}

struct writer {
	struct ledger *ledger;
	long n;
	bool lazy;
	pthread_t thread;
};

static void *
write_all(void *arg)
{
	static const char *const rcpts[] = {"bob@example.org"};
	const struct vault_claim claim = {.qid = "4bXyZ1k2mQz",
		.sender = "alice@example.org",
		.identity = "alice@example.org",
		.rule = "shipped-outbound",
		.recipients = rcpts,
		.n_recipients = 1};
	struct writer *writer = arg;
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_INTENT);

	record.event = "sign";
	record.observed.key = "k645ea0fc1d95e755";
	record.observed.service = "all";
	record.observed.digest_name = "sha256";
	record.observed.digest = "ec79118189cdaeedd24761167e0594f3284cd0c387e9966b3e810880d221f307";
	record.observed.uid = 995;
	record.observed.pid = 12345;
	record.claim = &claim;
	record.lazy = writer->lazy;
	for (long i = 0; i < writer->n; i++) {
		struct err err = ERR_INIT;

		if (ledger_append(writer->ledger, &record, NULL, &err) != RC_OK) {
			fprintf(stderr, "ledger_bench: %s\n", err.detail);
			exit(1);
		}
	}
	return NULL;
}

static struct ledger *
open_ledger(const char *dir, int (*sync)(void *, int))
{
	const struct ledger_options options = {.dir = dir,
		.node = "bench",
		.create = true,
		.keys = {epoch_load, epoch_store, epoch_destroy, period_key, NULL},
		.disk = {.sync = sync}};
	struct ledger *ledger = NULL;
	struct err err = ERR_INIT;

	if (ledger_open(&options, &ledger, &err) != RC_OK) {
		fprintf(stderr, "ledger_bench: %s\n", err.detail);
		exit(1);
	}
	return ledger;
}

/* Processor time of this process so far, us. */
static double
cpu_us(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1e6 +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
}

/* N_WRITERS threads with EACH records; prints the cost. */
static void
bench_writers(const char *base, int n_writers, long each)
{
	struct writer *writers = calloc((size_t)n_writers, sizeof(*writers));
	char dir[4096];
	struct ledger *ledger;
	long before;
	int64_t start, ms;
	double cpu;

	snprintf(dir, sizeof(dir), "%s/writers-%d", base, n_writers);
	ledger = open_ledger(dir, count_sync);
	before = syncs;
	cpu = cpu_us();
	start = clock_monotonic_ms();
	for (int i = 0; i < n_writers; i++) {
		writers[i].ledger = ledger;
		writers[i].n = each;
		if (pthread_create(&writers[i].thread, NULL, write_all, &writers[i]))
			exit(1);
	}
	for (int i = 0; i < n_writers; i++)
		pthread_join(writers[i].thread, NULL);
	ms = clock_monotonic_ms() - start;
	cpu = cpu_us() - cpu;
	printf("ledger: %2d writers: %6.0f durable records/s, %5.1f records in a sync, %.2f ms each, %.1f us "
	       "of CPU each\n",
		n_writers, n_writers * each * 1000.0 / (double)(ms ? ms : 1),
		(double)(n_writers * each) / (double)(syncs - before ? syncs - before : 1),
		(double)ms / (double)each, cpu / (double)(n_writers * each));
	(void)ledger_close(&ledger, NULL);
	free(writers);
}

/* A ledger of N records: what one costs without the disk, and verifying them. */
static void
bench_verify(const char *base, long n)
{
	char dir[4096];
	struct writer writer = {.n = n, .lazy = true};
	struct ledger_report report;
	struct err err = ERR_INIT;
	int64_t start;
	double seconds;

	snprintf(dir, sizeof(dir), "%s/verify", base);
	writer.ledger = open_ledger(dir, no_sync);
	start = clock_monotonic_ms();
	write_all(&writer);
	(void)ledger_close(&writer.ledger, NULL);
	printf("ledger: %.1f us for a record without the disk\n",
		(double)(clock_monotonic_ms() - start) * 1000 / (double)n);
	start = clock_monotonic_ms();
	if (ledger_verify(dir, NULL, 0, &report, &err) != RC_OK || !report.ok) {
		fprintf(stderr, "ledger_bench: %s%s\n", err.detail, report.problem);
		exit(1);
	}
	seconds = (double)(clock_monotonic_ms() - start) / 1000;
	printf("ledger: %llu records of %llu segments verified in %.2f s, a million in %.1f s  goal %.0f: %s\n",
		(unsigned long long)report.records, (unsigned long long)report.segments, seconds,
		seconds * 1e6 / (double)report.records, MILLION_S,
		seconds * 1e6 / (double)report.records < MILLION_S ? "kept" : "MISSED");
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: ledger_bench DIR [RECORDS]\n");
		return 64;
	}
	bench_writers(argv[1], 1, 500);
	bench_writers(argv[1], 8, 250);
	bench_writers(argv[1], 64, 100);
	bench_verify(argv[1], argc > 2 ? atol(argv[2]) : 100000);
	return 0;
}
