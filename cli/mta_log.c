/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "cli/mta_log.h"

#include "cli/logline.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What Postfix and Sendmail say of a message, behind its queue id. */
static const char *const sayings[] = {"client=", "message-id=", "from=<", "from=", "to=<",
	"to=", "ruleset=", "milter", "Milter", "removed",
	"resent-message-id=", "uid=", "clone:", "stat=", "done; ", "discard", "reject", "hold",
	"filter", "skipped", "sender non-delivery", "info:", "warning:", "enabling PIX",
	"replace:", "prepend:", "AUTH=", "authid=", "SYSERR", "sender "};

/* "4bXyZ1AbCdzQ", "5AM6XlwB012345", "3F2A81C0DE". */
static size_t
qid_length(const char *text)
{
	size_t len = 0;
	bool digit = false;

	while (isalnum((unsigned char)text[len])) {
		digit |= isdigit((unsigned char)text[len]) || islower((unsigned char)text[len]);
		len++;
	}
	/* NOQUEUE, NOUSER: words of the MTA */
	return len >= 5 && len < MTA_LOG_QID && (digit || len > 9) ? len : 0;
}

/* What stands behind "PROGRAM[PID]: ", or NULL. */
static char *
behind_program(char *line)
{
	char *p = strstr(line, "]: ");

	for (; p; p = strstr(p + 1, "]: ")) {
		char *digit = p;

		while (digit > line && isdigit((unsigned char)digit[-1]))
			digit--;
		if (digit < p && digit > line && digit[-1] == '[')
			return p + 3;
	}
	return NULL;
}

static void
parse_mta(const char *text, struct mta_log_line *out)
{
	size_t len = qid_length(text);
	const char *rest = text + len;
	bool known = false;

	if (!len || rest[0] != ':' || rest[1] != ' ')
		return;
	rest += 2;
	for (size_t i = 0; !known && i < sizeof(sayings) / sizeof(*sayings); i++)
		known = strncmp(rest, sayings[i], strlen(sayings[i])) == 0;
	if (!known)
		return;
	out->what = MTA_LOG_MTA;
	memcpy(out->qid, text, len);
	out->qid[len] = '\0';
	if (strncmp(rest, "to=", 3) == 0)
		out->sent = strstr(rest, ", status=sent") || strstr(rest, ", stat=Sent");
}

static void
parse_ours(char *line, int64_t now, struct mta_log_line *out)
{
	struct logline parsed;
	const char *qid, *event, *how;

	if (!logline_parse(line, now, &parsed))
		return;
	qid = logline_get(&parsed, "qid");
	event = logline_get(&parsed, "event");
	how = logline_get(&parsed, "how");
	out->what = MTA_LOG_OURS;
	out->time = parsed.time;
	if (qid && strlen(qid) < sizeof(out->qid))
		strcpy(out->qid, qid);
	out->notice = event && strcmp(event, "notice") == 0;
	out->key = event && logline_get(&parsed, "rcpt") &&
		   (strcmp(event, "opened") == 0 ||
			   (strcmp(event, "sealed") == 0 && how && strstr(how, "sign")));
}

void
mta_log_parse(char *line, int64_t now, struct mta_log_line *out)
{
	const char *text;

	*out = (struct mta_log_line){.what = MTA_LOG_OTHER, .time = -1};
	line[strcspn(line, "\r\n")] = '\0';
	if (strstr(line, "sealgate-milter["))
		parse_ours(line, now, out);
	if (out->what == MTA_LOG_OURS)
		return;
	text = behind_program(line);
	if (!text)
		return;
	out->what = MTA_LOG_PROGRAM;
	out->time = logline_time(line, now);
	parse_mta(text, out);
}

/* A line of any length; what is behind MTA_LOG_LINE is passed over. False: the end. */
static bool
next_line(FILE *file, char *line)
{
	size_t len;

	if (!fgets(line, MTA_LOG_LINE, file))
		return false;
	len = strlen(line);
	if (len + 1 == MTA_LOG_LINE && line[len - 1] != '\n')
		for (int c = getc(file); c != EOF && c != '\n'; c = getc(file))
			;
	return true;
}

static bool
is_compressed(const char *line)
{
	return memcmp(line, "\x1f\x8b", 2) == 0 || strncmp(line, "BZh", 3) == 0 ||
	       memcmp(line,
		       "\xfd"
		       "7z",
		       3) == 0;
}

/* What the lines of a log go through. */
struct reader {
	int64_t now;
	mta_log_each *each;
	void *ctx;
	uint64_t *lines; /* counted */
};

static enum rc
read_lines(const struct reader *r, FILE *file, const char *path, char *line, struct err *err)
{
	struct mta_log_line parsed;
	enum rc rc = RC_OK;
	bool first = true;

	while (rc == RC_OK && next_line(file, line)) {
		if (first && is_compressed(line))
			return err_set(err, ERR_USAGE,
				"%s is compressed: unpack it into a pipe and name it as -", path);
		first = false;
		if (++*r->lines > MTA_LOG_LINES)
			return err_set(err, ERR_LIMIT, "more than %u lines", MTA_LOG_LINES);
		mta_log_parse(line, r->now, &parsed);
		if (parsed.what != MTA_LOG_OTHER)
			rc = r->each(r->ctx, &parsed, err);
	}
	if (rc == RC_OK && ferror(file))
		rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	return rc;
}

enum rc
mta_log_read(const char *path, int64_t now, mta_log_each *each, void *ctx, uint64_t *lines,
	struct err *err)
{
	bool standard = strcmp(path, "-") == 0;
	FILE *file = standard ? stdin : fopen(path, "re");
	char *line = calloc(1, MTA_LOG_LINE);
	enum rc rc = RC_TEMP;

	if (!file)
		err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	else if (!line)
		err_set(err, ERR_MEMORY, "a log's line");
	else
		rc = read_lines(&(struct reader){now, each, ctx, lines}, file, path, line, err);
	if (file && !standard)
		fclose(file);
	free(line);
	return rc;
}
