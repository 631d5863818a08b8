/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch_hosts.h - how much is asked of each host, and of all
 *
 * Nobody who writes URLs into certificates turns us into a flood against somebody else: transfers
 * at a time and in an hour, and bytes in a day, are counted for each host and for all together.
 *
 * Limits: FETCH_HOSTS_MAX hosts are counted one by one; those that come when there are more share
 * one count.
 */
#ifndef DIRECTORY_FETCH_HOSTS_H
#define DIRECTORY_FETCH_HOSTS_H

#include "directory/fetch_settings.h"

#define FETCH_HOSTS_MAX 4096

struct fetch_hosts;

enum rc fetch_hosts_new(struct fetch_hosts **out, struct err *err);
void fetch_hosts_free(struct fetch_hosts **hosts);
/* May a transfer from HOST begin at NOW (seconds)? 0: yes, and it is counted; else the time at
 * which to ask again: NOW when another has to end first. */
int64_t fetch_hosts_begin(struct fetch_hosts *hosts, const struct fetch_settings *settings,
	const char *host, int64_t now);
/* Are there as many transfers as may be? */
bool fetch_hosts_busy(const struct fetch_hosts *hosts, const struct fetch_settings *settings);
void fetch_hosts_end(struct fetch_hosts *hosts, const char *host, size_t bytes, int64_t now);

#endif
