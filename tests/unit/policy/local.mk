## SPDX-License-Identifier: BSD-2-Clause
check_PROGRAMS += tests/unit/policy/fold_test tests/unit/policy/plan_test \
	tests/unit/policy/policy_test tests/unit/policy/rights_test
tests_unit_policy_fold_test_LDADD = $(SG_LIBS_POLICY) $(CMOCKA_LIBS)
tests_unit_policy_plan_test_LDADD = $(SG_LIBS_POLICY) $(CMOCKA_LIBS)
tests_unit_policy_policy_test_LDADD = $(SG_LIBS_POLICY) $(CMOCKA_LIBS)
tests_unit_policy_rights_test_LDADD = $(SG_LIBS_POLICY) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/policy/mark_test
tests_unit_policy_mark_test_LDADD = $(SG_LIBS_POLICY) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/policy/groups_test
tests_unit_policy_groups_test_LDADD = $(SG_LIBS_POLICY) $(CMOCKA_LIBS)
