/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/admin_cmd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/cert.h"
#include "keystore/admin_backup.h"
#include "keystore/backup.h"

/*
 * The blob of vault.backup is a row of parts: a letter, a length (four bytes, big endian), that
 * many bytes.
 */

#define FILES_MAX 1000

struct parts {
	const unsigned char *p;
	size_t len;
};

enum rc
admin_pack_part(struct buf *out, char kind, const void *data, size_t len, struct err *err)
{
	enum rc rc = buf_append_char(out, kind, err);

	if (!rc)
		rc = buf_append_u32(out, (unsigned)len, err);
	return rc ? rc : buf_append(out, data, len, err);
}

static bool
take_part(struct parts *parts, char *kind, const unsigned char **data, size_t *len)
{
	const unsigned char *p = parts->p;

	if (parts->len < 5)
		return false;
	*kind = (char)p[0];
	*len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	if (*len > parts->len - 5)
		return false;
	*data = p + 5;
	parts->p += 5 + *len;
	parts->len -= 5 + *len;
	return true;
}

/* What came with the request. */
struct wish {
	struct certset recipients;
	struct kek kek;
	struct backup_file files[FILES_MAX];
	char names[FILES_MAX][TAR_NAME];
	size_t n;
	uint64_t certs; /* size of certs.db */
};

static enum rc
take_text(const unsigned char *data, size_t len, char *out, size_t size, struct err *err)
{
	if (len == 0 || len >= size || memchr(data, 0, len))
		return err_set(err, ERR_USAGE, "vault.backup: a name of %zu bytes", len);
	memcpy(out, data, len);
	out[len] = 0;
	return RC_OK;
}

static enum rc
take_size(const unsigned char *data, size_t len, uint64_t *out, struct err *err)
{
	char text[16], *end = text;
	enum rc rc = take_text(data, len, text, sizeof(text), err);

	*out = rc ? 0 : strtoull(text, &end, 10);
	return rc || (*end == 0 && *out && text[0] != '-')
		       ? rc
		       : err_set(err, ERR_USAGE, "vault.backup: a size");
}

static enum rc
take_one(struct wish *wish, char kind, const unsigned char *data, size_t len, struct err *err)
{
	switch (kind) {
	case ADMIN_PART_CERTS:
		return certset_parse(data, len, &wish->recipients, err);
	case ADMIN_PART_KEK_ID:
		return take_text(data, len, wish->kek.id, sizeof(wish->kek.id), err);
	case ADMIN_PART_KEK:
		secret_free(&wish->kek.key);
		return len == KEK_SIZE ? secret_copy(data, len, &wish->kek.key, err)
				       : err_set(err, ERR_USAGE, "vault.backup: a key");
	case ADMIN_PART_NAME:
		return wish->n < FILES_MAX
			       ? take_text(data, len, wish->names[wish->n], TAR_NAME, err)
			       : err_set(err, ERR_LIMIT, "vault.backup: files");
	case ADMIN_PART_FILE:
		if (wish->n == FILES_MAX || !wish->names[wish->n][0])
			return err_set(err, ERR_USAGE, "vault.backup: a file without a name");
		wish->files[wish->n] = (struct backup_file){wish->names[wish->n], data, len};
		wish->n++;
		return RC_OK;
	case ADMIN_PART_CERTDB:
		return take_size(data, len, &wish->certs, err);
	default:
		return err_set(err, ERR_USAGE, "vault.backup: a part of another kind");
	}
}

static enum rc
take_wish(struct admin *a, struct wish *wish, struct err *err)
{
	struct parts parts = {
		a->blob ? secret_data(a->blob) : NULL, a->blob ? secret_len(a->blob) : 0};
	const unsigned char *data;
	size_t len;
	char kind;
	enum rc rc = RC_OK;

	while (!rc && parts.len > 0)
		rc = take_part(&parts, &kind, &data, &len)
			     ? take_one(wish, kind, data, len, err)
			     : err_set(err, ERR_USAGE, "vault.backup: parts that do not fit");
	if (!rc && wish->recipients.n == 0 && !wish->kek.key)
		rc = err_set(err, ERR_USAGE, "vault.backup: for nobody");
	if (!rc && wish->kek.key && !wish->kek.id[0])
		rc = err_set(err, ERR_USAGE, "vault.backup: a key without its name");
	return rc;
}

/* Who can open it: fingerprints, as many as fit, and whether a passphrase does. */
static void
detail_of(const struct wish *wish, char *out, size_t size)
{
	size_t at = (size_t)snprintf(out, size, "{\"passphrase\":%s,\"certificates\":%zu",
		wish->kek.key ? "true" : "false", wish->recipients.n);

	for (size_t i = 0; i < wish->recipients.n && at + 128 < size; i++)
		at += (size_t)snprintf(out + at, size - at, ",\"to%zu\":\"%s\"", i + 1,
			cert_fingerprint(wish->recipients.v[i]));
	snprintf(out + at, size - at, "}");
}

enum rc
admin_vault_backup(struct admin *a, struct err *err)
{
	struct wish *wish = calloc(1, sizeof(*wish));
	struct backup_options options = {0};
	struct backup **slot = vault_backup_slot(a->vault);
	char detail[2048];
	enum rc rc = wish ? admin_owner(a, err) : err_set(err, ERR_MEMORY, "backup");

	backup_free(slot); /* one that nobody went on with */
	if (!rc)
		rc = take_wish(a, wish, err);
	if (!rc) {
		detail_of(wish, detail, sizeof(detail));
		rc = admin_record(a, "vault.backup", NULL, NULL, detail, NULL, err);
	}
	if (!rc) {
		options.recipients = &wish->recipients;
		options.kek = wish->kek.key ? &wish->kek : NULL;
		options.files = wish->files;
		options.n_files = wish->n;
		options.certs = wish->certs;
		rc = backup_begin(a->vault, &options, slot, err);
	}
	if (!rc) {
		json_int(a->out, "seq", (int64_t)backup_seq(*slot));
		json_int(a->out, "size", (int64_t)backup_size(*slot));
	}
	if (wish) {
		certset_fini(&wish->recipients);
		kek_fini(&wish->kek);
	}
	free(wish);
	return rc;
}

enum rc
admin_vault_backup_next(struct admin *a, struct err *err)
{
	struct backup **slot = vault_backup_slot(a->vault);
	struct buf piece = BUF_INIT(8 * BACKUP_PIECE);
	bool done = false;
	enum rc rc = admin_owner(a, err);

	/* Two at a time would each get half of it. */
	if (!rc && (!*slot || json_get_int(a->request, "seq", -1) != (int64_t)backup_seq(*slot)))
		rc = err_set(err, ERR_USAGE, "no such backup is being made");
	if (!rc && a->blob)
		rc = backup_feed(*slot, secret_data(a->blob), secret_len(a->blob), err);
	if (!rc)
		rc = backup_next(*slot, &piece, &done, err);
	if (!rc)
		rc = secret_copy(piece.data, piece.len, &a->result, err);
	json_bool(a->out, "done", done);
	if (!rc)
		json_int(a->out, "wants", (int64_t)backup_wants(*slot));
	if (rc || done)
		backup_free(slot);
	buf_fini(&piece);
	return rc;
}
