/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulk_export.c - sealgate key bulk export: a service's form, filled in for many
 *
 * All rows are made before the first byte is written; when one of them cannot be, all that is wrong
 * is said and there is no file. Only then, and only when asked to, are keys marked as revoked.
 */
#include "base/clock.h"
#include "base/file.h"
#include "cli/bulk.h"
#include "cli/bulk_form.h"
#include "cli/bulk_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FORM_MAX (256u << 20)
#define MAX_SAID 50 /* refused rows that are said one by one */

static int run(struct cli *cli, int argc, char **argv);

const struct command bulk_export = {
	.name = "key bulk export",
	.usage = "--form NAME [--out FILE] [--people FILE] [--due DAYS | --list FILE] "
		 "[--status FILE [--status-form NAME]] [--otherwise FILE] "
		 "[--reason WORD [--comment TEXT] [--apply]] [ADDR|KEY …]",
	.help = "fill in a service's form to issue, renew or revoke certificates",
	.details =
		"  --form NAME        upki-issue, upki-renew, upki-revoke, or a file with a map\n"
		"  --out FILE         the form; default standard output\n"
		"  --people FILE      table with a column \"address\" and others, named in its first row\n"
		"  --due DAYS         keys whose certificates end within so many days, such as 30d\n"
		"  --list FILE        addresses (or ids of keys), one in each row's first column\n"
		"  --status FILE      the service's list: the names that it knows, for renewals\n"
		"  --status-form NAME map of that list's columns; default upki-status\n"
		"  --otherwise FILE   what is no renewal, in the form for new certificates\n"
		"  --reason WORD      why certificates are to be revoked, a word of the map\n"
		"  --comment TEXT     more about that\n"
		"  --apply            mark the keys as revoked once the form is written\n",
	.run = run,
};

struct export_options {
	const char *form, *out, *people, *due, *list, *status, *status_form, *otherwise, *reason,
		*comment;
	bool apply;
};

/* One line of the form to be. */
struct target {
	const char *addr;
	const struct bulk_key *key; /* or NULL */
	bool other;                 /* into the other form */
	char why[256];
};

struct exporting {
	struct cli *cli;
	const struct export_options *options;
	struct bulk_map map, other_map, list_map;
	struct tsv people, names, list;
	struct bulk_keys keys;
	struct target *targets;
	size_t n, room;
	const char *reason; /* the code */
	struct buf form, other;
	size_t rows, other_rows, refused;
	size_t hint; /* in the people's table */
};

static void
exporting_fini(struct exporting *x)
{
	bulk_map_fini(&x->map);
	bulk_map_fini(&x->other_map);
	bulk_map_fini(&x->list_map);
	tsv_fini(&x->people);
	tsv_fini(&x->names);
	tsv_fini(&x->list);
	bulk_keys_fini(&x->keys);
	free(x->targets);
	buf_fini(&x->form);
	buf_fini(&x->other);
}

static enum rc
add_target(struct exporting *x, const char *addr, const struct bulk_key *key, struct err *err)
{
	for (size_t i = 0; x->n < 5000 && i < x->n; i++)
		if (strcasecmp(x->targets[i].addr, addr) == 0 && x->targets[i].key == key)
			return RC_OK; /* named twice */
	if (x->n == TSV_MAX_ROWS)
		return err_set(err, ERR_LIMIT, "more than %d rows", TSV_MAX_ROWS);
	if (x->n == x->room) {
		size_t room = x->room * 2 + 64;
		struct target *more = realloc(x->targets, room * sizeof(*more));

		if (!more)
			return err_set(err, ERR_MEMORY, "rows");
		x->targets = more;
		x->room = room;
	}
	x->targets[x->n++] = (struct target){.addr = addr, .key = key};
	return RC_OK;
}

