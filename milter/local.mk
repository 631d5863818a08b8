## SPDX-License-Identifier: BSD-2-Clause
noinst_LIBRARIES += libpipeline.a
libpipeline_a_SOURCES = \
	milter/algorithms.c milter/algorithms.h \
	milter/authres.c milter/authres.h \
	milter/check_signature.c milter/check_signature.h \
	milter/copies.c \
	milter/decide.c \
	milter/delivery.c milter/delivery.h \
	milter/early.c \
	milter/edit_list.c milter/edit_list.h \
	milter/engine.c \
	milter/entitle.c \
	milter/entity_split.c milter/entity_split.h \
	milter/explain.c milter/explain_json.c \
	milter/explain_learned.c milter/explain_learned.h \
	milter/explain_why.c milter/explain_why.h \
	milter/explain_words.c milter/explain_words.h \
	milter/extra.c \
	milter/facts.c \
	milter/folders.c milter/folders.h \
	milter/forwarding.c milter/forwarding.h \
	milter/membership.c \
	milter/gate.c \
	milter/intact.c \
	milter/journal.c milter/journal_file.c milter/journal_file.h milter/journal.h \
	milter/learn.c milter/learn.h \
	milter/marks.h \
	milter/opened.c \
	milter/named.c \
	milter/notice.c milter/notice.h \
	milter/notice_builtin.c milter/notice_builtin.h \
	milter/notice_make.c milter/notice_private.h \
	milter/notice_store.c milter/notice_store.h \
	milter/notice_text.c milter/notice_text.h \
	milter/notice_work.c milter/notice_work.h \
	milter/notice_world.c milter/notice_world.h \
	milter/observe.c \
	milter/outbox.c milter/outbox.h \
	milter/outlet.c milter/outlet.h \
	milter/pipeline.c milter/pipeline.h \
	milter/record.c \
	milter/replies.c milter/replies.h \
	milter/reinject.c milter/reinject.h \
	milter/reply.c milter/reply.h \
	milter/seal.c milter/seal.h \
	milter/service.c milter/service.h \
	milter/stamp.c milter/stamp.h \
	milter/stamp_keys.c milter/stamp_keys.h \
	milter/smtp.h milter/smtp_conn.h milter/smtp_conn.c milter/smtp_login.c milter/smtp_port.h milter/smtp_port.c \
	milter/smtp_reply.h milter/smtp_reply.c milter/smtp_send.c milter/smtp_wire.h milter/smtp_wire.c \
	milter/tell.c milter/tell.h \
	milter/trace.c milter/trace.h \
	milter/transaction.c \
	milter/transform.c \
	milter/trust_state.c milter/trust_state.h \
	milter/tx.h \
	milter/unmark.c \
	milter/unwrap.c

## The shipped texts become a part of the program.
notice_texts = contrib/notices/en.txt contrib/notices/de.txt contrib/notices/ja.txt
noticesdir = $(pkgdatadir)/notices
dist_notices_DATA = $(notice_texts)
CLEANFILES += milter/notice_builtin.inc
milter/notice_builtin.$(OBJEXT): milter/notice_builtin.inc
milter/notice_builtin.inc: $(notice_texts) milter/local.mk
	$(AM_V_GEN)$(MKDIR_P) milter && for tag in en de ja; do \
		echo "{\"$$tag\"," && \
		sed 's/["\\]/\\&/g; s/^/"/; s/$$/\\n"/' $(srcdir)/contrib/notices/$$tag.txt && \
		echo '},' || exit 1; \
	done >$@.tmp && mv $@.tmp $@

## What the daemon has beside the pipeline; apart from main, so that tests can link it.
noinst_LIBRARIES += libmilterd.a
libmilterd_a_SOURCES = \
	milter/callbacks.c milter/callbacks.h \
	milter/daemon.c milter/daemon.h \
	milter/edits.c milter/edits.h \
	milter/envelope.c milter/envelope.h \
	milter/listen.c milter/listen.h \
	milter/minder.c milter/minder.h \
	milter/session.c milter/session.h \
	milter/supervise.c milter/supervise.h

## What stands in the place of functions of the C library: a library of its own, since whoever is linked with it has them.
noinst_LIBRARIES += libmilterio.a
libmilterio_a_SOURCES = \
	milter/ahead.c milter/ahead.h \
	milter/bundle.c milter/bundle.h

## libmilter is to find them.
SG_MILTERIO = -Wl,--export-dynamic-symbol=writev,--export-dynamic-symbol=read,--export-dynamic-symbol=poll \
	-Wl,--export-dynamic-symbol=accept,--export-dynamic-symbol=close \
	-Wl,--export-dynamic-symbol=__read_chk,--export-dynamic-symbol=__poll_chk

sbin_PROGRAMS += sealgate-milter
sealgate_milter_LDFLAGS = $(AM_LDFLAGS) $(SG_MILTERIO)
sealgate_milter_SOURCES = milter/milter_main.c
sealgate_milter_LDADD = libmilterd.a libmilterio.a $(SG_LIBS_PIPELINE) $(MILTER_LIBS)
