/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/import_run.h"

#include "cli/answer.h"
#include "cli/text_file.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE   8   /* passwords in one request: each may take the vault seconds */
#define CERTS_MAX 255 /* files with certificates that go along */

enum rc
passwords_read(const char *path, bool first, struct passwords_list *out, struct err *err)
{
	struct secret *text = NULL;
	struct text_lines lines;
	char *line;
	enum rc rc = text_file_bytes(path, !first, &text, err);

	*out = (struct passwords_list){.n = 0};
	if (rc != RC_OK)
		return rc;
	text_lines_init(&lines, text);
	while (rc == RC_OK && (line = text_lines_next(&lines)) != NULL && !(first && out->n)) {
		if (out->n == PASSWORDS_MAX)
			rc = err_set(
				err, ERR_LIMIT, "%s: more than %d passwords", path, PASSWORDS_MAX);
		else
			rc = secret_copy(line, strlen(line), &out->v[out->n], err);
		out->n += rc == RC_OK;
	}
	if (rc == RC_OK && out->n == 0) /* an empty file is the empty password */
		rc = secret_copy("", 0, &out->v[out->n++], err);
	secret_free(&text);
	if (rc != RC_OK)
		passwords_list_fini(out);
	return rc;
}

void
passwords_list_fini(struct passwords_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		secret_free(&list->v[i]);
	list->n = 0;
}

/* --- stopping --- */

static volatile sig_atomic_t stopped;

static void
on_stop(int sig)
{
	(void)sig;
	stopped = 1;
}

