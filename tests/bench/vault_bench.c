/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vault_bench.c - the vault alone against the bare private-key operation, ledger and fsync on
 *
 *     vault_bench PROGRAM [TYPE [sign|open]]
 *
 * PROGRAM: sealgate-vault. For each key type, signing and opening, all with every core at work:
 *
 * - the bare operation in this process, how often in a second and the CPU time of one: a signature;
 *   for opening the private RSA operation without padding, or ECDH with a peer whose key is parsed;
 * - "one at a time": CLIENTS connections, each with one request in flight, through the library that
 *   the milter uses;
 * - "many in flight": CONNECTIONS connections with IN_FLIGHT requests each, so that the vault has
 *   always more to do than it can.
 *
 * Medians over ROUNDS rounds. The rate by the clock is what comes out while clients and vault share
 * the cores; "of bare" behind it is its part of the bare rate. The vault's CPU is the time of all
 * its threads for one operation, kernel included; "of bare" behind that is the bare CPU time as a
 * part of it: what the rate would be of the bare one if the clients were on another machine. The
 * goal is judged by this one, with many requests in flight: that is the vault alone, with all cores
 * its own. With one request at a time most of the time goes into waking 48 clients and the vault
 * for each other on the same cores, which the line shows and which is no property of the vault.
 * Opening has no goal: with P-256 the sender's key has to be parsed and the content key unwrapped
 * as well.
 */
#include "keystore/client.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "keystore/admin.h"
#include "crypto/pkey_private.h"
#include "crypto/rinfo.h"
#include "tests/bench/volley.h"
#include "tests/bench/world.h"

#define ROUNDS      5
#define CLIENTS     48
#define CONNECTIONS 16
#define IN_FLIGHT   64
#define MAX_CORES   64
#define GOAL        0.70
#define PART_US     500000 /* of each way in each round */

