/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * import_blob.c - how passwords and files travel to the vault: one byte of version, then two lists,
 * each a u16 count and for each element a u32 length and the bytes; big endian
 */
#include "keystore/import.h"

#include <string.h>

#include "keystore/admin.h"
#include "keystore/proto.h"

#define VERSION      2
#define BLOB_MAX     (PROTO_MAX_ADMIN - 65536u)
#define SECRET_LIMIT 4096u

static size_t
size_of(const struct admin_bytes *list, size_t n)
{
	size_t size = 2;

	for (size_t i = 0; i < n; i++)
		size += 4 + list[i].len;
	return size;
}

static unsigned char *
put_list(unsigned char *p, const struct admin_bytes *list, size_t n)
{
	*p++ = n >> 8 & 0xff;
	*p++ = n & 0xff;
	for (size_t i = 0; i < n; i++) {
		for (int shift = 24; shift >= 0; shift -= 8)
			*p++ = list[i].len >> shift & 0xff;
		if (list[i].len)
			memcpy(p, list[i].data, list[i].len);
		p += list[i].len;
	}
	return p;
}

enum rc
admin_pack(const struct admin_bytes *passwords, size_t n_passwords, const struct admin_bytes *files,
	size_t n_files, struct secret **blob, struct err *err)
{
	size_t size = 1;
	unsigned char *p;
	enum rc rc;

	*blob = NULL;
	if (n_passwords > IMPORT_PASSWORDS || n_files > IMPORT_FILES + 1)
		return err_set(
			err, ERR_LIMIT, "%zu passwords, %zu files at once", n_passwords, n_files);
	size += size_of(passwords, n_passwords) + size_of(files, n_files);
	if (size > BLOB_MAX)
		return err_set(err, ERR_LIMIT, "a file of %zu bytes", size);
	rc = secret_new(size, blob, err);
	if (rc)
		return rc;
	p = secret_data(*blob);
	*p++ = VERSION;
	p = put_list(p, passwords, n_passwords);
	(void)put_list(p, files, n_files);
	return RC_OK;
}

/* One list from *p on; false when it is broken or longer than MAX. */
static bool
take_list(const unsigned char **p, const unsigned char *end, struct admin_bytes *list, size_t max,
	size_t *n)
{
	*n = 0;
	if (end - *p < 2)
		return false;
	*n = (size_t)(*p)[0] << 8 | (*p)[1];
	*p += 2;
	if (*n > max)
		return false;
	for (size_t i = 0; i < *n; i++) {
		if (end - *p < 4)
			return false;
		list[i].len = (size_t)(*p)[0] << 24 | (size_t)(*p)[1] << 16 | (size_t)(*p)[2] << 8 |
			      (*p)[3];
		*p += 4;
		if ((size_t)(end - *p) < list[i].len)
			return false;
		list[i].data = *p;
		*p += list[i].len;
	}
	return true;
}

enum rc
import_blob_open(struct secret *blob, struct import_blob *out, struct err *err)
{
	struct admin_bytes passwords[IMPORT_PASSWORDS];
	const unsigned char *p, *end;
	size_t n = 0;
	enum rc rc = RC_OK;

	*out = (struct import_blob){0};
	p = blob ? secret_data(blob) : NULL;
	end = blob ? p + secret_len(blob) : NULL;
	if (!blob || p == end || *p++ != VERSION ||
		!take_list(&p, end, passwords, IMPORT_PASSWORDS, &n) ||
		!take_list(&p, end, out->files, IMPORT_FILES + 1, &out->n_files) || p != end)
		return err_set(err, ERR_USAGE, "no file, or not as it has to be packed");
	for (size_t i = 0; !rc && i < n; i++) {
		if (passwords[i].len > SECRET_LIMIT)
			rc = err_set(err, ERR_LIMIT, "a password of %zu bytes", passwords[i].len);
		else
			rc = secret_copy(passwords[i].data, passwords[i].len,
				&out->passwords[out->n_passwords], err);
		out->n_passwords += !rc;
	}
	if (rc)
		import_blob_fini(out);
	return rc;
}

void
import_blob_fini(struct import_blob *blob)
{
	for (size_t i = 0; i < blob->n_passwords; i++)
		secret_free(&blob->passwords[i]);
	*blob = (struct import_blob){0};
}
