/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/check.h"

#include "keystore/settings.h"

enum rc
check_vault(struct conf *conf, struct err *err)
{
	struct settings *settings = NULL;
	enum rc rc = settings_new(conf, &settings, err);

	settings_unref(&settings);
	return rc;
}
