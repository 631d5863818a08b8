/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harvest.h - may a correspondent's certificate be learned from this message?
 *
 * Two questions about one signed message, both answered here, without the store:
 *
 *   to prove   a certificate that is known already was signed with by its owner, lately. The
 *              signature itself is the evidence.
 *   to learn   the certificate may be filed under the author's address although nobody vouched for
 *              it. For that everything has to hold: one author, a good signature over the whole
 *              message, a path to an anchor that may speak for the domain, revocation known to be
 *              good, the address in the certificate, and a DKIM signature of the author's domain
 *              that our own MTA found good.
 *
 * What the store makes of it (pins, second keys, limits) is harvest_store.h's.
 *
 * DKIM is believed from the topmost Authentication-Results field with one of our names that says
 * anything about DKIM, above the Received: fields that others wrote; the DKIM-Signature that it
 * speaks of has to be in the message. So whoever sends a field with our name in it gains nothing as
 * long as our own MTA writes one for each message that carries a signature.
 */
#ifndef DIRECTORY_HARVEST_H
#define DIRECTORY_HARVEST_H

#include "base/conf.h"
#include "crypto/cms_verify.h"
#include "crypto/smimecaps.h"
#include "message/addr.h"
#include "message/hdrs.h"

#define HARVEST_WHY     240
#define HARVEST_MAX_TRY 4 /* certificates of one message whose path is looked at */

enum harvest_mode { HARVEST_OFF, HARVEST_OBSERVE, HARVEST_ON };

struct harvest_conf { /* the section "harvest"; strings are the configuration's */
	enum harvest_mode mode;
	const char *const *ids, *const *never;
	size_t n_ids, n_never;
	int own_received;
	bool relaxed;
	int64_t max_age;  /* seconds that a signature may be old */
	int proof_months; /* lookup.proof_months */
	int64_t per_domain, per_day, pending_per_addr, pending_max, pending_age;
};
void harvest_conf_read(const struct conf *conf, struct harvest_conf *out);

struct harvest_message { /* borrowed */
	const struct hdrs *hdrs;
	const struct addrlist *from;
	size_t from_fields;
	const struct cms_signed *sd;   /* the outermost signature, and */
	const struct verdict *verdict; /* what was found about it */
	struct trust *trust;
	int64_t now;
};

struct harvest_offer {           /* what it comes to; a value but for CERT */
	char addr[ADDR_MAX + 1]; /* the author, canonical; "": there is not one */
	struct cert *cert;       /* owned reference: to encrypt to; NULL: none */
	int64_t signed_at;       /* -1: not known */
	struct smimecaps caps;
	bool learn, prove;
	char why[HARVEST_WHY]; /* why not to learn; "" when it may be */
};

/* RC_OK whatever it comes to; RC_TEMP: our own trouble. */
enum rc harvest_examine(const struct harvest_conf *conf, const struct harvest_message *msg,
	struct harvest_offer *out, struct err *err);
void harvest_offer_fini(struct harvest_offer *offer);

/* Did our own MTA find a DKIM signature of DOMAIN good? WHY is filled when not. */
bool harvest_dkim(const struct harvest_conf *conf, const struct hdrs *hdrs, const char *domain,
	char why[HARVEST_WHY]);
/* Is SIGNING, the domain of a DKIM signature, the author's DOMAIN's own? Both in lower case. */
bool harvest_is_aligned(const char *signing, const char *domain, bool relaxed);

#endif
