/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/stamp_keys.h"

#include "base/file.h"
#include "base/secret.h"
#include "crypto/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX 16384

struct stamp_key {
	char id[STAMP_KEYID_SIZE];
	struct secret *bytes;
};

struct stamp_keys {
	struct stamp_key v[STAMP_MAX_KEYS];
	size_t n;
};

static int
nibble(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static enum rc
set_id(struct stamp_key *key, struct err *err)
{
	static const char label[] = "sealgate stamp key id";
	unsigned char mac[MAC_SIZE];
	enum rc rc = mac_bytes(
		secret_data(key->bytes), STAMP_KEY_SIZE, label, sizeof(label) - 1, mac, err);

	if (rc == RC_OK)
		snprintf(key->id, sizeof(key->id), "%02x%02x%02x%02x", mac[0], mac[1], mac[2],
			mac[3]);
	return rc;
}

/* The 64 digits of one key; RC_PERM when they are something else. */
static enum rc
parse_key(struct stamp_keys *keys, const char *digits, size_t len, struct err *err)
{
	struct stamp_key *key = &keys->v[keys->n];
	unsigned char *out;
	enum rc rc;

	if (keys->n == STAMP_MAX_KEYS)
		return err_set(err, ERR_CONFIG, "more than %d keys", STAMP_MAX_KEYS);
	if (len != 2 * STAMP_KEY_SIZE)
		return err_set(
			err, ERR_CONFIG, "a key has %d hexadecimal digits", 2 * STAMP_KEY_SIZE);
	rc = secret_new(STAMP_KEY_SIZE, &key->bytes, err);
	if (rc != RC_OK)
		return rc;
	keys->n++;
	out = secret_data(key->bytes);
	for (size_t i = 0; i < len; i += 2) {
		int high = nibble(digits[i]), low = nibble(digits[i + 1]);

		if (high < 0 || low < 0)
			return err_set(err, ERR_CONFIG, "a key has %d hexadecimal digits",
				2 * STAMP_KEY_SIZE);
		out[i / 2] = (unsigned char)(high << 4 | low);
	}
	return set_id(key, err);
}

static enum rc
parse_keys(struct stamp_keys *keys, const char *p, const char *end, struct err *err)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p)), *stop;

		eol = eol ? eol : end;
		while (p < eol && (*p == ' ' || *p == '\t'))
			p++;
		for (stop = p; stop < eol && !strchr(" \t\r#", *stop);)
			stop++;
		if (stop > p)
			rc = parse_key(keys, p, (size_t)(stop - p), err);
		p = eol + 1;
	}
	if (rc == RC_OK && keys->n == 0)
		rc = err_set(err, ERR_CONFIG, "there is no key in it");
	return rc;
}

/* Whoever can read the file can say of any message that anybody sent it. */
static enum rc
read_private(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	enum rc rc;

	if (fd < 0)
		return err_set(err, ERR_CONFIG, "%s", strerror(errno));
	if (fstat(fd, &st))
		rc = err_set(err, ERR_FILE, "%s", strerror(errno));
	else if (!S_ISREG(st.st_mode))
		rc = err_set(err, ERR_CONFIG, "it is no plain file");
	else if (st.st_mode & 0027)
		rc = err_set(err, ERR_CONFIG, "others may read or write it: chmod 0440");
	else
		rc = file_read_fd(fd, path, out, err);
	close(fd);
	return rc;
}

enum rc
stamp_keys_load(struct conf *conf, struct stamp_keys **out, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "stamp");
	const char *path = conf_str(group, "key_file");
	struct buf text = {.max = FILE_MAX, .wipe = true};
	struct stamp_keys *keys;
	struct err why = ERR_INIT;
	enum rc rc;

	*out = NULL;
	if (!path)
		return RC_NONE;
	keys = calloc(1, sizeof(*keys));
	if (!keys)
		return err_set(err, ERR_MEMORY, "stamp keys");
	rc = read_private(path, &text, &why);
	if (rc == RC_OK)
		rc = parse_keys(keys, buf_text(&text), buf_text(&text) + text.len, &why);
	buf_fini(&text);
	if (rc == RC_OK) {
		*out = keys;
		return RC_OK;
	}
	stamp_keys_free(&keys);
	if (rc == RC_PERM)
		return conf_err(err, conf, group, "key_file", "%s: %s", path, why.detail);
	return err_set(err, why.code, "%s: %s", path, why.detail);
}

void
stamp_keys_free(struct stamp_keys **keys)
{
	if (!*keys)
		return;
	for (size_t i = 0; i < (*keys)->n; i++)
		secret_free(&(*keys)->v[i].bytes);
	free(*keys);
	*keys = NULL;
}

enum rc
stamp_keys_generate(struct buf *out, struct err *err)
{
	struct secret *key = NULL;
	enum rc rc = secret_random(STAMP_KEY_SIZE, &key, err);

	if (rc == RC_OK)
		rc = buf_append_str(out,
			"# Keys of X-Sealgate-Stamp and X-Sealgate-Opened: the first makes, all verify.\n",
			err);
	if (rc == RC_OK)
		rc = buf_append_hex(out, secret_data(key), STAMP_KEY_SIZE, err);
	if (rc == RC_OK)
		rc = buf_append_char(out, '\n', err);
	secret_free(&key);
	return rc;
}

const char *
stamp_keys_id(const struct stamp_keys *keys)
{
	return keys->v[0].id;
}

enum rc
stamp_keys_mac(const struct stamp_keys *keys, const char *id, const char *label, const char *text,
	size_t len, unsigned char out[MAC_SIZE], struct err *err)
{
	struct buf all = BUF_INIT(0);
	size_t i = 0;
	enum rc rc;

	while (i < keys->n && strcmp(keys->v[i].id, id) != 0)
		i++;
	if (i == keys->n)
		return RC_NONE;
	rc = buf_append(&all, label, strlen(label) + 1, err); /* with its NUL: no label begins
								 another's text */
	if (rc == RC_OK)
		rc = buf_append(&all, text, len, err);
	if (rc == RC_OK)
		rc = mac_bytes(
			secret_data(keys->v[i].bytes), STAMP_KEY_SIZE, all.data, all.len, out, err);
	buf_fini(&all);
	return rc;
}
