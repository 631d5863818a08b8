/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smtp_client.c - the client of the re-injection port against a server that fails at every stage
 *
 * Each case has a fakesmtp of its own on a unix socket. What it says that it took is compared with
 * what the client says: nobody is told 250 who did not get it, and who may have got it is in doubt.
 */
#include "tests/unit/unit.h"

#include "base/clock.h"
#include "base/file.h"
#include "milter/smtp.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MESSAGE "Subject: x\r\n\r\n.one\r\ntwo\r\n"
#define MAX     1200

static char work[200];
static int cases; /* each has a folder of its own */

struct world {
	char dir[300];
	pid_t pid;
	struct smtp_port *port;
	char names[MAX][40];
	struct smtp_rcpt rcpts[MAX];
	struct smtp_envelope e;
	struct smtp_outcome outcome;
	struct err err;
	enum rc rc;
};

/* --- the server --- */

static void
write_file(const struct world *w, const char *name, const char *text, mode_t mode)
{
	char path[400];

	snprintf(path, sizeof path, "%s/%s", w->dir, name);
	assert_int_equal(file_write(path, text, strlen(text), mode, NULL), RC_OK);
}

static bool
is_up(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool up;

	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	up = connect(fd, (struct sockaddr *)&un, sizeof un) == 0;
	close(fd);
	return up;
}

/* OPTIONS: more words for fakesmtp's command line. */
static void
start_server(struct world *w, const char *options)
{
	const char *build = getenv("SEALGATE_BUILD");
	char command[1200], sock[400];

	snprintf(sock, sizeof sock, "%s/sock", w->dir);
	snprintf(command, sizeof command,
		"exec %s/fakesmtp -s %s/script %s unix:%s %s >%s/log 2>&1", build ? build : ".",
		w->dir, options, sock, w->dir, w->dir);
	w->pid = fork();
	if (w->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a check fails */
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && !is_up(sock); i++)
		usleep(10000);
	assert_true(is_up(sock));
}

/* The text of a file in the server's folder; "" when it is not there. */
static const char *
content(struct world *w, const char *name)
{
	static struct buf text = BUF_INIT(0);
	char path[400];

	buf_clear(&text);
	snprintf(path, sizeof path, "%s/%s", w->dir, name);
	(void)file_read(path, &text, NULL);
	return buf_text(&text);
}

static void
make_port(struct world *w, const char *options)
{
	struct conf *conf = NULL;
	bool hangs = strstr(content(w, "script"), "hang") != NULL;
	char text[1200];

	snprintf(text, sizeof text,
		"organisation = { domains = \"x.test\"; };\n"
		"port = { address = \"unix:sock\"; helo = \"me.x.test\"; connect_timeout = %d;\n"
		"command_timeout = %d; data_timeout = 20000; end_timeout = %d; %s };\n",
		hangs ? 300 : 20000, hangs ? 300 : 20000, hangs ? 300 : 20000, options);
	CHECK_INT(text, conf_parse(text, "test", w->dir, &conf, &w->err), RC_OK);
	w->rc = smtp_port_new(conf, &w->port, &w->err);
	conf_unref(&conf);
}

static void
begin(struct world *w, const char *script, const char *options)
{
	*w = (struct world){.e = {.sender = "<alice@x.test>", .n = 1}};
	w->e.rcpts = w->rcpts;
	snprintf(w->dir, sizeof w->dir, "%s/%d", work, ++cases);
	assert_int_equal(mkdir(w->dir, 0700), 0);
	write_file(w, "script", script, 0600);
	start_server(w, options);
	for (int i = 0; i < MAX; i++) {
		snprintf(w->names[i], sizeof w->names[i], "<r%d@y.test>", i);
		w->rcpts[i].addr = w->names[i];
	}
}

static void
end(struct world *w)
{
	smtp_port_free(&w->port);
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
}

static int
taken(struct world *w)
{
	char path[400];
	int n = 0;

	do
		snprintf(path, sizeof path, "%s/%d.eml", w->dir, ++n);
	while (access(path, F_OK) == 0);
	return n - 1;
}

static int
times_in(const char *text, const char *what)
{
	int n = 0;

	while ((text = strstr(text, what))) {
		text++;
		n++;
	}
	return n;
}

static enum rc
write_text(void *ctx, const struct sink *to, struct err *err)
{
	return sink_feed_str(to, ctx, err);
}

