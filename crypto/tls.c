/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "crypto/openssl_glue.h"

struct tls_client {
	SSL_CTX *ctx;
	BIO_METHOD *bio;
	char *name;
	bool name_is_ip;
};

struct tls {
	struct tls_client *client; /* borrowed */
	SSL *ssl;
	bool broken; /* nothing may be said any more, not even goodbye */
};

/* --- the socket: like OpenSSL's own, but a peer that has gone raises no signal --- */

static int
socket_fd(BIO *bio)
{
	return (int)(intptr_t)BIO_get_data(bio);
}

static int
socket_write(BIO *bio, const char *data, int len)
{
	ssize_t n = send(socket_fd(bio), data, (size_t)len, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)n;
}

static int
socket_read(BIO *bio, char *data, int len)
{
	ssize_t n = recv(socket_fd(bio), data, (size_t)len, 0);

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		BIO_set_retry_read(bio);
	return (int)n;
}

static long
socket_ctrl(BIO *bio, int cmd, long arg, void *ptr)
{
	(void)bio, (void)arg, (void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *
socket_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");

	if (!method || !BIO_meth_set_write(method, socket_write) ||
		!BIO_meth_set_read(method, socket_read) ||
		!BIO_meth_set_ctrl(method, socket_ctrl)) {
		BIO_meth_free(method);
		return NULL;
	}
	return method;
}

/* --- what all connections have in common --- */

/* A key with a passphrase has nobody who could be asked for it. */
static int
no_passphrase(char *out, int size, int rwflag, void *ctx)
{
	(void)out, (void)size, (void)rwflag, (void)ctx;
	return -1;
}

static enum rc
load_files(SSL_CTX *ctx, const struct tls_options *o, struct err *err)
{
	if (o->ca_file && SSL_CTX_load_verify_file(ctx, o->ca_file) != 1)
		return ossl_err(err, ERR_CONFIG, "%s: no CA certificates", o->ca_file);
	if (!o->ca_file && SSL_CTX_set_default_verify_paths(ctx) != 1)
		return ossl_err(err, ERR_CONFIG, "the system's CA certificates");
	if (!o->cert_file)
		return RC_OK;
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(ctx, o->cert_file) != 1)
		return ossl_err(err, ERR_CONFIG, "%s: no certificate", o->cert_file);
	if (SSL_CTX_use_PrivateKey_file(ctx, o->key_file, SSL_FILETYPE_PEM) != 1)
		return ossl_err(err, ERR_CONFIG,
			"%s: no key without a passphrase, or not the certificate's", o->key_file);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return ossl_err(
			err, ERR_CONFIG, "%s is not the key of %s", o->key_file, o->cert_file);
	return RC_OK;
}

static enum rc
client_fill(struct tls_client *c, const struct tls_options *options, struct err *err)
{
	unsigned char ip[16];

	c->name = strdup(options->name);
	c->bio = socket_method();
	c->ctx = SSL_CTX_new(TLS_client_method());
	if (!c->name || !c->bio || !c->ctx)
		return ossl_err(err, ERR_MEMORY, "TLS");
	c->name_is_ip =
		inet_pton(AF_INET, c->name, ip) == 1 || inet_pton(AF_INET6, c->name, ip) == 1;
	if (SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION) != 1)
		return ossl_err(err, ERR_CRYPTO, "TLS 1.2");
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(
		c->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(c->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	return load_files(c->ctx, options, err);
}

enum rc
tls_client_new(const struct tls_options *options, struct tls_client **out, struct err *err)
{
	struct tls_client *client = calloc(1, sizeof(*client));
	enum rc rc;

	*out = NULL;
	if (!client)
		return err_set(err, ERR_MEMORY, "TLS");
	rc = client_fill(client, options, err);
	if (rc)
		tls_client_free(&client);
	*out = client;
	return rc;
}

void
tls_client_free(struct tls_client **client)
{
	if (!*client)
		return;
	SSL_CTX_free((*client)->ctx);
	BIO_meth_free((*client)->bio);
	free((*client)->name);
	free(*client);
	*client = NULL;
}

/* --- one connection --- */

static bool
expect_name(SSL *ssl, const struct tls_client *client)
{
	if (client->name_is_ip)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), client->name) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, client->name) == 1 &&
	       SSL_set_tlsext_host_name(ssl, client->name) == 1;
}

enum rc
tls_new(struct tls_client *client, int fd, struct tls **out, struct err *err)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	BIO *bio;

	*out = NULL;
	if (!tls)
		return err_set(err, ERR_MEMORY, "TLS");
	tls->client = client;
	tls->ssl = SSL_new(client->ctx);
	bio = BIO_new(client->bio);
	if (!tls->ssl || !bio || !expect_name(tls->ssl, client)) {
		BIO_free(bio);
		tls_free(&tls);
		return ossl_err(err, ERR_CRYPTO, "TLS");
	}
	BIO_set_data(bio, (void *)(intptr_t)fd);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio); /* the SSL's now */
	SSL_set_connect_state(tls->ssl);
	tls->broken = true; /* until there is a connection */
	*out = tls;
	return RC_OK;
}

void
tls_free(struct tls **tls)
{
	if (!*tls)
		return;
	if ((*tls)->ssl && !(*tls)->broken)
		(void)SSL_shutdown((*tls)->ssl);
	ossl_clear();
	SSL_free((*tls)->ssl);
	free(*tls);
	*tls = NULL;
}

/* What RESULT of an SSL_ function means. */
static enum tls_step
step(struct tls *tls, int result, const char *what, struct err *err)
{
	long verified = SSL_get_verify_result(tls->ssl);

	if (result == 1)
		return TLS_DONE;
	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return TLS_NEEDS_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_NEEDS_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_CLOSED;
	case SSL_ERROR_SYSCALL:
		tls->broken = true;
		ossl_clear();
		return TLS_CLOSED;
	default:
		tls->broken = true;
		if (verified != X509_V_OK) {
			ossl_clear();
			err_set(err, ERR_PORT_TLS, "%s: certificate of %s: %s", what,
				tls->client->name, X509_verify_cert_error_string(verified));
		} else {
			ossl_err(err, ERR_PORT_TLS, "%s", what);
		}
		return TLS_FAILED;
	}
}

enum tls_step
tls_handshake(struct tls *tls, struct err *err)
{
	enum tls_step result;

	ossl_clear();
	result = step(tls, SSL_do_handshake(tls->ssl), "TLS handshake", err);
	if (result == TLS_DONE)
		tls->broken = false;
	return result;
}

enum tls_step
tls_read(struct tls *tls, void *data, size_t len, size_t *done, struct err *err)
{
	*done = 0;
	ossl_clear();
	return step(tls, SSL_read_ex(tls->ssl, data, len, done), "TLS", err);
}

enum tls_step
tls_write(struct tls *tls, const void *data, size_t len, size_t *done, struct err *err)
{
	*done = 0;
	ossl_clear();
	return step(tls, SSL_write_ex(tls->ssl, data, len, done), "TLS", err);
}

const char *
tls_version(const struct tls *tls)
{
	return SSL_get_version(tls->ssl);
}
