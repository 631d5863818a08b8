/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_shown.c - for sealgate cert show: what the owner of a certificate showed by signatures
 */
#include "base/clock.h"
#include "cli/cert.h"
#include "directory/harvest_store.h"

#include <stdio.h>

static enum rc
print_one(void *ctx, const char *addr, const struct harvest_shown *shown, struct err *err)
{
	char signed_at[CLOCK_TEXT_SIZE], since[CLOCK_TEXT_SIZE];
	struct buf words = BUF_INIT(0);
	enum rc rc = smimecaps_format(&shown->caps, &words, err);

	(void)ctx;
	if (rc == RC_OK)
		printf("signed:  %s, by %s\n", clock_format(shown->signed_at, signed_at), addr);
	if (rc == RC_OK && shown->caps.known)
		printf("opens:   %s (said %.10s by %s)\n", buf_text(&words),
			clock_format(shown->caps.since, since), addr);
	buf_fini(&words);
	return rc;
}

enum rc
cert_shown_text(struct certstore *store, const struct cert *cert, struct err *err)
{
	return harvest_shown_each(store, cert, print_one, NULL, err);
}

static enum rc
one_json(void *ctx, const char *addr, const struct harvest_shown *shown, struct err *err)
{
	struct json *json = ctx;

	(void)err;
	json_object(json, NULL);
	json_str(json, "address", addr);
	json_time(json, "signed_at", shown->signed_at);
	smimecaps_json(&shown->caps, json);
	json_object_end(json);
	return RC_OK;
}

enum rc
cert_shown_json(
	struct certstore *store, const struct cert *cert, struct json *json, struct err *err)
{
	enum rc rc;

	json_array(json, "shown");
	rc = harvest_shown_each(store, cert, one_json, json, err);
	json_array_end(json);
	return rc;
}
