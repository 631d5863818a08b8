/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publish.c - sealgate cert publish: our people's certificates into the directory
 *
 * The vault says what should be there, the directory what is there; the difference is written.
 * Running it again does what is left, so a timer needs no memory.
 */
#include "cli/publish.h"

#include "cli/answer.h"
#include "cli/cert.h"
#include "directory/publish.h"
#include "keystore/admin.h"
#include "message/b64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CERTS_MAX 64 /* of one person */

static int run(struct cli *cli, int argc, char **argv);

const struct command cert_publish = {
	.name = "cert publish",
	.usage = "[--dry-run] [ADDR]",
	.help = "write our people's certificates to the directory of \"publish\"",
	.details =
		"Adds what is missing and removes what is revoked, replaced or expired; values that\n"
		"do not belong to keys of the vault are never touched.\n"
		"  --dry-run   only say what would be done\n"
		"Status: 0 done, 75 something could not be written: run it again.\n",
	.run = run,
};

enum rc
publish_crl(struct conf *conf, const void *der, size_t len, struct err *err)
{
	const char *dn = conf_str(conf_section(conf, "ca"), "crl_dn");
	struct publisher *publisher;
	enum rc rc = publisher_new(conf, &publisher, err);

	if (rc == RC_NONE)
		return conf_err(err, conf, conf_section(conf, "ca"), "crl_dn", "needs publish.uri");
	if (rc == RC_OK)
		rc = publish_list(publisher, dn, der, len, err);
	publisher_free(&publisher);
	return rc;
}

struct publishing {
	struct cli *cli;
	struct admin_session *session;
	struct publisher *publisher;
	bool dry_run;
	size_t persons, entries, added, removed, without, failed;
	bool down; /* the directory cannot be reached: no use to go on */
	struct json json;
	struct buf text;
};

struct person_certs {
	struct publish_cert v[CERTS_MAX];
	size_t n;
	void *bytes[2 * CERTS_MAX];
	size_t n_bytes;
};

static void
person_fini(struct person_certs *person)
{
	for (size_t i = 0; i < person->n_bytes; i++)
		free(person->bytes[i]);
}

/* Member NAME, base64, as bytes that PERSON owns. */
static bool
take_bytes(struct person_certs *person, const struct json_value *cert, const char *name,
	const void **out, size_t *len)
{
	const char *text = json_get_text(cert, name);
	size_t n = text ? strlen(text) : 0;
	void *bytes = malloc(n / 4 * 3 + 1);

	if (!text || !bytes || b64_decode(text, n, bytes, len, NULL) != RC_OK) {
		free(bytes);
		return false;
	}
	*out = person->bytes[person->n_bytes++] = bytes;
	return true;
}

static enum rc
take_certs(const struct json_value *list, struct person_certs *person, struct err *err)
{
	*person = (struct person_certs){.n = 0};
	if (json_count(list) > CERTS_MAX)
		return err_set(err, ERR_LIMIT, "a person with more than %d certificates to publish",
			CERTS_MAX);
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json_value *cert = json_at(list, i);
		struct publish_cert *to = &person->v[person->n];

		to->sha256 = json_get_text(cert, "sha256");
		to->want = json_is_true(json_find(cert, "want"));
		if (!to->sha256 || !take_bytes(person, cert, "der", &to->der, &to->der_len) ||
			!take_bytes(person, cert, "p7", &to->p7, &to->p7_len))
			return err_set(err, ERR_VAULT_PROTOCOL, "a certificate in no known form");
		person->n++;
	}
	return RC_OK;
}

/* The vault knows all certificates of its keys, old ones and other people's too. */
static enum rc
ask_vault(void *ctx, const struct cert *cert, bool *ours, struct err *err)
{
	struct publishing *p = ctx;
	struct json_value *answer;
	struct asking asking;
	enum rc rc;

	asking_begin(&asking, "publish.ours");
	json_array(&asking.json, "sha256");
	json_str(&asking.json, NULL, cert_fingerprint(cert));
	json_array_end(&asking.json);
	rc = asking_send_in(&asking, p->session, &answer, err);
	*ours = rc == RC_OK && json_count(json_find(answer, "ours")) == 1;
	json_free(&answer);
	return rc;
}

static void
say(struct publishing *p, const char *addr, const char *what, const struct publish_done *done,
	const struct err *err)
{
	if (p->cli->json) {
		json_object(&p->json, NULL);
		json_str(&p->json, "address", addr);
		json_str(&p->json, "result", what);
		json_str(&p->json, "dn", done->dn[0] ? done->dn : NULL);
		json_int(&p->json, "added", (int64_t)done->added);
		json_int(&p->json, "removed", (int64_t)done->removed);
		json_str(&p->json, "reason", err ? err->detail : NULL);
		json_object_end(&p->json);
	} else if (err) {
		fprintf(stderr, "sealgate: %s: %s\n", addr, err->detail);
	} else if (done->added + done->removed) {
		printf("%s  +%zu -%zu  %s\n", addr, done->added, done->removed, done->dn);
	}
}

