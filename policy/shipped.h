/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shipped.h - the rules that follow those of the configuration file
 */
#ifndef POLICY_SHIPPED_H
#define POLICY_SHIPPED_H

#include "policy/rule.h"

/* Rules without lists and patterns (but for to_list, which the policy fills); nothing in them has
 * to be freed. The last matches everything and leaves it alone; it is there also when
 * policy.shipped_rules is off. */
const struct rule *shipped_rules(size_t *count);

#endif
