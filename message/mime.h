/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mime.h - the MIME structure of a message as byte ranges (RFC 2045, 2046)
 *
 * One streaming pass over a spool; nothing is copied or re-serialised. A delimiter is
 * CRLF "--" boundary, optional "--", blanks, line end; the CRLF before it belongs to it. Boundaries
 * by RFC 2231 and quoted pairs are understood. A multipart without its closing delimiter ends where
 * its parent ends (flag UNCLOSED). Damaged Content-Type is text/plain (RFC 2045 5.2), flagged.
 *
 * Limits: MIME_MAX_PARTS entities, MIME_MAX_DEPTH levels, MIME_MAX_PARAMS parameters; past them
 * ERR_LIMIT.
 */
#ifndef MESSAGE_MIME_H
#define MESSAGE_MIME_H

#include "message/hdrs.h"
#include "message/spool.h"

#include <stdbool.h>

#define MIME_MAX_PARTS  10000
#define MIME_MAX_DEPTH  50
#define MIME_MAX_PARAMS 64

struct ctype {      /* a Content-Type or Content-Disposition value */
	char *type; /* "multipart/signed", lower case; for a disposition "attachment" */
	struct ctype_param {
		char *name;  /* lower case */
		char *value; /* decoded (quotes, RFC 2231 continuations; charset dropped) */
	} * params;
	size_t n;
};

enum rc ctype_parse(const char *value, size_t len, struct ctype *out, struct err *err);
void ctype_fini(struct ctype *ctype);
/* Does everybody who reads this Content-Type find the same boundary in it? Readers differ in
 * comments, quoted pairs, RFC 2231, a second boundary, and where they think a value ends. */
bool ctype_is_clear(const char *value, size_t len);
const char *ctype_param(const struct ctype *ctype, const char *name); /* or NULL */

enum cte { CTE_7BIT, CTE_8BIT, CTE_BINARY, CTE_QP, CTE_BASE64, CTE_OTHER };

enum mime_flag {
	MIME_BAD_TYPE = 1 << 0, /* Content-Type was damaged, or there were two */
	MIME_UNCLOSED = 1 << 1, /* multipart without closing delimiter */
	MIME_HAS_8BIT = 1 << 2, /* in the body of this leaf: a byte above 127 */
	MIME_HAS_NUL = 1 << 3,
	MIME_BARE_CR = 1 << 4, /* CR without LF */
	MIME_BARE_LF = 1 << 5,
	MIME_LONG_LINE = 1 << 6,   /* a line above 998 bytes without its end */
	MIME_HDR_8BIT = 1 << 7,    /* its header block has a byte above 127 */
	MIME_TRAILING_WS = 1 << 8, /* a line that ends in a blank */
	MIME_FROM_LINE = 1 << 9,   /* a line that begins with "From " */
	MIME_HDR_BAD =
		1 << 10, /* its header block has NUL, bare CR or LF, or a line above 998 bytes */
	MIME_HDR_CR = 1 << 11,        /* a bare CR */
	MIME_VAGUE_TYPE = 1 << 12,    /* of a multipart/signed: not ctype_is_clear */
	MIME_NEAR_DELIMITER = 1 << 13 /* a line begins as a delimiter does and is none: for some
					 readers it is one */
};

struct entity {
	struct entity *parent;
	struct entity **parts; /* multipart: its parts; message/rfc822 and global: the one inside;
				  may be none */
	size_t n;
	unsigned depth;
	uint64_t start;     /* of its header block; the root of a struct msg: 0, equal to body */
	uint64_t body;      /* of its body */
	uint64_t end;       /* first byte behind its body */
	struct ctype ctype; /* text/plain when there is none */
	bool has_ctype;
	char *filename; /* Content-Disposition's, or else the type's name; NULL: none */
	enum cte cte;
	unsigned
		flags; /* enum mime_flag; a container has its preamble's, epilogue's and header's */
};

/* The structure of a message whose header is HDRS and whose body is all of BODY. */
enum rc
mime_parse(const struct hdrs *hdrs, struct spool *body, struct entity **out, struct err *err);
/* The structure of an entity that stands, header included, in [START, END) of SPOOL. HDRS, when
 * not NULL, receives its own header fields. */
enum rc mime_parse_entity(struct spool *spool, uint64_t start, uint64_t end, struct hdrs *hdrs,
	struct entity **out, struct err *err);
void entity_free(struct entity **root);
/* The header fields of an entity below the root. */
enum rc
entity_hdrs(const struct entity *entity, struct spool *spool, struct hdrs *out, struct err *err);
/* Feeds the body of a leaf, transfer-decoded, to SINK (not finished). */
enum rc entity_decode(
	const struct entity *entity, struct spool *spool, const struct sink *sink, struct err *err);
/* Flags of the whole tree below and including ENTITY, or-ed. */
unsigned entity_flags(const struct entity *entity);

/*
 * Writes ENTITY for signing: header block (HDRS) and body, with CRLF line ends, 7-bit: leaves with
 * 8-bit, NUL, bare CR/LF or long lines are re-encoded (quoted-printable for text, base64
 * otherwise), never inside message/ or a multipart/signed; 7-bit leaves stay byte for byte, so does
 * ISO-2022-JP. Container CTEs become 7bit as needed. ERR_POLICY_UNSAFE when something in it can't
 * be made 7-bit (8-bit inside message/rfc822 or a signed part, raw 8-bit in a part's header).
 * STYLE_BASE64 re-encodes every text leaf as base64; STYLE_NO_QP only those that have to be
 * re-encoded anyway.
 */
enum mime_style { MIME_STYLE_NORMAL, MIME_STYLE_BASE64, MIME_STYLE_NO_QP };
enum rc entity_write_7bit(const struct entity *entity, const struct hdrs *hdrs, struct spool *spool,
	enum mime_style style, const struct sink *sink, struct err *err);

#endif
