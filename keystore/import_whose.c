/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * import_whose.c - the owner of a key that is imported, by the addresses of its certificate
 *
 * File names mean nothing. An address that is not ours can never be a sender's here, so such a
 * certificate is most likely in the wrong file.
 */
#include "keystore/import.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

void
import_note(struct import_key *key, const char *fmt, ...)
{
	va_list ap;

	if (key->n_notes == IMPORT_NOTES)
		return;
	va_start(ap, fmt);
	vsnprintf(key->notes[key->n_notes++], sizeof(key->notes[0]), fmt, ap);
	va_end(ap);
}

bool
import_is_ours(const struct admin *a, const char *addr)
{
	const char *domain = addr_domain(addr);

	return a->settings->n_domains == 0 ||
	       (domain && addr_domain_in(domain, a->settings->domains, a->settings->n_domains));
}

/* Who has ADDR? For an expired certificate: who had it then, if that is known. */
static enum rc
find_person(struct admin *a, const struct cert *cert, const char *addr, struct store_addr *row,
	struct err *err)
{
	int64_t now = clock_now(), end = cert_not_after(cert);
	enum rc rc = RC_NONE;

	if (end < now)
		rc = store_find_addr(vault_store(a->vault), addr, end, row, err);
	return rc == RC_NONE ? store_find_addr(vault_store(a->vault), addr, now, row, err) : rc;
}

/* What the certificate's addresses say. */
struct names {
	size_t n;                   /* all */
	char first[ADDR_MAX + 1];   /* of all */
	char ours[ADDR_MAX + 1];    /* the first that is ours, as a person is known; "": none */
	char person[STORE_ID_SIZE]; /* who has one of ours; "": nobody */
	char persons_addr[ADDR_MAX + 1];
	bool fits; /* one is ADDR, or the same person's */
};

/* One address of the certificate. ADDR and PERSON: whose it is to be, "" when not said. */
static enum rc
read_name(struct admin *a, struct names *names, const struct cert *cert, const char *text,
	const char *addr, const char *person, struct err *err)
{
	char known[ADDR_MAX + 1];
	struct store_addr row;
	enum rc rc = settings_resolve(a->settings, text, known, err);

	if (rc)
		return rc == RC_PERM ? RC_OK : rc; /* no address: names nobody */
	if (!names->n++)
		strcpy(names->first, known);
	if (strcmp(known, addr) == 0)
		names->fits = true;
	if (!import_is_ours(a, known))
		return RC_OK;
	if (!names->ours[0])
		strcpy(names->ours, known);
	rc = find_person(a, cert, known, &row, err);
	if (rc)
		return rc == RC_NONE ? RC_OK : rc;
	if (strcmp(row.person, person) == 0)
		names->fits = true;
	if (names->person[0] && strcmp(names->person, row.person) != 0 && !*addr)
		return err_set(err, ERR_CERT_UNUSABLE,
			"its certificate names addresses of several persons, %.100s and %.100s: say "
			"whose it is",
			names->persons_addr, known);
	if (!names->person[0]) {
		strcpy(names->person, row.person);
		strcpy(names->persons_addr, known);
	}
	return RC_OK;
}

static enum rc
read_names(struct admin *a, const struct cert *cert, const char *addr, const char *person,
	struct names *names, struct err *err)
{
	const char *const *addrs;
	size_t n = cert_addrs(cert, true, &addrs);
	enum rc rc = RC_OK;

	*names = (struct names){0};
	for (size_t i = 0; !rc && i < n; i++)
		rc = read_name(a, names, cert, addrs[i], addr, person, err);
	return rc;
}

enum rc
import_not_ours(const char *addr, struct err *err)
{
	return err_set(err, ERR_CERT_UNUSABLE,
		"%.200s is not in organisation.domains; --foreign takes the key to open mail only",
		addr);
}

/* Nobody was named: the certificate decides. */
static enum rc
by_certificate(struct admin *a, struct import_key *key, bool foreign, struct err *err)
{
	struct names names;
	enum rc rc = read_names(a, key->item->cert, "", "", &names, err);

	if (rc)
		return rc;
	if (names.n == 0)
		return err_set(err, ERR_CERT_UNUSABLE,
			"its certificate (%.200s) names no mail address: say whose it is",
			cert_subject(key->item->cert));
	strcpy(key->person, names.person);
	strcpy(key->addr, names.person[0] ? names.persons_addr
			  : names.ours[0] ? names.ours
					  : names.first);
	if (!names.ours[0]) {
		if (!foreign)
			return import_not_ours(names.first, err);
		key->only_opens = true;
		import_note(key, "%.150s is not ours: it only opens", names.first);
	}
	return RC_OK;
}

/* ADDR was named. A certificate for somebody else is taken only when that is said as well. */
static enum rc
by_request(struct admin *a, const struct import *im, struct import_key *key, struct err *err)
{
	const struct cert *cert = key->item->cert;
	struct store_addr row = {0};
	struct names names;
	bool foreign = im->foreign;
	enum rc rc = settings_resolve(a->settings, im->addr, key->addr, err);

	if (!rc && !import_is_ours(a, key->addr) && !foreign)
		return import_not_ours(key->addr, err);
	if (!rc)
		rc = find_person(a, cert, key->addr, &row, err);
	if (rc < 0)
		return rc;
	strcpy(key->person, row.person);
	rc = read_names(a, cert, key->addr, row.person[0] ? row.person : "-", &names, err);
	if (rc)
		return rc;
	if (names.n && !names.fits && !foreign)
		return err_set(err, ERR_CERT_UNUSABLE,
			"its certificate is for %.150s, not for %.150s; --foreign takes the key to "
			"open mail only",
			names.first, key->addr);
	if ((names.n && !names.fits) || !import_is_ours(a, key->addr)) {
		key->only_opens = true;
		import_note(key, "its certificate is for %.100s: it only opens",
			names.n ? names.first : key->addr);
	}
	if (!names.n)
		import_note(key, "its certificate names no address");
	return RC_OK;
}

enum rc
import_find_owner(struct admin *a, const struct import *im, struct import_key *key, struct err *err)
{
	return im->addr ? by_request(a, im, key, err) : by_certificate(a, key, im->foreign, err);
}