/* The address of KEY's owner that its certificate is for, failing that the first. */
static const char *
addr_of(const struct bulk_key *key)
{
	struct dn dn;
	const char *found = NULL, *cn;

	if (!key->addrs || json_count(key->addrs) == 0)
		return NULL;
	if (key->subject && dn_parse(key->subject, strlen(key->subject), &dn, NULL) == RC_OK) {
		cn = dn_get(&dn, "CN");
		for (size_t i = 0; cn && i < json_count(key->addrs); i++)
			if (strcasecmp(json_text(json_at(key->addrs, i)), cn) == 0)
				found = json_text(json_at(key->addrs, i));
		dn_fini(&dn);
	}
	return found ? found : json_text(json_at(key->addrs, 0));
}

/* An address or the id of a key, as it was named. */
static enum rc
add_named(struct exporting *x, const char *name, struct err *err)
{
	const struct bulk_key *key;

	if (strchr(name, '@')) {
		key = bulk_key_of(&x->keys, name, x->map.issuer, x->map.form == BULK_REVOKE);
		if (!key && x->map.form != BULK_ISSUE)
			return err_set(err, ERR_VAULT_NO_KEY,
				"%s has no %skey with a certificate of an outside CA", name,
				x->map.form == BULK_REVOKE ? "" : "active ");
		return add_target(x, name, key, err);
	}
	key = bulk_key_find(&x->keys, name);
	if (!key)
		return err_set(err, ERR_VAULT_NO_KEY, "no key %.64s", name);
	if (!key->serial)
		return err_set(err, ERR_VAULT_NO_KEY, "key %s has no certificate", name);
	if (!addr_of(key))
		return err_set(
			err, ERR_VAULT_NO_KEY, "the owner of key %s has no address now", name);
	return add_target(x, addr_of(key), key, err);
}

/* Keys whose certificates end soon, unless the owner has a later one of the service. */
static enum rc
add_due(struct exporting *x, int64_t days, struct err *err)
{
	int64_t until = clock_now() + days * 86400;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < x->keys.n; i++) {
		const struct bulk_key *key = &x->keys.v[i];
		const char *addr = addr_of(key);

		if (addr && bulk_key_is_active(key) && key->not_after <= until &&
			bulk_key_of(&x->keys, addr, x->map.issuer, false) == key)
			rc = add_target(x, addr, key, err);
	}
	return rc;
}

/* "30d", "30" */
static bool
parse_days(const char *text, int64_t *days)
{
	char *end;

	*days = strtol(text, &end, 10);
	return *text >= '0' && *text <= '9' && (!*end || strcmp(end, "d") == 0) && *days <= 100000;
}

static enum rc
choose_targets(struct exporting *x, int argc, char **argv, struct err *err)
{
	const struct export_options *options = x->options;
	int64_t days;
	enum rc rc = RC_OK;

	if (options->due && !parse_days(options->due, &days))
		return err_set(err, ERR_USAGE, "--due is a number of days, such as 30d");
	if (options->due)
		rc = add_due(x, days, err);
	for (size_t i = 0; rc == RC_OK && i < x->names.n; i++) {
		const char *name = tsv_field(&x->names.rows[i], 1);

		if (i == 0 && strcasecmp(name, "address") == 0)
			continue; /* names of columns */
		if ((rc = add_named(x, name, err)) != RC_OK)
			err_prefix(err, "%s, row %zu", options->list, x->names.rows[i].line);
	}
	for (int i = 1; rc == RC_OK && i < argc; i++)
		rc = add_named(x, argv[i], err);
	return rc;
}

/* What the service calls the certificate, out of its list: *known. */
static enum rc
listed_name(struct exporting *x, const struct target *target, struct dn *dn, bool *known,
	struct err *err)
{
	size_t column = bulk_map_column(&x->list_map, "dn");
	const struct tsv_row *row;
	const char *text;
	enum rc rc;

	*known = false;
	if (!x->options->status || !column)
		return RC_OK;
	row = bulk_find_serial(&x->list_map, &x->list, target->addr, target->key->serial);
	if (!row)
		return err_set(err, ERR_USAGE, "its certificate is not in the service's list");
	text = tsv_field(row, column);
	rc = dn_parse(text, strlen(text), dn, err);
	*known = rc == RC_OK;
	return rc;
}

