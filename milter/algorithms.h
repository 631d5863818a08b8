/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * algorithms.h - what an envelope is made with: the preset, narrowed by what its readers can open
 *
 * Everybody in an envelope reads the same content, so its cipher is the preset's best that all of
 * them announced. Of whoever announced nothing the preset decides: "modern" takes them for up to
 * date, "auto" and the classic ones do not. When nothing suits all, it is AES-256-CBC, and never
 * anything below AES-128, whatever somebody announces. OAEP is for each RSA key by itself.
 *
 * Pure.
 */
#ifndef MILTER_ALGORITHMS_H
#define MILTER_ALGORITHMS_H

#include "crypto/cms_envelope.h"
#include "crypto/smimecaps.h"
#include "policy/policy.h"

struct algorithms {
	enum content_cipher cipher;
	bool oaep;          /* for RSA keys but … */
	struct certset v15; /* … these, which get PKCS#1 v1.5 */
	size_t narrowed;    /* readers whose capabilities said no to the preset's first choice */
};

/* Begins with what PRESET would like best. */
void algorithms_init(struct algorithms *algorithms, enum preset preset);
void algorithms_fini(struct algorithms *algorithms);

struct reader { /* one certificate that will be encrypted to; borrowed */
	struct cert *cert;
	struct smimecaps caps;
};
enum rc algorithms_choose(struct algorithms *algorithms, enum preset preset,
	const struct reader *readers, size_t n, struct err *err);

#endif
