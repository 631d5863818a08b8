/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * change.h - rows that change together: recorded first, then written in one transaction
 *
 * Rows are collected, each under the record that was added last. Nothing is touched before
 * change_commit: that puts all records into the ledger with one wait for the disk, and then the
 * rows, with the numbers of their records, into the store. So there is no row without a record; a
 * crash in between leaves records of what did not happen, never the other way round.
 *
 * Limits: LEDGER_GROUP_MAX records, CHANGE_MAX_ROWS rows.
 */
#ifndef KEYSTORE_CHANGE_H
#define KEYSTORE_CHANGE_H

#include "keystore/admin_cmd.h"

#define CHANGE_MAX_ROWS 50000u

struct change_record {
	const char *event; /* a literal */
	char subject[ADDR_MAX + 1];
	char key[STORE_ID_SIZE];
	char detail[256]; /* flat JSON, or "" */
	uint64_t seq;
};

enum change_type { CHANGE_PERSON, CHANGE_ADDR, CHANGE_GRANT, CHANGE_KEY };

struct change_row {
	enum change_type type;
	size_t record; /* which of the records */
	union {
		struct store_person person;
		struct store_addr addr;
		struct store_grant grant;
		struct {
			char id[STORE_ID_SIZE];
			enum key_status status;
		} key;
	};
};

struct change { /* zeros are an empty one */
	struct change_record *records;
	struct change_row *rows;
	size_t n_records, n_rows, rows_room;
};
void change_fini(struct change *change);

/* SUBJECT: an address, "" for none; DETAIL as in the record. What is put now belongs to it. */
enum rc change_record(struct change *change, const char *event, const char *subject,
	const char *detail, struct err *err);
/* A row of the same id that is there already, in the change, is replaced (but for grants: each is
 * put once). */
enum rc
change_put_person(struct change *change, const struct store_person *person, struct err *err);
enum rc change_put_addr(struct change *change, const struct store_addr *addr, struct err *err);
enum rc change_put_grant(struct change *change, const struct store_grant *grant, struct err *err);
enum rc
change_set_status(struct change *change, const char *key, enum key_status status, struct err *err);
/* The row of this id as it is going to be, or NULL when the change has none. */
const struct store_addr *change_find_addr(const struct change *change, const char *id);

enum rc change_commit(struct admin *a, struct change *change, struct err *err);

#endif
