noinst_LIBRARIES += libmessage.a
libmessage_a_SOURCES = \
	message/hdrs.c message/hdrs.h \
	message/msg.c message/msg.h \
	message/spool.c message/spool.h
noinst_HEADERS += message/addr.h message/b64.h message/classify.h message/mime.h
