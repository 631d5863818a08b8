## SPDX-License-Identifier: BSD-2-Clause
## Unit tests of message/: one program for each source file; add it to check_PROGRAMS.
check_PROGRAMS += \
	tests/unit/message/addr_test \
	tests/unit/message/alias_test \
	tests/unit/message/authresults_test \
	tests/unit/message/b64_test \
	tests/unit/message/b64_plain_test \
	tests/unit/message/classify_test \
	tests/unit/message/corpora_test \
	tests/unit/message/compose_test \
	tests/unit/message/ctype_test \
	tests/unit/message/dsn_test \
	tests/unit/message/hdr_decode_test \
	tests/unit/message/hdrs_test \
	tests/unit/message/mime_test \
	tests/unit/message/mime_7bit_test \
	tests/unit/message/msg_test \
	tests/unit/message/qp_test \
	tests/unit/message/spool_test
tests_unit_message_authresults_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_addr_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_alias_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_b64_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_b64_plain_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_classify_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_corpora_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_compose_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_ctype_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_dsn_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_hdr_decode_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_hdrs_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_mime_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_mime_7bit_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_msg_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_qp_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
tests_unit_message_spool_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
noinst_HEADERS += tests/unit/message/seven.h

check_PROGRAMS += tests/unit/message/charset_cp932_test
tests_unit_message_charset_cp932_test_LDADD = $(SG_LIBS_MESSAGE) $(CMOCKA_LIBS)
