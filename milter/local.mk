noinst_LIBRARIES += libpipeline.a
libpipeline_a_SOURCES = \
	milter/check_signature.c milter/check_signature.h \
	milter/pipeline.h