/* Renewal or new certificate? TARGET->why says why not. */
static enum rc
judge_renewal(
	struct exporting *x, const struct bulk_facts *facts, struct target *target, struct err *err)
{
	struct buf text = BUF_INIT(8192);
	struct dn new = {.n = 0}, old = {.n = 0}, subject = {.n = 0};
	bool listed = false;
	enum rc rc = RC_OK;

	if (x->map.dn)
		rc = bulk_make_dn(&x->map, facts, &text, &new, err);
	if (rc == RC_OK)
		rc = dn_parse(target->key->subject, strlen(target->key->subject), &subject, err);
	if (rc == RC_OK)
		rc = listed_name(x, target, &old, &listed, err);
	if (rc == RC_OK)
		target->other = !bulk_may_renew(
			&x->map, &new, listed ? &old : NULL, &subject, target->addr, target->why);
	else if (rc == RC_PERM && err->code == ERR_USAGE && !listed && new.n) {
		/* not in the list, or under a name that is none: nothing to renew there */
		target->other = true;
		snprintf(target->why, sizeof(target->why), "%.250s", err->detail);
		err_clear(err);
		rc = RC_OK;
	}
	dn_fini(&new);
	dn_fini(&old);
	dn_fini(&subject);
	buf_fini(&text);
	return rc;
}

/* A row that cannot be made is said; the others are tried, so that all is said at once. */
static enum rc
refuse_row(struct exporting *x, const struct target *target, enum rc rc, struct err *err)
{
	if (rc != RC_PERM || err->code == ERR_CONFIG) /* the map is wrong for all of them */
		return rc;
	if (x->refused++ < MAX_SAID)
		fprintf(stderr, "sealgate: %s: %s\n", target->addr, err->detail);
	err_clear(err);
	return RC_OK;
}

static enum rc
make_row(struct exporting *x, struct target *target, struct err *err)
{
	struct bulk_facts facts = {
		.addr = target->addr,
		.key = target->key ? target->key->id : NULL,
		.name = target->key ? target->key->name : NULL,
		.serial = target->key ? target->key->serial : NULL,
		.subject = target->key ? target->key->subject : NULL,
		.reason = x->reason,
		.comment = x->options->comment,
		.people = x->people.n ? &x->people : NULL,
		.person = bulk_find_person(&x->people, target->addr, &x->hint),
	};
	size_t n, first = bulk_keys_of(&x->keys, target->addr, &n);
	enum rc rc = RC_OK;

	for (size_t i = first; !facts.name && i < first + n; i++)
		facts.name = x->keys.v[x->keys.owners[i].key].name;
	if (x->map.form == BULK_RENEW)
		rc = judge_renewal(x, &facts, target, err);
	if (rc == RC_OK && !target->other)
		rc = bulk_append_row(&x->map, &facts, x->rows + x->refused + 1, &x->form, err);
	else if (rc == RC_OK && x->options->otherwise)
		rc = bulk_append_row(
			&x->other_map, &facts, x->other_rows + x->refused + 1, &x->other, err);
	if (rc != RC_OK)
		return refuse_row(x, target, rc, err);
	if (target->other)
		x->other_rows++;
	else
		x->rows++;
	return RC_OK;
}

/* What is done with a target, in a word. */
static const char *
action_of(const struct exporting *x, const struct target *target)
{
	if (!target->other)
		return bulk_form_name(x->map.form);
	return x->options->otherwise ? "issue" : "left-out";
}

