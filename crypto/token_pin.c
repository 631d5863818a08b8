/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/token_pin.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIN_MAX 256

static token_prompt *ask;

void
tokens_set_prompt(token_prompt *prompt)
{
	ask = prompt;
}

/* The one line of a PIN file. */
static enum rc
read_pin_file(const char *path, bool credential, uid_t owner, struct secret **out, struct err *err)
{
	struct buf text = {.max = PIN_MAX, .wipe = true};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	enum rc rc = RC_OK;

	if (fd < 0 || fstat(fd, &st))
		rc = err_set(err, ERR_TOKEN, "PIN %s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode) ||
		 (st.st_uid != geteuid() && st.st_uid != 0 && st.st_uid != owner) ||
		 (!credential && (st.st_mode & 07377)))
		rc = err_set(err, ERR_CONFIG,
			"PIN %s: must be a plain file of mode 0400 of ours or root's", path);
	if (!rc)
		rc = file_read_fd(fd, path, &text, err);
	if (fd >= 0)
		close(fd);
	while (text.len && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
		text.len--;
	if (!rc && (text.len == 0 || memchr(text.data, '\n', text.len)))
		rc = err_set(err, ERR_CONFIG, "PIN %s: is not one line", path);
	if (!rc)
		rc = secret_copy(text.data, text.len, out, err);
	buf_fini(&text);
	return rc;
}

enum rc
token_read_pin(const struct conf *conf, const char *name, const char *spec, uid_t owner,
	struct secret **out, struct err *err)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char *path = NULL, text[80];
	bool credential = strncmp(spec, "credential:", 11) == 0;
	enum rc rc;

	*out = NULL;
	if (strcmp(spec, "ask") == 0) {
		snprintf(text, sizeof(text), "PIN of token %s: ", name);
		return ask ? ask(text, out, err)
			   : err_set(err, ERR_TOKEN, "nobody to ask for the PIN of token %s", name);
	}
	if (credential)
		path = dir && spec[11] && !strchr(spec + 11, '/') ? file_join(dir, spec + 11)
								  : NULL;
	else if (strncmp(spec, "file:", 5) == 0 && spec[5])
		path = conf_absolute(conf, spec + 5);
	rc = path ? read_pin_file(path, credential, owner, out, err)
		  : err_set(err, ERR_CONFIG,
			    "tokens.pin: \"%s\" is none of file:PATH, credential:NAME, ask", spec);
	free(path);
	return rc;
}
