/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert.h - the commands of `sealgate cert` that work on the store
 */
#ifndef CLI_CERT_H
#define CLI_CERT_H

#include "cli/cmd.h"
#include "crypto/smimecaps.h"
#include "directory/certstore.h"

extern const struct command cert_publish;
extern const struct command cert_find;                               /* cert_find.c */
extern const struct command cert_add, cert_import_dir;               /* cert_add.c, cert_import.c */
extern const struct command cert_list, cert_show;                    /* cert_list.c */
extern const struct command cert_export;                             /* cert_export.c */
extern const struct command cert_pin, cert_unpin, cert_forget;       /* cert_store.c */
extern const struct command cert_pending, cert_approve, cert_reject; /* cert_pending.c */

/* Opens the configured store; CREATE: makes it when it is not there. False: *status, and it was
 * said. */
bool cert_open_store(const struct command *command, struct cli *cli, bool create,
	struct certstore **store, int *status);
/* The login of who runs the tool: who vouches, who pins. */
const char *cert_user(void);
/* Members of one certificate, into an open object. */
void cert_json(const struct cert *cert, struct json *json);
/* One row of the store as an object. */
void cert_row_json(const struct certrow *row, struct json *json);
const char *cert_tier_name(enum tier tier);
/* What it may be used for: "sign, encrypt", "sign only", … */
const char *cert_use_name(const struct cert *cert);
/* Says that there is no such certificate: 65. */
int cert_no_such(const char *fingerprint);
/* Why CERT would not be encrypted to now, whoever vouches for it; NULL: nothing is known. OUT has
 * CERT_NOTE_SIZE bytes. */
#define CERT_NOTE_SIZE 256
const char *cert_note(const struct cert *cert, char *out);

/* Puts ADDR in canonical form into OUT (ADDR_MAX + 1 bytes); false: it was said, *status is 64. */
bool cert_address(const struct command *command, const char *text, char *out, int *status);

/* What was written to BUF goes to standard output when it is much, or FORCE: for lists without an
 * end. */
enum rc cert_drain(struct buf *buf, bool force, struct err *err);

/* cert_history.c: the history of ADDR and FINGERPRINT (NULL: all) as lines, or into an open array;
 * *N: the events. */
enum rc cert_history_text(struct certstore *store, const char *addr, const char *fingerprint,
	size_t *n, struct err *err);
enum rc cert_history_json(struct certstore *store, const char *addr, const char *fingerprint,
	struct json *json, struct err *err);

/* cert_shown.c: what was shown by signatures, as lines or as "shown" in an open object. */
enum rc cert_shown_text(struct certstore *store, const struct cert *cert, struct err *err);
enum rc cert_shown_json(
	struct certstore *store, const struct cert *cert, struct json *json, struct err *err);

/* cert_add.c: adding the certificates of files, with a report of each. */
struct cert_adding {
	struct certstore *store;
	bool anchor, pin, force; /* force: pin also what cannot be used */
	const char *domains;     /* of anchors, separated by blanks */
	const char *why;         /* may be NULL */
	const char *const *addrs;
	size_t n_addrs;    /* where to file what names no address itself */
	struct json *json; /* NULL: lines of text */
	const char *file;  /* the one at hand */
	size_t added, known, left_out, malformed;
};
enum rc cert_add_file(struct cert_adding *adding, const char *path, struct err *err);
/* The sums, into an open object or on standard error. */
void cert_add_sums(const struct cert_adding *adding);

#endif
