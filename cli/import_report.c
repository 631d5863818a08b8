/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/import_report.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BAR_MS    100
#define BAR_WIDTH 30
#define STEP      1000 /* files between two lines where there is no terminal */

static const char *const names[RESULTS] = {"imported", "known", "held", "skipped", "failed"};

enum rc
import_report_open(
	struct import_report *report, const char *path, bool json, size_t total, struct err *err)
{
	int fd;

	*report = (struct import_report){.json = json, .total = total};
	report->terminal = isatty(STDERR_FILENO);
	if (!path)
		return RC_OK;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	report->file = fd < 0 ? NULL : fdopen(fd, "w");
	if (report->file)
		return RC_OK;
	err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return RC_TEMP;
}

static void
clear_bar(const struct import_report *report)
{
	if (report->terminal && report->shown)
		fputs("\r\033[K", stderr);
}

static void
draw_bar(const struct import_report *report)
{
	char bar[BAR_WIDTH + 1];
	size_t full = report->total ? report->done * BAR_WIDTH / report->total : BAR_WIDTH;

	for (size_t i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < full ? '#' : '.';
	bar[BAR_WIDTH] = 0;
	fprintf(stderr, "\r[%s] %zu of %zu, %zu failed\033[K", bar, report->done, report->total,
		report->counts[RESULT_FAILED]);
}

void
import_report_step(struct import_report *report)
{
	int64_t now = clock_monotonic_ms();

	report->done++;
	if (report->terminal && (now - report->shown >= BAR_MS || report->done == report->total)) {
		report->shown = now;
		draw_bar(report);
	} else if (!report->terminal && report->done % STEP == 0) {
		fprintf(stderr, "sealgate: %zu of %zu files\n", report->done, report->total);
	}
}

static void
put_json(FILE *to, const struct import_line *line)
{
	struct buf text = BUF_INIT(65536);
	struct json json;

	json_init(&json, &text);
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	json_str(&json, "outcome", names[line->result]);
	json_str(&json, "file", line->file);
	json_str(&json, "address", line->address);
	json_str(&json, "key", line->key);
	json_str(&json, "purpose", line->purpose);
	json_str(&json, "status", line->status);
	json_str(&json, "held", line->held);
	json_str(&json, "error", line->error);
	json_str(&json, "detail", line->detail);
	json_object_end(&json);
	if (json_end(&json, NULL) == RC_OK)
		fprintf(to, "%s\n", buf_text(&text));
	buf_fini(&text);
}

static const char *
or_dash(const char *text)
{
	return text && *text ? text : "-";
}

void
import_report_put(struct import_report *report, const struct import_line *line)
{
	FILE *to = report->file ? report->file : stdout;
	const char *id = line->key ? line->key : line->held;

	report->counts[line->result]++;
	if (to == stdout)
		clear_bar(report);
	if (report->json)
		put_json(to, line);
	else if (report->file)
		fprintf(to, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", names[line->result], line->file,
			line->address ? line->address : "", id ? id : "",
			line->purpose ? line->purpose : "", line->status ? line->status : "",
			line->detail ? line->detail : "");
	else
		fprintf(to, "%-8s  %s  %s  %s  %s%s%s%s%s\n", names[line->result], line->file,
			or_dash(line->address), or_dash(id), line->purpose ? line->purpose : "",
			line->status ? " " : "", line->status ? line->status : "",
			line->detail && *line->detail ? "  " : "",
			line->detail ? line->detail : "");
	/* What is in is in the report too, whatever ends us. */
	if (fflush(to) || ferror(to))
		report->broken = true;
}

static void
put_counts(const struct import_report *report, bool interrupted, FILE *to)
{
	struct buf text = BUF_INIT(4096);
	struct json json;

	json_init(&json, &text);
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	json_object(&json, "summary");
	json_int(&json, "files", (int64_t)report->total);
	json_int(&json, "done", (int64_t)report->done);
	for (int i = 0; i < RESULTS; i++)
		json_int(&json, names[i], (int64_t)report->counts[i]);
	if (interrupted)
		json_bool(&json, "interrupted", true);
	json_object_end(&json);
	json_object_end(&json);
	if (json_end(&json, NULL) == RC_OK)
		fprintf(to, "%s\n", buf_text(&text));
	buf_fini(&text);
}

enum rc
import_report_close(struct import_report *report, bool interrupted, struct err *err)
{
	FILE *to = report->file ? report->file : stdout;
	bool broken = report->broken;

	clear_bar(report);
	if (report->json)
		put_counts(report, interrupted, to);
	fprintf(stderr,
		"sealgate: %zu of %zu files: %zu imported, %zu known already, %zu held, %zu "
		"skipped, %zu failed\n",
		report->done, report->total, report->counts[RESULT_IMPORTED],
		report->counts[RESULT_KNOWN], report->counts[RESULT_HELD],
		report->counts[RESULT_SKIPPED], report->counts[RESULT_FAILED]);
	if (report->file)
		broken = fclose(report->file) != 0 || broken;
	else
		broken = fflush(stdout) != 0 || ferror(stdout) || broken;
	report->file = NULL;
	return broken ? err_set(err, ERR_FILE, "the report could not be written") : RC_OK;
}
