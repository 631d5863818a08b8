/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/trustconf.h"

#include "base/clock.h"
#include "crypto/trustlist.h"

#include <string.h>

static enum subject_address
subject_word(const char *word)
{
	return strcmp(word, "never") == 0      ? SUBJECT_ADDRESS_NEVER
	       : strcmp(word, "if-alone") == 0 ? SUBJECT_ADDRESS_IF_ALONE
	       : strcmp(word, "always") == 0   ? SUBJECT_ADDRESS_ALWAYS
					       : SUBJECT_ADDRESS_DEFAULT;
}

enum rc
trustconf_rules(const struct conf *conf, const struct conf_group *group,
	struct trust_options *options, struct err *err)
{
	const char *date = conf_str(group, "sha1_until");
	struct err why = ERR_INIT;

	options->min_rsa = (int)conf_int(group, "min_rsa");
	options->subject_address = subject_word(conf_str(group, "subject_address"));
	options->n_curves = conf_strings(group, "curves", &options->curves);
	options->n_policies = conf_strings(group, "policies", &options->policies);
	options->require_policy = conf_bool(group, "require_policy");
	options->inhibit_mapping = conf_bool(group, "inhibit_mapping");
	options->inhibit_any = conf_bool(group, "inhibit_any");
	if (date && clock_parse(date, &options->sha1_until, &why) != RC_OK)
		return conf_err(err, conf, group, "sha1_until", "%s", why.detail);
	return RC_OK;
}

enum rc
trustconf_blame(
	enum rc rc, const struct conf *conf, const struct conf_group *group, struct err *err)
{
	struct err why = ERR_INIT;

	if (rc == RC_OK || !err || (err->code != ERR_USAGE && err->code != ERR_LIMIT))
		return rc;
	why = *err;
	err_clear(err);
	return conf_err(err, conf, group, NULL, "%s", why.detail);
}

/* The key of an item that names a certificate in one of several ways. */
static enum rc
item_key(
	const struct conf *conf, const struct conf_group *item, unsigned char *key, struct err *err)
{
	const char *sha256 = conf_str(item, "sha256"), *spki = conf_str(item, "spki");
	const char *issuer = conf_str(item, "issuer"), *serial = conf_str(item, "serial");
	struct err why = ERR_INIT;

	if (!issuer != !serial)
		return conf_err(err, conf, item, issuer ? "issuer" : "serial",
			"issuer and serial belong together");
	if ((sha256 != NULL) + (spki != NULL) + (issuer != NULL) != 1)
		return conf_err(err, conf, item, NULL,
			"it needs one of sha256, spki, or issuer and serial");
	if (issuer)
		return trustlist_serial_key(issuer, serial, key, err);
	if (trustlist_parse_key(sha256 ? sha256 : spki, key, &why) != RC_OK)
		return conf_err(err, conf, item, sha256 ? "sha256" : "spki", "%s", why.detail);
	return RC_OK;
}

static enum rc
deny_item(const struct conf *conf, const struct conf_group *item, struct trust *trust,
	struct err *err)
{
	unsigned char key[SHA256_SIZE];
	enum rc rc = item_key(conf, item, key, err);

	return rc == RC_OK ? trust_deny(trust, key, conf_str(item, "reason"), err) : rc;
}

static enum rc
allow_item(const struct conf *conf, const struct conf_group *item, struct trust *trust,
	struct err *err)
{
	unsigned char key[SHA256_SIZE];
	const char *const *addrs;
	size_t n = conf_strings(item, "addresses", &addrs);
	struct err why = ERR_INIT;
	enum rc rc;

	if (trustlist_parse_key(conf_str(item, "sha256"), key, &why) != RC_OK)
		return conf_err(err, conf, item, "sha256", "%s", why.detail);
	rc = trust_allow(trust, key, conf_str(item, "reason"), addrs, n, &why);
	return rc == RC_PERM ? conf_err(err, conf, item, "addresses", "%s", why.detail)
	       : rc == RC_OK ? RC_OK
			     : err_set(err, why.code, "%s", why.detail);
}

enum rc
trustconf_lists(const struct conf *conf, struct trust *trust, struct err *err)
{
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; rc == RC_OK && i < conf_count(conf, "denied"); i++)
		rc = deny_item(conf, conf_item(conf, "denied", i), trust, err);
	for (i = 0; rc == RC_OK && i < conf_count(conf, "allowed"); i++)
		rc = allow_item(conf, conf_item(conf, "allowed", i), trust, err);
	return rc;
}
