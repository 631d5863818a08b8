/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vault_kill.c - the real sealgate-vault, killed in the middle of its work
 *
 * Clients sign without a pause while the program is killed with signal 9 and started again, several
 * times. The clients, never restarted, find each new vault; the ledger verifies every time, and has
 * an intent for every signature that a client got; what an operator was told is done is in the
 * store. Then: a clean stop under load, a second vault on the same store, a reload, a configuration
 * that is refused.
 *
 *     vault_kill [SEALGATE-VAULT [ROUNDS]]
 */
#include "keystore/client.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "keystore/ledger_verify.h"
#include "tests/unit/keystore/vault_world.h"

#define THREADS 6

static struct world w;
static const char *program = "./sealgate-vault";
static int rounds = 4;

struct load {
	struct vault_client *client;
	char key[64];
	volatile bool stop;
	long signed_, failed;
};

static void *
sign_on(void *ctx)
{
	struct load *load = ctx;
	unsigned char value[DIGEST_MAX_SIZE] = {7};
	struct vault_sign_request request = {.key_id = load->key,
		.digest = DIGEST_SHA256,
		.value = value,
		.signing_time = -1,
		.claim = {.qid = "4Q"}};

	while (!load->stop) {
		struct buf der = BUF_INIT(65536);
		struct err err = ERR_INIT;
		enum rc rc = vault_sign(load->client, &request, &der, &err);

		if (rc == RC_OK) {
			__atomic_add_fetch(&load->signed_, 1, __ATOMIC_RELAXED);
		} else {
			__atomic_add_fetch(&load->failed, 1, __ATOMIC_RELAXED);
			if (rc != RC_TEMP)
				fprintf(stderr, "not temporary: %s %s\n", err_name(err.code),
					err.detail);
			usleep(1000);
		}
		buf_fini(&der);
	}
	return NULL;
}

static pid_t
start(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDERR_FILENO);
		execl(program, "sealgate-vault", "-c", conf_path(w.conf), "-f", (char *)NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	return pid;
}

static void
wait_ready(struct vault_client *client, pid_t pid)
{
	int64_t began = clock_monotonic_ms();
	struct err err = ERR_INIT;

	while (vault_ping(client, &err) != RC_OK) {
		if (waitpid(pid, NULL, WNOHANG) == pid || clock_monotonic_ms() - began > 10000)
			fail_msg("the vault does not start: %s", err.detail);
		usleep(5000);
	}
}

/* Sends SIG and gives the milliseconds until the program was gone. */
static int64_t
end(pid_t pid, int sig, int *status)
{
	int64_t began = clock_monotonic_ms();

	kill(pid, sig);
	assert_int_equal(waitpid(pid, status, 0), pid);
	return clock_monotonic_ms() - began;
}

/* Lines of all segments with TEXT in them. */
static long
count_records(const char *text)
{
	const char *dir = conf_str(conf_section(w.conf, "ledger"), "dir");
	struct err err = ERR_INIT;
	char **names;
	size_t n;
	long count = 0;

	MUST(file_list(dir, 10000, &names, &n, &err));
	for (size_t i = 0; i < n; i++) {
		struct buf data = BUF_INIT(512u << 20);
		char *path = file_join(dir, names[i]);

		MUST(file_read(path, &data, &err));
		for (const char *p = buf_text(&data); (p = strstr(p, text)) != NULL;
			p += strlen(text))
			count++;
		buf_fini(&data);
		free(path);
	}
	file_list_free(&names, n);
	return count;
}

static void
check_ledger(long at_least)
{
	struct ledger_report report;
	struct err err = ERR_INIT;

	MUST(ledger_verify(
		conf_str(conf_section(w.conf, "ledger"), "dir"), NULL, 0, &report, &err));
	CHECK_STR("ledger", report.problem, "");
	assert_true(report.ok);
	assert_true(count_records("\"type\":\"intent\",\"event\":\"sign\"") >= at_least);
}

static void
test_kill(void **state)
{
	struct load load = {0};
	pthread_t threads[THREADS];
	struct err err = ERR_INIT;
	char request[128], done[16][64];
	int status;
	pid_t pid;

	(void)state;
	MUST(vault_client_new(w.conf, "all", &load.client, &err));
	pid = start();
	wait_ready(load.client, pid);
	world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"alice@example.org\",\"type\":\"p256\"}",
		load.key);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sign_on, &load), 0);
	for (int round = 0; round < rounds; round++) {
		long before = load.signed_;

		usleep(20000 + (useconds_t)(round * 37 % 100) * 1000);
		/* What the operator was told is done. */
		snprintf(request, sizeof(request),
			"{\"cmd\":\"key.new\",\"addr\":\"p%d@example.org\",\"type\":\"p256\"}",
			round);
		world_do(&w, request, done[round % 16]);
		end(pid, SIGKILL, &status);
		check_ledger(load.signed_);
		pid = start();
		wait_ready(load.client, pid);
		for (int i = 0; i < 200 && load.signed_ == before; i++)
			usleep(10000);
		assert_true(load.signed_ > before);
		snprintf(request, sizeof(request), "{\"cmd\":\"key.show\",\"key\":\"%s\"}",
			done[round % 16]);
		world_do(&w, request, NULL);
	}
	/* A clean stop in the middle of it. */
	CHECK_INT("clean stop under a second", end(pid, SIGTERM, &status) < 1000, 1);
	CHECK_INT("exit status", status, 0);
	load.stop = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	check_ledger(load.signed_);
	vault_client_free(&load.client);
}