/* More than any socket buffer holds. */
static enum rc
write_much(void *ctx, const struct sink *to, struct err *err)
{
	enum rc rc = RC_OK;

	(void)ctx;
	for (int i = 0; !rc && i < 600000; i++)
		rc = sink_feed_str(to, "0123456789\r\n", err);
	return rc;
}

static enum rc
write_half(void *ctx, const struct sink *to, struct err *err)
{
	(void)ctx;
	(void)sink_feed_str(to, MESSAGE, err);
	return err_set(err, ERR_SPOOL, "test");
}

static void
send_with(struct world *w, smtp_write_fn *write)
{
	err_clear(&w->err);
	w->rc = smtp_send(w->port, &w->e, write, (void *)MESSAGE, 0, &w->outcome, &w->err);
}

/* --- one message, one fault --- */

struct fault {
	const char *name, *script;
	size_t n;
	enum rc rc;
	enum errcode code;
	const char *codes; /* of the recipients */
	int taken;
	bool in_doubt;
};

static const struct fault faults[] = {
	{"accepted", "", 3, RC_OK, ERR_NONE, "250 250 250", 1, false},
	{"no pipelining", "without PIPELINING", 3, RC_OK, ERR_NONE, "250 250 250", 1, false},
	{"one refused", "rcpt match=r1@ reply 550 5.1.1 no", 3, RC_OK, ERR_NONE, "250 550 250", 1,
		false},
	{"one refused, no pipelining", "without PIPELINING\nrcpt match=r1@ reply 550 5.1.1 no", 3,
		RC_OK, ERR_NONE, "250 550 250", 1, false},
	{"one deferred", "rcpt match=r0@ reply 450 4.2.1 later", 2, RC_OK, ERR_NONE, "450 250", 1,
		false},
	{"all refused", "rcpt reply 550 5.1.1 no", 2, RC_OK, ERR_NONE, "550 550", 0, false},
	{"sender refused", "mail reply 550 5.1.8 no", 2, RC_OK, ERR_NONE, "550 550", 0, false},
	{"sender refused, no pipelining", "without PIPELINING\nmail reply 550 5.1.8 no", 2, RC_OK,
		ERR_NONE, "550 550", 0, false},
	{"sender deferred", "mail reply 452 4.3.1 full", 2, RC_OK, ERR_NONE, "452 452", 0, false},
	{"DATA deferred", "data reply 451 4.3.0 later", 2, RC_OK, ERR_NONE, "451 451", 0, false},
	{"DATA refused", "data reply 554 5.5.1 no", 1, RC_OK, ERR_NONE, "554", 0, false},
	{"DATA answered 250", "data raw 250 2.0.0 thanks\\r\\n", 1, RC_TEMP, ERR_PORT_ANSWER, "451",
		0, false},
	{"content refused", "end reply 554 5.7.1 spam", 2, RC_OK, ERR_NONE, "554 554", 0, false},
	{"content deferred", "end reply 451 4.7.1 later", 2, RC_OK, ERR_NONE, "451 451", 0, false},
	{"421 to content", "end reply 421 4.3.2 bye", 1, RC_OK, ERR_NONE, "421", 0, false},
	{"421 to MAIL", "mail reply 421 4.3.2 bye", 2, RC_TEMP, ERR_PORT_REFUSED, "451 451", 0,
		false},
	{"421 to one recipient", "rcpt match=r1@ reply 421 4.3.2 bye", 2, RC_TEMP, ERR_PORT_REFUSED,
		"451 451", 0, false},
	{"421 to DATA", "data reply 421 4.3.2 bye", 1, RC_TEMP, ERR_PORT_REFUSED, "451", 0, false},
	{"421 for a greeting", "connect reply 421 4.3.2 bye", 1, RC_TEMP, ERR_PORT_REFUSED, "451",
		0, false},
	{"EHLO refused", "ehlo reply 502 what", 1, RC_TEMP, ERR_PORT_REFUSED, "451", 0, false},
	{"hangs at connect", "connect hang", 1, RC_TEMP, ERR_PORT_TIMEOUT, "451", 0, false},
	{"hangs at EHLO", "ehlo hang", 1, RC_TEMP, ERR_PORT_TIMEOUT, "451", 0, false},
	{"hangs at MAIL", "mail hang", 1, RC_TEMP, ERR_PORT_TIMEOUT, "451", 0, false},
	{"hangs at RCPT", "rcpt match=r1@ hang", 2, RC_TEMP, ERR_PORT_TIMEOUT, "451 451", 0, false},
	{"hangs at DATA", "data hang", 1, RC_TEMP, ERR_PORT_TIMEOUT, "451", 0, false},
	{"hangs at the end", "end hang", 1, RC_TEMP, ERR_PORT_DOUBT, "451", 0, true},
	{"takes it and hangs", "end take-hang", 2, RC_TEMP, ERR_PORT_DOUBT, "451 451", 1, true},
	{"closes at connect", "connect close", 1, RC_TEMP, ERR_PORT_DOWN, "451", 0, false},
	{"closes at EHLO", "ehlo close", 1, RC_TEMP, ERR_PORT_DOWN, "451", 0, false},
	{"closes at MAIL", "mail close", 1, RC_TEMP, ERR_PORT_DOWN, "451", 0, false},
	{"closes at RCPT", "rcpt match=r1@ close", 2, RC_TEMP, ERR_PORT_DOWN, "451 451", 0, false},
	{"closes at DATA", "data close", 1, RC_TEMP, ERR_PORT_DOWN, "451", 0, false},
	{"closes at the end", "end close", 1, RC_TEMP, ERR_PORT_DOUBT, "451", 0, true},
	{"takes it and closes", "end take-close", 2, RC_TEMP, ERR_PORT_DOUBT, "451 451", 1, true},
	{"takes it and mumbles", "end take-raw ???\\r\\n", 1, RC_TEMP, ERR_PORT_DOUBT, "451", 1,
		true},
	{"takes it and says half", "end take-raw 250 2.0\n# and hangs", 1, RC_TEMP, ERR_PORT_DOUBT,
		"451", 1, true},
	{"takes it and says 354", "end take-raw 354 more\\r\\n", 1, RC_TEMP, ERR_PORT_DOUBT, "451",
		1, true},
	{"half a greeting, then gone", "connect raw-close 220 fa", 1, RC_TEMP, ERR_PORT_DOWN, "451",
		0, false},
	{"half a reply to MAIL, then gone", "mail raw-close 250-", 1, RC_TEMP, ERR_PORT_DOWN, "451",
		0, false},
	{"no SMTP at all", "connect reply SSH-2.0-x", 1, RC_TEMP, ERR_PORT_ANSWER, "451", 0, false},
	{"several lines", "rcpt reply 250-2.1.5 one\\r\\n250-\\r\\n250 2.1.5 two", 2, RC_OK,
		ERR_NONE, "250 250", 1, false},
	{"several lines, no pipelining",
		"without PIPELINING\nrcpt reply 250-2.1.5 one\\r\\n250-\\r\\n250 2.1.5 two", 2,
		RC_OK, ERR_NONE, "250 250", 1, false},
	{"several codes", "rcpt reply 250-one\\r\\n550 two", 1, RC_TEMP, ERR_PORT_ANSWER, "451", 0,
		false},
	{"NUL in a reply", "mail reply 250 \\0x", 1, RC_OK, ERR_NONE, "250", 1, false},
	{"a reply too many at connect", "connect take-raw 220 first\\r\\n220 fake.test ESMTP\\r\\n",
		1, RC_TEMP, ERR_PORT_ANSWER, "451", 0, false},
	{"a reply too many at MAIL", "mail also 250 2.1.0 Ok", 1, RC_TEMP, ERR_PORT_ANSWER, "451",
		0, false},
	{"two at a time", "limit 2", 5, RC_OK, ERR_NONE, "250 250 250 250 250", 3, false},
	{"two at a time, no pipelining", "limit 2\nwithout PIPELINING", 5, RC_OK, ERR_NONE,
		"250 250 250 250 250", 3, false},
	{"two at a time, one refused", "limit 2\nrcpt match=r3@ reply 550 5.1.1 no", 5, RC_OK,
		ERR_NONE, "250 250 250 550 250", 2, false},
	{"disk full is not too many", "rcpt match=r1@ reply 452 4.3.1 full", 2, RC_OK, ERR_NONE,
		"250 452", 1, false},
	{"the second transaction is lost", "limit 2\nmail nth=2 close", 3, RC_OK, ERR_PORT_DOWN,
		"250 250 451", 1, false},
	{"the second one is in doubt", "limit 2\nend nth=2 take-close", 3, RC_OK, ERR_PORT_DOUBT,
		"250 250 451", 2, true},
	{"XFORWARD refused", "xforward reply 550 5.7.0 no", 1, RC_OK, ERR_NONE, "250", 1, false},
};

