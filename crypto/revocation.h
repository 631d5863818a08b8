/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * revocation.h - what is known of revoked certificates: lists, and answers of OCSP responders
 *
 * One object holds everything that one struct trust may ask. A reload makes a new one; lists whose
 * bytes did not change are not parsed again, because every parsed list in the process is known by
 * the SHA-256 of its DER and shared by all objects that hold it (with what was found about its
 * signature). It dies with its last holder.
 *
 * Nothing is believed when it is added: a list or an answer counts when its signature is by
 * somebody who may speak for the certificate in question, and that is found out, once, when it is
 * asked. What comes in a message is never added.
 *
 * Threads: adding is for one thread, before the first question; questions are for any.
 */
#ifndef CRYPTO_REVOCATION_H
#define CRYPTO_REVOCATION_H

#include "base/buf.h"

struct revocation;

enum rc revocation_new(struct revocation **out, struct err *err);
void revocation_free(struct revocation **revocation);

/* Lists, DER or PEM, one or more. FILE: where they come from, for reasons in verdicts; may be NULL.
 * ERR_CRL_MALFORMED, ERR_LIMIT: this list is left out, the others stay. */
enum rc revocation_add_crl(struct revocation *revocation, const void *data, size_t len,
	const char *file, struct err *err);

/* An answer of a responder (OCSPResponse in DER), for whatever certificates it names. */
enum rc revocation_add_ocsp(struct revocation *revocation, const void *data, size_t len,
	const char *file, struct err *err);
/* A folder in which answers lie under the names of ocsp_file_name (crypto/ocsp.h). It is looked
 * into when a certificate is checked, so an answer that was put there meanwhile is seen. */
enum rc revocation_set_ocsp_dir(struct revocation *revocation, const char *dir, struct err *err);

/* How many lists are held, entries in them, and bytes of memory that they take. */
struct revocation_size {
	size_t lists, entries, bytes;
};
struct revocation_size revocation_size(const struct revocation *revocation);

#endif
