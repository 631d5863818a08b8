/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_export.c - sealgate cert export: the store's certificates for other programs
 *
 * Written while the store is read. Each certificate goes out once, however many addresses it is
 * filed under (in LDIF: once for each address, which is an entry).
 */
#include "base/clock.h"
#include "base/file.h"
#include "cli/cert.h"
#include "cli/cert_ldif.h"
#include "message/addr.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITE_BYTES (64u << 10)
#define FIRST_SLOTS 1024

static int run(struct cli *cli, int argc, char **argv);

const struct command cert_export = {
	.name = "cert export",
	.usage = "[--format pem|p7|files|ldif] [--out PATH] [--base DN] [--anchor] [--valid] "
		 "[--json] [ADDR|@DOMAIN]",
	.help = "write certificates of the store as PEM, PKCS#7, single files or LDIF",
	.details =
		"  --format WORD      pem (default); p7, a certs-only PKCS#7; files, one PEM for\n"
		"                     each certificate, named ADDRESS.FINGERPRINT.pem; ldif, an\n"
		"                     inetOrgPerson with userCertificate;binary for each address\n"
		"  --out PATH         a file instead of standard output; for files the folder\n"
		"  --base DN          where the entries of LDIF stand\n"
		"  --anchor           the trust anchors instead\n"
		"  --valid            only what is valid today\n"
		"Status: 0 something was written, 65 there is nothing to write.\n",
	.run = run,
};

/* certs-only (RFC 8551 section 3.2.2) in BER with lengths left open, so that it need not be known
 * beforehand how much there is: ContentInfo, SignedData, version 1, no digest, id-data, [0] */
static const unsigned char p7_begin[] = {0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
	0x01, 0x07, 0x02, 0xa0, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0x31, 0x00, 0x30, 0x0b, 0x06,
	0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01, 0xa0, 0x80};
/* the end of [0], no signer, the ends of SignedData, its [0] and ContentInfo */
static const unsigned char p7_end[] = {0x00, 0x00, 0x31, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};

enum format { FORMAT_PEM, FORMAT_P7, FORMAT_FILES, FORMAT_LDIF };

struct exporting {
	enum format format;
	const char *word, *out, *base;
	bool anchors, valid;
	const char *addr, *domain; /* or NULL */
	int fd;
	struct buf buf;   /* on its way */
	struct ldif ldif; /* the entry that is being put together */
	unsigned char (*seen)[SHA256_SIZE];
	bool *taken;
	size_t slots, n;
};

/* Room for more fingerprints: a table with open addressing, half empty. */
static enum rc
grow(struct exporting *e, struct err *err)
{
	size_t slots = e->slots ? 2 * e->slots : FIRST_SLOTS, i, at;
	unsigned char(*seen)[SHA256_SIZE] = calloc(slots, sizeof(*seen));
	bool *taken = calloc(slots, sizeof(*taken));

	if (!seen || !taken) {
		free(seen);
		free(taken);
		return err_set(err, ERR_MEMORY, "export");
	}
	for (i = 0; i < e->slots; i++) {
		if (!e->taken[i])
			continue;
		memcpy(&at, e->seen[i], sizeof(at));
		for (at %= slots; taken[at]; at = (at + 1) % slots)
			;
		memcpy(seen[at], e->seen[i], SHA256_SIZE);
		taken[at] = true;
	}
	free(e->seen);
	free(e->taken);
	e->seen = seen;
	e->taken = taken;
	e->slots = slots;
	return RC_OK;
}

/* RC_NONE when CERT was seen before. */
static enum rc
see(struct exporting *e, const struct cert *cert, struct err *err)
{
	const unsigned char *sha256 = cert_sha256(cert);
	size_t at;

	if (2 * e->n >= e->slots && grow(e, err) != RC_OK)
		return RC_TEMP;
	memcpy(&at, sha256, sizeof(at)); /* as random as one could wish */
	for (at %= e->slots; e->taken[at]; at = (at + 1) % e->slots)
		if (memcmp(e->seen[at], sha256, SHA256_SIZE) == 0)
			return RC_NONE;
	memcpy(e->seen[at], sha256, SHA256_SIZE);
	e->taken[at] = true;
	e->n++;
	return RC_OK;
}