static void
check_codes(struct world *w, const char *name, const char *codes)
{
	char got[40 * 4 + 1] = "";

	for (size_t i = 0; i < w->e.n; i++)
		snprintf(got + strlen(got), 6, "%s%d", i ? " " : "", w->rcpts[i].code);
	CHECK_STR(name, got, codes);
}

static void
test_faults(void **state)
{
	static struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		const struct fault *f = &faults[i];

		begin(&w, f->script, "");
		make_port(&w, "connections = 0;");
		w.e.n = f->n;
		w.e.xforward.ident = "QID";
		send_with(&w, write_text);
		CHECK_INT(f->name, w.rc, f->rc);
		CHECK_STR(f->name, err_name(w.err.code), err_name(f->code));
		check_codes(&w, f->name, f->codes);
		CHECK_INT(f->name, taken(&w), f->taken);
		CHECK_INT(f->name, w.outcome.in_doubt, f->in_doubt);
		end(&w);
	}
}

/* --- what it sends --- */

static void
test_exact(void **state)
{
	static struct world w;

	(void)state;
	begin(&w, "", "");
	make_port(&w, "");
	w.e = (struct smtp_envelope){.sender = "<alice@x.test>",
		.ret = "HDRS",
		.envid = "QQ314",
		.eightbit = true,
		.size = 100,
		.xforward = {.name = "client.test", .addr = "192.0.2.1", .ident = "ABC"},
		.rcpts = w.rcpts,
		.n = 2};
	w.rcpts[0].notify = "SUCCESS";
	w.rcpts[0].orcpt = "rfc822;r+2B0@y.test";
	w.rcpts[1].orcpt = "bad\r\nRSET";
	send_with(&w, write_text);
	assert_int_equal(w.rc, RC_OK);
	CHECK_STR("content", content(&w, "1.eml"), MESSAGE);
	CHECK_STR("envelope", content(&w, "1.env"),
		"MAIL FROM:<alice@x.test> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=QQ314\n"
		"RCPT TO:<r0@y.test> NOTIFY=SUCCESS ORCPT=rfc822;r+2B0@y.test\n"
		"RCPT TO:<r1@y.test>\n"
		"XFORWARD NAME=client.test ADDR=192.0.2.1 PORT=[UNAVAILABLE] PROTO=[UNAVAILABLE] "
		"HELO=[UNAVAILABLE] IDENT=ABC SOURCE=[UNAVAILABLE]\n");
	CHECK_STR("text", w.rcpts[0].text, "Ok: taken");
	CHECK_INT("outcome", w.outcome.code, 250);
	end(&w);
}

