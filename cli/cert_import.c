/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_import.c - sealgate cert import-dir: the certificates of a folder's files
 *
 * The names of files mean nothing. They are taken in groups of GROUP, each one transaction: killed
 * in between, what was reported is there, and a second run finds it known. A file without a
 * certificate is named and passed over, and the status says so at the end.
 */
#include "base/file.h"
#include "cli/cert.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_FILES 1000000
#define GROUP     200 /* files; well below a second */

static int run(struct cli *cli, int argc, char **argv);

const struct command cert_import_dir = {
	.name = "cert import-dir",
	.usage = "[--why TEXT] [--json] DIR",
	.help = "add each file of a folder like cert add",
	.details = "Files are PEM, DER or PKCS#7, whatever they are called; it may be repeated.\n"
		   "  --why TEXT         is kept with each certificate\n"
		   "Status: 0 every file held certificates, 65 some did not, or none was added.\n",
	.run = run,
};

/* A run over a folder. */
struct import {
	struct cert_adding adding;
	struct buf text; /* of JSON */
	struct json json;
	const char *dir;
	char **names;
	size_t n;
};

static void
report_malformed(struct import *import, const struct err *why)
{
	import->adding.malformed++;
	if (import->adding.json)
		json_str(&import->json, "error", why->detail);
	else
		fprintf(stderr, "sealgate: left out: %s\n", why->detail);
}

static enum rc
import_file(struct import *import, const char *path, struct err *err)
{
	enum rc rc;

	if (import->adding.json) {
		json_object(&import->json, NULL);
		json_str(&import->json, "file", path);
		json_array(&import->json, "certificates");
	} else {
		printf("%s:\n", path);
	}
	rc = cert_add_file(&import->adding, path, err);
	if (import->adding.json)
		json_array_end(&import->json);
	if (err->code == ERR_CERT_MALFORMED || err->code == ERR_LIMIT || err->code == ERR_FILE) {
		report_malformed(import, err);
		err_clear(err);
		rc = RC_OK;
	}
	if (import->adding.json)
		json_object_end(&import->json);
	return rc;
}

/* Files from FROM on, as one transaction. */
static enum rc
import_group(struct import *import, size_t from, struct err *err)
{
	size_t i;
	enum rc rc = certstore_batch(import->adding.store, err);

	if (rc != RC_OK)
		return rc;
	for (i = from; rc == RC_OK && i < import->n && i < from + GROUP; i++) {
		char *path = file_join(import->dir, import->names[i]);

		rc = path ? import_file(import, path, err)
			  : err_set(err, ERR_MEMORY, "%s", import->dir);
		free(path);
	}
	rc = certstore_batch_end(import->adding.store, rc, err);
	if (rc == RC_OK && import->adding.json)
		rc = cert_drain(&import->text, false, err);
	return rc;
}

static enum rc
import_all(struct import *import, struct err *err)
{
	enum rc rc = RC_OK;
	size_t i;

	json_init(&import->json, &import->text);
	json_object(&import->json, NULL);
	json_int(&import->json, "v", 1);
	json_array(&import->json, "files");
	for (i = 0; rc == RC_OK && i < import->n; i += GROUP)
		rc = import_group(import, i, err);
	json_array_end(&import->json);
	cert_add_sums(&import->adding);
	json_object_end(&import->json);
	if (rc == RC_OK && import->adding.json && (rc = json_end(&import->json, err)) == RC_OK &&
		(rc = buf_append_char(&import->text, '\n', err)) == RC_OK)
		rc = cert_drain(&import->text, true, err);
	return rc;
}

static int
conclude(const struct import *import)
{
	const struct cert_adding *adding = &import->adding;

	if (adding->malformed)
		return EX_DATAERR;
	if (adding->added || adding->known)
		return EX_OK;
	fprintf(stderr, "sealgate: nothing was added\n");
	return EX_DATAERR;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct import import = {.adding = {.domains = ""}, .text = BUF_INIT(256u << 20)};
	const struct cmd_opt opts[] = {{"why", OPT_VALUE, &import.adding.why}};
	struct err err = ERR_INIT;
	int status;

	if (!cmd_parse(&cert_import_dir, cli, opts, 1, &argc, argv, &status))
		return status;
	if (argc != 2)
		return cmd_usage(&cert_import_dir, "one folder");
	import.dir = argv[1];
	import.adding.json = cli->json ? &import.json : NULL;
	if (file_list(import.dir, MAX_FILES, &import.names, &import.n, &err) != RC_OK) {
		if (err.code == ERR_NONE)
			err_set(&err, ERR_FILE, "%s is not there", import.dir);
		return cmd_fail_input(&err);
	}
	if (cert_open_store(&cert_import_dir, cli, true, &import.adding.store, &status))
		status = import_all(&import, &err) == RC_OK ? conclude(&import) : cmd_fail(&err);
	certstore_close(&import.adding.store);
	file_list_free(&import.names, import.n);
	buf_fini(&import.text);
	return status;
}
