/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit_open.c - sealgate audit open: a message for an auditor, if officers approve
 *
 * The vault gets the RecipientInfos and answers with the content key; the message stays here. What
 * was decrypted is kept in an encrypted spool until all of it is known to be whole, and written
 * to --out or standard output only then.
 *
 * Signatures around the envelope are gone into, as far as they carry it. What is inside and
 * encrypted again is another message to ask for: its RecipientInfos are known only now.
 */
#include "cli/officer.h"

#include "base/file.h"
#include "crypto/cms_envelope.h"
#include "crypto/cms_verify.h"
#include "keystore/admin.h"
#include "message/classify.h"
#include "message/msg.h"
#include "milter/check_signature.h"
#include "milter/entity_split.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define MAX_LAYERS   16
#define SPOOL_MEMORY (1u << 20)

static int run(struct cli *cli, int argc, char **argv);

const struct command audit_open = {
	.name = "audit open",
	.usage = "--reason TEXT [--for ADDR] [--hours N] MESSAGE | --request REQUEST [--out FILE] "
		 "MESSAGE",
	.help = "open a message for an auditor, if officers approve",
	.details =
		"  --for ADDR         with a key of this person; default: the first that fits\n" OFFICER_ACT_DETAILS
		"  --out FILE         where the opened message goes; default: standard output\n"
		"MESSAGE is the mail as it was stored, or its encrypted part alone (smime.p7m).\n",
	.run = run,
};

struct opening {
	char sha256[2 * SHA256_SIZE + 1]; /* of the file */
	struct msg *msg;
	struct entity *whole;    /* the message's own structure */
	const struct entity *at; /* the entity in hand … */
	struct spool *spool;     /* … and where it lies */
	struct inner inner;      /* what the last signature contained */
	struct cms_enveloped *enveloped;
};

static void
opening_fini(struct opening *o)
{
	cms_enveloped_free(&o->enveloped);
	inner_fini(&o->inner);
	entity_free(&o->whole);
	msg_free(&o->msg);
}

static struct spool_conf
spool_here(void)
{
	const char *dir = getenv("TMPDIR");

	return (struct spool_conf){.dir = dir && *dir ? dir : "/tmp", .memory = SPOOL_MEMORY};
}

