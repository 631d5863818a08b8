/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch_folder.h - the folder of what was fetched
 *
 * DIR/crl/SHA256-OF-URL.crl, DIR/aia/SHA256-OF-URL.cer, DIR/ocsp/NAME, and DIR/wants, the
 * fetcher's list; DIR/failed/SHA256-OF-URL for a CA's certificate that was given up for now, so
 * that nobody waits for it; DIR/known/SHA256.cer for a CA whose lists are told from others' by it;
 * DIR/crl/SHA256-OF-URL.beside.crl for a list that may be the CA's and may be anybody's, beside one
 * that is the CA's; DIR/new while a file is being written. DIR is the fetcher's, its group
 * may read: what is in it is public, who asks for it is not. Files are written beside their place
 * and renamed; after a crash what is left of one that was being written is removed at the next
 * start.
 */
#ifndef DIRECTORY_FETCH_FOLDER_H
#define DIRECTORY_FETCH_FOLDER_H

#include "directory/fetch_list.h"
#include "directory/fetch_settings.h"

#include <sys/types.h>

#define FETCH_FOLDER_KNOWN "known"

/* The folder and those in it, with owner and group when root asks ((uid_t)-1: leave them). */
enum rc fetch_folder_make(const char *dir, uid_t uid, gid_t gid, struct err *err);
/* Removes half-written files, and those that were written before OLDEST and that no item of LIST
 * has. Younger ones stay: the list may have been lost, and what works goes on working. */
enum rc
fetch_folder_tidy(const char *dir, const struct fetch_list *list, int64_t oldest, struct err *err);
/* What is there now; RC_NONE. */
enum rc
fetch_folder_read(const char *dir, const struct fetch_item *item, struct buf *out, struct err *err);
/* BESIDE: not in the place of what is there, which stays. */
enum rc fetch_folder_write(const char *dir, const struct fetch_item *item, const struct buf *data,
	bool beside, struct err *err);
/* What lies beside is needed no longer. */
void fetch_folder_drop_beside(const char *dir, const struct fetch_item *item);
/* A CA's certificate will not come (empty file), or may. Trouble is logged. */
void fetch_folder_give_up(const char *dir, const char *name, bool given_up);
bool fetch_folder_has(const char *dir, const struct fetch_item *item);
void fetch_folder_remove(const char *dir, const struct fetch_item *item);

#endif
