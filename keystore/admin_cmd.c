/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/admin_cmd.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "keystore/admin.h"
#include "keystore/approval.h"
#include "keystore/proto.h"

#define RIGHTS_ANY (RIGHT_KEYS | RIGHT_AUDIT | RIGHT_OFFICER)

enum rc
admin_record(struct admin *a, const char *event, const char *key, const char *addr,
	const char *detail, uint64_t *seq, struct err *err)
{
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_ADMIN);

	record.event = event;
	record.observed.key = key;
	record.observed.service = "admin";
	record.observed.uid = a->uid;
	record.observed.pid = a->pid;
	record.subject = addr;
	record.detail = detail;
	a->changed = true;
	return ledger_append(vault_ledger(a->vault), &record, seq, err);
}

enum rc
admin_addr(struct admin *a, const char *member, char out[ADDR_MAX + 1], struct err *err)
{
	const char *text = json_get_text(a->request, member);
	enum rc rc;

	out[0] = 0;
	if (!text || !*text)
		return err_set(err, ERR_USAGE, "\"%s\" is missing", member);
	rc = settings_resolve(a->settings, text, out, err);
	if (!rc && !addr_domain(out))
		rc = err_set(err, ERR_USAGE, "\"%.200s\" is no mail address", text);
	return rc;
}

/* Name, kind and client_key of the request over what PERSON has. */
static enum rc
take_person(struct admin *a, const char *addr, struct store_person *person, struct err *err)
{
	const char *name = json_get_text(a->request, "name"),
		   *kind = json_get_text(a->request, "kind");
	const struct json_value *client_key = json_find(a->request, "client_key");

	if (!name && !person->name[0])
		name = addr;
	if (name && (strlen(name) >= sizeof(person->name) || !*name))
		return err_set(err, ERR_USAGE, "name: 1 to %d bytes", STORE_NAME_SIZE - 1);
	if (name)
		strcpy(person->name, name);
	if (kind && (!person_kind_find(kind, &person->kind) || person->kind == PERSON_ORGANISATION))
		return err_set(err, ERR_USAGE, "kind: person or role");
	if (client_key)
		person->client_key = json_is_true(client_key);
	return RC_OK;
}

static enum rc
new_person(
	struct admin *a, const char *addr, uint64_t seq, struct store_person *out, struct err *err)
{
	struct store_addr row = {.seq = (int64_t)seq, .since = clock_now()};
	enum rc rc;

	*out = (struct store_person){.created = clock_now(), .seq = (int64_t)seq};
	rc = take_person(a, addr, out, err);
	if (!rc)
		rc = store_new_id('p', out->id, err);
	if (!rc)
		rc = store_put_person(vault_store(a->vault), out, err);
	if (!rc)
		rc = store_new_id('a', row.id, err);
	if (rc)
		return rc;
	strcpy(row.person, out->id);
	strcpy(row.addr, addr);
	return store_put_addr(vault_store(a->vault), &row, err);
}

enum rc
admin_get_person(
	struct admin *a, const char *addr, uint64_t seq, struct store_person *out, struct err *err)
{
	struct store_addr row;
	enum rc rc = store_find_addr(vault_store(a->vault), addr, clock_now(), &row, err);

	if (rc == RC_NONE)
		return new_person(a, addr, seq, out, err);
	if (!rc)
		rc = store_get_person(vault_store(a->vault), row.person, out, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "an address belongs to nobody");
	return rc;
}

enum rc
admin_check_present(const struct store_person *person, struct err *err)
{
	return store_person_is_present(person, clock_now())
		       ? RC_OK
		       : err_set(err, ERR_VAULT_DENIED, "%s has left", person->id);
}

struct newest {
	unsigned purpose;
	struct store_key key;
	bool found;
};

/* An active key that is used goes before one whose time has not come, and that before others. */
static int
rank(const struct store_key *key)
{
	if (key->status == KEY_DESTROYED)
		return -1;
	return key->status != KEY_ACTIVE ? 0 : key->use_from > clock_now() ? 1 : 2;
}

