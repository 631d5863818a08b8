/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key_cert.c - sealgate key import-certs: certificates from outside CAs, to the keys they belong to
 *
 * All files are read first: the certificates above the others may be in any of them. The vault
 * matches and decides; what it refuses is said for each certificate.
 */
#include "base/file.h"
#include "cli/key.h"
#include "crypto/certchain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CERT_FILE_MAX (16u << 20)
#define MAX_FILES     100000
#define MAX_CERTS     100000
#define BATCH         50 /* certificates in one request */

static int run(struct cli *cli, int argc, char **argv);

const struct command key_import_certs = {
	.name = "key import-certs",
	.usage = "[--unasked] FILE|DIR…",
	.help = "give keys the certificates that an outside CA made for them",
	.details =
		"Files hold PEM, DER or PKCS#7, any number of certificates each. A certificate goes\n"
		"to the key with its public key, if it names an address of the key's owner. Those of\n"
		"CAs complete the chains. Safe to run again.\n"
		"  --unasked          take certificates for active keys although nobody asked for them\n",
	.run = run,
};

struct arrived {
	struct cert *cert;
	size_t file; /* index of its file's name */
};

struct arrivals {
	struct arrived *v;
	size_t n, room;
	struct certset cas;
	char **files;
	size_t n_files;
	size_t unreadable;
	bool unasked; /* --unasked */
};

static void
arrivals_fini(struct arrivals *all)
{
	for (size_t i = 0; i < all->n; i++)
		cert_unref(&all->v[i].cert);
	free(all->v);
	certset_fini(&all->cas);
	file_list_free(&all->files, all->n_files);
}

static enum rc
add_cert(struct arrivals *all, struct cert *cert, size_t file, struct err *err)
{
	if (cert_is_ca(cert))
		return certset_add(&all->cas, cert, err);
	if (all->n == MAX_CERTS)
		return err_set(err, ERR_LIMIT, "more than %d certificates", MAX_CERTS);
	if (all->n == all->room) {
		size_t room = all->room * 2 + 64;
		struct arrived *more = realloc(all->v, room * sizeof(*more));

		if (!more)
			return err_set(err, ERR_MEMORY, "certificates");
		all->v = more;
		all->room = room;
	}
	all->v[all->n++] = (struct arrived){cert_ref(cert), file};
	return RC_OK;
}

/* PATH becomes the list's. */
static enum rc
add_name(struct arrivals *all, char *path, struct err *err)
{
	char **more = path ? realloc(all->files, (all->n_files + 1) * sizeof(*more)) : NULL;

	if (!more || all->n_files == MAX_FILES) {
		free(path);
		if (more)
			all->files = more;
		return more ? err_set(err, ERR_LIMIT, "more than %d files", MAX_FILES)
			    : err_set(err, ERR_MEMORY, "names of files");
	}
	all->files = more;
	all->files[all->n_files++] = path;
	return RC_OK;
}

/* A file that holds no certificate is named and passed over. */
static enum rc
add_file(struct arrivals *all, char *path, struct err *err)
{
	struct buf file = BUF_INIT(CERT_FILE_MAX);
	struct certset set = {0};
	struct err why = ERR_INIT;
	enum rc rc = add_name(all, path, err);
	enum rc read;

	if (rc != RC_OK)
		return rc;
	read = file_read(path, &file, &why);
	if (read == RC_NONE)
		read = err_set(&why, ERR_FILE, "%s is not there", path);
	else if (read == RC_OK &&
		 (read = certset_parse(buf_text(&file), file.len, &set, &why)) != RC_OK)
		err_prefix(&why, "%s", path);
	if (read != RC_OK) {
		fprintf(stderr, "sealgate: left out: %s\n", why.detail);
		all->unreadable++;
	}
	for (size_t i = 0; rc == RC_OK && read == RC_OK && i < set.n; i++)
		rc = add_cert(all, set.v[i], all->n_files - 1, err);
	certset_fini(&set);
	buf_fini(&file);
	return rc;
}

static enum rc
add_path(struct arrivals *all, const char *path, struct err *err)
{
	struct stat st;
	char **names = NULL;
	size_t n = 0;
	enum rc rc;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return add_file(all, strdup(path), err);
	rc = file_list(path, MAX_FILES, &names, &n, err);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = add_file(all, file_join(path, names[i]), err);
	file_list_free(&names, n);
	return rc;
}

/* Those that go to the vault at a time: from FROM up to TO. */
struct batch {
	const struct arrivals *all;
	size_t from, to;
};

/* Its certificates with those above them, as one PKCS#7. */
static enum rc
pack(const struct batch *batch, struct secret **blob, struct err *err)
{
	const struct arrivals *all = batch->all;
	struct certset set = {0};
	struct buf der = BUF_INIT(3u << 20);
	enum rc rc = RC_OK;

	for (size_t i = batch->from; rc == RC_OK && i < batch->to; i++)
		rc = certset_add(&set, all->v[i].cert, err);
	for (size_t i = batch->from; rc == RC_OK && i < batch->to; i++) {
		struct certset chain = {0};

		rc = certchain_find(all->v[i].cert, &all->cas, &chain, err);
		for (size_t k = 0; rc == RC_OK && k < chain.n; k++)
			rc = certset_add(&set, chain.v[k], err);
		certset_fini(&chain);
	}
	if (rc == RC_OK)
		rc = certset_format_p7(&set, &der, err);
	if (rc == RC_OK)
		rc = secret_copy(der.data, der.len, blob, err);
	certset_fini(&set);
	buf_fini(&der);
	return rc;
}

