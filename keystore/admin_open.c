/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_open.c - opening a message for an auditor: an act of two persons
 *
 * The vault never sees the message. It gets the message's RecipientInfos, and what officers approve
 * is one of them, by its SHA-256, with the key that it names: nothing else is opened by that
 * approval. The SHA-256 of the message stands in the request so that the officers know which one is
 * meant; that it belongs to the RecipientInfo is the tool's word.
 */
#include "keystore/approval.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "keystore/admin.h"
#include "keystore/use.h"

#define BLOB_MAX (4u << 20)

enum rc
admin_pack_rinfos(const struct rinfo *rinfos, size_t n, struct secret **blob, struct err *err)
{
	struct buf out = BUF_INIT(BLOB_MAX);
	enum rc rc = RC_OK;

	*blob = NULL;
	for (size_t i = 0; !rc && i < n; i++) {
		if (rinfos[i].type == RINFO_OTHER || rinfos[i].der_len > CMS_MAX_RINFO)
			continue;
		rc = buf_append_u32(&out, rinfos[i].index, err);
		if (!rc)
			rc = buf_append_u32(&out, (unsigned)rinfos[i].der_len, err);
		if (!rc)
			rc = buf_append(&out, rinfos[i].der, rinfos[i].der_len, err);
	}
	if (!rc && out.len == 0)
		rc = err_set(err, ERR_CMS_UNSUPPORTED, "no recipient of a kind that can be opened");
	if (!rc)
		rc = secret_copy(out.data, out.len, blob, err);
	buf_fini(&out);
	return rc;
}

/* What is to be opened, with what. */
struct opening {
	struct open_request request;
	char key[STORE_ID_SIZE];    /* "": none found */
	char person[STORE_ID_SIZE]; /* only keys of this one; "": of anybody */
	char addr[ADDR_MAX + 1];    /* of the key's owner, or "" */
	char rinfo[2 * SHA256_SIZE + 1];
};

static unsigned
u32_at(const unsigned char *p)
{
	return (unsigned)p[0] << 24 | (unsigned)p[1] << 16 | (unsigned)p[2] << 8 | p[3];
}

/* The first key that REQUEST names and that may be used; RC_NONE. */
static enum rc
find_key(struct admin *a, const struct open_request *request, struct opening *o, struct err *err)
{
	char ids[USE_NAMED_KEYS][STORE_ID_SIZE];
	struct err why = ERR_INIT;
	size_t n = 0;
	enum rc rc = use_named_keys(a->vault, request, ids, &n, &why);

	if (rc == RC_PERM)
		return RC_NONE; /* one that cannot be read is not ours */
	if (rc && err)
		*err = why;
	for (size_t i = 0; !rc && i < n; i++) {
		struct store_key key;

		rc = store_get_key(vault_store(a->vault), ids[i], &key, err);
		if (rc == RC_NONE)
			return err_set(err, ERR_KEYSTORE_TAMPERED, "key %s is gone", ids[i]);
		if (rc || key.purpose == PURPOSE_CA || !(key.purpose & PURPOSE_OPEN) ||
			key.status == KEY_DESTROYED ||
			(o->person[0] && strcmp(o->person, key.person) != 0))
			continue;
		strcpy(o->key, key.id);
		return RC_OK;
	}
	return rc ? rc : RC_NONE;
}

/* Goes through the RecipientInfos until one names a key that the vault has. */
static enum rc
choose_rinfo(struct admin *a, struct opening *o, struct err *err)
{
	const unsigned char *p = a->blob ? secret_data(a->blob) : NULL;
	size_t left = a->blob ? secret_len(a->blob) : 0;
	enum rc rc = RC_NONE;

	while (left && rc == RC_NONE) {
		size_t len = left >= 8 ? u32_at(p + 4) : 0;

		if (len == 0 || len > CMS_MAX_RINFO || len > left - 8)
			return err_set(err, ERR_USAGE, "the RecipientInfos are cut off");
		o->request.index = u32_at(p);
		o->request.der = p + 8;
		o->request.len = len;
		rc = find_key(a, &o->request, o, err);
		p += 8 + len;
		left -= 8 + len;
	}
	return rc == RC_NONE ? err_set(err, ERR_VAULT_NO_KEY,
				       "the vault has no key that opens this message")
			     : rc;
}

static enum rc
take_cipher(struct admin *a, struct opening *o, struct err *err)
{
	const char *name = json_get_text(a->request, "cipher");

	for (int c = CIPHER_NONE + 1; name && c < CIPHER_COUNT; c++)
		if (strcmp(content_cipher_name(c), name) == 0) {
			o->request.cipher = c;
			return RC_OK;
		}
	return err_set(err, ERR_USAGE, "no cipher \"%.40s\"", name ? name : "");
}

