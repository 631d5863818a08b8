noinst_PROGRAMS += nullmilter
nullmilter_SOURCES = tests/bench/nullmilter.c
nullmilter_LDADD = $(MILTER_LIBS)
