## SPDX-License-Identifier: BSD-2-Clause
noinst_PROGRAMS += tests/interop/cmstool
tests_interop_cmstool_SOURCES = tests/interop/cmstool.c
tests_interop_cmstool_LDADD = $(SG_LIBS_CRYPTO)
dist_noinst_SCRIPTS += tests/interop/cms.sh
dist_noinst_SCRIPTS += tests/interop/import.sh
EXTRA_DIST += tests/interop/Keystores.java
dist_noinst_SCRIPTS += tests/interop/peers.sh tests/interop/corpora.sh tests/interop/mime-parts
EXTRA_DIST += tests/interop/Peer.java tests/interop/peers/bc.sh tests/interop/peers/gpgsm.sh tests/interop/peers/mutt.sh \
	tests/interop/peers/nss.sh tests/interop/peers/openssl.sh
