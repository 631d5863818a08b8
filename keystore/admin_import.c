/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/import.h"

#include <stdlib.h>

enum rc
admin_import_new(struct admin *a, struct err *err)
{
	a->import = calloc(1, sizeof(*a->import));
	return a->import ? RC_OK : err_set(err, ERR_MEMORY, "import");
}

/* Seconds of stretching a password: before the commands' lock is taken. */
enum rc
admin_key_import_before(struct admin *a, struct err *err)
{
	struct import_blob blob;
	enum rc rc = admin_import_new(a, err);

	if (rc)
		return rc;
	rc = import_blob_open(a->blob, &blob, err);
	if (!rc)
		rc = import_read(&blob, a->import, err);
	import_blob_fini(&blob);
	return rc;
}

enum rc
admin_key_import(struct admin *a, struct err *err)
{
	char addr[ADDR_MAX + 1];
	enum rc rc = RC_OK;

	a->import->foreign = json_is_true(json_find(a->request, "foreign"));
	if (json_find(a->request, "addr")) {
		rc = admin_addr(a, "addr", addr, err);
		a->import->addr = addr;
	}
	if (!rc)
		rc = import_judge(a, a->import, err);
	if (!rc)
		rc = import_keep(a, a->import, NULL, NULL, err);
	return rc ? rc : import_put(a, a->import, err);
}

void
admin_import_free(struct admin *a)
{
	if (a->import)
		import_fini(a->import);
	free(a->import);
	a->import = NULL;
}
