/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_ca.c - making and replacing the organisation's CAs
 *
 * A root signs issuing CAs, and the newest active issuing CA signs people's certificates. Whatever
 * replaces another one takes its place in one transaction; the one before goes on signing its
 * revocation list. A root can be outside: then the vault holds an issuing CA whose certificate was
 * asked for with a request and imported.
 */
#include "keystore/admin_ca_sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "keystore/approval.h"

#define NAME_PART 40 /* of the organisation's name in a common name of 64 characters */

/* One CA on its way into the store. */
struct new_ca {
	struct store_ca row;
	struct store_key key;
	struct pkey *pkey;
	struct cert *cert; /* NULL: will come from outside */
	struct certset chain;
	struct buf spki;
	char name[STORE_NAME_SIZE];
};

/* A new root and the issuing CA below it. */
struct new_pair {
	struct new_ca root, issuing;
	uint64_t root_seq, issuing_seq; /* their ledger records */
	struct cert *cross;             /* the new root's by an old one; NULL: there is none */
};

static void
new_ca_fini(struct new_ca *ca)
{
	pkey_unref(&ca->pkey);
	cert_unref(&ca->cert);
	certset_fini(&ca->chain);
	buf_fini(&ca->spki);
}

static void
new_pair_fini(struct new_pair *pair)
{
	new_ca_fini(&pair->root);
	new_ca_fini(&pair->issuing);
	cert_unref(&pair->cross);
}

static const char *
organisation(const struct admin *a)
{
	const struct conf_group *group = conf_section(a->settings->conf, "organisation");
	const char *const *domains, *name = conf_str(group, "name");

	(void)conf_strings(group, "domains", &domains);
	return name && *name ? name : domains[0];
}

