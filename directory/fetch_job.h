/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch_job.h - one transfer: what is asked, and what came
 *
 * Owned by whoever carries it: the fetcher hands it to HTTP or LDAP, which hand it back when it has
 * ended, always.
 */
#ifndef DIRECTORY_FETCH_JOB_H
#define DIRECTORY_FETCH_JOB_H

#include "base/buf.h"
#include "directory/fetch_list.h"
#include "directory/fetch_settings.h"

struct fetch_job {
	/* the question */
	uint64_t item; /* its id */
	enum want_kind kind;
	char url[FETCH_URL_MAX + 1];
	char host[FETCH_HOST_MAX + 1]; /* whose transfer it is now, for the budget; "": nobody's */
	struct buf request;            /* OCSP: the body */
	char etag[FETCH_TAG_MAX + 1], modified[FETCH_TAG_MAX + 1]; /* of what is there; "" */
	/* the answer */
	enum rc rc; /* RC_OK: DATA is there, or UNCHANGED */
	struct err err;
	bool unchanged;
	int64_t later; /* not RC_OK because a host that it was led to was asked enough, until then;
			  0: not that */
	int64_t retry_after; /* seconds; 0 */
	struct buf data;     /* with the limit of its kind */
	size_t bytes;        /* that came, headers included */
	struct fetch_job *next;
};

enum rc fetch_job_new(const struct fetch_item *item, const struct fetch_settings *settings,
	struct fetch_job **out, struct err *err);
void fetch_job_free(struct fetch_job **job);

#endif
