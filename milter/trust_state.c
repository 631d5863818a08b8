/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/trust_state.h"

#include "directory/anchors.h"

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

/* When something was put into or out of DIR, in ns; 0: there is none. */
static uint64_t
changed_at(const char *dir)
{
	struct stat st;

	if (!dir || stat(dir, &st) != 0)
		return 0;
	return (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
}

enum rc
trust_dirs_init(struct trust_dirs *dirs, const struct conf *conf, struct err *err)
{
	static const char *const kinds[] = {"crl", "aia"}; /* OCSP answers are read when needed */
	enum rc rc = RC_OK;

	dirs->crls = conf_str(conf_section(conf, "trust"), "crl_dir");
	for (size_t i = 0; i < 2; i++) {
		dirs->fetched[i] = anchors_fetched(conf, kinds[i]);
		if (!dirs->fetched[i])
			rc = err_set(err, ERR_MEMORY, "fetched files");
	}
	return rc;
}

void
trust_dirs_fini(struct trust_dirs *dirs)
{
	for (size_t i = 0; i < 2; i++)
		free(dirs->fetched[i]);
	memset(dirs, 0, sizeof(*dirs));
}

int64_t
trust_state_crl_time(const struct trust_dirs *dirs)
{
	uint64_t all = changed_at(dirs->crls);

	/* One number for several times; two states of them that give the same are not to be met. */
	for (size_t i = 0; i < 2; i++)
		all = all * UINT64_C(0x9e3779b97f4a7c15) + changed_at(dirs->fetched[i]);
	return (int64_t)(all >> 1);
}

enum rc
trust_state_get(const struct conf *conf, const struct trust_dirs *dirs, struct certstore *store,
	struct trust_state *out, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "trust");
	struct buf text = BUF_INIT(0);
	enum rc rc = RC_OK;

	memset(out, 0, sizeof(*out));
	out->crl_time = trust_state_crl_time(dirs);
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
