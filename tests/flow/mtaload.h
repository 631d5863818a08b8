/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mtaload.h - many messages at the same time, for mtadriver and the bench
 *
 * "%d" in a recipient, a header field or the first 100 bytes of the body stands for the message's
 * number, so that no two are the same.
 */
#ifndef TESTS_FLOW_MTALOAD_H
#define TESTS_FLOW_MTALOAD_H

#include "tests/flow/mtaclient.h"

struct load_options {
	long connections, per_connection;
	bool new_connection; /* for each message */
	long abort_every;    /* each N-th message is aborted; 0: none */
	long first;          /* number of the first message */
	long n_files;        /* of messages with numbers in their names; 0: one for all */
	const struct mta_options *to;
	const struct mta_options *beside; /* gets each message first, and must accept it; or NULL */
	void (*set_envelope)(struct mta_message *message);
};

/* Opens and greets; NULL: REPLY is a deferral. */
struct mta *mta_greet(const struct mta_options *to, struct mta_reply *reply);
double mta_now(void); /* seconds */
/* Prints one line of figures; an exit status as mtadriver's. */
int mta_load(const struct load_options *options, const char *file);

#endif