static void
publish_at(struct publishing *p, const char *addr, const struct person_certs *person)
{
	const struct publish_wish wish = {person->v, person->n, ask_vault, p, p->dry_run};
	struct publish_done done;
	struct err err = ERR_INIT;
	enum rc rc = publish_certs(p->publisher, addr, &wish, &done, &err);

	if (rc == RC_OK) {
		p->entries++;
		p->added += done.added;
		p->removed += done.removed;
		if (done.added + done.removed)
			say(p, addr, p->dry_run ? "would-change" : "changed", &done, NULL);
	} else if (rc == RC_NONE) {
		p->without++;
		if (p->cli->json)
			say(p, addr, "no-entry", &done, NULL);
	} else {
		p->failed++;
		p->down |= done.unreachable || err.code == ERR_DIR_UNAVAILABLE ||
			   err.code == ERR_DIR_TIMEOUT || err.code == ERR_VAULT_DOWN;
		done.added = done.removed = 0;
		say(p, addr, "failed", &done, &err);
	}
}

/* Every entry of a person gets every certificate; where they were before, nothing is left. */
static enum rc
publish_person(struct publishing *p, const struct json_value *item, struct err *err)
{
	const struct json_value *addrs = json_find(item, "addresses"),
				*former = json_find(item, "former"),
				*certs = json_find(item, "certificates");
	struct person_certs *person = malloc(sizeof(*person));
	enum rc rc = person ? RC_OK : err_set(err, ERR_MEMORY, "publish");

	if (rc == RC_OK) {
		rc = take_certs(certs, person, err);
		p->persons++;
		for (size_t i = 0; rc == RC_OK && !p->down && i < json_count(addrs); i++)
			publish_at(p, json_text(json_at(addrs, i)), person);
		person_fini(person);
		person->n = person->n_bytes = 0;
		for (size_t i = 0; rc == RC_OK && !p->down && i < json_count(former); i++)
			publish_at(p, json_text(json_at(former, i)), person);
	}
	free(person);
	return rc;
}

/* Page after page; successors whose time has come first let their predecessors retire. */
static enum rc
publish_all(struct publishing *p, const char *addr, struct err *err)
{
	struct json_value *answer = NULL;
	char after[128] = "";
	enum rc rc = RC_OK;

	if (!p->dry_run) {
		struct asking asking;

		asking_begin(&asking, "key.settle");
		rc = asking_send_in(&asking, p->session, &answer, err);
		json_free(&answer);
	}
	while (rc == RC_OK && !p->down) {
		const struct json_value *persons;
		const char *next;
		struct asking asking;

		asking_begin(&asking, "publish.list");
		json_str(&asking.json, "addr", addr);
		json_str(&asking.json, "after", *after ? after : NULL);
		rc = asking_send_in(&asking, p->session, &answer, err);
		persons = rc == RC_OK ? json_find(answer, "persons") : NULL;
		for (size_t i = 0; rc == RC_OK && !p->down && i < json_count(persons); i++)
			rc = publish_person(p, json_at(persons, i), err);
		next = rc == RC_OK ? json_get_text(answer, "next") : NULL;
		snprintf(after, sizeof(after), "%s", next ? next : "");
		json_free(&answer);
		if (!*after)
			break;
	}
	return rc;
}

static int
report(struct publishing *p, int status)
{
	if (!p->cli->json) {
		printf("%zu persons, %zu entries, %zu values %s, %zu %s; %zu addresses without "
		       "an entry, %zu failed\n",
			p->persons, p->entries, p->added, p->dry_run ? "to add" : "added",
			p->removed, p->dry_run ? "to remove" : "removed", p->without, p->failed);
		return status;
	}
	json_array_end(&p->json);
	json_int(&p->json, "persons", (int64_t)p->persons);
	json_int(&p->json, "entries", (int64_t)p->entries);
	json_int(&p->json, "added", (int64_t)p->added);
	json_int(&p->json, "removed", (int64_t)p->removed);
	json_int(&p->json, "without_entry", (int64_t)p->without);
	json_int(&p->json, "failed", (int64_t)p->failed);
	json_object_end(&p->json);
	return cmd_print_json(&p->json, status);
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct publishing p = {.cli = cli};
	const struct cmd_opt opts[] = {{"dry-run", OPT_FLAG, &p.dry_run}};
	struct err err = ERR_INIT;
	int status;
	enum rc rc;

	if (!cmd_take(&cert_publish, cli, &(struct cmd_args){opts, 1, 0, 1}, &argc, argv, &status))
		return status;
	rc = publisher_new(cli->conf, &p.publisher, &err);
	if (rc == RC_NONE)
		rc = conf_err(&err, cli->conf, conf_section(cli->conf, "publish"), "uri",
			"is not set: there is no directory to publish to");
	if (rc == RC_OK)
		rc = admin_open(cli->conf, &p.session, &err);
	if (rc != RC_OK) {
		publisher_free(&p.publisher);
		return cmd_fail(&err);
	}
	buf_init(&p.text, 64u << 20);
	json_init(&p.json, &p.text);
	json_object(&p.json, NULL);
	json_int(&p.json, "v", 1);
	json_array(&p.json, "changes");
	rc = publish_all(&p, argc == 2 ? argv[1] : NULL, &err);
	status =
		rc != RC_OK ? cmd_fail(&err) : report(&p, p.failed || p.down ? EX_TEMPFAIL : EX_OK);
	admin_close(&p.session);
	publisher_free(&p.publisher);
	buf_fini(&p.text);
	return status;
}
