/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_bench.c - the store with many keys: finding one, starting the vault, its memory
 *
 *     store_bench PROGRAM KEYS START_MS [KEYS START_MS …]
 *
 * PROGRAM: sealgate-vault. For each number of KEYS, in rising order: the store is filled up to it,
 * each key with a person, an address and a certificate; keys are looked up at random, straight from
 * the store, as the vault does for what is not in its caches; the vault is started. START_MS is the
 * goal for that. All keys have one private key behind them, which makes filling bearable; each is
 * wrapped for itself.
 */
#include "keystore/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/issue.h"
#include "crypto/pkey.h"
#include "keystore/vault.h"
#include "tests/bench/world.h"

#define LOOK_UPS   5000
#define LOOK_UP_US 50.0 /* goal */
#define BATCH      5000 /* keys in a transaction */

static struct pkey *pkey;
static unsigned char *template; /* a certificate … */
static size_t template_len;
static size_t serial_at, serial_len, ski_at, ski_len; /* … with the places that differ in each */
static size_t issuer_at, issuer_len;

static size_t
place_of(const unsigned char *part, size_t len)
{
	const unsigned char *p = memmem(template, template_len, part, len);

	if (!p)
		world_die("a certificate without serial or identifier", NULL);
	return (size_t)(p - template);
}

static void
make_template(void)
{
	struct issue_request request = {.common_name = "CA",
		.organisation = "Example",
		.not_before = clock_now() - 86400,
		.not_after = clock_now() + 86400 * 365};
	struct buf spki = BUF_INIT(4096);
	struct cert *ca, *leaf;
	const unsigned char *der, *part;
	struct err err = ERR_INIT;

	MUST(pkey_generate("p256", &pkey, &err));
	MUST(issue_root(pkey, &request, &ca, &err));
	request.common_name = "Person";
	request.addr = "person@example.org";
	request.use = CERT_SIGN | CERT_ENCRYPT;
	MUST(pkey_public(pkey, &spki, &err));
	MUST(issue_leaf(pkey, ca, spki.data, spki.len, &request, &leaf, &err));
	der = cert_der(leaf, &template_len);
	template = malloc(template_len);
	if (!template)
		world_die("memory", NULL);
	memcpy(template, der, template_len);
	part = cert_serial_bytes(leaf, &serial_len);
	serial_at = place_of(part, serial_len);
	part = cert_ski(leaf, &ski_len);
	ski_at = place_of(part, ski_len);
	part = cert_issuer_der(leaf, &issuer_len);
	issuer_at = place_of(part, issuer_len);
	buf_fini(&spki);
	cert_unref(&leaf);
	cert_unref(&ca);
}

/* Makes the template that of key number N. */
static void
set_template(uint32_t n)
{
	memcpy(template + serial_at + serial_len - sizeof(n), &n, sizeof(n));
	memcpy(template + ski_at, &n, sizeof(n));
}

/* The certificate of key number N: its signature is none, which nobody asks here. */
static struct cert *
make_cert(uint32_t n)
{
	struct cert *cert;
	struct err err = ERR_INIT;

	set_template(n);
	MUST(cert_parse(template, template_len, &cert, &err));
	return cert;
}

static void
add_person(struct store *store, uint32_t n)
{
	struct store_person person = {.created = 1};
	struct store_addr addr = {.since = 1};
	struct store_key key = {
		.purpose = PURPOSE_BOTH, .type = KEY_EC_P256, .created = 1, .changed = 1};
	struct cert *cert = make_cert(n);
	struct err err = ERR_INIT;

	MUST(store_new_id('p', person.id, &err));
	MUST(store_new_id('a', addr.id, &err));
	MUST(store_new_id('k', key.id, &err));
	strcpy(addr.person, person.id);
	strcpy(key.person, person.id);
	snprintf(person.name, sizeof(person.name), "Person %u", n);
	snprintf(addr.addr, sizeof(addr.addr), "person%u@example.org", n);
	snprintf(key.fingerprint, sizeof(key.fingerprint), "%064u", n);
	MUST(store_put_person(store, &person, &err));
	MUST(store_put_addr(store, &addr, &err));
	MUST(store_add_key(store, &key, pkey, &err));
	MUST(store_add_cert(store, key.id, cert, NULL, 1, 1, &err));
	cert_unref(&cert);
}

static void
fill(struct store *store, uint32_t from, uint32_t to)
{
	struct err err = ERR_INIT;

	for (uint32_t n = from; n < to; n++) {
		if (n == from)
			MUST(store_begin(store, &err));
		add_person(store, n);
		if (n + 1 == to || n % BATCH == BATCH - 1) {
			MUST(store_commit(store, &err));
			if (n + 1 < to)
				MUST(store_begin(store, &err));
		}
	}
}

