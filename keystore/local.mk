noinst_LIBRARIES += libkeystore.a
libkeystore_a_SOURCES = keystore/admin.h keystore/client.h keystore/ledger.h \
	keystore/ledger_verify.h