/* Addresses that would say more than an address are answered by us, and nobody else suffers. */
static void
test_injection(void **state)
{
	static struct world w;

	(void)state;
	begin(&w, "", "");
	make_port(&w, "");
	w.e.n = 3;
	w.rcpts[1].addr = "a@y.test>\r\nRCPT TO:<evil@y.test";
	send_with(&w, write_text);
	assert_int_equal(w.rc, RC_OK);
	check_codes(&w, "recipient", "250 553 250");
	CHECK_STR("enhanced", w.rcpts[1].enhanced, "5.1.3");
	assert_null(strstr(content(&w, "dialogue"), "evil"));
	w.e.sender = "<a@x.test> SIZE=1";
	send_with(&w, write_text);
	check_codes(&w, "sender", "553 553 553");
	CHECK_INT("taken", taken(&w), 1);
	end(&w);
}

/* What the port could not take is not even begun. */
static void
test_unfit(void **state)
{
	static const struct {
		const char *script;
		bool eightbit, smtputf8;
		uint64_t size;
		const char *addr, *codes, *enhanced;
	} rows[] = {
		{"without 8BITMIME", true, false, 0, "<r@y.test>", "554", "5.6.3"},
		{"without 8BITMIME", false, false, 0, "<r@y.test>", "250", "2.0.0"},
		{"without SMTPUTF8", false, true, 0, "<r@y.test>", "553", "5.6.7"},
		{"without SMTPUTF8", false, false, 0, "<r\xc3\xa4@y.test>", "553", "5.6.7"},
		{"", false, false, 0, "<r\xc3\xa4@y.test>", "250", "2.0.0"},
		{"without SIZE\noffer SIZE 1000", false, false, 1001, "<r@y.test>", "552", "5.3.4"},
		{"without SIZE\noffer SIZE 1000", false, false, 1000, "<r@y.test>", "250", "2.0.0"},
		{"without SIZE\noffer SIZE 0", false, false, 1001, "<r@y.test>", "250", "2.0.0"},
	};
	static struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin(&w, rows[i].script, "");
		make_port(&w, "");
		w.e.eightbit = rows[i].eightbit;
		w.e.smtputf8 = rows[i].smtputf8;
		w.e.size = rows[i].size;
		w.rcpts[0].addr = rows[i].addr;
		send_with(&w, write_text);
		CHECK_INT(rows[i].script, w.rc, RC_OK);
		check_codes(&w, rows[i].script, rows[i].codes);
		CHECK_STR(rows[i].script, w.rcpts[0].enhanced, rows[i].enhanced);
		CHECK_INT(rows[i].script, times_in(content(&w, "dialogue"), "MAIL"),
			*rows[i].codes == '2');
		end(&w);
	}
}

