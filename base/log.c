/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include "base/clock.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096
#define IDENT_SIZE     64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the four below */
static bool to_syslog;
static char ident[IDENT_SIZE] = "sealgate";
static enum log_level least = LOGL_INFO;

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
	bool to_syslog;
	char ident[IDENT_SIZE];
};

void
log_open(const char *name, bool to_stderr)
{
	pthread_mutex_lock(&lock);
	snprintf(ident, sizeof ident, "%s", name);
	to_syslog = !to_stderr;
	if (to_syslog)
		openlog(ident, LOG_PID | LOG_NDELAY, LOG_MAIL);
	pthread_mutex_unlock(&lock);
}

void
log_set_level(enum log_level level)
{
	pthread_mutex_lock(&lock);
	least = level;
	pthread_mutex_unlock(&lock);
}

const char *
log_number(char out[24], long long n)
{
	snprintf(out, 24, "%lld", n);
	return out;
}

/* Appends as much of TEXT as fits. */
static void
line_add(struct line *line, const char *text, size_t len)
{
	size_t room = sizeof line->text - 1 - line->len;

	if (len > room)
		len = room;
	memcpy(line->text + line->len, text, len);
	line->len += len;
	line->text[line->len] = '\0';
}

/* Can VALUE stand without quotes? */
static bool
is_bare(const char *value)
{
	if (!*value)
		return false;
	for (const unsigned char *p = (const unsigned char *)value; *p; p++)
		if (*p <= ' ' || *p >= 127 || *p == '"' || *p == '\\' || *p == '=')
			return false;
	return true;
}

/* Appends " KEY=VALUE", quoted where needed. */
static void
line_pair(struct line *line, const char *key, const char *value)
{
	char hex[8];
	size_t n = 0;

	if (line->len)
		line_add(line, " ", 1);
	line_add(line, key, strlen(key));
	line_add(line, "=", 1);
	if (is_bare(value) && strlen(value) <= LOG_VALUE_MAX) {
		line_add(line, value, strlen(value));
		return;
	}
	line_add(line, "\"", 1);
	for (const unsigned char *p = (const unsigned char *)value; *p && n < LOG_VALUE_MAX;
		p++, n++) {
		if (*p == '"' || *p == '\\') {
			hex[0] = '\\';
			hex[1] = (char)*p;
			line_add(line, hex, 2);
		} else if (*p < ' ' || *p >= 127) {
			line_add(line, hex, (size_t)snprintf(hex, sizeof hex, "\\x%02x", *p));
		} else {
			line_add(line, (const char *)p, 1);
		}
	}
	line_add(line, n == LOG_VALUE_MAX ? "…\"" : "\"", n == LOG_VALUE_MAX ? strlen("…\"") : 1);
}

/* Writes the finished line; a line on standard error goes out in one write. */
static void
line_write(struct line *line, enum log_level level)
{
	char stamp[CLOCK_TEXT_SIZE], out[LINE_MAX_BYTES + 160];
	int n;

	size_t len;

	if (line->to_syslog) {
		syslog(priorities[level], "%s", line->text);
		return;
	}
	n = snprintf(out, sizeof out, "%s %s[%ld]: %s %s\n", clock_format_us(clock_now_us(), stamp),
		line->ident, (long)getpid(), level_names[level], line->text);
	len = n <= 0 ? 0 : (size_t)n < sizeof out ? (size_t)n : sizeof out - 1;
	/* A pipe takes so much as one piece; only of longer lines each must wait for the other. */
	if (len > PIPE_BUF)
		pthread_mutex_lock(&lock);
	if (len > 0 && write(STDERR_FILENO, out, len) < 0) {
		/* Nobody is left to be told. */
	}
	if (len > PIPE_BUF)
		pthread_mutex_unlock(&lock);
}

/* The pairs of one call; false when the level is not logged. */
static bool
line_begin(struct line *line, enum log_level level, const char *qid, const char *event, va_list ap)
{
	const char *key;

	pthread_mutex_lock(&lock);
	if (level > least) {
		pthread_mutex_unlock(&lock);
		return false;
	}
	line->to_syslog = to_syslog;
	memcpy(line->ident, ident, sizeof line->ident);
	pthread_mutex_unlock(&lock);
	line->len = 0;
	line->text[0] = '\0';
	if (qid && *qid)
		line_pair(line, "qid", qid);
	line_pair(line, "event", event);
	while ((key = va_arg(ap, const char *)) != NULL) {
		const char *value = va_arg(ap, const char *);

		if (value)
			line_pair(line, key, value);
	}
	return true;
}

void
log_event(enum log_level level, const char *qid, const char *event, ...)
{
	struct line line;
	va_list ap;
	bool wanted;

	va_start(ap, event);
	wanted = line_begin(&line, level, qid, event, ap);
	va_end(ap);
	if (wanted)
		line_write(&line, level);
}

void
log_error(enum log_level level, const char *qid, const char *event, const struct err *err, ...)
{
	struct line line;
	va_list ap;
	bool wanted;

	va_start(ap, err);
	wanted = line_begin(&line, level, qid, event, ap);
	va_end(ap);
	if (!wanted)
		return;
	line_pair(&line, "error", err_name(err->code));
	line_pair(&line, "detail", err->detail);
	line_write(&line, level);
}
