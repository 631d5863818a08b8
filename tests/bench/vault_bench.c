/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vault_bench.c - the vault alone against the bare private-key operation, ledger and fsync on
 *
 *     vault_bench PROGRAM [KEYS [TYPE]]
 *
 * PROGRAM: sealgate-vault. KEYS: how many keys a store has for the time from start to ready; 0:
 * leave that out. For each key type, all with every core at work:
 *
 * - the bare operation: signatures in a second in this process, and the CPU time of one;
 * - "one at a time": CLIENTS connections, each with one request in flight, through the library that
 *   the milter uses;
 * - "many in flight": CONNECTIONS connections with IN_FLIGHT requests each, so that the vault has
 *   always more to do than it can.
 *
 * Medians over ROUNDS rounds. The rate by the clock is what comes out while clients and vault share
 * the cores; "of bare" is its part of the bare rate. The vault's own CPU is all of its threads'
 * time for one signature, kernel included; "of bare" is the bare CPU time as a part of it: what the
 * rate would be of the bare one if the clients were on another machine.
 */
#include "keystore/client.h"

#include <ftw.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "keystore/admin.h"
#include "keystore/vault.h"
#include "tests/bench/volley.h"

#define ROUNDS      5
#define CLIENTS     48
#define CONNECTIONS 16
#define IN_FLIGHT   64
#define MAX_CORES   64
#define GOAL        0.70

static char dir[] = "/tmp/sg-bench-XXXXXX";
static struct conf *conf;

static void
die(const char *what, const struct err *err)
{
	fprintf(stderr, "vault_bench: %s: %s\n", what, err ? err->detail : "");
	exit(1);
}

#define MUST(call)                        \
	do {                              \
		if ((call) != RC_OK)      \
			die(#call, &err); \
	} while (0)

static int
remove_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	(void)st;
	(void)what;
	(void)ftw;
	return remove(path);
}

static void
clean_up(void)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
make_world(void)
{
	const struct passwd *pw = getpwuid(getuid());
	struct admin_init init = {"Example", "example.org", "p256"};
	struct buf text = BUF_INIT(65536), pem = BUF_INIT(65536);
	struct err err = ERR_INIT;
	char name[128];

	if (!mkdtemp(dir))
		die("mkdtemp", NULL);
	atexit(clean_up);
	MUST(buf_appendf(&text, &err,
		"organisation = { name = \"Example\"; domains = [\"example.org\"]; };\n"
		"milter = { user = \"%u\"; };\nvault = { user = \"%s\"; };\nlog = { level = \"warn\"; };\n"
		"services = ( { name = \"all\"; role = \"all\"; socket = \"unix:run/all.sock\"; } );\n",
		(unsigned)getuid(), pw ? pw->pw_name : "root"));
	snprintf(name, sizeof(name), "%s/sealgate.conf", dir);
	MUST(file_write(name, text.data, text.len, 0600, &err));
	MUST(conf_load(name, &conf, &err));
	MUST(admin_init(conf, &init, &pem, &err));
	buf_fini(&text);
	buf_fini(&pem);
}

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
		die("the vault's CPU time", NULL);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Starts the vault and waits until it answers; gives the milliseconds that took. */
static int64_t
start_vault(const char *program, pid_t *pid)
{
	struct vault_client *client;
	struct err err = ERR_INIT;
	int64_t began = clock_monotonic_ms();

	*pid = fork();
	if (*pid == 0) {
		execl(program, "sealgate-vault", "-c", conf_path(conf), "-f", (char *)NULL);
		_exit(127);
	}
	MUST(vault_client_new(conf, "all", &client, &err));
	while (vault_ping(client, &err) != RC_OK) {
		if (clock_monotonic_ms() - began > 20000 || waitpid(*pid, NULL, WNOHANG) == *pid)
			die("the vault does not start", &err);
		usleep(2000);
	}
	vault_client_free(&client);
	return clock_monotonic_ms() - began;
}

