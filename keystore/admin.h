/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin.h - the operator's side of the vault: persons, keys, grants
 *
 * One entry point for the tool and later a web page. When sealgate-vault runs, the request goes over admin.sock; otherwise
 * the same code works on the store directly, if the caller may read the store and the master key, holding the
 * vault's lock. Requests and answers are JSON objects; private material (PKCS#12 files, passwords) goes beside them in a
 * secret, never in the JSON.
 *
 * Commands ("cmd"): see the table in admin.c: key.new, key.import, key.list, key.show, key.retire, key.revoke,
 * key.grant, person.add, person.list, ledger.head, …
 */
#ifndef KEYSTORE_ADMIN_H
#define KEYSTORE_ADMIN_H

#include "base/conf.h"
#include "base/json.h"
#include "base/secret.h"

/* REQUEST: {"cmd":…, …}. BLOB: bytes that belong to it, or NULL. *answer: a parsed object, free with json_free. Errors
 * of the vault come back as they were. */
enum rc admin_call(struct conf *conf, const char *request, struct secret *blob, struct json_value **answer, struct err *err);

/* Makes an empty store, master key, organisation CA and ledger for CONF (`sealgate init`). */
struct admin_init {
	const char *organisation;  /* name for the CA's subject */
	const char *domain;
};
enum rc admin_init(struct conf *conf, const struct admin_init *init, struct buf *ca_pem, struct err *err);

#endif
