/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024u

/* One line of the terminal, byte by byte, so that no buffer of the C library keeps it. */
static enum rc
read_line(struct secret *line, struct err *err)
{
	unsigned char *p = secret_data(line);
	size_t len = 0;
	ssize_t n;

	while ((n = read(STDIN_FILENO, p + len, 1)) == 1 && p[len] != '\n')
		if (++len == secret_len(line))
			return err_set(err, ERR_LIMIT, "a password of more than %u bytes",
				LINE_MAX_BYTES - 1);
	if (n < 0)
		return err_set(err, ERR_KEY_PASSWORD, "no password: %s", strerror(errno));
	if (n == 0 && len == 0)
		return err_set(err, ERR_KEY_PASSWORD, "no password");
	if (len && p[len - 1] == '\r')
		len--;
	secret_truncate(line, len);
	return RC_OK;
}

enum rc
ask_secret(const char *name, const char *what, struct secret **out, struct err *err)
{
	struct termios old, quiet;
	bool echo_off = tcgetattr(STDIN_FILENO, &old) == 0;
	enum rc rc = secret_new(LINE_MAX_BYTES, out, err);

	if (rc != RC_OK)
		return rc;
	if (echo_off) {
		fprintf(stderr, "%s of %s: ", what, name);
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	rc = read_line(*out, err);
	if (echo_off) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
		fputc('\n', stderr);
	}
	if (rc != RC_OK)
		secret_free(out);
	return rc;
}
