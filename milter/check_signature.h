/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_signature.h - is the signature over a whole entity good? Shared by the pipeline and
 * `sealgate verify`
 *
 * The digest is computed over the bytes as they were received. Only a signature over the whole
 * entity counts: multipart/signed, or pkcs7-mime with signed-data.
 */
#ifndef MILTER_CHECK_SIGNATURE_H
#define MILTER_CHECK_SIGNATURE_H

#include "crypto/cms_envelope.h"
#include "crypto/cms_verify.h"
#include "message/addr.h"
#include "message/classify.h"
#include "policy/policy.h"

struct signature_check {
	struct trust *trust;         /* borrowed */
	const struct certset *extra; /* more candidates for signers and paths; may be NULL */
	const struct addrlist
		*from;      /* addresses in From:; NULL: unchecked. None or several never match */
	size_t from_fields; /* how many From: fields there are: of several nobody knows which one
			       is shown, so they never match; 0: not known */
	int64_t at;         /* -1: now */
	const enum revocation_mode *revocation; /* the rule's; NULL: the anchor's */
	int64_t received;                       /* when the message came in; 0: at AT */
	struct effort *effort; /* of all layers of the message; NULL: this one alone */
	/* Called, when not NULL, with each SignedData that was checked and what was found. */
	void (*seen)(void *ctx, const struct cms_signed *sd, const struct verdict *verdict);
	void *ctx;
};

/*
 * ROOT in SPOOL (as mime_parse gives them). VERDICT is initialised here; verdict_fini it. RC_OK
 * whatever the verdict; what is not signed, or holds certificates only, has signature "none".
 * RC_TEMP: our own trouble, no verdict. CONTENT: for an opaque signature receives the signed bytes
 * when not NULL (not finished by us; whether to believe them is the verdict's to say).
 */
enum rc check_signature(const struct signature_check *check, const struct entity *root,
	struct spool *spool, const struct sink *content, struct verdict *verdict, struct err *err);

/* The kind of CMS object that a WRAP_PKCS7_MIME entity carries, from its first bytes; *enveloped
 * for what is encrypted (free it), NULL otherwise. RC_PERM when it is malformed. WHOLE, when not
 * NULL, is empty or gets all of the object decoded, if it is small and can be: whoever reads on
 * need not decode it again. */
enum rc read_cms_header(const struct entity *entity, struct spool *spool, enum cms_kind *kind,
	struct cms_enveloped **enveloped, struct buf *whole, struct err *err);

/* What RULE itself says of unknown revocation; NULL: nothing. */
const enum revocation_mode *rule_revocation(const struct verdicts *rule);

/* Addresses of all From: fields. */
enum rc hdrs_from(const struct hdrs *hdrs, struct addrlist *out, struct err *err);

#endif
