/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/anchors.h"

#include "base/file.h"
#include "directory/trustconf.h"
#include "directory/wants.h"

#include <stdlib.h>
#include <string.h>

#define ANCHOR_FILE_MAX (16u << 20)
#define DOMAINS_MAX     4096

static enum revocation_mode
revocation_mode(const char *word)
{
	return strcmp(word, "off") == 0        ? REVOKE_OFF
	       : strcmp(word, "required") == 0 ? REVOKE_REQUIRED
	       : strcmp(word, "grace") == 0    ? REVOKE_GRACE
					       : REVOKE_IF_KNOWN;
}

/* Is there a rule that says itself what it wants to know about revocation? */
static bool
has_stricter_rules(const struct conf *conf)
{
	for (size_t i = 0; i < conf_count(conf, "rules"); i++)
		if (strcmp(conf_str(conf_item(conf, "rules", i), "revocation"), "default") != 0)
			return true;
	return false;
}

enum rc
anchors_options(const struct conf *conf, struct trust_options *options, struct err *err)
{
	const struct conf_group *trust = conf_section(conf, "trust");
	const char *time = conf_str(trust, "signature_time");

	*options = (struct trust_options){
		.signature_time = strcmp(time, "signing") == 0   ? SIGNATURE_TIME_SIGNING
				  : strcmp(time, "receipt") == 0 ? SIGNATURE_TIME_RECEIPT
								 : SIGNATURE_TIME_NOW,
		.signing_future = conf_int(trust, "signing_future"),
		.signing_age = conf_int(trust, "signing_age"),
		.stricter_rules = has_stricter_rules(conf),
		.revocation = revocation_mode(conf_str(trust, "revocation")),
		.revocation_grace = conf_int(trust, "revocation_grace"),
		.revocation_dated = strcmp(conf_str(trust, "revocation_dates"), "respect") == 0,
	};
	return trustconf_rules(conf, trust, options, err);
}

/* What an item of the list "anchors" sets for itself; the rest is the trust's. */
static enum rc
item_rules(const struct conf *conf, const struct conf_group *item, struct trust_options *rules,
	struct err *err)
{
	const struct conf_group *trust = conf_section(conf, "trust");
	const char *word = conf_str(item, "revocation");
	bool own_grace = conf_is_set(item, "revocation_grace");
	bool own_word = strcmp(word, "default") != 0;

	*rules = (struct trust_options){
		.own_revocation = own_word || own_grace,
		.revocation = revocation_mode(own_word ? word : conf_str(trust, "revocation")),
		.revocation_grace = conf_int(own_grace ? item : trust, "revocation_grace"),
		.revocation_dated = strcmp(conf_str(trust, "revocation_dates"), "respect") == 0,
	};
	return trustconf_rules(conf, item, rules, err);
}

char *
anchors_fetched(const struct conf *conf, const char *kind)
{
	return file_join(conf_str(conf_section(conf, "fetch"), "dir"), kind);
}

/* One item of the list "anchors". */
static enum rc
load_item(const struct conf *conf, const struct conf_group *item, struct trust *trust,
	struct err *err)
{
	const char *path = conf_str(item, "file"), *const *domains = NULL;
	size_t n = conf_strings(item, "domains", &domains), i;
	struct buf file = BUF_INIT(ANCHOR_FILE_MAX);
	struct certset set = {0};
	struct trust_options rules;
	struct err why = ERR_INIT;
	enum rc rc = file_read(path, &file, &why);

	if (rc == RC_NONE)
		rc = conf_err(err, conf, item, "file", "%s is not there", path);
	else if (rc != RC_OK)
		rc = conf_err(err, conf, item, "file", "%s", why.detail);
	else if (certset_parse(buf_text(&file), file.len, &set, &why) != RC_OK)
		rc = conf_err(err, conf, item, "file", "%s: %s", path, why.detail);
	if (rc == RC_OK)
		rc = item_rules(conf, item, &rules, err);
	for (i = 0; rc == RC_OK && i < set.n; i++)
		rc = trustconf_blame(
			trust_add_anchor_with(trust, set.v[i], domains, n, &rules, err), conf, item,
			err);
	certset_fini(&set);
	buf_fini(&file);
	return rc;
}

