/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_named.c - what check warns of: certificates named by hand that end, or cannot be used
 */
#include "cli/check.h"

#include "directory/anchors.h"
#include "directory/named.h"

#include <stdio.h>
#include <unistd.h>

#define SOON (30 * (int64_t)86400)

static void
say(void *ctx, const char *text)
{
	(void)ctx;
	fprintf(stderr, "sealgate: warning: %s\n", text);
}

/* Where there is no store yet, or it is somebody else's, nothing is said: check is about the
 * configuration. */
void
warn_named(struct conf *conf)
{
	const char *path = conf_str(conf_section(conf, "certstore"), "path");
	struct certstore *store = NULL;
	struct trust *trust = NULL;
	struct err err = ERR_INIT;
	enum rc rc;

	if (access(path, R_OK) != 0)
		return;
	rc = certstore_open(path, false, &store, &err);
	if (rc == RC_OK)
		rc = anchors_trust(conf, store, &trust, &err);
	if (rc == RC_OK)
		rc = named_warn(conf, store, trust, SOON, say, NULL, &err);
	if (rc != RC_OK)
		fprintf(stderr,
			"sealgate: warning: pinned and domain certificates were not "
			"checked: %s\n",
			err.detail);
	trust_unref(&trust);
	certstore_close(&store);
}
