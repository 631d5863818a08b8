/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * folders.h - are the folders there that the configuration names?
 *
 * A name with a slip of the pen in it would be found out by the first large message, or never: a
 * folder of revocation lists that is not there has revoked nobody.
 */
#ifndef MILTER_FOLDERS_H
#define MILTER_FOLDERS_H

#include "base/conf.h"

/* ERR_CONFIG when milter.spool is no folder that this process can write to. */
enum rc folders_spool(const struct conf *conf, struct err *err);

/* Calls TELL with each option whose folder is not there, or not to be read, and why. */
typedef void folders_tell(const char *option, const char *dir, const char *why);
void folders_missing(const struct conf *conf, folders_tell *tell);

#endif
