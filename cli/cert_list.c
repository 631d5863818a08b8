/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_list.c - sealgate cert list, show
 *
 * A list is written while the store is read, whatever its size.
 */
#include "base/clock.h"
#include "cli/cert.h"
#include "message/addr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run_list(struct cli *cli, int argc, char **argv);
static int run_show(struct cli *cli, int argc, char **argv);

const struct command cert_list = {
	.name = "cert list",
	.usage = "[--anchor | --history] [--tier T] [--source S] [--pinned] [--expired] [--json] "
		 "[ADDR|@DOMAIN]",
	.help = "list the certificates of the store, its anchors, or what happened to them",
	.details = "  --anchor           the trust anchors\n"
		   "  --history          what was added, pinned, forgotten, by whom, and which\n"
		   "                     certificate was used for whom from when to when\n"
		   "  --tier T           pinned, directory, smimea or harvested\n"
		   "  --source S         admin, import, harvest, …\n"
		   "  --pinned           only what is pinned\n"
		   "  --expired          only what has expired\n",
	.run = run_list,
};
const struct command cert_show = {
	.name = "cert show",
	.usage = "[--json] FINGERPRINT",
	.help = "show one certificate of the store as PEM, what is known of it, and its history",
	.details = "A fingerprint is SHA-256 in hex; its beginning is enough when it is unique.\n",
	.run = run_show,
};

/* What a list is asked for, and where it goes. */
struct listing {
	bool anchors, history, pinned, expired;
	const char *tier, *source;
	const char *addr;   /* canonical, or NULL */
	const char *domain; /* or NULL */
	struct buf *out;    /* JSON that is on its way; NULL: text */
	struct json *json;
	size_t n;
};

static void
print_row(const struct certrow *row)
{
	char until[CLOCK_TEXT_SIZE], since[CLOCK_TEXT_SIZE];

	printf("%.16s  %-9s %s%s until %.10s  %s\n", cert_fingerprint(row->cert),
		row->anchor ? "anchor" : cert_tier_name(row->tier), row->proven ? "proven " : "",
		row->source, clock_format(cert_not_after(row->cert), until),
		row->anchor ? cert_subject(row->cert) : row->addr);
	if (row->anchor && row->domains && *row->domains)
		printf("%16s  for %s\n", "", row->domains);
	if (row->why && *row->why)
		printf("%16s  %.10s %s: %s\n", "", clock_format(row->word_at, since), row->vouched,
			row->why);
}

static bool
is_listed(const struct listing *listing, const struct certrow *row)
{
	const char *domain = row->anchor ? NULL : addr_domain(row->addr);

	return !(listing->tier && strcmp(listing->tier, cert_tier_name(row->tier)) != 0) &&
	       !(listing->source && strcmp(listing->source, row->source) != 0) &&
	       !(listing->pinned && !row->pinned) &&
	       !(listing->expired && cert_not_after(row->cert) >= clock_now()) &&
	       !(listing->domain && (!domain || !addr_domain_in(domain, &listing->domain, 1)));
}

static enum rc
list_row(void *ctx, const struct certrow *row, struct err *err)
{
	struct listing *listing = ctx;

	if (!is_listed(listing, row))
		return RC_OK;
	listing->n++;
	if (!listing->json) {
		print_row(row);
		return RC_OK;
	}
	cert_row_json(row, listing->json);
	return cert_drain(listing->out, false, err);
}

