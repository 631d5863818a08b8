/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/import.h"

#include <stdlib.h>

/* Seconds of stretching a password: before the commands' lock is taken. */
enum rc
admin_key_import_before(struct admin *a, struct err *err)
{
	struct import_blob blob;
	enum rc rc;

	a->import = calloc(1, sizeof(*a->import));
	if (!a->import)
		return err_set(err, ERR_MEMORY, "import");
	rc = import_blob_open(a->blob, &blob, err);
	if (!rc)
		rc = import_read(&blob, a->import, err);
	import_blob_fini(&blob);
	return rc;
}

enum rc
admin_key_import(struct admin *a, struct err *err)
{
	enum rc rc = import_judge(a, a->import, err);

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
