/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_add.c - sealgate cert add, import-dir: an administrator's word for a certificate
 */
#include "base/file.h"
#include "cli/cert.h"
#include "message/addr.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CERT_FILE_MAX (16u << 20)
#define MAX_FILES     100000

static int run_add(struct cli *cli, int argc, char **argv);
static int run_import(struct cli *cli, int argc, char **argv);

const struct command cert_add = {
	.name = "cert add",
	.usage = "[--anchor [--domain D]…] FILE…",
	.help = "add certificates under the addresses in them, or trust anchors",
	.details =
		"An added certificate counts as proven: its owner can read what is encrypted to it.\n"
		"  --anchor           FILE holds trust anchors\n"
		"  --domain D         mail domain that the anchors may speak for, .D for its\n"
		"                     subdomains; without it all\n",
	.run = run_add,
};
const struct command cert_import_dir = {
	.name = "cert import-dir",
	.usage = "DIR",
	.help = "add each file of a folder like cert add",
	.run = run_import,
};

/* What `add` was asked for, and what it did. */
struct adding {
	struct certstore *store;
	bool anchor;
	const char *domains; /* separated by blanks */
	const char *user;    /* who vouches */
	size_t added, left_out;
};

static const char *
user_name(void)
{
	static char number[24];
	const struct passwd *pw = getpwuid(getuid());

	if (pw)
		return pw->pw_name;
	snprintf(number, sizeof(number), "%u", (unsigned)getuid());
	return number;
}

static enum rc
add_row(struct adding *adding, struct cert *cert, const char *addr, struct err *err)
{
	struct certrow row = {
		.cert = cert,
		.addr = (char *)addr, /* certstore_add only reads */
		.source = (char *)"admin",
		.vouched = (char *)adding->user,
		.tier = TIER_DIRECTORY,
		.proven = true,
		.anchor = adding->anchor,
		.domains = (char *)adding->domains,
	};
	enum rc rc = certstore_add(adding->store, &row, err);

	if (rc == RC_OK) {
		adding->added++;
		printf("%s  %s\n", cert_fingerprint(cert), *addr ? addr : cert_subject(cert));
	}
	return rc;
}

static enum rc
add_cert(struct adding *adding, struct cert *cert, const char *path, struct err *err)
{
	const char *const *addrs;
	size_t n = cert_addrs(cert, true, &addrs), i;
	enum rc rc = RC_OK;

	if (adding->anchor)
		return add_row(adding, cert, "", err);
	for (i = 0; rc == RC_OK && i < n; i++)
		rc = add_row(adding, cert, addrs[i], err);
	if (!n) { /* a CA in a bundle, mostly */
		adding->left_out++;
		fprintf(stderr, "sealgate: %s: left out, it has no mail address: %s\n", path,
			cert_subject(cert));
	}
	return rc;
}

static enum rc
add_file(struct adding *adding, const char *path, struct err *err)
{
	struct buf file = BUF_INIT(CERT_FILE_MAX);
	struct certset set = {0};
	enum rc rc = file_read(path, &file, err);
	size_t i;

	if (rc == RC_NONE)
		rc = err_set(err, ERR_FILE, "%s is not there", path);
	else if (rc == RC_OK && (rc = certset_parse(buf_text(&file), file.len, &set, err)) != RC_OK)
		rc = err_prefix(err, "%s", path);
	for (i = 0; rc == RC_OK && i < set.n; i++)
		rc = add_cert(adding, set.v[i], path, err);
	certset_fini(&set);
	buf_fini(&file);
	return rc;
}

/* Domains as one text; those that are none are refused. */
static enum rc
join_domains(const struct cmd_values *domains, struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; rc == RC_OK && i < domains->n; i++) {
		const char *domain = domains->v[i];

		if (!*domain || strpbrk(domain, " @\t") || strcmp(domain, ".") == 0)
			return err_set(err, ERR_USAGE, "--domain %s is no mail domain", domain);
		if (i)
			rc = buf_append_char(out, ' ', err);
		if (rc == RC_OK)
			rc = buf_append_str(out, domain, err);
	}
	return rc;
}

