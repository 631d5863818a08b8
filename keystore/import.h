/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * import.h - private keys of files into the store: what each is, whose it becomes, what is refused
 *
 * In three steps: import_read takes the file apart (that may take seconds and needs no lock),
 * import_judge decides about every key before anything is kept, import_keep writes the ledger's
 * records and then all rows in one transaction.
 *
 * A key is taken to sign and to open as its certificate allows; to open only (and retired at once)
 * when the certificate is expired or weak, or when it names nobody of ours and the request says
 * "foreign". Certificates for client authentication are left out and named, and so is a key of a
 * kind that is not supported when there is another; a CA's key is refused.
 */
#ifndef KEYSTORE_IMPORT_H
#define KEYSTORE_IMPORT_H

#include "crypto/p12.h"
#include "keystore/admin.h"
#include "keystore/admin_cmd.h"

#define IMPORT_PASSWORDS 64  /* that are tried for one file */
#define IMPORT_FILES     256 /* with certificates, beside the one with the key */
#define IMPORT_NOTES     8

/* FAILED: of a kind that is not supported, beside a key that is taken. */
enum import_outcome { IMPORT_NEW, IMPORT_KNOWN, IMPORT_SKIPPED, IMPORT_FAILED };

struct import_key {
	const struct p12_item *item; /* borrowed from the file */
	enum import_outcome outcome;
	char addr[ADDR_MAX + 1];
	char person[STORE_ID_SIZE]; /* who has it; "": to be made */
	struct store_key key;
	struct certset certs; /* those for mail */
	struct certset chain;
	bool only_opens;
	size_t n_notes;
	char notes[IMPORT_NOTES][200]; /* what whoever imports should know; skipped: why */
	uint64_t seq;
};

struct import {
	struct p12 p12;
	struct import_key *keys;
	size_t n;
	const char *addr; /* whose it is to be; NULL: the certificate says */
	bool foreign;     /* somebody else's certificate is taken, to open only */
	const char *held; /* id of the held file that it comes from, for the ledger; or NULL */
};

/* The blob of admin_pack taken apart; FILES points into it. */
struct import_blob {
	struct secret *passwords[IMPORT_PASSWORDS]; /* owned */
	size_t n_passwords;
	struct admin_bytes files[IMPORT_FILES + 1];
	size_t n_files;
};
enum rc import_blob_open(struct secret *blob, struct import_blob *out, struct err *err);
void import_blob_fini(struct import_blob *blob);

/* Opens the first file with the first password that fits. */
enum rc import_read(const struct import_blob *blob, struct import *im, struct err *err);
/* Decides. */
enum rc import_judge(struct admin *a, struct import *im, struct err *err);
/* Records and rows; ALSO (may be NULL) is called in the same transaction, before its end. */
typedef enum rc import_also(void *ctx, struct admin *a, uint64_t seq, struct err *err);
enum rc
import_keep(struct admin *a, struct import *im, import_also *also, void *ctx, struct err *err);
/* "keys" and "imports" of the answer. */
enum rc import_put(struct admin *a, const struct import *im, struct err *err);
void import_fini(struct import *im);

/* --- import_chain.c --- */
/* The certificates above CERT, out of OTHERS, the configured intermediates and the chains in the
 * store; each signature is checked. A root that signs itself is left out. */
enum rc import_find_chain(struct admin *a, struct cert *cert, const struct certset *others,
	struct certset *chain, struct err *err);

/* --- import_whose.c --- */
/* Fills addr, person and only_opens. ERR_CERT_UNUSABLE: it is for somebody else. */
enum rc import_find_owner(
	struct admin *a, const struct import *im, struct import_key *key, struct err *err);
/* Is ADDR in one of our domains? */
bool import_is_ours(const struct admin *a, const char *addr);
enum rc import_not_ours(const char *addr, struct err *err);
void
import_note(struct import_key *key, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
