/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trustconf.h - what the sections "trust", "anchors", "denied" and "allowed" say, for
 * crypto/trust.h
 *
 * What is wrong is ERR_CONFIG with file and line, as at start so at a reload.
 */
#ifndef DIRECTORY_TRUSTCONF_H
#define DIRECTORY_TRUSTCONF_H

#include "base/conf.h"
#include "crypto/trust.h"

/* GROUP is the section "trust", or an item of "anchors" with rules of its own. OPTIONS borrow from
 * it. ERR_CONFIG. */
enum rc trustconf_rules(const struct conf *conf, const struct conf_group *group,
	struct trust_options *options, struct err *err);
/* ERR_USAGE of what was made from GROUP, as ERR_CONFIG with file and line. */
enum rc trustconf_blame(
	enum rc rc, const struct conf *conf, const struct conf_group *group, struct err *err);
/* The lists of denied and allowed certificates. ERR_CONFIG. */
enum rc trustconf_lists(const struct conf *conf, struct trust *trust, struct err *err);

#endif