/* SHA-256 over the file as it is; *bare: it is a CMS object and no mail. */
static enum rc
hash_file(int fd, char out[2 * SHA256_SIZE + 1], bool *bare, struct err *err)
{
	unsigned char data[65536];
	const unsigned char *value;
	struct hasher *hasher;
	struct sink sink;
	ssize_t n;
	bool first = true;
	enum rc rc = hasher_new(1u << DIGEST_SHA256, &hasher, err);

	*bare = false;
	if (rc != RC_OK)
		return rc;
	sink = hasher_sink(hasher);
	while (rc == RC_OK && (n = read(fd, data, sizeof(data))) != 0) {
		if (n < 0 && errno != EINTR)
			rc = err_set(err, ERR_FILE, "reading the message: %s", strerror(errno));
		if (n <= 0)
			continue;
		*bare = first ? data[0] == 0x30 : *bare;
		first = false;
		rc = sink_feed(&sink, data, (size_t)n, err);
	}
	if (rc == RC_OK)
		rc = sink_finish(&sink, err);
	value = rc == RC_OK ? hasher_value(hasher, DIGEST_SHA256) : NULL;
	for (int i = 0; value && i < SHA256_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", value[i]);
	hasher_free(&hasher);
	if (rc == RC_OK && lseek(fd, 0, SEEK_SET) != 0)
		rc = err_set(err, ERR_FILE, "the message has to be a file");
	return rc;
}

/* A CMS object by itself, as the body of a mail that says so. */
static enum rc
read_bare(int fd, const struct spool_conf *conf, struct msg **out, struct err *err)
{
	static const char type[] = " application/pkcs7-mime", coding[] = " binary";
	unsigned char data[65536];
	ssize_t n;
	enum rc rc = msg_new(conf, out, err);

	if (rc == RC_OK)
		rc = hdrs_add(&(*out)->hdrs, "Content-Type", 12, type, strlen(type), err);
	if (rc == RC_OK)
		rc = hdrs_add(&(*out)->hdrs, "Content-Transfer-Encoding", 25, coding,
			strlen(coding), err);
	while (rc == RC_OK && (n = read(fd, data, sizeof(data))) != 0) {
		if (n < 0 && errno != EINTR)
			rc = err_set(err, ERR_FILE, "reading the message: %s", strerror(errno));
		else if (n > 0)
			rc = spool_append((*out)->body, data, (size_t)n, err);
	}
	return rc;
}

static enum rc
read_message(struct opening *o, const char *path, struct err *err)
{
	struct spool_conf conf = spool_here();
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool bare;
	enum rc rc;

	if (fd < 0)
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	rc = hash_file(fd, o->sha256, &bare, err);
	if (rc == RC_OK)
		rc = bare ? read_bare(fd, &conf, &o->msg, err) : msg_read(fd, &conf, &o->msg, err);
	close(fd);
	if (rc == RC_OK)
		rc = mime_parse(&o->msg->hdrs, o->msg->body, &o->whole, err);
	if (rc == RC_OK) {
		o->at = o->whole;
		o->spool = o->msg->body;
	}
	return rc;
}

/* What an opaque signature contains becomes the entity in hand. */
static enum rc
enter_signed(struct opening *o, struct err *err)
{
	struct spool_conf conf = spool_here();
	struct cms_signed_reader *reader = NULL;
	struct entity_split *split = NULL;
	struct inner inner;
	struct sink sink, stage;
	enum rc rc = entity_split_new(&conf, 0, &split, err);

	if (rc == RC_OK) {
		sink = entity_split_sink(split);
		rc = cms_signed_reader_new(&sink, &reader, err);
	}
	if (rc == RC_OK) {
		stage = cms_signed_reader_sink(reader);
		rc = entity_decode(o->at, o->spool, &stage, err);
	}
	if (rc == RC_OK)
		rc = sink_finish(&stage, err);
	if (rc == RC_OK)
		rc = entity_split_take(split, &inner, err);
	if (rc == RC_OK) {
		inner_fini(&o->inner);
		o->inner = inner;
		o->at = o->inner.root;
		o->spool = o->inner.body;
	}
	cms_signed_reader_free(&reader);
	entity_split_free(&split);
	return rc;
}

/* Goes in until the envelope is in hand. */
static enum rc
find_envelope(struct opening *o, struct err *err)
{
	enum cms_kind kind = CMS_OTHER;
	enum rc rc = RC_OK;

	for (int depth = 0; rc == RC_OK && depth < MAX_LAYERS; depth++) {
		if (entity_wrapping(o->at) == WRAP_MULTIPART_SIGNED && o->at->n == 2) {
			o->at = o->at->parts[0];
			continue;
		}
		if (entity_wrapping(o->at) != WRAP_PKCS7_MIME)
			break;
		rc = read_cms_header(o->at, o->spool, &kind, &o->enveloped, NULL, err);
		if (rc != RC_OK || o->enveloped)
			return rc;
		if (kind != CMS_SIGNED)
			break;
		rc = enter_signed(o, err);
	}
	return rc != RC_OK ? rc : err_set(err, ERR_CMS_UNSUPPORTED, "the message is not encrypted");
}

/* --- what comes out --- */

static enum rc
decrypt(struct opening *o, struct secret *cek, struct spool **out, struct err *err)
{
	struct spool_conf conf = spool_here();
	struct cms_decryptor *decryptor = NULL;
	struct sink sink, stage;
	enum rc rc = spool_new(&conf, out, err);

	if (rc == RC_OK) {
		sink = spool_sink(*out);
		rc = cms_decryptor_new(cek, &sink, &decryptor, err);
	}
	if (rc == RC_OK) {
		cms_decryptor_expect(decryptor, o->enveloped);
		stage = cms_decryptor_sink(decryptor);
		rc = entity_decode(o->at, o->spool, &stage, err);
		if (rc == RC_OK)
			rc = sink_finish(&stage, err);
	}
	cms_decryptor_free(&decryptor);
	if (rc != RC_OK)
		spool_free(out);
	return rc;
}

struct file {
	int fd;
};

static enum rc
feed_file(void *ctx, const void *data, size_t len, struct err *err)
{
	const struct file *file = ctx;

	return file_write_all(file->fd, data, len, err);
}

/* The envelope's own fields are replaced by those of what was inside. */
static bool
is_content_field(const struct hdr *hdr)
{
	return strncasecmp(hdr->name, "Content-", 8) == 0 ||
	       strcasecmp(hdr->name, "MIME-Version") == 0;
}

/* The message's fields and what was inside; what is no entity stands alone. */
static enum rc
write_opened(const struct opening *o, struct spool *plain, int fd, bool *again, struct err *err)
{
	struct file file = {fd};
	struct sink sink = {.feed = feed_file, .ctx = &file};
	struct entity *root = NULL;
	struct hdrs inside;
	enum rc rc;

	hdrs_init(&inside);
	*again = false;
	rc = mime_parse_entity(plain, 0, spool_size(plain), &inside, &root, err);
	if (rc == RC_PERM)
		rc = RC_OK;
	if (rc == RC_OK && root)
		*again = entity_wrapping(root) == WRAP_PKCS7_MIME;
	if (rc == RC_OK && hdrs_find(&inside, "Content-Type", 0)) {
		for (size_t i = 0; rc == RC_OK && i < o->msg->hdrs.n; i++)
			if (!is_content_field(&o->msg->hdrs.v[i]))
				rc = hdr_write(&o->msg->hdrs.v[i], &sink, err);
		if (rc == RC_OK && !hdrs_find(&inside, "MIME-Version", 0))
			rc = sink_feed_str(&sink, "MIME-Version: 1.0\r\n", err);
	}
	if (rc == RC_OK)
		rc = spool_send(plain, 0, spool_size(plain), &sink, err);
	entity_free(&root);
	hdrs_fini(&inside);
	return rc;
}

static enum rc
publish(const struct opening *o, struct spool *plain, const char *path, struct err *err)
{
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)
		      : STDOUT_FILENO;
	bool again;
	enum rc rc;

	if (fd < 0)
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	rc = write_opened(o, plain, fd, &again, err);
	if (path && (fsync(fd) || close(fd)) && rc == RC_OK)
		rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	if (path && rc != RC_OK)
		unlink(path); /* nothing half done */
	if (rc == RC_OK && again)
		fprintf(stderr, "sealgate: what was inside is S/MIME again: if it is encrypted, it "
				"is to be asked for in turn\n");
	return rc;
}

