/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "crypto/crl_source.h"
#include "directory/ldap_settings.h"

#define TRIES     4 /* when somebody else changes the entry at the same time */
#define CSN_SIZE  80
#define VALUE_MAX (8u << 20)

#define ATTR_CERT  "userCertificate;binary"
#define ATTR_SMIME "userSMIMECertificate"
#define ATTR_LIST  "certificateRevocationList;binary"

struct publisher {
	struct ldap_pool *pool;
	const char *base, *filter; /* borrowed from the configuration */
	int scope;
	bool cert, smime; /* which attributes are ours to write */
	struct conf *conf;
};

struct values { /* of one attribute; owned */
	struct berval v[PUBLISH_MAX_VALUES + 1];
	size_t n;
	char name[64]; /* as the server calls it; "": as we do */
};

struct entry {
	char *dn;
	char csn[CSN_SIZE];
	struct values cert, smime; /* or, for a list: cert */
};

static void
values_fini(struct values *values)
{
	for (size_t i = 0; i < values->n; i++)
		free(values->v[i].bv_val);
	values->n = 0;
}

static void
entry_fini(struct entry *entry)
{
	values_fini(&entry->cert);
	values_fini(&entry->smime);
	ldap_memfree(entry->dn);
	entry->dn = NULL;
}

enum rc
publisher_new(struct conf *conf, struct publisher **out, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "publish");
	const char *const *v;
	size_t n = conf_strings(group, "attributes", &v);
	struct publisher *p;
	enum rc rc;

	*out = NULL;
	if (!conf_strings(group, "uri", &(const char *const *){NULL}))
		return RC_NONE;
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(err, ERR_MEMORY, "publish");
	p->base = conf_str(group, "base");
	p->filter = conf_str(group, "filter");
	p->scope = ldap_settings_scope(group);
	p->conf = conf_ref(conf);
	p->cert = p->smime = n == 0;
	for (size_t i = 0; i < n; i++)
		*(strcmp(v[i], "userCertificate") == 0 ? &p->cert : &p->smime) = true;
	rc = ldap_settings_check_filter(conf, group, err);
	if (rc == RC_OK)
		rc = ldap_settings_pool(conf, group, "publish", 0, &p->pool, err);
	if (rc != RC_OK)
		publisher_free(&p);
	*out = p;
	return rc;
}

void
publisher_free(struct publisher **publisher)
{
	struct publisher *p = *publisher;

	*publisher = NULL;
	if (!p)
		return;
	ldap_pool_free(&p->pool);
	conf_unref(&p->conf);
	free(p);
}

/* A connection to the first server that gives one. */
static enum rc
lend(struct publisher *p, struct ldap_lease *lease, struct err *err)
{
	enum rc rc = RC_TEMP;

	for (size_t i = 0; rc == RC_TEMP && i < ldap_pool_servers(p->pool); i++) {
		struct err here = ERR_INIT;

		rc = ldap_pool_lend(p->pool, i, false, lease, &here);
		if (rc != RC_OK && i == 0)
			*err = here;
	}
	return rc;
}

/* What the server said: kept when it spoke, dropped when the connection is gone. */
static enum rc
give_back(struct publisher *p, struct ldap_lease *lease, int result, struct err *err)
{
	const char *uri = ldap_pool_uri(p->pool, lease->server);

	if (lease->connection->guard.expired)
		result = LDAP_TIMEOUT;
	if (result == LDAP_SUCCESS) {
		ldap_pool_return(p->pool, lease);
		return RC_OK;
	}
	ldap_conn_err(err, "publish", uri, lease->ld, result);
	ldap_pool_drop(p->pool, lease, LDAP_DOWN, err);
	return RC_TEMP;
}

/* Waits for the answer to request ID. */
static int
wait_for(const struct ldap_lease *lease, int id, int all, LDAPMessage **answer)
{
	struct timeval left = ldap_conn_left(lease->deadline);
	int type, code = LDAP_OTHER;

	*answer = NULL;
	type = ldap_result(lease->ld, id, all, &left, answer);
	if (type == 0)
		return LDAP_TIMEOUT;
	if (type < 0 || !*answer) {
		ldap_get_option(lease->ld, LDAP_OPT_RESULT_CODE, &code);
		return code == LDAP_SUCCESS ? LDAP_OTHER : code;
	}
	return LDAP_SUCCESS;
}

