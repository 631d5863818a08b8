/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/trust_state.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static enum rc
describe_anchors(struct certstore *store, struct buf *out, struct err *err)
{
	struct certrow *rows = NULL;
	size_t n = 0;
	enum rc rc = certstore_anchors(store, &rows, &n, err);

	if (rc == RC_NONE)
		return RC_OK;
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = buf_appendf(out, err, "%s %s\n", cert_fingerprint(rows[i].cert),
			rows[i].domains ? rows[i].domains : "");
	certrows_free(&rows, n);
	return rc;
}

int64_t
trust_state_crl_time(const struct conf *conf)
{
	const char *dir = conf_str(conf_section(conf, "trust"), "crl_dir");
	struct stat st;

	if (!dir || stat(dir, &st) != 0)
		return 0;
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

enum rc
trust_state_get(
	const struct conf *conf, struct certstore *store, struct trust_state *out, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "trust");
	struct buf text = BUF_INIT(0);
	enum rc rc = RC_OK;

	memset(out, 0, sizeof(*out));
	out->crl_time = trust_state_crl_time(conf);
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
