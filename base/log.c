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
#define PREFIX_MAX     160 /* time, name, process and level */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the four below */
static bool to_syslog;
static char ident[IDENT_SIZE] = "sealgate";
static enum log_level least = LOGL_INFO;

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

struct line {
	char text[PREFIX_MAX + LINE_MAX_BYTES + 1];
	size_t len;
	size_t pairs; /* where they begin: behind what syslog would add itself */
	bool to_syslog;
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
	unsigned long long left = n < 0 ? 0 - (unsigned long long)n : (unsigned long long)n;
	char *p = out + 23;

	*p = '\0';
	do
		*--p = (char)('0' + left % 10);
	while (left /= 10);
	if (n < 0)
		*--p = '-';
	return p;
}

/* Appends as much of TEXT as fits. */
static void
line_add(struct line *line, const char *text, size_t len)
{
	size_t room = line->pairs + LINE_MAX_BYTES - 1 - line->len;

	if (len > room)
		len = room;
	memcpy(line->text + line->len, text, len);
	line->len += len;
	line->text[line->len] = '\0';
}

static void
line_add_str(struct line *line, const char *text)
{
	line_add(line, text, strlen(text));
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

	if (line->len > line->pairs)
		line_add_str(line, " ");
	line_add_str(line, key);
	line_add_str(line, "=");
	if (is_bare(value) && strlen(value) <= LOG_VALUE_MAX) {
		line_add_str(line, value);
		return;
	}
	line_add_str(line, "\"");
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
	line_add_str(line, n == LOG_VALUE_MAX ? "…\"" : "\"");
}

/* What syslog would write before the text. */
static void
line_prefix(struct line *line, enum log_level level, const char *name)
{
	char stamp[CLOCK_TEXT_SIZE];

	line_add_str(line, clock_format_us(clock_now_us(), stamp));
	line_add_str(line, " ");
	line_add_str(line, name);
	line_add_str(line, "[");
	line_add_str(line, LOG_NUM(getpid()));
	line_add_str(line, "]: ");
	line_add_str(line, level_names[level]);
	line_add_str(line, " ");
	line->pairs = line->len;
}

/* Writes the finished line; a line on standard error goes out in one write. */
static void
line_write(struct line *line, enum log_level level)
{
	if (line->to_syslog) {
		syslog(priorities[level], "%s", line->text);
		return;
	}
	line->text[line->len++] = '\n';
	/* A pipe takes so much as one piece; only of longer lines each must wait for the other. */
	if (line->len > PIPE_BUF)
		pthread_mutex_lock(&lock);
	if (write(STDERR_FILENO, line->text, line->len) < 0) {
		/* Nobody is left to be told. */
	}
	if (line->len > PIPE_BUF)
		pthread_mutex_unlock(&lock);
}

/* The pairs of one call; false when the level is not logged. */
static bool
line_begin(struct line *line, enum log_level level, const char *qid, const char *event, va_list ap)
{
	char name[IDENT_SIZE];
	const char *key;

	pthread_mutex_lock(&lock);
	if (level > least) {
		pthread_mutex_unlock(&lock);
		return false;
	}
	line->to_syslog = to_syslog;
	memcpy(name, ident, sizeof name);
	pthread_mutex_unlock(&lock);
	line->len = line->pairs = 0;
	line->text[0] = '\0';
	if (!line->to_syslog)
		line_prefix(line, level, name);
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
