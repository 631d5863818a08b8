/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/admin_ca_sign.h"

#include <string.h>

#include "base/clock.h"

#define BACKDATE 300
#define DAY      (int64_t)86400

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

enum rc
ca_sign_root(struct admin *a, const struct pkey *pkey, const struct ca_name *name,
	struct cert **out, struct err *err)
{
	struct issue_request request = ca_request(a, CA_ROOT, name, 0);

	return issue_root(pkey, &request, out, err);
}

enum rc
ca_sign_issuing(struct admin *a, const struct parent_ca *parent, const struct ca_name *name,
	const struct buf *spki, struct cert **out, struct err *err)
{
	struct issue_request request =
		ca_request(a, CA_ISSUING, name, cert_not_after(parent->cert));
	const struct profile *profile = profiles_find(&a->settings->profiles, NULL, PERSON_HUMAN);
	struct profile_facts facts = {.addr = "", .ca = parent->id};
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
	if (request.not_before < cert_not_before(parent->cert))
		request.not_before = cert_not_before(parent->cert);
	request.extra = &made.extra;
	if (!rc)
		rc = issue_ca(parent->key, parent->cert, spki->data, spki->len, &request, out, err);
	profile_made_fini(&made);
	return rc;
}

enum rc
ca_sign_by_root(struct admin *a, const struct ca *root, const struct ca_name *name,
	const struct buf *spki, struct cert **out, struct err *err)
{
	const struct parent_ca parent = {root->ent->pkey, root->ent->cert.cert, root->row.key};

	return ca_sign_issuing(a, &parent, name, spki, out, err);
}

enum rc
ca_chain_of_root(const struct ca *root, struct certset *chain, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < root->ent->cert.chain.n; i++)
		rc = certset_add(chain, root->ent->cert.chain.v[i], err);
	return rc ? rc : certset_add(chain, root->ent->cert.cert, err);
}

enum rc
ca_put_csr(struct admin *a, const struct pkey *pkey, const struct ca_name *name, struct err *err)
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

enum rc
ca_put_one(struct admin *a, const char *key, struct err *err)
{
	enum rc rc;

	json_array(a->out, "cas");
	rc = admin_put_ca(a, key, false, err);
	json_array_end(a->out);
	return rc;
}
