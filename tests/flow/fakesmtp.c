/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fakesmtp.c - an SMTP server that does what a script says, and keeps what it took
 *
 *   fakesmtp [-s SCRIPT] [-c CERT -k KEY [-a CLIENT-CA] [-i]] [-u LOGIN:PASSWORD] ADDRESS DIR
 *
 * ADDRESS is a port of 127.0.0.1, or unix:PATH. -i: TLS from the first byte, else STARTTLS is
 * offered when there is a certificate. -a: a client certificate of that CA is needed. -u: mail
 * needs AUTH.
 *
 * Every message that it took is DIR/N.eml (CRLF, dots as they were written) beside DIR/N.env: the
 * lines "XFORWARD …", "MAIL FROM:…", "RCPT TO:…" (accepted ones) as they came, and "AUTH login",
 * "TLS version". N counts from 1. DIR/dialogue has every command, a line each.
 *
 * The script is read again for each connection. A line is "STAGE [KEY=VALUE]… ACTION"; the first
 * line that fits and is not used up is done. STAGE: connect ehlo starttls auth xforward mail rcpt
 * data (the command) content (after the first bytes) end (the final dot) rset quit. KEYs:
 * match=TEXT (in the command), nth=N (the N-th of this stage in the process, from 1),
 * times=N (that often only, in the process). ACTIONs, the rest of the line:
 *   reply TEXT        TEXT instead of the usual reply; \r \n \0 \\ are escapes; CRLF is added
 *   raw TEXT          the same without CRLF, and the command is taken for refused
 *   raw-close TEXT    the same, and then it closes the connection
 *   also TEXT         TEXT and then the usual reply: a reply too many
 *   hang              says nothing any more, until the client goes
 *   close             closes the connection
 *   take-close        (end) takes the message, then closes the connection
 *   take-hang         (end) takes the message and says nothing
 *   take-raw TEXT     (end) takes the message and says that
 *   last              (end) as usual, then closes the connection
 *   slow MS           waits, then goes on as usual
 *   cut N             (content) closes the connection after N bytes
 * Lines without a stage: "offer TEXT" adds a line to the answer to EHLO, "without WORD" leaves one
 * out, "limit N" is how many recipients are taken at once (452 4.5.3 for the rest).
 */
#include "tests/flow/fakescript.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_LINE 4096

struct session {
	int fd;
	SSL *ssl;
	struct script script;
	char in[8192];
	size_t in_at, in_len;
	char *envelope; /* lines of the message under way */
	size_t envelope_len;
	FILE *envelope_file;
	char login[200], xforward[2000];
	bool mail;
	int rcpts;
};

static const char *script_path, *folder, *login_wanted;
static SSL_CTX *tls;
static bool implicit_tls, client_cert;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int messages;
static FILE *dialogue;
/* --- bytes --- */

static void
put(struct session *s, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = s->ssl ? SSL_write(s->ssl, data, (int)len) : write(s->fd, data, len);

		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

static void
say(struct session *s, const char *text)
{
	char line[MAX_LINE];
	int n = snprintf(line, sizeof line, "%s\r\n", text);

	put(s, line, (size_t)n);
}

static int
next_byte(struct session *s)
{
	if (s->in_at == s->in_len) {
		ssize_t n = s->ssl ? SSL_read(s->ssl, s->in, sizeof s->in)
				   : read(s->fd, s->in, sizeof s->in);

		if (n <= 0)
			return -1;
		s->in_at = 0;
		s->in_len = (size_t)n;
	}
	return (unsigned char)s->in[s->in_at++];
}

/* A line without its CRLF. */
static bool
next_line(struct session *s, char *line, size_t size)
{
	size_t n = 0;
	int c;

	while ((c = next_byte(s)) >= 0 && c != '\n')
		if (n + 1 < size)
			line[n++] = (char)c;
	if (n > 0 && line[n - 1] == '\r')
		n--;
	line[n] = 0;
	return c == '\n';
}

static void
note(const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&lock);
	va_start(ap, fmt);
	vfprintf(dialogue, fmt, ap);
	va_end(ap);
	fputc('\n', dialogue);
	fflush(dialogue);
	pthread_mutex_unlock(&lock);
}