/* An anchor of the store: its domains stand in one text, separated by blanks. */
static enum rc
load_row(const struct certrow *row, struct trust *trust, struct err *err)
{
	const char *domains[DOMAINS_MAX];
	char *text = strdup(row->domains ? row->domains : ""), *save = NULL, *word;
	size_t n = 0;
	enum rc rc = RC_OK;

	if (!text)
		return err_set(err, ERR_MEMORY, "trust anchors");
	for (word = strtok_r(text, " ", &save); word && rc == RC_OK;
		word = strtok_r(NULL, " ", &save)) {
		if (n == DOMAINS_MAX)
			rc = err_set(
				err, ERR_LIMIT, "more than %d domains of an anchor", DOMAINS_MAX);
		else
			domains[n++] = word;
	}
	if (rc == RC_OK)
		rc = trust_add_anchor(trust, row->cert, domains, n, err);
	free(text);
	return rc;
}

static enum rc
load_store(struct certstore *store, struct trust *trust, struct err *err)
{
	struct certrow *rows = NULL;
	size_t n = 0, i;
	enum rc rc = certstore_anchors(store, &rows, &n, err);

	if (rc == RC_NONE)
		return RC_OK;
	for (i = 0; rc == RC_OK && i < n; i++)
		rc = load_row(&rows[i], trust, err);
	certrows_free(&rows, n);
	return rc;
}

/* What the fetcher got, each file as if an administrator had put it there. */
static enum rc
load_fetched(const struct conf *conf, struct trust *trust, struct err *err)
{
	char *crls = anchors_fetched(conf, "crl"), *certs = anchors_fetched(conf, "aia");
	char *answers = anchors_fetched(conf, "ocsp");
	enum rc rc = crls && certs && answers ? RC_OK : err_set(err, ERR_MEMORY, "fetched files");

	if (rc == RC_OK)
		rc = trust_load_fetched(trust, certs, err);
	if (rc == RC_OK)
		rc = trust_load_crls(trust, crls, err);
	if (rc == RC_OK)
		rc = trust_set_ocsp_dir(trust, answers, err);
	free(crls);
	free(certs);
	free(answers);
	return rc;
}

enum rc
anchors_load(const struct conf *conf, struct certstore *store, struct trust *trust, struct err *err)
{
	const struct conf_group *section = conf_section(conf, "trust");
	const char *dir = conf_str(section, "intermediates");
	enum rc rc;
	size_t i;

	rc = trustconf_lists(conf, trust, err);
	for (i = 0; rc == RC_OK && i < conf_count(conf, "anchors"); i++)
		rc = load_item(conf, conf_item(conf, "anchors", i), trust, err);
	if (rc == RC_OK && store && conf_bool(section, "anchors_from_store"))
		rc = load_store(store, trust, err);
	if (rc == RC_OK && dir)
		rc = trust_load_certs(trust, dir, false, err);
	dir = conf_str(section, "crl_dir");
	if (rc == RC_OK && dir)
		rc = trust_load_crls(trust, dir, err);
	if (rc == RC_OK)
		rc = load_fetched(conf, trust, err);
	return rc == RC_OK ? wants_watch(conf, trust, err) : rc;
}

enum rc
anchors_trust(const struct conf *conf, struct certstore *store, struct trust **out, struct err *err)
{
	struct trust_options options;
	enum rc rc;

	*out = NULL;
	rc = anchors_options(conf, &options, err);
	if (rc == RC_OK)
		rc = trustconf_blame(
			trust_new(&options, out, err), conf, conf_section(conf, "trust"), err);
	if (rc == RC_OK)
		rc = anchors_load(conf, store, *out, err);
	if (rc != RC_OK)
		trust_unref(out);
	return rc;
}
