/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * authresults.h - what an Authentication-Results field says of DKIM (RFC 8601)
 *
 * Strict: a field that carries one of our names and is not written as section 2.2 wants it is
 * "unreadable", which is not the same as "says nothing". Whether a field may be believed at all is
 * not to be seen in it: that is for whoever knows which hosts wrote the header.
 *
 * Limits: AUTHRESULTS_MAX_BYTES in a field, AUTHRESULTS_MAX results of DKIM in it.
 */
#ifndef MESSAGE_AUTHRESULTS_H
#define MESSAGE_AUTHRESULTS_H

#include "message/hdrs.h"

#include <stdbool.h>

#define AUTHRESULTS_MAX_BYTES 16384
#define AUTHRESULTS_MAX       32

struct dkim_result {
	bool pass;
	char d[256]; /* header.d, lower case; "": not given */
	char i[256]; /* domain of header.i, lower case; "": not given */
	char s[256]; /* header.s, lower case; "": not given */
	char b[72];  /* header.b, the beginning of the signature; "": not given */
};

enum authresults_kind {
	AUTHRESULTS_FOREIGN,    /* of another name */
	AUTHRESULTS_UNREADABLE, /* of ours, and malformed, of another version or too long */
	AUTHRESULTS_OURS        /* of ours; it may still say nothing of DKIM (n = 0) */
};

struct authresults {
	enum authresults_kind kind;
	struct dkim_result dkim[AUTHRESULTS_MAX];
	size_t n;
};

/* VALUE as in struct hdr. IDS: authserv-ids that count, any case. */
void authresults_read(const char *value, size_t len, const char *const *ids, size_t n_ids,
	struct authresults *out);

struct dkim_signature {      /* what a DKIM-Signature field says (RFC 6376 section 3.5) */
	char d[256], s[256]; /* lower case */
	char b[72];          /* its beginning, without blanks */
	bool partial;        /* l=: only a part of the body is signed */
};

/* False: malformed, without d= or s=, or a tag stands there twice. */
bool dkim_signature_read(const char *value, size_t len, struct dkim_signature *out);
/* Can RESULT be about SIGNATURE? What the result leaves out fits anything, but for the domain. */
bool dkim_result_is_of(const struct dkim_result *result, const struct dkim_signature *signature);

#endif