/* One line for each row; to standard error when the form itself goes to standard output. */
static int
tell(const struct exporting *x, int status)
{
	FILE *to = x->options->out ? stdout : stderr;
	struct buf text = BUF_INIT(FORM_MAX);
	struct json json;

	cmd_json_begin(&json, &text);
	json_str(&json, "form", bulk_form_name(x->map.form));
	json_str(&json, "file", x->options->out);
	json_array(&json, "rows");
	for (size_t i = 0; i < x->n; i++) {
		const struct target *t = &x->targets[i];

		if (!x->cli->json)
			fprintf(to, "%-8s  %s%s%s%s%s\n", action_of(x, t), t->addr,
				t->key ? "  serial " : "", t->key ? t->key->serial : "",
				*t->why ? ": " : "", t->why);
		json_object(&json, NULL);
		json_str(&json, "action", action_of(x, t));
		json_str(&json, "address", t->addr);
		json_str(&json, "key", t->key ? t->key->id : NULL);
		json_str(&json, "serial", t->key ? t->key->serial : NULL);
		json_str(&json, "reason", *t->why ? t->why : NULL);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_object_end(&json);
	if (x->cli->json && x->options->out)
		status = cmd_print_json(&json, status);
	buf_fini(&text);
	return status;
}

/* Personal data, perhaps PINs: for the owner's eyes. */
static enum rc
write_forms(struct exporting *x, struct err *err)
{
	enum rc rc = RC_OK;

	bulk_finish(&x->map, &x->form);
	bulk_finish(&x->other_map, &x->other);
	if (x->options->otherwise && x->other_rows)
		rc = file_write(x->options->otherwise, x->other.data, x->other.len, 0600, err);
	if (rc != RC_OK || x->rows == 0)
		return rc;
	if (x->options->out)
		return file_write(x->options->out, buf_text(&x->form), x->form.len, 0600, err);
	if (fwrite(buf_text(&x->form), 1, x->form.len, stdout) != x->form.len ||
		fflush(stdout) != 0)
		return err_set(err, ERR_FILE, "standard output");
	return RC_OK;
}

/* Keys whose revocation was asked for; the first that fails ends it, and a second run goes on. */
static enum rc
apply(struct exporting *x, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < x->n; i++) {
		const struct bulk_key *key = x->targets[i].key;
		struct json_value *answer = NULL;
		struct asking asking;

		if (strcmp(key->status, "revoked") == 0)
			continue;
		asking_begin(&asking, "key.revoke");
		json_str(&asking.json, "key", key->id);
		rc = asking_send(&asking, x->cli->conf, NULL, &answer, err);
		json_free(&answer);
		if (rc != RC_OK)
			err_prefix(err, "the form is written, %zu of %zu keys are revoked; key %s",
				i, x->n, key->id);
	}
	return rc;
}

/* The code of --reason, and whether it wants a comment. */
static enum rc
choose_reason(struct exporting *x, struct err *err)
{
	const struct export_options *options = x->options;
	const char *needed = x->map.comment_needed;
	size_t n;

	if (x->map.form != BULK_REVOKE)
		return options->reason || options->comment || options->apply
			       ? err_set(err, ERR_USAGE,
					 "--reason, --comment and --apply are for revocations")
			       : RC_OK;
	if (!options->reason)
		return err_set(err, ERR_USAGE, "--reason is missing");
	x->reason = bulk_pair_find(x->map.reasons, x->map.n_reasons, options->reason);
	if (!x->reason)
		return err_set(err, ERR_USAGE, "the form has no reason \"%.60s\"", options->reason);
	if (options->apply && !options->out)
		return err_set(err, ERR_USAGE, "--apply wants the form in a file, by --out");
	for (; needed && *needed; needed += n + (needed[n] != 0)) {
		n = strcspn(needed, " ");
		if (n == strlen(x->reason) && memcmp(needed, x->reason, n) == 0 &&
			(!options->comment || !*options->comment))
			return err_set(
				err, ERR_USAGE, "the reason %s wants a --comment", options->reason);
	}
	return RC_OK;
}

