## SPDX-License-Identifier: BSD-2-Clause
## Unit tests of directory/: one program for each source file; add it to check_PROGRAMS.
## The fetcher
check_PROGRAMS += tests/unit/directory/fetch_test tests/unit/directory/fetcher_test
tests_unit_directory_fetch_test_LDADD = $(SG_LIBS_FETCH) $(CMOCKA_LIBS)
tests_unit_directory_fetcher_test_SOURCES = tests/unit/directory/fetcher_test.c tests/flow/web.c tests/flow/web.h
tests_unit_directory_fetcher_test_LDADD = $(SG_LIBS_FETCH) $(CMOCKA_LIBS)
## The rest
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
