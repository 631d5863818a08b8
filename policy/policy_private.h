/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy_private.h - a compiled policy, for policy.c, which makes it, and view.c, which asks it
 */
#ifndef POLICY_POLICY_PRIVATE_H
#define POLICY_POLICY_PRIVATE_H

#include "policy/policy.h"
#include "policy/shipped.h"

struct policy {
	struct conf *conf;
	struct rule *rules;
	size_t n, n_own; /* rules in all, and of the configuration */
	struct addrmap *by_recipient, *by_sender;
	unsigned *rest; /* rules under neither, in order */
	size_t n_rest;
	const char *const *domains;
	size_t n_domains;
	struct addrmap *lists;     /* policy.list_map */
	unsigned certs_for;        /* directions for which a rule could ask for certificates */
	unsigned classes;          /* that rules ask for */
	unsigned sealed_for;       /* and whether a message is sealed */
	struct group_names groups; /* that rules name */
};

#endif
