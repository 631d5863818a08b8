noinst_LIBRARIES += libpolicy.a
libpolicy_a_SOURCES = policy/plan.h policy/policy.h
