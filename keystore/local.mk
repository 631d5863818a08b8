## SPDX-License-Identifier: BSD-2-Clause
noinst_LIBRARIES += libkeystore.a
libkeystore_a_SOURCES = keystore/admin.h keystore/client.h \
	keystore/ledger.c keystore/ledger.h keystore/ledger_private.h keystore/ledger_keeper.c \
	keystore/ledger_open.c keystore/ledger_chain.c keystore/ledger_chain.h \
	keystore/ledger_disk.c keystore/ledger_disk.h keystore/ledger_stub.c keystore/ledger_stub.h keystore/ledger_tail.c keystore/ledger_tail.h \
	keystore/ledger_anchor.c keystore/ledger_anchors.c keystore/ledger_anchors.h keystore/ledger_piece.c keystore/ledger_piece.h \
	keystore/ledger_uses.c keystore/ledger_uses.h keystore/ledger_retire.c keystore/ledger_retire.h \
	keystore/ledger_epoch.c keystore/ledger_epoch.h keystore/ledger_erase.c keystore/ledger_erase.h keystore/ledger_file.c \
	keystore/ledger_file.h keystore/ledger_format.c keystore/ledger_format.h \
	keystore/ledger_group.c keystore/ledger_pseudonym.c keystore/ledger_pseudonym.h keystore/ledger_queue.c \
	keystore/ledger_crew.c keystore/ledger_crew.h keystore/ledger_read.c keystore/ledger_read.h keystore/ledger_verify.c \
	keystore/ledger_verify.h
libkeystore_a_SOURCES += \
	keystore/master.c keystore/master.h \
	keystore/proto.c keystore/proto.h \
	keystore/store.c keystore/store.h keystore/store_cert.c keystore/store_grant.c keystore/store_key.c keystore/store_person.c \
	keystore/store_row.c keystore/store_row.h keystore/store_sum.c \
	keystore/wrap.c keystore/wrap.h
libkeystore_a_SOURCES += \
	keystore/admin.c keystore/admin_audit.c keystore/admin_cmd.c keystore/admin_cmd.h keystore/admin_import.c \
	keystore/import.c keystore/import.h keystore/import_blob.c keystore/import_chain.c \
	keystore/import_whose.c keystore/admin_held.c keystore/store_held.c keystore/store_held.h \
	keystore/admin_issue.c keystore/admin_key.c keystore/admin_person.c \
	keystore/budget.c keystore/budget.h \
	keystore/admin_budget.c \
	keystore/flood.c keystore/flood.h \
	keystore/store_opened.c keystore/store_opened.h \
	keystore/keycache.c keystore/keycache.h \
	keystore/link.c keystore/link.h \
	keystore/rowcache.c keystore/rowcache.h \
	keystore/profile.c keystore/profile.h \
	keystore/settings.c keystore/settings.h \
	keystore/use.c keystore/use.h \
	keystore/vault.c keystore/vault.h
## The lifecycle of persons.
libkeystore_a_SOURCES += \
	keystore/admin_grant.c keystore/admin_sync.c \
	keystore/change.c keystore/change.h \
	keystore/person_edit.c keystore/person_edit.h keystore/person_leave.c \
	keystore/sync.c keystore/sync.h keystore/sync_plan.c
libkeystore_a_SOURCES += \
	keystore/batch.c keystore/batch.h \
	keystore/client.c \
	keystore/conn.c keystore/conn.h \
	keystore/listener.c keystore/listener.h \
	keystore/pool.c keystore/pool.h \
	keystore/held.c keystore/held.h \
	keystore/talk.c keystore/talk.h \
	keystore/serve.c keystore/serve.h \
	keystore/share.c keystore/share.h \
	keystore/server.c keystore/server.h

## Outside CAs
libkeystore_a_SOURCES += keystore/admin_cert.c keystore/admin_request.c keystore/store_request.c keystore/store_request.h
## Acts of two persons
libkeystore_a_SOURCES += \
	keystore/approval.c keystore/approval.h keystore/approval_text.c \
	keystore/admin_export.c keystore/admin_officer.c keystore/admin_open.c keystore/admin_quorum.c \
	keystore/ledger_find.c keystore/ledger_find.h \
	keystore/store_officer.c keystore/store_officer.h

## The store key and the master keys that open it.
libkeystore_a_SOURCES += keystore/admin_backup.c keystore/admin_backup.h keystore/backup.c keystore/backup.h keystore/restore.c keystore/restore.h \
	keystore/restore_conf.c keystore/restore_open.c keystore/restore_private.h \
	keystore/restore_owner.c keystore/restore_owner.h
libkeystore_a_SOURCES += keystore/admin_token.c keystore/admin_master.c keystore/store_reencrypt.c keystore/store_rewrite.c keystore/store_rewrite.h keystore/store_root.c keystore/store_root.h

sbin_PROGRAMS += sealgate-vault
sealgate_vault_SOURCES = keystore/vault_main.c
sealgate_vault_LDADD = $(SG_LIBS_KEYSTORE)

## The organisation's CA.
libkeystore_a_SOURCES += \
	keystore/admin_ca.c keystore/admin_ca.h keystore/admin_ca_renew.c keystore/admin_ca_show.c keystore/admin_ca_sign.c keystore/admin_ca_sign.h keystore/admin_ca_use.c \
	keystore/admin_crl.c keystore/admin_issue.h keystore/admin_publish.c keystore/admin_renew.c \
	keystore/revoke.c keystore/revoke.h keystore/store_ca.c keystore/store_ca.h

## Finding records of the ledger.
libkeystore_a_SOURCES += \
	keystore/ledger_index.c keystore/ledger_index.h keystore/ledger_search.c keystore/ledger_search.h \
	keystore/ledger_terms.c keystore/ledger_terms.h
