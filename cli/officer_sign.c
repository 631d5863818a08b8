/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * officer_sign.c - sealgate officer sign, approve: an officer's signature
 *
 * Signing needs the text and the officer's key, nothing else: no vault, no configuration. What is
 * signed is shown first. The same is done by `openssl cms -sign` or gpgsm.
 */
#include "cli/officer.h"

#include "base/clock.h"
#include "base/file.h"
#include "crypto/cms_sign.h"
#include "crypto/p12.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int run_sign(struct cli *cli, int argc, char **argv);
static int run_approve(struct cli *cli, int argc, char **argv);

#define KEY_DETAILS                                                                             \
	"  --key FILE         the officer's key, PEM or PKCS#12, with its certificate\n"        \
	"  --cert FILE        the certificate, when it is not in the file of the key\n"         \
	"  --password P-FILE  the first line of P-FILE is the key's password; default: asked\n" \
	"  --yes              sign without asking again\n"

const struct command officer_sign = {
	.name = "officer sign",
	.usage = "--key FILE [--cert FILE] [--password P-FILE] [--yes] [--out FILE] TEXT",
	.help = "sign the text of a request, on any machine",
	.details = KEY_DETAILS "  --out FILE         the signature (DER); default: TEXT.p7s\n",
	.run = run_sign,
};
const struct command officer_approve = {
	.name = "officer approve",
	.usage =
		"REQUEST --key FILE [--cert FILE] [--password P-FILE] [--yes] | REQUEST --signature "
		"FILE",
	.help = "sign a request, or hand a signature in that was made elsewhere",
	.details = KEY_DETAILS
	"  --signature FILE   a signature over exactly the request's text, CMS in DER or PEM\n",
	.run = run_approve,
};

struct signing {
	const char *key, *cert, *password, *out, *signature;
	bool yes;
};

#define SIGN_OPTS 4
static void
sign_opts(struct signing *s, struct cmd_opt *opts)
{
	opts[0] = (struct cmd_opt){"key", OPT_VALUE, &s->key};
	opts[1] = (struct cmd_opt){"cert", OPT_VALUE, &s->cert};
	opts[2] = (struct cmd_opt){"password", OPT_VALUE, &s->password};
	opts[3] = (struct cmd_opt){"yes", OPT_FLAG, &s->yes};
}

/* Shows TEXT, and asks. */
static bool
confirm(const struct signing *s, const char *text, size_t len)
{
	char line[16] = "";

	if (s->yes)
		return true;
	for (size_t i = 0; i < len; i++)
		if (text[i] != '\r')
			putc(text[i], stderr);
	if (!isatty(STDIN_FILENO)) {
		fprintf(stderr, "sealgate: nobody can be asked; say --yes\n");
		return false;
	}
	fprintf(stderr, "\nSign this? Type yes: ");
	return fgets(line, sizeof(line), stdin) && strcmp(line, "yes\n") == 0;
}

/* Only texts of requests: this is no tool to sign anything with. Nothing in it can move a
 * terminal's cursor. */
static bool
is_request(const char *text, size_t len)
{
	static const char begin[] = "sealgate-request:1\r\n";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i],
			      next = i + 1 < len ? (unsigned char)text[i + 1] : 0;

		if ((c < ' ' && c != '\r' && c != '\n') || c == 0x7f || (c == 0xc2 && next < 0xa0))
			return false;
	}
	return len > sizeof(begin) && memcmp(text, begin, sizeof(begin) - 1) == 0;
}

