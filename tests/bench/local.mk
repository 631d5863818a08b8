noinst_PROGRAMS += nullmilter
nullmilter_SOURCES = tests/bench/nullmilter.c
nullmilter_LDADD = $(MILTER_LIBS)
EXTRA_DIST += tests/bench/b64_bench.c tests/bench/b64_bench.h
