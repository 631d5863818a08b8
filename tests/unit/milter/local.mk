## SPDX-License-Identifier: BSD-2-Clause
## Unit tests of milter/: one program for each source file; add it to check_PROGRAMS.
check_PROGRAMS += tests/unit/milter/authres_test tests/unit/milter/edit_list_test
tests_unit_milter_authres_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
tests_unit_milter_edit_list_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/milter/entity_split_test tests/unit/milter/pipeline_test
tests_unit_milter_entity_split_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
tests_unit_milter_pipeline_test_SOURCES = tests/unit/milter/pipeline_test.c \
	tests/unit/milter/fakevault.c tests/unit/milter/fakevault.h
tests_unit_milter_pipeline_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/milter/journal_test
tests_unit_milter_journal_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/milter/stamp_test
tests_unit_milter_stamp_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/milter/delivery_prop
tests_unit_milter_delivery_prop_SOURCES = tests/unit/milter/delivery_prop.c \
	tests/unit/milter/delivery_sim.c tests/unit/milter/delivery_sim.h
tests_unit_milter_delivery_prop_LDADD = $(SG_LIBS_PIPELINE)
check_PROGRAMS += tests/unit/milter/notice_limits_test tests/unit/milter/notice_test \
	tests/unit/milter/notice_text_test
tests_unit_milter_notice_limits_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
noinst_HEADERS += tests/unit/milter/notice_world.h
tests_unit_milter_notice_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
tests_unit_milter_notice_text_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
check_SCRIPTS += tests/unit/milter/notice_parser.sh
dist_noinst_DATA += tests/unit/milter/notices/failed.de tests/unit/milter/notices/failed.en \
	tests/unit/milter/notices/failed.ja tests/unit/milter/notices/invite.de \
	tests/unit/milter/notices/invite.en tests/unit/milter/notices/invite.ja \
	tests/unit/milter/notices/learned.de tests/unit/milter/notices/learned.en \
	tests/unit/milter/notices/learned.ja tests/unit/milter/notices/named.de \
	tests/unit/milter/notices/named.en tests/unit/milter/notices/named.ja tests/unit/milter/notices/refused.de \
	tests/unit/milter/notices/refused.en tests/unit/milter/notices/refused.ja
check_PROGRAMS += tests/unit/milter/smtp_reply_test tests/unit/milter/smtp_wire_test
tests_unit_milter_smtp_reply_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
tests_unit_milter_smtp_wire_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/milter/replies_test
tests_unit_milter_replies_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/milter/delivery_test
tests_unit_milter_delivery_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/milter/envelope_test tests/unit/milter/trace_test
tests_unit_milter_envelope_test_LDADD = libmilterd.a $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
tests_unit_milter_trace_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/milter/minder_test
tests_unit_milter_minder_test_LDADD = libmilterd.a $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
## Linked as the program is, so that libraries find our writev(), read(), ...
check_PROGRAMS += tests/unit/milter/ahead_test tests/unit/milter/bundle_test
tests_unit_milter_ahead_test_LDFLAGS = $(AM_LDFLAGS) $(SG_MILTERIO)
tests_unit_milter_ahead_test_LDADD = libmilterio.a $(SG_LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_milter_bundle_test_LDFLAGS = $(AM_LDFLAGS) $(SG_MILTERIO)
tests_unit_milter_bundle_test_LDADD = libmilterio.a $(SG_LIBS_BASE) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/milter/algorithms_test
tests_unit_milter_algorithms_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
