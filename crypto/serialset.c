/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/serialset.h"

#include <openssl/rand.h>

#include <stdlib.h>
#include <string.h>

/*
 * An entry in the block: length, serial number, [issuer, 2 bytes, in sets that are indirect], flags
 * and reason, date, [invalidity date]. Dates are seconds since 1970 in 32 bits, until 2106.
 */
#define FLAG_INVALID 0x80 /* an invalidity date follows */
#define FLAG_UNKNOWN 0x40
#define REASON_MASK  0x0f
#define DATE_MAX     UINT32_MAX

struct serialset {
	unsigned char *data; /* owned */
	size_t len, cap;
	uint32_t *slots; /* owned; offset + 1, 0: free */
	uint32_t n_slots;
	uint32_t n;
	bool indirect;
	uint64_t key[2];
};

void
serial_trim(const unsigned char **serial, size_t *len)
{
	while (*len > 1 && (((*serial)[0] == 0 && !((*serial)[1] & 0x80)) ||
				   ((*serial)[0] == 0xff && ((*serial)[1] & 0x80)))) {
		(*serial)++;
		(*len)--;
	}
}

/* --- SipHash-2-4 (Aumasson and Bernstein) --- */

#define ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[0] = ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[2] = ROTL(v[2], 32);
}

/* Of a serial number and its issuer. */
static uint64_t
hash_of(const struct serialset *set, const unsigned char *p, size_t len, unsigned issuer)
{
	uint64_t v[4] = {set->key[0] ^ 0x736f6d6570736575, set->key[1] ^ 0x646f72616e646f6d,
		set->key[0] ^ 0x6c7967656e657261, set->key[1] ^ 0x7465646279746573};
	uint64_t last = (uint64_t)len << 56 | (uint64_t)issuer << 8, word;
	size_t i;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		v[3] ^= word;
		sip_round(v);
		sip_round(v);
		v[0] ^= word;
	}
	word = 0;
	memcpy(&word, p, len);
	for (i = 0; i < 2; i++) {
		v[3] ^= i ? last : word;
		sip_round(v);
		sip_round(v);
		v[0] ^= i ? last : word;
	}
	v[2] ^= 0xff;
	for (i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
serialset_hash(const struct serialset *set, const void *data, size_t len)
{
	return hash_of(set, data, len, 0);
}

/* --- entries --- */

enum rc
serialset_new(size_t max_bytes, bool indirect, struct serialset **out, struct err *err)
{
	struct serialset *set = calloc(1, sizeof(*set));

	*out = NULL;
	if (!set)
		return err_set(err, ERR_MEMORY, "revocation list");
	set->indirect = indirect;
	/* An entry takes less here than encoded: untouched pages of this cost nothing. */
	set->cap = max_bytes + 16;
	set->data = malloc(set->cap);
	if (!set->data || RAND_bytes((unsigned char *)set->key, sizeof(set->key)) != 1) {
		serialset_free(&set);
		return err_set(err, ERR_MEMORY, "revocation list");
	}
	*out = set;
	return RC_OK;
}

void
serialset_free(struct serialset **set)
{
	if (*set) {
		free((*set)->data);
		free((*set)->slots);
		free(*set);
	}
	*set = NULL;
}

static void
put(struct serialset *set, const void *data, size_t len)
{
	memcpy(set->data + set->len, data, len);
	set->len += len;
}

static void
put_date(struct serialset *set, int64_t date)
{
	uint32_t small = date < 0 ? 0 : date > DATE_MAX ? DATE_MAX : (uint32_t)date;

	put(set, &small, sizeof(small));
}

enum rc
serialset_add(struct serialset *set, const struct serialset_entry *entry, struct err *err)
{
	unsigned char len = (unsigned char)entry->len, flags;
	uint16_t issuer = (uint16_t)entry->issuer;

	if (entry->len > SERIAL_MAX)
		return err_set(err, ERR_CRL_MALFORMED, "a serial number of %zu bytes in a list",
			entry->len);
	if (set->n >= SERIALSET_MAX)
		return err_set(
			err, ERR_LIMIT, "a revocation list of more than %d entries", SERIALSET_MAX);
	if (set->cap - set->len < 1 + entry->len + 2 + 1 + 4 + 4) {
		size_t more = set->cap + set->cap / 2 + 512;
		unsigned char *grown = realloc(set->data, more);

		if (!grown)
			return err_set(err, ERR_MEMORY, "revocation list");
		set->data = grown;
		set->cap = more;
	}
	flags = (unsigned char)((entry->reason & REASON_MASK) |
				(entry->invalid ? FLAG_INVALID : 0) |
				(entry->unknown ? FLAG_UNKNOWN : 0));
	put(set, &len, 1);
	put(set, entry->serial, entry->len);
	if (set->indirect)
		put(set, &issuer, sizeof(issuer));
	put(set, &flags, 1);
	put_date(set, entry->revoked);
	if (entry->invalid)
		put_date(set, entry->invalid);
	set->n++;
	return RC_OK;
}

/* Reads the entry at OFFSET; returns where the next one begins. */
static size_t
get(const struct serialset *set, size_t offset, struct serialset_entry *entry)
{
	const unsigned char *p = set->data + offset;
	uint16_t issuer = 0;
	uint32_t date;

	*entry = (struct serialset_entry){.serial = p + 1, .len = p[0]};
	p += 1 + entry->len;
	if (set->indirect) {
		memcpy(&issuer, p, sizeof(issuer));
		p += sizeof(issuer);
	}
	entry->issuer = issuer;
	entry->reason = *p & REASON_MASK;
	entry->unknown = *p & FLAG_UNKNOWN;
	memcpy(&date, p + 1, sizeof(date));
	entry->revoked = date;
	if (*p & FLAG_INVALID) {
		p += sizeof(date);
		memcpy(&date, p + 1, sizeof(date));
		entry->invalid = date;
	}
	return (size_t)(p + 1 + sizeof(date) - set->data);
}

/* The slot where such an entry is or would be. */
static uint32_t *
slot_of(const struct serialset *set, const unsigned char *serial, size_t len, unsigned issuer,
	struct serialset_entry *entry)
{
	uint64_t hash = hash_of(set, serial, len, issuer);
	uint32_t i = (uint32_t)((hash >> 32) * set->n_slots >> 32);

	for (;; i = i + 1 < set->n_slots ? i + 1 : 0) {
		if (!set->slots[i])
			return &set->slots[i];
		(void)get(set, set->slots[i] - 1, entry);
		if (entry->len == len && entry->issuer == issuer &&
			memcmp(entry->serial, serial, len) == 0)
			return &set->slots[i];
	}
}

enum rc
serialset_seal(struct serialset *set, struct err *err)
{
	struct serialset_entry entry, other;
	unsigned char *fitted;
	size_t at = 0, next;

	if (set->len >= UINT32_MAX)
		return err_set(err, ERR_LIMIT, "a revocation list of %zu bytes", set->len);
	fitted = realloc(set->data, set->len ? set->len : 1);
	if (fitted) {
		set->data = fitted;
		set->cap = set->len;
	}
	set->n_slots = set->n + set->n / 3 + 2;
	set->slots = calloc(set->n_slots, sizeof(*set->slots));
	if (!set->slots)
		return err_set(err, ERR_MEMORY, "revocation list");
	for (; at < set->len; at = next) {
		uint32_t *slot;

		next = get(set, at, &entry);
		slot = slot_of(set, entry.serial, entry.len, entry.issuer, &other);
		/* Of two entries for one certificate the one that revokes counts. */
		if (!*slot || other.reason == REASON_REMOVED)
			*slot = (uint32_t)at + 1;
	}
	return RC_OK;
}

bool
serialset_find(const struct serialset *set, const unsigned char *serial, size_t len,
	unsigned issuer, struct serialset_entry *entry)
{
	serial_trim(&serial, &len);
	return len <= SERIAL_MAX && *slot_of(set, serial, len, issuer, entry) != 0;
}

size_t
serialset_count(const struct serialset *set)
{
	return set->n;
}

size_t
serialset_bytes(const struct serialset *set)
{
	return sizeof(*set) + set->cap + set->n_slots * sizeof(*set->slots);
}
