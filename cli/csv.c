/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/csv.h"

#include <string.h>

enum rc
csv_cell(struct buf *out, const char *text, bool first, struct err *err)
{
	bool formula, quoted;
	enum rc rc = first ? RC_OK : buf_append_char(out, ',', err);

	text = text ? text : "";
	formula = *text && strchr("=+-@\t\r\n", *text);
	quoted = text[strcspn(text, ",\"\r\n")] != '\0';
	if (rc == RC_OK && quoted)
		rc = buf_append_char(out, '"', err);
	if (rc == RC_OK && formula)
		rc = buf_append_char(out, '\'', err);
	for (; rc == RC_OK && *text; text++) {
		if (*text == '"')
			rc = buf_append_char(out, '"', err);
		if (rc == RC_OK)
			rc = buf_append_char(out, *text, err);
	}
	return rc == RC_OK && quoted ? buf_append_char(out, '"', err) : rc;
}

enum rc
csv_end(struct buf *out, struct err *err)
{
	return buf_append_str(out, "\r\n", err);
}
