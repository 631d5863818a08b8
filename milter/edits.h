/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * edits.h - a result of the pipeline, told to the MTA as modifications
 *
 * The MTA applies each modification as it comes and keeps it should we die, so whatever can be
 * known to fail is checked before the first is sent. The body goes first: what an administrator
 * with milter_default_action = accept gets from a milter that dies half-way is then rather
 * ciphertext under the old header than plaintext under the new one.
 */
#ifndef MILTER_EDITS_H
#define MILTER_EDITS_H

#include "milter/pipeline.h"

/* One packet of the protocol holds no more, name, value and numbers together. */
#define EDITS_MAX_HEADER 65000

/* ACTIONS: SMFIF_* bits that were negotiated. */
enum rc edits_check(const struct copy *copy, unsigned long actions, struct err *err);

#endif
