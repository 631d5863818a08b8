/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/serve.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "crypto/cms_sign.h"
#include "keystore/admin_cmd.h"
#include "keystore/use.h"

size_t
session_limit(const struct session *session)
{
	if (!session->service[0])
		return PROTO_MAX_HELLO;
	return session->admin ? PROTO_MAX_ADMIN : PROTO_MAX_FRAME;
}

void
session_log_broken(const struct session *session, const struct err *err)
{
	log_error(LOGL_WARN, NULL, "vault-frame-broken", err, "service",
		session->service[0] ? session->service : NULL, "uid", LOG_NUM(session->uid), "pid",
		LOG_NUM(session->pid), NULL);
}

/* What a request is answered with. */
struct job {
	struct session *session;
	const struct settings *settings;
	const struct proto_msg *msg;
	struct peer peer;
	struct buf *out;
};

/* A frame without fields. */
static enum rc
put_plain(struct job *job, enum proto_type type, struct err *err)
{
	struct proto_writer w;

	proto_begin(&w, job->out, type, job->msg->id);
	return proto_end(&w, err);
}

static enum rc
put_data(struct job *job, enum proto_type type, const void *data, size_t len, struct err *err)
{
	struct proto_writer w;

	proto_begin(&w, job->out, type, job->msg->id);
	proto_put(&w, TAG_DATA, data, len);
	return proto_end(&w, err);
}

/* What is claimed; RCPTS is an array that the caller frees. */
static enum rc
take_claim(const struct proto_msg *msg, struct vault_claim *claim, const char ***rcpts,
	struct err *err)
{
	size_t n = proto_count(msg, TAG_CLAIM_RCPT);

	*rcpts = calloc(n + 1, sizeof(**rcpts));
	if (!*rcpts)
		return err_set(err, ERR_MEMORY, "claim");
	for (size_t i = 0; i < n; i++)
		(*rcpts)[i] = (const char *)proto_at(msg, TAG_CLAIM_RCPT, i)->data;
	claim->qid = proto_text(msg, TAG_CLAIM_QID);
	claim->sender = proto_text(msg, TAG_CLAIM_SENDER);
	claim->identity = proto_text(msg, TAG_CLAIM_IDENTITY);
	claim->rule = proto_text(msg, TAG_CLAIM_RULE);
	claim->recipients = *rcpts;
	claim->n_recipients = n;
	return RC_OK;
}

static enum rc
take_digest(const struct proto_msg *msg, enum digest *digest, struct err *err)
{
	const char *name = proto_text(msg, TAG_DIGEST);

	for (int d = DIGEST_NONE + 1; d < DIGEST_COUNT; d++)
		if (strcmp(digest_name(d), name) == 0) {
			*digest = d;
			return RC_OK;
		}
	return err_set(err, ERR_VAULT_PROTOCOL, "unknown digest \"%s\"", name);
}

static enum rc
take_cipher(const struct proto_msg *msg, enum content_cipher *cipher, struct err *err)
{
	const char *name = proto_text(msg, TAG_CIPHER);

	for (int c = CIPHER_NONE + 1; c < CIPHER_COUNT; c++)
		if (strcmp(content_cipher_name(c), name) == 0) {
			*cipher = c;
			return RC_OK;
		}
	return err_set(err, ERR_VAULT_PROTOCOL, "unknown cipher \"%s\"", name);
}

static enum rc
serve_ping(struct job *job, struct err *err)
{
	return put_plain(job, PROTO_PONG, err);
}

