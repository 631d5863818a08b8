/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/fetch_hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR 3600
#define DAY  86400

struct count {
	char host[FETCH_HOST_MAX + 1];
	long active, in_hour;
	int64_t hour, day; /* when these began */
	int64_t bytes;     /* in the day */
};

struct fetch_hosts {
	struct count all, others;
	struct count *v;
	size_t n;
};

enum rc
fetch_hosts_new(struct fetch_hosts **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (*out)
		(*out)->v = calloc(FETCH_HOSTS_MAX, sizeof(*(*out)->v));
	if (*out && (*out)->v)
		return RC_OK;
	fetch_hosts_free(out);
	return err_set(err, ERR_MEMORY, "hosts");
}

void
fetch_hosts_free(struct fetch_hosts **hosts)
{
	if (*hosts)
		free((*hosts)->v);
	free(*hosts);
	*hosts = NULL;
}

/* A clock that was set back begins anew, too. */
static void
roll(struct count *count, int64_t now)
{
	if (now >= count->hour + HOUR || now < count->hour) {
		count->hour = now;
		count->in_hour = 0;
	}
	if (now >= count->day + DAY || now < count->day) {
		count->day = now;
		count->bytes = 0;
	}
}

/* The host's count. One that has nothing counted any more gives its place to a new host. */
static struct count *
find(struct fetch_hosts *hosts, const char *host, int64_t now, bool make)
{
	struct count *free_one = NULL;

	for (size_t i = 0; i < hosts->n; i++) {
		struct count *count = &hosts->v[i];

		if (strcmp(count->host, host) == 0)
			return count;
		if (!free_one && count->active == 0 && now >= count->day + DAY)
			free_one = count;
	}
	if (!make)
		return &hosts->others;
	if (!free_one && hosts->n < FETCH_HOSTS_MAX)
		free_one = &hosts->v[hosts->n++];
	if (!free_one)
		return &hosts->others;
	memset(free_one, 0, sizeof(*free_one));
	snprintf(free_one->host, sizeof(free_one->host), "%s", host);
	return free_one;
}

int64_t
fetch_hosts_begin(struct fetch_hosts *hosts, const struct fetch_settings *settings,
	const char *host, int64_t now)
{
	struct count *count = find(hosts, host, now, true);

	roll(count, now);
	roll(&hosts->all, now);
	if (hosts->all.bytes >= settings->day_bytes)
		return hosts->all.day + DAY;
	if (count->bytes >= settings->host_day_bytes)
		return count->day + DAY;
	if (count->in_hour >= settings->host_hour)
		return count->hour + HOUR;
	if (hosts->all.active >= settings->parallel || count->active >= settings->host_parallel)
		return now;
	count->active++;
	count->in_hour++;
	hosts->all.active++;
	return 0;
}

bool
fetch_hosts_busy(const struct fetch_hosts *hosts, const struct fetch_settings *settings)
{
	return hosts->all.active >= settings->parallel;
}

void
fetch_hosts_end(struct fetch_hosts *hosts, const char *host, size_t bytes, int64_t now)
{
	struct count *count = find(hosts, host, now, false);

	if (count->active > 0)
		count->active--;
	if (hosts->all.active > 0)
		hosts->all.active--;
	count->bytes += (int64_t)bytes;
	hosts->all.bytes += (int64_t)bytes;
}
