/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_anchors.h - anchors that were kept elsewhere, as a verifier brings them
 *
 * A file has an anchor a line. What a syslog or a mail puts in front is passed over, and lines
 * without the word "sealgate-anchor:" are none; but a file must have one.
 *
 * Limits:  LEDGER_MAX_ANCHORS different ones, ANCHORS_MAX_FILE bytes a file.
 */
#ifndef KEYSTORE_LEDGER_ANCHORS_H
#define KEYSTORE_LEDGER_ANCHORS_H

#include "keystore/ledger_format.h"

#define LEDGER_MAX_ANCHORS 200000u
#define ANCHORS_MAX_FILE   (512u << 20)

struct ledger_anchors {
	struct ledger_anchor *v; /* by node, number and text, each once */
	size_t n, room;
};

/* Adds those of the file PATH. RC_TEMP: unreadable; RC_PERM: it has none, or a malformed one. */
enum rc ledger_anchors_read(struct ledger_anchors *anchors, const char *path, struct err *err);
void ledger_anchors_fini(struct ledger_anchors *anchors);
void ledger_anchors_sort(struct ledger_anchors *anchors);
/* After sorting: the index of an anchor that contradicts the one before it, or 0. No ledger can
 * have both, whatever it is: one record has one hash, and one checkpoint behind it. */
size_t ledger_anchors_contradiction(const struct ledger_anchors *anchors);
/* After sorting: those of NODE are *begin … *end - 1. */
void ledger_anchors_of(
	const struct ledger_anchors *anchors, const char *node, size_t *begin, size_t *end);

#endif
