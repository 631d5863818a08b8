/* SPDX-License-Identifier: BSD-2-Clause */
/* webserver DIR [PORT] - web.h as a program; the port is written to DIR/port. Ends with SIGTERM. */
#include "tests/flow/web.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
	char path[1100];
	unsigned port;
	sigset_t set;
	FILE *f;
	int sig;

	if (argc < 2)
		return 64;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	port = web_start(argv[1], argc > 2 ? (unsigned)atoi(argv[2]) : 0);
	snprintf(path, sizeof(path), "%s/port", argv[1]);
	f = port ? fopen(path, "w") : NULL;
	if (!f)
		return 70;
	fprintf(f, "%u\n", port);
	fclose(f);
	sigwait(&set, &sig);
	web_stop();
	return 0;
}