static enum rc
serve_find_signer(struct job *job, struct err *err)
{
	struct keyent *ent;
	struct proto_writer w;
	const unsigned char *der;
	size_t len;
	enum rc rc;

	if (job->peer.role == ROLE_NONE)
		return err_set(err, ERR_VAULT_DENIED, "service %s uses no keys", job->peer.service);
	rc = use_find_signer(
		job->session->vault, job->settings, proto_text(job->msg, TAG_ADDR), &ent, err);
	if (rc)
		return rc;
	proto_begin(&w, job->out, PROTO_SIGNER, job->msg->id);
	proto_put_text(&w, TAG_KEY, ent->key.id);
	der = cert_der(ent->cert.cert, &len);
	proto_put(&w, TAG_CERT, der, len);
	for (size_t i = 0; i < ent->cert.chain.n; i++) {
		der = cert_der(ent->cert.chain.v[i], &len);
		proto_put(&w, TAG_CHAIN, der, len);
	}
	if (ent->encrypt_cert) {
		der = cert_der(ent->encrypt_cert, &len);
		proto_put(&w, TAG_ENCRYPT_CERT, der, len);
	}
	proto_put_text(&w, TAG_DIGEST, digest_name(cms_sign_digest_for(ent->cert.cert)));
	rc = proto_end(&w, err);
	keyent_unref(&ent);
	return rc;
}

static enum rc
serve_holds(struct job *job, struct err *err)
{
	struct proto_writer w;
	bool client_key;
	enum rc rc;

	if (job->peer.role == ROLE_NONE)
		return err_set(err, ERR_VAULT_DENIED, "service %s uses no keys", job->peer.service);
	rc = use_holds(job->session->vault, job->settings, proto_text(job->msg, TAG_ADDR),
		&client_key, err);
	if (rc)
		return rc;
	proto_begin(&w, job->out, PROTO_HELD, job->msg->id);
	proto_put_number(&w, TAG_FLAG, client_key);
	return proto_end(&w, err);
}

static enum rc
serve_sign(struct job *job, struct err *err)
{
	const struct proto_field *value = proto_find(job->msg, TAG_VALUE);
	struct vault_sign_request request = {
		.key_id = proto_text(job->msg, TAG_KEY),
		.value = value->data,
		.signing_time = proto_number(job->msg, TAG_TIME, -1),
		.pss = proto_number(job->msg, TAG_FLAG, 0) != 0,
	};
	struct buf der = BUF_INIT(PROTO_MAX_FRAME / 2);
	const char **rcpts = NULL;
	enum rc rc = take_digest(job->msg, &request.digest, err);

	if (!rc)
		rc = take_claim(job->msg, &request.claim, &rcpts, err);
	if (!rc)
		rc = use_sign(job->session->vault, job->settings, &job->peer, &request, value->len,
			&der, err);
	if (!rc)
		rc = put_data(job, PROTO_SIGNED, der.data, der.len, err);
	free(rcpts);
	buf_fini(&der);
	return rc;
}

static enum rc
serve_match(struct job *job, struct err *err)
{
	size_t n = proto_count(job->msg, TAG_CANDIDATE), index = 0;
	struct candidate *v = calloc(n, sizeof(*v));
	struct proto_writer w;
	enum rc rc = v ? RC_OK : err_set(err, ERR_MEMORY, "match");

	for (size_t i = 0; !rc && i < n; i++) {
		const struct proto_field *field = proto_at(job->msg, TAG_CANDIDATE, i);

		v[i] = (struct candidate){field->data[0] == 's', field->data + 1, field->len - 1};
		if (field->data[0] != 's' && (field->data[0] != 'i' || v[i].len != SHA256_SIZE))
			rc = err_set(
				err, ERR_VAULT_PROTOCOL, "a candidate of kind %d", field->data[0]);
	}
	if (!rc)
		rc = use_match(job->session->vault, job->settings, &job->peer,
			proto_text(job->msg, TAG_ADDR), v, n, &index, err);
	free(v);
	if (rc)
		return rc;
	proto_begin(&w, job->out, PROTO_MATCHED, job->msg->id);
	proto_put_number(&w, TAG_INDEX, (int64_t)index);
	return proto_end(&w, err);
}