/* The list begins with the newest. */
static enum rc
pick_newest(void *ctx, const struct store_key *key, struct err *err)
{
	struct newest *pick = ctx;

	(void)err;
	if (key->purpose == PURPOSE_CA || (pick->purpose && !(key->purpose & pick->purpose)))
		return RC_OK;
	if (!pick->found || rank(key) > rank(&pick->key)) {
		pick->key = *key;
		pick->found = true;
	}
	return RC_OK;
}

enum rc
admin_find_key(struct admin *a, unsigned purpose, struct store_key *out, struct err *err)
{
	const char *text = json_get_text(a->request, "key");
	struct newest pick = {.purpose = purpose};
	char addr[ADDR_MAX + 1];
	struct store_addr row;
	enum rc rc;

	if (!text || !*text)
		return err_set(err, ERR_USAGE, "\"key\" is missing");
	if (!strchr(text, '@')) {
		rc = store_get_key(vault_store(a->vault), text, out, err);
		return rc == RC_NONE ? err_set(err, ERR_VAULT_NO_KEY, "no key %.64s", text) : rc;
	}
	rc = admin_addr(a, "key", addr, err);
	if (!rc)
		rc = store_find_addr(vault_store(a->vault), addr, clock_now(), &row, err);
	if (!rc)
		rc = store_list_keys(vault_store(a->vault), row.person, "", STORE_MAX_ROWS,
			pick_newest, &pick, err);
	if (rc == RC_NONE || (!rc && !pick.found))
		return err_set(err, ERR_VAULT_NO_KEY, "no key for %s", addr);
	*out = pick.key;
	return rc;
}

/* --- commands of a few lines --- */

static enum rc
vault_status(struct admin *a, struct err *err)
{
	(void)err;
	json_int(a->out, "version", PROTO_VERSION);
	json_int(a->out, "pid", getpid());
	return RC_OK;
}