/* Maps and tables; what cannot be read is *unreadable. */
static enum rc
load(struct exporting *x, bool *unreadable, struct err *err)
{
	const struct export_options *options = x->options;
	const char *dir = conf_dir(x->cli->conf);
	enum rc rc = bulk_map_load(dir, options->form, &x->map, err);

	if (rc == RC_OK && x->map.form == BULK_STATUS)
		rc = err_set(
			err, ERR_CONFIG, "%s is the map of a list, not of a form", options->form);
	if (rc == RC_OK)
		rc = choose_reason(x, err);
	if (rc == RC_OK && options->otherwise && (x->map.form != BULK_RENEW || !x->map.otherwise))
		rc = err_set(err, ERR_USAGE, "--otherwise is for renewals whose map names a form");
	if (rc == RC_OK && options->otherwise)
		rc = bulk_map_load(dir, x->map.otherwise, &x->other_map, err);
	if (rc == RC_OK && options->status)
		rc = bulk_map_load(dir, options->status_form, &x->list_map, err);
	if (rc != RC_OK)
		return rc;
	*unreadable = true;
	if (options->people && (rc = tsv_read(options->people, &x->people, err)) == RC_OK)
		rc = bulk_check_people(&x->people, options->people, err);
	if (rc == RC_OK && options->list)
		rc = tsv_read(options->list, &x->names, err);
	if (rc == RC_OK && options->status)
		rc = tsv_read(options->status, &x->list, err);
	*unreadable = rc != RC_OK;
	return rc == RC_OK ? bulk_keys_load(x->cli->conf, &x->keys, err) : rc;
}

static int
conclude(struct exporting *x)
{
	struct err err = ERR_INIT;
	int status = EX_OK;
	enum rc rc;

	if (x->refused) {
		fprintf(stderr, "sealgate: %zu of %zu rows cannot be written: no form is\n",
			x->refused, x->n);
		return EX_DATAERR;
	}
	if (x->n == 0) {
		fprintf(stderr, "sealgate: nobody is to be in the form: none is written\n");
		return EX_DATAERR;
	}
	if (x->other_rows && !x->options->otherwise)
		status = EX_DATAERR;
	rc = write_forms(x, &err);
	if (rc == RC_OK && x->options->apply)
		rc = apply(x, &err);
	return rc == RC_OK ? tell(x, status) : cmd_fail(&err);
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct export_options options = {.status_form = "upki-status"};
	const struct cmd_opt opts[] = {{"form", OPT_VALUE, &options.form},
		{"out", OPT_VALUE, &options.out}, {"people", OPT_VALUE, &options.people},
		{"due", OPT_VALUE, &options.due}, {"list", OPT_VALUE, &options.list},
		{"status", OPT_VALUE, &options.status},
		{"status-form", OPT_VALUE, &options.status_form},
		{"otherwise", OPT_VALUE, &options.otherwise},
		{"reason", OPT_VALUE, &options.reason}, {"comment", OPT_VALUE, &options.comment},
		{"apply", OPT_FLAG, &options.apply}};
	struct exporting x = {.cli = cli,
		.options = &options,
		.form = BUF_INIT(FORM_MAX),
		.other = BUF_INIT(FORM_MAX)};
	struct err err = ERR_INIT;
	bool unreadable = false;
	int status;
	enum rc rc;

	if (!cmd_parse(&bulk_export, cli, opts, sizeof(opts) / sizeof(*opts), &argc, argv, &status))
		return status;
	if (!options.form)
		return cmd_usage(&bulk_export, "--form which?");
	if (argc < 2 && !options.due && !options.list)
		return cmd_usage(&bulk_export, "whom? An address, --due or --list");
	if (!cmd_conf(&bulk_export, cli, &status))
		return status;
	rc = load(&x, &unreadable, &err);
	if (rc == RC_OK)
		rc = choose_targets(&x, argc, argv, &err);
	for (size_t i = 0; rc == RC_OK && i < x.n; i++)
		rc = make_row(&x, &x.targets[i], &err);
	if (rc == RC_OK)
		status = conclude(&x);
	else
		status = unreadable ? cmd_fail_input(&err) : cmd_fail(&err);
	exporting_fini(&x);
	return status;
}
