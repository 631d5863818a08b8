/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_cmd.h - the commands of admin.h, carried out on an open vault
 *
 * Each change is in the ledger before it is in the store, and the rows that it makes name the
 * record. One command at a time; what takes long and needs no store comes before.
 */
#ifndef KEYSTORE_ADMIN_CMD_H
#define KEYSTORE_ADMIN_CMD_H

#include "base/json.h"
#include "crypto/cert.h"
#include "keystore/vault.h"

struct admin {
	struct vault *vault;
	const struct settings *settings;
	const struct json_value *request;
	struct secret *blob; /* or NULL */
	struct json *out;    /* inside the answer's object */
	int64_t uid, pid;
	bool changed;          /* the store, or about to */
	struct import *import; /* a file that was taken apart before the lock was taken; or NULL */
	struct held_try *held; /* a PIN that is tried (admin_held.c), or NULL */
	unsigned rights;
	const char *request_text; /* REQUEST as it came */
	size_t request_len;
	const char *approved; /* this is the run of a request of that id (approval.h), or NULL … */
	bool used;            /* … which has been used */
	struct secret *result; /* bytes that go beside the answer; owned, or NULL */
	bool limited;          /* a certificate is shorter than wanted: the CA ends before */
};

/* Somebody with RIGHTS, and what is asked; all borrowed. */
struct admin_asked {
	unsigned rights;
	int64_t uid, pid;
	const char *request; /* LEN bytes of JSON */
	size_t len;
	struct secret *blob; /* bytes beside it, or NULL */
};
/* Carries it out; ANSWER gets one JSON object. *result: bytes that belong to it, or NULL. */
enum rc admin_run(struct vault *vault, const struct admin_asked *asked, struct buf *answer,
	struct secret **result, struct err *err);
/* Within a command: the command TEXT in its place, with the same rights and answer. */
enum rc admin_rerun(struct admin *a, const char *text, struct err *err);

/* --- for the files of commands --- */
#define ADMIN_DAYS_MAX 7300

/* Appends the ledger's record of CMD about KEY and ADDR (either may be NULL). */
enum rc admin_record(struct admin *a, const char *event, const char *key, const char *addr,
	const char *detail, uint64_t *seq, struct err *err);
/* Member KEY as a resolved address; ERR_USAGE when it is missing or none of ours. */
enum rc admin_addr(struct admin *a, const char *member, char out[ADDR_MAX + 1], struct err *err);
/* The person who has ADDR, made (in the open transaction) from the request's name, kind and
 * client_key when there is none. */
enum rc admin_get_person(
	struct admin *a, const char *addr, uint64_t seq, struct store_person *out, struct err *err);
/* Member "key": an id or an address; PURPOSE: any of these bits, 0: all. ERR_VAULT_NO_KEY. */
enum rc admin_find_key(struct admin *a, unsigned purpose, struct store_key *out, struct err *err);
/* One key as an object; FULL: with certificates and grants. */
enum rc
admin_put_key(struct admin *a, const struct store_key *key, bool full, bool known, struct err *err);
/* The addresses that PERSON has now, as the array "addresses". */
enum rc admin_put_addrs(struct admin *a, const char *person, struct err *err);

/* Member as a person: a resolved address, or an id, which is given back as it is. */
enum rc admin_who(struct admin *a, const char *member, char out[ADDR_MAX + 1], struct err *err);
/* Member as a time; OTHERWISE when it is absent. */
enum rc
admin_time(struct admin *a, const char *member, int64_t otherwise, int64_t *out, struct err *err);
/* ERR_VAULT_DENIED when PERSON has left: no new key for them. */
enum rc admin_check_present(const struct store_person *person, struct err *err);
struct edit;
/* An edit of the person in MEMBER (admin_who); EDIT may be given to edit_fini in any case. */
enum rc admin_begin_edit(struct admin *a, const char *member, struct edit *edit, struct err *err);
enum rc admin_put_person(
	struct admin *a, const char *member, const struct store_person *person, struct err *err);
enum rc admin_put_grant(struct admin *a, const struct store_grant *grant, struct err *err);

/* ERR_VAULT_DENIED for whoever is neither root nor the vault's own user: what is about the store as
 * a whole is not for operators. */
enum rc admin_owner(const struct admin *a, struct err *err);