static enum rc
drain(struct exporting *e, bool force, struct err *err)
{
	enum rc rc = RC_OK;

	if (e->buf.len >= WRITE_BYTES || (force && e->buf.len)) {
		rc = file_write_all(e->fd, e->buf.data, e->buf.len, err);
		buf_clear(&e->buf);
	}
	return rc;
}

/* ADDRESS.FINGERPRINT.pem; what could be a path or hide the file becomes "_". */
static enum rc
write_file(struct exporting *e, const struct certrow *row, struct err *err)
{
	char name[ADDR_MAX + 32], *path;
	enum rc rc;

	snprintf(name, sizeof(name), "%.200s.%.16s.pem", row->anchor ? "anchor" : row->addr,
		cert_fingerprint(row->cert));
	for (char *c = name; *c; c++)
		if (*c == '/' || (unsigned char)*c <= ' ' || *c == 0x7f || (c == name && *c == '.'))
			*c = '_';
	path = file_join(e->out, name);
	rc = path ? cert_format_pem(row->cert, &e->buf, err) : err_set(err, ERR_MEMORY, "export");
	if (rc == RC_OK)
		rc = file_write(path, e->buf.data, e->buf.len, 0644, err);
	buf_clear(&e->buf);
	free(path);
	return rc;
}

static bool
is_wanted(const struct exporting *e, const struct certrow *row)
{
	const char *domain = row->anchor ? NULL : addr_domain(row->addr);
	int64_t now = clock_now();

	return !(e->valid &&
		       (cert_not_after(row->cert) < now || cert_not_before(row->cert) > now)) &&
	       !(e->domain && (!domain || !addr_domain_in(domain, &e->domain, 1)));
}

static enum rc
export_row(void *ctx, const struct certrow *row, struct err *err)
{
	struct exporting *e = ctx;
	size_t len = 0;
	const unsigned char *der = cert_der(row->cert, &len);
	enum rc rc;

	if (!is_wanted(e, row))
		return RC_OK;
	if (e->format == FORMAT_LDIF) {
		e->n++;
		rc = ldif_add(&e->ldif, row->addr, der, len, &e->buf, err);
		return rc == RC_OK ? drain(e, false, err) : rc;
	}
	rc = see(e, row->cert, err);
	if (rc != RC_OK)
		return rc == RC_NONE ? RC_OK : rc;
	rc = e->format == FORMAT_FILES ? write_file(e, row, err)
	     : e->format == FORMAT_P7  ? buf_append(&e->buf, der, len, err)
				       : cert_format_pem(row->cert, &e->buf, err);
	return rc == RC_OK ? drain(e, false, err) : rc;
}

static enum rc
export_rows(struct exporting *e, struct certstore *store, struct err *err)
{
	struct certrow *rows = NULL;
	size_t n = 0, i;
	enum rc rc;

	if (!e->anchors && !e->addr)
		return certstore_each(store, export_row, e, err);
	rc = e->anchors ? certstore_anchors(store, &rows, &n, err)
			: certstore_find(store, e->addr, &rows, &n, err);
	for (i = 0; rc == RC_OK && i < n; i++)
		rc = export_row(e, &rows[i], err);
	certrows_free(&rows, n);
	return rc == RC_NONE ? RC_OK : rc;
}

/* Everything between the beginning and the end of the file. */
static enum rc
export_all(struct exporting *e, struct certstore *store, struct err *err)
{
	enum rc rc = RC_OK;

	if (e->format == FORMAT_P7)
		rc = buf_append(&e->buf, p7_begin, sizeof(p7_begin), err);
	if (e->format == FORMAT_LDIF)
		rc = buf_append_str(&e->buf, "version: 1\n", err);
	if (rc == RC_OK)
		rc = export_rows(e, store, err);
	if (rc == RC_OK && e->format == FORMAT_P7)
		rc = buf_append(&e->buf, p7_end, sizeof(p7_end), err);
	return rc == RC_OK ? drain(e, true, err) : rc;
}