static double
cpu_of(int who)
{
	struct rusage ru;

	getrusage(who, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

/* CPU seconds of a running process. */
static double
cpu_of_pid(pid_t pid)
{
	struct timespec ts;
	clockid_t id;

	if (clock_getcpuclockid(pid, &id) || clock_gettime(id, &ts))
		world_die("the vault's CPU time", NULL);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct run {
	struct pkey *pkey;
	struct vault_client *client;
	const char *key;
	struct rinfo *rinfos; /* to be opened; NULL: sign */
	const char *recipient;
	volatile bool stop;
	long done, failed;
};

static void *
sign_bare(void *ctx)
{
	struct run *run = ctx;
	struct buf sig = BUF_INIT(4096);
	struct err err = ERR_INIT;
	long n = 0;

	while (!run->stop) {
		buf_clear(&sig);
		MUST(pkey_sign(run->pkey, "a digest's worth of bytes to sign", 32, &sig, &err));
		n++;
	}
	__atomic_add_fetch(&run->done, n, __ATOMIC_RELAXED);
	buf_fini(&sig);
	return NULL;
}

/* The operation with the private key that opening needs. */
static void *
open_bare(void *ctx)
{
	struct run *run = ctx;
	EVP_PKEY *key = pkey_evp(run->pkey), *peer = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	EVP_PKEY_CTX *ecdh = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	unsigned char in[512] = {0}, out[512];
	bool rsa = pkey_type(run->pkey) == KEY_RSA, good;
	size_t in_len = (size_t)EVP_PKEY_get_size(key), len;
	long n = 0;

	in[in_len - 1] = 2;
	if (!rsa && (EVP_PKEY_derive_init(ecdh) != 1 ||
			    EVP_PKEY_derive_set_peer_ex(ecdh, peer, 0) != 1))
		world_die("ECDH", NULL);
	while (!run->stop) {
		len = sizeof(out);
		if (rsa ? pkey_raw_rsa(run->pkey, in, in_len, out, &len, &good, NULL) || !good
			: EVP_PKEY_derive(ecdh, out, &len) != 1)
			world_die("the bare operation", NULL);
		n++;
	}
	__atomic_add_fetch(&run->done, n, __ATOMIC_RELAXED);
	EVP_PKEY_CTX_free(ecdh);
	EVP_PKEY_free(peer);
	return NULL;
}

static const char *const rcpt = "carol@example.net";
static const struct vault_claim claim = {
	"4AbcDef", "alice@example.org", "alice@example.org", "outbound", &rcpt, 1};

static enum rc
sign_once(struct run *run, struct buf *der, struct err *err)
{
	static const unsigned char value[DIGEST_MAX_SIZE] = {1};
	const struct vault_sign_request request = {.key_id = run->key,
		.digest = DIGEST_SHA256,
		.value = value,
		.signing_time = -1,
		.claim = claim};

	buf_clear(der);
	return vault_sign(run->client, &request, der, err);
}

static enum rc
open_once(struct run *run, long n, struct err *err)
{
	const struct vault_open_request request = {.rinfo = &run->rinfos[n % VOLLEY_FRAMES],
		.cipher = CIPHER_AES256_CBC,
		.recipient = run->recipient,
		.claim = claim};
	struct secret *cek = NULL;
	enum rc rc = vault_open(run->client, &request, &cek, err);

	secret_free(&cek);
	return rc;
}

static void *
ask_vault(void *ctx)
{
	struct run *run = ctx;
	struct buf der = BUF_INIT(1u << 20);
	struct err err = ERR_INIT;
	long n = 0;

	while (!run->stop) {
		if (run->rinfos ? open_once(run, n, &err) : sign_once(run, &der, &err))
			__atomic_add_fetch(&run->failed, 1, __ATOMIC_RELAXED);
		else
			n++;
	}
	__atomic_add_fetch(&run->done, n, __ATOMIC_RELAXED);
	buf_fini(&der);
	return NULL;
}

/* THREADS of WORK for a while: operations in a second. */
static double
measure(struct run *run, void *(*work)(void *), int threads)
{
	pthread_t t[CLIENTS + MAX_CORES];
	int64_t began = clock_monotonic_ms();

	run->stop = false;
	run->done = run->failed = 0;
	for (int i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, work, run))
			world_die("thread", NULL);
	usleep(PART_US);
	run->stop = true;
	for (int i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	return (double)run->done * 1000 / (double)(clock_monotonic_ms() - began);
}

/* What a round gave for one way of asking. */
struct figure {
	double rate, vault_us, client_us;
	double by_clock, by_cpu; /* parts of the bare one, in the same round */
	long failed;
};

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The median over the rounds of the member at OFFSET. */
static double
median(const struct figure *figures, size_t offset)
{
	double v[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		memcpy(&v[i], (const char *)&figures[i] + offset, sizeof(*v));
	qsort(v, ROUNDS, sizeof(*v), compare);
	return v[ROUNDS / 2];
}

#define MEDIAN(figures, member) median(figures, offsetof(struct figure, member))

/* Many requests in flight for a while. */
static double
measure_volley(struct volley *volley)
{
	pthread_t t[CONNECTIONS];
	volatile bool stop = false;
	int64_t began = clock_monotonic_ms();

	volley->stop = &stop;
	volley->done = volley->failed = 0;
	for (int i = 0; i < CONNECTIONS; i++)
		if (pthread_create(&t[i], NULL, volley_run, volley))
			world_die("thread", NULL);
	usleep(PART_US);
	stop = true;
	for (int i = 0; i < CONNECTIONS; i++)
		pthread_join(t[i], NULL);
	return (double)volley->done * 1000 / (double)(clock_monotonic_ms() - began);
}

static void
print_figure(const char *kind, const char *way, const struct figure *figures, double bare_us,
	bool judged)
{
	double by_clock = MEDIAN(figures, by_clock), by_cpu = MEDIAN(figures, by_cpu);
	long failed = 0;

	for (int i = 0; i < ROUNDS; i++)
		failed += figures[i].failed;
	printf("vault %-13s %-24s %7.0f/s, of bare %.2f  client's CPU %5.1f us  vault's CPU %6.1f us "
	       "(+%.1f), of bare %.2f%s%s\n",
		kind, way, MEDIAN(figures, rate), by_clock, MEDIAN(figures, client_us),
		MEDIAN(figures, vault_us), MEDIAN(figures, vault_us) - bare_us, by_cpu,
		!judged          ? ""
		: by_cpu >= GOAL ? "  goal 0.70: kept"
				 : "  goal 0.70: MISSED",
		failed ? "  FAILURES" : "");
	fflush(stdout);
}

/* One way of asking, for a while. VOLLEY NULL: one request at a time from each client. */
static void
ask(struct run *run, struct volley *volley, pid_t pid, struct figure *figure)
{
	double own = cpu_of(RUSAGE_SELF), theirs = cpu_of_pid(pid), done;

	figure->rate = volley ? measure_volley(volley) : measure(run, ask_vault, CLIENTS);
	done = (double)(volley ? volley->done : run->done);
	figure->failed = volley ? volley->failed : run->failed;
	figure->vault_us = (cpu_of_pid(pid) - theirs) * 1e6 / done;
	figure->client_us = (cpu_of(RUSAGE_SELF) - own) * 1e6 / done;
}

static void
ask_bare(struct run *run, struct figure *figure)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	double own = cpu_of(RUSAGE_SELF);

	figure->rate = measure(run, run->rinfos ? open_bare : sign_bare,
		(int)(cores < MAX_CORES ? cores : MAX_CORES));
	figure->client_us = (cpu_of(RUSAGE_SELF) - own) * 1e6 / (double)run->done;
}

/* A round of each, the bare one before and behind: other work on the machine meets all. */
static void
play_round(struct run *run, struct volley *volley, pid_t pid, struct figure *bare,
	struct figure *single, struct figure *many)
{
	struct figure after = {0};

	ask_bare(run, bare);
	ask(run, NULL, pid, single);
	ask(run, volley, pid, many);
	ask_bare(run, &after);
	bare->rate = (bare->rate + after.rate) / 2;
	bare->client_us = (bare->client_us + after.client_us) / 2;
	single->by_clock = single->rate / bare->rate;
	single->by_cpu = bare->client_us / single->vault_us;
	many->by_clock = many->rate / bare->rate;
	many->by_cpu = bare->client_us / many->vault_us;
}

/* A key of KIND in the vault for ADDR, its certificate, and another key of the kind here. */
static void
make_key(struct run *run, const char *kind, const char *addr, char key[64], struct cert **cert)
{
	struct json_value *answer;
	struct certset certs = {0};
	struct err err = ERR_INIT;
	const char *pem;
	char request[200];

	snprintf(request, sizeof(request), "{\"cmd\":\"key.new\",\"addr\":\"%s\",\"type\":\"%s\"}",
		addr, kind);
	MUST(admin_call(world_conf(), request, NULL, &answer, &err));
	snprintf(key, 64, "%s", json_get_text(json_at(json_find(answer, "keys"), 0), "key"));
	json_free(&answer);
	snprintf(request, sizeof(request), "{\"cmd\":\"key.cert\",\"key\":\"%s\"}", key);
	MUST(admin_call(world_conf(), request, NULL, &answer, &err));
	pem = json_get_text(answer, "pem");
	MUST(certset_parse(pem, strlen(pem), &certs, &err));
	*cert = cert_ref(certs.v[0]);
	certset_fini(&certs);
	json_free(&answer);
	MUST(pkey_generate(kind, &run->pkey, &err));
}

/* Content keys for CERT, each in a RecipientInfo of its own. */
static struct rinfo *
make_rinfos(const struct cert *cert, struct der_out *der)
{
	struct rinfo *v = calloc(VOLLEY_FRAMES, sizeof(*v)), parts[4];
	size_t at[VOLLEY_FRAMES + 1], n;
	struct err err = ERR_INIT;

	if (!v)
		world_die("memory", NULL);
	for (size_t i = 0; i < VOLLEY_FRAMES; i++) {
		struct secret *cek = NULL;

		at[i] = der->buf.len;
		MUST(secret_random(32, &cek, &err));
		MUST(rinfo_write(cert, cek, false, der, &err));
		secret_free(&cek);
	}
	at[VOLLEY_FRAMES] = der->buf.len;
	for (size_t i = 0; i < VOLLEY_FRAMES; i++) {
		MUST(rinfo_parse(der->buf.data + at[i], at[i + 1] - at[i], parts, 4, &n, &err));
		v[i] = parts[0];
	}
	return v;
}

static void
print_rounds(struct run *run, struct volley *volley, pid_t pid, const char *kind)
{
	struct figure bare[ROUNDS] = {0}, single[ROUNDS] = {0}, many[ROUNDS] = {0};
	char way[64];

	for (int i = 0; i < ROUNDS; i++)
		play_round(run, volley, pid, &bare[i], &single[i], &many[i]);
	printf("vault %-13s %-24s %7.0f/s, CPU of the bare operation %.1f us\n", kind, "bare",
		MEDIAN(bare, rate), MEDIAN(bare, client_us));
	snprintf(way, sizeof(way), "one at a time from %d", CLIENTS);
	print_figure(kind, way, single, MEDIAN(bare, client_us), false);
	snprintf(way, sizeof(way), "%d in flight on each of %d", IN_FLIGHT, CONNECTIONS);
	print_figure(kind, way, many, MEDIAN(bare, client_us), !run->rinfos);
}

static void
bench(const char *kind, bool sign, bool opens, pid_t pid)
{
	struct run run = {0};
	struct volley volley = {.path = conf_str(conf_section(world_conf(), "vault"), "socket"),
		.in_flight = IN_FLIGHT};
	struct der_out der;
	struct cert *cert;
	struct err err = ERR_INIT;
	char addr[64], key[64], name[64];

	snprintf(addr, sizeof(addr), "%s@example.org", kind);
	make_key(&run, kind, addr, key, &cert);
	MUST(vault_client_new(world_conf(), "all", &run.client, &err));
	run.key = volley.key = key;
	run.recipient = volley.recipient = addr;
	snprintf(name, sizeof(name), "%s sign", kind);
	if (sign)
		print_rounds(&run, &volley, pid, name);
	der_out_init(&der, 1u << 20, &err);
	run.rinfos = make_rinfos(cert, &der);
	volley.rinfos = run.rinfos;
	snprintf(name, sizeof(name), "%s open", kind);
	if (opens)
		print_rounds(&run, &volley, pid, name);
	free(run.rinfos);
	der_out_fini(&der);
	cert_unref(&cert);
	pkey_unref(&run.pkey);
	vault_client_free(&run.client);
}

int
main(int argc, char **argv)
{
	static const char *const kinds[] = {"rsa2048", "rsa3072", "p256"};
	const char *only = argc > 3 ? argv[3] : "";
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: vault_bench SEALGATE-VAULT [TYPE [sign|open]]\n");
		return 64;
	}
	log_open("vault_bench", true);
	world_make();
	world_start(argv[1], &pid);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (argc < 3 || strcmp(argv[2], kinds[i]) == 0)
			bench(kinds[i], strcmp(only, "open") != 0, strcmp(only, "sign") != 0, pid);
	world_stop(pid);
	return 0;
}
