/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch.c - sealgate fetch: what the fetcher keeps fresh, and what became of it
 */
#include "cli/cmd.h"

#include "base/clock.h"
#include "directory/want.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MS  10000
#define PACKET_MAX 65536
#define POLL_MS    200

static int run(struct cli *cli, int argc, char **argv);
static int status(struct cli *cli, int argc, char **argv);
static int list(struct cli *cli, int argc, char **argv);
static int now(struct cli *cli, int argc, char **argv);
static int add(struct cli *cli, int argc, char **argv);

const struct command cmd_fetch = {
	.name = "fetch",
	.usage = "status | list | now [URL] | add crl|ca URL",
	.help = "revocation lists and CA certificates that are fetched",
	.details = "Asks the running fetcher, see sealgate-fetcher(8).\n",
	.run = run,
};

static const struct command cmd_status = {
	.name = "fetch status",
	.usage = "[--json]",
	.help = "how many there are, and how it goes",
	.run = status,
};
static const struct command cmd_list = {
	.name = "fetch list",
	.usage = "[--failing] [--json]",
	.help = "each URL: when it was fetched and will be, what went wrong",
	.details = "  --failing   only those whose last fetch failed\n",
	.run = list,
};
static const struct command cmd_now = {
	.name = "fetch now",
	.usage = "[URL] [--wait SECONDS] [--json]",
	.help = "fetch one or all at once",
	.details =
		"  --wait SECONDS   until it is done; 65 when something failed, 75 when time is up\n",
	.run = now,
};
static const struct command cmd_add = {
	.name = "fetch add",
	.usage = "crl|ca URL",
	.help = "have a URL fetched, as if the milter had missed it",
	.run = add,
};

/* --- talking to the fetcher --- */

struct talk {
	int fd;
	char packet[PACKET_MAX];
};

static enum rc
down(struct err *err, const char *path)
{
	return err_set(err, ERR_FETCHER_DOWN, "%s: %s", path, strerror(errno));
}