/* Copies VALUES; false: too many, or no memory. */
static bool
copy_values(const char *name, struct berval **in, struct values *out)
{
	for (; in && *in; in++) {
		struct berval *to = &out->v[out->n];

		if (out->n == PUBLISH_MAX_VALUES || (*in)->bv_len > VALUE_MAX)
			return false;
		to->bv_val = malloc((*in)->bv_len + 1);
		if (!to->bv_val)
			return false;
		memcpy(to->bv_val, (*in)->bv_val, (*in)->bv_len);
		to->bv_len = (*in)->bv_len;
		out->n++;
	}
	snprintf(out->name, sizeof(out->name), "%s", name);
	return true;
}

static bool
is_attr(const char *name, const char *base)
{
	size_t len = strlen(base);

	return strncasecmp(name, base, len) == 0 &&
	       (!name[len] || strcasecmp(name + len, ";binary") == 0);
}

/* One attribute of the entry: taken when it is one of ours. */
static bool
take_attr(LDAP *ld, LDAPMessage *message, const char *name, struct entry *entry)
{
	struct berval **values = ldap_get_values_len(ld, message, name);
	bool ok = true;

	if (is_attr(name, "userCertificate") || is_attr(name, "certificateRevocationList"))
		ok = copy_values(name, values, &entry->cert);
	else if (is_attr(name, "userSMIMECertificate"))
		ok = copy_values(name, values, &entry->smime);
	else if (strcasecmp(name, "entryCSN") == 0 && values && values[0] &&
		 values[0]->bv_len < CSN_SIZE &&
		 strspn(values[0]->bv_val, "0123456789abcdefABCDEF.#Z") == values[0]->bv_len)
		memcpy(entry->csn, values[0]->bv_val, values[0]->bv_len);
	ldap_value_free_len(values);
	return ok;
}

/* False: more values than are looked through. */
static bool
take_entry(LDAP *ld, LDAPMessage *message, struct entry *entry)
{
	BerElement *ber = NULL;
	bool ok = (entry->dn = ldap_get_dn(ld, message)) != NULL;

	for (char *name = ldap_first_attribute(ld, message, &ber); name;
		name = ldap_next_attribute(ld, message, ber)) {
		ok = ok && take_attr(ld, message, name, entry);
		ldap_memfree(name);
	}
	ber_free(ber, 0);
	return ok;
}

/* What is searched for. */
struct wanted {
	const char *base;
	int scope;
	const char *filter;
	char **attrs;
};

/* The one entry that a search gives. RC_NONE: none, RC_PERM: several. */
static enum rc
read_entry(struct ldap_lease *lease, const struct wanted *wanted, struct entry *entry, int *result,
	struct err *err)
{
	struct timeval left = ldap_conn_left(lease->deadline);
	LDAPMessage *answer = NULL, *first;
	int id, n, code = LDAP_OTHER;
	enum rc rc = RC_OK;

	*entry = (struct entry){.dn = NULL};
	*result = ldap_search_ext(lease->ld, wanted->base, wanted->scope, wanted->filter,
		wanted->attrs, 0, NULL, NULL, &left, 3, &id);
	if (*result == LDAP_SUCCESS)
		*result = wait_for(lease, id, LDAP_MSG_ALL, &answer);
	if (*result == LDAP_SUCCESS)
		*result = ldap_parse_result(lease->ld, answer, &code, NULL, NULL, NULL, NULL, 0);
	if (*result == LDAP_SUCCESS && code != LDAP_SUCCESS && code != LDAP_SIZELIMIT_EXCEEDED)
		*result = code;
	if (*result == LDAP_SUCCESS) {
		n = ldap_count_entries(lease->ld, answer);
		first = ldap_first_entry(lease->ld, answer);
		if (n > 1 || code == LDAP_SIZELIMIT_EXCEEDED)
			rc = err_set(err, ERR_USAGE, "several entries for it: %s", wanted->filter);
		else if (!first)
			rc = RC_NONE;
		else if (!take_entry(lease->ld, first, entry))
			rc = err_set(err, ERR_DIR_ANSWER, "%s: more than %d values",
				entry->dn ? entry->dn : "?", PUBLISH_MAX_VALUES);
	}
	ldap_msgfree(answer);
	return rc;
}

