/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/anchors.h"

#include "base/file.h"

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

void
anchors_options(const struct conf *conf, struct trust_options *options)
{
	const struct conf_group *trust = conf_section(conf, "trust");

	*options = (struct trust_options){
		.revocation = revocation_mode(conf_str(trust, "revocation")),
		.revocation_grace = conf_int(trust, "revocation_grace"),
		.revocation_dated = strcmp(conf_str(trust, "revocation_dates"), "respect") == 0,
		.min_rsa = (int)conf_int(trust, "min_rsa"),
	};
}

/* What an item of the list "anchors" sets for itself; the rest is the trust's. */
static void
item_rules(const struct conf *conf, const struct conf_group *item, struct trust_options *rules)
{
	const struct conf_group *trust = conf_section(conf, "trust");
	const char *word = conf_str(item, "revocation");
	bool own_grace = conf_is_set(item, "revocation_grace");

	*rules = (struct trust_options){0};
	if (strcmp(word, "default") == 0 && !own_grace)
		return;
	anchors_options(conf, rules);
	*rules = (struct trust_options){
		.own_revocation = true,
		.revocation =
			strcmp(word, "default") == 0 ? rules->revocation : revocation_mode(word),
		.revocation_grace = conf_int(own_grace ? item : trust, "revocation_grace"),
		.revocation_dated = rules->revocation_dated,
	};
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
	item_rules(conf, item, &rules);
	for (i = 0; rc == RC_OK && i < set.n; i++)
		rc = trust_add_anchor_with(trust, set.v[i], domains, n, &rules, err);
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

enum rc
anchors_load(const struct conf *conf, struct certstore *store, struct trust *trust, struct err *err)
{
	const struct conf_group *section = conf_section(conf, "trust");
	const char *dir = conf_str(section, "intermediates");
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; rc == RC_OK && i < conf_count(conf, "anchors"); i++)
		rc = load_item(conf, conf_item(conf, "anchors", i), trust, err);
	if (rc == RC_OK && store && conf_bool(section, "anchors_from_store"))
		rc = load_store(store, trust, err);
	if (rc == RC_OK && dir)
		rc = trust_load_certs(trust, dir, false, err);
	dir = conf_str(section, "crl_dir");
	if (rc == RC_OK && dir)
		rc = trust_load_crls(trust, dir, err);
	return rc;
}

enum rc
anchors_trust(const struct conf *conf, struct certstore *store, struct trust **out, struct err *err)
{
	struct trust_options options;
	enum rc rc;

	anchors_options(conf, &options);
	rc = trust_new(&options, out, err);
	if (rc == RC_OK)
		rc = anchors_load(conf, store, *out, err);
	if (rc != RC_OK)
		trust_unref(out);
	return rc;
}
