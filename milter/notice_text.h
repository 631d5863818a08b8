/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notice_text.h - what notices say, in which language
 *
 * One file for each language ("de.txt", "pt-br.txt"), UTF-8, with a section for each kind of
 * message and one for words. What a file of the administrator's leaves out is taken from the
 * shipped text of that language, or else of English.
 *
 *     [refused]                     a section begins; "#" lines before the first one are comments
 *     Subject: Not sent: %{subject}
 *                                   an empty line, then the text
 *     %{?url}See %{url}             a line that is there only when url is not empty
 *     100 %% of it
 *     [words]
 *     no-subject = (no subject)
 *
 * Values are put in as they are but cleaned: one line, no control characters, at most
 * TEXT_MAX_VALUE bytes. They are never read as a template themselves.
 *
 * Threads: immutable, any.
 * Limits:  TEXT_MAX_FILE bytes in a file, TEXT_MAX_LANGUAGES languages.
 */
#ifndef MILTER_NOTICE_TEXT_H
#define MILTER_NOTICE_TEXT_H

#include "base/buf.h"

#define TEXT_MAX_FILE      65536
#define TEXT_MAX_LANGUAGES 64
#define TEXT_MAX_VALUE     400
#define TEXT_MAX_RESULT    262144
#define TEXT_TAG_SIZE      36

enum text_kind {
	TEXT_REFUSED,
	TEXT_NAMED,
	TEXT_FAILED,
	TEXT_INVITE,
	TEXT_LEARNED,
	TEXT_EXPIRING, /* by sealgate key expiring, for administrators */
	TEXT_RECIPIENT,
	TEXT_KINDS
};

struct texts;
/* DIR may be NULL: the shipped ones only. A file that cannot be understood is ERR_CONFIG with file
 * and line. */
enum rc texts_new(const char *dir, struct texts **out, struct err *err);
void texts_free(struct texts **texts);

/* Is there a text for TAG ("de"), or for each part of "ja+en"? */
bool texts_has(const struct texts *texts, const char *language);
/*
 * The best of our languages for PREFERRED (RFC 2798 preferredLanguage, an Accept-Language value:
 * "de-AT, en;q=0.5"). False when none of them will do. TAG has TEXT_TAG_SIZE bytes.
 */
bool texts_choose(const struct texts *texts, const char *preferred, char *tag);

struct text_value {
	const char *name, *value; /* value: NULL is empty */
	bool block;               /* made by texts_format itself: stands as it is, lines and all */
};

struct text_use { /* what a text is made of; all borrowed */
	const struct texts *texts;
	const char *language; /* its first tag counts */
	const struct text_value *values;
	size_t n;
};
/* Appends to SUBJECT (may be NULL) and BODY. */
enum rc texts_format(const struct text_use *use, enum text_kind kind, struct buf *subject,
	struct buf *body, struct err *err);
/* The word NAME, or else OTHERWISE's (may be NULL). */
enum rc texts_word(const struct text_use *use, const char *name, const char *otherwise,
	struct buf *out, struct err *err);

#endif
