/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/admin.h"

#include <errno.h>
#include <ftw.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "keystore/admin_cmd.h"
#include "keystore/link.h"

#define CALL_TIMEOUT_MS 120000 /* making an RSA-4096 key on a busy machine */

struct admin_session {
	struct conf *conf;
	struct link *link;   /* to the vault that runs … */
	struct vault *vault; /* … or the vault itself, when none runs */
};

/* Root works on the files as their owner, so that what is made belongs to the vault's user. */
static enum rc
become_owner(const char *store, struct err *err)
{
	struct stat st;

	if (geteuid() != 0 || stat(store, &st) || st.st_uid == 0)
		return RC_OK;
	if (setegid(st.st_gid) || seteuid(st.st_uid))
		return err_set(err, ERR_SYSTEM, "becoming uid %u: %s", (unsigned)st.st_uid,
			strerror(errno));
	return RC_OK;
}

static enum rc
become_again(uid_t uid, gid_t gid, enum rc rc, struct err *err)
{
	if (geteuid() != uid && (seteuid(uid) || setegid(gid)))
		return err_set(err, ERR_SYSTEM, "becoming uid %u again: %s", (unsigned)uid,
			strerror(errno));
	return rc;
}

/* Connects; RC_NONE: no vault runs. */
static enum rc
open_link(struct admin_session *session, struct err *err)
{
	const char *path = conf_str(conf_section(session->conf, "vault"), "admin_socket");

	return link_open(path, "admin", "admin", CALL_TIMEOUT_MS, &session->link, err);
}

/* The vault of the files themselves. */
static enum rc
open_files(struct admin_session *session, struct err *err)
{
	const char *store = conf_str(conf_section(session->conf, "vault"), "store");
	uid_t uid = geteuid();
	gid_t gid = getegid();
	struct secret *master = NULL;
	enum rc rc = vault_read_master(session->conf, &master, err);

	if (!rc)
		rc = vault_read_pins(session->conf, true, err);
	if (!rc)
		rc = become_owner(store, err);
	if (!rc)
		rc = vault_start(session->conf, master, &session->vault, err);
	secret_free(&master);
	return become_again(uid, gid, rc, err);
}

static enum rc
connect_any(struct admin_session *session, struct err *err)
{
	enum rc rc = open_link(session, err);
	char why[sizeof(err->detail)];

	if (rc != RC_NONE)
		return rc;
	err_clear(err);
	rc = open_files(session, err);
	if (rc && err->code == ERR_MASTER_KEY) {
		snprintf(why, sizeof(why), "%s", err->detail);
		rc = err_set(err, ERR_MASTER_KEY,
			"sealgate-vault does not run, and its store does not open: "
			"%s",
			why);
	}
	return rc;
}

enum rc
admin_open(struct conf *conf, struct admin_session **out, struct err *err)
{
	struct admin_session *session = calloc(1, sizeof(*session));
	enum rc rc;

	*out = NULL;
	if (!session)
		return err_set(err, ERR_MEMORY, "admin");
	session->conf = conf_ref(conf);
	rc = connect_any(session, err);
	if (rc)
		admin_close(&session);
	*out = session;
	return rc;
}

void
admin_close(struct admin_session **session)
{
	struct admin_session *s = *session;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	struct err ignored;

	*session = NULL;
	if (!s)
		return;
	link_close(&s->link);
	if (s->vault && !become_owner(conf_str(conf_section(s->conf, "vault"), "store"), &ignored))
		vault_stop(&s->vault);
	(void)become_again(uid, gid, RC_OK, &ignored);
	conf_unref(&s->conf);
	free(s);
}

/* One request over admin.sock. */
static enum rc
ask_link(struct admin_session *session, const char *request, struct secret *blob,
	struct buf *answer, struct secret **result, struct err *err)
{
	struct buf frame = {.max = PROTO_MAX_ADMIN, .wipe = true};
	const struct proto_field *beside;
	struct proto_msg msg = {0};
	struct proto_writer w;
	bool answered, broken = false;
	enum rc rc;

	proto_begin(&w, &frame, PROTO_ADMIN, 0);
	proto_put_text(&w, TAG_JSON, request);
	if (blob)
		proto_put(&w, TAG_BLOB, secret_data(blob), secret_len(blob));
	rc = proto_end(&w, err);
	if (!rc) {
		rc = link_ask(session->link, &frame, CALL_TIMEOUT_MS, &msg, &answered, err);
		broken = rc != RC_OK;
	}
	if (!rc && msg.type == PROTO_ERROR)
		rc = proto_error(&msg, err);
	else if (!rc && msg.type != PROTO_ANSWER)
		rc = err_set(
			err, ERR_VAULT_PROTOCOL, "no answer but \"%s\"", proto_type_name(msg.type));
	else if (!rc)
		rc = buf_append_str(answer, proto_text(&msg, TAG_JSON), err);
	beside = rc == RC_OK ? proto_find(&msg, TAG_BLOB) : NULL;
	if (beside)
		rc = secret_copy(beside->data, beside->len, result, err);
	proto_msg_fini(&msg);
	if (broken)
		link_close(&session->link);
	buf_fini(&frame);
	return rc == RC_NONE ? err_set(err, ERR_VAULT_PROTOCOL, "an answer without outcome") : rc;
}

