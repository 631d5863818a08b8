## SPDX-License-Identifier: BSD-2-Clause
noinst_LIBRARIES += libmessage.a
libmessage_a_SOURCES = \
	message/addr.c message/addrlist.c message/addr.h \
	message/alias.c message/alias.h \
	message/authresults.c message/authresults.h \
	message/b64.c message/b64_avx2.c message/b64.h message/b64_avx2.h \
	message/charset.c message/charset_cp932.c message/charset.h \
	message/classify.c message/classify.h \
	message/compose.c message/compose.h \
	message/dsn.c message/dsn.h \
	message/ctype.c message/entity.c message/mime.c message/mime_bytes.c message/mime_private.h message/mime_type.c message/mime_7bit.c message/mime.h \
	message/hdrs.c message/hdr_decode.c message/hdrs.h \
	message/hdr_text.c message/hdr_cut.c message/hdr_text.h \
	message/msg.c message/msg.h \
	message/qp.c message/qp.h \
	message/spool.c message/spool.h \
	message/word.c message/word.h
