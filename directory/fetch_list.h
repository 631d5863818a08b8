/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch_list.h - everything that the fetcher keeps fresh, and what became of it
 *
 * An item is a kind, a URL and, for OCSP, a request and the name of the answer's file. The list
 * is saved as JSON Lines and read back; a line that is damaged is left out, for what is missing
 * will be asked for again.
 *
 * Limits: the number of items is bounded. When it is full, a new one takes the place of one that
 * was never fetched, or else of one of the same kind that was asked for the longest ago; permanent
 * items stay.
 */
#ifndef DIRECTORY_FETCH_LIST_H
#define DIRECTORY_FETCH_LIST_H

#include "base/buf.h"
#include "base/json.h"
#include "directory/want.h"

#include <stdint.h>

#define FETCH_TAG_MAX 127

struct fetch_item {
	uint64_t id; /* grows along the list */
	enum want_kind kind;
	char *url, *request_hex;      /* owned; REQUEST_HEX for OCSP, else NULL */
	char name[WANT_NAME_MAX + 1]; /* of its file, without folder */
	char host[254];               /* of the URL */
	bool permanent;               /* from the configuration */
	unsigned depth;               /* fetched files that led here one after the other */
	bool busy;                    /* being fetched */
	int64_t asked;                /* when somebody needed it last */
	int64_t fetched;      /* when a server last gave it, or said that it is unchanged; 0 */
	int64_t begins, ends; /* of what is there: thisUpdate, nextUpdate; -1: none */
	int64_t next;         /* when it is to be fetched */
	int64_t tried;        /* the last attempt's end; 0 */
	long failures;        /* since it went well */
	char why[256];        /* of the last failure; "" */
	char etag[FETCH_TAG_MAX + 1], modified[FETCH_TAG_MAX + 1]; /* for conditional requests */
	struct fetch_item *same;                                   /* next with the same hash */
};

struct fetch_list;

enum rc fetch_list_new(size_t max, struct fetch_list **out, struct err *err);
void fetch_list_free(struct fetch_list **list);
size_t fetch_list_count(const struct fetch_list *list);
/* In the order of their ids. */
struct fetch_item *fetch_list_at(const struct fetch_list *list, size_t i);
struct fetch_item *fetch_list_find(
	const struct fetch_list *list, enum want_kind kind, const char *url, const char *name);
struct fetch_item *fetch_list_by_id(const struct fetch_list *list, uint64_t id);
/*
 * The item for WANT, new or known, asked for at NOW; *is_new tells. HOST: the URL's. *LOST: the
 * item that had to go for it (NULL: none), to be freed with fetch_item_free. RC_NONE: the list is
 * full of what must stay.
 */
enum rc
fetch_list_ask(struct fetch_list *list, const struct want *want, const char *host, int64_t now,
	struct fetch_item **out, bool *is_new, struct fetch_item **lost, struct err *err);
void fetch_list_remove(struct fetch_list *list, struct fetch_item *item);
void fetch_item_free(struct fetch_item **item);

/* "crl/ab….crl", for the folder. */
void fetch_item_path(const struct fetch_item *item, char *out, size_t size);
/* Members of an open object: for the file, and for the operator's tool (FULL false). */
void fetch_item_json(const struct fetch_item *item, bool full, struct json *json);
enum rc fetch_list_save(const struct fetch_list *list, const char *path, struct err *err);
/* A file that is not there is an empty list. *BAD: lines left out. */
enum rc fetch_list_load(struct fetch_list *list, const char *path, size_t *bad, struct err *err);

#endif
