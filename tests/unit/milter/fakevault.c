/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/milter/fakevault.h"

#include "base/clock.h"
#include "crypto/cms_sign.h"
#include "crypto/issue.h"
#include "message/addr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_person fake_people[8];
unsigned fake_calls[FAKE_N];
enum errcode fake_fail[FAKE_N];
int64_t fake_signing_time;
char fake_event[32];

struct vault_client {
	int unused;
};

static void
must(enum rc rc, const struct err *err)
{
	if (rc != RC_OK) {
		fprintf(stderr, "fake vault: %s\n", err->detail);
		abort();
	}
}

void
fake_make(struct fake_person *person, const char *addr, const struct fake_person *ca)
{
	struct issue_request request = {.common_name = addr ? addr : "Test CA",
		.addr = addr,
		.not_before = clock_now() - 86400,
		.not_after = clock_now() + 86400,
		.use = addr ? CERT_SIGN | CERT_ENCRYPT : 0};
	struct buf spki = BUF_INIT(0);
	struct err err = ERR_INIT;

	*person = (struct fake_person){.addr = addr};
	must(pkey_generate("p256", &person->key, &err), &err);
	if (!ca) {
		must(issue_root(person->key, &request, &person->cert, &err), &err);
		return;
	}
	must(pkey_public(person->key, &spki, &err), &err);
	must(issue_leaf(ca->key, ca->cert, spki.data, spki.len, &request, &person->cert, &err),
		&err);
	buf_fini(&spki);
}

void
fake_free(struct fake_person *person)
{
	pkey_unref(&person->key);
	cert_unref(&person->cert);
	memset(person, 0, sizeof(*person));
}

void
fake_reset(void)
{
	memset(fake_calls, 0, sizeof(fake_calls));
	memset(fake_fail, 0, sizeof(fake_fail));
	fake_signing_time = 0;
	fake_event[0] = '\0';
}

static enum rc
called(enum fake_call call, struct err *err)
{
	fake_calls[call]++;
	return fake_fail[call] ? err_set(err, fake_fail[call], "made to fail") : RC_OK;
}

static struct fake_person *
find(const char *addr)
{
	for (size_t i = 0; i < sizeof(fake_people) / sizeof(*fake_people); i++)
		if (fake_people[i].addr && addr_equal(fake_people[i].addr, addr))
			return &fake_people[i];
	return NULL;
}

enum rc
vault_client_new(
	const struct conf *conf, const char *service, struct vault_client **out, struct err *err)
{
	(void)conf;
	(void)service;
	*out = calloc(1, sizeof(**out));
	return *out ? RC_OK : err_set(err, ERR_MEMORY, "fake");
}

void
vault_client_free(struct vault_client **client)
{
	free(*client);
	*client = NULL;
}

enum rc
vault_find_signer(
	struct vault_client *client, const char *addr, struct vault_signer *out, struct err *err)
{
	struct fake_person *person = find(addr);
	enum rc rc = called(FAKE_FIND, err);

	(void)client;
	memset(out, 0, sizeof(*out));
	if (rc != RC_OK || !person)
		return rc != RC_OK ? rc : RC_NONE;
	snprintf(out->key_id, sizeof(out->key_id), "%.60s", addr);
	out->cert = cert_ref(person->cert);
	out->encrypt_cert = cert_ref(person->cert);
	out->digest = cms_sign_digest_for(person->cert);
	return RC_OK;
}

void
vault_signer_fini(struct vault_signer *signer)
{
	cert_unref(&signer->cert);
	cert_unref(&signer->encrypt_cert);
	certset_fini(&signer->chain);
}

enum rc
vault_holds(struct vault_client *client, const char *addr, bool *client_key, struct err *err)
{
	struct fake_person *person = find(addr);
	enum rc rc = called(FAKE_HOLDS, err);

	(void)client;
	if (rc != RC_OK || !person)
		return rc != RC_OK ? rc : RC_NONE;
	*client_key = person->client_key;
	return RC_OK;
}

enum rc
vault_sign(struct vault_client *client, const struct vault_sign_request *request, struct buf *der,
	struct err *err)
{
	struct fake_person *person = find(request->key_id);
	struct cms_sign_request sign = {.digest = request->digest,
		.value = request->value,
		.signing_time = request->signing_time,
		.pss = request->pss};
	struct certset chain = {0};
	enum rc rc = called(FAKE_SIGN, err);

	(void)client;
	fake_signing_time = request->signing_time;
	return rc == RC_OK ? cms_sign_digest(person->key, person->cert, &chain, &sign, der, err)
			   : rc;
}

enum rc
vault_match(struct vault_client *client, const char *recipient, const struct rinfo *rinfos,
	size_t n, size_t *index, struct err *err)
{
	struct fake_person *person = find(recipient);
	enum rc rc = called(FAKE_MATCH, err);
	const unsigned char *serial, *ski;
	size_t serial_len, ski_len;

	(void)client;
	if (rc != RC_OK || !person)
		return rc != RC_OK ? rc : RC_NONE;
	serial = cert_serial_bytes(person->cert, &serial_len);
	ski = cert_ski(person->cert, &ski_len);
	for (size_t i = 0; i < n; i++) {
		const struct rinfo *r = &rinfos[i];

		if ((r->serial && r->serial_len == serial_len &&
			    memcmp(r->serial, serial, serial_len) == 0) ||
			(r->ski && r->ski_len == ski_len && memcmp(r->ski, ski, ski_len) == 0)) {
			*index = i;
			return RC_OK;
		}
	}
	return RC_NONE;
}

enum rc
vault_open(struct vault_client *client, const struct vault_open_request *request,
	struct secret **cek, struct err *err)
{
	struct fake_person *person = find(request->recipient);
	struct secret *fallback = NULL;
	enum rc rc = called(FAKE_OPEN, err);

	(void)client;
	*cek = NULL;
	if (rc == RC_OK && person->other_cek)
		return secret_random(content_cipher_key_size(request->cipher), cek, err);
	if (rc == RC_OK)
		rc = secret_random(32, &fallback, err);
	if (rc == RC_OK)
		rc = rinfo_open(request->rinfo->der, request->rinfo->der_len, request->rinfo->index,
			request->cipher, person->key, fallback, cek, err);
	secret_free(&fallback);
	return rc;
}

enum rc
vault_record(struct vault_client *client, const char *event, const struct vault_claim *claim,
	const char *json, struct err *err)
{
	(void)client;
	(void)claim;
	(void)json;
	snprintf(fake_event, sizeof(fake_event), "%s", event);
	return called(FAKE_RECORD, err);
}

void
vault_client_hold(struct vault_client *client)
{
	(void)client;
}

void
vault_client_flush(struct vault_client *client)
{
	(void)client;
}

enum rc
vault_ping(struct vault_client *client, struct err *err)
{
	(void)client;
	(void)err;
	return RC_OK;
}
