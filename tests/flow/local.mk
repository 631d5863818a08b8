## The test MTA, as a library for C tests and as a program for shell tests.
noinst_LIBRARIES += libmtaclient.a
libmtaclient_a_SOURCES = tests/flow/mtaclient.c tests/flow/mtaclient.h tests/flow/mtamessage.c
noinst_PROGRAMS += mtadriver
mtadriver_SOURCES = tests/flow/mtadriver.c
mtadriver_LDADD = libmtaclient.a
