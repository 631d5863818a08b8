/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetcher_private.h - the inside of struct fetcher, for fetcher.c and fetcher_wants.c only
 */
#ifndef DIRECTORY_FETCHER_PRIVATE_H
#define DIRECTORY_FETCHER_PRIVATE_H

#include "directory/fetch_door.h"
#include "directory/fetch_hosts.h"
#include "directory/fetch_http.h"
#include "directory/fetch_issuers.h"
#include "directory/fetch_ldap.h"
#include "directory/fetcher.h"

/* The settings that transfers began with stay until those have ended. */
struct generation {
	struct fetch_settings settings;
	struct generation *older;
};

struct fetcher {
	struct generation *now;
	struct fetch_list *list;
	struct fetch_hosts *hosts;
	struct fetch_http *http;
	struct fetch_ldap *ldap;
	struct fetch_door *door;
	struct certset known; /* CAs that somebody had a path over */
	int64_t issuer_came;  /* the last of them; clock_monotonic_ms, 0: none yet */
	bool changed;         /* the list, since it was saved */
	int64_t saved;        /* clock_monotonic_ms */
	int64_t tidied;
	int64_t next;        /* when the next item is due, by clock_now */
	int64_t new_hour;    /* when the hour of new URLs began */
	long new_in_hour;    /* and how many came in it */
	long n_refused;      /* CAs' URLs that are marked as never asked for */
	int64_t full_logged; /* clock_monotonic_ms */
};

static inline const struct fetch_settings *
settings_of(const struct fetcher *fetcher)
{
	return &fetcher->now->settings;
}

/* fetcher_wants.c: something is needed; PERMANENT: the configuration says so. */
void fetcher_ask(struct fetcher *fetcher, const struct want *want, bool permanent);
/* What the configuration names always. */
void fetcher_ask_permanent(struct fetcher *fetcher);
/* Who comes to the door. */
struct door_handler fetcher_handler(struct fetcher *fetcher);

#endif
