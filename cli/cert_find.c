/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_find.c - sealgate cert find: what would be encrypted to, and why not the others?
 *
 * The look-up of the milter, over the store and every configured directory.
 */
#include "base/clock.h"
#include "cli/cert.h"
#include "directory/anchors.h"
#include "directory/lookup.h"
#include "message/addr.h"

#include <stdio.h>
#include <string.h>

#define WAIT_MS 120000 /* above every time limit of a directory */

static int run(struct cli *cli, int argc, char **argv);

const struct command cert_find = {
	.name = "cert find",
	.usage = "[--json] ADDR",
	.help = "certificates for an address: which would be used, why the others would not",
	.details = "Asks the store and every configured directory, as the milter does.\n"
		   "Status: 0 there is one, 65 there is none, 75 a directory could not be asked,\n"
		   "or the certificate that was set by hand cannot be used.\n",
	.run = run,
};

static const char *
answer_name(enum rc rc)
{
	return rc == RC_OK ? "found" : rc == RC_NONE ? "none" : "temperror";
}

/* What the store knows of the address; empty when it has nothing. */
struct provenance {
	struct certrow *rows;
	size_t n;
};

static const struct certrow *
row_of(const struct provenance *known, const struct candidate *candidate)
{
	for (size_t i = 0; i < known->n && strcmp(candidate->source, "store") == 0; i++)
		if (memcmp(cert_sha256(known->rows[i].cert), cert_sha256(candidate->cert),
			    SHA256_SIZE) == 0)
			return &known->rows[i];
	return NULL;
}

static void
candidate_json(const struct candidate *candidate, const struct certrow *row, struct json *json)
{
	json_object(json, NULL);
	json_bool(json, "used", candidate->used);
	json_str(json, "why", candidate->why[0] ? candidate->why : NULL);
	json_str(json, "source", candidate->source);
	json_str(json, "tier", cert_tier_name(candidate->tier));
	json_bool(json, "proven", candidate->proven);
	smimecaps_json(&candidate->caps, json);
	if (row) {
		json_object(json, "provenance");
		json_str(json, "source", row->source);
		json_str(json, "vouched", *row->vouched ? row->vouched : NULL);
		json_str(json, "reason", *row->why ? row->why : NULL);
		json_time(json, "since", row->word_at);
		json_time(json, "first_seen", row->first_seen);
		json_time(json, "last_seen", row->last_seen);
		if (row->signed_at)
			json_time(json, "signed_at", row->signed_at);
		json_object_end(json);
	}
	cert_json(candidate->cert, json);
	json_object_end(json);
}

static int
print_json(const char *addr, const struct lookup_result *result, const struct provenance *known)
{
	struct buf text = BUF_INIT(0);
	struct json json;
	int status;
	size_t i;

	cmd_json_begin(&json, &text);
	json_str(&json, "address", addr);
	json_str(&json, "answer", answer_name(result->rc));
	json_bool(&json, "proven", result->proven);
	if (result->rc != RC_OK && result->err.code != ERR_NONE)
		json_str(&json, "reason", result->err.detail);
	if (result->beside.code != ERR_NONE)
		json_str(&json, "not_asked", result->beside.detail);
	if (result->rc == RC_OK && result->named.code != ERR_NONE)
		json_str(&json, "named", result->named.detail);
	json_array(&json, "candidates");
	for (i = 0; i < result->n; i++)
		candidate_json(&result->v[i], row_of(known, &result->v[i]), &json);
	json_array_end(&json);
	json_object_end(&json);
	status = cmd_print_json(
		&json, err_exit_status(result->rc == RC_NONE ? RC_PERM : result->rc));
	buf_fini(&text);
	return status;
}

static void
print_provenance(const struct certrow *row)
{
	char since[CLOCK_TEXT_SIZE], seen[CLOCK_TEXT_SIZE];
	const char *before =
		": "; /* what was learned and not approved has its message for a reason */

	if (strcmp(row->source, "harvest") == 0 && !*row->vouched)
		before = ", in message ";
	printf("         %s%s%s on %.10s%s%s, last seen %.10s\n", row->source,
		*row->vouched ? " by " : "", row->vouched, clock_format(row->word_at, since),
		*row->why ? before : "", row->why, clock_format(row->last_seen, seen));
}

