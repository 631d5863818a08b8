/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * forwarding.h - does a recipient's mail end outside?
 *
 * Asks the directory of the section "forwarding" for the attributes in which it says where
 * somebody's mail is sent on, and follows them inside the house. Nothing but the directory is
 * asked: what a .forward file or a Sieve script does nobody here knows.
 *
 * Threads: one struct forwarding may be used by any number of threads.
 * Limits:  FORWARDING_MAX addresses are looked at; past that it counts as ending outside.
 */
#ifndef MILTER_FORWARDING_H
#define MILTER_FORWARDING_H

#include "base/conf.h"
#include "policy/policy.h"

#define FORWARDING_MAX 16

struct forwarding;
/* RC_NONE and NULL: no directory is configured. POLICY is borrowed: it knows our domains. */
enum rc forwarding_new(
	struct conf *conf, const struct policy *policy, struct forwarding **out, struct err *err);
void forwarding_free(struct forwarding **forwarding);
/* RC_TEMP: the directory could not be asked. */
enum rc
forwarding_leaves(struct forwarding *forwarding, const char *addr, bool *leaves, struct err *err);

#endif
