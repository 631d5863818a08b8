/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_add.c - sealgate cert add: an administrator's word for the certificates of files
 */
#include "base/file.h"
#include "cli/cert.h"
#include "message/addr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CERT_FILE_MAX (16u << 20)
#define MAX_ADDRS     64

static int run_add(struct cli *cli, int argc, char **argv);

const struct command cert_add = {
	.name = "cert add",
	.usage =
		"[--address A]… [--pin [--force]] [--why TEXT] [--anchor [--domain D]…] [--json] FILE…",
	.help = "add certificates under the addresses in them, or trust anchors",
	.details =
		"An added certificate counts as proven: its owner can read what is encrypted to it.\n"
		"Files are PEM (any number), DER or PKCS#7.\n"
		"  --address A        where to file what names no address itself, such as a\n"
		"                     gateway's or a domain's certificate\n"
		"  --pin              pin it as well; one that cannot be used is left out\n"
		"  --force            pin it all the same\n"
		"  --why TEXT         is kept with it and in the history\n"
		"  --anchor           FILE holds trust anchors\n"
		"  --domain D         mail domain that the anchors may speak for, .D for its\n"
		"                     subdomains; without it all\n",
	.run = run_add,
};

/* What came of one certificate under one address. */
static void
report(const struct cert_adding *adding, const struct cert *cert, const char *addr,
	const char *result, const char *note)
{
	if (adding->json) {
		json_object(adding->json, NULL);
		json_str(adding->json, "sha256", cert_fingerprint(cert));
		json_str(adding->json, "subject", cert_subject(cert));
		json_str(adding->json, "address", *addr ? addr : NULL);
		json_str(adding->json, "result", result);
		json_str(adding->json, "note", note);
		json_object_end(adding->json);
		return;
	}
	if (strcmp(result, "left out") != 0)
		printf("%-7s %s  %s\n", result, cert_fingerprint(cert),
			*addr ? addr : cert_subject(cert));
	if (note)
		fprintf(stderr, "sealgate: %s: %s%s: %s\n", adding->file,
			strcmp(result, "left out") == 0 ? "left out, " : "", note,
			cert_subject(cert));
}

static enum rc
add_row(struct cert_adding *adding, struct cert *cert, const char *addr, const char *note,
	struct err *err)
{
	struct certrow row = {
		.cert = cert,
		.addr = (char *)addr, /* certstore_put only reads */
		.source = (char *)"admin",
		.vouched = (char *)cert_user(),
		.why = (char *)adding->why,
		.tier = TIER_DIRECTORY,
		.proven = true,
		.pinned = adding->pin,
		.anchor = adding->anchor,
		.domains = (char *)adding->domains,
	};
	enum certadded added;
	enum rc rc = certstore_put(adding->store, &row, &added, err);

	if (rc != RC_OK)
		return rc;
	if (added == CERTADDED_KNOWN)
		adding->known++;
	else
		adding->added++;
	report(adding, cert, addr, added == CERTADDED_KNOWN ? "known" : "added", note);
	return RC_OK;
}

static void
leave_out(struct cert_adding *adding, const struct cert *cert, const char *note)
{
	adding->left_out++;
	report(adding, cert, "", "left out", note);
}

/* Under the addresses of --address: for a certificate that names none. */
static enum rc
add_named(struct cert_adding *adding, struct cert *cert, struct err *err)
{
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; rc == RC_OK && i < adding->n_addrs; i++)
		rc = add_row(adding, cert, adding->addrs[i],
			"names no mail address: used only where domain_certificates says so", err);
	return rc;
}

/* A certificate that names addresses: under those, or those of --address that are among them. */
static enum rc
add_own(struct cert_adding *adding, struct cert *cert, const char *const *addrs, size_t n,
	struct err *err)
{
	char note[CERT_NOTE_SIZE];
	enum rc rc = RC_OK;
	size_t i;

	if (adding->pin && !adding->force && cert_note(cert, note)) {
		leave_out(adding, cert, note);
		return RC_OK;
	}
	if (!adding->n_addrs) {
		for (i = 0; rc == RC_OK && i < n; i++)
			rc = add_row(adding, cert, addrs[i], cert_note(cert, note), err);
		return rc;
	}
	for (i = 0; rc == RC_OK && i < adding->n_addrs; i++) {
		if (cert_has_addr(cert, adding->addrs[i], true)) {
			rc = add_row(adding, cert, adding->addrs[i], cert_note(cert, note), err);
			continue;
		}
		snprintf(note, sizeof(note), "it names %.200s%s", addrs[0],
			n > 1 ? " and others, but not the --address" : ", not the --address");
		leave_out(adding, cert, note);
	}
	return rc;
}

static enum rc
add_cert(struct cert_adding *adding, struct cert *cert, struct err *err)
{
	const char *const *addrs;
	size_t n = cert_addrs(cert, true, &addrs);

	if (adding->anchor)
		return add_row(adding, cert, "", NULL, err);
	if (n)
		return add_own(adding, cert, addrs, n, err);
	if (adding->n_addrs && !cert_is_ca(cert))
		return add_named(adding, cert, err);
	leave_out(adding, cert,
		cert_is_ca(cert) ? "it has no mail address (a CA)"
				 : "it has no mail address (--address names one)");
	return RC_OK;
}

