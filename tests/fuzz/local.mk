## SPDX-License-Identifier: BSD-2-Clause
## Fuzz targets: for libFuzzer with --enable-fuzzers, else programs that take files.
if FUZZERS
FUZZ_MAIN = tests/fuzz/fuzz.h
FUZZ_LINKING = $(AM_LDFLAGS) -fsanitize=fuzzer
else
FUZZ_MAIN = tests/fuzz/fuzz.h tests/fuzz/replay.c
FUZZ_LINKING = $(AM_LDFLAGS)
endif

## crypto/
noinst_PROGRAMS += tests/fuzz/ber_fuzz tests/fuzz/cms_fuzz
tests_fuzz_ber_fuzz_SOURCES = tests/fuzz/ber_fuzz.c $(FUZZ_MAIN)
tests_fuzz_ber_fuzz_LDADD = $(SG_LIBS_CRYPTO)
tests_fuzz_ber_fuzz_LDFLAGS = $(FUZZ_LINKING)
tests_fuzz_cms_fuzz_SOURCES = tests/fuzz/cms_fuzz.c $(FUZZ_MAIN)
tests_fuzz_cms_fuzz_LDADD = $(SG_LIBS_CRYPTO)
tests_fuzz_cms_fuzz_LDFLAGS = $(FUZZ_LINKING)

noinst_PROGRAMS += tests/fuzz/cms_shape_fuzz
tests_fuzz_cms_shape_fuzz_SOURCES = tests/fuzz/cms_shape_fuzz.c $(FUZZ_MAIN)
tests_fuzz_cms_shape_fuzz_LDADD = $(SG_LIBS_CRYPTO)
tests_fuzz_cms_shape_fuzz_LDFLAGS = $(FUZZ_LINKING)

noinst_PROGRAMS += tests/fuzz/cert_fuzz
tests_fuzz_cert_fuzz_SOURCES = tests/fuzz/cert_fuzz.c $(FUZZ_MAIN)
tests_fuzz_cert_fuzz_LDADD = $(SG_LIBS_CRYPTO)
tests_fuzz_cert_fuzz_LDFLAGS = $(FUZZ_LINKING)

noinst_PROGRAMS += tests/fuzz/smimecaps_fuzz
tests_fuzz_smimecaps_fuzz_SOURCES = tests/fuzz/smimecaps_fuzz.c $(FUZZ_MAIN)
tests_fuzz_smimecaps_fuzz_LDADD = $(SG_LIBS_CRYPTO)
tests_fuzz_smimecaps_fuzz_LDFLAGS = $(FUZZ_LINKING)

noinst_PROGRAMS += tests/fuzz/revocation_fuzz
tests_fuzz_revocation_fuzz_SOURCES = tests/fuzz/revocation_fuzz.c $(FUZZ_MAIN)
tests_fuzz_revocation_fuzz_LDADD = $(SG_LIBS_CRYPTO)
tests_fuzz_revocation_fuzz_LDFLAGS = $(FUZZ_LINKING)

noinst_PROGRAMS += tests/fuzz/smime_value_fuzz
tests_fuzz_smime_value_fuzz_SOURCES = tests/fuzz/smime_value_fuzz.c $(FUZZ_MAIN)
tests_fuzz_smime_value_fuzz_LDADD = $(SG_LIBS_CRYPTO)
tests_fuzz_smime_value_fuzz_LDFLAGS = $(FUZZ_LINKING)
noinst_PROGRAMS += tests/fuzz/path_fuzz
tests_fuzz_path_fuzz_SOURCES = tests/fuzz/path_fuzz.c $(FUZZ_MAIN)
tests_fuzz_path_fuzz_LDADD = $(SG_LIBS_CRYPTO)
tests_fuzz_path_fuzz_LDFLAGS = $(FUZZ_LINKING)

