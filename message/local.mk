noinst_LIBRARIES += libmessage.a
libmessage_a_SOURCES = \
	message/addr.h message/b64.h message/classify.h message/hdrs.h message/mime.h \
	message/msg.h message/spool.h