static void
test_no_dsn(void **state)
{
	static struct world w;

	(void)state;
	begin(&w, "without DSN\nwithout XFORWARD\nwithout SIZE", "");
	make_port(&w, "");
	w.e.envid = "x";
	w.e.size = 10;
	w.e.xforward.ident = "QID";
	w.rcpts[0].notify = "NEVER";
	send_with(&w, write_text);
	assert_int_equal(w.rc, RC_OK);
	CHECK_STR("envelope", content(&w, "1.env"),
		"MAIL FROM:<alice@x.test>\nRCPT TO:<r0@y.test>\n");
	end(&w);
}

/* --- the connection --- */

static void
test_early(void **state)
{
	static struct world w;

	(void)state;
	begin(&w, "content reply 552 5.3.4 too big", "");
	make_port(&w, "");
	send_with(&w, write_much);
	CHECK_INT("refused in the middle", w.rc, RC_OK);
	check_codes(&w, "refused in the middle", "552");
	assert_false(w.outcome.in_doubt);
	end(&w);
	/* The reply before the end of a message is never taken for the reply to it. */
	begin(&w, "content reply 250 2.0.0 Ok: taken\nend close", "");
	make_port(&w, "");
	send_with(&w, write_much);
	CHECK_INT("accepted in the middle", w.rc, RC_TEMP);
	check_codes(&w, "accepted in the middle", "451");
	end(&w);
	begin(&w, "content cut 1000000", "");
	make_port(&w, "");
	send_with(&w, write_much);
	CHECK_INT("cut in the middle", w.rc, RC_TEMP);
	CHECK_INT("cut in the middle", w.err.code, ERR_PORT_DOWN);
	assert_false(w.outcome.in_doubt);
	CHECK_INT("cut in the middle", taken(&w), 0);
	end(&w);
}

static void
test_writer_fails(void **state)
{
	static struct world w;

	(void)state;
	begin(&w, "", "");
	make_port(&w, "");
	send_with(&w, write_half);
	assert_int_equal(w.rc, RC_TEMP);
	assert_int_equal(w.err.code, ERR_SPOOL);
	CHECK_INT("code", w.rcpts[0].code, 452);
	send_with(&w, write_text);
	assert_int_equal(w.rc, RC_OK);
	CHECK_INT("taken", taken(&w), 1);
	CHECK_STR("content", content(&w, "1.eml"), MESSAGE);
	end(&w);
}

/* Kept when it may be, and replaced when it has died meanwhile, seen or not. */
static void
test_kept(void **state)
{
	static const struct {
		const char *script, *options;
		int connections;
	} rows[] = {
		{"", "connections = 1;", 1},
		{"", "connections = 0;", 3},
		{"", "connections = 1; idle = 100;", 3},
		{"end last", "connections = 1;", 3},
		{"mail nth=2 close", "connections = 1;", 2},
		{"mail nth=2 reply 421 4.4.2 idle too long", "connections = 1;", 2},
		{"end nth=1 reply 451 4.3.0 later", "connections = 1;", 1},
		{"end nth=1 reply 421 4.3.0 later", "connections = 1;", 2},
	};
	static struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin(&w, rows[i].script, "");
		make_port(&w, rows[i].options);
		for (int k = 0; k < 3; k++) {
			send_with(&w, write_text);
			CHECK_INT(rows[i].script, w.rc, RC_OK);
			if (strstr(rows[i].options, "idle"))
				usleep(150000);
		}
		CHECK_INT(rows[i].script, w.rcpts[0].code, 250);
		/* One more is the test's own look whether the server is up, or two. */
		CHECK_INT(rows[i].script, times_in(content(&w, "dialogue"), "EHLO"),
			rows[i].connections);
		end(&w);
	}
}

static void *
stop_soon(void *arg)
{
	usleep(100000);
	smtp_port_stop(arg);
	return NULL;
}

