/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/trust_conf.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ANCHOR_FILE_MAX    (8u << 20)
#define ANCHOR_MAX_DOMAINS 4096

static enum rc
add_anchor_file(struct trust *trust, const struct conf *conf, const struct conf_group *group,
	struct err *err)
{
	const char *path = conf_str(group, "file");
	struct buf data = BUF_INIT(ANCHOR_FILE_MAX);
	struct certset set = {0};
	const char *const *domains;
	size_t n = conf_strings(group, "domains", &domains);
	struct err why = ERR_INIT;
	enum rc rc = file_read(path, &data, &why);

	if (rc == RC_OK)
		rc = certset_parse(buf_text(&data), data.len, &set, &why);
	if (rc == RC_NONE)
		rc = conf_err(err, conf, group, "file", "%s is not there", path);
	else if (rc == RC_PERM || (rc == RC_OK && set.n == 0))
		rc = conf_err(err, conf, group, "file", "%s: %s", path,
			rc == RC_OK ? "no certificate" : why.detail);
	else if (rc != RC_OK && err)
		*err = why;
	for (size_t i = 0; rc == RC_OK && i < set.n; i++)
		rc = trust_add_anchor(trust, set.v[i], domains, n, err);
	certset_fini(&set);
	buf_fini(&data);
	return rc;
}

/* The row's domains are separated by blanks. */
static enum rc
add_anchor_row(struct trust *trust, const struct certrow *row, struct err *err)
{
	const char **domains = calloc(ANCHOR_MAX_DOMAINS, sizeof(*domains));
	char *copy = strdup(row->domains ? row->domains : ""), *save = NULL;
	size_t n = 0;
	enum rc rc;

	if (!domains || !copy) {
		free(domains);
		free(copy);
		return err_set(err, ERR_MEMORY, "anchors");
	}
	for (char *word = strtok_r(copy, " ", &save); word && n < ANCHOR_MAX_DOMAINS;
		word = strtok_r(NULL, " ", &save))
		domains[n++] = word;
	rc = trust_add_anchor(trust, row->cert, domains, n, err);
	free(domains);
	free(copy);
	return rc;
}

static enum rc
add_stored_anchors(struct trust *trust, struct certstore *store, struct err *err)
{
	struct certrow *rows = NULL;
	size_t n = 0;
	enum rc rc = certstore_list(store, true, &rows, &n, err);

	if (rc == RC_NONE)
		return RC_OK;
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = add_anchor_row(trust, &rows[i], err);
	certrows_free(&rows, n);
	return rc;
}

static struct trust_options
options_of(const struct conf_group *group, const struct trust_options *more)
{
	static const char *const modes[] = {"off", "if-known", "required"};
	struct trust_options options = more ? *more : (struct trust_options){0};

	options.min_rsa = (int)conf_int(group, "min_rsa");
	if (!more)
		for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
			if (strcmp(conf_str(group, "revocation"), modes[i]) == 0)
				options.revocation = (enum revocation_mode)i;
	return options;
}

enum rc
trust_from_conf(const struct conf *conf, struct certstore *store, const struct trust_options *more,
	struct trust **out, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "trust");
	struct trust_options options = options_of(group, more);
	const char *dir = conf_str(group, "intermediates");
	struct trust *trust;
	enum rc rc;

	*out = NULL;
	rc = trust_new(&options, &trust, err);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; rc == RC_OK && i < conf_count(conf, "anchors"); i++)
		rc = add_anchor_file(trust, conf, conf_item(conf, "anchors", i), err);
	if (rc == RC_OK && store && conf_bool(group, "anchors_from_store"))
		rc = add_stored_anchors(trust, store, err);
	if (rc == RC_OK && dir)
		rc = trust_load_certs(trust, dir, false, err);
	if (rc == RC_OK && conf_str(group, "crl_dir"))
		rc = trust_load_crls(trust, conf_str(group, "crl_dir"), err);
	if (rc == RC_OK)
		*out = trust;
	else
		trust_unref(&trust);
	return rc;
}

static enum rc
describe_anchors(struct certstore *store, struct buf *out, struct err *err)
{
	struct certrow *rows = NULL;
	size_t n = 0;
	enum rc rc = certstore_list(store, true, &rows, &n, err);

	if (rc == RC_NONE)
		return RC_OK;
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = buf_appendf(out, err, "%s %s\n", cert_fingerprint(rows[i].cert),
			rows[i].domains ? rows[i].domains : "");
	certrows_free(&rows, n);
	return rc;
}

enum rc
trust_state_get(
	const struct conf *conf, struct certstore *store, struct trust_state *out, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "trust");
	struct buf text = BUF_INIT(0);
	struct stat st;
	enum rc rc = RC_OK;

	memset(out, 0, sizeof(*out));
	if (conf_str(group, "crl_dir") && stat(conf_str(group, "crl_dir"), &st) == 0)
		out->crl_time = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	if (store && conf_bool(group, "anchors_from_store"))
		rc = describe_anchors(store, &text, err);
	if (rc == RC_OK && !(out->anchors = strdup(buf_text(&text))))
		rc = err_set(err, ERR_MEMORY, "anchors");
	buf_fini(&text);
	return rc;
}

bool
trust_state_equal(const struct trust_state *a, const struct trust_state *b)
{
	return a->crl_time == b->crl_time && strcmp(a->anchors, b->anchors) == 0;
}

void
trust_state_fini(struct trust_state *state)
{
	free(state->anchors);
	state->anchors = NULL;
}
