/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/addrmap.h"

#include "base/file.h"

#include <string.h>

#define LIST_MAP_MAX (32u << 20)

enum rc
addrmap_load(struct addrmap *map, const char *path, const char *option, struct err *err)
{
	struct buf text = BUF_INIT(LIST_MAP_MAX);
	char *next, *line;
	int number = 0;
	enum rc rc = file_read(path, &text, err);

	if (rc == RC_NONE)
		rc = err_set(err, ERR_CONFIG, "%s: %s is not there", path, option);
	next = rc == RC_OK && text.len ? text.data : NULL;
	while (rc == RC_OK && (line = strsep(&next, "\n"))) {
		struct err why = ERR_INIT;

		number++;
		line += strspn(line, " \t");
		line[strcspn(line, " \t\r")] = '\0';
		if (!*line || *line == '#')
			continue;
		rc = addrmap_put(map, line, 0, &why);
		if (rc == RC_PERM)
			rc = err_set(err, ERR_CONFIG, "%s:%d: %s", path, number, why.detail);
		else if (rc != RC_OK && err)
			*err = why;
	}
	buf_fini(&text);
	return rc;
}
