/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulk_status.h - a service's list of certificates beside the keys of the vault
 */
#ifndef CLI_BULK_STATUS_H
#define CLI_BULK_STATUS_H

#include "cli/bulk_map.h"
#include "cli/bulk_vault.h"

enum bulk_finding_kind {
	BULK_NO_KEY,        /* a valid certificate at the service, no key of the address here */
	BULK_NOT_LISTED,    /* an active key with a certificate of the service, not in the list */
	BULK_SERIAL,        /* the address is in both, with other serial numbers */
	BULK_REVOKED_THERE, /* revoked at the service, active here */
	BULK_EXPIRED_THERE, /* expired at the service, active here */
	BULK_REVOKED_HERE,  /* revoked here, valid at the service */
	BULK_OLD_KEY,    /* a former certificate whose key is not here: its mail cannot be opened */
	BULK_NO_ADDRESS, /* a row without an address */
	BULK_FINDINGS
};
const char *bulk_finding_name(enum bulk_finding_kind kind); /* "no-key", … */
const char *bulk_finding_text(enum bulk_finding_kind kind); /* a sentence for people */

struct bulk_finding {
	enum bulk_finding_kind kind;
	const char *addr, *key, *serial; /* serial: of the key; NULL: there is none */
	const char *listed;              /* serial in the list, or NULL */
	size_t line;                     /* in the list; 0: none */
};

struct bulk_report {
	struct bulk_finding *v;
	size_t n, rows, ignored, same;
	char *marks; /* private: which keys the list has */
	char *texts; /* private: addresses out of names */
};

/* LIST's first row is left out when the map says that it holds names. NOW: what expires a date. */
enum rc bulk_compare(const struct bulk_map *map, const struct tsv *list,
	const struct bulk_keys *keys, int64_t now, struct bulk_report *out, struct err *err);
void bulk_report_fini(struct bulk_report *report);

/* Do two spellings of a serial number mean the same: hexadecimal with or without colons, blanks,
 * "0x", leading zeros, in any case; or TEXT in decimal digits? */
bool bulk_same_serial(const char *hex, const char *text);
/* The row of LIST about the certificate SERIAL (hexadecimal) of ADDR, or NULL. */
const struct tsv_row *bulk_find_serial(
	const struct bulk_map *map, const struct tsv *list, const char *addr, const char *serial);

#endif
