/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The texts of contrib/notices, so that notices can be written when no file is installed.
 */
#include "milter/notice_builtin.h"

static const struct builtin_text texts[] = {
#include "milter/notice_builtin.inc"
};

const struct builtin_text *
notice_builtin(size_t *n)
{
	*n = sizeof(texts) / sizeof(*texts);
	return texts;
}
