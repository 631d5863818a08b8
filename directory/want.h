/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * want.h - one message to the fetcher: what somebody needs
 *
 * "crl URL\n", "ca URL\n", or "ocsp URL NAME\n" and the DER of a request about one certificate,
 * NAME being that of the answer's file. "issuer\n" and the DER of a CA's certificate tells whose
 * lists may be asked for. Commands of the operator's tool are "list\n", "status\n", "now\n" and
 * "now URL\n". One message is one packet.
 *
 * Limits: WANT_MAX bytes. Nothing here looks into the URL; fetch_url_parse does.
 */
#ifndef DIRECTORY_WANT_H
#define DIRECTORY_WANT_H

#include "base/buf.h"

#define WANT_MAX      4096
#define WANT_NAME_MAX 128

enum want_kind { WANT_CRL, WANT_CA, WANT_OCSP, WANT_KINDS };
enum want_verb { WANT_FETCH, WANT_LIST, WANT_STATUS, WANT_NOW, WANT_ISSUER };

struct want {
	enum want_verb verb;
	enum want_kind kind; /* of WANT_FETCH */
	const char *url;     /* borrowed, not ended by NUL; NULL: none */
	size_t url_len;
	char name[WANT_NAME_MAX + 1]; /* of WANT_OCSP: a file name, safe to use */
	const void *request;          /* borrowed; of WANT_OCSP; of WANT_ISSUER the certificate */
	size_t request_len;
};

const char *want_kind_name(enum want_kind kind); /* "crl", "ca", "ocsp" */
/* ERR_USAGE for what is none. */
enum rc want_parse(const void *data, size_t len, struct want *out, struct err *err);
enum rc want_format(const struct want *want, struct buf *out, struct err *err);
/* What the file of a list or a CA's certificate at URL is called, without folder and ending. */
enum rc want_name_of_url(const char *url, char name[WANT_NAME_MAX + 1], struct err *err);
/* Lower-case letters, digits, '-', '_' and '.', not at the beginning: nothing that leads out of a
 * folder, and nothing hidden in it. */
bool want_is_name(const char *text, size_t len);

#endif
