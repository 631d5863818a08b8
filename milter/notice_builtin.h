/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notice_builtin.h - the shipped texts: contrib/notices, made a part of the program
 */
#ifndef MILTER_NOTICE_BUILTIN_H
#define MILTER_NOTICE_BUILTIN_H

#include <stddef.h>

struct builtin_text {
	const char *tag;  /* "de" */
	const char *text; /* of the file */
};
const struct builtin_text *notice_builtin(size_t *n); /* the first is English */

#endif