/* By the RecipientInfo's issuer and serial number, or by SubjectKeyIdentifier; then the key. */
static void
find_by_rinfo(struct store *store, uint32_t n, bool by_ski)
{
	unsigned char ident[SHA256_SIZE];
	size_t found = 0;
	char ids[1][STORE_ID_SIZE];
	struct store_key key;
	struct err err = ERR_INIT;

	set_template(n);
	MUST(store_ident(
		template + issuer_at, issuer_len, template + serial_at, serial_len, ident, &err));
	MUST(store_match(store, by_ski, by_ski ? template + ski_at : ident,
		by_ski ? ski_len : sizeof(ident), ids, 1, &found, &err));
	if (found != 1)
		world_die("the key was not found", NULL);
	MUST(store_get_key(store, ids[0], &key, &err));
}

static enum rc
take_key(void *ctx, const struct store_key *key, struct err *err)
{
	(void)key;
	(void)err;
	++*(int *)ctx;
	return RC_OK;
}

/* By the address of the person. */
static void
find_by_addr(struct store *store, uint32_t n)
{
	struct store_addr addr;
	struct err err = ERR_INIT;
	char text[64];
	int found = 0;

	snprintf(text, sizeof(text), "person%u@example.org", n);
	MUST(store_find_addr(store, text, 100, &addr, &err));
	MUST(store_list_keys(store, addr.person, "", STORE_MAX_ROWS, take_key, &found, &err));
	if (found != 1)
		world_die("the person's key was not found", NULL);
}

enum way { BY_ISSUER, BY_SKI, BY_ADDR };

/* Processor time of one look-up, us. */
static double
look_up(struct store *store, uint32_t keys, enum way way)
{
	struct timespec a, b;
	uint32_t n = 1;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	for (int i = 0; i < LOOK_UPS; i++) {
		n = n * 1664525u + 1013904223u;
		if (way == BY_ADDR)
			find_by_addr(store, n % keys);
		else
			find_by_rinfo(store, n % keys, way == BY_SKI);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 1e3 /
	       LOOK_UPS;
}

static void
print_look_up(const char *what, uint32_t keys, double us)
{
	printf("store of %6u keys, look-up %-28s %6.1f us  goal %.0f: %s\n", keys, what, us,
		LOOK_UP_US, us < LOOK_UP_US ? "kept" : "MISSED");
	fflush(stdout);
}

/* KB of a member of /proc/PID/status. */
static long
memory(pid_t pid, const char *member)
{
	char path[64], line[256];
	FILE *f;
	long kb = 0;

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, member, strlen(member)) == 0)
			kb = atol(line + strlen(member) + 1);
	if (f)
		fclose(f);
	return kb;
}

static void
bench(const char *program, uint32_t from, uint32_t keys, long goal_ms)
{
	struct secret *master = NULL;
	struct vault *vault;
	struct err err = ERR_INIT;
	int64_t began, ms;
	pid_t pid;

	MUST(vault_read_master(world_conf(), &master, &err));
	MUST(vault_start(world_conf(), master, &vault, &err));
	cert_cache_limit(0);
	began = clock_monotonic_ms();
	fill(vault_store(vault), from, keys);
	ms = clock_monotonic_ms() - began;
	printf("store of %6u keys, filling: %.0f us for each key\n", keys,
		(double)ms * 1000 / (keys - from));
	print_look_up(
		"by issuer and serial number", keys, look_up(vault_store(vault), keys, BY_ISSUER));
	print_look_up("by key identifier", keys, look_up(vault_store(vault), keys, BY_SKI));
	print_look_up("by address", keys, look_up(vault_store(vault), keys, BY_ADDR));
	vault_stop(&vault);
	secret_free(&master);
	ms = world_start(program, &pid);
	printf("store of %6u keys, vault start to ready: %lld ms, goal %ld: %s; memory %ld KB, peak %ld KB\n",
		keys, (long long)ms, goal_ms, ms < goal_ms ? "kept" : "MISSED",
		memory(pid, "VmRSS"), memory(pid, "VmHWM"));
	fflush(stdout);
	world_stop(pid);
}

int
main(int argc, char **argv)
{
	uint32_t have = 0;

	if (argc < 4 || argc % 2 != 0) {
		fprintf(stderr, "usage: store_bench SEALGATE-VAULT KEYS START_MS ...\n");
		return 64;
	}
	log_open("store_bench", true);
	world_make();
	make_template();
	for (int i = 2; i < argc; i += 2) {
		uint32_t keys = (uint32_t)atol(argv[i]);

		bench(argv[1], have, keys, atol(argv[i + 1]));
		have = keys;
	}
	free(template);
	pkey_unref(&pkey);
	return 0;
}
