/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replies.h - which messages came to whom encrypted, so that a reply to one can be told
 *
 * A Message-ID is remembered for each recipient whose key fits, before the message is opened and
 * whatever comes out. What is kept is an HMAC over person and Message-ID with the file's own key,
 * and when: whoever finds the file learns that somebody got encrypted mail, not who and from whom.
 * It lies on the disk when replies_remember returns, so a message that was opened is known to every
 * service that has the same file, after a crash too. What can't be written defers the message, or
 * its reply could go out in the clear; what can't be read is unknown.
 *
 * Threads:  any number. Processes: any number.
 * Limits:   replies.max_age and replies.max_entries; past these the oldest are forgotten.
 *           REPLIES_MAX_IDS Message-IDs of a reply are looked at, the last ones.
 */
#ifndef MILTER_REPLIES_H
#define MILTER_REPLIES_H

#include "base/conf.h"
#include "message/hdrs.h"

#define REPLIES_MAX_IDS 64

struct replies;
/* Does not open the file yet. */
enum rc replies_new(const struct conf *conf, struct replies **out, struct err *err);
void replies_free(struct replies **replies);
/* The message with these fields came encrypted for PERSON. One without a Message-ID is not
 * remembered. */
enum rc replies_remember(
	struct replies *replies, const char *person, const struct hdrs *hdrs, struct err *err);
/* Do In-Reply-To: and References: name a message that came encrypted for PERSON? RC_NONE: no. */
enum rc
replies_find(struct replies *replies, const char *person, const struct hdrs *hdrs, struct err *err);

#endif
