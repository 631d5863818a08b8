## SPDX-License-Identifier: BSD-2-Clause
## Unit tests of cli/: one program for each source file; add it to check_PROGRAMS.
check_SCRIPTS += tests/unit/cli/cli_test.sh

## Tables, and forms of services
check_PROGRAMS += tests/unit/cli/tsv_test tests/unit/cli/bulk_test
tests_unit_cli_tsv_test_SOURCES = tests/unit/cli/tsv_test.c cli/tsv.c
tests_unit_cli_tsv_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)
tests_unit_cli_bulk_test_SOURCES = tests/unit/cli/bulk_test.c cli/answer.c cli/bulk_form.c cli/bulk_map.c \
	cli/bulk_status.c cli/bulk_vault.c cli/cmd.c cli/tsv.c
tests_unit_cli_bulk_test_CPPFLAGS = $(AM_CPPFLAGS) -DSRCDIR='"$(abs_top_srcdir)"'
tests_unit_cli_bulk_test_LDADD = $(SG_LIBS_PIPELINE) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/cli/import_test
tests_unit_cli_import_test_SOURCES = tests/unit/cli/import_test.c cli/import_table.c cli/key_content.c cli/key_files.c \
	cli/text_file.c cli/zip_read.c
tests_unit_cli_import_test_LDADD = $(SG_LIBS_CRYPTO) $(ZIP_LIBS) $(CMOCKA_LIBS)
## Tables for spreadsheets, and lines of a mail log.
check_PROGRAMS += tests/unit/cli/csv_test
tests_unit_cli_csv_test_SOURCES = tests/unit/cli/csv_test.c cli/csv.c cli/logline.c cli/mta_log.c
tests_unit_cli_csv_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)