/* admin_master.c */
enum rc admin_vault_masters(struct admin *a, struct err *err);
enum rc admin_vault_rekey(struct admin *a, struct err *err);
enum rc admin_vault_rekey_check(struct admin *a, struct err *err);
enum rc admin_vault_rekey_finish(struct admin *a, struct err *err);
enum rc admin_vault_rekey_cancel(struct admin *a, struct err *err);
enum rc admin_vault_reencrypt(struct admin *a, struct err *err);
/* admin.c: store, ledger and master key that root made become those of the vault's user. */
enum rc admin_give_away(struct conf *conf, struct err *err);
/* admin_token.c */
enum rc admin_key_token(struct admin *a, struct err *err);
enum rc admin_token_list(struct admin *a, struct err *err);
enum rc admin_token_test(struct admin *a, struct err *err);
/* admin_backup.c */
enum rc admin_vault_backup(struct admin *a, struct err *err);
enum rc admin_vault_backup_next(struct admin *a, struct err *err);
/* admin_issue.c */
enum rc admin_key_new(struct admin *a, struct err *err);
/* admin_renew.c */
enum rc admin_key_renew(struct admin *a, struct err *err);
enum rc admin_key_due(struct admin *a, struct err *err);
enum rc admin_key_settle(struct admin *a, struct err *err);
/* admin_ca.c, admin_ca_renew.c, admin_ca_show.c */
/* Root and issuing CA in an empty store; PEM: the root. */
enum rc admin_make_ca(struct admin *a, const char *organisation, const char *type, struct buf *pem,
	struct err *err);
enum rc admin_ca_list(struct admin *a, struct err *err);
enum rc admin_ca_show(struct admin *a, struct err *err);
enum rc admin_ca_new(struct admin *a, struct err *err);
enum rc admin_ca_new_root(struct admin *a, struct err *err);
enum rc admin_ca_renew(struct admin *a, struct err *err);
enum rc admin_ca_import(struct admin *a, struct err *err);
/* admin_publish.c */
enum rc admin_publish_list(struct admin *a, struct err *err);
enum rc admin_publish_ours(struct admin *a, struct err *err);
/* admin_crl.c */
enum rc admin_key_revoke(struct admin *a, struct err *err);
enum rc admin_ca_crl(struct admin *a, struct err *err);
/* admin_import.c */
enum rc admin_key_import_before(struct admin *a, struct err *err);
enum rc admin_key_import(struct admin *a, struct err *err);
enum rc admin_import_new(struct admin *a, struct err *err);
void admin_import_free(struct admin *a);
/* admin_held.c */
enum rc admin_key_hold(struct admin *a, struct err *err);
enum rc admin_key_held(struct admin *a, struct err *err);
enum rc admin_key_held_drop(struct admin *a, struct err *err);
/* key.pin in four parts, of which the first and the third need no lock. */
enum rc admin_key_pin_check(struct admin *a, struct err *err);
enum rc admin_key_pin_count(struct admin *a, struct err *err);
enum rc admin_key_pin_open(struct admin *a, struct err *err);
enum rc admin_key_pin(struct admin *a, struct err *err);
void admin_held_free(struct admin *a);
/* admin_request.c */
enum rc admin_key_request(struct admin *a, struct err *err);
/* admin_cert.c */
enum rc admin_key_cert_add(struct admin *a, struct err *err);
/* admin_budget.c */
enum rc admin_budgets(struct admin *a, struct err *err);
/* admin_person.c */
enum rc admin_person_add(struct admin *a, struct err *err);
enum rc admin_person_show(struct admin *a, struct err *err);
enum rc admin_person_set(struct admin *a, struct err *err);
enum rc admin_person_list(struct admin *a, struct err *err);
enum rc admin_person_rename(struct admin *a, struct err *err);
enum rc admin_person_leave(struct admin *a, struct err *err);
enum rc admin_person_return(struct admin *a, struct err *err);
enum rc admin_address_add(struct admin *a, struct err *err);
enum rc admin_address_end(struct admin *a, struct err *err);
enum rc admin_address_move(struct admin *a, struct err *err);
/* admin_grant.c */
enum rc admin_key_grant(struct admin *a, struct err *err);
enum rc admin_key_ungrant(struct admin *a, struct err *err);
enum rc admin_grant_list(struct admin *a, struct err *err);
/* admin_sync.c */
enum rc admin_person_sync(struct admin *a, struct err *err);
/* admin_export.c */
enum rc admin_key_export(struct admin *a, struct err *err);
enum rc admin_key_delete(struct admin *a, struct err *err);
/* admin_open.c */
enum rc admin_audit_open(struct admin *a, struct err *err);
/* admin_key.c */
enum rc admin_key_list(struct admin *a, struct err *err);
enum rc admin_key_show(struct admin *a, struct err *err);
enum rc admin_key_cert(struct admin *a, struct err *err);
enum rc admin_key_retire(struct admin *a, struct err *err);
/* admin_audit.c */
enum rc admin_ledger_head(struct admin *a, struct err *err);
enum rc admin_ledger_checkpoint(struct admin *a, struct err *err);
enum rc admin_audit_pseudonyms(struct admin *a, struct err *err);
enum rc admin_audit_periods(struct admin *a, struct err *err);
/* Drops segments, oldest first. */
enum rc admin_audit_retire(struct admin *a, struct err *err);
/* Destroys the pseudonym key of member "period". Nothing brings it back. */
enum rc admin_audit_erase(struct admin *a, struct err *err);

#endif