## directory/
noinst_PROGRAMS += tests/fuzz/fetch_fuzz
tests_fuzz_fetch_fuzz_SOURCES = tests/fuzz/fetch_fuzz.c $(FUZZ_MAIN)
tests_fuzz_fetch_fuzz_LDADD = $(SG_LIBS_FETCH)
tests_fuzz_fetch_fuzz_LDFLAGS = $(FUZZ_LINKING)

## message/
noinst_PROGRAMS += tests/fuzz/authresults_fuzz
tests_fuzz_authresults_fuzz_SOURCES = tests/fuzz/authresults_fuzz.c $(FUZZ_MAIN)
tests_fuzz_authresults_fuzz_LDADD = $(SG_LIBS_MESSAGE)
tests_fuzz_authresults_fuzz_LDFLAGS = $(FUZZ_LINKING)
noinst_PROGRAMS += tests/fuzz/b64_fuzz tests/fuzz/hdrs_fuzz tests/fuzz/mime_fuzz
tests_fuzz_b64_fuzz_SOURCES = tests/fuzz/b64_fuzz.c $(FUZZ_MAIN)
tests_fuzz_b64_fuzz_LDADD = $(SG_LIBS_MESSAGE)
tests_fuzz_b64_fuzz_LDFLAGS = $(FUZZ_LINKING)
tests_fuzz_hdrs_fuzz_SOURCES = tests/fuzz/hdrs_fuzz.c $(FUZZ_MAIN)
tests_fuzz_hdrs_fuzz_LDADD = $(SG_LIBS_MESSAGE)
tests_fuzz_hdrs_fuzz_LDFLAGS = $(FUZZ_LINKING)
tests_fuzz_mime_fuzz_SOURCES = tests/fuzz/mime_fuzz.c $(FUZZ_MAIN)
tests_fuzz_mime_fuzz_LDADD = $(SG_LIBS_MESSAGE)
tests_fuzz_mime_fuzz_LDFLAGS = $(FUZZ_LINKING)
## keystore/
noinst_PROGRAMS += tests/fuzz/proto_fuzz
tests_fuzz_proto_fuzz_SOURCES = tests/fuzz/proto_fuzz.c $(FUZZ_MAIN)
tests_fuzz_proto_fuzz_LDADD = $(SG_LIBS_KEYSTORE)
tests_fuzz_proto_fuzz_LDFLAGS = $(FUZZ_LINKING)
## milter/
noinst_PROGRAMS += tests/fuzz/smtp_reply_fuzz
tests_fuzz_smtp_reply_fuzz_SOURCES = tests/fuzz/smtp_reply_fuzz.c $(FUZZ_MAIN)
tests_fuzz_smtp_reply_fuzz_LDADD = $(SG_LIBS_PIPELINE)
tests_fuzz_smtp_reply_fuzz_LDFLAGS = $(FUZZ_LINKING)
## cli/
noinst_PROGRAMS += tests/fuzz/bulk_fuzz
tests_fuzz_bulk_fuzz_SOURCES = tests/fuzz/bulk_fuzz.c cli/answer.c cli/bulk_form.c cli/bulk_map.c cli/bulk_status.c \
	cli/bulk_vault.c cli/cmd.c cli/tsv.c $(FUZZ_MAIN)
tests_fuzz_bulk_fuzz_LDADD = $(SG_LIBS_PIPELINE)
tests_fuzz_bulk_fuzz_LDFLAGS = $(FUZZ_LINKING)
## cli/
noinst_PROGRAMS += tests/fuzz/import_fuzz
tests_fuzz_import_fuzz_SOURCES = tests/fuzz/import_fuzz.c cli/import_table.c cli/text_file.c cli/zip_read.c $(FUZZ_MAIN)
tests_fuzz_import_fuzz_LDADD = $(SG_LIBS_CRYPTO) $(ZIP_LIBS)
tests_fuzz_import_fuzz_LDFLAGS = $(FUZZ_LINKING)
