/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * msg.h - one message: header fields and spooled body, with CRLF line ends as on the wire
 */
#ifndef MESSAGE_MSG_H
#define MESSAGE_MSG_H

#include "message/hdrs.h"
#include "message/spool.h"

struct msg {
	struct hdrs hdrs;
	struct spool *body; /* owned */
};

enum rc msg_new(const struct spool_conf *conf, struct msg **out, struct err *err);
void msg_free(struct msg **msg);
/* Reads a message file: LF files get CRLF, files with CRLF are taken as they are (decided by the
 * first line end). A leading "From " line (mbox) is left out. */
enum rc msg_read(int fd, const struct spool_conf *conf, struct msg **out, struct err *err);
/* Header, empty line, body. */
enum rc msg_write(const struct msg *msg, const struct sink *sink, struct err *err);
uint64_t msg_size(const struct msg *msg);

#endif
