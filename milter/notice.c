/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/notice.h"

#include <stdlib.h>

struct notices {
	struct conf *conf;
};

enum rc
notices_new(struct conf *conf, struct notices **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "notices");
	(*out)->conf = conf_ref(conf);
	return RC_OK;
}

void
notices_free(struct notices **notices)
{
	if (!*notices)
		return;
	conf_unref(&(*notices)->conf);
	free(*notices);
	*notices = NULL;
}

enum rc
notice_failed(struct notices *notices, const struct notice_message *msg, struct err *err)
{
	(void)notices;
	(void)msg;
	return err_set(err, ERR_INTERNAL, "no reports yet");
}

enum rc
notice_refused(struct notices *notices, const struct notice_message *msg, struct err *err)
{
	(void)notices;
	(void)msg;
	(void)err;
	return RC_NONE;
}

enum rc
notice_invite(struct notices *notices, const struct notice_invitation *invitation, struct err *err)
{
	(void)notices;
	(void)invitation;
	(void)err;
	return RC_NONE;
}
