/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/flow/web.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define REQUEST_MAX 16384

static char folder[1024];
static int listening = -1;
static atomic_bool stopping;
static atomic_int connections;
static pthread_t acceptor;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

struct page {
	char *data;
	size_t len;
	char etag[64];
};

static bool
say(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0 || atomic_load(&stopping))
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool
say_text(int fd, const char *text)
{
	return say(fd, text, strlen(text));
}

/* Waits a moment; false when the server stops or the peer is gone. */
static bool
rest(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char c;

	if (atomic_load(&stopping))
		return false;
	if (poll(&p, 1, ms) > 0 && recv(fd, &c, 1, MSG_PEEK) <= 0)
		return false;
	return !atomic_load(&stopping);
}

static bool
read_page(const char *name, struct page *page)
{
	char path[2048];
	struct stat st;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%.900s", folder, name);
	f = strstr(name, "..") ? NULL : fopen(path, "rb");
	if (!f)
		return false;
	if (fstat(fileno(f), &st) == 0 && (page->data = malloc((size_t)st.st_size + 1)))
		page->len = fread(page->data, 1, (size_t)st.st_size, f);
	fclose(f);
	snprintf(page->etag, sizeof(page->etag), "\"%zx-%llx\"", page->len,
		(unsigned long long)st.st_mtim.tv_nsec);
	return page->data != NULL;
}

static void
say_page(int fd, const char *how, const struct page *page, const char *request)
{
	char head[512];
	size_t step = strcmp(how, "drip") == 0 ? 1 : strcmp(how, "half") == 0 ? 10 : 1000;

	if (strstr(request, page->etag)) {
		say_text(fd, "HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n");
		return;
	}
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nETag: %s\r\n%s", page->etag,
		strcmp(how, "gzip") == 0 ? "Content-Encoding: gzip\r\n" : "");
	if (!say_text(fd, head))
		return;
	if (strcmp(how, "chunked") != 0)
		snprintf(head, sizeof(head), "Content-Length: %zu\r\n\r\n", page->len);
	else
		snprintf(head, sizeof(head), "Transfer-Encoding: chunked\r\n\r\n");
	say_text(fd, head);
	for (size_t at = 0; at < page->len; at += step) {
		size_t n = page->len - at < step ? page->len - at : step;

		if (strcmp(how, "half") == 0 && at >= page->len / 2)
			return;
		snprintf(head, sizeof(head), "%zx\r\n", n);
		if (strcmp(how, "chunked") == 0 && !say_text(fd, head))
			return;
		if (!say(fd, page->data + at, n))
			return;
		if (strcmp(how, "chunked") == 0 && !say_text(fd, "\r\n"))
			return;
		if (strcmp(how, "drip") == 0 && !rest(fd, 50))
			return;
	}
	if (strcmp(how, "chunked") == 0)
		say_text(fd, "0\r\n\r\n");
}

