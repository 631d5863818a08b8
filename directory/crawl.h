/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crawl.h - every entry that a directory has under a base: all of them, or an error
 *
 * For who follows a directory, half an answer is worse than none: those who are not in it would be
 * taken for gone. So an answer with a size limit, a time limit, a referral, or an error on any page
 * is RC_TEMP, and what was read is thrown away; the next server of the directory is asked from the
 * beginning. Pages are those of RFC 2696. A value that comes in ranges ("member;range=0-1499") is
 * read to its end.
 *
 * Threads: one at a time.
 * Limits:  query.max_entries, CRAWL_MAX_VALUES values in an attribute, CRAWL_MAX_VALUE bytes in a
 *          value, CRAWL_MAX_BYTES in all of them; the directory's timeout for each page.
 */
#ifndef DIRECTORY_CRAWL_H
#define DIRECTORY_CRAWL_H

#include "base/conf.h"

#define CRAWL_MAX_ATTRS  16
#define CRAWL_MAX_VALUES 200000u
#define CRAWL_MAX_VALUE  4096u
#define CRAWL_MAX_BYTES  (1u << 30)

struct crawl_values {
	char **v; /* each with a NUL behind, and maybe inside */
	size_t *len;
	size_t n, room;
};
struct crawl_entry {
	char *name; /* distinguished name, as the server writes it */
	char *dn;   /* the same for comparing: crawl_dn */
	struct crawl_values attrs[CRAWL_MAX_ATTRS]; /* as in the query */
};
struct crawl_result {
	struct crawl_entry *v;
	size_t n, room;
	size_t bytes;
};
void crawl_result_fini(struct crawl_result *result);

struct crawl_query {
	const char *base; /* NULL: the directory's */
	const char *filter;
	const char *scope; /* "base", "one", "sub"; NULL: the directory's */
	const char *attrs[CRAWL_MAX_ATTRS];
	size_t n_attrs;
	size_t page_size;   /* 0: no pages */
	size_t max_entries; /* more are ERR_DIR_ANSWER */
	bool ignore_references;
};

struct crawl;
/* DIRECTORY: a name in the section "directories"; ERR_CONFIG when there is none such. */
enum rc crawl_new(struct conf *conf, const char *directory, struct crawl **out, struct err *err);
void crawl_free(struct crawl **crawl);
/* RC_OK also when nothing was found. */
enum rc crawl_run(struct crawl *crawl, const struct crawl_query *query, struct crawl_result *result,
	struct err *err);

/* A distinguished name in one spelling, for comparing; a new string, NULL when it is none. */
char *crawl_dn(const char *text);

#endif
