/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certstore_bench.c - look-ups in the local store, by number of certificates
 *
 *	certstore_bench DIR N
 *
 * From a thousand to N certificates, tenfold each time. They are one certificate with the digits of
 * its address and serial number replaced, put into the tables in one transaction. A look-up is
 * certstore_find of a random person's address, in processor time. The certificate is decoded
 * already (crypto/cert.h keeps what it decoded lately); what decoding takes, when it was never seen
 * before, is shown beside it. "After a write" is when another connection has just written, so that
 * SQLite's own cache is empty.
 */
#include "base/clock.h"
#include "crypto/issue.h"
#include "directory/certstore_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOKUPS   20000
#define WRITES    200
#define GOAL_US   100.0
#define DIGITS    8
#define ADDR      "p%08zu@partner.test"
#define FIRST     "p00000000@partner.test"
#define SERIAL_AT 4 /* of the bytes of the serial number */

struct template
{
	unsigned char *der;
	size_t len, serial_at, addr_at[8], n_addr;
	struct cert *cert;
};

struct bench {
	struct certstore *store;
	struct template t;
	char path[512];
};

static double
cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void
check(enum rc rc, const struct err *err)
{
	if (rc == RC_OK)
		return;
	fprintf(stderr, "certstore_bench: %s\n", err->detail);
	exit(1);
}

static void
make_template(struct template *t, struct err *err)
{
	struct pkey *key = NULL;
	struct buf spki = BUF_INIT(0);
	struct cert *ca = NULL;
	const unsigned char *der, *serial;
	struct issue_request request = {.common_name = "Bench CA",
		.not_before = clock_now() - 86400,
		.not_after = clock_now() + 400 * 86400};
	size_t len;

	check(pkey_generate("p256", &key, err), err);
	check(pkey_public(key, &spki, err), err);
	check(issue_root(key, &request, &ca, err), err);
	request.common_name = request.addr = FIRST;
	request.use = CERT_SIGN | CERT_ENCRYPT;
	check(issue_leaf(key, ca, spki.data, spki.len, &request, &t->cert, err), err);
	der = cert_der(t->cert, &t->len);
	t->der = malloc(t->len);
	if (!t->der)
		exit(1);
	memcpy(t->der, der, t->len);
	serial = cert_serial_bytes(t->cert, &len);
	for (size_t i = 0; i + len <= t->len && !t->serial_at; i++)
		if (memcmp(der + i, serial, len) == 0)
			t->serial_at = i + SERIAL_AT;
	for (size_t i = 0; i + strlen(FIRST) <= t->len && t->n_addr < 8; i++)
		if (memcmp(der + i, FIRST, strlen(FIRST)) == 0)
			t->addr_at[t->n_addr++] = i;
	cert_unref(&ca);
	pkey_unref(&key);
	buf_fini(&spki);
}

/* Makes the template the Ith person's. */
static void
patch(struct template *t, size_t i, char addr[40])
{
	snprintf(addr, 40, ADDR, i);
	memcpy(t->der + t->serial_at, &i, sizeof(i));
	for (size_t k = 0; k < t->n_addr; k++)
		memcpy(t->der + t->addr_at[k], addr, strlen(FIRST));
}

