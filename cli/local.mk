## SPDX-License-Identifier: BSD-2-Clause
## A command is a file with a struct command in it, a line in commands.def and a line here.
bin_PROGRAMS += sealgate
sealgate_SOURCES = \
	cli/cmd.c cli/cmd.h cli/commands.def cli/main.c \
	cli/cert.c cli/cert.h cli/cert_add.c cli/cert_export.c cli/cert_find.c cli/cert_history.c cli/cert_import.c \
	cli/cert_ldif.c cli/cert_ldif.h cli/cert_list.c cli/cert_pending.c cli/cert_shown.c cli/cert_store.c \
	cli/answer.c cli/answer.h cli/audit.c cli/audit.h cli/audit_records.c \
	cli/audit_anchor.c cli/audit_erase.c cli/audit_retire.c cli/audit_verify.c \
	cli/policy.c cli/policy.h cli/policy_case.c cli/policy_run.c \
	cli/logline.c cli/logline.h cli/report.c \
	cli/audit_report.c cli/init.c cli/journal.c cli/key.c cli/key.h cli/key_cert.c cli/key_import.c cli/key_request.c \
	cli/people.c cli/people.h cli/person.c cli/person.h cli/person_show.c cli/person_sync.c \
	cli/check.c cli/check.h cli/check_directories.c cli/check_vault.c cli/explain.c cli/judge.c cli/judge.h cli/mail.c cli/mail.h cli/process.c cli/verify.c
## The key store as a whole.
sealgate_SOURCES += cli/key_token.c cli/vault.c cli/vault.h cli/vault_backup.c cli/vault_budgets.c cli/vault_rekey.c cli/vault_restore.c
## Forms and lists of services.
sealgate_SOURCES += cli/tsv.c cli/tsv.h cli/bulk.c cli/bulk.h cli/bulk_export.c cli/bulk_form.c cli/bulk_form.h \
	cli/bulk_map.c cli/bulk_map.h cli/bulk_status.c cli/bulk_status.h cli/bulk_vault.c cli/bulk_vault.h
sealgate_SOURCES += cli/fetch.c
## The organisation's CA.
sealgate_SOURCES += cli/ca.c cli/ca.h cli/ca_crl.c cli/check_ca.c cli/check_named.c cli/publish.c cli/publish.h \
	cli/key_expiring.c cli/key_renew.c cli/key_revoke.c
## Acts of two persons
sealgate_SOURCES += cli/audit_open.c cli/key_export.c cli/officer.c cli/officer.h cli/officer_request.c cli/officer_sign.c
## Keys from files.
sealgate_SOURCES += cli/ask.c cli/ask.h cli/import_answer.c cli/import_report.c cli/import_report.h cli/import_run.c cli/import_run.h \
	cli/import_table.c cli/import_table.h cli/key_content.c cli/key_files.c cli/key_files.h cli/key_held.c \
	cli/text_file.c cli/text_file.h cli/zip_read.c cli/zip_read.h
## Finding and reporting what the ledger holds.
sealgate_SOURCES += cli/audit_act.c cli/audit_act.h cli/audit_could.c cli/csv.c cli/csv.h cli/audit_filter.c cli/audit_index.c cli/audit_reconcile.c cli/mta_log.c cli/mta_log.h \
	cli/reconcile.c cli/reconcile.h cli/reconcile_show.c
sealgate_LDADD = $(SG_LIBS_PIPELINE) $(ZIP_LIBS)
