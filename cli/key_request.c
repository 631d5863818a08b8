/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key_request.c - sealgate key request: keys whose certificates an outside CA makes
 *
 * The vault makes and keeps the key; what comes out is a certificate request for each address, in a
 * file whose name stays the same. Asking again writes the same bytes.
 */
#include "base/file.h"
#include "cli/key.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_MAX 65536u

static int run(struct cli *cli, int argc, char **argv);

const struct command key_request = {
	.name = "key request",
	.usage = "[--name NAME] [--kind person|role] [--purpose both|sign|open|separate] "
		 "[--type TYPE] [--subject NAME] [--renew|--also|--same-key] [--client-key] "
		 "--out DIR ADDR…",
	.help = "make keys and certificate requests for an outside CA",
	.details =
		"Each key waits without certificate and signs nothing; key import-certs brings the\n"
		"certificate. A second run for the same addresses writes the same requests.\n"
		"  --out DIR          folder for ADDRESS.KEY.csr.pem\n"
		"  --subject NAME     such as \"CN={name},O=Example,C=JP\"; default CN={address}\n"
		"  --name NAME        the person's name (one address only)\n"
		"  --kind WORD        person (default) or role: a shared address\n"
		"  --purpose WORD     both (default), sign, open, or separate: two keys\n"
		"  --type TYPE        rsa2048, rsa3072, rsa4096, p256, p384, p521\n"
		"  --renew            in place of the active key, which retires when the new\n"
		"                     certificate is there and valid\n"
		"  --also             although there is an active key, or one that waits, already\n"
		"  --same-key         a further certificate for an existing key: ADDR or KEY\n"
		"  --client-key       the person has the key in a mail program too\n",
	.run = run,
};

struct request_options {
	const char *name, *kind, *purpose, *type, *subject, *out;
	bool renew, also, same_key, client_key;
};

/* ADDR and KEY as a file's name: what a shell or a folder may take amiss stands as %XX. */
static enum rc
file_name(const char *addr, const char *key, struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;

	for (const char *p = addr; rc == RC_OK && *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (isalnum(c) || strchr("@-_+=", c) || (c == '.' && p != addr) || c > 127)
			rc = buf_append_char(out, *p, err);
		else
			rc = buf_appendf(out, err, "%%%02X", c);
	}
	return rc ? rc : buf_appendf(out, err, ".%s.csr.pem", key);
}

/* Writes the request; *path is its name, to be freed. One that says the same stays as it is. */
static enum rc
write_request(const char *dir, const struct json_value *answer, char **path, struct err *err)
{
	const char *pem = json_get_text(answer, "csr"), *addr = json_get_text(answer, "address"),
		   *key = json_get_text(json_at(json_find(answer, "keys"), 0), "key");
	struct buf name = BUF_INIT(4096), there = BUF_INIT(REQUEST_MAX);
	enum rc rc;

	*path = NULL;
	if (!pem || !addr || !key)
		return err_set(err, ERR_INTERNAL, "an answer without a request");
	rc = file_name(addr, key, &name, err);
	if (rc == RC_OK && !(*path = file_join(dir, buf_text(&name))))
		rc = err_set(err, ERR_MEMORY, "%s", dir);
	if (rc == RC_OK) {
		bool same = file_read(*path, &there, NULL) == RC_OK && there.len == strlen(pem) &&
			    memcmp(there.data, pem, there.len) == 0;

		if (!same)
			rc = file_write(*path, pem, strlen(pem), 0644, err);
	}
	buf_fini(&name);
	buf_fini(&there);
	return rc;
}

static enum rc
ask(struct cli *cli, const struct request_options *options, const char *purpose, const char *addr,
	struct json_value **answer, struct err *err)
{
	struct asking asking;

	asking_begin(&asking, "key.request");
	json_str(&asking.json, options->same_key ? "key" : "addr", addr);
	json_str(&asking.json, "name", options->name);
	json_str(&asking.json, "kind", options->kind);
	json_str(&asking.json, "purpose", purpose);
	json_str(&asking.json, "type", options->type);
	json_str(&asking.json, "subject", options->subject);
	if (options->renew)
		json_bool(&asking.json, "renew", true);
	if (options->also)
		json_bool(&asking.json, "also", true);
	if (options->client_key)
		json_bool(&asking.json, "client_key", true);
	return asking_send(&asking, cli->conf, NULL, answer, err);
}

