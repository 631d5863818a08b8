/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/folders.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What keeps DIR from being a folder that can be used so (of access(2)); NULL: nothing. */
static const char *
trouble(const char *dir, int how)
{
	struct stat st;

	if (stat(dir, &st))
		return strerror(errno);
	if (!S_ISDIR(st.st_mode))
		return strerror(ENOTDIR);
	return access(dir, how) ? strerror(errno) : NULL;
}

enum rc
folders_spool(const struct conf *conf, struct err *err)
{
	const char *dir = conf_str(conf_section(conf, "milter"), "spool");
	const char *why = trouble(dir, W_OK | X_OK);

	return why ? err_set(err, ERR_CONFIG, "milter.spool: %s: %s", dir, why) : RC_OK;
}

void
folders_missing(const struct conf *conf, folders_tell *tell)
{
	static const struct {
		const char *section, *option;
	} named[] = {{"trust", "crl_dir"}, {"trust", "intermediates"}};

	for (size_t i = 0; i < sizeof(named) / sizeof(*named); i++) {
		const char *dir = conf_str(conf_section(conf, named[i].section), named[i].option);
		const char *why = dir ? trouble(dir, R_OK | X_OK) : NULL;
		char option[64];

		snprintf(option, sizeof(option), "%s.%s", named[i].section, named[i].option);
		if (why)
			tell(option, dir, why);
	}
}
