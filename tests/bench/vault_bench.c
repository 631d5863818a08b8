/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vault_bench.c - the vault alone against the bare private-key operation, ledger and fsync on
 *
 *     vault_bench PROGRAM [KEYS [TYPE]]
 *
 * PROGRAM: sealgate-vault. For each key type: bare signatures in a second with all cores, the same
 * through the vault, their ratio, and the CPU time that one signature costs (vault and client)
 * beyond the bare one. KEYS: how many keys a store has for the time from start to ready; 0: leave
 * that out.
 */
#include "keystore/client.h"

#include <ftw.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "keystore/admin.h"
#include "keystore/vault.h"

#define ROUNDS    3
#define CLIENTS   48
#define MAX_CORES 64

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
	char name[64], line[1024];
	unsigned long user = 0, system = 0;
	const char *p;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
	f = fopen(name, "r");
	if (!f || !fgets(line, sizeof(line), f) || !(p = strrchr(line, ')')) ||
		sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			&system) != 2)
		die("/proc", NULL);
	fclose(f);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
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

static void
bench(const char *kind, pid_t pid)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	double bare = 0, vault = 0, bare_cpu = 1, own = 1, theirs = 1, cpu, cpu2, rate;
	long failed = 0;
	struct json_value *answer;
	struct run run = {0};
	struct err err = ERR_INIT;
	char request[200], key[64];

	snprintf(request, sizeof(request),
		"{\"cmd\":\"key.new\",\"addr\":\"%s@example.org\",\"type\":\"%s\"}", kind, kind);
	MUST(admin_call(conf, request, NULL, &answer, &err));
	snprintf(key, sizeof(key), "%s",
		json_get_text(json_at(json_find(answer, "keys"), 0), "key"));
	json_free(&answer);
	MUST(pkey_generate(kind, &run.pkey, &err));
	MUST(vault_client_new(conf, "all", &run.client, &err));
	run.key = key;

	/* In turns, the best of each: other work on the machine meets both. */
	for (int round = 0; round < ROUNDS; round++) {
		cpu = cpu_of(RUSAGE_SELF);
		rate = measure(&run, sign_bare, (int)(cores < MAX_CORES ? cores : MAX_CORES));
		bare = rate > bare ? rate : bare;
		cpu = (cpu_of(RUSAGE_SELF) - cpu) / (double)run.done;
		bare_cpu = cpu < bare_cpu ? cpu : bare_cpu;
		cpu = cpu_of(RUSAGE_SELF);
		cpu2 = cpu_of_pid(pid);
		rate = measure(&run, sign_vault, CLIENTS);
		vault = rate > vault ? rate : vault;
		cpu = (cpu_of(RUSAGE_SELF) - cpu) / (double)run.done;
		cpu2 = (cpu_of_pid(pid) - cpu2) / (double)run.done;
		own = cpu < own ? cpu : own;
		theirs = cpu2 < theirs ? cpu2 : theirs;
		failed += run.failed;
	}
	/* The goal is by the vault's own CPU time: here its clients take part of the same cores. */
	printf("vault %-8s bare %7.0f/s  vault %7.0f/s  ratio %.2f  by the vault's CPU %.2f  CPU beyond "
	       "bare %4.0f us (vault %.0f, client %.0f)  goal 0.70: %s%s\n",
		kind, bare, vault, vault / bare, bare_cpu / theirs, (own + theirs - bare_cpu) * 1e6,
		(theirs - bare_cpu) * 1e6, own * 1e6, bare_cpu / theirs >= 0.7 ? "kept" : "MISSED",
		failed ? "  FAILURES" : "");
	fflush(stdout);
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