/* Writes MODS, on the condition that the entry is the one that was read. */
static int
write_entry(const struct ldap_lease *lease, const struct entry *entry, LDAPMod **mods)
{
	char condition[CSN_SIZE + 16];
	LDAPControl *assertion = NULL, *controls[2] = {NULL, NULL};
	LDAPMessage *answer = NULL;
	int id, code = LDAP_OTHER, result = LDAP_SUCCESS;

	if (entry->csn[0]) {
		snprintf(condition, sizeof(condition), "(entryCSN=%s)", entry->csn);
		result = ldap_create_assertion_control(lease->ld, condition, 1, &assertion);
		controls[0] = assertion;
	}
	if (result == LDAP_SUCCESS)
		result = ldap_modify_ext(
			lease->ld, entry->dn, mods, assertion ? controls : NULL, NULL, &id);
	if (result == LDAP_SUCCESS)
		result = wait_for(lease, id, LDAP_MSG_ALL, &answer);
	if (result == LDAP_SUCCESS)
		result = ldap_parse_result(lease->ld, answer, &code, NULL, NULL, NULL, NULL, 0);
	ldap_msgfree(answer);
	ldap_control_free(assertion);
	return result == LDAP_SUCCESS ? code : result;
}

static bool
same(const struct berval *value, const void *data, size_t len)
{
	return value->bv_len == len && memcmp(value->bv_val, data, len) == 0;
}

/* Which of the person's certificates CERT is, or NULL. */
static const struct publish_cert *
find_cert(const struct publish_wish *wish, const struct cert *cert)
{
	for (size_t i = 0; i < wish->n; i++)
		if (strcmp(wish->v[i].sha256, cert_fingerprint(cert)) == 0)
			return &wish->v[i];
	return NULL;
}

enum belongs { OTHERS, OURS_STAYS, OURS_GOES };

/* Whose is this value, and may it stay? What cannot be read is somebody else's. A PKCS#7 that a
 * mail program wrote for a certificate of ours stays as long as that. */
static enum rc
judge(const struct publish_wish *wish, const struct berval *value, enum belongs *out,
	struct err *err)
{
	struct certset set = {0};
	struct err ignored = ERR_INIT;
	size_t leaves = 0, ours = 0, stays = 0;
	enum rc rc = RC_OK;

	*out = OTHERS;
	if (value->bv_len > CERT_MAX_BYTES * 4 ||
		certset_parse(value->bv_val, value->bv_len, &set, &ignored) != RC_OK) {
		certset_fini(&set);
		return ignored.code == ERR_MEMORY ? err_set(err, ERR_MEMORY, "publish") : RC_OK;
	}
	for (size_t i = 0; rc == RC_OK && i < set.n; i++) {
		const struct publish_cert *one = find_cert(wish, set.v[i]);
		bool mine = one != NULL;

		if (set.n > 1 && cert_is_ca(set.v[i]))
			continue; /* helps with the path */
		leaves++;
		if (!mine)
			rc = wish->is_ours(wish->ctx, set.v[i], &mine, err);
		ours += mine;
		stays += one != NULL;
	}
	certset_fini(&set);
	if (rc == RC_OK && leaves && ours == leaves)
		*out = stays == leaves ? OURS_STAYS : OURS_GOES;
	return rc;
}

struct change {
	struct berval *del[PUBLISH_MAX_VALUES + 1], *add[PUBLISH_MAX_VALUES + 1];
	struct berval *all[2 * PUBLISH_MAX_VALUES + 1]; /* what is there afterwards */
	struct berval wanted[PUBLISH_MAX_VALUES];       /* for ADD */
	size_t n_del, n_add, n_all;
};

/* What has to be done to one attribute. */
static enum rc
plan(const struct publish_wish *wish, struct values *have, bool p7, struct change *change,
	struct err *err)
{
	enum rc rc = RC_OK;

