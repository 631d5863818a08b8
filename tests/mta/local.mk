## SPDX-License-Identifier: BSD-2-Clause
noinst_PROGRAMS += tests/mta/lookuptool
tests_mta_lookuptool_SOURCES = tests/mta/lookuptool.c
tests_mta_lookuptool_LDADD = $(SG_LIBS_DIRECTORY)
dist_noinst_SCRIPTS += tests/mta/slapd.sh
dist_noinst_SCRIPTS += tests/mta/postfix.sh tests/mta/hop.sh tests/mta/opened.sh tests/mta/sendmail.sh tests/mta/slow.sh
dist_noinst_DATA += tests/mta/world.sh
noinst_PROGRAMS += tests/mta/attributetool
tests_mta_attributetool_SOURCES = tests/mta/attributetool.c
tests_mta_attributetool_LDADD = $(SG_LIBS_DIRECTORY)
dist_noinst_SCRIPTS += tests/mta/sync.sh tests/mta/fakeldap tests/mta/people.sh tests/mta/rights.sh
noinst_PROGRAMS += tally
tally_SOURCES = tests/mta/tally.c
tally_LDADD = $(CRYPTO_LIBS)
dist_noinst_SCRIPTS += tests/mta/notices.sh
dist_noinst_SCRIPTS += tests/mta/matrix.sh tests/mta/dkim.sh
dist_noinst_SCRIPTS += tests/mta/publish.sh
dist_noinst_SCRIPTS += tests/mta/reconcile.sh