/* Persons FROM … TO - 1, as rows. */
static double
fill(struct bench *b, size_t from, size_t to, struct err *err)
{
	static const char cert[] = "INSERT INTO certs (id, sha256, der) VALUES (?1, ?2, ?3)",
			  filed[] = "INSERT INTO filed VALUES (?1, ?2, 3, 1, 0, 'import', 'bench',"
				    " '', ?3, ?3, ?3, 0)";
	double begun = cpu_us();
	unsigned char sha256[DIGEST_MAX_SIZE];
	char addr[40];

	sqlite3_exec(b->store->db, "PRAGMA synchronous = OFF; PRAGMA cache_size = -200000", NULL,
		NULL, NULL);
	check(certstore_begin(b->store, err), err);
	for (size_t i = from; i < to; i++) {
		patch(&b->t, i, addr);
		check(digest_bytes(DIGEST_SHA256, b->t.der, b->t.len, sha256, err), err);
		check(certstore_exec(b->store, err, cert, "ibb", (int64_t)i + 1, sha256,
			      (size_t)SHA256_SIZE, b->t.der, b->t.len),
			err);
		check(certstore_exec(b->store, err, filed, "tii", addr, (int64_t)i + 1,
			      (int64_t)1700000000),
			err);
	}
	check(certstore_end(b->store, RC_OK, err), err);
	certstore_close(&b->store);
	check(certstore_open(b->path, false, &b->store, err), err);
	return (cpu_us() - begun) / 1e6;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Looks N random persons of TOTAL up; WRITE: after somebody else has written. Mean in us. */
static double
look_up(struct bench *b, size_t total, size_t n, bool write, double *p99, struct err *err)
{
	static const char touch[] = "UPDATE meta SET generation = generation + 1";
	struct certstore *other = NULL;
	double *us = calloc(n, sizeof(*us)), sum = 0;

	if (!us)
		exit(1);
	if (write) {
		check(certstore_open(b->path, false, &other, err), err);
		sqlite3_exec(other->db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
	}
	for (size_t i = 0; i < n; i++) {
		size_t who = (size_t)random() % total, found = 0;
		struct certrow *rows = NULL;
		struct cert *cert = NULL;
		char addr[40];

		patch(&b->t, who, addr);
		check(cert_parse(b->t.der, b->t.len, &cert, err), err);
		if (write)
			sqlite3_exec(other->db, touch, NULL, NULL, NULL);
		us[i] = cpu_us();
		check(certstore_find(b->store, addr, &rows, &found, err), err);
		us[i] = cpu_us() - us[i];
		sum += us[i];
		if (found != 1 || !cert_has_addr(rows[0].cert, addr, true))
			exit(1);
		certrows_free(&rows, found);
		cert_unref(&cert);
	}
	qsort(us, n, sizeof(*us), compare);
	*p99 = us[n * 99 / 100];
	free(us);
	certstore_close(&other);
	return sum / (double)n;
}

/* Decoding alone, in us. */
static double
decode(struct bench *b, size_t total, struct err *err)
{
	double sum = 0;
	char addr[40];

	cert_cache_limit(0);
	for (size_t i = 0; i < 2000; i++) {
		struct cert *cert = NULL;
		double begun;

		patch(&b->t, (size_t)random() % total, addr);
		begun = cpu_us();
		check(cert_parse(b->t.der, b->t.len, &cert, err), err);
		sum += cpu_us() - begun;
		cert_unref(&cert);
	}
	cert_cache_limit(1000);
	return sum / 2000;
}

static long
resident_kb(void)
{
	long pages = 0, all = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f && fscanf(f, "%ld %ld", &all, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void
measure(struct bench *b, size_t from, size_t total, double *last)
{
	struct err err = ERR_INIT;
	double seconds = fill(b, from, total, &err), p99 = 0, cold99 = 0, mean, cold, parse;

	look_up(b, total, 500, false, &p99, &err);
	mean = look_up(b, total, LOOKUPS, false, &p99, &err);
	cold = look_up(b, total, WRITES, true, &cold99, &err);
	parse = decode(b, total, &err);
	printf("certstore %7zu certificates (made in %.1f s)  look-up %5.1f us (of 100 the slowest "
	       "%.1f), after a write %.1f; decoding one never seen %.1f",
		total, seconds, mean, p99, cold, parse);
	if (*last > 0)
		printf("; %.2f times as long", mean / *last);
	printf("  goal look-up %.0f us: %s; %ld MB resident\n", GOAL_US,
		mean <= GOAL_US ? "kept" : "MISSED", resident_kb() / 1024);
	*last = mean;
}

int
main(int argc, char **argv)
{
	size_t max = argc == 3 ? (size_t)strtoul(argv[2], NULL, 10) : 0, before = 0;
	struct bench b = {0};
	struct err err = ERR_INIT;
	double last = 0;

	if (max < 1000) {
		fprintf(stderr, "usage: certstore_bench DIR N\n");
		return 64;
	}
	snprintf(b.path, sizeof(b.path), "%s/certs.db", argv[1]);
	cert_cache_limit(1000);
	make_template(&b.t, &err);
	check(certstore_open(b.path, true, &b.store, &err), &err);
	for (size_t n = 1000; n <= max; before = n, n *= 10)
		measure(&b, before, n, &last);
	certstore_close(&b.store);
	unlink(b.path);
	free(b.t.der);
	cert_unref(&b.t.cert);
	return 0;
}