	*change = (struct change){.n_del = 0};
	for (size_t i = 0; rc == RC_OK && i < have->n; i++) {
		enum belongs belongs;

		rc = judge(wish, &have->v[i], &belongs, err);
		if (belongs == OURS_GOES)
			change->del[change->n_del++] = &have->v[i];
		else
			change->all[change->n_all++] = &have->v[i];
	}
	for (size_t i = 0; rc == RC_OK && i < wish->n; i++) {
		const struct publish_cert *one = &wish->v[i];
		const void *data = p7 ? one->p7 : one->der;
		size_t len = p7 ? one->p7_len : one->der_len, k;

		for (k = 0; k < have->n && !same(&have->v[k], data, len); k++)
			;
		if (!one->want || k < have->n)
			continue;
		if (change->n_add == PUBLISH_MAX_VALUES || change->n_all == PUBLISH_MAX_VALUES)
			return err_set(
				err, ERR_LIMIT, "more than %d certificates", PUBLISH_MAX_VALUES);
		change->wanted[change->n_add] = (struct berval){len, (char *)data};
		change->add[change->n_add] = &change->wanted[change->n_add];
		change->all[change->n_all++] = change->add[change->n_add++];
	}
	return rc;
}

static void
put_mod(LDAPMod *mod, LDAPMod **list, size_t *n, int op, const char *name, struct berval **values)
{
	*mod = (LDAPMod){.mod_op = op | LDAP_MOD_BVALUES, .mod_type = (char *)name};
	mod->mod_bvalues = values;
	list[(*n)++] = mod;
	list[*n] = NULL;
}

static const char *
name_of(const struct values *have, const char *ours)
{
	return have->name[0] ? have->name : ours;
}

/* There is something to change in one of them at least. */
static int
write_changes(const struct ldap_lease *lease, const struct entry *entry, struct change *cert,
	struct change *smime)
{
	LDAPMod mods[3], *list[4] = {NULL};
	size_t n = 0;

	if (cert->n_del)
		put_mod(&mods[0], list, &n, LDAP_MOD_DELETE, name_of(&entry->cert, ATTR_CERT),
			cert->del);
	if (cert->n_add)
		put_mod(&mods[1], list, &n, LDAP_MOD_ADD, name_of(&entry->cert, ATTR_CERT),
			cert->add);
	if (smime->n_add + smime->n_del)
		put_mod(&mods[2], list, &n, LDAP_MOD_REPLACE, name_of(&entry->smime, ATTR_SMIME),
			smime->all);
	return write_entry(lease, entry, list);
}

/* One try. *result: LDAP_ASSERTION_FAILED when the entry has changed meanwhile. */
static enum rc
try_certs(struct publisher *p, struct ldap_lease *lease, const char *filter,
	const struct publish_wish *wish, struct publish_done *done, int *result, struct err *err)
{
	char *attrs[] = {(char *)"userCertificate", (char *)"userSMIMECertificate",
		(char *)"entryCSN", NULL};
	const struct wanted wanted = {p->base, p->scope, filter, attrs};
	struct change *cert = calloc(1, sizeof(*cert)), *smime = calloc(1, sizeof(*smime));
	struct entry *entry = calloc(1, sizeof(*entry));
	enum rc rc = RC_OK;

	if (!cert || !smime || !entry)
		rc = err_set(err, ERR_MEMORY, "publish");
	if (rc == RC_OK)
		rc = read_entry(lease, &wanted, entry, result, err);
	if (rc != RC_OK || *result != LDAP_SUCCESS)
		goto out;
	snprintf(done->dn, sizeof(done->dn), "%s", entry->dn);
	if (p->cert)
		rc = plan(wish, &entry->cert, false, cert, err);
	if (rc == RC_OK && p->smime)
		rc = plan(wish, &entry->smime, true, smime, err);
	if (rc != RC_OK)
		goto out;
	done->added = cert->n_add + smime->n_add;
	done->removed = cert->n_del + smime->n_del;
	if (done->added + done->removed && !wish->dry_run)
		*result = write_changes(lease, entry, cert, smime);
out:
	if (entry)
		entry_fini(entry);
	free(entry);
	free(cert);
	free(smime);
	return rc;
}

enum rc
publish_certs(struct publisher *p, const char *addr, const struct publish_wish *wish,
	struct publish_done *done, struct err *err)
{
	struct buf filter = BUF_INIT(16384);
	struct ldap_lease lease;
	int result = LDAP_SUCCESS;
	enum rc rc = ldap_filter_format(p->filter, addr, &filter, err), given;

