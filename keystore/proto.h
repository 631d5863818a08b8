/* SPDX-License-Identifier: BSD-2-Clause */
/* clang-format off */
/*
 * proto.h - frames between the vault and its clients
 *
 * A frame is
 *
 *     u32 length      of what follows, 8 … the connection's limit; big endian like every number here
 *     u16 type        one of enum proto_type
 *     u16 zero
 *     u32 id          chosen by the client; the answer carries it back
 *     field …         u16 tag, u32 length, that many bytes; tags never descend
 *
 * A text field ends with one NUL that its length counts, a number has eight bytes. The table in
 * proto.c says which fields each type takes, how often and how long; anything else, and any byte
 * left over, makes the frame broken, and a broken frame ends its connection. The first frame of a
 * client is HELLO with the protocol's version, the name of a configured service and the role that
 * the client believes to have; the vault takes the role from its own configuration and the peer's
 * uid, and refuses a HELLO that disagrees. A client may send further requests without waiting for
 * answers: those come in the order of the requests, and what is in hand together shares one write of
 * the ledger. While a client does not read its answers, nothing more is read from it. The admin
 * socket begins with HELLO as well (service "admin") and takes ADMIN only.
 *
 *     request                                         answers (each may also be ERROR: code, detail)
 *     HELLO       version service role                WELCOME version role
 *     PING                                            PONG
 *     FIND_SIGNER addr                                SIGNER key cert chain* encrypt-cert? digest | NONE
 *     HOLDS       addr                                HELD flag (1: the person also has the key) | NONE
 *     SIGN        key digest value time? flag claim*  SIGNED data (ContentInfo)       flag 1: PSS
 *     MATCH       addr candidate*                     MATCHED index | NONE
 *     OPEN        addr index cipher rinfo claim*      OPENED data (content key)
 *     RECORD      event json claim*                   DONE
 *     ADMIN       json blob?                          ANSWER json blob?
 *
 * A candidate is one byte 'i' and the SHA-256 over the issuer's Name (DER) and the serial's INTEGER
 * content, or 's' and a SubjectKeyIdentifier.
 */
/* clang-format on */
#ifndef KEYSTORE_PROTO_H
#define KEYSTORE_PROTO_H

#include "base/buf.h"

#include <stdint.h>

#define PROTO_VERSION        1
#define PROTO_HEAD           12u        /* length, type, zero, id */
#define PROTO_MAX_HELLO      512u       /* before HELLO was accepted */
#define PROTO_MAX_FRAME      (1u << 20) /* services */
#define PROTO_MAX_ADMIN      (8u << 20) /* admin socket, and answers there */
#define PROTO_MAX_FIELDS     4096u
#define PROTO_MAX_CLAIMED    2000u /* recipients in a claim */
#define PROTO_MAX_CANDIDATES 2000u /* in one MATCH */

enum proto_type {
	PROTO_HELLO = 1,
	PROTO_WELCOME,
	PROTO_ERROR,
	PROTO_PING,
	PROTO_PONG,
	PROTO_FIND_SIGNER,
	PROTO_SIGNER,
	PROTO_NONE,
	PROTO_HOLDS,
	PROTO_HELD,
	PROTO_SIGN,
	PROTO_SIGNED,
	PROTO_MATCH,
	PROTO_MATCHED,
	PROTO_OPEN,
	PROTO_OPENED,
	PROTO_RECORD,
	PROTO_DONE,
	PROTO_ADMIN,
	PROTO_ANSWER,
	PROTO_TYPES
};

enum proto_tag {
	TAG_VERSION = 1,
	TAG_SERVICE,
	TAG_ROLE,
	TAG_CODE,
	TAG_DETAIL,
	TAG_ADDR,
	TAG_KEY,
	TAG_CERT,
	TAG_CHAIN,
	TAG_ENCRYPT_CERT,
	TAG_DIGEST,
	TAG_VALUE,
	TAG_TIME,
	TAG_FLAG,
	TAG_INDEX,
	TAG_CIPHER,
	TAG_RINFO,
	TAG_CANDIDATE,
	TAG_EVENT,
	TAG_JSON,
	TAG_BLOB,
	TAG_DATA,
	TAG_CLAIM_QID,
	TAG_CLAIM_SENDER,
	TAG_CLAIM_IDENTITY,
	TAG_CLAIM_RULE,
	TAG_CLAIM_RCPT,
	TAG_COUNT
};

struct proto_field {
	enum proto_tag tag;
	const unsigned char *data; /* into the frame */
	size_t len;                /* text: without its NUL */
};

#define PROTO_FEW 16u /* fields for which no memory is taken */

struct proto_msg { /* not to be copied: FIELDS may point into it */
	enum proto_type type;
	uint32_t id;
	struct proto_field *fields; /* FEW, or an owned array */
	size_t n;
	struct proto_field few[PROTO_FEW];
};

/* "sign", "open": for the log. */
const char *proto_type_name(enum proto_type type);

/*
 * The length of the whole frame that begins in DATA, once its first PROTO_HEAD bytes are there; 0:
 * more bytes are needed. ERR_VAULT_PROTOCOL when the head is broken or the frame longer than MAX.
 */
enum rc proto_frame_len(const void *data, size_t len, size_t max, size_t *frame, struct err *err);
/* Parses one whole frame; DATA must outlive MSG. ERR_VAULT_PROTOCOL says what is wrong with it. */
enum rc proto_parse(const void *data, size_t len, struct proto_msg *msg, struct err *err);
void proto_msg_fini(struct proto_msg *msg);

/* The first field TAG, or NULL; the Ith one. */
const struct proto_field *proto_find(const struct proto_msg *msg, enum proto_tag tag);
const struct proto_field *proto_at(const struct proto_msg *msg, enum proto_tag tag, size_t i);
size_t proto_count(const struct proto_msg *msg, enum proto_tag tag);
/* Text of TAG or NULL; number of TAG or OTHERWISE. */
const char *proto_text(const struct proto_msg *msg, enum proto_tag tag);
int64_t proto_number(const struct proto_msg *msg, enum proto_tag tag, int64_t otherwise);

/*
 * Writing: begin, put fields in ascending order of tags, end. The first failure sticks in the
 * writer; proto_end gives it. Several frames may stand in one buffer.
 */
struct proto_writer {
	struct buf *out; /* borrowed */
	size_t start;    /* of this frame in OUT */
	enum rc rc;
	struct err err;
};
void proto_begin(struct proto_writer *w, struct buf *out, enum proto_type type, uint32_t id);
void proto_put(struct proto_writer *w, enum proto_tag tag, const void *data, size_t len);
void
proto_put_text(struct proto_writer *w, enum proto_tag tag, const char *text); /* NULL: left out */
void proto_put_number(struct proto_writer *w, enum proto_tag tag, int64_t n);
/* A field whose bytes are appended to OUT by somebody else, between these two. */
size_t proto_open(struct proto_writer *w, enum proto_tag tag);
void proto_close(struct proto_writer *w, enum proto_tag tag, size_t start);
enum rc proto_end(struct proto_writer *w, struct err *err);

/* A whole ERROR frame; the code travels by name. */
enum rc proto_put_error(struct buf *out, uint32_t id, const struct err *error, struct err *err);
/* What an ERROR frame says, set in ERR; its outcome. An unknown code is ERR_VAULT_PROTOCOL. */
enum rc proto_error(const struct proto_msg *msg, struct err *err);

#endif