/* One address and purpose: asks, writes, says so. LIST gets the objects for --json. */
static int
request_one(struct cli *cli, const struct request_options *options, const char *purpose,
	const char *addr, struct json *list)
{
	struct json_value *answer = NULL;
	struct err err = ERR_INIT;
	char *path = NULL;
	int status = EX_OK;
	enum rc rc = ask(cli, options, purpose, addr, &answer, &err);

	if (rc == RC_OK)
		rc = write_request(options->out, answer, &path, &err);
	if (rc != RC_OK) {
		if (!err.detail[0] || !strstr(err.detail, addr))
			err_prefix(&err, "%s", addr);
		status = cmd_fail(&err);
	} else {
		const struct json_value *key = json_at(json_find(answer, "keys"), 0);
		bool known = json_is_true(json_find(key, "known"));

		json_object(list, NULL);
		json_str(list, "address", json_get_text(answer, "address"));
		json_str(list, "key", json_get_text(key, "key"));
		json_str(list, "purpose", json_get_text(key, "purpose"));
		json_str(list, "subject", json_get_text(answer, "subject"));
		json_str(list, "file", path);
		if (known)
			json_bool(list, "known", true);
		json_object_end(list);
		if (!cli->json)
			printf("%s  %s%s\n", json_get_text(key, "key"), path,
				known ? "  (asked for already)" : "");
	}
	free(path);
	json_free(&answer);
	return status;
}

/* All that were named; the first that fails decides, the others go on. */
static int
request_all(struct cli *cli, const struct request_options *options, int argc, char **argv)
{
	bool separate = options->purpose && strcmp(options->purpose, "separate") == 0;
	struct buf text = BUF_INIT(256u << 20);
	struct json json;
	int status = EX_OK;

	cmd_json_begin(&json, &text);
	json_array(&json, "requests");
	for (int i = 1; i < argc; i++)
		for (int half = 0; half <= separate; half++) {
			const char *purpose = !separate ? options->purpose : half ? "open" : "sign";
			int one = request_one(cli, options, purpose, argv[i], &json);

			status = status == EX_OK ? one : status;
		}
	json_array_end(&json);
	json_object_end(&json);
	if (cli->json)
		status = cmd_print_json(&json, status);
	buf_fini(&text);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct request_options options = {NULL};
	const struct cmd_opt opts[] = {{"name", OPT_VALUE, &options.name},
		{"kind", OPT_VALUE, &options.kind}, {"purpose", OPT_VALUE, &options.purpose},
		{"type", OPT_VALUE, &options.type}, {"subject", OPT_VALUE, &options.subject},
		{"out", OPT_VALUE, &options.out}, {"renew", OPT_FLAG, &options.renew},
		{"also", OPT_FLAG, &options.also}, {"same-key", OPT_FLAG, &options.same_key},
		{"client-key", OPT_FLAG, &options.client_key}};
	struct err err = ERR_INIT;
	int status;

	if (!cmd_parse(&key_request, cli, opts, sizeof(opts) / sizeof(*opts), &argc, argv, &status))
		return status;
	if (argc < 2)
		return cmd_usage(&key_request, "for which address?");
	if (!options.out)
		return cmd_usage(&key_request, "--out which folder?");
	if (options.renew + options.also + options.same_key > 1)
		return cmd_usage(&key_request, "one of --renew, --also and --same-key");
	if (options.same_key && (options.type || options.kind || options.name))
		return cmd_usage(&key_request, "--same-key takes the key as it is");
	if (options.name && argc > 2)
		return cmd_usage(&key_request, "--name is for one address");
	if (!cmd_conf(&key_request, cli, &status))
		return status;
	if (file_make_dir(options.out, 0755, &err) != RC_OK)
		return cmd_fail_input(&err);
	return request_all(cli, &options, argc, argv);
}