	*done = (struct publish_done){.added = 0};
	if (rc != RC_OK) {
		buf_fini(&filter);
		return rc;
	}
	for (int i = 0; i < TRIES; i++) {
		rc = lend(p, &lease, err);
		done->unreachable = rc != RC_OK;
		if (rc != RC_OK)
			break;
		rc = try_certs(p, &lease, buf_text(&filter), wish, done, &result, err);
		if (rc == RC_OK && result == LDAP_ASSERTION_FAILED && i + 1 < TRIES) {
			ldap_pool_return(p->pool, &lease);
			continue;
		}
		/* A kept connection that the server closed meanwhile: once more over a new one. */
		if (rc == RC_OK && result == LDAP_SERVER_DOWN && lease.kept) {
			ldap_pool_drop(p->pool, &lease, LDAP_STALE, NULL);
			continue;
		}
		given = rc == RC_OK || result != LDAP_SUCCESS
				? give_back(p, &lease, result, err)
				: (ldap_pool_return(p->pool, &lease), RC_OK);
		rc = given != RC_OK ? given : rc;
		break;
	}
	buf_fini(&filter);
	return rc;
}

/* --- revocation lists --- */

/* Values of other CAs stay; VALUE comes in the place of those of the same one. True: there is
 * something to do. */
static enum rc
plan_list(struct values *have, struct berval *value, struct change *change, bool *needed,
	struct err *err)
{
	struct buf source = BUF_INIT(65536), other = BUF_INIT(65536);
	struct err ignored = ERR_INIT;
	enum rc rc = crl_source(value->bv_val, value->bv_len, &source, err);

	*needed = true;
	for (size_t i = 0; rc == RC_OK && i < have->n; i++) {
		buf_clear(&other);
		if (crl_source(have->v[i].bv_val, have->v[i].bv_len, &other, &ignored) == RC_OK &&
			other.len == source.len && memcmp(other.data, source.data, source.len) == 0)
			*needed &= !same(&have->v[i], value->bv_val, value->bv_len);
		else
			change->all[change->n_all++] = &have->v[i];
	}
	change->all[change->n_all++] = value;
	buf_fini(&source);
	buf_fini(&other);
	return rc;
}

static enum rc
try_list(struct ldap_lease *lease, const char *dn, struct berval *value, int *result,
	struct err *err)
{
	char *attrs[] = {(char *)"certificateRevocationList", (char *)"entryCSN", NULL};
	const struct wanted wanted = {dn, LDAP_SCOPE_BASE, "(objectClass=*)", attrs};
	struct change *change = calloc(1, sizeof(*change));
	struct entry *entry = calloc(1, sizeof(*entry));
	LDAPMod mod, *list[2] = {NULL};
	size_t n = 0;
	bool needed = false;
	enum rc rc = RC_OK;

	if (!change || !entry)
		rc = err_set(err, ERR_MEMORY, "publish");
	if (rc == RC_OK)
		rc = read_entry(lease, &wanted, entry, result, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_DIR_ANSWER, "publish: no entry %s", dn);
	if (rc == RC_OK && *result == LDAP_SUCCESS)
		rc = plan_list(&entry->cert, value, change, &needed, err);
	if (rc == RC_OK && *result == LDAP_SUCCESS && needed) {
		put_mod(&mod, list, &n, LDAP_MOD_REPLACE, name_of(&entry->cert, ATTR_LIST),
			change->all);
		*result = write_entry(lease, entry, list);
	}
	if (entry)
		entry_fini(entry);
	free(entry);
	free(change);
	return rc;
}

enum rc
publish_list(struct publisher *p, const char *dn, const void *der, size_t len, struct err *err)
{
	struct berval value = {len, (char *)der};
	struct ldap_lease lease;
	int result = LDAP_SUCCESS;
	enum rc rc = RC_TEMP, given;

	for (int i = 0; i < TRIES; i++) {
		rc = lend(p, &lease, err);
		if (rc != RC_OK)
			break;
		rc = try_list(&lease, dn, &value, &result, err);
		if (rc == RC_OK && result == LDAP_ASSERTION_FAILED && i + 1 < TRIES) {
			ldap_pool_return(p->pool, &lease);
			continue;
		}
		given = give_back(p, &lease, result, err);
		rc = rc == RC_OK ? given : rc;
		break;
	}
	return rc;
}
