/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * people.h - what the directory says of our people, as sync.h wants it
 *
 * The sections "people" and "people_groups" say where to look and which attributes mean what. All
 * of it is read, or RC_TEMP: an entry that cannot be understood (no unique id, too much of
 * something) is trouble as well, for leaving it out would look as if somebody had gone.
 */
#ifndef CLI_PEOPLE_H
#define CLI_PEOPLE_H

#include "base/conf.h"
#include "keystore/sync.h"

struct people;
/* RC_NONE: no directory is configured for this. ERR_CONFIG names file and line. */
enum rc people_new(struct conf *conf, struct people **out, struct err *err);
void people_free(struct people **people);
/* Asks the directory. */
enum rc people_read(struct people *people, struct err *err);

/* The directory's side of VIEW; borrowed until people_free. */
void people_view(const struct people *people, struct sync_view *view);
const struct sync_rules *people_rules(const struct people *people);

#endif
