/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attribute.h - an attribute of the person behind a mail address, from one of the directories
 *
 * The search is that for certificates: base, filter and scope of the directory. RC_NONE only when a
 * server said that nobody is found, or that whoever is found has no such attribute.
 *
 * Threads: one struct attributes may be used by any number of threads.
 * Limits:  ATTRIBUTE_MAX_ENTRIES entries, ATTRIBUTE_MAX_VALUE bytes in a value, ATTRIBUTE_MAX_BYTES
 * in an answer; the directory's timeout for each server.
 */
#ifndef DIRECTORY_ATTRIBUTE_H
#define DIRECTORY_ATTRIBUTE_H

#include "base/conf.h"

#define ATTRIBUTE_MAX_ENTRIES 16
#define ATTRIBUTE_MAX_VALUE   1024
#define ATTRIBUTE_MAX_BYTES   (1u << 20)
#define ATTRIBUTE_MAX_NAMES   8

struct attributes;
/* DIRECTORY: a name in the section "directories"; ERR_CONFIG when there is none such. */
enum rc
attributes_new(struct conf *conf, const char *directory, struct attributes **out, struct err *err);
void attributes_free(struct attributes **attributes);
/* The first value of ATTRIBUTE, appended to OUT. */
enum rc attributes_find(struct attributes *attributes, const char *addr, const char *attribute,
	struct buf *out, struct err *err);
/* Every value of the attributes NAMES (N, at most ATTRIBUTE_MAX_NAMES), each with a NUL behind,
 * appended to OUT. RC_NONE: none has one. */
enum rc attributes_all(struct attributes *attributes, const char *addr, const char *const *names,
	size_t n, struct buf *out, struct err *err);

#endif
