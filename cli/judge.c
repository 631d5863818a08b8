/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/judge.h"

#include "base/clock.h"
#include "base/file.h"
#include "crypto/ocsp.h"
#include "crypto/revocation.h"
#include "directory/anchors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILES      100000
#define SIGNING_FUTURE 86400 /* seconds: as the configuration has it */
#define CERT_FILE_MAX  (16u << 20)
#define CRL_FILE_MAX   (256u << 20)

void
judge_opts(struct judge *judge, struct cmd_opt *opts)
{
	const struct cmd_opt table[JUDGE_N_OPTS] = {
		{"anchor", OPT_VALUES, &judge->anchors},
		{"cert", OPT_VALUES, &judge->certs},
		{"crl", OPT_VALUES, &judge->crls},
		{"ocsp", OPT_VALUES, &judge->ocsp},
		{"at", OPT_VALUE, &judge->at_text},
		{"from", OPT_VALUE, &judge->from},
		{"no-revocation", OPT_FLAG, &judge->no_revocation},
		{"policy", OPT_VALUES, &judge->policies},
		{"require-policy", OPT_FLAG, &judge->require_policy},
		{"inhibit-mapping", OPT_FLAG, &judge->inhibit_mapping},
		{"inhibit-any", OPT_FLAG, &judge->inhibit_any},
		{"time", OPT_VALUE, &judge->time_text},
		{"text", OPT_FLAG, &judge->text},
	};

	memcpy(opts, table, sizeof(table));
}

/* Hands the content of one file to ADD. A file that is named must be there and good. */
typedef enum rc add_fn(struct judge *judge, const struct buf *file, struct err *err);

static enum rc
add_file(struct judge *judge, const char *path, size_t max, add_fn *add, struct err *err)
{
	struct buf file = BUF_INIT(max);
	enum rc rc = file_read(path, &file, err);

	if (rc == RC_NONE)
		rc = err_set(err, ERR_FILE, "%s is not there", path);
	judge->file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	if (rc == RC_OK && (rc = add(judge, &file, err)) != RC_OK)
		rc = err_prefix(err, "%s", path);
	buf_fini(&file);
	return rc;
}

static enum rc
add_anchor(struct judge *judge, const struct buf *file, struct err *err)
{
	struct certset set = {0};
	enum rc rc = certset_parse(buf_text(file), file->len, &set, err);
	size_t i;

	for (i = 0; rc == RC_OK && i < set.n; i++)
		rc = trust_add_anchor(judge->trust, set.v[i], NULL, 0, err);
	certset_fini(&set);
	return rc;
}

static enum rc
add_cert(struct judge *judge, const struct buf *file, struct err *err)
{
	return certset_parse(buf_text(file), file->len, &judge->extra, err);
}

static enum rc
add_crl(struct judge *judge, const struct buf *file, struct err *err)
{
	return revocation_add_crl(
		trust_revocation(judge->trust), buf_text(file), file->len, judge->file, err);
}

static enum rc
add_ocsp(struct judge *judge, const struct buf *file, struct err *err)
{
	return trust_add_ocsp(judge->trust, file->data, file->len, judge->file, err);
}

/* Each file of a folder; what is of another kind lies there by right and is passed over. */
static enum rc
add_dir(struct judge *judge, const char *dir, size_t max, add_fn *add, struct err *err)
{
	char **names;
	size_t n, i;
	enum rc rc = file_list(dir, MAX_FILES, &names, &n, err);

	if (rc != RC_OK)
		return rc;
	for (i = 0; rc == RC_OK && i < n; i++) {
		char *path = file_join(dir, names[i]);

		if (!path)
			rc = err_set(err, ERR_MEMORY, "%s", dir);
		else
			rc = add_file(judge, path, max, add, err);
		if (err->code == ERR_CERT_MALFORMED || err->code == ERR_CRL_MALFORMED) {
			err_clear(err);
			rc = RC_OK;
		}
		free(path);
	}
	file_list_free(&names, n);
	return rc;
}

static enum rc
add_all(struct judge *judge, const struct cmd_values *values, size_t max, add_fn *add,
	struct err *err)
{
	enum rc rc = RC_OK;
	struct stat st;
	size_t i;

	for (i = 0; rc == RC_OK && i < values->n; i++) {
		if (stat(values->v[i], &st) == 0 && S_ISDIR(st.st_mode))
			rc = add_dir(judge, values->v[i], max, add, err);
		else
			rc = add_file(judge, values->v[i], max, add, err);
	}
	return rc;
}

/* Anchors, CRLs and intermediates of the configuration; the store only when it is there. */
static enum rc
add_conf(struct judge *judge, struct conf *conf, struct err *err)
{
	const char *path = conf_str(conf_section(conf, "certstore"), "path");
	struct certstore *store = NULL;
	enum rc rc = RC_OK;

	if (access(path, F_OK) == 0)
		rc = certstore_open(path, false, &store, err);
	if (rc == RC_OK)
		rc = anchors_load(conf, store, judge->trust, err);
	certstore_close(&store);
	return rc;
}

