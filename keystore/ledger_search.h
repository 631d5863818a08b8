/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_search.h - records of a ledger by what stands in them, with an index or without
 *
 * The index (ledger_index.h) says where to look; what it says is read from the segment, and the
 * line must have the hash that the line behind it names. Parts of the ledger that no index covers
 * are read from end to end, so the answer is the same without one.
 */
#ifndef KEYSTORE_LEDGER_SEARCH_H
#define KEYSTORE_LEDGER_SEARCH_H

#include "keystore/ledger_index.h"
#include "keystore/ledger_terms.h"

#define LEDGER_QUERY_MAX 20000u /* terms */

/* One term; those of a group are alternatives, and each group must be met. */
struct ledger_wanted {
	unsigned group;
	char kind;
	const char *text; /* borrowed */
};
struct ledger_query {
	struct ledger_wanted *v; /* by group */
	size_t n, room;
	unsigned groups;
	const char *since, *until; /* RFC 3339 to the second, until is not included; or NULL */
	uint64_t first, last;      /* numbers of records; 0: no bound */
};
/* A term of the group begun last; ledger_query_group begins one. ERR_LIMIT. */
void ledger_query_group(struct ledger_query *query);
enum rc ledger_query_add(struct ledger_query *query, char kind, const char *text, struct err *err);
void ledger_query_fini(struct ledger_query *query);

enum ledger_index_use {
	LEDGER_INDEX_AUTO,    /* used, and made or brought up to date where that is possible */
	LEDGER_INDEX_NONE,    /* neither read nor made */
	LEDGER_INDEX_REBUILD, /* made anew */
};
struct ledger_search {
	const char *dir;
	const char *folder; /* of the index; NULL: DIR/index */
	enum ledger_index_use use;
	const struct ledger_query *query; /* NULL: every record */
	/* what was done */
	uint64_t indexed, scanned; /* segments */
	uint64_t built;            /* indexes made */
	int64_t scanned_bytes;     /* read without an index */
	uint64_t dropped_to;       /* records up to this one are dropped; 0: none */
	bool no_folder;            /* no index can be kept: see why */
	char why[384];
};

/* RC_NONE from EACH ends the search, RC_OK then. LINE is good until it returns. */
typedef enum rc ledger_found(void *ctx, const char *line, size_t len,
	const struct ledger_line *prefix, const struct json_value *record, struct err *err);
/* In the order of the ledger. ERR_LEDGER_BROKEN: a line is no record, or a record that was found is
 * not the one that the line behind it follows on. */
enum rc ledger_search(struct ledger_search *search, ledger_found *each, void *ctx, struct err *err);
/* Brings the index up to date and finds nothing. */
enum rc ledger_search_index(struct ledger_search *search, struct err *err);

#endif