/* Runs the program until it ends by itself. */
static int
exit_of(const char *conf)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDERR_FILENO);
		execl(program, "sealgate-vault", "-c", conf, "-f", (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
test_life(void **state)
{
	struct vault_client *client;
	struct err err = ERR_INIT;
	char bad[128];
	int status;
	pid_t pid;

	(void)state;
	snprintf(bad, sizeof(bad), "%s/bad.conf", w.dir);
	MUST(file_write(bad, "vault = { nix = 1; };\n", 22, 0600, &err));
	CHECK_INT("bad configuration", exit_of(bad), 78);
	CHECK_INT("no configuration", exit_of("/nonexistent") != 0, 1);

	MUST(vault_client_new(w.conf, "all", &client, &err));
	pid = start();
	wait_ready(client, pid);
	CHECK_INT("a second vault", exit_of(conf_path(w.conf)) != 0, 1);
	MUST(vault_ping(client, &err));

	/* A reload takes what is new, and keeps the old when the new is refused. */
	conf_unref(&w.conf);
	w.conf = world_conf(&w, "budgets = ( { use = \"open\"; day = 9; } );\n");
	kill(pid, SIGUSR1);
	usleep(200000);
	MUST(vault_ping(client, &err));
	{
		struct buf text = BUF_INIT(65536), with = BUF_INIT(65536);

		MUST(file_read(conf_path(w.conf), &text, &err));
		MUST(buf_appendf(&with, &err, "%snonsense = 1;\n", buf_text(&text)));
		MUST(file_write(conf_path(w.conf), with.data, with.len, 0600, &err));
		kill(pid, SIGUSR1);
		usleep(200000);
		MUST(vault_ping(client, &err));
		MUST(file_write(conf_path(w.conf), text.data, text.len, 0600, &err));
		buf_fini(&text);
		buf_fini(&with);
	}
	/* Not a signal to end by. */
	kill(pid, SIGHUP);
	usleep(100000);
	MUST(vault_ping(client, &err));
	end(pid, SIGTERM, &status);
	CHECK_INT("exit status", status, 0);
	vault_client_free(&client);
}

/* One signature; nothing is asked twice. */
static enum rc
sign_once(struct load *load, struct err *err)
{
	unsigned char value[DIGEST_MAX_SIZE] = {7};
	struct vault_sign_request request = {
		.key_id = load->key, .digest = DIGEST_SHA256, .value = value, .signing_time = -1};
	struct buf der = BUF_INIT(65536);
	enum rc rc = vault_sign(load->client, &request, &der, err);

	buf_fini(&der);
	return rc;
}

/* No file of the vault may grow: no key is used, the program lives on, and all is well when there
 * is room again. */
static void
test_full(void **state)
{
	const struct rlimit none = {10, RLIM_INFINITY}, all = {RLIM_INFINITY, RLIM_INFINITY};
	struct load load = {0};
	struct err err = ERR_INIT;
	long before;
	int status;
	pid_t pid;

	(void)state;
	MUST(vault_client_new(w.conf, "all", &load.client, &err));
	pid = start();
	wait_ready(load.client, pid);
	world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"full@example.org\",\"type\":\"p256\"}",
		load.key);
	MUST(sign_once(&load, &err));
	before = count_records("\"type\":\"intent\",\"event\":\"sign\"");
	assert_int_equal(prlimit(pid, RLIMIT_FSIZE, &none, NULL), 0);
	for (int i = 0; i < 3; i++)
		REFUSED(sign_once(&load, &err), ERR_LEDGER);
	CHECK_INT("intents", count_records("\"type\":\"intent\",\"event\":\"sign\""), before);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	assert_int_equal(prlimit(pid, RLIMIT_FSIZE, &all, NULL), 0);
	MUST(sign_once(&load, &err));
	end(pid, SIGTERM, &status);
	CHECK_INT("exit status", status, 0);
	check_ledger(before + 1);
	vault_client_free(&load.client);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_full),
	};
	int failed;

	if (argc > 1)
		program = argv[1];
	if (argc > 2)
		rounds = atoi(argv[2]);
	world_init(&w, NULL);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	world_fini(&w);
	return failed;
}
