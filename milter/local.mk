noinst_LIBRARIES += libpipeline.a
libpipeline_a_SOURCES = \
	milter/check_signature.c milter/check_signature.h \
	milter/pipeline.h \
	milter/service.c milter/service.h

## What the daemon has beside the pipeline; apart from main, so that tests can link it.
noinst_LIBRARIES += libmilterd.a
libmilterd_a_SOURCES = \
	milter/minder.c milter/minder.h