/* What the answers said, counted. */
struct tally {
	size_t added, known, unmatched, refused, not_for_mail;
};

static void
count(struct tally *tally, const char *outcome)
{
	const struct {
		const char *name;
		size_t *n;
	} counters[] = {{"added", &tally->added}, {"known", &tally->known},
		{"unmatched", &tally->unmatched}, {"refused", &tally->refused},
		{"not-for-mail", &tally->not_for_mail}};

	for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++)
		if (strcmp(counters[i].name, outcome) == 0)
			++*counters[i].n;
}

static const char *
file_of(const struct batch *batch, const char *sha256)
{
	const struct arrivals *all = batch->all;

	for (size_t i = batch->from; i < batch->to; i++)
		if (strcmp(cert_fingerprint(all->v[i].cert), sha256) == 0)
			return all->files[all->v[i].file];
	return "";
}

/* One line for a person: what became of the certificate, and why. */
static void
print_line(const struct json_value *cert, const char *file)
{
	const char *outcome = json_get_text(cert, "outcome"), *key = json_get_text(cert, "key"),
		   *reason = json_get_text(cert, "reason"), *addr = json_get_text(cert, "address"),
		   *status = json_get_text(cert, "status");

	printf("%-12s  %s  ", outcome, file);
	if (strcmp(outcome, "added") == 0)
		printf("%s  %s  %s  until %.10s", key, addr ? addr : "", status ? status : "",
			json_get_text(cert, "not_after"));
	else
		printf("%s  serial %s%s%s", json_get_text(cert, "subject"),
			json_get_text(cert, "serial"), key ? "  " : "", key ? key : "");
	printf("%s%s\n", reason ? ": " : "", reason ? reason : "");
}

static enum rc
send_batch(struct cli *cli, const struct batch *batch, struct json *json, struct tally *tally,
	struct err *err)
{
	const struct json_value *certs;
	struct json_value *answer = NULL;
	struct secret *blob = NULL;
	struct asking asking;
	enum rc rc = pack(batch, &blob, err);

	if (rc != RC_OK)
		return rc;
	asking_begin(&asking, "key.cert.add");
	if (batch->all->unasked)
		json_bool(&asking.json, "unasked", true);
	rc = asking_send(&asking, cli->conf, blob, &answer, err);
	secret_free(&blob);
	certs = rc == RC_OK ? json_find(answer, "certificates") : NULL;
	for (size_t i = 0; certs && i < json_count(certs); i++) {
		const struct json_value *cert = json_at(certs, i);
		const char *outcome = json_get_text(cert, "outcome"),
			   *sha256 = json_get_text(cert, "sha256"), *file;

		if (!outcome || !sha256 || strcmp(outcome, "ca") == 0)
			continue;
		file = file_of(batch, sha256);
		count(tally, outcome);
		json_object(json, NULL);
		json_str(json, "file", file);
		for (size_t k = 0; k < json_count(cert); k++)
			answer_put(json, json_key_at(cert, k), json_at(cert, k));
		json_object_end(json);
		if (!cli->json)
			print_line(cert, file);
	}
	json_free(&answer);
	return rc;
}

/* 65: something was refused, or nothing was for us; 66: a file was none. */
static int
conclude(const struct arrivals *all, const struct tally *tally)
{
	fprintf(stderr,
		"sealgate: %zu added, %zu known already, %zu of no key here, %zu refused, %zu not for "
		"mail, %zu files left out\n",
		tally->added, tally->known, tally->unmatched, tally->refused, tally->not_for_mail,
		all->unreadable);
	if (tally->refused || tally->added + tally->known == 0)
		return all->n == 0 && all->unreadable ? EX_NOINPUT : EX_DATAERR;
	return all->unreadable ? EX_NOINPUT : EX_OK;
}

static int
send_all(struct cli *cli, const struct arrivals *all)
{
	struct buf text = BUF_INIT(256u << 20);
	struct tally tally = {0};
	struct err err = ERR_INIT;
	struct json json;
	enum rc rc = RC_OK;
	int status;

	cmd_json_begin(&json, &text);
	json_array(&json, "certificates");
	for (size_t i = 0; rc == RC_OK && i < all->n; i += BATCH)
		rc = send_batch(cli,
			&(struct batch){all, i, i + BATCH < all->n ? i + BATCH : all->n}, &json,
			&tally, &err);
	json_array_end(&json);
	json_object_end(&json);
	status = rc == RC_OK ? conclude(all, &tally) : cmd_fail(&err);
	if (cli->json)
		status = cmd_print_json(&json, status);
	buf_fini(&text);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct arrivals all = {0};
	const struct cmd_opt opts[] = {{"unasked", OPT_FLAG, &all.unasked}};
	struct err err = ERR_INIT;
	enum rc rc = RC_OK;
	int status;

	if (!cmd_parse(&key_import_certs, cli, opts, 1, &argc, argv, &status))
		return status;
	if (argc < 2)
		return cmd_usage(&key_import_certs, "which file?");
	if (!cmd_conf(&key_import_certs, cli, &status))
		return status;
	for (int i = 1; rc == RC_OK && i < argc; i++)
		rc = add_path(&all, argv[i], &err);
	status = rc == RC_OK ? send_all(cli, &all) : cmd_fail(&err);
	arrivals_fini(&all);
	return status;
}
