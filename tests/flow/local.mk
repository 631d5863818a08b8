## SPDX-License-Identifier: BSD-2-Clause
## The test MTA, as a library for C tests and as a program for shell tests.
noinst_LIBRARIES += libmtaclient.a
libmtaclient_a_SOURCES = tests/flow/mtaclient.c tests/flow/mtaclient.h tests/flow/mtaapply.c \
	tests/flow/mtamessage.c tests/flow/mtawire.c tests/flow/mtawire.h
noinst_PROGRAMS += mtadriver
mtadriver_SOURCES = tests/flow/mtadriver.c tests/flow/mtaload.c tests/flow/mtaload.h
mtadriver_LDADD = libmtaclient.a

## sealgate-milter on a pipeline of the test's own.
noinst_PROGRAMS += fakegate
fakegate_SOURCES = milter/milter_main.c milter/folders.c milter/service.c tests/flow/fakepipeline.c
fakegate_LDADD = libmilterd.a libmilterio.a $(SG_LIBS_MESSAGE) $(MILTER_LIBS)

noinst_PROGRAMS += keymaker
keymaker_SOURCES = tests/flow/keymaker.c
keymaker_LDADD = $(CRYPTO_LIBS)

noinst_PROGRAMS += slowldap
slowldap_SOURCES = tests/flow/slowldap.c

## An SMTP server that does what a script says: the re-injection port for tests.
noinst_PROGRAMS += fakesmtp
fakesmtp_SOURCES = tests/flow/fakesmtp.c tests/flow/fakescript.c tests/flow/fakescript.h
fakesmtp_LDADD = $(SSL_LIBS) $(CRYPTO_LIBS)

check_SCRIPTS += tests/flow/driver.sh tests/flow/cli_keys.sh tests/flow/gateway.sh \
	tests/flow/process.sh tests/flow/copies.sh tests/flow/early.sh
## The gate, and opened mail.
check_SCRIPTS += tests/flow/gate.sh tests/flow/opened.sh
## Keys from files.
more_checks += tests/flow/import.sh

## Persons: renames, shared addresses, leavers.
check_SCRIPTS += tests/flow/persons.sh
## Rules and rights.
check_SCRIPTS += tests/flow/marks.sh
## The ledger's anchors, and dropping its segments.
check_SCRIPTS += tests/flow/anchor.sh tests/flow/trust.sh
more_checks += tests/flow/retire.sh
## Keys of outside CAs.
check_SCRIPTS += tests/flow/umin.sh tests/flow/certs.sh
more_checks += tests/flow/gateways.sh tests/flow/named.sh
more_checks += tests/flow/csr.sh tests/flow/bulk.sh
## Observe rules, and tables of expectations.
check_SCRIPTS += tests/flow/report.sh tests/flow/policy.sh
## The key store as a whole.
noinst_PROGRAMS += killat
killat_SOURCES = tests/flow/killat.c
more_checks += tests/flow/rekey.sh
## Of the real daemons, and too long for the inner loop.
more_checks += tests/flow/entitlement.sh tests/flow/daemon.sh tests/flow/hostile.sh tests/flow/slow.sh tests/flow/senders.sh tests/flow/addresses.sh \
	tests/flow/notices.sh tests/flow/reinject.sh tests/flow/leave.sh tests/flow/rules.sh tests/flow/retry.sh tests/flow/systemd.sh \
	tests/flow/officers.sh tests/flow/custody.sh tests/flow/backup.sh
## Certificates out of signed mail.
more_checks += tests/flow/harvest.sh tests/flow/reload.sh
EXTRA_DIST += tests/flow/lib.sh tests/flow/world.sh tests/long/nomem.c tests/long/memscan.c tests/flow/pastclock.c
## Keys in tokens. The module is loaded as other people's are, so it is built without our flags.
noinst_DATA = tests/flow/stucktoken.so
CLEANFILES += tests/flow/stucktoken.so
EXTRA_DIST += tests/flow/stucktoken.c
tests/flow/stucktoken.so: tests/flow/stucktoken.c crypto/cryptoki.h
	@mkdir -p tests/flow
	$(AM_V_CCLD)$(CC) -O1 -g -fPIC -shared -I$(top_srcdir) -o $@ $(top_srcdir)/tests/flow/stucktoken.c
more_checks += tests/flow/token.sh tests/flow/token_master.sh
## Too long for make check: tests/run runs them.
dist_noinst_SCRIPTS += tests/long/delivery.sh tests/long/kill.sh tests/long/corpora.sh tests/long/crowd.sh tests/long/nomem.sh \
	tests/long/memory.sh tests/long/bulk.sh

## The vault's program, killed at its work.
check_PROGRAMS += tests/flow/vault_kill
tests_flow_vault_kill_SOURCES = tests/flow/vault_kill.c tests/unit/keystore/vault_world.h
tests_flow_vault_kill_LDADD = $(SG_LIBS_KEYSTORE) $(CMOCKA_LIBS)

## The client of the re-injection port, against fakesmtp.
check_PROGRAMS += tests/flow/smtp_client
tests_flow_smtp_client_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)

## The organisation's CA.
more_checks += tests/flow/ca.sh
## What an auditor asks.
more_checks += tests/flow/auditor.sh
## Revocation: lists, OCSP answers, and what rules make of them.
more_checks += tests/flow/revocation.sh
## The difficult cases of the operator's guide are what the tool says.
more_checks += tests/flow/guide.sh
EXTRA_DIST += tests/flow/guide_world.sh
## The fetcher, and an HTTP server for it
noinst_PROGRAMS += webserver
webserver_SOURCES = tests/flow/webserver.c tests/flow/web.c tests/flow/web.h
more_checks += tests/flow/fetch.sh tests/flow/fetch_tls.sh
