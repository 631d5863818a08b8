/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulk_form.h - the rows of a service's form, out of a map and what is known of each person
 *
 * A word in braces is, in this order: a fact (address, local, domain, name, key, serial,
 * serial-dec, serial-upper, subject, reason, comment, dn), a column of the people's table with that
 * name, when it is not empty, or a "set" of the map, which may hold words itself.
 */
#ifndef CLI_BULK_FORM_H
#define CLI_BULK_FORM_H

#include "cli/bulk_map.h"
#include "crypto/dn.h"

struct bulk_facts { /* of one row; what is not known is NULL */
	const char *addr;
	const char *name; /* in the vault */
	const char *key, *serial, *subject;
	const char *reason, *comment; /* of a revocation: the code, the text */
	const struct tsv *people;
	const struct tsv_row *person; /* of PEOPLE */
};

/* Where ADDR stands in a table whose first row names its columns; NULL: nowhere. *HINT, 0 at first,
 * is where the next one may be: most tables are in one order. */
const struct tsv_row *bulk_find_person(const struct tsv *people, const char *addr, size_t *hint);
/* Is there a column "address"? ERR_USAGE, with NAME for the file. */
enum rc bulk_check_people(const struct tsv *people, const char *name, struct err *err);

/* The name for a row, filled in and checked. */
enum rc bulk_make_dn(const struct bulk_map *map, const struct bulk_facts *facts, struct buf *text,
	struct dn *dn, struct err *err);
/* Appends the row with the number ROW. The error names row and column. */
enum rc bulk_append_row(const struct bulk_map *map, const struct bulk_facts *facts, size_t row,
	struct buf *out, struct err *err);
/* The whole without its last line end, where the map wants that. */
void bulk_finish(const struct bulk_map *map, struct buf *out);

/* May the old certificate be renewed under the new name, by the map's rules? OLD: the name that the
 * service knows, or NULL when only the certificate's SUBJECT is known. False: WHY says why not. */
bool bulk_may_renew(const struct bulk_map *map, const struct dn *new, const struct dn *old,
	const struct dn *subject, const char *addr, char why[256]);
/* Hexadecimal as decimal digits; false when it is none. */
bool bulk_serial_dec(const char *hex, char out[256]);

#endif
