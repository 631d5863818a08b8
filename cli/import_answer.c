/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * import_answer.c - what the vault says of a file that it took, for people
 */
#include "cli/import_run.h"
#include "cli/key.h"

#include <stdio.h>
#include <string.h>

/* "expired on …: it only opens; its certificate names no address" */
static void
join_notes(const struct json_value *notes, char *out, size_t size)
{
	size_t len = 0;

	out[0] = 0;
	for (size_t i = 0; notes && i < json_count(notes) && len < size; i++)
		len += (size_t)snprintf(out + len, size - len, "%s%s", len ? "; " : "",
			json_text(json_at(notes, i)));
}

/* A line for each key that the file brought. */
void
import_report_answer(
	struct import_report *report, const char *name, const struct json_value *answer)
{
	const struct json_value *imports = json_find(answer, "imports");

	for (size_t i = 0; imports && i < json_count(imports); i++) {
		const struct json_value *one = json_at(imports, i);
		const char *outcome = json_get_text(one, "outcome");
		char notes[512];
		struct import_line line = {.file = name,
			.address = json_get_text(one, "address"),
			.key = json_get_text(one, "key"),
			.purpose = json_get_text(one, "purpose"),
			.status = json_get_text(one, "status"),
			.detail = notes};

		line.result = !outcome || strcmp(outcome, "skipped") == 0 ? RESULT_SKIPPED
			      : strcmp(outcome, "failed") == 0            ? RESULT_FAILED
			      : strcmp(outcome, "known") == 0             ? RESULT_KNOWN
									  : RESULT_IMPORTED;
		join_notes(json_find(one, "notes"), notes, sizeof(notes));
		import_report_put(report, &line);
	}
}

/* What whoever imports should know, and what was left out. */
static int
tell_notes(const char *path, const struct json_value *answer)
{
	const struct json_value *imports = json_find(answer, "imports");
	bool taken = false, failed = false;

	for (size_t i = 0; imports && i < json_count(imports); i++) {
		const struct json_value *one = json_at(imports, i),
					*notes = json_find(one, "notes");
		const char *outcome = json_get_text(one, "outcome");
		bool skipped = outcome && strcmp(outcome, "skipped") == 0;
		bool lost = outcome && strcmp(outcome, "failed") == 0;

		taken = taken || !(skipped || lost);
		failed = failed || lost;
		for (size_t k = 0; notes && k < json_count(notes); k++)
			fprintf(stderr, "sealgate: %s: %s%s\n", path,
				skipped ? "skipped: "
				: lost  ? "left out: "
					: "",
				json_text(json_at(notes, k)));
	}
	return taken && !failed ? EX_OK : EX_DATAERR;
}

int
import_tell(const struct cli *cli, const char *name, const struct json_value *answer)
{
	int status = tell_notes(name, answer);

	(void)key_print(cli, answer);
	return status;
}
