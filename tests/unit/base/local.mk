## SPDX-License-Identifier: BSD-2-Clause
## Unit tests of base/: one program for each source file; add it to check_PROGRAMS.
check_PROGRAMS += tests/unit/base/base_test tests/unit/base/conf_test tests/unit/base/json_test
tests_unit_base_base_test_SOURCES = tests/unit/base/base_test.c
tests_unit_base_base_test_LDADD = $(SG_LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_conf_test_SOURCES = tests/unit/base/conf_test.c
tests_unit_base_conf_test_LDADD = $(SG_LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_json_test_SOURCES = tests/unit/base/json_test.c
tests_unit_base_json_test_LDADD = $(SG_LIBS_BASE) $(CMOCKA_LIBS)
