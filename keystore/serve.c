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

/* A frame without fields. */
static enum rc
put_plain(struct task *task, struct buf *out, enum proto_type type, struct err *err)
{
	struct proto_writer w;

	proto_begin(&w, out, type, task->msg.id);
	return proto_end(&w, err);
}

static enum rc
put_data(struct task *task, struct buf *out, enum proto_type type, const void *data, size_t len,
	struct err *err)
{
	struct proto_writer w;

	proto_begin(&w, out, type, task->msg.id);
	proto_put(&w, TAG_DATA, data, len);
	return proto_end(&w, err);
}

/* What is claimed. */
static enum rc
take_claim(struct task *task, struct vault_claim *claim, struct err *err)
{
	const struct proto_msg *msg = &task->msg;
	size_t n = proto_count(msg, TAG_CLAIM_RCPT);
	const struct proto_field *first = proto_find(msg, TAG_CLAIM_RCPT);

	task->rcpts = n <= TASK_FEW ? task->few : calloc(n, sizeof(*task->rcpts));
	if (!task->rcpts)
		return err_set(err, ERR_MEMORY, "claim");
	for (size_t i = 0; i < n; i++) /* they stand together */
		task->rcpts[i] = (const char *)first[i].data;
	claim->qid = proto_text(msg, TAG_CLAIM_QID);
	claim->sender = proto_text(msg, TAG_CLAIM_SENDER);
	claim->identity = proto_text(msg, TAG_CLAIM_IDENTITY);
	claim->rule = proto_text(msg, TAG_CLAIM_RULE);
	claim->recipients = task->rcpts;
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
serve_ping(struct task *task, struct buf *out, struct err *err)
{
	return put_plain(task, out, PROTO_PONG, err);
}

static enum rc
serve_find_signer(struct task *task, struct buf *out, struct err *err)
{
	struct keyent *ent;
	struct store_person owner;
	struct proto_writer w;
	const unsigned char *der;
	size_t len;
	enum rc rc;

	if (task->peer.role == ROLE_NONE)
		return err_set(
			err, ERR_VAULT_DENIED, "service %s uses no keys", task->peer.service);
	rc = use_find_signer(
		task->session->vault, task->settings, proto_text(&task->msg, TAG_ADDR), &ent, err);
	if (!rc)
		rc = store_get_person(
			vault_store(task->session->vault), ent->key.person, &owner, err);
	if (rc) {
		keyent_unref(&ent);
		return rc;
	}
	proto_begin(&w, out, PROTO_SIGNER, task->msg.id);
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
	proto_put_number(&w, TAG_FLAG, owner.kind == PERSON_HUMAN);
	rc = proto_end(&w, err);
	keyent_unref(&ent);
	return rc;
}

static enum rc
serve_holds(struct task *task, struct buf *out, struct err *err)
{
	struct proto_writer w;
	bool client_key;
	enum rc rc;

	if (task->peer.role == ROLE_NONE)
		return err_set(
			err, ERR_VAULT_DENIED, "service %s uses no keys", task->peer.service);
	rc = use_holds(task->session->vault, task->settings, proto_text(&task->msg, TAG_ADDR),
		&client_key, err);
	if (rc)
		return rc;
	proto_begin(&w, out, PROTO_HELD, task->msg.id);
	proto_put_number(&w, TAG_FLAG, client_key);
	return proto_end(&w, err);
}

static enum rc
begin_sign(struct task *task, struct ledger_group *group, struct err *err)
{
	const struct proto_field *value = proto_find(&task->msg, TAG_VALUE);
	struct vault_sign_request *request = &task->sign;
	enum rc rc;

	*request = (struct vault_sign_request){
		.key_id = proto_text(&task->msg, TAG_KEY),
		.value = value->data,
		.signing_time = proto_number(&task->msg, TAG_TIME, -1),
		.pss = proto_number(&task->msg, TAG_FLAG, 0) != 0,
	};
	rc = take_digest(&task->msg, &request->digest, err);
	if (!rc)
		rc = take_claim(task, &request->claim, err);
	return rc ? rc
		  : use_sign_begin(&task->use, task->session->vault, task->settings, &task->peer,
			    request, value->len, group, err);
}

static enum rc
serve_sign(struct task *task, struct buf *out, struct err *err)
{
	struct proto_writer w;
	size_t start;
	enum rc rc;

	proto_begin(&w, out, PROTO_SIGNED, task->msg.id);
	start = proto_open(&w, TAG_DATA);
	rc = use_sign_end(&task->use, &task->sign, out, err);
	if (rc)
		return rc; /* what is begun is taken back by task_end */
	proto_close(&w, TAG_DATA, start);
	return proto_end(&w, err);
}

static enum rc
serve_match(struct task *task, struct buf *out, struct err *err)
{
	size_t n = proto_count(&task->msg, TAG_CANDIDATE), index = 0;
	struct candidate *v = calloc(n, sizeof(*v));
	struct proto_writer w;
	enum rc rc = v ? RC_OK : err_set(err, ERR_MEMORY, "match");

	for (size_t i = 0; !rc && i < n; i++) {
		const struct proto_field *field = proto_at(&task->msg, TAG_CANDIDATE, i);

		v[i] = (struct candidate){field->data[0] == 's', field->data + 1, field->len - 1};
		if (field->data[0] != 's' && (field->data[0] != 'i' || v[i].len != SHA256_SIZE))
			rc = err_set(
				err, ERR_VAULT_PROTOCOL, "a candidate of kind %d", field->data[0]);
	}
	if (!rc)
		rc = use_match(task->session->vault, task->settings, &task->peer,
			proto_text(&task->msg, TAG_ADDR), v, n, &index, err);
	free(v);
	if (rc)
		return rc;
	proto_begin(&w, out, PROTO_MATCHED, task->msg.id);
	proto_put_number(&w, TAG_INDEX, (int64_t)index);
	return proto_end(&w, err);
}

static enum rc
begin_open(struct task *task, struct ledger_group *group, struct err *err)
{
	const struct proto_field *rinfo = proto_find(&task->msg, TAG_RINFO);
	int64_t index = proto_number(&task->msg, TAG_INDEX, 0);
	struct open_request *request = &task->open;
	enum rc rc;

	*request = (struct open_request){
		.der = rinfo->data,
		.len = rinfo->len,
		.index = (unsigned)index,
		.recipient = proto_text(&task->msg, TAG_ADDR),
	};
	rc = take_cipher(&task->msg, &request->cipher, err);
	if (!rc && (index < 0 || index > 65535))
		rc = err_set(
			err, ERR_VAULT_PROTOCOL, "key %lld of a RecipientInfo", (long long)index);
	if (!rc)
		rc = take_claim(task, &request->claim, err);
	return rc ? rc
		  : use_open_begin(&task->use, task->session->vault, task->settings, &task->peer,
			    request, group, err);
}

static enum rc
serve_open(struct task *task, struct buf *out, struct err *err)
{
	struct secret *cek = NULL;
	enum rc rc = use_open_end(&task->use, &task->open, &cek, err);

	if (!rc)
		rc = put_data(task, out, PROTO_OPENED, secret_data(cek), secret_len(cek), err);
	secret_free(&cek);
	return rc;
}

static enum rc
serve_record(struct task *task, struct buf *out, struct err *err)
{
	struct vault_claim claim = {0};
	enum rc rc = take_claim(task, &claim, err);

	if (!rc)
		rc = use_record(task->session->vault, &task->peer,
			proto_text(&task->msg, TAG_EVENT), &claim, proto_text(&task->msg, TAG_JSON),
			err);
	return rc ? rc : put_plain(task, out, PROTO_DONE, err);
}

static enum rc
serve_admin(struct task *task, struct buf *out, struct err *err)
{
	const struct proto_field *json = proto_find(&task->msg, TAG_JSON),
				 *blob = proto_find(&task->msg, TAG_BLOB);
	struct session *session = task->session;
	struct buf answer = BUF_INIT(4u << 20);
	struct secret *secret = NULL, *result = NULL;
	struct proto_writer w;
	enum rc rc = blob ? secret_copy(blob->data, blob->len, &secret, err) : RC_OK;

	if (!rc)
		rc = admin_run(session->vault,
			&(struct admin_asked){
				settings_rights(task->settings, (uid_t)session->uid, geteuid()),
				session->uid, session->pid, (const char *)json->data, json->len,
				secret},
			&answer, &result, err);
	if (!rc) {
		proto_begin(&w, out, PROTO_ANSWER, task->msg.id);
		proto_put_text(&w, TAG_JSON, buf_text(&answer));
		if (result)
			proto_put(&w, TAG_BLOB, secret_data(result), secret_len(result));
		rc = proto_end(&w, err);
	}
	secret_free(&result);
	secret_free(&secret);
	buf_fini(&answer);
	return rc;
}

static enum rc (*const services[PROTO_TYPES])(
	struct task *task, struct buf *out, struct err *err) = {
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
serve_hello(struct task *task, struct buf *out, struct err *err)
{
	struct session *session = task->session;
	const struct settings *settings = task->settings;
	const char *name = proto_text(&task->msg, TAG_SERVICE),
		   *role = proto_text(&task->msg, TAG_ROLE);
	int64_t version = proto_number(&task->msg, TAG_VERSION, 0);
	const struct service *service = NULL;
	struct proto_writer w;
	enum rc rc = RC_OK;

	if (version != PROTO_VERSION)
		rc = err_set(err, ERR_VAULT_PROTOCOL, "version %lld, this vault speaks %d",
			(long long)version, PROTO_VERSION);
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
	proto_begin(&w, out, PROTO_WELCOME, task->msg.id);
	proto_put_number(&w, TAG_VERSION, PROTO_VERSION);
	proto_put_text(&w, TAG_ROLE, role);
	return proto_end(&w, err);
}

/* Which frames may come now? */
static bool
is_expected(const struct session *session, enum proto_type type)
{
	if (!session->service[0])
		return type == PROTO_HELLO;
	return session->admin ? type == PROTO_ADMIN : services[type] != NULL;
}

/* After HELLO. What the service is, is asked anew each time: a reload counts at once. */
static enum rc
begin_request(struct task *task, struct ledger_group *group, struct err *err)
{
	struct session *session = task->session;
	const struct service *service;
	enum rc rc;

	task->peer = (struct peer){
		.service = session->service, .uid = session->uid, .pid = session->pid};
	if (session->admin)
		return RC_OK;
	rc = check_peer(session, task->settings, session->service, &service, err);
	if (rc)
		return rc;
	task->peer.role = service->role;
	if (task->msg.type == PROTO_SIGN)
		return begin_sign(task, group, err);
	return task->msg.type == PROTO_OPEN ? begin_open(task, group, err) : RC_OK;
}

void
task_begin(struct task *task, struct session *session, const struct settings *settings,
	const void *frame, size_t len, struct ledger_group *group)
{
	task->session = session;
	task->settings = settings;
	task->rcpts = NULL;
	task->use = (struct use){0};
	err_clear(&task->err);
	task->rc = proto_parse(frame, len, &task->msg, &task->err);
	task->broken = task->rc != RC_OK;
	if (!task->rc && !is_expected(session, task->msg.type)) {
		task->rc = err_set(&task->err, ERR_VAULT_PROTOCOL, "frame \"%s\" out of place",
			proto_type_name(task->msg.type));
		task->broken = true;
	}
	if (!task->rc && session->service[0])
		task->rc = begin_request(task, group, &task->err);
}

unsigned
task_cost(const struct task *task)
{
	if (task->rc)
		return 1;
	switch (task->msg.type) {
	case PROTO_SIGN:
	case PROTO_OPEN:
		return keyent_cost(task->use.ent);
	case PROTO_FIND_SIGNER:
		return 16;
	case PROTO_MATCH:
		return 1 + (unsigned)(task->msg.n / 4);
	case PROTO_ADMIN:
		return 1000;
	default:
		return 1;
	}
}

void
task_drop(struct task *task)
{
	use_fini(&task->use);
	if (task->rcpts != task->few)
		free(task->rcpts);
	task->rcpts = NULL;
	proto_msg_fini(&task->msg);
}

/* The second half of what can be answered at all. */
static enum rc
serve(struct task *task, struct buf *out, struct err *err)
{
	enum rc rc;

	if (task->session->service[0])
		return task->session->admin ? serve_admin(task, out, err)
					    : services[task->msg.type](task, out, err);
	rc = serve_hello(task, out, err);
	if (rc) {
		task->session->closing = true;
		log_error(LOGL_WARN, NULL, "vault-hello-refused", err, "uid",
			LOG_NUM(task->session->uid), "pid", LOG_NUM(task->session->pid), NULL);
	}
	return rc;
}

/* The answer to a request that has none, or cannot be fulfilled. */
static enum rc
put_refusal(struct task *task, enum rc rc, struct buf *out)
{
	struct err *err = &task->err, ignored = ERR_INIT;
	struct proto_writer w;

	if (rc == RC_NONE) {
		proto_begin(&w, out, PROTO_NONE, task->msg.id);
		return proto_end(&w, &ignored);
	}
	if (err->code == ERR_KEYSTORE || err->code == ERR_KEYSTORE_TAMPERED ||
		err->code == ERR_LEDGER)
		log_error(LOGL_ERROR, NULL, "vault-trouble", err, "request",
			proto_type_name(task->msg.type), NULL);
	return proto_put_error(out, task->msg.id, err, &ignored);
}

enum rc
task_end(struct task *task, enum rc written, const struct err *why, struct buf *out)
{
	size_t before = out->len;
	enum rc rc = task->rc;

	if (task->broken) {
		session_log_broken(task->session, &task->err);
		task_drop(task);
		return rc;
	}
	if (!rc && task->use.ent && written)
		rc = err_set(&task->err, why->code, "%s", why->detail);
	if (!rc)
		rc = serve(task, out, &task->err);
	if (rc) {
		out->len = before; /* half an answer is none */
		rc = put_refusal(task, rc, out);
	}
	task_drop(task);
	return rc;
}
