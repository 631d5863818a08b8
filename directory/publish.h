/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publish.h - writing our people's certificates and revocation lists to an LDAP directory
 *
 * The entry of an address gets the certificates that it should have and loses those of ours that it
 * should not have any more. Values that are not ours are never touched: userCertificate is changed
 * value by value; userSMIMECertificate and certificateRevocationList, for which directories have no
 * rule of equality, are written as a whole, on the condition that the entry is still the one that
 * was read (RFC 4528, by entryCSN where the server has it).
 *
 * Nothing is kept here: whatever a run could not do, the next one does.
 *
 * Threads: one for a struct publisher.
 * Limits:  PUBLISH_MAX_VALUES values of an attribute; publish.timeout for each exchange.
 */
#ifndef DIRECTORY_PUBLISH_H
#define DIRECTORY_PUBLISH_H

#include "base/conf.h"
#include "crypto/cert.h"

#define PUBLISH_MAX_VALUES 200

struct publisher;
/* From the section "publish". RC_NONE: it is not configured. */
enum rc publisher_new(struct conf *conf, struct publisher **out, struct err *err);
void publisher_free(struct publisher **publisher);

struct publish_cert { /* one of the person's certificates; borrowed */
	const char *sha256;
	const void *der;
	size_t der_len;
	const void *p7; /* certs-only PKCS#7 with its chain */
	size_t p7_len;
	bool want; /* false: may stay, but is not put there */
};

struct publish_wish {
	const struct publish_cert *v;
	size_t n;
	/* Does CERT belong to a key of ours? Asked for values that are not among those above. */
	enum rc (*is_ours)(void *ctx, const struct cert *cert, bool *ours, struct err *err);
	void *ctx;
	bool dry_run; /* only say what would be done */
};
struct publish_done {
	size_t added, removed; /* values */
	char dn[1024];         /* of the entry, cut */
	bool unreachable;      /* no server let us in: the next address fares no better */
};

/*
 * RC_OK: the entry is as it should be. RC_NONE: there is no entry for ADDR. RC_PERM: there are
 * several. RC_TEMP: the directory could not be asked (ERR_DIR_UNAVAILABLE, ERR_DIR_TIMEOUT), or
 * refused the change (ERR_DIR_ANSWER).
 */
enum rc publish_certs(struct publisher *publisher, const char *addr,
	const struct publish_wish *wish, struct publish_done *done, struct err *err);
/* A revocation list (DER) into the entry DN, in the place of those of the same CA. */
enum rc publish_list(
	struct publisher *publisher, const char *dn, const void *der, size_t len, struct err *err);

#endif
