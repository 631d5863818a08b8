/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link.h - one connection to the vault, from the client's side
 *
 * One thread at a time. After any failure but an ERROR frame the link is good for nothing but
 * link_close.
 */
#ifndef KEYSTORE_LINK_H
#define KEYSTORE_LINK_H

#include "keystore/proto.h"

struct link;

/* Connects and says HELLO. RC_NONE: nobody listens there. ERR_VAULT_DOWN, ERR_VAULT_PROTOCOL,
 * ERR_VAULT_DENIED. */
enum rc link_open(const char *path, const char *service, const char *role, int64_t timeout_ms,
	struct link **out, struct err *err);
void link_close(struct link **link);
/*
 * Sends the frames in REQUEST, whose ids become the link's next ones, and waits for the answer to
 * the last, which points into the link until link_forget or the next call; the others are told
 * only. An ERROR frame is RC_OK here. *answered tells, after a failure, whether the vault had begun
 * to answer.
 */
enum rc link_ask(struct link *link, struct buf *request, int64_t timeout_ms,
	struct proto_msg *answer, bool *answered, struct err *err);
/* Wipes the last answer, which may hold a content key. */
void link_forget(struct link *link);
/*
 * Sends the frames in REQUEST and does not wait: the answers are read before that of the next
 * request, and an ERROR goes to the log. The vault had it when it answers anything later.
 */
enum rc link_tell(struct link *link, struct buf *request, int64_t timeout_ms, struct err *err);
bool link_is_dead(const struct link *link); /* closed by the vault while nobody asked */

#endif