/* The key's file, taken apart; asks for its password when it needs one. */
static enum rc
read_key(const struct signing *s, struct p12 *p12, struct err *err)
{
	struct buf file = {.max = OFFICER_FILE_MAX, .wipe = true};
	struct secret *password = NULL;
	struct err why = ERR_INIT;
	enum rc rc = file_read(s->key, &file, err);

	if (rc == RC_NONE)
		rc = RC_TEMP;
	if (rc == RC_OK && s->password)
		rc = officer_password(s->password, NULL, false, &password, err);
	if (rc == RC_OK) {
		rc = p12_parse(file.data, file.len, password, p12, &why);
		if (rc == RC_PERM && !password &&
			officer_password(NULL, "Password of the key", false, &password, NULL) ==
				RC_OK) {
			err_clear(&why);
			rc = p12_parse(file.data, file.len, password, p12, &why);
		}
		if (rc != RC_OK)
			rc = err_set(err, why.code, "%s: %s", s->key, why.detail);
	}
	secret_free(&password);
	buf_fini(&file);
	return rc;
}

/* The certificate beside the key. */
static enum rc
add_cert(const struct signing *s, struct p12 *p12, struct err *err)
{
	struct buf file = BUF_INIT(OFFICER_FILE_MAX);
	struct certset set = {0};
	enum rc rc = file_read(s->cert, &file, err);

	if (rc == RC_NONE)
		rc = RC_TEMP;
	if (rc == RC_OK)
		rc = certset_parse(file.data, file.len, &set, err);
	if (rc == RC_OK)
		rc = p12_add_certs(p12, &set, err);
	certset_fini(&set);
	buf_fini(&file);
	return rc;
}

/* The first key that has a certificate, one for signing before others. */
static const struct p12_item *
choose(const struct p12 *p12)
{
	const struct p12_item *found = NULL;

	for (size_t i = 0; i < p12->n; i++) {
		if (!p12->items[i].cert)
			continue;
		if (cert_allows(p12->items[i].cert, CERT_SIGN))
			return &p12->items[i];
		if (!found)
			found = &p12->items[i];
	}
	return found;
}

static enum rc
sign_text(const struct signing *s, const void *text, size_t len, struct buf *der, struct err *err)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	struct cms_sign_request request = {.value = hash, .signing_time = clock_now()};
	const struct p12_item *item = NULL;
	struct certset none = {0};
	struct p12 p12 = {0};
	enum rc rc = read_key(s, &p12, err);

	if (rc == RC_OK && s->cert)
		rc = add_cert(s, &p12, err);
	if (rc == RC_OK) {
		item = choose(&p12);
		if (!item)
			rc = err_set(err, ERR_USAGE,
				"%s: a key without its certificate: --cert FILE", s->key);
	}
	if (rc == RC_OK) {
		request.digest = cms_sign_digest_for(item->cert);
		if (cert_key_type(item->cert) == KEY_ED25519)
			request.digest = DIGEST_SHA512;
		rc = digest_bytes(request.digest, text, len, hash, err);
	}
	if (rc == RC_OK)
		rc = cms_sign_digest(item->pkey, item->cert, &none, &request, der, err);
	p12_fini(&p12);
	return rc;
}

static int
sign_file(const struct signing *s, const char *path)
{
	struct buf text = BUF_INIT(OFFICER_FILE_MAX), der = BUF_INIT(OFFICER_FILE_MAX);
	struct buf out = BUF_INIT(4096);
	struct err err = ERR_INIT;
	int status = EX_OK;
	enum rc rc = file_read(path, &text, &err);

	if (rc != RC_OK) {
		status = cmd_fail_input(&err);
	} else if (!is_request(buf_text(&text), text.len)) {
		fprintf(stderr, "sealgate: %s is no text of a request, byte for byte\n", path);
		status = EX_DATAERR;
	} else if (!confirm(s, text.data, text.len)) {
		fprintf(stderr, "sealgate: not signed\n");
		status = EX_DATAERR;
	} else {
		rc = sign_text(s, text.data, text.len, &der, &err);
		if (rc == RC_OK && !s->out)
			rc = buf_appendf(&out, &err, "%s.p7s", path);
		if (rc == RC_OK)
			rc = file_write_new(
				s->out ? s->out : out.data, der.data, der.len, 0644, &err);
		if (rc != RC_OK)
			status = cmd_fail(&err);
	}
	buf_fini(&text);
	buf_fini(&der);
	buf_fini(&out);
	return status;
}

