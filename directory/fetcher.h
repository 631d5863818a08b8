/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetcher.h - revocation lists, OCSP answers and CA certificates, fetched before they are needed
 *
 * Outside the mail path: whoever misses something says so (wants.h) and goes on; the fetcher gets
 * it, keeps it fresh ahead of its end, and puts it into a folder that everybody reads. What comes
 * is looked at (it is what it should be, and later than what is there) and never believed. A file
 * that is there is replaced by a better one or left: no failure removes it.
 *
 * Threads: one.
 */
#ifndef DIRECTORY_FETCHER_H
#define DIRECTORY_FETCHER_H

#include "base/conf.h"

#include <sys/types.h>

struct fetcher;

/* What needs the privileges of the start: the folder and the socket. OWNER (uid_t)-1: no other. */
enum rc fetcher_open(struct conf *conf, struct fetcher **out, struct err *err);
/* After they are gone: the list, and what is left of a crash. */
enum rc fetcher_start(struct fetcher *fetcher, struct err *err);
/* Goes on for at most TIMEOUT_MS, or until FD (-1: none) can be read. */
void fetcher_step(struct fetcher *fetcher, int fd, int timeout_ms);
/* The configuration's section anew; what is refused leaves the old one in force. */
enum rc fetcher_reload(struct fetcher *fetcher, struct conf *conf, struct err *err);
/* Saves the list and frees everything; transfers under way are given up. */
void fetcher_close(struct fetcher **fetcher);

#endif
