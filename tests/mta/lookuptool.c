/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lookuptool.c - the look-ups of a configuration, asked line by line: for tests with real
 * directories
 *
 *   lookuptool CONF ANCHOR.pem < LINES
 *
 * Each line names addresses, separated by blanks: all are begun, then all are waited for. For each
 * there is an answer, "ADDR RC ERROR USED PROVEN CANDIDATES", then a line for each candidate that
 * lost, "- WHY", "- stale" for one of a directory that can't be asked, and at the end "done
 * MILLISECONDS". RC is ok, none, temp or perm.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "directory/lookup.h"

#define MOST 1000

static struct lookups *
set_up(const char *path, const char *anchor, struct certstore **store, struct err *err)
{
	struct trust_options options = {.revocation = REVOKE_IF_KNOWN, .min_rsa = 2048};
	struct buf pem = BUF_INIT(1 << 20);
	struct certset anchors = {0};
	struct lookups *lookups = NULL;
	struct trust *trust = NULL;
	struct conf *conf = NULL;
	enum rc rc = conf_load(path, &conf, err);

	if (rc == RC_OK)
		rc = file_read(anchor, &pem, err);
	if (rc == RC_OK)
		rc = certset_parse(pem.data, pem.len, &anchors, err);
	if (rc == RC_OK)
		rc = trust_new(&options, &trust, err);
	for (size_t i = 0; rc == RC_OK && i < anchors.n; i++)
		rc = trust_add_anchor(trust, anchors.v[i], NULL, 0, err);
	if (rc == RC_OK)
		rc = certstore_open(
			conf_str(conf_section(conf, "certstore"), "path"), true, store, err);
	if (rc == RC_OK)
		rc = lookups_new(conf, *store, trust, &lookups, err);
	certset_fini(&anchors);
	buf_fini(&pem);
	trust_unref(&trust);
	conf_unref(&conf);
	return rc == RC_OK ? lookups : NULL;
}

static const char *
rc_name(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return "ok";
	case RC_NONE:
		return "none";
	case RC_PERM:
		return "perm";
	default:
		return "temp";
	}
}

static void
print(const char *addr, struct lookup *lookup)
{
	const struct lookup_result *result;
	struct err err = ERR_INIT;
	size_t used = 0;

	if (lookup_wait(lookup, 60000, &result, &err) != RC_OK) {
		printf("%s temp %s 0 0 0\n", addr, err_name(err.code));
		return;
	}
	for (size_t i = 0; i < result->n; i++)
		used += result->v[i].used;
	printf("%s %s %s %zu %d %zu\n", addr, rc_name(result->rc),
		result->rc == RC_TEMP ? err_name(result->err.code) : "-", used, result->proven,
		result->n);
	for (size_t i = 0; i < result->n; i++) {
		if (!result->v[i].used)
			printf("- %s\n", result->v[i].why);
		if (result->v[i].stale)
			printf("- stale\n");
	}
}

static void
ask(struct lookups *lookups, char *line)
{
	struct lookup *v[MOST] = {NULL};
	char *addrs[MOST], *rest = NULL;
	int64_t start = clock_monotonic_ms();
	size_t n = 0;

	for (char *addr = strtok_r(line, " \n", &rest); addr && n < MOST;
		addr = strtok_r(NULL, " \n", &rest)) {
		struct err err = ERR_INIT;

		if (lookup_begin(lookups, addr, &v[n], &err) == RC_OK)
			addrs[n++] = addr;
		else
			printf("%s perm %s 0 0 0\n", addr, err_name(err.code));
	}
	for (size_t i = 0; i < n; i++) {
		print(addrs[i], v[i]);
		lookup_free(&v[i]);
	}
	printf("done %lld\n", (long long)(clock_monotonic_ms() - start));
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct certstore *store = NULL;
	struct lookups *lookups;
	char *line = NULL;
	size_t room = 0;

	log_open("lookuptool", true);
	if (argc != 3) {
		fprintf(stderr, "usage: lookuptool CONF ANCHOR.pem < LINES\n");
		return 64;
	}
	if (!(lookups = set_up(argv[1], argv[2], &store, &err))) {
		fprintf(stderr, "lookuptool: %s\n", err.detail);
		certstore_close(&store);
		return 78;
	}
	while (getline(&line, &room, stdin) > 0)
		ask(lookups, line);
	free(line);
	lookups_free(&lookups);
	certstore_close(&store);
	return 0;
}
