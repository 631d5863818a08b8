/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cms_envelope.h - writing and reading EnvelopedData and AuthEnvelopedData (RFC 5652, 5083, 5084,
 * 5753, 8551)
 *
 * Writing: DER with definite lengths, since the content's length is known. Reading: the header
 * first (RecipientInfos, content cipher), the content key from elsewhere (the vault), then the
 * content as a stream. What comes out of a reader must not be published before its finish() said
 * RC_OK.
 *
 * Limits: CMS_MAX_RECIPIENTS RecipientInfos, CMS_MAX_RINFO bytes each. Content ciphers:
 * AES-128/192/256-CBC, AES-128/192/256-GCM (tag of 12 to 16 bytes), 3DES-CBC (reading only). Key
 * transport: PKCS#1 v1.5, OAEP (SHA-1, SHA-256, SHA-384, SHA-512); agreement: ECDH P-256/384/521
 * with the standard KDFs and AES wrap. No PWRI; KEK only for
 * files of our own (kek.h).
 */
#ifndef CRYPTO_CMS_ENVELOPE_H
#define CRYPTO_CMS_ENVELOPE_H

#include "base/secret.h"
#include "crypto/ber.h"
#include "crypto/cert.h"

#define CMS_MAX_RECIPIENTS 2000
#define CMS_MAX_RINFO      16384

enum content_cipher {
	CIPHER_NONE,
	CIPHER_3DES_CBC,
	CIPHER_AES128_CBC,
	CIPHER_AES192_CBC,
	CIPHER_AES256_CBC,
	CIPHER_AES128_GCM,
	CIPHER_AES192_GCM,
	CIPHER_AES256_GCM,
	CIPHER_COUNT
};

const char *content_cipher_name(enum content_cipher cipher); /* "aes-256-cbc" */
size_t content_cipher_key_size(enum content_cipher cipher);
bool content_cipher_is_authenticated(enum content_cipher cipher);

/* --- writing --- */
struct cms_envelope_options {
	enum content_cipher cipher; /* AES only */
	bool oaep; /* RSA recipients: OAEP with SHA-256 instead of PKCS#1 v1.5 … */
	const struct certset *v15; /* … but for these; NULL: none */
	const struct kek *kek;     /* one more recipient, see kek.h; NULL: none */
};
struct kek;
struct cms_envelope;
/* CONTENT_LEN is exact; feeding more or less fails. Recipients are checked with
 * cert_check_use(CERT_ENCRYPT). */
enum rc
cms_envelope_new(const struct certset *recipients, const struct cms_envelope_options *options,
	uint64_t content_len, const struct sink *to, struct cms_envelope **out, struct err *err);
struct sink cms_envelope_sink(struct cms_envelope *envelope);
void cms_envelope_free(struct cms_envelope **envelope);

/* --- reading --- */
enum rinfo_type { RINFO_OTHER, RINFO_KTRI, RINFO_KARI };
struct rinfo { /* one recipient's way to the key; a KARI with several keys gives several */
	enum rinfo_type type;
	unsigned char *der; /* the whole RecipientInfo, owned by the enveloped */
	size_t der_len;
	unsigned index; /* KARI: which RecipientEncryptedKey */
	/* either issuer and serial (DER of Name; content of the INTEGER) … */
	const unsigned char *issuer, *serial;
	size_t issuer_len, serial_len;
	/* … or a SubjectKeyIdentifier */
	const unsigned char *ski;
	size_t ski_len;
	const unsigned char *encrypted_key; /* the encryptedKey of this recipient */
	size_t encrypted_key_len;
};
struct cms_enveloped { /* what stands before the content */
	enum cms_kind kind;
	enum content_cipher cipher; /* CIPHER_NONE: not supported */
	struct rinfo *rinfos;
	size_t n;
	bool has_auth_attrs; /* known only when the skeleton was taken behind the content; the
				decryptor reads them either way */
	/* private to cms_envelope.c: parameters of the cipher */
	unsigned char iv[16];
	size_t iv_len, tag_len;
};
/* Parses the header out of the skeleton that ber_skeleton gives. */
enum rc
cms_enveloped_parse(const void *skeleton, size_t len, struct cms_enveloped **out, struct err *err);
/* Is one of the RecipientInfos for CERT, by issuer and serial number or SubjectKeyIdentifier? */
bool cms_enveloped_names(const struct cms_enveloped *enveloped, const struct cert *cert);
void cms_enveloped_free(struct cms_enveloped **enveloped);

/* A stage that takes the CMS from its first byte and stops with RC_OK in finish() after the header
 * was seen; *out is then the header. It may be fed less than the whole object. cms_header_done
 * tells when to stop feeding. */
struct cms_header_reader;
enum rc cms_header_reader_new(struct cms_header_reader **out, struct err *err);
struct sink cms_header_reader_sink(struct cms_header_reader *reader);
bool cms_header_done(const struct cms_header_reader *reader);
enum cms_kind cms_header_kind(const struct cms_header_reader *reader);
/* ENVELOPED kinds only; ownership to the caller. */
enum rc
cms_header_take(struct cms_header_reader *reader, struct cms_enveloped **out, struct err *err);
void cms_header_reader_free(struct cms_header_reader **reader);

/* Takes the whole CMS again and writes plaintext to TO. CEK stays the caller's and has to live as
 * long. Every failure after the key is ERR_CMS_CORRUPT, one shape for a wrong key, damaged content
 * and a bad tag. */
struct cms_decryptor;
enum rc cms_decryptor_new(
	struct secret *cek, const struct sink *to, struct cms_decryptor **out, struct err *err);
/* The header of the same CMS was read before and need not be parsed again; borrowed. */
void cms_decryptor_expect(struct cms_decryptor *decryptor, const struct cms_enveloped *header);
struct sink cms_decryptor_sink(struct cms_decryptor *decryptor);
void cms_decryptor_free(struct cms_decryptor **decryptor);

/* --- the vault's part --- */
/*
 * Opens one RecipientInfo (KARI: key INDEX) with KEY. RC_OK always gives a CEK of the cipher's key
 * size: when the key does not fit or the padding is bad, one derived from FALLBACK (a secret of
 * this key) and the encryptedKey by HMAC-SHA-256, chosen in constant time for PKCS#1 v1.5. Other
 * outcomes only for what anybody can see without the key: malformed, unsupported, over a limit.
 */
enum rc rinfo_open(const void *der, size_t len, unsigned index, enum content_cipher cipher,
	const struct pkey *key, const struct secret *fallback, struct secret **cek,
	struct err *err);
/* Parses DER into OUT[0..*n-1] (at most MAX; borrowed pointers into DER): the identifiers for
 * look-up. */
enum rc
rinfo_parse(const void *der, size_t len, struct rinfo *out, size_t max, size_t *n, struct err *err);

#endif
