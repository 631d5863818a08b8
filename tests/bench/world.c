/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/world.h"

#include <ftw.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "keystore/admin.h"
#include "keystore/client.h"

static char dir[] = "/tmp/sg-bench-XXXXXX";
static struct conf *conf;

void
world_die(const char *what, const struct err *err)
{
	fprintf(stderr, "bench: %s: %s\n", what, err ? err->detail : "");
	exit(1);
}

static int
remove_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	(void)st;
	(void)what;
	(void)ftw;
	return remove(path);
}

static void
clean_up(void)
{
	conf_unref(&conf);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void
world_make(void)
{
	const struct passwd *pw = getpwuid(getuid());
	struct admin_init init = {"Example", "example.org", "p256"};
	struct buf text = BUF_INIT(65536), pem = BUF_INIT(65536);
	struct err err = ERR_INIT;
	char name[128];

	if (!mkdtemp(dir))
		world_die("mkdtemp", NULL);
	atexit(clean_up);
	MUST(buf_appendf(&text, &err,
		"organisation = { name = \"Example\"; domains = [\"example.org\"]; };\n"
		"milter = { user = \"%u\"; };\nvault = { user = \"%s\"; };\nlog = { level = \"warn\"; };\n"
		"services = ( { name = \"all\"; role = \"all\"; socket = \"unix:run/all.sock\"; } );\n",
		(unsigned)getuid(), pw ? pw->pw_name : "root"));
	snprintf(name, sizeof(name), "%s/sealgate.conf", dir);
	MUST(file_write(name, text.data, text.len, 0600, &err));
	MUST(conf_load(name, &conf, &err));
	MUST(admin_init(conf, &init, &pem, &err));
	buf_fini(&text);
	buf_fini(&pem);
}

struct conf *
world_conf(void)
{
	return conf;
}

int64_t
world_start(const char *program, pid_t *pid)
{
	struct vault_client *client;
	struct err err = ERR_INIT;
	int64_t began = clock_monotonic_ms();

	*pid = fork();
	if (*pid == 0) {
		execl(program, "sealgate-vault", "-c", conf_path(conf), "-f", (char *)NULL);
		_exit(127);
	}
	MUST(vault_client_new(conf, "all", &client, &err));
	while (vault_ping(client, &err) != RC_OK) {
		if (clock_monotonic_ms() - began > 20000 || waitpid(*pid, NULL, WNOHANG) == *pid)
			world_die("the vault does not start", &err);
		usleep(2000);
	}
	vault_client_free(&client);
	return clock_monotonic_ms() - began;
}

void
world_stop(pid_t pid)
{
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}