static enum rc
serve_open(struct job *job, struct err *err)
{
	const struct proto_field *rinfo = proto_find(job->msg, TAG_RINFO);
	int64_t index = proto_number(job->msg, TAG_INDEX, 0);
	struct open_request request = {
		.der = rinfo->data,
		.len = rinfo->len,
		.index = (unsigned)index,
		.recipient = proto_text(job->msg, TAG_ADDR),
	};
	const char **rcpts = NULL;
	struct secret *cek = NULL;
	enum rc rc = take_cipher(job->msg, &request.cipher, err);

	if (!rc && (index < 0 || index > 65535))
		rc = err_set(
			err, ERR_VAULT_PROTOCOL, "key %lld of a RecipientInfo", (long long)index);
	if (!rc)
		rc = take_claim(job->msg, &request.claim, &rcpts, err);
	if (!rc)
		rc = use_open(job->session->vault, job->settings, &job->peer, &request, &cek, err);
	if (!rc)
		rc = put_data(job, PROTO_OPENED, secret_data(cek), secret_len(cek), err);
	free(rcpts);
	secret_free(&cek);
	return rc;
}

static enum rc
serve_record(struct job *job, struct err *err)
{
	struct vault_claim claim = {0};
	const char **rcpts = NULL;
	enum rc rc = take_claim(job->msg, &claim, &rcpts, err);

	if (!rc)
		rc = use_record(job->session->vault, &job->peer, proto_text(job->msg, TAG_EVENT),
			&claim, proto_text(job->msg, TAG_JSON), err);
	free(rcpts);
	return rc ? rc : put_plain(job, PROTO_DONE, err);
}

static enum rc
serve_admin(struct job *job, struct err *err)
{
	const struct proto_field *json = proto_find(job->msg, TAG_JSON),
				 *blob = proto_find(job->msg, TAG_BLOB);
	struct session *session = job->session;
	struct buf answer = BUF_INIT(4u << 20);
	struct secret *secret = NULL;
	struct proto_writer w;
	enum rc rc = blob ? secret_copy(blob->data, blob->len, &secret, err) : RC_OK;

	if (!rc)
		rc = admin_run(session->vault,
			settings_rights(job->settings, (uid_t)session->uid, geteuid()),
			session->uid, session->pid, (const char *)json->data, json->len, secret,
			&answer, err);
	if (!rc) {
		proto_begin(&w, job->out, PROTO_ANSWER, job->msg->id);
		proto_put_text(&w, TAG_JSON, buf_text(&answer));
		rc = proto_end(&w, err);
	}
	secret_free(&secret);
	buf_fini(&answer);
	return rc;
}

static enum rc (*const services[PROTO_TYPES])(struct job *job, struct err *err) = {
	[PROTO_PING] = serve_ping,
	[PROTO_FIND_SIGNER] = serve_find_signer,
	[PROTO_HOLDS] = serve_holds,
	[PROTO_SIGN] = serve_sign,
	[PROTO_MATCH] = serve_match,
	[PROTO_OPEN] = serve_open,
	[PROTO_RECORD] = serve_record,
};

/* May this peer speak for SERVICE? Its own uid may, and an operator who may process messages by
 * hand. */
static enum rc
check_peer(const struct session *session, const struct settings *settings, const char *name,
	const struct service **out, struct err *err)
{
	const struct service *service = settings_service(settings, name);
	uid_t uid = (uid_t)session->uid;

	*out = service;
	if (!service)
		return err_set(err, ERR_VAULT_DENIED, "no service \"%s\"", name);
	if (service->has_uid && service->uid == uid)
		return RC_OK;
	/* No uid is the vault's own here: what it may as an operator is said in the configuration
	 * or not at all. */
	if (settings_rights(settings, uid, (uid_t)-1) & RIGHT_PROCESS)
		return RC_OK;
	return err_set(
		err, ERR_VAULT_DENIED, "uid %u is not the user of service %s", (unsigned)uid, name);
}

/* The first frame. A wrong one is answered, and then it is over. */
static enum rc
serve_hello(struct session *session, const struct settings *settings, const struct proto_msg *msg,
	struct buf *out, struct err *err)
{
	const char *name = proto_text(msg, TAG_SERVICE), *role = proto_text(msg, TAG_ROLE);
	const struct service *service = NULL;
	struct proto_writer w;
	enum rc rc = RC_OK;

