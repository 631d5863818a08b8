/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nullmilter.c - a milter that does nothing, to measure others against and to try the driver on
 *
 * It asks to be sent what sealgate-milter is sent, answers MAIL, RCPT and the end as milters do,
 * takes every byte with libmilter as it is, and by option answers late, changes the message in each
 * way the protocol knows, or refuses.
 */
#include "milter/minder.h"

#include <libmilter/mfapi.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static long sleep_ms;         /* what end of message takes */
static const char *slow_from; /* only for this sender; NULL: for all */
static struct minder *minder; /* with -k: as sealgate-milter has it */
static const char *action;    /* "edit", "reject", "tempfail", "discard", "die" or NULL */

struct session {
	bool slow;
	size_t bytes;
};

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long a0, unsigned long p0, unsigned long f2, unsigned long f3,
	unsigned long *a1, unsigned long *p1, unsigned long *f4, unsigned long *f5)
{
	unsigned long wish = SMFIP_NR_HDR | SMFIP_NR_BODY | SMFIP_NR_CONN | SMFIP_HDR_LEADSPC;

	(void)ctx, (void)f2, (void)f3;
	*a1 = a0;
	*p1 = SMFIP_NOHELO | SMFIP_NOEOH | SMFIP_NODATA | SMFIP_NOUNKNOWN | (p0 & wish);
	*f4 = *f5 = 0;
	return SMFIS_CONTINUE;
}

static sfsistat
on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *addr)
{
	(void)ctx, (void)host, (void)addr;
	return SMFIS_NOREPLY;
}

static sfsistat
on_envfrom(SMFICTX *ctx, char **argv)
{
	struct session *session = smfi_getpriv(ctx);

	if (!session)
		session = calloc(1, sizeof *session);
	session->slow = !slow_from || !strcmp(argv[0], slow_from);
	session->bytes = 0;
	smfi_setpriv(ctx, session);
	return SMFIS_CONTINUE;
}

static sfsistat
on_envrcpt(SMFICTX *ctx, char **argv)
{
	(void)ctx, (void)argv;
	return SMFIS_CONTINUE;
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	struct session *session = smfi_getpriv(ctx);

	session->bytes += strlen(name) + strlen(value);
	return SMFIS_NOREPLY;
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *data, size_t len)
{
	struct session *session = smfi_getpriv(ctx);

	(void)data;
	session->bytes += len;
	return SMFIS_NOREPLY;
}

/* Each modification once, for the driver's own test. */
static sfsistat
edit(SMFICTX *ctx)
{
	unsigned char line[] = "new body\r\n";

	smfi_replacebody(ctx, line, sizeof line - 1);
	smfi_replacebody(ctx, line, sizeof line - 1);
	smfi_addheader(ctx, (char *)"X-Added", (char *)" 1\n\tfolded");
	smfi_insheader(ctx, 0, (char *)"X-First", (char *)" first");
	smfi_chgheader(ctx, (char *)"Subject", 1, (char *)" changed");
	smfi_chgheader(ctx, (char *)"X-Twice", 2, NULL);
	smfi_chgheader(ctx, (char *)"X-New", 1, (char *)" at the end");
	smfi_delrcpt(ctx, (char *)"<gone@example.org>");
	smfi_addrcpt_par(ctx, (char *)"<more@example.org>", (char *)"NOTIFY=NEVER");
	smfi_chgfrom(ctx, (char *)"<other@example.org>", (char *)"RET=HDRS");
	smfi_quarantine(ctx, (char *)"why not");
	smfi_progress(ctx);
	return SMFIS_ACCEPT;
}

static sfsistat
on_eom(SMFICTX *ctx)
{
	struct session *session = smfi_getpriv(ctx);

	struct minded task = {0};

	if (minder)
		minder_begin(minder, &task);
	if (sleep_ms && session->slow)
		usleep((useconds_t)sleep_ms * 1000);
	if (minder)
		minder_end(minder, &task);
	if (!action)
		return SMFIS_ACCEPT;
	if (!strcmp(action, "edit"))
		return edit(ctx);
	if (!strcmp(action, "discard"))
		return SMFIS_DISCARD;
	if (!strcmp(action, "die"))
		_exit(1);
	if (!strcmp(action, "tempfail"))
		return SMFIS_TEMPFAIL;
	smfi_setreply(ctx, (char *)"554", (char *)"5.7.9", (char *)"no, 100%% no");
	return SMFIS_REJECT;
}

static sfsistat
on_close(SMFICTX *ctx)
{
	free(smfi_getpriv(ctx));
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

/* What sealgate-milter does too, so that TCP can be compared. */
static void
set_nodelay(void)
{
	int on = 1, is = 0;
	socklen_t len = sizeof is;

	for (int fd = 3; fd < 64; fd++)
		if (!getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is, &len) && is)
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int
main(int argc, char **argv)
{
	struct smfiDesc desc = {.xxfi_name = (char *)"nullmilter",
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFI_CURR_ACTS,
		.xxfi_connect = on_connect,
		.xxfi_envfrom = on_envfrom,
		.xxfi_envrcpt = on_envrcpt,
		.xxfi_header = on_header,
		.xxfi_body = on_body,
		.xxfi_eom = on_eom,
		.xxfi_close = on_close,
		.xxfi_negotiate = on_negotiate};
	struct err err = ERR_INIT;
	bool kick = false;
	int opt;

	while ((opt = getopt(argc, argv, "s:F:a:k")) != -1) {
		if (opt == 's')
			sleep_ms = atol(optarg);
		else if (opt == 'F')
			slow_from = optarg;
		else if (opt == 'k')
			kick = true;
		else if (opt == 'a')
			action = optarg;
		else
			return 64;
	}
	if (optind + 1 != argc) {
		fputs("usage: nullmilter [-s ms [-F sender]] [-k] [-a action] socket\n", stderr);
		return 64;
	}
	umask(0);
	if (smfi_setconn(argv[optind]) == MI_FAILURE || smfi_register(desc) == MI_FAILURE ||
		smfi_opensocket(1) == MI_FAILURE)
		return 69;
	set_nodelay();
	if (kick && minder_start(argv[optind], &minder, &err) != RC_OK)
		return 70;
	return smfi_main() == MI_SUCCESS ? 0 : 70;
}
