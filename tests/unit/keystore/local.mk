## SPDX-License-Identifier: BSD-2-Clause
## Unit tests of keystore/: one program for each source file; add it to check_PROGRAMS.
check_PROGRAMS += tests/unit/keystore/ledger_test tests/unit/keystore/ledger_verify_test
tests_unit_keystore_ledger_test_SOURCES = tests/unit/keystore/ledger_test.c \
	tests/unit/keystore/ledger_world.h
tests_unit_keystore_ledger_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/keystore/client_test
tests_unit_keystore_client_test_SOURCES = tests/unit/keystore/client_test.c \
	tests/unit/keystore/vault_world.h
tests_unit_keystore_client_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)
tests_unit_keystore_ledger_verify_test_SOURCES = tests/unit/keystore/ledger_verify_test.c \
	tests/unit/keystore/ledger_world.h
tests_unit_keystore_ledger_verify_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/keystore/proto_test tests/unit/keystore/store_test
tests_unit_keystore_proto_test_SOURCES = tests/unit/keystore/proto_test.c
tests_unit_keystore_proto_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)
tests_unit_keystore_store_test_SOURCES = tests/unit/keystore/store_test.c
tests_unit_keystore_store_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/keystore/server_test tests/unit/keystore/admin_test
tests_unit_keystore_server_test_SOURCES = tests/unit/keystore/server_test.c \
	tests/unit/keystore/vault_world.h
tests_unit_keystore_server_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)
tests_unit_keystore_admin_test_SOURCES = tests/unit/keystore/admin_test.c \
	tests/unit/keystore/vault_world.h
tests_unit_keystore_admin_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/keystore/ledger_format_test
tests_unit_keystore_ledger_format_test_SOURCES = tests/unit/keystore/ledger_format_test.c
tests_unit_keystore_ledger_format_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)
tests_unit_keystore_ledger_format_test_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc

check_PROGRAMS += tests/unit/keystore/budget_test tests/unit/keystore/settings_test
tests_unit_keystore_budget_test_SOURCES = tests/unit/keystore/budget_test.c
tests_unit_keystore_budget_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)
tests_unit_keystore_settings_test_SOURCES = tests/unit/keystore/settings_test.c
tests_unit_keystore_settings_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/keystore/held_test
tests_unit_keystore_held_test_SOURCES = tests/unit/keystore/held_test.c \
	tests/unit/keystore/vault_world.h
tests_unit_keystore_held_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/keystore/batch_test
tests_unit_keystore_batch_test_SOURCES = tests/unit/keystore/batch_test.c \
	tests/unit/keystore/vault_world.h
tests_unit_keystore_batch_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)

## The ledger's erasure, retention, power cuts and tampering.
check_PROGRAMS += tests/unit/keystore/ledger_erase_test
tests_unit_keystore_ledger_erase_test_SOURCES = tests/unit/keystore/ledger_erase_test.c \
	tests/unit/keystore/vault_world.h
tests_unit_keystore_ledger_erase_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/keystore/request_test
tests_unit_keystore_request_test_SOURCES = tests/unit/keystore/request_test.c \
	tests/unit/keystore/vault_world.h
tests_unit_keystore_request_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)

## Acts of two persons
check_PROGRAMS += tests/unit/keystore/approval_test
tests_unit_keystore_approval_test_SOURCES = tests/unit/keystore/approval_test.c \
	tests/unit/keystore/vault_world.h
tests_unit_keystore_approval_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/keystore/ledger_power_test
tests_unit_keystore_ledger_power_test_SOURCES = tests/unit/keystore/ledger_power_test.c \
	tests/unit/keystore/ledger_world.h
tests_unit_keystore_ledger_power_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/keystore/ledger_tamper_test
tests_unit_keystore_ledger_tamper_test_SOURCES = tests/unit/keystore/ledger_tamper_test.c \
	tests/unit/keystore/ledger_world.h
tests_unit_keystore_ledger_tamper_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)


## The lifecycle of persons: the plan that follows a directory, and who may read what over time.
check_PROGRAMS += tests/unit/keystore/sync_test tests/unit/keystore/lifecycle_test
tests_unit_keystore_sync_test_SOURCES = tests/unit/keystore/sync_test.c
tests_unit_keystore_sync_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)
tests_unit_keystore_lifecycle_test_SOURCES = tests/unit/keystore/lifecycle_test.c \
	tests/unit/keystore/vault_world.h
tests_unit_keystore_lifecycle_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/keystore/ca_test
tests_unit_keystore_ca_test_SOURCES = tests/unit/keystore/ca_test.c tests/unit/keystore/vault_world.h
tests_unit_keystore_ca_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/keystore/flood_test
tests_unit_keystore_flood_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/keystore/deny_test
tests_unit_keystore_deny_test_SOURCES = tests/unit/keystore/deny_test.c tests/unit/keystore/vault_world.h
tests_unit_keystore_deny_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)

## A new store key for everything in the store.
check_PROGRAMS += tests/unit/keystore/reencrypt_test
tests_unit_keystore_reencrypt_test_SOURCES = tests/unit/keystore/reencrypt_test.c
tests_unit_keystore_reencrypt_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)
## Finding records.
check_PROGRAMS += tests/unit/keystore/ledger_search_test
tests_unit_keystore_ledger_search_test_SOURCES = tests/unit/keystore/ledger_search_test.c \
	tests/unit/keystore/ledger_world.h
tests_unit_keystore_ledger_search_test_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)