static int
run_sign(struct cli *cli, int argc, char **argv)
{
	struct signing s = {NULL};
	struct cmd_opt opts[SIGN_OPTS + 1] = {[SIGN_OPTS] = {"out", OPT_VALUE, &s.out}};
	int status;

	sign_opts(&s, opts);
	if (!cmd_parse(&officer_sign, cli, opts, SIGN_OPTS + 1, &argc, argv, &status))
		return status;
	if (argc != 2 || !s.key)
		return cmd_usage(
			&officer_sign, "needs --key FILE and the file of a request's text");
	return sign_file(&s, argv[1]);
}

/* --- approve --- */

/* The signature: from its file, or made over the text that the vault gives. */
static enum rc
get_signature(struct cli *cli, const struct signing *s, const char *request, struct buf *der,
	struct err *err)
{
	struct json_value *answer = NULL;
	struct asking asking;
	const char *text;
	enum rc rc;

	if (s->signature) {
		rc = file_read(s->signature, der, err);
		return rc == RC_NONE ? RC_TEMP : rc;
	}
	asking_begin(&asking, "officer.show");
	json_str(&asking.json, "request", request);
	rc = asking_send(&asking, cli->conf, NULL, &answer, err);
	if (rc != RC_OK)
		return rc;
	text = json_get_text(answer, "text");
	if (!text || !is_request(text, strlen(text)))
		rc = err_set(err, ERR_VAULT_PROTOCOL, "the vault gave no text of a request");
	else if (!confirm(s, text, strlen(text)))
		rc = err_set(err, ERR_USAGE, "not signed");
	else
		rc = sign_text(s, text, strlen(text), der, err);
	json_free(&answer);
	return rc;
}

static int
hand_in(struct cli *cli, const char *request, const struct buf *der)
{
	struct json_value *answer = NULL;
	struct secret *blob = NULL;
	struct err err = ERR_INIT;
	struct asking asking;
	int status = EX_OK;
	enum rc rc = secret_copy(der->data, der->len, &blob, &err);

	if (rc == RC_OK) {
		asking_begin(&asking, "officer.approve");
		json_str(&asking.json, "request", request);
		rc = asking_send(&asking, cli->conf, blob, &answer, &err);
	}
	if (rc != RC_OK)
		status = cmd_fail(&err);
	else if (cli->json)
		status = answer_print_json(answer, EX_OK);
	else
		printf("%s  approved by %s: %" PRId64 " of %" PRId64 "\n", request,
			json_get_text(answer, "name"), json_get_int(answer, "given", 0),
			json_get_int(answer, "threshold", 0));
	secret_free(&blob);
	json_free(&answer);
	return status;
}

static int
run_approve(struct cli *cli, int argc, char **argv)
{
	struct signing s = {NULL};
	struct cmd_opt opts[SIGN_OPTS + 1] = {[SIGN_OPTS] = {"signature", OPT_VALUE, &s.signature}};
	struct buf der = BUF_INIT(OFFICER_FILE_MAX);
	struct err err = ERR_INIT;
	int status;

	sign_opts(&s, opts);
	if (!cmd_parse(&officer_approve, cli, opts, SIGN_OPTS + 1, &argc, argv, &status))
		return status;
	if (argc != 2 || !s.key == !s.signature)
		return cmd_usage(
			&officer_approve, "needs one request, and --key FILE or --signature FILE");
	if (!cmd_conf(&officer_approve, cli, &status))
		return status;
	if (get_signature(cli, &s, argv[1], &der, &err) != RC_OK)
		status = err.code == ERR_FILE ? cmd_fail_input(&err) : cmd_fail(&err);
	else
		status = hand_in(cli, argv[1], &der);
	buf_fini(&der);
	return status;
}