/* Long before the stage's own limit. */
static void
test_stop(void **state)
{
	static struct world w;
	pthread_t thread;
	int64_t began;

	(void)state;
	begin(&w, "mail hang", "");
	make_port(&w, "");
	smtp_port_free(&w.port);
	make_port(&w, "recipients = 7;");
	w.e.n = 1;
	began = clock_monotonic_ms();
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, w.port), 0);
	send_with(&w, write_text);
	pthread_join(thread, NULL);
	assert_int_equal(w.rc, RC_TEMP);
	assert_true(w.err.code == ERR_PORT_DOWN && strstr(w.err.detail, "stopping"));
	assert_true(clock_monotonic_ms() - began >= 100);
	send_with(&w, write_text);
	assert_int_equal(w.err.code, ERR_PORT_DOWN);
	end(&w);
	/* A deadline that has passed. */
	begin(&w, "", "");
	make_port(&w, "");
	w.rc = smtp_send(w.port, &w.e, write_text, (void *)MESSAGE, clock_monotonic_ms() - 1,
		&w.outcome, &w.err);
	assert_int_equal(w.rc, RC_TEMP);
	CHECK_INT("taken", taken(&w), 0);
	end(&w);
}

static void
test_many(void **state)
{
	static struct world w;

	(void)state;
	begin(&w, "", "");
	make_port(&w, "recipients = 500;");
	w.e.n = MAX;
	send_with(&w, write_much);
	assert_int_equal(w.rc, RC_OK);
	for (int i = 0; i < MAX; i++)
		CHECK_INT(w.names[i], w.rcpts[i].code, 250);
	CHECK_INT("transactions", taken(&w), 3);
	CHECK_INT("last", times_in(content(&w, "3.env"), "RCPT"), 200);
	end(&w);
}

/* --- TLS and login --- */

static void
make_certs(void)
{
	char command[3000];

	snprintf(command, sizeof command,
		"cd %s && for n in ca other; do openssl req -x509 -newkey ec -pkeyopt "
		"ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=$n -addext "
		"keyUsage=critical,keyCertSign -keyout $n.key -out $n.pem; done && "
		"for n in server client; do openssl req -newkey ec -pkeyopt "
		"ec_paramgen_curve:P-256 -nodes -subj /CN=$n -keyout $n.key -out $n.csr && "
		"echo subjectAltName=DNS:$n.test,IP:127.0.0.1 >$n.ext && openssl x509 -req -in "
		"$n.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $n.ext -out "
		"$n.pem; done && chmod 600 *.key",
		work);
	snprintf(command + strlen(command), 100, " >%s/openssl.log 2>&1", work);
	assert_int_equal(system(command), 0);
}

