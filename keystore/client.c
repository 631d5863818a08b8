/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/client.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/json.h"
#include "crypto/digest.h"
#include "keystore/store.h"
#include "keystore/talk.h"

#define CACHE_SLOTS    1024u
#define CACHE_MS       5000
#define MATCH_BATCH    1000
#define NAME_MAX_BYTES 1024 /* of a question whose answer is kept */

/* An answer about an address, kept for a few seconds. One for each slot: a newer one takes its
 * place. */
struct slot {
	char *addr;
	int64_t until;
	enum rc rc;      /* RC_OK or RC_NONE */
	bool client_key; /* holds */
	size_t index;    /* matches */
	struct vault_signer signer;
};

struct vault_client {
	struct links links;
	pthread_mutex_t lock; /* over what follows */
	struct slot signers[CACHE_SLOTS], holds[CACHE_SLOTS], matches[CACHE_SLOTS];
};

enum rc
vault_client_new(
	const struct conf *conf, const char *service, struct vault_client **out, struct err *err)
{
	struct vault_client *client = calloc(1, sizeof(*client));
	enum rc rc;

	*out = NULL;
	if (!client)
		return err_set(err, ERR_MEMORY, "vault client");
	pthread_mutex_init(&client->lock, NULL);
	rc = links_init(&client->links, conf, service, err);
	if (rc)
		vault_client_free(&client);
	*out = client;
	return rc;
}

static void
slot_clear(struct slot *slot)
{
	free(slot->addr);
	vault_signer_fini(&slot->signer);
	*slot = (struct slot){0};
}