static void
put_escaped(struct session *s, const char *text, bool crlf)
{
	char out[500];
	size_t n = 0;

	for (; *text; text++) {
		char c = *text;

		if (c == '\\' && text[1]) {
			c = *++text;
			c = c == 'r' ? '\r' : c == 'n' ? '\n' : c == '0' ? '\0' : c;
		}
		out[n++] = c;
	}
	if (crlf) {
		out[n++] = '\r';
		out[n++] = '\n';
	}
	put(s, out, n);
}

enum what { USUAL, REFUSED, END, TAKE_SILENT, TAKE_END, LAST };

static void
hang(struct session *s)
{
	while (next_byte(s) >= 0)
		;
}

/* Does A, what the script says. USUAL: go on as without it. */
static enum what
perform(struct session *s, const char *a)
{
	if (!a)
		return USUAL;
	if (strncmp(a, "slow ", 5) == 0) {
		usleep((useconds_t)atoi(a + 5) * 1000);
		return USUAL;
	}
	if (strncmp(a, "also ", 5) == 0) {
		put_escaped(s, a + 5, true);
		return USUAL;
	}
	if (strncmp(a, "reply ", 6) == 0) {
		put_escaped(s, a + 6, true);
		return a[6] == '2' || a[6] == '3' ? TAKE_SILENT : REFUSED;
	}
	if (strncmp(a, "raw ", 4) == 0) {
		put_escaped(s, a + 4, false);
		return REFUSED;
	}
	if (strncmp(a, "raw-close ", 10) == 0) {
		put_escaped(s, a + 10, false);
		return END;
	}
	if (strncmp(a, "take-raw ", 9) == 0) {
		put_escaped(s, a + 9, false);
		return TAKE_SILENT;
	}
	if (strcmp(a, "take-close") == 0)
		return TAKE_END;
	if (strcmp(a, "last") == 0)
		return LAST;
	if (strcmp(a, "take-hang") == 0)
		return TAKE_SILENT;
	if (strcmp(a, "hang") == 0)
		hang(s);
	return END;
}

static enum what
act(struct session *s, const char *stage, const char *command)
{
	return perform(s, script_find(&s->script, stage, command));
}

/* --- what was taken --- */

static void
begin_envelope(struct session *s)
{
	if (s->envelope_file)
		fclose(s->envelope_file);
	free(s->envelope);
	s->envelope = NULL;
	s->envelope_file = open_memstream(&s->envelope, &s->envelope_len);
	s->mail = false;
	s->rcpts = 0;
}

static void
keep(struct session *s, const char *content, size_t len)
{
	char temp[400], name[400];
	FILE *file;
	int number;

	fputs(s->xforward, s->envelope_file);
	if (*s->login)
		fprintf(s->envelope_file, "AUTH %s\n", s->login);
	if (s->ssl)
		fprintf(s->envelope_file, "TLS %s\n", SSL_get_version(s->ssl));
	fflush(s->envelope_file);
	pthread_mutex_lock(&lock);
	number = ++messages;
	snprintf(name, sizeof name, "%s/%d.env", folder, number);
	file = fopen(name, "w");
	fwrite(s->envelope, 1, s->envelope_len, file);
	fclose(file);
	/* Who waits for the message has its envelope then. */
	snprintf(temp, sizeof temp, "%s/.%d.tmp", folder, number);
	snprintf(name, sizeof name, "%s/%d.eml", folder, number);
	file = fopen(temp, "w");
	fwrite(content, 1, len, file);
	fclose(file);
	rename(temp, name);
	pthread_mutex_unlock(&lock);
}

