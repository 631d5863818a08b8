/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serialset.h - the entries of a revocation list, small and quick to ask
 *
 * Entries lie one behind the other in one block (length, serial number, date, reason), and a hash
 * table of 32-bit offsets finds them: about 11 bytes and the serial number for each, no object, no
 * pointer. The hash is keyed with random bytes, so whoever chooses serial numbers cannot choose
 * where they land.
 *
 * Threads: filling is for one; after serialset_seal any may ask.
 */
#ifndef CRYPTO_SERIALSET_H
#define CRYPTO_SERIALSET_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIAL_MAX     255      /* bytes; RFC 5280 allows 20 */
#define SERIALSET_MAX  10000000 /* entries */
#define REASON_NONE    15       /* no reasonCode in the entry */
#define REASON_REMOVED 8        /* removeFromCRL */

struct serialset;

struct serialset_entry {
	const unsigned char *serial; /* content of the INTEGER, no needless leading byte */
	size_t len;
	unsigned issuer; /* number of the certificate issuer's name; 0: the list's own */
	unsigned reason; /* CRLReason; REASON_NONE */
	bool unknown;    /* a critical extension that nobody here knows */
	int64_t revoked; /* date; 0: none that could be read */
	int64_t invalid; /* invalidityDate; 0: none */
};

/* MAX_BYTES: no more entries will come than fit into that many bytes of encoded list. INDIRECT:
 * entries carry an issuer's number. */
enum rc serialset_new(size_t max_bytes, bool indirect, struct serialset **out, struct err *err);
void serialset_free(struct serialset **set);
/* ERR_LIMIT: too many. */
enum rc serialset_add(struct serialset *set, const struct serialset_entry *entry, struct err *err);
enum rc serialset_seal(struct serialset *set, struct err *err);
bool serialset_find(const struct serialset *set, const unsigned char *serial, size_t len,
	unsigned issuer, struct serialset_entry *entry);
/* A hash of any bytes by the set's own key, which nobody outside can guess. */
uint64_t serialset_hash(const struct serialset *set, const void *data, size_t len);
size_t serialset_count(const struct serialset *set);
size_t serialset_bytes(const struct serialset *set); /* of memory */

/* Leaves out leading bytes that an INTEGER does not need. */
void serial_trim(const unsigned char **serial, size_t *len);

#endif