static const struct {
	const char *name;
	unsigned rights; /* any of these */
	enum rc (*run)(struct admin *a, struct err *err);
} commands[] = {
	{"key.new", RIGHT_KEYS, admin_key_new},
	{"key.import", RIGHT_KEYS, admin_key_import},
	{"key.hold", RIGHT_KEYS | RIGHT_HOLD, admin_key_hold},
	{"key.held", RIGHT_KEYS | RIGHT_HOLD | RIGHT_PIN | RIGHT_AUDIT, admin_key_held},
	{"key.pin", RIGHT_KEYS | RIGHT_PIN, admin_key_pin},
	{"key.held.drop", RIGHT_KEYS | RIGHT_HOLD, admin_key_held_drop},
	{"key.request", RIGHT_KEYS, admin_key_request},
	{"key.cert.add", RIGHT_KEYS, admin_key_cert_add},
	{"key.list", RIGHT_KEYS | RIGHT_AUDIT, admin_key_list},
	{"key.show", RIGHT_KEYS | RIGHT_AUDIT, admin_key_show},
	{"key.cert", RIGHT_KEYS | RIGHT_AUDIT, admin_key_cert},
	{"key.renew", RIGHT_KEYS, admin_key_renew},
	{"key.due", RIGHT_KEYS | RIGHT_AUDIT, admin_key_due},
	{"key.settle", RIGHT_KEYS, admin_key_settle},
	{"key.retire", RIGHT_KEYS, admin_key_retire},
	{"key.revoke", RIGHT_KEYS, admin_key_revoke},
	{"key.grant", RIGHT_KEYS, admin_key_grant},
	{"key.ungrant", RIGHT_KEYS, admin_key_ungrant},
	{"person.add", RIGHT_KEYS, admin_person_add},
	{"person.show", RIGHT_KEYS | RIGHT_AUDIT, admin_person_show},
	{"person.set", RIGHT_KEYS, admin_person_set},
	{"person.list", RIGHT_KEYS | RIGHT_AUDIT, admin_person_list},
	{"person.rename", RIGHT_KEYS, admin_person_rename},
	{"person.leave", RIGHT_KEYS, admin_person_leave},
	{"person.return", RIGHT_KEYS, admin_person_return},
	{"person.sync", RIGHT_KEYS, admin_person_sync},
	{"address.add", RIGHT_KEYS, admin_address_add},
	{"address.end", RIGHT_KEYS, admin_address_end},
	{"address.move", RIGHT_KEYS, admin_address_move},
	{"grant.list", RIGHT_KEYS | RIGHT_AUDIT, admin_grant_list},
	{"publish.list", RIGHT_KEYS, admin_publish_list},
	{"publish.ours", RIGHT_KEYS, admin_publish_ours},
	{"ca.show", RIGHT_KEYS | RIGHT_AUDIT | RIGHT_PROCESS, admin_ca_show},
	{"ca.list", RIGHT_KEYS | RIGHT_AUDIT | RIGHT_PROCESS, admin_ca_list},
	{"ca.crl", RIGHT_KEYS, admin_ca_crl},
	{"ledger.head", RIGHT_AUDIT | RIGHT_KEYS, admin_ledger_head},
	{"ledger.checkpoint", RIGHT_AUDIT | RIGHT_KEYS, admin_ledger_checkpoint},
	{"audit.pseudonyms", RIGHT_AUDIT, admin_audit_pseudonyms},
	{"audit.periods", RIGHT_AUDIT, admin_audit_periods},
	{"audit.erase", RIGHT_AUDIT, admin_audit_erase},
	{"audit.retire", RIGHT_AUDIT, admin_audit_retire},
	{"officer.init", RIGHT_KEYS, admin_officer_init},
	{"officer.change", RIGHT_KEYS, admin_officer_change},
	{"officer.list", RIGHTS_ANY, admin_officer_list},
	{"officer.requests", RIGHTS_ANY, admin_officer_requests},
	{"officer.show", RIGHTS_ANY, admin_officer_show},
	{"officer.approve", RIGHTS_ANY, admin_officer_approve},
	{"officer.withdraw", RIGHT_KEYS | RIGHT_AUDIT, admin_officer_withdraw},
	{"officer.run", RIGHT_KEYS | RIGHT_AUDIT, admin_officer_run},
	{"key.export", RIGHT_KEYS, admin_key_export},
	{"key.delete", RIGHT_KEYS, admin_key_delete},
	{"audit.open", RIGHT_AUDIT, admin_audit_open},
	{"ca.new", RIGHT_KEYS, admin_ca_new},
	{"ca.new-root", RIGHT_KEYS, admin_ca_new_root},
	{"ca.renew", RIGHT_KEYS, admin_ca_renew},
	{"ca.import", RIGHT_KEYS, admin_ca_import},
	{"vault.budgets", RIGHT_KEYS | RIGHT_AUDIT, admin_budgets},
	{"vault.status", RIGHT_KEYS | RIGHT_AUDIT | RIGHT_PROCESS, vault_status},
	{"key.token", RIGHT_KEYS, admin_key_token},
	{"token.list", RIGHT_KEYS | RIGHT_AUDIT, admin_token_list},
	{"token.test", RIGHT_KEYS, admin_token_test},
	{"vault.masters", RIGHT_KEYS | RIGHT_AUDIT, admin_vault_masters},
	{"vault.rekey", RIGHT_KEYS, admin_vault_rekey},
	{"vault.rekey.check", RIGHT_KEYS, admin_vault_rekey_check},
	{"vault.rekey.finish", RIGHT_KEYS, admin_vault_rekey_finish},
	{"vault.rekey.cancel", RIGHT_KEYS, admin_vault_rekey_cancel},
	{"vault.reencrypt", RIGHT_KEYS, admin_vault_reencrypt},
	{"vault.backup", RIGHT_KEYS, admin_vault_backup},
	{"vault.backup.next", RIGHT_KEYS, admin_vault_backup_next},
};

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* The command's place in the table; ERR_VAULT_DENIED when the right to it is missing. */
static enum rc
find_command(const struct admin *a, size_t *index, struct err *err)
{
	const char *cmd = json_get_text(a->request, "cmd");

	for (*index = 0; cmd && *index < sizeof(commands) / sizeof(*commands); ++*index) {
		if (strcmp(commands[*index].name, cmd) != 0)
			continue;
		if (commands[*index].rights & a->rights)
			return RC_OK;
		log_event(
			LOGL_WARN, NULL, "admin-denied", "cmd", cmd, "uid", LOG_NUM(a->uid), NULL);
		return err_set(
			err, ERR_VAULT_DENIED, "uid %lld may not %s", (long long)a->uid, cmd);
	}
	return err_set(err, ERR_USAGE, "no command \"%.64s\"", cmd ? cmd : "");
}

