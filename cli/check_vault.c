/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/check.h"

#include <inttypes.h>
#include <stdio.h>

#include "keystore/ledger_disk.h"
#include "keystore/settings.h"

/* Little room for the ledger is no fault of the configuration, but somebody should know. */
static void
warn_room(const struct conf *conf)
{
	const struct conf_group *group = conf_section(conf, "ledger");
	int64_t room = ledger_disk_room(conf_str(group, "dir")),
		wanted = conf_int(group, "warn_free");

	if (room >= 0 && room < wanted)
		fprintf(stderr,
			"sealgate: %s: %" PRId64 " MB are free on the ledger's disk, less than "
			"ledger.warn_free (%" PRId64 " MB)\n",
			conf_str(group, "dir"), room >> 20, wanted >> 20);
}

enum rc
check_vault(struct conf *conf, struct err *err)
{
	struct settings *settings = NULL;
	enum rc rc = settings_new(conf, &settings, err);

	if (rc == RC_OK)
		warn_room(conf);
	settings_unref(&settings);
	return rc;
}
