noinst_LIBRARIES += libpipeline.a
libpipeline_a_SOURCES = \
	milter/check_signature.c milter/check_signature.h \
	milter/pipeline.h \
	milter/service.c milter/service.h

## What the daemon has beside the pipeline; apart from main, so that tests can link it.
noinst_LIBRARIES += libmilterd.a
libmilterd_a_SOURCES = \
	milter/callbacks.c milter/callbacks.h \
	milter/daemon.c milter/daemon.h \
	milter/edits.c milter/edits.h \
	milter/listen.c milter/listen.h \
	milter/minder.c milter/minder.h \
	milter/session.c milter/session.h \
	milter/supervise.c milter/supervise.h
EXTRA_DIST += milter/milter_main.c
