/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/trustlist.h"

#include "crypto/digest.h"
#include "message/addr.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void
entry_fini(struct trustlist_entry *entry)
{
	size_t i;

	for (i = 0; i < entry->n_addrs; i++)
		free(entry->addrs[i]);
	free(entry->addrs);
	free(entry->reason);
}

void
trustlist_fini(struct trustlist *list)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		entry_fini(&list->v[i]);
	free(list->v);
	*list = (struct trustlist){0};
}

/* Index of the first entry that is not before KEY. */
static size_t
place_of(const struct trustlist *list, const unsigned char *key)
{
	size_t low = 0, high = list->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(list->v[mid].key, key, SHA256_SIZE) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct trustlist_entry *
trustlist_find(const struct trustlist *list, const unsigned char key[SHA256_SIZE])
{
	size_t at = place_of(list, key);

	return at < list->n && memcmp(list->v[at].key, key, SHA256_SIZE) == 0 ? &list->v[at] : NULL;
}

static enum rc
copy_addrs(struct trustlist_entry *entry, const char *const *addrs, size_t n, struct err *err)
{
	char addr[ADDR_MAX + 1];
	size_t i;

	if (n > TRUSTLIST_ADDRS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d addresses", TRUSTLIST_ADDRS_MAX);
	entry->addrs = n ? calloc(n, sizeof(*entry->addrs)) : NULL;
	if (n && !entry->addrs)
		return err_set(err, ERR_MEMORY, "addresses");
	for (i = 0; i < n; i++) {
		enum rc rc = addr_canonical(addrs[i], strlen(addrs[i]), addr, err);

		if (rc != RC_OK)
			return rc;
		entry->addrs[i] = strdup(addr);
		if (!entry->addrs[i])
			return err_set(err, ERR_MEMORY, "addresses");
		entry->n_addrs++;
	}
	return RC_OK;
}

enum rc
trustlist_add(struct trustlist *list, const unsigned char key[SHA256_SIZE], const char *reason,
	const char *const *addrs, size_t n, struct err *err)
{
	struct trustlist_entry entry = {.reason = strdup(reason ? reason : "")}, *grown;
	size_t at = place_of(list, key);
	enum rc rc;

	memcpy(entry.key, key, SHA256_SIZE);
	rc = entry.reason ? copy_addrs(&entry, addrs, n, err)
			  : err_set(err, ERR_MEMORY, "certificates");
	if (rc == RC_OK && list->n >= TRUSTLIST_MAX)
		rc = err_set(err, ERR_LIMIT, "more than %d certificates", TRUSTLIST_MAX);
	if (rc != RC_OK || trustlist_find(list, key)) {
		entry_fini(&entry);
		return rc;
	}
	grown = realloc(list->v, (list->n + 1) * sizeof(*grown));
	if (!grown) {
		entry_fini(&entry);
		return err_set(err, ERR_MEMORY, "certificates");
	}
	list->v = grown;
	memmove(&grown[at + 1], &grown[at], (list->n - at) * sizeof(*grown));
	grown[at] = entry;
	list->n++;
	return RC_OK;
}

enum rc
trustlist_parse_key(const char *text, unsigned char key[SHA256_SIZE], struct err *err)
{
	size_t n = 0;
	const char *p;

	memset(key, 0, SHA256_SIZE);
	for (p = text; *p; p++) {
		int digit = tolower((unsigned char)*p);

		if (*p == ':' && n % 2 == 0 && n)
			continue;
		if (!isxdigit(digit) || n == 2 * SHA256_SIZE)
			break;
		digit = digit <= '9' ? digit - '0' : digit - 'a' + 10;
		key[n / 2] = (unsigned char)(key[n / 2] << 4 | digit);
		n++;
	}
	if (*p || n != 2 * SHA256_SIZE)
		return err_set(err, ERR_USAGE, "no SHA-256 in hex (64 digits): %.80s", text);
	return RC_OK;
}

enum rc
trustlist_serial_key(
	const char *issuer, const char *serial, unsigned char key[SHA256_SIZE], struct err *err)
{
	struct buf text = BUF_INIT(0);
	unsigned char value[DIGEST_MAX_SIZE];
	enum rc rc = buf_append(&text, issuer, strlen(issuer) + 1, err);
	const char *p;

	while (serial[0] == '0' && serial[1]) /* 0a is a */
		serial++;
	for (p = serial; rc == RC_OK && *p; p++)
		if (*p != ':')
			rc = buf_append_char(&text, (char)tolower((unsigned char)*p), err);
	if (rc == RC_OK)
		rc = digest_bytes(DIGEST_SHA256, text.data, text.len, value, err);
	if (rc == RC_OK)
		memcpy(key, value, SHA256_SIZE);
	buf_fini(&text);
	return rc;
}

const struct trustlist_entry *
trustlist_denies(const struct trustlist *list, const struct cert *cert)
{
	unsigned char key[DIGEST_MAX_SIZE];
	const struct trustlist_entry *entry;
	const unsigned char *spki;
	size_t len;

	if (!list || !list->n)
		return NULL;
	entry = trustlist_find(list, cert_sha256(cert));
	spki = cert_spki(cert, &len);
	if (!entry && digest_bytes(DIGEST_SHA256, spki, len, key, NULL) == RC_OK)
		entry = trustlist_find(list, key);
	if (!entry &&
		trustlist_serial_key(cert_issuer(cert), cert_serial(cert), key, NULL) == RC_OK)
		entry = trustlist_find(list, key);
	return entry;
}

bool
trustlist_entry_is_for(const struct trustlist_entry *entry, const char *addr)
{
	size_t i;

	for (i = 0; i < entry->n_addrs; i++)
		if (addr_equal(entry->addrs[i], addr))
			return true;
	return false;
}
