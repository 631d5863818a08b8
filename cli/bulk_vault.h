/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulk_vault.h - the keys of the vault, as the commands on many of them need them
 */
#ifndef CLI_BULK_VAULT_H
#define CLI_BULK_VAULT_H

#include "cli/answer.h"

struct bulk_key {                                 /* texts are the answers' */
	const char *id, *status, *purpose, *name; /* name NULL: the person has none */
	const char *subject, *issuer, *serial;    /* NULL: no certificate */
	int64_t not_after;
	const struct json_value *addrs; /* the owner's, now */
};

struct bulk_keys {
	struct bulk_key *v; /* by id */
	size_t n;
	struct bulk_owner {
		const char *addr;
		size_t key; /* index */
	} * owners;         /* by address, without case */
	size_t n_owners;
	const char **own_cas; /* subjects of the organisation's CAs, present and former */
	size_t n_own_cas;
	struct json_value **pages;
	size_t n_pages;
};

/* All keys but the CA's own. */
enum rc bulk_keys_load(struct conf *conf, struct bulk_keys *out, struct err *err);
void bulk_keys_fini(struct bulk_keys *keys);
/* Range of OWNERS with ADDR: from the index given back, *n of them. */
size_t bulk_keys_of(const struct bulk_keys *keys, const char *addr, size_t *n);
const struct bulk_key *bulk_key_find(const struct bulk_keys *keys, const char *id); /* or NULL */
/* Is its certificate from a CA outside, and has its issuer's name ISSUER in it (NULL: any)? */
bool bulk_key_is_from(const struct bulk_keys *keys, const struct bulk_key *key, const char *issuer);
bool bulk_key_is_active(const struct bulk_key *key);
/* The active key of ADDR with such a certificate that is valid longest; NULL: none. ALSO_OTHERS:
 * when there is none, one that is not active. */
const struct bulk_key *
bulk_key_of(const struct bulk_keys *keys, const char *addr, const char *issuer, bool also_others);

#endif