/* The content up to the final dot. A line ends with CRLF and nothing else. False: the end. */
static bool
read_content(struct session *s, FILE *out)
{
	const char *action = script_find(&s->script, "content", "");
	long cut = action && strncmp(action, "cut ", 4) == 0 ? atol(action + 4) : -1, seen = 0;
	enum { START, DOT, DOT_CR, TEXT, CR } at = START;
	int c;

	while ((c = next_byte(s)) >= 0) {
		if (cut >= 0 && seen++ == cut)
			return false;
		if (action && strncmp(action, "reply ", 6) == 0) {
			put_escaped(s, action + 6, true);
			action = NULL;
		}
		if (at == START && c == '.') {
			at = DOT;
			continue;
		}
		if (at == DOT && c == '\r') {
			at = DOT_CR;
			continue;
		}
		if (at == DOT_CR && c == '\n')
			return true;
		if (at == DOT_CR)
			fputc('\r', out);
		fputc(c, out);
		at = c == '\n' && at == CR ? START : c == '\r' ? CR : TEXT;
	}
	return false;
}

/* Does action A at the end of content mean that it is taken? */
static bool
takes(const char *a)
{
	static const char *const words[] = {"take-", "last", "slow ", "also ", "reply 2"};

	for (size_t i = 0; a && i < sizeof words / sizeof *words; i++)
		if (strncmp(a, words[i], strlen(words[i])) == 0)
			return true;
	return !a;
}

static bool
take_content(struct session *s)
{
	char *content = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&content, &len);
	bool whole = read_content(s, out);
	const char *action;
	enum what what = END;

	fclose(out);
	if (whole) {
		note(". (%zu bytes)", len);
		action = script_find(&s->script, "end", "");
		if (takes(action)) /* before anything is said: who hears it may look */
			keep(s, content, len);
		what = perform(s, action);
		if (what == USUAL || what == LAST)
			say(s, "250 2.0.0 Ok: taken");
	}
	free(content);
	*s->xforward = 0;
	begin_envelope(s);
	return what != END && what != TAKE_END && what != LAST;
}

/* --- commands --- */

static void
offer(struct session *s)
{
	char lines[20][200];
	static const char *const usual[] = {"PIPELINING", "SIZE 52428800", "8BITMIME", "DSN",
		"SMTPUTF8", "ENHANCEDSTATUSCODES",
		"XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"};
	int n = 0;

	snprintf(lines[n++], 200, "fake.test");
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
		if (!script_is_without(&s->script, usual[i]))
			snprintf(lines[n++], 200, "%s", usual[i]);
	}
	if (tls && !s->ssl)
		snprintf(lines[n++], 200, "STARTTLS");
	if (login_wanted && (s->ssl || !tls))
		snprintf(lines[n++], 200, "AUTH PLAIN LOGIN");
	for (int i = 0; i < s->script.n_offers; i++)
		snprintf(lines[n++], 200, "%s", s->script.offers[i]);
	for (int i = 0; i < n; i++) {
		char line[220];

		snprintf(line, sizeof line, "250%c%s", i + 1 < n ? '-' : ' ', lines[i]);
		say(s, line);
	}
}

static bool
begin_tls(struct session *s)
{
	s->in_at = s->in_len = 0;
	s->ssl = SSL_new(tls);
	SSL_set_fd(s->ssl, s->fd);
	if (SSL_accept(s->ssl) == 1)
		return true;
	note("(no TLS)");
	SSL_free(s->ssl);
	s->ssl = NULL;
	return false;
}

static int
unbase64(const char *text, char *out, size_t size)
{
	unsigned char raw[1000];
	int n = strlen(text) > 1000
			? -1
			: EVP_DecodeBlock(raw, (const unsigned char *)text, (int)strlen(text));

	if (n < 0)
		return -1;
	for (size_t len = strlen(text); len > 0 && text[len - 1] == '='; len--)
		n--;
	if ((size_t)n >= size)
		return -1;
	memcpy(out, raw, (size_t)n);
	out[n] = 0;
	return n;
}

