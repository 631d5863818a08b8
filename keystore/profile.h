/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profile.h - what certificates of the organisation's CA look like
 *
 * One item of the section "profiles" for each kind of certificate: key, validity, subject, usages,
 * policies, pointers (RFC 5280, RFC 8550 section 4, RFC 9598). Compiled when the configuration is
 * loaded: a profile that would make a certificate that mail programs refuse is refused then, with
 * file and line. Without any, one that goes without saying holds for all.
 *
 * Memory: a struct profile borrows from the configuration; what profile_make fills is owned.
 */
#ifndef KEYSTORE_PROFILE_H
#define KEYSTORE_PROFILE_H

#include "base/conf.h"
#include "crypto/issue.h"
#include "keystore/store.h"

#define PROFILE_MAX_ATTRS 16
#define PROFILE_MAX_URLS  8
#define PROFILE_MAX_EKU   8

struct profile {
	const char *name; /* "default": the one that goes without saying */
	unsigned kinds;   /* bits 1 << enum person_kind: whose it is when none is named */
	const char *type; /* of the key */
	int64_t days;
	int64_t backdate; /* seconds: clocks of others may be behind */
	enum key_purpose purpose;
	bool separate;                                /* two keys, one to sign, one to open */
	struct issue_attr subject[PROFILE_MAX_ATTRS]; /* text: a template */
	size_t n_subject;                             /* 0: organisation and name */
	unsigned key_usage;                           /* 0: by purpose and type */
	const char *eku[PROFILE_MAX_EKU];             /* dotted */
	size_t n_eku;
	struct issue_policy policies[PROFILE_MAX_EKU]; /* oid owned, cps inside it */
	size_t n_policies;
	const char *const *crl_urls, *const *ca_urls, *const *ocsp_urls; /* {ca}: the CA's key id */
	size_t n_crl_urls, n_ca_urls, n_ocsp_urls;
	enum digest digest; /* DIGEST_NONE: what goes with the CA's key */
	bool all_names;     /* every address of the person */
};

struct profiles {
	struct profile *v;
	size_t n;
	struct profile otherwise;
};
/* ERR_CONFIG says what is wrong with which. */
enum rc profiles_compile(struct conf *conf, struct profiles *out, struct err *err);
void profiles_fini(struct profiles *profiles);
/* By NAME; NAME NULL: the one for KIND. NULL: there is none of that name. */
const struct profile *
profiles_find(const struct profiles *profiles, const char *name, enum person_kind kind);

struct profile_facts {
	const char *addr;         /* canonical */
	const char *name;         /* NULL: the address stands in */
	const char *organisation; /* may be NULL */
	const char *ca;           /* key id of the issuing CA */
	const char *const *addrs; /* all addresses; used with all_names */
	size_t n_addrs;
};
struct profile_made {
	struct issue_extra extra; /* borrows from the rest and from the profile */
	struct issue_attr subject[PROFILE_MAX_ATTRS];
	char *urls[3][PROFILE_MAX_URLS];
	char *texts[PROFILE_MAX_ATTRS];
};
/* ERR_USAGE: a value does not fit into its attribute. profile_made_fini in any case. */
enum rc profile_make(const struct profile *profile, const struct profile_facts *facts,
	struct profile_made *made, struct err *err);
void profile_made_fini(struct profile_made *made);

#endif