/* "addr": only this person's keys. */
static enum rc
take_person(struct admin *a, struct opening *o, struct err *err)
{
	char addr[ADDR_MAX + 1];
	struct store_addr row;
	enum rc rc;

	if (!json_find(a->request, "addr"))
		return RC_OK;
	rc = admin_addr(a, "addr", addr, err);
	if (!rc)
		rc = store_find_addr(vault_store(a->vault), addr, clock_now(), &row, err);
	if (rc)
		return rc == RC_NONE ? err_set(err, ERR_VAULT_NO_KEY, "nobody has %s", addr) : rc;
	strcpy(o->person, row.person);
	return RC_OK;
}

static enum rc
take_addr(void *ctx, const struct store_addr *addr, struct err *err)
{
	struct opening *o = ctx;

	(void)err;
	if (!o->addr[0])
		strcpy(o->addr, addr->addr);
	return RC_OK;
}

static enum rc
hash_rinfo(struct opening *o, struct err *err)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	enum rc rc = digest_bytes(DIGEST_SHA256, o->request.der, o->request.len, hash, err);

	for (int i = 0; !rc && i < SHA256_SIZE; i++)
		snprintf(o->rinfo + 2 * i, 3, "%02x", hash[i]);
	return rc;
}

static enum rc
describe(struct admin *a, struct opening *o, struct act *act, struct err *err)
{
	const char *message = json_get_text(a->request, "message");
	struct store_key key;
	enum rc rc;

	if (!message || strlen(message) != 2 * SHA256_SIZE ||
		strspn(message, "0123456789abcdef") != 2 * SHA256_SIZE)
		return err_set(err, ERR_USAGE, "\"message\" is the SHA-256 of the message in hex");
	if (!json_find(a->request, "reason"))
		return err_set(err, ERR_USAGE, "opening a message needs a reason");
	rc = store_get_key(vault_store(a->vault), o->key, &key, err);
	if (!rc)
		rc = hash_rinfo(o, err);
	if (!rc)
		rc = store_list_addrs(vault_store(a->vault), key.person, take_addr, o, err);
	if (rc)
		return rc == RC_NONE ? err_set(err, ERR_INTERNAL, "key %s", o->key) : rc;
	act_put(act, "message", message);
	act_putf(act, "recipient-info", "%s, key %u in it", o->rinfo, o->request.index);
	act_put(act, "cipher", content_cipher_name(o->request.cipher));
	act_putf(act, "times", "up to %d", act->max_uses);
	return approval_describe_key(a, act, &key, err);
}

/* Intent, durable; the key; outcome: as any opening (use.h). */
static enum rc
open_approved(struct admin *a, struct opening *o, struct err *err)
{
	struct peer peer = {.service = "admin", .uid = a->uid, .pid = a->pid};
	const char *recipients[1] = {o->addr};
	struct ledger_group *group = NULL;
	struct use use = {0};
	char detail[64];
	enum rc rc = ledger_group_new(vault_ledger(a->vault), &group, err);

	o->request.claim = (struct vault_claim){
		.rule = "officers", .recipients = recipients, .n_recipients = o->addr[0] != 0};
	snprintf(detail, sizeof(detail), "{\"request\":\"%s\"}", a->approved);
	if (!rc)
		rc = use_open_approved(
			&use, a->vault, &peer, &o->request, o->key, detail, group, err);
	if (!rc)
		rc = ledger_group_write(group, err);
	if (!rc)
		rc = use_open_end(&use, &o->request, &a->result, err);
	use_fini(&use);
	ledger_group_free(&group);
	return rc;
}

enum rc
admin_audit_open(struct admin *a, struct err *err)
{
	struct opening o = {.key = ""};
	struct act act;
	bool go = false;
	enum rc rc;

	act_init(&act, "audit.open", true);
	act.max_uses = APPROVAL_OPENS;
	rc = take_cipher(a, &o, err);
	if (!rc)
		rc = take_person(a, &o, err);
	if (!rc)
		rc = choose_rinfo(a, &o, err);
	if (!rc)
		rc = describe(a, &o, &act, err);
	if (!rc)
		rc = approval_require(a, &act, &go, err);
	if (!rc && go) {
		rc = open_approved(a, &o, err);
		json_str(a->out, "key", o.key);
		json_str(a->out, "recipient_info", o.rinfo);
		json_int(a->out, "index", (int64_t)o.request.index);
	}
	act_fini(&act);
	return rc;
}
