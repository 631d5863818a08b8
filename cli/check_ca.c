/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_ca.c - what check says about the organisation's CA and publication: refusals, and warnings
 */
#include "cli/check.h"

#include "base/clock.h"
#include "cli/answer.h"
#include "directory/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DAY        (int64_t)86400
#define USUAL_DAYS 825 /* what public CAs may give for mail (CA/Browser Forum, S/MIME) */

enum rc
check_ca(struct conf *conf, struct err *err)
{
	const struct conf_group *ca = conf_section(conf, "ca");
	const char *mode = conf_str(ca, "crl_mode");
	struct publisher *publisher = NULL;
	enum rc rc = publisher_new(conf, &publisher, err);

	publisher_free(&publisher);
	if (rc == RC_NONE && conf_str(ca, "crl_dn"))
		return conf_err(err, conf, ca, "crl_dn", "needs publish.uri");
	if (rc == RC_OK || rc == RC_NONE)
		rc = strspn(mode, "01234567") == strlen(mode) && strtol(mode, NULL, 8) >= 0400
			     ? RC_OK
			     : conf_err(err, conf, ca, "crl_mode", "%s is no mode", mode);
	if (rc == RC_OK && conf_int(ca, "crl_refresh") >= conf_int(ca, "crl_validity"))
		rc = conf_err(err, conf, ca, "crl_refresh",
			"has to be less than crl_validity, or every list is too old at once");
	return rc;
}

/* Longest validity that a profile asks for. */
static int64_t
longest_days(struct conf *conf)
{
	int64_t most = conf_count(conf, "profiles") ? 0 : 730;

	for (size_t i = 0; i < conf_count(conf, "profiles"); i++) {
		int64_t days = conf_int(conf_item(conf, "profiles", i), "days");

		most = days > most ? days : most;
	}
	return most;
}

/* Does a vault listen? Asking it must not start work on the files. */
static bool
is_running(struct conf *conf)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *path = conf_str(conf_section(conf, "vault"), "admin_socket");
	int fd = strlen(path) < sizeof(addr.sun_path) ? socket(AF_UNIX, SOCK_STREAM, 0) : -1;
	bool running;

	if (fd < 0)
		return false;
	strcpy(addr.sun_path, path);
	running = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
	close(fd);
	return running;
}

/* The issuing CA in the vault, when one runs and we may ask. */
static void
warn_of_end(struct conf *conf, int64_t days)
{
	struct json_value *answer = NULL;
	struct err ignored = ERR_INIT;
	struct asking asking;
	const char *ends;
	int64_t at;

	if (!is_running(conf))
		return;
	asking_begin(&asking, "ca.show");
	if (asking_send(&asking, conf, NULL, &answer, &ignored) != RC_OK)
		return;
	ends = json_get_text(json_at(json_find(answer, "cas"), 0), "not_after");
	if (ends && clock_parse(ends, &at, &ignored) == RC_OK && at < clock_now() + days * DAY)
		fprintf(stderr,
			"sealgate: warning: the organisation's CA ends on %.10s, before "
			"certificates of %lld days: time for \"sealgate ca rollover\"\n",
			ends, (long long)days);
	json_free(&answer);
}

void
warn_ca(struct conf *conf)
{
	int64_t days = longest_days(conf), ca = conf_int(conf_section(conf, "ca"), "days");

	if (days > USUAL_DAYS)
		fprintf(stderr,
			"sealgate: warning: certificates of %lld days; public CAs give %d at "
			"most\n",
			(long long)days, USUAL_DAYS);
	if (days > ca)
		fprintf(stderr,
			"sealgate: warning: certificates of %lld days below an issuing CA of "
			"%lld (ca.days)\n",
			(long long)days, (long long)ca);
	warn_of_end(conf, days);
}