/* What everybody meets who asks for a partner's certificate before the partner's CA is known. */
static void
hint_anchor(const char *addr, const struct lookup_result *result)
{
	static const char no_path[] = "no path to a trust anchor: ";

	for (size_t i = 0; i < result->n; i++)
		if (strncmp(result->v[i].why, no_path, sizeof(no_path) - 1) == 0) {
			fprintf(stderr,
				"sealgate: if you trust that CA: sealgate cert add --anchor "
				"--domain %s FILE\n",
				strrchr(addr, '@') ? strrchr(addr, '@') + 1 : "DOMAIN");
			return;
		}
}

static int
print_text(const char *addr, const struct lookup_result *result, const struct provenance *known)
{
	char until[CLOCK_TEXT_SIZE];
	size_t i;

	for (i = 0; i < result->n; i++) {
		const struct candidate *one = &result->v[i];

		printf("%s %.16s  %s from %s%s, until %.10s, %s\n",
			one->used ? "used    " : "not used", cert_fingerprint(one->cert),
			cert_tier_name(one->tier), one->source, one->proven ? ", proven" : "",
			clock_format(cert_not_after(one->cert), until), cert_subject(one->cert));
		if (row_of(known, one))
			print_provenance(row_of(known, one));
		if (one->why[0])
			printf("         because %s\n", one->why);
	}
	if (result->beside.code != ERR_NONE)
		printf("could not be asked, which does not matter here: %s\n",
			result->beside.detail);
	if (result->rc == RC_OK && result->named.code != ERR_NONE)
		printf("set by hand, and not used: %s\n", result->named.detail);
	if (result->rc == RC_NONE) {
		printf("no usable certificate for %s\n", addr);
		hint_anchor(addr, result);
	} else if (result->rc != RC_OK)
		printf("%s: %s\n", addr,
			result->err.detail[0] ? result->err.detail : err_public(result->err.code));
	return err_exit_status(result->rc == RC_NONE ? RC_PERM : result->rc);
}

static int
find(struct cli *cli, struct certstore *store, const char *addr)
{
	struct provenance known = {0};
	struct trust *trust = NULL;
	struct lookups *lookups = NULL;
	struct lookup *lookup = NULL;
	const struct lookup_result *result;
	struct err err = ERR_INIT;
	int status;

	if (anchors_trust(cli->conf, store, &trust, &err) != RC_OK ||
		lookups_new(cli->conf, store, trust, &lookups, &err) != RC_OK) {
		trust_unref(&trust);
		return cmd_fail(&err);
	}
	lookups_ask_all(lookups);
	if (lookup_begin(lookups, addr, &lookup, &err) != RC_OK ||
		lookup_wait(lookup, WAIT_MS, &result, &err) != RC_OK) {
		status = cmd_fail(&err);
	} else {
		(void)certstore_find(store, addr, &known.rows, &known.n, NULL); /* only shown */
		status = cli->json ? print_json(addr, result, &known)
				   : print_text(addr, result, &known);
	}
	certrows_free(&known.rows, known.n);
	lookup_free(&lookup);
	lookups_free(&lookups);
	trust_unref(&trust);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	char addr[ADDR_MAX + 1];
	struct certstore *store;
	struct err err = ERR_INIT;
	int status;

	if (!cmd_parse(&cert_find, cli, NULL, 0, &argc, argv, &status))
		return status;
	if (argc != 2)
		return cmd_usage(&cert_find, "one address");
	if (addr_canonical(argv[1], strlen(argv[1]), addr, &err) != RC_OK || !addr_domain(addr))
		return cmd_usage(&cert_find, "%s is no mail address", argv[1]);
	if (!cert_open_store(&cert_find, cli, false, &store, &status))
		return status;
	status = find(cli, store, addr);
	certstore_close(&store);
	return status;
}
