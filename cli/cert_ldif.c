/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/cert_ldif.h"

#include "message/addr.h"
#include "message/b64.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS 76

/* NAME: TEXT, folded; a line goes on with a blank. */
static enum rc
put_folded(struct buf *out, const char *name, const char *text, struct err *err)
{
	size_t column = strlen(name);
	enum rc rc = buf_append_str(out, name, err);

	for (; rc == RC_OK && *text; text++) {
		if (column == COLUMNS) {
			rc = buf_append_str(out, "\n ", err);
			column = 1;
		}
		if (rc == RC_OK)
			rc = buf_append_char(out, *text, err);
		column++;
	}
	return rc == RC_OK ? buf_append_char(out, '\n', err) : rc;
}

static enum rc
put_base64(struct buf *out, const char *name, const void *data, size_t len, struct err *err)
{
	char *text = malloc(4 * ((len + 2) / 3) + 1);
	enum rc rc;

	if (!text)
		return err_set(err, ERR_MEMORY, "LDIF");
	text[b64_encode(data, len, text)] = '\0';
	rc = put_folded(out, name, text, err);
	free(text);
	return rc;
}

/* A SAFE-STRING of RFC 2849, which may stand as it is? */
static bool
is_safe(const char *text)
{
	size_t len = strlen(text);

	if (*text == ' ' || *text == ':' || *text == '<' || (len && text[len - 1] == ' '))
		return false;
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f)
			return false;
	return true;
}

static enum rc
put(struct buf *out, const char *name, const char *text, struct err *err)
{
	enum rc rc = buf_append_str(out, name, err);

	if (rc != RC_OK)
		return rc;
	return is_safe(text) ? put_folded(out, ": ", text, err)
			     : put_base64(out, ":: ", text, strlen(text), err);
}

/* mail=ADDR,BASE with what RFC 4514 wants escaped. */
static enum rc
put_dn(struct buf *out, const char *addr, const char *base, struct err *err)
{
	struct buf dn = BUF_INIT(1u << 16);
	enum rc rc = buf_append_str(&dn, "mail=", err);

	for (const char *c = addr; rc == RC_OK && *c; c++)
		rc = strchr("\",+;<>\\=", *c) || (c == addr && (*c == '#' || *c == ' '))
			     ? buf_appendf(&dn, err, "\\%02x", (unsigned char)*c)
			     : buf_append_char(&dn, *c, err);
	if (rc == RC_OK)
		rc = buf_appendf(&dn, err, ",%s", base);
	if (rc == RC_OK)
		rc = put(out, "dn", buf_text(&dn), err);
	buf_fini(&dn);
	return rc;
}

static enum rc
begin(struct ldif *ldif, const char *addr, struct buf *out, struct err *err)
{
	enum rc rc;

	free(ldif->addr);
	if (!(ldif->addr = strdup(addr)))
		return err_set(err, ERR_MEMORY, "LDIF");
	if ((rc = buf_append_char(out, '\n', err)) != RC_OK ||
		(rc = put_dn(out, addr, ldif->base, err)) != RC_OK ||
		(rc = put(out, "objectClass", "inetOrgPerson", err)) != RC_OK ||
		(rc = put(out, "cn", addr, err)) != RC_OK ||
		(rc = put(out, "sn", addr, err)) != RC_OK)
		return rc;
	return put(out, "mail", addr, err);
}

enum rc
ldif_add(struct ldif *ldif, const char *addr, const void *der, size_t len, struct buf *out,
	struct err *err)
{
	enum rc rc = RC_OK;

	if (!ldif->addr || !addr_equal(ldif->addr, addr))
		rc = begin(ldif, addr, out, err);
	return rc == RC_OK ? put_base64(out, "userCertificate;binary:: ", der, len, err) : rc;
}

void
ldif_fini(struct ldif *ldif)
{
	free(ldif->addr);
	ldif->addr = NULL;
}