/* Answers that are no page. */
static void
misbehave(int fd, const char *how, const char *what)
{
	static const char zeros[4096];
	char text[2048];

	if (strcmp(how, "status") == 0) {
		snprintf(text, sizeof(text), "HTTP/1.1 %d Told\r\nContent-Length: 0\r\n\r\n",
			atoi(what));
	} else if (strcmp(how, "retry") == 0) {
		snprintf(text, sizeof(text),
			"HTTP/1.1 429 Slow Down\r\nRetry-After: %d\r\nContent-Length: 0\r\n\r\n",
			atoi(what));
	} else if (strcmp(how, "loop") == 0 || strcmp(how, "to") == 0) {
		snprintf(text, sizeof(text),
			"HTTP/1.1 302 There\r\nLocation: %.1500s\r\nContent-Length: 0\r\n\r\n",
			strcmp(how, "to") == 0 ? what : "/loop");
	} else if (strcmp(how, "length") == 0) {
		snprintf(text, sizeof(text),
			"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
	} else if (strcmp(how, "huge") == 0) {
		say_text(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
		while (say(fd, zeros, sizeof(zeros)))
			;
		return;
	} else if (strcmp(how, "headers") == 0) {
		say_text(fd, "HTTP/1.1 200 OK\r\n");
		while (say_text(fd, "X-More: and more and more and more and more\r\n"))
			;
		return;
	} else if (strcmp(how, "silent") == 0) {
		while (rest(fd, 100))
			;
		return;
	} else {
		snprintf(text, sizeof(text), "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	}
	say_text(fd, text);
}

static void
note(const char *line, bool conditional)
{
	char path[1100];
	FILE *f;

	snprintf(path, sizeof(path), "%s/requests", folder);
	pthread_mutex_lock(&log_lock);
	f = fopen(path, "a");
	if (f) {
		fprintf(f, "%s%s\n", line, conditional ? " conditional" : "");
		fclose(f);
	}
	pthread_mutex_unlock(&log_lock);
}

static void
serve(int fd)
{
	char request[REQUEST_MAX + 1], line[1600], *path, *how, *what, *end;
	struct page page = {0};
	size_t n = 0;

	while (n < REQUEST_MAX) {
		ssize_t got = recv(fd, request + n, REQUEST_MAX - n, 0);

		if (got <= 0)
			return;
		n += (size_t)got;
		request[n] = '\0';
		if (strstr(request, "\r\n\r\n"))
			break;
	}
	end = strstr(request, " HTTP/");
	path = strchr(request, ' ');
	if (!end || !path || path >= end || path[1] != '/')
		return;
	snprintf(line, sizeof(line), "%.*s", (int)(end - request), request);
	note(line, strcasestr(end, "\r\nIf-") != NULL);
	how = line + (path - request) + 2;
	what = strchr(how, '/');
	if (what)
		*what++ = '\0';
	if (what &&
		(strcmp(how, "file") == 0 || strcmp(how, "chunked") == 0 ||
			strcmp(how, "drip") == 0 || strcmp(how, "gzip") == 0 ||
			strcmp(how, "half") == 0) &&
		read_page(what, &page))
		say_page(fd, how, &page, end);
	else
		misbehave(fd, how, what ? what : "");
	free(page.data);
}

static void *
connection(void *arg)
{
	int fd = (int)(intptr_t)arg;

	serve(fd);
	close(fd);
	atomic_fetch_sub(&connections, 1);
	return NULL;
}

static void *
accept_all(void *arg)
{
	struct pollfd p = {.fd = listening, .events = POLLIN};

	(void)arg;
	while (!atomic_load(&stopping)) {
		pthread_attr_t attr;
		pthread_t thread;
		int fd;

		if (poll(&p, 1, 50) <= 0)
			continue;
		fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		atomic_fetch_add(&connections, 1);
		if (pthread_create(&thread, &attr, connection, (void *)(intptr_t)fd) != 0) {
			atomic_fetch_sub(&connections, 1);
			close(fd);
		}
		pthread_attr_destroy(&attr);
	}
	return NULL;
}

unsigned
web_start(const char *dir, unsigned port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	int on = 1;

	snprintf(folder, sizeof(folder), "%s", dir);
	atomic_store(&stopping, false);
	listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (listening < 0 || bind(listening, (struct sockaddr *)&in, sizeof(in)) != 0 ||
		listen(listening, 64) != 0 ||
		getsockname(listening, (struct sockaddr *)&in, &len) != 0 ||
		pthread_create(&acceptor, NULL, accept_all, NULL) != 0) {
		if (listening >= 0)
			close(listening);
		return 0;
	}
	return ntohs(in.sin_port);
}

void
web_stop(void)
{
	atomic_store(&stopping, true);
	pthread_join(acceptor, NULL);
	close(listening);
	while (atomic_load(&connections) > 0)
		usleep(10000);
}