/* PLAIN in the command, or LOGIN with two questions; "login:password" in PAIR. */
static bool
read_login(struct session *s, const char *command, char *pair, size_t size)
{
	char line[1000], user[300] = "", password[300] = "";
	int n;

	if (strncasecmp(command, "AUTH PLAIN ", 11) == 0) {
		n = unbase64(command + 11, line, sizeof line);
		if (n < 3 || line[0])
			return false;
		snprintf(user, sizeof user, "%s", line + 1);
		if ((int)strlen(user) + 2 <= n)
			snprintf(password, sizeof password, "%s", line + 2 + strlen(user));
	} else {
		say(s, "334 VXNlcm5hbWU6");
		if (!next_line(s, line, sizeof line) || unbase64(line, user, sizeof user) < 0)
			return false;
		say(s, "334 UGFzc3dvcmQ6");
		if (!next_line(s, line, sizeof line) ||
			unbase64(line, password, sizeof password) < 0)
			return false;
	}
	snprintf(pair, size, "%s:%s", user, password);
	return true;
}

static bool
do_auth(struct session *s, const char *command)
{
	char pair[700];

	if (login_wanted && read_login(s, command, pair, sizeof pair) &&
		strcmp(pair, login_wanted) == 0) {
		snprintf(s->login, sizeof s->login, "%.*s", (int)strcspn(pair, ":"), pair);
		say(s, "235 2.7.0 Welcome");
	} else {
		say(s, "535 5.7.8 No");
	}
	return true;
}

static bool
do_mail(struct session *s, const char *command)
{
	begin_envelope(s);
	if (login_wanted && !*s->login) {
		say(s, "530 5.7.0 Log in first");
		return true;
	}
	fprintf(s->envelope_file, "%s\n", command);
	s->mail = true;
	say(s, "250 2.1.0 Ok");
	return true;
}

static bool
do_rcpt(struct session *s, const char *command)
{
	if (!s->mail) {
		say(s, "503 5.5.1 MAIL first");
	} else if (s->script.limit && s->rcpts == s->script.limit) {
		say(s, "452 4.5.3 Too many recipients");
	} else {
		fprintf(s->envelope_file, "%s\n", command);
		s->rcpts++;
		say(s, "250 2.1.5 Ok");
	}
	return true;
}

static bool
do_data(struct session *s, const char *command)
{
	(void)command;
	if (!s->rcpts) {
		say(s, "503 5.5.1 RCPT first");
		return true;
	}
	say(s, "354 Go on");
	return take_content(s);
}

/* The script accepted a command with words of its own. */
static void
take_silently(struct session *s, const char *stage, const char *command)
{
	if (strcmp(stage, "mail") == 0) {
		begin_envelope(s);
		fprintf(s->envelope_file, "%s\n", command);
		s->mail = true;
	} else if (strcmp(stage, "rcpt") == 0) {
		fprintf(s->envelope_file, "%s\n", command);
		s->rcpts++;
	}
}

static bool
do_ehlo(struct session *s, const char *command)
{
	(void)command;
	offer(s);
	return true;
}

static bool
do_starttls(struct session *s, const char *command)
{
	(void)command;
	say(s, tls && !s->ssl ? "220 2.0.0 Go on" : "502 5.5.1 No");
	return !tls || s->ssl || begin_tls(s);
}

static bool
do_xforward(struct session *s, const char *command)
{
	size_t n = strlen(s->xforward);

	snprintf(s->xforward + n, sizeof s->xforward - n, "%s\n", command);
	say(s, "250 2.0.0 Ok");
	return true;
}

static bool
do_rset(struct session *s, const char *command)
{
	(void)command;
	begin_envelope(s);
	*s->xforward = 0;
	say(s, "250 2.0.0 Ok");
	return true;
}

static bool
do_quit(struct session *s, const char *command)
{
	(void)command;
	say(s, "221 2.0.0 Bye");
	return false;
}

static const struct {
	const char *name;
	bool (*run)(struct session *s, const char *command); /* false: the connection ends */
} commands[] = {{"ehlo", do_ehlo}, {"starttls", do_starttls}, {"auth", do_auth},
	{"xforward", do_xforward}, {"mail", do_mail}, {"rcpt", do_rcpt}, {"data", do_data},
	{"rset", do_rset}, {"quit", do_quit}};

