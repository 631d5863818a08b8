noinst_LIBRARIES += libmessage.a
libmessage_a_SOURCES = \
	message/b64.c message/b64_avx2.c message/b64.h message/b64_avx2.h \
	message/hdrs.c message/hdrs.h \
	message/msg.c message/msg.h \
	message/spool.c message/spool.h
noinst_HEADERS += message/addr.h message/classify.h message/mime.h
