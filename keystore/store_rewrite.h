/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_rewrite.h - the rows of a table, wrapped and authenticated under another keyring
 *
 * So that this knows every table: the HMAC of a row is over the columns before "mac" in the order
 * of the schema, and each column of type BLOB is named in store_rewrite.c, with what its bytes are
 * bound to when they are wrapped. A table of which this is not true is refused, before anything of
 * it is changed.
 */
#ifndef KEYSTORE_STORE_REWRITE_H
#define KEYSTORE_STORE_REWRITE_H

#include "keystore/store.h"
#include "keystore/wrap.h"

/* All rows of the table NAME, within the caller's transaction. STORE has the new keyring; what is
 * there was made with OLD. ERR_INTERNAL: a table that this does not know; ERR_KEYSTORE_TAMPERED. */
enum rc
store_rewrite(struct store *store, const char *name, const struct keyring *old, struct err *err);

#endif