static bool
do_command(struct session *s, const char *command)
{
	size_t i = 0, n = sizeof commands / sizeof *commands;
	enum what what;

	while (i < n && strncasecmp(command, commands[i].name, strlen(commands[i].name)) != 0)
		i++;
	if (i == n) {
		say(s, "502 5.5.2 What?");
		return true;
	}
	what = act(s, commands[i].name, command);
	if (what == END)
		return false;
	if (what == USUAL)
		return commands[i].run(s, command);
	if (what == TAKE_SILENT)
		take_silently(s, commands[i].name, command);
	return strcmp(commands[i].name, "data") != 0 || what != TAKE_SILENT || take_content(s);
}

static void *
serve(void *arg)
{
	struct session *s = arg;
	char line[MAX_LINE];
	bool on;

	script_read(&s->script, script_path);
	begin_envelope(s);
	note("(connection)");
	on = !implicit_tls || begin_tls(s);
	if (on)
		switch (act(s, "connect", "")) {
		case END:
			on = false;
			break;
		case USUAL:
			say(s, "220 fake.test ESMTP");
			break;
		default:
			break;
		}
	while (on && next_line(s, line, sizeof line)) {
		note("%s", strncasecmp(line, "AUTH", 4) == 0 ? "AUTH …" : line);
		on = do_command(s, line);
	}
	if (s->ssl)
		SSL_free(s->ssl);
	close(s->fd);
	fclose(s->envelope_file);
	free(s->envelope);
	free(s);
	return NULL;
}

/* --- start --- */

static int
listen_on(const char *address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	bool is_unix = strncmp(address, "unix:", 5) == 0;
	int on = 1, fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM, 0);

	in.sin_port = htons((unsigned short)atoi(address));
	if (is_unix) {
		snprintf(un.sun_path, sizeof un.sun_path, "%s", address + 5);
		unlink(un.sun_path);
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, is_unix ? (struct sockaddr *)&un : (struct sockaddr *)&in,
		    is_unix ? sizeof un : sizeof in) < 0 ||
		listen(fd, 128) < 0)
		return -1;
	return fd;
}

static bool
load_tls(const char *cert, const char *key, const char *ca)
{
	if (!cert)
		return true;
	tls = SSL_CTX_new(TLS_server_method());
	if (SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
		SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
		return false;
	client_cert = ca != NULL;
	if (ca && SSL_CTX_load_verify_file(tls, ca) != 1)
		return false;
	if (ca)
		SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return true;
}

static int
usage(void)
{
	fputs("usage: fakesmtp [-s SCRIPT] [-c CERT -k KEY [-a CA] [-i]] [-u LOGIN:PASSWORD] "
	      "PORT|unix:PATH DIR\n",
		stderr);
	return 64;
}

int
main(int argc, char **argv)
{
	const char *cert = NULL, *key = NULL, *ca = NULL;
	char path[400];
	int opt, listener;

	while ((opt = getopt(argc, argv, "s:c:k:a:iu:")) != -1) {
		switch (opt) {
		case 's':
			script_path = optarg;
			break;
		case 'c':
			cert = optarg;
			break;
		case 'k':
			key = optarg;
			break;
		case 'a':
			ca = optarg;
			break;
		case 'i':
			implicit_tls = true;
			break;
		case 'u':
			login_wanted = optarg;
			break;
		default:
			return usage();
		}
	}
	if (argc - optind != 2 || !cert != !key || (implicit_tls && !cert))
		return usage();
	signal(SIGPIPE, SIG_IGN);
	folder = argv[optind + 1];
	snprintf(path, sizeof path, "%s/dialogue", folder);
	dialogue = fopen(path, "a");
	listener = listen_on(argv[optind]);
	if (!dialogue || listener < 0 || !load_tls(cert, key, ca)) {
		perror("fakesmtp");
		ERR_print_errors_fp(stderr);
		return 69;
	}
	for (;;) {
		struct session *s = calloc(1, sizeof *s);
		int one = 1;
		pthread_t thread;

		s->fd = accept(listener, NULL, NULL);
		/* replies to commands that came together must not wait for each other */
		(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (s->fd < 0 || pthread_create(&thread, NULL, serve, s) != 0)
			return 70;
		pthread_detach(thread);
	}
}