static enum rc
run_one(struct admin *a, enum rc (*run)(struct admin *a, struct err *err), struct err *err)
{
	enum rc rc;

	pthread_mutex_lock(&one_at_a_time);
	/* What a command finds decides what it does: no row is to be hidden from it. */
	rc = store_look_now(vault_store(a->vault), err);
	if (!rc)
		rc = run(a, err);
	store_rollback(vault_store(a->vault)); /* what a failed command left open */
	if (a->changed)
		keycache_flush(vault_keycache(a->vault));
	pthread_mutex_unlock(&one_at_a_time);
	return rc;
}

/* What takes seconds stands in nobody's way. */
static enum rc
run_before(struct admin *a, enum rc (*run)(struct admin *a, struct err *err), struct err *err)
{
	enum rc rc = RC_OK;

	if (run == admin_key_import)
		return admin_key_import_before(a, err);
	if (run != admin_key_pin)
		return RC_OK;
	rc = admin_key_pin_check(a, err);
	if (!rc)
		rc = run_one(a, admin_key_pin_count, err);
	return rc ? rc : admin_key_pin_open(a, err);
}

static enum rc
dispatch(struct admin *a, struct err *err)
{
	const char *cmd;
	size_t i;
	enum rc rc = find_command(a, &i, err);

	if (rc)
		return rc;
	cmd = commands[i].name;
	rc = run_before(a, commands[i].run, err);
	if (!rc)
		rc = run_one(a, commands[i].run, err);
	if (rc)
		log_error(LOGL_WARN, NULL, "admin-failed", err, "cmd", cmd, "uid", LOG_NUM(a->uid),
			NULL);
	else
		log_event(LOGL_INFO, NULL, "admin", "cmd", cmd, "uid", LOG_NUM(a->uid), NULL);
	return rc;
}

enum rc
admin_rerun(struct admin *a, const char *text, struct err *err)
{
	const struct json_value *before = a->request;
	struct json_value *value = NULL;
	size_t i;
	enum rc rc = json_parse(text, strlen(text), &value, err);

	a->request = value;
	if (!rc)
		rc = find_command(a, &i, err);
	if (!rc)
		rc = commands[i].run(a, err);
	store_rollback(vault_store(a->vault));
	a->request = before;
	json_free(&value);
	return rc;
}

enum rc
admin_run(struct vault *vault, const struct admin_asked *asked, struct buf *answer,
	struct secret **result, struct err *err)
{
	struct settings *settings = vault_settings(vault);
	struct json_value *value = NULL;
	struct json json;
	struct admin a = {.vault = vault,
		.settings = settings,
		.blob = asked->blob,
		.out = &json,
		.uid = asked->uid,
		.pid = asked->pid,
		.rights = asked->rights,
		.request_text = asked->request,
		.request_len = asked->len};
	enum rc rc = json_parse(asked->request, asked->len, &value, err);

	*result = NULL;
	if (rc || json_type(value) != JSON_OBJECT) {
		rc = err_set(err, ERR_USAGE, "the request is no JSON object");
	} else {
		a.request = value;
		json_init(&json, answer);
		json_object(&json, NULL);
		json_int(&json, "v", 1);
		rc = dispatch(&a, err);
		if (!rc) {
			json_object_end(&json);
			rc = json_end(&json, err);
		}
	}
	admin_import_free(&a);
	admin_held_free(&a);
	if (!rc)
		*result = a.result;
	else
		secret_free(&a.result);
	json_free(&value);
	settings_unref(&settings);
	return rc == RC_NONE ? err_set(err, ERR_INTERNAL, "an answer is missing") : rc;
}