static enum rc
open_out(struct exporting *e, struct err *err)
{
	if (e->format == FORMAT_FILES)
		return file_make_dir(e->out, 0755, err);
	e->fd = e->out ? open(e->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)
		       : STDOUT_FILENO;
	return e->fd < 0 ? err_set(err, ERR_FILE, "%s cannot be written", e->out) : RC_OK;
}

static int
report(const struct cli *cli, const struct exporting *e)
{
	struct buf text = BUF_INIT(0);
	struct json json;
	int status = e->n ? EX_OK : EX_DATAERR;

	if (cli->json) {
		cmd_json_begin(&json, &text);
		json_int(&json, "certificates", (int64_t)e->n);
		json_str(&json, "format", e->word);
		json_str(&json, "out", e->out);
		json_object_end(&json);
		status = cmd_print_json(&json, status);
	} else {
		fprintf(stderr, "sealgate: %zu certificates written\n", e->n);
	}
	buf_fini(&text);
	return status;
}

/* What the options mean together; false: it was said. */
static bool
understand(
	struct exporting *e, const struct cli *cli, int argc, char **argv, char *addr, int *status)
{
	static const char *const words[] = {"pem", "p7", "files", "ldif"};
	size_t i;

	*status = EX_OK;
	for (i = 0; i < 4 && strcmp(e->word, words[i]) != 0; i++)
		;
	e->format = (enum format)i;
	if (i == 4)
		*status = cmd_usage(&cert_export, "--format is pem, p7, files or ldif");
	else if (argc > 2)
		*status = cmd_usage(&cert_export, "one address or @domain");
	else if (e->format == FORMAT_FILES && !e->out)
		*status = cmd_usage(&cert_export, "--format files needs --out FOLDER");
	else if (cli->json && !e->out)
		*status = cmd_usage(&cert_export, "--json reports on what goes to --out");
	else if ((e->format == FORMAT_LDIF) != (e->base != NULL))
		*status = cmd_usage(&cert_export, "--base DN is for --format ldif, which needs it");
	else if (e->anchors && (e->format == FORMAT_LDIF || argc == 2))
		*status = cmd_usage(&cert_export, "an anchor has no address");
	else if (argc == 2 && argv[1][0] == '@')
		e->domain = argv[1] + 1;
	else if (argc == 2 && cert_address(&cert_export, argv[1], addr, status))
		e->addr = addr;
	return *status == EX_OK;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct exporting e = {.word = "pem", .fd = -1, .buf = BUF_INIT(0)};
	const struct cmd_opt opts[] = {{"format", OPT_VALUE, &e.word}, {"out", OPT_VALUE, &e.out},
		{"base", OPT_VALUE, &e.base}, {"anchor", OPT_FLAG, &e.anchors},
		{"valid", OPT_FLAG, &e.valid}};
	char addr[ADDR_MAX + 1];
	struct certstore *store;
	struct err err = ERR_INIT;
	int status;
	enum rc rc;

	if (!cmd_parse(&cert_export, cli, opts, 5, &argc, argv, &status) ||
		!understand(&e, cli, argc, argv, addr, &status))
		return status;
	if (!cert_open_store(&cert_export, cli, false, &store, &status))
		return status;
	e.ldif.base = e.base;
	rc = open_out(&e, &err);
	if (rc == RC_OK)
		rc = export_all(&e, store, &err);
	if (e.fd > STDERR_FILENO && close(e.fd) != 0 && rc == RC_OK)
		rc = err_set(&err, ERR_FILE, "%s cannot be written", e.out);
	status = rc == RC_OK ? report(cli, &e) : cmd_fail(&err);
	ldif_fini(&e.ldif);
	buf_fini(&e.buf);
	free(e.seen);
	free(e.taken);
	certstore_close(&store);
	return status;
}
