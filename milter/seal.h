/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seal.h - one transformation: entity → signed → enveloped
 *
 * Works on spools; nothing of the message itself is changed.
 */
#ifndef MILTER_SEAL_H
#define MILTER_SEAL_H

#include "keystore/client.h"
#include "message/mime.h"
#include "milter/algorithms.h"
#include "policy/policy.h"

struct sealed { /* an entity: header fields, empty line, body */
	struct hdrs hdrs;
	struct spool *body;
	bool whole; /* hdrs is empty, header and body both stand in BODY */
};
void sealed_fini(struct sealed *sealed);

struct seal_source {
	const struct entity *root;
	const struct hdrs *content; /* its Content-* fields */
	struct spool *body;
	bool base64; /* every text part */
	const struct spool_conf *spool;
};

struct seal_signing {
	struct vault_client *vault;
	const struct vault_signer *signer;
	int64_t signing_time; /* -1: leave it out */
	struct vault_claim claim;
};

/* The entity as it would be signed, header included, in OUT->body. RAW: as it came, otherwise made
 * 7-bit; ERR_POLICY_UNSAFE when that can't be done. */
enum rc seal_plain(const struct seal_source *source, enum preset preset, bool raw,
	struct sealed *out, struct err *err);
/* multipart/signed; ERR_POLICY_UNSAFE before the key is used. */
enum rc seal_sign_clear(const struct seal_source *source, const struct seal_signing *signing,
	enum preset preset, struct sealed *out, struct err *err);
/* application/pkcs7-mime; smime-type=signed-data around PLAIN (which is whole). */
enum rc seal_sign_opaque(const struct sealed *plain, const struct seal_signing *signing,
	enum preset preset, struct sealed *out, struct err *err);
/* An envelope around INNER for RECIPIENTS. */
enum rc seal_encrypt(const struct sealed *inner, const struct certset *recipients,
	const struct algorithms *algorithms, struct sealed *out, struct err *err);

/* What the result will have at most, in bytes of body. */
uint64_t seal_estimate(uint64_t body, const struct vault_signer *signer, bool opaque,
	const struct certset *recipients);

#endif
