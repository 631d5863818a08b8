/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/import.h"

#include <string.h>

#include "base/clock.h"

#define DEPTH_MAX      8
#define SIGNATURES_MAX 32

struct search {
	const struct cert *below;
	struct cert *found; /* a reference */
	int64_t now;
	unsigned left; /* signatures that are looked at: a file may be full of CAs of one name */
};

/* Is CERT the one above, and better than what was found: valid now, then valid longer? */
static void
consider(struct search *search, struct cert *cert)
{
	bool valid = cert_not_before(cert) <= search->now && search->now <= cert_not_after(cert);
	const struct cert *old = search->found;

	if (old && ((!valid && cert_not_after(old) >= search->now) ||
			   cert_not_after(cert) <= cert_not_after(old)))
		return;
	if (strcmp(cert_subject(cert), cert_issuer(search->below)) != 0 || search->left == 0)
		return;
	search->left--;
	if (!cert_is_issued_by(search->below, cert))
		return;
	cert_unref(&search->found);
	search->found = cert_ref(cert);
}

static void
consider_all(struct search *search, const struct certset *set)
{
	for (size_t i = 0; set && i < set->n; i++)
		consider(search, set->v[i]);
}

enum rc
import_find_chain(struct admin *a, struct cert *cert, const struct certset *others,
	struct certset *chain, struct err *err)
{
	struct certset known = {0};
	enum rc rc = store_known_cas(vault_store(a->vault), &known, err);

	for (int depth = 0; !rc && depth < DEPTH_MAX; depth++) {
		struct search search = {.below = cert, .now = clock_now(), .left = SIGNATURES_MAX};

		consider_all(&search, others);
		consider_all(&search, &a->settings->intermediates);
		consider_all(&search, &known);
		if (!search.found || cert_is_self_issued(search.found)) {
			cert_unref(&search.found);
			break;
		}
		rc = certset_add(chain, search.found, err);
		cert_unref(&search.found); /* the chain has one */
		cert = rc ? NULL : chain->v[chain->n - 1];
	}
	certset_fini(&known);
	return rc;
}
