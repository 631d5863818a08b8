## SPDX-License-Identifier: BSD-2-Clause
noinst_LIBRARIES += libpolicy.a
libpolicy_a_SOURCES = \
	policy/addrmap.c policy/addrmap.h policy/addrmap_load.c \
	policy/connector.c \
	policy/fold.c policy/fold.h \
	policy/mark.c \
	policy/plan.c policy/plan.h \
	policy/policy.c policy/policy.h policy/policy_private.h \
	policy/rights.c policy/rights.h policy/rights_match.c \
	policy/rule.c policy/rule.h \
	policy/rule_group.c \
	policy/rule_match.c \
	policy/shipped.c policy/shipped.h \
	policy/view.c
