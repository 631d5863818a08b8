/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attributetool.c - an attribute of a person from a real directory
 *
 *   attributetool CONF DIRECTORY ATTRIBUTE < ADDRESSES
 *
 * For each line "ADDR RC VALUE"; RC is ok, none, temp or perm.
 */
#include <stdio.h>
#include <string.h>

#include "directory/attribute.h"

static const char *
rc_name(enum rc rc)
{
	return rc == RC_OK ? "ok" : rc == RC_NONE ? "none" : rc == RC_TEMP ? "temp" : "perm";
}

int
main(int argc, char **argv)
{
	struct attributes *attributes = NULL;
	struct conf *conf = NULL;
	struct err err = ERR_INIT;
	char line[2048];

	if (argc != 4)
		return 64;
	if (conf_load(argv[1], &conf, &err) != RC_OK ||
		attributes_new(conf, argv[2], &attributes, &err) != RC_OK) {
		fprintf(stderr, "%s\n", err.detail);
		conf_unref(&conf);
		return 78;
	}
	while (fgets(line, sizeof line, stdin)) {
		struct buf value = BUF_INIT(4096);
		enum rc rc;

		line[strcspn(line, "\n")] = '\0';
		rc = attributes_find(attributes, line, argv[3], &value, &err);
		printf("%s %s %s\n", line, rc_name(rc), buf_text(&value));
		fflush(stdout);
		buf_fini(&value);
	}
	attributes_free(&attributes);
	conf_unref(&conf);
	return 0;
}