static enum rc
talk_open(struct talk *talk, struct cli *cli, struct err *err)
{
	const char *path = conf_str(conf_section(cli->conf, "fetch"), "socket");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	talk->fd = -1;
	if (!path || !*path)
		return err_set(err, ERR_CONFIG, "fetch.socket is not set");
	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(err, ERR_CONFIG, "%s: too long for a socket", path);
	strcpy(addr.sun_path, path);
	talk->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (talk->fd < 0 || connect(talk->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		return down(err, path);
	return RC_OK;
}

static void
talk_close(struct talk *talk)
{
	if (talk->fd >= 0)
		close(talk->fd);
}

static enum rc
talk_say(struct talk *talk, const struct want *want, struct err *err)
{
	struct buf packet = BUF_INIT(WANT_MAX);
	enum rc rc = want_format(want, &packet, err);

	if (rc == RC_OK &&
		send(talk->fd, packet.data, packet.len, MSG_NOSIGNAL) != (ssize_t)packet.len)
		rc = down(err, "the fetcher");
	buf_fini(&packet);
	return rc;
}

/* The next object; to be freed. */
static enum rc
talk_hear(struct talk *talk, struct json_value **out, struct err *err)
{
	struct pollfd fd = {.fd = talk->fd, .events = POLLIN};
	ssize_t n;

	*out = NULL;
	if (poll(&fd, 1, ANSWER_MS) <= 0)
		return err_set(err, ERR_FETCHER_DOWN, "the fetcher does not answer");
	n = recv(talk->fd, talk->packet, sizeof(talk->packet), 0);
	if (n <= 0)
		return err_set(err, ERR_FETCHER_DOWN, "the fetcher closed the connection");
	return json_parse(talk->packet, (size_t)n, out, err);
}

/* Asks one question and hears one answer. */
static enum rc
ask(struct cli *cli, const struct want *want, struct json_value **out, struct err *err)
{
	struct talk talk;
	enum rc rc = talk_open(&talk, cli, err);

	if (rc == RC_OK)
		rc = talk_say(&talk, want, err);
	if (rc == RC_OK)
		rc = talk_hear(&talk, out, err);
	talk_close(&talk);
	return rc;
}

/* Calls EACH with every item of the list until it returns false. */
static enum rc
for_each(struct cli *cli, bool (*each)(void *ctx, const struct json_value *item), void *ctx,
	struct err *err)
{
	const struct want want = {.verb = WANT_LIST};
	struct talk talk;
	bool more = true;
	enum rc rc = talk_open(&talk, cli, err);

	if (rc == RC_OK)
		rc = talk_say(&talk, &want, err);
	while (rc == RC_OK && more) {
		struct json_value *item;

		rc = talk_hear(&talk, &item, err);
		more = rc == RC_OK && json_count(item) > 0 && each(ctx, item);
		json_free(&item);
	}
	talk_close(&talk);
	return rc;
}

/* --- the commands --- */

/* Text from the fetcher may come from anywhere: nothing that a terminal would obey. */
static const char *
clean(const char *text, char out[400])
{
	size_t n = 0;

	for (; text && *text && n < 399; text++)
		out[n++] = *text >= ' ' && *text <= '~' ? *text : '?';
	out[n] = '\0';
	return out;
}

static int
status(struct cli *cli, int argc, char **argv)
{
	static const char *const keys[] = {"items", "busy", "failing", "never_fetched", "wanted",
		"turned_away", "fetched", "unchanged", "failed", "kilobytes"};
	const struct want want = {.verb = WANT_STATUS};
	struct json_value *answer = NULL;
	struct buf out = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct json json;
	int result;

	if (!cmd_take(&cmd_status, cli, &(struct cmd_args){NULL, 0, 0, 0}, &argc, argv, &result))
		return result;
	if (ask(cli, &want, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	cmd_json_begin(&json, &out);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		int64_t n = json_get_int(answer, keys[i], 0);

		json_int(&json, keys[i], n);
		if (!cli->json)
			printf("%-14s %" PRId64 "\n", keys[i], n);
	}
	json_object_end(&json);
	result = cli->json ? cmd_print_json(&json, EX_OK) : fflush(stdout) == 0 ? EX_OK : EX_OSERR;
	buf_fini(&out);
	json_free(&answer);
	return result;
}

struct listing {
	struct json *json; /* NULL: text */
	bool failing;      /* only those */
};

/* "-" for a time that is not known. */
static const char *
day_of(const struct json_value *item, const char *key)
{
	const char *text = json_get_text(item, key);

	return text ? text : "-";
}

static void
print_item(const struct json_value *item)
{
	char url[400], why[400];
	const char *error = json_get_text(item, "error");

	printf("%-4s %s\n", json_get_text(item, "kind") ? json_get_text(item, "kind") : "?",
		clean(json_get_text(item, "url"), url));
	printf("     fetched %s  expires %s  next %s%s%s\n", day_of(item, "fetched"),
		day_of(item, "ends"), day_of(item, "next"),
		json_is_true(json_find(item, "permanent")) ? "  permanent" : "",
		json_is_true(json_find(item, "busy")) ? "  busy" : "");
	printf("     file %s\n", json_get_text(item, "file") ? json_get_text(item, "file") : "?");
	if (error)
		printf("     failed %" PRId64 " times, last at %s: %s\n",
			json_get_int(item, "failures", 0), day_of(item, "tried"),
			clean(error, why));
}

static void
json_item(const struct json_value *item, struct json *json)
{
	static const char *const texts[] = {"kind", "url", "file", "asked", "fetched", "begins",
		"ends", "next", "tried", "error"};

	json_object(json, NULL);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		json_str(json, texts[i], json_get_text(item, texts[i]));
	json_int(json, "failures", json_get_int(item, "failures", 0));
	json_bool(json, "permanent", json_is_true(json_find(item, "permanent")));
	json_bool(json, "busy", json_is_true(json_find(item, "busy")));
	json_object_end(json);
}

static bool
list_one(void *ctx, const struct json_value *item)
{
	struct listing *listing = ctx;

	if (listing->failing && json_get_int(item, "failures", 0) == 0)
		return true;
	if (listing->json)
		json_item(item, listing->json);
	else
		print_item(item);
	return true;
}

static int
list(struct cli *cli, int argc, char **argv)
{
	struct listing listing = {0};
	const struct cmd_opt opts[] = {{"failing", OPT_FLAG, &listing.failing}};
	struct buf out = BUF_INIT(256u << 20);
	struct err err = ERR_INIT;
	struct json json;
	int result;

	if (!cmd_take(&cmd_list, cli, &(struct cmd_args){opts, 1, 0, 0}, &argc, argv, &result))
		return result;
	cmd_json_begin(&json, &out);
	json_array(&json, "items");
	if (cli->json)
		listing.json = &json;
	if (for_each(cli, list_one, &listing, &err) != RC_OK) {
		buf_fini(&out);
		return cmd_fail(&err);
	}
	json_array_end(&json);
	json_object_end(&json);
	result = cli->json ? cmd_print_json(&json, EX_OK) : fflush(stdout) == 0 ? EX_OK : EX_OSERR;
	buf_fini(&out);
	return result;
}

/* What was to be fetched now: still to come, and failed. */
struct wait {
	const char *url; /* NULL: all */
	int64_t since;   /* seconds */
	long open, failed;
};

static bool
wait_one(void *ctx, const struct json_value *item)
{
	struct wait *wait = ctx;
	const char *url = json_get_text(item, "url"), *tried = json_get_text(item, "tried");
	int64_t at = 0;

	if (wait->url && (!url || strcmp(url, wait->url) != 0))
		return true;
	if (!tried || clock_parse(tried, &at, NULL) != RC_OK || at < wait->since ||
		json_is_true(json_find(item, "busy")))
		wait->open++;
	else if (json_get_int(item, "failures", 0) > 0)
		wait->failed++;
	return true;
}

/* Until all are done: 0, 65 when some failed, 75 when time is up. */
static int
wait_for(struct cli *cli, struct wait *wait, int64_t seconds)
{
	int64_t until = clock_monotonic_ms() + seconds * 1000;
	struct err err = ERR_INIT;

	for (;;) {
		wait->open = wait->failed = 0;
		if (for_each(cli, wait_one, wait, &err) != RC_OK)
			return cmd_fail(&err);
		if (wait->open == 0)
			return wait->failed ? EX_DATAERR : EX_OK;
		if (clock_monotonic_ms() >= until)
			return EX_TEMPFAIL;
		usleep(POLL_MS * 1000);
	}
}

static int
print_now(struct cli *cli, const struct wait *wait, int64_t items, bool waited, int result)
{
	struct buf out = BUF_INIT(0);
	struct json json;

	if (!cli->json) {
		printf("%" PRId64 " to be fetched", items);
		if (waited)
			printf(", %ld failed, %ld still under way", wait->failed, wait->open);
		puts("");
		return fflush(stdout) == 0 ? result : EX_OSERR;
	}
	cmd_json_begin(&json, &out);
	json_int(&json, "items", items);
	if (waited) {
		json_int(&json, "failed", wait->failed);
		json_int(&json, "open", wait->open);
	}
	return cmd_json_end(&json, result);
}

static int
now(struct cli *cli, int argc, char **argv)
{
	const char *seconds = NULL;
	const struct cmd_opt opts[] = {{"wait", OPT_VALUE, &seconds}};
	struct want want = {.verb = WANT_NOW};
	struct json_value *answer = NULL;
	struct wait wait = {.since = clock_now()};
	struct err err = ERR_INIT;
	int64_t items, limit = 0;
	char *end;
	int result;

	if (!cmd_parse(&cmd_now, cli, opts, 1, &argc, argv, &result))
		return result;
	if (argc > 2)
		return cmd_usage(&cmd_now, "too many arguments");
	if (seconds) {
		limit = strtol(seconds, &end, 10);
		if (*end || limit < 1 || limit > 86400)
			return cmd_usage(&cmd_now, "--wait takes seconds, not \"%.40s\"", seconds);
	}
	if (!cmd_conf(&cmd_now, cli, &result))
		return result;
	if (argc == 2) {
		want.url = wait.url = argv[1];
		want.url_len = strlen(argv[1]);
	}
	if (ask(cli, &want, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	items = json_get_int(answer, "items", 0);
	json_free(&answer);
	if (want.url && items == 0) {
		fprintf(stderr,
			"sealgate: the fetcher does not know this URL: see \"fetch add\"\n");
		return EX_DATAERR;
	}
	if (limit)
		result = wait_for(cli, &wait, limit);
	else
		result = EX_OK;
	return print_now(cli, &wait, items, limit > 0, result);
}

static int
add(struct cli *cli, int argc, char **argv)
{
	struct want want = {.verb = WANT_FETCH};
	struct talk talk;
	struct err err = ERR_INIT;
	int result;
	enum rc rc;

	if (!cmd_parse(&cmd_add, cli, NULL, 0, &argc, argv, &result))
		return result;
	if (argc != 3 || (strcmp(argv[1], "crl") != 0 && strcmp(argv[1], "ca") != 0))
		return cmd_usage(&cmd_add, "a kind and a URL are needed");
	if (!cmd_conf(&cmd_add, cli, &result))
		return result;
	want.kind = strcmp(argv[1], "crl") == 0 ? WANT_CRL : WANT_CA;
	want.url = argv[2];
	want.url_len = strlen(argv[2]);
	rc = talk_open(&talk, cli, &err);
	if (rc == RC_OK)
		rc = talk_say(&talk, &want, &err);
	/* Served in order: with the next answer the want has been taken, or turned away. */
	if (rc == RC_OK) {
		struct json_value *answer = NULL;

		want = (struct want){.verb = WANT_NOW, .url = argv[2], .url_len = strlen(argv[2])};
		rc = talk_say(&talk, &want, &err);
		if (rc == RC_OK)
			rc = talk_hear(&talk, &answer, &err);
		if (rc == RC_OK && json_get_int(answer, "items", 0) == 0)
			rc = err_set(&err, ERR_FETCH_URL,
				"the fetcher turned this URL away; its log says why");
		json_free(&answer);
	}
	talk_close(&talk);
	return rc == RC_OK ? EX_OK : cmd_fail(&err);
}

static int
run(struct cli *cli, int argc, char **argv)
{
	static const struct command *const table[] = {&cmd_status, &cmd_list, &cmd_now, &cmd_add};

	return cmd_dispatch(&cmd_fetch, table, sizeof(table) / sizeof(*table), cli, argc, argv);
}
