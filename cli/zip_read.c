/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/zip_read.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

struct zip_read {
	zip_t *zip;
	size_t n;
};

bool
zip_read_is(const char *path)
{
	unsigned char head[4];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool is = fd >= 0 && read(fd, head, 4) == 4 &&
		  (memcmp(head, "PK\3\4", 4) == 0 || memcmp(head, "PK\5\6", 4) == 0);

	if (fd >= 0)
		close(fd);
	return is;
}

/* Takes ZIP, or says what CODE of libzip means. */
static enum rc
take(zip_t *zip, const zip_error_t *why, struct zip_read **out, struct err *err)
{
	zip_int64_t n = zip ? zip_get_num_entries(zip, 0) : 0;

	*out = NULL;
	if (!zip && zip_error_code_zip(why) == ZIP_ER_MEMORY)
		return err_set(err, ERR_MEMORY, "ZIP archive");
	if (!zip)
		return err_set(err, ERR_USAGE, "the ZIP archive cannot be read: %s",
			zip_error_strerror((zip_error_t *)why));
	if (n < 0 || n > ZIP_ENTRIES_MAX) {
		zip_discard(zip);
		return err_set(
			err, ERR_LIMIT, "a ZIP archive of more than %u entries", ZIP_ENTRIES_MAX);
	}
	*out = calloc(1, sizeof(**out));
	if (!*out) {
		zip_discard(zip);
		return err_set(err, ERR_MEMORY, "ZIP archive");
	}
	(*out)->zip = zip;
	(*out)->n = (size_t)n;
	return RC_OK;
}

static enum rc
open_source(zip_source_t *source, zip_error_t *why, struct zip_read **out, struct err *err)
{
	zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, why) : NULL;
	enum rc rc;

	if (!zip && source)
		zip_source_free(source); /* else it is the archive's */
	rc = take(zip, why, out, err);
	zip_error_fini(why);
	return rc;
}

enum rc
zip_read_open(const char *path, struct zip_read **out, struct err *err)
{
	zip_error_t why;

	zip_error_init(&why);
	return open_source(zip_source_file_create(path, 0, -1, &why), &why, out, err);
}

enum rc
zip_read_memory(const void *data, size_t len, struct zip_read **out, struct err *err)
{
	zip_error_t why;

	zip_error_init(&why);
	return open_source(zip_source_buffer_create(data, len, 0, &why), &why, out, err);
}

void
zip_read_close(struct zip_read **zip)
{
	if (*zip)
		zip_discard((*zip)->zip);
	free(*zip);
	*zip = NULL;
}

size_t
zip_read_count(const struct zip_read *zip)
{
	return zip->n;
}

const char *
zip_read_name(struct zip_read *zip, size_t i)
{
	return zip_get_name(zip->zip, i, ZIP_FL_ENC_RAW);
}

/* What the directory of the archive says; reading checks that it is true. */
static enum rc
check_entry(struct zip_read *zip, size_t i, size_t max, zip_stat_t *st, struct err *err)
{
	const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_ENCRYPTION_METHOD;

	zip_stat_init(st);
	if (zip_stat_index(zip->zip, i, 0, st) || (st->valid & needed) != needed)
		return err_set(err, ERR_USAGE, "a damaged entry of the ZIP archive");
	if (st->encryption_method != ZIP_EM_NONE)
		return err_set(err, ERR_USAGE,
			"the ZIP archive itself has a password: unpack it to a folder of your own");
	if (st->size > max)
		return err_set(err, ERR_LIMIT, "it has more than %zu bytes", max);
	if (st->size > ZIP_RATIO_FROM && st->size / ZIP_RATIO_MAX > st->comp_size)
		return err_set(
			err, ERR_LIMIT, "it is compressed more than %u times", ZIP_RATIO_MAX);
	return RC_OK;
}

enum rc
zip_read_entry(struct zip_read *zip, size_t i, size_t max, struct secret **out, struct err *err)
{
	zip_file_t *file;
	zip_int64_t got = 0;
	zip_stat_t st;
	char more;
	enum rc rc = check_entry(zip, i, max, &st, err);

	*out = NULL;
	if (rc == RC_OK)
		rc = secret_new((size_t)st.size, out, err);
	if (rc != RC_OK)
		return rc;
	file = zip_fopen_index(zip->zip, i, 0);
	if (file && st.size)
		got = zip_fread(file, secret_data(*out), st.size);
	/* One byte more would be more than was said; the end checks the CRC. */
	if (!file || got < 0 || (zip_uint64_t)got != st.size || zip_fread(file, &more, 1) != 0)
		rc = err_set(err, ERR_USAGE, "a damaged entry of the ZIP archive");
	if (file && zip_fclose(file) && rc == RC_OK)
		rc = err_set(err, ERR_USAGE, "a damaged entry of the ZIP archive");
	if (rc != RC_OK)
		secret_free(out);
	return rc;
}
