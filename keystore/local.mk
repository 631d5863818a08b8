noinst_LIBRARIES += libkeystore.a
libkeystore_a_SOURCES = keystore/admin.h keystore/client.h keystore/ledger.h \
	keystore/ledger_verify.h
libkeystore_a_SOURCES += \
	keystore/master.c keystore/master.h \
	keystore/proto.c keystore/proto.h \
	keystore/store.c keystore/store.h keystore/store_key.c keystore/store_person.c \
	keystore/store_row.c keystore/store_row.h \
	keystore/wrap.c keystore/wrap.h
