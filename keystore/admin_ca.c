/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_ca.c - making and replacing the organisation's CAs
 *
 * A root signs issuing CAs, and the newest active issuing CA signs people's certificates. Whatever
 * replaces another one takes its place in one transaction; the one before goes on signing its
 * revocation list. A root can be outside: then the vault holds an issuing CA whose certificate was
 * asked for with a request and imported.
 */
#include "keystore/admin_ca.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "keystore/approval.h"

#define BACKDATE  300
#define DAY       (int64_t)86400
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

/* What a CA is called: new, or as its certificate has it. */
struct ca_name {
	const char *name, *org;
	const struct cert *like; /* or NULL */
};

static void
new_ca_fini(struct new_ca *ca)
{
	pkey_unref(&ca->pkey);
	cert_unref(&ca->cert);
	certset_fini(&ca->chain);
	buf_fini(&ca->spki);
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

/* Name and validity of a CA of ROLE, not longer than CEILING (0: none). */
static struct issue_request
ca_request(const struct admin *a, enum ca_role role, const struct ca_name *name, int64_t ceiling)
{
	const struct conf_group *group = conf_section(a->settings->conf, "ca");
	int64_t days = conf_int(group, role == CA_ROOT ? "root_days" : "days");
	struct issue_request request = {
		.common_name = name->name,
		.organisation = name->org,
		.like = name->like,
		.not_before = clock_now() - BACKDATE,
		.not_after = clock_now() + days * DAY,
	};

	if (ceiling && request.not_after > ceiling)
		request.not_after = ceiling;
	return request;
}

/* The root signs its certificate; PKEY may be one that is in the store already. */
static enum rc
sign_root(struct admin *a, const struct pkey *pkey, const struct ca_name *name, struct cert **out,
	struct err *err)
{
	struct issue_request request = ca_request(a, CA_ROOT, name, 0);

	return issue_root(pkey, &request, out, err);
}

/* PARENT's key signs the certificate of the issuing CA with the public key SPKI. Pointers (where
 * the root's list is) are those of the profile for persons. */
static enum rc
sign_issuing(struct admin *a, const struct pkey *parent_key, struct cert *parent,
	const char *parent_id, const struct ca_name *name, const struct buf *spki,
	struct cert **out, struct err *err)
{
	struct issue_request request = ca_request(a, CA_ISSUING, name, cert_not_after(parent));
	const struct profile *profile = profiles_find(&a->settings->profiles, NULL, PERSON_HUMAN);
	struct profile_facts facts = {.addr = "", .ca = parent_id};
	struct profile pointers = {.policies = {{NULL, NULL}},
		.crl_urls = profile->crl_urls,
		.n_crl_urls = profile->n_crl_urls,
		.ca_urls = profile->ca_urls,
		.n_ca_urls = profile->n_ca_urls};
	struct profile_made made;
	enum rc rc;

	memcpy(pointers.policies, profile->policies, sizeof(pointers.policies));
	pointers.n_policies = profile->n_policies;
	rc = profile_make(&pointers, &facts, &made, err);
	if (request.not_before < cert_not_before(parent))
		request.not_before = cert_not_before(parent);
	request.extra = &made.extra;
	if (!rc)
		rc = issue_ca(parent_key, parent, spki->data, spki->len, &request, out, err);
	profile_made_fini(&made);
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

enum rc
admin_make_ca(struct admin *a, const char *org, const char *type, struct buf *pem, struct err *err)
{
	struct store *store = vault_store(a->vault);
	struct new_ca root, issuing = {.spki = BUF_INIT(0)};
	char person[STORE_ID_SIZE];
	uint64_t first, seq;
	enum rc rc = begin_ca(a, &root, CA_ROOT, type, org, err);

	if (!rc)
		rc = begin_ca(a, &issuing, CA_ISSUING, type, org, err);
	if (!rc)
		rc = admin_record(
			a, "ca.new", root.key.id, NULL, "{\"role\":\"root\"}", &first, err);
	if (!rc)
		rc = admin_record(
			a, "ca.new", issuing.key.id, NULL, "{\"role\":\"issuing\"}", &seq, err);
	if (!rc)
		rc = sign_root(
			a, root.pkey, &(struct ca_name){root.name, org, NULL}, &root.cert, err);
	if (!rc)
		rc = sign_issuing(a, root.pkey, root.cert, root.key.id,
			&(struct ca_name){issuing.name, org, NULL}, &issuing.spki, &issuing.cert,
			err);
	if (!rc)
		rc = certset_add(&issuing.chain, root.cert, err);
	strcpy(issuing.row.parent, root.key.id);
	if (!rc) {
		root.row.last = cert_not_after(issuing.cert);
		rc = store_begin(store, err);
	}
	if (!rc)
		rc = get_owner(a, org, seq, person, err);
	if (!rc)
		rc = put_ca(a, &root, person, first, err);
	if (!rc)
		rc = put_ca(a, &issuing, person, seq, err);
	if (!rc)
		rc = store_commit(store, err);
	else
		store_rollback(store);
	if (!rc)
		rc = cert_format_pem(root.cert, pem, err);
	new_ca_fini(&root);
	new_ca_fini(&issuing);
	return rc;
}

static enum rc
put_one(struct admin *a, const char *key, struct err *err)
{
	enum rc rc;

	json_array(a->out, "cas");
	rc = admin_put_ca(a, key, false, err);
	json_array_end(a->out);
	return rc;
}

/* The request for CA's certificate, for somebody outside to sign. */
static enum rc
put_csr(struct admin *a, const struct pkey *pkey, const struct ca_name *name, struct err *err)
{
	struct issue_request request = ca_request(a, CA_ISSUING, name, 0);
	struct buf der = BUF_INIT(65536), pem = BUF_INIT(131072);
	enum rc rc = issue_ca_csr(pkey, &request, &der, err);

	if (!rc)
		rc = admin_format_pem("CERTIFICATE REQUEST", &der, &pem, err);
	if (!rc)
		json_str(a->out, "csr", buf_text(&pem));
	buf_fini(&der);
	buf_fini(&pem);
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
		rc = put_csr(a, new.pkey, &(struct ca_name){new.name, org, NULL}, err);
	if (!rc)
		rc = put_one(a, new.key.id, err);
	new_ca_fini(&new);
	return rc;
}

/* What a certificate by ROOT has above it: what is above ROOT and ROOT itself. */
static enum rc
chain_of_root(const struct ca *root, struct certset *chain, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < root->ent->cert.chain.n; i++)
		rc = certset_add(chain, root->ent->cert.chain.v[i], err);
	return rc ? rc : certset_add(chain, root->ent->cert.cert, err);
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
		rc = sign_issuing(a, root.ent->pkey, root.ent->cert.cert, root.row.key,
			&(struct ca_name){new.name, org, NULL}, &new.spki, &new.cert, err);
	ca_outcome(a, &root, intent, rc, err);
	if (!rc)
		rc = chain_of_root(&root, &new.chain, err);
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
		rc = put_one(a, new.key.id, err);
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

/*
 * A new root with a new key, and an issuing CA below it. The old root certifies the new one, and
 * that certificate goes with every chain: who knows only the old root believes the new
 * certificates as well.
 */
enum rc
admin_ca_new_root(struct admin *a, struct err *err)
{
	const char *type = json_get_text(a->request, "type"), *org = organisation(a);
	struct store *store = vault_store(a->vault);
	struct new_ca root = {.spki = BUF_INIT(0)}, issuing = {.spki = BUF_INIT(0)};
	char person[STORE_ID_SIZE];
	struct cert *cross = NULL;
	struct err why = ERR_INIT;
	struct ca old = {.ent = NULL};
	uint64_t first, seq, intent = 0;
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
	rc = begin_ca(a, &root, CA_ROOT, type, org, err);
	if (!rc)
		rc = begin_ca(a, &issuing, CA_ISSUING, type, org, err);
	if (!rc)
		rc = admin_record(
			a, "ca.new", root.key.id, NULL, "{\"role\":\"root\"}", &first, err);
	if (!rc)
		rc = admin_record(
			a, "ca.new", issuing.key.id, NULL, "{\"role\":\"issuing\"}", &seq, err);
	if (!rc)
		rc = sign_root(
			a, root.pkey, &(struct ca_name){root.name, org, NULL}, &root.cert, err);
	if (!rc && old.ent) {
		rc = ca_intent(a, &old, "issue", NULL, &intent, err);
		if (!rc)
			rc = issue_cross(old.ent->pkey, old.ent->cert.cert, root.cert, &cross, err);
		ca_outcome(a, &old, intent, rc, err);
	}
	if (!rc)
		rc = sign_issuing(a, root.pkey, root.cert, root.key.id,
			&(struct ca_name){issuing.name, org, NULL}, &issuing.spki, &issuing.cert,
			err);
	if (!rc && cross)
		rc = certset_add(&root.chain, cross, err);
	if (!rc && cross)
		rc = certset_add(&issuing.chain, cross, err);
	if (!rc)
		rc = certset_add(&issuing.chain, root.cert, err);
	strcpy(issuing.row.parent, root.key.id);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc) {
		root.row.last = cert_not_after(issuing.cert);
		rc = get_owner(a, org, seq, person, err);
	}
	if (!rc)
		rc = put_ca(a, &root, person, first, err);
	if (!rc)
		rc = put_ca(a, &issuing, person, seq, err);
	if (!rc && cross)
		rc = ca_note_last(a, &old, cert_not_after(cross), err);
	if (!rc)
		rc = retire_others(a, CA_ISSUING, issuing.key.id, seq, err);
	if (!rc)
		rc = retire_others(a, CA_ROOT, root.key.id, seq, err);
	if (!rc)
		rc = store_commit(store, err);
	if (!rc) {
		json_array(a->out, "cas");
		rc = admin_put_ca(a, root.key.id, false, err);
		if (!rc)
			rc = admin_put_ca(a, issuing.key.id, false, err);
		json_array_end(a->out);
	}
	new_ca_fini(&root);
	new_ca_fini(&issuing);
	cert_unref(&cross);
	ca_fini(&old);
	return rc;
}

/* A new certificate for the same key and name: by itself, by the root in the vault, or a request.
 */
enum rc
admin_ca_renew(struct admin *a, struct err *err)
{
	const char *id = json_get_text(a->request, "key");
	struct store *store = vault_store(a->vault);
	struct buf spki = BUF_INIT(65536);
	struct certset chain = {0};
	struct cert *cert = NULL;
	struct ca ca = {.ent = NULL}, root = {.ent = NULL};
	struct ca_name same = {0};
	uint64_t seq, intent = 0;
	bool csr = json_is_true(json_find(a->request, "csr"));
	enum rc rc = id ? ca_open(a, id, &ca, err) : ca_open_issuing(a, &ca, err);

	if (!rc && ca.ent->key.status != KEY_ACTIVE)
		rc = err_set(err, ERR_USAGE, "CA %s is %s", ca.row.key,
			key_status_name(ca.ent->key.status));
	if (!rc && csr && ca.row.role == CA_ROOT)
		rc = err_set(err, ERR_USAGE, "a root signs its certificate itself");
	same.like = rc ? NULL : ca.ent->cert.cert;
	if (!rc && csr) {
		rc = admin_record(a, "ca.renew", ca.row.key, NULL, "{\"csr\":true}", &seq, err);
		if (!rc)
			rc = put_csr(a, ca.ent->pkey, &same, err);
		goto out;
	}
	if (!rc && ca.row.role == CA_ISSUING)
		rc = ca_open_root(a, &root, err);
	if (!rc)
		rc = pkey_public(ca.ent->pkey, &spki, err);
	if (!rc)
		rc = admin_record(a, "ca.renew", ca.row.key, NULL, NULL, &seq, err);
	if (!rc)
		rc = ca_intent(a, root.ent ? &root : &ca, "issue", NULL, &intent, err);
	if (!rc)
		rc = root.ent ? sign_issuing(a, root.ent->pkey, root.ent->cert.cert, root.row.key,
					&same, &spki, &cert, err)
			      : sign_root(a, ca.ent->pkey, &same, &cert, err);
	ca_outcome(a, root.ent ? &root : &ca, intent, rc, err);
	if (!rc && root.ent)
		rc = chain_of_root(&root, &chain, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = store_add_cert(
			store, ca.row.key, cert, &chain, clock_now(), (int64_t)seq, err);
	if (!rc && root.ent) {
		strcpy(ca.row.parent, root.row.key);
		rc = store_put_ca(store, &ca.row, err);
		if (!rc)
			rc = ca_note_last(a, &root, cert_not_after(cert), err);
	}
	if (!rc)
		rc = store_commit(store, err);
out:
	if (!rc)
		rc = put_one(a, ca.row.key, err);
	certset_fini(&chain);
	cert_unref(&cert);
	buf_fini(&spki);
	ca_fini(&ca);
	ca_fini(&root);
	return rc;
}