/* --- the command --- */

static int
ask_opening(struct cli *cli, const struct opening *o, const struct officer_act *act,
	const char *addr, struct secret *rinfos)
{
	struct json_value *answer = NULL;
	struct asking asking;
	bool made;
	int status;

	asking_begin(&asking, "audit.open");
	json_str(&asking.json, "message", o->sha256);
	json_str(&asking.json, "cipher", content_cipher_name(o->enveloped->cipher));
	json_str(&asking.json, "addr", addr);
	if (!officer_act_put(&audit_open, act, &asking, &status)) {
		buf_fini(&asking.text);
		return status;
	}
	status = officer_ask(cli, &asking, rinfos, &answer, &made);
	json_free(&answer);
	return status;
}

/* Is the request about this file? The vault cannot know. */
static bool
is_about(struct cli *cli, const struct opening *o, const char *request, int *status)
{
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;
	char line[128];
	bool same;

	asking_begin(&asking, "officer.show");
	json_str(&asking.json, "request", request);
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK) {
		*status = cmd_fail(&err);
		return false;
	}
	snprintf(line, sizeof(line), "\r\nmessage: %s\r\n", o->sha256);
	same = strstr(json_get_text(answer, "text"), line) != NULL;
	json_free(&answer);
	if (!same) {
		fprintf(stderr, "sealgate: request %s is about another message\n", request);
		*status = EX_DATAERR;
	}
	return same;
}

static int
run_opening(struct cli *cli, struct opening *o, const char *request, const char *out,
	struct secret *rinfos)
{
	struct json_value *answer = NULL;
	struct secret *cek = NULL;
	struct spool *plain = NULL;
	struct err err = ERR_INIT;
	int status;

	if (out && access(out, F_OK) == 0) {
		fprintf(stderr, "sealgate: %s: is there already\n", out);
		return EX_DATAERR;
	}
	if (!is_about(cli, o, request, &status) ||
		!officer_run_request(cli, &(struct officer_run){request, "audit.open", rinfos},
			&answer, &cek, &status))
		return status;
	if (!cek)
		status = cmd_fail((err_set(&err, ERR_VAULT_PROTOCOL, "no content key"), &err));
	else if (decrypt(o, cek, &plain, &err) != RC_OK || publish(o, plain, out, &err) != RC_OK)
		status = cmd_fail(&err);
	else if (out && cli->json)
		status = answer_print_json(answer, EX_OK);
	secret_free(&cek);
	spool_free(&plain);
	json_free(&answer);
	return status;
}

static int
run_parsed(struct cli *cli, const char *path, const struct officer_act *act, const char *addr,
	const char *out)
{
	struct opening o = {.msg = NULL};
	struct secret *rinfos = NULL;
	struct err err = ERR_INIT;
	int status;
	enum rc rc = read_message(&o, path, &err);

	if (rc != RC_OK) {
		opening_fini(&o);
		return cmd_fail_input(&err);
	}
	rc = find_envelope(&o, &err);
	if (rc == RC_OK && o.enveloped->cipher == CIPHER_NONE)
		rc = err_set(&err, ERR_CMS_UNSUPPORTED, "a cipher that is not supported");
	if (rc == RC_OK)
		rc = admin_pack_rinfos(o.enveloped->rinfos, o.enveloped->n, &rinfos, &err);
	if (rc != RC_OK)
		status = cmd_fail(&err);
	else
		status = act->request ? run_opening(cli, &o, act->request, out, rinfos)
				      : ask_opening(cli, &o, act, addr, rinfos);
	secret_free(&rinfos);
	opening_fini(&o);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct officer_act act = {NULL};
	const char *addr = NULL, *out = NULL;
	struct cmd_opt opts[OFFICER_ACT_OPTS + 2] = {
		[OFFICER_ACT_OPTS] = {"for", OPT_VALUE, &addr}, {"out", OPT_VALUE, &out}};
	int status;

	officer_act_opts(&act, opts);
	if (!cmd_parse(&audit_open, cli, opts, OFFICER_ACT_OPTS + 2, &argc, argv, &status))
		return status;
	if (argc != 2)
		return cmd_usage(&audit_open, argc < 2 ? "which message?" : "too many arguments");
	if (!act.reason == !act.request)
		return cmd_usage(&audit_open, "needs --reason TEXT, or --request REQUEST");
	if (!act.request && out)
		return cmd_usage(
			&audit_open, "first the officers have to approve; --out is for then");
	if (!cmd_conf(&audit_open, cli, &status))
		return status;
	return run_parsed(cli, argv[1], &act, addr, out);
}