static void
stop_vault(pid_t pid)
{
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

struct run {
	struct pkey *pkey;
	struct vault_client *client;
	const char *key;
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

static void *
sign_vault(void *ctx)
{
	struct run *run = ctx;
	unsigned char value[DIGEST_MAX_SIZE] = {1};
	const char *rcpt = "carol@example.net";
	struct vault_sign_request request = {.key_id = run->key,
		.digest = DIGEST_SHA256,
		.value = value,
		.signing_time = -1,
		.claim = {
			"4AbcDef", "alice@example.org", "alice@example.org", "outbound", &rcpt, 1}};
	struct buf der = BUF_INIT(1u << 20);
	struct err err = ERR_INIT;
	long n = 0;

	while (!run->stop) {
		buf_clear(&der);
		if (vault_sign(run->client, &request, &der, &err))
			__atomic_add_fetch(&run->failed, 1, __ATOMIC_RELAXED);
		else
			n++;
	}
	__atomic_add_fetch(&run->done, n, __ATOMIC_RELAXED);
	buf_fini(&der);
	return NULL;
}

/* THREADS of WORK for a second: operations in it. */
static double
measure(struct run *run, void *(*work)(void *), int threads)
{
	pthread_t t[CLIENTS + MAX_CORES];
	int64_t began = clock_monotonic_ms();

	run->stop = false;
	run->done = run->failed = 0;
	for (int i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, work, run))
			die("thread", NULL);
	sleep(1);
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

/* Many requests in flight for a second. */
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
			die("thread", NULL);
	sleep(1);
	stop = true;
	for (int i = 0; i < CONNECTIONS; i++)
		pthread_join(t[i], NULL);
	return (double)volley->done * 1000 / (double)(clock_monotonic_ms() - began);
}

static void
print_figure(const char *kind, const char *way, const struct figure *figures, double bare_us)
{
	double by_clock = MEDIAN(figures, by_clock), by_cpu = MEDIAN(figures, by_cpu);
	long failed = 0;

	for (int i = 0; i < ROUNDS; i++)
		failed += figures[i].failed;
	printf("vault %-8s %-24s %7.0f/s, of bare %.2f: %-6s  vault's CPU %6.1f us (+%.1f), of bare "
	       "%.2f: %-6s  client's CPU %.1f us%s\n",
		kind, way, MEDIAN(figures, rate), by_clock, by_clock >= GOAL ? "kept" : "MISSED",
		MEDIAN(figures, vault_us), MEDIAN(figures, vault_us) - bare_us, by_cpu,
		by_cpu >= GOAL ? "kept" : "MISSED", MEDIAN(figures, client_us),
		failed ? "  FAILURES" : "");
	fflush(stdout);
}

/* One way of asking, for a second. VOLLEY NULL: one request at a time from each client. */
static void
ask(struct run *run, struct volley *volley, pid_t pid, struct figure *figure)
{
	double own = cpu_of(RUSAGE_SELF), theirs = cpu_of_pid(pid), done;

	figure->rate = volley ? measure_volley(volley) : measure(run, sign_vault, CLIENTS);
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

	figure->rate = measure(run, sign_bare, (int)(cores < MAX_CORES ? cores : MAX_CORES));
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

static void
bench(const char *kind, pid_t pid)
{
	struct figure bare[ROUNDS] = {0}, single[ROUNDS] = {0}, many[ROUNDS] = {0};
	struct json_value *answer;
	struct run run = {0};
	struct volley volley = {
		.path = conf_str(conf_section(conf, "vault"), "socket"), .in_flight = IN_FLIGHT};
	struct err err = ERR_INIT;
	char request[200], key[64], way[64];

	snprintf(request, sizeof(request),
		"{\"cmd\":\"key.new\",\"addr\":\"%s@example.org\",\"type\":\"%s\"}", kind, kind);
	MUST(admin_call(conf, request, NULL, &answer, &err));
	snprintf(key, sizeof(key), "%s",
		json_get_text(json_at(json_find(answer, "keys"), 0), "key"));
	json_free(&answer);
	MUST(pkey_generate(kind, &run.pkey, &err));
	MUST(vault_client_new(conf, "all", &run.client, &err));
	run.key = volley.key = key;
	for (int i = 0; i < ROUNDS; i++)
		play_round(&run, &volley, pid, &bare[i], &single[i], &many[i]);
	printf("vault %-8s %-24s %7.0f/s, CPU of the bare operation %.1f us; goal %.2f of it\n",
		kind, "bare", MEDIAN(bare, rate), MEDIAN(bare, client_us), GOAL);
	snprintf(way, sizeof(way), "one at a time from %d", CLIENTS);
	print_figure(kind, way, single, MEDIAN(bare, client_us));
	snprintf(way, sizeof(way), "%d in flight on each of %d", IN_FLIGHT, CONNECTIONS);
	print_figure(kind, way, many, MEDIAN(bare, client_us));
	pkey_unref(&run.pkey);
	vault_client_free(&run.client);
}

/* N keys as rows of the store, with one private key behind all: what is read at start is the same.
 */
static void
fill(long n)
{
	struct secret *master = NULL;
	struct vault *vault;
	struct store *store;
	struct err err = ERR_INIT;

	MUST(vault_read_master(conf, &master, &err));
	MUST(vault_start(conf, master, &vault, &err));
	store = vault_store(vault);
	MUST(store_begin(store, &err));
	for (long i = 0; i < n; i++) {
		struct store_person person = {.created = 1};
		struct store_addr addr = {.since = 1};
		struct store_key key = {
			.purpose = PURPOSE_BOTH, .type = KEY_EC_P256, .created = 1, .changed = 1};
		static struct pkey *pkey;

		if (!pkey)
			MUST(pkey_generate("p256", &pkey, &err));
		MUST(store_new_id('p', person.id, &err));
		MUST(store_new_id('a', addr.id, &err));
		MUST(store_new_id('k', key.id, &err));
		strcpy(addr.person, person.id);
		strcpy(key.person, person.id);
		snprintf(person.name, sizeof(person.name), "Person %ld", i);
		snprintf(addr.addr, sizeof(addr.addr), "person%ld@example.org", i);
		snprintf(key.fingerprint, sizeof(key.fingerprint), "%064ld", i);
		MUST(store_put_person(store, &person, &err));
		MUST(store_put_addr(store, &addr, &err));
		MUST(store_add_key(store, &key, pkey, &err));
	}
	MUST(store_commit(store, &err));
	vault_stop(&vault);
	secret_free(&master);
}

int
main(int argc, char **argv)
{
	static const char *const kinds[] = {"rsa2048", "rsa3072", "p256"};
	long keys = argc > 2 ? atol(argv[2]) : 10000;
	int64_t ms;
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: vault_bench SEALGATE-VAULT [KEYS [TYPE]]\n");
		return 64;
	}
	log_open("vault_bench", true);
	make_world();
	if (keys > 0)
		fill(keys);
	ms = start_vault(argv[1], &pid);
	printf("vault start to ready with %ld keys: %lld ms  goal 1000: %s\n", keys, (long long)ms,
		ms < 1000 ? "kept" : "MISSED");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (argc < 4 || strcmp(argv[3], kinds[i]) == 0)
			bench(kinds[i], pid);
	stop_vault(pid);
	conf_unref(&conf);
	return 0;
}
