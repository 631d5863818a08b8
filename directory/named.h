/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * named.h - certificates that an administrator named by hand, and until when they do
 *
 * A pin, and an item of "domain_certificates", means "this one": when it cannot be used mail waits
 * for somebody to act. This is for whoever wants to know before. The network is not asked: what
 * only a directory has is not looked at.
 */
#ifndef DIRECTORY_NAMED_H
#define DIRECTORY_NAMED_H

#include "base/conf.h"
#include "crypto/trust.h"
#include "directory/certstore.h"

/* Calls SAY with one sentence for each that cannot be used now, or not any more WITHIN seconds from
 * now. STORE: borrowed. */
enum rc named_warn(struct conf *conf, struct certstore *store, struct trust *trust, int64_t within,
	void (*say)(void *ctx, const char *text), void *ctx, struct err *err);

#endif