static int
conclude(const struct adding *adding)
{
	if (adding->added)
		return EX_OK;
	fprintf(stderr, "sealgate: nothing was added\n");
	return EX_DATAERR;
}

static int
run_add(struct cli *cli, int argc, char **argv)
{
	struct cmd_values *domains = calloc(1, sizeof(*domains));
	struct adding adding = {.user = user_name()};
	const struct cmd_opt opts[] = {
		{"anchor", OPT_FLAG, &adding.anchor},
		{"domain", OPT_VALUES, domains},
	};
	struct buf text = BUF_INIT(1u << 20);
	struct err err = ERR_INIT;
	int status, i;
	enum rc rc;

	if (!domains) {
		fprintf(stderr, "sealgate: out of memory\n");
		return EX_TEMPFAIL;
	}
	if (!cmd_parse(&cert_add, cli, opts, 2, &argc, argv, &status))
		goto out;
	if (argc < 2 || (domains->n && !adding.anchor)) {
		status =
			cmd_usage(&cert_add, argc < 2 ? "which file?" : "--domain is for --anchor");
		goto out;
	}
	rc = join_domains(domains, &text, &err);
	adding.domains = buf_text(&text);
	if (rc != RC_OK) {
		status = cmd_fail(&err);
		goto out;
	}
	if (!cert_open_store(&cert_add, cli, true, &adding.store, &status))
		goto out;
	for (i = 1; rc == RC_OK && i < argc; i++)
		rc = add_file(&adding, argv[i], &err);
	if (rc == RC_OK)
		status = conclude(&adding);
	else
		status = err.code == ERR_FILE || err.code == ERR_CERT_MALFORMED
				 ? cmd_fail_input(&err)
				 : cmd_fail(&err);
out:
	certstore_close(&adding.store);
	buf_fini(&text);
	free(domains);
	return status;
}

/* A folder may hold anything: what is no certificate is named and passed over. */
static enum rc
import_files(struct adding *adding, const char *dir, char *const *names, size_t n, struct err *err)
{
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; rc == RC_OK && i < n; i++) {
		char *path = file_join(dir, names[i]);

		rc = path ? add_file(adding, path, err) : err_set(err, ERR_MEMORY, "%s", dir);
		if (err->code == ERR_CERT_MALFORMED || err->code == ERR_LIMIT) {
			fprintf(stderr, "sealgate: left out: %s\n", err->detail);
			adding->left_out++;
			err_clear(err);
			rc = RC_OK;
		}
		free(path);
	}
	return rc;
}

static int
run_import(struct cli *cli, int argc, char **argv)
{
	struct adding adding = {.user = user_name(), .domains = ""};
	struct err err = ERR_INIT;
	char **names = NULL;
	size_t n = 0;
	int status;

	if (!cmd_parse(&cert_import_dir, cli, NULL, 0, &argc, argv, &status))
		return status;
	if (argc != 2)
		return cmd_usage(&cert_import_dir, "one folder");
	if (file_list(argv[1], MAX_FILES, &names, &n, &err) != RC_OK) {
		if (err.code == ERR_NONE)
			err_set(&err, ERR_FILE, "%s is not there", argv[1]);
		return cmd_fail_input(&err);
	}
	if (cert_open_store(&cert_import_dir, cli, true, &adding.store, &status)) {
		status = import_files(&adding, argv[1], names, n, &err) == RC_OK ? conclude(&adding)
										 : cmd_fail(&err);
		fprintf(stderr, "sealgate: %zu added, %zu left out\n", adding.added,
			adding.left_out);
	}
	certstore_close(&adding.store);
	file_list_free(&names, n);
	return status;
}
