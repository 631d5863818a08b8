/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_publish.c - which certificates belong into the directory, person by person
 *
 * Only keys that open are published: what somebody finds there is to be encrypted to. Of an active
 * key it is the newest certificate, whether its time has come or not; of a retired one it stays for
 * publish.grace_days, as it does after it has expired. What is revoked goes at once.
 */
#include "keystore/admin_ca.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "message/b64.h"

#define PERSONS_MAX 20 /* of one answer */
#define ASKED_MAX   200
#define VALUE_MAX   (256u << 10)

struct person_page {
	char (*ids)[STORE_ID_SIZE];
	size_t n, max;
	char last[STORE_ID_SIZE];
};

static enum rc
collect_person(void *ctx, const struct store_person *person, struct err *err)
{
	struct person_page *page = ctx;

	(void)err;
	strcpy(page->last, person->id);
	if (person->kind != PERSON_ORGANISATION)
		strcpy(page->ids[page->n++], person->id);
	return RC_OK;
}

struct publishing {
	struct admin *a;
	int64_t now, grace;
	const struct store_key *key;
	char newest[2 * SHA256_SIZE + 1];
	int64_t newest_from;
	enum rc rc;
};

/* BYTES as base64 under NAME. */
static enum rc
put_base64(struct admin *a, const char *name, const void *bytes, size_t len, struct err *err)
{
	char *text = malloc((len + 2) / 3 * 4 + 1);

	if (!text)
		return err_set(err, ERR_MEMORY, "certificate");
	text[b64_encode(bytes, len, text)] = 0;
	json_str(a->out, name, text);
	free(text);
	return RC_OK;
}

static enum rc
put_cert(struct admin *a, const char *sha256, bool want, struct err *err)
{
	struct store_cert cert;
	struct certset all = {0};
	struct buf p7 = BUF_INIT(VALUE_MAX);
	const unsigned char *der;
	size_t len;
	enum rc rc = store_get_cert(vault_store(a->vault), sha256, &cert, err);

	if (rc)
		return rc == RC_NONE ? err_set(err, ERR_KEYSTORE_TAMPERED, "a certificate is gone")
				     : rc;
	rc = certset_add(&all, cert.cert, err);
	for (size_t i = 0; !rc && i < cert.chain.n; i++)
		rc = certset_add(&all, cert.chain.v[i], err);
	if (!rc)
		rc = certset_format_p7(&all, &p7, err);
	der = cert_der(cert.cert, &len);
	json_object(a->out, NULL);
	json_str(a->out, "sha256", sha256);
	json_bool(a->out, "want", want);
	if (!rc)
		rc = put_base64(a, "der", der, len, err);
	if (!rc)
		rc = put_base64(a, "p7", p7.data, p7.len, err);
	json_object_end(a->out);
	certset_fini(&all);
	store_cert_fini(&cert);
	buf_fini(&p7);
	return rc;
}

