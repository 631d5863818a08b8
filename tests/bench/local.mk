## SPDX-License-Identifier: BSD-2-Clause
noinst_PROGRAMS += nullmilter
nullmilter_SOURCES = tests/bench/nullmilter.c
nullmilter_LDADD = libmilterd.a $(SG_LIBS_BASE) $(MILTER_LIBS)
EXTRA_DIST += tests/bench/b64_bench.c tests/bench/b64_bench.h

EXTRA_PROGRAMS += tests/bench/bench_crypto
tests_bench_bench_crypto_SOURCES = tests/bench/bench_crypto.c tests/bench/cpu.h
tests_bench_bench_crypto_LDADD = $(SG_LIBS_CRYPTO)

## make bench: each part adds itself as a prerequisite of bench-parts, and prints "goal WHAT: kept" or "goal WHAT: MISSED".
.PHONY: bench bench-parts bench-crypto
bench:
	@$(MAKE) $(AM_MAKEFLAGS) -k bench-parts 2>&1 | tee bench.log
	@$(srcdir)/tests/bench/goals bench.log
EXTRA_DIST += tests/bench/goals
CLEANFILES += bench.log
bench-parts: bench-crypto
bench-crypto: tests/bench/bench_crypto
	tests/bench/bench_crypto --large

## The vault alone against the bare private-key operation.
EXTRA_PROGRAMS += tests/bench/vault_bench
tests_bench_vault_bench_SOURCES = tests/bench/vault_bench.c tests/bench/volley.c tests/bench/volley.h \
	tests/bench/world.c tests/bench/world.h
tests_bench_vault_bench_LDADD = $(SG_LIBS_KEYSTORE)
.PHONY: bench-vault
bench-parts: bench-vault
bench-vault: tests/bench/vault_bench sealgate-vault
	tests/bench/vault_bench ./sealgate-vault

## The store with ten thousand and a hundred thousand keys.
EXTRA_PROGRAMS += tests/bench/store_bench
tests_bench_store_bench_SOURCES = tests/bench/store_bench.c tests/bench/world.c tests/bench/world.h
tests_bench_store_bench_LDADD = $(SG_LIBS_KEYSTORE)
.PHONY: bench-store
bench-parts: bench-store
bench-store: tests/bench/store_bench sealgate-vault
	tests/bench/store_bench ./sealgate-vault 10000 1000 100000 2000

EXTRA_PROGRAMS += tests/bench/meter
tests_bench_meter_SOURCES = tests/bench/meter.c
tests_bench_meter_LDADD = $(SG_LIBS_CRYPTO)

EXTRA_PROGRAMS += tests/bench/envelopes
tests_bench_envelopes_SOURCES = tests/bench/envelopes.c
tests_bench_envelopes_LDADD = $(SG_LIBS_CRYPTO)

## Loaded into the vault for the bench.
EXTRA_DIST += tests/bench/keyclock.c
CLEANFILES += tests/bench/keyclock.so
tests/bench/keyclock.so: tests/bench/keyclock.c
	@$(MKDIR_P) tests/bench
	$(CC) $(DEFS) $(CPPFLAGS) $(CFLAGS) -fPIC -shared -o $@ $(srcdir)/tests/bench/keyclock.c -ldl

## Through the milter protocol: processor time, rate, peak memory.
.PHONY: bench-milter
bench-parts: bench-milter
bench-milter: sealgate sealgate-milter sealgate-vault mtadriver nullmilter tests/bench/meter \
		tests/bench/envelopes tests/bench/keyclock.so
	$(srcdir)/tests/bench/milter.sh
EXTRA_DIST += tests/bench/milter.sh

## The ledger: durable records with 1, 8 and 64 writers, and verifying a million.
EXTRA_PROGRAMS += tests/bench/ledger_bench
tests_bench_ledger_bench_SOURCES = tests/bench/ledger_bench.c
tests_bench_ledger_bench_LDADD = $(SG_LIBS_KEYSTORE)
.PHONY: bench-ledger
bench-parts: bench-ledger
bench-ledger: tests/bench/ledger_bench
	rm -rf bench-ledger.tmp && mkdir bench-ledger.tmp
	tests/bench/ledger_bench bench-ledger.tmp 1000000; s=$$?; rm -rf bench-ledger.tmp; exit $$s

## The rules: growth from ten to ten thousand, with a thousand recipients.
EXTRA_PROGRAMS += tests/bench/policy_bench
tests_bench_policy_bench_SOURCES = tests/bench/policy_bench.c
tests_bench_policy_bench_LDADD = $(SG_LIBS_POLICY)
.PHONY: bench-policy
bench-parts: bench-policy
bench-policy: tests/bench/policy_bench
	tests/bench/policy_bench

## Look-ups in a real slapd against bare libldap.
EXTRA_PROGRAMS += tests/bench/ldap_bench
tests_bench_ldap_bench_SOURCES = tests/bench/ldap_bench.c
tests_bench_ldap_bench_LDADD = $(SG_LIBS_DIRECTORY)
EXTRA_DIST += tests/bench/ldap.sh
.PHONY: bench-ldap
bench-parts: bench-ldap
bench-ldap: tests/bench/ldap_bench
	$(srcdir)/tests/bench/ldap.sh

## Revocation lists of 10 to a million entries, and OCSP answers.
EXTRA_PROGRAMS += tests/bench/revocation_bench
tests_bench_revocation_bench_SOURCES = tests/bench/revocation_bench.c tests/unit/crypto/lists.h tests/unit/crypto/pki.h
tests_bench_revocation_bench_CPPFLAGS = $(AM_CPPFLAGS) -DSRCDIR='"$(abs_top_srcdir)"'
tests_bench_revocation_bench_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)
.PHONY: bench-revocation
bench-parts: bench-revocation
bench-revocation: tests/bench/revocation_bench
	tests/bench/revocation_bench
## Other people's certificates: look-ups from a thousand to a million (CERTSTORE_BENCH sets how many).
EXTRA_PROGRAMS += tests/bench/certstore_bench
tests_bench_certstore_bench_SOURCES = tests/bench/certstore_bench.c
tests_bench_certstore_bench_LDADD = $(SG_LIBS_DIRECTORY)
.PHONY: bench-certstore
bench-parts: bench-certstore
bench-certstore: tests/bench/certstore_bench
	rm -rf bench-certstore.tmp && mkdir bench-certstore.tmp
	tests/bench/certstore_bench bench-certstore.tmp $${CERTSTORE_BENCH:-1000000}; s=$$?; \
		rm -rf bench-certstore.tmp; exit $$s


## Validation of a path, cold and warm, against the bare signatures.
EXTRA_PROGRAMS += tests/bench/path_bench
tests_bench_path_bench_SOURCES = tests/bench/path_bench.c tests/bench/cpu.h
tests_bench_path_bench_LDADD = $(SG_LIBS_CRYPTO)
.PHONY: bench-path
bench-parts: bench-path
bench-path: tests/bench/path_bench
	tests/bench/path_bench
