/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls.h - TLS as a client, over a socket that never blocks
 *
 * TLS 1.2 or newer. The server's certificate has to lead to a known CA and carry the expected name
 * or IP address; there is no way to switch that off. No call waits: each says what it needs
 * the socket for, and is to be repeated then.
 *
 * Threads: one struct tls_client may be used by any number; a struct tls by one at a time.
 */
#ifndef CRYPTO_TLS_H
#define CRYPTO_TLS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct tls_client; /* what every connection to one kind of server has in common */
struct tls;        /* one connection */

struct tls_options {
	const char *ca_file; /* PEM; NULL: the system's CAs */
	const char *cert_file,
		*key_file; /* PEM with chain, and its key without a passphrase; or NULL */
	const char *name;  /* host name or IP address in the server's certificate */
};

enum tls_step {
	TLS_DONE,
	TLS_NEEDS_READ,  /* again when the socket can be read … */
	TLS_NEEDS_WRITE, /* … or written */
	TLS_CLOSED,      /* the server closed the connection, orderly or not */
	TLS_FAILED       /* ERR says why */
};

/* ERR_CONFIG when a file can't be used. */
enum rc tls_client_new(const struct tls_options *options, struct tls_client **out, struct err *err);
void tls_client_free(struct tls_client **client);

/* FD is borrowed, non-blocking, and outlives the struct tls. */
enum rc tls_new(struct tls_client *client, int fd, struct tls **out, struct err *err);
void tls_free(struct tls **tls); /* says goodbye when that needs no waiting */
enum tls_step tls_handshake(struct tls *tls, struct err *err);
/* *DONE: bytes, more than 0 with TLS_DONE. */
enum tls_step tls_read(struct tls *tls, void *data, size_t len, size_t *done, struct err *err);
enum tls_step
tls_write(struct tls *tls, const void *data, size_t len, size_t *done, struct err *err);
const char *tls_version(const struct tls *tls); /* "TLSv1.3" */

#endif