static enum rc
pick_newest(void *ctx, const struct store_cert *cert, struct err *err)
{
	struct publishing *p = ctx;
	struct store_revocation revoked;
	enum rc rc = store_get_revocation(vault_store(p->a->vault), cert->sha256, &revoked, err);

	if (rc == RC_NONE && cert->not_after + p->grace >= p->now &&
		(!p->newest[0] || cert->not_before > p->newest_from)) {
		memcpy(p->newest, cert->sha256, sizeof(p->newest));
		p->newest_from = cert->not_before;
		p->rc = cert->not_after >= p->now ? RC_OK : RC_NONE; /* expired: may stay */
	}
	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc
each_key(void *ctx, const struct store_key *key, struct err *err)
{
	struct publishing *p = ctx;
	bool active = key->status == KEY_ACTIVE;
	enum rc rc;

	if (key->purpose == PURPOSE_CA || !(key->purpose & PURPOSE_OPEN) ||
		key->status == KEY_REVOKED || key->status == KEY_DESTROYED ||
		(!active && key->changed + p->grace < p->now))
		return RC_OK;
	p->newest[0] = 0;
	rc = store_list_certs(vault_store(p->a->vault), key->id, pick_newest, p, err);
	if (rc || !p->newest[0])
		return rc;
	return put_cert(p->a, p->newest, active && p->rc == RC_OK, err);
}

/* Addresses that were this person's and are nobody's now: what is left there goes. */
static enum rc
put_former(void *ctx, const struct store_addr *addr, struct err *err)
{
	struct admin *a = ctx;
	struct store_addr now;
	enum rc rc;

	if (!addr->until || addr->until > clock_now())
		return RC_OK;
	rc = store_find_addr(vault_store(a->vault), addr->addr, clock_now(), &now, err);
	if (rc == RC_NONE)
		json_str(a->out, NULL, addr->addr);
	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc
put_person(struct publishing *p, const char *id, struct err *err)
{
	struct admin *a = p->a;
	struct store_person person;
	enum rc rc = store_get_person(vault_store(a->vault), id, &person, err);

	json_object(a->out, NULL);
	json_str(a->out, "person", id);
	if (!rc)
		rc = admin_put_addrs(a, id, err);
	json_array(a->out, "former");
	if (!rc)
		rc = store_list_addrs(vault_store(a->vault), id, put_former, a, err);
	json_array_end(a->out);
	json_array(a->out, "certificates");
	/* Nobody should encrypt to who has left. */
	if (!rc && store_person_is_present(&person, p->now))
		rc = store_list_keys(
			vault_store(a->vault), id, "", STORE_MAX_ROWS, each_key, p, err);
	json_array_end(a->out);
	json_object_end(a->out);
	return rc;
}

enum rc
admin_publish_list(struct admin *a, struct err *err)
{
	const char *after = json_get_text(a->request, "after");
	struct person_page page = {.max = PERSONS_MAX};
	struct publishing p = {.a = a,
		.now = clock_now(),
		.grace =
			conf_int(conf_section(a->settings->conf, "publish"), "grace_days") * 86400};
	char addr[ADDR_MAX + 1];
	struct store_addr row;
	enum rc rc = RC_OK;

	page.ids = calloc(PERSONS_MAX, sizeof(*page.ids));
	if (!page.ids)
		return err_set(err, ERR_MEMORY, "persons");
	if (json_find(a->request, "addr")) {
		rc = admin_addr(a, "addr", addr, err);
		if (!rc)
			rc = store_find_addr(vault_store(a->vault), addr, clock_now(), &row, err);
		if (rc == RC_NONE)
			rc = err_set(err, ERR_VAULT_NO_KEY, "nobody has the address %s", addr);
		if (!rc)
			strcpy(page.ids[page.n++], row.person);
	} else {
		rc = store_list_persons(vault_store(a->vault), after ? after : "", PERSONS_MAX,
			collect_person, &page, err);
	}
	json_array(a->out, "persons");
	for (size_t i = 0; !rc && i < page.n; i++)
		rc = put_person(&p, page.ids[i], err);
	json_array_end(a->out);
	/* Whoever is last may be the organisation itself; an empty page is the end. */
	json_str(a->out, "next", page.last[0] ? page.last : NULL);
	free(page.ids);
	return rc;
}

/* Which of these certificates belong to keys of the vault. */
enum rc
admin_publish_ours(struct admin *a, struct err *err)
{
	const struct json_value *asked = json_find(a->request, "sha256");
	enum rc rc = RC_OK;

	if (!asked || json_type(asked) != JSON_ARRAY || json_count(asked) > ASKED_MAX)
		return err_set(err, ERR_USAGE, "\"sha256\" is no list of at most %d", ASKED_MAX);
	json_array(a->out, "ours");
	for (size_t i = 0; !rc && i < json_count(asked); i++) {
		const char *sha256 = json_text(json_at(asked, i));
		struct store_cert cert;

		if (!sha256)
			continue;
		rc = store_get_cert(vault_store(a->vault), sha256, &cert, err);
		if (!rc) {
			json_str(a->out, NULL, sha256);
			store_cert_fini(&cert);
		}
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	json_array_end(a->out);
	return rc;
}