static enum rc
list_rows(struct listing *listing, struct certstore *store, struct err *err)
{
	struct certrow *rows = NULL;
	size_t n = 0, i;
	enum rc rc;

	if (!listing->anchors && !listing->addr)
		return certstore_each(store, list_row, listing, err);
	rc = listing->anchors ? certstore_anchors(store, &rows, &n, err)
			      : certstore_find(store, listing->addr, &rows, &n, err);
	for (i = 0; rc == RC_OK && i < n; i++)
		rc = list_row(listing, &rows[i], err);
	certrows_free(&rows, n);
	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc
list(struct listing *listing, struct certstore *store, struct err *err)
{
	enum rc rc;

	if (!listing->history)
		return list_rows(listing, store, err);
	if (listing->json)
		rc = cert_history_json(store, listing->addr, NULL, listing->json, err);
	else
		rc = cert_history_text(store, listing->addr, NULL, &listing->n, err);
	return rc == RC_NONE ? RC_OK : rc;
}

/* One line of JSON, written piece by piece. */
static enum rc
list_json(struct listing *listing, struct certstore *store, struct err *err)
{
	struct buf text = BUF_INIT(0);
	struct json json;
	enum rc rc;

	json_init(&json, &text);
	listing->json = &json;
	listing->out = &text;
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	json_array(&json, listing->history ? "events" : "certificates");
	rc = list(listing, store, err);
	json_array_end(&json);
	json_object_end(&json);
	if (rc == RC_OK)
		rc = json_end(&json, err);
	if (rc == RC_OK && (rc = buf_append_char(&text, '\n', err)) == RC_OK)
		rc = cert_drain(&text, true, err);
	buf_fini(&text);
	return rc;
}

/* What the options and the argument mean together; false: it was said. */
static bool
understand(struct listing *listing, int argc, char **argv, char *addr, int *status)
{
	static const char *const tiers[] = {"pinned", "directory", "smimea", "harvested"};
	bool known = !listing->tier;
	size_t i;

	for (i = 0; listing->tier && i < 4; i++)
		known |= strcmp(listing->tier, tiers[i]) == 0;
	*status = EX_OK;
	if (argc > 2)
		*status = cmd_usage(&cert_list, "one address or @domain");
	else if (!known)
		*status = cmd_usage(&cert_list, "--tier is pinned, directory, smimea or harvested");
	else if ((listing->anchors || listing->history) &&
		 (listing->tier || listing->source || listing->pinned || listing->expired ||
			 (listing->anchors && (listing->history || argc > 1))))
		*status = cmd_usage(&cert_list, "--anchor and --history stand alone");
	else if (argc == 2 && argv[1][0] == '@' && !listing->history)
		listing->domain = argv[1] + 1;
	else if (argc == 2 && cert_address(&cert_list, argv[1], addr, status))
		listing->addr = addr;
	return *status == EX_OK;
}

static int
run_list(struct cli *cli, int argc, char **argv)
{
	struct listing listing = {0};
	const struct cmd_opt opts[] = {{"anchor", OPT_FLAG, &listing.anchors},
		{"history", OPT_FLAG, &listing.history}, {"pinned", OPT_FLAG, &listing.pinned},
		{"expired", OPT_FLAG, &listing.expired}, {"tier", OPT_VALUE, &listing.tier},
		{"source", OPT_VALUE, &listing.source}};
	char addr[ADDR_MAX + 1];
	struct certstore *store;
	struct err err = ERR_INIT;
	int status;
	enum rc rc;

	if (!cmd_parse(&cert_list, cli, opts, 6, &argc, argv, &status) ||
		!understand(&listing, argc, argv, addr, &status))
		return status;
	if (!cert_open_store(&cert_list, cli, false, &store, &status))
		return status;
	rc = cli->json ? list_json(&listing, store, &err) : list(&listing, store, &err);
	status = rc == RC_OK ? EX_OK : cmd_fail(&err);
	certstore_close(&store);
	return status;
}

/* The certificate of a fingerprint that is only remembered. */
static enum rc
take_cert(void *ctx, const struct certhistory *event, struct err *err)
{
	struct cert **cert = ctx;

	(void)err;
	if (!*cert)
		*cert = cert_ref(event->cert);
	return RC_OK;
}

static enum rc
show_json(struct certstore *store, struct cert *cert, const struct certrow *rows, size_t n,
	struct err *err)
{
	struct buf text = BUF_INIT(0);
	struct json json;
	enum rc rc;
	size_t i;

	cmd_json_begin(&json, &text);
	json_array(&json, "certificates");
	for (i = 0; i < n; i++)
		cert_row_json(&rows[i], &json);
	json_array_end(&json);
	if (!n) {
		json_object(&json, "forgotten");
		cert_json(cert, &json);
		json_object_end(&json);
	}
	rc = cert_shown_json(store, cert, &json, err);
	json_array(&json, "events");
	if (rc == RC_OK)
		rc = cert_history_json(store, NULL, cert_fingerprint(cert), &json, err);
	json_array_end(&json);
	json_object_end(&json);
	if (rc == RC_OK || rc == RC_NONE)
		rc = json_end(&json, err);
	if (rc == RC_OK && (rc = buf_append_char(&text, '\n', err)) == RC_OK)
		rc = cert_drain(&text, true, err);
	buf_fini(&text);
	return rc;
}

static void
print_facts(const struct cert *cert)
{
	const char *const *addrs;
	size_t n = cert_addrs(cert, true, &addrs), i;
	char from[CLOCK_TEXT_SIZE], until[CLOCK_TEXT_SIZE];

	printf("subject: %s\nissuer:  %s\nserial:  %s\nsha256:  %s\n", cert_subject(cert),
		cert_issuer(cert), cert_serial(cert), cert_fingerprint(cert));
	printf("valid:   %s to %s\nkey:     %s %d, %s\n", clock_format(cert_not_before(cert), from),
		clock_format(cert_not_after(cert), until), key_type_name(cert_key_type(cert)),
		cert_key_bits(cert), cert_use_name(cert));
	for (i = 0; i < n; i++)
		printf("address: %s\n", addrs[i]);
}

static enum rc
show_text(struct certstore *store, struct cert *cert, const struct certrow *rows, size_t n,
	struct err *err)
{
	struct buf pem = BUF_INIT(0);
	size_t i;
	enum rc rc;

	for (i = 0; i < n; i++)
		print_row(&rows[i]);
	if (!n)
		printf("%.16s  forgotten\n", cert_fingerprint(cert));
	print_facts(cert);
	rc = cert_shown_text(store, cert, err);
	if (rc == RC_OK)
		rc = cert_history_text(store, NULL, cert_fingerprint(cert), &i, err);
	if (rc == RC_OK || rc == RC_NONE)
		rc = cert_format_pem(cert, &pem, err);
	if (rc == RC_OK)
		rc = cert_drain(&pem, true, err);
	buf_fini(&pem);
	return rc;
}

/* Are all rows about one certificate? */
static enum rc
check_unique(const char *fingerprint, const struct certrow *rows, size_t n, struct err *err)
{
	if (strcmp(cert_fingerprint(rows[0].cert), cert_fingerprint(rows[n - 1].cert)) == 0)
		return RC_OK;
	return err_set(err, ERR_USAGE, "%s: more than one certificate begins so", fingerprint);
}

static int
show(const struct cli *cli, struct certstore *store, const char *fingerprint)
{
	struct certrow *rows = NULL;
	struct cert *cert = NULL;
	struct err err = ERR_INIT;
	size_t n = 0;
	int status;
	enum rc rc = certstore_by_fingerprint(store, fingerprint, &rows, &n, &err);

	if (rc == RC_OK && (rc = check_unique(fingerprint, rows, n, &err)) == RC_OK)
		cert = cert_ref(rows[0].cert);
	else if (rc == RC_NONE)
		rc = certstore_history(store, NULL, fingerprint, take_cert, &cert, &err);
	if (rc == RC_OK)
		rc = cli->json ? show_json(store, cert, rows, n, &err)
			       : show_text(store, cert, rows, n, &err);
	status = rc == RC_OK ? EX_OK : rc == RC_NONE ? cert_no_such(fingerprint) : cmd_fail(&err);
	cert_unref(&cert);
	certrows_free(&rows, n);
	return status;
}

static int
run_show(struct cli *cli, int argc, char **argv)
{
	struct certstore *store;
	int status;

	if (!cmd_parse(&cert_show, cli, NULL, 0, &argc, argv, &status))
		return status;
	if (argc != 2)
		return cmd_usage(&cert_show, "one fingerprint");
	if (!cert_open_store(&cert_show, cli, false, &store, &status))
		return status;
	status = show(cli, store, argv[1]);
	certstore_close(&store);
	return status;
}
