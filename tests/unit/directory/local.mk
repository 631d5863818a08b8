## SPDX-License-Identifier: BSD-2-Clause
## Unit tests of directory/: one program for each source file; add it to check_PROGRAMS.
check_PROGRAMS += \
	tests/unit/directory/certstore_test \
	tests/unit/directory/ldap_test \
	tests/unit/directory/lookup_test
tests_unit_directory_certstore_test_LDADD = $(SG_LIBS_DIRECTORY) $(CMOCKA_LIBS)
tests_unit_directory_ldap_test_LDADD = $(SG_LIBS_DIRECTORY) $(CMOCKA_LIBS)
tests_unit_directory_lookup_test_LDADD = $(SG_LIBS_DIRECTORY) $(CMOCKA_LIBS)
noinst_HEADERS += tests/unit/directory/people.h
check_PROGRAMS += tests/unit/directory/breaker_test
tests_unit_directory_breaker_test_LDADD = $(SG_LIBS_DIRECTORY) $(CMOCKA_LIBS)
## The store's history, batches, walks.
check_PROGRAMS += tests/unit/directory/certstore_history_test
tests_unit_directory_certstore_history_test_LDADD = $(SG_LIBS_DIRECTORY) $(CMOCKA_LIBS)
## Which of several certificates is used.
check_PROGRAMS += tests/unit/directory/select_test
tests_unit_directory_select_test_LDADD = $(SG_LIBS_DIRECTORY) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/directory/answers_test
tests_unit_directory_answers_test_LDADD = $(SG_LIBS_DIRECTORY) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/directory/harvest_test
tests_unit_directory_harvest_test_LDADD = $(SG_LIBS_DIRECTORY) $(CMOCKA_LIBS)