	if (proto_number(msg, TAG_VERSION, 0) != PROTO_VERSION)
		rc = err_set(err, ERR_VAULT_PROTOCOL, "version %lld, this vault speaks %d",
			(long long)proto_number(msg, TAG_VERSION, 0), PROTO_VERSION);
	else if (session->admin && (strcmp(name, "admin") != 0 || strcmp(role, "admin") != 0))
		rc = err_set(err, ERR_VAULT_DENIED, "the admin socket is not for services");
	else if (session->admin && !settings_rights(settings, (uid_t)session->uid, geteuid()))
		rc = err_set(
			err, ERR_VAULT_DENIED, "uid %lld is no operator", (long long)session->uid);
	else if (!session->admin)
		rc = check_peer(session, settings, name, &service, err);
	if (!rc && service && strcmp(service->role_name, role) != 0)
		rc = err_set(err, ERR_VAULT_DENIED, "service %s has role %s, not %s", name,
			service->role_name, role);
	if (rc)
		return rc;
	strcpy(session->service, name);
	proto_begin(&w, out, PROTO_WELCOME, msg->id);
	proto_put_number(&w, TAG_VERSION, PROTO_VERSION);
	proto_put_text(&w, TAG_ROLE, role);
	return proto_end(&w, err);
}

/* A request after HELLO. What the service is, is asked anew each time: a reload counts at once. */
static enum rc
serve_request(struct session *session, const struct settings *settings, const struct proto_msg *msg,
	struct buf *out, struct err *err)
{
	struct job job = {session, settings, msg,
		{.service = session->service, .uid = session->uid, .pid = session->pid}, out};
	const struct service *service;
	enum rc rc;

	if (session->admin)
		return serve_admin(&job, err);
	rc = check_peer(session, settings, session->service, &service, err);
	if (rc)
		return rc;
	job.peer.role = service->role;
	return services[msg->type](&job, err);
}

/* Which frames may come now? */
static bool
is_expected(const struct session *session, enum proto_type type)
{
	if (!session->service[0])
		return type == PROTO_HELLO;
	return session->admin ? type == PROTO_ADMIN : services[type] != NULL;
}

enum rc
session_serve(struct session *session, const void *frame, size_t len, struct buf *out)
{
	struct settings *settings;
	struct err err = ERR_INIT, ignored = ERR_INIT;
	struct proto_msg msg;
	size_t before = out->len;
	enum rc rc = proto_parse(frame, len, &msg, &err);

	if (!rc && !is_expected(session, msg.type)) {
		rc = err_set(&err, ERR_VAULT_PROTOCOL, "frame \"%s\" out of place",
			proto_type_name(msg.type));
		proto_msg_fini(&msg);
	}
	if (rc) {
		session_log_broken(session, &err);
		return rc;
	}
	settings = vault_settings(session->vault);
	__atomic_store_n(&session->busy, true, __ATOMIC_RELAXED);
	if (!session->service[0]) {
		rc = serve_hello(session, settings, &msg, out, &err);
		if (rc) {
			session->closing = true;
			log_error(LOGL_WARN, NULL, "vault-hello-refused", &err, "uid",
				LOG_NUM(session->uid), "pid", LOG_NUM(session->pid), NULL);
		}
	} else {
		rc = serve_request(session, settings, &msg, out, &err);
	}
	__atomic_store_n(&session->busy, false, __ATOMIC_RELAXED);
	settings_unref(&settings);
	if (rc) {
		/* Half an answer is none. */
		out->len = before;
		if (rc == RC_NONE) {
			struct proto_writer w;

			proto_begin(&w, out, PROTO_NONE, msg.id);
			rc = proto_end(&w, &ignored);
		} else {
			if (err.code == ERR_KEYSTORE || err.code == ERR_KEYSTORE_TAMPERED ||
				err.code == ERR_LEDGER)
				log_error(LOGL_ERROR, NULL, "vault-trouble", &err, "request",
					proto_type_name(msg.type), NULL);
			rc = proto_put_error(out, msg.id, &err, &ignored);
		}
	}
	proto_msg_fini(&msg);
	return rc;
}
