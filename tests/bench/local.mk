noinst_PROGRAMS += nullmilter
nullmilter_SOURCES = tests/bench/nullmilter.c
nullmilter_LDADD = libmilterd.a $(SG_LIBS_BASE) $(MILTER_LIBS)
EXTRA_DIST += tests/bench/b64_bench.c tests/bench/b64_bench.h
