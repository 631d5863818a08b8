/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulk_map.h - which column of a service's form holds what: data that an administrator can change
 *
 * sealgate-bulk(7) has the format of the file, a line for each setting. Templates hold {words} that
 * are filled in for each row (bulk_form.h).
 *
 * Limits: BULK_MAP_BYTES, TSV_MAX_COLUMNS columns, BULK_SETS settings of a kind.
 */
#ifndef CLI_BULK_MAP_H
#define CLI_BULK_MAP_H

#include "cli/tsv.h"

#define BULK_MAP_BYTES 65536
#define BULK_SETS      64

enum bulk_form { BULK_ISSUE, BULK_RENEW, BULK_REVOKE, BULK_STATUS };
const char *bulk_form_name(enum bulk_form form); /* "issue", … */

enum bulk_state { BULK_UNKNOWN, BULK_VALID, BULK_REVOKED, BULK_EXPIRED };

struct bulk_column {
	const char *template; /* NULL: empty; of status: the field that it is, or NULL */
	bool required, ascii;
	size_t max; /* characters; 0: no limit */
};

struct bulk_pair { /* NAME: a word, VALUE: a template, a code, or words parted by "|" */
	const char *name, *value;
};

struct bulk_map {
	enum bulk_form form;
	struct tsv_style style;
	bool last_line_end;
	const char *dn;                                  /* template; NULL: none */
	size_t dn_max;                                   /* characters */
	struct bulk_column columns[TSV_MAX_COLUMNS + 1]; /* from 1 */
	size_t n_columns;                                /* the last one that is named */
	struct bulk_pair sets[BULK_SETS], reasons[BULK_SETS], allows[BULK_SETS];
	size_t n_sets, n_reasons, n_allows;
	const char *comment_needed;  /* codes of reasons parted by blanks, or NULL */
	bool same_dn, cn_is_address; /* what a renewal needs */
	const char *otherwise;       /* map for what is no renewal, or NULL */
	/* of a list */
	const char *issuer;         /* part of the issuer's name of this service's; or NULL */
	bool header;                /* the first row holds names */
	bool any_serial, any_state; /* in whatever column */
	struct bulk_pair states[BULK_SETS];  /* NAME: "valid", "revoked", "expired" */
	struct bulk_pair ignores[BULK_SETS]; /* NAME: number of a column */
	size_t n_states, n_ignores;
	char *text; /* owned: what all of it points into */
};

/* ERR_CONFIG: "NAME:LINE: …". */
enum rc bulk_map_parse(
	const char *text, size_t len, const char *name, struct bulk_map *out, struct err *err);
/* NAME: a file, when it has a "/" or ends in ".conf"; else NAME.conf in DIR/bulk, or among those
 * that were installed. */
enum rc bulk_map_load(const char *dir, const char *name, struct bulk_map *out, struct err *err);
void bulk_map_fini(struct bulk_map *map);
const char *bulk_pair_find(const struct bulk_pair *pairs, size_t n, const char *name); /* or NULL */
/* Column of a list's FIELD, "serial" say; 0: none. */
size_t bulk_map_column(const struct bulk_map *map, const char *field);
/* Is TEXT one of the words of LIST, which are parted by "|"? */
bool bulk_word_in(const char *list, const char *text);

#endif
