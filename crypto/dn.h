/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dn.h - distinguished names as people write them: "CN=alice@example.org,OU=Lab,O=Example,C=JP"
 *
 * RFC 4514 text, the first part being the last one of the encoded name. Types are CN, OU, O, L, ST,
 * C, DC, UID, SN, GN, T, STREET, serialNumber, emailAddress, in any case; another type is kept as
 * it stands, so that names can be compared, and refused where a name is encoded. Blanks around
 * types and values go away; inside a value "\" escapes as in RFC 4514 section 3.
 *
 * Limits: DN_MAX_PARTS parts, DN_MAX_BYTES of text.
 */
#ifndef CRYPTO_DN_H
#define CRYPTO_DN_H

#include "base/buf.h"

#define DN_MAX_PARTS 32
#define DN_MAX_BYTES 4096

struct dn_part {
	const char *type;  /* as in the list above; or as written, in the dn's text */
	const char *value; /* UTF-8, without escapes */
	bool joined;       /* "+": belongs to the part before */
};

struct dn {
	struct dn_part v[DN_MAX_PARTS];
	size_t n;
	char *text; /* owned: what the parts point into */
};

/* ERR_USAGE says what is wrong; an empty name too. */
enum rc dn_parse(const char *text, size_t len, struct dn *out, struct err *err);
void dn_fini(struct dn *dn);
/* The same parts in the same order; types without case, values with it. */
bool dn_same(const struct dn *a, const struct dn *b);
/* Value of the first part of TYPE, or NULL. */
const char *dn_get(const struct dn *dn, const char *type);
/* VALUE as it stands in the text of a name. */
enum rc dn_escape(const char *value, struct buf *out, struct err *err);
enum rc dn_format(const struct dn *dn, struct buf *out, struct err *err);

#endif