void
vault_client_free(struct vault_client **client)
{
	struct vault_client *c = *client;

	*client = NULL;
	if (!c)
		return;
	links_fini(&c->links);
	for (size_t i = 0; i < CACHE_SLOTS; i++) {
		slot_clear(&c->signers[i]);
		slot_clear(&c->holds[i]);
		slot_clear(&c->matches[i]);
	}
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* --- asking --- */

/* A request that is one address or nothing. */
static enum rc
ask_plain(struct talk *talk, struct vault_client *client, enum proto_type type, const char *addr,
	enum proto_type wanted, struct err *err)
{
	struct buf request = BUF_INIT(4096);
	struct proto_writer w;
	enum rc rc;

	proto_begin(&w, &request, type, 0);
	proto_put_text(&w, TAG_ADDR, addr);
	rc = proto_end(&w, err);
	if (!rc)
		rc = talk_ask(talk, &client->links, &request, wanted, err);
	buf_fini(&request);
	return rc;
}

/* --- what is kept for a few seconds --- */

static struct slot *
slot_of(struct slot *slots, const char *addr)
{
	uint32_t hash = 2166136261u;

	for (; *addr; addr++)
		hash = (hash ^ (unsigned char)*addr) * 16777619u;
	return &slots[hash % CACHE_SLOTS];
}

static enum rc
signer_copy(struct vault_signer *to, const struct vault_signer *from, struct err *err)
{
	enum rc rc = RC_OK;

	*to = (struct vault_signer){.digest = from->digest, .personal = from->personal};
	memcpy(to->key_id, from->key_id, sizeof(to->key_id));
	to->cert = from->cert ? cert_ref(from->cert) : NULL;
	to->encrypt_cert = from->encrypt_cert ? cert_ref(from->encrypt_cert) : NULL;
	for (size_t i = 0; !rc && i < from->chain.n; i++)
		rc = certset_add(&to->chain, from->chain.v[i], err);
	if (rc)
		vault_signer_fini(to);
	return rc;
}

/* Is there an answer for ADDR that is fresh? Copies it to FOUND. */
static bool
slot_get(struct vault_client *client, struct slot *slots, const char *addr, struct slot *found)
{
	struct slot *slot = slot_of(slots, addr);
	bool ok;

	pthread_mutex_lock(&client->lock);
	ok = slot->addr && strcmp(slot->addr, addr) == 0 && clock_monotonic_ms() < slot->until;
	if (ok) {
		*found = (struct slot){
			.rc = slot->rc, .client_key = slot->client_key, .index = slot->index};
		ok = signer_copy(&found->signer, &slot->signer, NULL) == RC_OK;
	}
	pthread_mutex_unlock(&client->lock);
	return ok;
}

/* Keeps an answer; that there is no memory for it does not matter. */
static void
slot_put(struct vault_client *client, struct slot *slots, const char *addr, struct slot fresh,
	const struct vault_signer *signer)
{
	struct slot *slot = slot_of(slots, addr);

	fresh.addr = strdup(addr);
	fresh.until = clock_monotonic_ms() + CACHE_MS;
	if (!fresh.addr || (signer && signer_copy(&fresh.signer, signer, NULL))) {
		free(fresh.addr);
		return;
	}
	pthread_mutex_lock(&client->lock);
	slot_clear(slot);
	*slot = fresh;
	pthread_mutex_unlock(&client->lock);
}

/* Key KEY_ID signs no more: whoever has it is asked for anew. */
static void
forget_signer(struct vault_client *client, const char *key_id)
{
	pthread_mutex_lock(&client->lock);
	for (size_t i = 0; i < CACHE_SLOTS; i++)
		if (strcmp(client->signers[i].signer.key_id, key_id) == 0)
			slot_clear(&client->signers[i]);
	pthread_mutex_unlock(&client->lock);
}

/* --- the calls --- */

void
vault_signer_fini(struct vault_signer *signer)
{
	cert_unref(&signer->cert);
	cert_unref(&signer->encrypt_cert);
	certset_fini(&signer->chain);
	signer->key_id[0] = 0;
}

/* What the vault sends is checked like anything from outside. */
static enum rc
read_signer(const struct proto_msg *msg, struct vault_signer *out, struct err *err)
{
	const struct proto_field *field = proto_find(msg, TAG_CERT);
	const char *digest = proto_text(msg, TAG_DIGEST);
	struct cert *cert = NULL;
	enum rc rc;

	strcpy(out->key_id, proto_text(msg, TAG_KEY));
	out->personal = proto_number(msg, TAG_FLAG, 1) != 0;
	for (int d = DIGEST_NONE + 1; d < DIGEST_COUNT; d++)
		if (strcmp(digest_name(d), digest) == 0)
			out->digest = d;
	if (out->digest == DIGEST_NONE)
		return err_set(err, ERR_VAULT_PROTOCOL, "unknown digest \"%s\"", digest);
	rc = cert_parse(field->data, field->len, &out->cert, err);
	for (size_t i = 0; !rc && (field = proto_at(msg, TAG_CHAIN, i)); i++) {
		rc = cert_parse(field->data, field->len, &cert, err);
		if (!rc)
			rc = certset_add(&out->chain, cert, err);
		cert_unref(&cert);
	}
	field = proto_find(msg, TAG_ENCRYPT_CERT);
	if (!rc && field)
		rc = cert_parse(field->data, field->len, &out->encrypt_cert, err);
	return rc == RC_PERM ? err_set(err, ERR_VAULT_PROTOCOL, "a certificate that cannot be read")
			     : rc;
}

enum rc
vault_find_signer(
	struct vault_client *client, const char *addr, struct vault_signer *out, struct err *err)
{
	struct talk talk;
	struct slot found;
	enum rc rc;

	*out = (struct vault_signer){0};
	if (slot_get(client, client->signers, addr, &found)) {
		*out = found.signer; /* the caller's now */
		return found.rc;
	}
	rc = ask_plain(&talk, client, PROTO_FIND_SIGNER, addr, PROTO_SIGNER, err);
	if (rc == RC_NONE)
		slot_put(client, client->signers, addr, (struct slot){.rc = RC_NONE}, NULL);
	if (rc)
		return rc;
	rc = read_signer(&talk.answer, out, err);
	talk_end(&talk);
	if (rc)
		vault_signer_fini(out);
	else
		slot_put(client, client->signers, addr, (struct slot){.rc = RC_OK}, out);
	return rc;
}

enum rc
vault_holds(struct vault_client *client, const char *addr, bool *client_key, struct err *err)
{
	struct talk talk;
	struct slot found;
	enum rc rc;

	*client_key = false;
	if (slot_get(client, client->holds, addr, &found)) {
		*client_key = found.client_key;
		return found.rc;
	}
	rc = ask_plain(&talk, client, PROTO_HOLDS, addr, PROTO_HELD, err);
	if (!rc) {
		*client_key = proto_number(&talk.answer, TAG_FLAG, 0) != 0;
		talk_end(&talk);
	}
	if (rc == RC_OK || rc == RC_NONE)
		slot_put(client, client->holds, addr,
			(struct slot){.rc = rc, .client_key = *client_key}, NULL);
	return rc;
}

/* Claims are cut to what the protocol takes: too many recipients are no reason to defer a message.
 */
static void
put_claim(struct proto_writer *w, const struct vault_claim *claim)
{
	size_t n =
		claim->n_recipients < PROTO_MAX_CLAIMED ? claim->n_recipients : PROTO_MAX_CLAIMED;

	proto_put_text(w, TAG_CLAIM_QID, claim->qid);
	proto_put_text(w, TAG_CLAIM_SENDER, claim->sender);
	proto_put_text(w, TAG_CLAIM_IDENTITY, claim->identity);
	proto_put_text(w, TAG_CLAIM_RULE, claim->rule);
	for (size_t i = 0; i < n; i++)
		proto_put_text(w, TAG_CLAIM_RCPT, claim->recipients[i]);
}

enum rc
vault_sign(struct vault_client *client, const struct vault_sign_request *request, struct buf *der,
	struct err *err)
{
	struct buf frame = BUF_INIT(PROTO_MAX_FRAME);
	const struct proto_field *data;
	struct proto_writer w;
	struct talk talk;
	enum rc rc;

	proto_begin(&w, &frame, PROTO_SIGN, 0);
	proto_put_text(&w, TAG_KEY, request->key_id);
	proto_put_text(&w, TAG_DIGEST, digest_name(request->digest));
	proto_put(&w, TAG_VALUE, request->value, digest_size(request->digest));
	if (request->signing_time >= 0)
		proto_put_number(&w, TAG_TIME, request->signing_time);
	proto_put_number(&w, TAG_FLAG, request->pss);
	put_claim(&w, &request->claim);
	rc = proto_end(&w, err);
	if (!rc)
		rc = talk_ask(&talk, &client->links, &frame, PROTO_SIGNED, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_VAULT_PROTOCOL, "no signature and no error");
	else if (!rc) {
		data = proto_find(&talk.answer, TAG_DATA);
		rc = buf_append(der, data->data, data->len, err);
		talk_end(&talk);
	}
	if (rc && err && err->code == ERR_VAULT_KEY_CHANGED)
		forget_signer(client, request->key_id);
	buf_fini(&frame);
	return rc;
}

static void
put_candidate(struct proto_writer *w, const struct rinfo *rinfo, struct err *err)
{
	unsigned char value[1 + 64] = {0};
	size_t len = SHA256_SIZE;

	if (rinfo->ski_len > 0 && rinfo->ski_len <= 64) {
		value[0] = 's';
		len = rinfo->ski_len;
		memcpy(value + 1, rinfo->ski, len);
	} else {
		/* Nothing that can be found: a value that no certificate has keeps the indices
		 * right. */
		value[0] = 'i';
		if (rinfo->type != RINFO_OTHER && rinfo->issuer_len > 0)
			w->rc = w->rc ? w->rc
				      : store_ident(rinfo->issuer, rinfo->issuer_len, rinfo->serial,
						rinfo->serial_len, value + 1, err);
	}
	proto_put(w, TAG_CANDIDATE, value, 1 + len);
}

/* A name for the question, which says all of it; RC_NONE: it would be too long. */
static enum rc
name_match(const char *recipient, const struct rinfo *rinfos, size_t n, struct buf *name,
	struct err *err)
{
	enum rc rc = buf_append_str(name, recipient, err);

	for (size_t i = 0; !rc && i < n; i++) {
		const struct rinfo *r = &rinfos[i];
		bool known = r->type != RINFO_OTHER;

		if (r->issuer_len + r->serial_len + r->ski_len > NAME_MAX_BYTES ||
			name->len > NAME_MAX_BYTES)
			return RC_NONE;
		rc = buf_append_str(name, r->ski_len ? "\ns" : known ? "\ni" : "\n", err);
		if (!rc)
			rc = r->ski_len ? buf_append_hex(name, r->ski, r->ski_len, err)
					: buf_append_hex(name, r->issuer, r->issuer_len, err);
		if (!rc)
			rc = buf_append_char(name, '.', err);
		if (!rc && !r->ski_len)
			rc = buf_append_hex(name, r->serial, r->serial_len, err);
	}
	return rc;
}

static enum rc
ask_match(struct vault_client *client, const char *recipient, const struct rinfo *rinfos, size_t n,
	size_t *index, struct err *err)
{
	struct buf frame = BUF_INIT(PROTO_MAX_FRAME);
	struct proto_writer w;
	struct talk talk;
	int64_t found;
	enum rc rc;

	proto_begin(&w, &frame, PROTO_MATCH, 0);
	proto_put_text(&w, TAG_ADDR, recipient);
	for (size_t i = 0; i < n; i++)
		put_candidate(&w, &rinfos[i], &w.err);
	rc = proto_end(&w, err);
	if (!rc)
		rc = talk_ask(&talk, &client->links, &frame, PROTO_MATCHED, err);
	if (!rc) {
		found = proto_number(&talk.answer, TAG_INDEX, -1);
		*index = (size_t)found;
		talk_end(&talk);
		if (found < 0 || (size_t)found >= n)
			rc = err_set(err, ERR_VAULT_PROTOCOL, "match with number %lld",
				(long long)found);
	}
	buf_fini(&frame);
	return rc;
}

/* One frame's worth. That a key matches is kept for a few seconds: whether it may be used is
 * decided anew each time, when the vault is asked to open. */
static enum rc
match_some(struct vault_client *client, const char *recipient, const struct rinfo *rinfos, size_t n,
	size_t *index, struct err *err)
{
	struct buf name = BUF_INIT(0);
	struct slot known = {0};
	enum rc rc, named = name_match(recipient, rinfos, n, &name, err);

	if (named == RC_OK && slot_get(client, client->matches, buf_text(&name), &known)) {
		*index = known.index;
		rc = RC_OK;
	} else {
		rc = named == RC_TEMP ? named : ask_match(client, recipient, rinfos, n, index, err);
		if (rc == RC_OK && named == RC_OK)
			slot_put(client, client->matches, buf_text(&name),
				(struct slot){.index = *index}, NULL);
	}
	buf_fini(&name);
	return rc;
}

enum rc
vault_match(struct vault_client *client, const char *recipient, const struct rinfo *rinfos,
	size_t n, size_t *index, struct err *err)
{
	enum rc rc = RC_NONE;

	for (size_t at = 0; rc == RC_NONE && at < n; at += MATCH_BATCH) {
		rc = match_some(client, recipient, rinfos + at,
			n - at < MATCH_BATCH ? n - at : MATCH_BATCH, index, err);
		if (!rc)
			*index += at;
	}
	return rc;
}

enum rc
vault_open(struct vault_client *client, const struct vault_open_request *request,
	struct secret **cek, struct err *err)
{
	struct buf frame = BUF_INIT(PROTO_MAX_FRAME);
	const struct proto_field *data;
	struct proto_writer w;
	struct talk talk;
	enum rc rc;

	*cek = NULL;
	proto_begin(&w, &frame, PROTO_OPEN, 0);
	proto_put_text(&w, TAG_ADDR, request->recipient);
	proto_put_number(&w, TAG_INDEX, request->rinfo->index);
	proto_put_text(&w, TAG_CIPHER, content_cipher_name(request->cipher));
	proto_put(&w, TAG_RINFO, request->rinfo->der, request->rinfo->der_len);
	put_claim(&w, &request->claim);
	rc = proto_end(&w, err);
	if (!rc)
		rc = talk_ask(&talk, &client->links, &frame, PROTO_OPENED, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_VAULT_PROTOCOL, "no key and no error");
	else if (!rc) {
		data = proto_find(&talk.answer, TAG_DATA);
		if (data->len != content_cipher_key_size(request->cipher))
			rc = err_set(
				err, ERR_VAULT_PROTOCOL, "a content key of %zu bytes", data->len);
		else
			rc = secret_copy(data->data, data->len, cek, err);
		talk_end(&talk);
	}
	buf_fini(&frame);
	return rc;
}

void
vault_client_hold(struct vault_client *client)
{
	links_hold(&client->links);
}

void
vault_client_flush(struct vault_client *client)
{
	links_flush(&client->links);
}

enum rc
vault_record(struct vault_client *client, const char *event, const struct vault_claim *claim,
	const char *json, struct err *err)
{
	struct buf frame = BUF_INIT(PROTO_MAX_FRAME);
	struct proto_writer w;
	enum rc rc;

	proto_begin(&w, &frame, PROTO_RECORD, 0);
	proto_put_text(&w, TAG_EVENT, event);
	proto_put_text(&w, TAG_JSON, json);
	put_claim(&w, claim);
	rc = proto_end(&w, err);
	if (!rc)
		rc = links_record(&client->links, &frame, err);
	buf_fini(&frame);
	return rc;
}

enum rc
vault_ping(struct vault_client *client, struct err *err)
{
	struct talk talk;
	enum rc rc = ask_plain(&talk, client, PROTO_PING, NULL, PROTO_PONG, err);

	if (!rc)
		talk_end(&talk);
	return rc == RC_PERM ? err_set(err, ERR_VAULT_DOWN, "the vault does not let us in") : rc;
}
