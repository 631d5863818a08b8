/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * logins.h - the mail addresses that a login may use, from the directory
 *
 * senders.directory names the directory, whose filter finds a login in the place of %a, and
 * senders.attribute the attribute with the addresses ("smtp:" before one is passed over). Answers
 * are kept for lookup.positive_ttl and negative_ttl; trouble is never kept, and is never "none".
 *
 * Threads: one struct logins may be used by any number of threads. The question blocks its caller
 *          for the directory's timeout at most.
 * Limits:  LOGINS_MAX kept answers, ATTRIBUTE_MAX_ENTRIES entries of a login.
 */
#ifndef DIRECTORY_LOGINS_H
#define DIRECTORY_LOGINS_H

#include "base/conf.h"
#include "message/addr.h"

#define LOGINS_MAX 4096

struct logins;
/* RC_NONE: no directory is configured for this. */
enum rc logins_new(struct conf *conf, struct logins **out, struct err *err);
void logins_free(struct logins **logins);
/* OUT is the caller's, empty when nobody has the login or no address stands there: RC_OK. RC_TEMP:
 * could not be asked. */
enum rc
logins_find(struct logins *logins, const char *login, struct addrlist *out, struct err *err);

#endif
