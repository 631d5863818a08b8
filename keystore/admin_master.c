/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/admin_cmd.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "keystore/store_root.h"

/*
 * Replacing the master key. The vault does not keep the master key and cannot, in general, write to
 * where it comes from: the tool makes the new one and shows it here, first to be added, then, when
 * it is in its place, to have the old one dropped.
 */

enum rc
admin_owner(const struct admin *a, struct err *err)
{
	if (a->uid == 0 || a->uid == (int64_t)geteuid())
		return RC_OK;
	return err_set(err, ERR_VAULT_DENIED, "only root and the vault's own user may do this");
}

/* The master key that came with the request. */
static enum rc
need_key(const struct admin *a, struct err *err)
{
	if (!a->blob || secret_len(a->blob) != MASTER_SIZE)
		return err_set(err, ERR_USAGE, "a master key of %u bytes is missing", MASTER_SIZE);
	return admin_owner(a, err);
}

/* "file", "credential", "ask", "pkcs11": no more of it goes into the ledger. */
static enum rc
detail_of(const char *spec, char out[64], struct err *err)
{
	size_t len = strcspn(spec, ":");

	if (len == 0 || len > 16 || strspn(spec, "abcdefghijklmnopqrstuvwxyz0123456789") < len)
		return err_set(err, ERR_USAGE, "\"%.100s\" is no source of a master key", spec);
	snprintf(out, 64, "{\"to\":\"%.*s\"}", (int)len, spec);
	return RC_OK;
}

enum rc
admin_vault_masters(struct admin *a, struct err *err)
{
	struct store_master masters[2];
	size_t n;
	enum rc rc = store_list_masters(vault_store(a->vault), masters, &n, err);

	json_array(a->out, "masters");
	for (size_t i = 0; !rc && i < n; i++) {
		json_object(a->out, NULL);
		json_str(a->out, "state", masters[i].pending ? "pending" : "current");
		json_str(a->out, "source", masters[i].spec);
		json_time(a->out, "since", masters[i].since);
		json_bool(a->out, "opened", masters[i].opened);
		json_object_end(a->out);
	}
	json_array_end(a->out);
	return rc;
}

enum rc
admin_vault_rekey(struct admin *a, struct err *err)
{
	const char *spec = json_get_text(a->request, "to"), *kdf = json_get_text(a->request, "kdf");
	struct store *store = vault_store(a->vault);
	struct store_master masters[2];
	char detail[64];
	size_t n = 0;
	enum rc rc = need_key(a, err);

	if (!rc)
		rc = detail_of(spec ? spec : "", detail, err);
	if (!rc)
		rc = store_list_masters(store, masters, &n, err);
	if (!rc && n > 1)
		rc = err_set(err, ERR_KEY_EXISTS,
			"a replacement of the master key is under way: finish or cancel it");
	if (!rc)
		rc = admin_record(a, "vault.rekey", NULL, NULL, detail, NULL, err);
	return rc ? rc : store_add_master(store, spec, kdf ? kdf : "", a->blob, err);
}

enum rc
admin_vault_rekey_check(struct admin *a, struct err *err)
{
	enum rc rc = need_key(a, err);

	return rc ? rc : store_check_master(vault_store(a->vault), a->blob, true, err);
}

enum rc
admin_vault_rekey_finish(struct admin *a, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_master masters[2];
	char detail[64];
	size_t n = 0;
	enum rc rc = need_key(a, err);

	if (!rc)
		rc = store_list_masters(store, masters, &n, err);
	/* A vault that was started meanwhile has finished it. */
	if (!rc && n == 1)
		return store_check_master(store, a->blob, false, err);
	if (!rc)
		rc = store_check_master(store, a->blob, true, err);
	if (rc && err && err->code == ERR_MASTER_KEY)
		rc = err_set(err, ERR_KEYSTORE,
			"vault.master_key does not give the new master key, which is in %s: change it "
			"first, or use --cancel",
			masters[1].spec);
	if (!rc)
		rc = detail_of(masters[1].spec, detail, err);
	if (!rc)
		rc = admin_record(a, "vault.rekeyed", NULL, NULL, detail, NULL, err);
	return rc ? rc : store_settle_master(store, a->blob, err);
}

enum rc
admin_vault_rekey_cancel(struct admin *a, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_master masters[2];
	size_t n = 0;
	enum rc rc = admin_owner(a, err);

	if (!rc)
		rc = store_list_masters(store, masters, &n, err);
	if (!rc && n == 1)
		rc = err_set(
			err, ERR_VAULT_NO_KEY, "no replacement of the master key is under way");
	if (!rc && masters[1].opened)
		rc = err_set(err, ERR_USAGE,
			"the key store was opened with the new master key: finish it");
	if (!rc)
		rc = admin_record(a, "vault.rekey-cancelled", NULL, NULL, NULL, NULL, err);
	return rc ? rc : store_drop_master(store, err);
}

/* The present master key is shown, for the vault has forgotten it. */
enum rc
admin_vault_reencrypt(struct admin *a, struct err *err)
{
	struct store *store = vault_store(a->vault);
	enum rc rc = need_key(a, err);

	if (!rc)
		rc = store_check_master(store, a->blob, false, err);
	if (!rc)
		rc = admin_record(a, "vault.reencrypt", NULL, NULL, NULL, NULL, err);
	if (!rc)
		rc = store_reencrypt(store, a->blob, err);
	return rc ? rc : admin_record(a, "vault.reencrypted", NULL, NULL, NULL, NULL, err);
}