/* The same commands on the files themselves. */
static enum rc
ask_files(struct admin_session *session, const char *request, struct secret *blob,
	struct buf *answer, struct secret **result, struct err *err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	const struct admin_asked asked = {.rights = RIGHT_KEYS | RIGHT_AUDIT | RIGHT_PROCESS,
		.uid = uid,
		.pid = getpid(),
		.request = request,
		.len = strlen(request),
		.blob = blob};
	enum rc rc = become_owner(conf_str(conf_section(session->conf, "vault"), "store"), err);

	if (!rc)
		rc = admin_run(session->vault, &asked, answer, result, err);
	return become_again(uid, gid, rc, err);
}

enum rc
admin_ask(struct admin_session *session, const char *request, struct secret *blob,
	struct json_value **answer, struct secret **result, struct err *err)
{
	struct buf text = BUF_INIT(PROTO_MAX_ADMIN);
	struct secret *beside = NULL;
	enum rc rc = RC_OK;

	*answer = NULL;
	/* A vault that was restarted is asked anew. */
	if (session->link && link_is_dead(session->link))
		link_close(&session->link);
	if (!session->link && !session->vault)
		rc = connect_any(session, err);
	if (!rc)
		rc = session->vault ? ask_files(session, request, blob, &text, &beside, err)
				    : ask_link(session, request, blob, &text, &beside, err);
	if (!rc)
		rc = json_parse(text.data, text.len, answer, err);
	if (result) {
		*result = rc ? NULL : beside; /* the caller's from here */
		beside = rc ? beside : NULL;
	}
	secret_free(&beside);
	buf_fini(&text);
	return rc;
}

enum rc
admin_call_result(struct conf *conf, const char *request, struct secret *blob,
	struct json_value **answer, struct secret **result, struct err *err)
{
	struct admin_session *session;
	enum rc rc = admin_open(conf, &session, err);

	*answer = NULL;
	*result = NULL;
	if (!rc)
		rc = admin_ask(session, request, blob, answer, result, err);
	admin_close(&session);
	return rc;
}

enum rc
admin_call(struct conf *conf, const char *request, struct secret *blob, struct json_value **answer,
	struct err *err)
{
	struct secret *result;
	enum rc rc = admin_call_result(conf, request, blob, answer, &result, err);

	secret_free(&result);
	return rc;
}

/* --- init --- */

/* The folder that PATH lies in. */
static enum rc
make_parent(const char *path, mode_t mode, struct err *err)
{
	char *copy = strdup(path);
	enum rc rc =
		copy ? file_make_dir(dirname(copy), mode, err) : err_set(err, ERR_MEMORY, "init");

	free(copy);
	return rc;
}

static uid_t give_uid;
static gid_t give_gid;

static int
give(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	(void)st;
	(void)what;
	(void)ftw;
	return lchown(path, give_uid, give_gid);
}

/* What root made for the vault's user becomes that user's. */
enum rc
admin_give_away(struct conf *conf, struct err *err)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
	const struct conf_group *group = conf_section(conf, "vault");
	const char *store = conf_str(group, "store"), *spec = conf_str(group, "master_key");
	const struct passwd *pw = getpwnam(conf_str(group, "user"));
	char *dir = vault_conf_dir(conf);
	struct buf path = BUF_INIT(4096);
	enum rc rc = dir ? RC_OK : err_set(err, ERR_MEMORY, "init");

	if (geteuid() != 0 || !pw || pw->pw_uid == 0)
		goto out;
	give_uid = pw->pw_uid;
	give_gid = pw->pw_gid;
	for (size_t i = 0; !rc && i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		buf_clear(&path);
		rc = buf_appendf(&path, err, "%s%s", store, suffixes[i]);
		if (!rc && lchown(path.data, give_uid, give_gid) && errno != ENOENT)
			rc = err_set(err, ERR_FILE, "%s: %s", path.data, strerror(errno));
	}
	if (!rc && nftw(conf_str(conf_section(conf, "ledger"), "dir"), give, 8, FTW_PHYS))
		rc = err_set(err, ERR_FILE, "ledger: %s", strerror(errno));
	if (!rc && strncmp(spec, "file:", 5) == 0) {
		char *file = spec[5] == '/' ? strdup(spec + 5) : file_join(dir, spec + 5);

		if (!file || lchown(file, give_uid, give_gid))
			rc = err_set(err, ERR_FILE, "master key: %s", strerror(errno));
		free(file);
	}
out:
	free(dir);
	buf_fini(&path);
	return rc;
}

enum rc
admin_init(struct conf *conf, const struct admin_init *init, struct buf *ca_pem, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "vault");
	struct vault *vault = NULL;
	struct settings *settings = NULL;
	struct admin a = {.uid = geteuid(), .pid = getpid()};
	enum rc rc = make_parent(conf_str(group, "store"), 0750, err);

	if (!rc)
		rc = make_parent(conf_str(group, "socket"), 0755, err);
	if (!rc)
		rc = make_parent(conf_str(group, "admin_socket"), 0755, err);
	if (!rc)
		rc = vault_create(conf, &vault, err);
	if (!rc) {
		settings = vault_settings(vault);
		a.vault = vault;
		a.settings = settings;
		rc = admin_make_ca(&a, init->organisation ? init->organisation : init->domain,
			init->ca_type, ca_pem, err);
	}
	settings_unref(&settings);
	vault_stop(&vault);
	return rc ? rc : admin_give_away(conf, err);
}