static void
test_tls(void **state)
{
	static const struct {
		const char *name, *script, *server, *port;
		enum rc rc;
		enum errcode code;
		const char *in_envelope;
	} rows[] = {
		{"starttls", "", "-c %1$s/server.pem -k %1$s/server.key",
			"tls = \"starttls\"; tls_name = \"server.test\"; ca_file = \"../ca.pem\";",
			RC_OK, ERR_NONE, "TLS TLSv1.3"},
		{"from the first byte", "", "-i -c %1$s/server.pem -k %1$s/server.key",
			"tls = \"tls\"; tls_name = \"127.0.0.1\"; ca_file = \"../ca.pem\";", RC_OK,
			ERR_NONE, "TLS TLSv1.3"},
		{"client certificate", "", "-c %1$s/server.pem -k %1$s/server.key -a %1$s/ca.pem",
			"tls = \"starttls\"; tls_name = \"server.test\"; ca_file = \"../ca.pem\"; "
			"cert_file = \"../client.pem\"; key_file = \"../client.key\";",
			RC_OK, ERR_NONE, "TLS TLSv1.3"},
		{"no client certificate", "",
			"-c %1$s/server.pem -k %1$s/server.key -a %1$s/ca.pem",
			"tls = \"starttls\"; tls_name = \"server.test\"; ca_file = \"../ca.pem\";",
			RC_TEMP, ERR_COUNT, ""},
		{"another name", "", "-c %1$s/server.pem -k %1$s/server.key",
			"tls = \"starttls\"; tls_name = \"other.test\"; ca_file = \"../ca.pem\";",
			RC_TEMP, ERR_PORT_TLS, ""},
		{"another address", "", "-i -c %1$s/server.pem -k %1$s/server.key",
			"tls = \"tls\"; tls_name = \"127.0.0.2\"; ca_file = \"../ca.pem\";",
			RC_TEMP, ERR_PORT_TLS, ""},
		{"another CA", "", "-c %1$s/server.pem -k %1$s/server.key",
			"tls = \"starttls\"; tls_name = \"server.test\"; ca_file = \"../other.pem\";",
			RC_TEMP, ERR_PORT_TLS, ""},
		{"not offered", "", "", "tls = \"starttls\"; tls_name = \"server.test\";", RC_TEMP,
			ERR_PORT_TLS, ""},
		{"refused", "starttls reply 454 4.7.0 no", "-c %1$s/server.pem -k %1$s/server.key",
			"tls = \"starttls\"; tls_name = \"server.test\"; ca_file = \"../ca.pem\";",
			RC_TEMP, ERR_PORT_TLS, ""},
		{"a reply put in before TLS", "starttls reply 220 Go on\\r\\n220 Go on",
			"-c %1$s/server.pem -k %1$s/server.key",
			"tls = \"starttls\"; tls_name = \"server.test\"; ca_file = \"../ca.pem\";",
			RC_TEMP, ERR_PORT_ANSWER, ""},
		{"hangs in TLS", "connect hang", "",
			"tls = \"tls\"; tls_name = \"server.test\"; ca_file = \"../ca.pem\"; ",
			RC_TEMP, ERR_PORT_TIMEOUT, ""},
		{"PLAIN", "", "-u gate:secret", "user = \"gate\"; password_file = \"pw\";", RC_OK,
			ERR_NONE, "AUTH gate"},
		{"LOGIN", "offer AUTH LOGIN", "", "user = \"gate\"; password_file = \"pw\";",
			RC_TEMP, ERR_PORT_AUTH, ""},
		{"another password", "", "-u gate:other",
			"user = \"gate\"; password_file = \"pw\";", RC_TEMP, ERR_PORT_AUTH, ""},
		{"no AUTH", "", "", "user = \"gate\"; password_file = \"pw\";", RC_TEMP,
			ERR_PORT_AUTH, ""},
		{"hangs at AUTH", "auth hang", "-u gate:secret",
			"user = \"gate\"; password_file = \"pw\";", RC_TEMP, ERR_PORT_TIMEOUT, ""},
		{"PLAIN in TLS", "", "-u gate:secret -c %1$s/server.pem -k %1$s/server.key",
			"user = \"gate\"; password_file = \"pw\"; tls = \"starttls\"; tls_name = "
			"\"server.test\"; ca_file = \"../ca.pem\";",
			RC_OK, ERR_NONE, "AUTH gate"},
	};
	static struct world w;
	char server[600];

	(void)state;
	make_certs();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
		snprintf(server, sizeof server, rows[i].server, work);
#pragma GCC diagnostic pop
		begin(&w, rows[i].script, server);
		write_file(&w, "pw", "secret\n", 0600);
		make_port(&w, rows[i].port);
		CHECK_INT(rows[i].name, w.rc, RC_OK);
		send_with(&w, write_text);
		CHECK_INT(rows[i].name, w.rc, rows[i].rc);
		if (rows[i].code != ERR_COUNT) /* what the end of TLS looks like is its business */
			CHECK_STR(rows[i].name, err_name(w.err.code), err_name(rows[i].code));
		CHECK_INT(rows[i].name, taken(&w), rows[i].rc == RC_OK);
		assert_non_null(strstr(content(&w, "1.env"), rows[i].in_envelope));
		end(&w);
	}
}

/* Many pieces in both directions, over TLS. */
static void
test_tls_much(void **state)
{
	static struct world w;
	char server[600];

	(void)state;
	snprintf(server, sizeof server, "-c %s/server.pem -k %s/server.key", work, work);
	begin(&w, "", server);
	make_port(&w, "tls = \"starttls\"; tls_name = \"server.test\"; ca_file = \"../ca.pem\";");
	w.e.n = 300;
	for (int i = 0; i < 2; i++) {
		send_with(&w, write_much);
		CHECK_INT("much", w.rc, RC_OK);
	}
	CHECK_INT("much", taken(&w), 2);
	CHECK_INT("one connection", times_in(content(&w, "dialogue"), "STARTTLS"), 1);
	CHECK_INT("all of it", (int)strlen(content(&w, "2.eml")), 600000 * 12);
	end(&w);
}

static void
test_login(void **state)
{
	static struct world w;

	(void)state;
	/* AUTH LOGIN is what is left when PLAIN is not offered. */
	begin(&w, "ehlo reply 250-fake.test\\r\\n250 AUTH LOGIN", "-u gate:secret");
	write_file(&w, "pw", "secret", 0600);
	make_port(&w, "user = \"gate\"; password_file = \"pw\";");
	send_with(&w, write_text);
	assert_int_equal(w.rc, RC_OK);
	assert_non_null(strstr(content(&w, "1.env"), "AUTH gate"));
	end(&w);
}