/* Whoever gives CRLs by hand wants an answer from them; a configuration says itself what it wants.
 */
static enum rc
options_of(const struct judge *judge, const struct cli *cli, struct trust_options *options,
	struct err *err)
{
	enum rc rc = RC_OK;

	*options = (struct trust_options){
		.revocation = REVOKE_IF_KNOWN,
		.min_rsa = 2048,
		.signing_future = SIGNING_FUTURE,
	};
	if (judge->crls.n || judge->ocsp.n)
		options->revocation = REVOKE_REQUIRED;
	if (cli->conf)
		rc = anchors_options(cli->conf, options, err);
	if (judge->no_revocation)
		options->revocation = REVOKE_OFF;
	if (judge->policies.n) {
		options->policies = judge->policies.v;
		options->n_policies = judge->policies.n;
	}
	options->require_policy |= judge->require_policy;
	options->inhibit_mapping |= judge->inhibit_mapping;
	options->inhibit_any |= judge->inhibit_any;
	if (judge->time_text)
		options->signature_time = judge->time;
	return rc;
}

/* --at and --time. */
static bool
read_times(const struct command *command, struct judge *judge, int *status)
{
	static const char *const words[] = {[SIGNATURE_TIME_NOW] = "now",
		[SIGNATURE_TIME_RECEIPT] = "receipt",
		[SIGNATURE_TIME_SIGNING] = "signing"};
	struct err err = ERR_INIT;
	size_t i;

	judge->at = -1;
	if (judge->at_text && clock_parse(judge->at_text, &judge->at, &err) != RC_OK) {
		*status = cmd_usage(command, "--at %s: %s", judge->at_text, err.detail);
		return false;
	}
	for (i = 0; judge->time_text && i < 3; i++)
		if (strcmp(judge->time_text, words[i]) == 0)
			break;
	judge->time = (enum signature_time)i;
	if (i == 3)
		*status = cmd_usage(command, "--time is now, receipt or signing");
	return i < 3;
}

bool
judge_open(const struct command *command, struct cli *cli, struct judge *judge, int *status)
{
	struct trust_options options;
	struct err err = ERR_INIT;

	if (!read_times(command, judge, status))
		return false;
	if (cli->conf_path && !cmd_conf(command, cli, status))
		return false;
	if (options_of(judge, cli, &options, &err) != RC_OK ||
		trust_new(&options, &judge->trust, &err) != RC_OK ||
		(cli->conf && add_conf(judge, cli->conf, &err) != RC_OK)) {
		*status = cmd_fail(&err);
		return false;
	}
	if (add_all(judge, &judge->anchors, CERT_FILE_MAX, add_anchor, &err) != RC_OK ||
		add_all(judge, &judge->certs, CERT_FILE_MAX, add_cert, &err) != RC_OK ||
		add_all(judge, &judge->crls, CRL_FILE_MAX, add_crl, &err) != RC_OK ||
		add_all(judge, &judge->ocsp, OCSP_RESPONSE_MAX, add_ocsp, &err) != RC_OK) {
		*status = cmd_fail_input(&err);
		return false;
	}
	return true;
}

static void
print_text(const char *name, const struct verdict *verdict)
{
	bool told = !*verdict->reason; /* the overall reason is one of the parts' */
	size_t i;

	printf("%s: %s\n", name, verdict_overall_name(verdict->overall));
	for (i = 0; i < VERDICT_PARTS; i++) {
		const char *why = verdict_text(verdict, (enum verdict_part)i);

		printf("  %-11s %s%s%s\n", verdict_part_name((enum verdict_part)i),
			verdict_answer(verdict, (enum verdict_part)i), *why ? ": " : "", why);
		told |= strcmp(why, verdict->reason) == 0;
	}
	if (!told)
		printf("  %-11s %s\n", "because", verdict->reason);
	for (i = 0; i < verdict->n_missing; i++)
		printf("  %-11s %s\n", "issuer at", verdict->missing[i]);
	for (i = 0; i < verdict->n_signers; i++)
		printf("  %-11s %.16s  %s\n", "certificate", cert_fingerprint(verdict->signers[i]),
			cert_subject(verdict->signers[i]));
}

int
judge_print(const struct judge *judge, const char *name, const struct verdict *verdict)
{
	struct buf text = BUF_INIT(0);
	struct json json;
	int status = verdict_exit_status(verdict);

	if (judge->text) {
		print_text(name, verdict);
		return status;
	}
	json_init(&json, &text);
	json_object(&json, NULL);
	verdict_json(verdict, &json);
	return cmd_json_end(&json, status);
}

void
judge_close(struct judge *judge)
{
	trust_unref(&judge->trust);
	certset_fini(&judge->extra);
}
