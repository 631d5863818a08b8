noinst_LIBRARIES += libdirectory.a
libdirectory_a_SOURCES = directory/certstore.h directory/lookup.h