static void
test_configuration(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"address = \"inet:25@192.0.2.1\";", "in the clear"},
		{"address = \"inet:25@2001:db8::1\";", "in the clear"},
		{"address = \"inet:25@localhost\";", "no IP address"},
		{"address = \"inet:0@127.0.0.1\";", "inet:PORT@ADDRESS"},
		{"address = \"127.0.0.1:25\";", "inet:PORT@ADDRESS"},
		{"address = \"unix:\";", "too long or empty"},
		{"address = \"unix:s\"; user = \"x\";", "belong together"},
		{"address = \"unix:s\"; password_file = \"pw\";", "belong together"},
		{"address = \"unix:s\"; user = \"x\"; password_file = \"open\";", "everybody"},
		{"address = \"unix:s\"; user = \"x\"; password_file = \"missing\";",
			"No such file"},
		{"address = \"unix:s\"; user = \"x\"; password_file = \"empty\";", "empty"},
		{"address = \"unix:s\"; tls = \"tls\";", "needed for TLS over a unix socket"},
		{"address = \"unix:s\"; cert_file = \"pw\"; key_file = \"pw\";", "for TLS"},
		{"address = \"unix:s\"; tls = \"tls\"; tls_name = \"x\"; cert_file = \"pw\";",
			"belong together"},
		{"address = \"unix:s\"; tls = \"tls\"; tls_name = \"x\"; ca_file = \"pw\";",
			"no CA certificates"},
		{"address = \"unix:s\"; helo = \"a b\";", "no host name"},
	};
	struct world w = {0};
	struct smtp_port *port;

	(void)state;
	snprintf(w.dir, sizeof w.dir, "%s", work);
	write_file(&w, "pw", "secret\n", 0600);
	write_file(&w, "open", "secret\n", 0644);
	write_file(&w, "empty", "\n", 0600);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err err = ERR_INIT;
		struct conf *conf = NULL;
		char text[600];

		snprintf(text, sizeof text,
			"organisation = { domains = \"x.test\"; };\nport = { %s };\n",
			rows[i].text);
		CHECK_INT(rows[i].text, conf_parse(text, "test", work, &conf, &err), RC_OK);
		CHECK_INT(rows[i].text, smtp_port_new(conf, &port, &err), RC_PERM);
		CHECK_INT(rows[i].text, err.code, ERR_CONFIG);
		if (!strstr(err.detail, rows[i].why))
			fail_msg("%s: %s", rows[i].text, err.detail);
		assert_null(strstr(err.detail, "secret"));
		conf_unref(&conf);
	}
}

static void
test_probe(void **state)
{
	static struct world w;
	struct smtp_caps caps;

	(void)state;
	begin(&w, "without DSN\nwithout SIZE\noffer SIZE 4711", "");
	make_port(&w, "");
	assert_int_equal(smtp_port_size_limit(w.port), 0);
	assert_int_equal(smtp_port_probe(w.port, &caps, &w.err), RC_OK);
	assert_true(caps.pipelining && caps.smtputf8 && !caps.dsn && caps.xforward);
	assert_int_equal(smtp_port_size_limit(w.port), 4711);
	CHECK_STR("name", smtp_port_name(w.port), "unix:sock");
	end(&w);
	begin(&w, "connect close", "");
	make_port(&w, "");
	assert_int_equal(smtp_port_probe(w.port, &caps, &w.err), RC_TEMP);
	end(&w);
}

static int
clean(void **state)
{
	char command[300];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", work);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_faults),
		cmocka_unit_test(test_exact), cmocka_unit_test(test_injection),
		cmocka_unit_test(test_unfit), cmocka_unit_test(test_no_dsn),
		cmocka_unit_test(test_early), cmocka_unit_test(test_writer_fails),
		cmocka_unit_test(test_kept), cmocka_unit_test(test_stop),
		cmocka_unit_test(test_many), cmocka_unit_test(test_configuration),
		cmocka_unit_test(test_tls), cmocka_unit_test(test_tls_much),
		cmocka_unit_test(test_login), cmocka_unit_test(test_probe)};

	snprintf(work, sizeof work, "%s/sealgate-smtp.XXXXXX",
		getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(work))
		return 99;
	return cmocka_run_group_tests(tests, NULL, clean);
}
