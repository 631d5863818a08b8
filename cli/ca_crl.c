/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ca_crl.c - sealgate ca crl: revocation lists, shown or published
 *
 * The vault signs a list; this program, which runs as the administrator or from a timer, puts it
 * where others fetch it. A list that could not be published everywhere is said to be, with status
 * 75: the next run makes and publishes another.
 */
#include "cli/ca.h"

#include "base/file.h"
#include "cli/answer.h"
#include "cli/publish.h"
#include "message/b64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command ca_crl = {
	.name = "ca crl",
	.usage = "[--publish] [--due] [--days N] [KEY]",
	.help = "make revocation lists; publish them",
	.details =
		"One list for each CA that may still have valid certificates, or for KEY's.\n"
		"  --publish   into ca.crl_dir and the entry ca.crl_dn; otherwise PEM is printed\n"
		"  --due       only lists that end within ca.crl_refresh, for a timer\n"
		"  --days N    how long they are valid; default: ca.crl_validity\n",
	.run = run,
};

static const struct conf_group *
settings(const struct cli *cli)
{
	return conf_section(cli->conf, "ca");
}

bool
crl_has_place(const struct cli *cli)
{
	return conf_str(settings(cli), "crl_dir") || conf_str(settings(cli), "crl_dn");
}

/* Base64 in lines of 64, for people and other tools. */
static void
print_pem(const char *text)
{
	printf("-----BEGIN X509 CRL-----\n");
	for (size_t len = strlen(text); *text; len = strlen(text)) {
		int n = len > 64 ? 64 : (int)len;

		printf("%.*s\n", n, text);
		text += n;
	}
	printf("-----END X509 CRL-----\n");
}

/* DIR/KEY.crl, whole or not at all; others read it. */
static enum rc
write_file(const struct cli *cli, const char *key, const struct buf *der, struct err *err)
{
	const char *dir = conf_str(settings(cli), "crl_dir"),
		   *mode = conf_str(settings(cli), "crl_mode");
	char *end, name[80], *path;
	long bits = strtol(mode, &end, 8);
	mode_t mask;
	enum rc rc;

	if (*end || bits < 0400 || bits > 0777)
		return conf_err(err, cli->conf, settings(cli), "crl_mode", "%s is no mode", mode);
	snprintf(name, sizeof(name), "%.64s.crl", key);
	path = file_join(dir, name);
	/* The mode is the one configured, whatever the caller's mask: a web server reads it. */
	mask = umask(0);
	rc = path ? file_write(path, der->data, der->len, (mode_t)bits, err)
		  : err_set(err, ERR_MEMORY, "revocation list");
	umask(mask);
	free(path);
	return rc;
}

static enum rc
decode(const char *text, struct buf *der, struct err *err)
{
	size_t len = strlen(text), n = 0;
	char *bytes = malloc(len / 4 * 3 + 1);
	enum rc rc = bytes ? b64_decode(text, len, bytes, &n, err)
			   : err_set(err, ERR_MEMORY, "revocation list");

	if (rc == RC_OK)
		rc = buf_append(der, bytes, n, err);
	free(bytes);
	return rc;
}

/* Every place is tried, and the first trouble is said. */
static enum rc
publish_one(const struct cli *cli, const struct json_value *crl, struct err *err)
{
	const char *key = json_get_text(crl, "key"), *text = json_get_text(crl, "der");
	struct buf der = BUF_INIT(8u << 20);
	struct err here = ERR_INIT;
	enum rc rc = key && text ? decode(text, &der, err)
				 : err_set(err, ERR_VAULT_PROTOCOL, "no list in the answer");
	enum rc second = RC_OK;

	if (rc != RC_OK)
		goto out;
	if (conf_str(settings(cli), "crl_dir"))
		rc = write_file(cli, key, &der, err);
	if (conf_str(settings(cli), "crl_dn"))
		second = publish_crl(cli->conf, der.data, der.len, rc == RC_OK ? err : &here);
	if (rc == RC_OK)
		rc = second;
out:
	buf_fini(&der);
	return rc;
}

static int
use_list(struct cli *cli, const struct crl_wish *wish, const struct json_value *crl)
{
	struct err err = ERR_INIT;
	const char *key = json_get_text(crl, "key"), *next = json_get_text(crl, "next_update");

	if (!wish->publish) {
		if (!cli->json)
			print_pem(json_get_text(crl, "der") ? json_get_text(crl, "der") : "");
		return EX_OK;
	}
	if (publish_one(cli, crl, &err) != RC_OK) {
		int status = cmd_fail(&err);

		fprintf(stderr, "sealgate: the list of CA %s was not published everywhere\n",
			key ? key : "?");
		return status == EX_CONFIG ? status : EX_TEMPFAIL;
	}
	if (!cli->json && !wish->quiet)
		printf("%s  %s  %lld entries, until %s\n", key, json_get_text(crl, "role"),
			(long long)json_get_int(crl, "entries", 0), next ? next : "?");
	return EX_OK;
}

/* Asks for the list of one CA and uses it. */
static int
make_one(struct cli *cli, const struct crl_wish *wish, const char *key, size_t *n)
{
	const struct json_value *crls;
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;
	int status = EX_OK;

	asking_begin(&asking, "ca.crl");
	json_str(&asking.json, "key", key);
	if (wish->days)
		json_int(&asking.json, "days", strtol(wish->days, NULL, 10));
	if (wish->due)
		json_bool(&asking.json, "due", true);
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	crls = json_find(answer, "crls");
	for (size_t i = 0; status == EX_OK && crls && i < json_count(crls); i++, (*n)++)
		status = use_list(cli, wish, json_at(crls, i));
	if (status == EX_OK && cli->json && !wish->quiet && crls && json_count(crls))
		status = answer_print_json(answer, EX_OK);
	json_free(&answer);
	return status;
}

int
crl_make(struct cli *cli, const struct crl_wish *wish, size_t *n)
{
	const struct json_value *cas;
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;
	int status = EX_OK;

	*n = 0;
	if (wish->key)
		return make_one(cli, wish, wish->key, n);
	asking_begin(&asking, "ca.list");
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	cas = json_find(answer, "cas");
	for (size_t i = 0; cas && i < json_count(cas); i++) {
		const char *key = json_get_text(json_at(cas, i), "key");
		int one = key ? make_one(cli, wish, key, n) : EX_SOFTWARE;

		status = status == EX_OK ? one : status;
	}
	json_free(&answer);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct crl_wish wish = {.days = NULL};
	const struct cmd_opt opts[] = {{"publish", OPT_FLAG, &wish.publish},
		{"due", OPT_FLAG, &wish.due}, {"days", OPT_VALUE, &wish.days}};
	int status;
	size_t n;

	if (!cmd_parse(&ca_crl, cli, opts, 3, &argc, argv, &status))
		return status;
	if (argc > 2)
		return cmd_usage(&ca_crl, "too many arguments");
	if (wish.days && (strspn(wish.days, "0123456789") != strlen(wish.days) ||
				 strlen(wish.days) > 4 || strtol(wish.days, NULL, 10) < 1))
		return cmd_usage(&ca_crl, "--days is a number of days");
	if (!cmd_conf(&ca_crl, cli, &status))
		return status;
	if (wish.publish && !crl_has_place(cli)) {
		fprintf(stderr, "sealgate: neither ca.crl_dir nor ca.crl_dn is configured\n");
		return EX_CONFIG;
	}
	wish.key = argc == 2 ? argv[1] : NULL;
	return crl_make(cli, &wish, &n);
}