/* Once between two files; a second time at once. */
void
import_catch_stop(void)
{
	struct sigaction sa = {.sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

bool
import_stopped(void)
{
	return stopped;
}

/* --- asking the vault --- */

/* One request: a file with what belongs to it, and passwords to try. */
struct request {
	struct admin_bytes files[CERTS_MAX + 1];
	size_t n_files;
	struct admin_bytes passwords[AT_ONCE];
	size_t n_passwords;
	const char *address, *label; /* or NULL */
};

static enum rc
ask(struct import_run *run, const struct request *r, struct json_value **answer, struct err *err)
{
	const struct import_options *options = run->options;
	struct secret *blob = NULL;
	struct asking asking;
	enum rc rc = admin_pack(r->passwords, r->n_passwords, r->files, r->n_files, &blob, err);

	*answer = NULL;
	if (rc != RC_OK)
		return rc;
	asking_begin(&asking, options->hold ? "key.hold" : "key.import");
	json_str(&asking.json, "addr", r->address ? r->address : options->address);
	json_str(&asking.json, "name", options->name);
	json_str(&asking.json, "kind", options->kind);
	if (options->hold)
		json_str(&asking.json, "label", r->label);
	if (options->client_key)
		json_bool(&asking.json, "client_key", true);
	if (options->foreign)
		json_bool(&asking.json, "foreign", true);
	rc = asking_end(&asking, err);
	if (rc == RC_OK)
		rc = admin_ask(run->session, buf_text(&asking.text), blob, answer, NULL, err);
	buf_fini(&asking.text);
	secret_free(&blob);
	return rc;
}

static struct admin_bytes
bytes_of(struct secret *secret)
{
	return (struct admin_bytes){secret_data(secret), secret_len(secret)};
}

/* A list is tried in pieces, beginning with the one that had the last file's password. */
static enum rc
ask_with_list(
	struct import_run *run, struct request *r, struct json_value **answer, struct err *err)
{
	const struct passwords_list *list = run->passwords;
	size_t chunks = (list->n + AT_ONCE - 1) / AT_ONCE;
	enum rc rc = RC_PERM;

	for (size_t i = 0; i < chunks; i++) {
		size_t chunk = (run->last + i) % chunks, n = 0;

		while (n < AT_ONCE && chunk * AT_ONCE + n < list->n) {
			r->passwords[n] = bytes_of(list->v[chunk * AT_ONCE + n]);
			n++;
		}
		r->n_passwords = n;
		err_clear(err);
		rc = ask(run, r, answer, err);
		if (rc != RC_PERM || err->code != ERR_KEY_PASSWORD) {
			run->last = chunk;
			return rc;
		}
	}
	return list->n > AT_ONCE
		       ? err_set(err, ERR_KEY_PASSWORD,
				 "none of %zu passwords fits, or the file is damaged", list->n)
		       : rc;
}

enum rc
import_send(struct import_run *run, struct secret *file, const struct import_with *with,
	struct json_value **answer, struct err *err)
{
	struct request r = {.files = {bytes_of(file)},
		.n_files = with->n_certs + 1,
		.address = with->address,
		.label = with->label};

	if (with->n_certs)
		memcpy(r.files + 1, with->certs, with->n_certs * sizeof(*with->certs));
	if (with->pin && !run->options->hold)
		r.passwords[r.n_passwords++] = bytes_of(with->pin);
	else if (run->passwords && run->passwords->n && !run->options->hold)
		return ask_with_list(run, &r, answer, err);
	return ask(run, &r, answer, err);
}

/* --- certificates in files of their own --- */

struct companions {
	struct import_run *run;
	struct secret *held[CERTS_MAX]; /* owned */
	struct admin_bytes bytes[CERTS_MAX];
	size_t n;
};

static enum rc
add_companion(void *ctx, size_t i, struct err *err)
{
	struct companions *c = ctx;
	struct secret *bytes = NULL;
	enum rc rc;

	if (c->n == CERTS_MAX)
		return RC_OK;
	rc = key_files_read(c->run->files, i, &bytes, err);
	if (rc == RC_OK && key_content(bytes) == KEY_CONTENT_CERTS) {
		c->held[c->n] = bytes; /* owned by the list from here */
		c->bytes[c->n++] = bytes_of(bytes);
		return RC_OK;
	}
	secret_free(&bytes);
	return rc;
}

/* For a key that is alone in its file: files of the same name, and those that were named with it.
 */
static enum rc
find_companions(struct companions *c, size_t i, struct err *err)
{
	enum rc rc = key_files_siblings(c->run->files, i, add_companion, c, err);

	for (size_t k = 0; rc == RC_OK && k < c->run->n_certs; k++)
		rc = add_companion(c, c->run->certs[k], err);
	return rc;
}

enum rc
import_run_prepare(struct import_run *run, struct err *err)
{
	size_t n = key_files_count(run->files);

	run->certs = calloc(CERTS_MAX, sizeof(*run->certs));
	if (!run->certs)
		return err_set(err, ERR_MEMORY, "import");
	for (size_t i = 0; n > 1 && i < n && run->n_certs < CERTS_MAX; i++) {
		struct secret *bytes = NULL;

		if (!key_files_was_found(run->files, i) &&
			key_files_read(run->files, i, &bytes, NULL) == RC_OK &&
			key_content(bytes) == KEY_CONTENT_CERTS)
			run->certs[run->n_certs++] = i;
		secret_free(&bytes);
	}
	return RC_OK;
}

void
import_run_fini(struct import_run *run)
{
	free(run->certs);
	run->certs = NULL;
}

/* --- one file --- */

static void
fail(struct import_run *run, const char *name, enum rc rc, const struct err *why)
{
	struct import_line line = {.result = RESULT_FAILED,
		.file = name,
		.error = err_name(why->code),
		.detail = why->detail};

	import_report_put(&run->report, &line);
	if (run->worst == RC_OK)
		run->worst = rc;
}

void
import_run_fail(struct import_run *run, const char *name, const struct err *why)
{
	fail(run, name, RC_PERM, why);
}

static void
skip(struct import_run *run, const char *name, const char *why)
{
	struct import_line line = {.result = RESULT_SKIPPED, .file = name, .detail = why};

	import_report_put(&run->report, &line);
}

static void
put_held(struct import_run *run, const char *name, const struct json_value *answer)
{
	const struct json_value *held = json_find(answer, "held");
	const char *key = json_get_text(held, "key");
	struct import_line line = {.result = RESULT_HELD,
		.file = name,
		.address = json_get_text(held, "address"),
		.held = json_get_text(held, "held"),
		.detail = "waits for its PIN"};

	if (json_is_true(json_find(answer, "known"))) {
		line.result = RESULT_KNOWN;
		line.detail = key ? "its key is in already" : "it waits for its PIN already";
		line.key = key && strcmp(key, "-") != 0 ? key : NULL;
	}
	import_report_put(&run->report, &line);
}

static void
send_file(struct import_run *run, size_t i, struct secret *bytes, enum key_content content,
	const char *address, struct secret *pin)
{
	const char *name = key_files_name(run->files, i);
	struct companions companions = {.run = run};
	struct import_with with = {
		.pin = pin, .address = address, .label = key_files_label(run->files, i)};
	struct json_value *answer = NULL;
	struct err err = ERR_INIT;
	enum rc rc = RC_OK;

	if (content == KEY_CONTENT_ALONE && !run->options->hold)
		rc = find_companions(&companions, i, &err);
	with.certs = companions.bytes;
	with.n_certs = companions.n;
	if (rc == RC_OK)
		rc = import_send(run, bytes, &with, &answer, &err);
	for (size_t k = 0; k < companions.n; k++)
		secret_free(&companions.held[k]);
	if (rc == RC_TEMP) {
		run->rc = rc;
		run->err = err;
		return;
	}
	if (rc != RC_OK)
		fail(run, name, rc, &err);
	else if (run->options->hold)
		put_held(run, name, answer);
	else
		import_report_answer(&run->report, name, answer);
	json_free(&answer);
}

void
import_run_file(struct import_run *run, size_t i, const char *address, struct secret *pin)
{
	const char *name = key_files_name(run->files, i);
	struct secret *bytes = NULL;
	struct err err = ERR_INIT;
	enum key_content content;

	if (key_files_read(run->files, i, &bytes, &err) != RC_OK) {
		run->unreadable = run->unreadable || run->worst == RC_OK;
		fail(run, name, RC_PERM, &err);
		import_report_step(&run->report);
		return;
	}
	content = key_content(bytes);
	if (content == KEY_CONTENT_CERTS)
		skip(run, name, "certificates without a private key");
	else if (content == KEY_CONTENT_OTHER && key_files_was_found(run->files, i) &&
		 !key_name_promises(name))
		skip(run, name, "no file with a private key");
	else
		send_file(run, i, bytes, content, address, pin);
	secret_free(&bytes);
	if (run->rc == RC_OK)
		import_report_step(&run->report);
}
