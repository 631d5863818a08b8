noinst_PROGRAMS += tests/mta/lookuptool
tests_mta_lookuptool_SOURCES = tests/mta/lookuptool.c
tests_mta_lookuptool_LDADD = $(SG_LIBS_DIRECTORY)
dist_noinst_SCRIPTS += tests/mta/slapd.sh
