/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/revocation.h"

#include "crypto/revocation_private.h"

#include <stdlib.h>

enum rc
revocation_new(struct revocation **out, struct err *err)
{
	struct revocation *made = calloc(1, sizeof(*made));
	enum rc rc;

	*out = NULL;
	if (!made)
		return err_set(err, ERR_MEMORY, "revocation");
	atomic_init(&made->refs, 1);
	rc = crl_index_new(&made->crls, err);
	if (rc == RC_OK)
		*out = made;
	else
		free(made);
	return rc;
}

struct revocation *
revocation_ref(struct revocation *revocation)
{
	if (revocation)
		atomic_fetch_add_explicit(&revocation->refs, 1, memory_order_relaxed);
	return revocation;
}

void
revocation_unref(struct revocation **revocation)
{
	struct revocation *gone = *revocation;

	*revocation = NULL;
	if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
		return;
	crl_index_free(&gone->crls);
	free(gone);
}

enum rc
revocation_add_crl(struct revocation *revocation, const void *data, size_t len, const char *file,
	struct err *err)
{
	(void)file;
	return crl_index_add(revocation->crls, data, len, err);
}