/* At most MAX bytes of TEXT, cut at a character. */
static int
cut(const char *text, int max)
{
	int n = (int)strnlen(text, (size_t)max + 1);

	if (n > max)
		for (n = max; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
			;
	return n;
}

/* Each CA has a name of its own, so that revocation lists are told apart by the issuer's name. */
static enum rc
choose_name(struct admin *a, struct new_ca *new, const char *org, struct err *err)
{
	struct store_ca v[STORE_MAX_CAS];
	size_t n, same = 1;
	enum rc rc = store_list_cas(vault_store(a->vault), v, &n, err);

	for (size_t i = 0; !rc && i < n; i++)
		same += v[i].role == new->row.role;
	if (!rc && n == STORE_MAX_CAS)
		rc = err_set(err, ERR_LIMIT, "%d CAs are the most", STORE_MAX_CAS);
	snprintf(new->name, sizeof(new->name), "%.*s S/MIME %s", cut(org, NAME_PART), org,
		new->row.role == CA_ROOT ? "Root CA" : "CA");
	if (same > 1)
		snprintf(new->name + strlen(new->name), 16, " %zu", same);
	return rc;
}

static enum rc
begin_ca(struct admin *a, struct new_ca *new, enum ca_role role, const char *type, const char *org,
	struct err *err)
{
	const char *usual = conf_str(conf_section(a->settings->conf, "ca"), "type");
	enum rc rc;

	*new = (struct new_ca){
		.row = {.role = role, .created = clock_now()}, .spki = BUF_INIT(65536)};
	rc = choose_name(a, new, org, err);
	if (!rc)
		rc = admin_make_key(
			type ? type : usual, PURPOSE_CA, &new->key, &new->pkey, &new->spki, err);
	strcpy(new->row.key, new->key.id);
	return rc;
}

/* The rows of one CA, within the open transaction. */
static enum rc
put_ca(struct admin *a, struct new_ca *new, const char *person, uint64_t seq, struct err *err)
{
	struct store *store = vault_store(a->vault);
	enum rc rc;

	strcpy(new->key.person, person);
	new->key.seq = new->row.seq = (int64_t)seq;
	rc = store_add_key(store, &new->key, new->pkey, err);
	if (!rc)
		rc = store_put_ca(store, &new->row, err);
	if (!rc && new->cert)
		rc = store_add_cert(
			store, new->key.id, new->cert, &new->chain, clock_now(), (int64_t)seq, err);
	return rc;
}

/* The organisation as the person that its CAs' keys belong to; within the open transaction. */
static enum rc
get_owner(
	struct admin *a, const char *org, uint64_t seq, char person[STORE_ID_SIZE], struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_person row = {.kind = PERSON_ORGANISATION, .created = clock_now()};
	struct store_ca v[STORE_MAX_CAS];
	struct store_key key;
	size_t n;
	enum rc rc = store_list_cas(store, v, &n, err);

	if (!rc && n) {
		rc = store_get_key(store, v[0].key, &key, err);
		if (rc == RC_NONE)
			rc = err_set(err, ERR_KEYSTORE_TAMPERED, "a CA has no key");
		strcpy(person, rc ? "" : key.person);
		return rc;
	}
	snprintf(row.name, sizeof(row.name), "%.*s", cut(org, 200), org);
	row.seq = (int64_t)seq;
	if (!rc)
		rc = store_new_id('p', row.id, err);
	strcpy(person, row.id);
	return rc ? rc : store_put_person(store, &row, err);
}

/* Those of ROLE that signed until now only sign revocation lists from now on. */
static enum rc
retire_others(struct admin *a, enum ca_role role, const char *but, uint64_t seq, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct store_ca v[STORE_MAX_CAS];
	struct store_key key;
	size_t n;
	enum rc rc = store_list_cas(store, v, &n, err);

	for (size_t i = 0; !rc && i < n; i++) {
		if (v[i].role != role || strcmp(v[i].key, but) == 0)
			continue;
		rc = store_get_key(store, v[i].key, &key, err);
		if (!rc && key.status == KEY_ACTIVE)
			rc = store_set_status(
				store, key.id, KEY_RETIRED, clock_now(), (int64_t)seq, err);
	}
	return rc;
}

/* Keys, ledger records and the root's certificate. */
static enum rc
begin_pair(
	struct admin *a, const char *org, const char *type, struct new_pair *pair, struct err *err)
{
	struct new_ca *root = &pair->root, *issuing = &pair->issuing;
	enum rc rc = begin_ca(a, root, CA_ROOT, type, org, err);

	if (!rc)
		rc = begin_ca(a, issuing, CA_ISSUING, type, org, err);
	if (!rc)
		rc = admin_record(a, "ca.new", root->key.id, NULL, "{\"role\":\"root\"}",
			&pair->root_seq, err);
	if (!rc)
		rc = admin_record(a, "ca.new", issuing->key.id, NULL, "{\"role\":\"issuing\"}",
			&pair->issuing_seq, err);
	if (!rc)
		rc = ca_sign_root(
			a, root->pkey, &(struct ca_name){root->name, org, NULL}, &root->cert, err);
	return rc;
}

/* The issuing CA's certificate and the chains, with what the old root said of the new one. */
static enum rc
certify_pair(struct admin *a, const char *org, struct new_pair *pair, struct err *err)
{
	struct new_ca *root = &pair->root, *issuing = &pair->issuing;
	enum rc rc = ca_sign_issuing(a, &(struct parent_ca){root->pkey, root->cert, root->key.id},
		&(struct ca_name){issuing->name, org, NULL}, &issuing->spki, &issuing->cert, err);

	if (!rc && pair->cross)
		rc = certset_add(&root->chain, pair->cross, err);
	if (!rc && pair->cross)
		rc = certset_add(&issuing->chain, pair->cross, err);
	if (!rc)
		rc = certset_add(&issuing->chain, root->cert, err);
	strcpy(issuing->row.parent, root->key.id);
	if (!rc)
		root->row.last = cert_not_after(issuing->cert);
	return rc;
}

/* Its rows, within the open transaction. */
static enum rc
put_pair(struct admin *a, const char *org, struct new_pair *pair, struct err *err)
{
	char person[STORE_ID_SIZE];
	enum rc rc = get_owner(a, org, pair->issuing_seq, person, err);

	if (!rc)
		rc = put_ca(a, &pair->root, person, pair->root_seq, err);
	return rc ? rc : put_ca(a, &pair->issuing, person, pair->issuing_seq, err);
}

enum rc
admin_make_ca(struct admin *a, const char *org, const char *type, struct buf *pem, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct new_pair pair = {.root.spki = BUF_INIT(0), .issuing.spki = BUF_INIT(0)};
	enum rc rc = begin_pair(a, org, type, &pair, err);

	if (!rc)
		rc = certify_pair(a, org, &pair, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = put_pair(a, org, &pair, err);
	if (!rc)
		rc = store_commit(store, err);
	else
		store_rollback(store);
	if (!rc)
		rc = cert_format_pem(pair.root.cert, pem, err);
	new_pair_fini(&pair);
	return rc;
}

/* An issuing CA that waits for its certificate; the one before stays until that is imported. */
static enum rc
new_waiting(struct admin *a, const char *type, struct err *err)
{
	struct store *store = vault_store(a->vault);
	const char *org = organisation(a);
	char person[STORE_ID_SIZE];
	struct new_ca new;
	uint64_t seq;
	enum rc rc = begin_ca(a, &new, CA_ISSUING, type, org, err);

	if (!rc)
		rc = admin_record(a, "ca.new", new.key.id, NULL,
			"{\"role\":\"issuing\",\"csr\":true}", &seq, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = get_owner(a, org, seq, person, err);
	if (!rc)
		rc = put_ca(a, &new, person, seq, err);
	if (!rc)
		rc = store_commit(store, err);
	if (!rc)
		rc = ca_put_csr(a, new.pkey, &(struct ca_name){new.name, org, NULL}, err);
	if (!rc)
		rc = ca_put_one(a, new.key.id, err);
	new_ca_fini(&new);
	return rc;
}

/* A new issuing CA below the root in the vault, in the place of the one before. */
static enum rc
new_issuing(struct admin *a, const char *type, struct err *err)
{
	struct store *store = vault_store(a->vault);
	const char *org = organisation(a);
	struct ca root;
	struct new_ca new = {.spki = BUF_INIT(0)};
	uint64_t seq, intent = 0;
	enum rc rc = ca_open_root(a, &root, err);

	if (rc && err->code == ERR_VAULT_NO_KEY)
		return err_set(err, ERR_VAULT_NO_KEY,
			"no root in the vault can sign: --csr makes a request for one outside");
	if (!rc)
		rc = begin_ca(a, &new, CA_ISSUING, type, org, err);
	if (!rc)
		rc = admin_record(
			a, "ca.new", new.key.id, NULL, "{\"role\":\"issuing\"}", &seq, err);
	if (!rc)
		rc = ca_intent(a, &root, "issue", NULL, &intent, err);
	if (!rc)
		rc = ca_sign_by_root(a, &root, &(struct ca_name){new.name, org, NULL}, &new.spki,
			&new.cert, err);
	ca_outcome(a, &root, intent, rc, err);
	if (!rc)
		rc = ca_chain_of_root(&root, &new.chain, err);
	strcpy(new.row.parent, root.row.key);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = put_ca(a, &new, root.ent->key.person, seq, err);
	if (!rc)
		rc = ca_note_last(a, &root, cert_not_after(new.cert), err);
	if (!rc)
		rc = retire_others(a, CA_ISSUING, new.key.id, seq, err);
	if (!rc)
		rc = store_commit(store, err);
	if (!rc)
		rc = ca_put_one(a, new.key.id, err);
	new_ca_fini(&new);
	ca_fini(&root);
	return rc;
}

enum rc
admin_ca_new(struct admin *a, struct err *err)
{
	const char *type = json_get_text(a->request, "type");

	return json_is_true(json_find(a->request, "csr")) ? new_waiting(a, type, err)
							  : new_issuing(a, type, err);
}

/* Where there are officers, they have to approve that everybody is to trust another key. */
static enum rc
ask_for_root(struct admin *a, const struct ca *old, bool *go, struct err *err)
{
	struct act act;
	enum rc rc;

	act_init(&act, "ca.new-root", false);
	if (old->ent) {
		act_put(&act, "root so far", old->row.key);
		act_put_shown(&act, "its name", cert_subject(old->ent->cert.cert));
		act_put(&act, "its fingerprint", old->ent->cert.sha256);
	}
	act_put(&act, "type", json_get_text(a->request, "type"));
	act_put(&act, "effect",
		"a new root and a new issuing CA sign from now on; the new root has to become an "
		"anchor wherever the old one is");
	rc = approval_require(a, &act, go, err);
	act_fini(&act);
	return rc;
}

/* The old root, if there is one, certifies the new one. */
static enum rc
make_cross(struct admin *a, struct ca *old, struct new_pair *pair, struct err *err)
{
	uint64_t intent = 0;
	enum rc rc;

	if (!old->ent)
		return RC_OK;
	rc = ca_intent(a, old, "issue", NULL, &intent, err);
	if (!rc)
		rc = issue_cross(
			old->ent->pkey, old->ent->cert.cert, pair->root.cert, &pair->cross, err);
	ca_outcome(a, old, intent, rc, err);
	return rc;
}

/* PAIR takes the place of those before, in one transaction. */
static enum rc
replace_by_pair(
	struct admin *a, const char *org, struct ca *old, struct new_pair *pair, struct err *err)
{
	struct store *store = vault_store(a->vault);
	uint64_t seq = pair->issuing_seq;
	enum rc rc = store_begin(store, err);

	if (!rc)
		rc = put_pair(a, org, pair, err);
	if (!rc && pair->cross)
		rc = ca_note_last(a, old, cert_not_after(pair->cross), err);
	if (!rc)
		rc = retire_others(a, CA_ISSUING, pair->issuing.key.id, seq, err);
	if (!rc)
		rc = retire_others(a, CA_ROOT, pair->root.key.id, seq, err);
	return rc ? rc : store_commit(store, err);
}

static enum rc
put_both(struct admin *a, const struct new_pair *pair, struct err *err)
{
	enum rc rc;

	json_array(a->out, "cas");
	rc = admin_put_ca(a, pair->root.key.id, false, err);
	if (!rc)
		rc = admin_put_ca(a, pair->issuing.key.id, false, err);
	json_array_end(a->out);
	return rc;
}

/*
 * A new root with a new key, and an issuing CA below it. The old root certifies the new one, and
 * that certificate goes with every chain: who knows only the old root believes the new
 * certificates as well.
 */
enum rc
admin_ca_new_root(struct admin *a, struct err *err)
{
	const char *type = json_get_text(a->request, "type"), *org = organisation(a);
	struct new_pair pair = {.root.spki = BUF_INIT(0), .issuing.spki = BUF_INIT(0)};
	struct err why = ERR_INIT;
	struct ca old = {.ent = NULL};
	bool go = false;
	enum rc rc = ca_open_root(a, &old, &why);

	/* Without an old root nobody has to be led over. */
	if (rc && why.code != ERR_VAULT_NO_KEY) {
		*err = why;
		return rc;
	}
	rc = ask_for_root(a, &old, &go, err);
	if (rc || !go) {
		ca_fini(&old);
		return rc;
	}
	rc = begin_pair(a, org, type, &pair, err);
	if (!rc)
		rc = make_cross(a, &old, &pair, err);
	if (!rc)
		rc = certify_pair(a, org, &pair, err);
	if (!rc)
		rc = replace_by_pair(a, org, &old, &pair, err);
	if (!rc)
		rc = put_both(a, &pair, err);
	new_pair_fini(&pair);
	ca_fini(&old);
	return rc;
}
