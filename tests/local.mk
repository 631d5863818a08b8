## SPDX-License-Identifier: BSD-2-Clause
## Libraries in link order, highest room first.
SG_LIBS_BASE = libbase.a $(CONFIG_LIBS) $(CRYPTO_LIBS)
SG_LIBS_MESSAGE = libmessage.a $(SG_LIBS_BASE) $(IDN2_LIBS)
SG_LIBS_POLICY = libpolicy.a $(SG_LIBS_MESSAGE)
SG_LIBS_CRYPTO = libcrypto_sg.a $(SG_LIBS_MESSAGE)
SG_LIBS_DIRECTORY = libdirectory.a $(SG_LIBS_CRYPTO) $(LDAP_LIBS) $(SQLITE_LIBS)
SG_LIBS_FETCH = libfetch.a $(SG_LIBS_DIRECTORY) $(CURL_LIBS)
SG_LIBS_KEYSTORE = libkeystore.a $(SG_LIBS_CRYPTO) $(SQLITE_LIBS)
SG_LIBS_PIPELINE = libpipeline.a libpolicy.a libdirectory.a $(SG_LIBS_KEYSTORE) $(LDAP_LIBS) $(SSL_LIBS)

include tests/unit/base/local.mk
include tests/unit/message/local.mk
include tests/unit/policy/local.mk
include tests/unit/crypto/local.mk
include tests/unit/directory/local.mk
include tests/unit/keystore/local.mk
include tests/unit/milter/local.mk
include tests/unit/cli/local.mk
include tests/fuzz/local.mk
include tests/flow/local.mk
include tests/mta/local.mk
include tests/interop/local.mk
include tests/bench/local.mk

noinst_HEADERS += tests/unit/unit.h
check_SCRIPTS += tests/rooms.sh tests/manual.sh tests/templates.sh tests/units.sh
dist_noinst_SCRIPTS += tests/pkits/run.sh tests/pkits/take-apart tests/run tests/lib/chroot.sh tests/lib/made-gate tests/lib/smtp-send tests/lib/port-proxy tests/lib/syslog-file
dist_noinst_DATA += tests/lib/servers.sh
AM_TESTS_ENVIRONMENT = SEALGATE_SRC='$(abs_top_srcdir)'; SEALGATE_BUILD='$(abs_top_builddir)'; \
	SEALGATE_CORPORA="$${SEALGATE_CORPORA:-$(abs_top_srcdir)/../shared/corpora}"; \
	export SEALGATE_SRC SEALGATE_BUILD SEALGATE_CORPORA;
## `make check` is for every change and runs for less than a minute; `make check-all` runs those as well that
## stand in more_checks, and is what tests/run calls.
## What tests/lib/made-gate keeps.
clean-local:
	rm -rf tests/made
TEST_EXTENSIONS = .sh
TESTS += $(check_PROGRAMS) $(check_SCRIPTS)
dist_noinst_SCRIPTS += $(check_SCRIPTS) $(more_checks)
## What is only built when asked for, the benches, has to compile too.
check-all: $(check_PROGRAMS) $(noinst_PROGRAMS) $(EXTRA_PROGRAMS)
	SEALGATE_THOROUGH=1 $(MAKE) $(AM_MAKEFLAGS) check TESTS='$(TESTS) $(more_checks)'
.PHONY: check-all
