/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vault_world.h - a key store with its ledger in a private folder, and the vault's server in this
 * process
 */
#ifndef TESTS_VAULT_WORLD_H
#define TESTS_VAULT_WORLD_H

#include "tests/unit/unit.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "keystore/admin.h"
#include "keystore/server.h"

#include <ftw.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

struct world {
	char dir[64];
	struct conf *conf;
	struct vault *vault;
	struct server *server;
};

/* Fails the test with what ERR says. */
#define MUST(call)                                                                              \
	do {                                                                                    \
		enum rc rc_ = (call);                                                           \
		if (rc_ != RC_OK)                                                               \
			fail_msg("%s: %d, %s: %s", #call, rc_, err_name(err.code), err.detail); \
	} while (0)
/* The call must fail with this error. */
#define REFUSED(call, wanted)                                                                \
	do {                                                                                 \
		enum rc rc_;                                                                 \
		err_clear(&err);                                                             \
		rc_ = (call);                                                                \
		if (rc_ == RC_OK || err.code != (wanted))                                    \
			fail_msg("%s: %d, %s (%s), want %s", #call, rc_, err_name(err.code), \
				err.detail, err_name(wanted));                               \
		err_clear(&err);                                                             \
	} while (0)

/* EXTRA: further lines of configuration, replacing the world's services when SERVICES is given. */
static struct conf *
world_conf(const struct world *w, const char *extra)
{
	const struct passwd *pw = getpwuid(getuid());
	struct err err = ERR_INIT;
	struct buf text = BUF_INIT(65536);
	struct conf *conf;
	char name[128];

	MUST(buf_appendf(&text, &err,
		"organisation = { name = \"Example\"; domains = [\"example.org\"]; };\n"
		"milter = { user = \"%u\"; };\n"
		"vault = { user = \"%s\"; };\n"
		"ledger = { checkpoint_interval = 3600; };\n"
		"services = (\n"
		" { name = \"all\"; role = \"all\"; socket = \"unix:run/all.sock\"; },\n"
		" { name = \"seal\"; role = \"seal\"; socket = \"unix:run/seal.sock\"; },\n"
		" { name = \"open\"; role = \"open\"; socket = \"unix:run/open.sock\"; },\n"
		" { name = \"gate\"; role = \"gate\"; socket = \"unix:run/gate.sock\"; },\n"
		" { name = \"other\"; role = \"all\"; socket = \"unix:run/other.sock\"; user = \"4242\"; } );\n"
		"%s%s",
		(unsigned)getuid(), pw ? pw->pw_name : "root",
		/* An RSA key takes half a second; the flows have them. */
		extra && strstr(extra, "ca = ") ? "" : "ca = { type = \"p256\"; };\n",
		extra ? extra : ""));
	snprintf(name, sizeof(name), "%s/sealgate.conf", w->dir);
	MUST(file_write(name, text.data, text.len, 0600, &err));
	MUST(conf_load(name, &conf, &err));
	buf_fini(&text);
	return conf;
}

static void
world_init(struct world *w, const char *extra)
{
	struct admin_init init = {"Example", "example.org", "p256"};
	struct buf pem = BUF_INIT(65536);
	struct err err = ERR_INIT;

	*w = (struct world){0};
	log_open("test", true);
	log_set_level(LOGL_ERROR);
	strcpy(w->dir, "/tmp/sg-vault-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->conf = world_conf(w, extra);
	MUST(admin_init(w->conf, &init, &pem, &err));
	assert_non_null(strstr(buf_text(&pem), "BEGIN CERTIFICATE"));
	buf_fini(&pem);
}

static int
world_remove(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	(void)st;
	(void)what;
	(void)ftw;
	return remove(path);
}

static __attribute__((unused)) void
world_start(struct world *w)
{
	struct secret *master = NULL;
	struct err err = ERR_INIT;

	MUST(vault_read_master(w->conf, &master, &err));
	MUST(vault_start(w->conf, master, &w->vault, &err));
	MUST(server_listen(w->conf, &w->server, &err));
	MUST(server_start(w->server, w->vault, &err));
	secret_free(&master);
}

static void
world_stop(struct world *w)
{
	server_free(&w->server);
	vault_stop(&w->vault);
}

static void
world_fini(struct world *w)
{
	world_stop(w);
	conf_unref(&w->conf);
	nftw(w->dir, world_remove, 16, FTW_DEPTH | FTW_PHYS);
	clock_set(-1);
}

/* An admin command; the answer is the caller's. */
static __attribute__((unused)) struct json_value *
world_admin(struct world *w, const char *request)
{
	struct json_value *answer = NULL;
	struct err err = ERR_INIT;
	enum rc rc = admin_call(w->conf, request, NULL, &answer, &err);

	if (rc)
		fail_msg("%s: %d, %s: %s", request, rc, err_name(err.code), err.detail);
	return answer;
}

/* The same for its effect; the id of the first key in the answer goes to KEY, when that is not
 * NULL. */
static __attribute__((unused)) void
world_do(struct world *w, const char *request, char *key)
{
	struct json_value *answer = world_admin(w, request);

	if (key)
		strcpy(key, json_get_text(json_at(json_find(answer, "keys"), 0), "key"));
	json_free(&answer);
}

#endif
