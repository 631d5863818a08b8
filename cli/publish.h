/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publish.h - certificates and revocation lists into the directory of the section "publish"
 */
#ifndef CLI_PUBLISH_H
#define CLI_PUBLISH_H

#include "base/conf.h"

/* Puts a revocation list (DER) into the entry ca.crl_dn, in the place of an older one of the same
 * CA; those of others stay. */
enum rc publish_crl(struct conf *conf, const void *der, size_t len, struct err *err);

#endif
