/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bundle.h - the modifications of a message and the reply in one write
 *
 * libmilter hands each modification to the MTA with a write of its own. What bundle_begin() was
 * called for is kept back until the reply, and goes out together with it.
 *
 * Threads: a bundle belongs to the thread that began it, as a callback and its reply do.
 * Limits:  BUNDLE_MAX bytes are kept; with more, what is there is written first.
 */
#ifndef MILTER_BUNDLE_H
#define MILTER_BUNDLE_H

#include <stddef.h>

#define BUNDLE_MAX 65536u

/* From here to the next reply of this thread; nothing to end, nothing to fail. */
void bundle_begin(void);
/* FD is being closed: what was kept for it must not reach whoever has its number next. */
void bundle_forget(int fd);

#endif