enum rc
cert_add_file(struct cert_adding *adding, const char *path, struct err *err)
{
	struct buf file = BUF_INIT(CERT_FILE_MAX);
	struct certset set = {0};
	enum rc rc = file_read(path, &file, err);
	size_t i;

	adding->file = path;
	if (rc == RC_NONE)
		rc = err_set(err, ERR_FILE, "%s is not there", path);
	else if (rc == RC_OK && (rc = certset_parse(buf_text(&file), file.len, &set, err)) != RC_OK)
		rc = err_prefix(err, "%s", path);
	for (i = 0; rc == RC_OK && i < set.n; i++)
		rc = add_cert(adding, set.v[i], err);
	certset_fini(&set);
	buf_fini(&file);
	return rc;
}

void
cert_add_sums(const struct cert_adding *adding)
{
	if (!adding->json) {
		fprintf(stderr, "sealgate: %zu added, %zu known already, %zu left out",
			adding->added, adding->known, adding->left_out);
		if (adding->malformed)
			fprintf(stderr, ", %zu files without certificates", adding->malformed);
		fputc('\n', stderr);
		return;
	}
	json_int(adding->json, "added", (int64_t)adding->added);
	json_int(adding->json, "known", (int64_t)adding->known);
	json_int(adding->json, "left_out", (int64_t)adding->left_out);
	json_int(adding->json, "malformed", (int64_t)adding->malformed);
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

/* The options, besides those that go straight to struct cert_adding. */
struct add_options {
	struct cmd_values domains, addresses;
	char addrs[MAX_ADDRS][ADDR_MAX + 1];
	const char *list[MAX_ADDRS];
};

/* Are the options sensible together? False: it was said. */
static bool
understand(struct add_options *options, struct cert_adding *adding, int argc, int *status)
{
	size_t i;

	*status = EX_OK;
	if (argc < 2)
		*status = cmd_usage(&cert_add, "which file?");
	else if (options->domains.n && !adding->anchor)
		*status = cmd_usage(&cert_add, "--domain is for --anchor");
	else if (adding->force && !adding->pin)
		*status = cmd_usage(&cert_add, "--force is for --pin");
	else if (adding->anchor && (options->addresses.n || adding->pin))
		*status = cmd_usage(&cert_add, "an anchor has no address and no pin");
	else if (options->addresses.n > MAX_ADDRS)
		*status = cmd_usage(&cert_add, "more than %d addresses", MAX_ADDRS);
	for (i = 0; *status == EX_OK && i < options->addresses.n; i++) {
		options->list[i] = options->addrs[i];
		if (!cert_address(&cert_add, options->addresses.v[i], options->addrs[i], status))
			break;
	}
	adding->addrs = options->list;
	adding->n_addrs = options->addresses.n;
	return *status == EX_OK;
}

/* All files or none. */
static enum rc
add_files(struct cert_adding *adding, int argc, char **argv, struct err *err)
{
	enum rc rc = certstore_batch(adding->store, err);
	int i;

	if (rc != RC_OK)
		return rc;
	for (i = 1; rc == RC_OK && i < argc; i++)
		rc = cert_add_file(adding, argv[i], err);
	return certstore_batch_end(adding->store, rc, err);
}

static int
add(const struct cli *cli, struct cert_adding *adding, int argc, char **argv)
{
	struct buf text = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct json json;
	int status = EX_OK;
	enum rc rc;

	cmd_json_begin(&json, &text);
	json_array(&json, "certificates");
	adding->json = cli->json ? &json : NULL;
	rc = add_files(adding, argc, argv, &err);
	json_array_end(&json);
	if (cli->json)
		cert_add_sums(adding);
	json_object_end(&json);
	if (rc != RC_OK)
		status = err.code == ERR_FILE || err.code == ERR_CERT_MALFORMED
				 ? cmd_fail_input(&err)
				 : cmd_fail(&err);
	else if (!adding->added && !adding->known) {
		fprintf(stderr, "sealgate: nothing was added\n");
		status = EX_DATAERR;
	}
	if (cli->json && rc == RC_OK)
		status = cmd_print_json(&json, status);
	buf_fini(&text);
	return status;
}

static int
run_add(struct cli *cli, int argc, char **argv)
{
	struct add_options *options = calloc(1, sizeof(*options)); /* large */
	struct cert_adding adding = {.domains = ""};
	struct buf text = BUF_INIT(1u << 20);
	struct err err = ERR_INIT;
	int status = EX_TEMPFAIL;

	if (options) {
		const struct cmd_opt opts[] = {{"anchor", OPT_FLAG, &adding.anchor},
			{"pin", OPT_FLAG, &adding.pin}, {"force", OPT_FLAG, &adding.force},
			{"why", OPT_VALUE, &adding.why}, {"domain", OPT_VALUES, &options->domains},
			{"address", OPT_VALUES, &options->addresses}};

		if (!cmd_parse(&cert_add, cli, opts, 6, &argc, argv, &status) ||
			!understand(options, &adding, argc, &status))
			goto out;
		if (join_domains(&options->domains, &text, &err) != RC_OK)
			status = cmd_fail(&err);
		else if (cert_open_store(&cert_add, cli, true, &adding.store, &status)) {
			adding.domains = buf_text(&text);
			status = add(cli, &adding, argc, argv);
		}
	} else {
		fprintf(stderr, "sealgate: out of memory\n");
	}
out:
	certstore_close(&adding.store);
	buf_fini(&text);
	free(options);
	return status;
}
