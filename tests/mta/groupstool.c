/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * groupstool.c - the groups that somebody is in, from a real directory
 *
 *   groupstool CONF GROUP… < ADDRESSES
 *
 * For each line "ADDR RC GROUP,GROUP"; RC is ok or temp, and then the name of the error.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "directory/groups.h"

#define MOST 32

static void
ask(struct groups *groups, const char *addr, char *const *names, size_t n)
{
	struct err err = ERR_INIT;
	bool in[MOST], first = true;

	if (groups_find(groups, addr, in, &err) != RC_OK) {
		printf("%s temp %s\n", addr, err_name(err.code));
		return;
	}
	printf("%s ok ", addr);
	for (size_t i = 0; i < n; i++)
		if (in[i]) {
			printf("%s%s", first ? "" : ",", names[i]);
			first = false;
		}
	printf("\n");
}

int
main(int argc, char **argv)
{
	const char *names[MOST];
	struct groups *groups = NULL;
	struct conf *conf = NULL;
	struct err err = ERR_INIT;
	char line[2048];
	size_t n = (size_t)argc - 2;

	log_open("groupstool", true);
	if (argc < 3 || n > MOST)
		return 64;
	for (size_t i = 0; i < n; i++)
		names[i] = argv[i + 2];
	if (conf_load(argv[1], &conf, &err) != RC_OK ||
		groups_new(conf, names, n, &groups, &err) != RC_OK) {
		fprintf(stderr, "%s\n", err.detail);
		conf_unref(&conf);
		return 78;
	}
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = '\0';
		ask(groups, line, argv + 2, n);
		fflush(stdout);
	}
	groups_free(&groups);
	conf_unref(&conf);
	return 0;
}
