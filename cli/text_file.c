/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/text_file.h"

#include "message/charset.h"

#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Nobody but the owner may read what has PINs in it. A pipe is nobody else's. */
static enum rc
check_mode(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	if (S_ISREG(st.st_mode) && (st.st_mode & 077))
		return err_set(err, ERR_USAGE,
			"%s: mode %04o lets others read the PINs: chmod 600 it first", path,
			(unsigned)st.st_mode & 07777);
	return RC_OK;
}

/* Everything, into pages that are not swapped: first as much as a small file has. */
static enum rc
read_all(int fd, const char *path, struct secret **out, struct err *err)
{
	size_t room = 65536, len = 0;
	ssize_t n = 1;
	enum rc rc = secret_new(room, out, err);

	while (rc == RC_OK && n > 0) {
		if (len == room) {
			struct secret *more = NULL;

			if (room >= TEXT_FILE_MAX)
				return err_set(err, ERR_LIMIT, "%s: more than %u bytes", path,
					TEXT_FILE_MAX);
			rc = secret_new(4 * room, &more, err);
			if (rc != RC_OK)
				return rc;
			memcpy(secret_data(more), secret_data(*out), len);
			secret_free(out);
			*out = more;
			room *= 4;
		}
		n = read(fd, secret_data(*out) + len, room - len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
		else
			len += (size_t)n;
	}
	if (rc == RC_OK)
		secret_truncate(*out, len);
	return rc;
}

static enum rc
read_file(const char *path, bool secret, struct secret **out, struct err *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	enum rc rc = RC_OK;

	*out = NULL;
	if (fd < 0)
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	if (secret)
		rc = check_mode(fd, path, err);
	if (rc == RC_OK)
		rc = read_all(fd, path, out, err);
	if (!is_stdin)
		close(fd);
	if (rc != RC_OK)
		secret_free(out);
	return rc;
}

enum rc
text_file_read(const char *path, bool secret, struct secret **out, struct err *err)
{
	struct secret *bytes = NULL;
	enum rc rc = read_file(path, secret, &bytes, err);

	*out = NULL;
	if (rc != RC_OK)
		return rc;
	rc = text_decode(secret_data(bytes), secret_len(bytes), out, err);
	if (rc == RC_PERM)
		err_prefix(err, "%s", path);
	secret_free(&bytes);
	return rc;
}

/* Does it begin with a byte order mark, of UTF-8 or UTF-16? */
static bool
has_mark(struct secret *text)
{
	const unsigned char *p = secret_data(text);
	size_t len = secret_len(text);

	return (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) ||
	       (len >= 2 && (memcmp(p, "\xff\xfe", 2) == 0 || memcmp(p, "\xfe\xff", 2) == 0));
}

enum rc
text_file_bytes(const char *path, bool secret, struct secret **out, struct err *err)
{
	struct secret *bytes = NULL;
	enum rc rc = read_file(path, secret, &bytes, err);

	*out = bytes;
	if (rc != RC_OK || !has_mark(bytes))
		return rc;
	rc = text_decode(secret_data(bytes), secret_len(bytes), out, err);
	if (rc == RC_PERM)
		err_prefix(err, "%s", path);
	secret_free(&bytes);
	return rc;
}

/* The line of the byte at AT. */
static size_t
line_of(const char *data, const char *at)
{
	size_t n = 1;

	for (; data < at; data++)
		n += *data == '\n';
	return n;
}

static enum rc
convert(const char *charset, const char *data, size_t len, struct secret **out, struct err *err)
{
	char *in = (char *)data, *to; /* iconv does not write to it */
	size_t left = len, room = 3 * len + 4;
	iconv_t cd = iconv_open("UTF-8", charset);
	enum rc rc;

	if (cd == (iconv_t)-1)
		return err_set(err, ERR_SYSTEM, "this system cannot read %s", charset);
	rc = secret_new(room, out, err);
	if (rc == RC_OK) {
		to = (char *)secret_data(*out);
		if (iconv(cd, &in, &left, &to, &room) == (size_t)-1)
			rc = err_set(err, ERR_USAGE, "line %zu is neither UTF-8 nor %s",
				line_of(data, in), charset);
		else
			secret_truncate(*out, (size_t)(to - (char *)secret_data(*out)));
	}
	iconv_close(cd);
	if (rc != RC_OK)
		secret_free(out);
	return rc;
}

enum rc
text_decode(const void *data, size_t len, struct secret **out, struct err *err)
{
	const char *p = data;
	enum rc rc;

	*out = NULL;
	if (len >= 2 && (memcmp(p, "\xff\xfe", 2) == 0 || memcmp(p, "\xfe\xff", 2) == 0)) {
		rc = convert("UTF-16", p, len, out, err);
	} else {
		if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
			p += 3;
			len -= 3;
		}
		rc = utf8_is_valid(p, len) ? secret_copy(p, len, out, err)
					   : convert("CP932", p, len, out, err);
	}
	if (rc == RC_OK && memchr(secret_data(*out), 0, secret_len(*out))) {
		secret_free(out);
		rc = err_set(err, ERR_USAGE, "there is a NUL in it: it is no text");
	}
	return rc;
}

void
text_lines_init(struct text_lines *lines, struct secret *text)
{
	lines->at = (char *)secret_data(text);
	lines->end = lines->at + secret_len(text);
	lines->number = 0;
}

/* A secret has a zero behind its last byte, so the last line ends too. */
char *
text_lines_next(struct text_lines *lines)
{
	char *line = lines->at, *lf;

	if (line >= lines->end || lines->number >= TEXT_LINES_MAX)
		return NULL;
	lf = memchr(line, '\n', (size_t)(lines->end - line));
	lines->at = lf ? lf + 1 : lines->end;
	if (!lf)
		lf = lines->end;
	*lf = 0;
	if (lf > line && lf[-1] == '\r')
		lf[-1] = 0;
	lines->number++;
	return line;
}

enum rc
text_split(char *line, char *fields[TEXT_FIELDS_MAX], size_t *n, struct err *err)
{
	*n = 0;
	for (;;) {
		if (*n == TEXT_FIELDS_MAX)
			return err_set(err, ERR_LIMIT, "more than %u fields", TEXT_FIELDS_MAX);
		fields[(*n)++] = line;
		line = strchr(line, '\t');
		if (!line)
			return RC_OK;
		*line++ = 0;
	}
}
