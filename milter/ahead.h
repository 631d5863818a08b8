/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ahead.h - what an MTA sends is read in as few pieces as it comes
 *
 * The functions that libmilter calls for its connections, accept(), poll(), read() and close(),
 * are in ahead.c, in the place of the C library's; nobody calls anything here but bundle.c and who
 * stops libmilter.
 *
 * Threads: any; one connection is worked on by one thread at a time, as libmilter does.
 * Limits:  AHEAD_SIZE bytes of a connection are held, and only while they wait to be read;
 *          connections with descriptors from AHEAD_FDS on are left as they are.
 */
#ifndef MILTER_AHEAD_H
#define MILTER_AHEAD_H

#include <stdbool.h>

#define AHEAD_SIZE 8192u
#define AHEAD_FDS  65536

/* libmilter writes to FD with writev(): from now on it is not asked first whether there is room.
 * True: whoever writes has to wait for room, then. False: not a connection of libmilter's. */
bool ahead_wrote(int fd);
/* libmilter is about to be stopped: what is known of a connection outlives its close(). */
void ahead_keep(void);

#endif
